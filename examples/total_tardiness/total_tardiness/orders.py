"""Orders of jobs, made and improved in compiled code: PSK, EDDC, MDD, and an iterated local search."""

from __future__ import annotations

import numpy as np
from makespan.envs.core.compile import compiled
from makespan.envs.core.random import uniform
from numpy.typing import NDArray

from .instance import TotalTardinessInstance

_SHAKES, _PLACES = range(2)  # keys of the search's random numbers
_STRENGTH = 4  # jobs that a shake moves


def arrays_of(instance: TotalTardinessInstance) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(processing times, due dates), int64 [J]."""
    return np.array(instance.times, dtype=np.int64), np.array(instance.due_dates, dtype=np.int64)


def by_time(instance: TotalTardinessInstance) -> NDArray[np.int64]:
    """int64 [J]: the jobs, shortest first, of equal ones the one that is due first."""
    return np.lexsort((np.array(instance.due_dates), np.array(instance.times))).astype(np.int64)


def psk_order(instance: TotalTardinessInstance) -> list[int]:
    """Panwalkar, Smith & Koulamas, A heuristic for the single machine tardiness problem, EJOR 70, 1993.

    Of the jobs in order of processing times the first is a candidate. If it would be late, it is next; else a later
    one that is due earlier, and would end before the candidate's due date, takes its place.
    """
    times, due = instance.times, instance.due_dates
    waiting, order, clock = by_time(instance).tolist(), [], 0
    while waiting:
        active = 0
        for place in range(1, len(waiting)):
            if clock + times[waiting[active]] >= due[waiting[active]]:
                break
            if due[waiting[active]] <= clock + times[waiting[place]]:
                break
            if due[waiting[place]] < due[waiting[active]]:
                active = place
        job = waiting.pop(active)
        order.append(job)
        clock += times[job]
    return order


def eddc_order(instance: TotalTardinessInstance) -> list[int]:
    """EDDC (EDD Challenger) of Cetinkaya et al., arXiv 2510.24013, as their text and their results have it.

    Algorithm 1 as printed begins in order of due dates and so never finds anything to exchange. This one begins in
    order of processing times. Each job moves forward while it is due before the one in front of it; they change places
    where that one is not late where it stands.
    """
    times, due = instance.times, instance.due_dates
    order = by_time(instance).tolist()
    for first in range(1, len(order)):
        place = first
        while place > 0 and due[order[place]] < due[order[place - 1]]:
            if due[order[place - 1]] > sum(times[job] for job in order[:place]):
                order[place], order[place - 1] = order[place - 1], order[place]
            place -= 1
    return order


def mdd_order(instance: TotalTardinessInstance) -> list[int]:
    """Modified due date: next is the job of smallest max(t + p, d), of equal ones the shortest."""
    times, due = instance.times, instance.due_dates
    waiting, order, clock = set(range(len(times))), [], 0
    while waiting:
        job = min(waiting, key=lambda one: (max(clock + times[one], due[one]), times[one], one))
        waiting.remove(job)
        order.append(job)
        clock += times[job]
    return order


@compiled
def cost_of(order, times, due):
    """Total tardiness of an order."""
    end, cost = 0, 0
    for place in range(len(order)):
        end += times[order[place]]
        cost += max(end - due[order[place]], 0)
    return cost


@compiled
def move(order, source, target):
    """Take the job at one place out and put it in at another."""
    job = order[source]
    step = 1 if target > source else -1
    for place in range(source, target, step):
        order[place] = order[place + step]
    order[target] = job


@compiled
def swap(order, one, other):
    order[one], order[other] = order[other], order[one]


@compiled
def descend(order, times, due):
    """Insert and exchange single jobs while that makes the total tardiness less. Returns it."""
    jobs, cost, better = len(order), cost_of(order, times, due), True
    while better:
        better = False
        for one in range(jobs):
            for other in range(jobs):
                move(order, one, other)
                found = cost_of(order, times, due)
                if found < cost:
                    cost, better = found, True
                else:
                    move(order, other, one)
                if one < other:
                    swap(order, one, other)
                    found = cost_of(order, times, due)
                    if found < cost:
                        cost, better = found, True
                    else:
                        swap(order, one, other)
    return cost


@compiled(nogil=True)
def search_on(best, times, due, key, first, count, order):
    """Iterations first .. first + count - 1: shake the best order, descend, keep what is no worse. Returns the cost.

    Args:
        best: int64 [J], improved in place.
        key: uint64, of the search's randomness.
        order: int64 [J], scratch.
    """
    jobs, least = len(best), cost_of(best, times, due)
    for iteration in range(first, first + count):
        for place in range(jobs):
            order[place] = best[place]
        if iteration > 0:
            for shake in range(_STRENGTH):
                one = np.int64(jobs * uniform(key, _SHAKES, iteration, shake))
                move(order, one, np.int64(jobs * uniform(key, _PLACES, iteration, shake)))
        cost = descend(order, times, due)
        if cost <= least:
            least = cost
            for place in range(jobs):
                best[place] = order[place]
    return least
