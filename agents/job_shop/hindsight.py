"""The optimum of a shop as it turned out: what whoever knew every breakdown beforehand could have reached."""

from __future__ import annotations

from itertools import islice, takewhile

from ...envs.core.errors import UserError
from ...envs.job_shop.engine import JobShopEngine
from ...envs.job_shop.instance import JobShopInstance
from ...envs.job_shop.known import bounds
from ...envs.job_shop.options import JobShopOptions
from ...envs.job_shop.schedule import JobShopSchedule
from ..agent import Setting
from ..arena import Case, open_arena, play
from ..hindsight import Hindsight
from ..rules.agent import RuleAgent
from ..rules.rule import applicable_rules
from .cp_sat import ExactResult, JobShopProblem, serial_schedule, solve_job_shop
from .planning import options_of
from .start import StartState, WindowTable

_MOST_WINDOWS = 10_000  # of a machine


def hindsight_of(setting: Setting) -> Hindsight:
    """Who finds the optimum of worlds of a job shop.

    Raises:
        UserError: nobody can under these options.
    """
    options = options_of(setting)
    if options.clock == "busy" and options.law != "none":
        raise UserError(
            "option hindsight: under clock=busy machines break down by what they have processed, so that a world has "
            "no down-times before somebody plays it; use clock=calendar"
        )
    return job_shop_hindsight


def job_shop_hindsight(
    setting: Setting, instance: JobShopInstance, seed: int, seconds: float, start: JobShopSchedule | None = None
) -> ExactResult:
    """Solve the shop under the very down-times of a world.

    The optimum is over all schedules, those included that `allow_wait`, `deadlock` or `mode` keep agents from. Under
    `scrap` no piece is lost in it: leaving out a piece that will be lost hinders nobody.

    Args:
        setting: of the job shop, by the calendar clock.
        instance: as it is played.
        seed: the world's.
        seconds: wall time, on one core.
        start: a finished schedule of this world to begin from, if it is better than the best rule's.
    """
    options = options_of(setting)
    engine, ruled = _best_rule(setting, instance, seed)
    if start is None or (ruled is not None and ruled.makespan < start.makespan):
        start = ruled
    known_bound = bounds(instance, options.blocking).lower
    windows = _windows(engine, instance, options, seed, start)
    if windows is None:
        return ExactResult(None, None, known_bound, False, 0.0)
    return solve_job_shop(
        instance,
        options.blocking,
        seconds,
        windows=windows or ((),) * instance.num_machines,
        on_breakdown=options.on_breakdown,
        unload_when_down=options.unload_when_down,
        start=start,
        state=StartState.of(instance, options),
        known_bound=known_bound,
    )


def _best_rule(setting: Setting, instance: JobShopInstance, seed: int) -> tuple[JobShopEngine, JobShopSchedule | None]:
    """The engine in which the world is played, and the schedule of the best rule in it, None where no rule finishes."""
    rules = list(applicable_rules(setting.env_id, setting.options).values())
    arena = open_arena(setting.env_id, len(rules), {**setting.options, "instance": [instance]})
    (episode,) = play(arena, RuleAgent(rules, arena.setting, samples=len(rules)), [Case(instance, seed)])
    assert isinstance(arena.engine, JobShopEngine)
    return arena.engine, episode.schedule if episode.metrics["finished"] else None


def _windows(
    engine: JobShopEngine,
    instance: JobShopInstance,
    options: JobShopOptions,
    seed: int,
    start: JobShopSchedule | None,
) -> WindowTable | None:
    """The world's down-times up to a time by which every job can have left; None where there are too many by then."""
    machines = range(instance.num_machines)
    if options.law in ("none", "windows"):
        return instance.downtimes if options.law == "windows" else ()
    until = int(instance.times.sum()) if start is None else start.makespan
    while True:
        table: WindowTable = tuple(_windows_until(engine, seed, m, until) for m in machines)
        if start is not None:
            return table
        if any(len(windows) == _MOST_WINDOWS for windows in table):
            return None
        problem = JobShopProblem(
            instance,
            options.blocking,
            options.on_breakdown,
            options.unload_when_down,
            table,
            StartState.empty(instance, table),
        )
        if serial_schedule(problem).makespan <= until:
            return table
        until *= 2


def _windows_until(engine: JobShopEngine, seed: int, machine: int, until: int) -> tuple[tuple[int, int], ...]:
    """A machine's down-times that begin by a time, at most `_MOST_WINDOWS`."""
    drawn = islice(engine.drawn_windows(seed, machine), _MOST_WINDOWS)
    return tuple(takewhile(lambda window: window[0] <= until, drawn))
