"""What is checked of an instance of DAG scheduling, and how large one may be; messages name application and task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FieldError, UnknownNameError, UserError
from ..core.instance import require_integer

if TYPE_CHECKING:
    from .instance import SocInstance

INELIGIBLE = -1
"""Entry of `Application.times` where a processing element cannot run a task."""

MAX_PES = 256
MAX_TASKS = 100_000
MAX_FILE_TASKS = 2 * MAX_TASKS
"""Of all applications of a file."""
MAX_EDGES = 1_000_000
MAX_APPLICATIONS = 1000
MAX_JOBS = 100_000
MAX_PLAYED = 1_000_000
"""Of the static problem: tasks of all its jobs together."""
MAX_TIME = 10**12
MAX_VOLUME = 10**15
MAX_RATE = 10**12
"""Of bandwidths, frequencies, voltages and powers."""
MAX_TOTAL = 2**50
"""Of all times and transfers of an instance, each at its longest; leaves room for noise and lower levels in 2**53."""

TIMES_KEY = '"times"'
"""What the text of a file in our form holds once for each task."""

_SHOWN = 8  # tasks of a cycle

Made = TypeVar("Made")


def check_count(text: str, key: str, most: int, source: str) -> None:
    """Refuse a text that holds a key of which each task has one more often than `most`, before it is parsed.

    Raises:
        UserError: it does.
    """
    found = text.count(key)
    if found > most:
        raise UserError(f"{source}: about {found} tasks, at most {most} can be read")


def named_edges(
    where: str, rows: Sequence[Any], tasks: Sequence[str], source: str | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Edges and volumes of rows (producer, consumer, volume) that name tasks.

    Raises:
        UserError: a row is malformed, or names no task.
    """
    numbers = {task: i for i, task in enumerate(tasks) if isinstance(task, str)}
    edges, volumes = np.zeros((len(rows), 2), dtype=np.int64), np.zeros(len(rows), dtype=np.int64)
    for e, row in enumerate(rows):
        entry = f"{where}.edges[{e}]"
        if not isinstance(row, list | tuple) or len(row) != 3:
            raise FieldError(entry, row, "[producer, consumer, volume]", source)
        for side in range(2):
            number = numbers.get(row[side]) if isinstance(row[side], str) else None
            if number is None:
                raise UnknownNameError(
                    f"task of {source + ': ' if source else ''}{entry}:", str(row[side])[:80], numbers
                )
            edges[e, side] = number
        volumes[e] = require_integer(f"{entry} volume", row[2], 0, MAX_VOLUME, source)
    return edges, volumes


def located(source: str | None, make: Callable[[], Made]) -> Made:
    """What `make` makes; its errors begin with the source."""
    try:
        return make()
    except FieldError as error:
        if source is None or error.source is not None:
            raise
        raise FieldError(error.field, error.value, error.expected, source) from None
    except UnknownNameError:
        raise
    except UserError as error:
        raise UserError(f"{source}: {error}" if source else str(error)) from None


def fixed(array: NDArray[Any]) -> NDArray[Any]:
    """The array, contiguous and read-only."""
    array = np.ascontiguousarray(array)
    array.setflags(write=False)
    return array


def as_table(value: Any, columns: int | None = None) -> Any:
    """The value; an empty one as an empty table of integers."""
    if isinstance(value, list | tuple | np.ndarray) and len(value) == 0:
        return np.zeros((0, columns) if columns else 0, dtype=np.int64)
    return value


def integer_array(where: str, value: Any, dimensions: int) -> NDArray[np.int64]:
    """A copy as int64."""
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        raise FieldError(where, value, f"an integer array with {dimensions} dimensions") from None
    if array.dtype.kind not in "iu" or array.ndim != dimensions:
        found = f"{array.dtype} array with {array.ndim} dimensions"
        raise FieldError(where, found, f"an integer array with {dimensions} dimensions")
    if array.dtype.kind == "u" and array.size and array.max() > np.iinfo(np.int64).max:
        raise FieldError(where, int(array.max()), "integers of 64 bits")
    return np.array(array, dtype=np.int64, order="C")


def integer_row(where: str, value: Any, low: int | None, source: str | None = None) -> tuple[int, ...]:
    """A tuple of integers; `low` None leaves their range to later checks."""
    if not isinstance(value, list | tuple):
        raise FieldError(where, value, "a list of integers", source)
    least, most = (-(2**62), 2**62) if low is None else (low, MAX_RATE)
    return tuple(require_integer(f"{where}[{k}]", entry, least, most, source) for k, entry in enumerate(value))


def integer_rows(where: str, value: Any, low: int) -> tuple[Any, ...]:
    """Rows of integers, one per level, each at least `low`."""
    if not isinstance(value, list | tuple) or not value:
        raise FieldError(where, value, "a list of one row per level")
    return tuple(integer_row(f"{where}[{k}]", row, low) for k, row in enumerate(value))


def check_shape(where: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Refuse an array of another shape."""
    if array.shape != shape:
        raise FieldError(f"{where}: shape", array.shape, str(shape))


def check_range(where: str, array: NDArray[np.int64], low: int, high: int) -> None:
    """Refuse an integer outside a range, naming its place."""
    wrong = np.argwhere((array < low) | (array > high))
    if len(wrong):
        at = tuple(wrong[0].tolist())
        place = "".join(f"[{index}]" for index in at)
        require_integer(where + place, int(array[at]), low, high)


def check_distinct(where: str, names: Sequence[str]) -> None:
    """Refuse a name that comes twice."""
    if len(set(names)) < len(names):
        seen: set[str] = set()
        for number, name in enumerate(names):
            if name in seen:
                raise FieldError(f"{where}[{number}]", name, "a name that no other has")
            seen.add(name)


def check_tasks(where: str, tasks: Sequence[Any]) -> None:
    """Names of tasks."""
    require_integer(f"{where}: number of tasks", len(tasks), 1, MAX_TASKS)
    for i, task in enumerate(tasks):
        if not isinstance(task, str) or not task or len(task) > 200 or not task.isprintable():
            raise FieldError(f"{where}: name of tasks[{i}]", task, "1 to 200 printable characters")
    check_distinct(f"{where}: name of tasks", tasks)


def check_times(where: str, tasks: Sequence[str], times: NDArray[np.int64]) -> None:
    """Refuse times that are neither a duration nor `INELIGIBLE`."""
    wrong = np.argwhere((times < INELIGIBLE) | (times > MAX_TIME))
    if len(wrong):
        i, p = wrong[0].tolist()
        expected = f"an integer from 0 to {MAX_TIME}, or {INELIGIBLE} where it cannot run"
        raise FieldError(f"{where}: time of task {tasks[i]!r} on PE {p}", int(times[i, p]), expected)
    nowhere = np.flatnonzero((times == INELIGIBLE).all(axis=1))
    if len(nowhere):
        i = int(nowhere[0])
        raise FieldError(f"{where}: times of task {tasks[i]!r}", times[i].tolist(), "a PE that can run it")


def check_edges(where: str, tasks: Sequence[str], edges: NDArray[np.int64], volumes: NDArray[np.int64]) -> None:
    """Refuse edges that do not lead from one task to another, or whose volume is none."""
    check_range(f"{where}: edges", edges, 0, len(tasks) - 1)
    loops = np.flatnonzero(edges[:, 0] == edges[:, 1])
    if len(loops):
        task = tasks[edges[loops[0], 0]]
        raise FieldError(f"{where}: edges[{loops[0]}]", f"{task} -> {task}", "an edge between two tasks")
    wrong = np.flatnonzero((volumes < 0) | (volumes > MAX_VOLUME))
    if len(wrong):
        i, j = edges[wrong[0]].tolist()
        field = f"{where}: volume of edge {tasks[i]!r} -> {tasks[j]!r}"
        require_integer(field, int(volumes[wrong[0]]), 0, MAX_VOLUME)


def check_twice(where: str, tasks: Sequence[str], edges: NDArray[np.int64]) -> None:
    """Edges are sorted."""
    twice = np.flatnonzero((edges[1:] == edges[:-1]).all(axis=1))
    if len(twice):
        i, j = edges[twice[0]].tolist()
        raise FieldError(f"{where}: edges", f"{tasks[i]} -> {tasks[j]}", "each edge once, but this one is there twice")


def check_acyclic(where: str, tasks: Sequence[str], edges: NDArray[np.int64]) -> None:
    """Refuse edges that form a cycle."""
    if (edges[:, 0] < edges[:, 1]).all():
        return
    successors: list[list[int]] = [[] for _ in tasks]
    missing = [0] * len(tasks)
    for i, j in edges.tolist():
        successors[i].append(j)
        missing[j] += 1
    free = [i for i, count in enumerate(missing) if count == 0]
    while free:
        for j in successors[free.pop()]:
            missing[j] -= 1
            if missing[j] == 0:
                free.append(j)
    left = {i for i, count in enumerate(missing) if count > 0}
    if left:
        names = [tasks[i] for i in _cycle(edges, left)]
        shown = names if len(names) <= _SHOWN else [*names[: _SHOWN // 2], "...", *names[-_SHOWN // 2 :]]
        raise UserError(f"{where}: its edges form a cycle: {' -> '.join(shown)}")


def _cycle(edges: NDArray[np.int64], left: set[int]) -> list[int]:
    """A cycle among tasks each of which has a predecessor among them; begins and ends with the least."""
    before = {j: i for i, j in edges.tolist() if i in left and j in left}
    path, at = [], min(left)
    places: dict[int, int] = {}
    while at not in places:
        places[at] = len(path)
        path.append(at)
        at = before[at]
    ring = path[places[at] :][::-1]
    first = ring.index(min(ring))
    return [*ring[first:], *ring[: first + 1]]


def read_mix(mix: Any, count: int) -> NDArray[np.float64]:
    """Probabilities of the applications, float64 [count]; they sum to 1."""
    try:
        found = np.array(mix, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise FieldError("mix", mix, f"{count} probabilities") from None
    if found.shape == (0,):
        return np.full(count, 1.0 / count)
    if found.shape != (count,):
        raise FieldError("mix", found.tolist(), f"{count} probabilities, one per application")
    if not (found >= 0).all() or not abs(found.sum() - 1) <= 1e-6:
        raise FieldError("mix", found.tolist(), "probabilities that sum to 1")
    return found


def check_jobs(jobs: NDArray[np.int64], count: int) -> None:
    """Refuse jobs of no application or out of time, [J, 2]."""
    check_shape("jobs", jobs, (len(jobs), 2))
    require_integer("number of jobs", len(jobs), 1, MAX_JOBS)
    for column, (name, most) in enumerate((("application", count - 1), ("arrival", MAX_TIME))):
        wrong = np.flatnonzero((jobs[:, column] < 0) | (jobs[:, column] > most))
        if len(wrong):
            require_integer(f"jobs[{wrong[0]}]: {name}", int(jobs[wrong[0], column]), 0, most)


def check_totals(instance: SocInstance) -> None:
    """All that a schedule adds up must be exact."""
    between = instance.platform.bandwidth[~np.eye(instance.num_pes, dtype=bool)]
    slowest = int(min(between.min(initial=MAX_RATE), instance.platform.memory_bandwidth.min()))
    longest = [
        sum(x.times.max(axis=1).tolist()) + 2 * sum((x.volumes // slowest).tolist()) for x in instance.applications
    ]
    which = instance.jobs[:, 0].tolist()
    played = sum(instance.applications[a].num_tasks for a in which)
    require_integer("number of tasks of all jobs", played, 1, MAX_PLAYED)
    total = int(instance.jobs[-1, 1]) + sum(longest[a] for a in which)
    if max(total, *longest) > MAX_TOTAL:
        raise FieldError("sum of all times and transfers", max(total, *longest), f"at most {MAX_TOTAL}")
