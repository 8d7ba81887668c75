"""Learned list schedulers: HEFT without weights, valid plans, no plan below an optimum, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makespan.agents.arena import Case, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.agents.checkpoint import CARD, save_checkpoint
from makespan.agents.learned_order import OrderOptions
from makespan.agents.soc.learned_list import (
    PASSES,
    SEEN,
    TERMS,
    Planner,
    fresh_row,
    join_row,
    split_row,
    weight_shapes,
)
from makespan.agents.soc.lists import Lists
from makespan.agents.soc.order_agent import DagOrderAgent, network_card
from makespan.agents.soc.plan_outlook import FIXED, GENERAL, PLAYERS, outlook_of
from makespan.agents.soc.problem import problem_of
from makespan.envs.core.errors import UserError
from makespan.envs.soc.generator import resolve
from makespan.envs.soc.instance import SocInstance
from numpy.typing import NDArray
from support.soc_exhaustive import optimum
from support.soc_graphs import peft, random_instance, topcuoglu
from support.soc_plans import faults

ENV = "makespan/StaticDag-v0"
LENGTH = len(fresh_row(np.random.default_rng(0)))
GRAPHS = "random:tasks=20+30:pes=2+5:ineligible=0+0.3:links=equal+random:jobs=1+2:count=12:seed=400"


def some_row(seed: int, spread: float = 0.5) -> NDArray[np.float64]:
    """Weights that change priorities and choices."""
    rng = np.random.default_rng(seed)
    return fresh_row(rng) + spread * rng.normal(size=LENGTH)


def small(rng: np.random.Generator, arrivals: int = 0) -> SocInstance:
    """With pairs that are not eligible, unequal links, zero times."""
    jobs = int(rng.integers(1, 3))
    return random_instance(rng, int(rng.integers(1, 9)), int(rng.integers(1, 5)), jobs=jobs, arrivals=arrivals)


def checkpoint(folder: Path, row: NDArray[np.float64], **changes: Any) -> str:
    """Save a row as a checkpoint."""
    spec = open_arena(ENV, 1, {"instance": "topcuoglu"}).setting.spec
    card = {
        "agent": "dag-order", "network": network_card(), "spec_hash": spec.hash, "spec": spec.to_dict(), "env": ENV,
        "env_options": {}, **changes,
    }  # fmt: skip
    save_checkpoint(folder, split_row(row), card)
    return str(folder)


# --- plans ------------------------------------------------------------------------------------------------------------


def test_without_weights_a_first_pass_is_heft():
    rng = np.random.default_rng(3)
    graphs = [*resolve(GRAPHS), topcuoglu(), peft(), *(small(rng, arrivals=9) for _ in range(200))]
    for of in graphs:
        planner, heft = Planner(problem_of(of)), Lists(of).plan("heft")
        span = planner.play(np.zeros((1, LENGTH)), passes=1, players=1)[0, 0, 0]
        assert span == planner.first == heft.makespan
        assert np.array_equal(planner.desk.front.pe, heft.pe)
        assert np.array_equal(planner.desk.front.start, heft.start)


def test_plans_are_valid_and_no_worse_than_any_pass_or_heft():
    rng = np.random.default_rng(4)
    for number, of in enumerate([*resolve(GRAPHS), *(small(rng, arrivals=20 * (k % 2)) for k in range(150))]):
        planner = Planner(problem_of(of))
        spans = planner.play(np.array([some_row(number), some_row(number + 1, 2.0)]), passes=5)
        plan = planner.plan()
        assert faults(of, plan) == []
        assert plan.makespan == planner.best == min(spans.min(), planner.first)


def test_plans_are_never_below_the_optimum():
    rng = np.random.default_rng(5)
    met = 0
    for number in range(60):
        of = random_instance(rng, int(rng.integers(2, 6)), int(rng.integers(1, 4)))
        planner, least = Planner(problem_of(of)), optimum(of)
        spans = planner.play(some_row(number)[None])
        assert spans.min() >= least
        met += planner.best == least
    assert met > 40, "and mostly reach it"


def test_backward_plans_count_only_where_all_jobs_are_there_from_the_start():
    rng = np.random.default_rng(6)
    of = random_instance(rng, 6, 2, jobs=2, arrivals=30)
    assert of.jobs[:, 1].any()
    spans = Planner(problem_of(of)).play(some_row(0)[None], passes=4)[0]
    assert (spans[0, 1::2] == 2**62).all()
    assert (spans[1, 0::2] == 2**62).all()
    assert (spans[0, 0::2] < 2**62).all()


def test_passes_come_to_something():
    """Further passes make the best plan shorter, on graphs that these weights have not been chosen on."""
    row = fresh_row(np.random.default_rng(0))
    spans = np.array([Planner(problem_of(of)).play(row[None])[0] for of in resolve("random:tasks=30:count=20:seed=90")])
    first, last = spans[:, :, 0].min(axis=1), spans.min(axis=(1, 2))
    assert (last / first).mean() < 0.98
    assert spans.shape == (20, PLAYERS, PASSES)


def test_rows_play_as_they_do_alone_whoever_played_before():
    (of,) = resolve("random:tasks=50:count=1:seed=8")
    rows = np.array([some_row(k) for k in range(3)])
    together = Planner(problem_of(of)).play(rows)
    for k in range(3):
        assert np.array_equal(Planner(problem_of(of)).play(rows[k : k + 1])[0], together[k])


def test_noise_is_of_its_key():
    (of,) = resolve("random:tasks=50:count=1:seed=8")
    planner, row = Planner(problem_of(of)), some_row(1)
    drawn = [planner.play(row[None], noise=1.0, key=key).tolist() for key in (5, 5, 6)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_players_differ_by_their_weights():
    (of,) = resolve("random:tasks=50:count=1:seed=8")
    arrays = split_row(some_row(2))
    spans = Planner(problem_of(of)).play(join_row(arrays)[None])[0]
    assert not np.array_equal(spans[0], spans[2])
    for name in ("general", "direct"):
        arrays[name][GENERAL.index("player_0") :] = 0.0
    alike = Planner(problem_of(of)).play(join_row(arrays)[None])[0]
    assert np.array_equal(alike[0], alike[2])
    assert np.array_equal(alike[1], alike[3])


# --- what is seen -----------------------------------------------------------------------------------------------------


def test_what_is_seen_is_relative_to_the_instance():
    """All times and volumes three times as long change nothing; nothing is rounded here."""
    for of in resolve("random:tasks=30:pes=4:count=4:seed=20"):
        (application,) = of.applications
        longer = SocInstance(
            of.name, of.platform,
            (type(application)(application.name, application.tasks, 3 * application.times, application.edges,
                               3 * application.volumes),),
        )  # fmt: skip
        one, three = outlook_of(problem_of(of)), outlook_of(problem_of(longer))
        assert three.unit[0] == pytest.approx(3 * one.unit[0])
        for mine, other in ((one.front, three.front), (one.back, three.back)):
            assert np.allclose(mine.fixed, other.fixed, atol=1e-9)
        assert np.allclose(one.general, three.general, atol=1e-9)


def test_the_view_from_the_back_is_the_front_of_the_problem_turned_around():
    (of,) = resolve("random:tasks=30:pes=3:links=random:count=1:seed=21")
    outlook = outlook_of(problem_of(of))
    front, back = outlook.front, outlook.back
    assert np.allclose(front.fixed[:, FIXED.index("predecessors")], back.fixed[:, FIXED.index("successors")])
    assert np.allclose(front.fixed[:, FIXED.index("sent")], back.fixed[:, FIXED.index("received")])
    assert np.allclose(front.fixed[:, FIXED.index("path")], back.fixed[:, FIXED.index("path")])
    assert np.allclose(front.fixed[:, FIXED.index("depth")], back.fixed[:, FIXED.index("height")])
    assert back.rank.max() == pytest.approx(front.rank.max())
    for view in (front, back):
        for e, volume in enumerate(view.problem.graph.out_volume):
            for p in range(3):
                for q in range(3):
                    expected = 0 if p == q else volume // view.problem.graph.bandwidth[p, q]
                    assert view.out_time[e, view.link[p, q]] == expected


def test_features_are_moderate():
    texts = (
        "random:tasks=20+300:ccr=0.001+1000:beta=0+2:pes=1+12:ineligible=0+0.9:count=30:seed=1",
        "topcuoglu",
        "wifi-rx",
    )
    for of in [of for text in texts for of in resolve(text)]:
        outlook = outlook_of(problem_of(of))
        for values in (outlook.general, outlook.front.fixed, outlook.back.fixed):
            assert np.isfinite(values).all()
            assert np.abs(values).max() <= 5.0


# --- as an agent ------------------------------------------------------------------------------------------------------


def test_a_checkpoint_plays_and_samples_help(tmp_path: Path):
    name = checkpoint(tmp_path / "x", some_row(3, 0.1))
    arena = open_arena(ENV, 6, {"instance": resolve("random:tasks=30:count=6:seed=30")})
    cases = [Case(of, 0) for of in resolve("random:tasks=30:count=6:seed=30")]

    def objectives(agent: str) -> list[float]:
        return [episode.objective for episode in play(arena, make_agent(agent, arena.setting), cases)]

    greedy, sampled, heft = objectives(name), objectives(name + ":samples=16"), objectives("list")
    assert objectives(name) == greedy
    assert objectives(name + ":samples=16") == sampled
    assert all(a <= b <= c for a, b, c in zip(sampled, greedy, heft, strict=True))
    assert sum(sampled) < sum(greedy) < sum(heft)
    assert objectives(name + ":samples=1") == greedy
    searched = objectives(name + ":changes=3000")
    assert all(a <= b for a, b in zip(searched, greedy, strict=True))
    assert sum(searched) < sum(greedy)


def test_a_search_goes_on_from_the_better_plan():
    arena = open_arena(ENV, 1, {"instance": "topcuoglu"})
    agent = DagOrderAgent(arena.setting, some_row(0), OrderOptions(limit=1))
    found: list[int] = []
    best = Lists(topcuoglu()).plan("lookahead-heft")
    assert best.makespan == 76
    plan = agent._search(topcuoglu(), 0, best, None, 1, lambda plan: found.append(plan.makespan))
    assert found[0] <= 76
    assert plan.makespan <= found[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (":samples=0", "option samples is 0, expected an integer from 1"),
        (":samples=true", "option samples is True, expected an integer from 1"),
        (":temperature=0.5", "option temperature needs option samples"),
        (":samples=4:temperature=0", "option temperature is 0, expected a number above 0"),
        (":samples=4:temperature=hot", "option temperature is 'hot', expected a number above 0"),
        (":time=0", "option time is 0, expected seconds, above 0"),
        (":changes=1.5", "option changes is 1.5, expected an integer from 1"),
        (":samples=4:time=1", "options samples and time exclude each other"),
        (":beam=4", "beam"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, options: str, message: str):
    name = checkpoint(tmp_path / "x", some_row(3))
    with pytest.raises(UserError, match=message):
        make_agent(name + options, open_arena(ENV, 1, {"instance": "topcuoglu"}).setting)


@pytest.mark.parametrize(
    ("env", "options", "message"),
    [
        ("makespan/JobShop-v0", {"instance": "ft06"}, "it is no static DAG scheduling"),
        (ENV, {"instance": "topcuoglu", "noise": 0.2}, "nobody can foresee"),
        (ENV, {"instance": "topcuoglu", "objective": "energy"}, "use objective=makespan"),
    ],
)
def test_where_it_cannot_play_it_says_so(tmp_path: Path, env: str, options: dict[str, Any], message: str):
    name = checkpoint(tmp_path / "x", some_row(3))
    with pytest.raises(UserError, match=message):
        make_agent(name, open_arena(env, 1, options).setting)


def test_checkpoints_of_other_features_are_refused(tmp_path: Path):
    other = {**network_card(), "terms": [*TERMS[1:], "whim"]}
    name = checkpoint(tmp_path / "x", some_row(3), network=other)
    setting = open_arena(ENV, 1, {"instance": "topcuoglu"}).setting
    with pytest.raises(UserError, match="other features"):
        make_agent(name, setting)
    name = checkpoint(tmp_path / "y", some_row(3))
    arrays = split_row(some_row(3))
    arrays["seen"][0, 0] = np.nan
    card = json.loads((tmp_path / "y" / CARD).read_text())
    kept = {key: card[key] for key in ("agent", "network", "spec_hash", "spec", "env", "env_options")}
    save_checkpoint(tmp_path / "y", arrays, kept)
    with pytest.raises(UserError, match="seen"):
        make_agent(name, setting)


def test_the_card_names_what_there_is():
    assert network_card()["features"] == [*FIXED, *GENERAL, *SEEN]
    shapes = weight_shapes()
    assert shapes["fixed"][0] + shapes["general"][0] + shapes["seen"][0] == len(network_card()["features"])
    assert shapes["direct"] == (len(GENERAL), 1 + len(TERMS))
