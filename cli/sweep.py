"""``makespan sweep``: trains many settings, stops the worse ones early, and says what the best is worth."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from ..eval.plan import Plan
from ..eval.store import Store
from ..eval.workers import Crew
from ..sweep.config import SweepConfig, load_sweep
from ..sweep.folder import SweepFolder
from ..sweep.proposals import check_sampler
from ..sweep.report import (
    SweepReport,
    cells,
    fresh_cells,
    fresh_headings,
    headings,
    ranking,
    sound,
    write_report,
)
from ..sweep.rescore import check_name, rescore
from ..sweep.work import number_of_tasks, train_all
from .evaluate import find_players, new_console, rich_table
from .progress import shown_bar, shown_progress


def run(file: str, out: str, workers: int | None, ray: str | None, overwrite: bool, as_json: bool) -> int:
    """Sweep, or go on with a sweep.

    Args:
        file: path of the sweep's TOML file.
        out: the folder.
        workers: processes that train; None for one, or for a cluster's processors.
        ray: address of a Ray cluster on which they train; None for this machine.
        overwrite: whether another sweep in the folder may be replaced.
        as_json: print what came of it as JSON instead of tables.

    Returns:
        0, or 1 if a validator refuses a schedule.

    Raises:
        UserError: something given is wrong, every trial failed, or the folder cannot be written.
        MissingExtraError: Optuna, torch or what belongs to it is not installed.
        KeyboardInterrupt: the user stopped it; what was trained stays.
    """
    crew = find_players(1 if workers is None and ray is None else workers, ray).workers
    config = load_sweep(file)
    check_sampler(config)
    if config.rescore_worlds:
        check_name(out)
    command = shlex.join(["makespan", "sweep", file, "--out", out])
    with contextlib.closing(SweepFolder(out, config, command, overwrite)) as folder:
        try:
            report = _sweep(config, folder, out, crew)
        except KeyboardInterrupt:
            done = number_of_tasks(config, folder.trials)[1]
            raise KeyboardInterrupt(f"{done} runs have come to a budget, the same command continues") from None
        remarks = write_report(folder.path, report)
    if as_json:
        print(json.dumps(report.to_dict(), indent=1, allow_nan=False))
    else:
        _print(report, remarks)
    invalid = 0 if report.rescored is None else report.rescored.invalid
    if invalid:
        print(f"makespan: error: the validators refuse {invalid} schedules; see {out}/rescore", file=sys.stderr)
    return 1 if invalid else 0


def _sweep(config: SweepConfig, folder: SweepFolder, out: str, crew: int | Crew) -> SweepReport:
    total, done = number_of_tasks(config, folder.trials)
    with shown_bar("sweep", total, done) as progress:
        train_all(config, folder, crew, progress)

    def shown(jobs: Sequence[tuple[Plan, Store]]) -> Any:
        return shown_progress(jobs, "fresh worlds")

    rescored = rescore(config, folder, sound(config, folder.trials), crew, shown)
    return SweepReport(config, out, tuple(ranking(config, folder.trials)), rescored)


def _print(report: SweepReport, remarks: list[str]) -> None:
    console = new_console()
    config = report.config
    console.print(rich_table(f"{config.title}: {config.agent} on {config.env}", headings(report), cells(report)))
    if report.rescored is not None:
        console.print(rich_table("On fresh worlds", fresh_headings(report), fresh_cells(report)))
    for note in [*report.notes(), *remarks]:
        console.print(f"- {note}", markup=False)
    print(f"\nThe best run again, and its checkpoint on worlds of yours:\n{report.train_command}")
    print(f"{report.evaluate_command}\nWritten to {report.out}.")
