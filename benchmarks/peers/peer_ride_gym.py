"""ride-gym: a fleet of cars that pools rides, the nearest to urban air mobility that can be installed. Another problem.

A step is a minute of the fleet. What is counted as decisions is one for each car that is idle, which may be sent; the
cars that the random policy sends are the dispatches. That policy of its own works on Python objects and takes a part of
the time.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

from importlib.metadata import version

from ride_gym import RidePoolEnv
from ride_gym.policies import RandomConflictFreePolicy
from worker import Chunk, Count, serve


def make(case: str) -> Chunk:
    """Case: the number of cars."""
    env = RidePoolEnv(num_drivers=int(case), seed=0)
    policy = RandomConflictFreePolicy(seed=0)

    def chunk() -> Count:
        observations, _ = env.reset()
        steps = decisions = dispatches = 0
        while True:
            idle = {car for car, seen in observations.items() if seen["self"]["status"] == "idle"}
            actions = policy.act(observations)
            decisions += len(idle)
            dispatches += sum(1 for car in idle if actions[car].get("orders") or "relocate" in actions[car])
            observations, _, dones, _ = env.step(actions)
            steps += 1
            if dones["__all__"]:
                return Count(steps, decisions, dispatches)

    return chunk


serve(f"ride-gym {version('ride-gym')}", make)
