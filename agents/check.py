"""``makespan check``: who plays an environment, after the contract itself (`makespan.envs.core.check`)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from ..envs.core.check import Finding, Rule, run_rule
from ..envs.core.check_play import Broken, Skipped, Subject, describe
from ..envs.core.errors import MissingExtraError, UnknownNameError, UserError
from ..envs.core.ids import find_env
from ..envs.core.spec import ObservationSpec
from .agent import Agent, CompiledChoice
from .arena import Arena, Case, Episode, open_arena, play
from .catalogue import make_agent
from .plugins import registered_agents, shipped_cards
from .rules.rule import Rule as DispatchingRule
from .rules.rule import applicable_rules, rules_of

_SEEDS = (3, 4)


class Players(Subject):
    """An environment, and worlds of it to play."""

    @cached_property
    def arena(self) -> Arena:
        """The environment with a copy for each seed of the check."""
        return open_arena(self.env_id, len(_SEEDS), self.options)

    def play(self, agent: Agent) -> list[Episode]:
        """The episodes of an agent in a few worlds, each of which it must finish with a schedule that stands."""
        agent.samples = 1
        episodes = play(self.arena, agent, [Case(None, seed) for seed in _SEEDS])
        validate = getattr(self.env, "validate", None)
        for episode in episodes:
            complaints = validate(episode.schedule) if validate is not None and episode.schedule is not None else []
            if complaints:
                raise Broken(f"agent {agent.name!r} left a schedule that does not stand: {complaints[0]}")
        return episodes


def compiled_play(subject: Subject) -> None:
    """Played in compiled code, as scorers and rollouts play, an episode is the one that is played step by step."""
    players = _players(subject)
    if players.arena.setting.engine is None:
        raise Skipped("there is no batch engine; switches off compiled play: scorers and rules are slower")
    stepwise = make_agent("random", players.arena.setting)
    compiled = make_agent("random", players.arena.setting)
    stepwise.compiled_choice = _no_choice  # type: ignore[method-assign]
    for one, other in zip(players.play(stepwise), players.play(compiled), strict=True):
        if (one.objective, one.decisions) != (other.objective, other.decisions):
            raise Broken(
                f"in compiled code seed {one.seed} came to {other.objective} after {other.decisions} decisions, step "
                f"by step to {one.objective} after {one.decisions}: the kernels must do what step does"
            )


def _no_choice(copies: int) -> CompiledChoice | None:
    return None


def rules(subject: Subject) -> None:
    """Rules compare features that the spec has, and play."""
    players = _players(subject)
    known = rules_of(players.env_id)
    if not known:
        raise Skipped(
            "no rules are registered; switches off best-rule and the reference that learned agents are held to"
        )
    for rule in known.values():
        _check_features(rule, players.observation_spec)
    setting = players.arena.setting
    for name in applicable_rules(players.env_id, setting.options):
        players.play(make_agent(name, setting))


def _check_features(rule: DispatchingRule, spec: ObservationSpec) -> None:
    columns = {feature.name for feature in spec.action_features}
    wanted = [feature for feature, _ in rule.keys] + [term.feature for term in rule.terms]
    if rule.conflict_set is not None:
        wanted += [rule.conflict_set.completion, rule.conflict_set.time]
        if rule.conflict_set.resource not in spec.action_nodes:
            raise Broken(f"rule {rule.name!r} names {rule.conflict_set.resource!r}, a node type that no slot refers to")
    for feature in wanted:
        if feature not in columns:
            raise Broken(f"rule {rule.name!r}: {UnknownNameError('action feature', feature, columns)}")
    if rule.level and rule.level not in {feature.name for feature in spec.globals}:
        raise Broken(f"rule {rule.name!r} depends on {rule.level!r}, which is not among the globals")


def agents(subject: Subject) -> None:
    """Agents of other packages are made by name, and play."""
    players = _players(subject)
    known = registered_agents(players.env_id)
    if not known:
        raise Skipped("no agents are registered by other packages")
    refused = []
    for name in known:
        try:
            agent = make_agent(name, players.arena.setting)
        except MissingExtraError as error:
            refused.append(str(error))
            continue
        except UserError as error:
            raise Broken(f"agent {name!r} cannot be made without options: {error}") from error
        try:
            players.play(agent)
        except (Broken, MissingExtraError):
            raise
        except Exception as error:
            raise Broken(f"agent {name!r} raised {describe(error)}, expected it to play to the end") from error
    if refused:
        raise Skipped(refused[0])


def checkpoints(subject: Subject) -> None:
    """Checkpoints that ship fit the spec as it is."""
    players = _players(subject)
    names = [name for name, card in shipped_cards() if card["env"] == players.env_id]
    if not names:
        raise Skipped("no checkpoints ship; a user has to train first")
    for name in names:
        try:
            make_agent(name, players.arena.setting)
        except MissingExtraError as error:
            raise Skipped(str(error)) from None
        except UserError as error:
            raise Broken(f"{name} does not fit: {error}") from error


def _players(subject: Subject) -> Players:
    assert isinstance(subject, Players)
    return subject


RULES = (
    Rule("compiled play", "an episode played in compiled code is the one that is played step by step", compiled_play),
    Rule("rules", "rules compare features that the spec has, and play", rules),
    Rule("agents", "agents of other packages are made by name, and play", agents),
    Rule("checkpoints", "checkpoints that ship fit the spec", checkpoints),
)


def check_players(env_id: str, options: Mapping[str, Any] | None = None) -> list[Finding]:
    """Run every rule about who plays an environment.

    Raises:
        UserError: the id is unknown, or an option is wrong.
    """
    subject = Players(find_env(env_id), options or {})
    return [run_rule(rule, subject) for rule in RULES]
