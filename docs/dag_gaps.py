"""How far plans of DAGs are from the optimum: ``python docs/dag_gaps.py --page docs/soc_results.md``.

CP-SAT gets each DAG for some seconds, from the best of all agents' plans on. Where it proves an optimum, gaps are to
that; the others are counted apart, with gaps to its lower bound.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from makespan.agents.agent import Proposer, Setting
from makespan.agents.arena import open_arena
from makespan.agents.catalogue import make_agent
from makespan.agents.soc.agent import plan_of
from makespan.agents.soc.cp_sat import solve_soc
from makespan.agents.soc.problem import Plan
from makespan.envs.core.names import split_list
from makespan.envs.soc.generator import resolve
from makespan.envs.soc.instance import SocInstance

from results import rewrite

ENV = "makespan/StaticDag-v0"
INSTANCES = "random:tasks=20:count=16:seed=9400,random:tasks=50:count=8:seed=9500"
AGENTS = (
    "list,list:rule=peft,lookahead-heft,best-of-lists,checkpoints/dag_order,checkpoints/dag_order:samples=64,"
    "dag-search:time=1"
)


def plan(agent: str, setting: Setting, instance: SocInstance) -> Plan:
    """What an agent proposes for an instance."""
    made = make_agent(agent, setting)
    assert isinstance(made, Proposer)
    return plan_of(made.propose(instance, 0))


def main() -> None:
    """Write the table between the marks, or print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", default=INSTANCES)
    parser.add_argument("--agents", default=AGENTS)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--table", default="gaps")
    given = parser.parse_args()
    agents = given.agents.split(",")
    heads, columns = [], []
    for text in split_list(given.instances):
        instances = resolve(text)
        setting = open_arena(ENV, 1, {"instance": instances}).setting
        found = np.zeros((len(instances), len(agents) + 1))
        bounds = np.zeros(len(instances))
        for k, instance in enumerate(instances):
            plans = [plan(agent, setting, instance) for agent in agents]
            best = min(plans, key=lambda one: one.makespan)
            solved = solve_soc(instance, given.seconds, start=best)
            found[k] = [one.makespan for one in [*plans, solved.plan]]
            bounds[k] = solved.bound
        proved = found[:, -1] <= bounds
        gaps = found / bounds[:, None] - 1.0
        tasks = max(len(application.times) for application in instances[0].applications)
        for chosen, word in ((proved, "optimum"), (~proved, "bound")):
            if chosen.any():
                heads.append(f"{tasks} tasks, to the {word} ({chosen.sum()})")
                columns.append(gaps[chosen].mean(axis=0))
    lines = [f"| agent | {' | '.join(heads)} |", "| --- |" + " ---: |" * len(heads)]
    for place, agent in enumerate([*agents, f"cp-sat:time={given.seconds:g}"]):
        lines.append(f"| `{agent}` | {' | '.join(f'{100.0 * column[place]:.1f}' for column in columns)} |")
    lines += ["", "Mean gaps in per cent; in brackets how many DAGs. CP-SAT begins from the best of the other plans."]
    if given.page:
        rewrite(given.page, given.table, "\n".join(lines))
    else:
        print("\n".join(lines))


if __name__ == "__main__":
    main()
