"""Playouts: what actions come to if an agent goes on from there, in imagined worlds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...envs.core.compile import compiled
from ...envs.core.engine import BatchEngine
from ...envs.core.errors import FieldError, UserError
from ...envs.core.planned import NO_ACTION, plan_room, play_planned
from ...envs.core.player import play_out
from ...envs.core.random import TYPICAL, combine
from ..agent import Agent, Imagine, Setting

MEMORY = 2**28  # bytes of imagined copies at a time


@compiled
def world_keys(keys, decisions, worlds):
    """Fill `worlds` [n, K] with the keys of the worlds that n copies imagine at their present decision."""
    for i in range(len(worlds)):
        present = combine(keys[i], decisions[i])
        for world in range(worlds.shape[1]):
            worlds[i, world] = combine(present, world)


def check_worlds(count: int, setting: Setting) -> None:
    """Raise where no world can be imagined in which nothing unforeseen happens, and one is asked for.

    Raises:
        FieldError: none can.
    """
    if count == 0 and (setting.engine is None or not setting.engine.imagines_typical):
        raise FieldError("option worlds", count, f"an integer from 1, since {setting.env_id} has no typical world")


def draw_worlds(keys: NDArray[np.uint64], decisions: NDArray[np.int64], count: int) -> NDArray[np.uint64]:
    """Keys of the worlds that n copies imagine at their present decision: uint64 [n, max(count, 1)].

    Args:
        keys, decisions: uint64 and int64 [n], what they are drawn from.
        count: how many; 0 for the one in which nothing unforeseen happens.
    """
    worlds = np.full((len(keys), max(count, 1)), TYPICAL, dtype=np.uint64)
    if count:
        world_keys(keys, decisions, worlds)
    return worlds


class Playouts:
    """Plays actions, then agents to the end, on an engine's imagined copies.

    Args:
        agents: B agents, of which one goes on after the action: rules and scorers, which play in compiled code and
            keep nothing from one decision to the next.
        setting: of the environment; needs an engine.

    Raises:
        UserError: an agent does not play in compiled code.
    """

    def __init__(self, agents: Sequence[Agent], setting: Setting) -> None:
        self._agents = list(agents)
        self._sign = setting.sign
        self._copy_bytes = 0  # of an engine's copy; the first one tells, as all are of one setting
        for agent in agents:
            if agent.compiled_choice(1) is None or agent.samples > 1:
                raise UserError(f"agent {agent.name!r} cannot go on after an action; rules and scorers can")

    def costs(
        self,
        imagine: Imagine,
        copies: NDArray[np.int64],
        actions: NDArray[np.int64],
        worlds: NDArray[np.uint64],
    ) -> NDArray[np.float64]:
        """Final costs (the objective, negative where it is to be large) of actions: float64 [P, B, K].

        Args:
            imagine: how to look ahead.
            copies, actions: int64 [P], what is tried where.
            worlds: uint64 [n, K], keys of the worlds that each of the n copies imagines (see `world_keys`): all
                actions of a copy meet the same ones.
        """
        shape = (len(copies), worlds.shape[1])
        costs = np.empty((len(self._agents), *shape))
        if not len(copies):
            return costs.transpose(1, 0, 2)
        pairs, numbers = (index.ravel() for index in np.indices(shape))
        flat = costs.reshape(len(self._agents), -1)
        if self._copy_bytes == 0:
            self._copy_bytes = imagine(copies[:1], worlds[copies[:1], 0]).copy_bytes
        room = max(MEMORY // self._copy_bytes, 1)
        for first in range(0, len(pairs), room):
            part = slice(first, first + room)
            pair = pairs[part]
            keys = worlds[copies[pair], numbers[part]]
            for row, agent in zip(flat, self._agents, strict=True):
                row[part] = self._play(imagine, copies[pair], actions[pair], agent, keys)
        return costs.transpose(1, 0, 2)

    def _play(
        self,
        imagine: Imagine,
        copies: NDArray[np.int64],
        actions: NDArray[np.int64],
        agent: Agent,
        keys: NDArray[np.uint64],
    ) -> NDArray[np.float64]:
        """Costs of one imagined world each: the action, then the agent to the end."""
        engine = imagine(copies, keys)
        engine.step(actions, check=False)
        numbers = np.arange(len(copies), dtype=np.int64)
        agent.begin(numbers, [], keys, None)
        choice = agent.compiled_choice(len(copies))
        assert choice is not None
        play_out(engine, *choice, observe=False)
        return self._sign * engine.objectives().astype(np.float64)

    def note(
        self, imagine: Imagine, copies: NDArray[np.int64], actions: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Costs float64 [P] and plans (see `makespan.envs.core.planned`) of actions, if the best agent goes on.

        Nothing unforeseen happens. Where plans are lists of actions, the action comes first; a copy whose episode has
        ended keeps what was played, and an empty list.
        """
        best: tuple[NDArray[np.float64], NDArray[np.int64]] | None = None
        keys = np.full(len(copies), TYPICAL)
        for agent in self._agents:
            engine = imagine(copies, keys)
            running = engine.is_running()
            engine.step(actions, check=False)
            nothing = np.full((len(copies), plan_room(engine)), NO_ACTION, dtype=np.int64)
            costs, plans = self._play_planned(engine, agent, nothing, 0)
            if engine.kernels.follow_plan is None:
                plans[running] = np.concatenate([actions[:, None], plans[:, :-1]], axis=1)[running]
            if best is None:
                best = costs, plans
            else:
                better = costs < best[0]
                best[0][better], best[1][better] = costs[better], plans[better]
        assert best is not None
        return best

    def follow(
        self, imagine: Imagine, copies: NDArray[np.int64], plans: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Costs float64 [P] and what becomes of plans int64 [P, ...] that copies follow from now on.

        Nothing unforeseen happens. Where a plan says nothing, the first agent goes on.
        """
        engine = imagine(copies, np.full(len(copies), TYPICAL))
        return self._play_planned(engine, self._agents[0], plans, np.iinfo(np.int64).max)

    def _play_planned(
        self, engine: BatchEngine, agent: Agent, plans: NDArray[np.int64], until: int
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Costs and plans of all copies of an engine, which follow plans for so many decisions, then the agent."""
        count = engine.num_copies
        agent.begin(np.arange(count, dtype=np.int64), [], np.full(count, TYPICAL), None)
        choice = agent.compiled_choice(count)
        assert choice is not None
        _, noted, _ = play_planned(engine, *choice[:4], plans, np.full(count, until))
        return self._sign * engine.objectives().astype(np.float64), noted
