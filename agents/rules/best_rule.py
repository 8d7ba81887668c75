"""The best rule of an environment, chosen on training instances: the bar that an online decision maker has to clear."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.core.errors import UserError
from ...envs.core.random import RESERVED_SEEDS, combine
from ..agent import Setting
from ..arena import Case, open_arena, play
from .agent import RuleAgent
from .rule import Rule, applicable_rules

TRAINING_WORLDS = 128

_TAG = int.from_bytes(b"bestrule", "big")


def training_cases(count: int = TRAINING_WORLDS) -> list[Case]:
    """The worlds on which rules are compared: the environment's own choice of instance by seeds that no user types."""
    return [Case(None, RESERVED_SEEDS + int(combine(_TAG, number) >> np.uint64(2))) for number in range(count)]


def best_rule(setting: Setting) -> Rule:
    """The rule with the best mean objective on training instances, ties to the first registered.

    Chosen once in a process for each environment with its options.

    Raises:
        UserError: the environment has no rules.
    """
    rules = list(applicable_rules(setting.env_id, setting.options).values())
    if not rules:
        raise UserError(f"environment {setting.env_id!r} has no rules")
    costs = setting.sign * training_objectives(setting, rules).mean(axis=1)
    return rules[int(costs.argmin())]


def training_objectives(setting: Setting, rules: list[Rule]) -> NDArray[np.float64]:
    """Objectives of rules on the training worlds: float64 [rules, worlds]."""
    options: dict[str, Any] = {key: value for key, value in setting.options.items() if key != "instance"}
    if setting.training_instances is not None:
        options["instance"] = setting.training_instances
    return _objectives(setting.env_id, tuple(sorted(options.items())), tuple(rule.name for rule in rules))


@lru_cache(maxsize=64)
def _objectives(env_id: str, options: tuple[tuple[str, Any], ...], names: tuple[str, ...]) -> NDArray[np.float64]:
    cases = training_cases()
    arena = open_arena(env_id, len(cases), dict(options))
    rules = applicable_rules(env_id, dict(options))
    objectives = np.zeros((len(names), len(cases)))
    for row, name in enumerate(names):
        episodes = play(arena, RuleAgent([rules[name]], arena.setting), cases)
        objectives[row] = [episode.objective for episode in episodes]
    return objectives
