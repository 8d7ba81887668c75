"""Pictures of an evaluation: how the agents compare, and the first schedules of the reference and of the best agent."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..envs.core.errors import UserError
from ..envs.core.extras import optional
from ..envs.core.files import atomic_write
from .statistics import Estimate
from .table import AgentLine, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .report import Report

_BLUE, _ORANGE = "#0072B2", "#E69F00"  # Okabe & Ito, apart for colour-blind readers
_DPI = 110


def draw_pictures(folder: Path, report: Report) -> tuple[list[str], list[str]]:
    """Draw into the sub-folder ``pictures``.

    Returns:
        Paths within the folder, and sentences about what could not be drawn.

    Raises:
        MissingExtraError: matplotlib is not installed.
        UserError: a file cannot be written.
    """
    figure = compare(report.tables)
    try:
        (folder / "pictures").mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {str(folder)!r}: {error.strerror or error}") from None
    drawn, remarks = ["pictures/comparison.png"], []
    save(figure, folder / drawn[0])
    drawn += _draw_sweeps(folder, report)
    for agent in dict.fromkeys((report.plan.reference, _best(report.tables[0]))):
        try:
            drawn.append(_draw_schedule(folder, report, agent))
        except UserError as error:
            remarks.append(f"No picture of a schedule of {agent}: {error}.")
    return drawn, remarks


def _draw_sweeps(folder: Path, report: Report) -> list[str]:
    """Draw how the agents compare over each swept option that takes several numbers. Returns paths in the folder."""
    from .sweep_picture import draw_sweep, swept_options

    options = swept_options(report.tables) if len(report.tables) > 1 else []
    drawn = [f"pictures/sweep-{option}.png" for option in options]
    for option, path in zip(options, drawn, strict=True):
        save(draw_sweep(report.tables, option), folder / path)
    return drawn


def compare(tables: list[Table] | Any) -> Figure:
    """Each agent's mean gap with its interval, a panel per variant; the objective where there are no gaps.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    gaps = all(line.gap.mean is not None for table in tables for line in table.lines)
    agents = len(tables[0].lines)
    figure = new_figure(8.0, 1.2 + len(tables) * (0.9 + 0.32 * agents))
    for number, table in enumerate(tables):
        axes = figure.add_subplot(len(tables), 1, number + 1)
        for row, line in enumerate(table.lines):
            shown = line.gap if gaps else line.objective.times(table.shown.factor)
            _draw_estimate(axes, row, shown, line.agent == table.reference)
        axes.set_yticks(range(agents), [line.agent for line in table.lines])
        axes.set_ylim(agents - 0.5, -0.5)
        axes.set_title(str(table.variant), fontsize=9, loc="left")
        axes.grid(axis="x", linewidth=0.4, color="#CCCCCC")
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        if gaps:
            axes.xaxis.set_major_formatter(lambda value, position: f"{100 * value:g} %")
            axes.set_xlim(left=min(0.0, axes.get_xlim()[0]))
        better = "smaller" if gaps or table.sense == "min" else "larger"
        what = "gap" if gaps else table.shown.title("objective")
        axes.set_xlabel(f"{what}, mean and 95 % interval ({better} is better)", fontsize=8)
    figure.tight_layout()
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the path's suffix, whole or not at all.

    Raises:
        UserError: the format is unknown, or the file cannot be written.
    """
    suffix = path.suffix.removeprefix(".").lower()
    known = sorted(figure.canvas.get_supported_filetypes())
    if suffix not in known:
        raise UserError(f"picture {str(path)!r} does not end in one of {', '.join(known)}")
    content = io.BytesIO()
    figure.savefig(content, format=suffix)
    atomic_write(path, content.getvalue())


def _draw_estimate(axes: Axes, row: int, estimate: Estimate, is_reference: bool) -> None:
    if estimate.mean is None:
        return
    colour, marker = (_ORANGE, "D") if is_reference else (_BLUE, "o")
    if estimate.low is not None and estimate.high is not None:
        axes.plot([estimate.low, estimate.high], [row, row], color=colour, linewidth=2)
    axes.plot([estimate.mean], [row], marker=marker, color=colour, markersize=6, linestyle="none")


def _draw_schedule(folder: Path, report: Report, agent: str) -> str:
    """Draw the schedule of an agent's first row; returns the path within the folder."""
    from .show import figure_of, read_schedule

    row = next(row for row in report.rows if row["agent"] == agent)
    name = re.sub(r"[^a-z0-9._=+-]+", "-", f"{agent}-{row['instance']}-{row['seed']}".lower()).strip("-.")
    path = f"pictures/schedule-{name[:120]}.png"
    save(figure_of(row, read_schedule(folder, row)), folder / path)
    return path


def _best(table: Table) -> str:
    def cost(line: AgentLine) -> float:
        assert line.objective.mean is not None
        return line.objective.mean if table.sense == "min" else -line.objective.mean

    return min(table.lines, key=cost).agent


def new_figure(width: float, height: float) -> Figure:
    """A figure of so many inches, outside of pyplot.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    with optional("drawing results", "plot", "matplotlib"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    figure = Figure(figsize=(width, height), dpi=_DPI)
    FigureCanvasAgg(figure)
    return figure
