"""Random instances: DAGs of several families with tables of times after Topcuoglu, Hariri & Wu (IEEE TPDS 13(3), 2002).

All is a pure function of mix(seed ^ RANDOM_TAG). Of the parameters that a family leaves open, each is drawn for itself,
so that an instance's name alone gives it back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FieldError
from ..core.instance import require_integer
from ..core.names import Name, check_options, parse_name
from ..core.random import combine, mix
from .catalogue import named
from .checks import INELIGIBLE, MAX_PES, MAX_TASKS
from .instance import Application, Platform, SocInstance
from .shapes import FAMILIES, Draws, Shape, most_edges

RANDOM_TAG = int.from_bytes(b"socdag", "big")
MAX_COUNT = 100_000
MAX_SEED = 2**63 - 1

MEAN_TIME = 100
"""Of the tasks of a random DAG."""
LINK = 100
"""Mean bandwidth of random links, which have 50 to 150; equal ones have 1."""
LINKS = ("equal", "random")

_DECIMALS = 4
_STREAM_PARAMETERS, _STREAM_LINKS, _STREAM_SHAPE, _STREAM_COSTS = 1, 2, 3, 4


class Room(NamedTuple):
    """The largest that a family makes: jobs, tasks and edges of each, PEs."""

    jobs: int
    tasks: int
    edges: int
    pes: int


@dataclass(frozen=True)
class DagFamily:
    """Random instances, one for each seed; of each parameter a value is drawn, each as likely as the others.

    Attributes:
        family: names of `shapes.FAMILIES`; by default those whose least DAG has no more than the fewest `tasks`.
        tasks: of a DAG; families that know only some sizes take the next smaller one.
        pes: P.
        ccr: mean transfer time over mean task time.
        beta: heterogeneity: the times of a task are uniform in its mean · [1 − beta / 2, 1 + beta / 2], its mean in
            [0, 2 · `MEAN_TIME`].
        alpha: shape: levels have alpha · sqrt(tasks) tasks on the mean (layered, trees, fork-join).
        degree: most predecessors of a task in layered DAGs, mean in random ones.
        ineligible: how likely a PE cannot run a class of tasks; one of them always can.
        jobs: DAGs of an instance, all there at time 0.
        links: "equal" or "random" bandwidths.

    Raises:
        FieldError: a value is out of range.
    """

    family: tuple[str, ...] = ()
    tasks: tuple[int, ...] = (20, 50, 100)
    pes: tuple[int, ...] = (4, 8)
    ccr: tuple[float, ...] = (0.1, 0.5, 1.0, 5.0)
    beta: tuple[float, ...] = (0.25, 0.5, 1.0)
    alpha: tuple[float, ...] = (0.5, 1.0, 2.0)
    degree: tuple[int, ...] = (2, 4)
    ineligible: tuple[float, ...] = (0.0,)
    jobs: tuple[int, ...] = (1,)
    links: tuple[str, ...] = ("equal",)

    def __post_init__(self) -> None:
        for name, (check, expected) in _RANGES.items():
            values = getattr(self, name)
            if not isinstance(values, tuple) or not (values or name == "family") or not all(map(check, values)):
                raise FieldError(f"option {name}", _joined(values), f"{expected}; several joined by '+'")
        if not self.family:
            fitting = tuple(name for name, family in FAMILIES.items() if family.least <= min(self.tasks))
            object.__setattr__(self, "family", fitting)
        for name in self.family:
            least = FAMILIES[name].least
            if min(self.tasks) < least:
                raise FieldError("option tasks", _joined(self.tasks), f"at least {least}, as family {name!r} has")

    @property
    def room(self) -> Room:
        """What its instances need at most."""
        tasks, degree = max(self.tasks), max(self.degree)
        return Room(max(self.jobs), tasks, max(most_edges(x, tasks, degree) for x in self.family), max(self.pes))

    def instance(self, seed: int) -> SocInstance:
        """The instance of a seed, 0 to 2**63 - 1."""
        key = int(mix(np.uint64(require_integer("seed", seed, 0, MAX_SEED)) ^ np.uint64(RANDOM_TAG)))
        drawn = Draws(key, _STREAM_PARAMETERS)(len(fields(self)))
        chosen = {
            field.name: getattr(self, field.name)[int(u * len(getattr(self, field.name)))]
            for field, u in zip(fields(self), drawn, strict=True)
        }
        return _instance(key, seed, **chosen)


def _number(low: float, high: float) -> Callable[[Any], bool]:
    return lambda x: not isinstance(x, bool) and isinstance(x, int | float) and low <= x <= high and _exact(x)


def _exact(value: float) -> bool:
    """Whether a name can hold it."""
    return value == round(value, _DECIMALS)


def _integer(low: int, high: int) -> Callable[[Any], bool]:
    return lambda x: not isinstance(x, bool) and isinstance(x, int) and low <= x <= high


_RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "family": (lambda x: x in FAMILIES, f"one of {', '.join(FAMILIES)}"),
    "tasks": (_integer(2, MAX_TASKS), f"an integer from 2 to {MAX_TASKS}"),
    "pes": (_integer(1, MAX_PES), f"an integer from 1 to {MAX_PES}"),
    "ccr": (_number(0.001, 1000), f"a number from 0.001 to 1000 with at most {_DECIMALS} decimals"),
    "beta": (_number(0, 2), f"a number from 0 to 2 with at most {_DECIMALS} decimals"),
    "alpha": (_number(0.01, 100), f"a number from 0.01 to 100 with at most {_DECIMALS} decimals"),
    "degree": (_integer(1, 100), "an integer from 1 to 100"),
    "ineligible": (_number(0, 1), f"a number from 0 to 1 with at most {_DECIMALS} decimals"),
    "jobs": (_integer(1, 1000), "an integer from 1 to 1000"),
    "links": (lambda x: x in LINKS, " or ".join(LINKS)),
}
_COUNT_OPTIONS = ("count", "seed")


def _joined(values: Any) -> Any:
    return "+".join(map(_text, values)) if isinstance(values, tuple) else values


def _text(value: Any) -> str:
    return f"{value:.{_DECIMALS}f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


# --- one instance -----------------------------------------------------------------------------------------------------


def _instance(
    key: int,
    seed: int,
    family: str,
    tasks: int,
    pes: int,
    ccr: float,
    beta: float,
    alpha: float,
    degree: int,
    ineligible: float,
    jobs: int,
    links: str,
) -> SocInstance:
    unequal = links == "random"
    platform = Platform.of_one_kind(f"{pes}-pes", pes, _random_links(key, pes) if unequal else 1)
    applications = []
    for job in range(jobs):
        own = int(combine(np.uint64(key), job))
        shape = FAMILIES[family].make(tasks, degree, alpha, Draws(own, _STREAM_SHAPE))
        draws = Draws(own, _STREAM_COSTS)
        times = _times(shape, pes, beta, ineligible, draws)
        volumes = _volumes(shape, ccr, draws) * (LINK if unequal else 1)
        names = tuple(f"t{i}" for i in range(len(shape.classes)))
        applications.append(Application(f"dag-{job}", names, times, shape.edges, volumes))
    numbers = "".join(f"-{letter}{_text(x)}" for letter, x in (("c", ccr), ("b", beta), ("a", alpha), ("d", degree)))
    extra = f"-i{_text(ineligible)}" * (ineligible > 0) + f"-j{jobs}" * (jobs > 1) + "-links" * unequal
    name = f"random-{family}-{tasks}x{pes}{numbers}{extra}-s{seed}"
    return SocInstance(name, platform, tuple(applications), unit="time unit", source="generated")


def _random_links(key: int, pes: int) -> NDArray[np.int64]:
    """Bandwidths from 50 to 150, the same both ways."""
    drawn = Draws(key, _STREAM_LINKS).integers(LINK // 2, LINK + LINK // 2, pes, pes)
    upper = np.triu(drawn, 1)
    return np.asarray(upper + upper.T + np.eye(pes, dtype=np.int64))


def _times(shape: Shape, pes: int, beta: float, ineligible: float, draws: Draws) -> NDArray[np.int64]:
    """int64 [T, P], one row per class."""
    classes = int(shape.classes.max()) + 1
    mean = 2 * MEAN_TIME * draws(classes)
    rows = np.rint(mean[:, None] * (1 + beta * (draws(classes, pes) - 0.5))).astype(np.int64)
    rows = np.maximum(rows, 1)
    cannot = draws(classes, pes) < ineligible
    cannot[np.arange(classes), draws.integers(0, pes - 1, classes)] = False
    return np.where(cannot, INELIGIBLE, rows)[shape.classes]


def _volumes(shape: Shape, ccr: float, draws: Draws) -> NDArray[np.int64]:
    """int64 [E], transfer times at a bandwidth of 1; one for each pair of classes."""
    pairs = shape.classes[shape.edges]
    different, which = np.unique(pairs, axis=0, return_inverse=True)
    values = np.rint(2 * ccr * MEAN_TIME * draws(len(different))).astype(np.int64)
    return np.maximum(values, 1)[which.reshape(-1)]


# --- names ------------------------------------------------------------------------------------------------------------

_RANDOM_NAME = re.compile(
    r"random-(?P<family>[a-z-]+)-(?P<tasks>[0-9]{1,6})x(?P<pes>[0-9]{1,3})-c(?P<ccr>[0-9.]{1,9})-b(?P<beta>[0-9.]{1,9})"
    r"-a(?P<alpha>[0-9.]{1,9})-d(?P<degree>[0-9]{1,3})(?:-i(?P<ineligible>[0-9.]{1,9}))?(?:-j(?P<jobs>[0-9]{1,4}))?"
    r"(?P<links>-links)?-s(?P<seed>[0-9]{1,19})\Z"
)
_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?\Z|\.[0-9]{1,9}\Z")


def parse_families(name: Name) -> tuple[DagFamily, ...]:
    """The family of ``random:tasks=20+50:pes=4:ccr=0.1+1``; options are the attributes of `DagFamily`.

    Raises:
        UserError: an option is unknown or malformed.
    """
    known = [field.name for field in fields(DagFamily)]
    check_options(name, "instance", (*known, *_COUNT_OPTIONS))
    given = {key: _values(value) for key, value in name.options.items() if key in known}
    return (DagFamily(**given),)


def _values(value: Any) -> tuple[Any, ...]:
    """The parts of ``20+50``; what is no number stays text."""
    return tuple(_value(part) for part in str(value).split("+"))


def _value(text: str) -> int | float | str:
    if text.isdecimal() and len(text) <= 9:
        return int(text)
    return float(text) if _DECIMAL.match(text) else text


def random_instance(families: Sequence[DagFamily], seed: int) -> SocInstance:
    """The instance of a seed, in one of the families."""
    key = mix(np.uint64(seed) ^ np.uint64(RANDOM_TAG))
    return families[int(key >> np.uint64(32)) % len(families)].instance(seed)


def resolve(text: str) -> list[SocInstance]:
    """The instances that one item of a list of instances names.

    * an instance that ships, a set of them or files, see `catalogue.named`;
    * ``random:tasks=50:pes=8:family=layered+fft:count=20:seed=7``: random instances of the seeds 7 to 26, see
      `DagFamily`; ``random-layered-50x8-c1-b0.5-a1-d2-s7``: one by the name it bears.

    Raises:
        UserError: the item names nothing, or a file is malformed.
    """
    name = parse_name(text, "instance")
    if name.base == "random":
        return _random_instances(name)
    if match := _RANDOM_NAME.match(name.base):
        check_options(name, "instance", ())
        return [_by_name(match)]
    return named(text)


def _random_instances(name: Name) -> list[SocInstance]:
    (family,) = parse_families(name)
    count = require_integer("option count", name.options.get("count", 1), 1, MAX_COUNT)
    first = require_integer("option seed", name.options.get("seed", 0), 0, 2**62)
    return [family.instance(first + index) for index in range(count)]


def _by_name(match: re.Match[str]) -> SocInstance:
    """The instance that bears this name."""
    given = {key: (_value(text),) for key, text in match.groupdict().items() if text and key not in ("seed", "links")}
    family = replace(DagFamily(), **given, links=("random",) if match["links"] else ("equal",))
    return family.instance(int(match["seed"]))
