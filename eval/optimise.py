"""One instance, some seconds, the best valid schedule: `makespan.solve` and the command `optimise`.

Whoever can be stopped at any time (`Agent.improve`) gets the time; whoever plays differently each time plays again and
again, with fresh keys; all others play once. What is found counts only if the environment's validator has nothing
against it.
"""

from __future__ import annotations

import difflib
import inspect
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba.core.event import Event, Listener, install_listener

from ..agents.agent import Agent
from ..agents.arena import Arena, Case, open_arena, play_to_end
from ..agents.catalogue import make_agent
from ..envs.core.errors import FieldError, UnknownNameError, UserError
from ..envs.core.ids import find_env, make_single, single_creator
from ..envs.core.instance import require_integer
from ..envs.core.names import parse_name
from ..envs.registry import contract_ids
from .judge import ImpossibleResultError
from .ladder import ladder_of
from .memory import check_room, free_memory
from .plan import LARGEST_AGENT_SEED, instance_name, parse_environment, resolve_instances
from .portfolio import PORTFOLIO, Stage, fitting_checkpoints, stages
from .statistics import full, gap

DEFAULT_ENV = "makespan/JobShop-v0"

_LONGEST = 1_000_000
_ALIKE = 0.75  # how alike names must be for another environment's to be suggested
_TOLERANCE = 1e-9
# A round of tries may take so long, so that time and interrupts are heeded; and so large a share of all the time.
_ROUND_SECONDS, _ROUND_SHARE = 0.25, 0.1
_MOST_TRIES_AT_ONCE = 1024
_MEMORY_SHARE = 0.5  # of what is free, for tries whose number nobody has asked for


class Improvement(NamedTuple):
    """A schedule better than all before: when it was found (in seconds of search), its objective, and by whom."""

    seconds: float
    objective: float
    agent: str


@dataclass(frozen=True)
class Solution:
    """What a search has come to.

    Attributes:
        instance: its name.
        schedule: the best valid schedule, as the environment makes them; None where it makes none.
        objective: of it, in the environment's unit.
        bound: proved bound on the objective, None where none is known.
        bound_source: who proved it: "instance" (known of the instance beforehand) or the name of a solver.
        gap: between objective and bound, as a fraction of the bound; None without bound.
        optimal: whether the objective equals the bound.
        agent: who was asked; `history` says who found what.
        seconds: of the search, the compiling of code aside.
        tries: how many complete plays there were, and searches of solvers.
        history: the improvements, each better than the one before; the last one is the result.
        interrupted: whether the user stopped it before its time.
    """

    instance: str
    schedule: Any
    objective: float
    bound: float | None
    bound_source: str
    gap: float | None
    optimal: bool
    agent: str
    seconds: float
    tries: int
    history: tuple[Improvement, ...] = ()
    interrupted: bool = False


Progress = Callable[[Solution], None]
"""Is told of every better schedule and bound."""


@dataclass(frozen=True)
class Task:
    """What is to be solved, checked by `make_task`.

    Attributes:
        env_id: the registered id.
        options: of the environment, as given.
        instance: object or name; None where the environment makes one from the seed.
        agent: a name, or `PORTFOLIO`.
        seconds: wall time.
        seed: of the agent's randomness and of the world.
    """

    env_id: str
    options: Mapping[str, Any]
    instance: Any
    agent: str
    seconds: float
    seed: int

    def arena_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """These options, and room for the instance where the environment takes instances as objects."""
        takes = hasattr(single_creator(find_env(self.env_id)), "resolve_instances")
        return {**options, "instance": [self.instance]} if takes and self.instance is not None else dict(options)


def solve(
    instance: Any = None,
    agent: str = PORTFOLIO,
    seconds: float = 10.0,
    start: Any = None,
    env: str = DEFAULT_ENV,
    seed: int = 0,
    progress: Progress | None = None,
    **options: Any,
) -> Solution:
    """Find a good schedule of one instance in the time given.

    Ctrl-C ends the search early: what it has found is returned, with `interrupted` set.

    Args:
        instance: an instance, the path of a file, or a name such as "ft06"; None: the environment makes one.
        agent: who searches; "portfolio" plays all rules and the trained scorers that ship, then lets a solver improve
            the best for the rest of the time.
        seconds: wall time, above 0; a play that has begun is finished.
        start: where things stand now, if the instance does not say so itself: an object, its JSON data, or the path of
            a file (job shop: see `makespan.envs.job_shop.start`).
        env: id of the environment, which may carry options: "makespan/JobShop-v0:blocking=none".
        seed: of the agent's randomness.
        progress: is told of every better schedule and bound.
        options: of the environment.

    Raises:
        UserError: something given is wrong, or no valid schedule was found in time.
        KeyboardInterrupt: stopped by the user before any valid schedule was found.
    """
    return optimise(make_task(instance, agent, seconds, start, env, seed, options), progress or (lambda solution: None))


def make_task(
    instance: Any, agent: str, seconds: float, start: Any, env: str, seed: int, options: Mapping[str, Any]
) -> Task:
    """Read and check what is to be solved.

    Raises:
        UserError: something given is wrong.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= _LONGEST:
        raise FieldError("option seconds", seconds, f"seconds, above 0 and at most {_LONGEST}")
    require_integer("option seed", seed, 0, LARGEST_AGENT_SEED)
    env_id, given = parse_environment(env)
    for key in options:
        if key in given:
            raise UserError(f"option {key} of {env_id!r} is given twice")
    merged: dict[str, Any] = {**given, **options}
    if "instance" in merged:
        raise UserError("the instance is given as option of the environment, too; give it once")
    found = _with_start(_find_instance(env_id, merged, instance), start, env_id)
    creator = single_creator(find_env(env_id))
    if hasattr(creator, "options_for") and found is not None:
        merged = {**creator.options_for(found, merged), **merged}
    task = Task(env_id, merged, found, agent, float(seconds), seed)
    _check_agent(task)
    return task


def _check_agent(task: Task) -> None:
    """Raise where nobody can plan this environment under its options, or where the agent cannot."""
    setting = open_arena(task.env_id, 1, task.arena_options(task.options), task.seed).setting
    if setting.stochastic:
        raise UserError(
            f"environment {task.env_id!r} holds events under these options that nobody can foresee, so that "
            "there is no schedule to find beforehand; 'makespan evaluate' plays agents in such worlds"
        )
    if task.agent == PORTFOLIO:
        return
    agent = make_agent(task.agent, setting)
    if agent.improves and setting.engine is None:
        raise UserError(
            f"agent {task.agent!r} improves schedules by looking ahead, but environment {task.env_id!r} is plain "
            "Python without a batch engine to look ahead with; name an agent that plays"
        )
    if agent.improves and "time" in parse_name(task.agent, "agent").options:
        raise UserError(f"agent {task.agent!r}: its time is what the search has; leave option time out")


def _find_instance(env_id: str, options: Mapping[str, Any], given: Any) -> Any:
    if not isinstance(given, str | os.PathLike):
        return given
    with _opened(env_id, options) as env:
        names = env.unwrapped.instances() if hasattr(env.unwrapped, "instances") else []
        text = os.fspath(given)
        base = text.partition(":")[0]
        if "/" not in text and base not in names and os.path.isfile(base):
            text = f"./{text}"  # the grammar's way to say that a name is a path
        try:
            found = resolve_instances(env, text)
        except UserError as error:
            told = _of_another_environment(error, env_id, text)
            if told is None:
                raise
            raise UserError(told) from None
    if found is None or len(found) != 1:
        count = "no fixed instance" if found is None else f"{len(found)} instances"
        raise UserError(f"instance {text!r} names {count}, expected one")
    return found[0]


def _of_another_environment(error: UserError, env_id: str, text: str) -> str | None:
    """The error, and which other environment knows the instance or one of a like name; None where none does."""
    unknown = isinstance(error, UnknownNameError)
    for other in contract_ids():
        if other == env_id:
            continue
        try:
            resolve = inspect.getattr_static(single_creator(find_env(other)), "resolve_instances", None)
            if not isinstance(resolve, staticmethod):
                continue
            resolve(text)
        except UserError as theirs:
            if not unknown or error.nearest is not None or not isinstance(theirs, UnknownNameError):
                continue
            if theirs.nearest and difflib.get_close_matches(text, [theirs.nearest], cutoff=_ALIKE):
                return f"unknown instance {text!r}; did you mean {theirs.nearest!r} of {other} (--env {other})?"
        else:
            said = f"unknown instance {text!r}" if unknown else str(error)
            return f"{said}; it is one of {other}: add --env {other}"
    return None


def _with_start(instance: Any, start: Any, env_id: str) -> Any:
    if start is None:
        return instance
    if not hasattr(instance, "starting_from"):
        raise UserError(f"option start: instances of {env_id!r} cannot begin from anywhere but their beginning")
    return instance.starting_from(start)


@contextmanager
def _opened(env_id: str, options: Mapping[str, Any]) -> Iterator[Any]:
    env = make_single(env_id, options)
    try:
        yield env
    finally:
        env.close()


def optimise(task: Task, listener: Progress, before: Solution | None = None) -> Solution:
    """Search for as long as the task says.

    Args:
        task: what to solve.
        listener: is told of every better schedule and bound.
        before: what an earlier search of the same task has come to: it goes on from there.

    Raises:
        UserError: an agent is unknown or cannot play here, or no valid schedule was found in time.
        KeyboardInterrupt: stopped by the user before any valid schedule was found.
        ImpossibleResultError: a result lies beyond a proved bound.
    """
    compiling = _Compiling()
    with (
        _opened(task.env_id, task.arena_options(task.options)) as env,
        install_listener("numba:compile", compiling),
    ):
        search = _Search(task, env.unwrapped, listener, compiling, before)
        try:
            search.run()
        except KeyboardInterrupt:
            if search.best is None:
                raise KeyboardInterrupt("before any valid schedule was found") from None
            search.interrupted = True
        return search.result()


class _Compiling(Listener):
    """Counts the seconds in which code is compiled."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth, self._began = 0, 0.0

    def on_start(self, event: Event) -> None:
        if self._depth == 0:
            self._began = time.perf_counter()
        self._depth += 1

    def on_end(self, event: Event) -> None:
        self._depth -= 1
        if self._depth == 0:
            self.seconds += time.perf_counter() - self._began


@dataclass
class _Best:
    objective: float
    schedule: Any


class _Search:
    """One search; the `Report` of those who improve.

    Attributes:
        best: the best valid schedule so far.
        interrupted: whether the user has stopped it.
    """

    def __init__(
        self, task: Task, env: Any, listener: Progress, compiling: _Compiling, before: Solution | None
    ) -> None:
        self.task, self._env, self._listener, self._compiling = task, env, listener, compiling
        self._sign = 1 if env.metadata["objective"]["sense"] == "min" else -1
        self._name = "" if task.instance is None else instance_name(task.instance)
        self.best = None if before is None else _Best(before.objective, before.schedule)
        self._before = 0.0 if before is None else before.seconds
        self._tries = 0 if before is None else before.tries
        self._seed = task.seed + self._tries  # another one each time, for solvers that do not count tries
        self._history = [] if before is None else list(before.history)
        self.interrupted = False
        self._agent = task.agent
        self._problem = ""
        self._untold = False
        self._bound: float | None = None
        self._bound_source = ""
        if before is not None and before.bound is not None:
            self._bound, self._bound_source = before.bound, before.bound_source
        self._began = time.perf_counter()

    # --- what has been reached ----------------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """Of this search, the compiling of code aside."""
        return time.perf_counter() - self._began - self._compiling.seconds

    @property
    def left(self) -> float:
        return self.task.seconds - self.seconds

    @property
    def closed(self) -> bool:
        """Whether nothing can be better."""
        return self.best is not None and self._bound is not None and self._beyond(self.best.objective) >= -_TOLERANCE

    def _beyond(self, objective: float) -> float:
        """How far an objective lies beyond the bound, as a share of it; below zero while it does not reach it."""
        assert self._bound is not None
        return self._sign * (self._bound - objective) / max(1.0, abs(self._bound))

    def result(self) -> Solution:
        """What has been reached.

        Raises:
            UserError: nothing.
        """
        if self.best is None:
            problem = f" ({self._problem})" if self._problem else ""
            raise UserError(
                f"agent {self.task.agent!r} found no valid schedule of {self._name!r} in {self.task.seconds:g} s"
                f"{problem}; give it more time or take another agent"
            )
        sense = "min" if self._sign == 1 else "max"
        return Solution(
            self._name,
            self.best.schedule,
            self.best.objective,
            self._bound,
            self._bound_source,
            gap(self.best.objective, None, self._bound, sense),
            self.closed,
            self.task.agent,
            round(self._before + self.seconds, 3),
            self._tries,
            tuple(self._history),
            self.interrupted,
        )

    def found(self, schedule: Any, /) -> None:
        objective = self._objective_of(schedule)
        if objective is not None:
            self._take(objective, schedule)

    def _objective_of(self, schedule: Any) -> float | None:
        """By the environment where it appraises schedules, else what the schedule states; None where nobody says."""
        if hasattr(self._env, "appraise"):
            return self._env.appraise(schedule)[0]
        return schedule.get("objective") if isinstance(schedule, Mapping) else getattr(schedule, "objective", None)

    def bounded(self, bound: float, /) -> None:
        if self._bound is None or self._sign * bound > self._sign * self._bound:
            self._bound, self._bound_source = bound, self._agent
            self._check_bound()
            if self.best is not None:
                self._tell()

    def _take(self, objective: float, schedule: Any) -> bool:
        """Keep a schedule, if it is valid and better than all before; whether it is."""
        if self.best is not None and self._sign * objective >= self._sign * self.best.objective:
            return False
        if not self._is_valid(schedule):
            return False
        value = int(objective) if float(objective).is_integer() else float(objective)
        self.best = _Best(value, schedule)
        self._history.append(Improvement(round(self._before + self.seconds, 3), value, self._agent))
        self._check_bound()
        self._tell()
        return True

    def _tell(self) -> None:
        """Tell the listener, whose own errors are no one else's."""
        self._untold = True
        self._listener(self.result())
        self._untold = False

    def _is_valid(self, schedule: Any) -> bool:
        """Whether the environment has nothing against a schedule; what it has is noted."""
        if schedule is None or not hasattr(self._env, "validate"):
            return True
        problems = self._env.validate(schedule)
        self._problem = f"the validator refuses a schedule: {problems[0]}" if problems else self._problem
        return not problems

    def _check_bound(self) -> None:
        if self.best is not None and self._bound is not None and self._beyond(self.best.objective) > _TOLERANCE:
            raise ImpossibleResultError(
                f"{self._name!r}: objective {full(self.best.objective)} lies beyond the proved bound "
                f"{full(self._bound)} ({self._bound_source})"
            )

    # --- the search ---------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Let everybody who was asked have a turn, until the time is spent or nothing can be better."""
        arena = self._open(self.task.options, 1)
        self._bound_of_instance(arena)
        if self.task.agent != PORTFOLIO:
            self._turn(Stage(self.task.agent, self.task.options))
            return
        unfit: set[str] = set()
        for stage in stages(arena.setting, self.task.options, self._fitting()):
            if stage.agent in unfit or self.closed:
                continue
            end = self.seconds + 2 * stage.share * self.left
            try:
                self._turn(stage)
            except UserError as error:  # it cannot play this very instance, or needs a package that is not installed
                if self._untold:
                    raise
                self._problem = self._problem if unfit else str(error)
                unfit.add(stage.agent)
            if self.seconds > end:  # it needs more time to begin than it may have
                unfit.add(stage.agent)

    def _bound_of_instance(self, arena: Arena) -> None:
        """What the environment knows of the instance."""
        if self.task.instance is None:
            arena.reset([self._case()])
            engine = arena.engine
            self._name = engine.instance_name(0) if engine is not None else instance_name(arena.instances()[0])
        instance = self.task.instance if self.task.instance is not None else arena.instances()[0]
        bound = self._env.bound(instance) if hasattr(self._env, "bound") and instance != "" else None
        if bound is not None and self._bound is None:
            self._bound = int(bound) if float(bound).is_integer() else float(bound)
            self._bound_source = "instance"

    def _fitting(self) -> Iterator[Stage]:
        """Checkpoints that ship and play valid schedules here, the best first; each plays once to find out."""
        reached: list[tuple[float, int, Stage]] = []
        for number, stage in enumerate(fitting_checkpoints(self.task.env_id, self.task.options)):
            objective = self._try_once(stage)
            if objective is not None:
                reached.append((self._sign * objective, number, stage))
        yield from (stage for _, _, stage in sorted(reached))

    def _try_once(self, stage: Stage) -> float | None:
        """The objective of one play, None where it cannot be played or is not valid here."""
        if self.closed or (self.best is not None and self.left <= 0):
            return None
        self._agent = stage.agent
        try:
            arena = self._open(stage.options, 1)
            agent = make_agent(stage.agent, arena.setting)
        except UserError:
            return None
        if arena.setting.stochastic:
            return None
        agent.samples = 1
        play_to_end(arena, agent, [self._case()])
        self._tries += 1
        outcome = arena.outcome(0)
        before = self._problem
        if outcome.metrics.get("finished") is False or not self._is_valid(outcome.schedule):
            self._problem = before  # it plays another game
            return None
        self._take(outcome.objective, outcome.schedule)
        return outcome.objective

    def _turn(self, stage: Stage) -> None:
        """Let one agent search for its share of the time that is left."""
        if self.closed or (self.best is not None and self.left <= 0):
            return
        self._agent = stage.agent
        arena = self._open(stage.options, 1)
        agent = make_agent(stage.agent, arena.setting)
        end = self.seconds + stage.share * max(self.left, 0.0)
        if agent.improves:
            arena.reset([self._case()])
            imagine = arena.imagine()
            assert imagine is not None
            best = None if self.best is None else self.best.schedule
            self._tries += 1
            agent.improve(arena.instances()[0], imagine, max(end - self.seconds, 0.0), self, best)
        else:
            self._replay(stage, agent, arena, end)

    def _replay(self, stage: Stage, agent: Agent, arena: Arena, end: float) -> None:
        """Play, once or again and again with fresh keys."""
        again = ladder_of(stage.agent).option == "samples"
        asked = agent.samples > 1
        most = self._most_tries(stage, arena, agent.samples)
        longest = min(_ROUND_SECONDS, _ROUND_SHARE * self.task.seconds)
        while True:
            if arena.num_copies != agent.samples:
                arena = self._open(stage.options, agent.samples)
            began = self.seconds
            self._play(arena, agent)
            if not again or self.closed or self.seconds >= end:
                return
            if not asked and self.seconds - began < longest / 2:
                agent.samples = min(2 * agent.samples, most)

    def _play(self, arena: Arena, agent: Agent) -> None:
        """One round of tries."""
        played = play_to_end(arena, agent, [self._case()], self._tries)
        self._tries += agent.samples
        for copy in np.argsort(played.costs, kind="stable").tolist():
            if self.best is not None and played.costs[copy] >= self._sign * self.best.objective:
                return
            outcome = arena.outcome(copy)
            self._name = self._name or outcome.instance
            if outcome.metrics.get("finished") is False:
                self._problem = "what it plays is not finished"
            elif self._take(outcome.objective, outcome.schedule):
                return

    def _most_tries(self, stage: Stage, arena: Arena, samples: int) -> int:
        """How many tries fit into the memory at once.

        Raises:
            UserError: fewer than were asked for.
        """
        free = free_memory()
        if arena.engine is None or free is None:
            return _MOST_TRIES_AT_ONCE
        each = arena.engine.copy_bytes
        check_room(stage.agent, samples, each, "give fewer samples (rounds go on until the time is spent)")
        return max(1, min(_MOST_TRIES_AT_ONCE, int(_MEMORY_SHARE * free / each)))

    def _case(self) -> Case:
        return Case(self.task.instance, self.task.seed)

    def _open(self, options: Mapping[str, Any], copies: int) -> Arena:
        return open_arena(self.task.env_id, copies, self.task.arena_options(options), self._seed)
