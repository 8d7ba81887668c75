"""Writes observations: all of one at the beginning of an epoch, within it what an element that was picked changes."""

from __future__ import annotations

import numpy as np

from ..core.compile import compiled
from .coupling import coupled, gain_of_joints, gain_of_level, joint_outlook, joint_shares, sick_share
from .dynamics import chance_up, expected_of_arm
from .legality import may_stop
from .observation import (
    ACTION_COLUMNS,
    ARM_COLUMNS,
    ARMS_HIT,
    BEST_REWARD,
    CHANCE_LOST,
    COUPLED_GAIN,
    COUPLED_PICKED,
    COUPLED_STATE,
    ELEMENT_COLUMNS,
    FIRST_FIXED,
    FIRST_KIND,
    INDEX_GAIN,
    INDEX_PER_USE,
    INFECTS_REWARD,
    IS_STOP,
    JOINT_GAIN,
    JOINT_OUTLOOK,
    JOINT_PICKED,
    JOINT_READY,
    JOINT_REWARD,
    K_ACTION_NODES,
    K_ACTIONS,
    K_ACTS,
    K_ACTS_FEATURES,
    K_ARM,
    K_ARM_MASK,
    K_COUPLES,
    K_COUPLES_FEATURES,
    K_ELEMENT,
    K_ELEMENT_MASK,
    K_GLOBALS,
    K_MASK,
    LEVEL,
    MEMO_NODES,
    MEMO_SLOTS,
    MYOPIC_GAIN,
    MYOPIC_PER_USE,
    NET_GAIN,
    QUARTER,
    REWARD_NOW,
    SICK_NEIGHBOURS,
    SINCE_VISIT,
    UP_TREATED,
    UP_UNTREATED,
    USE,
    VISITS_MADE,
    VISITS_NEEDED,
    WIDE,
    share,
    signed,
)
from .state import (
    ARMS,
    BRIEF_BEST,
    BRIEF_JOINT,
    BRIEF_NEAR,
    BRIEF_TREATED,
    BUDGET,
    COVER,
    ELEMENTS,
    EPOCH,
    EXACTLY,
    HORIZON,
    INFECTS,
    INSTANCE,
    JOINTS,
    KIND,
    KNOWN,
    LAST,
    LEAST_USE,
    LENGTH,
    LEVELS,
    LINKS,
    NOT_FORCED,
    NUM_KINDS,
    OPT_VISITS,
    PER_HORIZON,
    PER_LEVEL,
    PER_STATE,
    PER_TOP,
    PICKED,
    PRICE,
    QUARTERS,
    RUNNING,
    STATES,
    STATUS,
    STEPS,
    WALK,
)


@compiled
def write_blank(problem, state, view, i):
    """An observation of what is fixed for the episode, the rest to be written."""
    r, offsets = state.clock[i, INSTANCE], view.offsets
    dims = problem.dims[r]
    integers, floats, bytes_ = view.integers[i], view.floats[i], view.bytes[i]
    for word in range(len(integers)):
        integers[word] = 0
    hits, links = problem.hit_arm.shape[1], problem.link.shape[2]
    for word in range(2 * hits):
        integers[offsets[K_ACTS] + word] = -1
    for word in range(2 * links):
        integers[offsets[K_COUPLES] + word] = -1
    for a in range(state.picked.shape[1] + 1):
        integers[offsets[K_ACTION_NODES] + a] = a if a < dims[ELEMENTS] else -1
    integers[offsets[K_ACTION_NODES] + state.picked.shape[1]] = -1
    for j in range(dims[ARMS]):
        bytes_[offsets[K_ARM_MASK] + j] = 1
        brief, at = problem.brief[r, j], offsets[K_ARM] + j * ARM_COLUMNS
        floats[at + 13] = share(brief[BRIEF_TREATED])
        floats[at + 14] = signed(brief[BRIEF_BEST])
        floats[at + 15] = signed(brief[BRIEF_JOINT])
        floats[at + 18] = min(brief[BRIEF_NEAR], WIDE)
    for e in range(dims[ELEMENTS]):
        write_fixed_slot(problem, view, i, r, e)
        bytes_[offsets[K_ELEMENT_MASK] + e] = 1
        for k in range(problem.hit_first[r, e], problem.hit_first[r, e + 1]):
            integers[offsets[K_ACTS] + k] = e
            integers[offsets[K_ACTS] + hits + k] = problem.hit_arm[r, k]
            floats[offsets[K_ACTS_FEATURES] + k] = problem.hit_level[r, k] / 16.0
    for number in range(dims[LINKS]):
        integers[offsets[K_COUPLES] + number] = problem.link[r, 0, number]
        integers[offsets[K_COUPLES] + links + number] = problem.link[r, 1, number]
        floats[offsets[K_COUPLES_FEATURES] + number] = signed(problem.link_weight[r, number])
    view.memo[i, MEMO_SLOTS], view.memo[i, MEMO_NODES] = -1, -1
    write_fixed_globals(problem, state, view, i)


@compiled
def write_fixed_globals(problem, state, view, i):
    """The globals that do not change during an episode."""
    r, floats, at = state.clock[i, INSTANCE], view.floats[i], view.offsets[K_GLOBALS]
    dims, scale = problem.dims[r], problem.scale[r]
    floats[at + 4] = min(scale[PRICE] * scale[PER_TOP], WIDE)
    floats[at + 8] = min(np.log(dims[ARMS]), 16.0)
    floats[at + 9] = share(dims[BUDGET] / dims[ARMS])
    floats[at + 10] = min(np.log(dims[HORIZON]), 16.0)
    floats[at + 11] = dims[LEVELS] / 16.0
    floats[at + 12] = dims[EXACTLY]
    for kind in range(NUM_KINDS):
        floats[at + FIRST_KIND + kind] = dims[KIND] == kind


@compiled
def update_observation(problem, state, view, i):
    """Bring copy i's observation up to date."""
    write_actions(problem, state, view, i)
    write_nodes(problem, state, view, i)


# --- action slots and globals -----------------------------------------------------------------------------------------


@compiled
def write_actions(problem, state, view, i):
    """Mask and features of the action slots, and the globals."""
    clock = state.clock[i]
    r = clock[INSTANCE]
    size, running = problem.dims[r, ELEMENTS], clock[STATUS] == RUNNING
    bytes_, mask = view.bytes[i], view.offsets[K_MASK]
    for e in range(size):
        bytes_[mask + e] = running and state.can[i, e] == 1
    stop = state.picked.shape[1]
    bytes_[mask + stop] = running and may_stop(problem, state, i)
    view.floats[i, view.offsets[K_ACTIONS] + stop * ACTION_COLUMNS + IS_STOP] = 1.0
    last = clock[LAST]
    if view.memo[i, MEMO_SLOTS] == clock[STEPS]:
        return
    if last >= 0 and view.memo[i, MEMO_SLOTS] == clock[STEPS] - 1:
        clear_slot(view, i, last)
        write_touched(problem, state, view, i, last)
    else:
        for e in range(size):
            if state.picked[i, e] == 1:
                clear_slot(view, i, e)
            else:
                write_slot(problem, state, view, i, e)
        write_state_globals(problem, state, view, i)
    view.memo[i, MEMO_SLOTS] = clock[STEPS]
    write_globals(problem, state, view, i)


@compiled
def clear_slot(view, i, e):
    """A picked element has only the features that are fixed."""
    floats, at = view.floats[i], view.offsets[K_ACTIONS] + e * ACTION_COLUMNS
    for column in range(QUARTER, FIRST_FIXED):
        floats[at + column] = 0.0


@compiled
def write_fixed_slot(problem, view, i, r, e):
    """What is said of an element all episode long."""
    floats, at = view.floats[i], view.offsets[K_ACTIONS] + e * ACTION_COLUMNS
    first, end = problem.hit_first[r, e], problem.hit_first[r, e + 1]
    passive, treated, best, together, infects = 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(first, end):
        j = problem.hit_arm[r, k]
        brief = problem.brief[r, j]
        passive += problem.up[r, KNOWN, j, 0]
        treated += brief[BRIEF_TREATED]
        best += brief[BRIEF_BEST]
        together += brief[BRIEF_JOINT]
        infects += brief[BRIEF_NEAR]
    each = 1.0 / max(end - first, 1)
    floats[at + UP_UNTREATED] = share(passive * each)
    floats[at + UP_TREATED] = share(treated * each)
    floats[at + BEST_REWARD] = signed(best)
    floats[at + JOINT_REWARD] = signed(together)
    floats[at + INFECTS_REWARD] = min(infects, WIDE)
    floats[at + ARMS_HIT] = share((end - first) / 8.0)


@compiled
def write_touched(problem, state, view, i, e):
    """The slots whose features an element that was just picked changes."""
    r = state.clock[i, INSTANCE]
    if problem.dims[r, KIND] == WALK:
        for x in range(problem.dims[r, ELEMENTS]):
            if state.picked[i, x] == 0:
                write_use(problem, state, view, i, x)
    joints, infects = problem.dims[r, JOINTS] > 0, problem.dims[r, INFECTS] == 1
    for k in range(problem.hit_first[r, e], problem.hit_first[r, e + 1]):
        j = np.int64(problem.hit_arm[r, k])
        write_slots_of(problem, state, view, i, j)
        if infects:  # slots of arms that j suffers by tell what picking j brings
            for place in range(problem.near_first[r, j], problem.near_first[r, j + 1]):
                write_slots_of(problem, state, view, i, np.int64(problem.near[r, place]))
        if joints:
            for place in range(problem.of_first[r, j], problem.of_first[r, j + 1]):
                g = problem.of_joint[r, place]
                for other in range(problem.joint_first[r, g], problem.joint_first[r, g + 1]):
                    arm = np.int64(problem.joint_arm[r, other])
                    if arm != j:
                        write_slots_of(problem, state, view, i, arm)


@compiled
def write_slots_of(problem, state, view, i, j):
    """The slots of elements that act on arm j."""
    r = state.clock[i, INSTANCE]
    for k in range(problem.part_first[r, j], problem.part_first[r, j + 1]):
        e = np.int64(problem.part[r, k])
        if state.picked[i, e] == 0:
            write_slot(problem, state, view, i, e)


@compiled
def write_slot(problem, state, view, i, e):
    """What changes of an element that is not picked: sums of rewards and means of all else over its arms."""
    clock = state.clock[i]
    r = clock[INSTANCE]
    dims, scale = problem.dims[r], problem.scale[r]
    per_top = scale[PER_TOP]
    first, end = problem.hit_first[r, e], problem.hit_first[r, e + 1]
    myopic, joint, index, levels = 0.0, 0.0, 0.0, 0
    q0, q1, q2, q3 = 0.0, 0.0, 0.0, 0.0
    reward, visits, since, level = 0.0, 0.0, 0.0, 0.0
    for k in range(first, end):
        j = np.int64(problem.hit_arm[r, k])
        s, old = np.int64(state.now[i, j]), np.int64(state.level[i, j])
        new = min(old + problem.hit_level[r, k], dims[LEVELS] - 1)
        levels += new - old
        myopic += pay_of_level(problem, state, i, j, new) - pay_of_level(problem, state, i, j, old)
        index += gain_of_level(problem, state, i, j, new)
        if old > 0:
            index -= gain_of_level(problem, state, i, j, old)
        quarter = np.int64(s * scale[QUARTERS])
        q0 += quarter == 0
        q1 += quarter == 1
        q2 += quarter == 2
        q3 += quarter == 3
        reward += problem.reward[r, j, s]
        visits += state.visits[i, j]
        since += since_visit(problem, state, i, j)
        level += old
        if dims[JOINTS] > 0:
            joint += gain_of_joints(problem, state, i, j, old, new)
    each = 1.0 / max(end - first, 1)
    floats, at = view.floats[i], view.offsets[K_ACTIONS] + e * ACTION_COLUMNS
    floats[at + QUARTER] = q0 * each
    floats[at + QUARTER + 1] = q1 * each
    floats[at + QUARTER + 2] = q2 * each
    floats[at + QUARTER + 3] = q3 * each
    floats[at + REWARD_NOW] = signed(reward * per_top)
    floats[at + MYOPIC_GAIN] = signed((myopic + joint) * per_top)
    floats[at + JOINT_GAIN] = signed(joint * per_top)
    floats[at + INDEX_GAIN] = signed(index * per_top)
    floats[at + NET_GAIN] = signed((index - levels * scale[PRICE]) * per_top)
    floats[at + VISITS_MADE] = share(visits * each * scale[PER_HORIZON])
    floats[at + SINCE_VISIT] = share(since * each)
    floats[at + LEVEL] = share(level * each * scale[PER_LEVEL])
    write_use(problem, state, view, i, e)
    if dims[JOINTS] > 0 or dims[INFECTS] == 1 or problem.options[OPT_VISITS] > 0:
        write_coupling(problem, state, view, i, e, first, end, each)


@compiled(when_plain=None)
def write_coupling(problem, state, view, i, e, first, end, each):
    """What an element's arms have to do with others, and how often they must be visited yet."""
    r = state.clock[i, INSTANCE]
    floats, at = view.floats[i], view.offsets[K_ACTIONS] + e * ACTION_COLUMNS
    sick, lost, ready, picked, need = 0.0, 0.0, 0.0, 0.0, 0.0
    outlook, idle, treated, height = 0.0, 0.0, 0.0, 0.0
    for k in range(first, end):
        j = np.int64(problem.hit_arm[r, k])
        lost += problem.up[r, KNOWN, j, 0] - chance_up(problem, state, i, KNOWN, j, 0)
        sick += sick_share(problem, state, i, j)
        need = max(need, visits_needed(problem, state, i, j))
        if problem.dims[r, JOINTS] > 0:
            are_ready, are_picked = joint_shares(problem, state, i, j)
            ready += are_ready
            picked += are_picked
            outlook += joint_outlook(problem, state, i, j)
        of_idle, of_treated, of_all = coupled(problem, state, i, j)
        idle += of_idle
        treated += of_treated
        height += of_all
    floats[at + CHANCE_LOST] = share(lost * each)
    floats[at + JOINT_READY] = share(ready * each)
    floats[at + JOINT_PICKED] = share(picked * each)
    floats[at + SICK_NEIGHBOURS] = share(sick * each)
    floats[at + VISITS_NEEDED] = need
    per_top = problem.scale[r, PER_TOP]
    floats[at + JOINT_OUTLOOK] = signed(outlook * per_top)
    floats[at + COUPLED_GAIN] = signed(idle * per_top)
    floats[at + COUPLED_PICKED] = signed(treated * per_top)
    floats[at + COUPLED_STATE] = signed(height * problem.scale[r, PER_STATE])


@compiled
def write_use(problem, state, view, i, e):
    """What an element takes of the scarce resource, and its gains over that."""
    r = state.clock[i, INSTANCE]
    floats, at = view.floats[i], view.offsets[K_ACTIONS] + e * ACTION_COLUMNS
    use, per_use = problem.use[r, e], problem.per_use[r, e]
    if problem.dims[r, KIND] == WALK:
        use = use_of(problem, state, i, e)
        per_use = 1.0 / max(use * problem.dims[r, BUDGET], LEAST_USE)
    floats[at + USE] = share(use)
    floats[at + INDEX_PER_USE] = signed(floats[at + INDEX_GAIN] * per_use)
    floats[at + MYOPIC_PER_USE] = signed(floats[at + MYOPIC_GAIN] * per_use)


@compiled
def use_of(problem, state, i, e):
    """What an element takes of the epoch's supply; on a walk the edges that it adds to the tour."""
    r = state.clock[i, INSTANCE]
    if problem.dims[r, KIND] != WALK or state.picked[i, e] == 1:
        return problem.use[r, e]
    return max(state.detour[i, e] - state.edges[i, 0], 0) / max(problem.dims[r, LENGTH], 1)


@compiled
def pay_of_level(problem, state, i, j, k):
    """Expected reward of arm j's next state by itself, if acted on at level k."""
    r = state.clock[i, INSTANCE]
    if k == 0 and problem.dims[r, INFECTS] == 1:
        return expected_of_arm(problem, state, i, KNOWN, j, 0)
    return problem.pay[r, j, np.int64(state.now[i, j]), k]


@compiled
def since_visit(problem, state, i, j):
    """Epochs since the last visit over the horizon; 1 where there was none."""
    clock = state.clock[i]
    if state.last[i, j] < 0:
        return 1.0
    return (clock[EPOCH] - state.last[i, j]) * problem.scale[clock[INSTANCE], PER_HORIZON]


@compiled
def visits_needed(problem, state, i, j):
    """Share of the visits asked for that arm j still lacks."""
    least = problem.options[OPT_VISITS]
    return max(least - state.visits[i, j], 0) / least if least > 0 else 0.0


@compiled
def write_globals(problem, state, view, i):
    """The features of the whole state."""
    clock = state.clock[i]
    r, floats, at = clock[INSTANCE], view.floats[i], view.offsets[K_GLOBALS]
    dims = problem.dims[r]
    floats[at] = clock[EPOCH] / dims[HORIZON]
    floats[at + 1] = min((dims[HORIZON] - clock[EPOCH]) / 20.0, WIDE)
    floats[at + 2] = share(clock[PICKED] / dims[BUDGET])
    used = 0.0
    if dims[KIND] == WALK:
        used = state.edges[i, 0] / max(dims[LENGTH], 1)
    elif clock[PICKED] > 0:
        for e in range(dims[ELEMENTS]):
            if state.picked[i, e] == 1:
                used += problem.use[r, e]
    floats[at + 3] = share(used)
    floats[at + 7] = clock[COVER] != NOT_FORCED


@compiled
def write_state_globals(problem, state, view, i):
    """What only a new epoch changes."""
    dims, floats, at = problem.dims[state.clock[i, INSTANCE]], view.floats[i], view.offsets[K_GLOBALS]
    total, top, highest = 0, 0, dims[STATES] - 1
    for j in range(dims[ARMS]):
        total += state.now[i, j]
        top += state.now[i, j] == highest
    floats[at + 5] = total / (dims[ARMS] * highest)
    floats[at + 6] = top / dims[ARMS]


# --- nodes ------------------------------------------------------------------------------------------------------------


@compiled
def write_nodes(problem, state, view, i):
    """Arms and elements."""
    clock = state.clock[i]
    r, last = clock[INSTANCE], clock[LAST]
    dims = problem.dims[r]
    floats, at = view.floats[i], view.offsets[K_ELEMENT]
    for e in range(dims[ELEMENTS]):
        row = at + e * ELEMENT_COLUMNS
        floats[row] = state.picked[i, e]
        floats[row + 1] = state.can[i, e]
        floats[row + 2] = share(use_of(problem, state, i, e))
        floats[row + 3] = share((problem.hit_first[r, e + 1] - problem.hit_first[r, e]) / 8.0)
    if last >= 0 and view.memo[i, MEMO_NODES] == clock[STEPS] - 1:
        for k in range(problem.hit_first[r, last], problem.hit_first[r, last + 1]):
            write_arm(problem, state, view, i, np.int64(problem.hit_arm[r, k]))
    elif view.memo[i, MEMO_NODES] != clock[STEPS]:
        for j in range(dims[ARMS]):
            write_arm(problem, state, view, i, j)
    view.memo[i, MEMO_NODES] = clock[STEPS]


@compiled
def write_arm(problem, state, view, i, j):
    """The features of arm j."""
    clock = state.clock[i]
    r, s, k = clock[INSTANCE], np.int64(state.now[i, j]), np.int64(state.level[i, j])
    dims, scale = problem.dims[r], problem.scale[r]
    per_top = scale[PER_TOP]
    floats, at = view.floats[i], view.offsets[K_ARM] + j * ARM_COLUMNS
    quarter = np.int64(s * scale[QUARTERS])
    floats[at] = quarter == 0
    floats[at + 1] = quarter == 1
    floats[at + 2] = quarter == 2
    floats[at + 3] = quarter == 3
    floats[at + 4] = s * scale[PER_STATE]
    floats[at + 5] = signed(problem.reward[r, j, s] * per_top)
    floats[at + 6] = signed(pay_of_level(problem, state, i, j, 0) * per_top)
    floats[at + 7] = signed(pay_of_level(problem, state, i, j, k) * per_top)
    more = 0.0
    if k < dims[LEVELS] - 1:
        more = gain_of_level(problem, state, i, j, k + 1) - gain_of_level(problem, state, i, j, k)
    floats[at + 8] = signed(more * per_top)
    floats[at + 9] = k * scale[PER_LEVEL]
    floats[at + 10] = share(state.visits[i, j] * scale[PER_HORIZON])
    floats[at + 11] = share(since_visit(problem, state, i, j))
    floats[at + 12] = share(chance_up(problem, state, i, KNOWN, j, 0))
    if dims[JOINTS] > 0:
        floats[at + 16], _ = joint_shares(problem, state, i, j)
    if dims[INFECTS] == 1:
        floats[at + 17] = share(sick_share(problem, state, i, j))
    if problem.options[OPT_VISITS] > 0:
        floats[at + 19] = share(visits_needed(problem, state, i, j))
