"""Urban air mobility's batch engine: instances in, compiled steps, schedules out."""

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
from .card import OBJECTIVE
from .dynamics import advance, is_legal, objective, reset_state
from .instance import AirInstance, without_day
from .observation import NUM_MEMO, SPEC, View, sizes
from .observe import update_observation, write_blank
from .observe_actions import write_actions
from .options import AirOptions
from .record import read_schedule
from .schedule import AirSchedule
from .source import InstanceSource
from .state import Problem, State, is_running
from .tables import DOLLAR, Room, build, lengths_of, most_room, room_of
from .world import imagine

STATUS_NAMES = ("running", "finished", "illegal")
RULES = ("legal", "unflyable", "energy", "stands", "closed", "corridors", "late")
"""What each value of `State.reason` says."""
_KWH = 3_600_000
_CACHE_BYTES = 2 * 2**20


class Orders(NamedTuple):
    """What is to be done with n copies, and what the beginning of an episode needs."""

    order: NDArray[np.int64]  # [n]
    seed: NDArray[np.int64]  # [n]
    chosen: NDArray[np.int64]  # [n], index of the instance
    ahead: NDArray[np.int64]  # [2], how many items of a copy's state and observation to ask for ahead; 0: nothing


@compiled
def episode_seed(state, i):
    """Seed of the episode that copy i plays."""
    return state.clock[i, d.SEED]


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
    before = clock[d.TIME]
    if is_legal(problem, state, i, action):
        advance(problem, state, i, action)
    else:
        clock[d.STATUS] = d.ILLEGAL
    profit = objective(problem, state, i)
    scale = problem.instance[clock[d.INSTANCE], d.REWARD_SCALE] if problem.options[d.OPT_SCALE] == 1 else d.MICRO
    outcome.reward[i] = (profit - clock[d.PAID]) / scale
    clock[d.PAID] = profit
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
            if orders.ahead[0] > 0 and i + 1 < high:
                prefetch(state.clock, i + 1, 0, orders.ahead[0])
                prefetch(view.floats, i + 1, 0, orders.ahead[1])
            changed = step(problem, state, outcome, i, actions[i])
        elif order == BEGIN:
            reset_state(problem, state, i, orders.seed[i], orders.chosen[i])
        if order in (BEGIN, REWRITE):
            write_blank(problem, state, view, i)
        if changed:
            update_observation(problem, state, view, i)


KERNELS = Kernels("air-mobility", is_running, advance, write_actions, episode_seed, objective, is_legal, imagine)


class AirEngine(OrderedEngine):
    """n fleets.

    Args:
        num_copies: n.
        source: which instances are played.
        options: how.
        record: keep what every aircraft did, for `schedule`.
        room: what to have room for; default: the source's largest.
        threads: how many threads share a step of a large batch.
    """

    spec = SPEC
    objective = OBJECTIVE
    kernels = KERNELS
    shared_fields = Problem._fields
    recorded_fields = ("log", "charge")
    imagines_typical = True
    carry_out = carry_out
    room_names: ClassVar[tuple[str, ...]] = Room._fields

    source: InstanceSource
    room: Room

    def __init__(
        self,
        num_copies: int,
        source: InstanceSource,
        options: AirOptions | None = None,
        record: bool = False,
        room: Room | None = None,
        threads: int = 1,
        tables: Problem | None = None,
    ) -> None:
        self.options = options or AirOptions()
        self.source = source
        self.record = record
        self.room = room or most_room(source.fixed)
        super().__init__(num_copies, sizes(*self.room), threads)
        self.lengths = lengths_of(source.instances, self.options.noise)
        self._tables = tables
        self.problem = Pack(self._known_tables(), self.options.plain)
        self.chosen = np.full(num_copies, -1, dtype=np.int64)
        self._make_arrays()
        # What fits into the cache is at hand anyway.
        large = self._arena.memory.nbytes + self.block.memory.nbytes > _CACHE_BYTES
        items = self._arena.positions["begin"] // self.state.clock.itemsize
        ahead = np.array([items * large, self.layout.row_bytes // 4 * large], dtype=np.int64)
        self._prepare_orders(lambda order: Orders(order, self.seeds, self.chosen, ahead))

    def _make_arrays(self) -> None:
        """Set up state and view for lists of `lengths`."""
        n, (vertiports, aircraft), lengths = self.num_copies, self.room, self.lengths
        pairs = vertiports * vertiports
        self._arena = Arena(
            n,
            {
                "clock": Field((d.NUM_CLOCK,)),
                "memo": Field((NUM_MEMO,)),
                "due": Field((aircraft,)),
                "reason": Field((vertiports,)),
                "vertiport": Field((vertiports, d.NUM_VERTIPORT)),
                "aircraft": Field((aircraft, d.NUM_AIRCRAFT)),
                "pair": Field((pairs, d.NUM_PAIR)),
                "last": Field((pairs, lengths.corridors)),
                "pad": Field((vertiports, max(self.options.pads, 1))),
                "begin": Field((pairs + 1,)),
                "closure": Field((lengths.closures, d.NUM_CLOSURE), np.int32),
                "bins": Field((d.BINS + 1,), np.int32),
                "flow": Field((pairs + 3 * vertiports if self.options.home else 1,)),
                "when": Field((lengths.arrivals,), np.int32),
                "order": Field((lengths.arrivals,), np.int32),
                "second": Field((lengths.arrivals,), np.int32),
            },
        )
        arrays = dict(self._arena.arrays)
        rows = lengths.decisions if self.record else 0
        arrays["log"] = np.zeros((n, rows, d.NUM_LOG), dtype=np.int64)
        arrays["charge"] = np.zeros((n, rows, d.NUM_CHARGE), dtype=np.int64)
        block = self.block
        self.state = Pack(State(**{name: arrays[name] for name in State._fields}))
        self.view = Pack(View(block.floats, block.integers, block.bytes, self.layout.offsets, arrays["memo"]))

    def _make_room(self) -> None:
        """Lengthen the lists of a day, where an instance that came later needs it."""
        needed = lengths_of(self.source.instances, self.options.noise)
        if needed == self.lengths:
            return
        memo, before = self.view.memo, self.state._asdict()
        self.lengths = needed
        self._make_arrays()
        self.view.memo[...] = memo
        for name, array in self.state._asdict().items():
            array[tuple(slice(length) for length in before[name].shape)] = before[name]

    def _known_tables(self) -> Problem:
        if self._tables is None or len(self._tables.instance) < len(self.source.instances):
            self._tables = build(self.source.instances, self.options)
        return self._tables

    def _extra_arrays(self) -> tuple[NDArray[Any], ...]:
        return self.view.memo, self.chosen

    def _load(self, copies: NDArray[np.int64], chosen: NDArray[np.int64]) -> None:
        if len(self.problem.instance) < len(self.source.instances):
            self.problem = Pack(self._known_tables(), self.options.plain)
            self._make_room()
        self.chosen[copies] = chosen  # the orders read it

    def _reset_range(self, copies: NDArray[np.int64]) -> None:
        super()._reset_range(copies)
        self._check_arrivals(copies)

    def _check_arrivals(self, copies: NDArray[np.int64]) -> None:
        """Raise in the practically impossible case that a day's passengers or closures found no room."""
        lacking = copies[self.state.clock[copies, d.ROOM_LACKED] != 0]
        if len(lacking):
            raise MemoryError(f"the day of seed {self.seeds[lacking[0]]} has more passengers than there is room for")

    @staticmethod
    def room_of(instance: AirInstance) -> tuple[int, ...]:
        return room_of(instance)

    def _empty_like(self, num_copies: int) -> AirEngine:
        return type(self)(num_copies, self.source, self.options, False, self.room, 1, self._tables)

    def is_running(self) -> NDArray[np.bool_]:
        return self.state.clock[:, d.STATUS] == d.RUNNING

    def instance(self, copy: int) -> AirInstance:
        played = super().instance(copy)
        return without_day(played) if self.seeds[copy] < 0 else played  # imagined copies do not know what happens

    def known_instance(self, copy: int) -> AirInstance:
        return without_day(self.instance(copy))

    def reward_scale(self, copy: int) -> float:
        if self.options.reward_scale != "instance":
            return DOLLAR
        return float(self.problem.instance[int(self.state.clock[copy, d.INSTANCE]), d.REWARD_SCALE])

    def metrics(self, copy: int) -> dict[str, Any]:
        clock = self.state.clock[copy]
        instance = self.instance(copy)
        served, flights = int(clock[d.SERVED]), int(clock[d.FLIGHTS])
        arrivals = served + int(clock[d.LOST]) + int(clock[d.WAITING])
        passed, chargers = max(int(clock[d.TIME]), 1), int(instance.network.chargers.sum())
        status = STATUS_NAMES[int(clock[d.STATUS])]
        masked = clock[d.MASKED_FIRST : d.MASKED_FIRST + d.NUM_REASONS]
        destinations = max(int(masked.sum()), 1)
        return {
            "status": status,
            "finished": status == "finished",
            "profit_usd": int(clock[d.PROFIT]) / DOLLAR,
            "revenue_usd": int(clock[d.EARNED]) / DOLLAR,
            "cost_usd": int(clock[d.EARNED] - clock[d.PROFIT]) / DOLLAR,
            "arrivals": arrivals,
            "served": served,
            "lost": int(clock[d.LOST]),
            "served_share": served / arrivals if arrivals else None,
            "flights": flights,
            "empty_flights": int(clock[d.EMPTY_FLIGHTS]),
            "load_factor": served / (instance.vehicle.seats * flights) if flights else None,
            "energy_kwh": float(clock[d.ENERGY_USED] / _KWH),
            "charged_kwh": float(clock[d.ENERGY_CHARGED] / _KWH),
            "mean_wait": int(clock[d.WAIT_SUM]) / served if served else None,
            "mean_delay": int(clock[d.DELAY_SUM]) / flights if flights else None,
            "mean_hold": int(clock[d.HOLD_SUM]) / flights if flights else None,
            "airborne_share": int(clock[d.AIR_TIME]) / (passed * instance.num_aircraft),
            "charger_share": int(clock[d.CHARGE_TIME]) / (passed * chargers),
            "homing_usd": int(clock[d.HOMING_COST]) / DOLLAR,
            "decisions": int(clock[d.STEPS]),
            **{f"masked_{rule}": int(masked[r]) / destinations for r, rule in enumerate(RULES) if r > 0},
        }

    def instance_name(self, copy: int) -> str:
        return self.source.instance(int(self.chosen[copy])).name

    def explain_illegal(self, copy: int, action: int) -> str:
        clock, instance = self.state.clock[copy], self.instance(copy)
        n, ids = instance.num_vertiports, instance.network.ids
        if not 0 <= action < n:
            return f"the vertiports are 0 to {n - 1}"
        a = int(clock[d.DECIDER])
        here = ids[int(self.state.aircraft[copy, a, d.PLACE])]
        reasons = {
            d.UNFLYABLE: "no battery lasts for it",
            d.LOW_ENERGY: f"the battery of aircraft {a} would fall below reserve and escape",
            d.NO_STAND: f"all stands at {ids[action]} are taken or reserved",
            d.CLOSED: "the pair is closed",
            d.NO_CORRIDOR: "no corridor is free in time",
            d.LATE: "it would end after the day",
        }
        return f"the flight from {here} to {ids[action]}: {reasons[int(self.state.reason[copy, action])]}"

    def schedule(self, copy: int) -> AirSchedule:
        """What has happened in a copy so far.

        Raises:
            UserError: the engine does not record.
        """
        return read_schedule(self, copy)
