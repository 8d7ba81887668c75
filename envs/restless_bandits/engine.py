"""Restless bandits' batch engine: instances in, compiled steps, episodes out."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.arena import Arena, Field
from ..core.compile import compiled
from ..core.engine import Kernels, Outcome
from ..core.errors import UserError
from ..core.ordered import BEGIN, LEAVE, REWRITE, STEP, OrderedEngine
from ..core.pack import Pack
from . import state as d
from .card import OBJECTIVE
from .dynamics import advance, imagine, objective, pick, play, reset_state
from .feasible import InfeasibleActionError
from .instance import BanditInstance
from .legality import may_stop
from .measure import visit_metrics
from .observation import NUM_MEMO, SPEC, View, sizes
from .observe import update_observation, write_actions, write_blank
from .options import BanditOptions
from .program import NoSolutionError
from .record import read_schedule
from .schedule import BanditSchedule
from .source import InstanceSource
from .state import is_running
from .tables import MOST_EXACT_STOPS, Model, Room, build, cover_of, is_plain, model_of, most_room, room_of

STATUS_NAMES = ("running", "finished", "illegal")
PLAY = 5
"""An order beside those of `core.ordered`: play a whole action, the row of `Orders.bits`."""
_MOST_CHECKED = 100_000


class Orders(NamedTuple):
    """What is to be done with n copies, and what the beginning of an episode needs."""

    order: NDArray[np.int64]  # [n]
    seed: NDArray[np.int64]  # [n]
    chosen: NDArray[np.int64]  # [n], index of the instance
    bits: NDArray[np.int8]  # [n, N], whole actions


@compiled
def episode_seed(state, i):
    """Seed of the episode that copy i plays."""
    return state.clock[i, d.SEED]


@compiled
def is_legal(problem, state, i, action):
    """Whether a running copy may play an action."""
    size = state.picked.shape[1]
    if action == size:
        return may_stop(problem, state, i)
    return 0 <= action < size and state.can[i, action] == 1


@compiled
def pay(problem, state, outcome, i, elapsed):
    """Report what a copy's step has come to."""
    clock, real = state.clock[i], state.real[i]
    due = objective(problem, state, i)
    scale = problem.scale[clock[d.INSTANCE], d.REWARD_SCALE] if problem.options[d.OPT_SCALE] == 1 else 1.0
    outcome.reward[i] = (due - real[d.PAID]) / scale
    real[d.PAID] = due
    outcome.elapsed[i] = elapsed
    outcome.terminated[i] = clock[d.STATUS] != d.RUNNING


@compiled
def is_stepping(state, outcome, i):
    """Clear what the last step reported. Returns whether the copy is running."""
    outcome.reward[i] = 0.0
    outcome.elapsed[i] = 0.0
    outcome.terminated[i] = False
    outcome.truncated[i] = False
    return state.clock[i, d.STATUS] == d.RUNNING


@compiled
def step(problem, state, outcome, i, action):
    """Play one element or STOP in copy i."""
    before = state.clock[i, d.EPOCH]
    if is_legal(problem, state, i, action):
        advance(problem, state, i, action)
    else:
        state.clock[i, d.STATUS] = d.ILLEGAL
    pay(problem, state, outcome, i, np.float64(state.clock[i, d.EPOCH] - before))


@compiled
def step_whole(problem, state, outcome, i, bits, is_feasible):
    """Play a whole action in copy i, one that has been checked."""
    if is_feasible == 1:
        state.clock[i, d.STEPS] += 1
        for e in range(problem.dims[state.clock[i, d.INSTANCE], d.ELEMENTS]):
            if bits[e] == 1:
                pick(problem, state, i, e)
        play(problem, state, i)
    else:
        state.clock[i, d.STATUS] = d.ILLEGAL
    pay(problem, state, outcome, i, 1.0 if is_feasible == 1 else 0.0)


@compiled(nogil=True)
def carry_out(problem, state, view, outcome, orders, actions, low, high):
    """Do with each copy of a range what its order says.

    One loop for all that is done to copies: the code that writes observations is so compiled only once.
    """
    for i in range(low, high):
        order = orders.order[i]
        changed = order != LEAVE
        if order == STEP:
            changed = is_stepping(state, outcome, i)
            if changed:
                step(problem, state, outcome, i, actions[i])
        elif order == PLAY:
            changed = is_stepping(state, outcome, i)
            if changed:
                step_whole(problem, state, outcome, i, orders.bits[i], actions[i])
        elif order == BEGIN:
            reset_state(problem, state, i, orders.seed[i], orders.chosen[i])
        if order in (BEGIN, REWRITE):
            write_blank(problem, state, view, i)
        if changed:
            update_observation(problem, state, view, i)


KERNELS = Kernels("restless_bandits", is_running, advance, write_actions, episode_seed, objective, is_legal, imagine)


class BanditEngine(OrderedEngine):
    """n programmes of arms that are acted on.

    Args:
        num_copies: n.
        source: which instances are played.
        options: how.
        record: keep states and actions of every epoch, so that `schedule` is complete.
        room: what to have room for; default: the source's largest.
        threads: how many threads share a step of a large batch.
        known: models and tables that another engine has made.
    """

    spec = SPEC
    objective = OBJECTIVE
    kernels = KERNELS
    shared_fields = d.Problem._fields
    recorded_fields = ("seen", "done")
    carry_out = carry_out
    objective_type = np.float64
    room_names: ClassVar[tuple[str, ...]] = Room._fields

    source: InstanceSource
    room: Room

    def __init__(
        self,
        num_copies: int,
        source: InstanceSource,
        options: BanditOptions | None = None,
        record: bool = False,
        room: Room | None = None,
        threads: int = 1,
        known: tuple[list[Model | None], d.Problem] | None = None,
    ) -> None:
        self.options = options or BanditOptions()
        self.source = source
        self.record = record
        self.room = room or most_room([model_of(one, self.options).played for one in source.fixed])
        shape = self.room
        self._models: list[Model | None] = [] if known is None else known[0]
        if known is None:
            self._models += [model_of(one, self.options) for one in source.fixed]
        super().__init__(num_copies, sizes(shape.arms, shape.elements, shape.hits, shape.links), threads)
        self._arena = Arena(num_copies, _fields(shape))
        arrays = self._arena.arrays
        epochs = shape.epochs + 1 if record else 0
        logs: dict[str, Any] = {
            "seen": np.zeros((num_copies, epochs, shape.arms), dtype=np.int8),
            "done": np.zeros((num_copies, epochs, shape.elements), dtype=np.int8),
        }
        fields = {name: logs.get(name, arrays.get(name)) for name in d.State._fields}
        state = d.State(**fields)
        block = self.block
        view = View(block.floats, block.integers, block.bytes, self.layout.offsets, arrays["memo"])
        self._tables = build(self._models, self.options, shape) if known is None else known[1]
        self.problem, self.state, self.view = self._packed(), Pack(state), Pack(view)
        self.chosen = np.zeros(num_copies, dtype=np.int64)
        self._bits = np.zeros((num_copies, shape.elements), dtype=np.int8)
        self._prepare_orders(lambda order: Orders(order, self.seeds, self.chosen, self._bits))
        whole = np.full(num_copies, PLAY, dtype=np.int64)
        self._playing = Pack(Orders(whole, self.seeds, self.chosen, self._bits))
        self._checked: dict[tuple[int, bytes], str] = {}

    # --- instances ----------------------------------------------------------------------------------------------------

    def _check_room(self, instance: BanditInstance) -> None:
        for name, need, have in zip(self.room_names, self.room_of(instance), self.room, strict=True):
            if need > have:
                raise UserError(
                    f"instance {instance.name!r} needs room for {need} {name}, but the environment has room for "
                    f"{have}; name it among the instances when the environment is made"
                )

    def _check_instance(self, instance: BanditInstance) -> None:
        if self.options.min_visits:
            cover_of(instance, self.options.min_visits)

    def _model(self, instance: BanditInstance) -> Model | None:
        """An instance as it is played, None where it cannot be."""
        try:
            self._check_room(instance)
            self._check_instance(instance)
        except UserError:
            return None
        return model_of(instance, self.options)

    def _load(self, copies: NDArray[np.int64], chosen: NDArray[np.int64]) -> None:
        if len(self._tables.dims) < len(self.source.instances):
            self._models = [*self._models, *map(self._model, self.source.instances[len(self._models) :])]
            self._tables = build(self._models, self.options, self.room)
            self.problem = self._packed()
            self._code = None  # of the packs so far, which may have been plain
        self.chosen[copies] = chosen  # the orders read it

    def _packed(self) -> Pack:
        """The tables for compiled code, which leaves out what none of the instances needs."""
        plain = self.options.min_visits == 0 and all(is_plain(one.played) for one in self._models if one is not None)
        return Pack(self._tables, plain)

    def room_of(self, instance: BanditInstance) -> tuple[int, ...]:  # type: ignore[override]
        return room_of(model_of(instance, self.options).played)

    def instance(self, copy: int) -> BanditInstance:
        model = self._model_at(copy)
        return model.known if self.seeds[copy] < 0 else model.played  # imagined copies do not know the true model

    def known_instance(self, copy: int) -> BanditInstance:
        return self._model_at(copy).known

    def _model_at(self, copy: int) -> Model:
        model = self._models[int(self.chosen[copy])]
        assert model is not None
        return model

    def instance_name(self, copy: int) -> str:
        return self.instance(copy).name

    def _extra_arrays(self) -> tuple[NDArray[Any], ...]:
        return self.view.memo, self.chosen

    def _empty_like(self, num_copies: int) -> BanditEngine:
        known = (self._models, self._tables)
        return BanditEngine(num_copies, self.source, self.options, False, self.room, 1, known)

    # --- whole actions ------------------------------------------------------------------------------------------------

    def step(self, actions: ArrayLike, check: bool = True) -> Outcome:
        """Play one action in each copy, see `BatchEngine.step`.

        Under the views "vector" and "cost" an action is a row of N zeros and ones, or of N weights.
        """
        if self.options.view == "sequential":
            return super().step(actions, check)
        return self.step_whole(actions, self.options.view == "cost", check)

    def step_whole(self, actions: ArrayLike, are_weights: bool = False, check: bool = True) -> Outcome:
        """Play a whole action in each copy, at the beginning of an epoch.

        Args:
            actions: [n, N], zeros and ones; or weights, of which the best feasible actions are played.
            check: refuse infeasible actions before anything changes; else they end their episode.

        Raises:
            InfeasibleActionError: an action is infeasible; the message names the copy where there are several.
        """
        given = np.asarray(actions)
        if given.shape != self._bits.shape:
            raise ValueError(f"actions have shape {given.shape}, expected {self._bits.shape}")
        feasible = np.ones(self.num_copies, dtype=np.int64)
        bits = self.best_actions(given) if are_weights else given
        for copy, wrong in self._violations(bits):
            if check:
                where = f"copy {copy}: " if self.num_copies > 1 else ""
                raise InfeasibleActionError(f"{where}infeasible action: {wrong}")
            feasible[copy] = 0
        self._bits[...] = bits
        self.over_ranges(lambda low, high: self._carry_out(self._playing, feasible, low, high))
        return self.outcome

    def best_actions(self, weights: NDArray[Any]) -> NDArray[np.int8]:
        """int8 [n, N]: the best feasible actions for rows of weights; they keep `min_visits`.

        Raises:
            UserError: weights are not finite, or the solver found nothing; no copy has changed.
        """
        bits = np.zeros(self._bits.shape, dtype=np.int8)
        for copy in np.flatnonzero(self.is_running()).tolist():
            feasible = self.instance(copy).feasible
            worth = feasible.check_weights(weights[copy, : feasible.size]).copy()
            forced = self.forced_arms(copy)
            worth[forced] = np.abs(worth).sum() + 1.0 + np.maximum(worth[forced], 0.0)
            try:
                bits[copy, : feasible.size] = feasible.maximise(worth)
            except NoSolutionError as error:
                name, kind = self.instance(copy).name, feasible.kind
                raise UserError(f"instance {name!r}: no action of its {kind} set was found: {error}") from None
        return bits

    def _violations(self, actions: NDArray[Any]) -> list[tuple[int, str]]:
        """The running copies whose action [N] is infeasible, with the first constraint that it violates, in words.

        A distinct action is looked at once.
        """
        if len(self._checked) > _MOST_CHECKED:
            self._checked.clear()
        rows, size = np.ascontiguousarray(actions), actions.shape[1] * actions.itemsize
        memory, chosen, found = rows.tobytes(), self.chosen.tolist(), []
        for copy in np.flatnonzero(self.is_running()).tolist():
            key = chosen[copy], memory[copy * size : (copy + 1) * size]
            wrong = self._checked.get(key)
            if wrong is None:
                wrong = self._checked[key] = self._violation(copy, rows[copy])
            if not wrong and self.options.min_visits:
                wrong = self._visit_violation(copy, rows[copy])
            if wrong:
                found.append((copy, wrong))
        return found

    def _violation(self, copy: int, action: NDArray[Any]) -> str:
        """The first constraint of the feasible set that an action violates; empty where there is none."""
        size = self.instance(copy).num_elements
        if action[size:].any():
            return f"element {size} and above do not exist"
        return next(iter(self.instance(copy).feasible.violations(action[:size])), "")

    def _visit_violation(self, copy: int, action: NDArray[Any]) -> str:
        """Why an action would make it impossible to keep `min_visits`."""
        least, arms = self.options.min_visits, self.instance(copy).num_arms
        part = self.problem.cover[int(self.chosen[copy]), :arms]
        needs = np.maximum(least - self.state.visits[copy, :arms] - (action[:arms] != 0), 0)
        need = np.zeros(int(part.max()) + 1, dtype=np.int64)
        np.maximum.at(need, part, needs)
        left = self.instance(copy).horizon - int(self.state.clock[copy, d.EPOCH]) - 1
        if need.sum() <= left:
            return ""
        arm = int(needs.argmax())
        return (
            f"arm {arm} still needs {needs[arm]} visits of min_visits={least}, all arms together {need.sum()} epochs, "
            f"and {left} are left"
        )

    def forced_arms(self, copy: int) -> list[int]:
        """The arms that must be visited in this epoch to keep `min_visits`."""
        if int(self.state.clock[copy, d.COVER]) == d.NOT_FORCED:
            return []
        arms, least = self.instance(copy).num_arms, self.options.min_visits
        part = self.problem.cover[int(self.chosen[copy]), :arms]
        needs = np.maximum(least - self.state.visits[copy, :arms], 0)
        chosen = part[int(needs.argmax())]
        return np.flatnonzero((part == chosen) & (needs == needs.max())).tolist()

    # --- outcomes -----------------------------------------------------------------------------------------------------

    def is_running(self) -> NDArray[np.bool_]:
        return self.state.clock[:, d.STATUS] == d.RUNNING

    def training_instances(self) -> str:
        """Random instances of the families and sizes at hand."""
        from .generator import FAMILIES, SMALLEST, Size

        sizes_ = {
            str(Size(one.family, max(one.num_arms, SMALLEST))) for one in self.source.fixed if one.family in FAMILIES
        }
        return f"random:size={'+'.join(sorted(sizes_) or ['cardinality-j20'])}"

    def reward_scale(self, copy: int) -> float:
        if self.options.reward_scale != "instance":
            return 1.0
        return float(self.problem.scale[int(self.chosen[copy]), d.REWARD_SCALE])

    def metrics(self, copy: int) -> dict[str, Any]:
        clock, real, instance = self.state.clock[copy], self.state.real[copy], self.instance(copy)
        status = STATUS_NAMES[int(clock[d.STATUS])]
        return {
            "status": status,
            "finished": status == "finished",
            "return": float(real[d.REALISED]),
            "expected_return": float(real[d.EXPECTED]),
            "epochs": int(clock[d.EPOCH]),
            "steps": int(clock[d.STEPS]),
            **visit_metrics(self.state.visits[copy, : instance.num_arms], instance.group),
        }

    def explain_illegal(self, copy: int, action: int) -> str:
        stop, instance = self.sizes.actions - 1, self.instance(copy)
        if not 0 <= action <= stop:
            return f"actions are 0 to {stop}"
        picked = self.state.picked[copy, : instance.num_elements].copy()
        forced = self.forced_arms(copy)
        if action == stop:
            if forced:
                return f"STOP leaves too few epochs for min_visits={self.options.min_visits}: arms {forced} are due"
            return f"STOP, but {instance.feasible.violations(picked)[0]}"
        if action >= instance.num_elements:
            return f"instance {instance.name!r} has only {instance.num_elements} elements"
        if picked[action]:
            return f"element {action} is picked already"
        picked[action] = 1
        wrong = instance.feasible.violations(picked)
        if wrong:
            return wrong[0]
        if forced:
            return f"arms {forced} must be visited first, else min_visits={self.options.min_visits} cannot be kept"
        return "no feasible action holds it beside the elements that are picked, as far as the search for one goes"

    def schedule(self, copy: int) -> BanditSchedule:
        """What has happened in a copy so far.

        Raises:
            UserError: the engine does not record.
        """
        return read_schedule(self, copy)


def _fields(room: Room) -> dict[str, Field]:
    """The arrays of a copy."""
    stops = min(room.stops, MOST_EXACT_STOPS)
    return {
        "clock": Field((d.NUM_CLOCK,)),
        "real": Field((d.NUM_REAL,), np.float64),
        "memo": Field((NUM_MEMO,)),
        "now": Field((room.arms,), np.int8),
        "level": Field((room.arms,), np.int8),
        "picked": Field((room.elements,), np.int8),
        "can": Field((room.elements,), np.int8),
        "sick": Field((room.arms,), np.int32),
        "visits": Field((room.arms,), np.int32),
        "last": Field((room.arms,), np.int32),
        "need": Field((room.arms,), np.int32),
        "sums": Field((room.rows,), np.float64),
        "pile": Field((room.hours + 1,), np.int32),
        "stack": Field((room.hours + 1 + 2 * (room.bins + 1),), np.int32),
        "demand": Field((room.subsets,), np.int32),
        "holder": Field((2, room.workers, room.slots), np.int32),
        "search": Field((3, room.search), np.int32),
        "stop": Field((1 + 2 * room.stops,), np.int32),
        "detour": Field((room.elements,), np.int32),
        "edges": Field((1,), np.int32),
        "best": Field((2**stops if room.nodes > 1 else 1, stops), np.int16),
    }
