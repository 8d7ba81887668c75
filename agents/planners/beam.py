"""Beam search on the imagined engine: the best partial episodes of each length by a bound on what they can reach.

Ow & Morton, "Filtered beam search in scheduling", International Journal of Production Research 26(1), 1988; within
Giffler and Thompson's conflict sets: Sabuncuoglu & Bayiz, "Job shop scheduling with beam search", European Journal of
Operational Research 118(2), 1999.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.core.compile import compiled
from ...envs.core.engine import BatchEngine, Kernels
from ...envs.core.errors import UserError
from ...envs.core.player import variant_of
from ..agent import Agent, Imagine, Observation, Setting
from ..rules.agent import within_conflict_set
from ..rules.rule import ConflictSet, applicable_rules

MEMORY = 2**27  # bytes of children at a time
MOST_MEMORY = 2**32  # bytes of one beam


def check_memory(agent: str, copies: int, copy_bytes: int) -> None:
    """Raise `UserError` where so many plans at a time, of so many bytes each, take more than a beam may."""
    needed = copies * copy_bytes
    if needed > MOST_MEMORY:
        raise UserError(
            f"agent {agent!r}: so many plans at a time take {needed / 2**30:.1f} GiB of memory, expected at "
            f"most {MOST_MEMORY / 2**30:.1f} GiB"
        )


@cache
def make_search(kernels: Kernels) -> tuple[Callable[..., None], Callable[..., None]]:
    """Compiled parts of the search on an engine.

    Returns:
        ``expand(problem, state, actions, bounds, signatures, running)`` plays an action in each of the first copies and
        measures what came of it; ``refresh(problem, state, view, count)`` brings their action slots up to date.
    """
    is_running, advance, write_actions = kernels.is_running, kernels.advance, kernels.write_actions
    lower_bound, signature = kernels.lower_bound, kernels.signature
    assert lower_bound is not None
    assert signature is not None
    variant = variant_of(kernels, lower_bound, signature)

    @compiled(variant=variant, nogil=True)
    def expand(problem, state, actions, bounds, signatures, running):
        for i in range(len(actions)):
            if actions[i] >= 0:
                advance(problem, state, i, actions[i])
            bounds[i] = lower_bound(problem, state, i)
            signatures[i] = signature(problem, state, i)
            running[i] = is_running(problem, state, i)

    @compiled(variant=variant, nogil=True)
    def refresh(problem, state, view, count):
        for i in range(count):
            write_actions(problem, state, view, i)

    return expand, refresh


class _Nodes:
    """Room for partial episodes of one instance: an imagined engine, of whose copies the first `count` are used."""

    def __init__(self, engine: BatchEngine) -> None:
        self._engine = engine
        self._expand, self._refresh = make_search(engine.kernels)
        n = engine.num_copies
        self.count = 1
        self._bounds, self._signatures = np.zeros(n), np.zeros(n, dtype=np.uint64)
        self._running = np.zeros(n, dtype=np.bool_)

    def take(self, source: _Nodes, parents: NDArray[np.int64]) -> None:
        """Become copies of some nodes of another room."""
        self.count = len(parents)
        for mine, theirs in zip(self._engine.state, source._engine.state, strict=True):
            mine[: self.count] = theirs[parents]

    def play(self, actions: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.uint64], NDArray[np.bool_]]:
        """Play an action in each node (-1: none); (bounds on the cost, signatures, whether the episode goes on)."""
        n = self.count
        engine = self._engine
        found = self._bounds[:n], self._signatures[:n], self._running[:n]
        self._expand(engine.problem, engine.state, actions, *found)
        return found[0].copy(), found[1].copy(), found[2].copy()

    def slots(self) -> tuple[NDArray[np.bool_], NDArray[np.float32], NDArray[np.int32]]:
        """The action slots of each node: (legal bool [count, A], features [count, A, F], nodes [count, A, K])."""
        engine = self._engine
        self._refresh(engine.problem, engine.state, engine.view, self.count)
        views = engine.block.views
        legal = engine.masks[: self.count].astype(np.bool_)
        return legal, views["actions/features"][: self.count], views["actions/nodes"][: self.count]


def beam_search(
    imagine: Imagine, copy: int, width: int, wait: bool, conflict_set: ConflictSet | None = None
) -> list[int]:
    """The best action sequence that a beam finds from a copy's present to its end.

    Nodes of equal length are ranked by their bound on the cost; of equal states one stays. Those that cannot beat the
    best complete episode so far are dropped. Ties go to the action that completes earliest within the conflict set,
    where there is one, then by the parents' rank and by slot.

    Special actions are tried while others are legal only in a second search, which has to beat the first: a beam
    prefers nodes that have waited, being less far on than others of equal length, and alone would often end worse.

    Args:
        imagine: of the environment; the world must not be stochastic.
        copy: from where.
        width: nodes that stay at each length.
        wait: whether special actions are tried while others are legal.
        conflict_set: what the other actions are restricted to.

    Raises:
        UserError: so wide a beam takes too much memory.
    """
    search = _Beam(imagine, copy, width, False, conflict_set)
    search.run()
    if wait and search.held_back:
        patient = _Beam(imagine, copy, width, True, conflict_set, search.best_cost)
        patient.run()
        if patient.best_cost < search.best_cost:
            return patient.best_actions()
    return search.best_actions()


class _Beam:
    """One search.

    Args:
        imagine, copy, width, wait, conflict_set: see `beam_search`.
        best_cost: of a complete episode that is known; only better ones are looked for.

    Attributes:
        best_cost: of the best complete episode so far.
        held_back: whether a special action was legal beside others and not tried.
    """

    def __init__(
        self,
        imagine: Imagine,
        copy: int,
        width: int,
        wait: bool,
        conflict_set: ConflictSet | None,
        best_cost: float = np.inf,
    ) -> None:
        root = imagine(np.array([copy]), np.zeros(1, dtype=np.uint64))
        check_memory("beam", 2 * width, root.copy_bytes)
        room = max(min(MEMORY // root.copy_bytes, width * root.sizes.actions), 1)
        self._spec = root.spec
        self._special = len(root.spec.special_actions)
        self._width, self._wait, self._conflict_set = width, wait, conflict_set

        def nodes(count: int) -> _Nodes:
            return _Nodes(imagine(np.full(count, copy, dtype=np.int64), np.zeros(count, dtype=np.uint64)))

        self._beam, self._next, self._children, self._room = nodes(width), nodes(width), nodes(room), room
        self._levels: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []  # (parents, actions) of each length
        self.best_cost, self.held_back = best_cost, False
        self._best: tuple[int, int, int] | None = None  # (length, parent, action) of the best complete episode

    def run(self) -> None:
        """Search until no node is left."""
        while self._grow():
            pass

    def _grow(self) -> bool:
        """Go one action further; returns whether there are nodes left."""
        parents, actions, completions = self._candidates()
        bounds, signatures, running = self._measure(parents, actions)
        self._note_ended(parents, actions, bounds, running)
        chosen = self._choose(bounds, completions, signatures, running)
        self._levels.append((parents[chosen], actions[chosen]))
        if len(chosen) == 0:
            return False
        self._next.take(self._beam, parents[chosen])
        self._next.play(actions[chosen])
        self._beam, self._next = self._next, self._beam
        return True

    def _candidates(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """(parents, actions, completions) of the children to be measured; completions are zero without conflict set."""
        legal, features, nodes = self._beam.slots()
        ordinary = legal.copy()
        ordinary[:, legal.shape[1] - self._special :] = False
        special = legal & ~ordinary
        beside = special & ordinary.any(axis=1, keepdims=True)
        if not self._wait:
            self.held_back |= bool(beside.any())
            special &= ~beside
        if self._conflict_set is None:
            parents, actions = np.nonzero(ordinary | special)
            return parents, actions, np.zeros(len(parents), dtype=np.float32)
        ordinary = within_conflict_set(self._conflict_set, self._spec, features, nodes, ordinary)
        parents, actions = np.nonzero(ordinary | special)
        return parents, actions, features[parents, actions, self._spec.action_column(self._conflict_set.completion)]

    def _measure(
        self, parents: NDArray[np.int64], actions: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.uint64], NDArray[np.bool_]]:
        """What comes of each action of each node, in chunks that fit the memory."""
        parts = []
        for first in range(0, len(parents), self._room):
            part = slice(first, first + self._room)
            self._children.take(self._beam, parents[part])
            parts.append(self._children.play(actions[part]))
        bounds, signatures, running = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return bounds, signatures, running

    def _note_ended(
        self,
        parents: NDArray[np.int64],
        actions: NDArray[np.int64],
        bounds: NDArray[np.float64],
        running: NDArray[np.bool_],
    ) -> None:
        """Keep the best complete episode."""
        costs = np.where(running, np.inf, bounds)
        best = int(costs.argmin())
        if costs[best] < self.best_cost:
            self.best_cost = float(costs[best])
            self._best = len(self._levels), int(parents[best]), int(actions[best])

    def _choose(
        self,
        bounds: NDArray[np.float64],
        completions: NDArray[np.float32],
        signatures: NDArray[np.uint64],
        running: NDArray[np.bool_],
    ) -> NDArray[np.int64]:
        """The children that stay."""
        order = np.flatnonzero(running & (bounds < self.best_cost))
        order = order[np.lexsort((completions[order], bounds[order]))]
        _, first = np.unique(signatures[order], return_index=True)
        return order[np.sort(first)[: self._width]]

    def best_actions(self) -> list[int]:
        """The actions of the best complete episode that was found."""
        assert self._best is not None, "every episode ends"
        length, node, last = self._best
        actions = [last]
        for parents, chosen in reversed(self._levels[:length]):
            actions.append(int(chosen[node]))
            node = int(parents[node])
        return actions[::-1]


class BeamAgent(Agent):
    """Searches once, when an episode begins, and plays what it found.

    Where rules of the environment choose within a conflict set, so does the search: active schedules hold an optimum,
    and partial schedules of equal length are then about equally far on, which the bound alone does not tell apart.

    Args:
        setting: of the environment; needs an engine with `Kernels.lower_bound` and a world without hidden events.
        width: nodes that stay at each length.
        wait: whether special actions (WAIT) are tried while others are legal.
    """

    follows_plan = True
    reads_instances = True

    def __init__(self, setting: Setting, width: int, wait: bool) -> None:
        self.name = "beam"
        self._width, self._wait = width, wait
        sets = (rule.conflict_set for rule in applicable_rules(setting.env_id, setting.options).values())
        self._conflict_set = next((found for found in sets if found is not None), None)
        self._plans: dict[int, list[int]] = {}
        self._steps: dict[int, int] = {}

    def begin(
        self,
        copies: NDArray[np.int64],
        instances: Sequence[Any],
        keys: NDArray[np.uint64],
        imagine: Imagine | None,
    ) -> None:
        assert imagine is not None
        found: dict[tuple[int, int], list[int]] = {}  # copies in equal states share a search
        for copy, instance in zip(copies.tolist(), instances, strict=True):
            root = _Nodes(imagine(np.array([copy]), np.zeros(1, dtype=np.uint64)))
            state = id(instance), int(root.play(np.array([-1]))[1][0])
            if state not in found:
                found[state] = beam_search(imagine, copy, self._width, self._wait, self._conflict_set)
            self._plans[copy], self._steps[copy] = found[state], 0

    def act(self, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.int64]:
        actions = np.zeros(len(mask), dtype=np.int64)
        for copy in np.flatnonzero(mask.any(axis=1)).tolist():
            actions[copy] = self._plans[copy][self._steps[copy]]
            self._steps[copy] += 1
        return actions
