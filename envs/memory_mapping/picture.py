"""Pictures of plans of memory mapping: a map of CMEM over time, drawn with matplotlib or typed as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FieldError
from ..core.extras import optional
from .run_time import RunTimes
from .schedule import MemoryPlan, Placement
from .timeline import Timeline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito's colours ("Color universal design", 2008), in two tones, so that neighbours remain apart.
_KINDS = {
    "param": ("#0072B2", "#4C9CCA"),
    "input": ("#56B4E9", "#8FCDF1"),
    "const": ("#56B4E9", "#8FCDF1"),
    "act": ("#009E73", "#4DBB9D"),
    "output": ("#E69F00", "#EDBB4D"),
}
_GROUP = ("#CC79A7", "#DBA1C1")
_GROUP_NAME = "alias group"
_FETCH, _WRITE_BACK, _WAIT, _MISSED, _TRAFFIC = "#0072B2", "#E69F00", "#B22222", "#404040", "#C8C8C8"
LEGEND = {"param": "parameter", "input": "input, constant", "act": "activation", "output": "output"}
_SYMBOLS = {"param": "p", "input": "i", "const": "i", "act": "a", "output": "o"}
_DPI = 100
_LABEL_POINTS = 7
_LABEL_CHARACTER_PIXELS = 6
_MIB = 2**20
UNITS = ((1e12, "s"), (1e9, "ms"), (1e6, "µs"), (1e3, "ns"), (1.0, "ps"))
SIZES = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))
_LOOP_CHARACTER_PIXELS = 7


def kind_of(plan: MemoryPlan, placement: Placement) -> str:
    """What a strip holds: a kind of tensor, or "alias group"."""
    tensor = plan.instance.tensors[placement.tensor]
    return _GROUP_NAME if tensor.alias_group is not None else tensor.kind


def name_of(plan: MemoryPlan, tensor: int) -> str:
    """How pictures call a tensor."""
    return plan.instance.tensors[tensor].name or str(tensor)


def describe(plan: MemoryPlan, times: RunTimes) -> str:
    """One line: the instance, how long the plan takes by the judge, and how that compares with no plan."""
    share, waits = times.judged_ps / max(times.all_hbm_ps, 1), times.judged_ps - times.proxy_ps
    waiting = _duration(waits) if waits else "none"
    return f"{plan.instance.name}: {_duration(times.judged_ps)}, {share:.1%} of all in HBM; waits: {waiting}"


def shown_bytes(plan: MemoryPlan) -> int:
    """How much of CMEM pictures show: all of it, or what lies below the highest byte held if that is less than half."""
    highest = max((p.offset + int(plan.instance.size[p.tensor]) for p in plan.placements), default=0)
    room = plan.instance.hardware.cmem_bytes
    return highest if 0 < 2 * highest < room else room


def _duration(picoseconds: int) -> str:
    scale, unit = scale_of(picoseconds, UNITS)
    return f"{picoseconds / scale:.4g} {unit}"


def draw(plan: MemoryPlan, width: int = 1200, height: int = 720, title: str | None = None) -> Figure:
    """CMEM over time, by the judge, each loop run through once; below it the HBM channel and what HBM costs.

    Args:
        width, height: in pixels.
        title: the default says instance and run time.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    with optional("drawing plans", "plot", "matplotlib"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    timeline = Timeline(plan)
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    memory, channel, missed = figure.subplots(3, 1, sharex=True, height_ratios=(7, 1.3, 1.3))
    scale, unit = scale_of(timeline.total, UNITS)
    place: dict[str, Any] = {"fontsize": 10, "loc": "left", "pad": 20 if plan.instance.loops else 6}
    memory.set_title(title if title is not None else describe(plan, timeline.times), **place)
    missed.set_xlabel(f"time ({unit})" + (", each loop once" if plan.instance.loops else ""))
    missed.set_xlim(0, max(timeline.total, 1) / scale)
    for axes in (memory, channel, missed):
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        _draw_waits(axes, timeline, scale)
    _draw_channel(channel, timeline, scale)
    _draw_missed(missed, timeline, scale)
    _draw_memory(memory, timeline, scale)
    _draw_loops(memory, timeline, scale, width)
    _draw_legends(memory, channel, missed, timeline)
    _draw_labels(memory, timeline, scale)
    return figure


def rgb_array(plan: MemoryPlan, width: int = 1200, height: int = 720) -> NDArray[np.uint8]:
    """The picture as pixels, uint8 [height, width, 3]."""
    canvas = draw(plan, width, height).canvas
    canvas.draw()
    return np.array(canvas.buffer_rgba(), dtype=np.uint8)[..., :3].copy()  # pyright: ignore[reportAttributeAccessIssue]


def scale_of(largest: float, units: tuple[tuple[float, str], ...]) -> tuple[float, str]:
    """The unit in which a number is not small, and its size."""
    return next((unit for unit in units if largest >= unit[0]), units[-1])


def _boxes(rows: list[tuple[float, float, float, float]]) -> list[list[tuple[float, float]]]:
    """Rectangles from (left, right, bottom, top)."""
    return [[(a, low), (b, low), (b, high), (a, high)] for a, b, low, high in rows]


def _fill(axes: Axes, rows: list[tuple[float, float, float, float]], **style: Any) -> None:
    from matplotlib.collections import PolyCollection

    axes.add_collection(PolyCollection(_boxes(rows), **style), autolim=False)


def _colour(plan: MemoryPlan, placement: Placement) -> str:
    tones = _KINDS.get(kind_of(plan, placement), _GROUP)
    return tones[placement.tensor % 2]


def _rectangle(
    timeline: Timeline, placement: Placement, scale: float, size: float
) -> tuple[float, float, float, float]:
    begin, end = timeline.held(placement)
    high = placement.offset + int(timeline.plan.instance.size[placement.tensor])
    return begin / scale, end / scale, placement.offset / size, high / size


def _draw_memory(axes: Axes, timeline: Timeline, scale: float) -> None:
    """The strips, with a pale hatched part while they are being fetched."""
    plan = timeline.plan
    size, unit = scale_of(shown_bytes(plan), SIZES)
    axes.set_ylim(0, shown_bytes(plan) / size)
    axes.set_ylabel(f"offset in CMEM ({unit}{_of_all(plan)})")
    axes.set_facecolor("#F4F4F4")
    rows = [_rectangle(timeline, p, scale, size) for p in plan.placements]
    _fill(
        axes, rows, facecolors=[_colour(plan, p) for p in plan.placements], edgecolor="white", linewidth=0.4, zorder=2
    )
    fetched = [
        (row[0], timeline.arrives(p) / scale, row[2], row[3])
        for p, row in zip(plan.placements, rows, strict=True)
        if p.copy is not None and timeline.arrives(p) / scale > row[0]
    ]
    style = {"facecolor": (1, 1, 1, 0.6), "edgecolor": "#606060", "hatch": "//////", "linewidth": 0.0}
    _fill(axes, fetched, zorder=3, **style)


def _of_all(plan: MemoryPlan) -> str:
    """Where not all of CMEM is shown: how much there is."""
    room = plan.instance.hardware.cmem_bytes
    if shown_bytes(plan) == room:
        return ""
    size, unit = scale_of(room, SIZES)
    return f"; CMEM has {room / size:.4g} {unit}"


def _draw_labels(axes: Axes, timeline: Timeline, scale: float) -> None:
    """Names of tensors inside the strips that are large enough for them."""
    axes.figure.draw_without_rendering()  # pyright: ignore[reportAttributeAccessIssue]
    plan = timeline.plan
    size, _ = scale_of(shown_bytes(plan), SIZES)
    box, (low, high), top = axes.get_window_extent(), axes.get_xlim(), axes.get_ylim()[1]
    for p in plan.placements:
        a, b, bottom, upper = _rectangle(timeline, p, scale, size)
        a = min(max(a, timeline.arrives(p) / scale), b) if p.copy is not None else a
        wide, tall = (b - a) / (high - low) * box.width, (upper - bottom) / top * box.height
        label = name_of(plan, p.tensor)
        if tall < 1.5 * _LABEL_POINTS or wide < _LABEL_CHARACTER_PIXELS * len(label) + 6:
            label = str(p.tensor)
        if tall < 1.5 * _LABEL_POINTS or wide < _LABEL_CHARACTER_PIXELS * len(label) + 6:
            continue
        place = {"ha": "center", "va": "center", "fontsize": _LABEL_POINTS, "zorder": 4, "clip_on": True}
        axes.text((a + b) / 2, (bottom + upper) / 2, label, color="black", **place)


def _draw_loops(axes: Axes, timeline: Timeline, scale: float, width: int) -> None:
    """A brace above each loop that says how often it runs."""
    for first, last, trips in timeline.plan.instance.loops:
        begin = (timeline.begin[first] - timeline.times.wait_ps[first]) / scale
        end = timeline.end[last] / scale
        place = {"transform": axes.get_xaxis_transform(), "clip_on": False, "color": "#303030"}
        axes.plot([begin, end], [1.01, 1.01], linewidth=2.0, solid_capstyle="butt", **place)
        label = f"×{trips}"
        if (end - begin) * scale / max(timeline.total, 1) * width > _LOOP_CHARACTER_PIXELS * len(label):
            axes.text((begin + end) / 2, 1.015, label, ha="center", va="bottom", fontsize=8, **place)


def _draw_waits(axes: Axes, timeline: Timeline, scale: float) -> None:
    rows = [(begin / scale, end / scale, 0.0, 1.0) for begin, end in timeline.waits]
    style = {"facecolor": _WAIT, "alpha": 0.25, "linewidth": 0.0}
    _fill(axes, rows, zorder=1, transform=axes.get_xaxis_transform(), **style)


def _draw_channel(axes: Axes, timeline: Timeline, scale: float) -> None:
    """Shares of the HBM channel: what instructions use, and transfers above it."""
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 1], ["0", "1"])
    axes.set_ylabel("HBM", rotation=0, ha="right", va="center")
    length = np.maximum(timeline.times.instruction_ps, 1)
    used = (timeline.times.instruction_ps - timeline.times.supply_ps) / length
    rows = [
        (begin / scale, end / scale, 0.0, share)
        for begin, end, share in zip(timeline.begin.tolist(), timeline.end.tolist(), used.tolist(), strict=True)
    ]
    _fill(axes, rows, facecolor=_TRAFFIC, linewidth=0.0, zorder=2)
    for fetches, colour in ((True, _FETCH), (False, _WRITE_BACK)):
        rows = [
            (move.begin / scale, move.end / scale, 1.0 - move.share, 1.0)
            for move in timeline.moves
            if move.transfer.is_fetch == fetches
        ]
        _fill(axes, rows, facecolor=colour, linewidth=0.0, zorder=3)


def _draw_missed(axes: Axes, timeline: Timeline, scale: float) -> None:
    """The share of each instruction that accesses left to HBM cost."""
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 1], ["0", "1"])
    axes.set_ylabel("missed", rotation=0, ha="right", va="center")
    columns = zip(timeline.begin.tolist(), timeline.end.tolist(), timeline.missed.tolist(), strict=True)
    rows = [(begin / scale, end / scale, 0.0, share) for begin, end, share in columns]
    _fill(axes, rows, facecolor=_MISSED, linewidth=0.0, zorder=2)


def _draw_legends(memory: Axes, channel: Axes, missed: Axes, timeline: Timeline) -> None:
    from matplotlib.patches import Patch

    plan = timeline.plan
    kinds = {"input" if kind == "const" else kind for kind in (kind_of(plan, p) for p in plan.placements)}
    handles = [Patch(facecolor=_KINDS[kind][0], label=label) for kind, label in LEGEND.items() if kind in kinds]
    if _GROUP_NAME in kinds:
        handles.append(Patch(facecolor=_GROUP[0], label=_GROUP_NAME))
    if any(p.copy is not None for p in plan.placements):
        handles.append(Patch(facecolor="white", edgecolor="#606060", hatch="//////", label="being fetched"))
    if timeline.waits:
        handles.append(Patch(facecolor=_WAIT, alpha=0.25, label="wait"))
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), "fontsize": 8, "frameon": False}
    if handles:
        memory.legend(handles=handles, **place)
    uses = (("instructions", _TRAFFIC), ("fetches", _FETCH), ("write-backs", _WRITE_BACK))
    channel.legend(handles=[Patch(facecolor=colour, label=label) for label, colour in uses], **place)
    missed.legend(handles=[Patch(facecolor=_MISSED, label="time lost to HBM")], **place)


# --- text -------------------------------------------------------------------------------------------------------------


def ansi(plan: MemoryPlan, width: int = 100, height: int = 16) -> str:
    """CMEM over time as text: a symbol for what lies at each offset, highest first, each column a stretch of time.

    Below it what has the HBM channel and how much of the time is lost to HBM, in tenths.

    Args:
        width: columns of the whole line, at least 30.
        height: lines of the map, at least 4.

    Raises:
        FieldError: the width or the height is too small.
    """
    for name, value, least in (("width", width, 30), ("height", height, 4)):
        if value < least:
            raise FieldError(name, value, f"at least {least}")
    timeline = Timeline(plan)
    room = shown_bytes(plan)
    size, unit = scale_of(room, SIZES)
    labels = [f"{room * (height - row) / height / size:.4g}" for row in range(height)]
    margin = max(max(map(len, labels)), len("missed"))
    columns = width - margin - 3
    middles = (np.arange(columns) + 0.5) * timeline.total / columns
    lines = [describe(plan, timeline.times), f"{unit:>{margin}}{_of_all(plan)}"]
    for label, row in zip(labels, _map_rows(timeline, middles, height), strict=True):
        lines.append(f"{label:>{margin}} |{row}|")
    lines.append(f"{'HBM':>{margin}} |{_channel_row(timeline, middles)}|")
    lines.append(f"{'missed':>{margin}} |{_missed_row(timeline, middles)}|")
    lines.append(f"{'':{margin}}  0{_duration(timeline.total):>{columns - 1}}")
    lines += [f"{'':{margin}}  instructions {a} to {b} run {n} times" for a, b, n in plan.instance.loops]
    lines.append(f"{'':{margin}}  p parameter  i input  a activation  o output  g alias group  ~ being fetched  . free")
    lines.append(f"{'':{margin}}  HBM: > fetch  < write-back  ! wait   missed: tenths of the time that HBM costs")
    return "\n".join(lines)


def _map_rows(timeline: Timeline, middles: NDArray[np.float64], height: int) -> list[str]:
    plan = timeline.plan
    grid = np.full((height, len(middles)), ".")
    levels = (np.arange(height)[::-1] + 0.5) * shown_bytes(plan) / height
    for p in plan.placements:
        begin, end = timeline.held(p)
        rows = (levels >= p.offset) & (levels < p.offset + int(plan.instance.size[p.tensor]))
        symbol = _SYMBOLS.get(kind_of(plan, p), "g")
        grid[np.ix_(rows, (middles >= begin) & (middles < end))] = symbol
        if p.copy is not None:
            grid[np.ix_(rows, (middles >= begin) & (middles < timeline.arrives(p)))] = "~"
    return ["".join(row) for row in grid]


def _channel_row(timeline: Timeline, middles: NDArray[np.float64]) -> str:
    row = np.full(len(middles), " ")
    for move in timeline.moves:
        row[(middles >= move.begin) & (middles < move.end)] = ">" if move.transfer.is_fetch else "<"
    for begin, end in timeline.waits:
        row[(middles >= begin) & (middles < end)] = "!"
    return "".join(row)


def _missed_row(timeline: Timeline, middles: NDArray[np.float64]) -> str:
    if not len(timeline.end):
        return " " * len(middles)
    at = np.minimum(np.searchsorted(timeline.end, middles, side="right"), len(timeline.end) - 1)
    tenths = np.where(middles >= timeline.begin[at], np.rint(timeline.missed[at] * 10), 0).astype(int)
    return "".join(" " if tenth == 0 else str(min(tenth, 9)) for tenth in tenths.tolist())
