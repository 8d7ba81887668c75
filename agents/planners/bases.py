"""Bases: who goes on after an action in playouts, by name: rules of the environment, trained scorers and trees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ...envs.core.errors import UserError
from ...envs.core.names import check_options, parse_name
from ..agent import Agent, Setting
from ..checkpoint import Arrays
from ..rules.agent import RuleAgent
from ..rules.rule import named_rule

SCORER = "scorer"


class Base(NamedTuple):
    """Who goes on.

    Attributes:
        name: of the rule; ``scorer`` for a trained one, numbered from the second on.
        agent: plays in compiled code.
        weights: of a scorer, so that whoever depends on it can keep it; empty for rules and trees.
    """

    name: str
    agent: Agent
    weights: Arrays


def make_bases(names: str, setting: Setting, where: str, trees: bool = False) -> list[Base]:
    """Bases by their names, joined by ``+``: rules, and paths of scorers' checkpoints (with a slash).

    Args:
        names: ``spt+checkpoints/job_shop_scorer``.
        setting: of the environment.
        where: what the names stand in, for the message.
        trees: whether paths of trees are taken, too.

    Raises:
        UserError: a rule is unknown or has no meaning here, a checkpoint is no scorer's or is given options, or a name
            is given twice.
    """
    given = names.split("+")
    if len(set(given)) != len(given):
        raise UserError(f"{where} names somebody twice: {names}")
    bases: list[Base] = []
    for name, path in zip(base_names(names), given, strict=True):
        if "/" in path:
            from ..learned import holds_tree, load_scorer, load_tree

            checkpoint = parse_name(path, "agent")
            if trees and holds_tree(checkpoint):
                bases.append(Base(name, load_tree(checkpoint, setting), {}))
                continue
            check_options(checkpoint, "scorer", ())
            weights, agent = load_scorer(checkpoint, setting)
            bases.append(Base(name, agent, weights))
        else:
            bases.append(_rule_base(name, setting, where))
    return bases


def base_names(names: str) -> list[str]:
    """What `make_bases` calls the bases: rules by their names, scorers by their number."""
    called: list[str] = []
    scorers = 0
    for name in names.split("+"):
        scorers += "/" in name
        called.append(name if "/" not in name else SCORER if scorers == 1 else f"{SCORER}-{scorers}")
    return called


def _rule_base(name: str, setting: Setting, where: str) -> Base:
    rule = named_rule(name, setting.env_id, setting.options, where)
    return Base(name, RuleAgent([rule], setting), {})


def keep_bases(bases: Sequence[Base]) -> Arrays:
    """What a checkpoint must hold so that `restore_bases` finds the same bases again."""
    return {f"{base.name}.{name}": array for base in bases for name, array in base.weights.items()}


def restore_bases(names: Sequence[str], arrays: Mapping[str, Any], setting: Setting, where: str) -> list[Base]:
    """The bases that a checkpoint was trained with.

    Args:
        names: of the bases.
        arrays: what `keep_bases` gave.
        setting: of the environment.
        where: the checkpoint, for messages.

    Raises:
        UserError: a rule is unknown or has no meaning here, a scorer's weights are missing or do not fit, or an array
            is nobody's.
    """
    from ..learned import scorer_agent

    bases: list[Base] = []
    for name in names:
        if name.split("-")[0] == SCORER:
            weights = {key[len(name) + 1 :]: array for key, array in arrays.items() if key.startswith(f"{name}.")}
            bases.append(Base(name, scorer_agent(name, weights, setting.spec, where), weights))
        else:
            bases.append(_rule_base(name, setting, where))
    strange = sorted(arrays.keys() - keep_bases(bases).keys())
    if strange:
        raise UserError(f"checkpoint {where!r} holds the unknown tensor {strange[0]!r}")
    return bases
