"""DAG scheduling's batch engine: instances in, compiled steps, schedules out."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.arena import Arena, Field
from ..core.compile import compiled
from ..core.engine import Kernels
from ..core.ordered import BEGIN, LEAVE, REWRITE, STEP, OrderedEngine
from ..core.pack import Pack, prefetch
from . import state as d
from .card import STATIC_OBJECTIVE, STREAM_OBJECTIVE, objective_of
from .dynamics import can_hold, hold, lower_bound, objective, place, reset_state, signature
from .instance import SocInstance
from .observation import (
    ACTION_COLUMNS,
    GLOBAL_COLUMNS,
    K_ACTION_NODES,
    K_ACTIONS,
    K_GLOBALS,
    K_MASK,
    K_PE,
    K_PRECEDES,
    NUM_MEMO,
    SPEC,
    View,
    sizes,
)
from .observe import update_observation, write_blank
from .observe_actions import best_of_group, best_pe, write_actions
from .options import SocOptions
from .record import read_schedule
from .schedule import SocSchedule
from .source import InstanceSource
from .state import Problem, State, is_running
from .tables import Room, build, most_room, room_of
from .timeline import task_row
from .world import imagine, worked

STATUS_NAMES = ("running", "finished", "illegal")
_LOG_ROWS = 65_536
_CACHE_BYTES = 4 * 2**20
_FEW = 8


class Orders(NamedTuple):
    """What is to be done with n copies, and what the beginning of an episode needs."""

    order: NDArray[np.int64]  # [n]
    seed: NDArray[np.int64]  # [n]
    chosen: NDArray[np.int64]  # [n], index of the instance
    ahead: NDArray[np.int64]  # [1], how many items of a copy's state to ask for ahead; 0: nothing


@compiled
def episode_seed(state, i):
    """Seed of the episode that copy i plays."""
    return state.clock[i, d.SEED]


@compiled
def slots_per_task(problem, state):
    """How many action slots an offered task has."""
    return 1 if problem.options[d.OPT_ORDER] == 1 else state.group.shape[1]


@compiled
def chosen_pe(problem, state, i, action):
    """The PE that an action puts its task on, or -1 where the action is illegal."""
    each = slots_per_task(problem, state)
    w = action // each
    if action < 0 or w >= min(state.clock[i, d.OFFERED_COUNT], problem.options[d.OPT_WINDOW]):
        return d.NONE
    row = task_row(problem, state, i, state.offered[i, w])
    if problem.options[d.OPT_ORDER] == 1:
        return best_pe(problem, state, i, w, row)
    g = action % each
    if g >= problem.instance[state.clock[i, d.INSTANCE], d.GROUPS]:
        return d.NONE
    return best_of_group(problem, state, i, w, row, g)


@compiled
def is_legal(problem, state, i, action):
    """Whether a running copy may play an action."""
    if action == slots_per_task(problem, state) * problem.options[d.OPT_WINDOW]:
        return can_hold(problem, state, i)
    return chosen_pe(problem, state, i, action) >= 0


@compiled
def advance(problem, state, i, action):
    """Play a legal action of copy i up to the next decision or the end of the episode."""
    if action == slots_per_task(problem, state) * problem.options[d.OPT_WINDOW]:
        hold(problem, state, i)
        return
    place(problem, state, i, action // slots_per_task(problem, state), chosen_pe(problem, state, i, action))


@compiled
def step(problem, state, outcome, i, action):
    """Play an action in copy i, if it is running, and report what came of it. Returns whether it was."""
    clock = state.clock[i]
    outcome.reward[i] = 0.0
    outcome.elapsed[i] = 0.0
    outcome.terminated[i] = False
    outcome.truncated[i] = False
    if clock[d.STATUS] != d.RUNNING:
        return False
    # Time that passed before the first decision belongs to the first step.
    before = clock[d.TIME] if clock[d.STEPS] > 0 else 0
    if is_legal(problem, state, i, action):
        advance(problem, state, i, action)
    else:
        clock[d.STATUS] = d.ILLEGAL
    due = objective(problem, state, i)
    scale = problem.instance[clock[d.INSTANCE], d.REWARD_SCALE] if problem.options[d.OPT_SCALE] == 1 else 1
    outcome.reward[i] = (clock[d.PAID] - due) / scale
    clock[d.PAID] = due
    outcome.elapsed[i] = clock[d.TIME] - before
    outcome.terminated[i] = clock[d.STATUS] != d.RUNNING
    return True


@compiled(nogil=True)
def carry_out(problem, state, view, outcome, orders, actions, low, high):
    """Do with each copy of a range what its order says.

    One loop for all that is done to copies: the code that writes observations is so compiled only once.
    """
    for i in range(low, high):
        order = orders.order[i]
        changed = order != LEAVE
        if order == STEP:
            if orders.ahead[0] > 0:
                if i + 2 < high:
                    look_ahead(state, view, i + 2, orders.ahead[0])
                if i + 1 < high:
                    look_at_queues(state, i + 1)
            changed = step(problem, state, outcome, i, actions[i])
        elif order == BEGIN:
            reset_state(problem, state, i, orders.seed[i], orders.chosen[i])
        if order in (BEGIN, REWRITE):
            write_blank(problem, state, view, i)
        if changed:
            update_observation(problem, state, view, i)


@compiled
def look_ahead(state, view, i, items):
    """Ask for what a step of copy i reads and writes wherever it goes: all but tasks, edges and later offers."""
    offsets, pes = view.offsets, state.pe.shape[1]
    prefetch(state.clock, i, 0, items)
    prefetch(state.offered, i, 0, _FEW)
    prefetch(state.first, i, 0, pes)
    prefetch(state.arrive, i, 0, pes)
    prefetch(state.touched, i, 0, 2 * _FEW)
    prefetch(state.flag, i, 0, state.flag.shape[1])
    prefetch(view.floats, i, offsets[K_PE], offsets[K_PRECEDES])
    prefetch(view.floats, i, offsets[K_GLOBALS], offsets[K_GLOBALS] + GLOBAL_COLUMNS)
    prefetch(view.integers, i, offsets[K_ACTION_NODES], offsets[K_ACTION_NODES] + 3 * state.group.shape[1])
    slots = offsets[K_ACTIONS]
    prefetch(view.floats, i, slots, slots + ACTION_COLUMNS * state.group.shape[1])
    prefetch(view.bytes, i, offsets[K_MASK], view.bytes.shape[1])


@compiled
def look_at_queues(state, i):
    """Ask for the tasks that copy i's PEs run or run next."""
    for p in range(state.pe.shape[1]):
        for column in (d.RUNS, d.HEAD):
            x = state.pe[i, p, column]
            if x >= 0:
                prefetch(state.task, i, x * d.NUM_TASK, x * d.NUM_TASK + 8)


KERNELS = Kernels(
    "soc", is_running, advance, write_actions, episode_seed, objective, is_legal, imagine, lower_bound, signature
)


class SocEngine(OrderedEngine):
    """n chips.

    Args:
        num_copies: n.
        source: which instances are played.
        options: how.
        record: keep what every task of a stream did, so that `schedule` is complete; of static plans it always is.
        room: what to have room for; default: the source's largest.
        threads: how many threads share a step of a large batch.
    """

    spec = SPEC
    objective = STREAM_OBJECTIVE
    kernels = KERNELS
    shared_fields = Problem._fields
    recorded_fields = ("log",)
    imagines_typical = True
    carry_out = carry_out
    room_names: ClassVar[tuple[str, ...]] = Room._fields

    source: InstanceSource
    room: Room

    def __init__(
        self,
        num_copies: int,
        source: InstanceSource,
        options: SocOptions | None = None,
        record: bool = False,
        room: Room | None = None,
        threads: int = 1,
        tables: Problem | None = None,
    ) -> None:
        self.options = options or SocOptions()
        self.objective = objective_of(self.options)  # pyright: ignore[reportAttributeAccessIssue]
        self.source = source
        self.record = record
        self.room = room or most_room(source.fixed, self.options)
        jobs, tasks, edges, pes, groups, kinds = self.room
        window = self.options.window
        actions = window * (1 if self.options.mode == "order" else groups) + 1
        super().__init__(num_copies, sizes(jobs, tasks, edges, pes, actions), threads)
        n, slots = num_copies, jobs * tasks
        rows = _LOG_ROWS if record and not self.options.static else 0
        contended = self.options.contention != "none"
        self._arena = Arena(
            n,
            {
                "task": Field((slots, d.NUM_TASK)),  # first: its rows are lines of memory
                "clock": Field((d.NUM_CLOCK,)),
                "real": Field((d.NUM_REAL,), np.float64),
                "pe": Field((pes, d.NUM_PE)),
                "active": Field((kinds,)),
                "job": Field((jobs, d.NUM_JOB)),
                "memo": Field((NUM_MEMO,)),
                "owner": Field((jobs,)),
                "group": Field((groups, d.NUM_GROUP)),
                "offered": Field((slots,)),
                "first": Field((window, pes)),
                "arrive": Field((window, pes)),
                "touched": Field((slots,)),
                "flag": Field((slots,), np.int8),
                "link": Field((pes * pes if contended else 1,)),
                "asked": Field((jobs * edges if contended else jobs,), np.int8),
                "bins": Field((d.BINS,), np.int32),
            },
        )
        arrays = self._arena.arrays
        log = np.zeros((n, rows, d.NUM_LOG), dtype=np.int64)
        fields: dict[str, Any] = {name: log if name == "log" else arrays[name] for name in State._fields}
        state = State(**fields)
        block = self.block
        view = View(block.floats, block.integers, block.bytes, self.layout.offsets, arrays["memo"], arrays["owner"])
        self._tables = tables
        self.problem = Pack(self._known_tables())
        self.state, self.view = Pack(state), Pack(view)
        self.chosen = np.full(n, -1, dtype=np.int64)
        # What fits into the cache is at hand anyway.
        large = self._arena.memory.nbytes + block.memory.nbytes > _CACHE_BYTES
        items = (self._arena.positions["offered"] - self._arena.positions["clock"]) // arrays["clock"].itemsize
        ahead = np.array([items * large], dtype=np.int64)
        self._prepare_orders(lambda order: Orders(order, self.seeds, self.chosen, ahead))

    def _known_tables(self) -> Problem:
        if self._tables is None or len(self._tables.instance) < len(self.source.instances):
            self._tables = build(self.source.instances, self.options, self.room)
        return self._tables

    def _extra_arrays(self) -> tuple[NDArray[Any], ...]:
        return self.view.memo, self.view.owner, self.chosen

    def _load(self, copies: NDArray[np.int64], chosen: NDArray[np.int64]) -> None:
        if len(self.problem.instance) < len(self.source.instances):
            self.problem = Pack(self._known_tables())
        self.chosen[copies] = chosen  # the orders read it

    def room_of(self, instance: SocInstance) -> tuple[int, ...]:  # type: ignore[override]
        return room_of(instance, self.options)

    def _empty_like(self, num_copies: int) -> SocEngine:
        return type(self)(num_copies, self.source, self.options, False, self.room, 1, self._tables)

    def is_running(self) -> NDArray[np.bool_]:
        return self.state.clock[:, d.STATUS] == d.RUNNING

    @property
    def stochastic(self) -> bool:
        options = self.options
        return options.uncertain or (not options.static and options.arrivals != "back-to-back")

    def reward_scale(self, copy: int) -> float:
        if self.options.reward_scale != "instance":
            return 1.0
        return float(self.problem.instance[int(self.state.clock[copy, d.INSTANCE]), d.REWARD_SCALE])

    def metrics(self, copy: int) -> dict[str, Any]:
        clock, real = self.state.clock[copy], self.state.real[copy]
        status = STATUS_NAMES[int(clock[d.STATUS])]
        measured = int(clock[d.MEASURED])
        passed = max(int(clock[d.TIME]), 1)
        found = {
            "status": status,
            "finished": status == "finished",
            "mean_latency": int(clock[d.LATENCY_SUM]) / measured if measured else None,
            "latency_p95": self._quantile(copy, 0.95) if measured else None,
            "latency_max": int(clock[d.LATENCY_MAX]) if measured else None,
            "mean_slowdown": float(real[d.SLOWDOWN_SUM]) / measured if measured else None,
            "measured": measured,
            "generated": int(clock[d.GENERATED]),
            "completed": int(clock[d.COMPLETED]),
            "unfinished": int(clock[d.GENERATED] - clock[d.COMPLETED]),
            "throughput": 1000.0 * int(clock[d.COMPLETED]) / passed,
            "makespan": int(clock[d.LAST_FINISH]),
            "latency_sum": int(clock[d.COST]),
            "energy": int(clock[d.ENERGY_USED]),
            "edp": int(clock[d.ENERGY_USED]) * int(clock[d.COST]) // d.EDP_UNIT,
            "utilisation": float(self.utilisation(copy).mean()),
            "decisions": int(clock[d.STEPS]),
            "holds": int(clock[d.HOLDS]),
        }
        return found

    def utilisation(self, copy: int) -> NDArray[np.float64]:
        """float64 [P], share of the time that each PE has worked."""
        clock = self.state.clock[copy]
        pes = self.state.pe[copy, : int(self.problem.instance[int(clock[d.INSTANCE]), d.PES])]
        busy = pes[:, d.BUSY].copy()
        for p in np.flatnonzero(pes[:, d.RUNS] >= 0):
            busy[p] += worked(self.state, copy, int(p))
        return busy / max(int(clock[d.TIME]), 1)

    def _quantile(self, copy: int, share: float) -> float:
        """A quantile of the latencies, to a sixteenth of an octave."""
        bins = self.state.bins[copy].cumsum()
        place = int(np.searchsorted(bins, share * bins[-1]))
        return float(2.0 ** ((place + 0.5) / d.BINS_PER_OCTAVE) - 1.0)

    def instance_name(self, copy: int) -> str:
        return self.source.instance(int(self.chosen[copy])).name

    def explain_illegal(self, copy: int, action: int) -> str:
        slots = self.sizes.actions
        if not 0 <= action < slots:
            return f"actions are 0 to {slots - 1}"
        if action == slots - 1:
            if not self.options.hold:
                return "HOLD is switched off (hold=False)"
            return "HOLD needs a task that runs or is assigned"
        each = (slots - 1) // self.options.window
        w, g = divmod(action, each)
        count = min(int(self.state.clock[copy, d.OFFERED_COUNT]), self.options.window)
        if w >= count:
            return f"only {count} tasks are offered"
        instance = self.instance(copy)
        if g > int(instance.groups.max()):
            return f"the chip has only {int(instance.groups.max()) + 1} groups of PEs"
        kind = instance.platform.kinds[int(instance.platform.kind[int(np.argmax(instance.groups == g))])]
        return f"no {kind.name} can run the offered task {w}"

    def schedule(self, copy: int) -> SocSchedule:
        """What has happened in a copy so far.

        Raises:
            UserError: more tasks were done than are recorded.
        """
        return read_schedule(self, copy)

    def appraise(self, schedule: SocSchedule) -> tuple[float, dict[str, Any]]:
        if not self.options.static or self.stochastic or self.options.contention != "none":
            raise NotImplementedError
        found = dict(schedule.metrics())
        return float(schedule.value_of(self.options.objective)), {"status": "finished", "finished": True, **found}


class StaticEngine(SocEngine):
    """n plans of DAGs that are there at once."""

    objective = STATIC_OBJECTIVE
