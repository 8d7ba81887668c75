"""What an evaluation is to play: environments with their options, agents, instances and seeds, read from text."""

from __future__ import annotations

import hashlib
import itertools
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import gymnasium

from ..agents.arena import Case
from ..agents.checkpoint import CARD, FORMAT, MAX_WEIGHTS_BYTES, VERSION
from ..agents.rules.rule import rules_of
from ..envs.core.errors import FieldError, UnknownNameError, UserError
from ..envs.core.files import read_bounded
from ..envs.core.ids import find_env, make_single, single_creator, takes_option
from ..envs.core.instance import load_document, require_integer
from ..envs.core.names import OptionValue, expand_range, parse_name, parse_value, seeds_for_each, split_list
from ..envs.core.objective import shown
from .ladder import parse_budgets
from .named_files import checkpoint_files, find_named

LARGEST_BATCH = 65_536
LARGEST_AGENT_SEED = 2**62
_LONGEST = 1_000_000


MEASURED = "measured"
"""Value of an environment's option that stands for an agent's own time per decision, microseconds, played alone."""


@dataclass(frozen=True)
class Request:
    """An evaluation as it was asked for.

    Attributes:
        env: an id with options, ``makespan/JobShop-v0:law=bernoulli:p=0.005``.
        agents: a list of names by commas.
        instances: a list of names, ranges, files and random sets by commas; None for the environment's own choice.
        seeds: ``0``, ``0,7,9`` or ``0-99`` for every instance, or ``each:5``, see `seeds_for_each`.
        reference: the agent that others are compared with; None for the default.
        sweep: options with the values they take in turn, ``p=0,0.005``.
        batch: copies played at once.
        agent_seed: of the agents' own randomness.
        device: where networks run.
        anytime: budgets in CPU seconds, ``0.1,1,10``, at each of which agents are compared; None for one comparison of
            the agents as they are named.
        hindsight: wall seconds in which the optimum of each world as it turned out is looked for; None for not at all.
    """

    env: str
    agents: str
    instances: str | None = None
    seeds: str = "0"
    reference: str | None = None
    sweep: tuple[str, ...] = ()
    batch: int = 64
    agent_seed: int = 0
    device: str = "auto"
    anytime: str | None = None
    hindsight: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "sweep": list(self.sweep)}

    def texts(self) -> tuple[str, ...]:
        """What may name files."""
        return (self.env, self.agents, self.instances or "", *self.sweep)

    def command(self, out: str | None = None) -> str:
        """The command line that asks for this, in its shortest form, safe in a shell."""
        words = ["makespan", "evaluate", self.env, "--agents", self.agents]
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name in ("env", "agents") or value == item.default:
                continue
            for one in value if isinstance(value, tuple) else (value,):
                words += [f"--{item.name.replace('_', '-')}", str(one)]
        return shlex.join([*words, *(("--out", out) if out else ())])


@dataclass(frozen=True)
class Variant:
    """An environment under one choice of options.

    Attributes:
        env_id: the registered id.
        options: as given, sweeps included; plain values.
        arena_options: those with which it is played: with room for all instances.
        measured: those that stand for each agent's own time (value `MEASURED`).
    """

    env_id: str
    options: dict[str, OptionValue]
    arena_options: dict[str, Any]

    @property
    def measured(self) -> tuple[str, ...]:
        """Options whose value is measured before playing."""
        return tuple(key for key, value in self.options.items() if value == MEASURED)

    @property
    def plain_options(self) -> dict[str, Any]:
        """The options with no time for what is measured."""
        return {**self.options, **dict.fromkeys(self.measured, 0)}

    def __str__(self) -> str:
        return ":".join([self.env_id, *(f"{key}={_text(value)}" for key, value in self.options.items())])


@dataclass(frozen=True)
class Plan:
    """What is to be played.

    Attributes:
        request: what was asked for.
        variants: the environment under each choice of options.
        objective: ``{"name", "unit", "sense"}`` of the environment.
        agents: names.
        cases: instance and seed of each world; every agent meets all of them in every variant.
        instances: the instances played; None where the environment chooses by the seed.
        seeds: of the worlds.
        reference: the agent that others are compared with.
        reference_given: whether the user named it.
        fingerprint: hash of the instances and of the checkpoints that are played.
        budgets: CPU seconds, growing; none where agents are compared as they are named.
        hindsight: wall seconds for the optimum of each world, 0 for none.
    """

    request: Request
    variants: tuple[Variant, ...]
    objective: Mapping[str, Any]
    agents: tuple[str, ...]
    cases: tuple[Case, ...]
    instances: tuple[Any, ...] | None
    seeds: tuple[int, ...]
    reference: str
    reference_given: bool
    fingerprint: str
    budgets: tuple[float, ...] = ()
    hindsight: float = 0.0

    def record(self, out: str | None = None) -> dict[str, Any]:
        """What the folder of the evaluation says of it, plain data, see `makespan.eval.store.open_store`."""
        return {
            "command": self.request.command(out),
            "options": self.request.to_dict(),
            "seeds": list(self.seeds),
            "fingerprint": self.fingerprint,
        }


def make_plan(request: Request) -> Plan:
    """Read a request.

    Raises:
        UserError: something in it is malformed or names what nobody knows.
    """
    require_integer("option batch", request.batch, 1, LARGEST_BATCH)
    require_integer("option agent-seed", request.agent_seed, 0, LARGEST_AGENT_SEED)
    budgets = _budgets(request)
    env_id, options = parse_environment(request.env)
    agents = _agents(request.agents)
    _items("seeds", request.seeds)
    seeds_for_each(request.seeds, 1)
    choices = [{**options, **swept} for swept in _sweep(options, request.sweep)]
    if request.instances is not None and "instance" in choices[0]:
        raise UserError(
            f"instances are given twice: {request.instances!r} by --instances and {choices[0]['instance']!r} as option "
            "of the environment"
        )
    # Made once for each choice of options, so that a wrong value is met before anything is played.
    envs = [_make(env_id, Variant(env_id, choice, {}).plain_options) for choice in choices]
    objective = objective_of(envs[0])
    instances = resolve_instances(envs[0], request.instances)
    arena_options = [{**choice, **_room(env_id, request.instances, instances)} for choice in choices]
    for env in envs:
        env.close()
    variants = [Variant(env_id, *pair) for pair in zip(choices, arena_options, strict=True)]
    played = instances or [None]
    seeds = seeds_for_each(request.seeds, len(played))
    cases = [Case(instance, seed) for instance, own in zip(played, seeds, strict=True) for seed in own]
    reference = choose_reference(request.reference, agents, env_id)
    return Plan(
        request,
        tuple(variants),
        objective,
        tuple(agents),
        tuple(cases),
        None if instances is None else tuple(instances),
        tuple(dict.fromkeys(itertools.chain(*seeds))),
        reference,
        request.reference is not None,
        _fingerprint(instances, agents),
        budgets,
        _hindsight(request),
    )


def _budgets(request: Request) -> tuple[float, ...]:
    if request.anytime is None:
        return ()
    if request.device not in ("auto", "cpu"):
        raise FieldError("option device", request.device, "cpu with anytime, which counts CPU seconds")
    if request.reference is not None:
        raise UserError("option reference has no meaning with anytime, where agents are compared at each budget")
    return parse_budgets(request.anytime)


def _hindsight(request: Request) -> float:
    seconds = request.hindsight
    if seconds is None:
        return 0.0
    if not 0 < seconds <= _LONGEST:
        raise FieldError("option hindsight", seconds, f"seconds for each world, above 0 and at most {_LONGEST}")
    if request.anytime is not None:
        raise UserError("options anytime and hindsight cannot be given together")
    return seconds


def parse_environment(text: str) -> tuple[str, dict[str, OptionValue]]:
    """An id and its options from ``ID[:key=value]...``; the registry says what an id is, also where it holds a slash.

    Raises:
        UserError: the id is unknown or an option malformed.
    """
    base, colon, rest = text.strip().partition(":")
    find_env(base)
    try:
        return base, dict(parse_name(f"env{colon}{rest}", "environment").options)
    except UserError as error:
        raise UserError(str(error).replace(f"'env{colon}", f"'{base}{colon}")) from None


def resolve_instances(env: gymnasium.Env[Any, Any], text: str | None) -> list[Any] | None:
    """The instances that a list names, as the environment resolves them; None where it is to choose by the seed.

    That is so without a list, and for families: ``random:size=15x15`` without `count` and `seed` has a new instance for
    each seed.

    Raises:
        UserError: an item names nothing, or two instances have the same name.
    """
    if text is None:
        return None
    items = _items("instances", text)
    if all(_is_family(item) for item in items):
        return None
    unwrapped: Any = env.unwrapped
    if hasattr(unwrapped, "resolve_instances"):
        instances = [instance for item in items for instance in unwrapped.resolve_instances(item)]
    else:
        instances = [name for item in items for name in _named(unwrapped, item)]
    seen: set[str] = set()
    for instance in instances:
        if (name := instance_name(instance)) in seen:
            raise UserError(f"instances {text!r} hold {name!r} twice; results could not be told apart")
        seen.add(name)
    return instances


def instance_name(instance: Any) -> str:
    """What an instance, an object or a name, is called."""
    return str(getattr(instance, "name", instance))


def _make(env_id: str, options: Mapping[str, Any]) -> gymnasium.Env[Any, Any]:
    """One copy; what it says of its options is the user's to mend."""
    try:
        return make_single(env_id, options)
    except UserError:
        raise
    except (TypeError, ValueError) as error:
        if not options:
            raise
        raise UserError(f"environment {env_id!r} cannot be made with {dict(options)}: {error}") from error


def objective_of(env: gymnasium.Env[Any, Any]) -> dict[str, Any]:
    """The objective that an environment's metadata declares.

    Raises:
        UserError: it declares none.
    """
    objective = env.unwrapped.metadata.get("objective")
    if not isinstance(objective, Mapping) or objective.get("sense") not in ("min", "max"):
        assert env.spec is not None
        raise UserError(
            f"environment {env.spec.id!r} does not keep the contract: metadata['objective'] is {objective!r}; "
            f"run 'makespan check {env.spec.id}'"
        )
    shown(objective)
    return dict(objective)


def _is_family(item: str) -> bool:
    if item.partition(":")[0] != "random":
        return False
    return not {"count", "seed"} & set(parse_name(item, "instance").options)


def _named(env: Any, item: str) -> list[str]:
    """Names of a plain environment."""
    name = parse_name(item, "instance")
    names = env.instances() if hasattr(env, "instances") else []
    if not names:
        raise UserError(f"instance {item!r}: environment {env.spec.id!r} has no named instances; leave --instances out")
    if name.options or name.is_path:
        raise UnknownNameError("instance", item, names)
    return expand_range(name.base, names)


def _room(env_id: str, text: str | None, instances: list[Any] | None) -> dict[str, Any]:
    """The option with which an environment has room for the instances."""
    if text is None:
        return {}
    creator = single_creator(find_env(env_id))
    if instances is None:
        if not takes_option(creator, "instance"):
            raise UserError(f"instances {text!r}: environment {env_id!r} has no random families; leave --instances out")
        return {"instance": text}
    return {"instance": instances} if hasattr(creator, "resolve_instances") else {}


def _items(option: str, text: str) -> list[str]:
    """The items of an option's list, which a mistake in it names."""
    try:
        return split_list(text)
    except UserError as error:
        raise UserError(f"option {option}: {error}") from None


def _agents(text: str) -> list[str]:
    agents = _items("agents", text)
    for agent in agents:
        parse_name(agent, "agent")
        if agents.count(agent) > 1:
            raise UserError(f"agents {text!r} name {agent!r} twice")
    return agents


def _sweep(options: dict[str, OptionValue], sweeps: Sequence[str]) -> list[dict[str, OptionValue]]:
    """Every combination of the values that options are to take; one empty choice without sweeps."""
    table: dict[str, list[OptionValue]] = {}
    for sweep in sweeps:
        key, equals, values = sweep.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key:
            raise FieldError("option sweep", sweep, "OPTION=VALUE,VALUE,... of the environment, for example p=0,0.005")
        if key in options or key in table:
            raise UserError(f"option sweep is {sweep!r}, but {key!r} is given already")
        table[key] = [parse_value(value) for value in _items("sweep", values)]
        if len(set(table[key])) != len(table[key]):
            raise UserError(f"option sweep is {sweep!r}, which names a value twice")
    return [dict(zip(table, values, strict=True)) for values in itertools.product(*table.values())]


def choose_reference(given: str | None, agents: list[str], env_id: str) -> str:
    """The agent that others are compared with.

    It is the given one, else best-rule, else the first that is a rule of the environment, else the first.

    Raises:
        UserError: the given one is none of the agents.
    """
    if given is not None:
        if given not in agents:
            raise UnknownNameError("reference (it must be one of the agents)", given, agents)
        return given
    if "best-rule" in agents:
        return "best-rule"
    rules = rules_of(env_id)
    return next((agent for agent in agents if parse_name(agent).base in rules), agents[0])


def _fingerprint(instances: list[Any] | None, agents: list[str]) -> str:
    """Hash of what names alone do not fix: the content of instances, and of the checkpoints that agents play by."""
    digest = hashlib.sha256()
    for instance in instances or ():
        data = instance.to_dict() if hasattr(instance, "to_dict") else str(instance)
        digest.update(json.dumps(data, sort_keys=True, default=str).encode())
    for file in (file for agent in agents for file in find_named(agent, checkpoint_files)):
        digest.update(_network(file) if file.name == CARD else read_bounded(file, MAX_WEIGHTS_BYTES))
    return digest.hexdigest()[:16]


def _network(card: Path) -> bytes:
    """What of a checkpoint's card changes its plays; notes, results and the like may."""
    try:
        data = load_document(card, FORMAT, (VERSION,))
    except UserError:  # whoever opens the checkpoint says so
        return b""
    return json.dumps([data.get("network"), data.get("foresight")], sort_keys=True).encode()


def _text(value: OptionValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
