"""An evaluation read back from its folder, without its agents and without playing anything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path
from typing import Any

from ...agents.arena import Case
from ...envs.core.errors import FieldError, UserError
from ...envs.core.files import decode_text, read_bounded, user_path
from ...envs.core.ids import make_single
from ...envs.core.instance import parse_json
from ..plan import Plan, Request, Variant, choose_reference, objective_of
from ..report import Report, report_of
from ..rows import ROW, check_fields
from ..show import read_rows
from ..store import RUN, read_run
from ..suite_folder import SUITE, read_suite

_AGGREGATE: dict[str, tuple[type, ...]] = {
    "suite": (str,),
    "reference": (str,),
    "problems": (list,),
    "summaries": (list,),
    "profiles": (list,),
    "probability_of_improvement": (dict,),
}
_AGGREGATES = "aggregate.json"
_RUN: dict[str, tuple[type, ...]] = {
    "command": (str,),
    "options": (dict,),
    "seeds": (list,),
    "versions": (dict,),
    "created": (str,),
    "fingerprint": (str,),
}


@dataclass(frozen=True)
class Evaluation:
    """A finished evaluation.

    Attributes:
        folder: where it lies, as it was named.
        run: its record.
        report: plan, rows, tables and notes.
    """

    folder: Path
    run: dict[str, Any]
    report: Report

    def blocks(self, variant: int) -> list[Sequence[dict[str, Any]]]:
        """The rows of each agent in a variant."""
        plan, rows = self.report.plan, self.report.rows
        agents, cases = len(plan.agents), len(plan.cases)
        return [rows[(variant * agents + agent) * cases :][:cases] for agent in range(agents)]


def evaluation_folders(given: Sequence[str]) -> list[Path]:
    """The folders of evaluations among those given; one that holds several stands for all of them.

    Raises:
        UserError: one is missing, or holds no evaluation.
    """
    found: list[Path] = []
    for name in given:
        path = user_path(name)
        if not path.is_dir():
            raise UserError(f"results {name!r}: no such folder")
        inner = [] if (path / RUN).is_file() else sorted(run.parent for run in path.glob(f"*/{RUN}"))
        found += inner or [path]
    return list(dict.fromkeys(found))


def read_evaluation(folder: Path) -> Evaluation:
    """Read a folder back.

    Raises:
        UserError: it is not that of a finished evaluation, is damaged, or its environment is not registered.
    """
    rows, run = read_rows(folder), read_run(folder)
    check_fields(run, _RUN, str(folder / RUN))
    if not rows:
        raise UserError(f"{folder / 'results.json'} holds no rows")
    for number, row in enumerate(rows):
        check_fields(row, ROW, f"{folder / 'results.json'}: rows[{number}]")
    return Evaluation(folder, run, report_of(_plan(folder, run, rows), rows))


def _plan(folder: Path, run: dict[str, Any], rows: list[dict[str, Any]]) -> Plan:
    """What was played, from what came of it.

    Raises:
        UserError: rows are missing or in another order.
    """
    request = _request(run["options"], str(folder / RUN))
    agents = list(dict.fromkeys(row["agent"] for row in rows))
    choices = [list(block) for _, block in groupby(rows, lambda row: json.dumps(row["env_options"], sort_keys=True))]
    cases = [Case(row["instance"], row["seed"]) for row in rows if row["agent"] == agents[0]]
    cases = cases[: len(cases) // len(choices)]
    expected = [(agent, *case) for agent in agents for case in cases]
    for block in choices:
        if [(row["agent"], row["instance"], row["seed"]) for row in block] != expected:
            raise UserError(f"{folder / 'results.json'}: rows are not those of every agent in the same worlds")
    variants = tuple(Variant(rows[0]["env"], dict(block[0]["env_options"]), {}) for block in choices)
    env = make_single(variants[0].env_id, variants[0].plain_options)
    objective = objective_of(env)
    env.close()
    given = request.reference is not None
    reference = choose_reference(request.reference, agents, variants[0].env_id)
    names = None if request.instances is None else tuple(dict.fromkeys(case.instance for case in cases))
    seeds = tuple(run["seeds"])
    return Plan(
        request, variants, objective, tuple(agents), tuple(cases), names, seeds, reference, given, run["fingerprint"]
    )


def _request(options: dict[str, Any], source: str) -> Request:
    known = {field.name for field in fields(Request)}
    try:
        request = Request(**{key: value for key, value in options.items() if key in known})
    except TypeError:
        raise FieldError("options", options, "what evaluate wrote", source) from None
    if not (isinstance(request.env, str) and isinstance(request.seeds, str)):
        raise FieldError("options", options, "what evaluate wrote", source)
    return request


def read_suites(given: Sequence[str]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The record and the aggregates of each folder given that is that of a finished suite.

    Raises:
        UserError: a file is damaged.
    """
    found = []
    for folder in (user_path(name) for name in given):
        if (folder / SUITE).is_file() and (folder / _AGGREGATES).is_file():
            path = folder / _AGGREGATES
            aggregate = parse_json(decode_text(read_bounded(path), str(path)), str(path))
            check_fields(aggregate if isinstance(aggregate, dict) else {}, _AGGREGATE, str(path))
            found.append((read_suite(folder), aggregate))
    return found
