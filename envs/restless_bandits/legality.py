"""Which elements may join a partial action, so that a feasible action comes of it, for every kind of set.

`restart` begins an epoch, `join` notes an element that was picked, `mark` writes what may be picked then.
"""

from __future__ import annotations

import numpy as np

from ..core.compile import compiled
from .state import (
    ARMS,
    BUDGET,
    CAPACITY,
    COVER,
    COVERS,
    DISTINCT,
    ELEMENTS,
    EPOCH,
    EXACTLY,
    HORIZON,
    INSTANCE,
    KIND,
    LISTED,
    MEMBERS,
    MOST_HOURS,
    NOT_FORCED,
    OPT_VISITS,
    PACKING,
    PICKED,
    ROWS,
    SLOTS,
    UNDECIDED,
    VISITS,
    WALK,
    WORKERS,
)
from .tours import add_stop, clear_tour, mark_walks

_MOST_NODES = 20_000  # of the search for a packing; beyond it counts as none
_EACH = 2  # visits of an arm


@compiled
def restart(problem, state, i):
    """No element is picked."""
    dims = problem.dims[state.clock[i, INSTANCE]]
    kind = dims[KIND]
    for e in range(dims[ELEMENTS]):
        state.picked[i, e] = 0
    if kind == PACKING:
        for row in range(dims[ROWS]):
            state.sums[i, row] = 0.0
    elif kind == CAPACITY:
        for hours in range(state.pile.shape[1]):
            state.pile[i, hours] = 0
    elif kind == VISITS:
        for subset in range(state.demand.shape[1]):
            state.demand[i, subset] = 0
    elif kind == DISTINCT:
        for w in range(dims[WORKERS]):
            for s in range(dims[SLOTS]):
                state.holder[i, 0, w, s] = -1
    elif kind == WALK:
        clear_tour(problem, state, i)


@compiled
def join(problem, state, i, e):
    """Element e, which may, joins the action."""
    r = state.clock[i, INSTANCE]
    kind = problem.dims[r, KIND]
    state.picked[i, e] = 1
    if kind == PACKING:
        for row in range(problem.dims[r, ROWS]):
            state.sums[i, row] += problem.row[r, row, e]
    elif kind == CAPACITY:
        state.pile[i, problem.slots[r, e]] += 1
    elif kind == VISITS:
        mask = problem.slots[r, e]
        for subset in range(state.demand.shape[1]):
            if mask & ~subset == 0:
                state.demand[i, subset] += _EACH
    elif kind == DISTINCT:
        for _ in range(_EACH):
            visit(problem, state, i, e, 0)
    elif kind == WALK:
        add_stop(problem, state, i, e)


@compiled
def mark(problem, state, i):
    """Write which elements may be picked."""
    r, clock = state.clock[i, INSTANCE], state.clock[i]
    dims = problem.dims[r]
    kind, full = dims[KIND], clock[PICKED] >= dims[BUDGET]
    for e in range(dims[ELEMENTS]):
        state.can[i, e] = state.picked[i, e] == 0 and not full
    if not full:
        mark_kind(problem, state, i, kind)
    if problem.options[OPT_VISITS] > 0:
        mark_forced(problem, state, i)


@compiled
def mark_kind(problem, state, i, kind):
    """Mark which elements may still join, by one kind of feasible set."""
    if kind == PACKING:
        mark_rows(problem, state, i)
    elif kind == CAPACITY:
        mark_hours(problem, state, i)
    elif kind == VISITS:
        mark_slots(problem, state, i)
    elif kind == DISTINCT:
        mark_distinct(problem, state, i)
    elif kind == WALK:
        mark_walks(problem, state, i)
    elif kind == LISTED:
        mark_listed(problem, state, i)


@compiled
def may_stop(problem, state, i):
    """Whether the elements picked are a feasible action."""
    clock = state.clock[i]
    r = clock[INSTANCE]
    if problem.options[OPT_VISITS] > 0 and clock[COVER] != NOT_FORCED:
        return False
    if problem.dims[r, EXACTLY] == 1:
        return clock[PICKED] == problem.dims[r, BUDGET]
    if problem.dims[r, KIND] == LISTED:
        return is_member(problem, state, i)
    return True


@compiled(when_plain=True)
def is_member(problem, state, i):
    """Whether the elements picked are one of the listed actions."""
    r, found = state.clock[i, INSTANCE], False
    bits = picked_bits(problem, state, i)
    for m in range(problem.dims[r, MEMBERS]):
        found |= problem.member[r, m] == bits
    return found


# --- kinds ------------------------------------------------------------------------------------------------------------


@compiled
def mark_rows(problem, state, i):
    """Unmark what would break a linear row."""
    r = state.clock[i, INSTANCE]
    for e in range(problem.dims[r, ELEMENTS]):
        for row in range(problem.dims[r, ROWS]):
            if state.sums[i, row] + problem.row[r, row, e] > problem.limit[r, row]:
                state.can[i, e] = 0
                break


@compiled
def picked_bits(problem, state, i):
    """The elements picked so far as bits."""
    bits = np.int64(0)
    for e in range(problem.dims[state.clock[i, INSTANCE], ELEMENTS]):
        bits |= np.int64(state.picked[i, e]) << e
    return bits


@compiled(when_plain=None)
def mark_listed(problem, state, i):
    """Mark what some listed action holds beside all that is picked."""
    r = state.clock[i, INSTANCE]
    bits, able = picked_bits(problem, state, i), np.int64(0)
    for m in range(problem.dims[r, MEMBERS]):
        if problem.member[r, m] & bits == bits:
            able |= problem.member[r, m]
    for e in range(problem.dims[r, ELEMENTS]):
        if (able >> e) & 1 == 0:
            state.can[i, e] = 0


@compiled
def mark_slots(problem, state, i):
    """By Hall's condition: within every set of slots no more visits are asked for than workers are free."""
    r = state.clock[i, INSTANCE]
    for subset in range(np.int64(1) << problem.dims[r, SLOTS]):
        if state.demand[i, subset] + _EACH > problem.free[r, subset]:
            for e in range(problem.dims[r, ELEMENTS]):
                if problem.slots[r, e] & ~subset == 0:
                    state.can[i, e] = 0


@compiled(when_plain=None)
def mark_distinct(problem, state, i):
    """Try the visits of each arm beside those of the arms picked; arms free in the same slots are alike."""
    r = state.clock[i, INSTANCE]
    dims = problem.dims[r]
    for e in range(dims[ELEMENTS]):
        if state.can[i, e] == 0:
            continue
        alike = -1
        for before in range(e):
            if state.picked[i, before] == 0 and problem.slots[r, before] == problem.slots[r, e]:
                alike = before
                break
        if alike >= 0:
            state.can[i, e] = state.can[i, alike]
            continue
        for w in range(dims[WORKERS]):
            for s in range(dims[SLOTS]):
                state.holder[i, 1, w, s] = state.holder[i, 0, w, s]
        for _ in range(_EACH):
            if state.can[i, e] == 1 and not visit(problem, state, i, e, 1):
                state.can[i, e] = 0


@compiled(when_plain=False)
def visit(problem, state, i, arm, trial):
    """Give an arm one visit more by a worker who does not visit it yet, moving other visits if need be.

    A node of the search is an arm that looks for a visit by anyone (0) or by one worker (1 + w), who then visits it in
    another slot. Returns whether there is a way; if not nothing changes.
    """
    r = state.clock[i, INSTANCE]
    holder = state.holder[i, trial]
    came, through, queue = state.search[i, 0], state.search[i, 1], state.search[i, 2]
    workers, slots = problem.dims[r, WORKERS], problem.dims[r, SLOTS]
    each = workers + 1
    for node in range(problem.dims[r, ELEMENTS] * each):
        came[node] = -1
    root = arm * each
    came[root] = root
    queue[0] = root
    head, tail = 0, 1
    while head < tail:
        node = np.int64(queue[head])
        head += 1
        needy, only = node // each, node % each - 1
        for w in range(workers):
            if only >= 0:
                if w != only:
                    continue
            elif visits_by(holder, needy, w, slots):
                continue
            for s in range(slots):
                both = (problem.worker[r, w] >> s) & (problem.slots[r, needy] >> s) & 1
                other = np.int64(holder[w, s])
                if both == 0 or other == needy:
                    continue
                pair = w * slots + s
                if other < 0:
                    move_visits(holder, came, through, node, root, pair, each, slots)
                    return True
                for target in (other * each, other * each + 1 + w):
                    if came[target] < 0:
                        came[target] = node
                        through[target] = pair
                        queue[tail] = target
                        tail += 1
    return False


@compiled
def visits_by(holder, arm, w, slots):
    """Whether worker w holds an arm in one of its slots."""
    found = False
    for s in range(slots):
        found |= holder[w, s] == arm
    return found


@compiled
def move_visits(holder, came, through, node, root, pair, each, slots):
    """Carry out a search's way: every arm on it takes the visit that the one behind it gives up."""
    holder[pair // slots, pair % slots] = node // each
    while node != root:
        pair = np.int64(through[node])
        node = np.int64(came[node])
        holder[pair // slots, pair % slots] = node // each


@compiled
def mark_hours(problem, state, i):
    """Whether one more element of each cost can be packed beside those picked."""
    r = state.clock[i, INSTANCE]
    most = problem.dims[r, MOST_HOURS]
    for cost in range(1, state.pile.shape[1]):
        wanted = False
        for e in range(problem.dims[r, ELEMENTS]):
            if problem.slots[r, e] == cost and state.can[i, e] == 1:
                wanted = True
                break
        if not wanted:
            continue
        state.pile[i, cost] += 1
        fits = cost <= most and packs(problem.hours[r], state.pile[i], state.stack[i], most)
        state.pile[i, cost] -= 1
        if fits:
            continue
        for e in range(problem.dims[r, ELEMENTS]):
            if problem.slots[r, e] == cost:
                state.can[i, e] = 0


@compiled
def packs(hours, pile, stack, most):
    """Whether items, `pile[c]` of each cost c, can be packed into bins, `hours[c]` of each capacity c.

    Depth first, the largest item into the tightest bin; a bin that an item fills exactly is always right, since
    whatever another packing has there fits where the item was.

    Args:
        stack: scratch: free bins by room, then the items, then the room of the bin that each was put into.
    """
    slack, count = np.int64(0), np.int64(0)
    items = most + 1
    free = stack[: most + 1]
    for room in range(most + 1):
        free[room] = hours[room]
        slack += np.int64(room) * hours[room]
    for cost in range(most, 0, -1):
        for _ in range(pile[cost]):
            slack -= cost
            if slack < 0:
                return False
            stack[items + count] = cost
            count += 1
    half = (len(stack) - items) // 2
    chosen = items + half
    depth, nodes = np.int64(0), 0
    stack[chosen] = 0
    while depth < count:
        nodes += 1
        if nodes > _MOST_NODES:
            return False
        cost = np.int64(stack[items + depth])
        tried = np.int64(stack[chosen + depth])
        if tried > 0:
            free[tried] += 1
            free[tried - cost] -= 1
        room = np.int64(0)
        if tried == 0 and not wasted(free, stack[items + count - 1], slack):
            room = tightest(free, cost, most)
        elif tried > cost:
            room = tightest(free, tried + 1, most)
        if room == 0:
            depth -= 1
            if depth < 0:
                return False
            continue
        free[room] -= 1
        free[room - cost] += 1
        stack[chosen + depth] = room
        depth += 1
        if depth < count:
            stack[chosen + depth] = 0
    return True


@compiled
def tightest(free, least, most):
    """The least room of a bin of at least so much, 0 where there is none."""
    for room in range(least, most + 1):
        if free[room] > 0:
            return room
    return 0


@compiled
def wasted(free, least, slack):
    """Whether bins that no item fits any more have more room than may be left over."""
    lost = np.int64(0)
    for room in range(1, least):
        lost += np.int64(room) * free[room]
    return lost > slack


# --- min_visits -------------------------------------------------------------------------------------------------------


@compiled
def still_needed(problem, state, i):
    """Write for each part of the cover how many epochs it still needs. Returns the epochs to spare."""
    r, clock = state.clock[i, INSTANCE], state.clock[i]
    dims = problem.dims[r]
    for part in range(dims[COVERS]):
        state.need[i, part] = 0
    for j in range(dims[ARMS]):
        part = problem.cover[r, j]
        state.need[i, part] = max(state.need[i, part], problem.options[OPT_VISITS] - state.visits[i, j])
    spare = dims[HORIZON] - clock[EPOCH]
    for part in range(dims[COVERS]):
        spare -= state.need[i, part]
    return spare


@compiled
def must_visit(problem, state, i, j):
    """Whether arm j is one of those for whose sake its part of the cover needs another epoch."""
    part = problem.cover[state.clock[i, INSTANCE], j]
    need = state.need[i, part]
    return need > 0 and problem.options[OPT_VISITS] - state.visits[i, j] == need


@compiled
def is_due(cover, part):
    """Whether arms of a part may be those that must be visited now."""
    return (cover == UNDECIDED) | (cover == part)


@compiled(when_plain=None)
def mark_forced(problem, state, i):
    """Where no epoch is to spare a part of the cover must be visited now: the needy arms of one, then whatever fits."""
    clock = state.clock[i]
    r = clock[INSTANCE]
    if clock[PICKED] == 0:
        clock[COVER] = UNDECIDED if still_needed(problem, state, i) <= 0 else NOT_FORCED
    if clock[COVER] == NOT_FORCED:
        return
    left = False
    for j in range(problem.dims[r, ARMS]):
        if state.picked[i, j] == 1 and clock[COVER] == UNDECIDED:
            clock[COVER] = problem.cover[r, j]
    for j in range(problem.dims[r, ARMS]):
        mine = is_due(clock[COVER], problem.cover[r, j])
        left |= mine and state.picked[i, j] == 0 and must_visit(problem, state, i, j)
    if not left:
        clock[COVER] = NOT_FORCED
        return
    for j in range(problem.dims[r, ARMS]):
        mine = is_due(clock[COVER], problem.cover[r, j])
        if not (mine and must_visit(problem, state, i, j)):
            state.can[i, j] = 0
