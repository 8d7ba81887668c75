"""What a decision maker sees of memory mapping: a window of the program around the present, and an image of CMEM.

Sizes never depend on the program: the accesses decided last and those to come, the storages of their tensors, the
instructions around the present one. Times are divided by the mean time of an instruction with everything in HBM, sizes
by CMEM, so that one set of weights plays any program on any hardware.

Here stand the features and where they lie; `observe` writes them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.compile import compiled
from ..core.spec import EdgeType, Feature, Image, NodeType, ObservationSpec, Sizes
from .options import SUPPLIES
from .state import COPY_ELAPSED, NUM_ACTIONS

_TIME = "mean time of an instruction, all in HBM"
_CMEM = "CMEM"
_RUN = "run time, all in HBM"
_LOG = "natural logarithm of 1 + value"
WIDE = 64.0

BEFORE, AHEAD = 16, 32  # accesses, and instructions, before the present and from it on
WINDOW = BEFORE + AHEAD
ROWS, PAST, FUTURE, CHANNELS = 64, 96, 32, 4
COLUMNS = PAST + FUTURE
STRIDE = 8  # the image moves on by so many instructions at a time


def _flag(name: str) -> Feature:
    return Feature(name)


def _amount(name: str, unit: str, dynamic: bool = True) -> Feature:
    return Feature(name, unit, 0.0, WIDE, dynamic)


def _signed(name: str, unit: str) -> Feature:
    return Feature(name, unit, -WIDE, WIDE)


# What an access's row says at any time, then what changes.
BUFFER_FEATURES = (
    _amount("size", _CMEM),
    Feature("accessed_share", "size"),
    _amount("hbm_time", _TIME),
    _signed("time_gained", _TIME),
    _signed("static_benefit", _TIME),
    Feature("memory_share", "time of the instruction"),
    Feature("slack", "time of the instruction", -1.0, 1.0),
    _flag("writes"),
    _flag("param"),
    _flag("input_or_const"),
    _flag("act"),
    _flag("output"),
    _flag("grouped"),
    _flag("hbm_only"),
    _flag("in_loop"),
    _flag("carried"),
    Feature("log_trips", "natural logarithm", 0.0, 16.0),
    _amount("transfer_time", _TIME),
    _flag("fetch_fits"),
    Feature("log_instructions_to_next", _LOG, 0.0, 16.0),
    Feature("log_time_to_next", f"{_LOG}, {_TIME}", 0.0, 16.0),
    Feature("log_accesses_to_come", _LOG, 0.0, 16.0),
    _amount("benefit_to_come", _TIME),
    _signed("rent_from_last", _TIME),
    _signed("saves", _TIME),
    _signed("worth_in_cmem", _TIME),
    _signed("worth_in_hbm", _TIME),
    _flag("decided"),
    _flag("served_by_cmem"),
    _flag("storage_held"),
    _flag("valid_in_hbm"),
    _flag("present"),
    Feature("instructions_ahead", f"{AHEAD} instructions", -WIDE, WIDE),
)
STATIC_COLUMNS = 27
BUFFER_COLUMNS = len(BUFFER_FEATURES)

TENSOR_FEATURES = (
    _amount("size", _CMEM),
    _flag("param"),
    _flag("input_or_const"),
    _flag("act"),
    _flag("output"),
    _flag("grouped"),
    _flag("undecided"),
    _flag("in_hbm"),
    _flag("in_cmem"),
    _flag("held"),
    Feature("held_ahead", f"{AHEAD} instructions", -WIDE, WIDE),
    Feature("offset", _CMEM),
    _flag("valid_in_hbm"),
    Feature("log_instructions_to_next", _LOG, 0.0, 16.0),
    Feature("log_accesses_to_come", _LOG, 0.0, 16.0),
    _amount("benefit_to_come", _TIME),
    _signed("worth_of_cmem", _TIME),
)
TENSOR_COLUMNS = len(TENSOR_FEATURES)

INSTRUCTION_FEATURES = (
    _flag("present"),
    Feature("instructions_ahead", f"{AHEAD} instructions", -1.0, 1.0),
    _amount("time", _TIME),
    _amount("compute_time", _TIME),
    _amount("hbm_time", _TIME),
    _signed("slack", _TIME),
    _amount("supply_left", _TIME),
    _flag("held"),
    _amount("price_of_cmem", _TIME),
    _flag("in_loop"),
    Feature("log_trips", "natural logarithm", 0.0, 16.0),
)
INSTRUCTION_COLUMNS = len(INSTRUCTION_FEATURES)

GLOBAL_FEATURES = (
    _flag("decided_accesses"),
    _flag("passed_time"),
    _flag("held_now"),
    _flag("free_now"),
    _amount("pressure_ahead", _CMEM),
    _amount("pressure_far_ahead", _CMEM),
    _flag("supply_left_lately"),
    _flag("supply_ahead"),
    Feature("saved", _RUN, -1.0, 1.0),
    Feature("may_still_save", _RUN, -1.0, 1.0),
    Feature("backups", "16 backups"),
    Feature("log_accesses", "natural logarithm", 0.0, 16.0, False),
    Feature("log_instructions", "natural logarithm", 0.0, 16.0, False),
    Feature("log_pressure", _LOG, 0.0, 16.0, False),
    Feature("best_run_time", _RUN, 0.0, 1.0, False),
    Feature("contended_supply", dynamic=False),
    Feature("first_fit", dynamic=False),
    Feature("terminates", dynamic=False),
    Feature("present_in_image", f"{STRIDE} columns after the first {PAST}"),
)
GLOBAL_COLUMNS = len(GLOBAL_FEATURES)

ACTION_FEATURES = (
    _flag("is_copy"),
    _flag("is_no_copy"),
    _flag("is_drop"),
    _signed("saving", _TIME),
    _signed("time_gained", _TIME),
    _amount("size", _CMEM),
    _amount("transfer_time", _TIME),
    Feature("supply_used", "supply of the window"),
    Feature("log_instructions_held", _LOG, 0.0, 16.0),
    Feature("log_strip_length", _LOG, 0.0, 16.0),
    _amount("area", "CMEM x instructions"),
    Feature("log_density", f"{_LOG}, {_TIME} per CMEM x instruction", 0.0, 16.0),
    Feature("density_above_coming", f"natural logarithm of the ratio, {_TIME} per CMEM x instruction", -16.0, 16.0),
    Feature("density_above_price", "natural logarithm of the ratio", -16.0, 16.0),
    _amount("rent", _TIME),
    _amount("toll", _TIME),
    _signed("worth_later", _TIME),
    _signed("net_worth", _TIME),
    _amount("benefit_to_come", _TIME),
    Feature("log_accesses_to_come", _LOG, 0.0, 16.0),
    Feature("log_instructions_to_next", _LOG, 0.0, 16.0),
    Feature("log_time_to_next", f"{_LOG}, {_TIME}", 0.0, 16.0),
    Feature("fullest", _CMEM),
    Feature("room_in_gap", _CMEM),
    _flag("writes_back"),
    Feature("log_write_back_length", _LOG, 0.0, 16.0),
    _flag("binds_group"),
    _flag("grouped"),
    _flag("valid_in_hbm"),
    _flag("writes"),
    _flag("next_fetch_fits"),
    _flag("held_through_loop"),
    _flag("in_loop"),
    Feature("memory_bound", "time of the instruction", -1.0, 1.0),
    _amount("pressure_ahead", _CMEM),
    Feature("free_now", _CMEM),
    _amount("blocked_worth", _TIME),
    Feature("blocked_only_copies", "8 storages"),
    Feature("channel_used", "free time of the window"),
    _amount("wait", _TIME),
)
ACTION_COLUMNS = len(ACTION_FEATURES)

SPEC = ObservationSpec(
    nodes=(
        NodeType("buffer", BUFFER_FEATURES),
        NodeType("tensor", TENSOR_FEATURES),
        NodeType("instruction", INSTRUCTION_FEATURES),
    ),
    edges=(
        EdgeType("accesses", "buffer", "tensor", dynamic=True),
        EdgeType("belongs_to", "buffer", "instruction", dynamic=True),
        EdgeType("precedes", "instruction", "instruction", dynamic=True),
    ),
    globals=GLOBAL_FEATURES,
    action_nodes=("buffer", "tensor", "instruction"),
    action_features=ACTION_FEATURES,
    images=(Image("memory", ROWS, COLUMNS, CHANNELS),),
    time_scale=100.0,
    stochastic=False,
)

_KEYS = {key: index for index, key in enumerate(SPEC.keys())}
K_BUFFER, K_BUFFER_MASK = _KEYS["nodes/buffer"], _KEYS["node_mask/buffer"]
K_TENSOR, K_TENSOR_MASK = _KEYS["nodes/tensor"], _KEYS["node_mask/tensor"]
K_INSTRUCTION, K_INSTRUCTION_MASK = _KEYS["nodes/instruction"], _KEYS["node_mask/instruction"]
K_ACCESSES, K_BELONGS, K_PRECEDES = _KEYS["edges/accesses"], _KEYS["edges/belongs_to"], _KEYS["edges/precedes"]
K_IMAGE = _KEYS["images/memory"]
K_GLOBALS = _KEYS["globals"]
K_ACTION_NODES, K_ACTIONS, K_MASK = _KEYS["actions/nodes"], _KEYS["actions/features"], _KEYS["action_mask"]

SIZES = {
    supply: Sizes(
        nodes={"buffer": WINDOW, "tensor": WINDOW, "instruction": WINDOW},
        edges={"accesses": WINDOW, "belongs_to": WINDOW, "precedes": WINDOW},
        actions=NUM_ACTIONS if supply == "either" else COPY_ELAPSED,
    )
    for supply in SUPPLIES
}

# --- columns of View.memo: what the image shows -----------------------------------------------------------------------
# MEMO_INSTRUCTION is the instruction of column PAST, MEMO_POSITION the access to be decided (-1: the image must be
# written from scratch). From MEMO_OWN, MEMO_COPY and MEMO_HOLD on the strip of the present storage and the offered
# blocks (begin, end, bottom, top; an empty one ends before it begins). MEMO_NUMBER and
# MEMO_WINDOW are the access and the instruction that the window was last written for, or -2 and -1.
MEMO_INSTRUCTION, MEMO_POSITION, MEMO_NUMBER, MEMO_WINDOW, MEMO_OWN, MEMO_COPY, MEMO_HOLD, NUM_MEMO = (
    *range(4),
    *range(4, 17, 4),
)


class View(NamedTuple):
    """The observations of n copies as compiled writers see them."""

    floats: NDArray[np.float32]  # [n, row]
    integers: NDArray[np.int32]  # [n, row], the same memory
    bytes: NDArray[np.int8]  # [n, row], the same memory
    pixels: NDArray[np.uint8]  # [n, row], the same memory
    offsets: NDArray[np.int64]  # [number of keys]
    memo: NDArray[np.int64]  # [n, NUM_MEMO]
    drawn: NDArray[np.int64]  # [n, N]: until which instruction each strip has been drawn, or -1


@compiled
def clip(value, low, high):
    """A value cut to low … high."""
    return min(max(value, low), high)


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
