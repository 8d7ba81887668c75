"""What is seen: the spec, and the compiled writer that keeps to it.

Features are scaled by the instance, so that one set of weights plays any size. Whatever a rule looks at is an action
feature: so tables know it, and learned agents see it, too.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from makespan.envs.core.compile import compiled
from makespan.envs.core.spec import EdgeType, Feature, NodeType, ObservationSpec, Sizes
from numpy.typing import NDArray

from .dynamics import JOBS, LEFT, NOT_STARTED, TIME, TOTAL, is_running

FAR = 4.0  # due dates beyond four times the total processing time are never missed
_TOTAL, _MEAN = "total processing time", "mean processing time"
_TIME = Feature("processing_time", _MEAN, 0, 64, dynamic=False)
_DUE = Feature("due_date", _TOTAL, 0, FAR, dynamic=False)
_SLACK = Feature("slack", _TOTAL, -FAR, FAR)

SPEC = ObservationSpec(
    nodes=(
        NodeType("job", (_TIME, _DUE, _SLACK, Feature("is_waiting"))),
        NodeType("machine", (Feature("work_left", _TOTAL),)),
    ),
    edges=(EdgeType("runs_on", "job", "machine"),),
    globals=(Feature("time", _TOTAL), Feature("jobs_left", "jobs"), Feature("late_share", "jobs that wait")),
    action_nodes=("job",),
    action_features=(
        _TIME,
        _DUE,
        _SLACK,
        Feature("work_share", _TOTAL),
        Feature("modified_due_date", _TOTAL, 0, FAR),
        Feature("mddc_score", _TOTAL, 0, 2 * FAR),
        Feature("atc_priority", "natural logarithm", -64, 16),
    ),
    time_scale=50.0,
)
JOB_COLUMNS, ACTION_COLUMNS = len(SPEC.nodes[0].features), len(SPEC.action_features)

_KEYS = {key: index for index, key in enumerate(SPEC.keys())}
K_JOB, K_JOB_MASK = _KEYS["nodes/job"], _KEYS["node_mask/job"]
K_MACHINE, K_MACHINE_MASK = _KEYS["nodes/machine"], _KEYS["node_mask/machine"]
K_RUNS_ON, K_GLOBALS = _KEYS["edges/runs_on"], _KEYS["globals"]
K_ACTION_NODES, K_ACTIONS, K_MASK = _KEYS["actions/nodes"], _KEYS["actions/features"], _KEYS["action_mask"]


def sizes(jobs: int) -> Sizes:
    """Room for so many jobs."""
    return Sizes(nodes={"job": jobs, "machine": 1}, edges={"runs_on": jobs}, actions=jobs)


class View(NamedTuple):
    """Where the observations of n copies are written."""

    floats: NDArray[np.float32]  # [n, row]
    integers: NDArray[np.int32]  # [n, row], the same memory
    bytes: NDArray[np.int8]  # [n, row], the same memory
    offsets: NDArray[np.int64]  # [number of keys]: where each key begins


@compiled
def clip(value, low, high):
    return min(max(value, low), high)


@compiled
def mddc(time, due, clock, longest, mean):
    """MDDC's score (Cetinkaya et al., arXiv 2510.24013, algorithm 2) of a job that waits.

    Args:
        longest, mean: processing times of the jobs that wait.
    """
    rho = min(time / (clock + longest), 1.0)
    theta = rho * rho / (1 + rho * rho)
    return max(1.1 * time + clock, due) * (1 + theta) + time / (clock + mean)


@compiled
def write_actions(problem, state, view, i):
    """The action slots (mask, references, features) and the globals of copy i."""
    jobs, total, clock, left = problem.dims[i, JOBS], problem.dims[i, TOTAL], state.clock[i, TIME], state.clock[i, LEFT]
    goes_on = is_running(problem, state, i)
    longest, late, mean = 0, 0, (total - clock) / max(left, 1)
    for job in range(jobs):
        if state.start[i, job] == NOT_STARTED:
            longest = max(longest, problem.time[i, job])
            late += clock + problem.time[i, job] > problem.due[i, job]
    at = view.offsets[K_GLOBALS]
    view.floats[i, at] = clip(clock / total, 0.0, 1.0)
    view.floats[i, at + 1] = left / jobs
    view.floats[i, at + 2] = late / max(left, 1)
    for slot in range(problem.time.shape[1]):
        waits = goes_on and slot < jobs and state.start[i, slot] == NOT_STARTED
        view.bytes[i, view.offsets[K_MASK] + slot] = 1 if waits else 0
        view.integers[i, view.offsets[K_ACTION_NODES] + slot] = slot if waits else -1
        at = view.offsets[K_ACTIONS] + slot * ACTION_COLUMNS
        if not waits:
            for column in range(ACTION_COLUMNS):
                view.floats[i, at + column] = 0.0
            continue
        time, due = problem.time[i, slot], problem.due[i, slot]
        slack = due - time - clock
        view.floats[i, at] = clip(time * jobs / total, 0.0, 64.0)
        view.floats[i, at + 1] = clip(due / total, 0.0, FAR)
        view.floats[i, at + 2] = clip(slack / total, -FAR, FAR)
        view.floats[i, at + 3] = time / total
        view.floats[i, at + 4] = clip(max(time, due - clock) / total, 0.0, FAR)
        view.floats[i, at + 5] = clip(mddc(time, due, clock, longest, mean) / total, 0.0, 2 * FAR)
        view.floats[i, at + 6] = clip(-np.log(time * jobs / total) - max(slack, 0) / (2 * mean), -64.0, 16.0)


@compiled
def write_nodes(problem, state, view, i):
    """The nodes and edges of copy i."""
    jobs, total, room = problem.dims[i, JOBS], problem.dims[i, TOTAL], problem.time.shape[1]
    clock = state.clock[i, TIME]
    view.floats[i, view.offsets[K_MACHINE]] = clip(1 - clock / total, 0.0, 1.0)
    view.bytes[i, view.offsets[K_MACHINE_MASK]] = 1
    for job in range(room):
        there = job < jobs
        view.bytes[i, view.offsets[K_JOB_MASK] + job] = 1 if there else 0
        view.integers[i, view.offsets[K_RUNS_ON] + job] = job if there else -1
        view.integers[i, view.offsets[K_RUNS_ON] + room + job] = 0 if there else -1
        time, due = problem.time[i, job], problem.due[i, job]
        at = view.offsets[K_JOB] + job * JOB_COLUMNS
        view.floats[i, at] = clip(time * jobs / total, 0.0, 64.0) if there else 0.0
        view.floats[i, at + 1] = clip(due / total, 0.0, FAR) if there else 0.0
        view.floats[i, at + 2] = clip((due - time - clock) / total, -FAR, FAR) if there else 0.0
        view.floats[i, at + 3] = 1.0 if there and state.start[i, job] == NOT_STARTED else 0.0


@compiled
def write_observation(problem, state, view, i):
    """Everything that is seen of copy i."""
    write_nodes(problem, state, view, i)
    write_actions(problem, state, view, i)
