"""What a decision maker sees of a job shop: the dynamic disjunctive graph, and one row per action slot.

Operations that are finished are deleted with their edges (and come back when their piece is lost). Machines are nodes
of their own, so that an operation has one edge to its machine instead of one to every rival. Times are divided by the
instance's mean processing time, its mean job work or its lower bound, so that one set of weights plays any size.

Here stand the features and where they lie; `observe` writes them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.compile import compiled
from ..core.spec import EdgeType, Feature, NodeType, ObservationSpec, Sizes

_TIME = "mean processing time"
_BOUND = "lower bound of the makespan"
_JOB = "mean work of a job"
WIDE = 64.0


def _flag(name: str) -> Feature:
    return Feature(name)


def _amount(name: str, unit: str, dynamic: bool = True) -> Feature:
    return Feature(name, unit, 0.0, WIDE, dynamic)


def _signed(name: str, unit: str) -> Feature:
    return Feature(name, unit, -WIDE, WIDE)


OPERATION_FEATURES = (
    _amount("processing_time", _TIME, dynamic=False),
    Feature("head", "work of the job", dynamic=False),
    Feature("tail", "work of the job", dynamic=False),
    _amount("work_remaining", _BOUND, dynamic=False),
    Feature("operations_remaining", "operations of the job", dynamic=False),
    _flag("unreleased"),
    _flag("waiting"),
    _flag("processing"),
    _flag("paused"),
    _flag("blocked"),
    _amount("remaining_time", _TIME),
    _amount("earliest_start", _BOUND),
    _amount("earliest_completion", _BOUND),
)
(
    OP_TIME,
    OP_HEAD,
    OP_TAIL,
    OP_WORK,
    OP_COUNT,
    OP_UNRELEASED,
    OP_WAITING,
    OP_PROCESSING,
    OP_PAUSED,
    OP_BLOCKED,
    OP_REMAINING,
    OP_START,
    OP_COMPLETION,
    OP_FEATURES,
) = range(14)

JOB_FEATURES = (
    _flag("waiting"),
    _flag("processing"),
    _flag("paused"),
    _flag("blocked"),
    _flag("done"),
    _flag("may_move"),
    _amount("remaining_time", _TIME),
    _amount("work_remaining", _JOB),
    _amount("operations_remaining", "mean operations of a job"),
    _amount("waiting_time", _TIME),
    _amount("next_processing_time", _TIME),
    _flag("next_machine_free"),
    _flag("next_machine_blocked"),
    _flag("next_machine_down"),
    Feature("chain_length", "jobs"),
    _flag("chain_closes"),
    _signed("slack", _BOUND),
)
JOB_COLUMNS = len(JOB_FEATURES)

MACHINE_FEATURES = (
    _flag("up"),
    _flag("free"),
    _flag("processing"),
    _flag("blocked"),
    _amount("remaining_repair", _TIME),
    _amount("elapsed_repair", _TIME),
    _amount("remaining_time", _TIME),
    Feature("queue_count", "jobs"),
    _amount("queue_work", _TIME),
    _amount("work_to_come", _BOUND),
    Feature("operations_to_come", "jobs", 0.0, WIDE),
    _amount("time_to_known_window", _TIME),
    _amount("known_window_length", _TIME),
)
MACHINE_COLUMNS = len(MACHINE_FEATURES)

GLOBAL_FEATURES = (
    _amount("time", _BOUND),
    _flag("done_jobs"),
    _flag("blocked_jobs"),
    _flag("processing_jobs"),
    _flag("free_machines"),
    _flag("down_machines"),
    _flag("legal_moves"),
    _amount("time_to_next_completion", _TIME),
    _amount("time_to_next_repair", _TIME),
    _amount("longest_work_remaining", _BOUND),
    _amount("most_machine_work_to_come", _BOUND),
    _amount("jobs_per_machine", "machines"),
    Feature("log_jobs", "natural logarithm", 0.0, 12.0, False),
    Feature("log_machines", "natural logarithm", 0.0, 12.0, False),
    Feature("blocking", dynamic=False),
    Feature("swaps", dynamic=False),
    Feature("breakdown_rate", "per mean processing time", 0.0, WIDE, False),
    Feature("mean_repair", _TIME, 0.0, WIDE, False),
    Feature("repeats_after_breakdown", dynamic=False),
    Feature("loses_piece_at_breakdown", dynamic=False),
)
GLOBAL_COLUMNS = len(GLOBAL_FEATURES)

ACTION_FEATURES = (
    _amount("processing_time", _TIME),
    _amount("work_remaining", _JOB),
    _amount("work_remaining_after", _JOB),
    _amount("operations_remaining", "mean operations of a job"),
    Feature("waiting_time", _TIME, -4096.0, 4096.0),
    Feature("flow_per_work_remaining", "1", 0.0, 4096.0),
    Feature("time_times_total_work", "mean processing time x mean work of a job", 0.0, 4096.0),
    Feature("work_in_next_queue", _TIME, 0.0, 4096.0),
    _flag("next_machine_occupied"),
    _amount("work_remaining_unless_last", _JOB),
    Feature("critical_ratio", "1", -4096.0, 4096.0),
    _flag("is_last"),
    _flag("frees_a_machine"),
    Feature("waiting_for_freed_machine", "jobs"),
    Feature("rivals", "jobs"),
    _amount("next_processing_time", _TIME),
    _amount("next_machine_busy_time", _TIME),
    _flag("next_machine_blocked"),
    _flag("next_machine_down"),
    Feature("chain_length", "jobs"),
    _flag("closes_cycle"),
    _amount("machine_work_to_come", _BOUND),
    _amount("next_machine_work_to_come", _BOUND),
    _signed("slack", _BOUND),
    _amount("start_delay", _TIME),
    _amount("completion_delay", _TIME),
    _signed("job_free_minus_machine_free", _TIME),
    _amount("total_work", _JOB),
    _flag("progress"),
    _amount("known_window_conflict", _TIME),
    _flag("is_wait"),
    _amount("time_to_next_event", _TIME),
)
ACTION_COLUMNS = len(ACTION_FEATURES)

SPEC = ObservationSpec(
    nodes=(
        NodeType("operation", OPERATION_FEATURES),
        NodeType("job", JOB_FEATURES),
        NodeType("machine", MACHINE_FEATURES),
    ),
    edges=(
        EdgeType("precedes", "operation", "operation"),
        EdgeType("needs", "operation", "machine"),
        EdgeType("belongs_to", "operation", "job"),
        EdgeType("wants", "job", "machine", dynamic=True),
        EdgeType("holds", "job", "machine", dynamic=True),
        EdgeType("waits_for", "job", "job", dynamic=True),
    ),
    globals=GLOBAL_FEATURES,
    action_nodes=("job", "operation", "machine"),
    action_features=ACTION_FEATURES,
    special_actions=("wait",),
    time_scale=50.0,
    stochastic=True,
)

_KEYS = {key: index for index, key in enumerate(SPEC.keys())}
K_OPERATION, K_OPERATION_MASK = _KEYS["nodes/operation"], _KEYS["node_mask/operation"]
K_JOB, K_JOB_MASK = _KEYS["nodes/job"], _KEYS["node_mask/job"]
K_MACHINE, K_MACHINE_MASK = _KEYS["nodes/machine"], _KEYS["node_mask/machine"]
K_PRECEDES, K_NEEDS, K_BELONGS = _KEYS["edges/precedes"], _KEYS["edges/needs"], _KEYS["edges/belongs_to"]
K_WANTS, K_HOLDS, K_WAITS = _KEYS["edges/wants"], _KEYS["edges/holds"], _KEYS["edges/waits_for"]
K_GLOBALS = _KEYS["globals"]
K_ACTION_NODES, K_ACTIONS, K_MASK = _KEYS["actions/nodes"], _KEYS["actions/features"], _KEYS["action_mask"]


def sizes(jobs: int, machines: int, operations: int) -> Sizes:
    """Room for `jobs` jobs of at most `operations` operations each, on `machines` machines."""
    total = jobs * operations
    return Sizes(
        nodes={"operation": total, "job": jobs, "machine": machines},
        edges={
            "precedes": total,
            "needs": total,
            "belongs_to": total,
            "wants": jobs,
            "holds": jobs,
            "waits_for": jobs,
        },
        actions=jobs + 1,
    )


# Columns of View.memo: what the rows of a job and of its operations were written for.
MEMO_POSITION, MEMO_STATUS, MEMO_START, MEMO_COMPLETION, NUM_MEMO = range(5)


class View(NamedTuple):
    """Where the observations of n copies are written."""

    floats: NDArray[np.float32]  # [n, row]
    integers: NDArray[np.int32]  # [n, row], the same memory
    bytes: NDArray[np.int8]  # [n, row], the same memory
    offsets: NDArray[np.int64]  # [number of keys]
    memo: NDArray[np.int64]  # [n, J, NUM_MEMO]
    written: NDArray[np.int64]  # [n, 1]: the date for which all was written


@compiled
def clip(value, low, high):
    """A value cut to low … high."""
    return min(max(value, low), high)


@compiled
def wide(value):
    """A value of at least 0, cut at `WIDE`."""
    return min(max(value, 0.0), WIDE)
