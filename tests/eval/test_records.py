"""Records: all that ship are certified, damaged and invalid ones are refused, better ones take their place."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from makespan.cli.main import main
from makespan.envs.core.errors import UserError
from makespan.eval.records import certify, folder, keep, objectives, read_record, record_paths

SHIPPED = record_paths()


def _optimised(out: Path, instance: str, env: str, seconds: str = "0.3") -> Path:
    assert main(["optimise", instance, "--env", env, "--agent", "spt", "--seconds", seconds, "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _optimised(tmp_path_factory.mktemp("found") / "ft06", "ft06", "makespan/JobShop-v0:blocking=swap")


def test_records_ship_for_the_three_problems_with_public_instances() -> None:
    assert {path.parent.parent.name for path in SHIPPED} == {"job_shop", "memory_mapping", "soc"}


@pytest.mark.parametrize("room", ["job_shop", "memory_mapping", "soc"])
def test_every_record_is_certified_by_the_validators(room: str) -> None:
    from makespan.eval.records import _known_bound

    paths = [path for path in SHIPPED if path.parent.parent.name == room]
    assert paths
    for path in paths:
        record = read_record(path)  # recomputes objective, instance and hash
        assert path == folder() / room / str(record.judged.variant) / f"{record.judged.instance}.json"
        known = _known_bound(record.judged)
        assert known is not None, f"{path.name}: not a public instance"
        assert not record.judged.better(record.objective, known.value)
        assert certify(path).standing.startswith("record")


def test_what_is_best_known_counts_the_records_held() -> None:
    from makespan.envs.job_shop import known as job_shop
    from makespan.envs.memory_mapping import known as memory
    from makespan.envs.soc import known as soc

    assert json.loads((folder() / "objectives.json").read_text())["objectives"] == objectives()
    for path in SHIPPED:
        data = json.loads(path.read_text())
        name, variant = path.stem, path.parent.name
        if variant in ("swap", "none"):
            upper = job_shop.bounds(name, variant).upper
        elif variant == "judge":
            upper = memory.bounds(name).upper
        else:
            upper = soc.bounds(name).upper
        assert upper is not None
        assert upper <= data["objective"], path


def test_certifying_needs_neither_compiler_nor_solvers(found: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('numba', 'scipy', 'torch', 'highspy', 'ortools', 'matplotlib'): sys.modules[name] = None\n"
        "from makespan.cli.certify import run\n"
        f"sys.exit(run([{str(found)!r}, {', '.join(repr(str(path)) for path in SHIPPED[::20])}]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "ft06: valid" in done.stdout


def test_what_breaks_a_rule_is_named_and_ends_with_1(found: Path, tmp_path: Path, capsys) -> None:
    schedule = json.loads((found / "schedule.json").read_text("utf-8"))
    schedule["start"][0][1] -= 1
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps(schedule), "utf-8")
    assert main(["certify", str(broken)]) == 1
    said = capsys.readouterr().out
    assert "not valid" in said
    assert "job 0" in said


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.json", "", "JSON"),
        ("list.json", "[1]", r"the solution is \[1\], expected an object"),
        ("other.json", '{"format": "makespan/job-shop"}', "format"),
        ("short.json", '{"format": "makespan/job-shop-schedule", "version": 1}', "instance"),
        ("record.json", '{"format": "makespan/record", "version": 1}', "env"),
    ],
)
def test_what_is_no_solution_is_refused_in_a_line(name: str, content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(content, "utf-8")
    with pytest.raises(UserError, match=message):
        certify(path)
    with pytest.raises(UserError, match=r"without schedule\.json"):
        certify(tmp_path)


def test_a_better_solution_takes_the_records_place_and_a_worse_one_does_not(found: Path, tmp_path: Path) -> None:
    records = tmp_path / "records"
    assert keep(found, records).endswith("new")
    at = records / "job_shop" / "swap" / "ft06.json"
    first = read_record(at)
    assert keep(found, records).endswith("the record stays")
    better = tmp_path / "better"
    assert main(["optimise", "ft06", "--env", "makespan/JobShop-v0:blocking=swap", "--seconds", "1", "--agent",
                 "iterated-greedy", "--out", str(better)]) == 0  # fmt: skip
    assert "better than" in keep(better, records)
    second = read_record(at)
    assert second.objective < first.objective
    assert certify(found, records).standing.endswith("bound 63")
    assert "from the record of" in certify(found, records).standing
    keep(found, records)
    assert read_record(at).objective == second.objective


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("objective", 1, "objective is 1, expected"),
        ("hash", "0", "hash is '0', expected"),
        ("instance", "la01", "instance is 'la01', expected 'ft06'"),
        ("options", {"blocking": "none"}, "options is"),
        ("found_by", "", "found_by is '', expected a command"),
        ("bound", {"value": 1e9, "kind": "published", "from": "x"}, "beyond"),
        ("bound", {"value": 1, "kind": "guess", "from": "x"}, "bound.kind is 'guess', expected one of"),
    ],
)
def test_a_record_that_states_what_it_does_not_hold_is_refused(
    key: str, value: object, message: str, found: Path, tmp_path: Path
) -> None:
    keep(found, tmp_path)
    at = tmp_path / "job_shop" / "swap" / "ft06.json"
    data = json.loads(at.read_text("utf-8"))
    data[key] = value
    at.write_text(json.dumps(data), "utf-8")
    with pytest.raises(UserError, match=message):
        certify(at)


def test_another_instance_under_a_public_name_is_no_record(found: Path, tmp_path: Path) -> None:
    records = tmp_path / "records"
    keep(found, records)
    instance = json.loads((found / "schedule.json").read_text("utf-8"))["instance"]
    instance["jobs"][0]["times"][0] += 1
    (tmp_path / "ft06.json").write_text(json.dumps(instance), "utf-8")
    other = _optimised(tmp_path / "other", str(tmp_path / "ft06.json"), "makespan/JobShop-v0:blocking=swap")
    assert "is another instance" in certify(other, records).standing
    with pytest.raises(UserError, match="not one of the public instances"):
        keep(other, records)


def test_keep_wants_what_optimise_wrote(found: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (found / "schedule.json", tmp_path):
        if path == tmp_path:
            (path / "schedule.json").write_bytes((found / "schedule.json").read_bytes())
        assert main(["certify", str(path), "--keep", "--records", str(tmp_path)]) == 2
        said = capsys.readouterr().err
        assert f"option keep: {str(path)!r} is not the folder that 'makespan optimise' wrote" in said


@pytest.mark.parametrize(
    ("source", "kind"), [("cp-sat:workers=2", "CP-SAT"), ("acme-bnb:depth=3", "solver acme-bnb"), (7, None)]
)
def test_a_proof_bears_the_solvers_name(found: Path, tmp_path: Path, source: object, kind: str | None) -> None:
    folder = tmp_path / "found"
    shutil.copytree(found, folder)
    result = json.loads((folder / "result.json").read_text())
    result |= {"bound": 64, "bound_source": source}
    (folder / "result.json").write_text(json.dumps(result))
    if kind is None:
        with pytest.raises(UserError, match=r"result\.json: bound_source is 7, expected"):
            keep(folder, tmp_path)
        return
    keep(folder, tmp_path)
    record = read_record(tmp_path / "job_shop" / "swap" / "ft06.json")
    assert (record.bound.value, record.bound.kind) == (64, kind)
    assert f"{kind} bound 64" in certify(folder, tmp_path).standing


@pytest.mark.parametrize("value", [10**400, -(10**400), True, "63", None])
def test_a_bound_that_is_no_number(tmp_path: Path, value: object) -> None:
    record = json.loads((folder() / "job_shop" / "swap" / "ft06.json").read_text())
    record["bound"]["value"] = value
    (tmp_path / "record.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match=r"bound\.value is"):
        read_record(tmp_path / "record.json")
