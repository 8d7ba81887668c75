"""The bar of evaluations on the terminal."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence

from ..eval.evaluate import Progress
from ..eval.plan import Plan
from ..eval.store import Store

_SILENT_SECONDS = 2.0


@contextlib.contextmanager
def shown_progress(jobs: Sequence[tuple[Plan, Store]], title: str = "evaluate") -> Iterator[Progress]:
    """One bar over all rows and worlds of some evaluations; see `shown_bar`."""
    with shown_bar(title, sum(map(_total, jobs)), sum(len(store.rows) for _, store in jobs)) as advance:
        yield advance


@contextlib.contextmanager
def shown_bar(title: str, total: int, done: int) -> Iterator[Progress]:
    """A bar over so much work, for whatever takes more than a moment; nothing where the output is a file."""
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
        yield lambda what, amount: None
        return
    times = TimeElapsedColumn(), TimeRemainingColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), *times)
    # Drawing takes CPU time, which evaluations in this process count.
    bar = Progress(*columns, console=console, transient=True, refresh_per_second=1)
    task = bar.add_task(title, total=total, completed=done)
    began = time.perf_counter()
    running = False

    def advance(what: str, amount: int) -> None:
        nonlocal running
        bar.update(task, advance=amount, description=what)
        # Whoever has done nothing yet begins something long.
        if not running and (amount == 0 or time.perf_counter() - began > _SILENT_SECONDS):
            bar.start()
            running = True

    try:
        yield advance
    finally:
        if running:
            bar.stop()


def _total(job: tuple[Plan, Store]) -> int:
    plan, _ = job
    return len(plan.variants) * (len(plan.agents) + (plan.hindsight > 0)) * len(plan.cases)
