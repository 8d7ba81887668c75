"""Random programs for training: chains, branches, weights used again, recurrences, gathers, loops, updates in place.

A program is drawn in compiled code by a counter from mix(seed ^ RANDOM_TAG), so that an episode can begin with a fresh
one in less time than it takes to play it. Some programs go forward only, others go back through what they kept, as
training does, and update their weights in place. CMEM has 10 to 60 % of what the program has live at most.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ..core.compile import compiled
from ..core.errors import FieldError, UserError
from ..core.instance import require_integer
from ..core.names import Name, check_options, parse_name
from ..core.random import mix, uniform
from .catalogue import named
from .instance import Hardware, Instruction, MemoryInstance, Tensor
from .state import (
    ACT,
    BYTES,
    CMEM,
    COMPUTE,
    DIM_ACCESSES,
    DIM_CMEM,
    DIM_INSTRUCTIONS,
    DIM_TENSORS,
    FIRST,
    GROUPED,
    HBM,
    HBM_ONLY,
    INPUT,
    INSTRUCTION,
    KIND,
    LAST,
    LOOP,
    NUM_ACCESS,
    NUM_DIMS,
    NUM_INSTRUCTION,
    NUM_TENSOR,
    OUTPUT,
    OVERHEAD,
    PARAM,
    SIZE,
    STORAGE_OF,
    TENSOR,
    TRANSFER,
    TRIPS,
    WRITES,
)

RANDOM_TAG = int.from_bytes(b"memmap", "big")
SMALLEST, LARGEST = 8, 20_000
ALIGN = 1024
_STREAM_SIZE = 1
_MOST_ACCESSES = 5  # of one instruction
_RECENT = 6
_KINDS = 5

# --- what `fill_random` notes in its scratch table, int64 [accesses, NUM_SCRATCH] -------------------------------------
# LIVE is the list of values that may be read, KEPT_VALUE and KEPT_WEIGHT what a way back would read; MARK is per
# instruction. Row 0 of CELL and the following rows hold single numbers.
LIVE, KEPT_VALUE, KEPT_WEIGHT, GONE, MARK, CELL, NUM_SCRATCH = range(7)
_RANDOM, _LIVE_COUNT, _KEPT_COUNT, _STATE, _WEIGHT, _LOOP_END, _LOOPS = range(7)

# --- columns of the hardware that is drawn ----------------------------------------------------------------------------
HBM_BPS, READ_BPS, WRITE_BPS, LATENCY, EXTRA, NUM_HARDWARE = range(6)


@compiled
def random_key(seed):
    """The key of a random instance's draws."""
    return mix(np.uint64(seed) ^ np.uint64(RANDOM_TAG))


@compiled
def draw_size(key, count):
    """Which of `count` sizes the random program of this key has."""
    return np.int64(count * uniform(key, _STREAM_SIZE))


@compiled
def duration(amount, rate):
    """Picoseconds for an amount at a rate per second below 9e15, rounded up, without overflow."""
    whole, rest = amount // rate, amount % rate
    for _ in range(4):
        rest *= 1000
        whole = whole * 1000 + rest // rate
        rest %= rate
    return whole + (rest > 0)


@compiled
def draw(scratch):
    """The next number of the program's stream, uniform in [0, 1)."""
    value = mix(np.uint64(scratch[_RANDOM, CELL]))
    scratch[_RANDOM, CELL] = np.int64(value)
    return (value >> np.uint64(11)) * 2.0**-53


@compiled
def octaves(scratch, low, count):
    """Between `low` and low * 2**count, each octave as likely; by sums and products alone, the same everywhere."""
    at = draw(scratch) * count
    while at >= 1.0:
        low *= 2.0
        at -= 1.0
    return low * (1.0 + at)


@compiled
def draw_hardware(scratch, hardware):
    """Draw bandwidths, latency and extra time of the hardware."""
    hardware[HBM_BPS] = np.int64(octaves(scratch, 3e11, 2.0))
    hardware[READ_BPS] = np.int64(hardware[HBM_BPS] * octaves(scratch, 2.0, 1.6))
    hardware[WRITE_BPS] = np.int64(hardware[READ_BPS] * octaves(scratch, 0.4, 1.3))
    hardware[LATENCY] = 555_000 if draw(scratch) < 0.5 else 0
    hardware[EXTRA] = 100_000 if draw(scratch) < 0.3 else 0


@compiled
def add_tensor(tensor, dims, size, kind, hardware):
    """A new tensor; returns its number."""
    v = dims[DIM_TENSORS]
    tensor[v, SIZE], tensor[v, KIND], tensor[v, STORAGE_OF] = size, kind, v
    tensor[v, GROUPED], tensor[v, HBM_ONLY] = 0, 0
    tensor[v, TRANSFER] = hardware[LATENCY] + duration(size, hardware[HBM_BPS])
    dims[DIM_TENSORS] = v + 1
    return v


@compiled
def add_access(access, dims, v, writes, size, hardware):
    """An access of the instruction at hand; returns its time in HBM."""
    row = access[dims[DIM_ACCESSES]]
    row[INSTRUCTION], row[TENSOR], row[WRITES], row[BYTES] = dims[DIM_INSTRUCTIONS], v, writes, size
    row[HBM] = duration(size, hardware[HBM_BPS])
    row[CMEM] = duration(size, hardware[WRITE_BPS] if writes == 1 else hardware[READ_BPS])
    dims[DIM_ACCESSES] += 1
    return row[HBM]


@compiled
def end_instruction(instruction, dims, memory, intensity, hardware):
    """End the instruction at hand, whose computation takes `intensity` times its traffic with everything in HBM."""
    row = instruction[dims[DIM_INSTRUCTIONS]]
    row[COMPUTE], row[OVERHEAD] = np.int64(memory * intensity), hardware[EXTRA]
    dims[DIM_INSTRUCTIONS] += 1


@compiled
def take_value(scratch, fresh):
    """Place in the list of live values of one to be read: the latest, or one of the recent ones."""
    count = scratch[_LIVE_COUNT, CELL]
    if fresh or count == 1:
        return count - 1
    return count - 1 - np.int64(draw(scratch) * min(count, _RECENT))


@compiled
def make_live(scratch, v, place):
    """Let value v be read from now on; in the place of another in the list, or as a new one (-1)."""
    if place < 0:
        place = scratch[_LIVE_COUNT, CELL]
        scratch[_LIVE_COUNT, CELL] = place + 1
    else:
        last = scratch[_LIVE_COUNT, CELL] - 1
        for at in range(place, last):  # what is overwritten leaves; the new value is the latest
            scratch[at, LIVE] = scratch[at + 1, LIVE]
        place = last
    scratch[place, LIVE] = v


@compiled
def write_value(access, tensor, dims, scratch, size, over, hardware):
    """A new value is written, in place of value `over` if that is not negative. Returns (it, its time in HBM)."""
    v = add_tensor(tensor, dims, size, ACT, hardware)
    scratch[v, GONE] = 0
    if over >= 0:
        root = tensor[over, STORAGE_OF]
        tensor[root, GROUPED], tensor[v, GROUPED], tensor[v, STORAGE_OF] = 1, 1, root
        scratch[over, GONE] = 1
    return v, add_access(access, dims, v, 1, size, hardware)


@compiled
def some_size(scratch, typical):
    """A size around a typical one, a multiple of ALIGN."""
    return max(np.int64(typical * octaves(scratch, 0.35, 3.0)) // ALIGN, 1) * ALIGN


@compiled
def fill_random(access, tensor, instruction, dims, scratch, hardware, size, key):
    """Write the random program of a key with at most `size` accesses.

    Args:
        access, tensor, instruction, dims: rows of one copy in the tables of `Problem`; what `measure` derives is left
            to it.
        scratch: int64 [>= size + 1, NUM_SCRATCH].
        hardware: int64 [NUM_HARDWARE], written.
        key: uint64, see `random_key`.
    """
    for cell in range(7):
        scratch[cell, CELL] = 0
    scratch[_RANDOM, CELL] = np.int64(key)
    scratch[_STATE, CELL], scratch[_WEIGHT, CELL] = -1, -1
    dims[DIM_ACCESSES], dims[DIM_TENSORS], dims[DIM_INSTRUCTIONS] = 0, 0, 0
    draw_hardware(scratch, hardware)
    typical = octaves(scratch, 2.0**16, 6.0)
    weight = typical * octaves(scratch, 0.2, 4.6)
    intensity = octaves(scratch, 0.25, 3.3)
    share_recurrent = 0.0 if draw(scratch) < 0.5 else draw(scratch) * 0.6
    share_gather = 0.0 if draw(scratch) < 0.6 else draw(scratch) * 0.3
    share_elementwise = draw(scratch) * 0.6
    reuse, branch, in_place = draw(scratch) * 0.5, draw(scratch) * 0.5, draw(scratch) * 0.6
    looping = draw(scratch) < 0.35
    turn = size * 0.45 if draw(scratch) < 0.3 else size * 2.0
    start = add_tensor(tensor, dims, some_size(scratch, typical), INPUT, hardware)
    scratch[start, GONE] = 0
    make_live(scratch, start, -1)
    while dims[DIM_ACCESSES] + _MOST_ACCESSES <= size:
        going_back = dims[DIM_ACCESSES] > turn and scratch[_KEPT_COUNT, CELL] > 0
        if looping:
            mark_loop(instruction, dims, scratch)
        if going_back:
            add_way_back(access, tensor, instruction, dims, scratch, hardware, intensity)
            continue
        kind = draw(scratch)
        if kind < share_recurrent:
            add_recurrence(access, tensor, instruction, dims, scratch, hardware, typical, intensity)
        elif kind < share_recurrent + share_gather:
            add_gather(access, tensor, instruction, dims, scratch, hardware, typical, weight)
        elif draw(scratch) < share_elementwise:
            add_elementwise(access, tensor, instruction, dims, scratch, hardware, branch, in_place)
        else:
            add_product(access, tensor, instruction, dims, scratch, hardware, typical, weight, intensity, reuse, branch)
    finish_program(access, tensor, instruction, dims, scratch)


@compiled
def mark_loop(instruction, dims, scratch):
    """Begin a loop here now and then; MARK holds a loop's number and trips for each instruction in it."""
    t = dims[DIM_INSTRUCTIONS]
    scratch[t, MARK] = 0
    if scratch[_LOOP_END, CELL] > t:
        scratch[t, MARK] = scratch[t - 1, MARK]
    elif t > 0 and draw(scratch) < 0.06:
        scratch[_LOOPS, CELL] += 1
        scratch[_LOOP_END, CELL] = t + 2 + np.int64(draw(scratch) * 9)
        # The loop's number keeps two in a row apart.
        scratch[t, MARK] = 64 * scratch[_LOOPS, CELL] + 2 + np.int64(draw(scratch) * 7)


@compiled
def add_product(access, tensor, instruction, dims, scratch, hardware, typical, weight, intensity, reuse, branch):
    """y = x W, as of a convolution or a matrix product."""
    place = take_value(scratch, draw(scratch) >= branch)
    x = scratch[place, LIVE]
    w = scratch[_WEIGHT, CELL]
    again = draw(scratch) < reuse
    if again and scratch[_KEPT_COUNT, CELL] > 0 and draw(scratch) < 0.5:
        w = scratch[np.int64(draw(scratch) * scratch[_KEPT_COUNT, CELL]), KEPT_WEIGHT]
    if not again or w < 0 or scratch[w, GONE] == 1:
        w = add_tensor(tensor, dims, some_size(scratch, weight), PARAM, hardware)
        scratch[w, GONE] = 0
    scratch[_WEIGHT, CELL] = w
    memory = add_access(access, dims, x, 0, tensor[x, SIZE], hardware)
    memory += add_access(access, dims, w, 0, tensor[w, SIZE], hardware)
    y, time = write_value(access, tensor, dims, scratch, some_size(scratch, typical), -1, hardware)
    make_live(scratch, y, -1)
    kept = scratch[_KEPT_COUNT, CELL]
    scratch[kept, KEPT_VALUE], scratch[kept, KEPT_WEIGHT] = x, w
    scratch[_KEPT_COUNT, CELL] = kept + 1
    end_instruction(instruction, dims, memory + time, intensity * octaves(scratch, 0.3, 3.3), hardware)


@compiled
def add_elementwise(access, tensor, instruction, dims, scratch, hardware, branch, in_place):
    """y = f(x) or f(x, z) with an older value, written in place of x now and then."""
    place = take_value(scratch, True)
    x = scratch[place, LIVE]
    other = scratch[take_value(scratch, draw(scratch) >= branch), LIVE]
    size = tensor[x, SIZE]
    memory = add_access(access, dims, x, 0, size, hardware)
    if other != x:
        memory += add_access(access, dims, other, 0, tensor[other, SIZE], hardware)
    overwrites = tensor[x, KIND] == ACT and draw(scratch) < in_place
    y, time = write_value(access, tensor, dims, scratch, size, x if overwrites else -1, hardware)
    make_live(scratch, y, place if overwrites else -1)
    end_instruction(instruction, dims, memory + time, octaves(scratch, 0.05, 3.6), hardware)


@compiled
def add_gather(access, tensor, instruction, dims, scratch, hardware, typical, weight):
    """y = rows of a table."""
    table = add_tensor(tensor, dims, some_size(scratch, 4.0 * weight), PARAM, hardware)
    scratch[table, GONE] = 0
    size = some_size(scratch, 0.5 * typical)
    memory = add_access(access, dims, table, 0, min(size, tensor[table, SIZE]), hardware)
    y, time = write_value(access, tensor, dims, scratch, size, -1, hardware)
    make_live(scratch, y, -1)
    end_instruction(instruction, dims, memory + time, octaves(scratch, 0.02, 3.3), hardware)


@compiled
def add_recurrence(access, tensor, instruction, dims, scratch, hardware, typical, intensity):
    """h = f(h, x, W), with h in one place and the same W in each step."""
    if scratch[_STATE, CELL] < 0:
        scratch[_STATE, CELL] = add_tensor(tensor, dims, some_size(scratch, 0.5 * typical), INPUT, hardware)
    h, w = scratch[_STATE, CELL], scratch[_WEIGHT, CELL]
    if w < 0 or scratch[w, GONE] == 1:
        w = add_tensor(tensor, dims, some_size(scratch, 2.0 * typical), PARAM, hardware)
        scratch[w, GONE] = 0
        scratch[_WEIGHT, CELL] = w
    x = scratch[take_value(scratch, True), LIVE]
    memory = add_access(access, dims, h, 0, tensor[h, SIZE], hardware)
    memory += add_access(access, dims, x, 0, tensor[x, SIZE], hardware)
    memory += add_access(access, dims, w, 0, tensor[w, SIZE], hardware)
    new, time = write_value(access, tensor, dims, scratch, tensor[h, SIZE], h, hardware)
    scratch[_STATE, CELL] = new
    end_instruction(instruction, dims, memory + time, intensity * octaves(scratch, 0.3, 2.7), hardware)


@compiled
def add_way_back(access, tensor, instruction, dims, scratch, hardware, intensity):
    """dx and dW from the latest gradient and what was kept, then the weight's update in place."""
    kept = scratch[_KEPT_COUNT, CELL] - 1
    scratch[_KEPT_COUNT, CELL] = kept
    x, w = scratch[kept, KEPT_VALUE], scratch[kept, KEPT_WEIGHT]
    g = scratch[take_value(scratch, True), LIVE]
    memory = add_access(access, dims, g, 0, tensor[g, SIZE], hardware)
    if scratch[x, GONE] == 0 and x != g:
        memory += add_access(access, dims, x, 0, tensor[x, SIZE], hardware)
    if scratch[w, GONE] == 1:  # updated already: only the gradient goes on
        y, time = write_value(access, tensor, dims, scratch, tensor[x, SIZE], -1, hardware)
        make_live(scratch, y, -1)
        end_instruction(instruction, dims, memory + time, intensity, hardware)
        return
    memory += add_access(access, dims, w, 0, tensor[w, SIZE], hardware)
    y, time = write_value(access, tensor, dims, scratch, tensor[x, SIZE], -1, hardware)
    make_live(scratch, y, -1)
    updates = tensor[w, KIND] == PARAM and draw(scratch) < 0.7
    if updates:
        new, more = write_value(access, tensor, dims, scratch, tensor[w, SIZE], w, hardware)
        tensor[new, KIND] = OUTPUT
        time += more
    end_instruction(instruction, dims, memory + time, intensity * octaves(scratch, 0.3, 3.3), hardware)


@compiled
def finish_program(access, tensor, instruction, dims, scratch):
    """Outputs, segments, and how large CMEM is."""
    count = scratch[_LIVE_COUNT, CELL]
    for place in range(count):
        v = scratch[place, LIVE]
        if tensor[v, KIND] == ACT and (place == count - 1 or draw(scratch) < 0.1):
            tensor[v, KIND] = OUTPUT
    instructions = dims[DIM_INSTRUCTIONS]
    if scratch[_LOOPS, CELL] == 0:
        for t in range(instructions):
            scratch[t, MARK] = 0
    first = 0
    for t in range(instructions):
        if scratch[t, MARK] != scratch[first, MARK]:
            first = t
        row = instruction[t]
        row[FIRST], row[LAST] = first, t
        row[LOOP] = scratch[t, MARK] != 0
        row[TRIPS] = scratch[t, MARK] % 64 if scratch[t, MARK] != 0 else 1
    for t in range(instructions - 2, -1, -1):
        if instruction[t + 1, FIRST] == instruction[t, FIRST]:
            instruction[t, LAST] = instruction[t + 1, LAST]
    peak = most_live(access, tensor, dims, scratch)
    dims[DIM_CMEM] = max(np.int64(peak * octaves(scratch, 0.1, 2.6)) // ALIGN, 16) * ALIGN


@compiled
def most_live(access, tensor, dims, scratch):
    """The most bytes between first and last accesses at any instruction."""
    instructions = dims[DIM_INSTRUCTIONS]
    for t in range(instructions + 1):
        scratch[t, MARK] = 0
    for v in range(dims[DIM_TENSORS]):
        scratch[v, GONE] = -1
    for k in range(dims[DIM_ACCESSES] - 1, -1, -1):
        storage = tensor[access[k, TENSOR], STORAGE_OF]
        if scratch[storage, GONE] < 0:
            scratch[storage, GONE] = 0
            scratch[access[k, INSTRUCTION] + 1, MARK] -= tensor[storage, SIZE]
    for k in range(dims[DIM_ACCESSES]):
        storage = tensor[access[k, TENSOR], STORAGE_OF]
        if scratch[storage, GONE] == 0:
            scratch[storage, GONE] = 1
            scratch[access[k, INSTRUCTION], MARK] += tensor[storage, SIZE]
    live, most = 0, 0
    for t in range(instructions):
        live += scratch[t, MARK]
        most = max(most, live)
    return most


# --- instances --------------------------------------------------------------------------------------------------------

KIND_NAMES = ("param", "input", "const", "act", "output")
_RANDOM_NAME = re.compile(r"random-([0-9]{1,5})-s([0-9]{1,19})\Z")
MAX_COUNT = 100_000
MAX_SEED = 2**63 - 1


def random_name(size: int, seed: int) -> str:
    """What the random program of a size and a seed is called."""
    return f"random-{size}-s{seed}"


def random_instance(sizes: Sequence[int], seed: int) -> MemoryInstance:
    """The random program of a seed in the family of these sizes, called ``random-SIZE-sSEED``.

    Args:
        sizes: the most accesses of a program, each as likely as the others.
        seed: 0 to 2**63 - 1.
    """
    key = np.uint64(random_key(require_integer("seed", seed, 0, MAX_SEED)))
    size = sizes[int(draw_size(key, len(sizes)))]
    access = np.zeros((size, NUM_ACCESS), dtype=np.int64)
    tensor = np.zeros((size, NUM_TENSOR), dtype=np.int64)
    instruction = np.zeros((size, NUM_INSTRUCTION), dtype=np.int64)
    dims, hardware = np.zeros(NUM_DIMS, dtype=np.int64), np.zeros(NUM_HARDWARE, dtype=np.int64)
    scratch = np.zeros((size, NUM_SCRATCH), dtype=np.int64)
    fill_random(access, tensor, instruction, dims, scratch, hardware, size, key)
    tensors = tuple(
        Tensor(int(row[SIZE]), KIND_NAMES[row[KIND]], int(row[STORAGE_OF]) if row[GROUPED] else None)
        for row in tensor[: dims[DIM_TENSORS]]
    )
    accesses = access[: dims[DIM_ACCESSES]]
    steps, loops = [], []
    for t in range(int(dims[DIM_INSTRUCTIONS])):
        mine = accesses[accesses[:, INSTRUCTION] == t].tolist()
        reads, writes = (tuple((row[TENSOR], row[BYTES]) for row in mine if row[WRITES] == writes) for writes in (0, 1))
        steps.append(Instruction(f"step {t}", reads, writes, int(instruction[t, COMPUTE])))
        if instruction[t, LOOP] and instruction[t, FIRST] == t:
            loops.append((t, int(instruction[t, LAST]), int(instruction[t, TRIPS])))
    machine = Hardware(
        name="random",
        cmem_bytes=int(dims[DIM_CMEM]),
        align=ALIGN,
        hbm_bps=int(hardware[HBM_BPS]),
        cmem_read_bps=int(hardware[READ_BPS]),
        cmem_write_bps=int(hardware[WRITE_BPS]),
        copy_latency_ps=int(hardware[LATENCY]),
        overhead_ps=int(hardware[EXTRA]),
    )
    return MemoryInstance(random_name(size, seed), tensors, tuple(steps), machine, tuple(loops), {"kind": "random"})


def parse_sizes(name: Name) -> tuple[int, ...]:
    """Sizes of ``random:size=50+100``.

    Raises:
        UserError: the option is missing or malformed, or there is another one than size, count and seed.
    """
    check_options(name, "instance", ("size", "count", "seed"))
    if "size" not in name.options:
        raise UserError(f"instance {str(name)!r} has no size, expected for example random:size=100")
    given = name.options["size"]
    expected = f"numbers of accesses from {SMALLEST} to {LARGEST} joined by '+', for example 50+100"
    items = str(given).split("+")
    if not all(item.isdecimal() and len(item) < 6 for item in items):
        raise FieldError("option size", given, expected)
    sizes = tuple(map(int, items))
    if not all(SMALLEST <= size <= LARGEST for size in sizes):
        raise FieldError("option size", given, expected)
    return sizes


def resolve(text: str) -> list[MemoryInstance]:
    """The instances that one item of a list of instances names.

    * an instance, a set of them, a program or files, see `catalogue.named`;
    * ``random:size=100:count=20:seed=7``: random programs of the seeds 7 to 26; with ``size=50+100`` the sizes take
      turns; ``random-100-s7``: one by the name it bears.

    Raises:
        UserError: the item names nothing, or a file is malformed.
    """
    name = parse_name(text, "instance")
    if name.base == "random":
        return _random_instances(name)
    if match := _RANDOM_NAME.match(name.base):
        check_options(name, "instance", ())
        size, seed = map(int, match.groups())
        return [random_instance((require_integer("size", size, SMALLEST, LARGEST),), seed)]
    return named(text)


def _random_instances(name: Name) -> list[MemoryInstance]:
    sizes = parse_sizes(name)
    count = require_integer("option count", name.options.get("count", 1), 1, MAX_COUNT)
    first = require_integer("option seed", name.options.get("seed", 0), 0, 2**62)
    return [random_instance(sizes[index % len(sizes) :][:1], first + index) for index in range(count)]
