"""What acting on nothing is worth, against the values that the specification states."""

from __future__ import annotations

import pytest
from makespan.envs.restless_bandits.known_cases import known_case
from makespan.envs.restless_bandits.scale import expected_scale, null_value

NULL = {"k0": 0.9120, "k1": 6.1380, "k2b": 10.9329, "k3": 10.9329, "k6a": 8.0103, "k7a": 0.1409}


@pytest.mark.parametrize("name", sorted(NULL))
def test_acting_on_nothing_has_the_value_that_the_specification_states(name: str) -> None:
    assert null_value(known_case(name)) == pytest.approx(NULL[name], abs=1e-4)


def test_a_contagion_is_simulated() -> None:
    found = null_value(known_case("k8a"))
    assert found == pytest.approx(0.1803, abs=0.06)
    assert null_value(known_case("k8a")) == found


def test_a_scale_names_its_bound() -> None:
    found = expected_scale(known_case("k3"))
    assert found is not None
    assert (found.name, round(found.bound, 3)) == ("hull", 118.634)
