"""`makespan show` of environments that offer less than others."""

from __future__ import annotations

from makespan.cli.main import main


def test_an_environment_without_a_trace_says_so(tmp_path, capsys):
    results, out = tmp_path / "x", tmp_path / "x.json"
    given = ["test/ThreeJobs-v0", "--agents", "random", "--instances", "short1", "--seeds", "0"]
    assert main(["evaluate", *given, "--out", str(results)]) == 0
    capsys.readouterr()
    assert main(["show", str(results), "--format", "perfetto", "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert "environment 'test/ThreeJobs-v0' has no trace: its schedules offer no trace()" in error
    assert error.count("\n") == 1
    assert not out.exists()
    assert main(["show", str(results), "--format", "json", "--out", str(out)]) == 0
    assert out.exists()


def test_an_environment_without_an_animation_says_so(tmp_path, capsys):
    results, out = tmp_path / "x", tmp_path / "x.gif"
    given = ["makespan/JobShop-v0", "--agents", "spt", "--instances", "ft06", "--seeds", "0"]
    assert main(["evaluate", *given, "--out", str(results)]) == 0
    capsys.readouterr()
    assert main(["show", str(results), "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert "environment 'makespan/JobShop-v0' has no animation: it offers no animate(schedule, path)" in error
    assert error.count("\n") == 1
    assert not out.exists()
