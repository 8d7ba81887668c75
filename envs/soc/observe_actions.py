"""Writes the action slots and the globals: all that rules and scorers look at."""

from __future__ import annotations

from ..core.compile import compiled
from .dynamics import can_hold
from .observation import (
    ACTION_COLUMNS,
    K_ACTION_NODES,
    K_ACTIONS,
    K_GLOBALS,
    K_MASK,
    SLOTS_WRITTEN,
    WIDE,
    log_count,
    share,
    signed,
    wide,
)
from .state import (
    APP,
    BLOCKERS,
    BORN,
    CRITICAL,
    DEMAND,
    DOWNWARD,
    ELIGIBLE,
    FAST_GROUP,
    FASTEST,
    FINISH,
    FIRST_KIND,
    FIRST_OUT,
    FIRST_PE,
    FIRST_POWER,
    FREE,
    GAP,
    GROUP_FIRST,
    GROUP_SIZE,
    GROUPS,
    IDLE,
    IN_SYSTEM,
    INSTANCE,
    JOB_WORK,
    LEAST,
    LEFT,
    LEVEL,
    LOG_TASKS,
    MEAN,
    MEAN_OCT,
    MEDIAN,
    NEVER,
    NOISE,
    NONE,
    OFFERED_COUNT,
    OPT_ASSIGNED,
    OPT_CAP,
    OPT_HORIZON,
    OPT_INSERTION,
    OPT_ORDER,
    OPT_STATIC,
    OPT_WINDOW,
    OUT,
    PE_GROUP,
    PE_KIND,
    PER_POWER,
    PER_TIME,
    PES,
    PROCESSOR,
    QUEUED,
    RUNNING,
    RUNS,
    SOONEST,
    SORTED,
    STATUS,
    TASKS,
    TIME,
    TOLD_AT,
    UNASSIGNED,
    UP,
    UPWARD,
    WAITING,
    WANTED,
    WORK,
    WORK_LEFT,
)
from .timeline import task_row


@compiled
def best_of_group(problem, state, i, w, row, g):
    """The PE of group g on which the w-th offered task is expected to start first, or -1 where it cannot run."""
    instance = problem.instance[state.clock[i, INSTANCE]]
    first_pe = instance[FIRST_PE]
    begin = problem.pe[first_pe + g, GROUP_FIRST]
    best = NONE
    for place in range(begin, begin + problem.pe[first_pe + g, GROUP_SIZE]):
        p = problem.pe[first_pe + place, SORTED]
        if problem.time[row, p] < 0:
            return NONE
        if best < 0 or state.first[i, w, p] < state.first[i, w, best]:
            best = p
    return best


@compiled
def best_pe(problem, state, i, w, row):
    """The PE on which the w-th offered task is expected to finish first."""
    best, least = NONE, NEVER
    for p in range(problem.instance[state.clock[i, INSTANCE], PES]):
        time = problem.time[row, p]
        if time >= 0 and state.first[i, w, p] + time < least:
            best, least = p, state.first[i, w, p] + time
    return best


@compiled
def survey_groups(problem, state, i, count):
    """Fill what is said of each group."""
    clock, group = state.clock[i], state.group[i]
    row = problem.instance[clock[INSTANCE]]
    now = clock[TIME]
    for g in range(row[GROUPS]):
        group[g, IDLE], group[g, SOONEST], group[g, WANTED] = 0, NEVER, 0
    for p in range(row[PES]):
        pe, g = state.pe[i, p], problem.pe[row[FIRST_PE] + p, PE_GROUP]
        if pe[UP] == 1 and pe[RUNS] < 0 and pe[QUEUED] == 0:
            group[g, IDLE] += 1
        group[g, SOONEST] = min(group[g, SOONEST], max(pe[FREE], now))
    for w in range(count):
        x = task_row(problem, state, i, state.offered[i, w])
        fastest = problem.task[x, FASTEST]
        for g in range(row[GROUPS]):
            p = problem.pe[row[FIRST_PE] + problem.pe[row[FIRST_PE] + g, GROUP_FIRST], SORTED]
            if problem.time[x, p] == fastest:
                group[g, WANTED] += 1


@compiled
def children_freed(problem, state, i, x, row):
    """How many successors of task x wait for it alone."""
    task = state.task[i]
    room = len(task) // state.job.shape[1]
    freed = 0
    first = problem.task[row, FIRST_OUT]
    for e in range(first, first + problem.task[row, OUT]):
        freed += task[x - x % room + problem.out_task[e], BLOCKERS] == 1
    return freed


@compiled
def blank_slot(view, i, slot):
    """An action slot that refers to nothing; one that is no choice is blank already."""
    offsets = view.offsets
    if view.bytes[i, offsets[K_MASK] + slot] == 0:
        return
    at = offsets[K_ACTIONS] + slot * ACTION_COLUMNS
    for column in range(ACTION_COLUMNS):
        view.floats[i, at + column] = 0.0
    for column in range(3):
        view.integers[i, offsets[K_ACTION_NODES] + 3 * slot + column] = NONE
    view.bytes[i, offsets[K_MASK] + slot] = 0


@compiled
def write_actions(problem, state, view, i):
    """Mask, references and features of the action slots, and the globals."""
    clock = state.clock[i]
    row = problem.instance[clock[INSTANCE]]
    window = problem.options[OPT_WINDOW]
    order = problem.options[OPT_ORDER] == 1
    room = 1 if order else state.group.shape[1]
    count = min(clock[OFFERED_COUNT], window) if clock[STATUS] == RUNNING else 0
    survey_groups(problem, state, i, count)
    least_finish, best_rank, least_end, least_start = NEVER, 0.0, NEVER, NEVER
    least_work = NEVER
    for w in range(count):
        x = task_row(problem, state, i, state.offered[i, w])
        best_rank = max(best_rank, problem.worth[x, UPWARD])
        s = state.offered[i, w] // (state.task.shape[1] // state.job.shape[1])
        least_work = min(least_work, state.job[i, s, JOB_WORK])
        for p in range(row[PES]):
            time = problem.time[x, p]
            if time >= 0:
                finish = state.first[i, w, p] + time
                least_finish = min(least_finish, finish)
                least_start = min(least_start, state.first[i, w, p])
                least_end = min(least_end, finish + problem.tail[x, p])
    for w in range(count):
        write_task_slots(problem, state, view, i, w, room, order, least_finish, best_rank, least_end, least_work)
    for slot in range(count * room, view.memo[i, SLOTS_WRITTEN] * room):
        blank_slot(view, i, slot)
    view.memo[i, SLOTS_WRITTEN] = count
    write_hold(problem, state, view, i, window * room, count, least_start, least_finish)
    write_globals(problem, state, view, i)


@compiled
def write_task_slots(problem, state, view, i, w, room, order, least_finish, best_rank, least_end, least_work):
    """The action slots of the w-th offered task."""
    x = state.offered[i, w]
    row = task_row(problem, state, i, x)
    instance = problem.instance[state.clock[i, INSTANCE]]
    best, second = NEVER, NEVER
    for p in range(instance[PES]):
        time = problem.time[row, p]
        if time >= 0:
            finish = state.first[i, w, p] + time
            if finish < best:
                best, second = finish, best
            elif finish < second:
                second = finish
    freed = children_freed(problem, state, i, x, row)
    per_task = w, x, row, best, second, freed, least_finish, best_rank, least_end, least_work
    if order:
        write_slot(problem, state, view, i, w, best_pe(problem, state, i, w, row), per_task)
        return
    for g in range(instance[GROUPS]):
        p = best_of_group(problem, state, i, w, row, g)
        if p < 0:
            blank_slot(view, i, w * room + g)
        else:
            write_slot(problem, state, view, i, w * room + g, p, per_task)
    for g in range(instance[GROUPS], room):
        blank_slot(view, i, w * room + g)


@compiled
def write_slot(problem, state, view, i, slot, p, per_task):
    """The slot that puts an offered task on PE p."""
    w, x, row, best, second, freed, least_finish, best_rank, least_end, least_work = per_task
    clock, pe, offsets = state.clock[i], state.pe[i, p], view.offsets
    instance = problem.instance[clock[INSTANCE]]
    s = x // (state.task.shape[1] // state.job.shape[1])
    job, task, worth = state.job[i, s], problem.task[row], problem.worth[row]
    per_time = problem.measure[clock[INSTANCE], PER_TIME]
    now = clock[TIME]
    told = max(now, clock[TOLD_AT])
    time, start, arrive = problem.time[row, p], state.first[i, w, p], state.arrive[i, w, p]
    finish = start + time
    free = max(pe[FREE], now)
    data = problem.pe[instance[FIRST_PE] + p]
    group = state.group[i, data[PE_GROUP]]
    size = problem.pe[instance[FIRST_PE] + data[PE_GROUP], GROUP_SIZE]
    oct, tail = problem.oct[row, p], problem.tail[row, p]
    least_latency = problem.app[job[APP], LEAST]
    kind = problem.kind[instance[FIRST_KIND] + data[PE_KIND]]
    view.bytes[i, offsets[K_MASK] + slot] = 1
    at = offsets[K_ACTION_NODES] + 3 * slot
    view.integers[i, at], view.integers[i, at + 1], view.integers[i, at + 2] = x, p, s
    at = offsets[K_ACTIONS] + slot * ACTION_COLUMNS
    out = view.floats[i, at : at + ACTION_COLUMNS]
    out[0] = wide(time * per_time)
    out[1] = wide(worth[MEAN] * per_time)
    out[2] = wide(task[FASTEST] * per_time)
    out[3] = wide((time - task[FASTEST]) * per_time)
    out[4] = time == task[FASTEST]
    out[5] = wide((start - now) * per_time)
    out[6] = wide((finish - now) * per_time)
    out[7] = wide((finish - best) * per_time)
    out[8] = wide((best - now) * per_time)
    out[9] = WIDE if second == NEVER else wide((second - best) * per_time)
    out[10] = wide((arrive - now) * per_time)
    out[11] = wide((free - now) * per_time)
    out[12] = signed((start - free) * per_time)
    out[13] = log_count(pe[QUEUED] + (pe[RUNS] >= 0))
    out[14] = wide((max(told, free) + time - now) * per_time)
    out[15] = wide(worth[UPWARD] * per_time)
    out[16] = wide(worth[DOWNWARD] * per_time)
    out[17] = wide((worth[UPWARD] + worth[DOWNWARD]) * per_time)
    out[18] = task[CRITICAL]
    # A slot stands for a group: of PEs that are alike any is as good for the critical path.
    processor = task[PROCESSOR]
    out[19] = processor >= 0 and problem.pe[instance[FIRST_PE] + processor, PE_GROUP] != data[PE_GROUP]
    out[20] = wide(worth[LEVEL] * per_time)
    out[21] = signed((worth[LEVEL] - (max(arrive, free) - now) + worth[MEDIAN] - time) * per_time)
    out[22] = wide(worth[MEAN_OCT] * per_time)
    out[23] = wide(oct * per_time)
    out[24] = wide((finish - now + oct) * per_time)
    out[25] = wide(tail * per_time)
    out[26] = wide((finish - now + tail) * per_time)
    out[27] = wide((now - job[BORN]) * per_time)
    out[28] = wide(least_latency * per_time)
    out[29] = job[LEFT] / max(problem.app[job[APP], TASKS], 1)
    out[30] = wide((finish + tail - job[BORN] - least_latency) * per_time)
    out[31] = w / max(problem.options[OPT_WINDOW], 1)
    out[32] = log_count(task[OUT])
    out[33] = log_count(freed)
    out[34] = task[ELIGIBLE] / instance[PES]
    out[35] = share(group[IDLE] / max(size, 1))
    out[36] = wide((group[SOONEST] - now) * per_time)
    out[37] = wide(group[WANTED] / max(size, 1))
    power = problem.power[kind[FIRST_POWER] + 1]
    out[38] = wide(time * per_time * power * problem.measure[clock[INSTANCE], PER_POWER])
    out[39] = wide((best_rank - worth[UPWARD]) * per_time)
    out[40] = wide((finish - least_finish) * per_time)
    out[41] = wide((best - least_finish) * per_time)
    out[42] = wide((finish + tail - least_end) * per_time)
    out[43] = wide(job[JOB_WORK] * per_time)
    out[44] = wide((job[JOB_WORK] - least_work) * per_time)
    out[45] = start > told or finish > best
    out[46] = 0.0
    fast = task[FAST_GROUP]
    fast_size = problem.pe[instance[FIRST_PE] + fast, GROUP_SIZE]
    out[47] = wide(group[DEMAND] * per_time / max(size, 1))
    out[48] = wide(state.group[i, fast, DEMAND] * per_time / max(fast_size, 1))


@compiled
def write_hold(problem, state, view, i, slot, count, least_start, least_finish):
    """The slot that holds the offered tasks back."""
    blank_slot(view, i, slot)
    if count == 0 or not can_hold(problem, state, i):
        return
    clock = state.clock[i]
    instance, now = problem.instance[clock[INSTANCE]], clock[TIME]
    per_time = problem.measure[clock[INSTANCE], PER_TIME]
    idle, next_finish = 0, NEVER
    for p in range(instance[PES]):
        pe = state.pe[i, p]
        if pe[RUNS] >= 0:
            next_finish = min(next_finish, state.task[i, pe[RUNS], FINISH])
        else:
            idle += pe[QUEUED] == 0
    view.bytes[i, view.offsets[K_MASK] + slot] = 1
    at = view.offsets[K_ACTIONS] + slot * ACTION_COLUMNS
    out = view.floats[i, at : at + ACTION_COLUMNS]
    out[5] = wide((least_start - now) * per_time)
    out[6] = wide((next_finish - now) * per_time) if next_finish < NEVER else 0.0
    out[8] = wide((least_finish - now) * per_time)
    out[35] = share(idle / instance[PES])
    out[45] = 0.5
    out[46] = 1.0


@compiled
def write_globals(problem, state, view, i):
    """The features of the whole state."""
    clock, real = state.clock[i], state.real[i]
    row, measure = problem.instance[clock[INSTANCE]], problem.measure[clock[INSTANCE]]
    per_time, now = measure[PER_TIME], clock[TIME]
    active, delay = 0, 0
    for p in range(row[PES]):
        pe = state.pe[i, p]
        active += pe[RUNS] >= 0
        delay += max(pe[FREE] - now, 0)
    out = view.floats[i, view.offsets[K_GLOBALS] : view.offsets[K_GLOBALS] + 17]
    static = problem.options[OPT_STATIC] == 1
    out[0] = log_count(clock[OFFERED_COUNT])
    out[1] = clock[OFFERED_COUNT] > problem.options[OPT_WINDOW]
    out[2] = share(clock[IN_SYSTEM] / max(problem.options[OPT_CAP], 1))
    out[3] = clock[WAITING]
    out[4] = active / row[PES]
    out[5] = wide(delay * per_time / row[PES])
    horizon = problem.options[OPT_HORIZON]
    out[6] = 1.0 if static else share((horizon - now) / horizon)
    out[7] = 0.0 if static else wide(measure[WORK] / (real[GAP] * row[PES]))
    out[8] = share(real[NOISE])
    out[9] = min(measure[LOG_TASKS], 16.0)
    out[10] = log_count(row[PES])
    out[11] = static
    out[12] = problem.options[OPT_ASSIGNED]
    out[13] = problem.options[OPT_INSERTION]
    out[14] = wide((clock[TOLD_AT] - now) * per_time)
    total = 0
    for s in range(state.job.shape[1]):
        total += problem.app[state.job[i, s, APP], TASKS] * state.job[i, s, 0]
    out[15] = share(1.0 - clock[UNASSIGNED] / max(total, 1))
    out[16] = wide(clock[WORK_LEFT] * per_time / row[PES])
