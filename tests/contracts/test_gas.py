"""No operation costs more than its ceiling, nor 2 % more than the committed figures (`gas.json`)."""

import json

import pytest
from benches import gas
from conftest import npm
from local_chain import ROOT

pytestmark = [pytest.mark.outside, pytest.mark.xdist_group("gas")]
COMMITTED = json.loads((ROOT / "tests" / "contracts" / "gas.json").read_text())


LARGE = {name for name in COMMITTED if name.startswith(("fraud_32", "fraud_64"))}


def names(of):
    """Each name; rounds of many members take long to make."""
    return [pytest.param(name, marks=pytest.mark.long if name in LARGE else ()) for name in of]


@pytest.fixture(scope="module")
def measured(request):
    npm("@ethereum-attestation-service/eas-contracts")
    npm("@oceanprotocol/contracts")
    asked = {item.callspec.params["name"] for item in request.session.items if item.module is request.module
             and hasattr(item, "callspec")}  # fmt: skip
    sizes = gas.FRAUD_SIZES if asked & LARGE else gas.EVERYDAY
    return {result["name"]: result for result in gas.run(sizes)["results"]}


@pytest.mark.parametrize("name", names(gas.CEILINGS))
def test_gas_stays_under_its_ceiling(measured, name):
    result = measured[name]
    assert result["holds"], f"{name}: {result['value']} {result['unit']}, ceiling {result['goal']}"


@pytest.mark.parametrize("name", names(COMMITTED))
def test_gas_stays_within_two_percent_of_the_committed_figure(measured, name):
    assert measured[name]["value"] <= COMMITTED[name] * 1.02


def test_every_ceiling_is_measured(measured):
    assert set(measured) - LARGE == set(COMMITTED) - LARGE
    assert set(gas.CEILINGS) <= set(COMMITTED)
