"""A solution's file, judged by the validators alone: no compiled code, no solver, no environment takes part.

The files hold the instance, so that nothing else is needed. What each problem's validator checks stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ..envs.core.errors import FieldError, UnknownNameError, UserError
from ..envs.core.files import decode_text, read_bounded, user_path
from ..envs.core.instance import content_hash, parse_json

# The folder of ``makespan optimise``.
RUN, RESULT, SCHEDULE = "run.json", "result.json", "schedule.json"
RUN_FORMAT, RESULT_FORMAT, VERSION = "makespan/optimise-run", "makespan/optimise-result", 1

_LARGEST_FILE = 2**28


class Judged(NamedTuple):
    """What a solution's file comes to.

    Attributes:
        env: id of the environment in whose rooms it was found.
        variant: under which options it may be a record, as a folder's name: "swap", "judge", ...; None where it is
            judged alone, since events that others do not meet took part in it.
        options: these options, as the environment takes them.
        instance: its name.
        hash: of the instance's content, without its name.
        objective: as the validators compute it; None for a solution that is not whole.
        unit: of the objective, divided by `divisor`.
        divisor: what people read is the objective over this.
        sense: "min" or "max".
        problems: every rule that it breaks, in words.
        data: the solution itself, plain data.
    """

    env: str
    variant: str | None
    options: Mapping[str, Any]
    instance: str
    hash: str
    objective: float | None
    unit: str
    divisor: float
    sense: str
    problems: list[str]
    data: Mapping[str, Any]

    @property
    def valid(self) -> bool:
        """Whether nothing is wrong and the solution is whole."""
        return not self.problems and self.objective is not None

    def better(self, one: float, other: float) -> bool:
        """Whether an objective is better than another."""
        return one < other if self.sense == "min" else one > other


def _job_shop(data: Mapping[str, Any], source: str) -> Judged:
    from ..envs.job_shop.schedule import JobShopSchedule, validate

    schedule = JobShopSchedule.from_dict(data, source)
    problems = validate(schedule)
    instance = schedule.instance.to_dict()
    content = content_hash({key: value for key, value in instance.items() if key not in ("name", "source")})
    interrupted = any(schedule.downtime) or len(schedule.lost) or schedule.instance.start is not None
    variant = None if interrupted else schedule.blocking
    options, name = {"blocking": schedule.blocking}, schedule.instance.name
    return Judged(
        "makespan/JobShop-v0", variant, options, name, content, schedule.objective, "", 1, "min", problems, data
    )


def _memory_mapping(data: Mapping[str, Any], source: str) -> Judged:
    from ..envs.memory_mapping.run_time import run_times
    from ..envs.memory_mapping.schedule import MemoryPlan
    from ..envs.memory_mapping.validity import validate

    plan = MemoryPlan.from_dict(data, source)
    problems = validate(plan)
    objective = None if problems else run_times(plan).judged_ps
    name, content = plan.instance.name, plan.instance.hash
    return Judged("makespan/MemoryMapping-v0", "judge", {}, name, content, objective, "µs", 1e6, "min", problems, data)


def _soc(data: Mapping[str, Any], source: str) -> Judged:
    from ..envs.soc.schedule import SocSchedule, SocSettings
    from ..envs.soc.validity import validate

    schedule = SocSchedule.from_dict(data, source)
    problems = validate(schedule)
    name, content, settings = schedule.instance.name, schedule.instance.hash, schedule.settings
    highest = tuple(len(kind.levels) - 1 for kind in schedule.instance.platform.kinds)
    usual = SocSettings(levels=highest, seed=settings.seed, release=settings.release)
    plain = replace(settings, levels=settings.levels or highest) == usual
    env = "makespan/StaticDag-v0" if schedule.is_static else "makespan/SocDag-v0"
    objective = None if problems or schedule.clock is not None else schedule.objective
    unit = schedule.instance.unit if settings.objective in ("makespan", "latency") else ""
    variant = "makespan" if plain else None
    return Judged(env, variant, {}, name, content, objective, unit, 1, "min", problems, data)


def _air_mobility(data: Mapping[str, Any], source: str) -> Judged:
    from ..envs.air_mobility.schedule import AirSchedule
    from ..envs.air_mobility.validity import validate

    schedule = AirSchedule.from_dict(data, source)
    problems = validate(schedule)
    name, content = schedule.instance.name, content_hash(data["day"])
    objective = None if problems or schedule.clock is not None else schedule.objective
    return Judged("makespan/AirMobility-v0", None, {}, name, content, objective, "$", 1e6, "max", problems, data)


def _restless_bandits(data: Mapping[str, Any], source: str) -> Judged:
    from ..envs.restless_bandits.schedule import BanditSchedule
    from ..envs.restless_bandits.validity import validate

    episode = BanditSchedule.from_dict(data, source)
    problems = validate(episode)
    name, content = episode.instance.name, episode.instance.hash
    objective = None if problems or episode.epochs < episode.instance.horizon else episode.objective
    return Judged("makespan/RestlessBandits-v0", None, {}, name, content, objective, "", 1, "max", problems, data)


_READERS: dict[str, Callable[[Mapping[str, Any], str], Judged]] = {
    "makespan/job-shop-schedule": _job_shop,
    "makespan/memory-plan": _memory_mapping,
    "makespan/soc-schedule": _soc,
    "makespan/air-mobility-schedule": _air_mobility,
    "makespan/restless-bandits-schedule": _restless_bandits,
}


def judge_solution(data: object, source: str) -> Judged:
    """What a solution comes to.

    Args:
        data: what a schedule's ``to_dict`` gave.
        source: a path; begins the messages.

    Raises:
        UserError: it is no solution of these problems, or malformed. A broken rule is no error: see `Judged.problems`.
    """
    if not isinstance(data, Mapping):
        raise FieldError("the solution", data, "an object", source)
    format = data.get("format")
    if not isinstance(format, str) or format not in _READERS:
        raise UnknownNameError(f"{source}: format", str(format)[:80], _READERS)
    return _READERS[format](data, source)


def read_document(path: str | Path) -> Any:
    """The JSON of a solution's file, or of the schedule in a folder of ``makespan optimise``.

    Raises:
        UserError: the file cannot be read or holds no JSON.
    """
    file = user_path(path)
    if file.is_dir():
        if not (file / SCHEDULE).is_file():
            raise UserError(f"{str(path)!r} is a folder without {SCHEDULE}, expected a solution or what optimise wrote")
        file = file / SCHEDULE
    return parse_json(decode_text(read_bounded(file, _LARGEST_FILE), str(file)), str(file))
