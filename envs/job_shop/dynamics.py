"""The transition of the job shop: classical, blocking (BNS) and blocking with swaps (BWS), with breakdowns.

Every function works on one copy ``i`` of a batch; the rooms beside this one hold what it is made of: `state` the
tables, `moves` the elementary changes, `breakdowns` and `world` the breakdowns, `legality` what may be chosen.
"""

from __future__ import annotations

from ..core.compile import compiled
from .breakdowns import breakdowns_due, repairs_due
from .legality import count_legal, is_deadlocked, wait_is_legal
from .moves import complete, construct, continue_and_swap, enter, join_queue, survey, want
from .state import (
    BREAKDOWNS,
    CLASSICAL,
    DEADLOCK,
    DIM_JOBS,
    DIM_MACHINES,
    DIM_OPERATIONS,
    DIM_START,
    DIM_TOTAL,
    DONE,
    END,
    FINISHED,
    HOLDER,
    ILLEGAL,
    INFINITY,
    LEGAL,
    LOAD_COUNT,
    LOAD_WORK,
    MACHINE,
    MOST_BREAKDOWNS,
    NEXT_DOWN,
    NEXT_END,
    NEXT_UP,
    NO_SWAP,
    NUM_CLOCK,
    NUM_JOB,
    NUM_MACHINE,
    NUM_WINDOW,
    OPERATIONS_TO_COME,
    OPT_BLOCKING,
    RUNNING,
    SEED,
    STATUS,
    STEP_CAP_PER_OPERATION,
    STEPS,
    TIME,
    TRUNCATED,
    UP,
    WAIT_LEGAL,
    WAITS,
    WANTS,
    WANTS_TIME,
    WORK_AHEAD,
    WORK_TO_COME,
    constructs,
    has_breakdowns,
)
from .world import draw_window


@compiled
def settle(problem, state, i):
    """Events of the present instant in their order, until nothing changes. Returns whether a decision may be due."""
    job = state.job[i]
    jobs = problem.dims[i, DIM_JOBS]
    breaks = has_breakdowns(problem)
    t = state.clock[i, TIME]
    happened = False
    while True:
        repaired = False
        broken = 0
        if breaks:
            repaired = repairs_due(problem, state, i)
        # Only a job that has just been blocked, or a repaired machine, can make a continuation or a swap possible.
        low, high = jobs, 0
        for j in range(jobs):
            if job[j, END] == t:
                complete(problem, state, i, j)
                low = min(low, j)
                high = j + 1
        if breaks:
            broken, told = breakdowns_due(problem, state, i)
            happened = happened or told
        happened = happened or repaired or high > 0
        if repaired:
            low, high = 0, jobs
        entered = False
        if high > low and problem.options[OPT_BLOCKING] != CLASSICAL:
            entered = continue_and_swap(problem, state, i, low, high)
        # Without breakdowns, only an operation that has just begun can end in this same instant.
        if not (entered or (breaks and (repaired or high > 0 or broken > 0))):
            break
    survey(problem, state, i)
    return happened


@compiled
def next_event(problem, state, i):
    """Date of the next event after now, INFINITY if there is none."""
    date = state.clock[i, NEXT_END]
    if has_breakdowns(problem):
        window = state.window[i]
        for m in range(problem.dims[i, DIM_MACHINES]):
            date = min(date, window[m, NEXT_DOWN] if window[m, UP] == 1 else window[m, NEXT_UP])
    return date


@compiled
def reset_state(problem, state, i, seed):
    """Begin an episode of copy i, whose problem has been loaded."""
    clock, job, machine, window = state.clock[i], state.job[i], state.machine[i], state.window[i]
    for column in range(NUM_CLOCK):
        clock[column] = 0
    clock[SEED] = seed
    for m in range(machine.shape[0]):
        for column in range(NUM_MACHINE):
            machine[m, column] = 0
        machine[m, HOLDER] = -1
        machine[m, WORK_TO_COME] = problem.load[i, m, LOAD_WORK]
        machine[m, OPERATIONS_TO_COME] = problem.load[i, m, LOAD_COUNT]
        for column in range(NUM_WINDOW):
            window[m, column] = 0
        window[m, UP] = 1
        window[m, NEXT_DOWN] = INFINITY
        window[m, NEXT_UP] = INFINITY
    if has_breakdowns(problem):
        for m in range(problem.dims[i, DIM_MACHINES]):
            draw_window(problem, state, i, m, 0)
    for j in range(job.shape[0]):
        for column in range(NUM_JOB):
            job[j, column] = 0
        job[j, MACHINE] = -1
        job[j, WANTS] = -1
        job[j, END] = INFINITY
        for k in range(state.start.shape[2]):
            state.start[i, j, k] = -1
            state.completion[i, j, k] = -1
        if problem.length[i, j] > 0:
            job[j, WORK_AHEAD] = problem.head[i, j, problem.length[i, j]]
            want(problem, state, i, j, 0)
            join_queue(state, i, j)
    survey(problem, state, i)
    if has_breakdowns(problem):
        settle(problem, state, i)
    run_to_decision(problem, state, i)


@compiled
def go_on(problem, state, i):
    """Begin an episode of copy i in the middle, where it has been put: see `placing`.

    What happens at that instant happens first; then what it would be too late for, had the shop come there by itself.
    """
    settle(problem, state, i)
    if problem.options[OPT_BLOCKING] != CLASSICAL and continue_and_swap(
        problem, state, i, 0, problem.dims[i, DIM_JOBS]
    ):
        settle(problem, state, i)
    run_to_decision(problem, state, i)


@compiled
def run_to_decision(problem, state, i):
    """Let time pass until something may be chosen or the episode ends."""
    clock = state.clock[i]
    while True:
        if clock[DONE] == problem.dims[i, DIM_JOBS]:
            clock[STATUS] = FINISHED
        elif problem.options[OPT_BLOCKING] == NO_SWAP and is_deadlocked(problem, state, i):
            clock[STATUS] = DEADLOCK
        elif clock[BREAKDOWNS] >= MOST_BREAKDOWNS:
            clock[STATUS] = TRUNCATED
        legal = 0
        if clock[STATUS] == RUNNING:
            legal = count_legal(problem, state, i)
            if legal == 0:
                date = next_event(problem, state, i)
                if date < INFINITY:
                    clock[TIME] = date
                    settle(problem, state, i)
                    continue
                clock[STATUS] = DEADLOCK
        clock[LEGAL] = legal
        clock[WAIT_LEGAL] = 1 if legal > 0 and wait_is_legal(problem, state, i) else 0
        return


@compiled
def wait(problem, state, i):
    """Let time pass to the next event that a decision maker is told of."""
    while True:
        state.clock[i, TIME] = next_event(problem, state, i)
        if settle(problem, state, i):
            return


@compiled
def advance(problem, state, i, action):
    """Play a legal action of copy i up to the next decision or the end of the episode."""
    clock = state.clock
    clock[i, STEPS] += 1
    if constructs(problem):
        construct(problem, state, i, action)
        survey(problem, state, i)
    elif action == state.job.shape[1]:
        clock[i, WAITS] += 1
        wait(problem, state, i)
    else:
        ends_now = state.job[i, action, WANTS_TIME] == 0
        enter(problem, state, i, action)
        if ends_now or has_breakdowns(problem):
            settle(problem, state, i)
    run_to_decision(problem, state, i)
    if clock[i, STATUS] == RUNNING and clock[i, STEPS] >= STEP_CAP_PER_OPERATION * problem.dims[i, DIM_OPERATIONS]:
        clock[i, STATUS] = TRUNCATED


@compiled
def objective(problem, state, i):
    """Makespan; for an episode that ended otherwise a figure that no finished one without breakdowns can reach.

    A dead end or a cut episode counts max(t, time of the start + 2 * total work), an illegal action the total work on
    top.
    """
    t = state.clock[i, TIME]
    status = state.clock[i, STATUS]
    if status in (RUNNING, FINISHED):
        return t
    total = problem.dims[i, DIM_TOTAL]
    worst = max(t, problem.dims[i, DIM_START] + 2 * total)
    return worst + max(total, 1) if status == ILLEGAL else worst
