"""What a decoder comes to, and in how many CPU seconds: ``python benchmarks/decoders.py la01-la05 AGENT AGENT ...``.

Blocking job shop with swaps. Each instance is played by itself, by an agent made anew; the CPU time is that of the
process while the agent plays, all tries and the simulation with it, after a first play that compiles and does not
count. The table of decoders in ``docs/agents.md`` comes from here.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from makespan.agents.arena import Case, open_arena, play
from makespan.agents.catalogue import make_agent
from makespan.envs.core.errors import UserError
from makespan.envs.job_shop.known import bounds

ENV = "makespan/JobShop-v0"


def play_once(name: str, instance: str) -> tuple[float, float]:
    """(gap to the proved optimum, CPU seconds) of an agent on one instance."""
    setting = open_arena(ENV, 1, {"instance": instance}).setting
    agent = make_agent(name, setting)
    arena = open_arena(ENV, agent.samples, {"instance": instance}, device="cpu")
    began = time.process_time()
    episode = play(arena, agent, [Case(instance, 0)])[0]
    spent = time.process_time() - began
    known = bounds(instance, "swap")
    if known is None or known.lower != known.upper:
        raise UserError(f"instance {instance!r} has no proved optimum under blocking with swaps")
    return episode.objective / known.lower - 1.0, spent


def instances_of(text: str) -> list[str]:
    """The instances of a name or a range."""
    first, *last = text.split("-")
    if not last:
        return [first]
    family = first.rstrip("0123456789")
    numbers = range(int(first[len(family) :]), int(last[0][len(family) :]) + 1)
    return [f"{family}{number:02d}" for number in numbers]


def main(text: str, agents: list[str]) -> None:
    """Print a line for each agent."""
    instances = instances_of(text)
    for name in agents:
        play_once(name, instances[0])
        gaps, seconds = zip(*(play_once(name, instance) for instance in instances), strict=True)
        print(f"{name}: gap {100.0 * np.mean(gaps):.1f} %, {np.median(seconds):.2f} CPU s", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: python benchmarks/decoders.py INSTANCES AGENT ...")
    try:
        main(sys.argv[1], sys.argv[2:])
    except UserError as error:
        sys.exit(f"error: {error}")
