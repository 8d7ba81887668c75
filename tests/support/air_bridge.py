"""From the plain simulator's problems, days and logs to the environment's data, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from makespan.envs.air_mobility.instance import AirDay, AirInstance, AirNetwork
from makespan.envs.air_mobility.schedule import AirSchedule, AirSettings
from makespan.envs.air_mobility.vehicles import Vehicle
from support.air_cases import CASES
from support.air_reference import NETWORKS, PlainDay, PlainFleet, PlainProblem, PlainVehicle

LOG = ("t", "a", "from", "to", "boarded", "entry", "corridor", "ready", "e0", "e1", "reward")
CHARGE = ("a", "v", "t0", "t1", "J")
SETTINGS = ("taper", "refill", "tariff", "lost_cost", "wait_cost", "home", "pads")
"""Options that a plain problem has as the environment's log has them."""
_DOWNTIMES = 64


def as_vehicle(plain: PlainVehicle) -> Vehicle:
    over, under = plain.cruise
    return Vehicle(
        "captain", plain.battery, plain.reserve, plain.energy_flight, plain.energy_mile, over, under, plain.board,
        plain.unload, plain.seats, plain.stay, plain.power, plain.cost_mile, plain.landing_fee, plain.electricity,
    )  # fmt: skip


def as_instance(
    problem: PlainProblem, day: PlainDay | None = None, name: str = "tiny", noise: float = 1.0
) -> AirInstance:
    """The environment's instance of a plain problem; a network of eight is laid out as la8 is."""
    n = problem.n
    places = NETWORKS["la8"]
    ids = tuple(row[0] for row in places) if n == len(places) else tuple(f"V{v}" for v in range(n))
    network = AirNetwork(
        name,
        ids,
        np.array([places[v][3] for v in range(n)]),
        np.array([places[v][4] for v in range(n)]),
        np.array(["ABR".index(kind) for kind in problem.kind]),
        np.array(problem.mass),
        np.array(problem.stands),
        np.array(problem.chargers),
        np.array(problem.delay_mean),
        np.array(problem.distance),
    )
    fare = np.array(problem.fare)
    fare[np.arange(n), np.arange(n)] = 0
    return AirInstance(
        name,
        network,
        as_vehicle(problem.vehicle),
        "medium",
        float(np.sum(problem.forecast)),
        np.array(problem.forecast),
        fare,
        np.array([v for v, _ in problem.start]),
        np.array([energy for _, energy in problem.start]),
        problem.horizon,
        problem.corridors,
        problem.separation,
        problem.patience_corridor,
        problem.patience,
        None if day is None else as_day(problem, day, 0, noise),
    )


def as_day(problem: PlainProblem, day: PlainDay, seed: int = 0, noise: float = 1.0) -> AirDay:
    n, fleet = problem.n, len(problem.start)
    arrivals = [day.arrivals.get((p // n, p % n), []) for p in range(n * n)]
    downtime = np.zeros((fleet, _DOWNTIMES), dtype=np.int64)
    for (a, k), seconds in day.downtime.items():
        downtime[a, k] = seconds
    return AirDay(
        tuple(np.array([t for t in times if t < problem.horizon], dtype=np.int64) for times in arrivals),
        np.array(day.delay, dtype=np.int64),
        np.array(day.closures, dtype=np.int64).reshape(-1, 4),
        downtime,
        seed,
        noise,
    )


def as_schedule(fleet: PlainFleet, name: str = "tiny", instance: AirInstance | None = None) -> AirSchedule:
    """What has happened so far, on the instance that the problem is of."""
    problem = fleet.problem
    return AirSchedule(
        instance or as_instance(problem, name=name),
        as_day(problem, fleet.day),
        _table(fleet.log, LOG),
        _table(fleet.charging_so_far(), CHARGE),
        AirSettings(**{name: getattr(problem, name) for name in SETTINGS}),
        fleet.now if fleet.decider is not None else None,
    )


def as_plain(instance: AirInstance, taper: bool = False, **settings: Any) -> PlainProblem:
    """The plain problem of an instance; its tables are derived anew.

    Args:
        settings: refill, tariff, lost_cost, wait_cost, home and pads, as they are in the log.
    """
    network, vehicle = instance.network, instance.vehicle
    plain = PlainVehicle(
        vehicle.battery, vehicle.reserve, vehicle.energy_flight, vehicle.energy_mile,
        (vehicle.cruise_numerator, vehicle.cruise_denominator), vehicle.board, vehicle.unload, vehicle.seats,
        vehicle.stay, vehicle.charge_power, vehicle.cost_mile, vehicle.landing_fee, vehicle.electricity,
    )  # fmt: skip
    start = zip(instance.start_vertiport.tolist(), instance.start_energy.tolist(), strict=True)
    return PlainProblem(
        ["ABR"[kind] for kind in network.kind],
        network.mass.tolist(),
        network.stands.tolist(),
        network.chargers.tolist(),
        network.delay_mean.tolist(),
        network.distance.tolist(),
        instance.forecast.tolist(),
        instance.fare.tolist(),
        list(start),
        plain,
        instance.horizon,
        instance.corridors,
        instance.separation,
        instance.patience_corridor,
        instance.patience,
        taper,
        **settings,
    )


def plain_day(day: AirDay) -> PlainDay:
    n = len(day.delay)
    return PlainDay(
        {(p // n, p % n): times.tolist() for p, times in enumerate(day.arrivals) if p // n != p % n},
        day.delay.tolist(),
        [tuple(row) for row in day.closures.tolist()],
        {(a, k): int(day.downtime[a, k]) for a, k in np.argwhere(day.downtime).tolist()},
    )


def case_instance(name: str) -> AirInstance:
    """A tiny day of the specification, with its day."""
    case = CASES[name]
    return as_instance(case.problem, case.day, "case-" + name.lower().replace("'", "-late"))


def _table(rows: list[dict[str, Any]], keys: tuple[str, ...]) -> np.ndarray:
    return np.array([[row[key] for key in keys] for row in rows], dtype=np.int64).reshape(-1, len(keys))
