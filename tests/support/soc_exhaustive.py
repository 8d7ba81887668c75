"""The optimum of small static DAG scheduling problems, by trying all decisions, in plain Python."""

from __future__ import annotations

from makespan.envs.soc.instance import SocInstance


def optimum(instance: SocInstance) -> int:
    """The least makespan: every order of the tasks that respects the edges, with every PE for each, appended.

    Sorted by their starts the tasks of any plan are such an order, and appending makes none of them later.
    """
    bandwidth = instance.platform.bandwidth.tolist()
    times: list[list[int]] = []
    arrival: list[int] = []
    sources: list[list[tuple[int, int]]] = []
    for a, at in instance.jobs.tolist():
        app, offset = instance.applications[a], len(times)
        times += app.times.tolist()
        arrival += [at] * app.num_tasks
        sources += [[] for _ in range(app.num_tasks)]
        for (i, j), volume in zip(app.edges.tolist(), app.volumes.tolist(), strict=True):
            sources[offset + j].append((offset + i, volume))
    pes = range(instance.num_pes)
    pe = [-1] * len(times)
    finish = [0] * len(times)
    free = [0] * instance.num_pes
    best = sum(max(row) for row in times) + max(arrival)
    best += sum(volume for rows in sources for _, volume in rows) + 1

    def extend(left: int, so_far: int) -> None:
        nonlocal best
        if left == 0:
            best = so_far
            return
        for i in range(len(times)):
            if pe[i] >= 0 or any(pe[k] < 0 for k, _ in sources[i]):
                continue
            for p in pes:
                if times[i][p] < 0:
                    continue
                begin = max(free[p], arrival[i])
                for k, volume in sources[i]:
                    begin = max(begin, finish[k] + (0 if pe[k] == p else volume // bandwidth[pe[k]][p]))
                end = begin + times[i][p]
                if max(so_far, end) >= best:
                    continue
                before = free[p]
                pe[i], finish[i], free[p] = p, end, end
                extend(left - 1, max(so_far, end))
                pe[i], free[p] = -1, before

    extend(len(times), 0)
    return best
