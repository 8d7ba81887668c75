"""What CMEM is worth at each instruction, and what each tensor can still make of it: prices from a Lagrangian.

If holding a byte during instruction t costs a rent, and using the supply a toll, every storage can be decided by
itself, by a small dynamic program over its accesses (hold on, fetch again, leave to HBM). Rents and tolls that make
what all storages then want just fit are found by a subgradient method (Held, Wolfe & Crowder, Mathematical Programming
6, 1974). They are estimates for whoever decides, not bounds: offsets and write-backs are left out, and the operands of
one instruction share what it can gain.
"""

from __future__ import annotations

import numpy as np

from ..core.compile import compiled
from .state import (
    ALL_HBM_MEMORY,
    ALL_HBM_TIME,
    CARRIED,
    CMEM,
    COMPUTE,
    DENSITY,
    DIM_ACCESSES,
    DIM_ALL_HBM,
    DIM_CMEM,
    DIM_INSTRUCTIONS,
    DIM_TENSORS,
    EITHER,
    ELAPSED,
    FETCH,
    FIRST,
    FIRST_OF_STORAGE,
    GROUPED,
    HBM,
    HBM_ONLY,
    IF_IN,
    IF_OUT,
    IF_THROUGH,
    INSTRUCTION,
    LAST,
    LATER,
    LATER_BENEFIT,
    LOOP,
    NEXT,
    NONE,
    NOT_FETCHED,
    OPT_SUPPLY,
    PER_CMEM,
    PER_RUN,
    PER_TIME,
    PRESSURE,
    PREVIOUS,
    SAVES,
    SIZE,
    STATIC,
    TENSOR,
    TRANSFER,
    TRIPS,
    WRITES,
)

_ROUNDS = 8
_NEVER = -1e300


@compiled
def price_program(problem, i, wanted, gained, moved):
    """Fill worth, price, toll and scale of copy i.

    Args:
        wanted: float64 [>= T + 1], scratch: what all want to hold, as differences.
        gained: float64 [>= T], scratch: what the accesses wanted in CMEM would gain of each instruction.
        moved: float64 [>= T + 1], scratch: which share of the supply fetches want, as differences.
    """
    dims, scale = problem.dims[i], problem.scale[i]
    count = dims[DIM_INSTRUCTIONS]
    scale[PER_TIME] = count / max(dims[DIM_ALL_HBM], 1)
    scale[PER_CMEM] = 1.0 / dims[DIM_CMEM]
    scale[PER_RUN] = 1.0 / max(dims[DIM_ALL_HBM], 1)
    scale[PRESSURE] = np.log1p(most_live(problem, i, wanted) / dims[DIM_CMEM])
    sum_benefits(problem, i)
    sum_supply(problem, i)
    find_fetches(problem, i)
    total = 0.0
    for t in range(count):
        gained[t] = 0.0
    for t in range(count + 1):
        problem.price[i, t] = 0.0
        problem.toll[i, t] = 0.0
    for k in range(dims[DIM_ACCESSES]):
        row = problem.access[i, k]
        total += max(row[STATIC], 0)
        gained[row[INSTRUCTION]] += max(row[HBM] - row[CMEM], 0)
    unit = total / (1.0 * dims[DIM_CMEM] * count)
    for number in range(_ROUNDS):
        share_gains(problem, i, gained)
        for t in range(count):
            wanted[t], gained[t], moved[t] = 0.0, 0.0, 0.0
        wanted[count], moved[count] = 0.0, 0.0
        for v in range(dims[DIM_TENSORS]):
            if problem.tensor[i, v, FIRST_OF_STORAGE] != NONE:
                plan_storage(problem, i, v, wanted, gained, moved)
        if number == _ROUNDS - 1:
            break
        step = 1.0 / (1.0 + 0.35 * number)
        move_prices(problem, i, wanted, unit * 1.5 * step)
        move_tolls(problem, i, moved, 0.5 * step)


@compiled
def most_live(problem, i, live):
    """The most bytes between first and last accesses at any instruction."""
    dims, access = problem.dims[i], problem.access[i]
    for t in range(dims[DIM_INSTRUCTIONS] + 1):
        live[t] = 0.0
    for k in range(dims[DIM_ACCESSES]):
        size = problem.tensor[i, access[k, TENSOR], SIZE]
        if access[k, PREVIOUS] == NONE:
            live[access[k, INSTRUCTION]] += size
        if access[k, NEXT] == NONE:
            live[access[k, INSTRUCTION] + 1] -= size
    now, most = 0.0, 0.0
    for t in range(dims[DIM_INSTRUCTIONS]):
        now += live[t]
        most = max(most, now)
    return most


@compiled
def sum_benefits(problem, i):
    """What each storage can gain after each access, and the densities of benefits."""
    access, worth, dims = problem.access[i], problem.worth[i], problem.dims[i]
    for k in range(dims[DIM_ACCESSES] - 1, -1, -1):
        after = access[k, NEXT]
        worth[k, LATER_BENEFIT], worth[k, LATER] = 0.0, 0.0
        if after != NONE:
            worth[k, LATER_BENEFIT] = worth[after, LATER_BENEFIT] + max(access[after, STATIC], 0)
            worth[k, LATER] = worth[after, LATER] + 1.0
    total = 0.0
    for k in range(dims[DIM_ACCESSES]):
        worth[k, DENSITY] = total
        length = 1
        if access[k, PREVIOUS] != NONE:
            length = max(access[k, INSTRUCTION] - access[access[k, PREVIOUS], INSTRUCTION], 1)
        total += max(access[k, STATIC], 0) / (1.0 * length * problem.tensor[i, access[k, TENSOR], SIZE])


@compiled
def sum_supply(problem, i):
    """Times, and what they leave of the HBM channel, with everything in HBM, summed over instructions."""
    freed, timed, instruction = problem.freed[i], problem.timed[i], problem.instruction[i]
    freed[0], timed[0] = 0.0, 0.0
    for t in range(problem.dims[i, DIM_INSTRUCTIONS]):
        timed[t + 1] = timed[t] + instruction[t, ALL_HBM_TIME]
        freed[t + 1] = freed[t] + instruction[t, ALL_HBM_TIME] - instruction[t, ALL_HBM_MEMORY]


@compiled
def supply_of(problem, i, begin, end):
    """The supply of instructions begin .. end - 1 with everything in HBM."""
    if problem.options[OPT_SUPPLY] == ELAPSED:
        return problem.timed[i, end] - problem.timed[i, begin]
    return problem.freed[i, end] - problem.freed[i, begin]


@compiled
def find_fetches(problem, i):
    """After which instruction each read's fetch would begin with the supply of everything in HBM.

    Where supply is "either", by what is free of the channel if that is enough.
    """
    access, worth, instruction = problem.access[i], problem.worth[i], problem.instruction[i]
    freed, timed, supply = problem.freed[i], problem.timed[i], problem.options[OPT_SUPPLY]
    supplied = timed if supply == ELAPSED else freed
    for k in range(problem.dims[i, DIM_ACCESSES]):
        worth[k, FETCH] = NOT_FETCHED
        if access[k, WRITES] == 1 or access[k, CARRIED] == 1:
            continue
        t = access[k, INSTRUCTION]
        first, since = instruction[t, FIRST], 0
        if access[k, PREVIOUS] != NONE:
            since = access[access[k, PREVIOUS], INSTRUCTION] + 1
        work = problem.tensor[i, access[k, TENSOR], TRANSFER]
        looping = instruction[t, LOOP] == 1
        start = latest_fetch(supplied, max(first, since), t, work)
        if looping and start != NOT_FETCHED and freed[t] - freed[start + 1] < work:  # it would wait in every round
            start = NOT_FETCHED
        before = max(instruction[first - 1, FIRST], since) if looping and first > 0 else NONE
        if start == NOT_FETCHED and before != NONE:
            start = latest_fetch(supplied, before, first, work)
        if start == NOT_FETCHED and supply == EITHER:
            if not looping:
                start = latest_fetch(timed, max(first, since), t, work)
            elif before != NONE:
                start = latest_fetch(timed, before, first, work)
        worth[k, FETCH] = start


@compiled
def latest_fetch(supplied, begin, end, work):
    """The largest s >= begin - 1 for which instructions s+1 .. end-1 supply `work` with everything in HBM."""
    for u in range(end - 1, begin - 1, -1):
        if supplied[end] - supplied[u] >= work:
            return u - 1
    return NOT_FETCHED


@compiled
def share_gains(problem, i, gained):
    """What each access saves if it shares what its instruction can gain with those that also want CMEM."""
    access, worth, instruction = problem.access[i], problem.worth[i], problem.instruction[i]
    for k in range(problem.dims[i, DIM_ACCESSES]):
        t = access[k, INSTRUCTION]
        slack = max(instruction[t, ALL_HBM_MEMORY] - instruction[t, COMPUTE], 0)
        gain = access[k, HBM] - access[k, CMEM]
        share = min(1.0, slack / max(gained[t], gain)) if gain > 0 else 0.0
        worth[k, SAVES] = instruction[t, TRIPS] * gain * share


@compiled
def rent(problem, i, first, last, size):
    """What holding `size` bytes during instructions first .. last costs by the prices."""
    return size * (problem.price[i, last + 1] - problem.price[i, first])


@compiled
def toll_of_fetch(problem, i, begin, t, work):
    """What a fetch during instructions begin .. t - 1 costs by the tolls."""
    return (problem.toll[i, t] - problem.toll[i, begin]) * work / max(supply_of(problem, i, begin, t), 1.0)


@compiled
def held_end(problem, i, begin, t):
    """Until when a strip that begins at `begin` is held to serve instruction t: to the end of a loop that it enters."""
    here = problem.instruction[i, t]
    return here[LAST] if here[LOOP] == 1 and begin < here[FIRST] else t


@compiled
def worth_inside(problem, i, k, begin):
    """What the accesses after k are worth if CMEM serves access k by a strip that begins at `begin`."""
    here = problem.instruction[i, problem.access[i, k, INSTRUCTION]]
    return problem.worth[i, k, IF_THROUGH if here[LOOP] == 1 and begin < here[FIRST] else IF_IN]


@compiled
def value_of_keeping(problem, i, begin, held, after, size):
    """What access `after` and those after it are worth if a strip from `begin` is held on from instruction `held`."""
    end = held_end(problem, i, begin, problem.access[i, after, INSTRUCTION])
    paid = rent(problem, i, held + 1, max(held, end), size)
    return problem.worth[i, after, SAVES] - paid + worth_inside(problem, i, after, begin)


@compiled
def value_of_fetching(problem, i, after, held, size):
    """What access `after` and those after it are worth if it is fetched after instruction `held`, or later."""
    worth = problem.worth[i]
    start = np.int64(worth[after, FETCH])
    if start == NOT_FETCHED or start < held:
        return _NEVER
    access = problem.access[i, after]
    t = access[INSTRUCTION]
    begin, due = start + 1, fetch_due(problem, i, start, t)
    work = problem.tensor[i, access[TENSOR], TRANSFER]
    paid = rent(problem, i, begin, held_end(problem, i, begin, t), size)
    paid += toll_of_fetch(problem, i, begin, due, work)
    lacking = work - (problem.freed[i, due] - problem.freed[i, begin])  # instruction `due` waits for that
    paid += problem.instruction[i, begin, TRIPS] * max(lacking, 0.0)
    return worth[after, SAVES] - paid + worth_inside(problem, i, after, begin)


@compiled
def fetch_due(problem, i, start, t):
    """Before which instruction a fetch for instruction t is done: t, or the first one of a loop that it is made for."""
    here = problem.instruction[i, t]
    return here[FIRST] if here[LOOP] == 1 and start + 1 < here[FIRST] else t


@compiled
def plan_storage(problem, i, storage, wanted, gained, moved):
    """The best plan of one storage at the present prices: fill what its accesses are worth, and add what it wants."""
    tensor = problem.tensor[i]
    first = tensor[storage, FIRST_OF_STORAGE]
    size = tensor[storage, SIZE]
    grouped = tensor[storage, GROUPED] == 1
    k = last_of_storage(problem.access[i], first)
    while k != NONE:
        value_access(problem, i, k, size, grouped)
        k = problem.access[i, k, PREVIOUS]
    if size > problem.dims[i, DIM_CMEM] or tensor[storage, HBM_ONLY] == 1:
        return
    want_best_plan(problem, i, first, size, grouped, wanted, gained, moved)


@compiled
def value_access(problem, i, k, size, grouped):
    """Fill what the accesses of a storage after access k are worth."""
    worth, after, t = problem.worth[i], problem.access[i, k, NEXT], problem.access[i, k, INSTRUCTION]
    worth[k, IF_IN], worth[k, IF_THROUGH], worth[k, IF_OUT] = 0.0, 0.0, 0.0
    if after == NONE:
        return
    here, out = problem.instruction[i, t], worth[after, IF_OUT]
    fetch = value_of_fetching(problem, i, after, t, size)
    worth[k, IF_OUT] = 0.0 if grouped else max(fetch, out)
    keep = value_of_keeping(problem, i, t, t, after, size)
    worth[k, IF_IN] = max(keep, fetch) if grouped else max(keep, max(fetch, out))
    if here[LOOP] == 0:
        worth[k, IF_THROUGH] = worth[k, IF_IN]
        return
    worth[k, IF_THROUGH] = value_of_keeping(problem, i, here[FIRST] - 1, here[LAST], after, size)
    if problem.access[i, after, INSTRUCTION] > here[LAST]:
        fetch = value_of_fetching(problem, i, after, here[LAST], size)
        worth[k, IF_THROUGH] = max(worth[k, IF_THROUGH], fetch if grouped else max(fetch, out))


@compiled
def last_of_storage(access, k):
    """The last access to the storage that access k uses."""
    while access[k, NEXT] != NONE:
        k = access[k, NEXT]
    return k


@compiled
def want_best_plan(problem, i, first, size, grouped, wanted, gained, moved):
    """Follow the best plan of a storage and add up what it holds and gains."""
    access, worth = problem.access[i], problem.worth[i]
    k, inside = first, False
    begin, held = NONE, NONE  # of its strip
    while k != NONE:
        t, out = access[k, INSTRUCTION], worth[k, IF_OUT]
        stay, start = _NEVER, t
        if k == first and access[k, WRITES] == 1:
            stay = worth[k, SAVES] - rent(problem, i, t, t, size) + worth[k, IF_IN]
        fetch = value_of_fetching(problem, i, k, held, size)
        fetches = fetch > stay
        if fetches:
            stay, start = fetch, np.int64(worth[k, FETCH]) + 1
        if inside:
            keep = value_of_keeping(problem, i, begin, held, k, size)
            if keep >= stay or held >= t:
                stay, start, fetches = keep, begin, False
        if not grouped or k == first:
            inside = stay > out or held >= t
        if inside:
            if start != begin:
                begin, held = start, start - 1
            end = held_end(problem, i, begin, t)
            if end > held:
                wanted[held + 1] += size
                wanted[end + 1] -= size
                held = end
            gained[t] += access[k, HBM] - access[k, CMEM]
        if inside and fetches:
            due = fetch_due(problem, i, begin - 1, t)
            work = problem.tensor[i, access[k, TENSOR], TRANSFER]
            share = work / max(supply_of(problem, i, begin, due), 1.0)
            moved[begin] += share
            moved[due] -= share
        k = access[k, NEXT]


@compiled
def move_prices(problem, i, wanted, step):
    """Raise the prices where more is wanted than there is, lower them where less is."""
    price = problem.price[i]
    cmem = problem.dims[i, DIM_CMEM]
    want, total, old = 0.0, 0.0, 0.0
    for t in range(problem.dims[i, DIM_INSTRUCTIONS]):
        want += wanted[t]
        now = price[t + 1] - old
        old = price[t + 1]
        now = max(now + step * min(want / cmem - 1.0, 3.0), 0.0)
        total += now
        price[t + 1] = total


@compiled
def move_tolls(problem, i, moved, step):
    """The same for the supply."""
    toll = problem.toll[i]
    use, total, old = 0.0, 0.0, 0.0
    for t in range(problem.dims[i, DIM_INSTRUCTIONS]):
        use += moved[t]
        supply = supply_of(problem, i, t, t + 1)
        now = (toll[t + 1] - old) / supply if supply > 0.0 else 0.0
        old = toll[t + 1]
        now = max(now + step * min(use - 1.0, 3.0), 0.0)
        total += now * supply
        toll[t + 1] = total
