"""Finds the weights of air mobility's greedy rules on training days: `python docs/air.py la8-low la8-medium la8-high`.

Every pair of weights is played on the same days. Printed are the best of each instance with its mean profit in dollars,
the mean of the weights that ship, and, with ``--all``, every mean.
"""

from __future__ import annotations

import argparse
from itertools import product

import numpy as np
from makespan.agents.arena import Case, open_arena, play
from makespan.agents.catalogue import make_agent

AIR = "makespan/AirMobility-v0"
KAPPA = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75)
THETA = (0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 15.0, 20.0)
_TRAINING = 1_000_000  # days below are for training


def means(instance: str, agents: list[str], days: int, first: int) -> dict[str, float]:
    """Mean profit of each agent on so many days, in dollars."""
    cases = [Case(instance, first + day) for day in range(days)]
    arena = open_arena(AIR, days, {"instance": instance})
    found = {}
    for name in agents:
        played = play(arena, make_agent(name, arena.setting), cases)
        found[name] = float(np.mean([day.objective for day in played])) / 1e6
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("instances", nargs="+")
    parser.add_argument("--days", type=int, default=100)
    parser.add_argument("--first", type=int, default=1000, help="the first day; below 1000000 for training")
    parser.add_argument("--all", action="store_true")
    given = parser.parse_args()
    if given.days < 1 or not 0 <= given.first <= _TRAINING - given.days:
        parser.error("training days are 0 to 999999")
    rules = {
        "threshold-greedy": [f"threshold-greedy:theta={theta}" for theta in THETA],
        "lookahead-greedy": [f"lookahead-greedy:kappa={k}:theta={theta}" for k, theta in product(KAPPA, THETA)],
    }
    print(f"{given.days} days from {given.first} on, mean profit in dollars")
    for instance in given.instances:
        for rule, tried in rules.items():
            found = means(instance, [rule, *tried], given.days, given.first)
            best = max(tried, key=found.__getitem__)
            print(f"{instance}: {best} {found[best]:.0f}; as shipped {found[rule]:.0f}")
            if given.all:
                print("".join(f"  {name} {found[name]:.0f}\n" for name in tried), end="")


if __name__ == "__main__":
    main()
