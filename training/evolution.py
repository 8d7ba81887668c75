"""A training run by evolution strategies: scorers are moved about at random and follow those that did better.

See `makespan.training.strategy`; fitness by ranks, for each world by itself, so that large instances do not drown small
ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from ..agents.agent import Agent
from ..agents.arena import Case, open_arena, play_to_end
from ..agents.checkpoint import Arrays
from ..agents.learned import check_scorer
from ..agents.scorer.agent import ScorerAgent
from ..agents.scorer.choice import FIRST_WEIGHT, HIDDEN, NOISE, TEMPERATURE, join_row, split_row, weight_shapes
from .bridge import training_seed
from .evolving import EvolvingRun
from .validation import refuse_strange_objectives

# How far scores lie apart is nothing to evolution, but decides what a temperature means.
_SCALES = 2.0 ** np.array([0, 1, -1, 2, -2, 3, -3, 4, -4, -5, -6])  # of equals the one nearest to 1


class EvolutionRun(EvolvingRun):
    """One run of evolution strategies on a scorer.

    Each generation draws D directions, plays the weights moved along and against each of them on the same W fresh
    worlds, and follows the mean of the directions weighted by their difference in rank, by Adam. Step size and rate
    fall geometrically, to a quarter and a tenth, while the budget is spent. What is validated and kept is a running
    mean of the weights. Everything random in a generation is drawn from the seed and its number, so that a run is
    resumed by its numbers alone.
    """

    def prepare(self) -> None:
        config = self.config
        self._members = 2 * config.evolve_directions
        self._arena = open_arena(self.env_id, self._members * config.evolve_worlds, self.env_options, device="cpu")
        rng = np.random.default_rng([config.seed, 0])
        parts = []
        for name, shape in weight_shapes(self.spec).items():
            spread = 0.0 if "bias" in name else 0.3 if name == "score" else 1.0 / np.sqrt(max(shape[0], 1))
            parts.append(spread * rng.normal(size=shape).reshape(-1))
        self.evolve_from(np.concatenate(parts))
        self._scale, self._scaled = 1.0, -1  # of the scores, and in which generation it was found

    @property
    def network(self) -> dict[str, Any]:
        return {"kind": "scorer", "hidden": HIDDEN}

    def weights(self) -> Arrays:
        arrays = split_row(self._rows(self._strategy.average[None])[0], self.spec)
        return arrays | {"score": (arrays["score"] * self._scale).astype(np.float32)}

    def take_up(self, weights: Arrays, source: str) -> None:
        check_scorer(weights, self.spec, source)
        self._strategy.begin_at(join_row(weights, self.spec)[FIRST_WEIGHT:].astype(np.float64))

    def validate(self) -> float:
        if self._scaled != self._strategy.generation:
            self._scale, self._scaled = self._best_scale(), self._strategy.generation
        return super().validate()

    def _best_scale(self) -> float:
        """The scale of the scores with which samples at `TEMPERATURE` find the best plans in training worlds.

        Compiled environments alone: in plain Python it would cost as much as many generations.
        """
        if self._arena.engine is None:
            return 1.0
        first = training_seed(self.config.seed, 0)
        cases = [Case(None, first + number) for number in range(self.config.evolve_worlds)]
        best = []
        for scale in _SCALES:
            table = self._rows(self._strategy.average[None])
            table[:, NOISE] = TEMPERATURE / scale
            played = play_to_end(self._arena, ScorerAgent("scorer", table, self._members), cases)
            best.append(played.costs.reshape(len(cases), self._members).min(axis=1))
        table = np.array(best)
        return float(_SCALES[np.argmin(rankdata(table, axis=0).mean(axis=1))])

    def player(self) -> Agent:
        return ScorerAgent("scorer", self._rows(self._strategy.average[None]))

    @staticmethod
    def _rows(weights: NDArray[np.float64]) -> NDArray[np.float32]:
        """Rows that choose without noise."""
        return np.pad(weights, ((0, 0), (FIRST_WEIGHT, 0))).astype(np.float32)

    def compare(self, members: NDArray[np.float64], rng: np.random.Generator) -> tuple[NDArray[np.float64], float, int]:
        costs, decisions = self._costs(self._rows(members))
        # In (-1/2, 1/2), a world's best scorer first; ties share their rank.
        ranks = (rankdata(costs, axis=0) - 1.0) / (len(costs) - 1.0) - 0.5
        return -ranks.mean(axis=1), float(self.validation.setting.sign * costs.mean()), decisions

    def _costs(self, table: NDArray[np.float32]) -> tuple[NDArray[np.float64], int]:
        """Costs of members on the generation's worlds, float64 [members, worlds], and decisions made.

        Raises:
            UserError: an episode ended with an objective that is no number.
        """
        worlds = self.config.evolve_worlds
        first = training_seed(self.config.seed, self._strategy.generation)
        cases = [Case(None, first + number) for number in range(worlds)] * self._members
        played = play_to_end(self._arena, ScorerAgent("scorer", table), cases)
        refuse_strange_objectives(self._arena.setting.sign * played.costs, self.env_id)
        return played.costs.reshape(self._members, worlds), int(played.decisions.sum())

    def own_numbers(self) -> dict[str, float]:
        return {"scale": self._scale}

    def restore_numbers(self, numbers: Mapping[str, float]) -> None:
        self._scale = numbers["scale"]
