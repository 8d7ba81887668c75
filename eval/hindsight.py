"""The optimum of each world as it turned out, beside what the agents reached in it: solved once, and kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from ..agents.arena import EngineArena, open_arena
from ..agents.hindsight import find_hindsight
from ..envs.core.errors import UserError
from ..envs.core.files import atomic_write
from ..envs.core.ids import make_single
from ..envs.core.instance import load_document, require_list
from .evaluate import Progress, evaluate, rows_of
from .judge import ImpossibleResultError
from .plan import Plan, Variant
from .show import read_schedule
from .store import HINDSIGHT, Store

FORMAT, VERSION = "makespan/hindsight", 1
_LARGEST_FILE = 2**30
_KEYS = ("variant", "case", "seconds", "objective", "bound", "proved")

NAME = "hindsight optimum"
Entry = dict[str, Any]


def evaluate_with_hindsight(
    plan: Plan, store: Store, progress: Progress = lambda agent, cases: None
) -> list[dict[str, Any]]:
    """Play what the store does not hold yet, then solve the worlds that are not solved yet.

    Args:
        plan: what to play, with the request's `hindsight`, wall seconds for each world.
        store: takes the rows as they come; the worlds' optima go to the file `hindsight.json` of its folder.
        progress: is told of every batch and of every world, and when the search for one begins: that no world is done.

    Returns:
        The rows that `evaluate` returns, each with ``hindsight_objective`` (the best schedule known for its world),
        ``hindsight_bound`` (none is better) and ``hindsight_proved`` (whether these are equal).

    Raises:
        UserError: nobody solves worlds of this environment; else see `evaluate`.
        ImpossibleResultError: see `evaluate`; or a result lies beyond a world's bound.
    """
    solver = WorldSolver(plan)  # what cannot be is said before anybody plays
    evaluate(plan, store, progress)
    optima = Optima(plan, store)
    missing = optima.missing()
    if known := len(plan.variants) * len(plan.cases) - len(missing):
        progress(NAME, known)
    for variant, case in missing:
        progress(NAME, 0)
        optima.add(variant, case, solver.solve(variant, case, optima.start(variant, case)))
        progress(NAME, 1)
    return optima.told()


class WorldSolver:
    """Solves worlds of a plan, in one process.

    Raises:
        UserError: nobody solves worlds of this environment.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._arenas = [open_arena(variant.env_id, 1, variant.arena_options) for variant in plan.variants]
        for arena in self._arenas:
            find_hindsight(arena.setting)

    def solve(self, variant: int, case: int, start: Any) -> Entry:
        """What a solver comes to in a world.

        Args:
            variant, case: numbers in the plan.
            start: a schedule to begin from, JSON data; None for none.
        """
        plan, arena, world = self._plan, self._arenas[variant], self._plan.cases[case]
        arena.reset([world])
        assert isinstance(arena, EngineArena)
        solve = find_hindsight(arena.setting)
        begin = None if start is None else _read(plan.variants[variant], start)
        result = solve(arena.setting, arena.engine.instance(0), world.seed, plan.hindsight, begin)
        found = {"objective": result.objective, "bound": result.bound, "proved": result.proved}
        return {"seconds": plan.hindsight, **found}


class Optima:
    """What is known of the worlds of a plan that is played.

    Args:
        plan: with the request's `hindsight`.
        store: with all rows; the optima go to the file `hindsight.json` of its folder.

    Raises:
        UserError: that file is damaged.
    """

    def __init__(self, plan: Plan, store: Store) -> None:
        self._plan, self._rows, self._folder = plan, rows_of(plan, store), store.folder
        self._known = _Known(store.folder)

    def missing(self) -> list[tuple[int, int]]:
        """Variant and case of the worlds that are still to be solved."""
        worlds = product(range(len(self._plan.variants)), range(len(self._plan.cases)))
        return [world for world in worlds if self._known.get(*world, self._plan.hindsight) is None]

    def rows(self, variant: int, case: int) -> list[dict[str, Any]]:
        """What the agents reached in a world."""
        agents, cases = len(self._plan.agents), len(self._plan.cases)
        return self._rows[variant * agents * cases + case :: cases][:agents]

    def start(self, variant: int, case: int) -> Any:
        """The best valid schedule that an agent made in a world, JSON data; None where none is at hand."""
        rows = self.rows(variant, case)
        sound = [row for row in rows if row["valid"] and row["metrics"].get("finished", True) and "schedule" in row]
        if self._folder is None or not sound:
            return None
        sign = 1 if self._plan.objective["sense"] == "min" else -1
        return read_schedule(self._folder, min(sound, key=lambda row: sign * row["objective"]))

    def add(self, variant: int, case: int, entry: Entry) -> None:
        """Keep what a solver came to.

        Raises:
            UserError: it cannot be written.
        """
        self._known.add({"variant": variant, "case": case, **entry})

    def told(self) -> list[dict[str, Any]]:
        """All rows, with what is known of their worlds.

        Raises:
            ImpossibleResultError: a result lies beyond a world's bound.
        """
        for variant, case in product(range(len(self._plan.variants)), range(len(self._plan.cases))):
            entry = self._known.get(variant, case, self._plan.hindsight)
            assert entry is not None
            rows = self.rows(variant, case)
            columns = [_columns(self._plan, row, entry, rows) for row in rows]
            for row, added in zip(rows, columns, strict=True):
                row |= added
        return self._rows


def _read(variant: Variant, schedule: Any) -> Any:
    """A schedule of a variant from JSON data."""
    env: Any = make_single(variant.env_id, variant.options).unwrapped
    try:
        return env.read_schedule(schedule)
    finally:
        env.close()


def _columns(plan: Plan, row: dict[str, Any], entry: Entry, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What a row says of its world's optimum; an agent that found a better schedule than the solver counts."""
    sign = 1 if plan.objective["sense"] == "min" else -1
    if sign * row["objective"] < sign * entry["bound"]:
        raise ImpossibleResultError(
            f"instance {row['instance']!r}, seed {row['seed']}: {row['agent']} reached {row['objective']}, beyond the "
            f"bound {entry['bound']} proved for this very world"
        )
    sound = [other["objective"] for other in rows if other["valid"] and other["metrics"].get("finished", True)]
    reached = [*sound, *([] if entry["objective"] is None else [entry["objective"]])]
    objective = min(reached, key=lambda value: sign * value, default=None)
    proved = objective is not None and objective == entry["bound"]
    return {"hindsight_objective": objective, "hindsight_bound": entry["bound"], "hindsight_proved": proved}


class _Known:
    """The worlds solved so far, in a file of the folder where there is one."""

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / HINDSIGHT
        self._entries: dict[tuple[int, int], Entry] = {}
        if self._path is not None and self._path.exists():
            document = load_document(self._path, FORMAT, (VERSION,), _LARGEST_FILE)
            for entry in require_list("worlds", document.get("worlds"), str(self._path)):
                if not isinstance(entry, dict) or any(key not in entry for key in _KEYS):
                    raise UserError(f"{self._path}: worlds has not the form of solved worlds")
                self._entries[entry["variant"], entry["case"]] = entry

    def get(self, variant: int, case: int, seconds: float) -> Entry | None:
        """A world that is proved, or was given as many seconds as it would be now."""
        entry = self._entries.get((variant, case))
        return entry if entry is not None and (entry["proved"] or entry["seconds"] >= seconds) else None

    def add(self, entry: Entry) -> None:
        """Keep a world.

        Raises:
            UserError: it cannot be written.
        """
        self._entries[entry["variant"], entry["case"]] = entry
        if self._path is not None:
            document = {"format": FORMAT, "version": VERSION, "worlds": list(self._entries.values())}
            atomic_write(self._path, json.dumps(document, indent=1, allow_nan=False) + "\n")
