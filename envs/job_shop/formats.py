"""The public text formats of job shops: standard (JSPLIB, OR-Library) and Taillard's.

* *Standard*: lines that begin with ``#`` are comments; then ``n m``; then one line per job with m pairs
  ``machine time``, machines counted from 0.
* *Taillard*: lines of words; then ``n m time_seed machine_seed upper lower`` (or ``n m`` alone); the word ``Times`` and
  n lines of m times; the word ``Machines`` and n lines of m machines, counted from 1.

Both can hold only jobs with as many operations as there are machines, and neither names nor down-times.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from ..core.errors import FieldError, UserError
from ..core.instance import require_integer

if TYPE_CHECKING:
    from .instance import JobShopInstance

MAX_JOBS = 10_000
MAX_MACHINES = 10_000

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}\Z")
_WORD = re.compile(r"[A-Za-z]")


class Routes(NamedTuple):
    """What a text format holds: a list of processing times and one of machines (from 0) per job."""

    times: list[list[int]]
    machines: list[list[int]]
    num_machines: int


def parse_text(text: str, source: str) -> Routes:
    """Read either format; a line ``Times`` makes it Taillard's.

    Raises:
        UserError: the text follows neither format; the message begins with `source`.
    """
    lines = [stripped for line in text.splitlines() if (stripped := line.strip()) and not stripped.startswith("#")]
    if not lines:
        raise UserError(f"{source}: the file is empty, expected a job shop")
    if any(_is_heading(line, "times") for line in lines):
        return _parse_taillard(lines, source)
    return _parse_standard(lines, source)


def dumps_standard(instance: JobShopInstance) -> str:
    """Write the standard format.

    Raises:
        UserError: the format cannot express the instance.
    """
    _check_expressible(instance, "standard")
    rows = [f"# {instance.name}", f"{instance.num_jobs} {instance.num_machines}"]
    for machines, times in zip(instance.machines.tolist(), instance.times.tolist(), strict=True):
        rows.append(" ".join(f"{machine} {time}" for machine, time in zip(machines, times, strict=True)))
    return "\n".join(rows) + "\n"


def dumps_taillard(instance: JobShopInstance) -> str:
    """Write Taillard's format, with seeds 0, all work as the upper bound and the longest job as the lower bound.

    Raises:
        UserError: the format cannot express the instance.
    """
    _check_expressible(instance, "Taillard's")
    work = instance.times.sum(axis=1)
    rows = [
        "Nb of jobs, Nb of machines, Time seed, Machine seed, Upper bound, Lower bound",
        f"{instance.num_jobs} {instance.num_machines} 0 0 {work.sum()} {work.max()}",
        "Times",
        *(" ".join(map(str, row)) for row in instance.times.tolist()),
        "Machines",
        *(" ".join(map(str, row)) for row in (instance.machines + 1).tolist()),
    ]
    return "\n".join(rows) + "\n"


def _parse_standard(lines: list[str], source: str) -> Routes:
    sizes = _integers(lines[0], lambda i: "the line of sizes", source)
    num_jobs, num_machines = _sizes(sizes, (2,), lines[0], source)
    _check_rows(lines[1:], num_jobs, source)
    times, machines = [], []
    for job, line in enumerate(lines[1:]):
        numbers = _integers(line, lambda i, job=job: f"jobs[{job}].{('machines', 'times')[i % 2]}[{i // 2}]", source)
        if len(numbers) != 2 * num_machines:
            raise FieldError(
                f"jobs[{job}]", line, f"{num_machines} pairs 'machine time', not {len(numbers)} numbers", source
            )
        machines.append(numbers[0::2])
        times.append(numbers[1::2])
    return Routes(times, machines, num_machines)


def _parse_taillard(lines: list[str], source: str) -> Routes:
    start = next((index for index, line in enumerate(lines) if not _WORD.match(line)), len(lines))
    if start + 1 >= len(lines) or not _is_heading(lines[start + 1], "times"):
        raise UserError(f"{source}: expected a line 'n m time_seed machine_seed upper lower' followed by 'Times'")
    sizes = _integers(lines[start], lambda i: "the line of sizes", source)
    num_jobs, num_machines = _sizes(sizes, (2, 6), lines[start], source)
    body = lines[start + 2 :]
    middle = next((index for index, line in enumerate(body) if _is_heading(line, "machines")), None)
    if middle is None:
        raise UserError(f"{source}: expected a line 'Machines' after the times")
    times = _block("times", body[:middle], num_jobs, num_machines, source)
    machines = _block("machines", body[middle + 1 :], num_jobs, num_machines, source)
    for job, row in enumerate(machines):
        for k, machine in enumerate(row):
            require_integer(f"jobs[{job}].machines[{k}] (counted from 1)", machine, 1, num_machines, source)
    return Routes(times, [[machine - 1 for machine in row] for row in machines], num_machines)


def _block(name: str, lines: list[str], num_jobs: int, num_machines: int, source: str) -> list[list[int]]:
    _check_rows(lines, num_jobs, source, f" of {name}")
    rows = []
    for job, line in enumerate(lines):
        row = _integers(line, lambda i, job=job: f"jobs[{job}].{name}[{i}]", source)
        if len(row) != num_machines:
            raise FieldError(f"jobs[{job}].{name}", row, f"{num_machines} numbers, not {len(row)}", source)
        rows.append(row)
    return rows


def _sizes(numbers: list[int], counts: tuple[int, ...], line: str, source: str) -> tuple[int, int]:
    if len(numbers) not in counts:
        expected = "'n m'" if counts == (2,) else "'n m time_seed machine_seed upper lower'"
        raise FieldError("the line of sizes", line, expected, source)
    return (
        require_integer("number of jobs", numbers[0], 1, MAX_JOBS, source),
        require_integer("number of machines", numbers[1], 1, MAX_MACHINES, source),
    )


def _check_rows(lines: list[str], num_jobs: int, source: str, what: str = "") -> None:
    if len(lines) != num_jobs:
        raise UserError(f"{source}: {len(lines)} lines{what} for {num_jobs} jobs, expected one per job")


def _integers(line: str, field: Callable[[int], str], source: str) -> list[int]:
    words = line.split()
    for index, word in enumerate(words):
        if not _INTEGER.match(word):
            raise FieldError(field(index), word, "an integer", source)
    return [int(word) for word in words]


def _is_heading(line: str, word: str) -> bool:
    return line.lower().rstrip(":") == word


def _check_expressible(instance: JobShopInstance, format: str) -> None:
    for job, length in enumerate(instance.lengths.tolist()):
        if length != instance.num_machines:
            raise UserError(
                f"instance {instance.name!r} cannot be written in {format} format: job {job} has {length} operations, "
                f"expected {instance.num_machines}, one per machine"
            )
    if any(instance.windows):
        raise UserError(f"instance {instance.name!r} cannot be written in {format} format: it has down-times")
