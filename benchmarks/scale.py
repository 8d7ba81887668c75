"""What playing by many workers costs the process that leads them, and where it saturates.

    python benchmarks/scale.py
    python benchmarks/scale.py --parts calls,led

Four parts, each printed as a table of docs/scale.md:

- `played`: an evaluation by one process, by processes and by Ray actors on this machine.
- `calls`: empty tasks by a process and by a Ray actor.
- `waits`: how long Ray takes to look for answers among many.
- `led`: the leading process alone, with more workers than this machine has processors. They are simulated: one holds a
  batch for its time and answers with rows that were played before. The board, the loop and the folder are real.
"""

from __future__ import annotations

import argparse
import contextlib
import heapq
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any

from makespan.eval.evaluate import Opened, Stage
from makespan.eval.parallel import Job, play_jobs
from makespan.eval.plan import Request, make_plan
from makespan.eval.ray_cluster import connected
from makespan.eval.ray_crew import RayCrew
from makespan.eval.store import Entry, Key, open_store
from makespan.eval.workers import Crew, Processes, Worker, work_through

SHOP = "makespan/JobShop-v0:law=bernoulli:p=0.005"
PARTS = ("played", "calls", "waits", "led")


def cpu_seconds() -> float:
    """CPU time of this process, all threads, without those that it began."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def table(titles: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    print("| " + " | ".join(titles) + " |")
    print("| " + " | ".join("---:" for _ in titles) + " |")
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print(flush=True)


# --- an evaluation ----------------------------------------------------------------------------------------------------


class Clock:
    """Progress that keeps when rows came."""

    def __init__(self) -> None:
        self.rows, self.began = 0, time.perf_counter()
        self.first = self.last = self.began

    def __call__(self, agent: str, rows: int) -> None:
        if rows:
            self.last = time.perf_counter()
            self.first = self.first if self.rows else self.last
            self.rows += rows


def played(worlds: int, batch: int, numbers: Sequence[int]) -> None:
    """A rollout, which takes seconds for a batch."""
    plan = make_plan(Request(SHOP, "rollout:worlds=4", "la01", f"0-{worlds - 1}", batch=batch))
    crews: list[tuple[str, int, int | Crew]] = [("this process", 1, 1)]
    crews += [("processes", number, Processes(number)) for number in numbers]
    crews += [("Ray actors", number, RayCrew("local", number)) for number in numbers]
    rows = []
    for name, number, crew in crews:
        with tempfile.TemporaryDirectory() as folder, contextlib.closing(open_store(folder, plan.record())) as store:
            clock, spent = Clock(), cpu_seconds()
            play_jobs([Job(plan, store)], crew, clock)
            spent = cpu_seconds() - spent
        beginning = clock.first - clock.began
        steady = (clock.rows - batch) / (clock.last - clock.first)
        rows.append((name, number, clock.rows, f"{beginning:.1f}", f"{steady:.1f}", f"{spent:.2f}"))
    table(("who plays", "workers", "rows", "first rows after, s", "rows/s then", "CPU of the leader, s"), rows)


# --- calls ------------------------------------------------------------------------------------------------------------


class Echo:
    """A desk that does nothing."""

    def do(self, task: int) -> int:
        return task


class Counts:
    """A board of so many numbers, with the times at which they were done."""

    def __init__(self, tasks: int) -> None:
        self._left = tasks
        self.done_at: list[tuple[float, float]] = []

    def take(self, worker: int) -> int | None:
        self._left -= 1
        return self._left if self._left >= 0 else None

    def put_back(self, task: int) -> None:
        raise RuntimeError(f"the worker of {task} died")

    def done(self, task: int, result: int) -> None:
        self.done_at.append((time.perf_counter(), cpu_seconds()))


def calls(tasks: int) -> None:
    """Empty tasks one after the other; the second half counts."""
    rows = []
    crews: list[tuple[str, Crew]] = [("process", Processes(1)), ("Ray actor", RayCrew("local", 1))]
    for name, crew in crews:
        board, began = Counts(tasks), time.perf_counter()
        work_through(board, crew, Echo)
        (middle, middle_cpu), (end, end_cpu) = board.done_at[tasks // 2], board.done_at[-1]
        counted = tasks - 1 - tasks // 2
        trip, cpu = 1e3 * (end - middle) / counted, 1e3 * (end_cpu - middle_cpu) / counted
        rows.append((name, f"{board.done_at[0][0] - began:.1f}", f"{trip:.2f}", f"{cpu:.2f}"))
    table(("by a", "first answer after, s", "round trip, ms", "CPU of the leader, ms a task"), rows)


def waits(numbers: Sequence[int]) -> None:
    """Looks at many answers, none of which has come."""
    rows = []
    with connected("local", 1) as cluster:
        sleeper = cluster.ray.remote(num_cpus=1)(Sleeper).remote()
        pending: list[Any] = []
        for number in numbers:
            pending += [sleeper.sleep.remote() for _ in range(number - len(pending))]
            looks, spent = 20, cpu_seconds()
            for _ in range(looks):
                cluster.ray.wait(pending, num_returns=1, timeout=0)
                cluster.ray.wait(pending, num_returns=number, timeout=0)
            rows.append((number, f"{1e3 * (cpu_seconds() - spent) / looks:.1f}"))
    table(("answers expected", "CPU of a look, ms"), rows)


class Sleeper:
    """An actor whose answers do not come."""

    def sleep(self) -> None:
        time.sleep(3600)


# --- the leading process ----------------------------------------------------------------------------------------------


class Simulated(Crew):
    """Workers that hold each batch for a while.

    Args:
        number: of workers.
        seconds: for a batch.
        batch: rows in it.
        entries: rows to answer with.
    """

    sees_files = True

    def __init__(self, number: int, seconds: float, batch: int, entries: Sequence[Entry]) -> None:
        self._number, self.seconds, self.batch, self.entries = number, seconds, batch, entries
        self.due: list[tuple[float, int, Answering]] = []

    @contextlib.contextmanager
    def hire(self, make_desk: Any, arguments: tuple[Any, ...]) -> Iterator[Sequence[Worker]]:
        """All of them, at once."""
        yield [Answering(self, number) for number in range(self._number)]

    def wait(self, busy: Sequence[Worker]) -> Sequence[Worker]:
        """Those whose time is over."""
        time.sleep(max(0.0, self.due[0][0] - time.perf_counter()))
        ended = []
        while self.due and self.due[0][0] <= time.perf_counter():
            ended.append(heapq.heappop(self.due)[2])
        return ended


class Answering(Worker):
    """One of them."""

    def __init__(self, crew: Simulated, number: int) -> None:
        self._crew, self._number = crew, number

    def begin(self, task: Any) -> None:
        """Hold a task."""
        self.task = task
        seconds = self._crew.seconds if hasattr(task, "first") else 0.0
        heapq.heappush(self._crew.due, (time.perf_counter() + seconds, self._number, self))

    def end(self) -> Any:
        """How much is played at once, or rows under the keys of the batch."""
        task: Any = self.task
        self.task = None
        if not hasattr(task, "first"):
            return Opened(self._crew.batch, None)
        cases = range(task.first, task.stop)
        pairs = zip(cases, self._crew.entries, strict=False)
        return [Entry(Key(0, 0, case), dict(entry.row), entry.schedule) for case, entry in pairs]

    def stop(self) -> None:
        """Nothing is there."""


def led(numbers: Sequence[int], seconds: float, batch: int, most: int) -> None:
    """Rows per second with ever more workers."""
    sample = make_plan(Request(SHOP, "spt", "la01", f"0-{batch - 1}", batch=batch))
    with contextlib.closing(Stage(sample, 0)) as stage:
        stage.open(0)
        entries = stage.play(0, range(batch))
    rows = []
    for number in numbers:
        batches = min(5 * number, most // batch)
        plan = make_plan(Request(SHOP, "spt", "la01", f"0-{batch * batches - 1}", batch=batch))
        offered = min(number, batches) * batch / seconds
        cells = [str(number), str(batch * batches), f"{offered:.0f}"]
        with tempfile.TemporaryDirectory() as place:
            for folder in (None, place):
                with contextlib.closing(open_store(folder, plan.record())) as store:
                    clock, spent = Clock(), cpu_seconds()
                    play_jobs([Job(plan, store)], Simulated(number, seconds, batch, entries), clock)
                    spent = cpu_seconds() - spent
                wall = clock.last - clock.began
                cells += [f"{clock.rows / wall:.0f}", f"{1e3 * spent / clock.rows:.2f}"]
        rows.append(cells)
    print(f"Each batch of {batch} rows is held for {seconds} s.\n")
    table(
        ("workers", "rows", "rows/s offered", "rows/s taken", "CPU, ms a row", "with --out: rows/s", "CPU, ms a row"),
        rows,
    )


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS), help="by commas")
    parser.add_argument("--worlds", type=int, default=64, help="of the evaluation that is played")
    parser.add_argument("--workers", default="1,2", help="by which that is played, by commas")
    parser.add_argument("--rows", type=int, default=16_000, help="at most, of each number of simulated workers")
    given = parser.parse_args()
    parts = given.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"unknown parts {sorted(unknown)}, expected some of {', '.join(PARTS)}")
    if "played" in parts:
        played(given.worlds, 2, [int(number) for number in given.workers.split(",")])
    if "calls" in parts:
        calls(2000)
    if "waits" in parts:
        waits((10, 100, 1000, 6400))
    if "led" in parts:
        led((1, 10, 100, 1000, 6400), 1.0, 8, given.rows)


if __name__ == "__main__":
    main()
