"""What learns in a SEQUOIA run: the Q-network in torch, and samples of it."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ..agents.restless_bandits.outlook import Outlook
from ..agents.restless_bandits.q_network import Weights, weight_shapes


class Sample(NamedTuple):
    """Some actions at a state.

    Attributes:
        arms: float32 [J, K - 1, F]. general: float32 [G].
        levels: float32 [A, J * (K - 1)], the arms' levels under each action.
        offset: float32 [A], what the network's value is added to, over the instance's unit.
    """

    arms: NDArray[np.float32]
    general: NDArray[np.float32]
    levels: NDArray[np.float32]
    offset: NDArray[np.float32]


class Labelled(NamedTuple):
    """Actions whose returns were simulated.

    Attributes:
        target: float32 [A], over the unit; the first action is the one that others are compared with.
    """

    sample: Sample
    target: NDArray[np.float32]


class Transition(NamedTuple):
    """One action that was played.

    Attributes:
        reward: expected, over the unit.
        after: the best action at the next state by the network then; None where the episode ended.
    """

    sample: Sample
    reward: float
    after: Sample | None


class Batch(NamedTuple):
    """Samples of one instance in torch, see `Sample`."""

    arms: torch.Tensor
    general: torch.Tensor
    levels: torch.Tensor
    offset: torch.Tensor


def join(samples: list[Sample]) -> Batch:
    """A batch of samples with equally many actions."""
    return Batch(*(torch.from_numpy(np.stack(column)) for column in zip(*samples, strict=True)))


class QNetwork(torch.nn.Module):
    """The network of `makespan.agents.restless_bandits.q_network` for many states at once.

    Args:
        weights: to begin with.
    """

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.weights = torch.nn.ParameterDict(
            {name: torch.nn.Parameter(torch.from_numpy(np.array(weights[name]))) for name in weight_shapes()}
        )

    def forward(self, batch: Batch, outlook: Outlook) -> torch.Tensor:
        """float32 [B, A]: values over the instance's unit."""
        w = self.weights
        hidden = torch.relu(batch.arms @ w["arm"] + w["arm_bias"])
        pooled = torch.cat([hidden.mean(dim=(1, 2)), batch.general], dim=1)
        context = torch.relu(pooled @ w["general"] + w["general_bias"])
        flat = hidden.flatten(1, 2)
        scale = outlook.model.instance.feasible.budget**-0.5
        first = scale * (batch.levels @ (flat @ w["embed"])) + (context @ w["first"] + w["first_bias"])[:, None]
        second = torch.relu(torch.relu(first) @ w["second"] + w["second_bias"])
        value = batch.offset + (context @ w["base"]) + (second @ w["output"])[..., 0]
        value = value + (batch.levels @ (flat @ w["correct"]))[..., 0]
        if len(outlook.pairs):
            one, other = (torch.from_numpy(outlook.pairs[:, side]) for side in range(2))
            u, v = hidden[:, one, 0], hidden[:, other, 0]
            features = torch.from_numpy(outlook.pair_features).expand(len(u), -1, -1)
            paired = torch.relu(torch.cat([u + v, u * v, features], dim=2) @ w["pair"] + w["pair_bias"])
            worth = (paired @ w["pair_output"])[..., 0]
            both = batch.levels[:, :, one] * batch.levels[:, :, other]
            value = value + (both * worth[:, None]).sum(dim=2)
        return value

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """The weights by name; copies."""
        return {name: value.detach().numpy().copy() for name, value in self.weights.items()}

    def take(self, weights: Weights) -> None:
        """Take these weights."""
        with torch.no_grad():
            for name, value in self.weights.items():
                value.copy_(torch.from_numpy(np.array(weights[name])))


def bytes_of(sample: Sample) -> int:
    """Memory that a sample takes."""
    return sum(array.nbytes for array in sample)


class Replay:
    """What was seen of each instance, the newest.

    Args:
        courses: how many instances there are.
        most: samples in all.
        most_bytes: memory in all, by the size of the first.
    """

    def __init__(self, courses: int, most: int, most_bytes: int) -> None:
        self._courses, self._most, self._most_bytes = courses, most, most_bytes
        self._kept: list[deque] = []

    def add(self, course: int, item: Labelled | Transition) -> None:
        """Keep an item of a course."""
        if not self._kept:
            fitting = min(self._most, self._most_bytes // (2 * bytes_of(item.sample)))
            self._kept = [deque(maxlen=max(fitting // self._courses, 1)) for _ in range(self._courses)]
        self._kept[course].append(item)

    def draw(self, count: int, rng: np.random.Generator) -> tuple[int, list]:
        """(course, items) of one instance, drawn with repetition; no items where there are none yet."""
        filled = [course for course, items in enumerate(self._kept) if items]
        if not filled:
            return 0, []
        course = filled[int(rng.integers(len(filled)))]
        items = self._kept[course]
        return course, [items[k] for k in rng.integers(0, len(items), count).tolist()]
