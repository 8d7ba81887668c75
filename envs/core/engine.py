"""The batch engine: n copies of one problem, whose state is arrays with a leading axis n and whose steps are compiled.

Both doors (`SchedulingEnv`, `SchedulingVectorEnv`), training, evaluation and search run on this one class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import FieldError, UserError
from .layout import ObservationBlock, layout_of
from .spec import ObservationSpec, Sizes

_ACTIONS = "integers, one for each copy"


class Outcome(NamedTuple):
    """What a step reports, for n copies; compiled code writes it in place."""

    reward: NDArray[np.float64]
    elapsed: NDArray[np.float64]  # simulated time that passed, in the problem's unit
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]


@dataclass(frozen=True)
class Kernels:
    """The compiled functions of a problem, each on one copy i of (problem, state) tuples.

    Attributes:
        key: names them, for the cache of functions built from them.
        is_running: (problem, state, i) -> whether the episode goes on.
        advance: (problem, state, i, action): play a legal action up to the next decision.
        write_actions: (problem, state, view, i): mask, references and features of the action slots, and the globals;
            needs nothing else of the observation to be up to date.
        episode_seed: (state, i) -> the world's key.
        objective: (problem, state, i) -> the objective as it stands; after an illegal action worse than that of any
            episode of legal ones.
        is_legal: (problem, state, i, action) -> whether a running copy may play an action; None: what its mask says,
            which is then up to date whenever a step is asked for.
        imagine: (problem, state, i, key): draw anew, from `key`, what decision makers cannot know of the copy, given
            what it has seen; None: nothing is hidden.
        lower_bound: (problem, state, i) -> a bound on the cost (the objective, or minus it where it is to be large)
            that this copy can still reach, exact once its episode has ended; None: no search by bounds.
        signature: (problem, state, i) -> uint64, equal for two states of one instance that have the same future and the
            same objective for the same further actions; comes with `lower_bound`.
        plan_size: (state) -> how many numbers a plan takes; comes with the next two. None: a plan is a list of actions.
        note_plan: (problem, state, i, plan): write the plan that an ended copy has carried out, int64.
        follow_plan: (problem, state, i, plan, decision) -> the plan's next action, a legal one, or negative: it says
            none.
    """

    key: str
    is_running: Callable[..., Any]
    advance: Callable[..., Any]
    write_actions: Callable[..., Any]
    episode_seed: Callable[..., Any]
    objective: Callable[..., Any]
    is_legal: Callable[..., Any] | None = None
    imagine: Callable[..., Any] | None = None
    lower_bound: Callable[..., Any] | None = None
    signature: Callable[..., Any] | None = None
    plan_size: Callable[..., int] | None = None
    note_plan: Callable[..., Any] | None = None
    follow_plan: Callable[..., Any] | None = None


class Snapshot(NamedTuple):
    """Copies of every array of an engine."""

    arrays: tuple[NDArray[Any], ...]


class BatchEngine(ABC):
    """n copies of one problem; copies may hold instances of different sizes, up to the room given.

    Attributes:
        spec: what an observation holds.
        objective: ``{"name", "unit", "sense"}``, as in an environment's metadata.
        num_copies: n.
        block: the observations, rewritten by each step where something changed.
        outcome: what the last step reported.
        seeds: int64 [n], the seed of each copy's episode; negative in imagined copies, which do not know it.
    """

    spec: ClassVar[ObservationSpec]
    objective: ClassVar[dict[str, Any]]
    kernels: ClassVar[Kernels]
    shared_fields: ClassVar[tuple[str, ...]] = ()  # fields of `problem` without a leading axis n
    recorded_fields: ClassVar[tuple[str, ...]] = ()  # fields of `state` that only `schedule` reads

    imagines_typical: ClassVar[bool] = False

    problem: Any
    state: Any
    view: Any

    def __init__(self, num_copies: int, sizes: Sizes, threads: int = 1) -> None:
        if num_copies < 1:
            raise ValueError(f"num_copies is {num_copies}, expected at least 1")
        self.num_copies = num_copies
        self.sizes = sizes
        self.layout = layout_of(self.spec, sizes)
        self.block = ObservationBlock(self.layout, num_copies)
        self.outcome = Outcome(
            np.zeros(num_copies),
            np.zeros(num_copies),
            np.zeros(num_copies, dtype=np.bool_),
            np.zeros(num_copies, dtype=np.bool_),
        )
        self.seeds = np.zeros(num_copies, dtype=np.int64)
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    # --- what a problem supplies --------------------------------------------------------------------------------------

    @abstractmethod
    def _reset_range(self, copies: NDArray[np.int64]) -> None:
        """Reset copies to the episodes of `self.seeds` on the instances chosen by `_choose_instances`."""

    @abstractmethod
    def _choose_instances(self, copies: NDArray[np.int64], instances: Sequence[Any] | None) -> None:
        """Decide which instance each copy plays: the given ones (names or objects), else from the copy's seed."""

    @abstractmethod
    def _step_range(self, actions: NDArray[np.int64], low: int, high: int) -> None:
        """Play one action in each of the copies low .. high - 1, writing `block` and `outcome`."""

    @abstractmethod
    def _first_illegal(self, actions: NDArray[np.int64]) -> int:
        """Index of the first running copy whose action is illegal, -1 if there is none."""

    @abstractmethod
    def _write_all(self) -> None:
        """Write every observation from scratch."""

    @abstractmethod
    def _redraw_hidden(self, keys: NDArray[np.uint64]) -> None:
        """Draw anew, from one key per copy, whatever the decision maker cannot know, given what it has seen."""

    @abstractmethod
    def _empty_like(self, num_copies: int) -> BatchEngine:
        """An engine with the same options and room, for `num_copies` copies, that records nothing for `schedule`."""

    @abstractmethod
    def explain_illegal(self, copy: int, action: int) -> str:
        """Why an action is illegal now, in words."""

    @abstractmethod
    def is_running(self) -> NDArray[np.bool_]:
        """bool [n]: whose episode goes on."""

    @abstractmethod
    def objectives(self) -> NDArray[Any]:
        """The objective of each copy as it stands, from the state: integers where the problem has integers."""

    @property
    def stochastic(self) -> bool:
        """Whether the world holds events that nobody can foresee under the options at hand."""
        return self.spec.stochastic

    def training_instances(self) -> str | None:
        """Instances like those at hand that may be learned from, as the option ``instance`` takes them."""
        return None

    @abstractmethod
    def metrics(self, copy: int) -> dict[str, Any]:
        """What happened in a copy's episode, as plain numbers."""

    @abstractmethod
    def instance_name(self, copy: int) -> str:
        """Name of the instance that a copy plays."""

    @abstractmethod
    def reward_scale(self, copy: int) -> float:
        """The constant of the instance that rewards are divided by."""

    @abstractmethod
    def instance(self, copy: int) -> Any:
        """The instance that a copy plays."""

    def known_instance(self, copy: int) -> Any:
        """The instance as far as it is known when the episode begins, for whoever chooses."""
        return self.instance(copy)

    @abstractmethod
    def schedule(self, copy: int) -> Any:
        """The outcome of a copy's episode so far, as data."""

    def appraise(self, schedule: Any) -> tuple[float, dict[str, Any]]:
        """The objective and the metrics of a schedule that was made without playing, under the options at hand.

        Raises:
            NotImplementedError: schedules of this problem count only if they are played.
        """
        raise NotImplementedError

    # --- what every engine does ---------------------------------------------------------------------------------------

    @property
    def masks(self) -> NDArray[np.int8]:
        """int8 [n, A], a view: which actions are legal now; all zero once an episode has ended."""
        return self.block.views["action_mask"]

    def reset(
        self,
        seeds: ArrayLike,
        copies: NDArray[np.int64] | None = None,
        instances: Sequence[Any] | None = None,
    ) -> None:
        """Begin an episode in the given copies (default all), one seed each, on given instances or ones by the seed.

        Raises:
            UserError: copies are imagined: they go on from a present and have no episodes of their own; or an instance
                cannot be played.
        """
        if copies is None:
            copies = np.arange(self.num_copies, dtype=np.int64)
        before = self.seeds[copies]
        if (before < 0).any():
            raise UserError(
                f"reset of copy {copies[before < 0][0]}, which is imagined, expected one of an engine that plays "
                "episodes: imagined copies go on from the present; imagine again to begin anew"
            )
        self.seeds[copies] = np.asarray(seeds, dtype=np.int64)
        try:
            self._choose_instances(copies, instances)
        except Exception:  # the episodes at hand go on
            self.seeds[copies] = before
            raise
        self._reset_range(copies)
        for array in self.outcome:
            array[copies] = 0

    def step(self, actions: ArrayLike, check: bool = True) -> Outcome:
        """Play one action in each copy. Copies whose episode has ended stay as they are and report zeros.

        Args:
            actions: integers [n].
            check: refuse illegal actions with a ValueError before anything changes; else the engine's own rule holds.

        Raises:
            FieldError: the actions are no integers.
            ValueError: an action is illegal; the message names the copy where there are several.
        """
        try:
            chosen = np.ascontiguousarray(actions, dtype=np.int64)
        except (TypeError, ValueError, OverflowError):
            raise FieldError("actions", actions, _ACTIONS) from None
        if chosen is not actions and np.asarray(actions).dtype.kind not in "iu":  # conversion cuts 1.9 to 1
            raise FieldError("actions", actions, _ACTIONS)
        if chosen.shape != (self.num_copies,):
            raise ValueError(f"actions have shape {chosen.shape}, expected ({self.num_copies},)")
        if check:
            copy = self._first_illegal(chosen)
            if copy >= 0:
                raise ValueError(self.describe_illegal(copy, int(chosen[copy])))
        self.over_ranges(lambda low, high: self._step_range(chosen, low, high))
        return self.outcome

    def over_ranges(self, work: Callable[[int, int], None]) -> None:
        """Call ``work(low, high)`` for ranges that cover all copies, one for each thread where that is worth while."""
        if self._pool is None or self.num_copies < 2 * self._threads:
            work(0, self.num_copies)
        else:
            cuts = np.linspace(0, self.num_copies, self._threads + 1).astype(int)
            list(self._pool.map(work, cuts[:-1].tolist(), cuts[1:].tolist()))

    def describe_illegal(self, copy: int, action: int) -> str:
        """One sentence: which action, why, and how many are legal."""
        where = f"copy {copy}: " if self.num_copies > 1 else ""
        legal = int(self.masks[copy].sum())
        return f"{where}action {action} is illegal: {self.explain_illegal(copy, action)}; {legal} actions are legal"

    def _arrays(self, recorded: bool = True) -> tuple[NDArray[Any], ...]:
        """All arrays with a leading axis n, without those that only `schedule` reads unless `recorded`."""
        problem = [array for name, array in self.problem._asdict().items() if name not in self.shared_fields]
        skipped = () if recorded else self.recorded_fields
        state = [array for name, array in self.state._asdict().items() if name not in skipped]
        return (*problem, *state, *self._extra_arrays(), self.block.memory, *self.outcome, self.seeds)

    def _extra_arrays(self) -> tuple[NDArray[Any], ...]:
        """Further arrays [n, ...] of a problem's engine that belong to its copies."""
        return ()

    @property
    def copy_bytes(self) -> int:
        """Memory that one copy takes."""
        return sum(array.nbytes for array in self._arrays()) // self.num_copies

    def snapshot(self) -> Snapshot:
        """Copies of every array, for `restore`."""
        return Snapshot(tuple(array.copy() for array in self._arrays()))

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot of this engine, the same hidden future included."""
        for array, saved in zip(self._arrays(), snapshot.arrays, strict=True):
            array[...] = saved

    def copy(self, source: ArrayLike, target: ArrayLike) -> None:
        """Make copies `target` equal to copies `source`, as an array copy."""
        theirs, mine = np.asarray(source, dtype=np.int64), np.asarray(target, dtype=np.int64)
        for array in self._arrays():
            array[mine] = array[theirs]

    def imagine(self, copies: ArrayLike, keys: ArrayLike) -> BatchEngine:
        """A new engine whose copies are those given, each with its hidden future drawn anew from its key.

        This is all that whoever plans may use: the present as observed, never the true future. Imagined copies record
        nothing, so under breakdowns they have no schedule; they do not know the seed and cannot be reset.

        Args:
            copies: integers [k], which copies to imagine; one may be named many times.
            keys: uint64 [k], one per imagined copy; the same key imagines the same future. `random.TYPICAL` asks for
                the future in which nothing unforeseen happens, where the problem has one (`imagines_typical`).

        What was recorded for `schedule` stays behind: copying it would cost more than the imagined play.
        """
        chosen = np.asarray(copies, dtype=np.int64)
        imagined = self._empty_like(len(chosen))
        self._copy_to(imagined, chosen)
        imagined._forget_seeds()
        imagined._redraw_hidden(np.asarray(keys, dtype=np.uint64))
        return imagined

    def _forget_seeds(self) -> None:
        """Leave nothing in `seeds` that tells which episodes the copies were taken from."""
        self.seeds[:] = -1

    def _copy_to(self, other: BatchEngine, chosen: NDArray[np.int64]) -> None:
        """Make the copies of another engine, made by `_empty_like`, equal to the chosen ones of this.

        The observation, which holds nothing that is hidden, is copied with the rest.
        """
        for mine, theirs in zip(self._arrays(recorded=False), other._arrays(recorded=False), strict=True):
            theirs[...] = mine[chosen]
