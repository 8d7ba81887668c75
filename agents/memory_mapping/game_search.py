"""Local search over plays of the game: for each access a wish, which is granted where it is legal.

A play is greedy (leave it in CMEM, else fetch it, else HBM) but for the accesses that wish otherwise. Wishes are
changed at random, with a preference for what misses much and for what is in its way, under late acceptance (Burke and
Bykov, "The late acceptance hill-climbing heuristic", EJOR 258(1), 2017). The first wishes are the best of none at all
and of what the mapper has placed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.core.compile import compiled
from ...envs.memory_mapping import state as d
from ...envs.memory_mapping.dynamics import advance, objective, reset_state
from ...envs.memory_mapping.env import make_engine
from ...envs.memory_mapping.instance import MemoryInstance
from ...envs.memory_mapping.options import MemoryOptions
from ...envs.memory_mapping.schedule import MemoryPlan
from .mapper import Mapper, MapperOptions
from .orders import order_of
from .search import draw_below
from .transfers import FETCH as FETCHED

GREEDY, LEAVE, FETCH, NUM_WISHES = range(4)

_PORTION_SECONDS = 0.02
_HISTORY = 100
_PATIENCE = 4000  # plays without a better one before the search goes on from the best one, shaken
_SHAKES = 6
_WORST = 2**62

_DONE, _SCORE, _BEST, _BETTER_AT, _STRIPS = range(5)


class GameSearch:
    """Looks for good plays of one program.

    Args:
        instance: the program.
        options: of the environment, as far as they are given.
        key: of the randomness.
        variants: options of the mapper whose plans are tried as the first wishes.

    Attributes:
        actions: int8 [N], the actions of the best play.
    """

    def __init__(
        self,
        instance: MemoryInstance,
        options: Mapping[str, Any],
        key: int,
        variants: Sequence[MapperOptions] = (),
    ) -> None:
        known = {field.name for field in fields(MemoryOptions)}
        # A play that ends before its time is no plan.
        given: dict[str, Any] = {name: value for name, value in options.items() if name in known}
        given["dead_end"] = "backup"
        self._engine = make_engine(1, instance=[instance], **given)
        self._engine.reset([0], instances=[instance])
        self._instance, self._variants, self._key = instance, variants, np.uint64(key)
        self._wishes, self._candidate, self._best = (np.zeros(instance.num_accesses, dtype=np.int8) for _ in range(3))
        self._played = np.zeros(instance.num_accesses, dtype=np.int8)
        self._strips = np.zeros_like(self._engine.state.strip[0])
        self._history = np.full(_HISTORY, _WORST, dtype=np.int64)
        self._numbers = np.zeros(5, dtype=np.int64)
        self._numbers[_BEST] = _WORST

    @property
    def plays(self) -> int:
        """Games played so far."""
        return int(self._numbers[_DONE])

    @property
    def best(self) -> int:
        """The best objective so far, picoseconds."""
        return int(self._numbers[_BEST])

    @property
    def actions(self) -> NDArray[np.int8]:
        """Actions of the best game, int8 [accesses]."""
        self._replay()
        return self._engine.state.action[0, : self._instance.num_accesses].copy()

    def plan(self) -> MemoryPlan:
        """The best plan so far."""
        self._replay()
        return self._engine.schedule(0)

    def run(
        self,
        seconds: float | None = None,
        plays: int | None = None,
        found: Callable[[MemoryPlan], None] | None = None,
    ) -> None:
        """Go on searching until a limit is reached.

        Args:
            seconds: wall time, without that in which code is compiled.
            plays: how many; so limited a search is the same each time.
            found: is told of each plan that is better than all before.

        Raises:
            ValueError: neither limit is given.
        """
        if seconds is None and plays is None:
            raise ValueError("run needs a limit: seconds or plays")
        self._work(0)
        began = now = time.perf_counter()
        done = -self.plays
        if self.best == _WORST:
            self._begin()
        portion, done, told = 1, done + self.plays, _WORST
        while True:
            if found is not None and self.best < told:
                told = self.best
                found(self.plan())
            before, now = now, time.perf_counter()
            if (seconds is not None and now - began >= seconds) or (plays is not None and done >= plays):
                return
            if done:
                portion = max(1, min(2 * portion, int(portion * _PORTION_SECONDS / max(now - before, 1e-9))))
            if plays is not None:
                portion = min(portion, plays - done)
            self._work(portion)
            done += portion

    def _begin(self) -> None:
        """Play the greedy wishes and those of the mapper's plans; go on from the best."""
        mapper = Mapper(self._instance)
        self._try(np.full(self._instance.num_accesses, GREEDY, dtype=np.int8))
        for options in self._variants:
            mapper.set_options(options)
            mapper.map(order_of(mapper.program, "priority", options.loop_factor))
            self._try(wishes_of(mapper))
        self._history[:] = self.best

    def _try(self, wishes: NDArray[np.int8]) -> None:
        """Play some wishes, and go on from them if they are the best so far."""
        self._numbers[_DONE] += 1
        score = int(play_wishes(self._engine.problem, self._engine.state, 0, wishes))
        if score < self.best:
            self._numbers[_BEST] = self._numbers[_SCORE] = score
            self._wishes[:] = wishes
            self._played[:] = self._engine.state.action[0, : len(wishes)]
            self._strips[:] = self._engine.state.strip[0]
            self._numbers[_STRIPS] = self._engine.state.clock[0, d.STRIPS]
            self._best[:] = [wish_for(action) for action in self._played.tolist()]

    def _replay(self) -> None:
        play_wishes(self._engine.problem, self._engine.state, 0, self._best)

    def _work(self, count: int) -> None:
        search_plays(
            self._engine.problem, self._engine.state, self._wishes, self._candidate, self._best, self._played,
            self._strips, self._history, self._numbers, self._key, count,
        )  # fmt: skip


def wishes_of(mapper: Mapper) -> NDArray[np.int8]:
    """int8 [N], what a play would have to wish to come near to the mapper's last plan."""
    program, mapping = mapper.program, mapper.mapping
    wishes = np.where(mapping.in_cmem, GREEDY, LEAVE).astype(np.int8)
    strips, transfers = mapping.strips, mapping.transfers
    fetched = {
        (int(transfers.storage[queue, k]), int(transfers.start[queue, k]) + 1)
        for queue in range(2)
        for k in range(int(transfers.filled[queue]))
        if transfers.kind[queue, k] == FETCHED
    }
    for k in range(int(strips.filled[0])):
        storage, start = int(strips.storage[k]), int(strips.start[k])
        if (storage, start) in fetched:
            accesses = program.accesses[program.begin[storage] : program.begin[storage + 1]]
            wishes[next(int(a) for a in accesses if int(program.instruction[a]) >= start)] = FETCH
    return wishes


# --- compiled ---------------------------------------------------------------------------------------------------------


@compiled
def granted(state, i, wish):
    """The action by which a wish is granted, as far as that is legal."""
    offer = state.offer[i]
    if wish == LEAVE and offer[d.DROP, d.ALLOWED] == 1:
        return d.DROP
    if wish == FETCH and offer[d.COPY, d.ALLOWED] == 1:
        return d.COPY
    if offer[d.NO_COPY, d.ALLOWED] == 1:
        return d.NO_COPY
    return d.COPY if offer[d.COPY, d.ALLOWED] == 1 else d.DROP


@compiled
def play_wishes(problem, state, i, wishes):
    """Play an episode by wishes; returns the objective."""
    reset_state(problem, state, i, state.clock[i, d.SEED])
    while d.is_running(problem, state, i):
        advance(problem, state, i, granted(state, i, wishes[state.clock[i, d.POSITION]]))
    return objective(problem, state, i)


@compiled
def search_plays(problem, state, wishes, candidate, best, played, strips, history, numbers, key, count):
    """Try so many changes of the wishes; ``played`` and ``strips`` hold the actions and blocks they come to now."""
    length = len(wishes)
    for _ in range(count):
        number = numbers[_DONE]
        numbers[_DONE] += 1
        shaken = number - numbers[_BETTER_AT] > _PATIENCE
        for k in range(length):
            candidate[k] = best[k] if shaken else wishes[k]
        if shaken:
            numbers[_BETTER_AT], numbers[_SCORE] = number, _WORST
            for k in range(len(history)):
                history[k] = _WORST
        for again in range(_SHAKES if shaken else 1 + (draw_below(key, number, 0, 3) == 0)):
            change_wishes(problem, candidate, played, strips, numbers[_STRIPS], key, number, 10 + 40 * again)
        score, place = play_wishes(problem, state, 0, candidate), number % len(history)
        if score <= numbers[_SCORE] or score <= history[place]:
            numbers[_SCORE] = score
            for k in range(length):
                # What a Drop-backup has forced is wished for from now on: going back takes as long as many a play.
                wishes[k] = LEAVE if state.forced[0, k] == 1 else candidate[k]
                played[k] = state.action[0, k]
            numbers[_STRIPS] = state.clock[0, d.STRIPS]
            for row in range(numbers[_STRIPS]):
                for column in range(d.NUM_STRIP):
                    strips[row, column] = state.strip[0, row, column]
        history[place] = min(history[place], numbers[_SCORE])
        if score < numbers[_BEST]:
            numbers[_BEST], numbers[_BETTER_AT] = score, number
            for k in range(length):
                best[k] = wish_for(state.action[0, k])


@compiled
def wish_for(action):
    """The wish that an action grants."""
    if action == d.DROP:
        return LEAVE
    return FETCH if action == d.COPY else GREEDY


@compiled
def change_wishes(problem, wishes, played, strips, count, key, number, salt):
    """Make one random change."""
    access, length = problem.access[0], len(wishes)
    kind, k = draw_below(key, number, salt, 10), draw_below(key, number, salt + 1, length)
    other = np.int8(draw_below(key, number, salt + 2, NUM_WISHES))
    if kind < 3:
        missed = missed_access(problem, played, key, number, salt + 3)
        if kind == 0:
            clear_way(problem, wishes, played, missed, key, number, salt + 8)
        else:
            clear_place(problem, wishes, strips, count, missed, key, number, salt + 8)
    elif kind < 6:
        wishes[k] = np.int8((wishes[k] + 1 + other % 2) % NUM_WISHES)
    elif kind < 8:  # a storage, from here on, until it is written again
        while k >= 0:
            wishes[k] = other
            k = access[k, d.NEXT]
            if k >= 0 and access[k, d.WRITES] == 1:
                k = -1
    elif kind < 9:  # a stretch of time
        for j in range(k, min(length, k + 2 + draw_below(key, number, salt + 3, 12))):
            if draw_below(key, number, salt + 20 + (j - k), 3) == 0:
                wishes[j] = np.int8(draw_below(key, number, salt + 4, NUM_WISHES))
    else:  # what stays in HBM by a wish
        for step in range(length):
            j = (k + step) % length
            if wishes[j] == LEAVE:
                wishes[j] = GREEDY
                return


@compiled
def missed_access(problem, played, key, number, salt):
    """An access in HBM that costs much: of four drawn at random the one whose move to CMEM would save the most."""
    access, found, most = problem.access[0], 0, np.int64(-1)
    for n in range(4):
        k = draw_below(key, number, salt + n, len(played))
        gain = (access[k, d.HBM] - access[k, d.CMEM]) * problem.instruction[0, access[k, d.INSTRUCTION], d.TRIPS]
        if played[k] == d.DROP and gain > most:
            found, most = k, gain
    return found


@compiled
def clear_way(problem, wishes, played, k, key, number, salt):
    """Wish that access k is served, and that something which CMEM holds then is left in HBM from its next access on."""
    access = problem.access[0]
    t, length = access[k, d.INSTRUCTION], len(wishes)
    wishes[k] = GREEDY
    start = draw_below(key, number, salt, length)
    for step in range(length):
        j = (start + step) % length
        before = access[j, d.PREVIOUS]
        if played[j] == d.NO_COPY and before >= 0 and access[before, d.INSTRUCTION] < t <= access[j, d.INSTRUCTION]:
            wishes[j] = LEAVE
            return


@compiled
def clear_place(problem, wishes, strips, count, k, key, number, salt):
    """Wish that access k is served, and that a place which is large enough is free from the access before to the next.

    The place begins at 0 or at an end of a block that is held then; other blocks there are not opened, or let go of and
    perhaps fetched again.
    """
    access = problem.access[0]
    before, after = access[k, d.PREVIOUS], access[k, d.NEXT]
    first = access[k if before < 0 or access[k, d.WRITES] == 1 else before, d.INSTRUCTION]
    last = access[k if after < 0 else after, d.INSTRUCTION]
    wishes[k] = GREEDY
    if access[k, d.WRITES] == 0 and before >= 0:
        wishes[before] = GREEDY
    size, bottom = problem.tensor[0, access[k, d.TENSOR], d.SIZE], np.int64(0)
    if count > 0:
        row = draw_below(key, number, salt, count)
        which = draw_below(key, number, salt + 1, 3)
        if which > 0 and strips[row, d.BEGIN] <= last and strips[row, d.END] >= first:
            bottom = strips[row, d.BOTTOM if which == 1 else d.TOP]
    bottom = max(0, min(bottom, problem.dims[0, d.DIM_CMEM] - size))
    release = FETCH if draw_below(key, number, salt + 2, 2) == 0 else LEAVE
    for row in range(count):
        if strips[row, d.BOTTOM] >= bottom + size or strips[row, d.TOP] <= bottom:
            continue
        if strips[row, d.BEGIN] > last or strips[row, d.END] < first:
            continue
        j = strips[row, d.OPENED]
        if access[j, d.STORAGE] == access[k, d.STORAGE]:
            continue
        if access[j, d.INSTRUCTION] >= first:
            wishes[j] = LEAVE
        else:
            while j >= 0 and access[j, d.INSTRUCTION] < first:
                j = access[j, d.NEXT]
            if j >= 0:
                wishes[j] = release
