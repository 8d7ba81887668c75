"""HEFT beside other Python packages that have it: time for one schedule, on the same graphs, one after the other.

    python benchmarks/heft.py
    python benchmarks/heft.py --tasks 10,100 --write docs/dag_schedulers.md

Peers are measured where they are installed: ``anrg-saga`` (related machines only: a task's cost over a PE's speed) and
``heft`` 0.1.1 (no insertion; its ranks take time exponential in the number of paths, so that larger graphs are left
out). The graphs are therefore ones that all can express: layers of tasks with one entry and one exit, ten PEs of
different speeds, equal links. Each figure is the least CPU time of several runs.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from makespan.agents.soc.lists import Lists
from makespan.agents.soc.problem import problem_of
from makespan.envs.soc.instance import Application, Platform, SocInstance
from peers.layered import SPEEDS, Graph, layered, saga_problem

MOST_PATHS = 200_000  # that `heft` 0.1.1 walks through
BEGIN, END = "<!-- heft:begin -->\n", "<!-- heft:end -->\n"


@dataclass(frozen=True)
class Options:
    """What is measured.

    Attributes:
        tasks: sizes of the graphs, joined by commas.
        runs: of each, at most; those that take long are run fewer times.
        write: a page whose table, between two marks, is written anew.
    """

    tasks: str = "10,100,1000"
    runs: int = 200
    write: Path | None = None


def least_time(run: Callable[[], Any], runs: int, seconds: float = 5.0) -> float:
    """The least CPU time of some runs, milliseconds."""
    least, began = math.inf, time.perf_counter()
    for _ in range(runs):
        start = time.process_time_ns()
        run()
        least = min(least, (time.process_time_ns() - start) / 1e6)
        if time.perf_counter() - began > seconds:
            break
    return least


def ours(graph: Graph) -> tuple[SocInstance, Lists]:
    times = np.array([[cost // speed for speed in SPEEDS] for cost in graph.costs])
    table = np.array(graph.edges)
    names = tuple(f"t{i}" for i in range(len(times)))
    app = Application("app", names, times, table[:, :2], table[:, 2])
    instance = SocInstance("layered", Platform.of_one_kind("chip", len(SPEEDS)), (app,))
    return instance, Lists(instance)


def measure_ours(graph: Graph, runs: int) -> dict[str, float]:
    instance, lists = ours(graph)
    makespan = lists.plan("heft").makespan
    return {
        "schedule": least_time(lambda: lists.plan("heft"), runs),
        "build": least_time(lambda: problem_of(instance), runs),
        "makespan": makespan,
    }


def measure_saga(graph: Graph, runs: int) -> dict[str, float]:
    heft = importlib.import_module("saga.schedulers.heft")

    def build() -> tuple[Any, Any]:
        return saga_problem(graph, SPEEDS)

    network, tasks = build()
    scheduler = heft.HeftScheduler()
    makespan = scheduler.schedule(network, tasks).makespan
    return {
        "schedule": least_time(lambda: scheduler.schedule(network, tasks), runs),
        "build": least_time(build, runs),
        "makespan": makespan,
    }


def measure_pypi_heft(graph: Graph, runs: int) -> dict[str, float] | str:
    paths = graph.paths()
    if paths > MOST_PATHS:
        return f"not run ({paths:.0e} paths)"
    folder = importlib.metadata.distribution("heft").locate_file("heft")
    sys.path.insert(0, str(folder))  # it imports its modules as Python 2 did
    core = importlib.import_module("core")
    successors: dict[int, list[int]] = {}
    volumes = {}
    for i, j, volume in graph.edges:
        successors.setdefault(i, []).append(j)
        volumes[i, j] = volume
    agents = list(range(len(SPEEDS)))

    def schedule() -> Any:
        return core.schedule(
            successors,
            agents,
            lambda task, pe: graph.costs[task] / SPEEDS[pe],
            lambda i, j, p, q: 0 if p == q else volumes[i, j],
        )

    return {"schedule": least_time(schedule, runs), "build": 0.0, "makespan": core.makespan(schedule()[0])}


PEERS = {"anrg-saga": measure_saga, "heft": measure_pypi_heft}


def cell(ours: dict[str, float], theirs: dict[str, float] | str) -> str:
    if isinstance(theirs, str):
        return theirs
    build = f" + {theirs['build']:.3g} to build" if theirs["build"] else ""
    return f"{theirs['schedule']:.3g}{build}; {theirs['schedule'] / ours['schedule']:.0f} times"


def main(options: Options) -> None:
    versions = {}
    for package in PEERS:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            print(f"{package} is not installed and not measured: pip install {package}", file=sys.stderr)
    head = ["tasks", "edges", "makespan, ms", *(f"`{package}` {version}, ms" for package, version in versions.items())]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for size in (int(text) for text in options.tasks.split(",")):
        graph = layered(size)
        own = measure_ours(graph, options.runs)
        cells = [f"{size}", f"{len(graph.edges)}", f"{own['schedule']:.3g} + {own['build']:.2g} to build"]
        for package in versions:
            theirs = PEERS[package](graph, options.runs)
            cells.append(cell(own, theirs))
            if not isinstance(theirs, str):
                print(f"{size} tasks: ours {own['makespan']:g}, {package} {theirs['makespan']:g}", file=sys.stderr)
        lines.append("| " + " | ".join(cells) + " |")
    table = "\n".join(lines) + "\n"
    print(table, end="")
    if options.write is not None:
        page = options.write.read_text(encoding="utf-8")
        before, rest = page.split(BEGIN)
        options.write.write_text(before + BEGIN + table + END + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
