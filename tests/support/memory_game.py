"""A second memory-mapping game for tests: small, slow, and written from the specification alone.

``docs/environments/memory_mapping.md`` says what every rule here means. Nothing is shared with the engine; every
attempt at an action works on a copy of the whole position.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from fractions import Fraction

from makespan.envs.memory_mapping.instance import MemoryInstance
from makespan.envs.memory_mapping.schedule import MemoryPlan, Placement

COPY, NO_COPY, DROP, COPY_ELAPSED = range(4)
_AFTER_ILLEGAL = (DROP, NO_COPY, COPY, COPY_ELAPSED)


@dataclass
class Strip:
    """A storage held in CMEM."""

    storage: int
    tensor: int
    start: int
    end: int
    offset: int
    copy: tuple[int, int] | None = None
    write_backs: list[tuple[int, int]] = field(default_factory=list)


@dataclass
class Position:
    """What has been decided.

    Attributes:
        in_cmem: for each access decided.
        strips: all of them, the latest of each storage last.
        used: picoseconds of supply used in each instruction, by fetches, by write-backs, and of the HBM channel.
        valid: for each tensor the instruction from which on HBM has its value, if it has.
        written: the instruction that wrote each tensor so far.
    """

    in_cmem: list[bool]
    strips: list[Strip]
    used: dict[str, list[int]]
    valid: dict[int, int]
    written: dict[int, int]


class ReferenceGame:
    """One game from its begin; `rewards` are exact.

    Args:
        backup: whether a dead end is backed out of; else it ends the game.
    """

    def __init__(
        self, instance: MemoryInstance, supply: str = "contended", gaps: str = "best_fit", backup: bool = True
    ) -> None:
        self.instance, self.supply, self.gaps, self.backup = instance, supply, gaps, backup
        self.accesses = [
            (t, tensor, writes)
            for t, instruction in enumerate(instance.instructions)
            for writes, listed in ((False, instruction.reads), (True, instruction.writes))
            for tensor, _ in listed
        ]
        self.forced: set[int] = set()
        self.actions: list[int] = []
        self.backups = 0
        self.stuck = False
        self.position = self._begin()
        self._supply_all_hbm = [self._time(t, lambda _: False) for t in range(instance.num_instructions)]

    @property
    def _all_actions(self) -> tuple[int, ...]:
        return (COPY, NO_COPY, DROP, COPY_ELAPSED) if self.supply == "either" else (COPY, NO_COPY, DROP)

    # --- playing ------------------------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """The access to be decided."""
        return len(self.position.in_cmem)

    @property
    def done(self) -> bool:
        return self.stuck or self.now == len(self.accesses)

    def legal(self) -> list[bool]:
        return [self._try(self.position, action) is not None for action in self._all_actions]

    def step(self, action: int) -> Fraction:
        """Decide the present access; returns the reward, without the waits that a judge adds at the end."""
        before = self.paid()
        after = self._try(self.position, action)
        assert after is not None, "illegal"
        self.position = after
        self.actions.append(action)
        while self.now < len(self.accesses) and not any(self.legal()):
            if not self.backup:
                self.stuck = True
                break
            self._back_up(self.now)
        return Fraction(before - self.paid(), self.instance.all_hbm_ps)

    def paid(self) -> int:
        """The proxy run time of the instructions of which an access is decided, undecided accesses in HBM."""
        if self.stuck:
            return 2 * self.instance.all_hbm_ps
        begun = {self.accesses[i][0] for i in range(self.now)}
        none = {t for t, x in enumerate(self.instance.instructions) if not x.reads and not x.writes}
        return sum(self._trips(t) * self._time(t, self._is_in_cmem) for t in (begun | none if self.now else begun))

    def plan(self) -> MemoryPlan:
        strips = self.position.strips
        placements = tuple(Placement(s.tensor, s.start, s.end, s.offset, s.copy, tuple(s.write_backs)) for s in strips)
        promised = "unlimited" if self.supply == "either" else self.supply
        return MemoryPlan(self.instance, placements, promised, None if self.now == len(self.accesses) else self.now)

    def legal_actions(self) -> list[int]:
        return [action for action, legal in enumerate(self.legal()) if legal]

    def after(self, action: int) -> ReferenceGame:
        """Another game, one action on; a dead end stays one."""
        other = object.__new__(ReferenceGame)
        other.__dict__ = {**self.__dict__, "actions": [*self.actions, action]}
        position = self._try(self.position, action)
        assert position is not None, "illegal"
        other.position = position
        return other

    # --- Drop-backup --------------------------------------------------------------------------------------------------

    def _back_up(self, dead: int) -> None:
        """Mark the culprit of a dead end and play again up to it."""
        until = dead
        while True:
            self.backups += 1
            self.forced.add(self._culprit(dead))
            self.position = self._begin()
            for access in range(until):
                if not self._replay(access):
                    dead = access
                    break
            else:
                return

    def _replay(self, access: int) -> bool:
        for action in (self.actions[access], *_AFTER_ILLEGAL):
            after = self._try(self.position, action)
            if after is not None:
                self.position = after
                self.actions[access] = action
                return True
        return False

    def _culprit(self, dead: int) -> int:
        _, tensor, _ = self.accesses[dead]
        if self.instance.tensors[tensor].alias_group is not None:
            return self._of_storage(self._storage(tensor))[0]
        return next(i for i, (_, v, writes) in enumerate(self.accesses) if writes and v == tensor)

    # --- actions ------------------------------------------------------------------------------------------------------

    def _try(self, position: Position, action: int) -> Position | None:
        """The position after an action on its next access; None where it is illegal."""
        i = len(position.in_cmem)
        t, tensor, writes = self.accesses[i]
        after = deepcopy(position)
        if action == DROP:
            legal = self._drop(after, t, tensor, writes)
        elif i in self.forced or self.instance.tensors[tensor].hbm_only:
            legal = False
        elif action == NO_COPY:
            legal = self._no_copy(after, t, tensor, writes)
        else:
            legal = not writes and self._copy(after, t, tensor, action)
        if not legal:
            return None
        after.in_cmem.append(action != DROP)
        if writes:
            after.written[tensor] = t
        return after

    def _drop(self, p: Position, t: int, tensor: int, writes: bool) -> bool:
        if self._group_choice(p, tensor) is True:
            return False
        if writes:
            p.valid[tensor] = t
            return True
        held = any(strip.storage == self._storage(tensor) and strip.end >= t for strip in p.strips)
        return not held and self._make_valid(p, tensor, t - 1)

    def _no_copy(self, p: Position, t: int, tensor: int, writes: bool) -> bool:
        before = self._access_before(p, tensor)
        if before is None:
            return writes and self._produce(p, t, tensor)
        if not p.in_cmem[before] or not self._hold(p, self._strip(p, tensor), t):
            return False
        return not writes or self._write_output(p, t, tensor)

    def _produce(self, p: Position, t: int, tensor: int) -> bool:
        """A first write into CMEM."""
        end = t
        if self.instance.tensors[tensor].kind == "output":
            end = self._write_back_end(p, t, tensor)
            if end is None:
                return False
        offset = self._gap(p, tensor, t, end)
        if offset is None:
            return False
        p.strips.append(Strip(self._storage(tensor), tensor, t, t, offset))
        return self._write_output(p, t, tensor)

    def _write_output(self, p: Position, t: int, tensor: int) -> bool:
        """An output that has just been written to CMEM is written back."""
        if self.instance.tensors[tensor].kind != "output":
            return True
        return self._write_back(p, t, tensor, self.instance.num_instructions)

    def _copy(self, p: Position, t: int, tensor: int, action: int) -> bool:
        storage, segment = self._storage(tensor), self._segment(t)
        if self._group_choice(p, tensor) is False or (storage, segment) in self.instance.carried:
            return False
        fetch = self._fetch(p, t, tensor, action)
        if fetch is None:
            return False
        s, e, end = fetch
        if not self._make_valid(p, tensor, s):
            return False
        if any(strip.storage == storage and strip.end > s for strip in p.strips):
            return False
        if any(s < self.accesses[i][0] < t for i in self._of_storage(storage)):
            return False
        strips = [strip for strip in p.strips if strip.storage == storage]
        if strips:
            fixed = strips[0].offset if self.instance.tensors[tensor].alias_group is not None else None
        else:
            fixed = None
        offset = self._gap(p, tensor, s + 1, end) if fixed is None else fixed
        if offset is None or not self._free(p, storage, offset, s + 1, end):
            return False
        work = int(self.instance.transfer_ps[tensor])
        self._take(p, "fetch", work, list(reversed(range(s + 1, e))))
        p.strips.append(Strip(storage, tensor, s + 1, end, offset, copy=(s, e)))
        return True

    def _fetch(self, p: Position, t: int, tensor: int, action: int) -> tuple[int, int, int] | None:
        """(s, e) of the transfer for a read at t, and the last instruction held then, as far as supply says."""
        segments, number = self.instance.segments, self._segment(t)
        first, last, _ = segments[number]
        looping = segments[number] in self.instance.loops
        if action == COPY_ELAPSED:
            if looping and first == 0:
                return None
            begin, e, end = (segments[number - 1][0], first, last) if looping else (first, t, t)
            s = self._fetch_start(p, "fetch", begin, e, tensor)
            return None if s is None or self._fetch(p, t, tensor, COPY) == (s, e, end) else (s, e, end)
        pool = "channel" if self.supply == "either" else "fetch"
        s = self._fetch_start(p, pool, first, t, tensor)
        if s is not None and not (looping and self._waits(p, s, t, tensor)):
            return s, t, t
        if looping and first > 0:
            s = self._fetch_start(p, pool, segments[number - 1][0], first, tensor)
            if s is not None:
                return s, first, last
        return None

    def _fetch_start(self, p: Position, pool: str, first: int, e: int, tensor: int) -> int | None:
        """The largest s, not before first - 1, for which s+1 .. e-1 have supply enough left."""
        for s in range(e - 1, first - 2, -1):
            if sum(self._left(p, pool, u) for u in range(s + 1, e)) >= int(self.instance.transfer_ps[tensor]):
                return s
        return None

    def _waits(self, p: Position, s: int, e: int, tensor: int) -> bool:
        """Whether instruction e would wait for a fetch, since the HBM channel is not free for so long."""
        return sum(self._left(p, "channel", u) for u in range(s + 1, e)) < int(self.instance.transfer_ps[tensor])

    def _take(self, p: Position, pool: str, work: int, instructions: Sequence[int]) -> None:
        """Use supply of a pool, and of the channel as far as there is, in this order of instructions."""
        for name in {pool} if self.supply == "contended" else {pool, "channel"}:
            rest = work
            for u in instructions:
                amount = min(rest, self._left(p, name, u))
                p.used[name][u] += amount
                rest -= amount

    # --- validity in HBM ----------------------------------------------------------------------------------------------

    def _make_valid(self, p: Position, tensor: int, latest: int) -> bool:
        """Whether HBM has a value from some instruction <= latest, writing it back now if that can still be done."""
        if tensor in p.valid:
            return p.valid[tensor] <= latest
        return self._write_back(p, p.written[tensor], tensor, latest)

    def _write_back(self, p: Position, d: int, tensor: int, latest: int) -> bool:
        end = self._write_back_end(p, d, tensor, latest)
        if end is None:
            return False
        strip = self._strip(p, tensor)
        if not self._hold(p, strip, end):
            return False
        work = int(self.instance.transfer_ps[tensor])
        self._take(p, "back", work, list(range(d + 1, end + 1)))
        strip.write_backs.append((d, end + 1))
        p.valid[tensor] = end
        return True

    def _write_back_end(self, p: Position, d: int, tensor: int, latest: int | None = None) -> int | None:
        """The instruction in which a write-back after instruction d is complete, None if that is after `latest`."""
        for pool in ("channel", "back") if self.supply == "either" else ("back",):
            end = self._write_back_by(p, pool, d, tensor)
            if end is not None and (latest is None or end <= latest):
                return end
        return None

    def _write_back_by(self, p: Position, pool: str, d: int, tensor: int) -> int | None:
        work = int(self.instance.transfer_ps[tensor])
        storage, last = self._storage(tensor), self.instance.segments[self._segment(d)][1]
        writes = [t for i in self._of_storage(storage) for t in [self.accesses[i][0]] if self.accesses[i][2] and t > d]
        for u in range(d + 1, min(last + 1, *writes) if writes else last + 1):
            work -= self._left(p, pool, u)
            if work <= 0:
                return u
        return None

    # --- space --------------------------------------------------------------------------------------------------------

    def _hold(self, p: Position, strip: Strip, until: int) -> bool:
        """Extend a strip, if it is free."""
        for first, last, _ in self.instance.loops:
            if strip.start < first <= until <= last:
                until = last
        if until > strip.end:
            if not self._free(p, strip.storage, strip.offset, strip.end + 1, until):
                return False
            strip.end = until
        return True

    def _free(self, p: Position, storage: int, offset: int, begin: int, end: int) -> bool:
        size = int(self.instance.size[storage])
        return (
            all(bottom >= offset + size or top <= offset for bottom, top in self._blocks(p, begin, end))
            and offset + size <= self.instance.hardware.cmem_bytes
        )

    def _gap(self, p: Position, tensor: int, begin: int, end: int) -> int | None:
        """The offset that the rule chooses for a new block."""
        size = int(self.instance.size[tensor])
        gaps, top = [], 0
        for bottom, block_top in sorted(self._blocks(p, begin, end)):
            if bottom - top >= size:
                gaps.append((bottom - top, top))
            top = max(top, block_top)
        if gaps:
            return min(gaps)[1] if self.gaps == "best_fit" else min(offset for _, offset in gaps)
        return top if top + size <= self.instance.hardware.cmem_bytes else None

    def _blocks(self, p: Position, begin: int, end: int) -> list[tuple[int, int]]:
        """(bottom, top) of what is held during any part of an interval."""
        return [
            (strip.offset, strip.offset + int(self.instance.size[strip.storage]))
            for strip in p.strips
            if strip.start <= end and begin <= strip.end
        ]

    # --- small things -------------------------------------------------------------------------------------------------

    def _begin(self) -> Position:
        outside = [v for v, tensor in enumerate(self.instance.tensors) if tensor.kind not in ("act", "output")]
        fetch = [0] * self.instance.num_instructions
        # One supply for all, or one for each.
        back, channel = (fetch if self.supply == "contended" else list(fetch) for _ in range(2))
        return Position([], [], {"fetch": fetch, "back": back, "channel": channel}, dict.fromkeys(outside, -1), {})

    def _storage(self, tensor: int) -> int:
        return int(self.instance.storage[tensor])

    def _segment(self, t: int) -> int:
        return int(self.instance.segment[t])

    def _trips(self, t: int) -> int:
        return self.instance.segments[self._segment(t)][2]

    def _of_storage(self, storage: int) -> list[int]:
        return [i for i, (_, v, _) in enumerate(self.accesses) if self._storage(v) == storage]

    def _access_before(self, p: Position, tensor: int) -> int | None:
        earlier = [i for i in self._of_storage(self._storage(tensor)) if i < len(p.in_cmem)]
        return earlier[-1] if earlier else None

    def _group_choice(self, p: Position, tensor: int) -> bool | None:
        """Whether an alias group is in CMEM; None where it is open or there is no group."""
        if self.instance.tensors[tensor].alias_group is None:
            return None
        first = self._of_storage(self._storage(tensor))[0]
        return p.in_cmem[first] if first < len(p.in_cmem) else None

    def _strip(self, p: Position, tensor: int) -> Strip:
        return [strip for strip in p.strips if strip.storage == self._storage(tensor)][-1]

    def _is_in_cmem(self, access: int) -> bool:
        return access < self.now and self.position.in_cmem[access]

    def _of_instruction(self, t: int) -> list[int]:
        return [i for i, access in enumerate(self.accesses) if access[0] == t]

    def _time(self, t: int, in_cmem: Callable[[int], bool]) -> int:
        x = self.instance
        memory = sum(int(x.cmem_ps[i] if in_cmem(i) else x.hbm_ps[i]) for i in self._of_instruction(t))
        return max(int(x.compute_ps[t]), memory) + x.hardware.overhead_ps

    def _left(self, p: Position, pool: str, u: int) -> int:
        """Supply that is left in an instruction."""
        if self.supply != "contended" and pool != "channel":
            return self._supply_all_hbm[u] - p.used[pool][u]

        def in_cmem(access: int) -> bool:
            return access < len(p.in_cmem) and p.in_cmem[access]

        traffic = sum(int(self.instance.hbm_ps[i]) for i in self._of_instruction(u) if not in_cmem(i))
        return self._time(u, in_cmem) - traffic - p.used[pool][u]


def played_plan(instance: MemoryInstance, seed: int, supply: str = "contended") -> MemoryPlan:
    """The plan of a random game that likes CMEM."""
    game, rng = ReferenceGame(instance, supply), random.Random(seed)
    while not game.done:
        actions = [action for action, legal in enumerate(game.legal()) if legal]
        game.step(rng.choices(actions, [1 if action == DROP else 4 for action in actions])[0])
    return game.plan()
