"""``makespan evaluate --suite``: plays all problems of a suite, prints what they come to, writes the folder."""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import MISSING, fields
from typing import Any

from ..envs.core.errors import UserError
from ..envs.core.extras import library_versions
from ..eval.parallel import play_jobs
from ..eval.plan import Request, make_plan
from ..eval.report import report_of, write_report
from ..eval.suite import load_suite
from ..eval.suite_folder import SuiteFolder
from ..eval.suite_report import Played, SuiteReport, notes, problem_table, role_table, write_suite_report
from ..eval.workers import Crew
from .evaluate import find_players, new_console, rich_table
from .progress import shown_progress


def run(
    name: str,
    given: Request,
    out: str | None,
    overwrite: bool,
    as_json: bool,
    workers: int | None,
    ray: str | None = None,
) -> int:
    """Play a suite.

    Args:
        name: of a suite that ships, or the path of a file.
        given: what else was asked for: nothing, since the suite says what is played.
        out: the folder, None to print alone.
        overwrite: whether another suite in the folder may be replaced.
        as_json: print JSON instead of tables.
        workers: processes that play; None for as many as there are processors.
        ray: address of a Ray cluster on which they play; None for this machine.

    Returns:
        0, or 1 if a validator refuses a schedule.

    Raises:
        UserError: something given is wrong, or the folder cannot be written.
        KeyboardInterrupt: the user stopped it; what was stored stays.
    """
    for item in fields(given):
        default = "" if item.default is MISSING else item.default
        if getattr(given, item.name) != default:
            raise UserError(f"option suite says what is played; leave {item.name.replace('_', '-')} out")
    suite = load_suite(name)
    players = find_players(workers, ray)
    plans = [make_plan(problem.request) for problem in suite.problems]
    with contextlib.closing(SuiteFolder(out, name, suite, plans, overwrite)) as folder:
        rows = _play(folder, players.workers)
        played = [Played(*each, suite.reference) for each in zip(suite.problems, plans, rows, strict=True)]
        report = SuiteReport(suite, played)
        if folder.path is not None:
            for job, of_job in zip(folder.jobs, rows, strict=True):
                assert job.store.folder is not None
                write_report(job.store.folder, report_of(job.plan, of_job))
            write_suite_report(folder.path, report, library_versions())
    if as_json:
        print(json.dumps(report.to_dict(), indent=1, allow_nan=False))
    else:
        _print(report, out)
    invalid = sum(line.invalid for line in report.lines)
    if invalid:
        print(f"makespan: error: the validators refuse {invalid} schedules", file=sys.stderr)
    return 1 if invalid else 0


def _play(folder: SuiteFolder, workers: int | Crew) -> list[list[dict[str, Any]]]:
    try:
        with shown_progress(folder.jobs, "suite") as progress:
            return play_jobs(folder.jobs, workers, progress)
    except UserError:
        folder.abandon()
        raise
    except KeyboardInterrupt:
        for job in folder.jobs:
            job.store.flush()
        stored = sum(len(job.store.rows) for job in folder.jobs)
        done = f"{stored} rows are stored, the same command continues" if folder.path else "nothing was stored"
        raise KeyboardInterrupt(done) from None


def _print(report: SuiteReport, out: str | None) -> None:
    console = new_console()
    for one in report.played:
        console.print(rich_table(one.problem.title, *problem_table(one.lines())))
        console.print(f"{one.worlds} worlds, {one.instances} instances; target: {one.target_note}.", markup=False)
        console.print()
    console.print(rich_table(report.suite.title, *role_table(report)))
    for note in notes(report):
        console.print(f"- {note}", markup=False)
    if out is not None:
        console.print(f"Written to {out}.", markup=False)
