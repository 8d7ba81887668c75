"""Sweeps over an environment's options: their curves, and options that stand for an agent's own time."""

from __future__ import annotations

import numpy as np
import pytest
from makespan.envs.core.errors import UserError
from makespan.eval.evaluate import evaluate
from makespan.eval.plan import Request, make_plan
from makespan.eval.store import Store
from makespan.eval.sweep_picture import draw_sweep, swept_options
from makespan.eval.table import make_tables

CHIP = "makespan/SocDag-v0:horizon=400:warmup=0"


def tables_of(*sweep: str):
    plan = make_plan(Request(CHIP, "mct,met", instances="socrates", seeds="0-1", sweep=sweep))
    return make_tables(plan, evaluate(plan, Store(None)))


def test_a_line_for_each_agent_over_each_number_and_a_panel_for_each_choice_of_the_rest():
    tables = tables_of("scale=50,30,40", "noise=0,0.5")
    assert swept_options(tables) == ["scale", "noise"]
    figure = draw_sweep(tables, "scale")
    assert [axes.get_title(loc="left").endswith(text) for axes, text in zip(figure.axes, ("=0", "=0.5"), strict=True)]
    for panel, noise in zip(figure.axes, (0, 0.5), strict=True):
        lines = {line.get_label(): line for line in panel.lines}
        assert list(lines) == ["mct", "met"]
        assert np.asarray(lines["met"].get_xdata()).tolist() == [30, 40, 50]
        mine = {table.variant.options["scale"]: table for table in tables if table.variant.options["noise"] == noise}
        for scale, value in zip((30, 40, 50), np.asarray(lines["met"].get_ydata()).tolist(), strict=True):
            expected = mine[scale].lines[1].relative.mean
            assert expected is not None
            assert value == pytest.approx(100.0 * expected)


def test_what_is_no_number_or_does_not_change_is_not_drawn_over():
    tables = tables_of("arrivals=fixed,exponential", "scale=40")
    assert swept_options(tables) == []


def test_an_agent_pays_for_its_own_time_where_that_is_asked_for():
    plan = make_plan(Request(CHIP, "mct,met", instances="socrates", seeds="0-1", sweep=("overhead_task=0,measured",)))
    rows = evaluate(plan, Store(None))
    free, charged = rows[:4], rows[4:]
    assert all("measured" not in row for row in free)
    for row in charged:
        assert row["env_options"]["overhead_task"] == "measured"
        assert 0.1 < row["measured"]["overhead_task"] < 1e6
    assert sum(row["objective"] for row in charged) > sum(row["objective"] for row in free)


def test_only_options_that_are_numbers_are_measured():
    with pytest.raises(UserError, match="mode"):
        make_plan(Request(f"{CHIP}:mode=measured", "mct", instances="socrates", seeds="0"))
