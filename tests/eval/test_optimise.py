"""`makespan.solve`: valid schedules, never worse from an earlier result, for every kind of agent and environment."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import makespan
import numpy as np
import pytest
from makespan.agents import plugins
from makespan.agents.agent import Agent, Setting
from makespan.agents.arena import Case, open_arena, play_to_end
from makespan.agents.catalogue import make_agent
from makespan.envs.core.errors import FieldError, UnknownNameError, UserError
from makespan.envs.core.spec import Feature, NodeType, ObservationSpec, Sizes
from makespan.envs.job_shop.generator import named_instance
from makespan.envs.job_shop.instance import JobShopInstance
from makespan.envs.job_shop.schedule import validate
from makespan.envs.memory_mapping.catalogue import named
from makespan.envs.memory_mapping.env import MemoryMappingEnv
from makespan.envs.memory_mapping.run_time import run_times
from makespan.envs.memory_mapping.validity import validate as validate_plan
from makespan.envs.soc.validity import validate as validate_chip
from makespan.eval import optimise as module
from makespan.eval.optimise import make_task, optimise

MEMORY_MAPPING = "makespan/MemoryMapping-v0"
PLAIN = "test-optimise/ThreeJobs-v0"


def test_loads_neither_compiled_code_nor_torch_before_it_is_called() -> None:
    code = "import makespan, sys; print(sorted({'numba', 'torch', 'makespan.eval'} & set(sys.modules)), makespan.solve)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[] <function solve")
    with pytest.raises(AttributeError, match="has no attribute 'resolve'"):
        _ = makespan.resolve  # type: ignore[attr-defined]


def test_the_portfolio_proves_what_is_small() -> None:
    solution = makespan.solve("ft06", seconds=30, blocking="none")
    assert (solution.objective, solution.bound, solution.optimal, solution.gap) == (55, 55, True, 0.0)
    assert validate(solution.schedule) == []
    assert solution.schedule.makespan == 55
    assert not solution.interrupted
    objectives = [improvement.objective for improvement in solution.history]
    assert objectives == sorted(set(objectives), reverse=True)
    assert objectives[-1] == 55
    seconds = [improvement.seconds for improvement in solution.history]
    assert seconds == sorted(seconds)


@pytest.mark.parametrize("agent", ["random", "checkpoints/job_shop_scorer:temperature=0.3", "random:samples=16"])
def test_whoever_samples_tries_again_until_the_time_is_spent(agent: str) -> None:
    told: list[Any] = []
    solution = makespan.solve("la01", agent, seconds=1.0, progress=told.append)
    assert solution.tries > 100
    assert 0.9 < solution.seconds < 3.0
    assert told[-1].objective == solution.objective
    assert [s.objective for s in told] == [improvement.objective for improvement in solution.history]


def test_the_tries_are_those_of_evaluate() -> None:
    """The first tries by their number, whatever the size of the rounds: 64 samples cannot be better."""
    arena = open_arena("makespan/JobShop-v0", 64, {"instance": [named_instance("la01")]})
    agent = make_agent("random:samples=64", arena.setting)
    best = play_to_end(arena, agent, [Case(named_instance("la01"), 0)]).costs.min()
    solution = makespan.solve("la01", "random", seconds=1.0)
    assert solution.tries >= 64
    assert solution.objective <= best
    exact = makespan.solve("la01", "random:samples=64", seconds=1e-9)
    assert (exact.objective, exact.tries) == (best, 64)


def test_whoever_plays_the_same_each_time_plays_once() -> None:
    solution = makespan.solve("la01", "mwkr", seconds=60)
    assert solution.tries == 1
    assert solution.seconds < 10
    assert makespan.solve("la01", "best-rule:hindsight=1", seconds=60).tries == 17


def test_a_solver_gets_the_time_and_says_what_it_proves() -> None:
    solution = makespan.solve("la05", "cp-sat", seconds=30, blocking="none")
    assert (solution.objective, solution.optimal) == (593, True)
    bare = JobShopInstance.from_dict({**named_instance("ft06").to_dict(), "name": "mine"})
    solution = makespan.solve(bare, "cp-sat", seconds=60, blocking="none")
    assert (solution.objective, solution.bound, solution.bound_source) == (55, 55, "cp-sat")


def test_goes_on_from_what_was_found() -> None:
    task = make_task("la01", "random", 0.3, None, "makespan/JobShop-v0", 0, {})
    solution = optimise(task, lambda solution: None)
    for _ in range(3):
        further = optimise(task, lambda solution: None, solution)
        assert further.objective <= solution.objective
        assert further.tries > solution.tries
        assert further.seconds > solution.seconds
        assert further.history[: len(solution.history)] == solution.history
        solution = further


def test_ctrl_c_returns_the_best_so_far() -> None:
    def stop(solution: Any) -> None:
        if len(solution.history) == 3:
            raise KeyboardInterrupt

    solution = makespan.solve("la01", "random", seconds=60, progress=stop)
    assert solution.interrupted
    assert len(solution.history) == 3
    assert validate(solution.schedule) == []


def test_files_and_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shop.csv").write_text("job,machine,time\na,m,3\na,n,2\nb,n,2\nb,m,4\n")
    named_instance("ft06").save("shop.json")
    for given in ("shop.csv", "./shop.csv", Path("shop.csv"), tmp_path / "shop.csv"):
        assert makespan.solve(given, "spt", seconds=1).instance == "shop"
    assert makespan.solve("shop.json", "spt", seconds=1).instance == "ft06"
    assert makespan.solve("random:size=3x3:seed=4", "spt", seconds=1).instance == "random-3x3-s4"


@pytest.mark.parametrize(
    "arguments, error, problem",
    [
        ({"seconds": 0}, FieldError, "option seconds is 0, expected seconds, above 0"),
        ({"seconds": float("nan")}, FieldError, "option seconds is nan"),
        ({"seconds": True}, FieldError, "option seconds is True"),
        ({"agent": "mwrk"}, UnknownNameError, "did you mean 'mwkr'"),
        ({"agent": "cp-sat:time=3"}, UserError, "leave option time out"),
        ({"instance": "ft07"}, UnknownNameError, "unknown instance 'ft07'"),
        ({"instance": "la01-la03"}, UserError, "names 3 instances, expected one"),
        ({"instance": "random:size=3x3"}, UserError, "names no fixed instance"),
        ({"seed": -1}, FieldError, "option seed is -1"),
        ({"law": "bernoulli"}, UserError, "nobody can foresee"),
        ({"blocking": "some"}, FieldError, "option blocking is 'some'"),
        ({"env": "makespan/JobShop-v0:blocking=none", "blocking": "swap"}, UserError, "is given twice"),
        ({"start": {"time": 0}}, FieldError, "an object with the key 'jobs'"),
        ({"start": "missing.json"}, UserError, "no such file"),
        ({"agent": "mwkr", "instance": "la01", "blocking": "no-swap"}, UserError, "found no valid schedule of 'la01'"),
    ],
)
def test_mistakes_are_one_line(arguments: dict[str, Any], error: type[Exception], problem: str) -> None:
    with pytest.raises(error, match=problem) as caught:
        makespan.solve(**{"instance": "ft06", "seconds": 1, **arguments})
    assert "\n" not in str(caught.value)


def test_more_tries_than_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "free_memory", lambda: 10 * 2**20)
    monkeypatch.setattr("makespan.eval.memory.free_memory", lambda: 10 * 2**20)
    with pytest.raises(UserError, match=r"10000 tries at once take .* GiB, more than the 0.0 GiB that are free"):
        makespan.solve("ft06", "random:samples=10000", seconds=1)
    assert makespan.solve("ft06", "random:samples=4", seconds=0.1).tries >= 4


def test_a_start_that_leads_nowhere() -> None:
    """Two jobs that each wait for the other's machine, and may not swap."""
    bare = JobShopInstance.from_routes("dead", [[3, 2], [2, 4]], [[0, 1], [1, 0]])
    start = {"time": 5, "jobs": [{"job": 0, "finished": 1}, {"job": 1, "finished": 1}]}
    with pytest.raises(UserError, match=r"found no valid schedule of 'dead'.*from which every job can be finished"):
        makespan.solve(bare, seconds=1, start=start, blocking="no-swap")
    assert makespan.solve(bare, seconds=1, start=start, blocking="swap").objective == 9


def test_planned_maintenance_is_planned_for() -> None:
    windows = (((100, 150), (300, 320)), (), (), (), ())
    instance = replace(named_instance("la05"), name="maintained", windows=windows)
    solution = makespan.solve(instance, "cp-sat", seconds=5, blocking="none")
    assert solution.schedule.downtime[0] == windows[0]
    assert makespan.solve(instance, "mwkr", seconds=5, blocking="none", law="none").schedule.downtime[0] == ()
    with pytest.raises(UserError, match="knows of no down-times"):
        makespan.solve(instance, "job-insertion", seconds=1)


def test_what_the_validator_refuses_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    from makespan.envs.job_shop.env import JobShopEnv

    monkeypatch.setattr(JobShopEnv, "validate", lambda self, schedule: ["machine 0 is on fire"])
    with pytest.raises(UserError, match="machine 0 is on fire"):
        makespan.solve("ft06", "mwkr", seconds=1)


@pytest.mark.parametrize("agent", ["order-search", "game-search"])
def test_searches_that_make_plans_go_by_what_the_environment_says_of_them(agent: str) -> None:
    program, options = named("alexnet_b8_64m")[0], {"env": MEMORY_MAPPING, "seconds": 1.0}
    judged = makespan.solve(program, agent, **options)
    assert validate_plan(judged.schedule) == []
    assert judged.objective == run_times(judged.schedule).judged_ps < program.all_hbm_ps
    assert [improvement.agent for improvement in judged.history] == [agent] * len(judged.history)
    proxy = makespan.solve(program, agent, **options, objective="proxy")
    assert proxy.objective == run_times(proxy.schedule).proxy_ps
    assert judged.bound is not None
    assert judged.objective >= judged.bound


def test_memory_mapping_has_a_portfolio_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []
    turn = module._Search._turn  # pyright: ignore[reportPrivateUsage]

    def noted(self: Any, stage: Any) -> None:
        turns.append(stage.agent)
        turn(self, stage)

    monkeypatch.setattr(MemoryMappingEnv, "bound", lambda self, instance: None)
    monkeypatch.setattr(module._Search, "_turn", noted)  # pyright: ignore[reportPrivateUsage]
    solution = makespan.solve("alexnet_b8_64m", env=MEMORY_MAPPING, seconds=3)
    assert turns[:2] == ["best-rule:hindsight=1", "tuned-xla"]
    assert turns[-2:] == ["order-search", "game-search"]
    assert validate_plan(solution.schedule) == []
    for agent in ("keep-first", "tuned-xla"):
        assert solution.objective <= makespan.solve("alexnet_b8_64m", agent, env=MEMORY_MAPPING).objective


def test_plans_of_dags_are_proved_where_they_are_small_and_searched_where_not() -> None:
    small = makespan.solve("topcuoglu", env="makespan/StaticDag-v0", seconds=20)
    assert (small.objective, small.optimal) == (73, True)
    large = makespan.solve("random:tasks=40:pes=4:count=1:seed=3", env="makespan/StaticDag-v0", seconds=6)
    assert validate_chip(large.schedule) == []
    assert large.schedule.makespan == large.objective
    assert large.bound is not None
    assert large.objective >= large.bound


class ThreeJobs(gymnasium.Env):  # type: ignore[type-arg]
    """Three jobs on one machine, to be done in the order that makes the value largest; nothing but what must be."""

    metadata = {"render_modes": [], "objective": {"name": "value", "unit": "1", "sense": "max"}}
    observation_spec = ObservationSpec(
        (NodeType("job", (Feature("value"),)),), (), (Feature("time"),), ("job",), (Feature("value"),)
    )

    def __init__(self) -> None:
        self.observation_space = self.observation_spec.space(Sizes({"job": 3}, {}, 3))
        self.action_space = gymnasium.spaces.Discrete(3)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.order: list[int] = []
        self.seed = seed
        observation = self.observe()
        return observation, {"action_mask": observation["action_mask"]}

    def action_masks(self) -> Any:
        return np.array([job not in self.order for job in range(3)])

    def observe(self) -> dict[str, Any]:
        return {
            "nodes/job": np.zeros((3, 1), dtype=np.float32),
            "node_mask/job": np.ones(3, dtype=np.int8),
            "globals": np.zeros(1, dtype=np.float32),
            "actions/nodes": np.arange(3, dtype=np.int32)[:, None],
            "actions/features": np.zeros((3, 1), dtype=np.float32),
            "action_mask": self.action_masks().astype(np.int8),
        }

    def step(self, action: int) -> Any:
        self.order.append(int(action))
        observation = self.observe()
        info: dict[str, Any] = {"action_mask": observation["action_mask"], "elapsed": 1.0}
        ended = len(self.order) == 3
        if ended:
            value = 100 * self.order[0] + 10 * self.order[1] + self.order[2]
            info |= {"objective": value, "metrics": {}, "seed": self.seed, "instance": "three"}
        return observation, 0.0, ended, False, info


def test_an_environment_with_the_least_that_it_must_offer() -> None:
    gymnasium.register(id=PLAIN, entry_point=ThreeJobs)  # type: ignore[arg-type]
    try:
        solution = makespan.solve(env=PLAIN, seconds=0.5)
        assert (solution.objective, solution.bound, solution.optimal) == (210, None, False)
        assert (solution.schedule, solution.instance) == (None, "three")
        assert solution.history[-1].agent == "random"
        with pytest.raises(UserError, match="cannot begin from anywhere"):
            makespan.solve(env=PLAIN, seconds=0.5, start={"time": 3})
    finally:
        del gymnasium.registry[PLAIN]


class Improver(Agent):
    """Says that it improves schedules."""

    improves = True

    def __init__(self, setting: Setting) -> None:
        self.env_id = setting.env_id

    def act(self, observation: Any, mask: Any) -> Any:
        return mask.argmax(axis=1)


def test_who_improves_schedules_needs_an_environment_that_looks_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "_agents", {})
    monkeypatch.setitem(sys.modules, "acme_improver", sys.modules[__name__])
    plugins.register_agents(PLAIN, {"improver": "acme_improver:Improver"})
    gymnasium.register(id=PLAIN, entry_point=ThreeJobs)  # type: ignore[arg-type]
    try:
        with pytest.raises(UserError, match=r"^agent 'improver' improves schedules by looking ahead, but .* plain"):
            makespan.solve(env=PLAIN, agent="improver", seconds=0.5)
    finally:
        del gymnasium.registry[PLAIN]
