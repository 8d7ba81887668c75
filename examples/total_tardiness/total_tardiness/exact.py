"""Optimal orders by Lawler's decomposition, as a dynamic program over the sets of jobs that it meets.

Number the jobs of a set by due date, and let k be the longest. In some optimal order k comes after exactly the jobs
1 .. r for an r >= k (Lawler, A "pseudopolynomial" algorithm for sequencing jobs to minimize total tardiness, Annals of
Discrete Mathematics 1, 1977, on the dominance of Emmons, Operations Research 17, 1969), so that the set falls into two
smaller ones, one before k and one after. Two facts leave few r (Potts & Van Wassenhove, Operations Research Letters 1,
1982). With C(r) the end of k after 1 .. r:

* r needs max(C(r), d_k) < d_(r+1): else job r + 1, no longer than k and due by then, would precede k as well.
* r > k needs d_r <= C(r): else job r, due later than that, may follow k directly without being late, which is r - 1.

What remains is looked up by the set and the time at which it begins.
"""

from __future__ import annotations

import sys

from .instance import TotalTardinessInstance

Jobs = tuple[int, ...]


class TooManySetsError(Exception):
    """The program met more sets of jobs than it may remember."""


def optimum(instance: TotalTardinessInstance, most_sets: int = 2_000_000) -> tuple[int, list[int]]:
    """The least total tardiness, and an order of the jobs that attains it.

    Raises:
        TooManySetsError: more than `most_sets` different sets and times would have to be remembered.
    """
    program = _Program(instance, most_sets)
    jobs = tuple(sorted(range(len(instance.times)), key=lambda job: (instance.due_dates[job], instance.times[job])))
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, 10 * len(jobs) + 1000))
    try:
        cost = program.solve(jobs, 0)
        return cost, program.order(jobs, 0)
    finally:
        sys.setrecursionlimit(limit)


class _Program:
    def __init__(self, instance: TotalTardinessInstance, most_sets: int) -> None:
        self._times, self._due, self._most = instance.times, instance.due_dates, most_sets
        self._known: dict[tuple[int, Jobs], tuple[int, int]] = {}  # (cost, r); r < 0: in the order given

    def solve(self, jobs: Jobs, begin: int) -> int:
        """The least total tardiness of jobs, sorted by due date, from a time on."""
        if not jobs:
            return 0
        found = self._known.get((begin, jobs))
        if found is None:
            found = self._solve(jobs, begin)
            if len(self._known) >= self._most:
                raise TooManySetsError(f"more than {self._most} sets of jobs")
            self._known[begin, jobs] = found
        return found[0]

    def _solve(self, jobs: Jobs, begin: int) -> tuple[int, int]:
        times, due = self._times, self._due
        late, cost, end = 0, 0, begin
        for job in jobs:
            end += times[job]
            if end > due[job]:
                late, cost = late + 1, cost + end - due[job]
        if late <= 1:  # then earliest due date is optimal: no other order makes the latest job less late
            return cost, -1
        k = max(range(len(jobs)), key=lambda place: (times[jobs[place]], place))
        longest = jobs[k]
        best, best_r = -1, -1
        end = begin + sum(times[job] for job in jobs[:k])
        for r in range(k, len(jobs)):
            end += times[jobs[r]]
            if r > k and due[jobs[r]] > end:
                continue
            if r + 1 < len(jobs) and max(end, due[longest]) >= due[jobs[r + 1]]:
                continue
            cost = max(end - due[longest], 0)
            if 0 <= best <= cost:
                continue
            cost += self.solve(jobs[:k] + jobs[k + 1 : r + 1], begin)
            if 0 <= best <= cost:
                continue
            cost += self.solve(jobs[r + 1 :], end)
            if best < 0 or cost < best:
                best, best_r = cost, r
        return best, best_r

    def order(self, jobs: Jobs, begin: int) -> list[int]:
        """An optimal order of jobs that `solve` has met; those it had no need to meet are solved now."""
        if not jobs:
            return []
        self.solve(jobs, begin)
        _, r = self._known[begin, jobs]
        if r < 0:
            return list(jobs)
        k = max(range(len(jobs)), key=lambda place: (self._times[jobs[place]], place))
        first, last = jobs[:k] + jobs[k + 1 : r + 1], jobs[r + 1 :]
        end = begin + sum(self._times[job] for job in jobs[: r + 1])
        return [*self.order(first, begin), jobs[k], *self.order(last, end)]
