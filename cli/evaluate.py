"""``makespan evaluate``: plays, prints the table, writes the folder."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from ..envs.core.errors import UserError
from ..eval import anytime_report
from ..eval.anytime import play_anytime
from ..eval.anytime_report import AnytimeReport, AnytimeTable, make_report, write_anytime_report
from ..eval.evaluate import Progress, evaluate
from ..eval.hindsight import evaluate_with_hindsight
from ..eval.plan import Plan, Request, make_plan
from ..eval.report import Report, write_report
from ..eval.store import Store, open_store
from ..eval.table import Table, cells, headings, make_notes, make_tables

Rows = TypeVar("Rows")

_SILENT_SECONDS = 2.0
_WIDTH_OF_FILES = 140


def run(request: Request, out: str | None, overwrite: bool, as_json: bool) -> int:
    """Evaluate.

    Args:
        request: what to play.
        out: the folder, None to print alone.
        overwrite: whether another evaluation in the folder may be replaced.
        as_json: print JSON instead of a table.

    Returns:
        0, or 1 if the validator refuses a schedule.

    Raises:
        UserError: something given is wrong, or the folder cannot be written.
        KeyboardInterrupt: the user stopped it; what was stored stays.
    """
    plan = make_plan(request)
    record = {
        "command": request.command(out),
        "options": request.to_dict(),
        "seeds": list(plan.seeds),
        "fingerprint": plan.fingerprint,
    }
    with contextlib.closing(open_store(out, record, overwrite)) as store:
        try:
            report, remarks = _evaluate(plan, store) if not plan.budgets else _evaluate_anytime(plan, store)
        except UserError:  # an agent that cannot play, for example
            store.abandon()
            raise
    if as_json:
        print(json.dumps(report.to_dict(), indent=1, allow_nan=False))
    else:
        _print(report, remarks, out)
    rows = report.rows if isinstance(report, Report) else report.points
    invalid = sum(row["valid"] is False for row in rows)
    if invalid:
        print(f"makespan: error: the validator refuses {invalid} schedules", file=sys.stderr)
    return 1 if invalid else 0


def _evaluate(plan: Plan, store: Store) -> tuple[Report, list[str]]:
    rows = _play(evaluate_with_hindsight if plan.hindsight else evaluate, plan, store)
    tables = make_tables(plan, rows)
    report = Report(plan, rows, tables, make_notes(plan, rows, tables))
    return report, write_report(store.folder, report) if store.folder else []


def _evaluate_anytime(plan: Plan, store: Store) -> tuple[AnytimeReport, list[str]]:
    report = make_report(plan, _play(play_anytime, plan, store))
    return report, write_anytime_report(store.folder, report) if store.folder else []


def _play(player: Callable[[Plan, Store, Progress], list[Rows]], plan: Plan, store: Store) -> list[Rows]:
    """All rows of a plan; whoever interrupts is told what has become of them."""
    try:
        with _progress(plan) as progress:
            return player(plan, store, progress)
    except KeyboardInterrupt:
        store.flush()
        done = (
            f"{len(store.rows)} rows are stored, the same command continues" if store.folder else "nothing was stored"
        )
        raise KeyboardInterrupt(done) from None


@contextlib.contextmanager
def _progress(plan: Plan) -> Iterator[Progress]:
    """A bar on the terminal for whatever takes more than a moment; nothing where the output is a file."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda agent, cases: None
        return
    times = TimeElapsedColumn(), TimeRemainingColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), *times)
    # Drawing takes CPU time, which anytime play counts.
    bar = Progress(*columns, console=console, transient=True, refresh_per_second=1 if plan.budgets else 10)
    total = len(plan.variants) * (len(plan.agents) + (plan.hindsight > 0)) * len(plan.cases)
    task = bar.add_task("evaluate", total=total)
    began = time.perf_counter()
    running = False

    def advance(agent: str, cases: int) -> None:
        nonlocal running
        bar.update(task, advance=cases, description=agent)
        # Whoever has done nothing yet begins something long.
        if not running and (cases == 0 or time.perf_counter() - began > _SILENT_SECONDS):
            bar.start()
            running = True

    try:
        yield advance
    finally:
        if running:
            bar.stop()


def _print(report: Report | AnytimeReport, remarks: list[str], out: str | None) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH_OF_FILES
    for table in report.tables:
        console.print(_rich(table) if isinstance(table, Table) else _rich_anytime(table))
        console.print()
    for note in [*report.notes, *remarks]:
        console.print(f"- {note}", markup=False)
    if out is not None:
        console.print(f"Written to {out}.", markup=False)


def _rich(table: Table) -> Any:
    """The table for 80 columns: intervals below their means, counts of trouble only where there is any."""
    from rich.text import Text

    trouble = any(line.invalid or line.unfinished for line in table.lines)
    shown = len(headings(table)) if trouble else len(headings(table)) - 2
    rich = _empty_table(str(table.variant), headings(table)[:shown])
    for line, row in zip(table.lines, cells(table, digits=4, separator="\n"), strict=True):
        rich.add_row(*(Text(cell) for cell in row[:shown]), style="bold" if line.agent == table.reference else "")
    return rich


def _rich_anytime(table: AnytimeTable) -> Any:
    from rich.text import Text

    rich = _empty_table(str(table.variant), anytime_report.headings(table))
    for row in anytime_report.cells(table, separator="\n"):
        rich.add_row(*(Text(cell) for cell in row))
    return rich


def _empty_table(title: str, columns: Sequence[str]) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = Text(title, style="bold")
    rich = RichTable(title=shown, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for number, heading in enumerate(columns):
        text = Text(heading if number == 0 else heading.replace(" ", "\n"))
        rich.add_column(text, justify="left" if number == 0 else "right", overflow="fold", no_wrap=number > 0)
    return rich
