"""What training by evolution strategies has in common, whatever the weights are for."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..agents.checkpoint import dump_arrays, parse_arrays
from ..envs.core.errors import UserError
from ..envs.core.files import atomic_write, read_bounded
from .base import Run
from .books import Books
from .strategy import Strategy

MAX_BYTES = 2**28


class EvolvingRun(Run):
    """One run of evolution strategies. Step size and rate fall geometrically, to a quarter and a tenth, while the
    budget is spent; what is validated and kept is a running mean of the weights.

    A subclass calls `evolve_from` in `prepare`, and says in `compare` how well weights do.
    """

    def evolve_from(self, weights: NDArray[np.float64]) -> None:
        """Begin with these weights, and with nothing done."""
        self._strategy = Strategy(weights, self.config.seed)
        self._decisions = 0

    @abstractmethod
    def compare(self, members: NDArray[np.float64], rng: np.random.Generator) -> tuple[NDArray[np.float64], float, int]:
        """How well weights do in this generation.

        Args:
            members: float64 [M, W], the weights.
            rng: the generation's randomness.

        Returns:
            float64 [M], the fitness, of which only differences count; the objective that is told; decisions made.
        """

    @property
    def decisions(self) -> int:
        return self._decisions

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
        fitness, score, made = self.compare(mean + step * np.concatenate([directions, -directions]), rng)
        self._decisions += made
        self._strategy.follow(directions, fitness.reshape(2, -1), config.evolve_rate * 0.1**done)
        self.logger.record("evolution/objective", score)
        self.progress.trained(self._decisions, score)

    def own_numbers(self) -> dict[str, float]:
        """What else is to be saved."""
        return {}

    def restore_numbers(self, numbers: Mapping[str, float]) -> None:
        """Take up what `own_numbers` gave."""

    def save_state(self, path: Path) -> None:
        meta = {**vars(self.counters), "generation": self._strategy.generation, "decisions": self._decisions}
        arrays = self._strategy.arrays()
        content = json.dumps({**meta, **self.own_numbers()}, allow_nan=False)
        arrays["meta"] = np.frombuffer(content.encode(), dtype=np.uint8)
        atomic_write(path, dump_arrays(arrays))

    def load_state(self, path: Path) -> Mapping[str, Any]:
        arrays = parse_arrays(read_bounded(path, MAX_BYTES), str(path))
        try:
            meta = json.loads(arrays["meta"].tobytes())
            generation, self._decisions = int(meta.pop("generation")), int(meta.pop("decisions"))
            self.restore_numbers({name: float(meta.pop(name)) for name in self.own_numbers()})
            if min(generation, self._decisions) < 0:
                raise ValueError(f"generation {generation}, decisions {self._decisions}")
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            raise UserError(f"{path}: not the state of such a run ({type(error).__name__}: {error})") from None
        self._strategy.restore(arrays, generation, str(path))
        return meta
