"""Who searches, in which order, where nobody is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..agents.agent import Setting
from ..agents.catalogue import MEMORY_MAPPING, STATIC_DAG, known_agents
from ..agents.plugins import shipped_cards

PORTFOLIO = "portfolio"

_RULES = "best-rule:hindsight=1"
_SAMPLING_SHARE = 0.1
# What improves schedules, in turn, with its share of the time that is left by then: what is small is proved optimal by
# the first; larger shops are the searches' business.
_SOLVERS = (("cp-sat", 0.1), ("iterated-greedy", 0.6), ("lns", 1.0), ("cp-sat", 1.0))
_TURNS = {
    MEMORY_MAPPING: (("checkpoints/memory_mapping_order", 0.4), ("order-search", 0.7), ("game-search", 1.0)),
    STATIC_DAG: (("best-of-lists", 0.1), ("checkpoints/dag_order", 0.1), ("cp-sat", 0.3), ("dag-search", 1.0)),
}


class Stage(NamedTuple):
    """An agent's turn.

    Attributes:
        agent: its name.
        options: of the environment in which it plays.
        share: of the time that is left by then.
    """

    agent: str
    options: Mapping[str, Any]
    share: float = 1.0


def stages(setting: Setting, options: Mapping[str, Any], checkpoints: Iterator[Stage]) -> Iterator[Stage]:
    """Every rule once, and the tuned mapper of compilers; the trained scorer that is best here, sampled for a tenth of
    the time; solvers and searches for the rest, a learned order for the mapper first where there is one.

    Without solvers the scorer goes on to sample, or else random play.

    Args:
        setting: of the environment.
        options: its options.
        checkpoints: those that can play, the best first; asked for after the rules have played.
    """
    known = known_agents(setting)
    if "best-rule" in known:
        yield Stage(_RULES, options)
    if "tuned-xla" in known:
        yield Stage("tuned-xla", options)
    best = next(checkpoints, None)
    turns = _TURNS.get(setting.env_id, _SOLVERS)
    solvers = [Stage(name, options, share) for name, share in turns if name in known or "/" in name]
    if best is not None:
        from ..agents.scorer.choice import TEMPERATURE

        share = _SAMPLING_SHARE if solvers else 1.0
        yield Stage(f"{best.agent}:temperature={TEMPERATURE}", best.options, share)
    yield from solvers
    if best is None and not solvers:
        yield Stage("random", options)


def fitting_checkpoints(env_id: str, options: Mapping[str, Any]) -> Iterator[Stage]:
    """The scorers that ship for an environment, with whatever package: each under the options that it was trained under
    (as far as others are not given), and under the given ones alone.

    Whether what they play is valid here has to be tried.
    """
    for name, card in shipped_cards():
        if card["env"] == env_id and card["agent"] == "scorer":
            trained = {key: value for key, value in card["env_options"].items() if key != "instance"}
            yield Stage(name, {**trained, **options})
            if not set(trained) <= set(options):
                yield Stage(name, options)
