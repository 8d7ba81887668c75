"""STG, standard task graphs (Kasahara Laboratory, Waseda University; Tobita & Kasahara, J. Scheduling 5(5), 2002).

A file holds ``n``, then n + 2 rows ``id time count predecessor...`` from 0 on, the first and the last of them dummies,
and lines of comment that begin with ``#``. With communication each row is ``id time count``, followed by ``count`` rows
``predecessor cost``. `Machines` says how a table of times is made; by default PEs are identical.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ..core.errors import FieldError, UserError
from ..core.instance import require_integer
from .checks import MAX_TASKS, MAX_TIME, MAX_VOLUME, located
from .instance import Application, SocInstance
from .machines import Machines
from .measure import graph_of

_BETA = 0.0
_INTEGER = re.compile(r"[0-9]{1,18}\Z")


def read_stg(text: str, name: str, machines: Machines | None = None, source: str | None = None) -> SocInstance:
    """A standard task graph.

    Args:
        text: the content of a file.
        name: what the instance is called.
        machines: its PEs; by default 4 identical ones with a bandwidth of 1.
        source: a path, begins the messages.

    Raises:
        UserError: the text does not follow the format.
    """
    lines = [stripped for line in text.splitlines() if (stripped := line.strip()) and not stripped.startswith("#")]
    if not lines:
        raise UserError(f"{source or name}: the file is empty, expected a task graph")
    first = _numbers(lines[0], "the first line", source)
    if len(first) != 1:
        raise FieldError("the first line", lines[0], "the number of tasks", source)
    count = require_integer("number of tasks", first[0], 1, MAX_TASKS - 2, source) + 2
    base, edges, volumes = _rows(lines[1:], count, source)
    machines = (machines or Machines()).with_defaults(_BETA, 1)
    tasks = tuple(f"t{i}" for i in range(count))
    times = machines.times(base, range(count))
    application = located(
        source,
        lambda: Application("graph", tasks, times, np.array(edges), np.array(volumes)),
    )
    return located(
        source, lambda: SocInstance(name, machines.platform(), (application,), unit="time unit", source="STG")
    )


def _rows(lines: Sequence[str], count: int, source: str | None) -> tuple[list[int], list[tuple[int, int]], list[int]]:
    """Times of tasks, edges and their costs."""
    base: list[int] = []
    edges: list[tuple[int, int]] = []
    volumes: list[int] = []
    at = 0
    while len(base) < count:
        task = len(base)
        if at >= len(lines):
            raise UserError(f"{source or 'STG'}: {task} rows of tasks, expected {count}: the tasks and two dummies")
        row = _numbers(lines[at], f"row of task {task}", source)
        at += 1
        if len(row) < 3 or row[0] != task:
            raise FieldError(f"row of task {task}", lines[at - 1], f"'{task} time count predecessors'", source)
        base.append(require_integer(f"time of task {task}", row[1], 0, MAX_TIME, source))
        before = row[3:]
        if len(row) == 3 and row[2] > 0:  # with communication
            pairs = [_numbers(line, f"predecessors of task {task}", source) for line in lines[at : at + row[2]]]
            if len(pairs) < row[2] or any(len(pair) != 2 for pair in pairs):
                expected = f"{row[2]} predecessors, or as many rows 'predecessor cost' below"
                raise FieldError(f"row of task {task}", lines[at - 1], expected, source)
            at += row[2]
            before, costs = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        elif len(before) != row[2]:
            raise FieldError(f"row of task {task}", lines[at - 1], f"{row[2]} predecessors, not {len(before)}", source)
        else:
            costs = [0] * len(before)
        for other, cost in zip(before, costs, strict=True):
            require_integer(f"predecessor of task {task}", other, 0, count - 1, source)
            edges.append((other, task))
            volumes.append(require_integer(f"cost from task {other} to task {task}", cost, 0, MAX_VOLUME, source))
    if at < len(lines):
        raise FieldError("the row after the last task", lines[at], f"nothing: there are {count} tasks", source)
    return base, edges, volumes


def dumps_stg(instance: SocInstance) -> str:
    """An instance of one application as STG, with communication if any edge has a volume.

    Of the times the least counts. A dummy before all entries and one after all exits are added.

    Raises:
        UserError: it has several applications.
    """
    if len(instance.applications) != 1:
        raise UserError(f"instance {instance.name!r} has {len(instance.applications)} applications, STG holds one")
    (application,) = instance.applications
    order = graph_of(application, instance.platform).order.tolist()
    number = {task: k for k, task in enumerate(order, start=1)}
    before: dict[int, list[tuple[int, int]]] = {k: [] for k in number.values()}
    for (i, j), volume in zip(application.edges.tolist(), application.volumes.tolist(), strict=True):
        before[number[j]].append((number[i], volume))
    least = np.where(application.eligible, application.times, MAX_TIME).min(axis=1)[order].tolist()
    exits = sorted(set(before) - {i for edges in before.values() for i, _ in edges})
    rows = [(0, []), *((time, sorted(before[k]) or [(0, 0)]) for k, time in enumerate(least, start=1))]
    rows.append((0, [(i, 0) for i in exits]))
    talks = bool((application.volumes > 0).any())
    lines = [str(len(order))]
    for k, (time, edges) in enumerate(rows):
        row = [k, time, len(edges), *([] if talks else [i for i, _ in edges])]
        lines.append(" ".join(map(str, row)))
        lines += [f"{i} {volume}" for i, volume in edges] if talks else []
    return "\n".join([*lines, f"# {instance.name}"]) + "\n"


def _numbers(line: str, field: str, source: str | None) -> list[int]:
    words = line.split()
    for word in words:
        if not _INTEGER.match(word):
            raise FieldError(field, word, "non-negative integers", source)
    return [int(word) for word in words]
