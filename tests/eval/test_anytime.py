"""Anytime play: how agents' work grows, what is measured, and what the table says at equal CPU seconds."""

import time
from dataclasses import replace

import numpy as np
import pytest
from makespan.agents.agent import Agent
from makespan.envs.core.errors import UnknownNameError, UserError
from makespan.eval import anytime as module
from makespan.eval.anytime import play_anytime
from makespan.eval.anytime_picture import draw_anytime
from makespan.eval.anytime_report import cells, headings, make_report
from makespan.eval.evaluate import evaluate
from makespan.eval.ladder import ladder_of, parse_budgets
from makespan.eval.plan import Request, make_plan
from makespan.eval.store import Store

SHOP = "makespan/JobShop-v0"
THREE = "test/ThreeJobs-v0"


def plan_of(env, agents, anytime="0.1", **options):
    return make_plan(Request(env, agents, anytime=anytime, **options))


@pytest.mark.parametrize(
    "text, message",
    [
        ("0", "'0' is not"),
        ("0.1,-1", "'-1' is not"),
        ("0.1,nan", "'nan' is not"),
        ("1,true", "'true' is not"),
        ("soon", "'soon' is not"),
        ("1,0.1", "0.1 comes after 1"),
        ("1,1", "1 comes after 1"),
        ("", "empty item"),
        ("1e9", "at most 1e+06"),
    ],
)
def test_budgets_that_are_none(text, message):
    with pytest.raises(UserError, match="option anytime") as caught:
        parse_budgets(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_budgets_are_cpu_seconds_of_agents_alone():
    with pytest.raises(UserError, match="option device is 'cuda'"):
        plan_of(THREE, "random", device="cuda")
    with pytest.raises(UserError, match="option reference has no meaning"):
        plan_of(THREE, "random", reference="random")


@pytest.mark.parametrize(
    "agent, option, most",
    [
        ("mwkr", "", None),
        ("best-rule:hindsight=1", "", None),
        ("rollout:of=spt+mwkr:worlds=8", "", None),
        ("checkpoints/x", "", None),
        ("checkpoints/x:temperature=0.3", "samples", None),
        ("checkpoints/x:greedy=false", "samples", None),
        ("checkpoints/x:samples=64", "samples", 64),
        ("checkpoints/x:beam=8", "beam", 8),
        ("random", "samples", None),
        ("beam:wait=false", "width", None),
        ("beam:width=100", "width", 100),
        ("cp-sat", "time", None),
        ("cp-plan:time=2:repair=resolve", "time", 2),
    ],
)
def test_what_grows(agent, option, most):
    ladder = ladder_of(agent)
    assert ladder.option == option
    if most is not None:
        assert ladder.most == most
    if option:
        assert f":{option}=3" in ladder.agent(3)
        assert ladder.agent(3).count(option) == 1
    else:
        assert ladder.agent(3) == agent


def test_tries_grow_until_the_budget_is_used_and_the_best_counts():
    (points,) = play_anytime(plan_of(SHOP, "random", "0.05,0.1", instances="la02"), Store(None))
    seconds, works = ([point[key] for point in points] for key in ("cpu_seconds", "work"))
    assert works[:4] == [1, 2, 4, 8]
    assert seconds == sorted(seconds)
    assert 0.05 < seconds[-1] < 0.2
    objectives = [point["objective"] for point in points]
    assert objectives == sorted(objectives, reverse=True)
    assert all(point["valid"] for point in points)
    # The same tries as those of the agent that plays so many at once.
    tried = evaluate(make_plan(Request(SHOP, "random:samples=8,random:samples=16", "la02")), Store(None))
    assert [row["objective"] for row in tried] == [objectives[works.index(8)], objectives[works.index(16)]]


def test_the_value_given_is_the_last():
    (points,) = play_anytime(plan_of(SHOP, "random:samples=6", "10", instances="la02"), Store(None))
    assert [point["work"] for point in points] == [1, 2, 4, 6]
    (points,) = play_anytime(plan_of(SHOP, "beam:width=3", "10", instances="la02"), Store(None))
    assert [point["work"] for point in points] == [1, 2, 3]
    assert [point["option"] for point in points] == ["width"] * 3


def test_nobody_goes_on_at_a_proved_bound():
    worlds = play_anytime(plan_of(THREE, "random", "60", instances="short2", seeds="0-1"), Store(None))
    assert [points[-1]["objective"] for points in worlds] == [8, 8]
    assert [points[-1]["gap"] for points in worlds] == [0, 0]


class Spinner(Agent):
    """A solver that needs one and a half times the CPU seconds of its limit."""

    follows_plan = True

    def __init__(self, text):
        self.name = text
        self.limit = float(text.rpartition("=")[2])

    def begin(self, copies, instances, keys, imagine):
        end = time.process_time() + 1.5 * self.limit
        while time.process_time() < end:
            pass

    def act(self, observation, mask):
        return mask.argmax(axis=1).astype(np.int64)


def test_solvers_are_brought_below_the_budget(monkeypatch):
    monkeypatch.setattr(module, "make_agent", lambda text, setting: Spinner(text if "=" in text else f"{text}=0"))
    plan = plan_of(SHOP, "cp-sat", "0.2", instances="ft06,la01")
    first, second = play_anytime(plan, Store(None))
    assert [point["option"] for point in first] == ["time", "time"]
    within = [point for point in first if point["cpu_seconds"] <= 0.2]
    assert len(within) == 1
    assert within[0]["cpu_seconds"] > 0.1
    assert within[0]["work"] == pytest.approx(0.2 * 0.93 / 1.5, rel=0.2)
    # What was learned in the first world holds in the second.
    assert second[0]["work"] == pytest.approx(within[0]["work"])


def test_a_solver_that_is_done_is_not_asked_again():
    (points,) = play_anytime(plan_of(f"{SHOP}:blocking=none", "cp-sat", "5,50", instances="ft06"), Store(None))
    assert [(point["objective"], point["gap"]) for point in points] == [(55, 0.0)]
    assert points[0]["cpu_seconds"] < 5


def test_agents_are_made_before_any_plays():
    told = []
    with pytest.raises(UnknownNameError, match="did you mean 'mwkr'"):
        play_anytime(plan_of(SHOP, "spt,mwkrr", instances="ft06"), Store(None), lambda agent, cases: told.append(agent))
    assert told == []


def test_a_store_that_has_worlds_is_only_completed():
    plan = plan_of(SHOP, "spt,random", instances="ft06,la01")
    whole, part = Store(None), Store(None)
    play_anytime(plan, whole)
    part.rows = {key: row for number, (key, row) in enumerate(whole.rows.items()) if number % 2}
    kept, told = dict(part.rows), []
    worlds = play_anytime(plan, part, lambda agent, cases: told.append(cases))
    assert all(part.rows[key] is row for key, row in kept.items())
    assert len(worlds) == sum(told) == 4


def made_up(plan, *ladders):
    """Worlds with points ``(work, CPU seconds, gap)``."""
    worlds = []
    for ladder, case in zip(ladders, [case for _ in plan.agents for case in plan.cases], strict=True):
        known = {"env_options": {}, "metrics": {}, "best_known": 1, "bound": None, "valid": True, "stochastic": False}
        worlds.append(
            [
                {
                    **known,
                    "instance": case.instance,
                    "seed": case.seed,
                    "agent": "?",
                    "option": "width",
                    "work": work,
                    "cpu_seconds": seconds,
                    "gap": gap,
                    "objective": 1 + gap,
                    "hindsight": False,
                }
                for work, seconds, gap in ladder
            ]
        )
    return worlds


def test_the_table_compares_at_equal_cpu_seconds():
    plan = plan_of(THREE, "random,beam", "0.1,1,10", instances="short1,short2")
    one = [(1, 0.05, 0.5), (2, 0.5, 0.1), (4, 2.0, 0.2)]
    # The second world is slower; its most work comes first on the clock.
    two = [(1, 0.2, 0.3), (2, 0.15, 0.4), (4, 20.0, 0.0)]
    report = make_report(plan, made_up(plan, one, two, [(1, 0.01, 0.6)], [(1, 0.02, 0.2)]))
    (table,) = report.tables
    assert table.metric == "gap"
    assert headings(table) == ["agent: gap after", "0.1 s", "1 s", "10 s"]
    first, second = cells(table)
    assert first[0] == "random (width)"
    assert first[1] == "-"  # the second world has no point within 0.1 s
    assert first[2].startswith("25.0 %")  # 0.1 and 0.4
    assert first[3].startswith("30.0 %")  # the most work counts, though less was better: 0.2 and 0.4
    assert [cell.partition(" [")[0] for cell in second[1:]] == ["40.0 %"] * 3
    marks = {seconds: estimate.mean for seconds, estimate in table.lines[0].curve}
    assert marks == pytest.approx({0.2: 0.45, 0.5: 0.25, 1.0: 0.25, 10.0: 0.3, 20.0: 0.1})
    assert len(draw_anytime(report).axes) == 1


def test_objectives_where_a_world_has_no_target():
    plan = plan_of(THREE, "random:samples=2", "10", instances="short1,long1")
    report = make_report(plan, play_anytime(plan, Store(None)))
    assert report.tables[0].metric == "objective"
    assert headings(report.tables[0])[0] == "agent: objective after"
    assert "objective" in "".join(report.notes)
    assert draw_anytime(report).axes[0].get_ylabel().startswith("flow time (hours)")


def test_objectives_are_shown_in_the_unit_that_the_environment_names():
    plan = plan_of(THREE, "random:samples=2", "10", instances="short1,long1")
    worlds = play_anytime(plan, Store(None))
    objective = {**plan.objective, "shown_unit": "days", "shown_divisor": 24}
    report = make_report(replace(plan, objective=objective), worlds)
    assert headings(report.tables[0])[0] == "agent: objective (days) after"
    mean = np.mean([points[-1]["objective"] for points in worlds])
    shown = report.tables[0].lines[0].at[0]
    assert shown is not None
    assert shown.mean == mean  # inside and in files nothing changes
    assert cells(report.tables[0])[0][1].startswith(f"{mean / 24:.4f}")
    axes = draw_anytime(report).axes[0]
    assert axes.get_ylabel().startswith("flow time (days)")
    assert np.asarray(axes.lines[1].get_ydata())[-1] == pytest.approx(mean / 24)


def test_many_tries_under_random_events_are_hindsight():
    plan = plan_of(f"{SHOP}:law=bernoulli:p=0.01", "spt,random,best-rule:hindsight=1", instances="ft06")
    report = make_report(plan, play_anytime(plan, Store(None)))
    labels = [line.label for line in report.tables[0].lines]
    assert labels == ["spt", "random (samples, hindsight)", "best-rule:hindsight=1 (hindsight)"]
    assert [row[0] for row in cells(report.tables[0])] == labels
    legend = draw_anytime(report).legends[0]
    assert [text.get_text() for text in legend.get_texts()] == labels
    assert any(note.startswith("Hindsight: random, best-rule:hindsight=1 played") for note in report.notes)
    assert report.points[1]["work"] == 1
    assert not report.points[1]["hindsight"]


def test_every_kind_of_method(tmp_path):
    agents = (
        "mwkr,best-rule:hindsight=1,rollout:of=spt,checkpoints/job_shop_scorer,"
        "checkpoints/job_shop_scorer:temperature=0.3,beam,cp-plan"
    )
    plan = plan_of(SHOP, agents, "0.5", instances="ft06")
    worlds = play_anytime(plan, Store(None))
    options = [points[0]["option"] for points in worlds]
    assert options == [None, None, None, None, "samples", "width", "time"]
    assert all(points[0]["valid"] and points[0]["cpu_seconds"] > 0 for points in worlds)
    assert [len(points) for points in worlds[:4]] == [1, 1, 1, 1]
