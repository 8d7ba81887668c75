"""Gantt charts of job shop schedules, drawn with matplotlib or typed as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FieldError
from ..core.extras import optional
from .bounds import lower_bound
from .schedule import JobShopSchedule, Visit, swaps

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PROCESSING, BLOCKED, PAUSED, LOST, DOWN = "processing", "blocked", "paused", "lost work", "machine down"

# Okabe & Ito's colours ("Color universal design", 2008) without black and grey; more jobs take viridis.
_OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
_DPI = 100
_LABEL_POINTS = 8
_LABEL_CHARACTER_PIXELS = 7
_JOBS_IN_LEGEND = 14
_SYMBOLS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwyz"
_MODE = {"swap": "blocking with swaps", "no-swap": "blocking without swaps", "none": "unlimited buffers"}


class Segment(NamedTuple):
    """A stretch of time in which one job is on one machine in one state."""

    kind: str
    job: int
    machine: int
    begin: int
    end: int


def last_time(schedule: JobShopSchedule) -> int:
    """Latest time that the schedule knows of: a start, a completion or a loss."""
    ends = schedule.lost[:, 5]
    return max(int(schedule.start.max()), int(schedule.completion.max()), int(ends.max()) if len(ends) else 0, 0)


def segments(schedule: JobShopSchedule) -> list[Segment]:
    """What each job did on each machine, up to the latest time that the schedule knows of."""
    now = last_time(schedule)
    pieces = list(schedule.pieces())
    return [
        segment for visits in pieces for visit in visits for segment in visit_segments(schedule, visits, visit, now)
    ]


def visit_segments(schedule: JobShopSchedule, visits: list[Visit], visit: Visit, now: int) -> Iterator[Segment]:
    """What one visit's job did on its machine up to `now`; `visits` are all of its piece."""
    end = visit.end if visit.end >= 0 else now
    release = visit.release if visit.release >= 0 else now
    lost = visits[-1].cut
    for kind, begin, until in _work(schedule, visit, end):
        yield Segment(LOST if lost else kind, visit.job, visit.machine, begin, until)
    if schedule.blocking != "none" and release > end:
        yield Segment(LOST if lost else BLOCKED, visit.job, visit.machine, end, release)


def _work(schedule: JobShopSchedule, visit: Visit, end: int) -> Iterator[tuple[str, int, int]]:
    """Processing and pauses from the start to `end`; under "repeat" what a pause cuts off is lost."""
    cut_off = LOST if schedule.on_breakdown == "repeat" else PROCESSING
    now = visit.start
    for begin, until in schedule.windows(visit.machine):
        if begin >= end or until <= now:
            continue
        yield cut_off, now, begin
        yield PAUSED, begin, min(until, end)
        now = until
    if now < end:
        yield PROCESSING, now, end


def draw(schedule: JobShopSchedule, width: int = 1000, height: int | None = None, title: str | None = None) -> Figure:
    """Gantt chart with a row per machine.

    Args:
        width, height: in pixels; the default height grows with the machines.
        title: the default says instance, mode and makespan.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    machines = schedule.instance.num_machines
    height = height or min(200 + 36 * machines, 1400)
    figure, axes = _figure(width, height)
    # An unfinished chart keeps its scale for as long as it can, so that its frames can be compared.
    end = max(last_time(schedule), 1 if schedule.finished else lower_bound(schedule.instance), 1)
    axes.set_xlim(0, end * 1.02)
    axes.set_ylim(machines - 0.5, -0.5)
    axes.set_yticks(range(machines))
    axes.set_ylabel("machine")
    axes.set_xlabel("time")
    axes.set_title(title if title is not None else describe(schedule), fontsize=10, loc="left")
    colours = job_colours(schedule.instance.num_jobs)
    bars = segments(schedule)
    _draw_downtime(axes, schedule, end)
    _draw_segments(axes, bars, colours)
    _draw_swaps(axes, schedule)
    if last_time(schedule) > 0:
        dashes = "solid" if schedule.finished else "dashed"
        axes.axvline(last_time(schedule), color="black", linewidth=1.2, linestyle=dashes, zorder=5)
    _draw_legend(axes, schedule, bars, colours)
    figure.tight_layout()
    _draw_labels(axes, bars, colours)
    return figure


def rgb_array(schedule: JobShopSchedule, width: int = 1000, height: int | None = None) -> NDArray[np.uint8]:
    """The chart as pixels, uint8 [height, width, 3]."""
    canvas = draw(schedule, width, height).canvas
    canvas.draw()
    return np.array(canvas.buffer_rgba(), dtype=np.uint8)[..., :3].copy()  # pyright: ignore[reportAttributeAccessIssue]


def save_picture(
    schedule: JobShopSchedule, path: str | Path, width: int = 1000, height: int | None = None, title: str | None = None
) -> None:
    """Write the chart in the format that the path's suffix names: png, svg, pdf and what else matplotlib knows."""
    figure = draw(schedule, width, height, title)
    known = sorted(figure.canvas.get_supported_filetypes())
    suffix = Path(path).suffix.removeprefix(".").lower()
    if suffix not in known:
        raise FieldError("picture", str(path), f"a path that ends in one of {', '.join(known)}")
    figure.savefig(path, format=suffix)


def describe(schedule: JobShopSchedule) -> str:
    """One line: instance, mode, and how long it took."""
    state = "makespan" if schedule.finished else "unfinished, so far"
    return f"{schedule.instance.name}, {_MODE[schedule.blocking]}: {state} {last_time(schedule)}"


def job_colours(jobs: int) -> list[tuple[float, float, float]]:
    """Colours that remain apart for colour-blind readers, neighbours in number far apart in lightness."""
    matplotlib = _matplotlib()
    if jobs <= len(_OKABE_ITO):
        return [matplotlib.colors.to_rgb(colour) for colour in _OKABE_ITO[:jobs]]
    # Multiples of a step near the golden section, coprime to the number of jobs, visit all of them in long strides.
    step = next(s for s in range(round(jobs * 0.618), 2 * jobs) if np.gcd(s, jobs) == 1)
    positions = [(j * step) % jobs / (jobs - 1) for j in range(jobs)]
    return [matplotlib.colormaps["viridis"](0.04 + 0.94 * position)[:3] for position in positions]


def _matplotlib():
    with optional("drawing schedules", "plot", "matplotlib"):
        import matplotlib
        import matplotlib.colors
    return matplotlib


def _figure(width: int, height: int) -> tuple[Figure, Axes]:
    """A figure with axes, out of reach of pyplot's global state."""
    _matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _rectangle(row: int, begin: float, end: float, half: float) -> list[tuple[float, float]]:
    return [(begin, row - half), (end, row - half), (end, row + half), (begin, row + half)]


def _pale(colour: Sequence[float]) -> tuple[float, ...]:
    return tuple(0.35 * channel + 0.65 for channel in colour)


def _style(kind: str) -> dict[str, Any]:
    """Hatch and line of a kind of segment; its fill is the job's colour, pale where nothing useful is done."""
    return {
        PROCESSING: {"edgecolor": "white", "linewidth": 0.5},
        BLOCKED: {"hatch": "////", "edgecolor": "#404040", "linewidth": 0.3},
        PAUSED: {"hatch": "....", "edgecolor": "#202020", "linewidth": 0.8},
        LOST: {"hatch": "xxx", "edgecolor": "#303030", "linewidth": 0.5},
        DOWN: {"hatch": "\\\\\\", "edgecolor": "#808080", "facecolor": "#D9D9D9", "linewidth": 0.0},
    }[kind]


def _draw_downtime(axes: Axes, schedule: JobShopSchedule, end: int) -> None:
    from matplotlib.collections import PolyCollection

    boxes = [
        _rectangle(machine, begin, min(until, end), 0.48)
        for machine in range(schedule.instance.num_machines)
        for begin, until in schedule.windows(machine)
        if begin < end
    ]
    axes.add_collection(PolyCollection(boxes, zorder=1, **_style(DOWN)), autolim=False)


def _draw_segments(axes: Axes, bars: list[Segment], colours: list[tuple[float, float, float]]) -> None:
    from matplotlib.collections import PolyCollection

    for kind in (PROCESSING, BLOCKED, PAUSED, LOST):
        chosen = [bar for bar in bars if bar.kind == kind]
        # Narrower than a down-time, which so shows around the job that it pauses.
        half = 0.25 if kind == PAUSED else 0.38
        boxes = [_rectangle(bar.machine, bar.begin, bar.end, half) for bar in chosen]
        fills = [colours[bar.job] if kind == PROCESSING else _pale(colours[bar.job]) for bar in chosen]
        axes.add_collection(PolyCollection(boxes, facecolors=fills, zorder=2, **_style(kind)), autolim=False)


def _draw_swaps(axes: Axes, schedule: JobShopSchedule) -> None:
    for swap in swaps(schedule):
        axes.plot(
            [swap.time] * len(swap.machines),
            sorted(swap.machines),
            color="black",
            linewidth=0.9,
            linestyle=":",
            marker="D",
            markersize=4.5,
            markerfacecolor="white",
            zorder=4,
        )


def _draw_labels(axes: Axes, bars: list[Segment], colours: list[tuple[float, float, float]]) -> None:
    """Job numbers inside the bars that are large enough for them."""
    box = axes.get_window_extent()
    low, high = axes.get_xlim()
    rows = abs(axes.get_ylim()[1] - axes.get_ylim()[0])
    if 0.76 * box.height / rows < 1.6 * _LABEL_POINTS:
        return
    for bar in bars:
        label = str(bar.job)
        if (bar.end - bar.begin) * box.width / (high - low) < _LABEL_CHARACTER_PIXELS * len(label) + 4:
            continue
        if bar.kind not in (PROCESSING, LOST):
            continue
        red, green, blue = colours[bar.job]
        dark = bar.kind == PROCESSING and 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
        background = {"facecolor": "white", "linewidth": 0, "pad": 1.0} if bar.kind == LOST else None
        axes.text(
            (bar.begin + bar.end) / 2,
            bar.machine,
            label,
            ha="center",
            va="center",
            fontsize=_LABEL_POINTS,
            color="white" if dark else "black",
            bbox=background,
            zorder=3,
        )


def _draw_legend(
    axes: Axes, schedule: JobShopSchedule, bars: list[Segment], colours: list[tuple[float, float, float]]
) -> None:
    """Kinds that occur, and the jobs where these are few."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    kinds = {bar.kind for bar in bars} | ({DOWN} if any(schedule.downtime) else set())
    handles: list[Patch | Line2D] = []
    if len(colours) <= _JOBS_IN_LEGEND:
        handles += [Patch(facecolor=colour, label=f"job {j}") for j, colour in enumerate(colours)]
    for kind in (BLOCKED, PAUSED, LOST, DOWN):
        if kind in kinds:
            handles.append(Patch(**{"facecolor": "white", **_style(kind), "label": kind}))
    if swaps(schedule):
        handles.append(Line2D([], [], color="black", linestyle=":", marker="D", markerfacecolor="white", label="swap"))
    if last_time(schedule) > 0:
        dashes = "solid" if schedule.finished else "dashed"
        label = f"{'makespan' if schedule.finished else 'now'} {last_time(schedule)}"
        handles.append(Line2D([], [], color="black", linestyle=dashes, label=label))
    if handles:
        axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False)


def ansi(schedule: JobShopSchedule, width: int = 100) -> str:
    """Text chart: a line per machine, a symbol per job (0-9, then letters), each column shows the time at its middle.

    Args:
        width: columns of the whole line, at least 20.

    Raises:
        FieldError: the width is too small.
    """
    if width < 20:
        raise FieldError("width", width, "at least 20 columns")
    machines = schedule.instance.num_machines
    margin = len(str(machines - 1)) + 2
    now = last_time(schedule)
    columns = width - margin - 1
    if 0 < now <= columns:
        columns = now * (columns // now)
    grid = [["."] * columns for _ in range(machines)]

    def paint(machine: int, begin: int, end: int, symbol: str) -> None:
        # Column c shows the time (c + 1/2) * now / columns.
        for column in range(-(-(2 * begin * columns - now) // (2 * now)), -(-(2 * end * columns - now) // (2 * now))):
            if 0 <= column < columns:
                grid[machine][column] = symbol

    if now:
        for machine in range(machines):
            for begin, end in schedule.windows(machine):
                paint(machine, begin, end, "#")
        marks = {BLOCKED: "-", PAUSED: "~", LOST: "x"}
        for bar in segments(schedule):
            paint(bar.machine, bar.begin, bar.end, marks.get(bar.kind) or _SYMBOLS[bar.job % len(_SYMBOLS)])
    lines = [describe(schedule)]
    lines += [f"{machine:>{margin - 2}} |{''.join(row)}|" for machine, row in enumerate(grid)]
    lines.append(f"{'':{margin}}0{now:>{columns - 1}}")
    for swap in swaps(schedule):
        moves = ", ".join(f"job {job} to {machine}" for job, machine in zip(swap.jobs, swap.machines, strict=True))
        lines.append(f"{'':{margin}}swap at {swap.time}: {moves}")
    lines.append(f"{'':{margin}}job 0-9A-Z...  - blocked  ~ paused  x lost work  # machine down  . free")
    return "\n".join(lines)
