"""What an interactive picture of a schedule shows, as plain data: a report draws it, whatever the environment.

An environment that offers ``chart(schedule) -> Chart`` gets its schedules into ``makespan report``: bars on lanes (a
Gantt chart), bars at numeric heights (a memory map), lines (flights in space and time), points, and grids (arms over
time). Nothing here draws, and nothing here needs a plotting library.

Colours are numbers: readers see them as colours that colour-blind people can tell apart, on a light or a dark page;
`INK` is the colour of text. What differs in colour should differ in something else as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .errors import FieldError

PATTERNS = ("", "/", "\\", "x", "-", "|", "+", ".")
"""Hatches of bars, which tell kinds apart without colours."""
SHADES = ("solid", "pale", "neutral")
"""How strongly bars show their group's colour; "neutral" is grey."""
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
INK = -1
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "triangle-down", "cross", "x", "star")


class Bar(NamedTuple):
    """A stretch of time: an operation on a machine, a tensor at an offset.

    Attributes:
        lane: number of its lane, from 0; in a panel without lanes the bar's middle, in units of the panel's axis.
        begin, end: in the chart's unit of time.
        name: what it is, in full: "job 3, operation 2".
        group: bars of a group have one colour: the job's number.
        label: what stands in it where there is room.
        detail: what else is to be said of it; lines are separated by line ends.
        height: in units of the axis; lanes are 1 apart.
    """

    lane: float
    begin: float
    end: float
    name: str
    group: int = 0
    label: str = ""
    detail: str = ""
    height: float = 0.8


class Line(NamedTuple):
    """A line from point to point: a flight, a course over time.

    Attributes:
        x: times.
        y: lanes or values, as many.
        name: what it is, in full.
        detail: what else is to be said of it.
    """

    x: Sequence[float]
    y: Sequence[float]
    name: str
    detail: str = ""


class Point(NamedTuple):
    """Something that happens at one time."""

    x: float
    y: float
    name: str
    detail: str = ""


@dataclass(frozen=True)
class Bars:
    """Bars of one kind, an entry of the legend.

    Attributes:
        kind: its name: "processing".
        bars: those.
        pattern: one of `PATTERNS`.
        shade: one of `SHADES`.
        by_group: whether each group has a colour of its own; else all have that of `colour`.
        colour: number of the colour where groups have none of their own.
    """

    kind: str
    bars: Sequence[Bar]
    pattern: str = ""
    shade: str = "solid"
    by_group: bool = True
    colour: int = 0

    def __post_init__(self) -> None:
        _check_one_of("pattern", self.pattern, PATTERNS)
        _check_one_of("shade", self.shade, SHADES)
        _check_finite(self.kind, (value for bar in self.bars for value in (bar.lane, bar.begin, bar.end, bar.height)))


@dataclass(frozen=True)
class Lines:
    """Lines of one kind, an entry of the legend.

    Attributes:
        kind: its name.
        lines: those.
        colour: number of the colour; kinds of different numbers differ in their dashes, too.
        dash: one of `DASHES`; empty: by the number of the colour.
        steps: whether a value holds until the next point.
        filled: whether the area down to 0 is filled.
        width: in pixels.
    """

    kind: str
    lines: Sequence[Line]
    colour: int = 0
    dash: str = ""
    steps: bool = False
    filled: bool = False
    width: float = 1.5

    def __post_init__(self) -> None:
        _check_one_of("dash", self.dash, ("", *DASHES))
        for line in self.lines:
            if len(line.x) != len(line.y):
                raise FieldError(
                    f"chart line {line.name!r}: y", f"{len(line.y)} values", f"{len(line.x)}, as many as x"
                )
        _check_finite(self.kind, (value for line in self.lines for values in (line.x, line.y) for value in values))


@dataclass(frozen=True)
class Points:
    """Points of one kind, an entry of the legend.

    Attributes:
        kind: its name.
        points: those.
        colour: number of the colour.
        symbol: one of `SYMBOLS`.
        size: in pixels.
    """

    kind: str
    points: Sequence[Point]
    colour: int = 0
    symbol: str = "circle"
    size: float = 7.0

    def __post_init__(self) -> None:
        _check_one_of("symbol", self.symbol, SYMBOLS)
        _check_finite(self.kind, (value for point in self.points for value in (point.x, point.y)))


@dataclass(frozen=True)
class Grid:
    """A value for each lane and each step of time, drawn from light to dark: the state of each arm in each epoch.

    Attributes:
        kind: what the values are: "state".
        values: a row per lane, a column per step, whole numbers from 0.
        start: time at the middle of the first column; columns are 1 apart.
        names: what the values are called, by number; empty: as they are.
        most: the largest value that there can be, which is the darkest; None: the largest there is.
    """

    kind: str
    values: Sequence[Sequence[int]]
    start: float = 0.0
    names: Sequence[str] = ()
    most: int | None = None

    def __post_init__(self) -> None:
        if len({len(row) for row in self.values}) > 1:
            raise FieldError(f"chart grid {self.kind!r}: values", "rows of several lengths", "rows of one length")
        _check_finite(self.kind, (value for row in self.values for value in row))


Mark = Bars | Lines | Points | Grid


@dataclass(frozen=True)
class Panel:
    """Marks over one vertical axis.

    Attributes:
        title: of the axis, with its unit: "machine", "reward".
        marks: what is drawn, the first at the bottom.
        lanes: names of the rows, from the top; empty: the axis has numbers.
        weight: its share of the height.
        top: up to where an axis of numbers goes at least; None: as far as its marks.
    """

    title: str
    marks: Sequence[Mark]
    lanes: Sequence[str] = ()
    weight: float = 1.0
    top: float | None = None

    def __post_init__(self) -> None:
        if not self.lanes:
            return
        for mark in self.marks:
            for bar in mark.bars if isinstance(mark, Bars) else ():
                if not 0 <= bar.lane < len(self.lanes):
                    raise FieldError(f"chart bar {bar.name!r}: lane", bar.lane, f"0 to {len(self.lanes) - 1}")
            if isinstance(mark, Grid) and len(mark.values) != len(self.lanes):
                expected = f"{len(self.lanes)}, one for each lane"
                raise FieldError(f"chart grid {mark.kind!r}: values", f"{len(mark.values)} rows", expected)


@dataclass(frozen=True)
class Chart:
    """A schedule to be looked at: panels above each other over one axis of time.

    Attributes:
        title: one line that says what it is and what it comes to.
        panels: from the top.
        time: title of the axis of time, with its unit: "time (ms)".
        lane: what lanes are, for whoever points at a bar: "machine".
        day_starts: where times are seconds of a day: the second of the day at time 0, so that clock times are shown.
        moments: (time, name) of what is marked by a line through all panels: "makespan 55".
        note: a sentence on how to read it: "Numbers in bars are jobs."
    """

    title: str
    panels: Sequence[Panel]
    time: str = "time"
    lane: str = "lane"
    day_starts: float | None = None
    moments: Sequence[tuple[float, str]] = ()
    note: str = ""

    def __post_init__(self) -> None:
        if not self.panels:
            raise FieldError("chart panels", list(self.panels), "at least one panel")
        _check_finite("moments", (time for time, _ in self.moments))

    def marks(self) -> Iterator[Mark]:
        """All marks of all panels."""
        for panel in self.panels:
            yield from panel.marks


def _check_one_of(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise FieldError(f"chart {name}", value, f"one of {', '.join(map(repr, known))}")


def _check_finite(where: str, values: Iterable[float]) -> None:
    for value in values:
        if not math.isfinite(value):
            raise FieldError(f"chart {where!r}", value, "finite numbers")
