"""Evolution strategies without what is evolved: weights are moved about at random and follow what did better.

Salimans, Ho, Chen, Sidor & Sutskever, "Evolution strategies as a scalable alternative to reinforcement learning",
arXiv 1703.03864, with mirrored directions and Adam. What is kept is a running mean of the weights (Polyak & Juditsky,
"Acceleration of stochastic approximation by averaging", SIAM J. Control Optim. 30(4), 1992), since neighbouring weights
differ by a per cent or two for no reason.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..agents.checkpoint import Arrays
from ..envs.core.errors import UserError

_MOMENTUM, _SECOND = 0.9, 0.99
_SMALLEST = 1e-8
_DECAY = 5e-4
_AVERAGED = 0.98


class Strategy:
    """The state of an evolution strategy. Everything random in a generation comes from the seed and its number.

    Args:
        mean: float64 [P], to begin with.
        seed: of the directions.

    Attributes:
        mean: the weights that are moved about.
        average: what is kept.
        generation: how many there were.
    """

    def __init__(self, mean: NDArray[np.float64], seed: int) -> None:
        self.seed, self.generation = seed, 0
        self._first, self._second = np.zeros_like(mean), np.zeros_like(mean)
        self.begin_at(mean)

    def begin_at(self, mean: NDArray[np.float64]) -> None:
        """Go on from other weights."""
        self.mean, self.average = mean.copy(), mean.copy()

    def next_generation(self) -> np.random.Generator:
        """Begin a generation; returns its randomness."""
        self.generation += 1
        return np.random.default_rng([self.seed, self.generation])

    def follow(self, directions: NDArray[np.float64], fitness: NDArray[np.float64], rate: float) -> None:
        """Make a step.

        Args:
            directions: float64 [D, P], in which the weights were moved.
            fitness: float64 [2, D], of the weights moved along each direction, and against it.
            rate: learning rate.
        """
        slope = (fitness[0] - fitness[1]) @ directions
        length = np.linalg.norm(slope)
        if length > 0:
            slope *= np.sqrt(len(slope)) / length
        self._first = _MOMENTUM * self._first + (1.0 - _MOMENTUM) * slope
        self._second = _SECOND * self._second + (1.0 - _SECOND) * slope**2
        first = self._first / (1.0 - _MOMENTUM**self.generation)
        second = self._second / (1.0 - _SECOND**self.generation)
        self.mean += rate * first / (np.sqrt(second) + _SMALLEST)
        self.mean *= 1.0 - _DECAY
        kept = min(_AVERAGED, self.generation / (self.generation + 9.0))  # the start is soon forgotten
        self.average = kept * self.average + (1.0 - kept) * self.mean

    def is_finite(self) -> bool:
        """Whether all weights are numbers."""
        return bool(np.isfinite(self.mean).all())

    def arrays(self) -> Arrays:
        """What `restore` takes up, beside the generation."""
        return {"mean": self.mean, "first": self._first, "second": self._second, "average": self.average}

    def restore(self, arrays: Arrays, generation: int, source: str) -> None:
        """Take up what `arrays` gave.

        Raises:
            UserError: an array is missing, or of another shape, or holds what is no number. The message begins with
                `source`.
        """
        names = tuple(self.arrays())
        for name in names:
            if name not in arrays:
                raise UserError(f"{source}: not the state of such a run (no {name!r})")
            array = arrays[name]
            if array.shape != self.mean.shape or array.dtype != np.float64 or not np.isfinite(array).all():
                raise UserError(f"{source}: not the state of such a run (weights of shape {array.shape})")
        self.mean, self._first, self._second, self.average = (arrays[name].copy() for name in names)
        self.generation = generation
