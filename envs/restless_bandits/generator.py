"""Random instances: the paper's four families, and three in which arms are coupled through rewards or transitions.

Every instance is drawn from one Philox key (family, number of arms, instance), in the order p(0), p(1), rewards of
the good arms, of the others, then what the family adds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FieldError, UserError
from ..core.instance import require_integer
from ..core.names import Name, check_options
from .appointments import Appointments
from .capacity import Capacity
from .feasible import Cardinality, FeasibleSet
from .graphs import ring_neighbours, street_graph, tube_20
from .instance import BanditInstance, Contagion, Joint, bernoulli_start, birth_death
from .walks import Walks

HORIZON = 20
SMALLEST, LARGEST = 4, 2000
MAX_COUNT = 100_000
MAX_SEED = 2**63 - 1
GOOD, OTHER = "good", "other"
SLOTS, ARM_SLOTS, WORKER_SLOTS = 5, 2, 3
MOST_LEVEL = 3
ZONE = 3

_SIZE = re.compile(r"([a-z]+)-j([0-9]{1,5})\Z")
_NAMED = re.compile(r"([a-z]+)-j([0-9]{1,5})-([0-9]{1,19})\Z")
_DRAWN = re.compile(r"random-([a-z]+)-j([0-9]{1,5})-s([0-9]{1,19})\Z")


class Size(NamedTuple):
    """A family and a number of arms."""

    family: str
    arms: int

    def __str__(self) -> str:
        return f"{self.family}-j{self.arms}"


class _Base(NamedTuple):
    """The paper's base law."""

    passive: NDArray[np.float64]  # [J]
    active: NDArray[np.float64]  # [J]
    reward: NDArray[np.float64]  # [J, 4]
    budget: int


def default_budget(family: str, arms: int) -> int:
    """B: the paper's 5 of 20, 10 of 40 and 20 of 100 arms, a quarter below 100 arms, a fifth from there on; of a
    contagion always a fifth."""
    return max(round(arms / (5 if arms >= 100 or family == "contagion" else 4)), 1)


def draw_instance(size: Size, number: int, name: str | None = None) -> BanditInstance:
    """Instance `number` of a family and size, called ``FAMILY-jJ-I`` unless it gets another name.

    Raises:
        UserError: there is no such family or size.
    """
    _check_size(size)
    families = list(_FAMILIES)
    key = (families.index(size.family) << 96) | (size.arms << 64) | require_integer("instance", number, 0, MAX_SEED)
    rng = np.random.Generator(np.random.Philox(key=key))
    base = _draw_base(size, rng)
    made = _FAMILIES[size.family](base, rng)
    given = {
        "transition": birth_death(np.stack([base.passive, base.active], axis=1)),
        "reward": base.reward,
        "start": bernoulli_start(size.arms),
        "horizon": HORIZON,
        "family": size.family,
        "group": tuple(GOOD if j < base.budget else OTHER for j in range(size.arms)),
    }
    return BanditInstance(name=name or f"{size}-{number}", **{**given, **made})


def _draw_base(size: Size, rng: np.random.Generator) -> _Base:
    arms, budget = size.arms, default_budget(size.family, size.arms)
    passive, active = rng.uniform(0.0, 0.2, arms), rng.uniform(0.7, 0.9, arms)
    good, other = rng.integers(4, 7, budget), rng.integers(1, 4, arms - budget)
    reward = np.zeros((arms, 4))
    reward[:budget, :3], reward[budget:, :3] = (0.20, 0.15, 0.10), (0.10, 0.15, 0.20)
    reward[:budget, 3], reward[budget:, 3] = good, other
    return _Base(passive, active, reward, budget)


# --- families: what they add to the base law --------------------------------------------------------------------------


def _cardinality(base: _Base, rng: np.random.Generator) -> dict[str, Any]:
    return {"feasible": Cardinality(len(base.reward), base.budget)}


def _until_possible(make: Callable[[], FeasibleSet]) -> FeasibleSet:
    """A drawn set; one in which nothing can be chosen is drawn anew."""
    while True:
        try:
            return make()
        except UserError:
            continue


def _capacity(base: _Base, rng: np.random.Generator) -> dict[str, Any]:
    arms = len(base.reward)
    return {"feasible": _until_possible(lambda: Capacity(rng.integers(2, 7, arms), rng.integers(2, 8, base.budget)))}


def _schedule(base: _Base, rng: np.random.Generator) -> dict[str, Any]:
    arms = len(base.reward)

    def make() -> FeasibleSet:
        rising, falling = np.sort(rng.random(SLOTS)), np.sort(rng.random(SLOTS))[::-1]
        return Appointments(
            [_choose(rng, rising, ARM_SLOTS) for _ in range(arms)],
            [_choose(rng, falling, WORKER_SLOTS) for _ in range(base.budget)],
            SLOTS,
            base.budget,
        )

    return {"feasible": _until_possible(make)}


def _choose(rng: np.random.Generator, weight: NDArray[np.float64], count: int) -> list[int]:
    return sorted(rng.choice(SLOTS, count, replace=False, p=weight / weight.sum()).tolist())


def _path(base: _Base, rng: np.random.Generator) -> dict[str, Any]:
    arms = len(base.reward)
    graph = tube_20() if arms == 20 else street_graph(arms, rng)
    feasible = Walks(arms, graph.edges, graph.depot, 2 * base.budget, base.budget)
    return {"feasible": feasible, "positions": graph.positions}


def _sigmoid(base: _Base, rng: np.random.Generator) -> dict[str, Any]:
    """Actions act on several arms at once, and some arms need two or three of them."""
    arms, budget = len(base.reward), base.budget
    actions = max(arms // 2, budget)
    first_steep = -(-arms * budget // actions)
    steep, flat = np.arange(first_steep, arms), np.arange(first_steep)
    rows = np.zeros((arms, 3))
    rows[steep, 0] = np.round(rng.uniform(0.7, 1.0, len(steep)), 1)
    rows[steep, 1] = np.round(rng.uniform(1.4, 1.9, len(steep)), 1)
    rows[steep, 2] = rng.integers(9, 11, len(steep))
    rows[flat, 0] = np.round(rng.uniform(0.2, 0.5, len(flat)), 1)
    rows[flat, 1] = 1.0
    rows[flat, 2] = rng.integers(1, 3, len(flat))
    effect = np.zeros((arms, actions), dtype=np.int64)
    _hit(effect, range(budget), rng.permutation(steep).tolist())
    _hit(effect, range(budget, actions), rng.permutation(flat).tolist())
    return {
        "transition": birth_death(sigmoid_up(rows)),
        "effect": effect,
        "feasible": Cardinality(actions, budget, exactly=True),
    }


def _hit(effect: NDArray[np.int64], actions: Sequence[int], arms: list[int]) -> None:
    """Let actions act on arms of their side: triples of actions on the same three fresh ones, what is left over on
    three of its own, as far as there are any."""
    left = list(actions)
    while left and arms:
        taken = left[: 3 if len(left) >= 3 else 1]
        effect[np.ix_(arms[:3], taken)] = 1
        left, arms = left[len(taken) :], arms[3:]


def sigmoid_up(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 [J, 4]: p_j(k) = .98 a (sigma(3 b k - x) - sigma(-x)) + .01 for rows (a, b, x) and levels k = 0 .. 3."""
    height, slope, shift = (rows[:, k : k + 1] for k in range(3))
    visits = 3.0 * np.arange(MOST_LEVEL + 1)[None, :]

    def logistic(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return 1.0 / (1.0 + np.exp(-x))

    return 0.98 * height * (logistic(slope * visits - shift) - logistic(-shift)) + 0.01


def _zones(base: _Base, rng: np.random.Generator) -> dict[str, Any]:
    arms = len(base.reward)
    zones = [tuple(range(first, min(first + ZONE, arms))) for first in range(0, arms, ZONE)]
    weights = rng.integers(4, 11, len(zones)).tolist()
    return {
        "reward": np.tile(0.05 * np.arange(4.0), (arms, 1)),
        "joint": tuple(Joint(zone, float(weight)) for zone, weight in zip(zones, weights, strict=True)),
        "feasible": Cardinality(arms, base.budget),
        "group": tuple(f"zone {j // ZONE}" for j in range(arms)),
    }


def _corridor(base: _Base, rng: np.random.Generator) -> dict[str, Any]:
    arms = len(base.reward)
    weights = rng.integers(1, 7, arms).tolist()
    return {
        "reward": np.zeros((arms, 4)),
        "joint": tuple(Joint((j, (j + 1) % arms), float(weight)) for j, weight in enumerate(weights)),
        "feasible": Cardinality(arms, base.budget),
        "group": ("all",) * arms,
    }


def _contagion(base: _Base, rng: np.random.Generator) -> dict[str, Any]:
    arms = len(base.reward)
    ceiling, treated = rng.uniform(0.8, 0.95, arms), rng.uniform(0.8, 0.95, arms)
    reward = np.zeros((arms, 4))
    reward[:, 2], reward[:, 3] = 0.1, rng.integers(1, 7, arms)
    return {
        "transition": birth_death(np.stack([ceiling, treated], axis=1)),
        "reward": reward,
        "contagion": Contagion(ring_neighbours(arms, 2)),
        "feasible": Cardinality(arms, base.budget),
        "group": ("all",) * arms,
    }


_FAMILIES: dict[str, Callable[[_Base, np.random.Generator], dict[str, Any]]] = {
    "cardinality": _cardinality,
    "capacity": _capacity,
    "schedule": _schedule,
    "path": _path,
    "sigmoid": _sigmoid,
    "zones": _zones,
    "corridor": _corridor,
    "contagion": _contagion,
}
FAMILIES = tuple(_FAMILIES)


# --- names ------------------------------------------------------------------------------------------------------------


def _check_size(size: Size) -> Size:
    if size.family not in _FAMILIES:
        raise FieldError("family", size.family, f"one of {', '.join(FAMILIES)}")
    require_integer(f"number of arms of {size.family}", size.arms, SMALLEST, LARGEST)
    return size


def named_instance(text: str) -> BanditInstance | None:
    """The instance that a name such as ``capacity-j40-3`` or ``random-path-j20-s7`` says; None for other names."""
    if (match := _DRAWN.match(text)) and match[1] in _FAMILIES:
        return random_instance([Size(match[1], int(match[2]))], int(match[3]))
    if (match := _NAMED.match(text)) and match[1] in _FAMILIES:
        return draw_instance(Size(match[1], int(match[2])), int(match[3]))
    return None


def size_of(sizes: Sequence[Size], seed: int) -> Size:
    """The size that a seed's instance has, each as likely as the others."""
    rng = np.random.Generator(np.random.Philox(key=(0xFF << 96) | seed))
    return sizes[int(rng.integers(len(sizes)))] if len(sizes) > 1 else sizes[0]


def random_name(size: Size, seed: int) -> str:
    """What the random instance of a size and a seed is called."""
    return f"random-{size}-s{seed}"


def random_instance(sizes: Sequence[Size], seed: int) -> BanditInstance:
    """The random instance of a seed in the family of these sizes; none is one of ``FAMILY-jJ-I`` with I < 2**62."""
    size = size_of(sizes, require_integer("seed", seed, 0, MAX_SEED))
    return draw_instance(size, MAX_SEED - seed, random_name(size, seed))


def parse_sizes(name: Name) -> tuple[Size, ...]:
    """Sizes of ``random:size=capacity-j20+path-j40``.

    Raises:
        UserError: the option is missing or malformed, or there is another one than size, count and seed.
    """
    check_options(name, "instance", ("size", "count", "seed"))
    if "size" not in name.options:
        raise UserError(f"instance {str(name)!r} has no size, expected for example random:size=capacity-j20")
    sizes = []
    for item in str(name.options["size"]).split("+"):
        match = _SIZE.match(item)
        if not match or match[1] not in _FAMILIES:
            expected = f"FAMILY-jJ joined by '+', with FAMILY one of {', '.join(FAMILIES)}, for example capacity-j20"
            raise FieldError("option size", name.options["size"], expected)
        sizes.append(_check_size(Size(match[1], int(match[2]))))
    return tuple(sizes)


def random_instances(name: Name) -> list[BanditInstance]:
    """The instances of ``random:size=capacity-j20:count=20:seed=7``: those of the seeds 7 to 26; several sizes take
    turns."""
    sizes = parse_sizes(name)
    count = require_integer("option count", name.options.get("count", 1), 1, MAX_COUNT)
    first = require_integer("option seed", name.options.get("seed", 0), 0, 2**62)
    return [random_instance(sizes[index % len(sizes) :][:1], first + index) for index in range(count)]
