"""Penalised bounds: whoever does not know the future pays nothing on the mean, and earns no more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from makespan.agents.air_mobility.clairvoyant import tight_bound
from makespan.agents.air_mobility.penalty import PenalisedModel, PenaltyPrices, penalised_bound, penalised_model
from makespan.agents.arena import Case, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.envs.air_mobility.instance import AirDay, AirInstance
from makespan.envs.air_mobility.state import LOG_BOARDED, LOG_FROM, LOG_REWARD, LOG_TIME, LOG_TO
from makespan.envs.air_mobility.world import realise
from makespan.envs.core.errors import UserError
from support.air_bridge import as_instance, case_instance
from support.air_random import random_problem

ENV = "makespan/AirMobility-v0"


def _instance(seed: int, busy: float = 2.0) -> AirInstance:
    problem = random_problem(seed, taper=False)
    more = [[[busy * rate for rate in row] for row in rows] for rows in problem.forecast]
    return as_instance(replace(problem, forecast=more))


def _prices(instance: AirInstance, aircraft: float, queue: float, meeting: float, missed: float) -> PenaltyPrices:
    """Of no sense, but different everywhere."""
    rng = np.random.default_rng(3)
    pairs, slots = int(instance.flyable.sum()), -(-instance.horizon // 300)
    return PenaltyPrices(
        aircraft * rng.uniform(0.0, 20.0, (instance.num_vertiports, slots)),
        queue * rng.uniform(0.5, 1.0, (pairs, slots)),
        meeting * rng.uniform(0.5, 1.0, (pairs, slots)),
        missed * rng.uniform(0.5, 1.0, (pairs, slots)),
    )


def _episodes(instance: AirInstance, text: str, days: int):
    arena = open_arena(ENV, days, {"instance": [instance]})
    return play(arena, make_agent(text, arena.setting), [Case(instance, seed) for seed in range(days)])


def _image(model: PenalisedModel, instance: AirInstance, day: AirDay, log) -> np.ndarray:
    """The columns x, y, r and s of a day that was played."""
    problem = model.problem
    vertiports, slots = problem.ready.shape
    pairs = {(int(i), int(j)): p for p, (i, j) in enumerate(problem.pairs)}
    columns = np.zeros(model.columns)
    stands = problem.ready.copy()  # who comes less who leaves, in each slot
    boarded = np.zeros(problem.come.shape)
    seconds = [day.arrivals[i * vertiports + j].tolist() for i, j in problem.pairs.tolist()]
    gone = np.zeros(problem.come.shape)
    for row in log[np.argsort(log[:, LOG_TIME], kind="stable")]:
        i, j, time = int(row[LOG_FROM]), int(row[LOG_TO]), int(row[LOG_TIME])
        if i == j:
            continue
        p, slot = pairs[i, j], time // 300
        columns[model.column[p, slot]] += 1.0
        columns[model.y + model.column[p, slot]] += row[LOG_BOARDED]
        stands[i, slot] -= 1.0
        if slot + problem.block[p, slot] < slots:
            stands[j, slot + problem.block[p, slot]] += 1.0
        for second in [one for one in seconds[p] if one < time - instance.patience]:
            seconds[p].remove(second)
            gone[p, min(slots - 1, (second + instance.patience) // 300)] += 1.0
        del seconds[p][: int(row[LOG_BOARDED])]
        boarded[p, slot] += row[LOG_BOARDED]
    for p, left in enumerate(seconds):
        for second in left:
            if (second + instance.patience) // 300 < slots:
                gone[p, (second + instance.patience) // 300] += 1.0
    columns[model.r : model.s] = np.cumsum(boarded + gone, axis=1).ravel()
    columns[model.s : model.e] = np.cumsum(stands, axis=1).ravel()
    return columns


def _paid(instance: AirInstance, text: str, days: int) -> np.ndarray:
    """float64 [days, 3]: penalties of flights, of queues and of aircraft that idle."""
    prices = _prices(instance, 1.0, 1.0, 1.0, 1.0)
    paid = np.zeros((days, 3))
    for day, episode in enumerate(_episodes(instance, text, days)):
        model = penalised_model(instance, day, prices)
        image = _image(model, instance, realise(instance, day), episode.schedule.decisions)
        earned = episode.schedule.decisions[:, LOG_REWARD].sum() * 1e-6
        each = model.penalty() * image
        assert float(model.objective() @ image) == pytest.approx(earned - each.sum(), abs=1e-6)
        paid[day] = each[: model.u].sum(), model.constant + each[model.r : model.s].sum(), each[model.s :].sum()
    return paid


def _check_that_play_pays_nothing(text: str, seed: int, days: int) -> None:
    paid = _paid(_instance(seed), text, days)
    error = paid.std(axis=0) / days**0.5
    assert (error > 0.0).all()
    assert (np.abs(paid.mean(axis=0)) <= 4.0 * error + 1e-9).all()


@pytest.mark.parametrize("text", ["greedy-profit", "random"])
def test_play_pays_nothing_on_the_mean(text: str):
    _check_that_play_pays_nothing(text, 8, 60)


@pytest.mark.slow
@pytest.mark.parametrize("text", ["greedy-profit", "random", "lookahead-greedy"])
@pytest.mark.parametrize("seed", [0, 3])
def test_play_pays_nothing_on_the_mean_of_many_days(text: str, seed: int):
    _check_that_play_pays_nothing(text, seed, 1000)


def test_play_is_a_point_of_the_program():
    instance = _instance(0)
    for day, episode in enumerate(_episodes(instance, "greedy-profit", 5)):
        prices = _prices(instance, 1.0, 1.0, 1.0, 1.0)
        model = penalised_model(instance, day, prices)
        image = _image(model, instance, realise(instance, day), episode.schedule.decisions)
        lower, upper = model.lower(), model.upper()
        kept = np.r_[0 : model.u, model.y : model.e]
        assert (image[kept] >= lower[kept] - 1e-9).all()
        assert (image[kept] <= upper[kept] + 1e-9).all()


def test_free_of_charge_it_is_the_clairvoyant_bound():
    instance = _instance(8)
    free = _prices(instance, 0.0, 0.0, 0.0, 0.0)
    for seed in range(3):
        bound = tight_bound(instance, realise(instance, seed), rounds=2)
        assert penalised_bound(instance, seed, free, rounds=2) == pytest.approx(bound, abs=1e-4)


@pytest.mark.parametrize(
    "kind", [(1.0, 0.0, 0.0, 0.0), (0.0, 0.5, 0.0, 0.0), (0.0, 0.0, 0.5, 0.0), (0.0, 0.0, 0.0, -0.5)]
)
def test_nobody_earns_more_on_the_mean(kind):
    days, instance = 8, _instance(8)
    prices = _prices(instance, *kind)
    bounds = np.array([penalised_bound(instance, day, prices, rounds=1) for day in range(days)])
    for text in ("greedy-profit", "lookahead-greedy"):
        margin = bounds - np.array([one.objective * 1e-6 for one in _episodes(instance, text, days)])
        assert margin.mean() >= -3.0 * margin.std() / days**0.5


def test_a_given_day_has_no_penalty():
    given = case_instance("A")
    with pytest.raises(UserError, match="one given day"):
        penalised_model(given, 0, _prices(given, 0.0, 0.0, 0.0, 0.0))
