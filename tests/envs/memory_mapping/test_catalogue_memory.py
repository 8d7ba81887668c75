"""The programs that ship, the suite, its splits; names with options; files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from makespan.envs.core.errors import UserError
from makespan.envs.memory_mapping import catalogue
from makespan.envs.memory_mapping.instance import MemoryInstance

MIB = 2**20


def suite():
    return catalogue.suite()


def all_instances():
    return {x.name: x for x in catalogue.named("mm-all")}


def test_every_instance_is_what_the_suite_says():
    found = all_instances()
    assert list(found) == catalogue.names() == sorted(suite())
    for name, entry in suite().items():
        assert found[name].hash == entry.hash
        assert found[name].hardware.cmem_bytes == entry.cmem * MIB
        assert name == f"{entry.program}_{entry.cmem}m"


def test_the_suite_is_large_and_varied_enough():
    families = {entry.family for entry in suite().values()}
    assert len(suite()) >= 16
    assert len(families) >= 8
    assert len({entry.cmem for entry in suite().values()}) >= 3
    assert all(instance.num_accesses <= 1000 for instance in all_instances().values())


def test_families_are_split_and_no_family_is_in_two_splits():
    splits = {}
    for entry in suite().values():
        splits.setdefault(entry.family, set()).add(entry.split)
    assert all(len(found) == 1 for found in splits.values())
    assert set.union(*splits.values()) == set(catalogue.SPLITS)
    sets = catalogue.sets()
    parts = [set(sets[f"mm-{split}"]) for split in catalogue.SPLITS]
    assert set.union(*parts) == set(suite())
    assert sum(map(len, parts)) == len(suite())


def test_the_tutorial_lists_the_sets():
    page = Path(__file__).resolve().parents[3] / "docs" / "tutorials" / "trace_a_model.md"
    for split in catalogue.SPLITS:
        entries = [entry for entry in suite().values() if entry.split == split]
        families = ", ".join(sorted({entry.family for entry in entries}))
        assert f"| `mm-{split}` | {families} | {len(entries)} |" in page.read_text(encoding="utf-8")


def test_there_are_loops_that_carry_and_updates_in_place():
    found = all_instances().values()
    assert any(instance.carried for instance in found)
    groups = [{x.alias_group for x in instance.tensors if x.kind == "param"} - {None} for instance in found]
    assert any(groups)


def test_every_program_says_where_it_comes_from():
    for name in catalogue.programs():
        instance = catalogue.program(name)
        assert instance.name == name
        assert set(instance.source) >= {"kind", "model", "dtype", "sha256"}
        assert instance.all_hbm_ps > 0


def test_the_files_are_small():
    from importlib import resources

    from makespan.envs.memory_mapping import instances

    sizes = [len(x.read_bytes()) for x in resources.files(instances).iterdir() if x.name.endswith(".json")]
    assert max(sizes) < 400_000
    assert sum(sizes) < 3_000_000


def test_options_change_the_hardware():
    (plain,) = catalogue.named("resnet50_b64")
    (changed,) = catalogue.named("resnet50_b64:cmem=24:hbm=0.5:cmem_bw=2")
    assert plain.hardware.cmem_bytes == 128 * MIB
    assert changed.name == "resnet50_b64_cmem24_hbm0.5_cmem_bw2"
    assert changed.hardware.cmem_bytes == 24 * MIB
    assert changed.hardware.hbm_bps == plain.hardware.hbm_bps // 2
    assert changed.hardware.cmem_read_bps == 2 * plain.hardware.cmem_read_bps
    assert changed.hardware.cmem_write_bps == 2 * plain.hardware.cmem_write_bps
    assert changed.instructions == plain.instructions


def test_options_change_each_member_of_a_set():
    found = catalogue.named("mm-test:hbm=2")
    assert [x.name for x in found] == [f"{name}_hbm2" for name in catalogue.sets()["mm-test"]]


def test_files(tmp_path):
    (program,) = catalogue.named("alexnet_b8")
    for name in ("b.json", "a.json"):
        program.on(program.hardware, name[0]).save(tmp_path / name)
    assert [x.name for x in catalogue.named(f"{tmp_path}/*.json")] == ["a", "b"]
    assert catalogue.named(f"{tmp_path}/a.json:cmem=1")[0].hardware.cmem_bytes == MIB


@pytest.mark.parametrize(
    "text, says",
    [
        ("resnet50", "unknown instance 'resnet50'; did you mean 'resnet50_b"),
        ("mm-tset", "did you mean 'mm-test'?"),
        ("resnet5_b64", "did you mean 'resnet50_b64'?"),
        ("resnet50-b64", "did you mean 'resnet50_b64'?"),
        ("resnet50_b46", "did you mean 'resnet50_b64'?"),
        ("resnet_b64", "did you mean 'resnet50_b64'?"),
        ("resnet50_b64_128", "did you mean 'resnet50_b64_128m'?"),
        ("alexnet_b8:cmem=big", "option cmem is 'big', expected a size in MiB"),
        ("alexnet_b8:cmem=0", "option cmem is 0, expected a size in MiB"),
        ("alexnet_b8:hbm=true", "option hbm is True, expected a factor from 0.001 to 1000"),
        ("alexnet_b8:cmem_bw=-1", "option cmem_bw is -1, expected a factor"),
        ("alexnet_b8:bw=2", "unknown option of instance 'alexnet_b8': 'bw'"),
        ("./no.json", "no such file"),
        ("./no*.json", "matches no file"),
    ],
)
def test_mistakes(text, says):
    with pytest.raises(UserError) as caught:
        catalogue.named(text)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_and_a_file_without_a_slash(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="is a folder; name its files"):
        catalogue.named(f"{tmp_path}/")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.json").write_text("{}")
    with pytest.raises(UserError, match=r"to read the file of this name write './mine.json'"):
        catalogue.named("mine.json")


def test_a_broken_file_is_named(tmp_path):
    (program,) = catalogue.named("alexnet_b8")
    data = program.to_dict()
    data["instructions"][3]["reads"][0][0] = 999
    (tmp_path / "x.json").write_text(json.dumps(data))
    with pytest.raises(UserError, match=r"x\.json: instructions\[3\]\.reads\[0\]: tensor is 999"):
        MemoryInstance.load(tmp_path / "x.json")
