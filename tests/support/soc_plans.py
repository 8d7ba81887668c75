"""What must hold of a static plan, in plain Python, written apart from the schedulers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from makespan.envs.soc.instance import SocInstance


def faults(instance: SocInstance, plan: Any) -> list[str]:
    """What is wrong with a plan; nothing where it is valid.

    Args:
        plan: has `pe`, `start` and `finish` of all tasks, job by job.
    """
    pe, start, finish = (list(map(int, array)) for array in (plan.pe, plan.start, plan.finish))
    found, offset = [], 0
    bandwidth = instance.platform.bandwidth.tolist()
    for number, (a, arrival) in enumerate(instance.jobs.tolist()):
        app = instance.applications[a]
        for x, times in enumerate(app.times.tolist()):
            i = offset + x
            if not 0 <= pe[i] < instance.num_pes or times[pe[i]] < 0:
                found.append(f"job {number} task {x} is on PE {pe[i]}, which cannot run it")
            elif finish[i] - start[i] != times[pe[i]]:
                found.append(f"job {number} task {x} takes {finish[i] - start[i]}, not {times[pe[i]]}")
            if start[i] < arrival:
                found.append(f"job {number} task {x} starts at {start[i]}, before its arrival at {arrival}")
        for (producer, consumer), volume in zip(app.edges.tolist(), app.volumes.tolist(), strict=True):
            i, j = offset + producer, offset + consumer
            under_way = 0 if pe[i] == pe[j] else volume // bandwidth[pe[i]][pe[j]]
            if start[j] < finish[i] + under_way:
                found.append(f"job {number} task {consumer} starts before data of task {producer} is there")
        offset += app.num_tasks
    if not len(pe) == len(start) == len(finish) == offset:
        found.append(f"it holds {len(pe)} tasks, not {offset}")
    for p in range(instance.num_pes):
        held = sorted((start[i], finish[i]) for i in range(offset) if pe[i] == p)
        for (_, end), (begin, _) in pairwise(held):
            if begin < end:
                found.append(f"PE {p} runs two tasks at {begin}")
    return found
