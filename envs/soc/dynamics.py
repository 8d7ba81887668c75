"""The transition of DAG scheduling: jobs are generated, tasks offered, assigned, run and done.

Every function works on one copy ``i`` of a batch. At one instant tasks finish, jobs arrive, decisions are taken, tasks
start.
"""

from __future__ import annotations

import numpy as np

from ..core.compile import compiled
from ..core.random import combine, mix
from .state import (
    ABSENT,
    ACTIVE,
    ACTIVE_NOW,
    APP,
    ASSIGNED,
    ASSIGNED_AT,
    BACK_TO_BACK,
    BINS,
    BINS_PER_OCTAVE,
    BLOCKERS,
    BORN,
    BUSY,
    CHANGE,
    COMPLETED,
    COST,
    DATA,
    DEMAND,
    DONE,
    DUMMY,
    EDP,
    EDP_UNIT,
    END,
    ENERGY,
    ENERGY_USED,
    EPOCH,
    EXPECTED,
    FAST_GROUP,
    FASTEST,
    FINISH,
    FINISHED,
    FIRST_IN,
    FIRST_JOB,
    FIRST_KIND,
    FIRST_OUT,
    FIRST_PE,
    FIRST_POWER,
    FIRST_TASK,
    FREE,
    GENERATED,
    HEAD,
    HOLDS,
    IDLE_POWER,
    ILLEGAL,
    IN,
    IN_SYSTEM,
    INSTANCE,
    JOB_WORK,
    JOBS,
    KIND_IDLE,
    LAST_FINISH,
    LATENCY_MAX,
    LATENCY_SUM,
    LEAST,
    LEFT,
    LOG_APP,
    LOG_ASSIGNED,
    LOG_BORN,
    LOG_DATA,
    LOG_FINISH,
    LOG_JOB,
    LOG_PE,
    LOG_START,
    LOG_TASK,
    LOGGED,
    MAKESPAN,
    MEASURED,
    NEVER,
    NEXT,
    NEXT_ARRIVAL,
    NO_CONTENTION,
    NONE,
    NUM_CLOCK,
    NUM_JOB,
    NUM_PE,
    NUM_REAL,
    NUM_TASK,
    NUMBER,
    OFFERED,
    OFFERED_COUNT,
    ON,
    OPT_ARRIVALS,
    OPT_ASSIGNED,
    OPT_CAP,
    OPT_CONTENTION,
    OPT_DOWN,
    OPT_HOLD,
    OPT_HORIZON,
    OPT_NOISY,
    OPT_OBJECTIVE,
    OPT_OVERHEAD,
    OPT_PREFILL,
    OPT_SHARED,
    OPT_STATIC,
    OPT_WARMUP,
    OUT,
    OVERHEAD_CALL,
    OVERHEAD_TASK,
    PAUSED,
    PE_KIND,
    PE_MEMORY,
    PENDING,
    PES,
    PHASE,
    POWER,
    QUEUED,
    READY,
    RELEASE,
    RUNNING,
    RUNS,
    SEED,
    SINCE,
    SLOWDOWN_SUM,
    START,
    STATUS,
    STEPS,
    TAIL,
    TAKEN,
    TASKS,
    TIME,
    TOLD_AT,
    TOUCHED,
    TRUE_END,
    UNASSIGNED,
    UNRELEASED,
    UP,
    WAITING,
    WINDOW,
    WORK_LEFT,
    WORST_POWER,
    WORST_TIME,
)
from .timeline import ask, assign, compute_starts, offer, refresh, send, task_row
from .world import draw_app, draw_change, draw_gap, draw_laws, true_time


@compiled
def touch(state, i, x):
    """Note that the phase of task slot x has changed."""
    if state.flag[i, x] == 0:
        state.flag[i, x] = 1
        state.touched[i, state.clock[i, TOUCHED]] = x
        state.clock[i, TOUCHED] += 1


# --- jobs -------------------------------------------------------------------------------------------------------------


@compiled
def generate(problem, state, i, app, born):
    """Put a job of an application into a free slot."""
    clock = state.clock[i]
    room = state.task.shape[1] // state.job.shape[1]
    s = 0
    while state.job[i, s, ACTIVE] == 1:
        s += 1
    job, tasks = state.job[i, s], problem.app[app, TASKS]
    job[ACTIVE], job[APP], job[NUMBER], job[BORN] = 1, app, clock[GENERATED], born
    job[LEFT], job[EXPECTED], job[JOB_WORK] = tasks, born, 0
    clock[GENERATED] += 1
    clock[IN_SYSTEM] += 1
    clock[UNASSIGNED] += tasks
    first = problem.app[app, FIRST_TASK]
    for k in range(tasks):
        one = state.task[i, s * room + k]
        for column in range(NUM_TASK):
            one[column] = 0
        one[PHASE], one[ON], one[NEXT] = UNRELEASED, NONE, NONE
        one[PENDING] = one[BLOCKERS] = problem.task[first + k, IN]
        one[DATA], one[START], one[FINISH], one[RELEASE] = born, NEVER, NEVER, NEVER
        job[JOB_WORK] += problem.task[first + k, FASTEST]
        state.group[i, problem.task[first + k, FAST_GROUP], DEMAND] += problem.task[first + k, FASTEST]
        touch(state, i, s * room + k)
    clock[WORK_LEFT] += job[JOB_WORK]
    if problem.options[OPT_CONTENTION] != NO_CONTENTION:
        each = state.asked.shape[1] // state.job.shape[1]
        for slot in range(s * each, (s + 1) * each):
            state.asked[i, slot] = 0
    for k in range(tasks):
        if state.task[i, s * room + k, BLOCKERS] == 0:
            release(problem, state, i, s * room + k)


@compiled
def release(problem, state, i, x):
    """Offer a task for whose assignment nothing is missing."""
    state.task[i, x, PHASE] = OFFERED
    touch(state, i, x)
    offer(problem, state, i, x)


@compiled
def arrivals_due(problem, state, i):
    """Generate the jobs whose time has come, as far as the cap allows."""
    clock = state.clock[i]
    cap, t = problem.options[OPT_CAP], clock[TIME]
    if clock[END] == NEVER:  # an imagined world in which nothing more arrives
        return
    if problem.options[OPT_ARRIVALS] == BACK_TO_BACK:
        first = cap if problem.options[OPT_PREFILL] == 1 else 1
        while clock[GENERATED] < clock[COMPLETED] + first:
            generate(problem, state, i, draw_app(problem, state, i, clock[GENERATED]), t)
        return
    while clock[NEXT_ARRIVAL] <= t:
        if clock[IN_SYSTEM] >= cap:
            clock[WAITING] = 1
            return
        clock[WAITING] = 0
        number = clock[GENERATED]
        generate(problem, state, i, draw_app(problem, state, i, number), t)
        clock[NEXT_ARRIVAL] = t + draw_gap(problem, state, i, number + 1)


@compiled
def job_done(problem, state, i, s):
    """The last task of a job is done."""
    clock, job = state.clock[i], state.job[i, s]
    room = state.task.shape[1] // state.job.shape[1]
    t = clock[TIME]
    clock[IN_SYSTEM] -= 1
    clock[COMPLETED] += 1
    if problem.options[OPT_STATIC] == 1:
        clock[COST] += t - job[BORN]
    if job[BORN] >= problem.options[OPT_WARMUP]:
        latency = t - job[BORN]
        clock[MEASURED] += 1
        clock[LATENCY_SUM] += latency
        clock[LATENCY_MAX] = max(clock[LATENCY_MAX], latency)
        state.real[i, SLOWDOWN_SUM] += latency / max(problem.app[job[APP], LEAST], 1)
        place = np.int64(BINS_PER_OCTAVE * np.log2(1.0 + latency))
        state.bins[i, min(place, BINS - 1)] += 1
    if problem.options[OPT_STATIC] == 0:
        for k in range(problem.app[job[APP], TASKS]):
            state.task[i, s * room + k, PHASE] = ABSENT
            touch(state, i, s * room + k)
        job[ACTIVE] = 0


# --- tasks ------------------------------------------------------------------------------------------------------------


@compiled
def change_power(problem, state, i, p, more):
    """Count one more (1) or one less (-1) active PE of PE p's kind."""
    row = problem.instance[state.clock[i, INSTANCE]]
    number = problem.pe[row[FIRST_PE] + p, PE_KIND]
    kind = problem.kind[row[FIRST_KIND] + number]
    before = state.active[i, number]
    state.active[i, number] = before + more
    change = problem.power[kind[FIRST_POWER] + before + more] - problem.power[kind[FIRST_POWER] + before]
    state.clock[i, POWER] += change - more * kind[KIND_IDLE]


@compiled
def start_due(problem, state, i):
    """Start what can start now. Returns whether anything ends at once."""
    clock, task = state.clock[i], state.task[i]
    t = clock[TIME]
    at_once = False
    for p in range(problem.instance[clock[INSTANCE], PES]):
        pe = state.pe[i, p]
        x = pe[HEAD]
        if x < 0 or pe[RUNS] >= 0 or pe[UP] == 0 or task[x, BLOCKERS] > 0 or max(task[x, READY], task[x, DATA]) > t:
            continue
        room = len(task) // state.job.shape[1]
        row = task_row(problem, state, i, x)
        number = state.job[i, x // room, NUMBER]
        pe[RUNS], pe[HEAD] = x, task[x, NEXT]
        if pe[HEAD] < 0:
            pe[TAIL] = NONE
        pe[QUEUED] -= 1
        task[x, PHASE], task[x, START], task[x, NEXT] = ACTIVE_NOW, t, NONE
        mean = problem.time[row, p]
        task[x, FINISH] = t + mean
        pe[TRUE_END] = t + true_time(problem, state, i, number, x % room, problem.task[row, DUMMY], mean)
        change_power(problem, state, i, p, 1)
        touch(state, i, x)
        at_once = at_once or pe[TRUE_END] == t
    return at_once


@compiled
def finish_task(problem, state, i, p):
    """The task that PE p runs is done."""
    clock, pe, task = state.clock[i], state.pe[i, p], state.task[i]
    room = len(task) // state.job.shape[1]
    t, x = clock[TIME], pe[RUNS]
    s = x // room
    job = state.job[i, s]
    pe[RUNS], pe[TRUE_END] = NONE, NEVER
    pe[BUSY] += t - task[x, START]
    if problem.options[OPT_DOWN] == 1:
        pe[BUSY] -= task[x, PAUSED]
    if pe[HEAD] < 0:
        pe[FREE] = t
    change_power(problem, state, i, p, -1)
    task[x, PHASE], task[x, FINISH] = DONE, t
    clock[LAST_FINISH] = t
    touch(state, i, x)
    if clock[LOGGED] < state.log.shape[1]:
        row = state.log[i, clock[LOGGED]]
        row[LOG_JOB], row[LOG_TASK], row[LOG_PE], row[LOG_APP] = job[NUMBER], x % room, p, job[APP]
        row[LOG_ASSIGNED], row[LOG_DATA] = task[x, ASSIGNED_AT], task[x, DATA]
        row[LOG_START], row[LOG_FINISH], row[LOG_BORN] = task[x, START], t, job[BORN]
    clock[LOGGED] += 1
    first = problem.app[job[APP], FIRST_TASK]
    own = problem.task[first + x % room]
    plain = problem.options[OPT_SHARED] == 0 and problem.options[OPT_CONTENTION] == NO_CONTENTION
    for e in range(own[FIRST_OUT], own[FIRST_OUT] + own[OUT]):
        other = s * room + problem.out_task[e]
        task[other, BLOCKERS] -= 1
        touch(state, i, other)
        if task[other, PHASE] == ASSIGNED and plain:
            send(problem, state, i, x, other, problem.out_volume[e])
        if problem.options[OPT_ASSIGNED] == 0 and task[other, BLOCKERS] == 0:
            if problem.options[OPT_SHARED] == 0:
                release(problem, state, i, other)
            else:
                task[other, RELEASE] = memory_date(problem, state, i, other)
    job[LEFT] -= 1
    job[JOB_WORK] -= own[FASTEST]
    clock[WORK_LEFT] -= own[FASTEST]
    if job[LEFT] == 0:
        job_done(problem, state, i, s)


@compiled
def memory_date(problem, state, i, x):
    """When all inputs of task x, whose producers are done, are in the shared memory."""
    task = state.task[i]
    room = len(task) // state.job.shape[1]
    row = task_row(problem, state, i, x)
    first_pe = problem.instance[state.clock[i, INSTANCE], FIRST_PE]
    first = problem.task[row, FIRST_IN]
    latest = 0
    for e in range(first, first + problem.task[row, IN]):
        y = x - x % room + problem.in_task[e]
        bandwidth = problem.pe[first_pe + task[y, ON], PE_MEMORY]
        latest = max(latest, task[y, FINISH] + problem.in_volume[e] // bandwidth)
    return latest


@compiled
def releases_due(problem, state, i):
    """Offer tasks whose inputs have come to the shared memory. Returns the date of the next ones."""
    task, t = state.task[i], state.clock[i, TIME]
    date = NEVER
    for x in range(len(task)):
        if task[x, PHASE] == UNRELEASED and task[x, RELEASE] < NEVER:
            if task[x, RELEASE] <= t:
                release(problem, state, i, x)
            else:
                date = min(date, task[x, RELEASE])
    return date


@compiled
def changes_due(problem, state, i):
    """PEs that break down or are repaired now."""
    t = state.clock[i, TIME]
    for p in range(problem.instance[state.clock[i, INSTANCE], PES]):
        pe = state.pe[i, p]
        if pe[CHANGE] != t:
            continue
        if pe[RUNS] >= 0:
            change_power(problem, state, i, p, 1 - 2 * pe[UP])
        if pe[UP] == 0:
            if pe[RUNS] >= 0:
                lost = t - max(pe[SINCE], state.task[i, pe[RUNS], START])
                state.task[i, pe[RUNS], PAUSED] += lost
                pe[TRUE_END] += lost
            pe[WINDOW] += 1
        pe[UP], pe[SINCE] = 1 - pe[UP], t
        draw_change(problem, state, i, p, t)


# --- the course of time -----------------------------------------------------------------------------------------------


@compiled
def next_event(problem, state, i):
    """Date of the next event after now."""
    clock, task = state.clock[i], state.task[i]
    t = clock[TIME]
    date = NEVER
    if clock[NEXT_ARRIVAL] > t:
        date = clock[NEXT_ARRIVAL]
    if clock[TOLD_AT] > t and (clock[OFFERED_COUNT] > 0 or problem.options[OPT_CONTENTION] != NO_CONTENTION):
        date = min(date, clock[TOLD_AT])
    for p in range(problem.instance[clock[INSTANCE], PES]):
        pe = state.pe[i, p]
        date = min(date, pe[CHANGE])
        if pe[UP] == 0:
            continue
        if pe[RUNS] >= 0:
            date = min(date, pe[TRUE_END])
        else:
            x = pe[HEAD]
            if x >= 0 and task[x, BLOCKERS] == 0:
                date = min(date, max(task[x, READY], task[x, DATA]))
    return date


@compiled
def pass_time(problem, state, i, date):
    """Let the clock go on."""
    clock = state.clock[i]
    passed = date - clock[TIME]
    if problem.options[OPT_STATIC] == 0:
        clock[COST] += clock[IN_SYSTEM] * passed
    clock[ENERGY_USED] += clock[POWER] * passed
    clock[TIME] = date


@compiled
def finishes_due(problem, state, i):
    """Tasks that are done now."""
    t = state.clock[i, TIME]
    for p in range(problem.instance[state.clock[i, INSTANCE], PES]):
        pe = state.pe[i, p]
        if pe[RUNS] >= 0 and pe[TRUE_END] <= t and pe[UP] == 1:
            finish_task(problem, state, i, p)


@compiled
def settle(problem, state, i):
    """What happens at the present instant before decisions. Returns the date of the next release from shared memory."""
    finishes_due(problem, state, i)
    if problem.options[OPT_DOWN] == 1:
        changes_due(problem, state, i)
    if problem.options[OPT_STATIC] == 0:
        arrivals_due(problem, state, i)
    if problem.options[OPT_SHARED] == 1:
        return releases_due(problem, state, i)
    return NEVER


@compiled
def tell(problem, state, i):
    """Begin a joint decision, or count the tasks that have been added to it."""
    clock = state.clock[i]
    if clock[EPOCH] != clock[TIME]:
        clock[EPOCH], clock[TAKEN] = clock[TIME], 0
    clock[TOLD_AT] = clock[TIME]
    if problem.options[OPT_OVERHEAD] == 1:
        # What is offered meanwhile belongs to it.
        open_tasks = clock[UNASSIGNED] if problem.options[OPT_ASSIGNED] == 1 else clock[OFFERED_COUNT]
        count = clock[TAKEN] + open_tasks
        clock[TOLD_AT] += np.int64(np.ceil(problem.law[OVERHEAD_CALL] + count * problem.law[OVERHEAD_TASK]))


@compiled
def can_hold(problem, state, i):
    """Whether offered tasks may be held back: something else must be under way, or nothing might ever happen."""
    if problem.options[OPT_HOLD] == 0:
        return False
    for p in range(problem.instance[state.clock[i, INSTANCE], PES]):
        if state.pe[i, p, RUNS] >= 0 or state.pe[i, p, HEAD] >= 0:
            return True
    return False


@compiled
def hold(problem, state, i):
    """Let time pass until a task is done, a job arrives or a PE changes; then go on to the next decision."""
    clock = state.clock[i]
    clock[STEPS] += 1
    clock[HOLDS] += 1
    news = happened(problem, state, i)
    releases = NEVER
    if problem.options[OPT_SHARED] == 1:
        releases = releases_due(problem, state, i)
    while clock[STATUS] == RUNNING and happened(problem, state, i) == news:
        releases = go_on(problem, state, i, releases)
    if clock[STATUS] == RUNNING:
        run_to_decision(problem, state, i, NONE)


@compiled
def happened(problem, state, i):
    """A number that changes when a task is done, a job arrives, a task is offered or a PE changes."""
    clock = state.clock[i]
    total = clock[LOGGED] + clock[GENERATED] + clock[OFFERED_COUNT]
    if problem.options[OPT_DOWN] == 1:
        for p in range(problem.instance[clock[INSTANCE], PES]):
            total += 2 * state.pe[i, p, WINDOW] + 1 - state.pe[i, p, UP]
    return total


@compiled
def go_on(problem, state, i, releases):
    """Start what can start, and let time pass to what happens next; the episode may end there.

    Args:
        releases: date of the next release from the shared memory.

    Returns:
        That date anew.
    """
    clock = state.clock[i]
    clock[EPOCH] = NONE
    if problem.options[OPT_CONTENTION] != NO_CONTENTION:
        ask(problem, state, i)
    if not start_due(problem, state, i):
        date = min(next_event(problem, state, i), releases)
        if date >= clock[END]:
            pass_time(problem, state, i, clock[END])
            if date == clock[END]:
                finishes_due(problem, state, i)
            clock[STATUS] = FINISHED
            return NEVER
        pass_time(problem, state, i, date)
    return settle(problem, state, i)


@compiled
def run_to_decision(problem, state, i, changed):
    """Let time pass until a task is offered and the scheduler free, or the episode ends.

    Args:
        changed: the PE to which a task has just been assigned, -1 after other events.
    """
    clock = state.clock[i]
    moved = changed < 0
    releases = NEVER
    if problem.options[OPT_SHARED] == 1:
        releases = releases_due(problem, state, i)
    while True:
        if clock[OFFERED_COUNT] > 0 and (clock[TOLD_AT] <= clock[TIME] or clock[EPOCH] == clock[TIME]):
            tell(problem, state, i)
            uncertain = problem.options[OPT_NOISY] == 1 or problem.options[OPT_DOWN] == 1
            if uncertain or problem.options[OPT_CONTENTION] > 0:
                refresh(problem, state, i)
                moved = moved or problem.options[OPT_CONTENTION] > 0
            compute_starts(problem, state, i, NONE if moved else changed)
            return
        if clock[END] == NEVER and clock[IN_SYSTEM] == 0:
            clock[STATUS] = FINISHED
            return
        moved = True
        releases = go_on(problem, state, i, releases)
        if clock[STATUS] != RUNNING:
            return


@compiled
def reset_state(problem, state, i, seed, instance):
    """Begin an episode of copy i on an instance."""
    clock = state.clock[i]
    for column in range(NUM_CLOCK):
        clock[column] = 0
    clock[SEED], clock[INSTANCE] = seed, instance
    clock[EPOCH], clock[NEXT_ARRIVAL], clock[END] = NONE, NEVER, problem.options[OPT_HORIZON]
    row = problem.instance[instance]
    clock[POWER] = row[IDLE_POWER]
    for column in range(NUM_REAL):
        state.real[i, column] = 0.0
    draw_laws(problem, state, i)
    for p in range(state.pe.shape[1]):
        pe = state.pe[i, p]
        for column in range(NUM_PE):
            pe[column] = 0
        pe[RUNS] = pe[HEAD] = pe[TAIL] = NONE
        pe[TRUE_END] = pe[CHANGE] = NEVER
        pe[UP] = 1
        if p < row[PES]:
            draw_change(problem, state, i, p, 0)
    for k in range(state.active.shape[1]):
        state.active[i, k] = 0
    for g in range(state.group.shape[1]):
        state.group[i, g, DEMAND] = 0
    for s in range(state.job.shape[1]):
        for column in range(NUM_JOB):
            state.job[i, s, column] = 0
    for x in range(state.task.shape[1]):
        state.task[i, x, PHASE] = ABSENT
        state.flag[i, x] = 0
    for link in range(state.link.shape[1]):
        state.link[i, link] = 0
    for slot in range(state.asked.shape[1]):
        state.asked[i, slot] = 0
    for place in range(BINS):
        state.bins[i, place] = 0
    if problem.options[OPT_STATIC] == 1:
        for number in range(row[FIRST_JOB], row[FIRST_JOB] + row[JOBS]):
            generate(problem, state, i, problem.job[number, 0], problem.job[number, 1])
    else:
        if problem.options[OPT_PREFILL] == 1:
            for number in range(problem.options[OPT_CAP]):
                generate(problem, state, i, draw_app(problem, state, i, number), 0)
        if problem.options[OPT_ARRIVALS] != BACK_TO_BACK:
            clock[NEXT_ARRIVAL] = draw_gap(problem, state, i, clock[GENERATED])
        arrivals_due(problem, state, i)
    run_to_decision(problem, state, i, NONE)


@compiled
def place(problem, state, i, w, p):
    """Assign the w-th offered task of copy i to PE p and go on to the next decision or the end of the episode."""
    clock, task = state.clock[i], state.task[i]
    room = len(task) // state.job.shape[1]
    x = state.offered[i, w]
    assign(problem, state, i, w, p)
    touch(state, i, x)
    clock[STEPS] += 1
    clock[TAKEN] += 1
    if problem.options[OPT_ASSIGNED] == 1:
        own = problem.task[task_row(problem, state, i, x)]
        for e in range(own[FIRST_OUT], own[FIRST_OUT] + own[OUT]):
            other = x - x % room + problem.out_task[e]
            task[other, PENDING] -= 1
            if task[other, PENDING] == 0:
                release(problem, state, i, other)
    run_to_decision(problem, state, i, p)


@compiled
def latency_sum(problem, state, i):
    """Sum over jobs of their time in the system until now; of a static plan, as far as it is expected."""
    clock = state.clock[i]
    if problem.options[OPT_STATIC] == 0 or clock[STATUS] != RUNNING:
        return clock[COST]
    total = 0
    for s in range(state.job.shape[1]):
        total += state.job[i, s, EXPECTED] - state.job[i, s, BORN]
    return total


@compiled
def last_finish(problem, state, i):
    """The makespan; of a static plan that is being made, as far as it is expected."""
    if problem.options[OPT_STATIC] == 0 or state.clock[i, STATUS] != RUNNING:
        return state.clock[i, LAST_FINISH]
    latest = 0
    for s in range(state.job.shape[1]):
        latest = max(latest, state.job[i, s, EXPECTED])
    return latest


@compiled
def objective(problem, state, i):
    """What is to be small, as far as it has come."""
    clock, wanted = state.clock[i], problem.options[OPT_OBJECTIVE]
    row = problem.instance[clock[INSTANCE]]
    time, energy = row[WORST_TIME], row[WORST_TIME] * row[WORST_POWER]
    illegal = clock[STATUS] == ILLEGAL
    if not illegal:
        time = last_finish(problem, state, i) if wanted == MAKESPAN else latency_sum(problem, state, i)
        energy = clock[ENERGY_USED]
    value = time
    if wanted == ENERGY:
        value = energy
    elif wanted == EDP:
        value = energy // EDP_UNIT * time + energy % EDP_UNIT * time // EDP_UNIT
    return value + 1 if illegal else value


@compiled
def lower_bound(problem, state, i):
    """No episode that goes on from here comes to less."""
    return objective(problem, state, i)


@compiled
def signature(problem, state, i):
    """Equal for two states of one instance that have the same future for the same further actions."""
    clock, task = state.clock[i], state.task[i]
    total = combine(np.uint64(clock[TIME]), clock[TOLD_AT])
    for x in range(len(task)):
        one = task[x]
        if one[PHASE] >= ASSIGNED:
            total += combine(combine(combine(np.uint64(x), one[ON]), one[START]), one[PHASE])
    return mix(total)
