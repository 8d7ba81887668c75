"""The map of a day: vertiports with their stands and queues, aircraft on their way, pairs that are closed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.errors import FieldError
from ..core.extras import optional
from .instance import AirInstance
from .picture_moment import BOARDING, DOWN, FLYING, Course, Moment
from .schedule import AirSchedule

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 900, 720
KIND_NAMES = ("airport", "business", "residential")
KIND_COLOURS = ("#0072B2", "#D55E00", "#009E73")  # of Okabe & Ito's palette, as the others here
PAPER, INK, GREY, PALE = "#F8F9FA", "#202428", "#8A9199", "#DDE1E6"
CLOSED, CHARGING, STORED, BROKEN, BUSY = "#CC3311", "#2FA36B", "#5B7083", "#CC79A7", "#E3B448"
CHOICE = "#B5610A"
QUEUE, QUEUE_INK = "#B58BD0", "#7A3E9D"
EMPTY = "#A9B0B7"
FULL_LOADS = ("#9CC9E8", "#5AA5DA", "#1F78B9", "#0B3C6F")
COLOURS = (*KIND_COLOURS, INK, GREY, PALE, CLOSED, CHARGING, STORED, BROKEN, BUSY, QUEUE, QUEUE_INK, EMPTY, *FULL_LOADS)
"""All that a map is drawn with, on `PAPER` and white."""

_DPI = 100
_MILES_PER_DEGREE = 69.0936
_SLOT, _SLOT_HIGH, _GAP = 6.5, 13.0, 2.0  # pixels
_GAUGE = 46.0
_HEAD, _FOOT, _LEGEND_COLUMN = 44.0, 66.0, 128.0
_MOST_SLOTS = 12
_LONGEST_QUEUE, _LEAST_SCALE = 66.0, 60  # pixels of the longest queue of the day, or of so many passengers
_QUARTER = 900
_TRAIL = 0.16
_CLEAR = 9.0  # pixels between a vertiport and a line that leads to it
_LONGEST_SCALE = 220.0
_LEAST_SHARE = 0.005
_FIRST_HOUR = 6


class _Frame(NamedTuple):
    """What is fixed on a map.

    Attributes:
        place: float64 [n, 2], miles.
        mile: pixels of a mile.
        slots: whether stands are drawn one by one, where they are few.
        most: passengers of the longest bar.
    """

    place: NDArray[np.float64]
    mile: float
    slots: bool
    most: int


def load_colour(load: int, seats: int) -> str:
    """Grey for an empty aircraft, the darker the fuller."""
    if load == 0:
        return EMPTY
    return FULL_LOADS[min(math.ceil(load * len(FULL_LOADS) / seats), len(FULL_LOADS)) - 1]


def clock_of(time: int) -> str:
    """The time of day, as the day begins at 06:00."""
    minutes = _FIRST_HOUR * 60 + time // 60
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def headline(schedule: AirSchedule, moment: Moment) -> str:
    """One line: the instance, the time and what it has come to."""
    waiting = int(moment.waiting.sum())
    counts = f"{moment.served} served, {waiting} waiting, {moment.lost} lost"
    return f"{schedule.instance.name}, {clock_of(moment.time)}: profit {dollars(moment.profit / 1e6)}; {counts}"


def dollars(amount: float) -> str:
    """``−$1,234``."""
    return f"{'−' if round(amount) < 0 else ''}${abs(amount):,.0f}"


def draw_map(schedule: AirSchedule, time: int | None = None, width: int = WIDTH, height: int = HEIGHT) -> Figure:
    """The map at a time, by default at the end.

    Args:
        width, height: in pixels.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    scene = MapScene(Course(schedule), width, height)
    scene.show(schedule.end if time is None else time)
    return scene.figure


def draw_choice(
    schedule: AirSchedule,
    aircraft: int,
    probabilities: ArrayLike,
    width: int = WIDTH,
    height: int = HEIGHT,
) -> Figure:
    """The map at the end of a schedule, with how likely an agent sends an aircraft to each vertiport.

    Args:
        aircraft: decides now, where it stands.
        probabilities: float [n]; that of its own vertiport is to stay.

    Raises:
        FieldError: there is no such aircraft, or these are no probabilities of the vertiports.
        MissingExtraError: matplotlib is not installed.
    """
    instance = schedule.instance
    shares = np.asarray(probabilities, dtype=np.float64)
    if not 0 <= aircraft < instance.num_aircraft:
        raise FieldError("aircraft", aircraft, f"one from 0 to {instance.num_aircraft - 1}")
    if shares.shape != (instance.num_vertiports,) or shares.min() < 0.0 or abs(shares.sum() - 1.0) > 1e-3:
        raise FieldError("probabilities", shares.tolist(), f"{instance.num_vertiports} that sum to 1")
    scene = MapScene(Course(schedule), width, height)
    scene.show(schedule.end)
    scene.mark_choice(int(scene.course.at(schedule.end).destination[aircraft]), shares)
    return scene.figure


class MapScene:
    """A map whose moving parts can be drawn again and again, as an animation needs it.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """

    def __init__(self, course: Course, width: int = WIDTH, height: int = HEIGHT) -> None:
        with optional("drawing maps", "plot", "matplotlib"):
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure
        self.course, self.instance = course, course.instance
        self.figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
        self._canvas = FigureCanvasAgg(self.figure)
        foot, head = _FOOT / height, _HEAD / height
        self._axes = self.figure.add_axes((0.0, foot, 1.0, 1.0 - foot - head))
        self._frame = _lay_out(self._axes, course, width, height - _FOOT - _HEAD)
        self._moving: list[Artist] = []
        self._fixed: Any = None
        _draw_pairs(self._axes, self.instance, self._frame)
        _draw_vertiports(self._axes, self.instance, self._frame)
        _draw_scale(self._axes, self._frame)
        _draw_legend(self.figure, self.instance, self._frame)

    def show(self, time: int) -> None:
        """Draw the moving parts as they are at a time."""
        for artist in self._moving:
            artist.remove()
        moment = self.course.at(time)
        axes, instance, frame = self._axes, self.instance, self._frame
        style: dict[str, Any] = {"fontsize": 11, "color": INK, "va": "center"}
        middle = 1.0 - _HEAD / 2 / (self.figure.get_figheight() * _DPI)
        title = self.figure.text(0.015, middle, headline(self.course.schedule, moment), **style)
        self._moving = [
            title,
            *_closures(axes, frame, moment),
            *_stands(axes, instance, frame, moment),
            *_queues(axes, frame, moment),
            *_aircraft(axes, instance, frame, moment),
        ]

    def mark_choice(self, here: int, shares: NDArray[np.float64]) -> None:
        """Lines from a vertiport to others, as wide as it is likely that an aircraft flies there."""
        place, style = self._frame.place, {"fontsize": 9, "weight": "bold", "color": CHOICE, "zorder": 12}
        box = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.8, "alpha": 0.85}
        for j in np.flatnonzero(shares >= _LEAST_SHARE).tolist():
            text = f"{100 * shares[j]:.0f} %"
            if j == here:
                self._axes.scatter(*place[j], s=190, facecolors="none", edgecolors=CHOICE, linewidths=2.0, zorder=10)
                offset: dict[str, Any] = {
                    "xytext": (0, -20),  # below the stands
                    "textcoords": "offset points",
                    "ha": "center",
                    "va": "top",
                }
                self._axes.annotate(f"stay {text}", place[j], bbox=box, **offset, **style)
                continue
            wide = 1.0 + 7.0 * float(shares[j])
            self._axes.plot(*place[[here, j]].T, color=CHOICE, linewidth=wide, alpha=0.55, zorder=3)
            x, y = place[here] + 0.62 * (place[j] - place[here])
            self._axes.text(x, y, text, ha="center", va="center", bbox=box, **style)

    def pixels(self) -> NDArray[np.uint8]:
        """The present picture, uint8 [height, width, 3]; what is fixed is drawn once for all."""
        canvas = self._canvas
        if self._fixed is None:
            for artist in self._moving:
                artist.set_visible(False)
            canvas.draw()
            self._fixed = canvas.copy_from_bbox(self.figure.bbox)
            for artist in self._moving:
                artist.set_visible(True)
        canvas.restore_region(self._fixed)
        for artist in sorted(self._moving, key=lambda each: each.get_zorder()):
            self.figure.draw_artist(artist)
        return np.array(canvas.buffer_rgba(), dtype=np.uint8)[..., :3].copy()


def rgb_array(schedule: AirSchedule, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """The map up to where a schedule tells, as pixels, uint8 [height, width, 3]."""
    scene = MapScene(Course(schedule), width, height)
    scene.show(schedule.end)
    return scene.pixels()


# --- what is fixed ----------------------------------------------------------------------------------------------------


def positions(instance: AirInstance) -> NDArray[np.float64]:
    """float64 [n, 2], miles to the east and the north of the middle of the network."""
    network = instance.network
    middle = math.radians(float(network.latitude.mean()))
    east = (network.longitude - network.longitude.mean()) * _MILES_PER_DEGREE * math.cos(middle)
    return np.column_stack([east, (network.latitude - network.latitude.mean()) * _MILES_PER_DEGREE])


def _lay_out(axes: Axes, course: Course, width: float, height: float) -> _Frame:
    instance = course.instance
    place = positions(instance)
    low, high = place.min(axis=0), place.max(axis=0)
    span = np.maximum(high - low, 1e-3)
    mile = float(min((width - 190) / span[0], (height - 110) / span[1]))
    middle = (low + high) / 2
    axes.set_xlim(middle[0] - width / mile / 2, middle[0] + width / mile / 2)
    axes.set_ylim(middle[1] - height / mile / 2 - 14 / mile, middle[1] + height / mile / 2 - 14 / mile)
    axes.axis("off")
    axes.figure.set_facecolor(PAPER)
    few = int(instance.network.stands.max()) <= _MOST_SLOTS and len(place) <= _MOST_SLOTS
    return _Frame(place, mile, few, max(course.longest_queue(_QUARTER), _LEAST_SCALE))


def _draw_pairs(axes: Axes, instance: AirInstance, frame: _Frame) -> None:
    """Thin lines between vertiports, where at least one direction can be flown; none where they would be too many."""
    from matplotlib.collections import LineCollection

    flyable, n = instance.flyable, instance.num_vertiports
    if n > _MOST_SLOTS:
        return
    lines = [frame.place[[i, j]] for i in range(n) for j in range(i + 1, n) if flyable[i, j] or flyable[j, i]]
    axes.add_collection(LineCollection(lines, colors=PALE, linewidths=0.8, zorder=1), autolim=False)


def _draw_vertiports(axes: Axes, instance: AirInstance, frame: _Frame) -> None:
    network = instance.network
    size = 110 if frame.slots else 34
    colours = [KIND_COLOURS[kind] for kind in network.kind.tolist()]
    axes.scatter(*frame.place.T, s=size, color=colours, edgecolors="white", linewidths=1.2, zorder=6)
    for v, code in enumerate(network.ids):
        style: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "va": "bottom", "zorder": 7}
        up = 6 if frame.slots else 3.5
        plain = "" if network.chargers[v] else "°"
        points = 9 if frame.slots else 6
        axes.annotate(code + plain, frame.place[v], (0, up), fontsize=points, weight="bold", color=INK, **style)


def _draw_scale(axes: Axes, frame: _Frame) -> None:
    """How long some miles are."""
    miles = next((x for x in (10, 5, 2, 1) if x * frame.mile <= _LONGEST_SCALE), 1)
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    x, y = left + 0.02 * (right - left), low + 0.03 * (high - low)
    axes.plot([x, x + miles], [y, y], color=GREY, linewidth=2.0, solid_capstyle="butt", zorder=1)
    axes.annotate(f"{miles} mi", (x + miles, y), (4, -3), textcoords="offset points", fontsize=8, color=GREY)


def _draw_legend(figure: Figure, instance: AirInstance, frame: _Frame) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    seats = instance.vehicle.seats
    kinds = sorted(set(instance.network.kind.tolist()))
    dots: dict[str, Any] = {"linestyle": "", "marker": "o", "markersize": 7}
    handles: list[Any] = [Line2D([], [], color=KIND_COLOURS[k], label=KIND_NAMES[k], **dots) for k in kinds]
    wings: dict[str, Any] = {"linestyle": "", "marker": ">", "markersize": 7}
    handles += [
        Line2D([], [], color=EMPTY, label="empty flight", **wings),
        Line2D([], [], color=FULL_LOADS[1], label="with passengers", **wings),
        Line2D([], [], color=FULL_LOADS[-1], label=f"{seats} aboard", **wings),
        Line2D([], [], color=CLOSED, linestyle=(0, (4, 3)), label="closed"),
        Patch(facecolor=STORED, label="stand, filled as the battery is" if frame.slots else "standing"),
        Patch(facecolor=CHARGING, label="charging"),
        Patch(facecolor=BUSY, label="boarding, unloading"),
        Patch(facecolor=BROKEN, label="down"),
        Patch(facecolor="white", edgecolor=INK, linestyle=":", label="reserved"),
        Patch(facecolor=QUEUE, label="passengers who wait"),
        Line2D([], [], linestyle="", label="°  no charger"),
    ]
    style: dict[str, Any] = {"fontsize": 7.5, "frameon": False, "columnspacing": 1.1, "handlelength": 1.5}
    columns = max(int(figure.get_figwidth() * _DPI / _LEGEND_COLUMN), 2)
    figure.legend(handles=handles, loc="lower center", ncols=columns, **style)


# --- what moves -------------------------------------------------------------------------------------------------------


def _closures(axes: Axes, frame: _Frame, moment: Moment) -> list[Artist]:
    from matplotlib.collections import LineCollection

    lines = []
    for start, end in frame.place[moment.closed]:
        along = (end - start) / max(float(np.hypot(*(end - start))), 1e-9)
        lines.append([start + along * _CLEAR / frame.mile, end - along * _CLEAR / frame.mile])
    thin = 1.6 if len(lines) <= _MOST_SLOTS else 0.9
    style: dict[str, Any] = {"colors": CLOSED, "linewidths": thin, "linestyles": [(0, (4, 3))], "zorder": 2}
    return [axes.add_collection(LineCollection(lines, **style), autolim=False)]


def _box(x: float, y: float, width: float, height: float) -> list[tuple[float, float]]:
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]


def _stands(axes: Axes, instance: AirInstance, frame: _Frame, moment: Moment) -> list[Artist]:
    """Below each vertiport its stands: who stands there, boards or is on its way to it."""
    from matplotlib.collections import PolyCollection

    outlines: list[list[tuple[float, float]]] = []
    dotted: list[list[tuple[float, float]]] = []
    fills: list[list[tuple[float, float]]] = []
    colours: list[str] = []
    for v, stands in enumerate(instance.network.stands.tolist()):
        rows = _who_is_there(moment, instance, v)
        if frame.slots:
            boxes, fill = _slots(frame, v, stands, rows)
            taken = sum(colour != "" for _, colour in rows)
            outlines += boxes[:taken] + boxes[len(rows) :]
            dotted += boxes[taken : len(rows)]
        else:
            box, fill = _gauge(frame, v, stands, rows)
            outlines.append(box)
        for shape, colour in fill:
            fills.append(shape)
            colours.append(colour)
    thin: dict[str, Any] = {"facecolors": "white", "linewidths": 0.6, "zorder": 4}
    return [
        axes.add_collection(PolyCollection(outlines, edgecolors=GREY, **thin), autolim=False),
        axes.add_collection(PolyCollection(dotted, edgecolors=INK, linestyles=":", **thin), autolim=False),
        axes.add_collection(PolyCollection(fills, facecolors=colours, linewidths=0, zorder=5), autolim=False),
    ]


def _who_is_there(moment: Moment, instance: AirInstance, v: int) -> list[tuple[float, str]]:
    """(share of a battery, colour) of each stand taken; colour "" where it is reserved for one that comes."""
    rows: list[tuple[float, str]] = []
    battery = instance.vehicle.battery
    for a in np.flatnonzero((moment.origin == v) & (moment.phase != FLYING)).tolist():
        colour = CHARGING if moment.charging[a] else STORED
        colour = {BOARDING: BUSY, DOWN: BROKEN}.get(int(moment.phase[a]), colour)
        rows.append((float(moment.energy[a]) / battery, colour))
    rows.sort(key=lambda row: (row[1], -row[0]))
    coming = (moment.destination == v) & ((moment.phase == FLYING) | (moment.phase == BOARDING))
    landed = np.flatnonzero(coming & (moment.progress == 1.0)).tolist()
    rows += [(float(moment.energy[a]) / battery, BUSY) for a in landed]
    return rows + [(1.0, "")] * (int(coming.sum()) - len(landed))


_Filled = list[tuple[list[tuple[float, float]], str]]


def _slots(
    frame: _Frame, v: int, stands: int, rows: list[tuple[float, str]]
) -> tuple[list[list[tuple[float, float]]], _Filled]:
    """A box per stand, and what fills them: those reserved come after those taken, those that are free last."""
    pixel = 1.0 / frame.mile
    wide, high, step = _SLOT * pixel, _SLOT_HIGH * pixel, (_SLOT + _GAP) * pixel
    x, y = frame.place[v, 0] - stands * step / 2, frame.place[v, 1] - (9 + _SLOT_HIGH) * pixel
    boxes = [_box(x + s * step, y, wide, high) for s in range(stands)]
    standing = [row for row in rows if row[1]]
    fills = [
        (_box(x + s * step, y, wide, high * max(share, 0.06)), colour) for s, (share, colour) in enumerate(standing)
    ]
    return boxes, fills


def _gauge(
    frame: _Frame, v: int, stands: int, rows: list[tuple[float, str]]
) -> tuple[list[tuple[float, float]], _Filled]:
    """One bar for all stands, where they are many."""
    pixel = 1.0 / frame.mile
    x, y, high = frame.place[v, 0] - _GAUGE * pixel / 2, frame.place[v, 1] - 11 * pixel, 5 * pixel
    step, fills, at = _GAUGE * pixel / stands, [], x
    for _, colour in rows:
        fills.append((_box(at, y, step, high), colour or PALE))
        at += step
    return _box(x, y, _GAUGE * pixel, high), fills


def _queues(axes: Axes, frame: _Frame, moment: Moment) -> list[Artist]:
    """Beside each vertiport a bar as long as its queue of passengers, with their number."""
    from matplotlib.collections import PolyCollection

    pixel = 1.0 / frame.mile
    bars, artists = [], list[Any]()
    for v, count in enumerate(moment.waiting.sum(axis=1).tolist()):
        if count == 0:
            continue
        x, y = frame.place[v, 0] + 9 * pixel, frame.place[v, 1] - 3 * pixel
        long = min(count / frame.most, 1.0) * _LONGEST_QUEUE * (1.0 if frame.slots else 0.6) * pixel
        bars.append(_box(x, y, long, 6 * pixel))
        points = 7.5 if frame.slots else 5
        artists.append(
            axes.text(x + long + 2 * pixel, y - pixel, str(count), fontsize=points, color=QUEUE_INK, zorder=7)
        )
    style: dict[str, Any] = {"facecolors": QUEUE, "linewidths": 0, "zorder": 5}
    return [axes.add_collection(PolyCollection(bars, **style), autolim=False), *artists]


def _aircraft(axes: Axes, instance: AirInstance, frame: _Frame, moment: Moment) -> list[Artist]:
    """Arrow heads on their way, a little to the right of the line, with a trail."""
    from matplotlib.collections import LineCollection, PolyCollection

    pixel = 1.0 / frame.mile
    heads, trails, colours = [], [], []
    size = 7.0 if instance.num_aircraft <= 100 else 4.5
    for a in np.flatnonzero((moment.phase == FLYING) & (moment.progress < 1.0)).tolist():
        start, end = frame.place[moment.origin[a]], frame.place[moment.destination[a]]
        way = end - start
        along = way / max(float(np.hypot(*way)), 1e-9)
        right = np.array([along[1], -along[0]])
        share = float(moment.progress[a])
        aside = right * 4.0 * pixel * math.sin(math.pi * share) ** 0.5
        at = start + share * way + aside
        tip, back = at + along * size * pixel, at - along * size * 0.8 * pixel
        wing = right * size * 0.72 * pixel
        heads.append([tip, back + wing, back + along * size * 0.45 * pixel, back - wing])
        trails.append([start + max(share - _TRAIL, 0.0) * way + aside, at])
        colours.append(load_colour(int(moment.load[a]), instance.vehicle.seats))
    thin = 1.5 if instance.num_aircraft <= 100 else 0.8
    trail = LineCollection(trails, colors=colours, linewidths=thin, alpha=0.45, zorder=8)
    head = PolyCollection(heads, facecolors=colours, edgecolors="white", linewidths=0.5, zorder=9)
    return [axes.add_collection(trail, autolim=False), axes.add_collection(head, autolim=False)]
