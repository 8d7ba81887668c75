"""Agents that make whole schedules without playing: the environment appraises them."""

from __future__ import annotations

from typing import Any

import pytest
from makespan.agents.agent import Agent, Proposer
from makespan.agents.arena import Case, open_arena, play
from makespan.envs.core.errors import UserError
from makespan.envs.job_shop.engine import JobShopEngine
from makespan.envs.job_shop.instance import JobShopInstance
from makespan.envs.job_shop.schedule import JobShopSchedule

SHOP = JobShopInstance.from_routes("two", [[3, 2], [2, 4]], [[0, 1], [1, 0]])


class OneAfterAnother(Proposer):
    """Runs the jobs one after another, from a time on that it draws from its key."""

    name = "one-after-another"

    def propose(self, instance: Any, key: int) -> Any:
        now = key % 7
        start = instance.times.copy()
        for job in range(instance.num_jobs):
            for step in range(int(instance.lengths[job])):
                start[job, step] = now
                now += int(instance.times[job, step])
        return JobShopSchedule(instance, "swap", start, start + instance.times)


def test_a_proposal_is_appraised_and_the_best_of_several_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def appraise(self: JobShopEngine, schedule: JobShopSchedule) -> tuple[float, dict[str, Any]]:
        return float(schedule.makespan), {"jobs": schedule.instance.num_jobs}

    monkeypatch.setattr(JobShopEngine, "appraise", appraise)
    agent = OneAfterAnother()
    agent.samples = 16
    arena = open_arena("makespan/JobShop-v0", 16, {"instance": [SHOP]})
    (episode,) = play(arena, agent, [Case(SHOP, 0)])
    assert episode.objective == 11 + min(int(key) % 7 for key in _keys(agent))
    assert episode.objective == episode.schedule.makespan
    assert episode.metrics == {"jobs": 2}
    assert (episode.decisions, episode.instance) == (1, "two")
    assert not arena.running().any()
    arena.reset([Case(SHOP, 0)] * 16)
    assert arena.running().all()


def _keys(agent: Agent) -> list[int]:
    from makespan.agents.arena import _key  # pyright: ignore[reportPrivateUsage]

    return [int(_key(0, Case(SHOP, 0), number)) for number in range(agent.samples)]


def test_an_environment_that_appraises_nothing_says_so() -> None:
    arena = open_arena("makespan/JobShop-v0", 1, {"instance": [SHOP]})
    with pytest.raises(UserError, match="'makespan/JobShop-v0' appraises no schedules"):
        play(arena, OneAfterAnother(), [Case(SHOP, 0)])
