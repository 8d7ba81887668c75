"""Patrols on a street graph: a list of streets as CSV, and the restless bandit of walking there.

``streets.csv`` has the columns ``from``, ``to`` and, if wanted, ``minutes`` (or ``length``), whole numbers; without
them each street counts 1. Places are what streets end at; they are arms. ``places.csv`` may say more of each:
``place``, and of ``x``, ``y`` (on the map), ``group`` (for metrics on who is left out), ``value`` (what the best state
pays), ``unwatched`` and ``watched`` (probability of a better state) whichever are known. What is not given is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.csv_table import CsvRow, by_name, read_csv
from ..core.errors import FieldError, UnknownNameError, UserError
from ..core.files import decode_text, read_bounded
from ..core.instance import require_integer
from ..core.names import Name, check_options
from .instance import MAX_HORIZON, MAX_REWARD, BanditInstance, bernoulli_start, birth_death
from .walks import MAX_LENGTH, Walks, hop_distances

HORIZON = 20
MAX_PLACES = 2000
_MEASURES = ("minutes", "length")
_STATES = 4
_PLACE_COLUMNS = ("x", "y", "group", "value", "unwatched", "watched")
_KEY = 0x5EE7 << 96  # of what is drawn, unlike that of any family


class Streets(NamedTuple):
    """A street graph that hangs together.

    Attributes:
        places: names, sorted, numbers in them by value.
        edges: pairs of indices of places.
        lengths: of each edge; None where the file has none, so that each counts 1.
        unit: of lengths, in words.
    """

    places: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    lengths: tuple[int, ...] | None
    unit: str

    def number(self, place: str) -> int:
        """The index of a place.

        Raises:
            UnknownNameError: there is none of this name.
        """
        if place not in self.places:
            raise UnknownNameError("place", place, self.places)
        return self.places.index(place)


def read_streets(path: str | Path) -> Streets:
    """Read a list of streets.

    Raises:
        UserError: it cannot be read, something is malformed, or the graph is disconnected; row and column are named.
    """
    source = str(path)
    rows: dict[tuple[str, str], CsvRow] = {}
    for row in read_csv(_text(path), source, ("from", "to"), _MEASURES):
        ends = row.label("from"), row.label("to")
        if ends[0] == ends[1]:
            raise row.error("to", f"another place than {ends[0]!r}, where the street begins")
        if (twin := rows.get(ends) or rows.get((ends[1], ends[0]))) is not None:
            raise row.error("to", f"each street once, and row {twin.number} has the one of {ends[0]!r} and {ends[1]!r}")
        rows[ends] = row
    if not rows:
        raise UserError(f"{source}: no row below the header, expected one for each street")
    measures = [measure for measure in _MEASURES if measure in next(iter(rows.values())).cells]
    if len(measures) > 1:
        raise FieldError("the header", ",".join(measures), "one of these, not both", source)
    places = by_name({place for ends in rows for place in ends})
    require_integer("number of places", len(places), 2, MAX_PLACES, source)
    number = {place: j for j, place in enumerate(places)}
    edges = tuple((number[u], number[v]) for u, v in rows)
    lengths = tuple(row.integer(measures[0], 1, MAX_LENGTH) for row in rows.values()) if measures else None
    unreached = np.flatnonzero(hop_distances(len(places), edges)[0] > len(places))
    if len(unreached):
        raise UserError(
            f"{source}: the graph is disconnected, no streets lead from {places[0]!r} to {places[unreached[0]]!r}"
        )
    return Streets(tuple(places), edges, lengths, measures[0] if measures else "edges")


def read_places(path: str | Path, streets: Streets) -> dict[str, dict[str, Any]]:
    """What a file says of places: for each column the values by place.

    Raises:
        UserError: it cannot be read, a place is unknown or there twice, or something is malformed.
    """
    source = str(path)
    found: dict[str, dict[str, Any]] = {column: {} for column in _PLACE_COLUMNS}
    seen: set[str] = set()
    for row in read_csv(_text(path), source, ("place",), _PLACE_COLUMNS):
        place = row.label("place")
        if place not in streets.places or place in seen:
            raise row.error("place", "a place of the street graph, each once")
        seen.add(place)
        for column in filter(row.has, _PLACE_COLUMNS):
            limits = {"value": (0.0, MAX_REWARD), "unwatched": (0.0, 1.0), "watched": (0.0, 1.0)}
            read = row.label(column) if column == "group" else row.real(column, *limits.get(column, (-1e9, 1e9)))
            found[column][place] = read
    return found


def patrol(
    streets: Streets,
    depot: str,
    length: int,
    budget: int | None = None,
    horizon: int = HORIZON,
    seed: int = 0,
    places: Mapping[str, Mapping[str, Any]] | None = None,
    name: str = "patrol",
) -> BanditInstance:
    """Patrols from a depot: in each epoch one closed walk, which may act on the places it passes.

    A place has four states. Its state goes up with the probability ``watched`` where it is acted on, else
    ``unwatched``, else down; the states pay 0, 1/3, 2/3 and all of its ``value``. What `places` does not say of a place
    is drawn from one Philox key (seed), as in the base law: ``unwatched`` from U[0, 0.2], ``watched`` from U[0.7, 0.9],
    ``value`` from 1 .. 6. Drawn numbers of one place do not depend on what is given for others.

    Args:
        streets: the graph.
        depot: the place where walks begin and end.
        length: of a walk at most, in the unit of the streets' lengths.
        budget: places that one walk acts on at most; None: all.
        horizon: epochs.
        seed: of what is drawn.
        places: values by column and place, as `read_places` has them.
        name: of the instance.

    Raises:
        UserError: the depot is unknown, or a number is out of its range.
    """
    count = len(streets.places)
    rng = np.random.Generator(np.random.Philox(key=_KEY | require_integer("seed", seed, 0, 2**63 - 1)))
    drawn = {"unwatched": rng.uniform(0.0, 0.2, count), "watched": rng.uniform(0.7, 0.9, count)}
    drawn["value"] = rng.integers(1, 7, count).astype(np.float64)
    given = places or {}

    def column(key: str) -> NDArray[np.float64]:
        said = given.get(key, {})
        return np.array([said.get(place, one) for place, one in zip(streets.places, drawn[key].tolist(), strict=True)])

    value = column("value")
    groups = given.get("group", {})
    at = [given.get(axis, {}) for axis in ("x", "y")]
    mapped = all(place in axis for axis in at for place in streets.places)
    feasible = Walks(
        count,
        streets.edges,
        streets.number(depot),
        require_integer("length of a walk", length, 0, MAX_LENGTH),
        count if budget is None else require_integer("budget", budget, 1, count),
        streets.lengths,
        streets.unit,
    )
    return BanditInstance(
        name=name,
        transition=birth_death(np.stack([column("unwatched"), column("watched")], axis=1), _STATES),
        reward=value[:, None] * (np.arange(_STATES) / (_STATES - 1)),
        start=bernoulli_start(count),
        horizon=require_integer("horizon", horizon, 1, MAX_HORIZON),
        feasible=feasible,
        family="patrol",
        group=tuple(groups.get(place, "all") for place in streets.places),
        positions=np.array([[axis[place] for axis in at] for place in streets.places]) if mapped else None,
        arm_names=streets.places,
    )


def patrol_of(name: Name) -> BanditInstance:
    """The patrol that ``./streets.csv:depot=PLACE:length=L[:budget=B][:horizon=H][:seed=S][:places=FILE]`` names.

    Raises:
        UserError: an option is missing, unknown or malformed, or a file is.
    """
    check_options(name, "instance", ("depot", "length", "budget", "horizon", "seed", "places"))
    for key in ("depot", "length"):
        if key not in name.options:
            raise UserError(
                f"instance {str(name)!r} has no {key}, expected for example {name.base}:depot=PLACE:length=30"
            )
    options: dict[str, Any] = dict(name.options)
    streets = read_streets(name.base)
    table = options.pop("places", None)
    described = None if table is None else read_places(str(table), streets)
    depot = str(options.pop("depot"))
    called = f"{Path(name.base).stem}-{depot}-{options['length']}"
    return patrol(streets, depot, **options, places=described, name=called)


def _text(path: str | Path) -> str:
    return decode_text(read_bounded(path), str(path))
