"""From an environment's description of a schedule to a plotly figure, as plain data."""

from __future__ import annotations

import math
from typing import Any, TypeVar

from ...envs.core.chart import DASHES, Bar, Bars, Chart, Grid, Lines, Mark, Panel, Points
from .markup import plot_text
from .style import INK_COLOUR, NEUTRAL, SURFACE, axis, colour, group_colour, layout, pale

_T = TypeVar("_T")

MOST_MARKS = 4000
"""Bars, lines and points of one kind that are drawn; of more the first in time."""
MOST_CELLS = 60_000
_MOST_LABELS = 700
_MOST_NUMBERS = 900  # cells of a grid that have their value written in them
_LANE, _FEW_LANES, _PANEL = 28, 24, 130  # pixels, but for the number of lanes
_MARGINS = 110
_GAP = 34  # holds the title of the panel below
_ABOVE = 44  # of the first panel's title and the names of moments, below the legend


def figure(chart: Chart, end: float | None = None) -> tuple[dict[str, Any], list[str]]:
    """A picture of a chart.

    Args:
        chart: what the environment describes.
        end: time up to which the axis goes at least, so that pictures of one world can be compared.

    Returns:
        ``{"data", "layout"}`` for plotly, and sentences about what is left out.
    """
    return _Drawing(chart).figure(end)


def end_of(chart: Chart) -> float:
    """The last time that a chart shows."""
    times = [time for time, _ in chart.moments]
    for mark in chart.marks():
        if isinstance(mark, Bars):
            times += [bar.end for bar in mark.bars]
        elif isinstance(mark, Lines):
            times += [max(line.x) for line in mark.lines if len(line.x)]
        elif isinstance(mark, Points):
            times += [point.x for point in mark.points]
        elif mark.values:
            times.append(mark.start + len(mark.values[0]) - 0.5)
    return max(times, default=0.0)


class _Drawing:
    def __init__(self, chart: Chart) -> None:
        self._chart = chart
        self._notes: list[str] = []
        groups = {bar.group for mark in chart.marks() if isinstance(mark, Bars) and mark.by_group for bar in mark.bars}
        self._groups = max(groups, default=0) + 1

    def figure(self, end: float | None) -> tuple[dict[str, Any], list[str]]:
        chart = self._chart
        heights = [_height(panel, max(other.weight for other in chart.panels)) for panel in chart.panels]
        total = sum(heights) + _GAP * (len(heights) - 1)
        data, found = list[dict[str, Any]](), layout(total + _MARGINS, barmode="overlay", bargap=0)
        above, titles = 0.0, list[dict[str, Any]]()
        found["legend"] = {**found["legend"], "y": 1 + _ABOVE / total}
        for number, (panel, height) in enumerate(zip(chart.panels, heights, strict=True)):
            top = 1 - above / total
            suffix = str(number + 1) if number else ""
            found[f"yaxis{suffix}"] = self._vertical(panel, [max(top - height / total, 0.0), top])
            titles.append(_title(panel, top))
            traces = [trace for mark in panel.marks for trace in self._traces(mark, panel)]
            # Without anything on it an axis is not drawn.
            for trace in traces or [{"type": "scatter", "x": [None], "y": [None]}]:
                # What is alone in a panel is told by the panel's title.
                alone = {"showlegend": False} if len(panel.marks) < 2 else {}
                data.append({**trace, "xaxis": "x", "yaxis": f"y{suffix}", **alone})
            above += height + _GAP
        last = "y" if len(heights) == 1 else f"y{len(heights)}"
        found["xaxis"] = self._horizontal(last, end_of(chart) if end is None else max(end, end_of(chart)))
        found["shapes"] = [
            {
                "type": "line", "x0": self._time(time), "x1": self._time(time), "xref": "x", "y0": 0, "y1": 1,
                "yref": "paper", "line": {"color": INK_COLOUR, "width": 1, "dash": "dot"},
            }
            for time, _ in chart.moments
        ]  # fmt: skip
        found["annotations"] = titles + [
            {
                "x": self._time(time), "xref": "x", "y": 1, "yref": "paper", "text": plot_text(name),
                "xanchor": "right" if 2 * time > end_of(chart) else "left", "yanchor": "bottom", "yshift": 14,
                "showarrow": False, "font": {"size": 12},
            }
            for time, name in chart.moments
        ]  # fmt: skip
        return {"data": data, "layout": found}, self._notes

    # --- axes ---------------------------------------------------------------------------------------------------------

    def _time(self, time: float) -> float:
        """A time as the axis has it; clock times are milliseconds."""
        starts = self._chart.day_starts
        return time if starts is None else round(1000 * (starts + time))

    def _shown(self, time: float) -> str:
        """A time for people."""
        starts = self._chart.day_starts
        if starts is None:
            return number_text(time)
        seconds = round(starts + time)
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"

    def _horizontal(self, anchor: str, end: float) -> dict[str, Any]:
        begin = 0.0
        for mark in self._chart.marks():
            if isinstance(mark, Grid):
                begin = min(begin, mark.start - 0.5)
        spare = 0.01 * (end - begin)
        span = [self._time(begin), self._time(end + spare)]
        found = axis(plot_text(self._chart.time), anchor=anchor, range=span, zeroline=False)
        if self._chart.day_starts is not None:
            found |= {"type": "date", "tickformat": "%H:%M"}
        return found

    def _vertical(self, panel: Panel, domain: list[float]) -> dict[str, Any]:
        found = axis(domain=domain, zeroline=False)
        if not panel.lanes and panel.top is not None:
            return {**found, "range": [0, 1.02 * panel.top], "fixedrange": self._is_lighter(panel)}
        if not panel.lanes:
            return {**found, "rangemode": "tozero", "fixedrange": self._is_lighter(panel)}
        count = len(panel.lanes)
        step = math.ceil(count / 40)
        rows = range(0, count, step)
        found |= {"tickvals": list(rows), "ticktext": [plot_text(_short(panel.lanes[row])) for row in rows]}
        return {**found, "range": [count - 0.5, -0.5], "showgrid": False, "fixedrange": count <= _FEW_LANES}

    def _is_lighter(self, panel: Panel) -> bool:
        return panel.weight < max(other.weight for other in self._chart.panels)

    # --- marks --------------------------------------------------------------------------------------------------------

    def _traces(self, mark: Mark, panel: Panel) -> list[dict[str, Any]]:
        if isinstance(mark, Bars):
            return self._bars(mark, panel) if mark.bars else []
        if isinstance(mark, Lines):
            return [self._lines(mark)] if mark.lines else []
        if isinstance(mark, Points):
            return [self._points(mark)] if mark.points else []
        return [self._grid(mark, panel)] if mark.values and mark.values[0] else []

    def _first(self, kind: str, items: list[_T]) -> list[_T]:
        """Of more than can be drawn the first, with a sentence that says so."""
        if len(items) > MOST_MARKS:
            self._notes.append(f"Of {len(items):,} marks {kind!r} the first {MOST_MARKS:,} are drawn.")
        return items[:MOST_MARKS]

    def _bars(self, mark: Bars, panel: Panel) -> list[dict[str, Any]]:
        bars = self._first(mark.kind, sorted(mark.bars, key=lambda bar: bar.begin))
        fills = [self._fill(mark, bar) for bar in bars]
        heights = [bar.height for bar in bars]
        marker: dict[str, Any] = {
            "color": fills[0] if len(set(fills)) == 1 else fills,
            "line": {"color": SURFACE, "width": 0.5},
        }
        if mark.pattern:
            hatch = {"shape": mark.pattern, "fgcolor": INK_COLOUR, "fgopacity": 0.55, "size": 6, "solidity": 0.2}
            marker["pattern"] = {**hatch, "fillmode": "overlay"}
        begin = [self._time(bar.begin) for bar in bars]
        found = {
            "type": "bar",
            "orientation": "h",
            "name": plot_text(mark.kind),
            "base": begin,
            "x": [self._time(bar.end) - first for bar, first in zip(bars, begin, strict=True)],
            "y": [bar.lane for bar in bars],
            "width": heights[0] if len(set(heights)) == 1 else heights,
            "marker": marker,
            "customdata": [self._told(bar, panel) for bar in bars],
            "hovertemplate": self._template(panel, plot_text(mark.kind)),
        }
        if any(bar.label for bar in bars) and len(bars) <= _MOST_LABELS:
            inside = {
                "textposition": "inside",
                "insidetextanchor": "middle",
                "textangle": 0,
                "constraintext": "inside",
                "insidetextfont": {"size": 10},
            }
            found |= {"text": [plot_text(bar.label) for bar in bars], **inside}
        else:
            found["textposition"] = "none"
        if len(set(fills)) == 1:
            return [found]
        # Bars of many colours have a grey one in the legend.
        legend = {key: found[key] for key in ("type", "orientation", "name")}
        group = {"legendgroup": f"{plot_text(panel.title)}: {found['name']}"}
        grey = {**marker, "color": pale(NEUTRAL, 0.9 if mark.shade == "solid" else 0.35)}
        return [{**legend, **group, "x": [None], "y": [None], "marker": grey}, {**found, **group, "showlegend": False}]

    def _fill(self, mark: Bars, bar: Bar) -> str:
        if mark.shade == "neutral":
            return pale(NEUTRAL, 0.45)
        code = group_colour(bar.group, self._groups) if mark.by_group else colour(mark.colour)
        return pale(code) if mark.shade == "pale" and code.startswith("#") else code

    def _told(self, bar: Bar, panel: Panel) -> list[str]:
        lane = [plot_text(panel.lanes[int(bar.lane)])] if panel.lanes else []
        times = [self._shown(bar.begin), self._shown(bar.end), self._length(bar.end - bar.begin)]
        return [plot_text(bar.name), *times, _lines(bar.detail), *lane]

    def _length(self, length: float) -> str:
        return number_text(length) if self._chart.day_starts is None else f"{number_text(length)} s"

    def _template(self, panel: Panel, kind: str) -> str:
        lane = f"<br>{plot_text(self._chart.lane)} %{{customdata[5]}}" if panel.lanes else ""
        times = "<br>start %{customdata[1]}, end %{customdata[2]} (%{customdata[3]} long)"
        return f"<b>%{{customdata[0]}}</b>{lane}{times}<br>{_untemplated(kind)}%{{customdata[4]}}<extra></extra>"

    def _lines(self, mark: Lines) -> dict[str, Any]:
        x, y, told = list[Any](), list[Any](), list[Any]()
        for line in self._first(mark.kind, list(mark.lines)):
            x += [*(self._time(time) for time in line.x), None]
            y += [*line.y, None]
            told += [f"<b>{plot_text(line.name)}</b>{_lines(line.detail)}"] * (len(line.x) + 1)
        alone = len(mark.lines) == 1
        found: dict[str, Any] = {
            "type": "scatter",
            "mode": "lines",
            "name": plot_text(mark.kind),
            "x": x,
            "y": y,
            "line": {
                "color": colour(mark.colour),
                "width": mark.width,
                "dash": mark.dash or DASHES[mark.colour % len(DASHES)],
                "shape": "hv" if mark.steps else "linear",
            },
        }
        if alone:  # a course over time: its values are told
            clock = "%{x|%H:%M}" if self._chart.day_starts is not None else "%{x:.6~g}"
            name = _untemplated(plot_text(mark.lines[0].name))
            found["hovertemplate"] = f"<b>{name}</b><br>{clock}: %{{y:,.6~g}}<extra></extra>"
        else:
            found |= {"text": told, "hovertemplate": "%{text}<extra></extra>"}
        if mark.filled:
            found["fill"] = "tozeroy"
        return found

    def _points(self, mark: Points) -> dict[str, Any]:
        points = self._first(mark.kind, sorted(mark.points, key=lambda point: point.x))
        return {
            "type": "scatter",
            "mode": "markers",
            "name": plot_text(mark.kind),
            "x": [self._time(point.x) for point in points],
            "y": [point.y for point in points],
            "marker": {
                "color": colour(mark.colour),
                "symbol": mark.symbol,
                "size": mark.size,
                "line": {"color": SURFACE, "width": 1},
            },
            "text": [f"<b>{plot_text(p.name)}</b><br>at {self._shown(p.x)}{_lines(p.detail)}" for p in points],
            "hovertemplate": "%{text}<extra></extra>",
        }

    def _grid(self, mark: Grid, panel: Panel) -> dict[str, Any]:
        """Cells from light to dark. Where they are few, their numbers stand in them."""
        values = [list(row) for row in mark.values]
        columns = max(MOST_CELLS // len(values), 1)
        if len(values[0]) > columns:
            self._notes.append(f"Of {len(values[0]):,} columns of {mark.kind!r} the first {columns:,} are drawn.")
            values = [row[:columns] for row in values]
        kind, time = (_untemplated(plot_text(text)) for text in (mark.kind, self._chart.time))
        lane = f"{_untemplated(plot_text(self._chart.lane))} %{{customdata}}<br>" if panel.lanes else ""
        ticks = {"dtick": 1} if max(max(row) for row in values) <= 10 else {}
        found: dict[str, Any] = {
            "type": "heatmap",
            "name": plot_text(mark.kind),
            "z": values,
            "x0": mark.start,
            "dx": 1,
            "zmin": 0,
            "zmax": max(max(max(row) for row in values), 1) if mark.most is None else max(mark.most, 1),
            "colorscale": [[0, "@low"], [1, "@high"]],
            "xgap": 1 if len(values[0]) <= 80 else 0,
            "ygap": 1 if len(values) <= 60 else 0,
            "colorbar": {
                "title": {"text": plot_text(mark.kind)},
                "thickness": 10,
                "len": 0.5,
                "outlinewidth": 0,
                **ticks,
            },
            "hovertemplate": f"{lane}{time} %{{x}}<br>{kind} %{{z}}<extra></extra>",
        }
        if panel.lanes:
            found["customdata"] = [[plot_text(lane)] * len(values[0]) for lane in panel.lanes]
        if mark.names:
            names = [plot_text(name) for name in mark.names]
            found["text"] = [[names[z] if 0 <= z < len(names) else str(z) for z in row] for row in values]
            found["hovertemplate"] = f"{lane}{time} %{{x}}<br>{kind} %{{text}}<extra></extra>"
        if len(values) * len(values[0]) <= _MOST_NUMBERS:
            found |= {"texttemplate": "%{z}", "textfont": {"size": 10}}
        return found


def number_text(value: float) -> str:
    """A number for people: whole and large ones without a point, others to six digits."""
    if (float(value).is_integer() or abs(value) >= 1e5) and abs(value) < 1e15:
        return f"{round(value):,}"
    return f"{value:,.6g}"


def _title(panel: Panel, top: float) -> dict[str, Any]:
    """The title of a panel, above it: beside it there is no room on a phone."""
    place = {"x": 0, "xref": "paper", "xanchor": "left", "y": top, "yref": "paper", "yanchor": "bottom"}
    return {**place, "text": f"<b>{plot_text(panel.title)}</b>", "showarrow": False, "font": {"size": 12}}


def _height(panel: Panel, heaviest: float) -> int:
    """Pixels of a panel: by its lanes, else by its weight."""
    if panel.lanes:
        return min(max(_LANE * len(panel.lanes), _PANEL), 1000)
    return 300 if panel.weight == heaviest else _PANEL


def _lines(detail: str) -> str:
    return "".join(f"<br>{plot_text(line)}" for line in detail.split("\n") if line)


def _short(name: str, most: int = 18) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _untemplated(text: str) -> str:
    """A text inside a template, where a % before a brace would begin a variable."""
    return text.replace("%{", "%\u200b{")
