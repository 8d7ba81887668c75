"""Rules as data: which action features a rule compares, in which order. Light to import: plug-ins register theirs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module

from ...envs.core.errors import UnknownNameError, UserError
from ...envs.core.names import OptionValue, parse_name


@dataclass(frozen=True)
class ConflictSet:
    """Giffler and Thompson's restriction of a choice to the operations that compete for one machine.

    Among the legal actions the one of least earliest completion C* names the resource; only actions on that resource
    that can start before C* remain (Giffler & Thompson, "Algorithms for solving production-scheduling problems",
    Operations Research 8(4), 1960): every schedule so made is active.

    Attributes:
        completion: action feature: earliest completion minus the least one, in the unit of `time`.
        time: action feature: processing time. An action starts before C* where `completion` < `time`.
        resource: node type of ``actions/nodes`` that names the resource.
    """

    completion: str
    time: str
    resource: str


@dataclass(frozen=True)
class Term:
    """A weighted action feature that a rule adds to its first key.

    Attributes:
        feature: the action feature.
        option: how users call the weight, ``NAME:option=0.25``.
        weights: (level, weight), levels growing: the weight at that level of the state, see `Rule.level`; between two
            levels it is interpolated, beyond them it stays. One pair where it is always the same.
        unit: what a weight of 1 comes to in the first key's unit.
    """

    feature: str
    option: str
    weights: tuple[tuple[float, float], ...]
    unit: float = 1.0


@dataclass(frozen=True)
class Rule:
    """A named rule: of the legal actions it takes the one whose keys are smallest, compared in order.

    Ties go to the lowest slot; special actions (WAIT) are taken only where nothing else is legal, unless the rule says
    so.

    Attributes:
        name: as users write it.
        keys: (action feature, sign), the sign 1 where small values come first and -1 where large ones do.
        source: who described the rule, and what it says.
        conflict_set: restricts the choice first.
        needs: environment options without which the rule has no meaning.
        handful: one of the few that planners play where they are not told which.
        special: whether special actions are compared like all others.
        terms: weighted features that are added to the first key's feature.
        level: the global feature that the weights of terms depend on; empty where they depend on nothing.
    """

    name: str
    keys: tuple[tuple[str, int], ...]
    source: str
    conflict_set: ConflictSet | None = None
    needs: Mapping[str, OptionValue] | None = None
    handful: bool = False
    special: bool = False
    terms: tuple[Term, ...] = ()
    level: str = ""

    def __post_init__(self) -> None:
        parsed = parse_name(self.name, "rule")
        if parsed.options or parsed.is_path:
            raise UserError(f"rule {self.name!r} needs a name of a-z, 0-9, '.', '_', '-'")
        if not self.keys or any(sign not in (1, -1) for _, sign in self.keys):
            raise UserError(
                f"rule {self.name!r} has keys {self.keys!r}, expected (action feature, 1 or -1), at least one"
            )

    def weighted(self, given: Mapping[str, float]) -> Rule:
        """The rule with the weights of some terms fixed, by their options."""
        terms = tuple(
            replace(term, weights=((0.0, given[term.option]),)) if term.option in given else term for term in self.terms
        )
        return replace(self, terms=terms)

    def obstacle(self, options: Mapping[str, OptionValue]) -> str | None:
        """Why the rule has no meaning under these options of its environment; None where it has one."""
        for key, value in (self.needs or {}).items():
            if options.get(key) != value:
                given = f"given as {options[key]!r}" if key in options else "left at its default"
                return f"rule {self.name!r} needs the option {key}={value}, which is {given}"
        return None


_BUILT_IN = {
    "makespan/JobShop-v0": "job_shop",
    "makespan/MemoryMapping-v0": "memory_mapping",
    "makespan/SocDag-v0": "soc",
    "makespan/StaticDag-v0": "soc",
    "makespan/AirMobility-v0": "air_mobility",
    "makespan/RestlessBandits-v0": "restless_bandits",
}
_registered: dict[str, dict[str, Rule]] = {}


def register_rules(env_id: str, rules: Iterable[Rule]) -> None:
    """Add rules to those of an environment; called by a plug-in beside `gymnasium.register`.

    Raises:
        UserError: two rules of the environment have the same name.
    """
    known = dict(rules_of(env_id))
    for rule in rules:
        if known.setdefault(rule.name, rule) != rule:
            raise UserError(f"rule {rule.name!r} of {env_id!r} is registered twice")
    _registered[env_id] = known


def rules_of(env_id: str) -> dict[str, Rule]:
    """The rules of an environment by name, in the order of their registration; empty where it has none."""
    if env_id not in _registered:
        rules: tuple[Rule, ...] = ()
        if env_id in _BUILT_IN:
            rules = import_module(f".{_BUILT_IN[env_id]}", __package__).RULES
        _registered[env_id] = {rule.name: rule for rule in rules}
    return dict(_registered[env_id])


def applicable_rules(env_id: str, options: Mapping[str, OptionValue]) -> dict[str, Rule]:
    """Those rules of an environment that have a meaning under its options."""
    return {name: rule for name, rule in rules_of(env_id).items() if rule.obstacle(options) is None}


def named_rule(name: str, env_id: str, options: Mapping[str, OptionValue], where: str) -> Rule:
    """A rule of an environment by its name.

    Args:
        name: of the rule.
        env_id, options: of the environment.
        where: what the name stands in, for the message.

    Raises:
        UserError: the rule is unknown, or has no meaning under the options.
    """
    rules = applicable_rules(env_id, options)
    if name not in rules:
        raise UnknownNameError(f"rule in {where}:", name, rules)
    return rules[name]
