"""The text formats of job shops: standard (JSPLIB, OR-Library), Taillard's, and a table as CSV.

* *Standard*: lines that begin with ``#`` are comments; then ``n m``; then one line per job with m pairs
  ``machine time``, machines counted from 0.
* *Taillard*: lines of words; then ``n m time_seed machine_seed upper lower`` (or ``n m`` alone); the word ``Times`` and
  n lines of m times; the word ``Machines`` and n lines of m machines, counted from 1.
* *CSV*: a header with the columns ``job``, ``machine``, ``time`` and, if wanted, ``operation``, in any order; then one
  row per operation. Jobs and machines have names, and are numbered from 0 in the order of these (M2 before M10).
  ``operation`` sorts a job's operations, gaps are allowed; without it they are carried out in the order of the rows.

The first two can hold only jobs with as many operations as there are machines. None holds down-times.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from ..core.csv_table import CsvRow, by_name, read_csv
from ..core.errors import FieldError, UserError
from ..core.instance import require_integer

if TYPE_CHECKING:
    from .instance import JobShopInstance

MAX_JOBS = 10_000
MAX_MACHINES = 10_000

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}\Z")
_WORD = re.compile(r"[A-Za-z]")

_COLUMNS = ("job", "machine", "time")
_OPTIONAL_COLUMN = "operation"


class Routes(NamedTuple):
    """What a text format holds: a list of processing times and one of machines (from 0) per job; names, or nothing."""

    times: list[list[int]]
    machines: list[list[int]]
    num_machines: int
    job_names: tuple[str, ...] = ()
    machine_names: tuple[str, ...] = ()


def parse_text(text: str, source: str) -> Routes:
    """Read any of the formats; a line ``Times`` makes it Taillard's.

    Args:
        text: the content of a file.
        source: its name; one that ends in ``.csv`` makes it a CSV.

    Raises:
        UserError: the text does not follow the format; the message begins with `source`.
    """
    if source.lower().endswith(".csv"):
        return _parse_csv(text, source)
    lines = [stripped for line in text.splitlines() if (stripped := line.strip()) and not stripped.startswith("#")]
    if not lines:
        raise UserError(f"{source}: the file is empty, expected a job shop")
    if any(_is_heading(line, "times") for line in lines):
        return _parse_taillard(lines, source)
    return _parse_standard(lines, source)


def _parse_csv(text: str, source: str) -> Routes:
    from .instance import MAX_TIME  # which reads its files with this module

    jobs: dict[str, dict[int, tuple[str, int]]] = defaultdict(dict)
    for row in read_csv(text, source, _COLUMNS, (_OPTIONAL_COLUMN,)):
        operations = jobs[row.label("job")]
        order = _order(row, operations)
        operations[order] = (row.label("machine"), row.integer("time", 0, MAX_TIME))
    if not jobs:
        raise UserError(f"{source}: no row below the header, expected one per operation")
    names = by_name(jobs)
    routes = [[jobs[job][order] for order in sorted(jobs[job])] for job in names]
    numbers = {name: m for m, name in enumerate(by_name({machine for route in routes for machine, _ in route}))}
    times = [[time for _, time in route] for route in routes]
    machines = [[numbers[machine] for machine, _ in route] for route in routes]
    return Routes(times, machines, len(numbers), tuple(names), tuple(numbers))


def _order(row: CsvRow, taken: Iterable[int]) -> int:
    """What the job's operations are sorted by; `taken` are those of its rows before."""
    if _OPTIONAL_COLUMN not in row.cells:
        return row.number
    order = row.integer(_OPTIONAL_COLUMN, 0, 10**9)
    if order in taken:
        raise row.error(_OPTIONAL_COLUMN, f"a number that no other row of job {row.cells['job']!r} has")
    return order


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
    for what, there in (("down-times", any(instance.windows)), ("a start state", instance.start is not None)):
        if there:
            raise UserError(f"instance {instance.name!r} cannot be written in {format} format: it has {what}")
