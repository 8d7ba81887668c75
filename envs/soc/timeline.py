"""Expected timelines of the PEs: when data would arrive, when a task would start, and its place in a queue."""

from __future__ import annotations

from ..core.compile import compiled
from .state import (
    ACTIVE,
    APP,
    ASSIGNED,
    ASSIGNED_AT,
    BLOCKERS,
    BORN,
    BUS,
    DATA,
    DEMAND,
    DONE,
    EXPECTED,
    FAST_GROUP,
    FASTEST,
    FINISH,
    FIRST_BAND,
    FIRST_IN,
    FIRST_OUT_EDGE,
    FIRST_PE,
    FIRST_TASK,
    FREE,
    HEAD,
    IN,
    INSTANCE,
    NEXT,
    NO_CONTENTION,
    NONE,
    NUMBER,
    OFFERED_COUNT,
    ON,
    OPT_ASSIGNED,
    OPT_CONTENTION,
    OPT_INSERTION,
    OPT_OVERHEAD,
    OPT_SHARED,
    OPT_STATIC,
    OPT_WINDOW,
    PAUSED,
    PE_MEMORY,
    PES,
    PHASE,
    QUEUED,
    READY,
    RELEASE,
    RUNS,
    SINCE,
    START,
    TAIL,
    TASKS,
    TIME,
    TOLD_AT,
    UNASSIGNED,
    UP,
    UPWARD,
)

STALE = -1  # in the first column of a row of `State.first`: the row must be computed


@compiled
def task_row(problem, state, i, x):
    """Row of the task in slot x in the tables of tasks."""
    room = state.task.shape[1] // state.job.shape[1]
    return problem.app[state.job[i, x // room, APP], FIRST_TASK] + x % room


@compiled
def moving_time(problem, state, i, volume, p, q):
    """Time of a transfer from PE p to PE q."""
    if p == q or volume == 0:
        return 0
    row = problem.instance[state.clock[i, INSTANCE]]
    return volume // problem.band[row[FIRST_BAND] + p * row[PES] + q]


@compiled
def link_between(problem, state, i, p, q):
    """Which of `State.link` a transfer takes."""
    if problem.options[OPT_CONTENTION] == BUS:
        return 0
    return min(p, q) * problem.instance[state.clock[i, INSTANCE], PES] + max(p, q)


@compiled
def data_date(problem, state, i, x, p, told):
    """When all data of task x is expected on PE p, if the scheduler tells of it at `told`; transfers that are under way
    are as they are."""
    task = state.task[i]
    if problem.options[OPT_SHARED] == 1:
        return date_from_memory(problem, state, i, x, p, told)
    room = state.task.shape[1] // state.job.shape[1]
    base = x - x % room
    row = task_row(problem, state, i, x)
    contended = problem.options[OPT_CONTENTION] != NO_CONTENTION
    latest = state.job[i, x // room, BORN]
    first = problem.task[row, FIRST_IN]
    for e in range(first, first + problem.task[row, IN]):
        y, volume = base + problem.in_task[e], problem.in_volume[e]
        time = moving_time(problem, state, i, volume, task[y, ON], p)
        date = task[y, FINISH] + time
        if contended and task[y, PHASE] == DONE:
            if state.asked[i, edge_slot(problem, state, i, x, e)] == 1:
                date = task[x, DATA]
            elif time > 0:
                link = state.link[i, link_between(problem, state, i, task[y, ON], p)]
                date = max(max(task[y, FINISH], told), link) + time
        latest = max(latest, date)
    return latest


@compiled
def date_from_memory(problem, state, i, x, p, told):
    """When all data of offered task x, which is in the shared memory, would be on PE p."""
    row = task_row(problem, state, i, x)
    first, count = problem.task[row, FIRST_IN], problem.task[row, IN]
    room = state.task.shape[1] // state.job.shape[1]
    if count == 0:
        return state.job[i, x // room, BORN]
    bandwidth = problem.pe[problem.instance[state.clock[i, INSTANCE], FIRST_PE] + p, PE_MEMORY]
    longest = 0
    for e in range(first, first + count):
        longest = max(longest, problem.in_volume[e] // bandwidth)
    return max(state.task[i, x, RELEASE], told) + longest


@compiled
def edge_slot(problem, state, i, x, e):
    """Where the job of task x keeps what is known of edge e, a row of the tables of edges."""
    jobs = state.job.shape[1]
    s = x // (state.task.shape[1] // jobs)
    return s * (state.asked.shape[1] // jobs) + e - problem.app[state.job[i, s, APP], FIRST_OUT_EDGE]


@compiled
def send(problem, state, i, y, x, volume):
    """Note when the data of finished task y is on the PE of assigned task x, where nothing is contended."""
    task = state.task[i]
    time = moving_time(problem, state, i, volume, task[y, ON], task[x, ON])
    task[x, DATA] = max(task[x, DATA], task[y, FINISH] + time)


@compiled
def ask(problem, state, i):
    """Ask for the transfers whose producers are done and whose consumers have been told of, by consumer, then by edge.

    Where transfers are contended.
    """
    clock, task = state.clock[i], state.task[i]
    room = state.task.shape[1] // state.job.shape[1]
    t, before = clock[TIME], NONE
    while True:
        s = NONE
        for other in range(state.job.shape[1]):
            job = state.job[i, other]
            if job[ACTIVE] == 1 and job[NUMBER] > before and (s < 0 or job[NUMBER] < state.job[i, s, NUMBER]):
                s = other
        if s < 0:
            return
        before = state.job[i, s, NUMBER]
        for x in range(s * room, s * room + problem.app[state.job[i, s, APP], TASKS]):
            if task[x, PHASE] != ASSIGNED or task[x, ASSIGNED_AT] > t:
                continue
            row = task_row(problem, state, i, x)
            first = problem.task[row, FIRST_IN]
            for e in range(first, first + problem.task[row, IN]):
                y, slot = s * room + problem.in_task[e], edge_slot(problem, state, i, x, e)
                if task[y, PHASE] != DONE or state.asked[i, slot] == 1:
                    continue
                state.asked[i, slot] = 1
                time = moving_time(problem, state, i, problem.in_volume[e], task[y, ON], task[x, ON])
                date = t
                if time > 0:
                    link = link_between(problem, state, i, task[y, ON], task[x, ON])
                    date = max(t, state.link[i, link]) + time
                    state.link[i, link] = date
                task[x, DATA] = max(task[x, DATA], date)


@compiled
def earliest_start(problem, state, i, x, p, arrive, time):
    """When task x, of that time on PE p, is expected to start there if its data arrives then."""
    pe, task = state.pe[i, p], state.task[i]
    clock = state.clock[i]
    begin = max(max(clock[TIME], clock[TOLD_AT]), arrive)
    if problem.options[OPT_INSERTION] == 0:
        return max(begin, pe[FREE])
    free = clock[TIME] if pe[RUNS] < 0 else task[pe[RUNS], FINISH]
    y = pe[HEAD]
    while y >= 0:
        start = max(begin, free)
        if start + time <= task[y, START]:
            return start
        free = task[y, FINISH]
        y = task[y, NEXT]
    return max(begin, free)


@compiled
def put_in_queue(problem, state, i, x, p, start, time):
    """Put task x into PE p's queue, where it is expected to start then."""
    pe, task = state.pe[i, p], state.task[i]
    after, y = NONE, pe[HEAD]
    if problem.options[OPT_INSERTION] == 0:
        after, y = pe[TAIL], NONE
    while y >= 0 and task[y, START] < start + time:
        after, y = y, task[y, NEXT]
    # Of tasks that take no time those that are there already stay ahead: they may be waited for.
    while y >= 0 and time == 0 and task[y, START] == start and task[y, FINISH] == start:
        after, y = y, task[y, NEXT]
    task[x, NEXT] = y
    if after < 0:
        pe[HEAD] = x
    else:
        task[after, NEXT] = x
    if y < 0:
        pe[TAIL] = x
    pe[QUEUED] += 1
    pe[FREE] = max(pe[FREE], start + time)


# --- the offered tasks ------------------------------------------------------------------------------------------------


@compiled
def comes_before(problem, state, i, x, y):
    """Whether offered task x stands before y: by the arrival of its job, by upward rank, by number."""
    room = state.task.shape[1] // state.job.shape[1]
    one, other = state.job[i, x // room], state.job[i, y // room]
    if one[BORN] != other[BORN]:
        return one[BORN] < other[BORN]
    mine = problem.worth[task_row(problem, state, i, x), UPWARD]
    theirs = problem.worth[task_row(problem, state, i, y), UPWARD]
    if abs(mine - theirs) > 1e-9:
        return mine > theirs
    if one[NUMBER] != other[NUMBER]:
        return one[NUMBER] < other[NUMBER]
    return x % room < y % room


@compiled
def fill_row(problem, state, i, w):
    """Compute when the data of the w-th offered task would be on each PE; its starts are stale then."""
    x = state.offered[i, w]
    row = task_row(problem, state, i, x)
    for p in range(problem.instance[state.clock[i, INSTANCE], PES]):
        if problem.time[row, p] >= 0:
            state.arrive[i, w, p] = data_date(problem, state, i, x, p, state.clock[i, TOLD_AT])
    state.first[i, w, 0] = STALE


@compiled
def offer(problem, state, i, x):
    """Add task x to the offered ones."""
    clock, offered = state.clock[i], state.offered[i]
    window = problem.options[OPT_WINDOW]
    place = clock[OFFERED_COUNT]
    while place > 0 and comes_before(problem, state, i, x, offered[place - 1]):
        offered[place] = offered[place - 1]
        if place < window:
            move_row(problem, state, i, place - 1, place)
        place -= 1
    offered[place] = x
    clock[OFFERED_COUNT] += 1
    if place < window:
        fill_row(problem, state, i, place)


@compiled
def withdraw(problem, state, i, w):
    """Take the w-th of the offered tasks away."""
    clock, offered = state.clock[i], state.offered[i]
    window = problem.options[OPT_WINDOW]
    clock[OFFERED_COUNT] -= 1
    count = clock[OFFERED_COUNT]
    for place in range(w, count):
        offered[place] = offered[place + 1]
        if place + 1 < window:
            move_row(problem, state, i, place + 1, place)
    if count >= window:
        fill_row(problem, state, i, window - 1)


@compiled
def move_row(problem, state, i, source, target):
    """Move what is known of an offered task in the window."""
    arrive, first = state.arrive[i], state.first[i]
    for p in range(problem.instance[state.clock[i, INSTANCE], PES]):
        arrive[target, p] = arrive[source, p]
        first[target, p] = first[source, p]


@compiled
def compute_starts(problem, state, i, changed):
    """Bring the expected starts of the offered tasks up to date: on PE `changed` alone, on all where that is -1."""
    clock = state.clock[i]
    pes = problem.instance[clock[INSTANCE], PES]
    # Where these hold, dates of data that would be sent now change as time passes.
    sent_now = problem.options[OPT_SHARED] == 1 or problem.options[OPT_CONTENTION] != NO_CONTENTION
    all_anew = changed < 0 or sent_now or problem.options[OPT_OVERHEAD] == 1
    for w in range(min(clock[OFFERED_COUNT], problem.options[OPT_WINDOW])):
        x = state.offered[i, w]
        row = task_row(problem, state, i, x)
        stale = all_anew or state.first[i, w, 0] == STALE
        if sent_now or (all_anew and problem.options[OPT_ASSIGNED] == 1):
            fill_row(problem, state, i, w)
        for p in range(pes):
            if stale or p == changed:
                time = problem.time[row, p]
                start = 0
                if time >= 0:
                    start = earliest_start(problem, state, i, x, p, state.arrive[i, w, p], time)
                state.first[i, w, p] = start


@compiled
def assign(problem, state, i, w, p):
    """Assign the w-th offered task to PE p."""
    clock, task = state.clock[i], state.task[i]
    room = state.task.shape[1] // state.job.shape[1]
    x = state.offered[i, w]
    s = x // room
    job = state.job[i, s]
    row = task_row(problem, state, i, x)
    time, start = problem.time[row, p], state.first[i, w, p]
    one = task[x]
    one[PHASE], one[ON], one[ASSIGNED_AT] = ASSIGNED, p, clock[TOLD_AT]
    one[READY] = max(clock[TOLD_AT], job[BORN])
    one[START], one[FINISH] = start, start + time
    put_in_queue(problem, state, i, x, p, start, time)
    job[EXPECTED] = max(job[EXPECTED], start + time)
    first = problem.task[row, FIRST_IN]
    if problem.options[OPT_SHARED] == 1:
        one[DATA] = date_from_memory(problem, state, i, x, p, clock[TOLD_AT])
    elif problem.options[OPT_CONTENTION] == NO_CONTENTION:
        for e in range(first, first + problem.task[row, IN]):
            y = x - x % room + problem.in_task[e]
            if task[y, PHASE] == DONE:
                send(problem, state, i, y, x, problem.in_volume[e])
    clock[UNASSIGNED] -= 1
    state.group[i, problem.task[row, FAST_GROUP], DEMAND] -= problem.task[row, FASTEST]
    withdraw(problem, state, i, w)


@compiled
def expected_data(problem, state, i, x):
    """When all data of assigned task x is expected."""
    task = state.task[i]
    # Under contention a producer may be done whose transfer is not yet asked for.
    if task[x, BLOCKERS] == 0 and problem.options[OPT_CONTENTION] == NO_CONTENTION:
        return task[x, DATA]
    return data_date(problem, state, i, x, task[x, ON], task[x, ASSIGNED_AT])


@compiled
def refresh(problem, state, i):
    """Bring all expected dates up to date with what has happened, where it may be other than expected."""
    if problem.options[OPT_STATIC] == 1:
        return
    clock, task = state.clock[i], state.task[i]
    now, pes = clock[TIME], problem.instance[clock[INSTANCE], PES]
    for _ in range(1 + problem.options[OPT_ASSIGNED] * len(task)):
        changed = False
        for p in range(pes):
            pe = state.pe[i, p]
            free = now
            if pe[RUNS] >= 0:
                x = pe[RUNS]
                lost = now - max(pe[SINCE], task[x, START]) if pe[UP] == 0 else 0
                mean = problem.time[task_row(problem, state, i, x), p]
                free = max(task[x, START] + task[x, PAUSED] + lost + mean, now)
                changed = changed or task[x, FINISH] != free
                task[x, FINISH] = free
            y = pe[HEAD]
            while y >= 0:
                start = max(max(free, task[y, READY]), expected_data(problem, state, i, y))
                free = start + problem.time[task_row(problem, state, i, y), p]
                changed = changed or task[y, START] != start or task[y, FINISH] != free
                task[y, START], task[y, FINISH] = start, free
                y = task[y, NEXT]
            pe[FREE] = free
        if not changed:
            break
