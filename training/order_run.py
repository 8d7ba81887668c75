"""What training runs on learned orders have in common: weights that are compared on instances given by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from ..agents.agent import Agent, Setting
from ..agents.arena import open_arena
from ..agents.checkpoint import Arrays
from ..envs.core.errors import FieldError
from .evolving import EvolvingRun
from .validation import Validation

_LITTLE = 0.002  # differences of costs below this share count less


class Ordered(ABC):
    """Instances on which learned orders are compared.

    Attributes:
        reference: who costs are relative to.
    """

    reference: str

    @abstractmethod
    def __len__(self) -> int:
        """How many there are."""

    @abstractmethod
    def costs(self, chosen: Sequence[int], rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Logarithms of costs over the reference's, float64 [instances, rows, variants, passes]."""

    @abstractmethod
    def score(self, row: NDArray[np.float64]) -> float:
        """Geometric mean of costs over the reference's, of all instances; the reference itself is at hand."""


class OrderAgent(Protocol):
    """An agent that is one row of weights."""

    row: NDArray[np.float64]


class OrderValidation(Validation):
    """Held-out instances, by the geometric mean of costs over those of the reference."""

    def __init__(self, setting: Setting, instances: Ordered) -> None:
        self.setting = setting
        self.rule, self.rule_score = instances.reference, 1.0
        self.worlds = len(instances)
        self.instances = instances

    def score(self, agent: Agent) -> float:
        return self.instances.score(cast(OrderAgent, agent).row)


class OrderRun(EvolvingRun):
    """One run of evolution strategies on a learned order.

    Instances are drawn anew for each generation. The fitness is the difference of the logarithms of costs, which large
    instances do not dominate, in each instance's own spread.

    Attributes:
        plays: id of the environment that it is for.
        purpose: what the agent does there.
        examples: what may be trained on.
        share_of_all: how much the mean over the variants counts beside the best of them.
    """

    plays: str
    purpose: str
    examples: str
    share_of_all: float

    @abstractmethod
    def load(self, text: str) -> Ordered:
        """The instances of a list, as the environment's option ``instance`` takes it.

        Raises:
            UserError: one cannot be had.
        """

    @abstractmethod
    def fresh_row(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Weights to begin with."""

    @abstractmethod
    def split(self, row: NDArray[np.float64]) -> Mapping[str, NDArray[np.float32]]:
        """Arrays by name from a row."""

    @abstractmethod
    def join(self, weights: Arrays, source: str) -> NDArray[np.float64]:
        """A row from arrays by name.

        Raises:
            UserError: they do not fit; `source` says where they come from.
        """

    @abstractmethod
    def agent(self, row: NDArray[np.float64]) -> Agent:
        """Who plays by a row, an `OrderAgent`."""

    def make_validation(self) -> Validation:
        if self.env_id != self.plays:
            raise FieldError("option agent", self.config.agent, f"another for {self.env_id!r}: it {self.purpose}")
        if self.config.instances is None:
            raise FieldError("option instances", None, self.examples)
        setting = open_arena(self.env_id, 1, self.env_options).setting
        return OrderValidation(setting, self.load(self.config.held_out or self.config.instances))

    def prepare(self) -> None:
        self._instances = self.load(self.config.instances or "")
        self.evolve_from(self.fresh_row(np.random.default_rng([self.config.seed, 0])))

    def weights(self) -> Arrays:
        return cast(Arrays, dict(self.split(self._strategy.average)))

    def take_up(self, weights: Arrays, source: str) -> None:
        self._strategy.begin_at(self.join(weights, source))

    def player(self) -> Agent:
        return self.agent(self.join(self.weights(), "this run"))

    def compare(self, members: NDArray[np.float64], rng: np.random.Generator) -> tuple[NDArray[np.float64], float, int]:
        count = len(self._instances)
        chosen = rng.choice(count, size=min(self.config.evolve_worlds, count), replace=False).tolist()
        every = self._instances.costs(chosen, members)
        best = every.min(axis=(2, 3))
        costs = best + self.share_of_all * every.min(axis=3).mean(axis=2)
        spread = costs.std(axis=1, keepdims=True) + _LITTLE
        fitness = -((costs - costs.mean(axis=1, keepdims=True)) / spread).mean(axis=0)
        return fitness, float(np.exp(best.mean())), every.size
