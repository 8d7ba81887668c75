"""The scorer as an agent: on batches of observations anywhere, and whole episodes in compiled code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.core.compile import compiled
from ...envs.core.engine import BatchEngine
from ...envs.core.player import action_table
from ..agent import Agent, CompiledChoice, Imagine, Observation
from ..streams import Streams
from .choice import NOISE, choose_by_scorer, score_slots, write_scores


@compiled
def choose_all(features, state, mask, parameters, rows, keys, decisions, chosen):
    """The choice of each copy that has a legal action, counting its decisions; 0 for the others.

    Args:
        features: float32 [n, A * F], the slots' features.
        state: float32 [n, G].
        mask: int8 [n, A].
        parameters, rows, keys, decisions: as `makespan.envs.core.player.make_player` takes them.
        chosen: int64 [n], filled.
    """
    slots, count = mask.shape[1], state.shape[1]
    width = features.shape[1] // slots
    for i in range(mask.shape[0]):
        chosen[i] = 0
        legal = False
        for a in range(slots):
            legal = legal or mask[i, a] != 0
        if legal:
            row = parameters[rows[i]]
            noise = row[NOISE]
            chosen[i] = score_slots(
                features[i], 0, width, state[i], 0, count, row, mask[i], 0, slots, noise, keys[i], decisions[i]
            )
            decisions[i] += 1


class ScorerAgent(Agent):
    """Plays scorers: with n copies and R of them, copy i plays by scorer i * R // n.

    Args:
        name: how tables call it.
        table: float32 [R, P], one row (see `makespan.agents.scorer.choice`) for each scorer.
        samples: tries at each world, of which the best counts; they differ where the scorer's choices are noised.
    """

    def __init__(self, name: str, table: NDArray[np.float32], samples: int = 1) -> None:
        self.name, self.samples = name, samples
        self._table = np.ascontiguousarray(table, dtype=np.float32)
        self._streams = Streams()

    def begin(
        self,
        copies: NDArray[np.int64],
        instances: Sequence[Any],
        keys: NDArray[np.uint64],
        imagine: Imagine | None,
    ) -> None:
        self._streams.begin(copies, keys)

    def _rows(self, copies: int) -> NDArray[np.int64]:
        return np.arange(copies, dtype=np.int64) * len(self._table) // copies

    def act(self, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.int64]:
        n = len(mask)
        chosen = np.zeros(n, dtype=np.int64)
        features = np.ascontiguousarray(observation["actions/features"]).reshape(n, -1)
        state = np.ascontiguousarray(observation["globals"])
        given = np.ascontiguousarray(mask)
        choose_all(features, state, given, self._table, self._rows(n), *self._streams.of(n), chosen)
        return chosen

    def compiled_choice(self, copies: int) -> CompiledChoice:
        return CompiledChoice(choose_by_scorer, self._table, self._rows(copies), *self._streams.of(copies))


class ScorerPolicy:
    """A scorer that scores the slots of imagined copies, see `makespan.agents.policy_beam`.

    Args:
        row: float32 [P], see `makespan.agents.scorer.choice`; its noise does not count.
    """

    observes = False
    fixed_batch = False

    def __init__(self, row: NDArray[np.float32]) -> None:
        self._row = row

    def scores(self, engine: BatchEngine, kept: NDArray[np.bool_], depth: int) -> NDArray[np.float64]:
        scores = np.empty((engine.num_copies, engine.sizes.actions))
        write_scores(engine.view, action_table(engine), self._row, kept, scores)
        return scores
