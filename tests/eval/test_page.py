"""`makespan report`: what stands in the file, that nothing can run in it, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from pathlib import Path

import makespan
import pytest
from makespan.cli.main import main
from makespan.eval.page import charts, document
from makespan.eval.page.compare import end_of_view
from support.pages import Page, without_tokens

SHOP = "makespan/JobShop-v0:law=bernoulli:p=0.01"


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "shop"
    given = [SHOP, "--agents", "spt,mwkr,random", "--instances", "ft06,la01", "--seeds", "0-2", "--reference", "spt"]
    assert main(["evaluate", *given, "--out", str(folder)]) == 0
    return folder


def written(*arguments: str | Path) -> Page:
    *words, out = map(str, arguments)
    assert main(["report", *words, "--out", out]) == 0
    return Page(Path(out).read_text("utf-8"))


@pytest.fixture(scope="module")
def page(results, tmp_path_factory) -> Page:
    return written(results, tmp_path_factory.mktemp("page") / "x.html")


def rows_of(folder: Path) -> list[dict]:
    return json.loads((folder / "results.json").read_text())


def test_the_table_holds_what_was_measured(results, page):
    rows, table = rows_of(results), page.table(f"Agents on {SHOP}")
    assert [row["agent"][0] for row in table] == ["spt|reference", "mwkr", "random"]
    for line in table:
        agent = line["agent"][0].partition("|")[0]
        mine = [row for row in rows if row["agent"] == agent]
        mean = sum(row["objective"] for row in mine) / len(mine)
        text, order = line["objective, smaller is better"]
        assert float(order or "nan") == pytest.approx(mean)
        assert float(text.partition("|")[0]) == pytest.approx(mean, rel=1e-4)
        assert re.search(r"\|\[.+, .+\]$", text), "an interval below it"
        gap = sum(row["gap"] for row in mine) / len(mine)
        assert float(line["gap to the proved bound"][1] or "nan") == pytest.approx(gap)
        assert line["n"] == ("6|2 instances", "6.0")
        assert float(line["time per decision"][1] or "nan") > 0
    spt, mwkr = ([row["objective"] for row in rows if row["agent"] == agent] for agent in ("spt", "mwkr"))
    difference = sum(ours / theirs - 1 for ours, theirs in zip(mwkr, spt, strict=True)) / len(spt)
    assert float(table[1]["paired difference to the reference"][1] or "nan") == pytest.approx(difference)


def test_the_summary_names_the_best_agent_of_each_environment(results, page):
    (line,) = page.table("The best agent")
    means = {}
    for row in rows_of(results):
        means.setdefault(row["agent"], []).append(row["objective"])
    best = min(means, key=lambda agent: sum(means[agent]))
    assert line["environment"][0] == SHOP
    assert line["best mean objective"][0] == best
    assert line["worlds"][0] == "6"


def test_the_gap_to_an_optimum_is_told_from_one_to_a_bound(tmp_path):
    given = ["makespan/JobShop-v0", "--agents", "spt,mwkr", "--instances", "ft06,random:size=3x3:count=1:seed=1"]
    assert main(["evaluate", *given, "--out", str(tmp_path / "x")]) == 0
    line = written(tmp_path / "x", tmp_path / "x.html").table("Agents on makespan/JobShop-v0")[0]
    assert line["gap to the optimum or proved bound"][0].endswith("|optimum: 1|proved bound: 1")


def test_commands_versions_and_seeds_stand_in_it(results, page):
    run = json.loads((results / "run.json").read_text())
    assert run["command"] in page.text
    assert f"makespan report {results}" in page.text
    for name, version in run["versions"].items():
        assert f"{name} {version}" in page.text
    assert "seeds of the worlds0-2" in page.text
    assert run["fingerprint"] in page.text


def test_every_picture_is_one_that_plotly_knows(page):
    go = pytest.importorskip("plotly.graph_objects")
    assert len(page.figures) == 5, "gaps, profile, three schedules"
    for _, figure in page.figures:
        go.Figure(without_tokens(figure))  # raises where a property is unknown or a value is not one of its


def test_gaps_are_drawn_world_by_world(results, page):
    figure = page.figure("Gaps of the agents")
    dots = [trace for trace in figure["data"] if len(trace["x"]) > 1]
    assert len(dots) == 3
    expected = sorted(100 * row["gap"] for row in rows_of(results) if row["agent"] == "spt")
    assert dots[0]["x"] == pytest.approx(expected)
    assert "seed" in dots[0]["text"][0]
    symbols = {trace["marker"]["symbol"] for trace in dots}
    assert len(symbols) == 3, "agents are told apart without colours"


def test_a_profile_is_the_share_of_worlds_within_a_gap(results, page):
    figure = page.figure("Performance profile")
    for trace in figure["data"]:
        gaps = [100 * row["gap"] for row in rows_of(results) if row["agent"] == trace["name"]]
        for level, share in zip(trace["x"], trace["y"], strict=True):
            assert share == pytest.approx(100 * sum(gap <= level + 1e-9 for gap in gaps) / len(gaps), abs=1e-3)
        assert trace["y"][-1] == 100
    assert len({trace["line"]["dash"] for trace in figure["data"]}) == 3
    assert len({trace["marker"]["symbol"] for trace in figure["data"]}) == 3


@pytest.mark.parametrize(
    ("most", "end"), [([1.0, 30.0, 2.0], 2.2), ([1.0, 3.0, 2.0], None), ([1.0, 30.0], None), ([0.0, 0.0, 5.0], None)]
)
def test_one_agent_far_behind_does_not_squeeze_a_profile(most, end):
    assert end_of_view(most) == (None if end is None else pytest.approx(end))


def test_a_schedule_tells_task_start_end_and_machine(results, page):
    figure = page.figure("Schedule of spt")
    work = next(trace for trace in figure["data"] if trace["name"] == "processing" and "customdata" in trace)
    makespan = next(row["objective"] for row in rows_of(results) if row["agent"] == "spt")
    assert max(float(told[2]) for told in work["customdata"]) == makespan
    name, start, end, length, detail, machine = work["customdata"][0]
    assert re.fullmatch(r"job \d, operation \d", name)
    assert int(end) - int(start) == int(length)
    assert "processing time" in detail
    assert machine in "012345"
    for part in ("machine", "start", "end"):
        assert part in work["hovertemplate"]
    down = next(trace for trace in figure["data"] if trace["name"] == "machine down")
    assert down["marker"]["pattern"]["shape"]


def test_it_loads_nothing_and_runs_only_its_own_scripts(results, page):
    links = {attributes.get("href") for name, attributes in page.elements if name in ("a", "link")}
    assert all(link == "data:," or re.fullmatch(r"#[a-z0-9-]+", str(link)) for link in links)
    targets = {attributes.get("id") for _, attributes in page.elements}
    assert {str(link)[1:] for link in links if str(link).startswith("#")} <= targets
    assert not [attributes for _, attributes in page.elements if "src" in attributes or "srcset" in attributes]
    assert "url(" not in page.style
    assert "@import" not in page.style
    policy = next(str(m["content"]) for m in page.named("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in page.scripts]
    assert len(hashes) == 2
    assert re.findall(r"sha256-([^']+)'", policy) == hashes


def test_it_is_small_and_the_same_each_time(results, page, tmp_path):
    for name in ("one.html", "two.html"):
        assert main(["report", str(results), "--title", "x", "--out", str(tmp_path / name)]) == 0
    one, two = ((tmp_path / name).read_text("utf-8") for name in ("one.html", "two.html"))
    assert one.replace("one.html", "two.html") == two
    assert len(one.encode()) < 6 * 2**20


def test_phones_and_dark_pages_are_thought_of(page):
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.named("meta")
    assert "prefers-color-scheme: dark" in page.style
    assert "max-width: 40rem" in page.style


def test_without_an_out_it_lies_in_the_folder(results, tmp_path, capsys):
    folder = shutil.copytree(results, tmp_path / "x")
    assert main(["report", str(folder), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["report"] == str(folder / "report.html")
    assert said["bytes"] == (folder / "report.html").stat().st_size
    assert (said["evaluations"], said["training_runs"], said["left_out"]) == (1, 0, 0)
    # An evaluation that is begun anew takes its report away.
    again = ["evaluate", SHOP, "--agents", "spt", "--instances", "ft06", "--out", str(folder), "--overwrite"]
    assert main(again) == 0
    assert not (folder / "report.html").exists()


# --- what stands in names ---------------------------------------------------------------------------------------------

EVIL = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    '"><img src=x onerror=alert(3)>',
    "'onmouseover='alert(4)",
    "<!--plot 0--><!--",
    "@ink",
    "%{x}<a href='javascript:alert(5)'>y</a>",
    "]]>\u2028&lt;b&gt;",
)


@pytest.mark.parametrize("evil", EVIL)
def test_no_name_can_put_anything_into_the_page(results, page, tmp_path, evil):
    folder = shutil.copytree(results, tmp_path / "x")
    rows = rows_of(folder)
    for row in rows:
        if row["agent"] == "mwkr":
            row["agent"] = evil
            row["remark"] = evil
        if row["instance"] == "ft06":
            row["instance"] = evil
    (folder / "results.json").write_text(json.dumps(rows))
    run = json.loads((folder / "run.json").read_text())
    run["command"], run["versions"][evil], run["options"]["instances"], run["created"] = evil, evil, evil, evil
    (folder / "run.json").write_text(json.dumps(run))
    plain, page = page, written(folder, "--title", evil, tmp_path / "x.html")
    assert page.scripts == plain.scripts
    # The remark is one more point of a list.
    found, expected = ([name for name, _ in one.elements if name != "li"] for one in (page, plain))
    assert found == expected
    allowed = {key for _, attributes in plain.elements for key in attributes}
    assert {key for _, attributes in page.elements for key in attributes} == allowed
    assert evil in page.text
    assert page.table("Agents on")[1]["agent"][0] == evil
    for _, figure in page.figures:
        words = _texts(figure)
        assert not [word for word in words if re.search(r"<(?!/?b>|br>|extra>|/extra>)", word)], (
            "a tag that is not ours"
        )
    profile = page.figure("Performance profile")["data"][1]
    assert "%{x}" not in profile["hovertemplate"].replace("%{x:.4~g}", "")


def _texts(data: object) -> list[str]:
    if isinstance(data, str):
        return [data]
    parts = list(data.values()) if isinstance(data, dict) else data if isinstance(data, list) else []
    return [text for part in parts for text in _texts(part)]


def test_names_within_schedules_are_escaped(results, tmp_path):
    """What a schedule's own document says, the instance's name among it, comes through the environment."""
    folder = shutil.copytree(results, tmp_path / "x")
    for part in (folder / "schedules").glob("*.json"):
        document = json.loads(part.read_text())
        for entry in document["entries"]:
            entry["schedule"]["instance"]["name"] = "<img src=x onerror=alert(1)>"
        part.write_text(json.dumps(document))
    page = written(folder, tmp_path / "x.html")
    assert page.named("img") == []
    assert "<img src=x onerror=alert(1)>, blocking with swaps" in page.text


# --- several ----------------------------------------------------------------------------------------------------------


def test_each_choice_of_swept_options_has_a_table(tmp_path):
    given = [
        "makespan/JobShop-v0:law=bernoulli",
        "--agents",
        "spt,mwkr",
        "--instances",
        "ft06",
        "--sweep",
        "p=0.01,0.05",
    ]
    assert main(["evaluate", *given, "--seeds", "0-1", "--out", str(tmp_path / "x")]) == 0
    page = written(tmp_path / "x", tmp_path / "x.html")
    assert len(page.table("Agents on makespan/JobShop-v0:law=bernoulli:p=0.01")) == 2
    assert len(page.table("Agents on makespan/JobShop-v0:law=bernoulli:p=0.05")) == 2
    assert len(page.table("The best agent")) == 2


def test_an_environment_without_charts_is_told_of_in_one_sentence(tmp_path):
    given = ["test/ThreeJobs-v0", "--agents", "random,random:samples=8", "--seeds", "0-5"]
    assert main(["evaluate", *given, "--out", str(tmp_path / "x")]) == 0
    page = written(tmp_path / "x", tmp_path / "x.html")
    assert "environment 'test/ThreeJobs-v0' has no interactive pictures: it offers no chart(schedule)" in page.text
    assert [title.partition(" of ")[0] for title, _ in page.figures] == ["Objectives", "Performance profile"]
    assert "gap to the best of these agents (%)" in page.figures[1][1]["layout"]["xaxis"]["title"]["text"]


def test_shares_of_what_is_not_above_zero_are_not_formed(tmp_path):
    given = ["makespan/AirMobility-v0", "--agents", "random,greedy-profit", "--instances", "la8-low", "--seeds", "0-1"]
    assert main(["evaluate", *given, "--reference", "random", "--out", str(tmp_path / "x")]) == 0
    rows = rows_of(tmp_path / "x")
    assert all(row["objective"] < 0 for row in rows if row["agent"] == "random")
    page = written(tmp_path / "x", "--schedules", "0", tmp_path / "x.html")
    (line,) = [line for line in page.table("Agents on makespan/AirMobility-v0") if line["agent"][0] == "greedy-profit"]
    shown, _ = line["paired difference to the reference ($)"]
    of = {a: sum(row["objective"] for row in rows if row["agent"] == a) / 2e6 for a in ("random", "greedy-profit")}
    expected = of["greedy-profit"] - of["random"]
    assert float(shown.partition("|")[0].replace(",", "")) == pytest.approx(expected, rel=1e-3)
    assert shown.startswith("+")


def test_a_folder_of_folders_stands_for_all_of_them(results, tmp_path):
    for name in ("a", "b"):
        shutil.copytree(results, tmp_path / "all" / name)
    page = written(tmp_path / "all", tmp_path / "x.html")
    assert len(page.table("The best agent")) == 2
    assert "2 evaluations, 12 worlds" in page.text


SUITE = """
title = "Tiny"
reference = "rule"
roles = ["rule", "learned"]
[[problem]]
name = "shop"
title = "Shop"
env = "makespan/JobShop-v0"
instances = "ft06,la01,la02"
baseline = "random"
[problem.roles]
rule = "mwkr"
learned = "spt"
"""


def test_a_suite_has_its_aggregates(tmp_path):
    (tmp_path / "tiny.toml").write_text(SUITE)
    assert main(["evaluate", "--suite", str(tmp_path / "tiny.toml"), "--out", str(tmp_path / "x")]) == 0
    page = written(tmp_path / "x", tmp_path / "x.html")
    roles = page.table("Roles over all problems")
    assert [line["role"][0] for line in roles] == ["baseline", "rule", "learned"]
    assert page.figure("Performance profiles of the roles")["data"][1]["name"] == "rule"
    assert len(page.table("Agents on makespan/JobShop-v0")) == 3


# --- training ---------------------------------------------------------------------------------------------------------


def make_run(folder: Path, entries: dict[str, list[tuple[int, float]]]) -> Path:
    """The folder of a training run with logs."""
    pytest.importorskip("tensorboard")
    from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]
    from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    folder.mkdir(parents=True)
    config = {"env": "makespan/AirMobility-v0", "agent": "scorer", "seed": 3, "minutes": None}
    head = {"format": "makespan/training-run", "version": 1, "command": "train"}
    (folder / "run.json").write_text(json.dumps({**head, "config": config}))
    writer = EventFileWriter(str(folder / "tensorboard"))
    for tag, points in entries.items():
        for step, value in points:
            summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
            writer.add_event(Event(wall_time=1000.0 + step, step=step, summary=summary))
    writer.close()
    return folder


LOGS = {
    "validation/objective": [(0, 1e6), (60, 3e6), (120, 5e6)],
    "validation/best_rule_objective": [(0, 2e6), (120, 2e6)],
    "train/loss": [(60, 0.5), (120, float("nan"))],
}


def test_training_curves_come_from_the_runs_logs(tmp_path):
    one, two = (make_run(tmp_path / name, LOGS) for name in ("one", "two"))
    page = written("--training", one, two, tmp_path / "x.html")
    curves = page.figure("validation/objective of the training runs on makespan/AirMobility-v0")["data"]
    assert [trace["name"] for trace in curves] == [str(one), str(two), "best rule"]
    assert curves[0]["x"] == [0, 60, 120]
    assert curves[0]["y"] == [1.0, 3.0, 5.0], "dollars, as the environment shows them"
    assert curves[0]["customdata"] == [0.0, 1.0, 2.0], "minutes"
    assert curves[2]["y"] == [2.0, 2.0]
    assert page.figure("train/loss")["data"][0]["y"] == [0.5], "what is no number is left out"
    assert f"makespan train makespan/AirMobility-v0 --agent scorer --out {one} --seed 3" in page.text
    assert [line["run"][0] for line in page.table("Training runs")] == [str(one), str(two)]


def test_a_checkpoint_without_logs_tells_what_its_card_says(tmp_path):
    folder = Path(str(makespan.__file__)).parent / "checkpoints" / "job_shop_scorer"
    card = json.loads((folder / "card.json").read_text())
    page = written("--training", folder, tmp_path / "x.html")
    (line,) = page.table("Training runs")
    expected = card["training"]["validation"]["mean_objective"]
    assert float(line["best validation objective"][1] or "nan") == expected
    assert "holds no training logs" in page.text
    assert card["training"]["command"] in page.text
    assert page.figures == []


# --- too large, and what is refused -----------------------------------------------------------------------------------


def test_what_would_make_it_too_large_is_left_out_and_said_so(results, tmp_path, monkeypatch, capsys):
    whole = written(results, tmp_path / "whole.html")
    size = (tmp_path / "whole.html").stat().st_size
    monkeypatch.setattr(document, "MOST_BYTES", size - 100)
    page = written(results, tmp_path / "x.html")
    assert len(page.figures) == len(whole.figures) - 1
    assert "left out, to keep this file below" in page.text
    assert "1 picture of schedules left out" in capsys.readouterr().out
    assert (tmp_path / "x.html").stat().st_size < size


def test_a_file_that_cannot_be_small_enough_is_not_written(results, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(document, "MOST_BYTES", 100_000)
    assert main(["report", str(results), "--out", str(tmp_path / "x.html")]) == 2
    assert "report fewer evaluations at once" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_of_very_many_marks_the_first_are_drawn(results, tmp_path, monkeypatch):
    monkeypatch.setattr(charts, "MOST_MARKS", 5)
    page = written(results, tmp_path / "x.html")
    assert "Of 36 marks 'processing' the first 5 are drawn." in page.text
    work = [trace for trace in page.figure("Schedule of spt")["data"] if "customdata" in trace]
    assert all(len(trace["customdata"]) <= 5 for trace in work)


def damaged(results: Path, folder: Path, file: str, change) -> Path:
    copy = shutil.copytree(results, folder / "damaged")
    document = json.loads((copy / file).read_text())
    change(document)
    (copy / file).write_text(json.dumps(document))
    return copy


def _without(key: str):
    return lambda rows: rows[3].pop(key)


def _with(number: int, key: str, value: object):
    return lambda rows: rows[number].__setitem__(key, value)


DAMAGES = {
    "no batch": ("results.json", _without("batch"), "rows[3]: batch is None"),
    "a text for a number": ("results.json", _with(0, "objective", "7"), "rows[0]: objective is '7'"),
    "infinity": ("results.json", _with(0, "objective", float("inf")), "results.json"),
    "true for a number": ("results.json", _with(1, "seed", True), "rows[1]: seed is True"),
    "a list of numbers": ("results.json", lambda rows: rows.__setitem__(0, 3), "not a list of rows"),
    "no rows": ("results.json", lambda rows: rows.clear(), "holds no rows"),
    "a row too few": ("results.json", lambda rows: rows.pop(), "rows are not those of every agent in the same worlds"),
    "another world": ("results.json", _with(9, "seed", 77), "rows are not those of every agent in the same worlds"),
    "an unknown environment": (
        "results.json", lambda rows: [row.update(env="mine/Gone-v0") for row in rows], "unknown environment 'mine/Gone",
    ),
    "no command": ("run.json", lambda run: run.pop("command"), "command is None"),
    "strange options": ("run.json", lambda run: run.update(options={"agents": 3}), "options is"),
    "another format": ("run.json", lambda run: run.update(format="else"), "format"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder_is_one_line(results, tmp_path, capsys, damage):
    file, change, said = DAMAGES[damage]
    folder = damaged(results, tmp_path, file, change)
    assert main(["report", str(folder), "--out", str(tmp_path / "x.html")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "x.html").exists()


def test_what_is_no_results_is_refused_in_one_line(results, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    unfinished = shutil.copytree(results, tmp_path / "unfinished")
    (unfinished / "results.json").unlink()
    anytime = tmp_path / "anytime"
    anytime.mkdir()
    (anytime / "anytime.json").write_text("[]")
    out = ["--out", str(tmp_path / "x.html")]
    cases = {
        "nothing to report": out,
        "no such folder": [str(tmp_path / "missing"), *out],
        "is not the folder of an evaluation": [str(tmp_path / "empty"), *out],
        "results": [str(tmp_path / "file"), *out],
        "holds an unfinished evaluation": [str(unfinished), *out],
        "holds an anytime evaluation": [str(anytime), *out],
        "ends in .html": [str(results), "--out", str(tmp_path / "x.pdf")],
        "option schedules is -1": [str(results), "--schedules", "-1", *out],
        "training": ["--training", str(tmp_path / "missing"), *out],
        "neither the folder of a training run": ["--training", str(tmp_path / "empty"), *out],
        "cannot write": [str(results), "--out", str(tmp_path / "none" / "x.html")],
    }
    for said, arguments in cases.items():
        assert main(["report", *arguments]) == 2, said
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["anytime", "empty", "file", "unfinished"]


def test_damaged_logs_and_runs_are_one_line(tmp_path, capsys):
    run = make_run(tmp_path / "run", LOGS)
    (run / "run.json").write_text(json.dumps({"format": "makespan/training-run", "version": 1, "config": 3}))
    assert main(["report", "--training", str(run), "--out", str(tmp_path / "x.html")]) == 2
    error = capsys.readouterr().err
    assert "config is 3, expected what train wrote" in error
    assert error.count("\n") == 1
