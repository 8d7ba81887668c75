"""The transition of memory mapping: an access is decided, and where nothing is legal then, the game goes back.

Every function works on one copy ``i`` of a batch; the rooms beside this one hold what it is made of: `state` the
tables, `gaps` the blocks of CMEM, `supply` what transfers use, `legality` what may be chosen, `judging` the waits.
"""

from __future__ import annotations

import numpy as np

from ..core.compile import compiled
from ..core.random import mix
from .gaps import extend_strip, open_strip
from .judging import judge
from .legality import assess
from .state import (
    ACCESS,
    AFTER,
    ALL_HBM_MEMORY,
    ALL_HBM_TIME,
    ALLOWED,
    BACKUPS,
    BEFORE,
    CMEM,
    COMPUTE,
    COPIES,
    COPY,
    COPY_ELAPSED,
    DEAD_END,
    DIM_ACCESSES,
    DIM_ALL_HBM,
    DIM_BEST,
    DIM_INSTRUCTIONS,
    DIM_TENSORS,
    DIM_WORST,
    DROP,
    DROPS,
    ELAPSED,
    FINISHED,
    FIRST_OF_STORAGE,
    GROUPED,
    HBM,
    HELD_FROM,
    HELD_TO,
    HELD_UNTIL,
    HISTORY,
    ILLEGAL,
    IN_CMEM,
    IN_HBM,
    INSTRUCTION,
    LATEST,
    LEAST_MEMORY,
    LEFT_FROM,
    LEFT_TO,
    MOST_TOUCHED,
    NEVER,
    NO_COPY,
    NONE,
    NOT_FETCHED,
    NUM_CLOCK,
    OF,
    OFFER_BEGIN,
    OFFER_BOTTOM,
    OFFER_DUE,
    OFFER_END,
    OPT_JUDGE,
    OPT_STATIC,
    OPT_SUPPLY,
    OPT_TERMINATE,
    PASSED,
    POSITION,
    REACHABLE,
    RUNNING,
    SAVED,
    SEED,
    SERVED,
    SIZE,
    STATIC,
    STATIC_SUM,
    STATUS,
    STORAGE,
    STRIP,
    STRIPS,
    TENSOR,
    TOUCHED,
    TRANSFER,
    TRANSFERS,
    TRIPS,
    UNDECIDED,
    VALID,
    VALID_FROM,
    WAITS,
    WRITE_BACK,
    WRITE_BACKS,
    WRITES,
    WRITTEN,
    channel_row,
)
from .supply import note_supply, use_for_fetch, use_for_write_back


@compiled
def reset_state(problem, state, i, seed):
    """Begin an episode of copy i, whose problem has been loaded."""
    clock = state.clock[i]
    for column in range(NUM_CLOCK):
        clock[column] = 0
    clock[SEED] = seed
    for k in range(problem.dims[i, DIM_ACCESSES]):
        state.forced[i, k] = 0
    begin_play(problem, state, i)
    come_to(problem, state, i, 0)


@compiled
def begin_play(problem, state, i):
    """Put copy i before its first access, keeping what is forced."""
    clock, instruction = state.clock[i], problem.instruction[i]
    hbm, memory, least, left, held = state.hbm[i], state.memory[i], state.least[i], state.left[i], state.held[i]
    elapsed = problem.options[OPT_SUPPLY] == ELAPSED
    for t in range(problem.dims[i, DIM_INSTRUCTIONS]):
        in_hbm, time = instruction[t, ALL_HBM_MEMORY], instruction[t, ALL_HBM_TIME]
        hbm[t] = in_hbm
        memory[t] = in_hbm
        least[t] = instruction[t, LEAST_MEMORY]
        held[t] = 0
        left[0, t] = time if elapsed else time - in_hbm
        left[1, t] = time
        left[2, t] = time - in_hbm if elapsed else time
    storage, tensor = state.storage[i], problem.tensor[i]
    for v in range(problem.dims[i, DIM_TENSORS]):
        storage[v, HELD_UNTIL] = -1
        storage[v, STRIP] = NONE
        storage[v, SERVED] = UNDECIDED
        storage[v, VALID] = tensor[v, VALID_FROM]
        storage[v, WRITTEN] = NONE
        storage[v, LATEST] = NONE
    for column in (POSITION, SAVED, STATIC_SUM, COPIES, WRITE_BACKS, DROPS, STRIPS, TRANSFERS, HISTORY):
        clock[column] = 0
    clock[REACHABLE] = problem.dims[i, DIM_BEST]
    clock[TOUCHED] = MOST_TOUCHED + 1  # all of the image
    clock[LEFT_FROM], clock[LEFT_TO] = 0, problem.dims[i, DIM_INSTRUCTIONS] - 1
    clock[HELD_FROM], clock[HELD_TO] = clock[LEFT_FROM], clock[LEFT_TO]


@compiled
def decide(problem, state, i, k, action):
    """Do with access k what an action does, as `assess` has found it."""
    access, offer, clock = problem.access[i, k], state.offer[i, action], state.clock[i]
    row = state.storage[i, access[STORAGE]]
    tensor = problem.tensor[i, access[TENSOR]]
    fetches = action in (COPY, COPY_ELAPSED)
    begins = fetches or (action == NO_COPY and row[SERVED] == UNDECIDED)
    if action != NO_COPY and offer[WRITE_BACK] != NONE:
        write_back(problem, state, i, access[STORAGE], offer[WRITE_BACK])
    if fetches:
        use_for_fetch(problem, state, i, offer[OFFER_BEGIN], offer[OFFER_DUE], tensor[TRANSFER])
        clock[COPIES] += 1
    if begins:
        fetched = offer[OFFER_BEGIN] - 1 if fetches else NOT_FETCHED
        number = open_strip(
            state, i, offer[OFFER_BEGIN], offer[OFFER_END], offer[OFFER_BOTTOM], tensor[SIZE], k, fetched
        )
        row[STRIP], row[HELD_UNTIL] = number, offer[OFFER_END]
        if fetches:
            log_transfer(state, i, fetched, offer[OFFER_DUE], k, number)
    elif action == NO_COPY:
        hold(state, i, row, offer[OFFER_END])
    row[SERVED] = IN_HBM if action == DROP else IN_CMEM
    row[LATEST] = k
    if access[WRITES] == 1:
        row[WRITTEN] = k
        row[VALID] = access[INSTRUCTION] if action == DROP else NEVER
        if action == NO_COPY and offer[WRITE_BACK] != NONE:
            write_back(problem, state, i, access[STORAGE], offer[WRITE_BACK])
    serve(problem, state, i, k, action != DROP)
    state.action[i, k] = action
    clock[HISTORY] = np.int64(mix(np.uint64(clock[HISTORY]) ^ np.uint64(2 * action + state.forced[i, k] + 1)))
    clock[DROPS] += action == DROP


@compiled
def hold(state, i, row, end):
    """Hold the present strip of a storage up to an instruction, if it is not held so long already."""
    if end > row[HELD_UNTIL]:
        row[HELD_UNTIL] = end
        extend_strip(state, i, row[STRIP], end)


@compiled
def write_back(problem, state, i, storage, last):
    """Write the value of a storage back to HBM, where it is valid from instruction `last` on."""
    row = state.storage[i, storage]
    access = problem.access[i, row[WRITTEN]]
    use_for_write_back(problem, state, i, row[WRITTEN], last, problem.tensor[i, access[TENSOR], TRANSFER])
    hold(state, i, row, last)
    row[VALID] = last
    log_transfer(state, i, access[INSTRUCTION], last + 1, row[WRITTEN], row[STRIP])
    state.clock[i, WRITE_BACKS] += 1


@compiled
def log_transfer(state, i, after, before, access, strip):
    """Record a transfer of a strip for an access."""
    number = state.clock[i, TRANSFERS]
    transfer = state.transfer[i, number]
    transfer[AFTER], transfer[BEFORE], transfer[ACCESS], transfer[OF] = after, before, access, strip
    state.clock[i, TRANSFERS] = number + 1


@compiled
def serve(problem, state, i, k, by_cmem):
    """Account for access k in the time of its instruction and in the supply that it leaves."""
    access, clock = problem.access[i, k], state.clock[i]
    t = access[INSTRUCTION]
    instruction = problem.instruction[i, t]
    compute, trips = instruction[COMPUTE], instruction[TRIPS]
    best = min(access[HBM], access[CMEM])
    chosen = access[CMEM] if by_cmem else access[HBM]
    if chosen != best:
        before = state.least[i, t]
        state.least[i, t] = before + chosen - best
        clock[REACHABLE] += trips * (max(compute, before + chosen - best) - max(compute, before))
    if by_cmem:
        before = state.memory[i, t]
        state.memory[i, t] = before + access[CMEM] - access[HBM]
        state.hbm[i, t] -= access[HBM]
        fallen = max(compute, before) - max(compute, before + access[CMEM] - access[HBM])
        clock[SAVED] += trips * fallen
        clock[STATIC_SUM] += access[STATIC]
        state.left[i, channel_row(problem), t] += access[HBM] - fallen
        if problem.options[OPT_SUPPLY] != ELAPSED:
            note_supply(state, i, t, t)


@compiled
def substitute(state, i):
    """What a recorded action that has become illegal turns into."""
    offer = state.offer[i]
    if offer[DROP, ALLOWED] == 1:
        return DROP
    if offer[NO_COPY, ALLOWED] == 1:
        return NO_COPY
    return COPY if offer[COPY, ALLOWED] == 1 else COPY_ELAPSED


@compiled
def culprit(problem, state, i, k):
    """The access whose forced DROP resolves a dead end at access k."""
    access = problem.access[i, k]
    if problem.tensor[i, access[TENSOR], GROUPED] == 1:
        return problem.tensor[i, access[STORAGE], FIRST_OF_STORAGE]
    return state.storage[i, access[STORAGE], WRITTEN]


@compiled
def back_up(problem, state, i, k):
    """Drop-backup: resolve a dead end at access k by forced DROPs, replaying what was played before k."""
    clock = state.clock[i]
    dead = k
    while True:
        state.forced[i, culprit(problem, state, i, dead)] = 1
        clock[BACKUPS] += 1
        begin_play(problem, state, i)
        dead = NONE
        for j in range(k + 1):
            if assess(problem, state, i, j) == 0:
                dead = j
                break
            if j < k:
                action = np.int64(state.action[i, j])
                decide(problem, state, i, j, action if state.offer[i, action, ALLOWED] == 1 else substitute(state, i))
        if dead == NONE:
            return


@compiled
def advance(problem, state, i, action):
    """Play a legal action of copy i up to the next decision or the end of the episode."""
    clock = state.clock[i]
    k = clock[POSITION]
    decide(problem, state, i, k, action)
    come_to(problem, state, i, k + 1)


@compiled
def come_to(problem, state, i, k):
    """Make access k the one to be decided, or end the episode."""
    clock = state.clock[i]
    if k == problem.dims[i, DIM_ACCESSES]:
        clock[STATUS] = FINISHED
        clock[WAITS] = judge(problem, state, i)
    elif assess(problem, state, i, k) == 0:
        if problem.options[OPT_TERMINATE] == 1:
            clock[STATUS] = DEAD_END
        else:
            back_up(problem, state, i, k)
    clock[POSITION] = k


@compiled
def objective(problem, state, i):
    """The run time of what has been decided so far, undecided accesses in HBM; with the waits once all are.

    A dead end counts twice the all-HBM run time, an illegal action more than any episode of legal ones.
    """
    clock, dims = state.clock[i], problem.dims[i]
    if clock[STATUS] == ILLEGAL:
        return dims[DIM_WORST]
    if clock[STATUS] == DEAD_END:
        return 2 * dims[DIM_ALL_HBM]
    waits = clock[WAITS] if problem.options[OPT_JUDGE] == 1 else 0
    return dims[DIM_ALL_HBM] - clock[SAVED] + waits


@compiled
def owed(problem, state, i):
    """What the rewards so far sum to, without the scale."""
    clock, dims = state.clock[i], problem.dims[i]
    status = clock[STATUS]
    static = problem.options[OPT_STATIC] == 1
    if status in (ILLEGAL, DEAD_END):
        return (dims[DIM_ALL_HBM] if static else 0) - objective(problem, state, i)
    if static:
        return clock[STATIC_SUM]
    if status == FINISHED:
        return -objective(problem, state, i)
    k = clock[POSITION]
    passed = problem.instruction[i, problem.access[i, k - 1, INSTRUCTION], PASSED] if k > 0 else 0
    return clock[SAVED] - passed


@compiled
def lower_bound(problem, state, i):
    """The proxy run time that copy i can still reach as far as what is decided stays; exact once it has ended.

    Undecided accesses count with the memory that serves them faster.
    """
    if state.clock[i, STATUS] != RUNNING:
        return objective(problem, state, i)
    return state.clock[i, REACHABLE]


@compiled
def signature(problem, state, i):
    """Hash of all that was decided: what a Drop-backup replays, so that the future depends on all of it."""
    return mix(np.uint64(state.clock[i, HISTORY]) ^ np.uint64(state.clock[i, STATUS]))
