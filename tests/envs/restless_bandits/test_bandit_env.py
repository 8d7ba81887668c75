"""The doors of restless bandits: the contract, views, files, pictures, and what is said of bad input."""

from __future__ import annotations

import json
from typing import Any

import gymnasium
import makespan  # noqa: F401
import numpy as np
import pytest
from gymnasium import spaces
from makespan.envs.core.check import check_contract
from makespan.envs.core.errors import UserError
from makespan.envs.restless_bandits.generator import FAMILIES, Size, draw_instance
from makespan.envs.restless_bandits.instance import BanditInstance
from makespan.envs.restless_bandits.known_cases import NAMES, known_case
from makespan.envs.restless_bandits.measure import gini
from makespan.envs.restless_bandits.schedule import BanditSchedule
from makespan.envs.restless_bandits.source import names, resolve
from makespan.envs.restless_bandits.validity import validate
from support.bandit_cases import CHAINS, LISTED, PACKING

ID = "makespan/RestlessBandits-v0"


def make(**options: Any) -> Any:
    """The environment, of no particular type, since it offers more than Gymnasium's."""
    return gymnasium.make(ID, **options)


def play(env: Any, seed: int, rng: np.random.Generator) -> None:
    """An episode of random legal actions."""
    env.reset(seed=seed)
    ended = False
    while not ended:
        _, _, ended, _, _ = env.step(int(rng.choice(np.flatnonzero(env.action_masks()))))


@pytest.mark.slow
@pytest.mark.parametrize("given", ["k6b", "path-j20-0", "contagion-j20-0,corridor-j20-1", CHAINS, LISTED], ids=str)
def test_the_contract_is_kept(given) -> None:
    broken = [one for one in check_contract(ID, {"instance": given}) if one.outcome == "failed"]
    assert not broken, broken


def test_the_vector_view_is_an_environment_of_zeros_and_ones() -> None:
    env = make(instance="k3", view="vector", on_illegal="raise")
    assert isinstance(env.action_space, spaces.MultiBinary)
    env.reset(seed=0)
    _, reward, terminated, _, info = env.step(np.array([1, 1, 0, 1]))
    assert info["elapsed"] == 1.0
    assert not terminated
    with pytest.raises(ValueError, match="infeasible action: arms"):
        env.step(np.array([1, 1, 1, 1]))
    for wrong in (1, np.array([1]), np.array([1, 0]), ["1", "0", "0", "0"]):  # not played as if it were for all arms
        with pytest.raises(ValueError, match=r"^action is .*, expected an array of 4 numbers$"):
            env.step(wrong)
    for _ in range(18):
        env.step(np.array([1, 0, 0, 0]))
    _, reward, terminated, _, info = env.step(np.array([1, 0, 0, 0]))
    assert terminated
    assert info["metrics"]["visits"] == 22
    assert reward > 0
    assert env.unwrapped.validate(env.unwrapped.schedule()) == []


def test_many_copies_play_whole_actions_and_go_on() -> None:
    many = gymnasium.make_vec(ID, num_envs=3, instance="k2b", view="vector")
    many.reset(seed=4)
    played = [many.step(np.tile([1, 1, 0, 0], (3, 1))) for _ in range(20)]
    assert [step[2].tolist() for step in played] == [[False] * 3] * 19 + [[True] * 3]
    final = played[-1][-1]["final_info"]
    np.testing.assert_allclose(sum(step[1] for step in played) * final["reward_scale"], final["objective"])
    many.step(np.tile([1, 1, 0, 0], (3, 1)))


def test_an_infeasible_vector_ends_the_episode_below_all_others_where_that_is_asked_for() -> None:
    env = make(instance="k3", view="vector")
    env.reset(seed=0)
    _, reward, terminated, _, info = env.step(np.array([1, 1, 1, 1]))
    assert terminated
    assert info["illegal_action"]
    assert reward < -0.5


@pytest.mark.parametrize("given", [*NAMES, *(f"{family}-j20-2" for family in FAMILIES)])
def test_instances_survive_their_files(given: str, tmp_path) -> None:
    (instance,) = resolve(given)
    path = tmp_path / "instance.json"
    instance.save(path)
    again = BanditInstance.load(path)
    assert again.hash == instance.hash
    assert json.loads(path.read_text()) == again.to_dict()
    for name in ("transition", "reward", "start"):
        assert np.array_equal(getattr(instance, name), getattr(again, name))


@pytest.mark.parametrize("given", [CHAINS, LISTED, PACKING], ids=str)
def test_instances_of_a_user_survive_their_files_and_play_by_path(given, tmp_path) -> None:
    path = tmp_path / "mine.json"
    given.save(path)
    env = make(instance=str(path))
    env.reset(seed=0)
    assert env.unwrapped.engine.instance(0).hash == given.hash


def test_names_of_instances() -> None:
    assert len(names()) == len(set(names())) == len(NAMES) + len(FAMILIES) * 30
    assert [one.name for one in resolve("k2")] == ["k2a", "k2b"]
    assert [one.name for one in resolve("k0-k8")] == list(NAMES)
    assert [one.name for one in resolve("zones-j20")] == [f"zones-j20-{number}" for number in range(10)]
    drawn = resolve("random:size=path-j20+zones-j12:count=3:seed=7")
    assert [one.name for one in drawn] == ["random-path-j20-s7", "random-zones-j12-s8", "random-path-j20-s9"]
    assert resolve(drawn[1].name)[0].hash == drawn[1].hash
    with pytest.raises(UserError, match="unknown instance 'capacity-j20-x'"):
        resolve("capacity-j20-x")


def test_families_have_the_sizes_and_laws_of_the_paper() -> None:
    for arms, budget in ((20, 5), (40, 10), (100, 20)):
        instance = draw_instance(Size("cardinality", arms), 4)
        assert instance.feasible.budget == budget
        assert instance.group == ("good",) * budget + ("other",) * (arms - budget)
        assert instance.up is not None
        assert ((instance.up[:, 0] <= 0.2) & (instance.up[:, 1] >= 0.7) & (instance.up[:, 1] <= 0.9)).all()
        assert set(instance.reward[:budget, 3]) <= {4.0, 5.0, 6.0}
        assert set(instance.reward[budget:, 3]) <= {1.0, 2.0, 3.0}
    tube = draw_instance(Size("path", 20), 0).feasible.to_dict()
    assert (len(tube["edges"]), tube["depot"], tube["length"], tube["budget"]) == (29, 0, 10, 5)
    hops = draw_instance(Size("path", 20), 0).feasible.distance  # type: ignore[attr-defined]
    assert hops[0].max() == 5
    sigmoid = draw_instance(Size("sigmoid", 20), 0)
    assert sigmoid.num_elements == 10
    assert sigmoid.effect is not None
    assert sigmoid.effect.sum(axis=0).tolist() == [3] * 10
    assert sigmoid.effect[:10, :5].sum() == sigmoid.effect[10:, 5:].sum() == 0


def test_schedules_are_stored_read_checked_and_drawn() -> None:
    env = make(instance="path-j20-0").unwrapped
    play(env, 3, np.random.default_rng(0))
    data = json.loads(json.dumps(env.schedule().to_dict()))
    again = BanditSchedule.from_dict(data)
    assert again.to_dict() == data
    assert validate(again) == []
    text = env.ansi(again)
    assert "arm 19" in text
    assert "*" in text
    pytest.importorskip("matplotlib")
    figure = env.draw(again)
    assert len(figure.axes) == 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["actions"][2].__setitem__(slice(None), [1, 1, 1, 0]), "epoch 2: arms"),
        (lambda d: d["states"][4].__setitem__(0, 3), "epoch 3: arm 0 goes from state"),
        (lambda d: d["states"][0].__setitem__(1, 2), "arm 1 begins in state 2, which has probability 0"),
        (lambda d: d.__setitem__("objective", d["objective"] + 1.0), "the objective is said to be"),
        (lambda d: d.__setitem__("min_visits", 19), "at least 19 were to be"),
        (lambda d: d.__setitem__("seed", 8), "which is not the luck of seed 8"),
    ],
)
def test_a_schedule_that_is_tampered_with_is_found_out(change: Any, words: str) -> None:
    env = make(instance="k3").unwrapped
    play(env, 3, np.random.default_rng(1))
    data = json.loads(json.dumps(env.schedule().to_dict()))
    change(data)
    complaints = validate(BanditSchedule.from_dict(data))
    assert any(words in text for text in complaints), complaints


def _document(**changes) -> dict:
    data = known_case("k2b").to_dict()
    data.update(changes)
    return data


def _with_arm(**changes) -> dict:
    data = known_case("k2b").to_dict()
    data["arms"][2] = {**data["arms"][2], **changes}
    return data


def _chain(row: list[float]) -> list:
    good = [[0.5, 0.5, 0, 0]] * 4
    return [good, [good[0], good[1], row, good[3]]]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (_document(horizon=0), "horizon is 0, expected an integer from 1"),
        (_document(feasible={"kind": "cardinality", "budget": 0}), "feasible.budget is 0"),
        (_document(feasible={"kind": "cardinality"}), "feasible is .*, expected an object with the key 'budget'"),
        (_document(feasible={"kind": "knapsack", "budget": 1}), "feasible.kind"),
        (
            _document(feasible={"kind": "capacity", "cost": [4, 4, 4, 4], "capacity": [3]}),
            "no action is possible, the least cost is 4",
        ),
        (
            _document(feasible={"kind": "path", "edges": [[0, 1], [2, 3]], "depot": 0, "length": 4, "budget": 2}),
            "the graph is disconnected, no path leads from the depot 0 to arm 2",
        ),
        (_with_arm(up=[0.1, 1.5]), r"arms\[2\].up\[level 1\] is 1.5"),
        (_with_arm(reward=[1.0, 2.0]), r"arms\[2\].transition: shape"),
        (_with_arm(start=[0.5, 0.4, 0.0, 0.0]), r"arms\[2\].start: sum is 0.9, expected 1"),
        (_with_arm(stat=[1]), "did you mean 'start'"),
        (
            {**_document(), "arms": [{"transition": _chain([0.5, 0.4, 0, 0]), "reward": [0, 0, 0, 1.0]}] * 4},
            r"arms\[0\].transition\[level 1\]\[state 2\]: sum is 0.9, expected 1",
        ),
        (_document(joint=[{"arms": [0, 7], "weight": 1.0}]), r"joint\[0\].arms\[1\] is 7"),
        (_document(contagion={"neighbours": [[1]]}), "contagion.neighbours is '1 lists', expected 4"),
        (_document(contagion={"neighbours": [[0], [], [], []]}), r"contagion.neighbours\[0\] is"),
        (_document(effect=[[1, 1], [1]]), "effect"),
        (_document(effect=[[1, 1, 1, 1]] * 3), "effect is"),
        (_document(discount=1.5), "discount is 1.5"),
        (_document(arms=[]), "arms is"),
        (_document(name=""), "name is ''"),
    ],
)
def test_a_malformed_file_is_refused_in_one_line_that_names_arm_state_and_constraint(data, words, tmp_path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(data))
    with pytest.raises(UserError, match=words) as caught:
        BanditInstance.load(path)
    assert "\n" not in str(caught.value)
    assert "bad.json" in str(caught.value)


def test_who_is_left_out() -> None:
    assert gini([1, 1, 1]) == 0.0
    assert gini([0, 0, 0, 4]) == pytest.approx(0.75)
    assert gini([0, 0]) == 0.0
    env = make(instance="k2b", view="vector").unwrapped
    env.reset(seed=0)
    metrics = [env.step(np.array([1, 1, 0, 0])) for _ in range(20)][-1][-1]["metrics"]
    assert metrics["never_visited"] == 0.5
    assert metrics["visits_of/good"] == 20.0
    assert metrics["visits_of/other"] == pytest.approx(20 / 3)
    assert metrics["visits_gini"] == 0.5


@pytest.mark.parametrize("mode", ["rgb_array", "ansi"])
def test_episodes_are_drawn_from_the_start(mode: str) -> None:
    if mode == "rgb_array":
        pytest.importorskip("matplotlib")
    env = make(instance="path-j40-0", render_mode=mode)
    env.reset(seed=0)
    first = env.render()
    assert isinstance(first, str) or first.shape[2] == 3
