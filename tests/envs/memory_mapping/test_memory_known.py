"""What is known of the suite's programs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from makespan.envs.core.errors import FieldError, UserError
from makespan.envs.memory_mapping import known as module
from makespan.envs.memory_mapping.bounds import lower_bound, lp_bound
from makespan.envs.memory_mapping.catalogue import named, names
from makespan.envs.memory_mapping.env import MemoryMappingEnv
from makespan.envs.memory_mapping.known import bounds, known, record
from support.memory_programs import random_program


def test_every_instance_of_the_suite_has_the_bounds_of_both_programs() -> None:
    for name in names():
        (instance,) = named(name)
        entry = known()[instance.hash]
        assert entry["name"] == name
        assert entry["lower"].keys() >= {"contended", "elapsed"}
        judged = bounds(name)
        assert judged.lower >= lower_bound(instance)
        assert judged.lower <= (judged.upper or instance.all_hbm_ps)
        for supply in ("contended", "elapsed"):
            proxy = bounds(instance, "proxy", supply)
            assert lower_bound(instance, supply == "contended") <= proxy.lower <= (proxy.upper or instance.all_hbm_ps)


def test_a_bound_that_ships_is_that_of_the_linear_program() -> None:
    (instance,) = named("alexnet_b8_32m")
    assert bounds(instance).lower == lp_bound(instance)
    assert bounds(instance).source.startswith("linear program")


def test_what_is_unknown_is_counted() -> None:
    instance = random_program(5)
    assert bounds(instance) == (lower_bound(instance), None, "compute, traffic and what fits CMEM")
    assert bounds(instance, "proxy", "unlimited").lower == lower_bound(instance, contended=False)
    (shipped,) = named(names()[0])
    other = shipped.on(replace(shipped.hardware, hbm_bps=shipped.hardware.hbm_bps // 2))  # of the same name
    assert bounds(other).lower == lower_bound(other)
    assert bounds(shipped, "proxy", "unlimited").lower == lower_bound(shipped, contended=False)


def test_the_better_bound_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    instance, entries = random_program(5), dict[str, dict[str, Any]]()
    low = lower_bound(instance)
    record(entries, instance, {"contended": low + 2}, {"judge": (low + 9, "somebody")})
    record(entries, instance, {"contended": low + 1}, {"judge": (low + 8, "another"), "elapsed": (low + 7, "a third")})
    record(entries, instance, {}, {"judge": (low + 8, "late")})
    monkeypatch.setattr(module, "known", lambda: entries)
    assert bounds(instance) == (low + 2, low + 8, "linear program; another")
    assert bounds(instance, "proxy", "elapsed").upper == low + 7
    assert bounds(instance, "proxy").upper is None


@pytest.mark.parametrize(("name", "value"), [("objective", "shared"), ("supply", "some")])
def test_what_nobody_bounds_is_refused(name: str, value: str) -> None:
    with pytest.raises(FieldError, match=f"{name} is '{value}'"):
        bounds(random_program(5), **{name: value})
    with pytest.raises(UserError):
        bounds("no_such_program")


def test_the_environment_knows_them() -> None:
    name = "alexnet_b8_32m"
    env = MemoryMappingEnv(instance=name)
    assert env.bound(name) == bounds(name).lower > lower_bound(named(name)[0])
    assert env.best_known(name) == bounds(name).upper
    env.close()
    env = MemoryMappingEnv(instance=name, objective="proxy", supply="elapsed")
    # Plans that fit the supply have a better bound, but others may be proposed.
    assert env.bound(name) == lower_bound(named(name)[0], contended=False) <= bounds(name, "proxy", "elapsed").lower
    assert env.best_known(name) == bounds(name, "proxy", "elapsed").upper
    env.close()
