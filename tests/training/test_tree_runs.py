"""Trees: that they learn what they imitate and which of two rules is better, and that a run goes on after anything."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makespan.agents.arena import Case, open_arena
from makespan.agents.catalogue import make_agent
from makespan.agents.checkpoint import load_checkpoint, parse_arrays
from makespan.agents.tree.arrays import LEAF
from makespan.cli.main import main
from makespan.envs.core.errors import MissingExtraError, UserError
from makespan.training.config import TrainConfig
from makespan.training.folder import OURS, STATE
from makespan.training.progress import Progress
from makespan.training.run import make_run, train
from makespan.training.tree import DasRun, ImitationRun, Labels, Sample, fit_tree

Tiny = Callable[..., TrainConfig]
SMALL: dict[str, Any] = {"agent": "tree", "imitate": "fdd-mwkr", "label_worlds": 8, "steps": 300}
SOC = "makespan/SocDag-v0:scale=60:horizon=600:warmup=0"


class Killed(BaseException):
    """As kill -9: nobody handles it, nothing is saved."""


class Hook(Progress):
    """Calls a function after every round."""

    def __init__(self, config: TrainConfig, action: Callable[[int], None] = lambda _: None) -> None:
        super().__init__(config, quiet=True)
        self._action, self.rounds = action, 0

    def trained(self, steps: int, score: float | None) -> None:
        super().trained(steps, score)
        self.rounds += 1
        self._action(self.rounds)


def quiet_run(config: TrainConfig) -> Any:
    return make_run(config, False, Progress(config, quiet=True))


def agreement(env: str, options: dict[str, Any], tree: str, teacher: str, worlds: int) -> float:
    """Share of the decisions on which a tree does what its teacher would, where the tree plays worlds of its own."""
    arena = open_arena(env, worlds, options)
    pupil, model = make_agent(tree, arena.setting), make_agent(teacher, arena.setting)
    arena.reset([Case(None, seed) for seed in range(worlds)])
    same = asked = 0
    while arena.running().any():
        observation, mask = arena.observation(), arena.masks()
        chosen = pupil.act(observation, mask)
        choice = mask.sum(axis=1) > 1
        same += int((chosen == model.act(observation, mask))[choice].sum())
        asked += int(choice.sum())
        arena.step(chosen)
    return same / asked


# --- what is learned --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env", "instances", "teacher"),
    [
        ("makespan/JobShop-v0", "random:size=4x4+6x4", "fdd-mwkr"),
        ("makespan/JobShop-v0", "random:size=4x4+6x4", "nextfree"),
        pytest.param(SOC, "mix-train", "heft-rt-blind", marks=pytest.mark.slow),
    ],
)
def test_a_tree_reproduces_a_rule_in_worlds_that_it_has_not_seen(
    tiny: Tiny, env: str, instances: str, teacher: str
) -> None:
    config = tiny(env=env, instances=instances, agent="tree", imitate=teacher, label_worlds=64, steps=6_000)
    train(config, quiet=True)
    run = quiet_run(config)
    name, *options = env.split(":")
    given = {"instance": instances.replace("train", "test"), **dict(option.split("=") for option in options)}
    given = {key: int(value) if value.isdigit() else value for key, value in given.items()}
    assert agreement(name, given, f"{config.out}/last", teacher, 16) > 0.93
    tree = make_agent(f"{config.out}/last", run.validation.setting).tree  # type: ignore[attr-defined]
    assert 4 < tree.leaves <= 512
    assert tree.depth <= 12


def test_a_planner_teaches_more_than_its_choice(tiny: Tiny) -> None:
    """A rollout is better than any rule; its tree, which looks at nothing beyond the slots, better than chance."""
    teacher = "rollout:of=spt+mwkr"
    config = tiny(
        instances="random:size=4x4", agent="tree", imitate=teacher, label_worlds=24, steps=4_000, tree_depth=8
    )
    train(config, quiet=True)
    run = quiet_run(config)
    chance = run.validation.score(make_agent("random", run.validation.setting))
    assert run.counters.best < 0.97 * chance
    targets = run._sample.labels.targets
    assert ((targets > 0.01) & (targets < 0.99)).any(), "actions about as good as each other share the target"


def test_a_tree_that_follows_a_solver(tiny: Tiny) -> None:
    """Its plan makes sense only if all of it is played, so that it plays alone."""
    pytest.importorskip("ortools")
    config = tiny(**{**SMALL, "imitate": "beam:width=8"}, tree_share=0.5)
    train(config, quiet=True)
    run = quiet_run(config)
    assert run._share == 1.0
    assert run._sample.labels.counts.min() > 1


def test_options_bound_the_tree(tiny: Tiny) -> None:
    config = tiny(**SMALL, tree_depth=3, tree_leaves=5)
    train(config, quiet=True)
    run = quiet_run(config)
    assert (run.tree.depth, run.tree.leaves) <= (3, 5)
    assert 2 <= run.tree.leaves <= 5
    assert load_checkpoint(f"{config.out}/last")[1]["network"] == {"kind": "tree", "depth": 3, "leaves": 5}


def test_only_a_share_is_labelled(tiny: Tiny) -> None:
    """With as many labels in the first round, which the teacher plays alone, as in later ones, about."""
    config = tiny(**{**SMALL, "label_worlds": 40, "steps": 10**6}, tree_share=0.2)
    counts: list[int] = []

    def stop(rounds: int) -> None:
        counts.append(len(run._sample.labels.counts))
        if rounds == 3:
            raise Killed

    run = ImitationRun(config, False, Hook(config, stop))
    with pytest.raises(Killed):
        run.train()
    made = np.diff([0, *counts])
    assert (made > 0).all()
    assert made.max() < 2 * made.min()


def test_a_plain_environment_is_learned_as_far_as_its_slots_show(tiny: Tiny) -> None:
    config = tiny(env="test/BestDoors-v0", agent="tree", imitate="random", steps=200, label_worlds=8)
    train(config, quiet=True)
    assert quiet_run(config).tree.leaves >= 1


# --- das --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fast", "slow", "better"), [("olb", "min-min", "slow"), ("min-min", "olb", "fast")])
def test_das_takes_the_better_rule(tiny: Tiny, fast: str, slow: str, better: str) -> None:
    """Where the chip is loaded `min-min` is far better than `olb`, whichever of the two is called fast."""
    config = tiny(
        env=SOC, instances="mix-train", agent="das", das_fast=fast, das_slow=slow, label_worlds=8, steps=4_000,
        validation_worlds=8,
    )  # fmt: skip
    train(config, quiet=True)
    run = quiet_run(config)
    setting = run.validation.setting
    scores = {name: run.validation.score(make_agent(name, setting)) for name in ("olb", "min-min")}
    das = run.validation.score(make_agent(f"{config.out}/best", setting))
    assert scores["min-min"] < 0.9 * scores["olb"]
    assert das < scores["min-min"] + 0.1 * (scores["olb"] - scores["min-min"])
    signs = np.sign(run._sample.labels.targets) * (1 if better == "slow" else -1)
    assert np.average(signs > 0, weights=run._sample.labels.weights) > 0.9


def test_das_learns_where_each_rule_is_better(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a world made up for it the slow rule gains while much time is left, and loses more afterwards."""
    config = tiny(env=SOC, instances="mix-train", agent="das", label_worlds=4, steps=1_500, tree_depth=1)
    run = DasRun(config, False, Hook(config))
    column = [feature.name for feature in run.spec.globals].index("time_left")
    left: list[np.ndarray] = []

    def costs(imagine: Any, copies: Any, keys: Any, rule: Any) -> np.ndarray:
        left.append(run._arena.observation()["globals"][copies, column].astype(np.float64))
        gain = np.where(left[-1] > 0.5, 1.0, -3.0)
        return gain if rule.name == "met" else np.zeros(len(copies))

    monkeypatch.setattr(run, "_costs", costs)
    run.train()
    seen = np.concatenate(left)
    assert (seen > 0.5).any()
    assert (seen < 0.5).any()
    tree = run.tree
    assert tree.leaves == 2
    assert tree.feature[0] == column
    below, above = seen[seen <= 0.5].max(), seen[seen > 0.5].min()
    assert below <= tree.threshold[0] <= above
    assert tree.value[tree.left[0]] < 0 < tree.value[tree.right[0]]


def test_das_has_a_small_tree_and_names_its_rules(tiny: Tiny) -> None:
    config = tiny(agent="das", das_fast="spt", das_slow="mwkr", label_worlds=4, steps=300)
    train(config, quiet=True)
    network = load_checkpoint(f"{config.out}/last")[1]["network"]
    assert network == {"kind": "das", "fast": "spt", "slow": "mwkr", "depth": 4, "leaves": 16}


# --- pieces -----------------------------------------------------------------------------------------------------------


def test_thresholds_are_those_of_the_fit_for_every_float32() -> None:
    """The fit compares with numbers between two inputs, of which float32 knows none where they are neighbours."""
    rng = np.random.default_rng(0)
    values = (np.float32(2.0).view(np.int32) + np.arange(64, dtype=np.int32)).view(np.float32)
    inputs, targets = np.repeat(values, 4)[:, None], np.repeat(rng.integers(0, 2, 64), 4).astype(np.float32)
    tree = fit_tree(inputs, targets, np.ones(256, np.float32), 32, 64, 1, 0)
    node = np.zeros(256, dtype=int)
    for _ in range(tree.depth):
        goes = np.where(inputs[:, 0] <= tree.threshold[node], tree.left[node], tree.right[node])
        node = np.where(tree.feature[node] == LEAF, node, goes)
    assert tree.leaves > 20
    assert np.array_equal(tree.value[node], targets)


def some_labels(count: int, rng: np.random.Generator) -> Labels:
    counts = rng.integers(1, 5, count)
    rows = int(counts.sum())
    numbers = rng.random(count).astype(np.float32)
    return Labels(
        np.repeat(numbers, counts)[:, None], numbers[:, None], counts, np.arange(rows, dtype=np.float32),
        np.ones(rows, np.float32), rng.random(count),
    )  # fmt: skip


def test_a_sample_keeps_the_same_decisions_whatever_came_first() -> None:
    rng = np.random.default_rng(0)
    parts = [some_labels(60, rng) for _ in range(20)]
    kept = []
    for order in (range(20), reversed(range(20))):
        sample = Sample(1, 1, 300)
        for number in order:
            sample.add(parts[number])
        sample.settle()
        labels = sample.labels
        assert 295 < labels.counts.sum() == len(labels.rows) <= 300
        assert np.array_equal(np.repeat(labels.shared[:, 0], labels.counts), labels.rows[:, 0])
        kept.append(sorted(labels.ranks))
    assert kept[0] == kept[1]
    least = np.sort(np.concatenate([part.ranks for part in parts]))[: len(kept[0])]
    assert kept[0] == least.tolist()


# --- runs -------------------------------------------------------------------------------------------------------------

RUNS: dict[str, dict[str, Any]] = {
    "tree": {**SMALL, "env": "makespan/JobShop-v0:law=bernoulli:p=0.01"},
    "planner": {**SMALL, "imitate": "rollout:of=spt:worlds=2", "tree_share": 0.3, "label_worlds": 4},
    "das": {"agent": "das", "das_fast": "spt", "das_slow": "mwkr", "label_worlds": 4, "steps": 300},
}


def state_of(folder: str) -> tuple[dict[str, Any], dict[str, Any]]:
    arrays = parse_arrays((Path(folder) / STATE).read_bytes(), STATE)
    meta = json.loads(arrays.pop("meta").tobytes())
    meta.pop("seconds")
    return arrays, meta


@pytest.mark.parametrize("name", RUNS)
def test_a_killed_run_ends_as_an_unbroken_one(tiny: Tiny, tmp_path: Path, name: str) -> None:
    config = tiny(**RUNS[name], save_every=0.0, validate_every=0.0)
    whole = replace(config, out=str(tmp_path / "whole"))
    train(whole, quiet=True)
    for _ in range(2):

        def kill(rounds: int) -> None:
            if rounds == 2:
                raise Killed

        with pytest.raises(Killed):
            make_run(config, False, Hook(config, kill)).train()
    train(config, quiet=True)
    (mine, meta), (theirs, expected) = state_of(config.out), state_of(whole.out)
    assert mine.keys() == theirs.keys()
    assert all(np.array_equal(mine[key], theirs[key]) for key in theirs)
    assert meta == expected
    assert meta["round"] > 3
    for folder in ("best", "last"):
        ours, others = load_checkpoint(f"{config.out}/{folder}")[0], load_checkpoint(f"{whole.out}/{folder}")[0]
        assert all(np.array_equal(ours[key], others[key]) for key in others)
    assert {path.name for path in Path(config.out).iterdir()} == OURS


def test_the_best_is_kept(tiny: Tiny) -> None:
    config = tiny(**SMALL, validate_every=0.0)
    train(config, quiet=True)
    run = quiet_run(config)
    scores = [score for _, score in run.counters.validations]
    assert run.counters.best == min(scores)
    made = make_agent(f"{config.out}/best", run.validation.setting)
    assert run.validation.score(made) == min(scores)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"imitate": None}, "option imitate is None, expected an agent that the tree is to imitate"),
        ({"imitate": "spx"}, "unknown agent 'spx'"),
        ({"imitate": "random:samples=4"}, "cannot be imitated"),
        ({"start": "x"}, "option start is 'x', expected nothing for trees"),
        ({"foresight": "spt"}, "option foresight is 'spt', expected nothing for agent 'tree'"),
        ({"algorithm": "ppo"}, "option algorithm is 'ppo', expected 'dagger' for agent 'tree'"),
        ({"tree_depth": 0}, "option tree_depth is 0, expected an integer from 1"),
        ({"tree_leaves": 1}, "option tree_leaves is 1, expected an integer from 2"),
        ({"tree_share": 0.0}, "option tree_share is 0.0, expected a number from"),
        ({"agent": "das"}, "option imitate is 'fdd-mwkr', expected nothing for agent 'das'"),
        ({"agent": "das", "imitate": None, "foresight": "spt"}, "expected nothing for agent 'das'"),
        ({"agent": "das", "imitate": None}, "unknown rule in option das_fast: 'met'"),
        ({"agent": "das", "imitate": None, "das_fast": 3}, "option das_fast is 3, expected the name of a rule"),
        ({"agent": "das", "imitate": None, "env": "test/Doors-v0"}, "plain Python without imagine"),
    ],
)
def test_what_does_not_fit_is_refused(tiny: Tiny, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        train(tiny(**{**SMALL, **changes}), quiet=True)
    assert "\n" not in str(caught.value)
    assert not Path(tiny().out).exists()


def test_a_missing_package_is_named(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.tree", None)
    with pytest.raises(MissingExtraError, match=r"needs 'scikit-learn', which is not installed.*makespan\[train\]"):
        train(tiny(**SMALL), quiet=True)


def test_damaged_states_are_refused(tiny: Tiny) -> None:
    from makespan.agents.checkpoint import dump_arrays

    config = tiny(**SMALL)
    train(config, quiet=True)
    path = Path(config.out) / STATE
    whole = path.read_bytes()
    arrays = parse_arrays(whole, STATE)
    for changes, message in (
        ({"labels.counts": arrays["labels.counts"][:-1]}, "not the state of such a run"),
        ({"labels.counts": arrays["labels.counts"] - 1}, "not the state of such a run"),
        ({"labels.rows": arrays["labels.rows"][:, :-1]}, "not the state of such a run"),
        ({"tree.left": np.zeros_like(arrays["tree.left"])}, "expected a later node|expected -1"),
    ):
        path.write_bytes(dump_arrays({**arrays, **changes}))
        with pytest.raises(UserError, match=message):
            quiet_run(config)
    path.write_bytes(whole[:-10])
    with pytest.raises(UserError, match=STATE):
        quiet_run(config)


def test_the_command_trains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    code = main(
        ["train", "makespan/JobShop-v0", "--agent", "tree", "--imitate", "spt", "--out", str(out), "--tree-depth", "6",
         "--instances", "random:size=3x3", "--steps", "200", "--label-worlds", "4", "--json"]
    )  # fmt: skip
    assert code == 0
    assert json.loads(capsys.readouterr().out)["last"]["decisions"] >= 200
    assert json.loads((out / "last" / "card.json").read_text())["network"]["depth"] == 6
