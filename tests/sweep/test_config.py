"""A sweep's file: what it may say, and one line for whatever is wrong with it."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from makespan.envs.core.errors import UserError
from makespan.sweep.config import SweepConfig, difference, load_sweep, parse_sweep
from makespan.sweep.space import Choice, Range

PLAIN: dict[str, Any] = {
    "env": "makespan/JobShop-v0",
    "agent": "scorer",
    "sampler": "random",
    "trials": 4,
    "budget": {"unit": "steps", "first": 100, "last": 900, "eta": 3},
    "training": {"instances": "random:size=2x2"},
    "space": {"evolve_directions": [2, 4], "evolve_rate": {"low": 0.01, "high": 0.3, "log": True}},
    "baseline": {},
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The plain sweep with one field changed, or taken away by `...`."""
    document = deepcopy(PLAIN)
    *places, name = path.split(".")
    table = document
    for place in places:
        table = table.setdefault(place, {})
    if value is ...:
        del table[name]
    else:
        table[name] = value
    return document


def test_what_a_file_says(tmp_path: Path) -> None:
    (tmp_path / "sweep.toml").write_text(
        """
title = "Mine"
env = "makespan/RestlessBandits-v0"
agent = "slots-ppo"
preset = "full"
sampler = "tpe"
seed = 3
trials = 5
seeds = "0-1,7"
rescore_worlds = 10
rescore_top = 2

[budget]
unit = "minutes"
first = 0.5
last = 4
eta = 2

[training]
imitate = "none"

[space]
learning_rate = { low = 1e-5, high = 1, log = true }
layers = { low = 1, high = 3 }
agent = ["slots-ppo", "graph-ppo"]
start = ["none", "checkpoints/x"]
"""
    )
    config = load_sweep(str(tmp_path / "sweep.toml"))
    assert (config.title, config.sampler, config.seed, config.trials) == ("Mine", "tpe", 3, 5)
    assert (config.seeds, config.rescore_worlds, config.rescore_top, config.baseline) == ((0, 1, 7), 10, 2, None)
    assert (config.budget.rungs, config.budget.eta) == ((0.5, 1.0, 2.0, 4.0), 2)
    assert config.sense == "max"
    assert dict(config.space.dimensions) == {
        "learning_rate": Range(1e-5, 1.0, True),
        "layers": Range(1, 3),
        "agent": Choice(("slots-ppo", "graph-ppo")),
        "start": Choice((None, "checkpoints/x")),
    }
    run = config.training_of({"learning_rate": 0.01, "layers": 2, "agent": "graph-ppo", "start": None}, 7, "here")
    assert (run.agent, run.seed, run.layers, run.learning_rate, run.out) == ("graph-ppo", 7, 2, 0.01, "here")
    assert (run.minutes, run.steps, run.imitate, run.start) == (4.0, 10**12, None, None)


def test_what_is_left_out() -> None:
    config = parse_sweep(PLAIN, "x")
    assert (config.seed, config.seeds, config.preset, config.baseline) == (0, (0,), "quick", {})
    assert (config.rescore_worlds, config.rescore_top, config.rescore_instances) == (256, 3, None)
    assert config.sense == "min"
    assert config.sizes == [4, 1, 1]
    run = config.training_of({}, 0, "here")
    # By steps nothing depends on the clock: validated at rungs, and never out of time.
    assert (run.steps, run.minutes, run.validate_every) == (900, 1e6, 1e9)
    assert (run.evolve_rate, run.save_every) == (0.06, 15.0)


def test_what_is_given_beats_what_a_sweep_by_steps_sets() -> None:
    assert parse_sweep(changed("training.validate_every", 5), "x").training_of({}, 0, "x").validate_every == 5.0


@pytest.mark.parametrize(
    "path, value, says",
    [
        ("trails", 3, "unknown field of x 'trails'; did you mean 'trials'?"),
        ("env", ..., "x: env is None, expected a text"),
        ("env", "makespan/JobShop-v1", "x: env: unknown environment 'makespan/JobShop-v1'; did you mean"),
        ("env", "makespan/JobShop-v0:blocking=perhaps", "x: env: "),
        ("agent", "scorrer", "unknown agent to train 'scorrer'; did you mean 'scorer'?"),
        ("agent", 3, "x: agent is 3, expected a text"),
        ("preset", "slow", "x: preset is 'slow', expected 'quick' or 'full'"),
        ("sampler", "cmaes", "x: sampler is 'cmaes', expected 'random' or 'tpe' or 'grid'"),
        ("sampler", ..., "x: sampler is None, expected 'random' or 'tpe' or 'grid'"),
        ("seed", -1, "x: seed is -1, expected an integer from 0 to 2147483647"),
        ("trials", 0, "x: trials is 0, expected an integer from 1 to 100000"),
        ("trials", -3, "x: trials is -3, expected"),
        ("trials", 2.5, "x: trials is 2.5, expected an integer"),
        ("trials", True, "x: trials is True, expected an integer"),
        ("trials", ..., "x: trials is None, expected an integer"),
        ("seeds", "3-1", "x: seeds '3-1': range '3-1' runs backwards"),
        ("seeds", 0, "x: seeds is 0, expected a text"),
        ("seeds", "4294967296", "x: seeds is 4294967296, expected seeds of training, up to 2147483647"),
        ("rescore_worlds", -1, "x: rescore_worlds is -1, expected an integer from 0"),
        ("rescore_top", 0, "x: rescore_top is 0, expected an integer from 1"),
        ("rescore_instances", "la99", "x: rescore_instances: "),
        ("budget", ..., "x: budget.unit is None, expected 'minutes' or 'steps'"),
        ("budget", 3, "x: budget is 3, expected a table [budget]"),
        ("budget.unit", "hours", "x: budget.unit is 'hours', expected 'minutes' or 'steps'"),
        ("budget.last", 0, "x: budget.last is 0, expected a whole number of steps above 0"),
        ("budget.last", 10.5, "x: budget.last is 10.5, expected a whole number of steps"),
        ("budget.last", float("nan"), "x: budget.last is nan, expected"),
        ("budget.first", 1000, "x: budget.first is 1000, expected at most last, which is 900"),
        ("budget.eta", 1, "x: budget.eta is 1, expected a number of at least 1.1"),
        ("budget.eta", 0.5, "x: budget.eta is 0.5, expected a number of at least 1.1"),
        ("budget.eta", float("inf"), "x: budget.eta is inf, expected a number"),
        ("budget.eta", "3", "x: budget.eta is '3', expected a number"),
        ("budget.rungs", 3, "unknown key of x, budget: 'rungs'"),
        ("training.learning_rat", 1.0, "did you mean 'learning_rate'?"),
        ("training.width", 1, "x: training.width is 1, expected an integer from 4 to 1024"),
        ("training.minutes", 3, "x: training.minutes is 'minutes', expected another option: that is said by"),
        ("training.instances", "la99", "x: training.instances: "),
        ("training.imitate", "", "x: training.imitate is '', expected a text"),
        ("training.evolve_rate", 0.1, "x: space.evolve_rate is 'evolve_rate', expected an option that [training] does"),
        ("space", {}, "x: space is {}, expected a table with at least one option"),
        ("space", [1], "x: space is [1], expected a table [space]"),
        ("space.evolve_rat", [1.0], "unknown option of a training run in x, space: 'evolve_rat'; did you mean"),
        ("space.seed", [1, 2], "x: space.seed is 'seed', expected another option: that is said by the sweep's seeds"),
        ("space.steps", [1, 2], "x: space.steps is 'steps', expected another option: that is said by the table"),
        ("space.held_out", ["a"], "x: space.held_out is 'held_out', expected another option: trials are compared on"),
        ("space.evolve_rate", 0.1, "x: space.evolve_rate is 0.1, expected a list of values or a range"),
        ("space.evolve_rate", [], "x: space.evolve_rate is [], expected at least one value, none of them twice"),
        ("space.evolve_rate", [0.1, 0.1], "x: space.evolve_rate is [0.1, 0.1], expected at least one value, none of"),
        ("space.evolve_rate", [0.1, -1], "x: space.evolve_rate[1] is -1.0, expected a number from 0.0 to 1000.0"),
        ("space.evolve_rate", ["fast"], "x: space.evolve_rate[0] is 'fast', expected a number"),
        ("space.evolve_rate", {"low": 0.1}, "expected a range with low and high"),
        ("space.evolve_rate", {"low": 0.3, "high": 0.1}, "x: space.evolve_rate.low is 0.3, expected a number below"),
        ("space.evolve_rate", {"low": 0.3, "high": 0.3}, "x: space.evolve_rate.low is 0.3, expected a number below"),
        ("space.evolve_rate", {"low": 0, "high": 1, "log": True}, "low is 0.0, expected a number above 0, as log"),
        ("space.evolve_rate", {"low": 0, "high": 1, "log": 1}, "x: space.evolve_rate.log is 1, expected true or"),
        ("space.evolve_rate", {"low": 0, "high": 1, "step": 1}, "unknown key of x, space.evolve_rate: 'step'"),
        ("space.evolve_rate", {"low": 0, "high": float("inf")}, "x: space.evolve_rate.high is inf, expected"),
        ("space.evolve_directions", {"low": 1, "high": 2.5}, "high is 2.5, expected an integer from 1 to"),
        ("space.evolve_directions", [2, 4.0], "x: space.evolve_directions[1] is 4.0, expected an integer"),
        ("space.evolve_directions", [2, True], "x: space.evolve_directions[1] is True, expected an integer"),
        ("space.agent", {"low": 1, "high": 2}, "expected a list of texts, as agent is no number"),
        ("space.tree_depth", {"low": "none", "high": 2}, "x: space.tree_depth.low is 'none', expected a number"),
        ("space.evolve_worlds", [10**40], "expected an integer from 1 to 65536"),
        ("baseline.evolve_rate", -1, "x: baseline.evolve_rate is -1.0, expected a number from 0.0"),
        ("baseline.instances", "ft06", "x: baseline.instances is 'instances', expected another option"),
        ("baseline.imitate", "spt", "x: baseline: option imitate is 'spt', expected nothing by evolution"),
        ("training.imitate", "spt", "x: baseline: option imitate is 'spt', expected nothing by evolution"),
        ("baseline", 1, "x: baseline is 1, expected a table [baseline]"),
    ],
)
def test_what_is_refused(path: str, value: Any, says: str) -> None:
    with pytest.raises(UserError, match=re.escape(says)) as error:
        parse_sweep(changed(path, value), "x")
    assert "\n" not in str(error.value)


def test_a_space_of_which_nothing_can_be_trained() -> None:
    document = changed("training.imitate", "spt")
    del document["baseline"]
    with pytest.raises(UserError, match=r"x: no setting of \[space\] can be trained: option imitate is 'spt'"):
        parse_sweep(document, "x")


def test_more_trials_than_settings() -> None:
    document = changed("space", {"evolve_directions": [2, 4], "evolve_worlds": {"low": 1, "high": 3}})
    with pytest.raises(UserError, match="x: trials is 7, expected at most 6"):
        parse_sweep({**document, "trials": 7}, "x")
    assert parse_sweep({**document, "trials": 6}, "x").trials == 6


def test_a_grid() -> None:
    document = changed("sampler", "grid")
    with pytest.raises(UserError, match="x: trials is 4, expected nothing with sampler grid"):
        parse_sweep(document, "x")
    del document["trials"]
    with pytest.raises(UserError, match=r"x: space\.evolve_rate is .* expected a list of values with sampler grid"):
        parse_sweep(document, "x")
    document["space"]["evolve_rate"] = [0.1, 0.2, 0.3]
    assert parse_sweep(document, "x").trials == 6


@pytest.mark.parametrize(
    "text, says",
    [("env = ", "is not TOML"), (b"\xff", "is not UTF-8"), ("a = " + "[" * 5000, "x.toml"), (None, "no such file")],
)
def test_files_that_are_none(tmp_path: Path, text: Any, says: str) -> None:
    path = tmp_path / "x.toml"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=says) as error:
        load_sweep(str(path))
    assert "\n" not in str(error.value)


def stored(config: SweepConfig) -> Any:
    return json.loads(json.dumps(config.to_data()))


@pytest.mark.parametrize(
    "change, says",
    [
        (("seed", 1), "seed is 0 there and 1 here"),
        (("budget.last", 2700), r"budget.rungs is \[100, 300, 900\] there and \[100, 300, 900, 2700\] here"),
        (("space.evolve_rate", [0.1, 0.2]), "space.evolve_rate is not given there and"),
        (("space.evolve_rate.high", 0.4), "space.evolve_rate.high is 0.3 there and 0.4 here"),
        (("training.evolve_worlds", 8), "training.evolve_worlds is not given there and 8 here"),
        (("baseline", ...), r"baseline is \{\} there and not given here"),
        (("baseline.evolve_rate", 0.1), "baseline.evolve_rate is not given there and 0.1 here"),
    ],
)
def test_the_field_that_differs_is_named(change: tuple[str, Any], says: str) -> None:
    before, after = parse_sweep(PLAIN, "x"), parse_sweep(changed(*change), "x")
    found = difference(stored(before), stored(after))
    assert found is not None
    assert re.match(says, found), found
    assert difference(stored(after), stored(after)) is None


def test_the_title_may_change() -> None:
    before, after = parse_sweep(PLAIN, "x"), parse_sweep(changed("title", "Another"), "x")
    assert difference(stored(before), stored(after)) is None


DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_files_of_the_page_can_be_read(tmp_path: Path) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", (DOCS / "sweeps.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "sweep.toml").write_text(block)
    assert load_sweep(str(tmp_path / "sweep.toml")).seeds == (0, 1, 2)
    measured = load_sweep(str(DOCS / "data" / "sweep_job_shop.toml"))
    assert (measured.trials, measured.budget.rungs) == (12, (100_000, 300_000, 900_000))
