"""Pictures of what happens on a chip: its PEs over time, a job's placement; drawn with matplotlib or typed as text."""

from __future__ import annotations

import colorsys
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FieldError
from ..core.extras import optional
from .schedule import (
    APPLICATION,
    FINISH,
    GENERATED,
    JOB,
    JOB_FINISH,
    PE,
    READY,
    START,
    TASK,
    SocSchedule,
    topological_order,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Colour = tuple[float, float, float]

# Okabe & Ito's colours ("Color universal design", 2008) without black and grey.
_OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
_GREY, _PALE, _DOWN = "#606060", "#F3F3F3", "#D0D0D0"
_DPI = 100
_LABEL_POINTS = 7
_LABEL_CHARACTER_PIXELS = 6.0
_JOBS_IN_COLOUR = 40
_ENTRIES_IN_LEGEND = 12
_MOST_TRANSFERS = 60
_MOST_MARKS = 80
_NAMED_TASKS = 40
_ROLLING = 20
_ROLLED = 60  # finished jobs from which on their rolling mean is drawn
_SYMBOLS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Transfer(NamedTuple):
    """Data on its way from one PE to another: it leaves when its producer has finished."""

    job: int
    from_pe: int
    to_pe: int
    leaves: int
    arrives: int


def transfers(schedule: SocSchedule) -> list[Transfer]:
    """All that goes from one PE to another and has arrived, by leaving.

    Where transfers may wait for each other or go through memory, it arrives with the last data of its consumer.
    """
    placed = {(row[JOB], row[TASK]): row for row in schedule.tasks.tolist()}
    bandwidth, settings, found = schedule.instance.platform.bandwidth, schedule.settings, []
    for j, (a, _, _) in enumerate(schedule.jobs.tolist()):
        application = schedule.instance.applications[a]
        for (i, k), volume in zip(application.edges.tolist(), application.volumes.tolist(), strict=True):
            producer, consumer = placed.get((j, i)), placed.get((j, k))
            if producer is None or consumer is None or consumer[START] < 0 or producer[PE] == consumer[PE]:
                continue
            p, q, leaves, arrives = producer[PE], consumer[PE], producer[FINISH], consumer[READY]
            if settings.contention == "none" and settings.memory == "direct":
                arrives = leaves + volume // int(bandwidth[p, q])
            found.append(Transfer(j, p, q, leaves, arrives))
    return sorted(found, key=lambda move: (move.leaves, move))


def describe(schedule: SocSchedule) -> str:
    """One line: the instance, and how it went."""
    unit, name = schedule.instance.unit, schedule.instance.name
    until = "" if schedule.clock is None else f", so far, at {schedule.clock} {unit}"
    if schedule.is_static:
        return f"{name}: makespan {schedule.makespan} {unit}{until}"
    metrics = schedule.metrics()
    mean = metrics["mean_latency"]
    latency = "" if mean is None else f"mean latency {mean:.4g} {unit}, "
    return f"{name}: {latency}{metrics['completed']} of {metrics['generated']} jobs completed{until}"


def name_of_pe(schedule: SocSchedule, pe: int) -> str:
    """How pictures call a PE: by its kind, and by its number unless it is the only one of its kind."""
    platform = schedule.instance.platform
    kind = int(platform.kind[pe])
    name, alone = platform.kinds[kind].name, int((platform.kind == kind).sum()) == 1
    return name if alone else f"{name} {pe}"


def distinct_colours(count: int) -> list[Colour]:
    """Colours that can be told apart, neighbours in number far apart in hue or lightness."""
    if count <= len(_OKABE_ITO):
        return [tuple(int(code[at : at + 2], 16) / 255 for at in (1, 3, 5)) for code in _OKABE_ITO[:count]]  # type: ignore[misc]
    # Hues in strides of the golden section, at three lightnesses in turn.
    return [colorsys.hls_to_rgb((0.58 + k * 0.618034) % 1.0, (0.42, 0.60, 0.74)[k % 3], 0.62) for k in range(count)]


class _Look(NamedTuple):
    """How jobs are told apart: each has a colour, or each application has where they are many."""

    colour: list[Colour]
    legend: list[tuple[str, Colour]]


def _look(schedule: SocSchedule) -> _Look:
    apps, jobs = schedule.instance.applications, schedule.jobs[:, APPLICATION].tolist()
    if len(jobs) <= _JOBS_IN_COLOUR:
        colours = distinct_colours(len(jobs))
        names = [f"job {j}: {apps[a].name}" for j, a in enumerate(jobs)] if len(apps) > 1 else None
        names = names or [f"job {j}" for j in range(len(jobs))]
        shown = list(zip(names, colours, strict=True)) if len(jobs) <= _ENTRIES_IN_LEGEND else []
        return _Look(colours, shown)
    present = sorted(set(jobs))
    by_app = dict(zip(present, distinct_colours(len(present)), strict=True))
    legend = [(apps[a].name, by_app[a]) for a in present] if len(present) <= _ENTRIES_IN_LEGEND else []
    return _Look([by_app[a] for a in jobs], legend)


# --- the chip over time -----------------------------------------------------------------------------------------------


def draw(schedule: SocSchedule, width: int = 1100, height: int | None = None, title: str | None = None) -> Figure:
    """A row per PE; below it, of a stream, the latency of each job at its finish and how many are in the system.

    Args:
        width, height: in pixels; the default height grows with the PEs.
        title: the default says the instance and how it went.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    pes, stream = schedule.instance.num_pes, not schedule.is_static
    look = _look(schedule)
    chart = max((26 if pes <= 24 else 16) * pes, 18 * (len(look.legend) + 3))
    height = height or min(110 + chart + (150 if stream else 0), 1600)
    figure = _figure(width, height)
    if stream:
        gantt, below = figure.subplots(2, 1, sharex=True, height_ratios=(chart, 120))
    else:
        gantt, below = figure.add_subplot(), None
    end = max(schedule.end, 1)
    gantt.set_xlim(0, end * 1.01)
    gantt.set_ylim(pes - 0.5, -0.5)
    gantt.set_yticks(range(pes), [name_of_pe(schedule, p) for p in range(pes)], fontsize=8 if pes <= 24 else 6)
    gantt.tick_params(axis="y", length=0)
    gantt.set_title(
        title if title is not None else describe(schedule), fontsize=10, loc="left", pad=14 if stream else 6
    )
    _draw_kinds(gantt, schedule)
    _draw_downtimes(gantt, schedule, end)
    _draw_work(gantt, schedule, look)
    shown = _draw_transfers(gantt, schedule)
    if below is None:
        gantt.set_xlabel(f"time ({schedule.instance.unit})")
        gantt.axvline(schedule.makespan, color="black", linewidth=1.0, linestyle=":", zorder=1)
    else:
        _draw_arrivals(gantt, schedule, look)
        below.set_xlabel(f"time ({schedule.instance.unit})")
        _draw_latency(below, schedule, look)
    _draw_legend(gantt, schedule, look, shown)
    _draw_labels(gantt, schedule, look)
    return figure


def rgb_array(schedule: SocSchedule, width: int = 1100, height: int | None = None) -> NDArray[np.uint8]:
    """The chip over time as pixels, uint8 [height, width, 3]."""
    canvas = draw(schedule, width, height).canvas
    canvas.draw()
    return np.array(canvas.buffer_rgba(), dtype=np.uint8)[..., :3].copy()  # pyright: ignore[reportAttributeAccessIssue]


def _figure(width: int, height: int) -> Figure:
    """An empty figure, out of reach of pyplot's global state."""
    with optional("drawing schedules", "plot", "matplotlib"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _clear(axes: Axes, *sides: str) -> None:
    for side in sides:
        axes.spines[side].set_visible(False)


def _fill(axes: Axes, rows: Sequence[tuple[float, float, int, float]], **style: Any) -> None:
    """Rectangles from (begin, end, PE, half its height)."""
    from matplotlib.collections import PolyCollection

    boxes = [[(a, p - half), (b, p - half), (b, p + half), (a, p + half)] for a, b, p, half in rows]
    axes.add_collection(PolyCollection(boxes, **style), autolim=False)


def _draw_kinds(axes: Axes, schedule: SocSchedule) -> None:
    """Bands behind every other kind of PEs."""
    _clear(axes, "top", "right", "left")
    kinds = schedule.instance.platform.kind.tolist()
    for number in sorted(set(kinds))[1::2]:
        first = kinds.index(number)
        axes.axhspan(first - 0.5, first + kinds.count(number) - 0.5, color=_PALE, linewidth=0, zorder=0)


def _draw_downtimes(axes: Axes, schedule: SocSchedule, end: int) -> None:
    rows = [(a, min(b, end), p, 0.48) for p, a, b in schedule.downtimes.tolist() if a < end]
    style = {"facecolor": _DOWN, "edgecolor": "#909090", "hatch": "\\\\\\", "linewidth": 0.0}
    _fill(axes, rows, zorder=1, **style)


def _draw_work(axes: Axes, schedule: SocSchedule, look: _Look) -> None:
    jobs = schedule.tasks[:, JOB].tolist()
    pixel = max(schedule.end, 1) / max(axes.get_window_extent().width, 1.0)
    for paused in (False, True):
        chosen = [s for s in schedule.stretches if s.paused == paused]
        colours = [look.colour[jobs[s.row]] for s in chosen]
        rows = [(s.begin, s.end, s.pe, 0.2 if paused else 0.38) for s in chosen]
        if paused:
            pale = [tuple(0.4 * channel + 0.6 for channel in colour) for colour in colours]
            _fill(axes, rows, facecolors=pale, edgecolor="#404040", hatch="....", linewidth=0.3, zorder=3)
            continue
        # A white edge tells bars apart, but would leave nothing of narrow ones, whose own edge makes them visible.
        edges = ["white" if s.end - s.begin > 5 * pixel else colour for s, colour in zip(chosen, colours, strict=True)]
        _fill(axes, rows, facecolors=colours, edgecolors=edges, linewidth=0.5, zorder=2)
    dummies = [row for row in schedule.tasks.tolist() if row[START] >= 0 and row[START] == row[FINISH]]
    if len(dummies) <= _MOST_MARKS:  # they have no length
        x, y = [row[START] for row in dummies], [row[PE] for row in dummies]
        place: dict[str, Any] = {"marker": "D", "s": 9, "edgecolors": "black", "linewidths": 0.3, "zorder": 5}
        axes.scatter(x, y, color=[look.colour[row[JOB]] for row in dummies], clip_on=False, **place)


def _draw_transfers(axes: Axes, schedule: SocSchedule) -> bool:
    """Lines from producers to consumers where they are few. Returns whether there are any."""
    moves = transfers(schedule)
    if not 0 < len(moves) <= _MOST_TRANSFERS:
        return False
    from matplotlib.collections import LineCollection

    lines = []
    for move in moves:  # from bar to bar, not across what is written in them
        half = 0.38 if move.to_pe > move.from_pe else -0.38
        lines.append([(move.leaves, move.from_pe + half), (move.arrives, move.to_pe - half)])
    axes.add_collection(LineCollection(lines, colors="#202020", linewidths=0.7, alpha=0.5, zorder=4), autolim=False)
    ends = [line[1] for line in lines]
    axes.scatter(*zip(*ends, strict=True), s=5, color="#202020", alpha=0.7, linewidths=0, zorder=4)
    return True


def _draw_arrivals(axes: Axes, schedule: SocSchedule, look: _Look) -> None:
    """A mark above the chart where each job is generated."""
    generated = schedule.jobs[:, GENERATED].tolist()
    if len(generated) > 4 * _MOST_MARKS:
        return
    place: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False, "linewidths": 0, "zorder": 6}
    axes.scatter(generated, [1.02] * len(generated), marker="v", s=22, color=look.colour, **place)


def _draw_latency(axes: Axes, schedule: SocSchedule, look: _Look) -> None:
    """Latency of each job at its finish, their rolling mean where they are many, and the jobs in the system."""
    from matplotlib.ticker import MaxNLocator

    _clear(axes, "top")
    end = schedule.end
    jobs, latency = schedule.jobs, schedule.latencies
    done = np.flatnonzero(jobs[:, JOB_FINISH] >= 0)
    done = done[np.argsort(jobs[done, JOB_FINISH], kind="stable")]
    finish = jobs[done, JOB_FINISH]
    times = np.sort(np.concatenate([jobs[:, GENERATED], finish, [0, end]]))
    present = np.searchsorted(jobs[:, GENERATED], times, "right") - np.searchsorted(finish, times, "right")
    system = axes.twinx()
    _clear(system, "top")
    system.fill_between(times, present, step="post", color="#B8C4D0", alpha=0.45, linewidth=0)
    system.set_ylim(0, max(int(present.max(initial=0)), 1) * 1.15)
    system.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    system.set_ylabel("in system", color="#7A8896", fontsize=8)
    system.tick_params(colors="#7A8896", labelsize=8)
    axes.set_zorder(system.get_zorder() + 1)
    axes.patch.set_visible(False)
    axes.scatter(finish, latency[done], s=14, color=[look.colour[j] for j in done], linewidths=0, zorder=3)
    if len(done) >= _ROLLED:
        mean = np.convolve(latency[done], np.full(_ROLLING, 1 / _ROLLING), "valid")
        axes.plot(finish[_ROLLING - 1 :], mean, color="black", linewidth=1.0, zorder=4)
    warmup = schedule.settings.warmup
    if warmup:
        axes.axvline(min(warmup, end), color=_GREY, linewidth=0.8, linestyle="--", zorder=2)
        if warmup <= end:
            axes.text(
                warmup, 0.97, " warm-up ends", transform=axes.get_xaxis_transform(), fontsize=7, va="top", color=_GREY
            )
    axes.set_ylim(0, max(int(latency[done].max(initial=0)), 1) * 1.15)
    axes.set_ylabel(f"latency ({schedule.instance.unit})", fontsize=8)
    axes.tick_params(axis="y", labelsize=8)


def _draw_legend(axes: Axes, schedule: SocSchedule, look: _Look, moves: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Patch | Line2D] = [Patch(facecolor=colour, label=name) for name, colour in look.legend]
    if len(schedule.jobs) == 1:
        handles = []
    if any(s.paused for s in schedule.stretches):
        handles.append(Patch(facecolor="white", edgecolor="#404040", hatch="....", linewidth=0.3, label="paused"))
    if len(schedule.downtimes):
        style = {"facecolor": _DOWN, "edgecolor": "#909090", "hatch": "\\\\\\", "linewidth": 0.0}
        handles.append(Patch(label="PE down", **style))
    if moves:
        handles.append(Line2D([], [], color="#202020", linewidth=0.7, marker=".", markersize=4, label="transfer"))
    if not schedule.is_static and len(schedule.jobs) <= 4 * _MOST_MARKS:
        handles.append(Line2D([], [], color=_GREY, linestyle="", marker="v", markersize=5, label="job generated"))
    if not schedule.is_static and int((schedule.jobs[:, JOB_FINISH] >= 0).sum()) >= _ROLLED:
        handles.append(Line2D([], [], color="black", linewidth=1.0, label=f"mean of {_ROLLING} jobs"))
    if handles:
        axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False)


def _draw_labels(axes: Axes, schedule: SocSchedule, look: _Look) -> None:
    """Job and task in the bars that are large enough for them."""
    if len(schedule.tasks) > 2000:
        return
    axes.figure.draw_without_rendering()  # pyright: ignore[reportAttributeAccessIssue]
    box, (low, high) = axes.get_window_extent(), axes.get_xlim()
    if 0.76 * box.height / schedule.instance.num_pes < 1.5 * _LABEL_POINTS:
        return
    for s in schedule.stretches:
        job, task = schedule.tasks[s.row, [JOB, TASK]].tolist()
        label = f"{job}.{task}" if len(schedule.jobs) > 1 else str(task)
        if s.paused or (s.end - s.begin) * box.width / (high - low) < _LABEL_CHARACTER_PIXELS * len(label) + 3:
            continue
        place: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": _LABEL_POINTS, "zorder": 5}
        axes.text((s.begin + s.end) / 2, s.pe, label, color=_ink(look.colour[job]), clip_on=True, **place)


def _ink(colour: Colour) -> str:
    """Black or white, whichever can be read on a colour."""
    red, green, blue = colour
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.55 else "black"


# --- a job's placement ------------------------------------------------------------------------------------------------


def draw_placement(schedule: SocSchedule, job: int = 0, width: int = 1100, height: int | None = None) -> Figure:
    """The DAG of a job from left to right, each task in the colour of the kind of PE that it is on.

    Edges between PEs are dark. A node says its task's number, below it stand its name and its PE where tasks are few.

    Args:
        width, height: in pixels; the default height grows with the tasks side by side.

    Raises:
        MissingExtraError: matplotlib is not installed.
        FieldError: there is no such job.
    """
    if not 0 <= job < len(schedule.jobs):
        raise FieldError("job", job, f"a number from 0 to {len(schedule.jobs) - 1}")
    application = schedule.instance.applications[int(schedule.jobs[job, APPLICATION])]
    place = _layered(schedule, job)
    widest = int(2 * np.abs(place[:, 1]).max()) + 1
    height = height or min(max(110 + 70 * widest, 260), 1400)
    figure = _figure(width, height)
    axes = figure.add_subplot()
    axes.axis("off")
    finish = int(schedule.jobs[job, JOB_FINISH])
    latency = f"latency {schedule.latencies[job]} {schedule.instance.unit}"
    took = "not finished" if finish < 0 else latency
    what = "" if application.name == schedule.instance.name else f", {application.name}"
    axes.set_title(f"{schedule.instance.name}: job {job}{what}: {took}", fontsize=10, loc="left")
    columns = int(place[:, 0].max()) + 1
    axes.set_xlim(-0.6, columns - 0.4)
    axes.set_ylim(-widest / 2 - 0.2, widest / 2 + 0.2)
    on = {row[TASK]: row[PE] for row in schedule.tasks.tolist() if row[JOB] == job}
    _draw_edges(axes, application.edges.tolist(), place, on)
    room = min((width - 150) / columns, (height - 60) / (widest + 0.4))
    _draw_nodes(axes, schedule, application.tasks, place, on, room)
    return figure


def _layered(schedule: SocSchedule, job: int) -> NDArray[np.float64]:
    """[T, 2]: the column of each task, one after its last predecessor's, and its height, centred on 0.

    Within a column tasks are ordered by the mean height of their neighbours, in a few sweeps.
    """
    application = schedule.instance.applications[int(schedule.jobs[job, APPLICATION])]
    before: dict[int, list[int]] = defaultdict(list)
    after: dict[int, list[int]] = defaultdict(list)
    for i, j in application.edges.tolist():
        before[j].append(i)
        after[i].append(j)
    column: dict[int, int] = {}
    for i in topological_order(application):
        column[i] = max((column[k] + 1 for k in before[i]), default=0)
    for i in reversed(topological_order(application)):  # entries stand beside what they feed
        if not before[i] and after[i]:
            column[i] = min(column[k] for k in after[i]) - 1
    layers = [[i for i in range(application.num_tasks) if column[i] == c] for c in range(max(column.values()) + 1)]
    height = {i: k - (len(layer) - 1) / 2 for layer in layers for k, i in enumerate(layer)}
    for sweep in range(8):
        neighbours = before if sweep % 2 == 0 else after
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            mean = {i: sum(height[k] for k in neighbours[i]) / max(len(neighbours[i]), 1) for i in layer}
            keys = {i: (mean[i] if neighbours[i] else height[i], i) for i in layer}
            layer.sort(key=keys.__getitem__)
            for k, i in enumerate(layer):
                height[i] = k - (len(layer) - 1) / 2
    return np.array([(column[i], -height[i]) for i in range(application.num_tasks)], dtype=np.float64)


def _draw_edges(axes: Axes, edges: list[list[int]], place: NDArray[np.float64], on: dict[int, int]) -> None:
    from matplotlib.collections import LineCollection

    for far, colour, line in ((False, "#C4C4C4", 1.2), (True, "#404040", 1.0)):
        chosen = [(i, j) for i, j in edges if (i in on and j in on and on[i] != on[j]) == far]
        lines = [_curve(place[i], place[j]) for i, j in chosen]
        thin = line if len(edges) <= 200 else 0.4 * line
        axes.add_collection(LineCollection(lines, colors=colour, linewidths=thin, zorder=1 + far), autolim=False)


def _curve(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points of an edge that leaves and arrives level."""
    t = np.linspace(0.0, 1.0, 17)
    rise = t * t * (3.0 - 2.0 * t)
    return np.column_stack([start[0] + t * (end[0] - start[0]), start[1] + rise * (end[1] - start[1])])


def _draw_nodes(
    axes: Axes,
    schedule: SocSchedule,
    names: tuple[str, ...],
    place: NDArray[np.float64],
    on: dict[int, int],
    room: float,
) -> None:
    """Args: room: pixels between neighbours."""
    from matplotlib.patches import Patch

    platform = schedule.instance.platform
    colours = distinct_colours(len(platform.kinds))
    fill = [colours[int(platform.kind[on[k]])] if k in on else (1.0, 1.0, 1.0) for k in range(len(names))]
    size = float(np.clip(0.30 * room * 72 / _DPI, 3.0, 13.0))  # radius in points
    style: dict[str, Any] = {"edgecolors": "#303030", "linewidths": 0.7, "zorder": 3}
    axes.scatter(place[:, 0], place[:, 1], s=(2 * size) ** 2 * 0.785, color=fill, **style)
    if size >= 7:
        for k, (x, y) in enumerate(place.tolist()):
            axes.text(x, y, str(k), ha="center", va="center", fontsize=8, color=_ink(fill[k]), zorder=4)
    if len(names) <= _NAMED_TASKS and size >= 9:
        letters = max(int(room / 5.5), 4)
        for k, (x, y) in enumerate(place.tolist()):
            name = names[k] if len(names[k]) <= letters else names[k][: letters - 1] + "…"
            where = "" if k not in on else f"\n{name_of_pe(schedule, on[k])}"
            offset: dict[str, Any] = {"xytext": (0, -size - 1), "textcoords": "offset points"}
            axes.annotate(
                name + where, (x, y), ha="center", va="top", fontsize=6.5, color="#202020", zorder=4, **offset
            )
    used = sorted({int(platform.kind[p]) for p in on.values()})
    handles = [Patch(facecolor=colours[kind], label=platform.kinds[kind].name) for kind in used]
    if len(on) < len(names):
        handles.append(Patch(facecolor="white", edgecolor="#303030", label="not assigned"))
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False)


# --- text -------------------------------------------------------------------------------------------------------------


def ansi(schedule: SocSchedule, width: int = 100) -> str:
    """The chip over time as text: a line per PE, a symbol per job (0-9, then letters), each column at its middle.

    Args:
        width: columns of the whole line, at least 30.

    Raises:
        FieldError: the width is too small.
    """
    if width < 30:
        raise FieldError("width", width, "at least 30 columns")
    pes, end = schedule.instance.num_pes, schedule.end
    labels = [name_of_pe(schedule, p)[: width // 3] for p in range(pes)]
    margin = max(map(len, labels))
    columns = width - margin - 3
    if 0 < end <= columns:
        columns = end * (columns // end)
    grid = [["."] * columns for _ in range(pes)]

    def paint(pe: int, begin: int, until: int, symbol: str) -> None:
        # Column c shows the time (c + 1/2) * end / columns.
        first, last = (-(-(2 * time * columns - end) // (2 * end)) for time in (begin, until))
        for column in range(max(first, 0), min(last, columns)):
            grid[pe][column] = symbol

    if end:
        for p, begin, until in schedule.downtimes.tolist():
            paint(p, begin, until, "#")
        for s in schedule.stretches:
            job = int(schedule.tasks[s.row, JOB])
            paint(s.pe, s.begin, s.end, "~" if s.paused else _SYMBOLS[job % len(_SYMBOLS)])
    lines = [describe(schedule)]
    lines += [f"{label:>{margin}} |{''.join(row)}|" for label, row in zip(labels, grid, strict=True)]
    lines.append(f"{'':{margin}}  0{end:>{columns - 1}}")
    lines.append(f"{'':{margin}}  job 0-9A-Z…  ~ paused  # PE down  . free")
    return "\n".join(lines)
