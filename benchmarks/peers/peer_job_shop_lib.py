"""job-shop-lib's graph environment: a step puts one operation on its machine; clock time is a consequence.

As in its documentation: the disjunctive graph without finished nodes, and the features duration, earliest start and
"is ready" of operations, jobs and machines.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import random
from importlib.metadata import version

from job_shop_lib.dispatching.feature_observers import FeatureObserverType
from job_shop_lib.generation import GeneralInstanceGenerator
from job_shop_lib.graphs import build_disjunctive_graph
from job_shop_lib.reinforcement_learning import SingleJobShopGraphEnv
from worker import Chunk, Count, serve

FEATURES = (FeatureObserverType.DURATION, FeatureObserverType.EARLIEST_START_TIME, FeatureObserverType.IS_READY)


def make(case: str) -> Chunk:
    """Case "JOBSxMACHINES:longest time"."""
    size, longest = case.split(":")
    jobs, machines = map(int, size.split("x"))
    generator = GeneralInstanceGenerator(
        num_jobs=jobs, num_machines=machines, duration_range=(1, int(longest)), allow_recirculation=False, seed=0
    )
    env = SingleJobShopGraphEnv(build_disjunctive_graph(generator.generate()), feature_observer_configs=FEATURES)
    random.seed(0)

    def chunk() -> Count:
        _, info = env.reset()
        steps, done = 0, False
        while not done:
            _, machine, job = random.choice(info["available_operations_with_ids"])
            _, _, done, _, info = env.step((job, machine))
            steps += 1
        return Count(steps, steps, steps)

    return chunk


serve(f"job-shop-lib {version('job-shop-lib')}", make)
