"""Training runs for a report: curves from a run's own logs, and what the card of its best checkpoint says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...agents.checkpoint import CARD, FORMAT, VERSION
from ...envs.core.chart import DASHES
from ...envs.core.errors import FieldError, UserError
from ...envs.core.extras import optional
from ...envs.core.files import user_path
from ...envs.core.ids import find_env, single_creator
from ...envs.core.instance import load_document
from ...envs.core.objective import Shown, shown
from ..publish import train_command
from .markup import plot_text
from .style import INK_COLOUR, axis, layout, look

OBJECTIVE, BEST_RULE = "validation/objective", "validation/best_rule_objective"

_RUN_FORMAT, _RUN, _LOGS, _BEST = "makespan/training-run", "run.json", "tensorboard", "best"
_HOVER = "%{y:,.6~g}<br>after %{x:,} decisions, %{customdata} min<extra>%{fullData.name}</extra>"
_MOST_POINTS = 500
_MOST_SCALARS = 10_000  # kept of each curve while reading


@dataclass(frozen=True)
class Curve:
    """A logged scalar: decisions, its values, seconds since the run's first entry."""

    steps: tuple[int, ...]
    values: tuple[float, ...]
    seconds: tuple[float, ...]


@dataclass(frozen=True)
class TrainingRun:
    """A training run, or a checkpoint without its logs.

    Attributes:
        name: the folder, as it was given.
        env, agent: what was trained on what; empty where nobody says.
        command: that begins such a run.
        curves: by tag; none where the folder holds no logs.
        card: of the best checkpoint; empty where there is none.
    """

    name: str
    env: str
    agent: str
    command: str
    curves: dict[str, Curve] = field(default_factory=dict)
    card: dict[str, Any] = field(default_factory=dict)

    def fact(self, *path: str) -> Any:
        """What the card says, by keys; None where it says nothing."""
        found: Any = self.card
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        return found


def read_training(name: str) -> TrainingRun:
    """Read the folder of a training run, or of a checkpoint.

    Raises:
        UserError: it is missing, is neither, or is damaged.
        MissingExtraError: there are logs, and tensorboard is not installed.
    """
    folder = user_path(name)
    if not folder.is_dir():
        raise UserError(f"training {name!r}: no such folder")
    if (folder / _RUN).is_file():
        config = load_document(folder / _RUN, _RUN_FORMAT, (1,)).get("config")
        if not isinstance(config, dict) or not all(isinstance(config.get(key), str) for key in ("env", "agent")):
            raise FieldError("config", config, "what train wrote", str(folder / _RUN))
        card = _card(folder / _BEST)
        return TrainingRun(name, config["env"], config["agent"], train_command(config, name), _curves(folder), card)
    card = _card(folder)
    if not card:
        raise UserError(
            f"training {name!r} is neither the folder of a training run ({_RUN}) nor of a checkpoint ({CARD})"
        )
    run = TrainingRun(name, str(card.get("env", "")), str(card.get("agent", "")), "", {}, card)
    command = run.fact("training", "command")
    return TrainingRun(name, run.env, run.agent, command if isinstance(command, str) else "", {}, card)


def _card(folder: Path) -> dict[str, Any]:
    return load_document(folder / CARD, FORMAT, (VERSION,)) if (folder / CARD).is_file() else {}


def _curves(folder: Path) -> dict[str, Curve]:
    """All scalars that a run has logged. One that was resumed has several files, which the library puts together."""
    logs = folder / _LOGS
    if not any(logs.glob("events.out.tfevents.*")):
        return {}
    with optional("reading training curves", "train", "tensorboard"):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    try:
        events = EventAccumulator(str(logs), size_guidance={"scalars": _MOST_SCALARS}).Reload()
        tags = events.Tags()["scalars"]
        return {tag: curve for tag in tags if (curve := _curve(events.Scalars(tag))) is not None}
    except Exception as error:  # whatever a library meets in a damaged file
        raise UserError(f"cannot read the logs in {str(logs)!r}: {error}") from None


def _curve(events: Sequence[Any]) -> Curve | None:
    """Entries whose values are numbers; of many some, evenly."""
    kept = [event for event in events if event.value == event.value and abs(event.value) != float("inf")]
    if not kept:
        return None
    if len(kept) > _MOST_POINTS:
        kept = [kept[round(k * (len(kept) - 1) / (_MOST_POINTS - 1))] for k in range(_MOST_POINTS)]
    begin = kept[0].wall_time
    return Curve(
        tuple(int(event.step) for event in kept),
        tuple(float(event.value) for event in kept),
        tuple(round(event.wall_time - begin, 1) for event in kept),
    )


def unit_of(env: str) -> Shown:
    """In which unit people are shown objectives of an environment, as far as its class says so."""
    try:
        metadata = getattr(single_creator(find_env(env.partition(":")[0])), "metadata", {})
        return shown(metadata.get("objective", {}))
    except UserError:  # of a package that is not installed here: as the run has logged it
        return Shown("", 1)


def curve_figure(runs: Sequence[TrainingRun], tag: str, unit: Shown) -> dict[str, Any]:
    """One scalar of several runs over their decisions; with objectives the best rule's as a line across.

    Args:
        runs: those that have it.
        tag: of the scalar.
        unit: in which people are shown it.
    """
    data = list[dict[str, Any]]()
    for number, run in enumerate(runs):
        curve, found = run.curves[tag], look(number)
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": plot_text(run.name),
                "x": list(curve.steps),
                "y": [value * unit.factor for value in curve.values],
                "customdata": [round(seconds / 60, 1) for seconds in curve.seconds],
                "line": {"color": found.colour, "dash": found.dash, "width": 2},
                "marker": {"color": found.colour, "symbol": found.symbol, "size": 8, "maxdisplayed": 10},
                "hovertemplate": _HOVER,
            }
        )
    last = max(max(run.curves[tag].steps) for run in runs)
    rules: dict[float, list[str]] = {}
    for run in runs if tag == OBJECTIVE else ():
        if BEST_RULE in run.curves:
            rules.setdefault(run.curves[BEST_RULE].values[-1] * unit.factor, []).append(run.name)
    for number, (value, names) in enumerate(sorted(rules.items())):
        line = {"color": INK_COLOUR, "dash": DASHES[1 + number % (len(DASHES) - 1)], "width": 1.5}
        told = "best rule<br>%{y:,.6~g}<extra></extra>"
        name = "best rule" if len(rules) == 1 else f"best rule of {', '.join(names)}"
        across = {"x": [0, last], "y": [value, value], "line": line, "hovertemplate": told}
        data.append({"type": "scatter", "mode": "lines", "name": plot_text(name), **across})
    vertical = axis(plot_text(unit.title(tag.replace("_", " "))), zeroline=False)
    horizontal = axis("decisions", zeroline=False)
    return {"data": data, "layout": layout(360, xaxis=horizontal, yaxis=vertical, showlegend=True)}
