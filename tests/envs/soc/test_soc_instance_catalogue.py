"""The platforms, applications, instances and sets that ship."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pytest
from makespan.envs.core.errors import UserError
from makespan.envs.soc import catalogue, instances
from makespan.envs.soc.instance import SocInstance
from makespan.envs.soc.measure import graph_of, measure

PEFT_OCT = [
    [64, 68, 86],
    [42, 39, 42],
    [27, 41, 43],
    [42, 39, 50],
    [28, 37, 28],
    [42, 39, 44],
    [13, 16, 22],
    [13, 16, 33],
    [13, 16, 20],
    [0, 0, 0],
]


def measured(name: str):
    instance = catalogue.instance(name)
    return measure(graph_of(instance.applications[0], instance.platform))


def test_every_instance_survives_its_file_and_says_where_it_comes_from(tmp_path):
    for name in catalogue.names():
        instance = catalogue.instance(name)
        assert instance.name == name
        assert instance.source
        instance.save(tmp_path / "x.json")
        assert SocInstance.load(tmp_path / "x.json").to_dict() == instance.to_dict()


@pytest.mark.parametrize(
    "name, tasks, edges, pes",
    [
        ("topcuoglu", 10, 15, 3),
        ("peft", 10, 15, 3),
        ("gap-exact", 4, 3, 2),
        ("gap-open", 4, 1, 2),
        ("wifi-tx", 27, 30, 16),
        ("wifi-rx", 34, 37, 16),
        ("range-detection", 7, 7, 16),
        ("single-carrier-tx", 8, 7, 16),
        ("single-carrier-rx", 8, 7, 16),
        ("temporal-mitigation", 10, 12, 16),
        ("paper-pulse-doppler", 451, 640, 16),
        ("big-little-wifi-rx", 34, 37, 8),
    ],
)
def test_sizes_are_the_published_ones(name, tasks, edges, pes):
    instance = catalogue.instance(name)
    assert (instance.num_tasks, instance.applications[0].num_edges, instance.num_pes) == (tasks, edges, pes)


def test_the_published_ranks_of_topcuoglu():
    found = measured("topcuoglu")
    assert np.allclose(found.upward_rank, [108, 77, 80, 80, 69, 63.333, 42.667, 35.667, 44.333, 14.667], atol=1e-3)
    assert np.allclose(found.downward_rank, [0, 31, 25, 22, 24, 27, 62.333, 66.667, 63.667, 93.333], atol=1e-3)


def test_the_published_cost_table_of_peft():
    found = measured("peft")
    assert found.oct.tolist() == PEFT_OCT
    assert np.allclose(found.mean_oct, np.mean(PEFT_OCT, axis=1))


def test_platforms():
    assert catalogue.platforms() == ("ds3", "ds3-paper", "big-little", "three")
    counts = {name: np.bincount(catalogue.platform(name).kind).tolist() for name in catalogue.platforms()}
    assert counts == {"ds3": [4, 4, 2, 4, 2], "ds3-paper": [4, 4, 2, 4, 2], "big-little": [4, 4], "three": [1, 1, 1]}
    for name in ("ds3", "ds3-paper"):
        platform = catalogue.platform(name)
        fft, cpu = 10, 0
        assert platform.kinds[platform.kind[fft]].name == "FFT"
        assert platform.bandwidth[cpu, fft] == platform.bandwidth[fft, cpu] == 10
        assert platform.bandwidth[cpu, 4] == platform.bandwidth[fft, 15] == platform.bandwidth[cpu, 1] == 1000
    assert (catalogue.platform("three").bandwidth == 1).all()
    assert set(catalogue.applications("ds3")) == set(catalogue.DS3_SIX)
    assert "pulse-doppler" in catalogue.applications("ds3-paper")


def test_accelerators_run_few_tasks_and_dummies_take_no_time():
    radio = catalogue.application("wifi-rx", "ds3")
    decoder = radio.tasks.index("viterbi_decoder")
    assert sorted(set(radio.times[decoder].tolist())) == [-1, 2, 739, 1828]
    end = catalogue.application("wifi-tx", "ds3")
    assert [end.tasks[i] for i in np.flatnonzero(end.dummy)] == ["end"]


def test_power_at_the_thresholds_of_the_profile_is_the_profile():
    """And what leaks; between them it grows with f · V²."""
    little, big, multiplier, fft, _ = catalogue.platform("ds3").kinds
    for kind, at, watts in ((little, 1400, [0.39, 0.59, 0.72, 0.81]), (big, 1000, [0.85, 1.3, 1.58, 1.78])):
        level = [mhz for mhz, _ in kind.levels].index(at)
        leak = kind.idle_mw[level]
        found = [power - (k + 1) * leak for k, power in enumerate(kind.power_mw[level])]
        assert found == [round(1000 * x) for x in watts]
    dynamic = little.power_mw[0][0] - little.idle_mw[0]
    assert dynamic == round(190 * (600 * 1000**2) / (1000 * 1150**2))
    assert (multiplier.power_mw, multiplier.idle_mw) == (((50, 100),), (0,))
    assert fft.power_mw == ((91, 183, 274, 365),)
    for kind in (little, big):
        assert list(kind.idle_mw) == sorted(kind.idle_mw)


def test_streams_have_their_mixes():
    assert catalogue.instance("wifi").mix.tolist() == [0.8, 0.2]
    assert catalogue.instance("ds3-six").mix.tolist() == [1 / 6] * 6
    assert len(catalogue.instance("socrates").applications) == 10


def test_random_mixes_are_fixed_and_all_differ():
    mixes = {
        name: tuple(catalogue.instance(name).mix)
        for split in catalogue.SPLITS
        for name in catalogue.numbered("mix", split)
    }
    assert len(set(mixes.values())) == len(mixes) == 48
    assert mixes["mix-train-00"] == (0.111, 0.078, 0.574, 0.15, 0.085, 0.002)
    assert mixes["mix-test-00"] == (0.278, 0.364, 0.137, 0.072, 0.118, 0.031)
    assert all(sum(mix) == pytest.approx(1) and min(mix) >= 0 for mix in mixes.values())


def test_random_chips_are_like_ds3_and_all_differ():
    chips = catalogue.named("chip-train") + catalogue.named("chip-test")
    ds3 = catalogue.platform("ds3")
    most = np.bincount(ds3.kind)
    found = set()
    for instance in chips:
        counts = np.bincount(instance.platform.kind)
        assert (counts >= 1).all()
        assert (counts <= most).all()
        assert instance.platform.kinds == ds3.kinds
        fft = int(np.flatnonzero(instance.platform.kind == 3)[0])
        found.add((*counts.tolist(), int(instance.platform.bandwidth[0, fft]), *instance.mix))
        assert instance.groups.tolist() == instance.platform.kind.tolist()
        for mine, base in zip(instance.applications, catalogue.instance("ds3-six").applications, strict=True):
            assert set(map(tuple, mine.times.T.tolist())) == set(map(tuple, base.times.T.tolist()))
    assert len(found) == len(chips) == 48
    assert {x[5] for x in found} == {5, 10, 20, 50, 100}
    assert (3, 3, 1, 3, 1, 20, 0.042, 0.02, 0.009, 0.295, 0.45, 0.184) in found  # chip-test-00


def test_names_sets_and_ranges():
    assert [x.name for x in catalogue.named("mix-test-00-02")] == ["mix-test-00", "mix-test-01", "mix-test-02"]
    assert catalogue.named("mix-test-00-mix-test-02") == catalogue.named("mix-test-00-02")
    assert len(catalogue.named("mix-train")) == 32
    assert {name for members in catalogue.sets().values() for name in members} <= set(catalogue.names())
    assert catalogue.named("wifi")[0] is catalogue.instance("wifi")


@pytest.mark.parametrize(
    "text, says",
    [
        ("wify-rx", "unknown instance 'wify-rx'; did you mean 'wifi-rx'?"),
        ("mix-test-00-99", "unknown instance 'mix-test-00-99'"),
        ("mix-test-03-01", "unknown instance 'mix-test-03-01'"),
        ("wifi:scale=3", "unknown option of instance 'wifi': 'scale'"),
        ("./nothing.json", "cannot read 'nothing.json': no such file"),
        ("./nothing*.json", "instance './nothing*.json' matches no file"),
        ("tests/", "instance 'tests/' is a folder; name its files"),
    ],
)
def test_what_names_nothing(text, says):
    with pytest.raises(UserError, match=f"^{says.replace('*', '[*]').replace('?', '[?]')}") as caught:
        catalogue.named(text)
    assert "\n" not in str(caught.value)


def test_what_a_platform_cannot_run():
    with pytest.raises(UserError, match="unknown application of platform 'ds3': 'pulse-doppler'"):
        catalogue.application("pulse-doppler", "ds3")
    with pytest.raises(UserError, match="unknown platform 'ds4'; did you mean 'ds3'"):
        catalogue.platform("ds4")


def test_the_files_are_small():
    assert sum(len(file.read_bytes()) for file in resources.files(instances).iterdir() if file.is_file()) < 100_000
