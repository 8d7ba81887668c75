"""Evolution strategies: that scorers learn, that a run goes on after anything, what it leaves and what it refuses."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from makespan.agents.arena import Case, open_arena, play, play_to_end
from makespan.agents.catalogue import make_agent
from makespan.agents.checkpoint import CARD, dump_arrays, load_checkpoint, parse_arrays
from makespan.agents.learned import find_checkpoint
from makespan.agents.scorer.choice import FIRST_WEIGHT, HIDDEN, join_row, weight_shapes
from makespan.cli.main import main
from makespan.envs.core.errors import UserError
from makespan.envs.core.spec import Sizes
from makespan.envs.job_shop.observation import SPEC
from makespan.training import evolution
from makespan.training.books import Interrupted
from makespan.training.config import TrainConfig
from makespan.training.evolution import EvolutionRun
from makespan.training.folder import OURS, STATE
from makespan.training.progress import Progress
from makespan.training.run import make_run, train
from numpy.typing import NDArray

Tiny = Callable[..., TrainConfig]
CONSTRUCT = "makespan/JobShop-v0:blocking=none:mode=construct"
SMALL: dict[str, Any] = {"agent": "scorer", "evolve_directions": 3, "evolve_worlds": 2, "steps": 600}


class Hook(Progress):
    """Calls a function after every generation."""

    def __init__(self, config: TrainConfig, action: Callable[[int], None] = lambda _: None) -> None:
        super().__init__(config, quiet=True)
        self._action, self.generations = action, 0

    def trained(self, steps: int, score: float | None) -> None:
        super().trained(steps, score)
        self.generations += 1
        self._action(self.generations)


@contextmanager
def registered(env_id: str, maker: Any) -> Iterator[None]:
    """The id is known for a while."""
    gymnasium.register(id=env_id, entry_point=maker)
    try:
        yield
    finally:
        del gymnasium.registry[env_id]


def doors(env_id: str = "test/Doors-v0") -> Any:
    """The class of an environment that the tests of training know."""
    return gymnasium.registry[env_id].entry_point


def begin(config: TrainConfig, action: Callable[[int], None] = lambda _: None) -> EvolutionRun:
    return EvolutionRun(config, False, Hook(config, action))


def state_of(folder: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arrays and counters of a state; the seconds, which no two runs share, are left out."""
    arrays = parse_arrays((Path(folder) / STATE).read_bytes(), STATE)
    meta = json.loads(arrays.pop("meta").tobytes())
    meta.pop("seconds")
    return arrays, meta


def equal(one: str, other: str, validations: bool = True) -> None:
    (arrays, meta), (expected, expected_meta) = state_of(one), state_of(other)
    assert arrays.keys() == expected.keys() >= {"mean", "first", "second", "average"}
    for name, array in arrays.items():
        assert np.array_equal(array, expected[name]), name
    if not validations:
        for counters in (meta, expected_meta):
            counters["validations"] = counters["validations"][-1]
            counters.pop("best")
    assert meta == expected_meta
    for name in ("best", "last") if validations else ("last",):
        mine, theirs = (load_checkpoint(Path(folder) / name)[0] for folder in (one, other))
        assert all(np.array_equal(mine[key], theirs[key]) for key in theirs), name
    assert {path.name for path in Path(one).iterdir()} == OURS


# --- learning ---------------------------------------------------------------------------------------------------------


def test_it_learns_the_job_shop(tiny: Tiny) -> None:
    config = tiny(
        env=CONSTRUCT, agent="scorer", instances="random:size=4x4", steps=60_000, evolve_directions=8,
        evolve_worlds=8, validation_worlds=64,
    )  # fmt: skip
    folder = train(config, quiet=True)
    run = begin(config)
    (_, first), (decisions, last) = run.counters.validations
    assert decisions == run.decisions >= 60_000
    chance = run.validation.score(make_agent("random", run.validation.setting))
    assert last < 0.8 * first
    assert last < 0.8 * chance
    assert last < 1.05 * run.validation.rule_score
    # On instances of another size, which it has never seen, too.
    arena = open_arena("makespan/JobShop-v0", 20, {**run.env_options, "instance": "random:size=6x5"})
    cases = [Case(None, seed) for seed in range(20)]
    scores = {}
    for name in (str(folder), "random"):
        scores[name] = np.mean([episode.objective for episode in play(arena, make_agent(name, arena.setting), cases)])
    assert scores[str(folder)] < 0.8 * scores["random"]


@pytest.mark.parametrize("env, before, after", [("Doors", 1.0, 0.05), ("BestDoors", 4.0, 4.95)])
def test_it_learns_in_plain_python(tiny: Tiny, env: str, before: float, after: float) -> None:
    """Blind play bumps into 3.3 of 5 doors; where to be large is good, large is what it becomes."""

    class Shown(doors(f"test/{env}-v0")):  # the slots say whether their door is open
        def _observe(self) -> dict[str, NDArray[Any]]:
            observation = super()._observe()
            observation["actions/features"][self.open, 0] = 1.0
            return observation

    with registered("test/Shown-v0", Shown):
        config = tiny(
            env="test/Shown-v0", agent="scorer", steps=1500, seed=5, evolve_directions=4, evolve_worlds=2,
            validation_worlds=12,
        )  # fmt: skip
        train(config, quiet=True)
        (_, first), (_, last) = begin(config).counters.validations
    if env == "Doors":
        assert last <= after < before < first
    else:
        assert last >= after > before > first


class Slope(EvolutionRun):
    """Costs are the distance from a target, on each world in a unit of its own."""

    unit: Any = staticmethod(lambda cost, world: cost)

    def _target(self) -> NDArray[np.float64]:
        return np.sin(np.arange(len(join_row(self.weights(), self.spec)) - FIRST_WEIGHT))

    def distance(self) -> float:
        """Of what a checkpoint would hold."""
        return float(np.abs(join_row(self.weights(), self.spec)[FIRST_WEIGHT:] - self._target()).mean())

    def _costs(self, table: NDArray[np.float32]) -> tuple[NDArray[np.float64], int]:
        costs = np.abs(table[:, FIRST_WEIGHT:].astype(np.float64) - self._target()).sum(axis=1)
        return np.stack([self.unit(costs, world) for world in range(3)], axis=1), 1


def test_it_follows_what_did_better(tiny: Tiny) -> None:
    """And by ranks within each world alone: no world drowns another."""
    means = []
    for number, unit in enumerate((lambda cost, world: cost, lambda cost, world: 10.0 ** (4 * world) * cost - 7)):
        config = tiny(**{**SMALL, "out": f"{tiny().out}{number}", "evolve_directions": 64, "steps": 120})
        run = Slope(config, False, Hook(config))
        run.unit = unit
        before = run.distance()
        run.train()
        assert run.distance() < 0.6 * before
        means.append(state_of(config.out)[0]["mean"])
    assert np.array_equal(means[0], means[1])


def test_a_checkpoint_scores_on_the_scale_on_which_samples_are_best(tiny: Tiny) -> None:
    """Evolution does not care how far scores lie apart; whoever samples at a temperature does."""
    config = tiny(**{**SMALL, "instances": "random:size=6x6", "evolve_directions": 8, "evolve_worlds": 8})
    run = make_run(config, False, Progress(config, quiet=True))
    assert isinstance(run, EvolutionRun)
    trained, _ = load_checkpoint(find_checkpoint("checkpoints/job_shop_scorer"))
    average, scores = join_row(trained, run.spec)[FIRST_WEIGHT:].astype(np.float64), []
    for factor in (1.0, 4.0, 1.0 / 4.0):
        # The last ones make the score.
        run._strategy.average = np.concatenate([average[:-HIDDEN], factor * average[-HIDDEN:]])
        run._scale = run._best_scale()
        scores.append(run.weights()["score"])
    assert (scores[0] == scores[1]).all()
    assert (scores[0] == scores[2]).all()
    assert (scores[0] != 0).any()


def test_where_every_scale_is_as_good_scores_stay_as_they_are(tiny: Tiny) -> None:
    config = tiny(**{**SMALL, "instances": "random:size=2x2"})
    run = make_run(config, False, Progress(config, quiet=True))
    assert isinstance(run, EvolutionRun)
    assert run._best_scale() == 1.0


def test_scorers_of_a_generation_meet_the_same_fresh_worlds(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[list[int]] = []
    tables: list[NDArray[np.float32]] = []
    real = play_to_end

    def spy(arena: Any, agent: Any, cases: Any) -> Any:
        assert all(case.instance is None for case in cases)
        if agent.samples == 1:  # else it looks for the scale of the scores
            met.append([case.seed for case in cases])
            tables.append(agent._table.copy())
        return real(arena, agent, cases)

    monkeypatch.setattr(evolution, "play_to_end", spy)
    config = tiny(**{**SMALL, "steps": 4000, "evolve_sigma": 0.1})
    run = begin(config)
    run.train()
    held_out = {case.seed for case in run.validation._cases}
    assert len(met) > 5
    seen: set[int] = set()
    for seeds in met:
        rows = np.array(seeds).reshape(6, 2)
        assert (rows == rows[:1]).all()
        assert len(set(rows[0])) == 2
        assert not seen & set(seeds), "fresh in each generation"
        assert min(seeds) >= 2**62, "nobody types them"
        seen |= set(seeds)
    assert not seen & held_out
    for number, table in enumerate(tables):
        weights = table[:, FIRST_WEIGHT:].astype(np.float64)
        assert (table[:, :FIRST_WEIGHT] == 0).all(), "without noise"
        along, against = weights[:3], weights[3:]
        middle = (along + against) / 2
        assert np.abs(middle - middle[0]).max() < 1e-6
        share = number / len(tables)  # about: generations are about as long
        assert np.std(along - against) / 2 == pytest.approx(0.1 * 0.25**share, rel=0.1)


# --- going on ---------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """As kill -9: nobody handles it, nothing is saved."""


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"env": "makespan/JobShop-v0:law=bernoulli:p=0.02", "seed": 7},
        {"env": "test/Doors-v0", "evolve_directions": 2, "steps": 240},
    ],
    ids=str,
)
def test_interrupted_and_killed_equals_unbroken(tiny: Tiny, changes: dict[str, Any]) -> None:
    """Ctrl-C after two generations, a kill two later, another at once, then to the end; plain Python, too."""
    given = {**SMALL, "save_every": 0.0, "validate_every": 0.0, **changes}
    whole, broken = (tiny(**{**given, "out": tiny().out + name}) for name in ("whole", "broken"))
    train(whole, quiet=True)
    assert state_of(whole.out)[1]["generation"] > 4

    def interrupt(generation: int) -> None:
        if generation == 2:
            os.kill(os.getpid(), signal.SIGINT)

    def kill(generation: int) -> None:
        if generation == 2:
            raise Killed

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match="is saved; the same command goes on from there"):
        begin(broken, interrupt).train()
    assert signal.getsignal(signal.SIGINT) is before
    assert state_of(broken.out)[1]["generation"] == 2
    assert not state_of(broken.out)[1]["finished"]
    assert (
        load_checkpoint(Path(broken.out) / "last")[1]["training"]["decisions"] == state_of(broken.out)[1]["decisions"]
    )
    for reached in (3, 4):
        with pytest.raises(Killed):
            begin(broken, kill).train()
        assert state_of(broken.out)[1]["generation"] == reached, "a kill loses what came since the last save"
    train(broken, quiet=True)
    equal(broken.out, whole.out)


def test_killed_before_the_first_save(tiny: Tiny) -> None:
    whole, broken = (tiny(**{**SMALL, "out": tiny().out + name}) for name in ("whole", "broken"))
    train(whole, quiet=True)

    def kill(generation: int) -> None:
        if generation == 3:
            raise Killed

    with pytest.raises(Killed):
        begin(broken, kill).train()
    assert not (Path(broken.out) / STATE).exists()
    train(broken, quiet=True)
    equal(broken.out, whole.out)


def test_seeds_and_what_else_changes_a_run(tiny: Tiny) -> None:
    first, same, other = (
        tiny(**{**SMALL, "out": tiny().out + name, "seed": seed}) for name, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    for config in (first, same, other):
        train(config, quiet=True)
    equal(first.out, same.out)
    assert not np.array_equal(state_of(first.out)[0]["mean"], state_of(other.out)[0]["mean"])


def test_minutes_end_a_run(tiny: Tiny) -> None:
    config = tiny(**{**SMALL, "steps": 10**9, "minutes": 1.5 / 60})
    folder = train(config, quiet=True)
    meta = json.loads(parse_arrays((folder / STATE).read_bytes(), STATE)["meta"].tobytes())
    assert meta["finished"]
    assert meta["generation"] > 0
    assert 0.5 < meta["seconds"] < 2.5
    nothing = train(tiny(**{**SMALL, "out": tiny().out + "0", "minutes": 0.0}), quiet=True)
    assert state_of(nothing)[1]["generation"] == 0
    assert load_checkpoint(nothing / "best")[1]["training"]["decisions"] == 0


# --- what it leaves ---------------------------------------------------------------------------------------------------


def test_the_checkpoint_is_what_was_validated(tiny: Tiny) -> None:
    config = tiny(**{**SMALL, "env": "makespan/JobShop-v0:law=bernoulli:p=0.01", "validate_every": 0.0})
    folder = train(config, quiet=True)
    run = begin(config)
    weights, card = load_checkpoint(folder / "last")
    assert {name: array.shape for name, array in weights.items()} == weight_shapes(SPEC)
    assert all(np.array_equal(run.weights()[name], array) for name, array in weights.items())
    assert card["agent"] == "scorer"
    assert card["network"] == {"kind": "scorer", "hidden": HIDDEN}
    assert "foresight" not in card
    assert card["env"] == "makespan/JobShop-v0"
    assert card["env_options"] == {"law": "bernoulli", "p": 0.01, "instance": "random:size=3x3"}
    assert card["spec_hash"] == SPEC.hash
    training = card["training"]
    assert training["config"] == {**config.to_dict(), "out": ""}
    assert training["device"] == "cpu"
    assert training["decisions"] == run.decisions
    assert {"makespan", "numpy", "numba", "python"} <= card["versions"].keys()
    validations = run.counters.validations
    assert training["validation"]["mean_objective"] == validations[-1][1]
    assert training["validation"]["best_rule"] == run.validation.rule
    scores = [score for _, score in validations]
    assert len(scores) == run._strategy.generation + 1
    best = load_checkpoint(folder / "best")[1]["training"]
    assert best["validation"]["mean_objective"] == run.counters.best == min(scores)
    assert best["decisions"] == validations[scores.index(min(scores))][0]
    arena = open_arena("makespan/JobShop-v0", 4, card["env_options"])
    episodes = play(arena, make_agent(str(folder), arena.setting), run.validation._cases)
    assert np.mean([episode.objective for episode in episodes]) == min(scores)


def test_a_finished_run_is_left_alone(tiny: Tiny) -> None:
    config = tiny(**SMALL)
    folder = train(config, quiet=True)
    stamps = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert train(config, quiet=True) == folder
    assert stamps == {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_tensorboard_files(tiny: Tiny) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = tiny(**{**SMALL, "validate_every": 0.0})
    folder = train(config, quiet=True)
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    names = {"validation/objective", "validation/best_rule_objective", "evolution/objective"}
    assert names <= set(events.Tags()["scalars"])
    steps = [event.step for event in events.Scalars("validation/objective")]
    assert steps == [decisions for decisions, _ in begin(config).counters.validations]


def test_by_command(tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop, out = "makespan/JobShop-v0", str(tmp_path / "scorer")
    command = ["train", shop, "--agent", "scorer", "--instances", "random:size=3x3", "--steps", "2000"]
    assert main([*command, "--evolve-directions", "2", "--evolve-worlds", "3", "--out", out, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["best"]["checkpoint"] == f"{out}/best"
    assert told["last"]["decisions"] >= 2000
    agents = f"{out},{out}:samples=4,rollout:of=spt+{out}"
    assert main(["evaluate", shop, "--agents", agents, "--instances", "random:size=3x3:count=2:seed=1"]) == 0
    assert "rollout:of=spt+" in capsys.readouterr().out.replace("\n", "")


# --- what it refuses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evolve_directions": 0}, "option evolve_directions is 0, expected an integer from 1"),
        ({"evolve_directions": 1.0}, "option evolve_directions is 1.0, expected an integer"),
        ({"evolve_directions": True}, "option evolve_directions is True"),
        ({"evolve_worlds": 0}, "option evolve_worlds is 0, expected an integer from 1"),
        ({"evolve_sigma": 0.0}, "option evolve_sigma is 0.0, expected a number from"),
        ({"evolve_sigma": float("nan")}, "option evolve_sigma is nan"),
        ({"evolve_rate": -0.1}, "option evolve_rate is -0.1, expected a number from 0"),
        ({"evolve_rate": "fast"}, "option evolve_rate is 'fast'"),
        ({"foresight": "lrm"}, "option foresight is 'lrm', expected nothing for agent 'scorer'"),
        ({"imitate": "lrm"}, "option imitate is 'lrm', expected nothing by evolution"),
    ],
)
def test_wrong_values(tiny: Tiny, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        tiny(**{**SMALL, **changes})
    assert "\n" not in str(caught.value)


def test_a_state_that_is_damaged(tiny: Tiny) -> None:
    config = tiny(**SMALL)
    train(config, quiet=True)
    path = Path(config.out) / STATE
    whole = path.read_bytes()
    arrays = parse_arrays(whole, STATE)

    def with_meta(**changes: Any) -> bytes:
        meta = {**json.loads(arrays["meta"].tobytes()), **changes}
        meta = {key: value for key, value in meta.items() if value is not ...}
        return dump_arrays({**arrays, "meta": np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)})

    for content, message in (
        (whole[:-3], "may be truncated"),
        (b"", "may be truncated"),
        (
            dump_arrays({name: array for name, array in arrays.items() if name != "first"}),
            "not the state of such a run",
        ),
        (dump_arrays({name: array for name, array in arrays.items() if name != "meta"}), "not the state of such a run"),
        (dump_arrays({**arrays, "mean": arrays["mean"][:-1]}), "not the state of such a run"),
        (dump_arrays({**arrays, "mean": arrays["mean"].astype(np.float32)}), "not the state of such a run"),
        (dump_arrays({**arrays, "second": np.full_like(arrays["mean"], np.nan)}), "not the state of such a run"),
        (dump_arrays({**arrays, "meta": np.frombuffer(b"[]", dtype=np.uint8)}), "not the state of such a run"),
        (dump_arrays({**arrays, "meta": np.frombuffer(b"{", dtype=np.uint8)}), "not the state of such a run"),
        (with_meta(generation=...), "not the state of such a run"),
        (with_meta(generation="many"), "not the state of such a run"),
        (with_meta(generation=-2), "not the state of such a run"),
        (with_meta(decisions=-2), "not the state of such a run"),
        (with_meta(surprise=1), "its counters are"),
    ):
        path.write_bytes(content)
        with pytest.raises(UserError, match=message) as caught:
            begin(config)
        assert "\n" not in str(caught.value)
    path.write_bytes(whole)
    begin(config)


def test_a_folder_of_another_trainer(tiny: Tiny) -> None:
    """A policy's run is none of a scorer's, and the other way round."""
    policy, scorer = tiny(steps=32), tiny(**SMALL)
    train(policy, quiet=True)
    with pytest.raises(UserError, match="holds another run: its agent is 'graph-ppo', not 'scorer'"):
        train(scorer, quiet=True)
    train(scorer, overwrite=True, quiet=True)
    assert json.loads((Path(scorer.out) / "last" / CARD).read_text())["agent"] == "scorer"
    with pytest.raises(UserError, match="its agent is 'scorer', not 'graph-ppo'"):
        make_run(policy, False, Hook(policy))


@pytest.mark.parametrize("when", ["in validation", "in training"])
def test_an_objective_that_is_no_number(tiny: Tiny, when: str) -> None:
    """Named as such: it is not the training that diverged, and no option of the trainer would help."""
    held_out = {case.seed for case in begin(tiny(**{**SMALL, "env": "test/Doors-v0"})).validation._cases}

    class Broken(doors()):
        def score(self) -> float:
            return float("nan") if (self.world in held_out) == (when == "in validation") else super().score()

    with registered("test/Broken-v0", Broken):
        config = tiny(**{**SMALL, "env": "test/Broken-v0", "out": tiny().out + "broken"})
        with pytest.raises(UserError, match="'test/Broken-v0' ended with objective nan, expected a finite") as caught:
            train(config, quiet=True)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_nothing_to_look_at(tiny: Tiny) -> None:
    """A spec without action features or globals is allowed; there is then nothing to learn, but nothing breaks."""

    class Blank(doors()):
        observation_spec = replace(doors().observation_spec, globals=(), action_features=())

        def __init__(self) -> None:
            super().__init__()
            sizes = Sizes({"door": 4}, {"beside": 4}, 4)
            self._space = self.observation_space = self.observation_spec.space(sizes)

    with registered("test/Blank-v0", Blank):
        config = tiny(**{**SMALL, "env": "test/Blank-v0"})
        train(config, quiet=True)
        assert np.isfinite(state_of(config.out)[0]["mean"]).all()
