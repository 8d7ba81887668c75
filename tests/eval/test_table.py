"""One line per agent, and the sentences without which it could be misread."""

from dataclasses import replace

import numpy as np
import pytest
from makespan.eval.evaluate import evaluate
from makespan.eval.pictures import compare, save
from makespan.eval.plan import Request, make_plan
from makespan.eval.report import Report, markdown_table
from makespan.eval.statistics import Estimate
from makespan.eval.store import Store
from makespan.eval.table import cells, decimals, headings, make_notes, make_tables, show_seconds

SHOP = "makespan/JobShop-v0"
THREE = "test/ThreeJobs-v0"


def played(env, agents, **options):
    plan = make_plan(Request(env, agents, **options))
    rows = evaluate(plan, Store(None))
    tables = make_tables(plan, rows)
    return Report(plan, rows, tables, make_notes(plan, rows, tables))


def set_objectives(report, **objectives):
    """The report that other objectives would have given."""
    rows = [dict(row) for row in report.rows]
    for agent, values in objectives.items():
        for row, value in zip([row for row in rows if row["agent"] == agent], values, strict=True):
            row["objective"] = value
    tables = make_tables(report.plan, rows)
    return Report(report.plan, rows, tables, make_notes(report.plan, rows, tables))


@pytest.fixture(scope="module")
def shop():
    return played(SHOP, "spt,mwkr,random", instances="ft06,la01", seeds="0-1")


def test_a_line_is_the_mean_over_pairs(shop):
    report = set_objectives(shop, spt=[100, 100, 200, 200], mwkr=[90, 100, 220, 150])
    spt, mwkr, _ = report.tables[0].lines
    assert (spt.objective.mean, mwkr.objective.mean) == (150, 140)
    assert mwkr.relative.mean == pytest.approx((-0.1 + 0.0 + 0.1 - 0.25) / 4)
    assert mwkr.win_rate.mean == pytest.approx((1 + 0.5 + 0 + 1) / 4)
    assert (spt.relative.mean, spt.win_rate.mean) == (0, 0.5)
    assert mwkr.relative.low is not None
    assert mwkr.relative.high is not None
    assert mwkr.relative.low < -0.0625 < mwkr.relative.high


def test_an_agent_that_is_always_ten_percent_below_has_a_point_for_an_interval(shop):
    report = set_objectives(shop, spt=[100, 110, 2000, 2100], mwkr=[90, 99, 1800, 1890])
    mwkr = report.tables[0].lines[1]
    assert (mwkr.relative.low, mwkr.relative.high) == pytest.approx((-0.1, -0.1))
    assert mwkr.objective.high is not None
    assert mwkr.objective.low is not None
    assert mwkr.objective.high - mwkr.objective.low > 1000  # pairing removes what instances have in common


def test_time_is_that_of_all_decisions(shop):
    rows = [
        {**row, "decisions": d, "seconds_per_decision": s}
        for row, d, s in zip(shop.rows, [1, 3, 0, 0] * 3, [1.0, 2.0, None, None] * 3, strict=True)
    ]
    line = make_tables(shop.plan, rows)[0].lines[0]
    assert line.seconds_per_decision == pytest.approx((1 * 1.0 + 3 * 2.0) / 4)


def test_objectives_of_many_digits_are_readable():
    forms = {mean: decimals(mean, 4).format(mean) for mean in (0.5, 1060.5, 99999.0, 5148747367.25)}
    assert list(forms.values()) == ["0.500", "1060", "99,999", "5,148,747,367"]


def test_markdown_and_cells(shop):
    table = shop.tables[0]
    assert headings(table)[3] == "against spt"
    row = cells(table)[0]
    assert row[0] == "spt"
    assert row[3] == row[4] == "-"
    assert row[6:] == ["0", "0"]
    lines = markdown_table(headings(table), cells(table))
    assert lines[1] == "| --- |" + " ---: |" * 7
    assert len(lines) == 5


def test_objectives_are_shown_in_the_unit_that_the_environment_names(shop):
    objective = {**shop.plan.objective, "unit": "milli-hours", "shown_unit": "h", "shown_divisor": 1000}
    plan = replace(shop.plan, objective=objective)
    tables = make_tables(plan, set_objectives(shop, spt=[1000, 2000, 3000, 4000]).rows)
    assert tables[0].lines[0].objective.mean == 2500  # inside and in files nothing changes
    assert tables[0].to_dict()["agents"][0]["objective"]["mean"] == 2500
    assert headings(tables[0])[1] == "objective (h)"
    assert cells(tables[0])[0][1].startswith("2.5000 [")
    note = "Objective: makespan (h), smaller is better. The files of results hold it in milli-hours."
    assert make_notes(plan, shop.rows, tables)[0] == note
    plain = "Objective: makespan (time units of the instance), smaller is better."
    assert shop.notes[0] == plain
    assert headings(shop.tables[0])[1] == "objective"
    no_gaps = [replace(t, lines=tuple(replace(x, gap=Estimate(None, None, None, 0)) for x in t.lines)) for t in tables]
    axes = compare(no_gaps).axes[0]
    assert axes.get_xlabel().startswith("objective (h), mean")
    ends = [np.asarray(line.get_xdata())[-1:] for line in axes.lines]
    assert np.concatenate(ends).max() < 10


@pytest.mark.parametrize(
    "seconds, text",
    [(None, "-"), (2.0, "2 s"), (0.0123, "12.3 ms"), (4.5e-6, "4.5 µs"), (3e-8, "30 ns")],
)
def test_times_are_readable(seconds, text):
    assert show_seconds(seconds) == text


def has(report, text):
    return any(text in note for note in report.notes)


def test_notes_say_what_the_seeds_are_worth(shop):
    assert has(shop, "seeds differ for agents that draw by chance alone")
    assert has(shop, "Every agent met the same 4 worlds: 2 instances, seeds 0-1.")
    assert has(shop, "12 rows against the best known objective")
    assert has(shop, "Every episode finished, and the validator refuses no schedule.")
    assert not has(shop, "Hindsight")


def test_notes_warn_of_few_instances_and_of_zeros(shop):
    assert has(shop, "2 instances are few")
    assert not has(shop, "not above 0")
    report = set_objectives(shop, spt=[0, 0, 100, 100], mwkr=[5, 5, 90, 90])
    assert has(report, "2 worlds in which the reference is not above 0 are left out")
    assert report.tables[0].lines[1].relative.mean == pytest.approx(-0.1)


def test_hindsight_is_called_that():
    report = played(SHOP + ":law=bernoulli", "spt,random:samples=2", instances="ft06", seeds="0-1")
    assert has(report, "Hindsight: random:samples=2 played each world several times")
    assert has(report, "4 rows against a proved bound")
    assert has(report, "bootstrap over the worlds of the one instance")


def test_one_world_has_no_intervals():
    report = played(SHOP, "spt", instances="ft06")
    assert has(report, "One world: there are no intervals")
    assert "[" not in cells(report.tables[0])[0][1]


def test_what_does_not_finish_is_counted():
    report = played(SHOP + ":blocking=no-swap", "spt", instances="la01-la05")
    line = report.tables[0].lines[0]
    assert line.unfinished == sum(row["metrics"]["deadlock"] for row in report.rows) > 0
    assert has(report, f"spt: {line.unfinished} episodes did not finish ({line.unfinished} deadlock)")
    assert line.invalid == 0


def test_what_is_refused_is_counted():
    report = played("test/Refused-v0", "random", instances="short1,long1")
    assert report.tables[0].lines[0].invalid == 2
    assert has(
        report, "INVALID: the validator refuses 2 schedules; the first is that of random on 'short1', seed 0: it is"
    )


def test_each_variant_has_its_best_rule():
    report = played(SHOP, "best-rule", instances="ft06", sweep=("law=none,bernoulli",))
    named = [note for note in report.notes if note.startswith("best-rule under ")]
    assert [note.split()[2] for note in named] == [f"{SHOP}:law=none:", f"{SHOP}:law=bernoulli:"]


def test_the_picture_shows_gaps_else_objectives(shop, tmp_path):
    gaps = compare(shop.tables)
    assert "gap" in gaps.axes[0].get_xlabel()
    assert [label.get_text() for label in gaps.axes[0].get_yticklabels()] == ["spt", "mwkr", "random"]
    unknown = compare(played(THREE, "random", instances="long1", seeds="0-1").tables)
    assert "objective" in unknown.axes[0].get_xlabel()
    save(gaps, tmp_path / "x.svg")
    assert (tmp_path / "x.svg").read_bytes().startswith(b"<?xml")
