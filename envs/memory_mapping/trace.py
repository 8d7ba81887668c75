"""A plan of memory mapping in Chrome's trace event format, which Perfetto and chrome://tracing show.

Source: Google, *Trace Event Format* (the "JSON Object Format"). Time is that of the judge, each loop run through once.
The program is a process with a thread for the instructions and their waits and one for the transfers on the HBM
channel; CMEM is another, with a thread for each offset at which something lies, and a counter of how much is held.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .picture import describe
from .schedule import MemoryPlan
from .timeline import Timeline

# Viewers take process 0 and thread 0 for the idle ones of an operating system.
_PROGRAM, _MEMORY = 1, 2
_INSTRUCTIONS, _TRANSFERS = 1, 2
_PER_MICROSECOND = 10**6  # picoseconds


def trace(plan: MemoryPlan) -> dict[str, Any]:
    """A plan as a trace.

    Returns:
        ``{"traceEvents": [...], "otherData": {...}}``, plain data for JSON.
    """
    timeline = Timeline(plan)
    events = [
        *_names(plan),
        *_instruction_events(timeline),
        *_transfer_events(timeline),
        *_memory_events(timeline),
    ]
    other = {"schedule": describe(plan, timeline.times), "loops": "each is run through once"}
    return {"traceEvents": events, "otherData": other}


def _names(plan: MemoryPlan) -> Iterator[dict[str, Any]]:
    """Metadata events: what the processes and threads are called, and in which order the threads are shown."""
    offsets = sorted({placement.offset for placement in plan.placements})
    threads = {
        _PROGRAM: ("program", {_INSTRUCTIONS: "instructions", _TRANSFERS: "HBM transfers"}),
        _MEMORY: ("CMEM", {offset + 1: f"offset {offset}" for offset in offsets}),
    }
    for process, (name, rows) in threads.items():
        yield {"ph": "M", "pid": process, "tid": 1, "name": "process_name", "args": {"name": name}}
        for row, label in rows.items():
            thread = {"ph": "M", "pid": process, "tid": row}
            yield {**thread, "name": "thread_name", "args": {"name": label}}
            yield {**thread, "name": "thread_sort_index", "args": {"sort_index": row}}


def _event(
    name: str, cat: str, thread: tuple[int, int], begin: float, end: float, args: dict[str, Any]
) -> dict[str, Any]:
    return {
        "name": name,
        "cat": cat,
        "ph": "X",
        "pid": thread[0],
        "tid": thread[1],
        "ts": begin / _PER_MICROSECOND,
        "dur": (end - begin) / _PER_MICROSECOND,
        "args": args,
    }


def _instruction_events(timeline: Timeline) -> Iterator[dict[str, Any]]:
    instance, thread = timeline.plan.instance, (_PROGRAM, _INSTRUCTIONS)
    for begin, end in timeline.waits:
        yield _event("wait", "wait", thread, begin, end, {})
    for t, instruction in enumerate(instance.instructions):
        args = {"instruction": t, "trips": int(instance.trips[t])}
        name = instruction.op or f"instruction {t}"
        yield _event(name, "instruction", thread, int(timeline.begin[t]), int(timeline.end[t]), args)


def _transfer_events(timeline: Timeline) -> Iterator[dict[str, Any]]:
    """When transfers are moved, one at a time; `share` is the part of the channel that they have."""
    for move in timeline.moves:
        transfer = move.transfer
        kind = "fetch" if transfer.is_fetch else "write-back"
        args = {"tensor": transfer.tensor, "after": transfer.after, "before": transfer.before, "share": move.share}
        yield _event(f"{kind} {transfer.tensor}", kind, (_PROGRAM, _TRANSFERS), move.begin, move.end, args)


def _memory_events(timeline: Timeline) -> Iterator[dict[str, Any]]:
    instance = timeline.plan.instance
    change = np.zeros(instance.num_instructions + 1, dtype=np.int64)
    for p in timeline.plan.placements:
        tensor, size = instance.tensors[p.tensor], int(instance.size[p.tensor])
        change[p.start] += size
        change[p.end + 1] -= size
        args = {"tensor": p.tensor, "kind": tensor.kind, "bytes": tensor.bytes, "offset": p.offset}
        begin, end = int(timeline.begin[p.start]), int(timeline.end[p.end])
        yield _event(tensor.name or f"tensor {p.tensor}", tensor.kind, (_MEMORY, p.offset + 1), begin, end, args)
    for begin, held in zip(timeline.begin.tolist(), np.cumsum(change).tolist(), strict=False):
        time = begin / _PER_MICROSECOND
        yield {"ph": "C", "pid": _MEMORY, "name": "held", "ts": time, "args": {"bytes": held}}
