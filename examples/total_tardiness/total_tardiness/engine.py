"""The batch engine: n copies, instances in, compiled steps, schedules out."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from makespan.envs.core.arena import Arena, Field
from makespan.envs.core.compile import compiled
from makespan.envs.core.engine import Kernels
from makespan.envs.core.errors import UserError
from makespan.envs.core.ordered import BEGIN, LEAVE, STEP, OrderedEngine
from makespan.envs.core.pack import Pack
from numpy.typing import NDArray

from . import dynamics as d
from .instance import Source, TotalTardinessInstance, assignment_bound
from .observation import SPEC, View, sizes, write_actions, write_observation
from .schedule import Schedule

OBJECTIVE = {"name": "total tardiness", "unit": "time unit", "sense": "min"}
STATUS_NAMES = ("running", "finished", "illegal")


class Orders(NamedTuple):
    """What is to be done with n copies, and what the beginning of an episode needs."""

    order: NDArray[np.int64]  # [n]
    seed: NDArray[np.int64]  # [n]


@compiled(nogil=True)
def carry_out(problem, state, view, outcome, orders, actions, low, high):
    """Do with each copy of a range what its order says."""
    for i in range(low, high):
        order = orders.order[i]
        changed = order != LEAVE
        if order == STEP:
            changed = d.step(problem, state, outcome, i, actions[i])
        elif order == BEGIN:
            d.begin(problem, state, i, orders.seed[i])
        if changed:
            write_observation(problem, state, view, i)


class TotalTardinessEngine(OrderedEngine):
    """n copies of the problem.

    Args:
        num_copies: n.
        source: which instances are played.
        jobs: what to have room for; default: the source's largest.
        threads: how many threads share a step of a large batch.
    """

    spec = SPEC
    objective = OBJECTIVE
    kernels = Kernels(
        "total_tardiness",
        d.is_running,
        d.advance,
        write_actions,
        d.episode_seed,
        d.objective,
        d.is_legal,
        lower_bound=d.lower_bound,
        signature=d.signature,
    )
    carry_out = carry_out
    room_names = ("jobs",)

    def __init__(self, num_copies: int, source: Source, jobs: int | None = None, threads: int = 1) -> None:
        most = max(jobs or 0, source.most_jobs)
        super().__init__(num_copies, sizes(most), threads)
        self.source: Source = source
        self.room = (most,)
        fields = {
            "clock": Field((d.NUM_CLOCK,)),
            "start": Field((most,), fill=d.NOT_STARTED),
            "dims": Field((d.NUM_DIMS,), fill=1),
            "time": Field((most,)),
            "due": Field((most,)),
            "by_time": Field((most,)),
            "by_due": Field((most,)),
        }
        self._arena = Arena(num_copies, fields)
        arrays, block = self._arena.arrays, self.block
        self.problem = Pack(d.Problem(**{name: arrays[name] for name in d.Problem._fields}))
        self.state = Pack(d.State(**{name: arrays[name] for name in d.State._fields}))
        self.view = Pack(View(block.floats, block.integers, block.bytes, self.layout.offsets))
        self.chosen = np.full(num_copies, -2, dtype=np.int64)  # no instance yet
        self._prepare_orders(lambda order: Orders(order, self.seeds))

    def _extra_arrays(self) -> tuple[NDArray[Any], ...]:
        return (self.chosen,)

    def _load(self, copies: NDArray[np.int64], chosen: NDArray[np.int64]) -> None:
        for i, index in zip(copies.tolist(), chosen.tolist(), strict=True):
            if index < 0 or index != self.chosen[i]:
                self._load_one(i, self.source.instance(index, int(self.seeds[i])))

    def _load_one(self, i: int, instance: TotalTardinessInstance) -> None:
        times, due = np.array(instance.times), np.array(instance.due_dates)
        jobs, total = len(times), int(times.sum())
        for name, row in (("time", times), ("due", due), ("by_time", np.argsort(times)), ("by_due", np.argsort(due))):
            getattr(self.problem, name)[i] = 0
            getattr(self.problem, name)[i, :jobs] = row
        scale = max(assignment_bound(instance), total)
        self.problem.dims[i] = jobs, total, scale, int(np.maximum(total - due, 0).sum())

    @staticmethod
    def room_of(instance: TotalTardinessInstance) -> tuple[int, ...]:
        return (len(instance.times),)

    def _empty_like(self, num_copies: int) -> TotalTardinessEngine:
        return TotalTardinessEngine(num_copies, self.source, self.room[0])

    def explain_illegal(self, copy: int, action: int) -> str:
        jobs = int(self.problem.dims[copy, d.JOBS])
        return f"jobs are 0 to {jobs - 1}" if not 0 <= action < jobs else f"job {action} is done"

    def is_running(self) -> NDArray[np.bool_]:
        return self.state.clock[:, d.STATUS] == d.RUNNING

    def metrics(self, copy: int) -> dict[str, Any]:
        clock = self.state.clock[copy]
        status = STATUS_NAMES[int(clock[d.STATUS])]
        return {"status": status, "finished": status == "finished", "makespan": int(clock[d.TIME]), **self._late(copy)}

    def _late(self, copy: int) -> dict[str, int]:
        schedule = self.schedule(copy)
        return {"tardy_jobs": schedule.tardy_jobs, "maximum_tardiness": schedule.maximum_tardiness}

    def instance_name(self, copy: int) -> str:
        return self.instance(copy).name

    def reward_scale(self, copy: int) -> float:
        return float(d.scale(self.problem, copy))

    def schedule(self, copy: int) -> Schedule:
        instance = self.instance(copy)
        return Schedule(instance, tuple(int(start) for start in self.state.start[copy, : len(instance.times)]))

    def appraise(self, schedule: Schedule) -> tuple[float, dict[str, Any]]:
        if schedule.objective is None:
            raise UserError(f"the schedule of {schedule.instance.name!r} lacks jobs: {schedule.violations()[0]}")
        metrics = {"tardy_jobs": schedule.tardy_jobs, "maximum_tardiness": schedule.maximum_tardiness}
        done = {"status": "finished", "finished": True, "makespan": schedule.makespan}
        return float(schedule.objective), {**done, **metrics}
