"""What a start state means for the check of a schedule: the past is given, the rest must fit it.

Like `schedule` it shares nothing with the simulator.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from .start import ShopStart

if TYPE_CHECKING:
    from .schedule import JobShopSchedule, Visit

Windows = Sequence[tuple[int, int]]


def has_begun(start: ShopStart | None, visit: Visit) -> bool:
    """Whether a visit belongs to the past that is given."""
    return start is not None and visit.piece == 0 and visit.operation < start.jobs[visit.job].begun


def is_in_progress(start: ShopStart | None, visit: Visit) -> bool:
    """Whether a visit goes on at the start."""
    return has_begun(start, visit) and visit.operation >= start.jobs[visit.job].finished  # type: ignore[union-attr]


def dates_known(start: ShopStart | None, visit: Visit, dates: tuple[int, int, int]) -> tuple[int | str, ...]:
    """Start, end and release of a visit, empty where a start state only says that it is over."""
    if start is None or not has_begun(start, visit) or is_in_progress(start, visit):
        return dates
    job = start.jobs[visit.job]
    if job.history is not None:
        return dates
    last = visit.operation == job.finished - 1
    return "", "", dates[2] if last and dates[2] > start.time else ""


def past_violations(schedule: JobShopSchedule, pieces: list[list[Visit]]) -> Iterator[str]:
    """What differs from the past that is given, and what begins before now."""
    instance, start = schedule.instance, schedule.instance.start
    if start is None:
        return
    begin, completion = start.dates(instance)
    seen: set[tuple[int, int]] = set()
    for visit in (visit for visits in pieces for visit in visits):
        if not has_begun(start, visit):
            if visit.start < start.time:
                yield f"{visit} starts at {visit.start}, before now, {start.time}"
            continue
        seen.add((visit.job, visit.operation))
        given = int(begin[visit.job, visit.operation]), int(completion[visit.job, visit.operation])
        if is_in_progress(start, visit):
            given = given[0], visit.end
        if (visit.start, visit.end) != given:
            yield f"{visit} runs from {visit.start} to {visit.end}, but the start state says {given[0]} to {given[1]}"
    for number, job in enumerate(start.jobs):
        for k in range(job.begun):
            if (number, k) not in seen:
                yield f"operation {k} of job {number} has begun by the start state, but is not in the schedule"


def without_past(schedule: JobShopSchedule, pieces: list[list[Visit]]) -> list[list[Visit]]:
    """The pieces without what is over: of what has begun, there stay operations that go on, and those whose job stands
    where it was carried out."""
    start = schedule.instance.start
    if start is None:
        return pieces
    left = []
    for visits in pieces:
        begun = sum(has_begun(start, visit) for visit in visits)
        stays = 0
        if begun:
            last = visits[begun - 1]
            blocked = schedule.blocking != "none" and last.operation < schedule.instance.lengths[last.job] - 1
            stays = 1 if blocked or is_in_progress(start, last) else 0
        if kept := visits[begun - stays :]:
            left.append(kept)
    return left


def end_in_progress(
    start: ShopStart, visit: Visit, processing_time: int, windows: Windows, on_breakdown: str
) -> tuple[int, bool]:
    """When an operation that goes on at the start ends, and whether its piece is lost then, from the time it needs."""
    now, left = start.time, start.jobs[visit.job].remaining
    for begin, end in windows:
        if end <= start.time:
            continue
        if begin < start.time:  # it is interrupted already
            now, left = end, processing_time if on_breakdown == "repeat" else left
            continue
        if now + left <= begin:
            break
        if on_breakdown == "scrap":
            return begin, True
        left = processing_time if on_breakdown == "repeat" else left - (begin - now)
        now = end
    return now + left, False
