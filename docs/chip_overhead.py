"""What becomes of schedulers on a chip that are charged for their own time, a column per mean gap between arrivals.

``python docs/chip_overhead.py --page docs/soc_results.md`` measures how long each agent takes for a task of a joint
decision, in compiled code, one world after the other; plays it without that overhead and with it; and writes the table
between the marks ``overhead``. Agents are rules, scorers and trees.

Of the time of compiled play what the bare engine takes to carry out the same decisions is taken off. What is left is
all that goes to choosing: writing what the agent looks at (for all slots, though a rule reads two or three numbers of
them) and the choice. It is CPU time, the least of many rounds, so that a busy machine counts little.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from chips import Rows, table
from makespan.agents.arena import Case, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.envs.core.compile import compiled
from makespan.envs.core.engine import Kernels
from makespan.envs.core.player import action_table, play_out, variant_of
from makespan.envs.soc import state as d
from makespan.envs.soc.catalogue import sets
from makespan.envs.soc.engine import SocEngine, advance

from results import rewrite

ID = "makespan/SocDag-v0"
AGENTS = "heft-rt-blind,heft,min-min,met,srpt-hold,checkpoints/soc_scorer,checkpoints/soc_tree"
OPTIONS: dict[str, Any] = {"hold": True, "instance": "mix-test"}
PASSES, ROUNDS = 6, 12  # over all agents, and of each agent at a time: the machine's state changes slowly


class Spent(NamedTuple):
    """Microseconds of CPU for each task in each joint decision.

    Attributes:
        whole: compiled play, the simulation included.
        bare: the engine, which carries out the same decisions.
    """

    whole: float
    bare: float

    @property
    def choosing(self) -> float:
        return self.whole - self.bare


@cache
def make_recorder(kernels: Kernels, choose: Callable[..., Any]) -> Callable[..., None]:
    """Plays copies like `make_player`, and notes each action and how many tasks each joint decision was over."""
    is_running, write_actions = kernels.is_running, kernels.write_actions

    @compiled(variant=variant_of(kernels, choose))
    def record(problem, state, view, where, parameters, rows, keys, actions, tasks):
        for i in range(len(tasks)):
            epoch, count, decision = -1, 0, 0
            write_actions(problem, state, view, i)
            while is_running(problem, state, i):
                clock = state.clock[i]
                if clock[d.EPOCH] != epoch:
                    tasks[i] += count
                    epoch = clock[d.EPOCH]
                count = clock[d.TAKEN] + clock[d.OFFERED_COUNT]
                actions[i, decision] = choose(view, i, where, parameters[rows[i]], keys[i], decision)
                advance(problem, state, i, actions[i, decision])
                write_actions(problem, state, view, i)
                decision += 1
            tasks[i] += count

    return record


@compiled
def carry_out(problem, state, actions, decisions):
    """The bare engine: play noted actions."""
    for i in range(len(decisions)):
        for k in range(decisions[i]):
            advance(problem, state, i, actions[i, k])


def measure(name: str, options: dict[str, Any], cases: Sequence[Case]) -> Spent:
    """How long an agent takes in compiled code, over worlds that are played one after the other."""
    arena = open_arena(ID, len(cases), options)
    agent = make_agent(name, arena.setting)
    engine = arena.engine
    assert isinstance(engine, SocEngine)
    keys = np.arange(len(cases), dtype=np.uint64)

    def begin() -> Any:
        arena.reset(cases)
        agent.begin(np.arange(len(cases), dtype=np.int64), [], keys, None)
        choice = agent.compiled_choice(len(cases))
        assert choice is not None, f"{name} does not play in compiled code"
        return choice

    choice = begin()
    play_out(engine, *choice, observe=False)
    decisions = choice.decisions.copy()
    actions, tasks = np.zeros((len(cases), int(decisions.max())), dtype=np.int64), np.zeros(len(cases), dtype=np.int64)
    choice = begin()
    record = make_recorder(engine.kernels, choice.choose)
    where = action_table(engine)
    record(
        engine.problem, engine.state, engine.view, where, choice.parameters, choice.rows, choice.keys, actions, tasks
    )
    ended = engine.objectives().copy()

    def whole() -> None:
        play_out(engine, *choice, observe=False)

    def bare() -> None:
        carry_out(engine.problem, engine.state, actions, decisions)
        assert np.array_equal(engine.objectives(), ended)

    least = {whole: np.inf, bare: np.inf}
    for _ in range(ROUNDS):
        for work in least:
            choice = begin()
            began = time.thread_time()
            work()
            least[work] = min(least[work], time.thread_time() - began)
    per_task = 1e6 / int(tasks.sum())
    return Spent(least[whole] * per_task, least[bare] * per_task)


def charged(name: str, scale: float, spent: Spent, cases: Sequence[Case]) -> Rows:
    """An agent's worlds without overhead and with its own, as rows of results."""
    rows: Rows = []
    for overhead, told in ((0.0, "0"), (spent.choosing, "measured")):
        options = {**OPTIONS, "scale": scale, "overhead_task": round(overhead, 3)}
        arena = open_arena(ID, len(cases), options)
        for case, one in zip(cases, play(arena, make_agent(name, arena.setting), cases), strict=True):
            row = {"agent": name, "objective": one.objective, "metrics": one.metrics, "instance": case.instance}
            rows.append({**row, "env_options": {"scale": int(scale), "overhead": told}})
    return rows


def measure_all(names: Sequence[str], scales: Sequence[float], cases: Sequence[Case]) -> dict[tuple[str, float], Spent]:
    """The least times of each agent at each gap."""
    least: dict[tuple[str, float], Spent] = {}
    for _ in range(PASSES):
        for scale in scales:
            for name in names:
                found = measure(name, {**OPTIONS, "scale": scale}, cases)
                least[name, scale] = Spent(*map(min, found, least.get((name, scale), found)))
    return least


def times(spent: dict[tuple[str, float], Spent], names: Sequence[str], scales: Sequence[float]) -> str:
    """Microseconds per task, a row per agent."""
    titles = [f"scale {scale:g}" for scale in scales]
    lines = [f"| µs per task | {' | '.join(titles)} |", "| --- |" + " --- |" * len(titles)]
    for name in names:
        cells = [f"{spent[name, scale].choosing:.2f} ({spent[name, scale].whole:.2f})" for scale in scales]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    lines += ["", "CPU time in compiled code for each task of each joint decision; in brackets with the simulation."]
    return "\n".join(lines)


def main() -> None:
    """Measure, play, and write the tables or print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", default=AGENTS)
    parser.add_argument("--scales", default="40,60,100,200")
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    names, scales = given.agents.split(","), [float(scale) for scale in given.scales.split(",")]
    cases = [Case(name, 0) for name in sets()[OPTIONS["instance"]]]
    spent = measure_all(names, scales, cases[::4])
    rows = [row for scale in scales for name in names for row in charged(name, scale, spent[name, scale], cases)]
    text = f"{table(rows, None, names)}\n\n{times(spent, names, scales)}"
    if given.page:
        rewrite(given.page, "overhead", text)
    else:
        print(text)


if __name__ == "__main__":
    main()
