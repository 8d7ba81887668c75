"""`single-machine/WeightedTardiness-v0`: which job next, so that the total weighted tardiness is small."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from makespan.envs.core.errors import FieldError, UnknownNameError, UserError
from makespan.envs.core.spec import EdgeType, Feature, NodeType, ObservationSpec, Sizes

from .problem import NAMED, Instance, Schedule, random_instance

_TOTAL, _MEAN = "sum of processing times", "mean processing time"
_STATIC = (
    Feature("processing_time", _MEAN, 0, 64, dynamic=False),
    Feature("weight", "mean weight", 0, 64, dynamic=False),
    Feature("due_date", _TOTAL, 0, 4, dynamic=False),
)
_SLACK = Feature("slack", _TOTAL, -4, 4)
SPEC = ObservationSpec(
    nodes=(
        NodeType("job", (*_STATIC, _SLACK, Feature("waiting"))),
        NodeType("machine", (Feature("work_left", _TOTAL),)),
    ),
    edges=(EdgeType("runs_on", "job", "machine"),),
    globals=(Feature("time", _TOTAL), Feature("jobs_left", "jobs"), Feature("log_jobs", "log", 0, 12, dynamic=False)),
    action_nodes=("job",),
    # Whatever a rule looks at is an action feature: so it is in the table, and learned agents see it, too.
    action_features=(
        *_STATIC,
        _SLACK,
        Feature("weight_per_time", "mean weight / mean processing time", 0, 4096),
        Feature("modified_due_date", _TOTAL + " / mean weight", 0, 64),
        Feature("atc_priority", "natural logarithm", -4096, 64),
    ),
    time_scale=50.0,
)


class WeightedTardinessEnv(gymnasium.Env[dict[str, Any], int]):
    """Total weighted tardiness on one machine, one job after the other.

    Args:
        jobs: jobs of random instances, and the most that a named one may have.
        on_illegal: "terminate" (an illegal action ends the episode below every legal return) or "raise".
    """

    metadata: dict[str, Any] = {
        "render_modes": ["rgb_array", "ansi"],
        "render_fps": 4,
        "objective": {"name": "total weighted tardiness", "unit": "weight x time", "sense": "min"},
    }
    observation_spec = SPEC

    def __init__(self, jobs: int = 10, render_mode: str | None = None, on_illegal: str = "terminate") -> None:
        if isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1:
            raise FieldError("option jobs", jobs, "an integer of at least 1")
        if on_illegal not in ("terminate", "raise"):
            raise FieldError("option on_illegal", on_illegal, "'terminate' or 'raise'")
        self.jobs, self.render_mode, self.on_illegal = jobs, render_mode, on_illegal
        self.observation_space = SPEC.space(Sizes({"job": jobs, "machine": 1}, {"runs_on": jobs}, jobs))
        self.action_space = spaces.Discrete(jobs)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        # Later episodes get a seed of their own, above all that users type, which info reports.
        self._seed = int(self.np_random.integers(2**62, 2**63)) if seed is None else seed
        self._instance = self._choose((options or {}).get("instance"))
        self._starts = [-1] * len(self._instance.times)
        self._time = self._cost = 0
        self._scale = sum(self._instance.times) * float(np.mean(self._instance.weights))
        observation = self._observe()
        return observation, {"action_mask": observation["action_mask"], "reward_scale": self._scale}

    def _choose(self, name: str | None) -> Instance:
        if name is None:
            return random_instance(self.jobs, self._seed)
        if name not in NAMED:
            raise UnknownNameError("instance", name, NAMED)
        instance = NAMED[name][0]
        if len(instance.times) > self.jobs:
            raise UserError(f"instance {name!r} has {len(instance.times)} jobs, expected at most jobs={self.jobs}")
        return instance

    def step(self, action: int) -> Any:
        legal = self.action_masks()
        if not (0 <= action < self.jobs and legal[action]):
            return self._illegal(int(action), int(legal.sum()))
        instance, before = self._instance, self._cost
        self._starts[action] = self._time
        self._time += instance.times[action]
        self._cost += instance.weights[action] * max(self._time - instance.due_dates[action], 0)
        return self._report(before, instance.times[action], min(self._starts) >= 0)

    def _illegal(self, action: int, count: int) -> Any:
        """Every job at the very end costs more than any order; one more makes it worse than the worst."""
        if self.on_illegal == "raise":
            raise ValueError(f"action {action} is illegal: no such job is waiting; {count} actions are legal")
        instance, before = self._instance, self._cost
        late = np.maximum(sum(instance.times) - np.array(instance.due_dates), 0)
        self._cost = int(late @ np.array(instance.weights)) + 1
        return self._report(before, 0, True, illegal=True)

    def _report(self, before: int, elapsed: int, ended: bool, illegal: bool = False) -> Any:
        observation = self._observe()
        info: dict[str, Any] = {"action_mask": observation["action_mask"], "elapsed": float(elapsed)}
        if ended:
            metrics = {"finished": not illegal, "time": self._time}
            info |= {"objective": self._cost, "metrics": metrics, "seed": self._seed, "instance": self._instance.name}
            info |= {"reward_scale": self._scale, "illegal_action": illegal}
        return observation, (before - self._cost) / self._scale, ended, False, info

    def action_masks(self) -> np.ndarray:
        """bool [jobs]: which jobs wait."""
        return np.array([start < 0 for start in self._starts] + [False] * (self.jobs - len(self._starts)))

    def _observe(self) -> dict[str, np.ndarray]:
        instance, count = self._instance, len(self._starts)
        p, w, d = (np.array(row, dtype=np.float64) for row in (instance.times, instance.weights, instance.due_dates))
        waiting, total = self.action_masks()[:count], p.sum()
        slack = d - p - self._time
        static = [p / p.mean(), w / w.mean(), d / total]
        modified = np.maximum(p, d - self._time) / w * w.mean() / total
        density = w / p * p.mean() / w.mean()
        atc = np.log(density) - np.maximum(slack, 0) / (2 * p.mean())
        observation = {key: np.zeros(box.shape, box.dtype) for key, box in self.observation_space.items()}

        def write(key: str, rows: Any, columns: list[Any]) -> None:
            box = self.observation_space[key]
            observation[key][rows] = np.stack(columns, axis=-1)
            np.clip(observation[key], box.low, box.high, out=observation[key])

        write("nodes/job", slice(count), [*static, slack / total, waiting])
        write("nodes/machine", 0, [1 - self._time / total])
        write("globals", slice(None), [self._time / total, waiting.mean(), np.log(count)])
        chosen = np.flatnonzero(waiting)
        columns = [*static, slack / total, density, modified, atc]
        write("actions/features", chosen, [column[chosen] for column in columns])
        observation["node_mask/job"][:count] = 1
        observation["node_mask/machine"][:] = 1
        observation["edges/runs_on"][:] = -1
        observation["edges/runs_on"][:, :count] = [range(count), [0] * count]
        observation["actions/nodes"][:] = -1
        observation["actions/nodes"][chosen, 0] = chosen
        observation["action_mask"][chosen] = 1
        return observation

    # What follows may be missing: each method switches something on.

    def instances(self) -> list[str]:
        """Names that `reset(options={"instance": name})` takes."""
        return [name for name, (instance, _) in NAMED.items() if len(instance.times) <= self.jobs]

    def bound(self, instance: str) -> int | None:
        """Least weight times the least possible maximum tardiness, which earliest due date first attains."""
        if instance not in NAMED:
            return None
        data = NAMED[instance][0]
        order = np.argsort(data.due_dates)
        ends = np.cumsum(np.array(data.times)[order])
        return min(data.weights) * max(int((ends - np.array(data.due_dates)[order]).max()), 0)

    def best_known(self, instance: str) -> int | None:
        return NAMED[instance][1] if instance in NAMED else None

    def schedule(self) -> Schedule:
        return Schedule(self._instance, tuple(self._starts))

    def validate(self, schedule: Schedule) -> list[str]:
        return schedule.violations()

    read_schedule = staticmethod(Schedule.from_dict)
    draw = staticmethod(Schedule.figure)
    ansi = staticmethod(Schedule.text)

    def render(self) -> Any:
        if self.render_mode != "rgb_array":
            return self.schedule().text() if self.render_mode == "ansi" else None
        figure = self.schedule().figure()
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()
