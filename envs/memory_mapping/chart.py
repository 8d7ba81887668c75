"""A plan of memory mapping for interactive pictures: offsets in CMEM over time, the HBM channel and what HBM costs."""

from __future__ import annotations

from collections import defaultdict

from ..core.chart import Bar, Bars, Chart, Line, Lines, Mark, Panel
from .picture import LEGEND, SIZES, UNITS, describe, kind_of, name_of, scale_of, shown_bytes
from .schedule import MemoryPlan, Placement
from .timeline import Timeline

_HATCHES = ("", "/", "\\", "-", "+")


def chart(plan: MemoryPlan) -> Chart:
    """CMEM over time by the judge, each loop run through once."""
    timeline = Timeline(plan)
    scale, unit = scale_of(timeline.total, UNITS)
    size, unit_of_size = scale_of(shown_bytes(plan), SIZES)
    panels = (
        Panel(
            f"offset in CMEM ({unit_of_size})", _memory(timeline, scale, size), weight=7, top=shown_bytes(plan) / size
        ),
        Panel("share of the HBM channel", _channel(timeline, scale), weight=2, top=1.0),
        Panel("share of the time lost to HBM", _missed(timeline, scale), weight=2, top=1.0),
    )
    loops = ", each loop once" if plan.instance.loops else ""
    return Chart(describe(plan, timeline.times), panels, f"time ({unit}{loops})", "offset")


def _memory(timeline: Timeline, scale: float, size: float) -> list[Mark]:
    plan, strips, fetches = timeline.plan, defaultdict[str, list[Bar]](list), list[Bar]()
    for p in plan.placements:
        begin, end = timeline.held(p)
        height = int(plan.instance.size[p.tensor]) / size
        middle, kind = p.offset / size + height / 2, kind_of(plan, p)
        name = name_of(plan, p.tensor)
        strips[LEGEND.get(kind, kind)].append(
            Bar(middle, begin / scale, end / scale, f"tensor {name}", 0, name, _detail(plan, p), height)
        )
        arrives = timeline.arrives(p)
        if p.copy is not None and arrives > begin:
            bar = Bar(
                middle, begin / scale, arrives / scale, f"fetch of tensor {name}", 0, "", _detail(plan, p), height
            )
            fetches.append(bar)
    marks: list[Mark] = [
        Bars(kind, bars, _HATCHES[number % len(_HATCHES)], by_group=False, colour=number)
        for number, (kind, bars) in enumerate(sorted(strips.items()))
    ]
    if fetches:
        marks.append(Bars("being fetched", fetches, "x", "neutral"))
    return marks


def _detail(plan: MemoryPlan, p: Placement) -> str:
    size = int(plan.instance.size[p.tensor])
    held = f"instructions {p.start} to {p.end}"
    return f"bytes {p.offset:,} to {p.offset + size:,} ({size:,})\n{held}\n{plan.instance.tensors[p.tensor].kind}"


def _channel(timeline: Timeline, scale: float) -> list[Mark]:
    """Shares of the HBM channel: what instructions use from below, transfers from above."""
    marks = list[Mark]()
    used = list[Bar]()
    for t, (begin, end) in enumerate(zip(timeline.begin.tolist(), timeline.end.tolist(), strict=True)):
        share = float(1.0 - timeline.times.supply_ps[t] / max(timeline.times.instruction_ps[t], 1))
        if share > 0 and end > begin:
            used.append(
                Bar(share / 2, begin / scale, end / scale, f"instruction {t}", detail=f"uses {share:.0%}", height=share)
            )
    marks.append(Bars("instructions", used, shade="neutral"))
    for fetches, kind, pattern, colour in ((True, "fetches", "/", 4), (False, "write-backs", "\\", 5)):
        bars = [
            Bar(
                1.0 - move.share / 2, move.begin / scale, move.end / scale,
                str(move.transfer), detail=f"has {move.share:.0%}", height=move.share,
            )
            for move in timeline.moves
            if move.transfer.is_fetch == fetches
        ]  # fmt: skip
        if bars:
            marks.append(Bars(kind, bars, pattern, by_group=False, colour=colour))
    waits = [Bar(0.5, begin / scale, end / scale, "wait for a transfer", height=1.0) for begin, end in timeline.waits]
    if waits:
        marks.append(Bars("wait", waits, "x", "pale", by_group=False, colour=5))
    return marks


def _missed(timeline: Timeline, scale: float) -> list[Mark]:
    """The share of each instruction that accesses left to HBM cost."""
    times = [time / scale for time in timeline.begin.tolist()]
    line = Line([*times, timeline.total / scale], [*timeline.missed.tolist(), 0.0], "share of the time lost to HBM")
    return [Lines("time lost to HBM", [line], colour=1, steps=True, filled=True)]
