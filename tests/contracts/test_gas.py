"""No operation costs more than its ceiling, nor 2 % more than the committed figures (`gas.json`)."""

import json

import pytest
from benches import gas
from conftest import npm
from local_chain import ROOT

pytestmark = [pytest.mark.outside, pytest.mark.xdist_group("gas")]
COMMITTED = json.loads((ROOT / "tests" / "contracts" / "gas.json").read_text())


@pytest.fixture(scope="module")
def measured():
    npm("@ethereum-attestation-service/eas-contracts")
    npm("@oceanprotocol/contracts")
    return {result["name"]: result for result in gas.run()["results"]}


@pytest.mark.parametrize("name", gas.CEILINGS)
def test_gas_stays_under_its_ceiling(measured, name):
    result = measured[name]
    assert result["holds"], f"{name}: {result['value']} gas, ceiling {result['goal']}"


@pytest.mark.parametrize("name", COMMITTED)
def test_gas_stays_within_two_percent_of_the_committed_figure(measured, name):
    assert measured[name]["value"] <= COMMITTED[name] * 1.02


def test_every_ceiling_is_measured(measured):
    assert set(gas.CEILINGS) <= set(measured) == set(COMMITTED)
