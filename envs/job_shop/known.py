"""Known bounds on the makespan, with their sources."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from ..core.errors import FieldError
from ..core.held import best_of
from ..core.instance import content_hash
from .bounds import preemptive_bound
from .catalogue import catalogue
from .generator import named_instance
from .instance import JobShopInstance

# Each mode allows no schedule that the ones before it forbid, so a lower bound of theirs holds as well.
_MODES = ("none", "swap", "no-swap")


class Bounds(NamedTuple):
    """Bounds on the least makespan of an instance without down-times, in its time unit.

    Attributes:
        lower: no schedule is shorter; breakdowns only lengthen schedules, so it holds under them as well.
        upper: makespan of the best schedule known, published or held among the records; None where there is none.
            Equal to `lower` at a proved optimum.
        source: who published or how computed.
    """

    lower: int
    upper: int | None
    source: str


def bounds(instance: JobShopInstance | str, blocking: str) -> Bounds:
    """Best bounds known for a blocking mode; for an instance that is not public Jackson's preemptive bound.

    Args:
        instance: a public instance's name, or an instance. One that bears a public name but has other routes or times
            is not taken for the public one.
        blocking: "none" (unlimited buffers), "swap" or "no-swap" (no buffers).

    Raises:
        FieldError: `blocking` is something else.
        UnknownNameError: no instance has this name.
    """
    if blocking not in _MODES:
        raise FieldError("blocking", blocking, f"one of {', '.join(_MODES)}")
    if isinstance(instance, str):
        instance = named_instance(instance)
    if not is_public(instance):
        return Bounds(preemptive_bound(instance), None, "Jackson's preemptive schedule of each machine")
    entry = catalogue()[instance.name]
    nearest = [mode for mode in _MODES[: _MODES.index(blocking) + 1] if mode in entry.bounds][-1]
    lower, upper = entry.bounds[nearest]
    published = upper if nearest == blocking else None
    best = best_of(published, f"job_shop/{blocking}", _hash(instance.name))
    return Bounds(lower, best, entry.bounds_sources[nearest])


def is_public(instance: JobShopInstance) -> bool:
    """Whether an instance is the public one whose name it bears, with nothing begun."""
    if instance.name not in catalogue() or instance.start is not None:
        return False
    public = named_instance(instance.name)
    return instance is public or public.same_routes(instance)


@cache
def _hash(name: str) -> str:
    """Of a public instance's content, as records have it."""
    data = named_instance(name).to_dict()
    return content_hash({key: value for key, value in data.items() if key not in ("name", "source")})
