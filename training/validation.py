"""How good a policy is on held-out worlds, beside the best rule on the same worlds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..agents.agent import Agent, Setting
from ..agents.arena import Case, open_arena, play
from ..agents.catalogue import make_agent
from ..agents.rules.rule import applicable_rules
from ..envs.core.errors import UserError
from ..envs.core.random import RESERVED_SEEDS, combine

_TAG = int.from_bytes(b"validate", "big")


class Validation:
    """A fixed set of worlds of one environment that training never meets.

    Attributes:
        setting: of the environment.
        worlds: how many there are.
        rule: the single rule that is best on these worlds, None where the environment has none.
        rule_score: its mean objective.

    Raises:
        UserError: an option is wrong, or the environment does not keep the contract.
    """

    def __init__(self, env_id: str, options: Mapping[str, Any], worlds: int) -> None:
        self.worlds = worlds
        self._cases = [
            Case(None, RESERVED_SEEDS + int(combine(_TAG, number) >> np.uint64(2))) for number in range(worlds)
        ]
        self._arena = open_arena(env_id, worlds, options)
        self.setting: Setting = self._arena.setting
        self.rule: str | None = None
        self.rule_score = float("nan")
        for rule in applicable_rules(env_id, self.setting.options):
            score = self.score(make_agent(rule, self.setting))
            if self.rule is None or self.is_better(score, self.rule_score):
                self.rule, self.rule_score = rule, score

    def score(self, agent: Agent) -> float:
        """Mean objective of an agent that plays each world once.

        Raises:
            UserError: an episode ended with an objective that is no number.
        """
        objectives = [episode.objective for episode in play(self._arena, agent, self._cases)]
        refuse_strange_objectives(objectives, self.setting.env_id)
        return float(np.mean(objectives))

    def is_better(self, score: float, other: float) -> bool:
        """Whether a mean objective is better than another."""
        return self.setting.sign * score < self.setting.sign * other


def refuse_strange_objectives(objectives: ArrayLike, env_id: str) -> None:
    """Raise where an episode of an environment ended with an objective that is no finite number.

    Raises:
        UserError: one did.
    """
    given = np.asarray(objectives, dtype=np.float64).ravel()
    strange = given[~np.isfinite(given)]
    if len(strange):
        raise UserError(f"environment {env_id!r} ended with objective {strange[0]}, expected a finite number")
