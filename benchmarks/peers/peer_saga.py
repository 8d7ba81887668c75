"""SAGA's HEFT (no environment): schedules of a layered graph on ten PEs; what is counted is a task that is placed."""

# pyright: reportMissingImports=false
from __future__ import annotations

from importlib.metadata import version

from layered import SPEEDS, layered, saga_problem
from saga.schedulers.heft import HeftScheduler
from worker import Chunk, Count, serve


def make(case: str) -> Chunk:
    """Case: the number of tasks."""
    tasks = int(case)
    network, graph = saga_problem(layered(tasks), SPEEDS)
    scheduler = HeftScheduler()

    def chunk() -> Count:
        scheduler.schedule(network, graph)
        return Count(tasks, tasks, tasks)

    return chunk


serve(f"SAGA {version('anrg-saga')}", make)
