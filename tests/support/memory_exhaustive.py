"""Every game of memory mapping on a small program."""

from __future__ import annotations

from makespan.envs.memory_mapping.instance import MemoryInstance
from makespan.envs.memory_mapping.run_time import run_times
from makespan.envs.memory_mapping.schedule import MemoryPlan
from support.memory_game import ReferenceGame


def best_game(
    instance: MemoryInstance, supply: str = "contended", gaps: str = "best_fit", judged: bool = False
) -> tuple[int, MemoryPlan]:
    """The shortest run time that any game comes to, by the proxy or the judge, and its plan.

    Dead ends are left: what Drop-backup makes of them is another game, played without it.
    """
    best: tuple[int, MemoryPlan] = (instance.all_hbm_ps, MemoryPlan(instance, (), supply))

    def least(game: ReferenceGame) -> int:
        """What no continuation falls below."""
        decided = game.position.in_cmem
        ideal = instance.cmem_ps < instance.hbm_ps
        ideal = ideal.copy()
        ideal[: len(decided)] = decided
        return int((instance.trips * instance.instruction_ps(ideal)).sum())

    def search(game: ReferenceGame) -> None:
        nonlocal best
        if least(game) >= best[0]:
            return
        if game.done:
            plan = game.plan()
            times = run_times(plan)
            time = times.judged_ps if judged else times.proxy_ps
            if time < best[0]:
                best = time, plan
            return
        for action in game.legal_actions():
            search(game.after(action))

    search(ReferenceGame(instance, supply, gaps))
    return best
