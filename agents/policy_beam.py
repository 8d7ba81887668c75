"""Beams guided by a policy: the likeliest whole plans, or plans drawn from it without replacement.

Kool, van Hoof & Welling, "Stochastic beams and where to find them", ICML 2019, arXiv 1903.06059: a beam that ranks
partial plans by their log-probability plus Gumbel noise, drawn top-down so that the rank of a plan is the greatest
among those that it can become, ends with samples of whole plans without replacement.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..envs.core.compile import compiled
from ..envs.core.engine import BatchEngine, Kernels
from ..envs.core.errors import UserError
from ..envs.core.player import variant_of
from ..envs.core.random import uniform
from .agent import Agent, Imagine, Observation, Setting
from .planners.beam import check_memory

COPIES = 2048  # that are searched at a time, as far as one beam does not need more
BOUND_UNIT = 0.03
"""Share of the present's bound by which a plan's bound must be lower to be worth one unit of log-probability."""
_STREAM_PLANS = 103
_LARGEST = float(np.finfo(np.float64).max)


class Policy(Protocol):
    """Whoever scores the legal slots of imagined copies.

    Attributes:
        observes: whether it looks at more of the observation than the action slots and the globals.
        fixed_batch: see `Agent`.
    """

    observes: bool
    fixed_batch: bool

    def scores(self, engine: BatchEngine, kept: NDArray[np.bool_], depth: int) -> NDArray[np.float64]:
        """Logits [n, A] of the legal slots of the copies that are `kept` [n], which run; minus infinity elsewhere.

        Args:
            depth: how many decisions have been made since the present.
        """
        ...


@compiled
def _no_bound(problem, state, i):
    return -_LARGEST


@compiled
def _no_signature(problem, state, i):
    return np.uint64(0)


@cache
def make_moves(kernels: Kernels) -> tuple[Callable[..., None], Callable[..., None]]:
    """Compiled parts of the search on an engine; an action of -1 is none.

    Returns:
        ``move(problem, state, view, actions)`` plays an action in each copy and brings its action slots and the globals
        up to date; ``measure(problem, state, actions, bounds, signatures, running)`` plays one and measures what came
        of it.
    """
    is_running, advance, write_actions = kernels.is_running, kernels.advance, kernels.write_actions
    lower_bound = _no_bound if kernels.lower_bound is None else kernels.lower_bound
    signature = _no_signature if kernels.signature is None else kernels.signature
    variant = variant_of(kernels, lower_bound, signature)

    @compiled(variant=variant, nogil=True)
    def move(problem, state, view, actions):
        for i in range(len(actions)):
            if actions[i] >= 0:
                advance(problem, state, i, actions[i])
                write_actions(problem, state, view, i)

    @compiled(variant=variant, nogil=True)
    def measure(problem, state, actions, bounds, signatures, running):
        for i in range(len(actions)):
            running[i] = False
            if actions[i] >= 0:
                advance(problem, state, i, actions[i])
                running[i] = is_running(problem, state, i)
                bounds[i] = lower_bound(problem, state, i)
                signatures[i] = signature(problem, state, i)

    return move, measure


@compiled
def extend(scores, totals, temperature, joined):
    """Fill `joined` [n, A] with the log-probabilities of plans [n] that go on by each slot.

    A slot's probability is softmax(score / temperature). A plan without slots has ended, and stands as it is in slot 0.
    """
    for i in range(scores.shape[0]):
        most, total = -np.inf, 0.0
        for a in range(scores.shape[1]):
            most = max(most, scores[i, a])
        for a in range(scores.shape[1]):
            joined[i, a] = -np.inf
            if scores[i, a] > -np.inf:
                total += np.exp((scores[i, a] - most) / temperature)
        if most == -np.inf:
            joined[i, 0] = totals[i]
            continue
        for a in range(scores.shape[1]):
            if scores[i, a] > -np.inf:
                joined[i, a] = totals[i] + (scores[i, a] - most) / temperature - np.log(total)


@compiled
def perturb(joined, running, ranks, keys, depth, drawn):
    """Fill `drawn` [n, A] with the ranks of plans that go on by each slot: `joined` plus Gumbel noise, drawn so that
    the greatest over the slots of a plan is the plan's own rank.

    Args:
        joined: float64 [n, A], log-probabilities, minus infinity where there is no such plan.
        running: bool [n]; the rank of a plan that has ended stands in slot 0.
        ranks: float64 [n], of the plans.
        keys: uint64 [n / width], of each beam's randomness.
        depth: int, of the decision.
    """
    slots = joined.shape[1]
    width = joined.shape[0] // len(keys)
    for i in range(joined.shape[0]):
        if not running[i]:
            for a in range(slots):
                drawn[i, a] = -np.inf
            drawn[i, 0] = ranks[i]
            continue
        most = -np.inf
        for a in range(slots):
            u = uniform(keys[i // width], _STREAM_PLANS, depth, np.int64((i % width) * slots + a))
            drawn[i, a] = joined[i, a] - np.log(-np.log(min(max(u, 1e-300), 1.0 - 1e-16)))
            most = max(most, drawn[i, a])
        for a in range(slots):
            if drawn[i, a] > -np.inf:
                v = ranks[i] - drawn[i, a] + np.log(-np.expm1(drawn[i, a] - most))
                drawn[i, a] = ranks[i] - max(0.0, v) - np.log1p(np.exp(-abs(v)))


class PolicyBeamAgent(Agent):
    """Keeps the `width` best partial plans of each length by a policy, and plays the best plan that ends; see `Beam`.

    Only for worlds that can be foreseen: elsewhere a plan made once would be a plan for one imagined future.

    Args:
        name: how tables call it.
        policy: scores the slots.
        setting: of the environment.
        width: of the beam.
        temperature: slots have probability softmax(score / temperature).

    Raises:
        UserError: the setting is stochastic, or the environment cannot look ahead.
    """

    follows_plan = True

    def __init__(self, name: str, policy: Policy, setting: Setting, width: int, temperature: float = 1.0) -> None:
        if setting.stochastic:
            raise UserError(
                f"agent {name!r}: a beam needs a world without random events; sample instead (samples=N), or plan anew "
                "at each decision (reconsider:of=PATH)"
            )
        if setting.engine is None:
            raise UserError(f"agent {name!r}: a beam needs an environment that can look ahead (imagine)")
        self.name, self.fixed_batch = name, policy.fixed_batch
        self._policy, self._width, self._temperature = policy, width, temperature
        self._sign = setting.sign
        self._plans: dict[int, list[int]] = {}

    def begin(
        self,
        copies: NDArray[np.int64],
        instances: Sequence[Any],
        keys: NDArray[np.uint64],
        imagine: Imagine | None,
    ) -> None:
        assert imagine is not None
        check_memory(self.name, 2 * self._width, imagine(copies[:1], keys[:1]).copy_bytes)
        groups = max(1, COPIES // self._width)
        for low in range(0, len(copies), groups):
            chosen, own = copies[low : low + groups], keys[low : low + groups]
            engine = imagine(np.repeat(chosen, self._width), np.repeat(own, self._width))
            self._plans.update(zip(chosen.tolist(), self._search(engine, own), strict=True))

    def _search(self, engine: BatchEngine, keys: NDArray[np.uint64]) -> list[list[int]]:
        """The best plan of each group of `width` equal copies, last action first."""
        beam = self._beam(engine, keys)
        depth = 0
        while beam.running.any():
            scores = self._policy.scores(engine, beam.running, depth)
            joined = np.empty_like(scores)
            extend(scores, beam.totals, self._temperature, joined)
            beam.go_on(joined)
            depth += 1
        return beam.best_plans()

    def _beam(self, engine: BatchEngine, keys: NDArray[np.uint64]) -> Beam:
        return Beam(engine, self._policy.observes, keys, self._sign)

    def act(self, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.int64]:
        actions = np.zeros(len(mask), dtype=np.int64)
        for copy in np.flatnonzero(mask.any(axis=1)).tolist():
            actions[copy] = self._plans[copy].pop()
        return actions


class DistinctPlansAgent(PolicyBeamAgent):
    """Draws `width` plans from a policy without replacement, and plays the best one; see `Draws`."""

    def _beam(self, engine: BatchEngine, keys: NDArray[np.uint64]) -> Beam:
        return Draws(engine, self._policy.observes, keys, self._sign)


class _Children(NamedTuple):
    """Plans that are an action longer, of several groups: arrays [groups, any number], the best ones first.

    Attributes:
        values: float64, what they are ranked by; minus infinity where there is none.
        numbers: int64, place of the parent times the number of slots, plus the slot.
        tolls: float64, what is taken off their ranks for their bounds.
        signatures: uint64, equal within a group for plans of which one is enough.
    """

    values: NDArray[np.float64]
    numbers: NDArray[np.int64]
    tolls: NDArray[np.float64]
    signatures: NDArray[np.uint64]

    def joined(self, other: _Children) -> _Children:
        """These and others."""
        return _Children(
            np.concatenate([self.values, other.values], axis=1),
            np.concatenate([self.numbers, other.numbers], axis=1),
            np.concatenate([self.tolls, other.tolls], axis=1),
            np.concatenate([self.signatures, other.signatures], axis=1),
        )

    def best(self, count: int) -> _Children:
        """As many of each group, of equal ones the best alone."""
        found = self._of_all(slice(None))
        for values, signatures in zip(found.values, found.signatures, strict=True):
            _, first = np.unique(signatures, return_index=True)
            again = np.ones(len(values), dtype=np.bool_)
            again[first] = False
            values[again] = -np.inf
        return found._of_all(slice(count))

    def _of_all(self, part: slice) -> _Children:
        """A part of each group, in the order of their values."""
        order = np.argsort(-self.values, axis=1, kind="stable")[:, part]
        rows = np.arange(len(order))[:, None]
        return _Children(
            self.values[rows, order], self.numbers[rows, order], self.tolls[rows, order], self.signatures[rows, order]
        )


class Beam:
    """The best partial plans of several groups of imagined copies.

    Plans of equal length are ranked by their log-probability, less their bound in units of `BOUND_UNIT` times the bound
    of the present, where the problem has one. Of plans that lead to the same state one stays. Those that have ended, or
    cannot beat the best of them, make room for others. Ties go by the parents' places, then by slots.

    Args:
        engine: of the copies, those of a group being equal.
        observes: see `Policy`.
        keys: uint64 [groups], of each group's randomness.
        sign: see `Setting.sign`.

    Attributes:
        totals: float64 [n], the log-probability of each copy's plan; minus infinity where it holds none.
        running: bool [n], whether a copy holds a plan that goes on.
    """

    def __init__(self, engine: BatchEngine, observes: bool, keys: NDArray[np.uint64], sign: int) -> None:
        n, self._groups = engine.num_copies, len(keys)
        self._engine, self._observes, self._keys, self._sign = engine, observes, keys, sign
        self._children = engine.imagine(np.arange(n), np.zeros(n, dtype=np.uint64))
        self._move, self._measure = make_moves(engine.kernels)
        self._bounds, self._signatures = np.zeros(n), np.zeros(n, dtype=np.uint64)
        self._child_runs = np.zeros(n, dtype=np.bool_)
        self._width = n // self._groups
        self._firsts = np.arange(0, n, self._width)[:, None]
        held = np.arange(n) % self._width == 0
        self.running = engine.is_running() & held
        self.totals = np.where(held, 0.0, -np.inf)
        self._tolls = np.zeros(n)
        self._units = self._units_of_bounds()
        self._levels: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []  # (parents, actions) of each length
        self._best_costs = np.full((self._groups, 1), np.inf)
        self._best = np.zeros((self._groups, 2), dtype=np.int64)  # (length, number of the last child)

    def _units_of_bounds(self) -> NDArray[np.float64]:
        """Bounds are divided by them: float64 [groups, 1]."""
        lower_bound = self._engine.kernels.lower_bound
        if lower_bound is None:
            return np.full((self._groups, 1), np.inf)
        first = (self._engine.problem, self._engine.state)
        return BOUND_UNIT * np.array([[max(abs(float(lower_bound(*first, i))), 1.0)] for i in self._firsts[:, 0]])

    def go_on(self, joined: NDArray[np.float64]) -> None:
        """Make the plans one action longer.

        Children are measured in the order of what they would be worth with their parents' bounds, which is never less
        than what they are, until no other can be among the best.

        Args:
            joined: float64 [n, A], log-probabilities of the plans that go on by each slot; those that have ended stand
                in slot 0.
        """
        slots = joined.shape[1]
        ranks = self._ranks(joined)
        hopes = (ranks - self._tolls[:, None]).reshape(self._groups, -1)
        order = np.argsort(-hopes, axis=1, kind="stable")
        hopes = np.take_along_axis(hopes, order, axis=1)
        numbers = order + self._firsts * slots
        part = slice(self._width)
        best = self._look(numbers[:, part], hopes[:, part], ranks).best(self._width)
        for low in range(self._width, numbers.shape[1], self._width):
            unsure = hopes[:, low] > best.values[:, -1]
            if not unsure.any():
                break
            part = slice(low, low + self._width)
            left = np.where(unsure[:, None], hopes[:, part], -np.inf)  # whatever the others in the batch still need
            best = best.joined(self._look(numbers[:, part], left, ranks)).best(self._width)
        chosen, held = best.numbers.ravel(), best.values.ravel() > -np.inf
        parents, actions = chosen // slots, chosen % slots
        actions[~(held & self.running[parents])] = -1
        self._levels.append((parents, actions))
        self.totals = np.where(held, joined.ravel()[chosen], -np.inf)
        self._tolls = np.where(held, best.tolls.ravel(), 0.0)
        self._play(parents, actions)
        self.running = (actions >= 0) & self._engine.is_running()
        self._kept(ranks.ravel()[chosen])

    def _look(self, numbers: NDArray[np.int64], hopes: NDArray[np.float64], ranks: NDArray[np.float64]) -> _Children:
        """Measure children, as many in each group as the beam is wide, and note the best that have ended."""
        slots = ranks.shape[1]
        parents = numbers.ravel() // slots
        goes = self.running[parents] & (hopes.ravel() > -np.inf)
        actions = np.where(goes, numbers.ravel() % slots, -1)
        changed = np.flatnonzero(goes)
        children = self._children
        for mine, theirs in zip(children.state, self._engine.state, strict=True):
            mine[changed] = theirs[parents[changed]]
        self._measure(children.problem, children.state, actions, self._bounds, self._signatures, self._child_runs)
        bounds, running = self._bounds.reshape(numbers.shape), self._child_runs.reshape(numbers.shape)
        signatures = self._signatures.reshape(numbers.shape).copy()
        ended = goes.reshape(numbers.shape) & ~running
        self._note_ended(ended, numbers)
        tolls = np.where(running, bounds / self._units, 0.0)
        values = ranks.ravel()[numbers] - tolls
        values[(hopes == -np.inf) | (running & (bounds >= self._best_costs))] = -np.inf
        alone = ~running if self._engine.kernels.signature is not None else np.ones_like(running)
        signatures[alone] = numbers[alone]
        return _Children(self._without_ended(values, running), numbers, tolls, signatures)

    def _note_ended(self, ended: NDArray[np.bool_], numbers: NDArray[np.int64]) -> None:
        """Remember the best plan of each group."""
        if not ended.any():
            return
        costs = self._sign * self._children.objectives().astype(np.float64).reshape(ended.shape)
        costs[~ended] = np.inf
        least = costs.argmin(axis=1)[:, None]
        cost = np.take_along_axis(costs, least, axis=1)
        better = (cost < self._best_costs)[:, 0]
        self._best_costs[better] = cost[better]
        self._best[better, 0] = len(self._levels)
        self._best[better, 1] = np.take_along_axis(numbers, least, axis=1)[better, 0]

    def _play(self, parents: NDArray[np.int64], actions: NDArray[np.int64]) -> None:
        """Become the children that stay."""
        engine = self._engine
        changed = np.flatnonzero((parents != np.arange(len(parents))) & (actions >= 0))
        if self._observes:
            engine.copy(parents[changed], changed)
            engine.step(np.where(actions < 0, engine.masks.argmax(axis=1), actions), check=False)
            return
        for array in engine.state:
            array[changed] = array[parents[changed]]
        self._move(engine.problem, engine.state, engine.view, actions)

    def _ranks(self, joined: NDArray[np.float64]) -> NDArray[np.float64]:
        """What children are ranked by, but for their bounds: float64 [n, A]."""
        return joined

    def _without_ended(self, values: NDArray[np.float64], running: NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.where(running, values, -np.inf)

    def _kept(self, ranks: NDArray[np.float64]) -> None:
        """These are the ranks [n] of the plans that stay."""

    def best_plans(self) -> list[list[int]]:
        """The actions of each group's best plan, last action first."""
        slots = self._engine.sizes.actions
        plans = []
        for length, number in self._best.tolist():
            copy, plan = number // slots, [number % slots]
            for parents, actions in reversed(self._levels[:length]):
                plan.append(int(actions[copy]))
                copy = int(parents[copy])
            plans.append(plan)
        return plans


class Draws(Beam):
    """Plans drawn without replacement: ranked by log-probability with noise (see `perturb`), whatever their bounds.

    Plans that have ended stay as long as nothing outranks them. Where the problem can tell that two plans lead to the
    same state they count as one.
    """

    def __init__(self, engine: BatchEngine, observes: bool, keys: NDArray[np.uint64], sign: int) -> None:
        super().__init__(engine, observes, keys, sign)
        self._own = self.totals.copy()  # ranks [n] of the plans

    def _units_of_bounds(self) -> NDArray[np.float64]:
        return np.full((self._groups, 1), np.inf)

    def _ranks(self, joined: NDArray[np.float64]) -> NDArray[np.float64]:
        ranks = np.empty_like(joined)
        perturb(joined, self.running, self._own, self._keys, len(self._levels), ranks)
        return ranks

    def _without_ended(self, values: NDArray[np.float64], running: NDArray[np.bool_]) -> NDArray[np.float64]:
        return values

    def _kept(self, ranks: NDArray[np.float64]) -> None:
        self._own = np.where(self.totals > -np.inf, ranks, -np.inf)
