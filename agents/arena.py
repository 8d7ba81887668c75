"""The arena: n worlds of one environment in which agents play to the end, whatever the environment is made of."""

from __future__ import annotations

import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from numpy.typing import NDArray

from ..envs.core.engine import BatchEngine
from ..envs.core.env import SchedulingVectorEnv
from ..envs.core.errors import UserError
from ..envs.core.ids import find_env, make_single, vector_creator
from ..envs.core.player import play_out
from ..envs.core.random import combine
from .agent import Agent, Imagine, Observation, Proposer, Setting


class Case(NamedTuple):
    """One world to be played.

    Attributes:
        instance: an instance (object or name), or None for the environment's own choice by the seed.
        seed: the world's key.
    """

    instance: Any
    seed: int


@dataclass(frozen=True)
class Episode:
    """What came of one world.

    Attributes:
        instance: its name, or "" where the environment has no instances.
        seed: the world's key.
        objective: from the state, in the environment's unit.
        metrics: what happened, as plain numbers.
        decisions: how many choices were made in the try that counts.
        seconds: the agent's time for this world, all tries together: its share, by choices, of what `begin`, `act` and
            its compiled choice took for the batch that was played.
        schedule: the outcome as data, None where the environment has none.
        instance_data: the instance itself where there is one.
    """

    instance: str
    seed: int
    objective: float
    metrics: Mapping[str, Any]
    decisions: int
    seconds: float
    schedule: Any = None
    instance_data: Any = None


class Outcome(NamedTuple):
    """What came of an ended copy: see `Episode`."""

    instance: str
    objective: float
    metrics: Mapping[str, Any]
    schedule: Any
    instance_data: Any


class Arena(ABC):
    """n copies of an environment, each playing one world at a time, without autoreset."""

    setting: Setting
    num_copies: int

    @abstractmethod
    def reset(self, cases: Sequence[Case]) -> None:
        """Begin the given worlds, one per copy."""

    @abstractmethod
    def observation(self) -> Observation:
        """Arrays [n, ...] of all copies; ended ones show their last."""

    @abstractmethod
    def masks(self) -> NDArray[np.int8]:
        """int8 [n, A]; all zero for ended copies."""

    @abstractmethod
    def running(self) -> NDArray[np.bool_]:
        """bool [n]."""

    @abstractmethod
    def step(self, actions: NDArray[np.int64]) -> None:
        """Play one action in each running copy.

        Raises:
            ValueError: an action is illegal.
        """

    @abstractmethod
    def instances(self) -> list[Any]:
        """The instance of each copy, as far as whoever chooses may know it."""

    @abstractmethod
    def imagine(self) -> Imagine | None:
        """How agents look ahead, None where the environment cannot."""

    @abstractmethod
    def objectives(self) -> NDArray[np.float64]:
        """float64 [n]: the objectives of ended copies."""

    @abstractmethod
    def outcome(self, copy: int) -> Outcome:
        """What came of an ended copy."""

    def adopt(self, copy: int, schedule: Any) -> None:
        """End a copy with a schedule that was made without playing.

        Raises:
            UserError: the environment appraises no schedules.
        """
        raise UserError(f"environment {self.setting.env_id!r} appraises no schedules that were not played in it")

    engine: BatchEngine | None = None


class EngineArena(Arena):
    """An arena on a batch engine."""

    def __init__(self, env: SchedulingVectorEnv, setting: Setting) -> None:
        self.engine: BatchEngine = env.engine  # pyright: ignore[reportIncompatibleVariableOverride]
        self.setting = setting
        self.num_copies = env.num_envs
        self._adopted: dict[int, Outcome] = {}

    def reset(self, cases: Sequence[Case]) -> None:
        self._adopted.clear()
        given = [case.instance for case in cases]
        instances = None if all(instance is None for instance in given) else given
        self.engine.reset([case.seed for case in cases], instances=instances)

    def observation(self) -> Observation:
        return self.engine.block.views

    def masks(self) -> NDArray[np.int8]:
        return self.engine.masks

    def running(self) -> NDArray[np.bool_]:
        running = self.engine.is_running()
        if self._adopted:
            running = running.copy()
            running[list(self._adopted)] = False
        return running

    def step(self, actions: NDArray[np.int64]) -> None:
        self.engine.step(actions)

    def instances(self) -> list[Any]:
        return [self.engine.known_instance(copy) for copy in range(self.num_copies)]

    def imagine(self) -> Imagine | None:
        return look_ahead(self.engine)

    def objectives(self) -> NDArray[np.float64]:
        objectives = self.engine.objectives().astype(np.float64)
        for copy, outcome in self._adopted.items():
            objectives[copy] = outcome.objective
        return objectives

    def adopt(self, copy: int, schedule: Any) -> None:
        engine = self.engine
        try:
            objective, metrics = engine.appraise(schedule)
        except NotImplementedError:
            super().adopt(copy, schedule)
        else:
            played = engine.instance(copy)
            self._adopted[copy] = Outcome(engine.instance_name(copy), objective, metrics, schedule, played)

    def outcome(self, copy: int) -> Outcome:
        if copy in self._adopted:
            return self._adopted[copy]
        engine = self.engine
        objective = float(engine.objectives()[copy])
        played = engine.instance(copy)
        return Outcome(engine.instance_name(copy), objective, engine.metrics(copy), engine.schedule(copy), played)


class PlainArena(Arena):
    """An arena of plain Python environments, one object per copy."""

    def __init__(self, envs: Sequence[gymnasium.Env[Any, Any]], setting: Setting) -> None:
        self.setting = setting
        self.num_copies = len(envs)
        self._envs = list(envs)
        self._observations: list[dict[str, NDArray[Any]]] = [{} for _ in envs]
        self._infos: list[dict[str, Any]] = [{} for _ in envs]
        self._running = np.zeros(len(envs), dtype=np.bool_)

    def reset(self, cases: Sequence[Case]) -> None:
        for copy, (env, case) in enumerate(zip(self._envs, cases, strict=True)):
            options = None if case.instance is None else {"instance": case.instance}
            self._observations[copy], self._infos[copy] = env.reset(seed=case.seed, options=options)
        self._running[:] = True

    def observation(self) -> Observation:
        return {key: np.stack([row[key] for row in self._observations]) for key in self._observations[0]}

    def masks(self) -> NDArray[np.int8]:
        stacked = np.stack([row["action_mask"] for row in self._observations]).astype(np.int8)
        return stacked * self._running[:, None].astype(np.int8)

    def running(self) -> NDArray[np.bool_]:
        return self._running.copy()

    def step(self, actions: NDArray[np.int64]) -> None:
        for copy in np.flatnonzero(self._running).tolist():
            action = int(actions[copy])
            mask = self._observations[copy]["action_mask"]
            if not (0 <= action < len(mask) and mask[action]):
                raise ValueError(f"copy {copy}: action {action} is illegal; {int(mask.sum())} actions are legal")
            step = self._envs[copy].step(action)
            self._observations[copy], self._infos[copy] = step[0], step[4]
            self._running[copy] = not (step[2] or step[3])

    def instances(self) -> list[Any]:
        return [info.get("instance", "") for info in self._infos]

    def imagine(self) -> Imagine | None:
        return None

    def objectives(self) -> NDArray[np.float64]:
        return np.array([info.get("objective", np.nan) for info in self._infos], dtype=np.float64)

    def outcome(self, copy: int) -> Outcome:
        info = self._infos[copy]
        env = self._envs[copy].unwrapped
        for key in ("objective", "metrics"):
            if key not in info:
                env_id = self.setting.env_id
                raise UserError(f"environment {env_id!r} ended without info[{key!r}]; run 'makespan check {env_id}'")
        schedule = env.schedule() if hasattr(env, "schedule") else None  # type: ignore[attr-defined]
        name = str(info.get("instance", ""))
        return Outcome(name, float(info["objective"]), info["metrics"], schedule, name)


def look_ahead(engine: BatchEngine) -> Imagine:
    """An engine's `imagine` for whoever chooses: the method would lead back to the engine, which holds the future."""

    def imagine(copies: NDArray[np.int64], keys: NDArray[np.uint64]) -> BatchEngine:
        return engine.imagine(copies, keys)

    return imagine


def open_arena(
    env_id: str,
    num_copies: int,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int = 1,
) -> Arena:
    """Make an arena of an environment with room for `num_copies` worlds.

    Args:
        env_id: a registered id, ours or another's.
        num_copies: n.
        options: keywords of the environment.
        seed: of the agents' own randomness.
        device: where their networks run.
        threads: threads that share a step of a large batch.

    Raises:
        UserError: the id is unknown, an option is wrong, or the environment does not keep the contract.
    """
    options = dict(options or {})
    known = {key: value for key, value in options.items() if key != "instance"}
    if has_engine(env_id):
        vector = gymnasium.make_vec(
            env_id, num_envs=num_copies, record=True, on_illegal="raise", threads=threads, **options
        )
        assert isinstance(vector, SchedulingVectorEnv)
        engine = vector.engine
        setting = Setting(
            env_id,
            engine.spec,
            engine.objective,
            known,
            type(engine),
            engine.stochastic,
            engine.training_instances(),
            seed,
            device,
        )
        return EngineArena(vector, setting)
    envs = [make_single(env_id, options) for _ in range(num_copies)]
    plain = envs[0].unwrapped
    if not hasattr(plain, "observation_spec") or "objective" not in plain.metadata:
        raise UserError(f"environment {env_id!r} does not keep the contract; run 'makespan check {env_id}' to see why")
    observation_spec = plain.observation_spec  # type: ignore[attr-defined]
    setting = Setting(
        env_id,
        observation_spec,
        plain.metadata["objective"],
        known,
        stochastic=observation_spec.stochastic,
        seed=seed,
        device=device,
    )
    return PlainArena(envs, setting)


def has_engine(env_id: str) -> bool:
    """Whether an id's copies can share a batch engine; any other environment is played by one object per copy.

    Raises:
        UserError: the id is unknown, or its class cannot be imported.
    """
    creator = vector_creator(find_env(env_id))
    return isinstance(creator, type) and issubclass(creator, SchedulingVectorEnv)


def play(arena: Arena, agent: Agent, cases: Sequence[Case], keys: NDArray[np.uint64] | None = None) -> list[Episode]:
    """Let an agent play worlds to their end; the number of cases and tries together must fit the arena's copies.

    An agent with `samples` tries each world that often and the best try counts. Its seconds are those of all tries: the
    others are what its decisions cost, as nodes are what a search costs.

    Args:
        arena: with exactly ``len(cases) * agent.samples`` copies.
        keys: of the agent's randomness in each copy; None: those of the cases and the arena's seed.

    Raises:
        ValueError: the sizes do not fit, or the agent chose an illegal action.
    """
    tries = agent.samples
    played = play_to_end(arena, agent, cases, keys=keys)
    episodes = []
    decisions = played.decisions
    share = played.seconds / max(int(decisions.sum()), 1)
    for index, case in enumerate(cases):
        copies = range(index * tries, (index + 1) * tries)
        best = min(copies, key=lambda copy: played.costs[copy])
        seconds = share * int(decisions[copies.start : copies.stop].sum())
        name, objective, metrics, schedule, data = arena.outcome(best)
        episodes.append(Episode(name, case.seed, objective, metrics, int(decisions[best]), seconds, schedule, data))
    return episodes


class Played(NamedTuple):
    """What came of all tries.

    Attributes:
        costs: float64 [n], the objectives, negative where they are to be large.
        decisions: int64 [n].
        seconds: the agent's CPU time for all of them, its threads added up: what others compute meanwhile is not in it.
    """

    costs: NDArray[np.float64]
    decisions: NDArray[np.int64]
    seconds: float


def play_to_end(
    arena: Arena, agent: Agent, cases: Sequence[Case], first_try: int = 0, keys: NDArray[np.uint64] | None = None
) -> Played:
    """Let an agent play worlds to their end; copy k * samples + t is try first_try + t at case k.

    Args:
        arena: with exactly ``len(cases) * agent.samples`` copies.
        first_try: how many tries at each case were played before.
        keys: uint64, one for each copy, in place of those of cases and tries.

    Raises:
        ValueError: the sizes do not fit, or the agent chose an illegal action.
    """
    tries = agent.samples
    if len(cases) * tries != arena.num_copies:
        raise ValueError(f"{len(cases)} cases of {tries} tries do not fit an arena of {arena.num_copies} copies")
    arena.reset([case for case in cases for _ in range(tries)])
    if keys is None:
        numbers = range(first_try, first_try + tries)
        keys = np.array([_key(arena.setting.seed, case, t) for case in cases for t in numbers], dtype=np.uint64)
    decisions = np.zeros(arena.num_copies, dtype=np.int64)
    instances = arena.instances() if agent.reads_instances else []
    if isinstance(agent, Proposer):
        return _adopt_proposals(arena, agent, instances, keys)
    imagine = arena.imagine()
    began = time.process_time()
    agent.begin(np.arange(arena.num_copies, dtype=np.int64), instances, keys, imagine)
    spent = time.process_time() - began
    if arena.engine is not None and (choice := agent.compiled_choice(arena.num_copies)) is not None:
        began = time.process_time()
        play_out(arena.engine, *choice)
        spent += time.process_time() - began
        decisions[:] = choice.decisions
    while (running := arena.running()).any():
        began = time.process_time()
        actions = agent.act(arena.observation(), arena.masks())
        spent += time.process_time() - began
        arena.step(actions)
        decisions += running
    return Played(arena.setting.sign * arena.objectives(), decisions, spent)


def _adopt_proposals(arena: Arena, agent: Proposer, instances: Sequence[Any], keys: NDArray[np.uint64]) -> Played:
    """What an agent proposes for each copy; a proposal counts as one decision."""
    spent = 0.0
    for copy, (instance, key) in enumerate(zip(instances, keys.tolist(), strict=True)):
        began = time.process_time()
        schedule = agent.propose(instance, key)
        spent += time.process_time() - began
        arena.adopt(copy, schedule)
    return Played(arena.setting.sign * arena.objectives(), np.ones(arena.num_copies, dtype=np.int64), spent)


def _key(agent_seed: int, case: Case, number: int) -> np.uint64:
    """Key of the agent's randomness in one try at a world: a function of nothing else."""
    name = "" if case.instance is None else str(getattr(case.instance, "name", case.instance))
    label = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    world = np.uint64(combine(agent_seed, case.seed))
    key = np.uint64(combine(world, np.uint64(label)))
    return np.uint64(combine(key, number))
