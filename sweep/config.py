"""What a sweep is told: a TOML file.

::

    title = "..."                    # what it is, for people; may be left out
    env = "makespan/JobShop-v0"      # with its options, as on the command line
    agent = "scorer"
    preset = "quick"                 # of `makespan train`; may be left out
    sampler = "tpe"                  # or "random", or "grid": all settings of the space
    seed = 0                         # of the sampler
    trials = 9                       # settings that are tried; not with grid
    seeds = "0-1"                    # of training: each setting is trained with each
    rescore_worlds = 256             # on which the best are played again at the end; 0 for none
    rescore_top = 3                  # how many of the best
    rescore_instances = "..."        # which, as the environment's option; by default what is validated on

    [budget]                         # successive halving
    unit = "minutes"                 # or "steps"
    first = 1
    last = 9
    eta = 3

    [training]                       # options of `makespan train` that all trials share, with _ for -
    instances = "random:size=6x6"

    [space]                          # options that are searched
    evolve_rate = { low = 0.01, high = 0.3, log = true }
    evolve_directions = [8, 16, 32]

    [baseline]                       # a setting that is always tried, to the end; empty: the options' usual values
"""

from __future__ import annotations

import itertools
import random
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..envs.core.errors import FieldError, UnknownNameError, UserError
from ..envs.core.files import decode_text, read_bounded, user_path
from ..envs.core.ids import make_single
from ..envs.core.instance import require_integer
from ..envs.core.names import parse_seeds
from ..eval.plan import objective_of, parse_environment
from ..training.books import Pause
from ..training.config import PRESETS, TrainConfig, with_preset
from .halving import Sense, budgets, sizes
from .space import Choice, Setting, Space, read_settings, read_space

SAMPLERS = ("random", "tpe", "grid")
UNITS = ("minutes", "steps")
_KEYS = ("title", "env", "agent", "preset", "sampler", "seed", "trials", "seeds")
_RESCORE = ("rescore_worlds", "rescore_top", "rescore_instances")
_TABLES = ("budget", "training", "space", "baseline")
_BUDGET = ("unit", "first", "last", "eta")
_MOST_TRIALS, _MOST_WORLDS, _MOST_SEED = 100_000, 100_000, 2**31 - 1
_MOST_MINUTES, _MOST_STEPS = 10**6, 10**12
_LOOKED_AT = 200  # settings among which one must be possible
_NEVER = 1e9


@dataclass(frozen=True)
class Budget:
    """How long trials are trained.

    Attributes:
        unit: "minutes" or "steps".
        rungs: budgets, growing; whole where the unit is steps.
        eta: the share of a rung that goes on to the next is 1 / eta.
    """

    unit: str
    rungs: tuple[float, ...]
    eta: float

    def pause(self, rung: int) -> Pause | None:
        """Where a run stops for now; None at the last rung, which ends it."""
        if rung == len(self.rungs) - 1:
            return None
        budget = self.rungs[rung]
        return Pause(steps=int(budget)) if self.unit == "steps" else Pause(minutes=float(budget))

    def text(self, rung: int) -> str:
        """The budget of a rung in words."""
        budget = self.rungs[rung]
        if self.unit == "steps":
            return f"{int(budget):,} steps"
        return f"{budget:.3g} minute{'' if budget == 1 else 's'}"


@dataclass(frozen=True)
class SweepConfig:
    """A sweep.

    Attributes:
        title: what it is, for people.
        env: the environment with its options.
        agent: what is trained.
        preset: of training.
        sampler: who proposes settings, see `SAMPLERS`.
        seed: of the sampler.
        trials: settings that are tried, the baseline not among them.
        seeds: of training.
        budget: of the trials.
        training: options that all trials share.
        space: what is searched.
        baseline: a setting that is always tried; None for none.
        rescore_worlds: fresh worlds on which the best are played again; 0 for none.
        rescore_top: how many of the best.
        rescore_instances: what is played then; None for what is validated on.
        objective: ``{"name", "unit", "sense"}`` of the environment.
    """

    title: str
    env: str
    agent: str
    preset: str
    sampler: str
    seed: int
    trials: int
    seeds: tuple[int, ...]
    budget: Budget
    training: Mapping[str, Setting]
    space: Space
    baseline: Mapping[str, Setting] | None
    rescore_worlds: int
    rescore_top: int
    rescore_instances: str | None
    objective: Mapping[str, Any]

    @property
    def sense(self) -> Sense:
        """Whether small objectives are good or large ones."""
        return self.objective["sense"]

    @property
    def sizes(self) -> list[int]:
        """How many trials each rung has, the baseline not among them, where none fails."""
        return sizes(self.trials, len(self.budget.rungs), self.budget.eta)

    def training_of(self, settings: Mapping[str, Setting], seed: int, out: str) -> TrainConfig:
        """The training run of a setting with one seed. Its budget is the last one, wherever it pauses.

        Raises:
            UserError: options do not go together.
        """
        if self.budget.unit == "steps":
            # Validated at rungs alone, so that nothing depends on how fast the computer is.
            limit = {"steps": int(self.budget.rungs[-1]), "minutes": float(_MOST_MINUTES), "validate_every": _NEVER}
        else:
            limit = {"minutes": float(self.budget.rungs[-1])}
        given = {**limit, **self.training, **settings}
        agent = str(given.pop("agent", self.agent))
        return with_preset(self.preset, TrainConfig(self.env, agent, out), {"seed": seed, **given})

    def problem_of(self, settings: Mapping[str, Setting]) -> UserError | None:
        """Why a setting cannot be trained; None where it can."""
        try:
            self.training_of(settings, self.seeds[0], "unnamed")
        except UserError as error:
            return error
        return None

    def texts(self) -> list[str]:
        """All texts of it that may name files."""
        choices = [one.values for one in self.space.dimensions.values() if isinstance(one, Choice)]
        given = [self.env, self.rescore_instances, *self.training.values(), *(self.baseline or {}).values()]
        return [one for one in itertools.chain(given, *choices) if isinstance(one, str)]

    def to_data(self) -> dict[str, Any]:
        """As it stands in a file, with what was left out; plain data for JSON."""
        seeds = ",".join(map(str, self.seeds))
        plain = {key: getattr(self, key) for key in (*_KEYS, *_RESCORE)}
        named = {name: {key: _told(value) for key, value in table.items()} for name, table in self._settings().items()}
        budget = {"unit": self.budget.unit, "rungs": list(self.budget.rungs), "eta": self.budget.eta}
        return {**plain, "seeds": seeds, "budget": budget, **named, "space": self.space.to_data()}

    def _settings(self) -> dict[str, Mapping[str, Setting]]:
        given = {"training": self.training}
        return given if self.baseline is None else {**given, "baseline": self.baseline}


def load_sweep(name: str) -> SweepConfig:
    """Read a sweep's file.

    Raises:
        UserError: it cannot be read, or something in it is wrong.
    """
    path = user_path(name)
    try:
        document = tomllib.loads(decode_text(read_bounded(path), str(path)))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path} is not TOML: {error}") from None
    except RecursionError:
        raise UserError(f"{path} is nested too deeply") from None
    return parse_sweep(document, str(path))


def parse_sweep(document: Mapping[str, Any], source: str) -> SweepConfig:
    """Check a sweep's data.

    Args:
        document: what the file holds.
        source: what errors begin with.

    Raises:
        UserError: something is wrong.
    """
    for key in document:
        if key not in (*_KEYS, *_RESCORE, *_TABLES):
            raise UnknownNameError(f"field of {source}", key, (*_KEYS, *_RESCORE, *_TABLES))
    for name in _TABLES:
        if not isinstance(document.get(name, {}), dict):
            raise FieldError(name, document[name], f"a table [{name}]", source)
    env = _text(document, "env", source)
    space = read_space(document.get("space", {}), source)
    sampler = _one_of(document, "sampler", SAMPLERS, source)
    training = read_settings("training", document.get("training", {}), source, fixed=True)
    for option in space.dimensions:
        if option in training:
            raise FieldError(f"space.{option}", option, "an option that [training] does not give", source)
    config = SweepConfig(
        title=_text(document, "title", source, "Sweep"),
        env=env,
        agent=_text(document, "agent", source),
        preset=_one_of(document, "preset", tuple(PRESETS), source, "quick"),
        sampler=sampler,
        seed=_integer(document, "seed", 0, _MOST_SEED, source, 0),
        trials=_trials(document, sampler, space, source),
        seeds=_seeds(document, source),
        budget=_budget(document.get("budget", {}), source),
        training=training,
        space=space,
        baseline=_baseline(document, training, source),
        rescore_worlds=_integer(document, "rescore_worlds", 0, _MOST_WORLDS, source, 256),
        rescore_top=_integer(document, "rescore_top", 1, _MOST_TRIALS, source, 3),
        rescore_instances=_text(document, "rescore_instances", source) if "rescore_instances" in document else None,
        objective=_objective(env, source),
    )
    _check_instances(config, source)
    _check_possible(config, source)
    return config


def _objective(env: str, source: str) -> dict[str, Any]:
    try:
        made = make_single(*parse_environment(env))
    except (UserError, TypeError, ValueError) as error:
        raise UserError(f"{source}: env: {error}") from None
    try:
        return objective_of(made)
    finally:
        made.close()


def _check_instances(config: SweepConfig, source: str) -> None:
    """Meet names of instances that nobody knows before anything is trained.

    Raises:
        UserError: there is one.
    """
    env_id, options = parse_environment(config.env)
    given = {
        "training.instances": config.training.get("instances"),
        "training.held_out": config.training.get("held_out"),
        "rescore_instances": config.rescore_instances,
    }
    for field, instances in given.items():
        if instances is None:
            continue
        if "instance" in options and field == "training.instances":
            raise UserError(f"{source}: instances are given twice: in env and as {field} {instances!r}")
        try:
            make_single(env_id, {**options, "instance": instances}).close()
        except (UserError, TypeError, ValueError) as error:
            raise UserError(f"{source}: {field}: {error}") from None


def _check_possible(config: SweepConfig, source: str) -> None:
    """Meet options that can never be trained before anything is.

    Raises:
        UserError: the baseline cannot, or none of many settings of the space.
    """
    if config.baseline is not None and (problem := config.problem_of(config.baseline)) is not None:
        raise UserError(f"{source}: baseline: {problem}")
    first = None
    for settings in _examples(config.space):
        problem = config.problem_of(settings)
        if problem is None:
            return
        first = first or problem
    raise UserError(f"{source}: no setting of [space] can be trained: {first}")


def _examples(space: Space) -> list[dict[str, Setting]]:
    """Settings of a space, all where there are few."""
    if space.size <= _LOOKED_AT:
        return list(space.settings())
    rng = random.Random(0)
    return [
        {
            name: rng.choice(one.values) if isinstance(one, Choice) else one.tidy(rng.uniform(one.low, one.high))
            for name, one in space.dimensions.items()
        }
        for _ in range(_LOOKED_AT)
    ]


# --- fields -----------------------------------------------------------------------------------------------------------


def _budget(table: Mapping[str, Any], source: str) -> Budget:
    for key in table:
        if key not in _BUDGET:
            raise UnknownNameError(f"key of {source}, budget:", key, _BUDGET)
    unit = _one_of(table, "unit", UNITS, source, where="budget.")
    whole, most = unit == "steps", _MOST_STEPS if unit == "steps" else _MOST_MINUTES
    last = _amount(table, "last", whole, most, source)
    first = _amount(table, "first", whole, most, source, last)
    if first > last:
        raise FieldError("budget.first", first, f"at most last, which is {last:g}", source)
    eta = table.get("eta", 3)
    if isinstance(eta, bool) or not isinstance(eta, int | float) or not 1 < eta <= most or (last > first and eta < 1.1):
        raise FieldError("budget.eta", eta, "a number of at least 1.1", source)
    return Budget(unit, tuple(budgets(first, last, eta)), eta)


def _amount(
    table: Mapping[str, Any], key: str, whole: bool, most: float, source: str, usual: float | None = None
) -> float:
    value = table.get(key, usual)
    kinds = int if whole else int | float
    if isinstance(value, bool) or not isinstance(value, kinds) or not 0 < value <= most:
        expected = f"{'a whole number of steps' if whole else 'minutes'} above 0 and at most {most:,}"
        raise FieldError(f"budget.{key}", value, expected, source)
    return value if whole else float(value)


def _trials(document: Mapping[str, Any], sampler: str, space: Space, source: str) -> int:
    if sampler == "grid":
        if "trials" in document:
            raise FieldError(
                "trials", document["trials"], "nothing with sampler grid, which tries all settings", source
            )
        for name, one in space.dimensions.items():
            if not isinstance(one, Choice):
                raise FieldError(f"space.{name}", one.to_data(), "a list of values with sampler grid", source)
        if space.size > _MOST_TRIALS:
            raise FieldError("space", int(space.size), f"at most {_MOST_TRIALS:,} settings", source)
        return int(space.size)
    trials = _integer(document, "trials", 1, _MOST_TRIALS, source)
    if trials > space.size:
        expected = f"at most {int(space.size)}, as [space] holds no more settings"
        raise FieldError("trials", trials, expected, source)
    return trials


def _seeds(document: Mapping[str, Any], source: str) -> tuple[int, ...]:
    try:
        seeds = parse_seeds(_text(document, "seeds", source, "0"))
    except FieldError:
        raise
    except UserError as error:
        raise UserError(f"{source}: {error}") from None
    if max(seeds) > _MOST_SEED:
        raise FieldError("seeds", max(seeds), f"seeds of training, up to {_MOST_SEED}", source)
    return tuple(seeds)


def _baseline(document: Mapping[str, Any], training: Mapping[str, Setting], source: str) -> dict[str, Setting] | None:
    if "baseline" not in document:
        return None
    settings = read_settings("baseline", document["baseline"], source, fixed=False)
    for name in settings:
        if name in training:
            raise FieldError(f"baseline.{name}", name, "an option that [training] does not give", source)
    return settings


def _text(table: Mapping[str, Any], key: str, source: str, usual: str | None = None) -> str:
    value = table.get(key, usual)
    if not isinstance(value, str) or not value.strip():
        raise FieldError(key, value, "a text", source)
    return value


def _one_of(
    table: Mapping[str, Any], key: str, known: tuple[str, ...], source: str, usual: str | None = None, where: str = ""
) -> str:
    value = table.get(key, usual)
    if value not in known:
        raise FieldError(f"{where}{key}", value, " or ".join(map(repr, known)), source)
    return str(value)


def _integer(table: Mapping[str, Any], key: str, low: int, high: int, source: str, usual: int | None = None) -> int:
    return require_integer(key, table.get(key, usual), low, high, source)


def _told(value: Setting) -> Setting:
    """A value as it stands in a file."""
    return "none" if value is None else value


def difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str | None:
    """The first field in which two sweeps' data differ, in words; None where they are the same but for the title."""
    mine, theirs = _flat(here), _flat(there)
    for key in itertools.chain(mine, (key for key in theirs if key not in mine)):
        if key != "title" and mine.get(key) != theirs.get(key):
            return f"{key} is {_shown(theirs, key)} there and {_shown(mine, key)} here"
    return None


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Fields by their dotted names; a table that is empty is one, too."""
    found: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, dict) and value:
            found.update(_flat(value, f"{prefix}{key}."))
        else:
            found[f"{prefix}{key}"] = value
    return found


def _shown(fields: Mapping[str, Any], key: str) -> str:
    return repr(fields[key]) if key in fields else "not given"
