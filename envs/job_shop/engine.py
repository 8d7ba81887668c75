"""The job shop's batch engine: instances in, compiled steps, schedules out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count, islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.arena import Arena, Field
from ..core.compile import compiled
from ..core.engine import Kernels
from ..core.errors import UserError
from ..core.ordered import BEGIN, GO_ON, REWRITE, STEP, OrderedEngine
from ..core.pack import Pack, prefetch
from . import state as d
from .card import OBJECTIVE
from .dynamics import advance, go_on, objective, reset_state
from .generator import random_name
from .instance import JobShopInstance
from .lookahead import lower_bound, rewarded_bound, signature
from .observation import K_JOB, K_MASK, K_PRECEDES, K_WANTS, NUM_MEMO, SPEC, View, sizes
from .observe import update_observation, write_static
from .observe_actions import write_actions
from .options import JobShopOptions
from .placing import check_start, place
from .planned import follow_plan, note_plan, plan_size
from .schedule import JobShopSchedule
from .source import InstanceSource, generate_copy
from .state import Problem, State, is_running
from .world import down_length, imagine, up_length

STATUS_NAMES = ("running", "finished", "deadlock", "truncated", "illegal")
# A decision may be followed by forced moves (swaps, continuations), each of which may be lost, too.
# What is done with a copy.
_CACHE_BYTES = 8 * 2**20
_LOG_ROWS_PER_OPERATION = 2 * d.STEP_CAP_PER_OPERATION


class Orders(NamedTuple):
    """What is to be done with n copies, and what the beginning of an episode needs."""

    order: NDArray[np.int64]  # [n]
    seed: NDArray[np.int64]  # [n]
    chosen: NDArray[np.int64]  # [n], index of the instance, or -1 for a random one
    sizes: NDArray[np.int64]  # [S, 2], jobs and machines of the random ones
    ahead: NDArray[np.int64]  # [1], how many items of a copy's state to ask for one step ahead; 0: nothing


@compiled
def world_seed(state, i):
    """Seed of the world that copy i plays."""
    return state.clock[i, d.SEED]


@compiled
def is_legal(state, view, i, action):
    """Whether a running copy's mask allows an action (a job, or WAIT = the number of job slots)."""
    return 0 <= action <= state.job.shape[1] and view.bytes[i, view.offsets[K_MASK] + action] == 1


@compiled
def begin(problem, state, view, i, seed, chosen, size_table):
    """Begin an episode in copy i, on the random instance of its seed if none was chosen (-1)."""
    if chosen < 0:
        generate_copy(problem, i, seed, size_table)
    reset_state(problem, state, i, seed)
    write_static(problem, state, view, i)
    update_observation(problem, state, view, i)


@compiled
def play(problem, state, view, i, action):
    """Play an action in copy i, which is running, and rewrite what changed of its observation."""
    if is_legal(state, view, i, action):
        advance(problem, state, i, action)
    else:
        state.clock[i, d.STATUS] = d.ILLEGAL
        state.clock[i, d.LEGAL] = 0
        state.clock[i, d.WAIT_LEGAL] = 0
    update_observation(problem, state, view, i)


@compiled
def step(problem, state, view, outcome, i, action):
    """Play an action in copy i, if it is running, and report what came of it."""
    outcome.reward[i] = 0.0
    outcome.elapsed[i] = 0.0
    outcome.terminated[i] = False
    outcome.truncated[i] = False
    if state.clock[i, d.STATUS] != d.RUNNING:
        return
    # Time that passed before the first decision (machines down at 0) belongs to the first step.
    before = state.clock[i, d.TIME] if state.clock[i, d.STEPS] > 0 else 0
    bound = rewarded_bound(problem, state, i)
    if state.clock[i, d.STEPS] == 0:
        bound = min(bound, 0)  # what cannot be helped belongs to the first step, too: rewards sum to the objective
    play(problem, state, view, i, action)
    cost = objective(problem, state, i) - before if bound < 0 else rewarded_bound(problem, state, i) - bound
    scale = max(problem.dims[i, d.DIM_LOWER_BOUND], 1) if problem.options[d.OPT_SCALE_REWARD] == 1 else 1
    outcome.reward[i] = -cost / scale
    outcome.elapsed[i] = state.clock[i, d.TIME] - before
    status = state.clock[i, d.STATUS]
    outcome.terminated[i] = status in (d.FINISHED, d.DEADLOCK, d.ILLEGAL)
    outcome.truncated[i] = status == d.TRUNCATED


@compiled(nogil=True)
def carry_out(problem, state, view, outcome, orders, actions, low, high):
    """Do with each copy of a range what its order says.

    One loop for all that is done to copies: the code that writes observations is so compiled only once.
    """
    for i in range(low, high):
        order = orders.order[i]
        if order == STEP:
            if orders.ahead[0] > 0 and i + 1 < high:
                look_ahead(state, view, i + 1, orders.ahead[0])
            step(problem, state, view, outcome, i, actions[i])
        elif order == BEGIN:
            begin(problem, state, view, i, orders.seed[i], orders.chosen[i], orders.sizes)
        elif order in (REWRITE, GO_ON):
            if order == GO_ON:
                go_on(problem, state, i)
            write_static(problem, state, view, i)
            update_observation(problem, state, view, i)


@compiled
def look_ahead(state, view, i, items):
    """Ask for what a step of copy i reads and writes: its state, and of the observation all but operations' rows."""
    offsets = view.offsets
    prefetch(state.clock, i, 0, items)
    prefetch(view.floats, i, offsets[K_JOB], offsets[K_PRECEDES])
    prefetch(view.floats, i, offsets[K_WANTS], view.floats.shape[1])


KERNELS = Kernels(
    "job_shop",
    is_running,
    advance,
    write_actions,
    world_seed,
    objective,
    None,
    imagine,
    lower_bound,
    signature,
    plan_size,
    note_plan,
    follow_plan,
)


class JobShopEngine(OrderedEngine):
    """n job shops.

    Args:
        num_copies: n.
        source: which instances are played.
        options: how the shop works.
        record: keep what lost pieces did and when machines were down, so that `schedule` is complete under breakdowns.
        room: (jobs, machines, operations per job) to have room for; default: the source's largest.
        threads: how many threads share a step of a large batch.
    """

    spec = SPEC
    objective = OBJECTIVE
    kernels = KERNELS
    shared_fields = ("options", "law")
    recorded_fields = ("log",)
    imagines_typical = True
    carry_out = carry_out
    room_names = ("jobs", "machines", "operations per job")

    source: InstanceSource
    room: tuple[int, int, int]

    def __init__(
        self,
        num_copies: int,
        source: InstanceSource,
        options: JobShopOptions | None = None,
        record: bool = False,
        room: tuple[int, int, int] | None = None,
        threads: int = 1,
    ) -> None:
        self.options = options or JobShopOptions()
        self.source = source
        self.record = record
        self.room = room or source.room
        jobs, machines, longest = self.room
        super().__init__(num_copies, sizes(jobs, machines, longest), threads)
        n = num_copies
        rows = _LOG_ROWS_PER_OPERATION * jobs * longest if record and self._needs_log() else 0
        self._arena = Arena(
            n,
            {
                "clock": Field((d.NUM_CLOCK,)),
                "dims": Field((d.NUM_DIMS,)),
                "scale": Field((d.NUM_SCALES,), np.float64),
                "length": Field((jobs,)),
                "job": Field((jobs, d.NUM_JOB)),
                "machine": Field((machines, d.NUM_MACHINE)),
                "memo": Field((jobs, NUM_MEMO)),
                "written": Field((1,)),
                "head": Field((jobs, longest + 1)),
                "route": Field((jobs, longest), fill=-1),
                "time": Field((jobs, longest)),
                "start": Field((jobs, longest), fill=-1),
                "completion": Field((jobs, longest), fill=-1),
                "load": Field((machines, d.NUM_LOAD)),
                "window": Field((machines, d.NUM_WINDOW)),
                "windows": Field((machines, source.most_windows, 2), fill=d.INFINITY),
                "held": Field((jobs,)),
                "holder": Field((2 * machines,)),
            },
        )
        arrays = self._arena.arrays
        problem = Problem(*self.options.compiled(record), *(arrays[name] for name in Problem._fields[2:]))
        log = np.zeros((n, rows, d.NUM_LOG), dtype=np.int64)
        state = State(**{name: log if name == "log" else arrays[name] for name in State._fields})
        block = self.block
        view = View(block.floats, block.integers, block.bytes, self.layout.offsets, arrays["memo"], arrays["written"])
        self.problem, self.state, self.view = Pack(problem, self.options.plain), Pack(state), Pack(view)
        self.chosen = np.full(n, -1, dtype=np.int64)
        # What fits into the cache is at hand anyway.
        large = self._arena.memory.nbytes + block.memory.nbytes > _CACHE_BYTES
        ahead = np.array([self._arena.positions["start"] // arrays["clock"].itemsize * large], dtype=np.int64)
        self._prepare_orders(lambda order: Orders(order, self.seeds, self.chosen, source.size_table, ahead))

    def _needs_log(self) -> bool:
        """Whether something happens that neither the state nor the seed tells later."""
        options = self.options
        return options.law != "none" and (options.on_breakdown == "scrap" or options.clock == "busy")

    def _extra_arrays(self) -> tuple[NDArray[Any], ...]:
        return self.view.memo, self.view.written, self.chosen

    def _load(self, copies: NDArray[np.int64], chosen: NDArray[np.int64]) -> None:
        self.source.load(self.problem, copies, chosen, self.chosen[copies])

    @staticmethod
    def room_of(instance: JobShopInstance) -> tuple[int, ...]:
        return instance.num_jobs, instance.num_machines, instance.times.shape[1]

    def _check_instance(self, instance: JobShopInstance) -> None:
        most = max((len(windows) for windows in instance.downtimes), default=0)
        if self.options.law == "windows" and most > self.problem.windows.shape[2]:
            raise UserError(
                f"instance {instance.name!r} has {most} windows on a machine, but the environment has room for "
                f"{self.problem.windows.shape[2]}; name it in the option instance"
            )
        check_start(instance, self.options)

    def _reset_range(self, copies: NDArray[np.int64]) -> None:
        super()._reset_range(copies)
        self._place(copies)

    def _place(self, copies: NDArray[np.int64]) -> None:
        """Put those copies whose instance has a start state there."""
        chosen = self.chosen[copies]
        begun = [index for index in set(chosen.tolist()) if index >= 0 and self.source.instance(index).start]
        if not begun:
            return
        for index in begun:
            place(self.problem, self.state, copies[chosen == index], self.source.instance(index), self.options)
        self._order(copies[np.isin(chosen, begun)], GO_ON)

    def _empty_like(self, num_copies: int) -> JobShopEngine:
        source = self.source.without_windows() if self.options.hides_windows else self.source
        return JobShopEngine(num_copies, source, self.options, False, self.room)

    def is_running(self) -> NDArray[np.bool_]:
        return self.state.clock[:, d.STATUS] == d.RUNNING

    @property
    def stochastic(self) -> bool:
        return self.options.law != "none" and not (self.options.law == "windows" and self.options.known_windows)

    def training_instances(self) -> str:
        """Taillard's random shops of the sizes at hand."""
        return "random:size=" + "+".join(f"{jobs}x{machines}" for jobs, machines in self.source.all_sizes())

    def reward_scale(self, copy: int) -> float:
        bound = int(self.problem.dims[copy, d.DIM_LOWER_BOUND])
        return float(max(bound, 1)) if self.options.reward_scale == "instance" else 1.0

    def metrics(self, copy: int) -> dict[str, Any]:
        clock = self.state.clock[copy]
        status = STATUS_NAMES[int(clock[d.STATUS])]
        return {
            "status": status,
            "finished": status == "finished",
            "deadlock": status == "deadlock",
            "time": int(clock[d.TIME]),
            "decisions": int(clock[d.STEPS]),
            "waits": int(clock[d.WAITS]),
            "breakdowns": int(clock[d.BREAKDOWNS]),
            "lost_pieces": int(clock[d.LOST]),
        }

    def instance_name(self, copy: int) -> str:
        if self.chosen[copy] >= 0 or self.seeds[copy] < 0:
            return self.instance(copy).name
        dims = self.problem.dims[copy]
        return random_name(int(dims[d.DIM_JOBS]), int(dims[d.DIM_MACHINES]), int(self.seeds[copy]))

    def known_instance(self, copy: int) -> JobShopInstance:
        instance = super().known_instance(copy)
        return replace(instance, windows=()) if self.options.hides_windows else instance

    def explain_illegal(self, copy: int, action: int) -> str:
        jobs, slots = int(self.problem.dims[copy, d.DIM_JOBS]), self.room[0]
        if not 0 <= action <= slots:
            return f"actions are 0 to {slots}"
        if action == slots:
            if not self.options.allow_wait:
                return "WAIT is switched off (allow_wait=False)"
            if self.options.mode == "construct":
                return "there is no WAIT in mode='construct'"
            return "WAIT needs an operation in process or a machine under repair"
        if action >= jobs:
            return f"the instance has only {jobs} jobs"
        position, status, held = self.state.job[copy, action, : d.MACHINE + 1]
        if status in (d.PROCESSING, d.PAUSED):
            return f"job {action} is on machine {held} until its operation {position} is completed"
        if status == d.LEFT:
            return f"job {action} has left"
        machine = int(self.problem.route[copy, action, position])
        if self.state.window[copy, machine, d.UP] == 0:
            return f"machine {machine}, the next of job {action}, is down"
        if self.state.machine[copy, machine, d.HOLDER] >= 0:
            return (
                f"machine {machine}, the next of job {action}, holds job {self.state.machine[copy, machine, d.HOLDER]}"
            )
        if status == d.BLOCKED and self.state.window[copy, held, d.UP] == 0:
            return f"job {action} is locked in machine {held}, which is down (unload_when_down=False)"
        return f"the move of job {action} may lead to a deadlock (deadlock='banker')"

    def schedule(self, copy: int) -> JobShopSchedule:
        """The schedule of a copy so far.

        Raises:
            ValueError: there were breakdowns and the engine did not record, or more than it has room to record.
        """
        instance = self.instance(copy)
        clock = self.state.clock[copy]
        if self.options.law != "none" and not self.record:
            raise ValueError("the schedule under breakdowns was not recorded: make the engine with record=True")
        if clock[d.LOG_FULL]:
            what = "breakdowns and lost operations"
            raise ValueError(f"more {what} than the {self.state.log.shape[1]} that there is room for: not recorded")
        shape = instance.times.shape
        rows = self.state.log[copy, : clock[d.LOG_ROWS]]
        downtime = [self._begun_windows(copy, machine) for machine in range(instance.num_machines)]
        lost = []
        for row in rows.tolist():
            if row[d.LOG_KIND] == d.LOG_DOWNTIME:
                downtime[row[d.LOG_MACHINE]].append((row[d.LOG_BEGIN], row[d.LOG_END]))
            else:
                keys = (d.LOG_JOB, d.LOG_PIECE, d.LOG_OPERATION, d.LOG_MACHINE, d.LOG_BEGIN, d.LOG_END)
                lost.append([row[key] for key in keys])
        return JobShopSchedule(
            instance=instance,
            blocking=self.options.blocking,
            start=self.state.start[copy, : shape[0], : shape[1]].copy(),
            completion=self.state.completion[copy, : shape[0], : shape[1]].copy(),
            on_breakdown=self.options.on_breakdown,
            unload_when_down=self.options.unload_when_down,
            downtime=tuple(tuple(machine) for machine in downtime),
            lost=np.array(lost, dtype=np.int64).reshape(len(lost), 6),
            finished=int(clock[d.STATUS]) == d.FINISHED,
        )

    def _begun_windows(self, copy: int, machine: int) -> list[tuple[int, int]]:
        """Calendar clock: the down-times of a machine that have begun; the busy clock's stand in the log."""
        if self.options.law == "none" or self.options.clock == "busy":
            return []
        row = self.state.window[copy, machine]
        begun = int(row[d.WINDOW]) + (1 if row[d.UP] == 0 else 0)
        if self.options.law == "windows":
            return [(int(begin), int(end)) for begin, end in self.problem.windows[copy, machine, :begun]]
        return list(islice(self.drawn_windows(int(self.state.clock[copy, d.SEED]), machine), begun))

    def drawn_windows(self, seed: int, machine: int) -> Iterator[tuple[int, int]]:
        """All down-times of a machine that a law draws by the calendar clock in the world of a seed: the hidden future.

        For whoever judges afterwards, and nobody who decides.
        """
        end = 0
        for k in count():
            length = int(up_length(self.problem, seed, machine, k))
            if length >= d.INFINITY:
                return
            begin = end + length
            end = begin + int(down_length(self.problem, seed, machine, k, 0))
            yield begin, end
