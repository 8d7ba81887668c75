"""Learned orders: XLA's order without weights, what the network sees, what plans come to, what is refused."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makespan.agents.arena import open_arena
from makespan.agents.catalogue import make_agent
from makespan.agents.checkpoint import CARD, load_checkpoint, save_checkpoint
from makespan.agents.memory_mapping.agent import REFERENCE
from makespan.agents.memory_mapping.learned_order import (
    HIDDEN,
    PASSES,
    TRAINING_VARIANTS,
    OrderPlayer,
    fresh_row,
    join_row,
    split_row,
    weight_shapes,
)
from makespan.agents.memory_mapping.learned_search import LearnedSearch
from makespan.agents.memory_mapping.mapper import Mapper
from makespan.agents.memory_mapping.order_agent import OrderAgent, network_card
from makespan.agents.memory_mapping.orders import order_of
from makespan.agents.memory_mapping.outlook import FIRST_OPTION, FIXED, GENERAL, SEEN, look_at, outlook_of
from makespan.envs.core.errors import UserError
from makespan.envs.memory_mapping.catalogue import named
from makespan.envs.memory_mapping.generator import random_instance
from makespan.envs.memory_mapping.instance import MemoryInstance
from makespan.envs.memory_mapping.run_time import run_times
from makespan.envs.memory_mapping.schedule import MemoryPlan
from makespan.envs.memory_mapping.validity import validate
from numpy.typing import NDArray
from support.memory_programs import random_program

ENV = "makespan/MemoryMapping-v0"
LENGTH = len(fresh_row(np.random.default_rng(0)))


def some_row(seed: int, spread: float = 0.5) -> NDArray[np.float64]:
    """Weights that change orders."""
    rng = np.random.default_rng(seed)
    return fresh_row(rng) + spread * rng.normal(size=LENGTH)


def programs() -> list[MemoryInstance]:
    """Loops, alias groups and carried values among them."""
    return [random_program(seed, instructions=20) for seed in range(12)] + [
        random_instance((150,), seed) for seed in range(4)
    ]


def checkpoint(folder: Path, row: NDArray[np.float64], **changes: Any) -> str:
    """Save a row as a checkpoint."""
    spec = open_arena(ENV, 1, {"instance": "alexnet_b8_64m"}).setting.spec
    card = {
        "agent": "mapper-order", "network": network_card(), "spec_hash": spec.hash, "spec": spec.to_dict(), "env": ENV,
        "env_options": {},
    }  # fmt: skip
    save_checkpoint(folder, split_row(row), {**card, **changes})
    return str(folder)


# --- orders -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("score", ["judge", "proxy"])
@pytest.mark.parametrize("row", [np.zeros(LENGTH), fresh_row(np.random.default_rng(3))], ids=["zero", "fresh"])
def test_without_last_weights_the_order_is_xlas(row: NDArray[np.float64], score: str) -> None:
    for instance in programs():
        player = OrderPlayer(instance, TRAINING_VARIANTS, score)
        costs = player.costs(row[None], 3)[0]
        assert (costs == player.first[:, None]).all()
        mapper = Mapper(instance)
        order = order_of(mapper.program, "priority")
        assert player.order.tolist() == order.tolist()
        for options, cost in zip(TRAINING_VARIANTS, player.first.tolist(), strict=True):
            mapper.set_options(options)
            mapper.map(order)
            assert cost == mapper.run_times()[score == "judge"]


def test_scores_fall_in_xlas_order() -> None:
    for instance in programs():
        outlook = outlook_of(Mapper(instance).program)
        assert (np.diff(outlook.base) <= 0).all()
        assert (outlook.order[outlook.place] == np.arange(len(outlook.order))).all() or (
            outlook.place[outlook.order] == np.arange(len(outlook.order))
        ).all()


def test_weights_change_orders_and_the_best_one_is_kept() -> None:
    changed = 0
    for seed, instance in enumerate(programs()):
        player = OrderPlayer(instance, TRAINING_VARIANTS, "judge")
        costs = player.costs(some_row(seed)[None], PASSES)[0]
        assert player.best == min(costs.min(), player.first.min())
        plan = player.plan()
        assert validate(plan) == []
        assert run_times(plan).judged_ps == player.best
        assert sorted(player.order.tolist()) == list(range(player.mapper.program.num_storages))
        changed += bool((costs != player.first[:, None]).any())
    assert changed > len(programs()) // 2


def test_the_same_weights_and_key_order_the_same_way_whatever_came_before() -> None:
    instance = random_instance((150,), 5)
    fresh, used = (OrderPlayer(instance, TRAINING_VARIANTS, "judge") for _ in range(2))
    used.play(some_row(9), PASSES, noise=1.0, key=3)
    row = some_row(1)
    assert (fresh.costs(row[None], PASSES) == used.costs(np.array([some_row(2), row]), PASSES)[1]).all()
    noisy = [OrderPlayer(instance, TRAINING_VARIANTS, "judge") for _ in range(3)]
    costs = [player.play(row, PASSES, 1.0, key) for player, key in zip(noisy, (7, 7, 8), strict=True)]
    assert (costs[0] == costs[1]).all()
    assert noisy[0].order.tolist() == noisy[1].order.tolist()
    assert (costs[0] != costs[2]).any()


# --- what is seen -----------------------------------------------------------------------------------------------------


def test_features_are_numbers_of_a_few_units() -> None:
    for instance in [
        *programs(),
        *named("mm-validation"),
        *named("alexnet_b8_64m:hbm=1000"),
        *named("mm-validation:cmem=1"),
    ]:
        outlook = outlook_of(Mapper(instance).program)
        assert outlook.fixed.shape == (len(outlook.order), len(FIXED))
        assert outlook.general.shape == (len(GENERAL),)
        assert (outlook.general[FIRST_OPTION:] == 0).all()
        assert np.isfinite(outlook.fixed).all()
        assert np.abs(outlook.fixed).max() < 20
        assert np.abs(outlook.general).max() < 20


def test_what_is_seen_of_a_mapping_by_a_slow_count() -> None:
    """What one access more or less would change, by the durations themselves; waits add up to the judge's."""
    waited = 0
    for instance in programs():
        mapper = Mapper(instance, REFERENCE[0])
        program, mapping = mapper.program, mapper.mapping
        outlook = outlook_of(program)
        mapper.map(outlook.order)
        proxy, judged = mapper.run_times()
        assert (mapping.waits * program.trips).sum() == judged - proxy
        waited += judged > proxy
        seen = np.empty((len(outlook.order), len(SEEN)))
        look_at(program, outlook, mapping, outlook.base, np.empty((len(outlook.order), 6)), 1.0, seen)
        assert np.isfinite(seen).all()
        inside = mapping.in_cmem.copy()
        now = instance.instruction_ps(inside)
        kept, missing = np.zeros(len(outlook.order)), np.zeros(len(outlook.order))
        for a in range(len(inside)):
            other = inside.copy()
            other[a] = not inside[a]
            change = int(program.trips @ (now - instance.instruction_ps(other)))
            place = outlook.place[program.storage[a]]
            (kept if inside[a] else missing)[place] += abs(change)
        little = 1e-4 * outlook.total
        assert seen[:, SEEN.index("missing")] == pytest.approx(np.log1p(missing / little) / 3)
        assert seen[:, SEEN.index("worth")] == pytest.approx(np.log1p(kept / little) / 3)
    assert waited > 3


def test_a_pass_by_a_slow_network() -> None:
    row = some_row(4).astype(np.float32).astype(np.float64)
    weights = {name: array.astype(np.float64) for name, array in split_row(row).items()}
    changed = 0
    for instance in programs():
        player = OrderPlayer(instance, TRAINING_VARIANTS[1:2], "judge")
        cost = player.costs(row[None], 1)[0, 0, 0]
        outlook = player.outlook
        mapper = Mapper(instance, TRAINING_VARIANTS[1])
        mapper.map(outlook.order)
        mapper.run_times()
        seen = np.empty((len(outlook.order), len(SEEN)))
        look_at(mapper.program, outlook, mapper.mapping, outlook.base, np.empty((len(seen), 6)), 1.0, seen)
        general = outlook.general.copy()
        general[FIRST_OPTION:] = 0.0, 1.0, np.log(4.0) / 2
        hidden = outlook.fixed @ weights["fixed"] + general @ weights["general"] + seen @ weights["seen"]
        hidden += weights["bias"]
        scores = outlook.base + np.maximum(hidden, 0.01 * hidden) @ weights["score"]
        mapper.map(outlook.order[np.argsort(-scores, kind="stable")])
        assert mapper.run_times()[1] == cost
        changed += cost != player.first[0]
    assert changed > 3


# --- agents -----------------------------------------------------------------------------------------------------------


def test_rows_and_arrays() -> None:
    row = some_row(0).astype(np.float32).astype(np.float64)
    arrays = split_row(row)
    assert {name: array.shape for name, array in arrays.items()} == weight_shapes()
    assert weight_shapes()["score"] == (HIDDEN,)
    assert (join_row(arrays) == row).all()


@pytest.mark.parametrize("objective", ["judge", "proxy"])
@pytest.mark.parametrize("supply", ["elapsed", "contended"])
def test_a_checkpoint_plays_what_its_weights_play(tmp_path: Path, supply: str, objective: str) -> None:
    instance, row = named("resnet50_b32_32m")[0], some_row(0).astype(np.float32).astype(np.float64)
    folder = checkpoint(tmp_path / "x", row)
    setting = open_arena(ENV, 1, {"instance": [instance], "supply": supply, "objective": objective}).setting
    plan = make_agent(folder, setting).propose(instance, 0)  # type: ignore[attr-defined]
    assert plan.placements == OrderAgent(setting, row).propose(instance, 0).placements
    assert validate(plan) == []
    better = make_agent(f"{folder}:samples=5", setting).propose(instance, 0)  # type: ignore[attr-defined]
    tuned = make_agent("tuned-xla", setting).propose(instance, 0)  # type: ignore[attr-defined]
    assert validate(better) == []

    def time_of(plan: Any) -> int:
        times = run_times(plan)
        return times.judged_ps if objective == "judge" else times.proxy_ps

    assert time_of(better) <= time_of(plan) <= time_of(tuned)
    if objective == "proxy":
        assert plan.supply == supply


@pytest.mark.parametrize("score", ["judge", "proxy"])
def test_search_tells_better_and_better_plans_and_counts_what_it_does(score: str) -> None:
    instance, row = named("resnet50_b32_32m")[0], some_row(0)
    told: list[MemoryPlan] = []
    one, other = (LearnedSearch(instance, TRAINING_VARIANTS, score, 3, row) for _ in range(2))
    one.run(mappings=1000, found=told.append)
    other.run(mappings=1000)
    assert 1000 <= one.mappings == other.mappings < 1300
    assert one.plan().placements == other.plan().placements
    times = [run_times(plan) for plan in told]
    values = [x.judged_ps if score == "judge" else x.proxy_ps for x in times]
    assert all(validate(plan) == [] for plan in told)
    assert values == sorted(values, reverse=True)
    assert values[-1] == one.best
    player = OrderPlayer(instance, TRAINING_VARIANTS, score)
    player.play(row, PASSES)
    assert one.best < player.best, "search improves what the weights say"


def test_search_ends_in_time_and_has_a_plan_however_little_there_is() -> None:
    instance = random_instance((200,), 1)
    for seconds, mappings in ((None, 1), (1e-6, None)):
        search = LearnedSearch(instance, TRAINING_VARIANTS, "judge", 0, some_row(0))
        search.run(seconds, mappings)
        assert run_times(search.plan()).judged_ps == search.best
    search = LearnedSearch(instance, TRAINING_VARIANTS, "judge", 0, some_row(0))
    began = time.perf_counter()
    search.run(seconds=0.5)
    assert 0.4 < time.perf_counter() - began < 3.0
    with pytest.raises(ValueError, match="needs a limit"):
        search.run()


def test_a_checkpoint_searches_and_improves(tmp_path: Path) -> None:
    instance = named("resnet50_b32_32m")[0]
    folder = checkpoint(tmp_path / "x", some_row(0))
    setting = open_arena(ENV, 1, {"instance": [instance]}).setting
    once, searched = (
        run_times(make_agent(folder + options, setting).propose(instance, 0)).judged_ps  # type: ignore[attr-defined]
        for options in ("", ":orders=3000")
    )
    assert searched < once

    class Listener:
        def __init__(self) -> None:
            self.times: list[int] = []

        def found(self, schedule: MemoryPlan) -> None:
            self.times.append(run_times(schedule).judged_ps)

        def bounded(self, bound: float) -> None:
            raise AssertionError("nothing is proved")

    agent, listener = make_agent(folder, setting), Listener()
    assert agent.improves
    agent.improve(instance, lambda copies, keys: None, 1.0, listener)  # type: ignore[arg-type,return-value]
    assert listener.times == sorted(listener.times, reverse=True)
    assert listener.times[-1] <= once


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (":samples=0", "option samples is 0, expected an integer from 1"),
        (":samples=many", "option samples is 'many', expected an integer from 1"),
        (":time=0", "option time is 0, expected seconds, above 0"),
        (":orders=1.5", "option orders is 1.5, expected an integer from 1"),
        (":samples=4:time=1", "options samples and time exclude each other"),
        (":beam=4", "beam"),
        (":temperature=1", "temperature"),
    ],
)
def test_options_that_are_refused(tmp_path: Path, options: str, message: str) -> None:
    setting = open_arena(ENV, 1, {"instance": "alexnet_b8_64m"}).setting
    folder = checkpoint(tmp_path / "x", some_row(0))
    with pytest.raises(UserError, match=message):
        make_agent(folder + options, setting)


def test_checkpoints_that_are_refused(tmp_path: Path) -> None:
    setting = open_arena(ENV, 1, {"instance": "alexnet_b8_64m"}).setting
    folder = checkpoint(tmp_path / "x", some_row(0))
    shop = open_arena("makespan/JobShop-v0", 1, {"instance": "ft06"}).setting
    with pytest.raises(UserError, match="cannot play 'makespan/JobShop-v0': it orders storages of memory mapping"):
        make_agent(folder, shop)
    strange = network_card()
    strange["features"] = strange["features"][1:]
    with pytest.raises(UserError, match="holds a learned order of other features"):
        make_agent(checkpoint(tmp_path / "features", some_row(0), network=strange), setting)
    infinite = some_row(0)
    infinite[0] = np.inf
    with pytest.raises(UserError, match="'fixed' holds what is no finite number"):
        make_agent(checkpoint(tmp_path / "infinite", infinite), setting)
    weights, card = load_checkpoint(folder)
    del weights["bias"]
    save_checkpoint(
        tmp_path / "less",
        weights,
        {key: card[key] for key in card if key not in ("format", "version", "weights_sha256")},
    )
    with pytest.raises(UserError, match="lacks the tensor 'bias'"):
        make_agent(str(tmp_path / "less"), setting)
    assert json.loads((Path(folder) / CARD).read_text())["agent"] == "mapper-order"
