"""Trees as agents: on batches of observations anywhere, and whole episodes in compiled code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.core.errors import FieldError, UserError
from ..agent import Agent, CompiledChoice, Observation, Setting
from ..rules.agent import RuleAgent
from ..rules.choice import rule_parameters
from ..rules.rule import Rule, named_rule
from .arrays import Tree, read_tree
from .choice import choose_all, choose_by_das, choose_by_tree, say_all, slot_row, state_row
from .inputs import slot_inputs


class TreeAgent(Agent):
    """Plays the legal slot of which a tree says most, ties to the lowest.

    Args:
        name: how tables call it.
        tree: over the inputs of a slot, see `makespan.agents.tree.inputs`.
        setting: of the environment.

    Raises:
        UserError: see `slot_row`.
    """

    def __init__(self, name: str, tree: Tree, setting: Setting) -> None:
        self.name, self.tree = name, tree
        self._special = len(setting.spec.special_actions)
        self._row = slot_row(tree, setting.spec)

    def act(self, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.int64]:
        n = len(mask)
        chosen = np.zeros(n, dtype=np.int64)
        features = np.ascontiguousarray(observation["actions/features"]).reshape(n, -1)
        state = np.ascontiguousarray(observation["globals"])
        choose_all(features, state, np.ascontiguousarray(mask), self._special, self._row, chosen)
        return chosen

    def compiled_choice(self, copies: int) -> CompiledChoice:
        return _plain_choice(choose_by_tree, self._row, copies)


class DasAgent(Agent):
    """At each decision a tree over the globals names the rule that decides: the slow one where it says more than 0.

    After Goksoy et al., "DAS: Dynamic adaptive scheduling for energy-efficient heterogeneous SoCs", IEEE Embedded
    Systems Letters, 2022, cited from memory.

    Args:
        name: how tables call it.
        tree: over the globals.
        fast, slow: the rules.
        setting: of the environment.

    Raises:
        UserError: a rule looks at something that the observation lacks.
    """

    def __init__(self, name: str, tree: Tree, fast: Rule, slow: Rule, setting: Setting) -> None:
        self.name, self.tree = name, tree
        self.rules = RuleAgent([fast], setting), RuleAgent([slow], setting)
        self._row = state_row(tree, rule_parameters([fast, slow], setting.spec))

    def act(self, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.int64]:
        values = np.zeros(len(mask), dtype=np.float32)
        say_all(np.ascontiguousarray(observation["globals"]), self._row, values)
        fast, slow = (rule.act(observation, mask) for rule in self.rules)
        return np.where(values > 0, slow, fast)

    def compiled_choice(self, copies: int) -> CompiledChoice:
        return _plain_choice(choose_by_das, self._row, copies)


def _plain_choice(choose: Any, row: NDArray[np.int64], copies: int) -> CompiledChoice:
    """A choice by one row without randomness."""
    none = np.zeros(copies, dtype=np.int64)
    return CompiledChoice(choose, row[None], none, np.zeros(copies, dtype=np.uint64), none.copy())


def tree_agent(
    name: str, network: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], setting: Setting, source: str
) -> TreeAgent | DasAgent:
    """The agent in a checkpoint.

    Args:
        name: how tables call it.
        network: the card's description, ``{"kind": "tree"}`` or ``{"kind": "das", "fast": "met", "slow": "min-min"}``.
        arrays: of the tree.
        setting: of the environment.
        source: the checkpoint, for messages.

    Raises:
        UserError: the arrays are no tree, or a rule is unknown or has no meaning here.
    """
    if network.get("kind") == "das":
        fast, slow = (card_rule(network, key, setting, source) for key in ("fast", "slow"))
        return DasAgent(name, read_tree(arrays, len(setting.spec.globals), source), fast, slow, setting)
    try:
        return TreeAgent(name, read_tree(arrays, slot_inputs(setting.spec), source), setting)
    except UserError as error:
        raise UserError(str(error) if source in str(error) else f"checkpoint {source!r}: {error}") from None


def card_rule(network: Mapping[str, Any], key: str, setting: Setting, source: str) -> Rule:
    """One of the rules that a card names.

    Raises:
        UserError: it is missing, unknown, or has no meaning here.
    """
    name = network.get(key)
    if not isinstance(name, str):
        raise FieldError(f"network.{key}", name, "the name of a rule", f"checkpoint {source!r}")
    return named_rule(name, setting.env_id, setting.options, f"network.{key} of checkpoint {source!r}")
