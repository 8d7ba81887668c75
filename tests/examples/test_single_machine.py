"""The example package, installed and used from a folder of its own: what a user's environment gets for nothing.

Everything runs in processes that know the package by its installation alone, with none of our files changed.
"""

import json
import sys
from pathlib import Path

import pytest
from support.workplace import Workplace, install

EXAMPLE = Path(__file__).parents[2] / "examples" / "single_machine"
ENV_ID = "single-machine/WeightedTardiness-v0"
RULES = ["wspt", "edd", "wmdd", "atc"]
TINY = [
    "--steps",
    "512",
    "--copies",
    "8",
    "--rollout",
    "16",
    "--batch",
    "64",
    "--validation-worlds",
    "8",
    "--threads",
    "1",
]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return install(EXAMPLE, tmp_path_factory.mktemp("example"))


def test_its_own_tests_pass(workplace):
    workplace.own_tests()


def test_it_keeps_the_contract(workplace):
    report = json.loads(workplace.makespan("check", ENV_ID, "--json"))
    assert report["ok"]
    outcomes = {row["rule"]: row["outcome"] for row in report["findings"]}
    assert {rule for rule, outcome in outcomes.items() if outcome == "skipped"} <= {
        "sizes", "snapshot", "imagine", "vector", "sb3 check_env", "instance files", "malformed instances",
        "foreseeable", "rewriting", "engine copy", "batch", "vector illegal", "vector snapshot", "appraisal",
        "compiled play", "agents", "checkpoints",
    }  # fmt: skip
    assert "keeps the contract" in workplace.makespan("check", f"{ENV_ID}:jobs=4")


def test_it_is_made_by_name_without_an_import_of_its_own(workplace):
    shown = workplace.python(
        "import sys, gymnasium\n"
        f"env = gymnasium.make('makespan:{ENV_ID}')\n"
        "observation, info = env.reset(seed=3)\n"
        "while True:\n"
        "    action = env.action_space.sample(info['action_mask'])\n"
        "    observation, reward, terminated, truncated, info = env.step(action)\n"
        "    if terminated or truncated:\n"
        "        break\n"
        "print(info['seed'], info['instance'], 'torch' in sys.modules)\n"
    )
    assert shown.split() == ["3", "random-10-s3", "False"]


def test_importing_makespan_loads_no_environment(workplace):
    shown = workplace.python(
        "import sys, makespan\nprint('single_machine.plugin' in sys.modules, 'single_machine.env' in sys.modules)"
    )
    assert shown.split() == ["True", "False"]


def test_it_is_listed(workplace):
    rows = {row["id"]: row for row in json.loads(workplace.makespan("envs", "--json"))}
    assert [option["name"] for option in rows[ENV_ID]["options"]][:1] == ["jobs"]
    assert rows[ENV_ID]["objective"]["sense"] == "min"


def test_a_misspelt_option_is_named(workplace):
    done = workplace.run("-m", "makespan.cli.main", "check", f"{ENV_ID}:job=4")
    assert done.returncode == 2
    assert "did you mean 'jobs'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_its_rules_play_by_name(workplace):
    """Against the definitions of the rules, worked out from the instance alone."""
    shown = workplace.python(
        "import json\n"
        "from makespan.agents.arena import Case, open_arena, play\n"
        "from makespan.agents.catalogue import make_agent\n"
        f"arena = open_arena('{ENV_ID}', 2)\n"
        "cases = [Case('tiny5', 0), Case('tiny7', 0)]\n"
        "played = {}\n"
        f"for name in {RULES} + ['random', 'best-rule']:\n"
        "    episodes = play(arena, make_agent(name, arena.setting), cases)\n"
        "    played[name] = [(episode.objective, episode.schedule.starts) for episode in episodes]\n"
        "print(json.dumps(played))\n"
    )
    played = json.loads(shown)
    sys.path.insert(0, str(workplace.site))
    try:
        from importlib import import_module

        named = import_module("single_machine.problem").NAMED
    finally:
        sys.path.pop(0)
    for number, (instance, best) in enumerate(named.values()):
        for rule, key in _KEYS.items():
            order = _dispatch(instance, key)
            objective, starts = played[rule][number]
            assert sorted(range(len(order)), key=starts.__getitem__) == order, rule
            assert objective >= best
        assert played["random"][number][0] >= best
        assert played["best-rule"][number] in [played[rule][number] for rule in RULES]


# Each rule's priority, smallest first, from (processing time, weight, due date, time, mean processing time).
_KEYS = {
    "wspt": lambda p, w, d, t, mean: -w / p,
    "edd": lambda p, w, d, t, mean: d,
    "wmdd": lambda p, w, d, t, mean: max(p, d - t) / w,
    "atc": lambda p, w, d, t, mean: -(w / p) * 2.718281828459045 ** (-max(d - p - t, 0) / (2 * mean)),
}


def _dispatch(instance, key):
    waiting, time, order = set(range(len(instance.times))), 0, []
    mean = sum(instance.times) / len(instance.times)

    def priority(job):
        return key(instance.times[job], instance.weights[job], instance.due_dates[job], time, mean), job

    while waiting:
        job = min(waiting, key=priority)
        waiting.remove(job)
        order.append(job)
        time += instance.times[job]
    return order


def test_rules_are_compared_and_a_row_is_drawn(workplace):
    pytest.importorskip("matplotlib")
    workplace.makespan("evaluate", ENV_ID, "--agents", ",".join([*RULES, "random"]), "--instances", "tiny5,tiny7",
                       "--seeds", "0-1", "--out", "results/rules")  # fmt: skip
    rows = json.loads((workplace.folder / "results" / "rules" / "results.json").read_text())
    assert len(rows) == 5 * 2 * 2
    for row in rows:
        assert row["valid"] is True
        assert row["gap"] == pytest.approx(row["objective"] / row["best_known"] - 1)
        assert row["bound"] <= row["best_known"] <= row["objective"]
    drawn = workplace.makespan("show", "results/rules", "--row", "0")
    assert f"total weighted tardiness {rows[0]['objective']:g}" in drawn
    workplace.makespan("show", "results/rules", "--row", "0", "--out", "row.png")
    assert (workplace.folder / "row.png").read_bytes().startswith(b"\x89PNG")


def test_one_instance_is_optimised(workplace):
    """By its rules, then random play, until the proved bound or the time is reached; goes on from the folder."""
    pytest.importorskip("matplotlib")
    for _ in range(2):
        workplace.makespan("optimise", "tiny5", "--env", ENV_ID, "--seconds", "2", "--out", "results/tiny5")
    folder = workplace.folder / "results" / "tiny5"
    result = json.loads((folder / "result.json").read_text())
    best = workplace.python(
        "import makespan, gymnasium; env = gymnasium.make('" + ENV_ID + "').unwrapped; print(env.best_known('tiny5'))"
    )
    assert result["objective"] == int(best)
    assert result["instance"] == "tiny5"
    assert {path.name for path in folder.iterdir()} == {"gantt.png", "result.json", "run.json", "schedule.json"}


def test_an_agent_is_trained_compared_and_drawn(workplace):
    """The commands one after the other in one process, which imports torch once; each on its own is a slow test."""
    for module in ("torch", "torch_geometric", "sb3_contrib", "matplotlib"):
        pytest.importorskip(module)
    commands = [
        ["train", f"{ENV_ID}:jobs=6", "--agent", "graph-ppo", *TINY, "--out", "runs/one"],
        ["evaluate", f"{ENV_ID}:jobs=8", "--agents", "atc,runs/one/last", "--seeds", "0-1", "--out", "results/one"],
        ["show", "results/one", "--row", "3"],
    ]
    shown = workplace.python(f"from makespan.cli.main import main\nprint([main(command) for command in {commands}])")
    assert "[0, 0, 0]" in shown
    rows = json.loads((workplace.folder / "results" / "one" / "results.json").read_text())
    assert [row["valid"] for row in rows] == [True] * 4
    assert rows[3]["agent"] == "runs/one/last"
    assert f"total weighted tardiness {rows[3]['objective']:g}" in shown


@pytest.mark.slow
@pytest.mark.parametrize("agent", ["graph-ppo", "attention-ppo"])
def test_an_agent_is_trained_and_compared_with_the_rules(agent, workplace):
    for module in ("torch", "torch_geometric", "sb3_contrib", "matplotlib"):
        pytest.importorskip(module)
    run, results = f"runs/{agent}", f"results/{agent}"
    workplace.makespan("train", f"{ENV_ID}:jobs=6", "--agent", agent, *TINY, "--seed", "0", "--out", run)
    card = json.loads((workplace.folder / run / "last" / "card.json").read_text())
    assert ENV_ID in json.dumps(card)
    # The same weights play other sizes, and named instances.
    workplace.makespan("evaluate", f"{ENV_ID}:jobs=8", "--agents", f"atc,best-rule,{run}/last,{run}/last:samples=4",
                       "--seeds", "0-4", "--out", results)  # fmt: skip
    rows = json.loads((workplace.folder / results / "results.json").read_text())
    assert len(rows) == 4 * 5
    assert all(row["valid"] is True for row in rows)
    by_agent = {}
    for row in rows:
        by_agent.setdefault(row["agent"], {})[row["seed"]] = row["objective"]
    greedy, sampled = by_agent[f"{run}/last"], by_agent[f"{run}/last:samples=4"]
    assert len({row["objective"] for row in rows}) > 5
    assert greedy.keys() == sampled.keys() == set(range(5))
    number = next(index for index, row in enumerate(rows) if row["agent"] == f"{run}/last")
    assert "total weighted tardiness" in workplace.makespan("show", results, "--row", str(number))


@pytest.mark.slow
def test_training_pays_on_it(workplace):
    """A minute of training is far below random play on worlds that it has not met."""
    pytest.importorskip("sb3_contrib")
    workplace.makespan("train", f"{ENV_ID}:jobs=8", "--agent", "graph-ppo", "--steps", "40000", "--minutes", "3",
                       "--threads", "1", "--seed", "0", "--out", "runs/long")  # fmt: skip
    workplace.makespan("evaluate", f"{ENV_ID}:jobs=8", "--agents", "random,wspt,edd,runs/long/best", "--seeds", "0-49",
                       "--out", "results/long")  # fmt: skip
    rows = json.loads((workplace.folder / "results" / "long" / "results.json").read_text())

    def mean(agent):
        return sum(row["objective"] for row in rows if row["agent"] == agent) / 50

    assert mean("runs/long/best") < 0.75 * mean("random")
