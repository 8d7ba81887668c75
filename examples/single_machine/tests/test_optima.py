"""The best known values are optima: every order of the jobs was tried."""

from itertools import accumulate, permutations

import gymnasium
import pytest
from makespan.envs.core.check import check_contract
from single_machine.plugin import ENV_ID
from single_machine.problem import NAMED, Schedule


@pytest.mark.parametrize("name", NAMED)
def test_best_known_is_the_least_of_all_orders(name):
    instance, best_known = NAMED[name]

    def cost(order):
        starts = dict(zip(order, accumulate((instance.times[job] for job in order), initial=0), strict=False))
        return Schedule(instance, tuple(starts[job] for job in range(len(order)))).objective

    assert min(map(cost, permutations(range(len(instance.times))))) == best_known
    assert gymnasium.make(ENV_ID).unwrapped.bound(name) <= best_known


@pytest.mark.parametrize("options", [{}, {"jobs": 30}])
def test_the_environment_keeps_the_contract(options):
    assert [finding for finding in check_contract(ENV_ID, options) if finding.outcome == "failed"] == []


def test_violations_are_found():
    instance = NAMED["tiny5"][0]
    assert Schedule(instance, (0, 4, 6, 12, 15)).violations() == []
    assert Schedule(instance, (0, 3, 6, 12, 15)).violations() == ["job 1 starts at 3, before job 0 ends"]
    assert Schedule(instance, (0, 4, 6, 12, -1)).violations() == ["job 4 never starts"]
