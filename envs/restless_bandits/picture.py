"""Pictures of episodes of restless bandits: arms over time, the walk on its map; drawn with matplotlib or typed."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FieldError
from ..core.extras import optional
from .instance import BanditInstance
from .schedule import BanditSchedule
from .walks import Walks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 100
_WALK, _STREET, _DOT, _SUM = "#D55E00", "#B0B0B0", "#D55E00", "#0072B2"
_LABELLED_ARMS = 40
_LABELLED_NODES = 60
_SYMBOLS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-"
_WIDTH, _HEIGHT = 1100, 700


def describe(schedule: BanditSchedule) -> str:
    """One line: the instance, what the episode paid, and who was left out."""
    metrics = schedule.metrics()
    unit = "expected reward" if schedule.reward == "expected" else "reward"
    never = round(metrics["never_visited"] * schedule.instance.num_arms)
    return (
        f"{schedule.instance.name}: {unit} {schedule.objective:.4g} in {schedule.epochs} epochs, "
        f"{metrics['visits']} visits, {never} of {schedule.instance.num_arms} arms never visited"
    )


def epoch_rewards(schedule: BanditSchedule) -> NDArray[np.float64]:
    """float64 [T]: what each epoch paid."""
    instance = schedule.instance
    if schedule.reward == "expected":
        pairs = zip(schedule.states[:-1], schedule.actions, strict=True)
        return np.array([instance.expected_reward(*pair) for pair in pairs])
    return np.array([instance.realised_reward(states) for states in schedule.states[1:]])


def draw(
    schedule: BanditSchedule, width: int = _WIDTH, height: int = _HEIGHT, title: str | None = None, epoch: int = -1
) -> Figure:
    """Arms over time by their states, with a dot where an arm is acted on; below it what the epochs pay.

    A path has its map beside it, with the walk of one epoch.

    Args:
        width, height: in pixels.
        title: the default says instance and reward.
        epoch: whose walk is drawn, the last by default.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    with optional("drawing episodes", "plot", "matplotlib"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    has_map = isinstance(schedule.instance.feasible, Walks)
    grid_spec = figure.add_gridspec(2, 2 if has_map else 1, height_ratios=(5, 1.2))
    grid = figure.add_subplot(grid_spec[0, 0])
    bars = figure.add_subplot(grid_spec[1, 0], sharex=grid)
    figure.suptitle(describe(schedule) if title is None else title, fontsize=10, x=0.01, ha="left")
    _draw_grid(figure, grid, schedule)
    _draw_rewards(bars, schedule)
    if has_map:
        _draw_map(figure.add_subplot(grid_spec[:, 1]), schedule, epoch)
    return figure


def rgb_array(schedule: BanditSchedule, width: int = _WIDTH, height: int = _HEIGHT) -> NDArray[np.uint8]:
    """The picture as pixels, uint8 [height, width, 3]."""
    canvas = draw(schedule, width, height).canvas
    canvas.draw()
    return np.array(canvas.buffer_rgba(), dtype=np.uint8)[..., :3].copy()  # pyright: ignore[reportAttributeAccessIssue]


def _draw_grid(figure: Figure, axes: Axes, schedule: BanditSchedule) -> None:
    instance, epochs = schedule.instance, schedule.epochs
    image = axes.imshow(
        schedule.states.T,
        aspect="auto",
        interpolation="nearest",
        origin="lower",
        cmap="YlGnBu",
        vmin=0,
        vmax=instance.num_states - 1,
        extent=(-0.5, epochs + 0.5, -0.5, instance.num_arms - 0.5),
    )
    levels = schedule.levels()
    when, arms = np.nonzero(levels)
    size = 14.0 * levels[when, arms] * min(25.0 / max(instance.num_arms, 1), 2.0)
    # Actions lie between the states that they lead from and to.
    axes.scatter(when + 0.5, arms, s=size, color=_DOT, linewidths=0, label="acted on")
    axes.set_ylabel("arm")
    if instance.num_arms <= _LABELLED_ARMS:
        axes.set_yticks(range(instance.num_arms), instance.arm_names or None)
        axes.tick_params(axis="y", labelsize=7)
    axes.tick_params(axis="x", labelbottom=False)
    bar = figure.colorbar(image, ax=axes, pad=0.01, fraction=0.03, ticks=_ticks(instance.num_states))
    bar.set_label("state", fontsize=8)
    if len(when):
        axes.legend(loc="lower right", fontsize=7, bbox_to_anchor=(1.0, 1.0), frameon=False, borderpad=0.1)


def _ticks(states: int) -> list[int]:
    return list(range(0, states, max(states // 8, 1)))


def _draw_rewards(axes: Axes, schedule: BanditSchedule) -> None:
    rewards = epoch_rewards(schedule)
    axes.bar(np.arange(len(rewards)) + 0.5, rewards, width=0.8, color=_SUM)
    axes.set_xlabel("epoch")
    axes.set_ylabel("reward")
    axes.set_xlim(-0.5, max(schedule.epochs, 1) + 0.5)
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def map_positions(instance: BanditInstance) -> NDArray[np.float64]:
    """float64 [N, 2]: where a path's nodes are drawn: where they lie, else so that near ones are near."""
    if instance.positions is not None:
        return np.asarray(instance.positions)
    assert isinstance(instance.feasible, Walks)
    # Classical scaling (Torgerson, Psychometrika 17, 1952) of distances.
    squared = instance.feasible.distance.astype(np.float64) ** 2
    centred = squared - squared.mean(axis=0) - squared.mean(axis=1)[:, None] + squared.mean()
    values, vectors = np.linalg.eigh(-0.5 * centred)
    axes = vectors[:, -2:] * np.sqrt(np.maximum(values[-2:], 0.0))
    return axes * np.where(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])] < 0, -1.0, 1.0)


def _draw_map(axes: Axes, schedule: BanditSchedule, epoch: int) -> None:
    instance = schedule.instance
    feasible = instance.feasible
    assert isinstance(feasible, Walks)
    points = map_positions(instance)
    for u, v in feasible.edges:
        axes.plot(*points[[u, v]].T, color=_STREET, linewidth=1, zorder=1)
    states = schedule.states[0]
    title = "the map"
    if schedule.epochs:
        if not -schedule.epochs <= epoch < schedule.epochs:
            raise FieldError("epoch", epoch, f"an integer from 0 to {schedule.epochs - 1}")
        t = epoch % schedule.epochs
        states, action = schedule.states[t], schedule.actions[t]
        walk = feasible.tour(action)
        axes.plot(*points[walk].T, color=_WALK, linewidth=3, alpha=0.8, zorder=2)
        arms = np.flatnonzero(action)
        axes.scatter(*points[arms].T, s=150, color=_WALK, zorder=3)
        walked = sum(feasible.edge_lengths[edge] for edge in pairwise(walk))
        title = f"epoch {t}: walk of {walked} {feasible.unit}, at most {feasible.length}"
    colours: dict[str, Any] = {"cmap": "YlGnBu", "vmin": 0, "vmax": instance.num_states - 1}
    axes.scatter(*points.T, c=states, s=70, edgecolors="black", linewidths=0.6, zorder=4, **colours)
    axes.scatter(*points[[feasible.depot]].T, s=230, facecolors="none", edgecolors="black", marker="s", zorder=5)
    if feasible.size <= _LABELLED_NODES:
        for j, (x, y) in enumerate(points):
            label = instance.arm_names[j] if instance.arm_names else str(j)
            axes.annotate(label, (float(x), float(y)), (5, 5), textcoords="offset points", fontsize=7, zorder=6)
    axes.set_title(title, fontsize=9, loc="left")
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_axis_off()


def ansi(schedule: BanditSchedule) -> str:
    """Arms over time as text: a row for each arm, a state and a sign of being acted on for each epoch."""
    instance, levels = schedule.instance, schedule.levels()
    lines = [describe(schedule)]
    labels = instance.arm_names or [f"arm {j}" for j in range(instance.num_arms)]
    margin = max(map(len, labels)) + 1
    for j in range(instance.num_arms):
        cells = []
        for t, s in enumerate(schedule.states[:, j].tolist()):
            mark = " " if t >= schedule.epochs or levels[t, j] == 0 else "*" if levels[t, j] == 1 else str(levels[t, j])
            cells.append(f"{_SYMBOLS[s]}{mark}")
        lines.append(f"{labels[j]:<{margin}} {''.join(cells).rstrip()}")
    lines.append("states by epoch, * where an arm is acted on (a number: at that level)")
    return "\n".join(lines)
