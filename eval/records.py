"""Certified records: of public instances the best solution held here, as a file, beside the best bound and its kind.

A record is ``records/ROOM/VARIANT/INSTANCE.json``. `certify` reads any solution, judges it by the validators alone and
says how it stands to the record; `keep` puts a better one in its place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from ..envs.core import held
from ..envs.core.errors import FieldError, UserError
from ..envs.core.files import atomic_write, user_path
from ..envs.core.instance import check_header, load_document, require_keys
from ..envs.core.names import parse_name
from .solutions import RESULT, RESULT_FORMAT, RUN, RUN_FORMAT, Judged, judge_solution, read_document
from .solutions import VERSION as FOLDER_VERSION

FORMAT, VERSION = "makespan/record", 1
KINDS = ("counting", "linear program", "CP-SAT", "published")
"""Of bounds: work and paths counted, a linear relaxation, a proof of ours, somebody else's publication."""
_OTHER_SOLVER = re.compile(r"solver \S+")
"""The kind of what another package's agent proved, by its name."""
_KEYS = ("format", "version", "env", "options", "instance", "hash", "objective", "found_by", "bound", "solution")
_BOUND_KEYS = ("value", "kind", "from")
_ROOMS = {
    "makespan/JobShop-v0": "job_shop",
    "makespan/MemoryMapping-v0": "memory_mapping",
    "makespan/StaticDag-v0": "soc",
}
"""Problems whose public instances hide nothing, so that a solution is a record for good."""
_LARGEST_FILE = 2**28
_LARGEST_BOUND = 1e300


class Bound(NamedTuple):
    """What no solution is better than, of which kind, and from whom or by which command."""

    value: float
    kind: str
    origin: str


class Record(NamedTuple):
    """A record that is held.

    Attributes:
        path: of its file.
        judged: its solution.
        objective: that it states.
        found_by: the command that found it.
        bound: see `Bound`.
    """

    path: Path
    judged: Judged
    objective: float
    found_by: str
    bound: Bound

    @property
    def is_optimal(self) -> bool:
        """Whether the bound proves that nothing is better."""
        return self.objective == self.bound.value

    @property
    def gap(self) -> float:
        """Of the objective to the bound, over the bound."""
        return abs(self.objective - self.bound.value) / max(abs(self.bound.value), 1e-12)


class Certificate(NamedTuple):
    """How a solution stands.

    Attributes:
        judged: what it comes to.
        record: of its instance, None where none is held.
        standing: in words.
    """

    judged: Judged
    record: Record | None
    standing: str


def folder() -> Path:
    """Where the records that ship lie."""
    return Path(str(resources.files("makespan.records")))


def record_paths(where: Path | None = None) -> list[Path]:
    """The files of all records, in the order of their names."""
    return sorted((where or folder()).glob("*/*/*.json"))


def read_record(path: str | Path) -> Record:
    """A record.

    Raises:
        UserError: the file is no record, or what it states is not what its solution comes to.
    """
    source = str(path)
    data = require_keys(
        "the record", check_header(load_document(path, FORMAT, (VERSION,), _LARGEST_FILE), FORMAT, (VERSION,)), _KEYS
    )
    judged = judge_solution(data["solution"], source)
    stated = {"env": judged.env, "instance": judged.instance, "hash": judged.hash, "objective": judged.objective}
    if judged.problems:
        raise UserError(f"{source}: the solution is not valid: {judged.problems[0]}")
    for key, value in stated.items():
        if data[key] != value:
            raise FieldError(key, data[key], f"{value!r}, as the solution has it", source)
    if data["options"] != dict(judged.options):
        raise FieldError("options", data["options"], f"{dict(judged.options)!r}, as the solution has them", source)
    if not isinstance(data["found_by"], str) or not data["found_by"]:
        raise FieldError("found_by", data["found_by"], "a command", source)
    bound = _read_bound(data["bound"], source)
    assert judged.objective is not None
    if judged.better(judged.objective, bound.value):
        raise FieldError("bound.value", bound.value, f"nothing that the objective {judged.objective} is beyond", source)
    return Record(Path(path), judged, float(judged.objective), data["found_by"], bound)


def _read_bound(data: object, source: str) -> Bound:
    if not isinstance(data, Mapping):
        raise FieldError("bound", data, "an object", source)
    given = require_keys("bound", dict(data), _BOUND_KEYS, (), source)
    value, kind, origin = (given[key] for key in _BOUND_KEYS)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST_BOUND:
        raise FieldError("bound.value", value, "a number", source)
    if kind not in KINDS and not (isinstance(kind, str) and _OTHER_SOLVER.fullmatch(kind)):
        raise FieldError("bound.kind", kind, f"one of {', '.join(KINDS)}, or 'solver NAME'", source)
    if not isinstance(origin, str) or not origin:
        raise FieldError("bound.from", origin, "who published it or the command that computed it", source)
    return Bound(float(value), kind, origin)


def path_of(judged: Judged, where: Path | None = None) -> Path | None:
    """Where the record of a solution's instance would lie; None for problems and variants without records."""
    room = _ROOMS.get(judged.env)
    plain = judged.instance.replace("_", "").replace("-", "").replace(".", "").isalnum()
    if room is None or judged.variant is None or not plain:
        return None
    return (where or folder()) / room / judged.variant / f"{judged.instance}.json"


def certify(path: str | Path, where: Path | None = None) -> Certificate:
    """Judge a solution's file, a record, or what is in a folder of ``makespan optimise``.

    Args:
        path: the file or folder.
        where: the folder of records, by default those that ship.

    Raises:
        UserError: the file cannot be read, is malformed, or is a record that states something else than it holds.
    """
    data = read_document(path)
    if isinstance(data, Mapping) and data.get("format") == FORMAT:
        judged = read_record(path).judged
    else:
        judged = judge_solution(data, str(path))
    if not judged.valid:
        return Certificate(judged, None, "not valid" if judged.problems else "not finished")
    at = path_of(judged, where)
    if at is None or not at.is_file():
        return Certificate(judged, None, "no record is held of this instance")
    record = read_record(at)
    if record.judged.hash != judged.hash:
        return Certificate(judged, None, f"bears the name of {judged.instance!r} but is another instance")
    return Certificate(judged, record, _standing(judged, record))


def _standing(judged: Judged, record: Record) -> str:
    mine, theirs = judged.objective, record.objective
    assert mine is not None
    held = f"{record.bound.kind} bound {_text(record.bound.value, judged)}"
    if mine == theirs:
        return f"record, optimal ({held})" if record.is_optimal else f"record; {held}, gap {100 * record.gap:.2f} %"
    if judged.better(mine, theirs):
        return f"better than the record of {_text(theirs, judged)}; {held}"
    share = 100 * abs(mine - theirs) / max(abs(theirs), 1e-12)
    return f"{share:.2f} % from the record of {_text(theirs, judged)}; {held}"


def _text(value: float, judged: Judged) -> str:
    return f"{value / judged.divisor:,.10g} {judged.unit}".rstrip()


def objective_text(judged: Judged) -> str:
    """The objective as people read it."""
    return "none" if judged.objective is None else _text(judged.objective, judged)


# --- new records ------------------------------------------------------------------------------------------------------


def keep(path: str | Path, where: Path | None = None) -> str:
    """Make what ``makespan optimise`` left in a folder the record of its instance, if it is better than what is held.

    A better bound is taken up as well.

    Returns:
        What was done, in words.

    Raises:
        UserError: the solution is not valid, its instance is not a public one, or the folder is not of a search.
    """
    given = user_path(path)
    if not (given / RUN).is_file():
        raise UserError(f"option keep: {str(path)!r} is not the folder that 'makespan optimise' wrote, which it needs")
    judged = judge_solution(read_document(given), str(path))
    if not judged.valid or judged.objective is None:
        raise UserError(f"{str(path)!r}: the solution is not valid: {(judged.problems or ['it is not finished'])[0]}")
    at = path_of(judged, where)
    if at is None:
        raise UserError(f"{str(path)!r}: no records are held of such schedules of {judged.env}")
    bound = _known_bound(judged)
    proved, command = _found(given)
    if proved is not None and (bound is None or judged.better(bound.value, proved.value)):
        bound = proved
    if bound is None:
        raise UserError(f"{str(path)!r}: {judged.instance!r} is not one of the public instances")
    solution, found_by, done = judged, command, "new"
    if at.is_file():
        held = read_record(at)
        if not judged.better(judged.objective, held.objective):
            solution, found_by = held.judged, held.found_by
            done = "the record stays"
        else:
            done = f"better than {_text(held.objective, judged)}"
        if not judged.better(held.bound.value, bound.value) and held.bound.value != bound.value:
            bound = held.bound
    _write(at, solution, found_by, bound)
    write_objectives(where)
    return f"{judged.env} {judged.variant} {judged.instance}: {objective_text(solution)}, {done}"


def _write(at: Path, judged: Judged, found_by: str, bound: Bound) -> None:
    document = {
        "format": FORMAT,
        "version": VERSION,
        "env": judged.env,
        "options": dict(judged.options),
        "instance": judged.instance,
        "hash": judged.hash,
        "objective": judged.objective,
        "found_by": found_by,
        "bound": dict(zip(_BOUND_KEYS, bound, strict=True)),
        "solution": judged.data,
    }
    at.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(at, json.dumps(document, allow_nan=False, separators=(",", ":")) + "\n")


def objectives(where: Path | None = None) -> dict[str, dict[str, float]]:
    """Objectives that the records state, as `envs.core.held` has them."""
    found: dict[str, dict[str, float]] = {}
    for path in record_paths(where):
        document = load_document(path, FORMAT, (VERSION,), _LARGEST_FILE)
        record = require_keys("the record", document, _KEYS, (), str(path))
        found.setdefault("/".join(path.parent.parts[-2:]), {})[record["hash"]] = record["objective"]
    return found


def write_objectives(where: Path | None = None) -> None:
    """Write beside the records what they come to, which environments count among what is best known."""
    document = {"format": held.FORMAT, "version": held.VERSION, "objectives": objectives(where)}
    atomic_write((where or folder()) / held.FILE, json.dumps(document, allow_nan=False, indent=0) + "\n")
    held.held_objectives.cache_clear()


def _found(folder: Path) -> tuple[Bound | None, str]:
    """(what the search's solver proved, None for nothing; its command)."""
    record = load_document(folder / RUN, RUN_FORMAT, (FOLDER_VERSION,), _LARGEST_FILE)
    result = load_document(folder / RESULT, RESULT_FORMAT, (FOLDER_VERSION,), _LARGEST_FILE)
    command = str(record.get("command", "")).partition(" --out ")[0]
    solver, value = result.get("bound_source"), result.get("bound")
    if solver in (None, "", "instance") or value is None:
        return None, command
    if not isinstance(solver, str):
        raise FieldError("bound_source", solver, "the agent that proved the bound", str(folder / RESULT))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FieldError("bound", value, "a number", str(folder / RESULT))
    name = parse_name(solver, "agent").base
    return Bound(float(value), "CP-SAT" if name == "cp-sat" else f"solver {name}", command), command


def _known_bound(judged: Judged) -> Bound | None:
    """The bound that ships with a public instance; None for another instance."""
    if judged.env == "makespan/JobShop-v0":
        from ..envs.job_shop.known import bounds, is_public
        from ..envs.job_shop.schedule import JobShopSchedule

        instance = JobShopSchedule.from_dict(judged.data).instance
        if not is_public(instance):
            return None
        found = bounds(instance, str(judged.options["blocking"]))
        return Bound(found.lower, "published", found.source)
    if judged.env == "makespan/MemoryMapping-v0":
        from ..envs.memory_mapping import known as memory
        from ..envs.memory_mapping.schedule import MemoryPlan

        program = MemoryPlan.from_dict(judged.data).instance
        if program.hash not in memory.known():
            return None
        found = memory.bounds(program, "judge")
        linear = found.source.startswith("linear program")
        origin = "python benchmarks/memory_mapping_known.py" if linear else "compute, traffic and what fits CMEM"
        return Bound(found.lower, "linear program" if linear else "counting", origin)
    from ..envs.soc import known as soc
    from ..envs.soc.schedule import SocSchedule

    graph = SocSchedule.from_dict(judged.data).instance
    if graph.hash not in soc.known():
        return None
    found = soc.bounds(graph)
    counted = found.source.startswith("paths and work")
    origin = "paths and work" if counted else "python benchmarks/soc_known.py"
    return Bound(found.lower, "counting" if counted else "CP-SAT", origin)
