"""Engines whose copies take orders: one compiled loop over a range of copies does with each what its order says.

One loop for all that is done to copies, so that the code that writes observations is compiled only once.
"""

from __future__ import annotations

import secrets
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import is_dataclass, replace
from hashlib import sha256
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .arena import Arena
from .compile import entry
from .engine import BatchEngine
from .errors import UserError
from .loops import make_loops
from .pack import Pack

STEP, LEAVE, BEGIN, REWRITE, GO_ON = range(5)
"""Orders: play an action, do nothing, begin an episode, write the observation from scratch; what is a problem's own."""

_NAMELESS = "random-instance-"


def _make_veil() -> Callable[[Any], Any]:
    """What turns seeds into negative numbers that do not tell them, and these back, in this process alone."""
    secret = secrets.randbits(63)

    def veil(seeds: Any) -> Any:
        return ~(seeds ^ secret)

    return veil


_veil = _make_veil()


class OrderedEngine(BatchEngine):
    """An engine of instances from a source, whose copies lie in one arena.

    Attributes:
        source: which instances are played.
        room: what there is room for, in the order of `room_names`.
        chosen: int64 [n], which instance each copy plays: its index in the source, or -1 for one made from the seed.
    """

    carry_out: ClassVar[Callable[..., Any]]
    """The compiled loop: (problem, state, view, outcome, orders, actions, low, high)."""
    room_names: ClassVar[tuple[str, ...]]
    objective_type: ClassVar[type[Any]] = np.int64

    source: Any  # an `InstanceSource`; problems narrow it
    room: Any  # a tuple of integers
    chosen: NDArray[np.int64]
    _arena: Arena

    def _prepare_orders(self, make: Callable[[NDArray[np.int64]], Any]) -> None:
        """Set up what `carry_out` gets beside problem, state and view; to be called at the end of making an engine.

        Args:
            make: the problem's orders as a NamedTuple, whose field `order` is the array given.
        """
        n = self.num_copies
        self._outcome = Pack(self.outcome)
        self._no_actions = np.zeros(n, dtype=np.int64)
        self._stepping, self._other = (Pack(make(np.full(n, order, dtype=np.int64))) for order in (STEP, LEAVE))
        self._code: Callable[..., None] | None = None
        self._loops = make_loops(self.kernels)

    def _carry_out(self, orders: Pack, actions: NDArray[np.int64], low: int, high: int) -> None:
        arguments = self.problem, self.state, self.view, self._outcome, orders, actions, low, high
        if self._code is None:
            self._code = entry(type(self).carry_out, *arguments)
        self._code(*arguments)

    def _step_range(self, actions: NDArray[np.int64], low: int, high: int) -> None:
        self._carry_out(self._stepping, actions, low, high)

    def _order(self, copies: NDArray[np.int64], order: int) -> None:
        """Give some copies an order."""
        self._other.order[:] = LEAVE
        self._other.order[copies] = order
        self._carry_out(self._other, self._no_actions, 0, self.num_copies)

    def _reset_range(self, copies: NDArray[np.int64]) -> None:
        self._order(copies, BEGIN)

    def _write_all(self) -> None:
        self._order(np.arange(self.num_copies, dtype=np.int64), REWRITE)

    def _first_illegal(self, actions: NDArray[np.int64]) -> int:
        return int(self._loops.first_illegal(self.problem, self.state, self.masks, actions))

    def _redraw_hidden(self, keys: NDArray[np.uint64]) -> None:
        if self._loops.redraw_hidden is not None:
            self._loops.redraw_hidden(self.problem, self.state, keys)

    def objectives(self) -> NDArray[Any]:
        values = np.zeros(self.num_copies, dtype=self.objective_type)
        self._loops.write_objectives(self.problem, self.state, values)
        return values

    # --- instances ----------------------------------------------------------------------------------------------------

    def _choose_instances(self, copies: NDArray[np.int64], instances: Sequence[Any] | None) -> None:
        if instances is None:
            chosen = self.source.choose(self.seeds[copies])
        else:
            chosen = np.array([self.source.index(instance) for instance in instances], dtype=np.int64)
        for index in set(chosen.tolist()) - {-1}:
            instance = self.source.instance(index)
            self._check_room(instance)
            self._check_instance(instance)
        self._load(copies, chosen)
        self.chosen[copies] = chosen

    @abstractmethod
    def _load(self, copies: NDArray[np.int64], chosen: NDArray[np.int64]) -> None:
        """Load the chosen instances into copies; `self.chosen` still says which they hold."""

    def _check_instance(self, instance: Any) -> None:
        """Raise where an instance cannot be played under the options at hand.

        Raises:
            UserError: it cannot.
        """

    @staticmethod
    @abstractmethod
    def room_of(instance: Any) -> tuple[int, ...]:
        """What an instance needs room for, in the order of `room_names`."""

    def _check_room(self, instance: Any) -> None:
        for name, need, have in zip(self.room_names, self.room_of(instance), self.room, strict=True):
            if need > have:
                raise UserError(
                    f"instance {instance.name!r} has {need} {name}, but the environment has room for {have}; "
                    f"make it with max_{name.split()[0]}={need}"
                )

    def instance(self, copy: int) -> Any:
        chosen, seed = int(self.chosen[copy]), int(self.seeds[copy])
        if chosen < 0 and seed < 0:
            return self._without_seed(self.source.instance(chosen, int(_veil(seed))))
        return self.source.instance(chosen, seed)

    def known_instance(self, copy: int) -> Any:
        instance = self.instance(copy)
        return self._without_seed(instance) if self.chosen[copy] < 0 else instance

    def _without_seed(self, instance: Any) -> Any:
        """A random instance of an episode's seed under a name that does not tell the seed, if that hides anything."""
        if not self.stochastic or not is_dataclass(instance) or isinstance(instance, type):
            return instance
        name = instance.name  # pyright: ignore[reportAttributeAccessIssue]
        if name.startswith(_NAMELESS):
            return instance
        return replace(instance, name=_NAMELESS + sha256(name.encode()).hexdigest()[:16])

    def _forget_seeds(self) -> None:
        """Leave of the seeds only what finds an instance again that was made from one, which is no secret."""
        self.seeds[:] = np.where(self.chosen >= 0, -1, np.where(self.seeds < 0, self.seeds, _veil(self.seeds)))

    def _copy_to(self, other: BatchEngine, chosen: NDArray[np.int64]) -> None:
        assert isinstance(other, OrderedEngine)
        if other._arena.memory.shape[1] != self._arena.memory.shape[1]:  # an engine with room for less
            super()._copy_to(other, chosen)
            return
        mine = (self._arena.memory, self.block.memory, self.chosen, *self.outcome, self.seeds)
        theirs = (other._arena.memory, other.block.memory, other.chosen, *other.outcome, other.seeds)
        for source, target in zip(mine, theirs, strict=True):
            np.take(source, chosen, axis=0, out=target, mode="clip")  # "raise" would copy twice
