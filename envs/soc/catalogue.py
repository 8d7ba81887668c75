"""The platforms and applications that ship, the instances and sets made of them, and files.

All are built from ``instances/profiles.json``, which ``benchmarks/soc_profiles.py`` writes and which names sources.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from ..core.errors import UnknownNameError
from ..core.files import named_files, suggest_path
from ..core.instance import check_header, parse_json
from ..core.names import Name, check_options, parse_name
from ..core.random import uniform
from . import instances
from .formats import load
from .instance import Application, Kind, Platform, SocInstance
from .machines import Machines

PROFILES_FORMAT = "makespan/soc-profiles"
PROFILES_VERSION = 1
PROFILES_FILE = "profiles.json"

DS3_SIX = (
    "wifi-tx",
    "wifi-rx",
    "range-detection",
    "single-carrier-tx",
    "single-carrier-rx",
    "temporal-mitigation",
)
PAPER_FOUR = ("wifi-tx", "wifi-rx", "range-detection", "pulse-doppler")
SOCRATES = tuple(f"socrates-{number + 1:02d}" for number in range(10))
SPLITS = {"train": 32, "test": 16}
"""Of the random mixes, and of the random chips: how many there are."""

_MIX_SEED, _CHIP_SEED = 20_200_514, 20_190_806
_SLOW_LINK, _SLOW_LINKS = 10, (5, 10, 20, 50, 100)  # bandwidth of `ds3` between CPU cores and FFT, and what it may be
_MIX_PARTS = 1000  # a mix is in thousandths, so that it is the same on every machine
_RANGE = re.compile(r"(?P<stem>.+-)(?P<first>[0-9]{1,4})-(?P=stem)?(?P<last>[0-9]{1,4})\Z")


@cache
def _profiles() -> Mapping[str, Mapping[str, Any]]:
    """Platforms, applications and graphs, each by name."""
    text = resources.files(instances).joinpath(PROFILES_FILE).read_text(encoding="utf-8")
    document = check_header(parse_json(text, PROFILES_FILE), PROFILES_FORMAT, (PROFILES_VERSION,), PROFILES_FILE)
    return {key: {row["name"]: row for row in document[key]} for key in ("platforms", "applications", "graphs")}


def platforms() -> tuple[str, ...]:
    """The platforms that ship: ``ds3``, ``ds3-paper``, ``big-little``, ``three``."""
    return tuple(_profiles()["platforms"])


def applications(platform: str) -> tuple[str, ...]:
    """The applications that a platform can run."""
    times = _row("platforms", platform)["times"]
    return tuple(name for name, row in _profiles()["applications"].items() if all(x in times for x in row["tasks"]))


@cache
def platform(name: str) -> Platform:
    """A platform that ships.

    Raises:
        UnknownNameError: there is none of this name.
    """
    row = _row("platforms", name)
    kinds = tuple(
        Kind(x["name"], _tuples(x["levels"]), _tuples(x["power_mw"]), tuple(x["idle_mw"])) for x in row["kinds"]
    )
    kind = _kind_of(row)
    bandwidth = np.array(row["bandwidth"])[np.ix_(kind, kind)]
    return Platform(name, kinds, kind, bandwidth, np.array(row["memory_bandwidth"])[kind])


@cache
def application(name: str, platform: str) -> Application:
    """An application that ships, with its times on a platform.

    Raises:
        UnknownNameError: there is none of this name, or the platform cannot run it.
    """
    if name not in applications(platform):
        raise UnknownNameError(f"application of platform {platform!r}:", name, applications(platform))
    row, machine = _row("applications", name), _row("platforms", platform)
    times = np.array([machine["times"][task] for task in row["tasks"]])[:, _kind_of(machine)]
    return _application(row, times)


def instance(name: str) -> SocInstance:
    """An instance that ships, by its name.

    Raises:
        UnknownNameError: there is none of this name.
    """
    if name not in _makers():
        raise UnknownNameError("instance", name, [*sets(), *_makers()])
    return _made(name)


@cache
def _made(name: str) -> SocInstance:
    return _makers()[name](name)


def names() -> list[str]:
    """The instances that ship."""
    return list(_makers())


@cache
def sets() -> Mapping[str, tuple[str, ...]]:
    """The sets of instances by name.

    ``soc-static`` holds the small known ones of the static problem, ``ds3-single``, ``paper-single`` and
    ``big-little-single`` each application alone, ``soc-streams`` the streams, ``mix-train`` and ``mix-test`` random
    mixes of the six applications of `DS3_SIX`, ``chip-train`` and ``chip-test`` such mixes on random chips.
    """
    return {
        "soc-static": (*_GRAPHS, *DS3_SIX, *(f"paper-{name}" for name in PAPER_FOUR)),
        "ds3-single": DS3_SIX,
        "paper-single": tuple(f"paper-{name}" for name in PAPER_FOUR),
        "big-little-single": tuple(f"big-little-{name}" for name in DS3_SIX),
        "soc-streams": tuple(_STREAMS),
        **{f"{family}-{split}": tuple(numbered(family, split)) for family in ("mix", "chip") for split in SPLITS},
    }


def numbered(family: str, split: str) -> list[str]:
    """Names of the random mixes or chips of a split: ``mix-train-00`` ..."""
    return [f"{family}-{split}-{number:02d}" for number in range(SPLITS[split])]


def named(text: str) -> list[SocInstance]:
    """The instances that one item of a list of instances names.

    * ``wifi-rx``: an instance that ships; ``mix-test-00-07``: a range of them;
    * ``mix-train``: a set of them, see `sets`;
    * ``folder/*.json``, ``./mine.stg``: files in our form, in WfFormat or STG, sorted; the last two take options, see
      `machines.Machines`.

    Raises:
        UserError: the item names nothing, an option is malformed, or a file is.
    """
    name = parse_name(text, "instance")
    if name.is_path:
        return _from_files(name)
    check_options(name, "instance", ())
    return [instance(member) for member in _members(name.base)]


def _members(base: str) -> Sequence[str]:
    if base in _makers():
        return (base,)
    if base in sets():
        return sets()[base]
    match = _RANGE.match(base)
    if match and int(match["first"]) <= int(match["last"]):
        width = len(match["first"])
        found = [f"{match['stem']}{k:0{width}d}" for k in range(int(match["first"]), int(match["last"]) + 1)]
        if all(name in _makers() for name in found):
            return found
    suggest_path(base)
    raise UnknownNameError("instance", base, [*sets(), *_makers()])


def _from_files(name: Name) -> list[SocInstance]:
    machines = Machines.parse(name)
    return [load(file, machines) for file in named_files(name.base)]


# --- how each is made -------------------------------------------------------------------------------------------------

_GRAPHS = ("topcuoglu", "peft", "gap-exact", "gap-open")
_STREAMS: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "wifi": ("ds3", {"wifi-tx": 0.8, "wifi-rx": 0.2}),
    "ds3-six": ("ds3", dict.fromkeys(DS3_SIX, 1 / 6)),
    "paper-four": ("ds3-paper", dict.fromkeys(PAPER_FOUR, 1 / 4)),
    "big-little-six": ("big-little", dict.fromkeys(DS3_SIX, 1 / 6)),
    "socrates": ("three", dict.fromkeys(SOCRATES, 1 / 10)),
}
_COPIES = {"wifi-rx-x4": ("wifi-rx", 4), "wifi-tx-x4": ("wifi-tx", 4)}


@cache
def _makers() -> Mapping[str, Callable[[str], SocInstance]]:
    """What makes each instance, by its name."""
    found: dict[str, Callable[[str], SocInstance]] = {"topcuoglu": _single("topcuoglu", "three")}
    found.update((name, _graph) for name in _GRAPHS[1:])
    found.update((name, _single(name, "ds3")) for name in DS3_SIX)
    found.update((name, _copies) for name in _COPIES)
    found.update((f"paper-{name}", _single(name, "ds3-paper")) for name in PAPER_FOUR)
    found.update((f"big-little-{name}", _single(name, "big-little")) for name in DS3_SIX)
    found.update((name, _single(name, "three")) for name in SOCRATES)
    found.update((name, _stream) for name in _STREAMS)
    for split in SPLITS:
        found.update((name, _random_mix) for name in numbered("mix", split))
        found.update((name, _random_chip) for name in numbered("chip", split))
    return found


def _single(application_name: str, platform_name: str) -> Callable[[str], SocInstance]:
    """One application alone."""

    def make(name: str) -> SocInstance:
        source = _row("applications", application_name)["source"]
        return SocInstance(
            name, platform(platform_name), (application(application_name, platform_name),), source=source
        )

    return make


def _copies(name: str) -> SocInstance:
    """Several jobs of one application at once."""
    base, count = _COPIES[name]
    single = instance(base)
    return SocInstance(name, single.platform, single.applications, jobs=np.zeros((count, 2), int), source=single.source)


def _graph(name: str) -> SocInstance:
    row = _row("graphs", name)
    times = np.array(row["times"])
    pes = times.shape[1]
    machine = Platform.of_one_kind(f"{pes}-pes", pes)
    return SocInstance(name, machine, (_application(row, times),), source=row["source"])


def _stream(name: str) -> SocInstance:
    platform_name, mix = _STREAMS[name]
    return _mixture(name, platform_name, mix)


def _random_mix(name: str) -> SocInstance:
    """A random mix of `DS3_SIX` on the chip as it is."""
    return _mixture(name, "ds3", _draw_mix(_MIX_SEED, name))


def _random_chip(name: str) -> SocInstance:
    """A random mix of `DS3_SIX` on a chip like `ds3`.

    Of each kind it has one PE up to as many as `ds3`, and another bandwidth between CPU cores or MM and FFT.
    """
    split, number = _split_of(name)
    base = platform("ds3")
    first = len(DS3_SIX)  # what comes before is drawn for the mix
    link, *drawn = (float(uniform(_CHIP_SEED, split, number, first + k)) for k in range(1 + len(base.kinds)))
    slow = _SLOW_LINKS[int(link * len(_SLOW_LINKS))]
    counts = [1 + int(u * most) for u, most in zip(drawn, np.bincount(base.kind).tolist(), strict=True)]
    kept = np.concatenate([np.flatnonzero(base.kind == k)[:count] for k, count in enumerate(counts)])
    bandwidth = base.bandwidth[np.ix_(kept, kept)]
    bandwidth = np.where(bandwidth == _SLOW_LINK, slow, bandwidth)
    chip = Platform(name, base.kinds, base.kind[kept], bandwidth, base.memory_bandwidth[kept])
    whole = _mixture(name, "ds3", _draw_mix(_CHIP_SEED, name))
    members = tuple(replace(each, times=each.times[:, kept]) for each in whole.applications)
    return replace(whole, platform=chip, applications=members)


def _split_of(name: str) -> tuple[int, int]:
    """The split and the number of ``mix-train-07`` and the like."""
    _, split, number = name.rsplit("-", 2)
    return list(SPLITS).index(split), int(number)


def _draw_mix(seed: int, name: str) -> dict[str, float]:
    """A mix of `DS3_SIX` from the flat Dirichlet distribution, in thousandths."""
    split, number = _split_of(name)
    exponential = [-math.log1p(-float(uniform(seed, split, number, k))) for k in range(len(DS3_SIX))]
    parts = [round(_MIX_PARTS * x / sum(exponential)) for x in exponential]
    parts[parts.index(max(parts))] += _MIX_PARTS - sum(parts)
    return {x: part / _MIX_PARTS for x, part in zip(DS3_SIX, parts, strict=True)}


def _mixture(name: str, platform_name: str, mix: Mapping[str, float]) -> SocInstance:
    members = tuple(application(each, platform_name) for each in mix)
    source = _row("platforms", platform_name)["source"]
    return SocInstance(name, platform(platform_name), members, np.array(list(mix.values())), source=source)


def _application(row: Mapping[str, Any], times: np.ndarray[Any, Any]) -> Application:
    edges = np.array(row["edges"], dtype=np.int64).reshape(-1, 3)
    return Application(row["name"], tuple(row["tasks"]), times, edges[:, :2], edges[:, 2])


def _kind_of(row: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    """int64 [P], the kind of each PE."""
    return np.repeat(np.arange(len(row["kinds"])), [kind["pes"] for kind in row["kinds"]])


def _row(key: str, name: str) -> Mapping[str, Any]:
    known = _profiles()[key]
    if name not in known:
        raise UnknownNameError(key.removesuffix("s"), name, known)
    return known[name]


def _tuples(rows: Sequence[Sequence[int]]) -> tuple[Any, ...]:
    return tuple(tuple(row) for row in rows)
