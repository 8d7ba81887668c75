"""``makespan evaluate``: plays, prints the table, writes the folder."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from ..envs.core.errors import UserError
from ..envs.core.instance import require_integer
from ..eval import anytime_report
from ..eval.anytime import play_anytime
from ..eval.anytime_report import AnytimeReport, AnytimeTable, make_report, write_anytime_report
from ..eval.evaluate import Progress
from ..eval.parallel import ALONE_SECONDS, Job, play_jobs
from ..eval.plan import Plan, Request, make_plan
from ..eval.report import Report, report_of, write_report
from ..eval.store import Store, open_store
from ..eval.table import Table, cells, headings
from ..eval.workers import Crew, available_cores
from .progress import shown_progress

Rows = TypeVar("Rows")
_MOST_WORKERS, _MOST_ACTORS = 1024, 100_000

_WIDTH_OF_FILES = 140


def run(
    request: Request,
    out: str | None,
    overwrite: bool,
    as_json: bool,
    workers: int | None = None,
    ray: str | None = None,
) -> int:
    """Evaluate.

    Args:
        request: what to play.
        out: the folder, None to print alone.
        workers: processes that play; None for as many as there are processors, once it is clear that it takes long.
        ray: address of a Ray cluster on which they play; None for this machine.
        overwrite: whether another evaluation in the folder may be replaced.
        as_json: print JSON instead of a table.

    Returns:
        0, or 1 if the validator refuses a schedule.

    Raises:
        UserError: something given is wrong, or the folder cannot be written.
        KeyboardInterrupt: the user stopped it; what was stored stays.
    """
    players = find_players(workers, ray)
    if request.anytime is not None and (ray is not None or (workers or 1) > 1):
        name = "workers" if ray is None else "ray"
        raise UserError(f"options anytime and {name} cannot be given together: CPU seconds are counted in one process")
    plan = make_plan(request)
    with contextlib.closing(open_store(out, plan.record(out), overwrite)) as store:
        try:
            report, remarks = _evaluate_anytime(plan, store) if plan.budgets else _evaluate(plan, store, players)
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


class Players(NamedTuple):
    """Who plays.

    Attributes:
        workers: as `play_jobs` takes them.
        alone: seconds that this process plays before others begin.
    """

    workers: int | Crew
    alone: float


def find_players(workers: int | None, ray: str | None) -> Players:
    """Those for the options `workers` and `ray`, None where they are not given.

    Raises:
        UserError: there cannot be so many, or Ray is not installed, or the address malformed.
    """
    if workers is not None:
        require_integer("option workers", workers, 1, _MOST_WORKERS if ray is None else _MOST_ACTORS)
    if ray is not None:
        from ..eval.ray_crew import RayCrew

        return Players(RayCrew(ray, workers), 0.0)
    return Players(available_cores(), ALONE_SECONDS) if workers is None else Players(workers, 0.0)


def _evaluate(plan: Plan, store: Store, players: Players) -> tuple[Report, list[str]]:
    def play(plan: Plan, store: Store, progress: Progress) -> list[dict[str, Any]]:
        return play_jobs([Job(plan, store)], players.workers, progress, players.alone)[0]

    report = report_of(plan, _play(play, plan, store))
    return report, write_report(store.folder, report) if store.folder else []


def _evaluate_anytime(plan: Plan, store: Store) -> tuple[AnytimeReport, list[str]]:
    report = make_report(plan, _play(play_anytime, plan, store))
    return report, write_anytime_report(store.folder, report) if store.folder else []


def _play(player: Callable[[Plan, Store, Progress], list[Rows]], plan: Plan, store: Store) -> list[Rows]:
    """All rows of a plan; whoever interrupts is told what has become of them."""
    try:
        with shown_progress([(plan, store)]) as progress:
            return player(plan, store, progress)
    except KeyboardInterrupt:
        store.flush()
        done = (
            f"{len(store.rows)} rows are stored, the same command continues" if store.folder else "nothing was stored"
        )
        raise KeyboardInterrupt(done) from None


def new_console() -> Any:
    """Where tables are printed; files are wide."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH_OF_FILES
    return console


def _print(report: Report | AnytimeReport, remarks: list[str], out: str | None) -> None:
    console = new_console()
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


def rich_table(title: str, columns: Sequence[str], lines: Sequence[Sequence[str]]) -> Any:
    """A table of plain texts."""
    from rich.text import Text

    rich = _empty_table(title, columns)
    for line in lines:
        rich.add_row(*(Text(cell.replace(" [", "\n[")) for cell in line))
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
