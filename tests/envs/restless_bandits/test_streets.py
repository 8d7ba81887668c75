"""Patrols on streets that a user lists: lengths of edges, the reader, errors by row and column, names, the map."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from makespan.envs.core.errors import UserError
from makespan.envs.restless_bandits.env import make_engine
from makespan.envs.restless_bandits.instance import BanditInstance
from makespan.envs.restless_bandits.picture import ansi, draw
from makespan.envs.restless_bandits.program import solve_program
from makespan.envs.restless_bandits.sets import read_set
from makespan.envs.restless_bandits.source import resolve
from makespan.envs.restless_bandits.streets import patrol, read_places, read_streets
from makespan.envs.restless_bandits.validity import validate
from makespan.envs.restless_bandits.walks import Walks
from support.bandit_cases import play_randomly

STREETS = "from,to,minutes\nA2,A10,4\nA2,yard,3\nyard,A10,9\nA10,mill,2\n"
PLACES = "place,x,y,group,value,watched\nmill,0,1,river,5,0.75\nA2,1,0,hill,2,\nA10,0,0,hill,1,0.9\nyard,1,1,,3,1\n"


@pytest.fixture
def streets(tmp_path):
    path = tmp_path / "streets.csv"
    path.write_text(STREETS)
    return path


def _random_streets(rng: np.random.Generator, size: int) -> Walks:
    while True:
        edges = [pair for pair in itertools.combinations(range(size), 2) if rng.random() < 0.5]
        lengths = rng.integers(1, 5, len(edges)).tolist()
        try:
            return Walks(size, edges, int(rng.integers(size)), int(rng.integers(2, 3 * size)), size - 1, lengths)
        except UserError:
            continue


def _in_steps(walks: Walks) -> Walks:
    """The same walks where each edge is a chain of edges that count 1, through nodes of their own."""
    edges, size = [], walks.size
    for (u, v), length in zip(walks.edges, walks.lengths or (), strict=True):
        chain = [u, *range(size, size + length - 1), v]
        size += length - 1
        edges += list(itertools.pairwise(chain))
    return Walks(size, edges, walks.depot, walks.length, walks.budget)


def test_an_edge_of_some_length_is_so_many_edges_of_length_one() -> None:
    pytest.importorskip("highspy")
    rng = np.random.default_rng(1)
    for _ in range(15):
        walks = _random_streets(rng, int(rng.integers(3, 6)))
        steps = _in_steps(walks)
        more = np.zeros(steps.size - walks.size, dtype=int)
        for action in itertools.product((0, 1), repeat=walks.size):
            assert walks.contains(action) == steps.contains([*action, *more])
        weights = np.round(rng.normal(0.5, 1.0, walks.size), 3)
        expected = (walks.members @ weights).max()
        assert walks.solve_by_program(weights).value == pytest.approx(expected, abs=1e-9)
        assert walks.search(weights) @ weights <= expected + 1e-9
        assert walks.contains(walks.search(weights))
        steps_best = solve_program(steps.linear_rows, weights).value
        assert steps_best == pytest.approx(expected, abs=1e-7)
        for action in walks.members:
            walk = walks.tour(action)
            assert sum(walks.edge_lengths[edge] for edge in itertools.pairwise(walk)) <= walks.length
            assert set(np.flatnonzero(action).tolist()) <= set(walk)


def test_a_long_walk_is_decided_by_the_lengths_of_edges() -> None:
    pytest.importorskip("highspy")
    edges, lengths = [(0, j) for j in range(1, 15)], list(range(1, 15))
    star = Walks(15, edges, 0, 209, 15, lengths, "minutes")
    assert "210 minutes, at most 209" in star.violations(np.ones(15, dtype=int))[0]
    assert Walks(15, edges, 0, 210, 15, lengths).contains(np.ones(15, dtype=int))


def test_masks_let_through_what_fits_the_lengths(streets) -> None:
    (instance,) = resolve(f"{streets}:depot=yard:length=14:budget=3")
    engine = make_engine(1, instance=instance)
    rng = np.random.default_rng(0)
    for seed in range(3):
        engine.reset([seed])
        while engine.is_running().any():
            picked = engine.state.picked[0].copy()
            expected = [*instance.feasible.extendable(picked).tolist(), True]
            assert engine.masks[0].astype(bool).tolist() == expected
            engine.step(play_randomly(engine, rng))


def test_streets_are_read(streets, tmp_path) -> None:
    read = read_streets(streets)
    assert read.places == ("A2", "A10", "mill", "yard")
    assert (read.edges, read.lengths, read.unit) == (((0, 1), (0, 3), (3, 1), (1, 2)), (4, 3, 9, 2), "minutes")
    (tmp_path / "places.csv").write_text(PLACES)
    instance = patrol(read, "yard", 14, seed=2, places=read_places(tmp_path / "places.csv", read))
    assert isinstance(instance.feasible, Walks)
    assert instance.feasible.tour([0, 1, 0, 0]) == [3, 0, 1, 0, 3]  # 14 minutes, the street itself takes 18
    assert instance.feasible.violations([0, 0, 1, 0]) == [
        "arm 2 is 9 minutes from the depot 3, so no closed walk of at most 14 minutes visits it"
    ]
    assert instance.group == ("hill", "hill", "river", "all")
    assert instance.reward[2].tolist() == pytest.approx([0, 5 / 3, 10 / 3, 5])
    assert instance.up is not None
    assert instance.up[1:, 1].tolist() == [0.9, 0.75, 1.0]
    drawn = patrol(read, "yard", 14, seed=2).up  # what the file does not say
    assert drawn is not None
    assert instance.up[0, 1] == drawn[0, 1]
    assert instance.positions is not None
    assert instance.positions[0].tolist() == [1.0, 0.0]
    plain = _written(tmp_path, "from,to\nb,a\n")
    (hops,) = resolve(f"{plain}:depot=a:length=2")
    assert isinstance(hops.feasible, Walks)
    assert hops.feasible.lengths is None
    assert hops.feasible.contains([1, 1])


def _written(folder, text: str) -> str:
    (folder / "other.csv").write_text(text)
    return str(folder / "other.csv")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("from,to,minutes\na,b,2\nc,d,1\n", "the graph is disconnected, no streets lead from 'a' to 'c'"),
        ("from,to,minutes\na,b,0\n", "row 2, column 'minutes' is '0', expected an integer from 1 to 10000"),
        ("from,to,minutes\na,b,2.5\n", "row 2, column 'minutes' is '2.5'"),
        ("from,to,length\na,b,1\nb,c,\n", "row 3, column 'length' is ''"),
        ("from,to\na,a\n", "row 2, column 'to' is 'a', expected another place than 'a'"),
        ("from,to\na,b\n\nb,a\n", "row 4, column 'to' is 'a', expected each street once, and row 2 has the one of"),
        ("from,to\na,\n", "row 2, column 'to' is ''"),
        ("from,to,minutes\na,b\n", "row 2 is 'a,b', expected 3 cells"),
        ("from,to,miles\na,b,1\n", "column 3 of the header is 'miles', expected one of from, to, minutes, length"),
        ("from,minutes\na,1\n", "the header is 'from,minutes', expected a column 'to'"),
        ("from,to,length,minutes\na,b,1,1\n", "the header is 'minutes,length', expected one of these, not both"),
        ("from,to\n", "no row below the header"),
        ("", "the header"),
    ],
)
def test_a_malformed_list_of_streets_is_refused_by_row_and_column(text: str, words: str, tmp_path) -> None:
    with pytest.raises(UserError) as caught:
        resolve(f"{_written(tmp_path, text)}:depot=a:length=4")
    assert words in str(caught.value)
    assert "other.csv: " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (":length=4", "has no depot, expected for example"),
        (":depot=yard", "has no length"),
        (":depot=yrd:length=4", "unknown place 'yrd'; did you mean 'yard'?"),
        (":depot=yard:length=4:budget=9", "budget is 9, expected an integer from 1 to 4"),
        (":depot=yard:length=four", "length of a walk is 'four', expected an integer from 0"),
        (":depot=yard:length=4:bugdet=2", "did you mean 'budget'"),
        (":depot=yard:length=4:horizon=0", "horizon is 0"),
        (":depot=yard:length=4:places=/nowhere/places.csv", "/nowhere/places.csv"),
    ],
)
def test_malformed_options_of_a_patrol_are_refused(options: str, words: str, streets) -> None:
    with pytest.raises(UserError, match=words) as caught:
        resolve(f"{streets}{options}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("place,value\nmoon,1\n", "row 2, column 'place' is 'moon', expected a place of the street graph, each once"),
        ("place,value\nmill,1\nmill,2\n", "row 3, column 'place' is 'mill'"),
        ("place,watched\nmill,1.2\n", "row 2, column 'watched' is '1.2', expected a number from 0 to 1"),
        ("place,value\nmill,nan\n", "row 2, column 'value' is 'nan'"),
        ("place,worth\nmill,1\n", "column 2 of the header is 'worth'"),
    ],
)
def test_malformed_places_are_refused_by_row_and_column(text: str, words: str, streets, tmp_path) -> None:
    with pytest.raises(UserError) as caught:
        read_places(_written(tmp_path, text), read_streets(streets))
    assert words in str(caught.value)


def test_files_keep_lengths_names_and_places_and_so_does_the_picture(streets, tmp_path) -> None:
    (tmp_path / "places.csv").write_text(PLACES)
    (instance,) = resolve(f"{streets}:depot=yard:length=14:places={tmp_path / 'places.csv'}:horizon=4")
    instance.save(tmp_path / "patrol.json")
    again = BanditInstance.load(tmp_path / "patrol.json")
    assert again.to_dict() == instance.to_dict()
    assert again.arm_names == ("A2", "A10", "mill", "yard")
    plain = read_set({**instance.feasible.to_dict()}, 4)
    assert isinstance(plain, Walks)
    assert (plain.lengths, plain.unit) == ((4, 3, 9, 2), "minutes")
    engine = make_engine(1, instance=again, record=True)
    engine.reset([0])
    while engine.is_running().any():
        engine.step([1 if engine.masks[0, 1] else 4])
    schedule = engine.schedule(0)
    assert validate(schedule) == []
    assert "\nmill  " in ansi(schedule)
    pytest.importorskip("matplotlib")
    figure = draw(schedule, epoch=0)
    (title,) = [axes.get_title(loc="left") for axes in figure.axes if "walk" in axes.get_title(loc="left")]
    assert title == "epoch 0: walk of 14 minutes, at most 14"
    assert {text.get_text() for axes in figure.axes for text in axes.texts} == {"A2", "A10", "mill", "yard"}


def test_names_and_places_of_arms_are_of_all_or_none(streets, tmp_path) -> None:
    (instance,) = resolve(f"{streets}:depot=yard:length=14")
    data = instance.to_dict()
    for change, words in (
        ({"name": "mill"}, "arm_names is .*, expected 4 different names"),
        ({"name": "a/b"}, r"arms\[0\].name is 'a/b'"),
        ({"position": [0, 1]}, r"arms\[1\] is .*, expected a 'position'"),
    ):
        arms = [{**data["arms"][0], **change}, *data["arms"][1:]]
        with pytest.raises(UserError, match=words):
            BanditInstance.from_dict({**data, "arms": arms})
    arms = [{**arm, "position": [0.0]} for arm in data["arms"]]
    with pytest.raises(UserError, match="positions"):
        BanditInstance.from_dict({**data, "arms": arms})
