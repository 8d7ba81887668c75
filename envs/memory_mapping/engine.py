"""Memory mapping's batch engine: programs in, compiled steps, plans out."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.arena import Arena, Field
from ..core.compile import compiled
from ..core.engine import Kernels
from ..core.ordered import BEGIN, LEAVE, REWRITE, STEP, OrderedEngine
from ..core.pack import Pack
from . import state as d
from .card import OBJECTIVE
from .dynamics import advance, lower_bound, objective, owed, reset_state, signature
from .generator import random_name
from .instance import MemoryInstance
from .observation import NUM_MEMO, SIZES, SPEC, STATIC_COLUMNS, View
from .observe import describe_program, update_observation, write_blank
from .observe_actions import write_actions
from .options import MemoryOptions
from .planned import follow_plan, note_plan, plan_size
from .run_time import run_times
from .schedule import MemoryPlan, Placement
from .source import InstanceSource, generate_copy, load_copy
from .state import Problem, State, is_running

STATUS_NAMES = ("running", "finished", "dead_end", "illegal")
# What is done with a copy.

_REASONS = {
    d.FORCED: "DROP is forced since a Drop-backup",
    d.STAYS_IN_HBM: "the tensor stays in HBM",
    d.GROUP_IN_HBM: "its alias group is in HBM",
    d.GROUP_IN_CMEM: "its alias group is in CMEM",
    d.IS_WRITE: "a write copies nothing",
    d.IS_CARRIED: "the loop carries the value, which cannot be copied within",
    d.OTHER_SUPPLY: "COPY does the same, or supply is not 'either'",
    d.NO_SUPPLY: "too little supply is left for the transfer",
    d.NOT_VALID: "HBM does not have the value in time",
    d.HELD: "CMEM holds the tensor",
    d.ACCESSED_SINCE: "the tensor is accessed after the copy would begin",
    d.NO_GAP: "CMEM has no gap that is large enough",
    d.STRIP_TAKEN: "its place in CMEM is taken",
    d.NOT_IN_CMEM: "the access of the tensor before this one is not in CMEM",
    d.NO_WRITE_BACK: "the value cannot be written back in time",
}


class Orders(NamedTuple):
    """What is to be done with n copies, and what the beginning of an episode needs."""

    order: NDArray[np.int64]  # [n]
    seed: NDArray[np.int64]  # [n]
    chosen: NDArray[np.int64]  # [n], index of the instance, or -1 for a random one
    fresh: NDArray[np.int64]  # [n], 1 where a program was loaded that has not been described
    sizes: NDArray[np.int64]  # [S], accesses of the random ones


@compiled
def episode_seed(state, i):
    """Seed of the episode that copy i plays."""
    return state.clock[i, d.SEED]


@compiled
def is_legal(problem, state, i, action):
    """Whether a running copy may play an action."""
    return 0 <= action < d.NUM_ACTIONS and state.offer[i, action, d.ALLOWED] == 1


@compiled
def begin(problem, state, i, seed, chosen, fresh, sizes):
    """Begin an episode in copy i, on the random program of its seed if none was chosen (-1)."""
    if chosen < 0:
        generate_copy(problem, state, i, seed, sizes)
    if chosen < 0 or fresh == 1:
        describe_program(problem, state, i)
    reset_state(problem, state, i, seed)


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
    if is_legal(problem, state, i, action):
        advance(problem, state, i, action)
    else:
        clock[d.STATUS] = d.ILLEGAL
    due = owed(problem, state, i)
    scale = max(problem.dims[i, d.DIM_ALL_HBM], 1) if problem.options[d.OPT_SCALE] == 1 else 1
    outcome.reward[i] = (due - clock[d.PAID]) / scale
    clock[d.PAID] = due
    outcome.elapsed[i] = 1.0
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
            changed = step(problem, state, outcome, i, actions[i])
        elif order == BEGIN:
            begin(problem, state, i, orders.seed[i], orders.chosen[i], orders.fresh[i], orders.sizes)
        if order in (BEGIN, REWRITE):
            write_blank(problem, state, view, i)
        if changed:
            update_observation(problem, state, view, i)


KERNELS = Kernels(
    "memory_mapping",
    is_running,
    advance,
    write_actions,
    episode_seed,
    objective,
    is_legal,
    None,
    lower_bound,
    signature,
    plan_size,
    note_plan,
    follow_plan,
)


class MemoryEngine(OrderedEngine):
    """n programs that are mapped to memory.

    Args:
        num_copies: n.
        source: which programs are played.
        options: how.
        room: (instructions, tensors, accesses) to have room for; default: the source's largest.
        threads: how many threads share a step of a large batch.
    """

    spec = SPEC
    objective = OBJECTIVE
    kernels = KERNELS
    shared_fields = ("options", "logs")
    carry_out = carry_out
    room_names = ("instructions", "tensors", "accesses")

    source: InstanceSource
    room: tuple[int, int, int]

    def __init__(
        self,
        num_copies: int,
        source: InstanceSource,
        options: MemoryOptions | None = None,
        room: tuple[int, int, int] | None = None,
        threads: int = 1,
    ) -> None:
        self.options = options or MemoryOptions()
        self.source = source
        self.room = room or source.room
        instructions, tensors, accesses = self.room
        super().__init__(num_copies, SIZES[self.options.supply], threads)
        n = num_copies
        scratch = max(accesses, 8)
        self._arena = Arena(
            n,
            {
                "clock": Field((d.NUM_CLOCK,)),
                "dims": Field((d.NUM_DIMS,)),
                "scale": Field((d.NUM_SCALES,), np.float64),
                "offer": Field((d.NUM_ACTIONS, d.NUM_OFFER)),
                "touched": Field((d.MOST_TOUCHED,)),
                "memo": Field((NUM_MEMO,)),
                "hbm": Field((instructions,)),
                "memory": Field((instructions,)),
                "least": Field((instructions,)),
                "held": Field((instructions,)),
                "left": Field((3, instructions)),
                "storage": Field((tensors, d.NUM_STORAGE)),
                "strip": Field((scratch, d.NUM_STRIP)),
                "order": Field((accesses,), np.int32),
                "transfer": Field((accesses, d.NUM_TRANSFER)),
                "action": Field((accesses,), np.int8),
                "forced": Field((accesses,), np.int8),
                "drawn": Field((accesses,)),
                "access": Field((accesses, d.NUM_ACCESS)),
                "tensor": Field((tensors, d.NUM_TENSOR)),
                "instruction": Field((instructions, d.NUM_INSTRUCTION)),
                "worth": Field((accesses + 1, d.NUM_WORTH), np.float64),
                "price": Field((instructions + 1,), np.float64),
                "toll": Field((instructions + 1,), np.float64),
                "freed": Field((instructions + 1,), np.float64),
                "timed": Field((instructions + 1,), np.float64),
                "feature": Field((accesses, STATIC_COLUMNS), np.float32),
                "brief": Field((accesses, d.NUM_BRIEF), np.int32),
                "about": Field((instructions, d.NUM_ABOUT), np.float32),
                "wanted": Field((accesses,), np.float32),
                "heads": Field((instructions + 1 + accesses,), np.int32),
                "queue": Field((accesses + 1,), np.int32),
                "occupied": Field((instructions + 1,), np.float64),
                "gained": Field((instructions,), np.float64),
                "moved": Field((instructions + 1,), np.float64),
            },
        )
        arrays = self._arena.arrays
        logs = np.log1p(np.arange(d.LOGS)).astype(np.float32)
        problem = Problem(self.options.compiled(), logs, *(arrays[name] for name in Problem._fields[2:]))
        state = State(**{name: arrays[name] for name in State._fields})
        block = self.block
        view = View(
            block.floats,
            block.integers,
            block.bytes,
            block.memory,
            self.layout.offsets,
            *(arrays[name] for name in ("memo", "drawn")),
        )
        self.problem, self.state, self.view = Pack(problem), Pack(state), Pack(view)
        self.chosen = np.full(n, -1, dtype=np.int64)
        self._fresh = np.zeros(n, dtype=np.int64)
        self._prepare_orders(lambda order: Orders(order, self.seeds, self.chosen, self._fresh, source.size_table))

    def _extra_arrays(self) -> tuple[NDArray[Any], ...]:
        return self.view.memo, self.view.drawn, self.chosen

    def _load(self, copies: NDArray[np.int64], chosen: NDArray[np.int64]) -> None:
        self._fresh[copies] = chosen != self.chosen[copies]
        for i, index in zip(copies.tolist(), chosen.tolist(), strict=True):
            if index >= 0 and self._fresh[i]:
                load_copy(self.problem, i, *self.source.tables(index))

    @staticmethod
    def room_of(instance: MemoryInstance) -> tuple[int, ...]:
        return instance.num_instructions, instance.num_tensors, instance.num_accesses

    def _check_instance(self, instance: MemoryInstance) -> None:
        self.source.tables(self.source.index(instance))

    def _empty_like(self, num_copies: int) -> MemoryEngine:
        return MemoryEngine(num_copies, self.source, self.options, self.room)

    def is_running(self) -> NDArray[np.bool_]:
        return self.state.clock[:, d.STATUS] == d.RUNNING

    def training_instances(self) -> str:
        """The suite's programs for training where some of the suite are at hand, else random ones about as large."""
        if self.source.of_suite:
            return "mm-train"
        return f"random:size={'+'.join(map(str, self.source.training_sizes()))}"

    def reward_scale(self, copy: int) -> float:
        run_time = int(self.problem.dims[copy, d.DIM_ALL_HBM])
        return float(max(run_time, 1)) if self.options.reward_scale == "instance" else 1.0

    def metrics(self, copy: int) -> dict[str, Any]:
        clock, all_hbm = self.state.clock[copy], int(self.problem.dims[copy, d.DIM_ALL_HBM])
        proxy = all_hbm - int(clock[d.SAVED])
        status = STATUS_NAMES[int(clock[d.STATUS])]
        return {
            "status": status,
            "finished": status == "finished",
            "dead_end": status == "dead_end",
            "proxy_ps": proxy,
            "judged_ps": proxy + int(clock[d.WAITS]),
            "all_hbm_ps": all_hbm,
            "waits_ps": int(clock[d.WAITS]),
            "decisions": int(clock[d.POSITION]),
            "copies": int(clock[d.COPIES]),
            "write_backs": int(clock[d.WRITE_BACKS]),
            "drops": int(clock[d.DROPS]),
            "backups": int(clock[d.BACKUPS]),
            "forced_drops": int(self.state.forced[copy, : self.problem.dims[copy, d.DIM_ACCESSES]].sum()),
        }

    def instance_name(self, copy: int) -> str:
        if self.chosen[copy] >= 0 or self.seeds[copy] < 0:
            return self.instance(copy).name
        return random_name(self.source.size_of(int(self.seeds[copy])), int(self.seeds[copy]))

    def explain_illegal(self, copy: int, action: int) -> str:
        count = SIZES[self.options.supply].actions
        if not 0 <= action < count:
            return f"actions are 0 to {count - 1}"
        access = self.problem.access[copy, self.state.clock[copy, d.POSITION]]
        verb = "write" if access[d.WRITES] else "read"
        name = ("COPY", "NO_COPY", "DROP", "COPY_ELAPSED")[action]
        reason = _REASONS[int(self.state.offer[copy, action, d.REFUSED])]
        return f"{name} of tensor {access[d.TENSOR]}, which instruction {access[d.INSTRUCTION]} {verb}s: {reason}"

    def appraise(self, schedule: MemoryPlan) -> tuple[float, dict[str, Any]]:
        times = run_times(schedule)
        fetches = sum(transfer.is_fetch for transfer in schedule.transfers)
        finished = schedule.decided is None
        objective = times.judged_ps if self.options.objective == "judge" else times.proxy_ps
        if not finished:  # as the game counts a dead end, see `dynamics.objective`
            objective = 2 * times.all_hbm_ps
        return float(objective), {
            "status": "finished" if finished else "dead_end",
            "finished": finished,
            "dead_end": not finished,
            "proxy_ps": times.proxy_ps,
            "judged_ps": times.judged_ps,
            "shared_ps": times.shared_ps,
            "all_hbm_ps": times.all_hbm_ps,
            "waits_ps": times.judged_ps - times.proxy_ps,
            "decisions": 0,
            "copies": fetches,
            "write_backs": len(schedule.transfers) - fetches,
            "drops": int((~schedule.served).sum()),
            "backups": 0,
            "forced_drops": 0,
        }

    def schedule(self, copy: int) -> MemoryPlan:
        """What CMEM holds in a copy so far."""
        access, clock = self.problem.access[copy], self.state.clock[copy]
        transfers: list[list[tuple[int, int]]] = [[] for _ in range(int(clock[d.STRIPS]))]
        fetches: dict[int, tuple[int, int]] = {}
        for row in self.state.transfer[copy, : clock[d.TRANSFERS]].tolist():
            moved = (row[d.AFTER], row[d.BEFORE])
            if access[row[d.ACCESS], d.WRITES]:
                transfers[row[d.OF]].append(moved)
            else:
                fetches[row[d.OF]] = moved
        placements = tuple(
            Placement(
                int(access[row[d.OPENED], d.TENSOR]),
                row[d.BEGIN],
                row[d.END],
                row[d.BOTTOM],
                fetches.get(number),
                tuple(transfers[number]),
            )
            for number, row in enumerate(self.state.strip[copy, : clock[d.STRIPS]].tolist())
        )
        decided = None if clock[d.STATUS] == d.FINISHED else int(clock[d.POSITION])
        return MemoryPlan(self.instance(copy), placements, self.options.promised, decided)
