"""Readers of instances and schedules, and what they accept. Seeds lie in ``tests/robustness/seeds``, by reader."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from makespan.agents.arena import Case, open_arena
from makespan.envs.air_mobility import catalogue as air
from makespan.envs.air_mobility.formats import day_document, read_log_lines
from makespan.envs.core.files import decode_text, read_bounded
from makespan.envs.job_shop import generator as job_shop
from makespan.envs.job_shop.start import ShopStart
from makespan.envs.memory_mapping import generator as memory
from makespan.envs.memory_mapping.allocation import Challenge
from makespan.envs.memory_mapping.tracing.hlo import read_hlo
from makespan.envs.restless_bandits import source as bandits
from makespan.envs.soc import generator as soc
from makespan.eval.records import certify, read_record
from makespan.eval.solutions import judge_solution, read_document

from .air_bridge import as_instance
from .air_reference import city, realise
from .fuzzing import Reader

SEEDS = Path(__file__).parents[1] / "robustness" / "seeds"
STEPS = 12
"""That an accepted instance is played for."""

Resolve = Callable[[str], list[Any]]


def stored(name: str) -> list[dict[str, bytes]]:
    """The seeds of a reader."""
    return [
        {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
        for folder in sorted((SEEDS / name).iterdir())
    ]


def _resolved(resolve: Resolve, file: str, options: str = "") -> Callable[[Path], list[Any]]:
    """Reads a file by its name, as the commands do, and writes what it has read in our form again."""

    def read(folder: Path) -> list[Any]:
        found = resolve(f"{folder}/{file}{options}")
        for instance in found:
            json.dumps(instance.to_dict(), allow_nan=False)
        return found

    return read


def _start(folder: Path) -> object:
    (shop,) = job_shop.resolve("random-3x3-s1")
    start = ShopStart.read(str(folder / "start.json"), shop)
    assert ShopStart.read(json.loads(json.dumps(start.to_dict(shop))), shop) == start
    return start


def _log(folder: Path) -> object:
    path = folder / "log.jsonl"
    return read_log_lines(decode_text(read_bounded(path), str(path)), ("V00", "V01", "V02"), str(path))


def _solution(folder: Path) -> object:
    path = folder / "solution.json"
    return judge_solution(read_document(path), str(path))


def _record(folder: Path) -> object:
    path = folder / "record.json"
    read_record(path)
    return certify(path)


def _certified(folder: Path) -> object:
    return certify(folder / "record.json")


def _days() -> list[dict[str, bytes]]:
    """A realised day, in the shared form and in ours."""
    problem = city("la8", "medium", fleet=4)
    instance = as_instance(problem, realise(problem, 0), "la8")
    assert instance.day is not None
    documents = (day_document(instance, instance.day), instance.to_dict())
    return [{"air.json": json.dumps(document).encode()} for document in documents]


_BY_NAME: dict[str, tuple[str, Resolve, str, str]] = {
    "job-shop-json": ("makespan/JobShop-v0", job_shop.resolve, "shop.json", ""),
    "job-shop-csv": ("makespan/JobShop-v0", job_shop.resolve, "shop.csv", ""),
    "job-shop-text": ("makespan/JobShop-v0", job_shop.resolve, "shop.txt", ""),
    "memory-json": ("makespan/MemoryMapping-v0", memory.resolve, "program.json", ""),
    "soc-json": ("makespan/SocDag-v0", soc.resolve, "dag.json", ""),
    "soc-workflow": ("makespan/StaticDag-v0", soc.resolve, "dag.json", ":pes=2"),
    "soc-stg": ("makespan/StaticDag-v0", soc.resolve, "dag.stg", ":pes=2"),
    "air-json": ("makespan/AirMobility-v0", air.resolve, "air.json", ""),
    "air-network": ("makespan/AirMobility-v0", air.resolve, "air.json", ""),
    "bandit-json": ("makespan/RestlessBandits-v0", bandits.resolve, "bandit.json", ""),
    "bandit-streets": ("makespan/RestlessBandits-v0", bandits.resolve, "streets.csv", ":depot=Hall:length=30"),
}


def file_readers() -> list[Reader]:
    """Everything that reads instances, schedules and records, without playing them."""
    found = []
    for name, (_, resolve, file, options) in _BY_NAME.items():
        read = _resolved(resolve, file, options)
        if name == "bandit-streets":
            read = _streets
        found.append(Reader(name, stored(name), read))
    return [
        *found,
        Reader("air-day", _days(), _resolved(air.resolve, "air.json")),
        Reader("air-log", stored("air-log"), _log),
        Reader("job-shop-start", stored("job-shop-start"), _start),
        Reader("memory-csv", stored("memory-csv"), lambda folder: Challenge.load(folder / "buffers.csv").peak),
        Reader("hlo", stored("hlo"), lambda folder: read_hlo(folder / "program.hlo", smallest_bytes=1).to_dict()),
        Reader("solutions", stored("solutions"), _solution),
        Reader("records", stored("records"), _record),
        Reader("certify", stored("records"), _certified),
    ]


def _streets(folder: Path) -> list[Any]:
    return bandits.resolve(f"{folder}/streets.csv:depot=Hall:length=30:places={folder}/places.csv")


def players() -> list[Reader]:
    """Instances that are accepted are played."""
    found = []
    for name, (env_id, resolve, file, options) in _BY_NAME.items():
        read = _streets if name == "bandit-streets" else _resolved(resolve, file, options)
        found.append(Reader(f"play {name}", stored(name), _played(env_id, read)))
    return [
        *found,
        Reader("play air-day", _days(), _played("makespan/AirMobility-v0", _resolved(air.resolve, "air.json"))),
    ]


def _played(env_id: str, read: Callable[[Path], list[Any]]) -> Callable[[Path], object]:
    # So that shops may begin with machines that are down.
    options = {"law": "windows", "known_windows": True} if "JobShop" in env_id else {}

    def play(folder: Path) -> object:
        (instance,) = read(folder)
        arena = open_arena(env_id, 1, {"instance": [instance], **options})
        arena.reset([Case(instance, 3)])
        rng = np.random.default_rng(0)
        for _ in range(STEPS):
            if not arena.running()[0]:
                break
            for key, array in arena.observation().items():
                assert np.isfinite(array).all(), key
            legal = np.flatnonzero(arena.masks()[0])
            assert len(legal), "in every state that is not terminal at least one action is legal"
            arena.step(rng.choice(legal, 1))
        objective = arena.objectives()[0]
        assert np.isfinite(objective)
        return objective

    return play
