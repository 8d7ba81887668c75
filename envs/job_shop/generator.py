"""Where job shops come from: public names, Taillard's generator, random families, files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from ..core.compile import compiled
from ..core.errors import FieldError, UserError
from ..core.files import named_files, suggest_path
from ..core.instance import require_integer
from ..core.names import Name, check_options, expand_range, parse_name
from ..core.random import mix, uniform
from .catalogue import catalogue, entry
from .formats import MAX_JOBS, MAX_MACHINES
from .instance import MAX_OPERATIONS, JobShopInstance

RANDOM_TAG = int.from_bytes(b"jobshop", "big")
MAX_COUNT = 100_000
MAX_SEED = 2**63 - 1

_STREAM_TIME, _STREAM_MACHINE, _STREAM_SIZE = 1, 2, 3
_LONGEST_TIME = 99
_RANDOM_NAME = re.compile(r"random-([0-9]{1,5})x([0-9]{1,5})-s([0-9]{1,19})\Z")
_SIZE = re.compile(r"([0-9]{1,5})x([0-9]{1,5})\Z")


def instance_names() -> list[str]:
    """Names of all public instances, sorted: ``abz5`` ... ``yn4``."""
    return list(catalogue())


def named_instance(name: str) -> JobShopInstance:
    """A public instance (``ft06``, ``la01``, ``ta80``), or a random one by the name it bears (``random-6x6-s7``).

    Raises:
        UnknownNameError: there is none of this name.
    """
    if match := _RANDOM_NAME.match(name):
        jobs, machines, seed = map(int, match.groups())
        return random_instance(((jobs, machines),), seed)
    return _public_instance(name)


@cache
def _public_instance(name: str) -> JobShopInstance:
    data = entry(name).data
    if "time_seed" in data:
        return taillard_generator(data["jobs"], data["machines"], data["time_seed"], data["machine_seed"], name)
    times = [job["times"] for job in data["jobs"]]
    return JobShopInstance.from_routes(name, times, [job["machines"] for job in data["jobs"]], data["machines"])


def taillard_generator(
    num_jobs: int, num_machines: int, time_seed: int, machine_seed: int, name: str = "taillard"
) -> JobShopInstance:
    """Taillard's random job shops: times U(1, 99), machine orders uniform permutations (EJOR 64, 1993, 278-285).

    Integer arithmetic; Taillard's, in double precision, gives the same draws.

    Args:
        num_jobs: n.
        num_machines: m, also the operations per job.
        time_seed: 1 to 2**31 - 2.
        machine_seed: 1 to 2**31 - 2.
        name: what the instance is called.

    Raises:
        FieldError: an argument is out of range.
    """
    _check_size(num_jobs, num_machines)
    times_from, machines_from = _Lehmer("time_seed", time_seed), _Lehmer("machine_seed", machine_seed)
    times = [times_from.row(num_machines) for _ in range(num_jobs)]
    machines = [machines_from.permutation(num_machines) for _ in range(num_jobs)]
    return JobShopInstance.from_routes(name, times, machines, num_machines)


class _Lehmer:
    """The generator s <- 16807 s mod (2**31 - 1) of Bratley, Fox and Schrage, as Taillard uses it."""

    _MODULUS = 2**31 - 1

    def __init__(self, field: str, seed: int) -> None:
        self._state = require_integer(field, seed, 1, self._MODULUS - 1)

    def draw(self, low: int, high: int) -> int:
        self._state = 16807 * self._state % self._MODULUS
        return low + self._state * (high - low + 1) // self._MODULUS

    def row(self, length: int) -> list[int]:
        """Processing times of one job."""
        return [self.draw(1, _LONGEST_TIME) for _ in range(length)]

    def permutation(self, length: int) -> list[int]:
        """Machine order of one job."""
        order = list(range(length))
        for k in range(length):
            other = self.draw(k, length - 1)
            order[k], order[other] = order[other], order[k]
        return order


@compiled
def draw_size(key, count):
    """Which of `count` sizes the random instance of this key has: floor(count * U(key, 3))."""
    return np.int64(count * uniform(key, _STREAM_SIZE))


@compiled
def fill_random(times, machines, num_jobs, num_machines, key):
    """Write the random instance of a key into the first rows and columns of two tables.

    Taillard's law on the suite's own stream: time (j, k) is 1 + floor(99 U(key, 1, j, k)); the route of job j begins as
    0 .. m-1, and for k = 0 .. m-2 entry k is swapped with entry k + floor((m - k) U(key, 2, j, k)).

    Args:
        times: integers [>= n, >= m], written.
        machines: integers [>= n, >= m], written.
        num_jobs: n.
        num_machines: m.
        key: uint64, mix(seed ^ RANDOM_TAG).
    """
    for j in range(num_jobs):
        for k in range(num_machines):
            times[j, k] = 1 + np.int64(_LONGEST_TIME * uniform(key, _STREAM_TIME, j, k))
            machines[j, k] = k
        for k in range(num_machines - 1):
            other = k + np.int64((num_machines - k) * uniform(key, _STREAM_MACHINE, j, k))
            chosen = machines[j, other]
            machines[j, other] = machines[j, k]
            machines[j, k] = chosen


@compiled
def _random_key(seed):
    return mix(np.uint64(seed) ^ np.uint64(RANDOM_TAG))


@dataclass(frozen=True)
class RandomJobShop:
    """A family of random job shops by Taillard's law, one for each seed.

    Attributes:
        sizes: (jobs, machines), each as likely as the others; every job visits every machine once.

    Raises:
        FieldError: a size is out of range.
    """

    sizes: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        if not self.sizes:
            raise FieldError("sizes", self.sizes, "at least one (jobs, machines)")
        for jobs, machines in self.sizes:
            _check_size(jobs, machines)

    def instance(self, seed: int) -> JobShopInstance:
        """The instance of a seed (0 to 2**63 - 1), called ``random-NxM-sSEED``: the name alone gives it back."""
        key = np.uint64(_random_key(require_integer("seed", seed, 0, MAX_SEED)))
        jobs, machines = self.sizes[int(draw_size(key, len(self.sizes)))]
        times = np.zeros((jobs, machines), dtype=np.int64)
        routes = np.zeros((jobs, machines), dtype=np.int32)
        fill_random(times, routes, jobs, machines, key)
        lengths = np.full(jobs, machines, dtype=np.int64)
        return JobShopInstance(random_name(jobs, machines, seed), times, routes, lengths, machines)


def random_name(jobs: int, machines: int, seed: int) -> str:
    """What the random instance of a size and a seed is called."""
    return f"random-{jobs}x{machines}-s{seed}"


def random_instance(sizes: Sequence[tuple[int, int]], seed: int) -> JobShopInstance:
    """The instance of a seed in the family of these sizes (see `RandomJobShop`)."""
    return RandomJobShop(tuple(sizes)).instance(seed)


def parse_sizes(name: Name) -> tuple[tuple[int, int], ...]:
    """Sizes of ``random:size=6x6+10x5``, as (jobs, machines).

    Raises:
        UserError: the option is missing or malformed, or there is another one than size, count and seed.
    """
    check_options(name, "instance", ("size", "count", "seed"))
    if "size" not in name.options:
        raise UserError(f"instance {str(name)!r} has no size, expected for example random:size=15x15")
    given = name.options["size"]
    matches = [_SIZE.match(item) for item in str(given).split("+")]
    sizes = tuple((int(match[1]), int(match[2])) for match in matches if match)
    if len(sizes) < len(matches):
        raise FieldError("option size", given, "sizes JOBSxMACHINES joined by '+', for example 6x6+10x5")
    return RandomJobShop(sizes).sizes


def resolve(text: str) -> list[JobShopInstance]:
    """The instances that one item of a list of instances names.

    * ``ft06``: a public instance; ``la01-la40`` or ``la01-40``: a range of them (an exact name wins over a range);
    * ``folder/*.json``, ``./mine.txt``: files, sorted; ``:recirculation=true`` lets routes in text formats visit a
      machine twice;
    * ``random:size=15x15:count=100:seed=7``: random instances of the seeds 7 to 106; with ``size=6x6+10x5`` the sizes
      take turns.

    Raises:
        UserError: the item names nothing, or a file is malformed.
    """
    name = parse_name(text, "instance")
    if name.is_path:
        return _from_files(name)
    if name.base == "random":
        return _random_instances(name)
    check_options(name, "instance", ())
    if _RANDOM_NAME.match(name.base):
        return [named_instance(name.base)]
    if name.base not in catalogue():
        suggest_path(name.base)
    return [named_instance(known) for known in expand_range(name.base, catalogue())]


def _random_instances(name: Name) -> list[JobShopInstance]:
    sizes = parse_sizes(name)
    count = require_integer("option count", name.options.get("count", 1), 1, MAX_COUNT)
    first = require_integer("option seed", name.options.get("seed", 0), 0, 2**62)
    return [random_instance(sizes[index % len(sizes) :][:1], first + index) for index in range(count)]


def _from_files(name: Name) -> list[JobShopInstance]:
    check_options(name, "instance", ("recirculation",))
    recirculation = name.options.get("recirculation", False)
    if not isinstance(recirculation, bool):
        raise FieldError("option recirculation", recirculation, "true or false")
    return [JobShopInstance.load(file, recirculation) for file in named_files(name.base)]


def _check_size(jobs: int, machines: int) -> None:
    require_integer("number of jobs", jobs, 1, MAX_JOBS)
    require_integer("number of machines", machines, 1, MAX_MACHINES)
    require_integer("number of operations", jobs * machines, 1, MAX_OPERATIONS)
