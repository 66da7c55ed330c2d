"""The scenarios by name. A new one is one file beside this and one line here.

scenario = named("finance")
"""

from __future__ import annotations

from node.demo.batteries import BATTERIES
from node.demo.digits import IMAGES
from node.demo.farms import AGRICULTURE
from node.demo.flights import LOGISTICS
from node.demo.hospitals import HEALTHCARE
from node.demo.loans import FINANCE
from node.demo.machines import MANUFACTURING
from node.demo.scenario import Scenario
from node.demo.stations import SENSORS
from node.errors import NotFound

SCENARIOS: dict[str, Scenario] = {
    one.name: one for one in (MANUFACTURING, AGRICULTURE, LOGISTICS, HEALTHCARE, FINANCE, BATTERIES, IMAGES, SENSORS)
}


def named(name: str) -> Scenario:
    """The scenario of that name, or NotFound with the names there are."""
    if name not in SCENARIOS:
        raise NotFound("no such scenario", clause="scenario", seen=name, needed=", ".join(SCENARIOS))
    return SCENARIOS[name]
