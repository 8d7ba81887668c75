"""Random programs: the same in compiled code and as instances, of the kinds that they are said to be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from makespan.agents.arena import Case, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.envs.core.errors import UserError
from makespan.envs.memory_mapping.bounds import lower_bound
from makespan.envs.memory_mapping.catalogue import names
from makespan.envs.memory_mapping.env import make_engine
from makespan.envs.memory_mapping.generator import random_instance, resolve
from makespan.envs.memory_mapping.instance import MemoryInstance
from makespan.envs.memory_mapping.run_time import run_times
from makespan.envs.memory_mapping.source import InstanceSource
from makespan.envs.memory_mapping.validity import validate

SEEDS = st.integers(0, 2**63 - 1)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SEEDS, st.integers(8, 400))
def test_a_generated_copy_equals_the_instance_of_its_seed(seed: int, size: int):
    instance = random_instance((size,), seed)
    generated, loaded = make_engine(1, f"random:size={size}"), make_engine(1, instance)
    generated.reset([seed])
    loaded.reset([seed])
    assert generated.instance_name(0) == loaded.instance_name(0) == f"random-{size}-s{seed}"
    counts = {"access": instance.num_accesses, "tensor": instance.num_tensors}
    counts |= {"instruction": instance.num_instructions}
    for name, rows in counts.items():
        mine, theirs = (getattr(engine.problem, name)[0, :rows] for engine in (generated, loaded))
        assert np.array_equal(mine, theirs), name
    assert np.array_equal(generated.problem.dims, loaded.problem.dims)
    assert np.array_equal(generated.block.memory, loaded.block.memory)
    assert generated.metrics(0)["all_hbm_ps"] == instance.all_hbm_ps
    assert size - 5 < instance.num_accesses <= size


@pytest.mark.parametrize("rule", ["rent", "keep-first"])
@pytest.mark.parametrize("size", [2_000, pytest.param(12_000, marks=pytest.mark.slow)])
def test_long_programs_are_played_to_the_end(size: int, rule: str):
    """The paper's episodes have up to some ten thousand steps; here with hundreds of backups."""
    arena = open_arena("makespan/MemoryMapping-v0", 1, {"instance": f"random:size={size}"}, device="cpu")
    (episode,) = play(arena, make_agent(rule, arena.setting), [Case(None, 3)])
    plan = episode.schedule
    assert episode.metrics["finished"]
    assert size - 5 < episode.decisions == plan.instance.num_accesses <= size
    assert plan.instance.num_tensors > size / 2
    assert len(plan.placements) > size / 20
    assert episode.metrics["backups"] > 20
    assert validate(plan) == []
    assert lower_bound(plan.instance) <= episode.objective == run_times(plan).judged_ps < plan.instance.all_hbm_ps


def test_the_family_has_what_programs_have():
    programs = [random_instance((200,), seed) for seed in range(60)]
    assert 5 < sum(bool(x.loops) for x in programs) < 40
    assert sum(any(t.alias_group is not None for t in x.tensors) for x in programs) > 30
    assert sum(bool(x.carried) for x in programs) > 3
    gathers = [any(size < x.tensors[v].bytes for row in x.instructions for v, size in row.reads) for x in programs]
    assert 10 < sum(gathers) < 50
    in_place = [any(t.kind == "param" and t.alias_group is not None for t in x.tensors) for x in programs]
    assert 5 < sum(in_place) < 40
    read = [np.bincount(x.access_tensor[~x.access_writes], minlength=x.num_tensors) for x in programs]
    assert sum(bool((counts > 2).any()) for counts in read) > 40
    bound = [np.mean(x.compute_ps > np.bincount(x.access_instruction, x.hbm_ps)) for x in programs]
    assert sum(0.1 < share < 0.9 for share in bound) > 40
    assert all(any(t.kind == "output" for t in x.tensors) for x in programs)


def test_cmem_is_short():
    """Between a tenth and six tenths of what is live at most."""
    for seed in range(40):
        x = random_instance((120,), seed)
        live = np.zeros(x.num_instructions + 1)
        storages = x.storage[x.access_tensor]
        for storage in np.unique(storages):
            when = x.access_instruction[storages == storage]
            live[when[0]] += x.size[storage]
            live[when[-1] + 1] -= x.size[storage]
        share = x.hardware.cmem_bytes / np.cumsum(live).max()
        assert 0.08 < share < 0.65 or x.hardware.cmem_bytes == 16 * 1024


def test_names_give_instances_back():
    (one,) = resolve("random-60-s7")
    assert one.same_as(random_instance((60,), 7))
    three = resolve("random:size=20+40:count=3:seed=5")
    assert [x.name for x in three] == ["random-20-s5", "random-40-s6", "random-20-s7"]
    assert [x.name for x in resolve(names()[0])] == names()[:1]


@pytest.mark.parametrize(
    "text, message",
    [
        ("random-7-s1", "size is 7, expected an integer from 8"),
        ("random:size=20:count=0", "option count is 0, expected an integer from 1"),
        ("random:size=20:law=none", "unknown option of instance 'random': 'law'"),
        ("random-20-s1:count=2", "unknown option of instance 'random-20-s1': 'count'"),
    ],
)
def test_bad_names_are_told_in_one_line(text: str, message: str):
    with pytest.raises(UserError, match=message) as caught:
        resolve(text)
    assert "\n" not in str(caught.value)


def test_a_family_is_not_a_list():
    family = InstanceSource.parse("random:size=20+30")
    assert (family.sizes, family.room) == ((20, 30), (30, 30, 30))
    given_list = InstanceSource.parse("random:size=20+30:count=4")
    assert given_list.sizes == ()
    assert given_list.training_sizes() == sorted({x.num_accesses for x in given_list._instances})
    assert family.choose(np.arange(3)).tolist() == [-1, -1, -1]
    assert set(given_list.choose(np.arange(60)).tolist()) == {0, 1, 2, 3}


def test_a_run_time_beyond_64_bits_is_refused():
    short = random_instance((20,), 1)
    data = short.to_dict()
    data["loops"] = [[0, short.num_instructions - 1, 10**6]]
    for row in data["instructions"]:
        row["compute_ps"] = 10**15
    engine = make_engine(1, MemoryInstance.from_dict(data))
    with pytest.raises(UserError, match=r"may run for .* ps, at most"):
        engine.reset([0])
