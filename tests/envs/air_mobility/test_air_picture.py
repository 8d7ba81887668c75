"""Pictures say what happened: the map at a time, space and time, batteries, demand, profits, the animation, text."""

import dataclasses
import functools
import itertools
import sys

import gymnasium
import numpy as np
import pytest
from makespan.envs.air_mobility import picture_moment as m
from makespan.envs.air_mobility.animation import save_animation
from makespan.envs.air_mobility.catalogue import random_instance
from makespan.envs.air_mobility.map_picture import (
    EMPTY,
    FULL_LOADS,
    MapScene,
    clock_of,
    dollars,
    draw_choice,
    draw_map,
    headline,
    load_colour,
    rgb_array,
)
from makespan.envs.air_mobility.picture import (
    ansi,
    cumulative_profit,
    demand_by_quarter,
    draw,
    draw_profits,
    vertical_order,
)
from makespan.envs.air_mobility.picture_moment import Course, energy_trace
from makespan.envs.air_mobility.schedule import AirSchedule
from makespan.envs.core.errors import FieldError, MissingExtraError
from matplotlib.collections import LineCollection, PolyCollection
from PIL import Image
from support.air_bridge import as_plain, as_schedule
from support.air_cases import CASES
from support.air_random import random_problem
from support.air_reference import PlainFleet, city, greedy_profit, random_choice, realise, stay


def ferry() -> AirSchedule:
    """Case A as greed plays it: from V0 at 900, in the corridor at 1260, ready at 2104; back at 3004, ready at 4208."""
    case = CASES["A"]
    return as_schedule(PlainFleet(case.problem, case.day).play(greedy_profit))


@pytest.fixture(scope="module")
def la8() -> AirSchedule:
    problem = city("la8", "medium")
    return as_schedule(PlainFleet(problem, realise(problem, 0)).play(greedy_profit), "la8-medium")


def collections(scene: MapScene, kind: type, zorder: int) -> list:
    return [each for each in scene.figure.axes[0].collections if isinstance(each, kind) and each.get_zorder() == zorder]


# --- moments ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "time,phase,origin,destination,progress,load,energy",
    [
        (0, m.STANDING, 0, 0, 0.0, 0, 110.0),
        (899, m.STANDING, 0, 0, 0.0, 0, 110.0),
        (900, m.BOARDING, 0, 1, 0.0, 4, 110.0),
        (1260, m.FLYING, 0, 1, 0.0, 4, 110.0),
        (1502, m.FLYING, 0, 1, 0.5, 4, 110.0 - 26 * 242 / 844),
        (1744, m.FLYING, 0, 1, 1.0, 4, 110.0 - 26 * 484 / 844),
        (2104, m.STANDING, 1, 1, 0.0, 0, 84.0),
        (2416, m.STANDING, 1, 1, 0.0, 0, 97.0),
        (3004, m.BOARDING, 1, 0, 0.0, 4, 110.0),
    ],
)
def test_an_aircraft_through_its_day(time, phase, origin, destination, progress, load, energy):
    moment = Course(ferry()).at(time)
    assert (moment.phase[0], moment.origin[0], moment.destination[0]) == (phase, origin, destination)
    assert (moment.progress[0], moment.load[0]) == (progress, load)
    assert moment.energy[0] / 3.6e6 == pytest.approx(energy)
    assert moment.charging[0] == (2104 <= time < 2728)


def test_passengers_and_money_at_a_time():
    course = Course(ferry())
    assert course.at(599).waiting.sum() == 0
    assert course.at(600).waiting.tolist() == [[0, 4], [0, 0]]
    assert course.at(900).waiting.sum() == 0
    before, after = course.at(899), course.at(900)
    assert (before.profit, before.served, after.profit, after.served) == (0, 0, 19_400_000, 4)


@pytest.mark.parametrize("seed", range(12))
def test_moments_are_those_of_the_day_as_it_was_played(seed):
    """At each decision: what the picture shows before it is what the plain simulator knows."""
    problem = random_problem(seed, taper=False)
    fleet = PlainFleet(problem, realise(problem, seed, 2.0))
    choose, known = random_choice(seed), []
    while fleet.decider is not None:
        energies = [fleet.energy(a) for a in range(len(problem.start))]
        known.append((fleet.now, fleet.lost, list(fleet.at), energies, list(fleet.flying), fleet.decider))
        fleet.act(choose(fleet))
    course = Course(as_schedule(fleet))
    for k, (now, lost, at, energies, flying, _) in enumerate(known):
        if k + 1 < len(known) and known[k + 1][0] == now:
            continue  # others decide at this time, too
        moment = course.at(now)
        moved = next(row for row in fleet.log if (row["t"], row["a"]) == (now, known[k][5]))
        assert moment.lost == lost
        for a, place in enumerate(at):
            if a == moved["a"]:
                assert moment.destination[a] == moved["to"]
                continue
            assert moment.destination[a] == place
            assert (moment.phase[a] in (m.FLYING, m.BOARDING)) == flying[a]
            if not flying[a]:
                assert moment.energy[a] == pytest.approx(energies[a], abs=150_007)  # of a charger in its last second


def test_downtimes_and_closures():
    problem = city("la8", "high", fleet=24)
    day = realise(problem, 1, 2.0)
    fleet = PlainFleet(problem, day).play(greedy_profit)
    course, flights = Course(as_schedule(fleet)), [row for row in fleet.log if row["from"] != row["to"]]
    down = {(a, k): s for (a, k), s in day.downtime.items() if k < sum(row["a"] == a for row in flights)}
    assert down
    for (a, k), seconds in down.items():
        ready = [row["ready"] for row in flights if row["a"] == a][k]
        assert [course.at(t).phase[a] for t in (ready, ready + seconds - 1)] == [m.DOWN, m.DOWN]
        assert course.at(ready + seconds).phase[a] != m.DOWN
    for t in range(0, 43_200, 900):
        closed = {tuple(pair) for pair in course.at(t).closed.tolist()}
        pairs = [(i, j) for i in range(8) for j in range(i + 1, 8)]
        assert closed == {pair for pair in pairs if not day.is_open(*pair, t)}


def test_energy_traces():
    times, energies = energy_trace(ferry(), 0)
    assert np.all(np.diff(times) >= 0)
    assert energies.min() == 84 * 3_600_000
    assert (times[0], times[-1]) == (0, 7200)


# --- the map ----------------------------------------------------------------------------------------------------------


def test_aircraft_are_where_they_fly():
    scene = MapScene(Course(ferry()))
    scene.show(1502)
    (heads,) = collections(scene, PolyCollection, 9)
    (path,) = heads.get_paths()
    middle = scene._frame.place.mean(axis=0)
    off = (path.vertices[:-1].mean(axis=0) - middle) * scene._frame.mile
    assert np.hypot(*off) < 8
    assert heads.get_facecolor()[0][:3] == pytest.approx([int(FULL_LOADS[-1][k : k + 2], 16) / 255 for k in (1, 3, 5)])
    for time in (900, 2104, 7000):
        scene.show(time)
        assert not collections(scene, PolyCollection, 9)[0].get_paths()


def test_stands_and_queues():
    case = CASES["D"]
    fleet = PlainFleet(case.problem, case.day)
    for j in [0, 0, 1]:
        fleet.act(j)
    scene = MapScene(Course(as_schedule(fleet.play(stay))))
    scene.show(0)
    (queues,) = [x for x in collections(scene, PolyCollection, 5) if len(x.get_paths()) == 1]  # two of V1 have boarded
    assert len(queues.get_paths()) == 1
    texts = [text.get_text() for text in scene.figure.axes[0].texts]
    assert "4" in texts
    outlined, reserved = collections(scene, PolyCollection, 4)
    assert (len(outlined.get_paths()), len(reserved.get_paths())) == (2, 1)  # one of V0 for aircraft 1, which boards
    scene.show(900)
    outlined, reserved = collections(scene, PolyCollection, 4)
    assert (len(outlined.get_paths()), len(reserved.get_paths())) == (2, 1)  # aircraft 1 unloads at V0


def test_closed_pairs_are_dashed(la8):
    scene = MapScene(Course(la8))
    scene.show(17_400)
    (closed,) = [each for each in collections(scene, LineCollection, 2) if len(each.get_paths())]
    assert len(closed.get_paths()) == 1
    scene.show(3000)
    assert not any(len(each.get_paths()) for each in collections(scene, LineCollection, 2))


def test_what_has_moved_is_drawn_no_more(la8):
    scene = MapScene(Course(la8), 600, 500)
    scene.show(9000)
    first, count = scene.pixels(), len(scene.figure.axes[0].collections)
    scene.show(20_000)
    other = scene.pixels()
    scene.show(9000)
    assert np.array_equal(scene.pixels(), first)
    assert not np.array_equal(other, first)
    assert len(scene.figure.axes[0].collections) == count
    figure = draw_map(la8, 9000, 600, 500)
    figure.canvas.draw()
    whole = np.array(figure.canvas.buffer_rgba())[..., :3]  # pyright: ignore[reportAttributeAccessIssue]
    assert np.abs(whole.astype(int) - first).mean() < 0.5


def test_pixels(la8):
    picture = rgb_array(la8, 500, 400)
    assert picture.shape == (400, 500, 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 0


def test_large_networks_have_gauges():
    instance = random_instance(20, 60, "medium", 3)
    problem = as_plain(instance)
    fleet = PlainFleet(problem, realise(problem, 0))
    while fleet.decider is not None and fleet.now < 6000:
        fleet.act(greedy_profit(fleet))
    schedule = as_schedule(fleet, instance=instance)
    scene = MapScene(Course(schedule))
    scene.show(schedule.end)
    assert not scene._frame.slots
    assert scene.pixels().std() > 0
    draw(schedule).canvas.draw()


def test_headline(la8):
    moment = Course(la8).at(43_200)
    counts = f"871 served, {moment.waiting.sum()} waiting, {moment.lost} lost"
    assert headline(la8, moment) == f"la8-medium, 18:00: profit $5,410; {counts}"
    assert clock_of(0) == "06:00"
    assert [load_colour(n, 4) for n in range(5)] == [EMPTY, *FULL_LOADS]
    assert load_colour(1, 1) == FULL_LOADS[-1]


def test_a_choice_is_marked_by_its_probabilities(la8):
    shares = np.array([0.5, 0.0, 0.25, 0.25, 0.0, 0.0, 0.0, 0.0])
    begun = dataclasses.replace(la8, clock=0, decisions=la8.decisions[:0], charges=la8.charges[:0])
    figure = draw_choice(begun, 2, shares)
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert {"50 %", "stay 25 %", "25 %"} <= texts
    widths = sorted(line.get_linewidth() for line in figure.axes[0].lines)
    assert widths[-2:] == [1.0 + 7.0 * 0.25, 1.0 + 7.0 * 0.5]
    for aircraft, wrong in ((40, shares), (0, shares[:7]), (0, 2 * shares), (0, shares - 0.1)):
        with pytest.raises(FieldError):
            draw_choice(la8, aircraft, wrong)


# --- through the day --------------------------------------------------------------------------------------------------


def test_flights_go_from_row_to_row():
    schedule = ferry()
    figure = draw(schedule)
    flights = figure.axes[0]
    (lines,) = [each for each in flights.collections if isinstance(each, LineCollection)]
    row = {v: r for r, v in enumerate(vertical_order(schedule))}
    drawn = sorted(np.asarray(path.vertices).tolist() for path in lines.get_paths())
    assert drawn == [[[1260, row[0]], [1744, row[1]]], [[3364, row[1]], [3848, row[0]]]]
    assert [label.get_text() for label in flights.get_yticklabels()] == [f"V{v}" for v in vertical_order(schedule)]


def test_demand_is_counted_by_quarter_hours(la8):
    counts = demand_by_quarter(ferry())
    assert counts[0].tolist()[:4] == [4, 0, 0, 4]
    assert counts[1:].sum() == 0
    served, lost, waiting = demand_by_quarter(la8).sum(axis=1)
    moment = Course(la8).at(la8.end)
    assert (served, lost, waiting) == (moment.served, moment.lost, moment.waiting.sum())


def test_profits(la8):
    times, profits = cumulative_profit(ferry())
    assert times.tolist() == [0, 900, 3004, 7200]
    assert profits.tolist() == [0.0, 19.4, 38.8, 38.8]
    figure = draw_profits({"greedy": la8, "stay": la8}, bound=13_448)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["greedy: $5,410", "stay: $5,410", "bound: $13,448"]
    assert [dollars(amount) for amount in (-8053.2, -0.3, 0.0, 1e6)] == ["−$8,053", "$0", "$0", "$1,000,000"]


def test_the_title(la8):
    assert draw(la8).axes[0].get_title(loc="left").startswith("la8-medium, 18:00: profit $5,410")
    assert draw(la8, title="so it went").axes[0].get_title(loc="left") == "so it went"


def test_days_that_have_only_begun():
    case = CASES["B"]
    schedule = as_schedule(PlainFleet(case.problem, case.day))
    assert schedule.clock == 0
    assert rgb_array(schedule).std() > 0
    draw(schedule).canvas.draw()
    assert ansi(schedule).splitlines()[0] == "tiny, 06:00: profit $0; 0 served, 0 waiting, 0 lost"


# --- the animation ----------------------------------------------------------------------------------------------------


def test_animation(la8, tmp_path):
    save_animation(la8, tmp_path / "day.gif", 9000, 9900, 300, width=360, height=320)
    with Image.open(tmp_path / "day.gif") as gif:
        assert (gif.size, gif.n_frames, gif.info["loop"]) == ((360, 320), 4, 0)  # pyright: ignore[reportAttributeAccessIssue]
        frames = []
        for k in range(4):
            gif.seek(k)
            frames.append(np.array(gif.convert("RGB")))
    assert all(not np.array_equal(a, b) for a, b in itertools.pairwise(frames))
    scene = MapScene(Course(la8), 360, 320)
    for frame, time in zip(frames, (9000, 9300, 9600, 9900), strict=True):
        scene.show(time)
        assert np.abs(frame.astype(int) - scene.pixels()).mean() < 1.5
    assert [path.name for path in tmp_path.iterdir()] == ["day.gif"]


@pytest.mark.parametrize(
    "first,last,step", [(0, 43_201, 300), (500, 500, 300), (-1, 300, 300), (0, 43_200, 9), (0, 43_200, 20)]
)
def test_parts_that_cannot_be_animated(la8, tmp_path, first, last, step):
    with pytest.raises(FieldError):
        save_animation(la8, tmp_path / "day.gif", first, last, step)
    assert not list(tmp_path.iterdir())


# --- text -------------------------------------------------------------------------------------------------------------


def test_text():
    case = CASES["D"]
    fleet = PlainFleet(case.problem, case.day)
    for j in [0, 0, 1]:
        fleet.act(j)
    lines = ansi(as_schedule(fleet), 80).splitlines()
    assert lines[0] == "tiny, 06:20: profit $16; 6 served, 0 waiting, 0 lost"
    assert lines[1:] == ["V0 |SB|   0 waiting", "V1 |:|   0 waiting", "0 aloft", "closed: none"]
    with pytest.raises(FieldError, match="width"):
        ansi(as_schedule(fleet), 20)


def test_text_of_a_large_day(la8):
    text = ansi(la8, 90)
    assert all(len(line) <= 90 for line in text.splitlines())
    assert text.splitlines()[1].startswith(" LAX |")
    assert {"C", "S"} <= set(text)


# --- what is needed ---------------------------------------------------------------------------------------------------


def test_pyplot_is_left_alone(monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    draw(ferry())
    rgb_array(ferry())
    assert "matplotlib.pyplot" not in sys.modules


def test_without_matplotlib(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    schedule = ferry()
    animate = functools.partial(save_animation, path=tmp_path / "day.gif")
    for make in (draw, draw_map, lambda each: draw_profits({"one": each}), animate):
        with pytest.raises(MissingExtraError, match="matplotlib"):
            make(schedule)
    assert ansi(schedule)


# --- the environment's doors ------------------------------------------------------------------------------------------


def test_the_environment_renders():
    env = gymnasium.make("makespan:makespan/AirMobility-v0", render_mode="rgb_array", instance="la8-high")
    _, info = env.reset(seed=3)
    first = env.render()
    assert isinstance(first, np.ndarray)
    assert (first.shape, first.dtype) == ((720, 900, 3), np.uint8)
    for _ in range(200):
        _, _, _, _, info = env.step(int(np.flatnonzero(info["action_mask"])[-1]))
    later = env.render()
    assert isinstance(later, np.ndarray)
    assert not np.array_equal(later, first)
    text = gymnasium.make("makespan:makespan/AirMobility-v0", render_mode="ansi", instance="la8-high")
    text.reset(seed=3)
    said = text.render()
    assert isinstance(said, str)
    assert said.startswith("la8-high, 06:00: profit $0;")
