"""`check_contract`: the contract of an environment as rules, run on any registered id and reported in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from . import check_files as files
from . import check_may as may
from . import check_must as must
from . import check_process as process
from . import check_state as state
from .check_play import Broken, Skipped, Subject, describe
from .errors import UserError
from .ids import find_env

Outcome = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class Rule:
    """One rule of the contract.

    Attributes:
        name: how reports call it.
        text: what it demands.
        check: raises `Broken` or `Skipped` with a sentence.
    """

    name: str
    text: str
    check: Callable[[Subject], None]


@dataclass(frozen=True)
class Finding:
    """What came of one rule.

    Attributes:
        rule: its name.
        outcome: "passed", "failed" or "skipped".
        text: what the rule demands where it passed; else what is broken and what was expected, or what is switched off.
    """

    rule: str
    outcome: Outcome
    text: str


RULES = (
    Rule("objective", "metadata['objective'] names the objective, its unit and its sense", must.objective),
    Rule("spec", "observation_spec survives JSON and has one hash", must.spec),
    Rule("features", "features have names that differ, units, and room between their bounds", process.features),
    Rule("spaces", "the spaces are those that the spec describes", must.spaces_),
    Rule("episode", "episodes of random legal actions run to their end", must.episode),
    Rule(
        "observations",
        "observations have the spec's keys, shapes and types and lie inside its bounds",
        must.observations,
    ),
    Rule("padding", "padding is zero or -1 and counted out, special action slots are the last", must.padding),
    Rule("static features", "what the spec calls static is fixed for the episode", must.static_features),
    Rule("masks", "the observation, info and action_masks() agree on the mask", must.masks),
    Rule("legal actions", "an action is legal in every state that is not the last", must.legal_actions),
    Rule("flags", "rewards are finite numbers, terminated and truncated Python's bool", must.flags),
    Rule(
        "end of episode", "the last info holds objective, metrics, seed and instance as plain data", must.end_of_episode
    ),
    Rule("rewards", "the rewards sum to the objective over reward_scale, with the sense's sign", must.rewards),
    Rule("determinism", "the same seed and actions give the same trace", must.determinism),
    Rule("copies", "copies that are played in turns do not touch one another", state.copies),
    Rule("seeds", "every seed from 0 to 2**62 - 1 is a world of its own, and is reported", state.seeds),
    Rule("global randomness", "the process's own random numbers are neither read nor moved", process.global_randomness),
    Rule("replay", "later episodes can be replayed from their info['seed'] alone", must.replay),
    Rule("fresh arrays", "what a caller receives is new at each call and theirs to change", must.fresh_arrays),
    Rule("memory", "playing on and on takes no more memory", process.memory),
    Rule("pickles", "nothing is unpickled", process.pickles),
    Rule("options", "options of odd values are refused in one line that names them", process.options),
    Rule("gymnasium check_env", "gymnasium's check_env passes without a warning", must.gymnasium_check),
    Rule(
        "sb3 check_env", "stable-baselines3's check_env passes; only its advice to flatten is accepted", must.sb3_check
    ),
    Rule("elapsed", "info['elapsed'] is the simulated time that a step took", may.elapsed),
    Rule(
        "illegal actions", "on_illegal='raise' refuses and changes nothing, 'terminate' ends lower", may.illegal_actions
    ),
    Rule("instances", "each named instance can be picked at a reset, an unknown name is an error", may.instances),
    Rule("sizes", "the spec is the same for instances of different sizes", may.sizes),
    Rule("instance files", "a saved instance is read back and plays as before", files.instance_files),
    Rule("malformed instances", "malformed files are errors of one line", files.malformed_instances),
    Rule("snapshot", "restore(snapshot()) goes back to the same present and future", may.snapshot),
    Rule("imagine", "imagined copies show the same present and know nothing of the hidden seed", may.imagine),
    Rule("foreseeable", "where nothing is stochastic, no key changes what is imagined", state.foreseeable),
    Rule("rewriting", "what is rewritten of an observation equals all of it written anew", state.rewriting),
    Rule("engine copy", "engine.copy makes copies equal, their future included", state.engine_copy),
    Rule("vector", "the vector door agrees with the single one step for step, over later episodes too", may.vector),
    Rule("batch", "a world is the same alone, in any batch, at any place, on any number of threads", state.batch),
    Rule("vector illegal", "an illegal action in a batch touches no other copy", state.vector_illegal),
    Rule("vector snapshot", "a batch goes on from its snapshot, another one too", state.vector_snapshot),
    Rule("bounds", "no objective is better than bound(), nor is best_known()", may.bounds),
    Rule(
        "schedule",
        "schedules are plain data, state the objective, and validate finds nothing wrong with them",
        may.schedule,
    ),
    Rule("appraisal", "appraise works out the objective from the schedule alone", files.appraisal),
    Rule(
        "malformed schedules",
        "junk is refused or found invalid, and a number changed is noticed",
        files.malformed_schedules,
    ),
    Rule("drawing", "a saved schedule is read back and drawn", may.drawing),
    Rule("render", "the declared render modes draw, right after reset and at the end", may.render),
)


def check_contract(env_id: str, options: Mapping[str, Any] | None = None) -> list[Finding]:
    """Run every rule of the contract on a registered id, ours or another's.

    Args:
        env_id: the registered id.
        options: keywords of the environment.

    Returns:
        One finding per rule, in the order of `RULES`; a single failed one, "make", where no copy can be made.

    Raises:
        UserError: the id is unknown, or an option is wrong.
    """
    subject = Subject(find_env(env_id), options or {})
    try:
        subject.make()
    except UserError:
        raise
    except Exception as error:
        return [Finding("make", "failed", f"making a copy raised {describe(error)}")]
    return [run_rule(rule, subject) for rule in RULES]


def run_rule(rule: Rule, subject: Subject) -> Finding:
    """What comes of one rule."""
    try:
        rule.check(subject)
    except Broken as error:
        return Finding(rule.name, "failed", str(error))
    except Skipped as error:
        return Finding(rule.name, "skipped", str(error))
    except Exception as error:
        return Finding(rule.name, "failed", f"{describe(error)} was raised, expected: {rule.text}")
    return Finding(rule.name, "passed", rule.text)
