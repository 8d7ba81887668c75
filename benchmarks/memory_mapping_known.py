"""What is known of the suite's programs, written to `envs/memory_mapping/known.json`; what is better there stays.

    python benchmarks/memory_mapping_known.py --agents order-search:time=2.5,game-search:time=2.5,cp-sat:time=6

Solves both linear programs for each instance of the suite, and records how long the plans of agents take.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from makespan.agents.arena import Case, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.envs.core.files import atomic_write
from makespan.envs.core.names import split_list
from makespan.envs.memory_mapping.bounds import lp_bound
from makespan.envs.memory_mapping.catalogue import named, names
from makespan.envs.memory_mapping.instance import MemoryInstance
from makespan.envs.memory_mapping.known import FILE, FORMAT, VERSION, known, record
from makespan.envs.memory_mapping.run_time import run_times
from makespan.envs.memory_mapping.schedule import MemoryPlan
from makespan.envs.memory_mapping.validity import validate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("instances", nargs="*", default=names(), help="of the suite")
    parser.add_argument("--seconds", type=float, default=600.0, help="wall time for each linear program")
    parser.add_argument("--agents", default="", help="agents whose plans are recorded, by commas")
    arguments = parser.parse_args()
    path = Path(__file__).resolve().parent.parent / "envs" / "memory_mapping" / FILE
    entries = json.loads(json.dumps(dict(known())))
    for name in arguments.instances:
        (instance,) = named(name)
        began = time.perf_counter()
        found = {supply: lp_bound(instance, supply, arguments.seconds) for supply in ("contended", "elapsed")}
        record(entries, instance, {supply: value for supply, value in found.items() if value is not None}, {})
        for agent in split_list(arguments.agents) if arguments.agents else ():
            record(entries, instance, {}, run_times_of(agent, instance))
        shares = {k: None if v is None else round(v / instance.all_hbm_ps, 4) for k, v in found.items()}
        print(f"{name}: {shares} of all-HBM, {time.perf_counter() - began:.1f} s", flush=True)
    rows = sorted(entries.items(), key=lambda entry: (entry[1]["name"], entry[0]))
    lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(entry)}" for key, entry in rows)
    atomic_write(path, f'{{\n "format": "{FORMAT}",\n "version": {VERSION},\n "instances": {{\n{lines}\n }}\n}}\n')


def run_times_of(agent: str, instance: MemoryInstance) -> dict[str, tuple[int, str]]:
    """What an agent's plan takes, by the judge and by the proxy under the supply that it fits, and who made it.

    Raises:
        RuntimeError: the plan is not valid.
    """
    arena = open_arena("makespan/MemoryMapping-v0", 1, {"instance": [instance]})
    (episode,) = play(arena, make_agent(agent, arena.setting), [Case(instance, 0)])
    plan: MemoryPlan = episode.schedule
    problems = validate(plan)
    if problems:
        raise RuntimeError(f"{agent}, {instance.name}: {problems[0]}")
    times = run_times(plan)
    found = {"judge": (times.judged_ps, agent)}
    return found if plan.supply == "unlimited" else {**found, plan.supply: (times.proxy_ps, agent)}


if __name__ == "__main__":
    main()
