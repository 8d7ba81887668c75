"""How a measured program talks to `benchmarks/speed.py`: cases in on stdin, rates out on stdout, a line of JSON each.

Each program runs as a process of its own, in its own virtual environment, and is asked again and again for short
measurements, so that all of them meet the same state of the machine. Needs nothing but the standard library.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple, TextIO


class Count(NamedTuple):
    """What a stretch of play did.

    Attributes:
        steps: calls of the environment's step, times the batch.
        decisions: choices of an agent. A clock tick at which a machine could choose nothing is none.
        operations: operations that were put on a machine; waiting is a decision but no operation.
    """

    steps: int
    decisions: int
    operations: int


Chunk = Callable[[], Count]
"""Plays a few milliseconds or more and says what it did."""


def measure(chunk: Chunk, seconds: float) -> dict[str, float]:
    """Play chunks for at least `seconds` of wall time; counts, wall seconds and CPU seconds of this process."""
    totals, chunks = [0, 0, 0], 0
    wall, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        totals = [total + more for total, more in zip(totals, chunk(), strict=True)]
        chunks += 1
    spent, used = time.perf_counter() - wall, time.process_time() - cpu
    return dict(steps=totals[0], decisions=totals[1], operations=totals[2], chunks=chunks, wall=spent, cpu=used)


def serve(program: str, make: Callable[[str], Chunk]) -> None:
    """Answer cases until stdin ends.

    Args:
        program: name and version, for the table.
        make: case -> chunk; called once per case, and its first chunk, which may compile, is not measured.
    """
    out = claim_stdout()
    chunks: dict[str, Chunk] = {}
    print(json.dumps({"program": program}), file=out, flush=True)
    for line in sys.stdin:
        request: Mapping[str, object] = json.loads(line)
        case, seconds = str(request["case"]), float(str(request["seconds"]))
        try:
            if case not in chunks:
                chunks[case] = make(case)
                chunks[case]()
            reply: dict[str, object] = dict(measure(chunks[case], seconds))
        except Exception as error:  # a peer may break in any way: the table names it
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=out, flush=True)


def claim_stdout() -> TextIO:
    """Keep stdout for replies; whatever a program prints goes to stderr."""
    out, sys.stdout = sys.stdout, sys.stderr
    return out
