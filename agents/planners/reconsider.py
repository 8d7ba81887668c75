"""Step and reconsider: sample whole plans at each decision, take the first action of the best plan known.

Pirnay & Grimm, "Self-improvement for neural combinatorial optimization: sample without replacement, but improvement",
Transactions on Machine Learning Research 2024, arXiv 2403.15180, sample sequences in rounds, follow the best for a few
steps and reconsider; the best plan so far is kept, as fortified rollout does (Bertsekas, Tsitsiklis & Wu, "Rollout
algorithms for combinatorial optimization", Journal of Heuristics 3, 1997), so that no plan is ever given up for a worse
one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.core.compile import compiled
from ...envs.core.engine import BatchEngine
from ...envs.core.planned import NO_ACTION, make_follower, plan_room, play_planned
from ...envs.core.random import TYPICAL, combine, uniform
from ..agent import Agent, Imagine, Observation, Setting
from ..streams import Streams
from .playouts import MEMORY, world_keys

_ALWAYS = 2**62
_FINALISTS = 4  # sampled plans that are compared in imagined worlds
_COMPARISON = np.uint64(int.from_bytes(b"compare", "big"))
_CUT = 104  # stream of where plans are cut


@compiled
def try_keys(keys, decisions, first, tries):
    """Fill `tries` [n, K] with the keys of the tries number `first` and on of n copies at their present decision."""
    for i in range(len(tries)):
        present = combine(keys[i], decisions[i])
        for number in range(tries.shape[1]):
            tries[i, number] = combine(present, first + number)


@compiled
def cut_plans(keys, copies, lengths, until):
    """Fill `until` [tries * copies]: for how many of the `lengths` [copies] decisions of their plan tries follow it,
    every second one not at all."""
    for place in range(len(until)):
        cut = np.int64(uniform(keys[place], _CUT) * lengths[place % copies])
        until[place] = cut if place // copies % 2 else 0


class Plans:
    """Samplers that play whole plans in imagined copies.

    Args:
        samplers: B agents.
        setting: of the environment; needs an engine.

    Attributes:
        count: B.
    """

    def __init__(self, samplers: Sequence[Agent], setting: Setting) -> None:
        self.count = len(samplers)
        self._samplers = list(samplers)
        self._sign = setting.sign

    def play(
        self,
        sampler: int,
        imagine: Imagine,
        copies: NDArray[np.int64],
        keys: NDArray[np.uint64],
        plans: NDArray[np.int64],
        until: NDArray[np.int64],
        worlds: NDArray[np.uint64] | None = None,
    ) -> Found:
        """Play copies to their end.

        Args:
            sampler: which one.
            imagine: how to look ahead.
            copies: int64 [P], from whose present.
            keys: uint64 [P], of the sampler's randomness.
            plans, until: int64 [P, L] and int64 [P], plans and for how many decisions they are followed, as far as they
                can be; then the sampler goes on.
            worlds: uint64 [P], keys of the worlds that are imagined; by default that in which nothing unforeseen
                happens.
        """
        agent = self._samplers[sampler]
        engine = imagine(copies, np.full(len(copies), TYPICAL) if worlds is None else worlds)
        instances = [engine.known_instance(copy) for copy in range(len(copies))] if agent.reads_instances else []
        agent.begin(np.arange(len(copies), dtype=np.int64), instances, keys, engine.imagine)
        choice = agent.compiled_choice(len(copies))
        if choice is None:
            played = _play_observed(engine, agent, plans, until)
        else:
            played = play_planned(engine, *choice[:4], plans, until)
        return Found(self._sign * engine.objectives().astype(np.float64), *played)


class Found(NamedTuple):
    """Plans that have been played.

    Attributes:
        costs: float64 [P].
        first: int64 [P], the first action of each.
        plans: int64 [P, L].
        decisions: int64 [P], how many each takes.
    """

    costs: NDArray[np.float64]
    first: NDArray[np.int64]
    plans: NDArray[np.int64]
    decisions: NDArray[np.int64]

    def rows(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> Found:
        """Some of them."""
        return Found._make(array[chosen] for array in self)

    def joined(self, other: Found) -> Found:
        """These, then others."""
        return Found._make(np.concatenate(arrays) for arrays in zip(self, other, strict=True))


def _play_observed(
    engine: BatchEngine, agent: Agent, plans: NDArray[np.int64], until: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """As `play_planned`, for an agent that plays by observations."""
    follow_all, note_all = make_follower(engine.kernels)
    planned, noted = until.copy(), np.full_like(plans, NO_ACTION)
    first, follows = np.zeros(len(plans), dtype=np.int64), np.zeros(len(plans), dtype=np.int64)
    taken = np.zeros(len(plans), dtype=np.int64)
    decision = 0
    while (running := engine.is_running()).any():
        actions = agent.act(engine.block.views, engine.masks)
        follow_all(engine.problem, engine.state, plans, decision, follows)
        legal = (follows >= 0) & (np.take_along_axis(engine.masks, follows.clip(0)[:, None], axis=1)[:, 0] != 0)
        planned[~legal] = 0
        actions = np.where(decision < planned, follows, actions)
        if decision == 0:
            first = actions.copy()
        if engine.kernels.note_plan is None and decision < noted.shape[1]:
            noted[:, decision] = actions
        engine.step(actions, check=False)
        decision += 1
        taken += running
    note_all(engine.problem, engine.state, noted)
    return first, noted, taken


class ReconsiderAgent(Agent):
    """Follows the best plan that it knows, and samples others from each state that it comes to.

    Plans are sampled in the world in which nothing unforeseen happens; where something does, the plan at hand is
    followed as far as it can be (see `makespan.envs.core.planned`) and the sampler goes on. Every second try is sampled
    from the present, the others from somewhere along the plan at hand.

    A plan that is short where nothing happens need not be the better one where something may. With `worlds` the plan at
    hand and the best of those sampled are followed in as many imagined worlds, the same for all, and the best mean
    counts.

    Args:
        samplers: who draws plans, taking turns: noised scorers, networks that sample, `random`.
        setting: of the environment; needs an engine, and a typical world where it is stochastic.
        tries: plans that are sampled at each decision (in each round, where `seconds` are given).
        seconds: CPU time for a whole episode, spent evenly over its decisions, at least one round at each; None: one
            round at each decision.
        worlds: imagined to compare plans; 0: none but the typical one.
        planner: makes the first plan, as an episode begins; by default it is sampled.
    """

    def __init__(
        self,
        samplers: Sequence[Agent],
        setting: Setting,
        tries: int,
        seconds: float | None = None,
        worlds: int = 0,
        planner: Agent | None = None,
    ) -> None:
        self.name = "reconsider"
        self.fixed_batch = any(sampler.fixed_batch for sampler in samplers)
        self._plans = Plans(samplers, setting)
        self._planner = None if planner is None else Plans([planner], setting)
        self._tries, self._seconds, self._num_worlds = tries, seconds, worlds
        self._finalists = min(_FINALISTS if worlds else 1, tries)
        self._imagine: Imagine | None = None
        self._streams = Streams()
        self._known = np.zeros((0, 0), dtype=np.int64)  # plans [n, L]
        self._lengths = np.zeros(0, dtype=np.int64)  # how many decisions they took when last played; 0: there is none
        self._left = np.zeros(0)  # CPU seconds
        self._lists = False
        self._at_once = 1  # imagined copies that fit the memory

    def begin(
        self,
        copies: NDArray[np.int64],
        instances: Sequence[Any],
        keys: NDArray[np.uint64],
        imagine: Imagine | None,
    ) -> None:
        assert imagine is not None
        self._imagine = imagine
        self._streams.begin(copies, keys)
        missing = max(int(copies.max()) + 1 - len(self._left), 0)
        present = imagine(copies[:1], np.full(1, TYPICAL))
        room = plan_room(present)
        self._lists = present.kernels.follow_plan is None
        self._at_once = max(MEMORY // present.copy_bytes, 1)
        if self._known.shape[1] != room:  # another environment: nothing goes on from before
            self._known = np.zeros((len(self._left), room), dtype=np.int64)
        self._known = np.concatenate([self._known, np.zeros((missing, room), dtype=np.int64)])
        self._lengths = np.append(self._lengths, np.zeros(missing, dtype=np.int64))
        self._left = np.append(self._left, np.zeros(missing))
        self._lengths[copies], self._left[copies] = 0, self._seconds or 0.0
        if self._planner is not None:
            nothing = np.zeros((len(copies), room), dtype=np.int64), np.zeros(len(copies), dtype=np.int64)
            found = self._planner.play(0, imagine, copies, keys, *nothing)
            self._known[copies], self._lengths[copies] = found.plans, found.decisions

    def act(self, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.int64]:
        actions: NDArray[np.int64] = mask.argmax(axis=1).astype(np.int64)
        keys, decisions = self._streams.of(len(mask))
        for copies in self._chunks(np.flatnonzero(mask.sum(axis=1) > 1)):
            actions[copies] = self._reconsider(copies, keys[copies], decisions[copies])
        running = np.flatnonzero(mask.any(axis=1))
        decisions[running] += 1
        if self._lists:
            self._known[running, :-1] = self._known[running, 1:]
        return actions

    def _chunks(self, copies: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Copies in groups whose imagined copies fit the memory, or one by one."""
        count = max(self._at_once // max(self._tries, self._num_worlds * (self._finalists + 1)), 1)
        return [copies[low : low + count] for low in range(0, len(copies), count)]

    def _reconsider(
        self, copies: NDArray[np.int64], keys: NDArray[np.uint64], decisions: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Sample plans from the present of copies, and begin the best that is known of each."""
        assert self._imagine is not None
        began = time.process_time()
        own = np.zeros((len(copies), 1), dtype=np.uint64)
        try_keys(keys, decisions, 0, own)
        until = np.where(self._lengths[copies] > 0, _ALWAYS, 0)
        known = self._plans.play(0, self._imagine, copies, own[:, 0], self._known[copies], until)
        self._take(copies, known)
        sampled: Found | None = None
        spent, number = 0.0, 0
        while number == 0 or (self._seconds is not None and spent < self._share(copies)):
            sampled = self._round(copies, keys, decisions, number, sampled)
            if not self._num_worlds:
                better = sampled.costs <= known.costs
                known = Found._make(
                    np.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old)
                    for new, old in zip(sampled, known, strict=True)
                )
                self._take(copies, known)
            number += 1
            spent = time.process_time() - began
        assert sampled is not None
        if self._num_worlds:
            known = self._compare(copies, keys, decisions, known, sampled)
            self._take(copies, known)
        self._left[copies] -= spent / len(copies)
        return known.first

    def _take(self, copies: NDArray[np.int64], found: Found) -> None:
        """Know plans from now on."""
        self._known[copies], self._lengths[copies] = found.plans, found.decisions

    def _compare(
        self,
        copies: NDArray[np.int64],
        keys: NDArray[np.uint64],
        decisions: NDArray[np.int64],
        known: Found,
        sampled: Found,
    ) -> Found:
        """The best of the known plan and the sampled ones of each copy, by the mean cost over imagined worlds."""
        assert self._imagine is not None
        n, count, worlds = len(copies), self._finalists + 1, self._num_worlds
        places = np.arange(n)[:, None] + n * np.arange(count)
        candidates = known.joined(sampled).rows(places.ravel())
        drawn = np.zeros((n, worlds), dtype=np.uint64)
        world_keys(keys ^ _COMPARISON, decisions, drawn)
        drawn = np.repeat(drawn, count, axis=0).ravel()
        plans = np.repeat(candidates.plans, worlds, axis=0)
        origins = np.repeat(copies, count * worlds)
        costs, first = np.zeros(len(plans)), np.zeros(len(plans), dtype=np.int64)
        for low in range(0, len(plans), self._at_once):
            part = slice(low, low + self._at_once)
            until = np.full(len(plans[part]), _ALWAYS)
            played = self._plans.play(0, self._imagine, origins[part], drawn[part], plans[part], until, drawn[part])
            costs[part], first[part] = played.costs, played.first
        best = costs.reshape(n, count, worlds).mean(axis=2).argmin(axis=1)
        chosen = candidates.rows(np.arange(n) * count + best)
        return chosen._replace(first=first.reshape(n, count, worlds)[np.arange(n), best, 0])

    def _share(self, copies: NDArray[np.int64]) -> float:
        """CPU seconds for the present decision of copies: what is left, over the decisions of their plans."""
        return float((self._left[copies].clip(0.0) / self._lengths[copies].clip(1)).sum())

    def _round(
        self,
        copies: NDArray[np.int64],
        keys: NDArray[np.uint64],
        decisions: NDArray[np.int64],
        number: int,
        best: Found | None,
    ) -> Found:
        """Sample plans; the best of them and of those found before, `_finalists` of each copy.

        Row k * n + i of n copies' is the k-th best of copy i.
        """
        assert self._imagine is not None
        n = len(copies)
        drawn = np.zeros((n, self._tries), dtype=np.uint64)
        try_keys(keys, decisions, 1 + number * self._tries, drawn)
        found = best
        for sampler in range(min(self._plans.count, self._tries)):
            mine = np.ascontiguousarray(drawn[:, sampler :: self._plans.count].T).ravel()
            until = np.zeros(len(mine), dtype=np.int64)
            cut_plans(mine, n, self._lengths[copies], until)
            piece = max(self._at_once // n, 1) * n
            for low in range(0, len(mine), piece):
                part = slice(low, low + piece)
                origins = np.tile(copies, len(mine[part]) // n)
                played = self._plans.play(
                    sampler, self._imagine, origins, mine[part], self._known[origins], until[part]
                )
                found = self._finest(played if found is None else found.joined(played), n)
        assert found is not None
        return found

    def _finest(self, found: Found, n: int) -> Found:
        """The `_finalists` best of each of n copies; of equal ones the first."""
        order = np.argsort(found.costs.reshape(-1, n), axis=0, kind="stable")[: self._finalists]
        return found.rows((order * n + np.arange(n)).ravel())
