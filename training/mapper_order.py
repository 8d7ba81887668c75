"""A training run by evolution strategies on the order in which memory mapping's mapper places storages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..agents.agent import Agent, Setting
from ..agents.arena import open_arena
from ..agents.checkpoint import Arrays, dump_arrays, parse_arrays
from ..agents.memory_mapping.agent import REFERENCE
from ..agents.memory_mapping.learned_order import (
    TRAINING_PASSES,
    TRAINING_VARIANTS,
    OrderPlayer,
    fresh_row,
    join_row,
    split_row,
)
from ..agents.memory_mapping.order_agent import MEMORY_MAPPING, OrderAgent, network_card, row_of
from ..envs.core.errors import FieldError, UserError
from ..envs.core.files import atomic_write, read_bounded
from ..envs.core.names import split_list
from ..envs.memory_mapping.generator import resolve
from .base import Run
from .books import Books
from .strategy import Strategy
from .validation import Validation

MAX_BYTES = 2**28
_LITTLE = 0.002  # differences of run times below this share count less
_ALL_VARIANTS = 0.1  # how much the mean over the variants counts beside the best of them


class Programs:
    """Programs on which orders are compared, and the run times of the reference on them.

    Args:
        text: a list of instances, as the environment's option ``instance`` takes it.

    Attributes:
        players: of each program.
        references: float64 [programs], the best judged run time of the reference, picoseconds.
    """

    def __init__(self, text: str) -> None:
        instances = [instance for item in split_list(text) for instance in resolve(item)]
        self.players = [OrderPlayer(instance, TRAINING_VARIANTS, "judge") for instance in instances]
        self.references = np.array(
            [min(x.all_hbm_ps, OrderPlayer(x, REFERENCE, "judge").best) for x in instances], dtype=np.float64
        )

    def costs(self, chosen: Sequence[int], rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Logarithms of run times over the reference's, float64 [programs, players, variants, passes]."""
        return np.log(np.array([self.players[k].costs(rows, TRAINING_PASSES) / self.references[k] for k in chosen]))


class ProgramValidation(Validation):
    """Held-out programs, by the geometric mean of run times over those of the reference.

    Args:
        setting: of the environment.
        text: the programs.
    """

    def __init__(self, setting: Setting, text: str) -> None:
        self.setting = setting
        self.rule, self.rule_score = "reference", 1.0
        self._programs = Programs(text)
        self.worlds = len(self._programs.players)

    def score(self, agent: Agent) -> float:
        assert isinstance(agent, OrderAgent)
        logs = self._programs.costs(range(len(self._programs.players)), agent.row[None]).min(axis=(1, 2, 3))
        first = np.log([player.first.min() for player in self._programs.players]) - np.log(self._programs.references)
        return float(np.exp(np.minimum(logs, first).mean()))


class MapperOrderRun(Run):
    """One run of evolution strategies on a learned order.

    As `EvolutionRun`, with programs drawn anew for each generation. The fitness is the difference of the logarithms of
    run times, which large programs do not dominate, in each program's own spread.
    """

    def make_validation(self) -> Validation:
        if self.env_id != MEMORY_MAPPING:
            raise FieldError("option agent", self.config.agent, f"another for {self.env_id!r}: it maps memory")
        if self.config.instances is None:
            raise FieldError("option instances", None, "programs to train on, for example mm-train")
        setting = open_arena(self.env_id, 1, self.env_options).setting
        return ProgramValidation(setting, self.config.held_out or self.config.instances)

    def prepare(self) -> None:
        self._programs = Programs(self.config.instances or "")
        rng = np.random.default_rng([self.config.seed, 0])
        self._strategy = Strategy(fresh_row(rng), self.config.seed)
        self._decisions = 0

    @property
    def decisions(self) -> int:
        """How often a program has been mapped."""
        return self._decisions

    @property
    def network(self) -> dict[str, Any]:
        return network_card()

    def weights(self) -> Arrays:
        return {name: array for name, array in split_row(self._strategy.average).items()}

    def take_up(self, weights: Arrays, source: str) -> None:
        self._strategy.begin_at(row_of(weights, source))

    def player(self) -> Agent:
        return OrderAgent(self.validation.setting, join_row(self.weights()))

    def is_finite(self) -> bool:
        return self._strategy.is_finite()

    def learn(self, books: Books) -> None:
        books.open()
        self.progress.phase("training")
        while self._decisions < self.config.steps:
            books.between_updates()
            self._evolve()

    def _evolve(self) -> None:
        """One generation."""
        config, done = self.config, self.spent()
        rng = self._strategy.next_generation()
        step = config.evolve_sigma * 0.25**done
        mean = self._strategy.mean
        directions = rng.normal(size=(config.evolve_directions, len(mean)))
        count = len(self._programs.players)
        chosen = rng.choice(count, size=min(config.evolve_worlds, count), replace=False).tolist()
        costs = self._programs.costs(chosen, mean + step * np.concatenate([directions, -directions]))
        self._decisions += costs.size
        best = costs.min(axis=(2, 3))
        costs = best + _ALL_VARIANTS * costs.min(axis=3).mean(axis=2)
        spread = costs.std(axis=1, keepdims=True) + _LITTLE
        fitness = -((costs - costs.mean(axis=1, keepdims=True)) / spread).mean(axis=0)
        self._strategy.follow(directions, fitness.reshape(2, -1), config.evolve_rate * 0.1**done)
        score = float(np.exp(best.mean()))
        self.logger.record("evolution/objective", score)
        self.progress.trained(self._decisions, score)

    def save_state(self, path: Path) -> None:
        meta = {**vars(self.counters), "generation": self._strategy.generation, "decisions": self._decisions}
        arrays = self._strategy.arrays()
        arrays["meta"] = np.frombuffer(json.dumps(meta, allow_nan=False).encode(), dtype=np.uint8)
        atomic_write(path, dump_arrays(arrays))

    def load_state(self, path: Path) -> Mapping[str, Any]:
        arrays = parse_arrays(read_bounded(path, MAX_BYTES), str(path))
        try:
            meta = json.loads(arrays["meta"].tobytes())
            generation, self._decisions = int(meta.pop("generation")), int(meta.pop("decisions"))
            if min(generation, self._decisions) < 0:
                raise ValueError(f"generation {generation}, decisions {self._decisions}")
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            raise UserError(f"{path}: not the state of such a run ({type(error).__name__}: {error})") from None
        self._strategy.restore(arrays, generation, str(path))
        return meta
