"""The outcome of an episode as data: which arms were acted on in each epoch, and how all arms moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FieldError
from ..core.instance import check_header, require_integer, require_keys, require_list
from .instance import MAX_STATES, BanditInstance
from .measure import visit_metrics
from .options import REWARDS

FORMAT = "makespan/restless-bandits-schedule"
VERSION = 1
_KEYS = ("format", "version", "instance", "seed", "reward", "objective", "min_visits", "states", "actions")


@dataclass(frozen=True, eq=False)
class BanditSchedule:
    """An episode, or its beginning.

    Attributes:
        instance: what was played.
        states: int8 [T + 1, J], before each of T epochs and after the last.
        actions: int8 [T, N].
        objective: what it paid.
        reward: "realised" or "expected": what an epoch pays.
        seed: of the world, -1 where it is not known.
        min_visits: every arm was to be visited so often.
    """

    instance: BanditInstance
    states: NDArray[np.int8]
    actions: NDArray[np.int8]
    objective: float
    reward: str = "realised"
    seed: int = -1
    min_visits: int = 0

    @property
    def epochs(self) -> int:
        """T."""
        return len(self.actions)

    def levels(self) -> NDArray[np.int64]:
        """int64 [T, J]: the level at which each arm was acted on."""
        if not self.epochs:
            return np.zeros((0, self.instance.num_arms), dtype=np.int64)
        return np.stack([self.instance.levels(action) for action in self.actions])

    def metrics(self) -> dict[str, Any]:
        """What the episode paid, and who was left out."""
        before, after = self.states[:-1], self.states[1:]
        pairs = zip(before, self.actions, strict=True)
        return {
            "return": float(sum(self.instance.realised_reward(states) for states in after)),
            "expected_return": float(sum(self.instance.expected_reward(*pair) for pair in pairs)),
            "epochs": self.epochs,
            **visit_metrics((self.levels() > 0).sum(axis=0), self.instance.group),
        }

    def to_dict(self) -> dict[str, Any]:
        """The schedule as plain JSON data; `from_dict` reads it back."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "instance": self.instance.to_dict(),
            "seed": self.seed,
            "reward": self.reward,
            "objective": self.objective,
            "min_visits": self.min_visits,
            "states": self.states.tolist(),
            "actions": self.actions.tolist(),
        }

    @classmethod
    def from_dict(cls, data: Any, source: str | None = None) -> BanditSchedule:
        """The schedule whose `to_dict` gave `data`.

        Raises:
            UserError: a field is missing, unknown or malformed.
        """
        check_header(data, FORMAT, (VERSION,), source)
        require_keys("the document", data, _KEYS, (), source)
        if not isinstance(data["instance"], Mapping):
            raise FieldError("instance", data["instance"], "an object", source)
        instance = BanditInstance.from_dict(data["instance"], source)
        objective = data["objective"]
        if isinstance(objective, bool) or not isinstance(objective, int | float):
            raise FieldError("objective", objective, "a number", source)
        if data["reward"] not in REWARDS:
            raise FieldError("reward", data["reward"], " or ".join(map(repr, REWARDS)), source)
        actions = _table("actions", data["actions"], instance.num_elements, 2, source)
        states = _table("states", data["states"], instance.num_arms, MAX_STATES, source)
        if len(states) != len(actions) + 1:
            raise FieldError("states", f"{len(states)} rows", f"{len(actions) + 1}, one more than actions", source)
        return cls(
            instance,
            states,
            actions,
            float(objective),
            data["reward"],
            require_integer("seed", data["seed"], -1, 2**63 - 1, source),
            require_integer("min_visits", data["min_visits"], 0, 10_000, source),
        )


def _table(field: str, value: Any, columns: int, below: int, source: str | None) -> NDArray[np.int8]:
    rows = require_list(field, value, source)
    for t, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != columns:
            raise FieldError(f"{field}[{t}]", row, f"a list of {columns} integers", source)
        for k, one in enumerate(row):
            require_integer(f"{field}[{t}][{k}]", one, 0, below - 1, source)
    return np.array(rows, dtype=np.int8).reshape(len(rows), columns)
