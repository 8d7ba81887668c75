"""Plays the best trials and the baseline on fresh worlds, which neither training nor validation has met.

The best validation objective of many trials is a maximum: it is too good on average. What is played here was not chosen
by these worlds. It is an ordinary evaluation in the sweep's folder.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..agents.rules.rule import applicable_rules
from ..envs.core.errors import FieldError
from ..eval.parallel import Job, play_jobs
from ..eval.plan import Plan, Request, make_plan, parse_environment
from ..eval.report import report_of, write_report
from ..eval.statistics import Bootstrap, Estimate, relative, wins
from ..eval.store import RUN, Store, open_store, read_run
from ..eval.table import counted
from ..eval.workers import Crew
from .config import SweepConfig
from .folder import RESCORE, SweepFolder
from .trials import BASELINE, Run, Trial

FIRST_SEED = 1_000_000_000
"""Worlds of training and validation have seeds from 2**62 on; nobody types this one by chance."""

BEST_RULE = "best-rule"


@dataclass(frozen=True)
class Fresh:
    """A trial, or the best rule, on fresh worlds.

    Attributes:
        trial: its number; None for the rule.
        objective: mean; of each world the mean over the trial's seeds.
        difference: mean of C - C_reference.
        relative: mean of C / C_reference - 1.
        win_rate: how often it is better than the reference, ties half.
    """

    trial: int | None
    objective: Estimate
    difference: Estimate
    relative: Estimate
    win_rate: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        names = ("objective", "difference", "relative", "win_rate")
        estimates = {name: getattr(self, name).to_dict() for name in names}
        return {"trial": self.trial, **estimates}


@dataclass(frozen=True)
class Rescored:
    """What came of fresh worlds.

    Attributes:
        lines: the reference first, then the trials, the best by validation first; the best rule last.
        worlds: how many there were.
        command: that plays them again.
        note: what is to be said of how fresh they are.
        invalid: schedules that the validator refuses.
    """

    lines: tuple[Fresh, ...]
    worlds: int
    command: str
    note: str
    invalid: int

    @property
    def reference(self) -> int | None:
        """The trial that others are compared with; None for the best rule."""
        return self.lines[0].trial

    def of(self, trial: int) -> Fresh | None:
        """A trial's line, None where it was not played."""
        return next((line for line in self.lines if line.trial == trial), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "worlds": self.worlds,
            "reference": self.reference,
            "command": self.command,
            "note": self.note,
            "invalid": self.invalid,
            "trials": [line.to_dict() for line in self.lines],
        }


def check_name(out: str) -> None:
    """Meet a folder whose checkpoints could not be named in a list of agents.

    Raises:
        FieldError: it is one.
    """
    if any(letter in out for letter in ",:"):
        raise FieldError("option out", out, "a name without ',' and ':' where rescore_worlds is above 0")


def rescore(
    config: SweepConfig,
    folder: SweepFolder,
    ranked: Sequence[Trial],
    workers: int | Crew,
    shown: Callable[[Sequence[tuple[Plan, Store]]], Any],
) -> Rescored | None:
    """Play the best trials and the baseline; None where that is not asked for, or nobody is to be compared.

    Args:
        config: the sweep.
        folder: of the sweep; the evaluation goes into it.
        ranked: trials that did not fail, the best first.
        workers: who plays, as in `play_jobs`.
        shown: makes the display of an evaluation's progress.

    Raises:
        UserError: something cannot be played or written.
    """
    best = [trial.number for trial in ranked if trial.number != BASELINE][: config.rescore_top]
    with_baseline = any(trial.number == BASELINE for trial in ranked)
    chosen = [BASELINE, *best] if with_baseline else best
    if not config.rescore_worlds or not best:
        return None
    agents = {number: [_agent(folder, Run(number, seed)) for seed in config.seeds] for number in chosen}
    env_id, options = parse_environment(config.env)
    rule = [BEST_RULE] if applicable_rules(env_id, options) else []
    names = [agent for several in agents.values() for agent in several]
    plan = _plan(config, [*names, *rule], names[0])
    place = folder.path / RESCORE
    with contextlib.closing(_open(plan, str(place))) as store:
        try:
            with shown([(plan, store)]) as progress:
                (rows,) = play_jobs([Job(plan, store)], workers, progress)
        except KeyboardInterrupt:
            store.flush()
            raise
        write_report(place, report_of(plan, rows))
    by_agent = {agent: [row for row in rows if row["agent"] == agent] for agent in plan.agents}
    objectives: dict[int | None, NDArray[np.float64]] = {
        number: np.mean([[row["objective"] for row in by_agent[agent]] for agent in several], axis=0)
        for number, several in agents.items()
    }
    if rule:
        objectives[None] = np.array([row["objective"] for row in by_agent[BEST_RULE]], dtype=np.float64)
    reference = BASELINE if with_baseline else None if rule else best[0]
    order = sorted(objectives, key=lambda number: number != reference)
    first = by_agent[names[0]]
    lines = _compared({number: objectives[number] for number in order}, first, reference, config.sense)
    invalid = sum(row["valid"] is False for row in rows)
    return Rescored(lines, len(plan.cases), plan.request.command(str(place)), _note(config, plan, first), invalid)


def _agent(folder: SweepFolder, run: Run) -> str:
    return str(folder.run(run) / "best")


def _plan(config: SweepConfig, agents: list[str], reference: str) -> Plan:
    """The evaluation; as many seeds as make the worlds that are asked for."""
    played = (config.rescore_instances, config.training.get("held_out"), config.training.get("instances"))
    instances = next((str(one) for one in played if one is not None), None)
    request = Request(config.env, ",".join(agents), instances, str(FIRST_SEED), reference)
    plan = make_plan(request)
    seeds = math.ceil(config.rescore_worlds / len(plan.instances or (None,)))
    if seeds == 1:
        return plan
    return make_plan(replace(request, seeds=f"{FIRST_SEED}-{FIRST_SEED + seeds - 1}"))


def _open(plan: Plan, place: str) -> Store:
    """The evaluation's folder. One of other agents (other trials, or the folder by another name) is begun anew."""
    record = plan.record(place)
    known = (Path(place) / RUN).is_file()
    others = known and read_run(Path(place))["options"]["agents"] != record["options"]["agents"]
    return open_store(place, record, overwrite=others)


def _compared(
    objectives: Mapping[int | None, NDArray[np.float64]],
    rows: Sequence[Mapping[str, Any]],
    reference: int | None,
    sense: str,
) -> tuple[Fresh, ...]:
    """Lines in the given order.

    Args:
        objectives: float64 [worlds] of each trial.
        rows: of one agent, which say what the worlds are.
        reference: the trial that others are compared with.
        sense: "min" or "max".
    """
    bootstrap = Bootstrap([row["instance"] or f"seed {row['seed']}" for row in rows])
    theirs = objectives[reference]
    lines = []
    for number, ours in objectives.items():
        values = {
            "objective": ours,
            "difference": ours - theirs,
            "relative": relative(ours, theirs),
            "win_rate": wins(ours, theirs, sense),
        }
        lines.append(Fresh(number, **bootstrap.estimates(values)))
    return tuple(lines)


def _note(config: SweepConfig, plan: Plan, rows: Sequence[Mapping[str, Any]]) -> str:
    """How fresh the worlds are."""
    number = len({row["instance"] for row in rows})
    instances = counted(number, "instance")
    if plan.instances is not None and config.rescore_instances is not None:
        return f"They are of the {instances} of rescore_instances."
    if plan.instances is None and number == len(rows):
        return "Each is an instance that neither training nor validation has met."
    if rows[0]["stochastic"]:
        return f"Their random events are fresh; their {instances} may be those of validation."
    return (
        f"They are NOT fresh: {instances} without random events, which validation may have met; name others by "
        "rescore_instances."
    )
