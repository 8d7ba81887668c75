"""What an observation of DAG scheduling holds, and where.

Times are in mean task times of the instance (by its mix). A row of ``nodes/task`` belongs to a task slot.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.compile import compiled
from ..core.spec import EdgeType, Feature, NodeType, ObservationSpec, Sizes

WIDE = 4096.0
_TIME = "mean task time"
_LOG = "natural logarithm of 1 + it"


def _flag(name: str) -> Feature:
    return Feature(name, "", 0.0, 1.0)


def _amount(name: str, unit: str = _TIME) -> Feature:
    return Feature(name, unit, 0.0, WIDE)


def _signed(name: str, unit: str = _TIME) -> Feature:
    return Feature(name, unit, -WIDE, WIDE)


TASK_FEATURES = (
    _amount("mean_time"),
    _amount("least_time"),
    _amount("spread"),
    _amount("upward_rank"),
    _amount("downward_rank"),
    _flag("eligible_share"),
    _flag("critical"),
    _flag("dummy"),
    Feature("log_predecessors", _LOG, 0.0, 16.0),
    Feature("log_successors", _LOG, 0.0, 16.0),
    Feature("log_missing", f"{_LOG}, unfinished predecessors", 0.0, 16.0),
    _flag("unreleased"),
    _flag("offered"),
    _flag("assigned"),
    _flag("active"),
    _flag("done"),
    _amount("time_here"),
)
TASK_COLUMNS = len(TASK_FEATURES)
FIRST_DYNAMIC = 10

PE_FEATURES = (
    _flag("up"),
    _flag("active"),
    _amount("free_delay"),
    Feature("log_queue", _LOG, 0.0, 16.0),
    _amount("speed", "mean over tasks of least time over time"),
    _flag("task_share"),
    _amount("power", "mean power of a busy PE"),
    _flag("group_share"),
)
PE_COLUMNS = len(PE_FEATURES)

JOB_FEATURES = (
    _amount("age"),
    _amount("least_latency"),
    _flag("tasks_left"),
    _amount("work_left"),
    _amount("mean_task_time"),
    Feature("log_tasks", _LOG, 0.0, 16.0),
    _signed("expected_delay"),
)
JOB_COLUMNS = len(JOB_FEATURES)

GLOBAL_FEATURES = (
    Feature("log_offered", _LOG, 0.0, 16.0),
    _flag("beyond_window"),
    _flag("system_share"),
    _flag("waiting"),
    _flag("active_share"),
    _amount("mean_free_delay"),
    _flag("time_left"),
    Feature("load", "work of a mean gap's job by capacity", 0.0, WIDE),
    _flag("noise"),
    Feature("log_tasks", _LOG, 0.0, 16.0),
    Feature("log_pes", _LOG, 0.0, 16.0),
    _flag("static"),
    _flag("assigned_release"),
    _flag("insertion"),
    _amount("told_delay"),
    _flag("planned_share"),
    _amount("work_left", "mean task time, by PEs"),
)
GLOBAL_COLUMNS = len(GLOBAL_FEATURES)

ACTION_FEATURES = (
    _amount("time"),
    _amount("mean_time"),
    _amount("least_time"),
    _amount("excess_time"),
    _flag("fastest"),
    _amount("start_delay"),
    _amount("finish_delay"),
    _amount("finish_over_best"),
    _amount("best_finish_delay"),
    _amount("sufferage"),
    _amount("data_delay"),
    _amount("free_delay"),
    _signed("idle_gap"),
    Feature("log_queue", _LOG, 0.0, 16.0),
    _amount("blind_finish_delay"),
    _amount("upward_rank"),
    _amount("downward_rank"),
    _amount("priority"),
    _flag("critical"),
    _flag("off_processor"),
    _amount("static_level"),
    _signed("dynamic_level"),
    _amount("mean_oct"),
    _amount("oct"),
    _amount("finish_plus_oct"),
    _amount("tail"),
    _amount("finish_plus_tail"),
    _amount("job_age"),
    _amount("job_least_latency"),
    _flag("job_tasks_left"),
    _amount("job_delay"),
    _flag("position"),
    Feature("log_successors", _LOG, 0.0, 16.0),
    Feature("log_released", f"{_LOG}, successors that wait for this task alone", 0.0, 16.0),
    _flag("eligible_share"),
    _flag("group_idle"),
    _amount("group_free_delay"),
    _amount("wanted", "offered tasks that are fastest here, by PEs of the group"),
    _amount("energy", "mean task time x mean power of a busy PE"),
    _amount("rank_below_best"),
    _amount("finish_over_least"),
    _amount("best_finish_over_least"),
    _amount("end_over_least", "mean task time; of finish_plus_tail"),
    _amount("job_work_left"),
    _amount("job_work_over_least"),
    Feature("waits", "0 for a start now where it finishes first, 0.5 for HOLD, else 1", 0.0, 1.0),
    _flag("is_hold"),
    _amount("demand", "mean task time: of unassigned tasks that are fastest here, by PEs of the group"),
    _amount("fast_demand", "mean task time: the same of the group where the task is fastest"),
)
ACTION_COLUMNS = len(ACTION_FEATURES)
TIME_SCALE = 50.0

SPEC = ObservationSpec(
    nodes=(NodeType("task", TASK_FEATURES), NodeType("pe", PE_FEATURES), NodeType("job", JOB_FEATURES)),
    edges=(
        EdgeType("precedes", "task", "task", dynamic=True),
        EdgeType("belongs_to", "task", "job", dynamic=True),
        EdgeType("runs_on", "task", "pe", dynamic=True),
    ),
    globals=GLOBAL_FEATURES,
    action_nodes=("task", "pe", "job"),
    action_features=ACTION_FEATURES,
    special_actions=("HOLD",),
    time_scale=TIME_SCALE,
    stochastic=True,
)

_KEYS = {key: index for index, key in enumerate(SPEC.keys())}
K_TASK, K_TASK_MASK = _KEYS["nodes/task"], _KEYS["node_mask/task"]
K_PE, K_PE_MASK = _KEYS["nodes/pe"], _KEYS["node_mask/pe"]
K_JOB, K_JOB_MASK = _KEYS["nodes/job"], _KEYS["node_mask/job"]
K_PRECEDES, K_BELONGS, K_RUNS = _KEYS["edges/precedes"], _KEYS["edges/belongs_to"], _KEYS["edges/runs_on"]
K_GLOBALS = _KEYS["globals"]
K_ACTION_NODES, K_ACTIONS, K_MASK = _KEYS["actions/nodes"], _KEYS["actions/features"], _KEYS["action_mask"]

# --- columns of View.memo ---------------------------------------------------------------------------------------------
# SLOTS_WRITTEN is how many offered tasks the action slots show. PES_WRITTEN says that what never changes of the PEs is
# there.
SLOTS_WRITTEN, PES_WRITTEN, NUM_MEMO = range(3)


def sizes(jobs: int, tasks: int, edges: int, pes: int, actions: int) -> Sizes:
    """Room for so many jobs at a time of so many tasks and edges each, and PEs."""
    slots = jobs * tasks
    return Sizes(
        nodes={"task": slots, "pe": pes, "job": jobs},
        edges={"precedes": max(jobs * edges, 1), "belongs_to": slots, "runs_on": slots},
        actions=actions,
    )


class View(NamedTuple):
    """The observations of n copies as compiled writers see them."""

    floats: NDArray[np.float32]  # [n, row]
    integers: NDArray[np.int32]  # [n, row], the same memory
    bytes: NDArray[np.int8]  # [n, row], the same memory
    offsets: NDArray[np.int64]  # [number of keys]
    memo: NDArray[np.int64]  # [n, NUM_MEMO]
    owner: NDArray[np.int64]  # [n, J], the job that each slot's rows were written for, or -1


@compiled
def wide(value):
    """A value of at least 0, cut at `WIDE`."""
    return min(max(value, 0.0), WIDE)


@compiled
def signed(value):
    """A value cut at `WIDE` on both sides."""
    return min(max(value, -WIDE), WIDE)


@compiled
def log_of(value):
    """log(1 + value) within the bounds of logarithms."""
    return min(np.log1p(max(value, 0.0)), 16.0)


LOGS = np.log1p(np.arange(256.0))


@compiled
def log_count(count):
    """`log_of` an integer that is mostly small."""
    return LOGS[count] if 0 <= count < 256 else log_of(count)


@compiled
def share(value):
    """A value cut to 0 … 1."""
    return min(max(value, 0.0), 1.0)
