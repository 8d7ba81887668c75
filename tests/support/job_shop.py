"""What several tests of the job shop need: small instances, plays, and exhaustive search over the engine's actions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from makespan.envs.core.engine import Snapshot
from makespan.envs.job_shop.engine import JobShopEngine
from makespan.envs.job_shop.env import make_engine
from makespan.envs.job_shop.instance import JobShopInstance

MODES = ("none", "swap", "no-swap")
CASES = {
    "A": ([[3, 2], [2, 4]], [[0, 1], [1, 0]]),
    "B": ([[2, 3], [2, 1], [2, 2]], [[0, 1], [1, 2], [2, 0]]),
    "C": ([[3, 2, 4], [4, 1, 3], [1, 4, 1]], [[1, 2, 0], [0, 1, 2], [2, 1, 0]]),
    "D": ([[3, 2], [3, 2]], [[1, 0], [1, 0]], [[(4, 8)], []]),
    "E": ([[2, 3, 2], [3, 1, 1]], [[0, 1, 0], [0, 0, 1]]),
    "F": ([[2, 3], [1, 4]], [[0, 1], [0, 1]], [[(2, 6)], []]),
    "G": ([[1, 6], [6, 5]], [[0, 1], [1, 0]], [[], [(8, 9)]]),
    "scrap": ([[4, 6], [5, 6]], [[0, 1], [1, 0]], [[], [(6, 10)]]),
}


def shop(times: Any, machines: Any, windows: Any = (), num_machines: int | None = None, name: str = "case") -> Any:
    """An instance from ragged lists."""
    return JobShopInstance.from_routes(name, times, machines, num_machines, windows)


def case(name: str) -> JobShopInstance:
    """A hand-checkable case of the model's sheet."""
    return shop(*CASES[name], name=name)


def engine_for(instance: Any, copies: int = 1, seed: int = 0, **options: Any) -> JobShopEngine:
    """An engine whose copies have begun the given instance, copy i in the world seed + i."""
    options = {"law": "windows", "known_windows": True} | options if _has_windows(instance) else options
    engine = make_engine(copies, instance, **options)
    engine.reset(seed + np.arange(copies))
    return engine


def _has_windows(instance: Any) -> bool:
    return isinstance(instance, JobShopInstance) and any(instance.windows)


def random_actions(rng: np.random.Generator, masks: np.ndarray, wait: float = 0.3) -> np.ndarray:
    """A random legal action for each row; WAIT, where legal beside a move, with the given probability."""
    weights = masks.astype(float)
    jobs = weights[:, :-1].sum(axis=1)
    weights[:, -1] *= np.where(jobs > 0, wait / (1 - wait) * jobs, 1.0)
    noise = rng.random(weights.shape) ** (1 / np.maximum(weights, 1e-300)) * (weights > 0)
    return noise.argmax(axis=1)


def play(engine: Any, choose: Callable[[np.ndarray], Any], most: int = 10**5) -> None:
    """Play every copy to its end with actions chosen from the masks."""
    for _ in range(most):
        if not engine.is_running().any():
            return
        engine.step(choose(engine.masks))
    raise AssertionError(f"still running after {most} steps")


def play_script(engine: Any, actions: Sequence[int]) -> None:
    """Play the given actions in an engine of one copy."""
    for action in actions:
        assert engine.is_running()[0], "the episode has ended early"
        engine.step([action])


def starts(engine: Any, copy: int = 0) -> list[list[int]]:
    """Start times of a copy's schedule, one list per job."""
    schedule = engine.schedule(copy)
    return [row[:n].tolist() for row, n in zip(schedule.start, schedule.instance.lengths, strict=True)]


class Search:
    """Every state that can be reached through the engine's actions, each once.

    Attributes:
        optimum: least objective of a finished episode, None where none is.
        ends: the numbers of ends by status.
        states: how many different states were met.
    """

    def __init__(self, instance: Any, batch: int = 512, prune: bool = True, **options: Any) -> None:
        self.optimum: int | None = None
        self.ends = {"finished": 0, "deadlock": 0}
        engine = self.engine = engine_for(instance, batch, **options)
        engine.reset(np.zeros(batch, dtype=np.int64))
        frontier, masks = _rows(engine.snapshot(), np.array([0])), engine.masks[:1].copy()
        seen: set[bytes] = set()
        while len(masks):
            parents, actions = np.nonzero(masks)
            children = []
            for low in range(0, len(parents), batch):
                children.append(
                    self._expand(frontier, parents[low : low + batch], actions[low : low + batch], seen, prune)
                )
            frontier = Snapshot(tuple(map(np.concatenate, zip(*(c[0].arrays for c in children), strict=True))))
            masks = np.concatenate([c[1] for c in children])
        self.states = len(seen)

    def _expand(self, frontier: Snapshot, parents: Any, actions: Any, seen: set[bytes], prune: bool) -> Any:
        engine, batch = self.engine, self.engine.num_copies
        filled = np.zeros(batch, dtype=np.int64)
        filled[: len(parents)] = parents
        chosen = np.full(batch, actions[0])
        chosen[: len(actions)] = actions
        filled[len(parents) :] = parents[0]
        engine.restore(_rows(frontier, filled))
        engine.step(chosen)
        running, objectives = engine.is_running(), engine.objectives()
        kept = []
        for copy in range(len(parents)):
            if running[copy]:
                key = objectives[copy].tobytes() + engine.block.memory[copy].tobytes()
                if key not in seen and not (prune and self.optimum is not None and objectives[copy] >= self.optimum):
                    seen.add(key)
                    kept.append(copy)
                continue
            status = engine.metrics(copy)["status"]
            self.ends[status] += 1
            if status == "finished":
                best = int(objectives[copy])
                self.optimum = best if self.optimum is None else min(best, self.optimum)
        rows = np.array(kept, dtype=np.int64)
        return _rows(engine.snapshot(), rows), engine.masks[rows].copy()


def _rows(snapshot: Snapshot, rows: np.ndarray) -> Snapshot:
    return Snapshot(tuple(array[rows] for array in snapshot.arrays))


@st.composite
def shops(
    draw: Any,
    jobs: tuple[int, int] = (2, 3),
    machines: tuple[int, int] = (2, 3),
    least_time: int = 1,
    most_time: int = 5,
    plain: bool = False,
    windows: bool = False,
) -> JobShopInstance:
    """Random shops; unless `plain`, routes may skip or revisit machines and differ in length."""
    n, m = draw(st.integers(*jobs)), draw(st.integers(*machines))
    if plain:
        routes = [draw(st.permutations(range(m))) for _ in range(n)]
    else:
        routes = [draw(st.lists(st.integers(0, m - 1), min_size=1, max_size=m + 1)) for _ in range(n)]
    times = [draw(st.lists(st.integers(least_time, most_time), min_size=len(r), max_size=len(r))) for r in routes]
    down: list[list[tuple[int, int]]] = []
    if windows:
        for _ in range(m):
            gaps = draw(st.lists(st.integers(1, 6), max_size=4).filter(lambda gaps: len(gaps) % 2 == 0))
            bounds = np.cumsum([draw(st.integers(-1, 5)), *gaps]).tolist()[1:]
            down.append([(max(bounds[w], 0), bounds[w + 1]) for w in range(0, len(bounds), 2)])
    return shop(times, routes, down, num_machines=m, name="random shop")


def follow(engine: Any, plan: Sequence[Sequence[int]]) -> None:
    """Play an engine of one copy so that operation (j, k) starts at plan[j][k]; forced moves must fit by themselves."""
    wait = engine.sizes.actions - 1
    while engine.is_running()[0]:
        now, begun = engine.metrics(0)["time"], starts(engine)
        due = [
            j
            for j, row in enumerate(begun)
            if engine.masks[0, j] and -1 in row and row.index(-1) < len(plan[j]) and plan[j][row.index(-1)] == now
        ]
        engine.step([due[0] if due else wait])


@st.composite
def rules(draw: Any, laws: Sequence[str] = ("none", "bernoulli", "exponential", "windows"), **fixed: Any) -> Any:
    """Random options of the environment, breakdowns as frequent as short instances need."""
    options: dict[str, Any] = {
        "blocking": draw(st.sampled_from(MODES)),
        "law": draw(st.sampled_from(laws)),
        "p": draw(st.sampled_from([0.0, 0.03, 0.15])),
        "mtbf": draw(st.sampled_from([4.0, 20.0])),
        "mttr": draw(st.sampled_from([2.0, 9.0])),
        "clock": draw(st.sampled_from(["calendar", "busy"])),
        "on_breakdown": draw(st.sampled_from(["resume", "repeat", "scrap"])),
        **{name: draw(st.booleans()) for name in FLAGS},
        **fixed,
    }
    if options["law"] == "windows":
        options["clock"] = "calendar"
    if options["blocking"] == "no-swap":
        options.setdefault("deadlock", draw(st.sampled_from(["end", "banker"])))
    return options


FLAGS = ("unload_when_down", "repair_visible", "known_windows", "epoch_on_breakdown", "allow_wait")


def machine_rows(engine: Any, copy: int = 0) -> list[dict[str, float]]:
    """The observed machine rows by feature name; times in the instance's unit."""
    spec = next(node for node in engine.spec.nodes if node.name == "machine")
    instance = engine.instance(copy)
    mean = instance.times.sum() / instance.lengths.sum()
    rows = []
    for row in engine.block.views["nodes/machine"][copy, : instance.num_machines]:
        rows.append(
            {
                feature.name: float(value) * (mean if feature.unit == "mean processing time" else 1.0)
                for feature, value in zip(spec.features, row, strict=True)
            }
        )
    return rows


def visible(engine: Any, copy: int = 0) -> tuple[bytes, str, int]:
    """Everything that a decision maker sees of a copy."""
    return engine.block.memory[copy].tobytes(), engine.metrics(copy)["status"], int(engine.objectives()[copy])
