"""What is known of an instance and of a schedule, from the environment itself: bounds, validity, the form for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..agents.arena import Episode
from ..envs.core.errors import UserError
from ..envs.core.ids import make_single
from .plan import Variant
from .statistics import full, gap

_TOLERANCE = 1e-9


class ImpossibleResultError(RuntimeError):
    """A result lies beyond a proved bound: the environment, its bound or the agent's replay is wrong."""


@dataclass(frozen=True)
class Verdict:
    """What is to be said of one episode.

    Attributes:
        best_known, bound: of the instance, None where unknown.
        gap: against the best known, else the bound, as a fraction; None without both.
        valid: whether the validator finds nothing wrong; None where there is no schedule or no validator.
        problem: the first thing that the validator finds wrong.
        schedule: as JSON data, None where there is none.
        scale: of the instance, see `Scale`; None where the environment offers none.
    """

    best_known: float | None
    bound: float | None
    gap: float | None
    valid: bool | None
    problem: str | None
    schedule: Any
    scale: Scale | None = None


class Scale(NamedTuple):
    """Between what the *expected* objective of an instance lies, whoever plays; single episodes may lie beyond.

    What an environment's method ``expected_scale(instance)`` gives, or None.

    Attributes:
        null: of doing nothing.
        bound: no policy's is better.
        name: how the bound was made.
    """

    null: float
    bound: float
    name: str

    def score(self, objective: float) -> float | None:
        """Where an objective lies, 0 for doing nothing and 1 for the bound; None where the two are equal."""
        width = self.bound - self.null
        return (objective - self.null) / width if width else None


class Judge:
    """Judges the episodes of one environment under its options."""

    def __init__(self, variant: Variant) -> None:
        self.variant = variant
        self._env: Any = make_single(variant.env_id, variant.plain_options).unwrapped
        self.sense = str(self._env.metadata["objective"]["sense"])
        self.can_validate = hasattr(self._env, "validate") and hasattr(self._env, "schedule")
        self._known: dict[str, tuple[Any, float | None, float | None]] = {}
        self._scales: dict[str, tuple[Any, Scale | None]] = {}

    def close(self) -> None:
        """Close the environment."""
        self._env.close()

    def judge(self, episode: Episode) -> Verdict:
        """What is to be said of an episode.

        Raises:
            ImpossibleResultError: its objective lies beyond the proved bound.
        """
        best_known, bound = self._bounds(episode)
        objective = episode.objective
        if bound is not None:
            beyond = bound - objective if self.sense == "min" else objective - bound
            if beyond > _TOLERANCE * max(1.0, abs(bound)):
                raise ImpossibleResultError(
                    f"{self.variant}, instance {episode.instance!r}, seed {episode.seed}: objective {full(objective)} "
                    f"lies beyond the proved bound {full(bound)}"
                )
        problems = self._problems(episode)
        return Verdict(
            best_known,
            bound,
            gap(objective, best_known, bound, self.sense),
            None if problems is None else not problems,
            problems[0] if problems else None,
            plain(episode.schedule),
            self._scale(episode),
        )

    def _scale(self, episode: Episode) -> Scale | None:
        """The scale of the episode's instance."""
        instance = _instance_of(episode)
        if not hasattr(self._env, "expected_scale") or not episode.instance:
            return None
        known = self._scales.get(episode.instance)
        if known is None or known[0] != instance:
            given = self._env.expected_scale(instance)
            known = self._scales[episode.instance] = (instance, None if given is None else Scale(*given))
        return known[1]

    def _bounds(self, episode: Episode) -> tuple[float | None, float | None]:
        """Best known objective and bound of the episode's instance."""
        instance = _instance_of(episode)
        if not episode.instance:
            return None, None
        known = self._known.get(episode.instance)
        if known is None or known[0] != instance:
            values = [
                getattr(self._env, name)(instance) if hasattr(self._env, name) else None
                for name in ("best_known", "bound")
            ]
            best_known, bound = (None if value is None else float(value) for value in values)
            known = self._known[episode.instance] = (instance, best_known, bound)
        return known[1], known[2]

    def _problems(self, episode: Episode) -> list[str] | None:
        if not self.can_validate or episode.schedule is None:
            return None
        problems = list(self._env.validate(episode.schedule))
        schedule = episode.schedule
        stated = schedule.get("objective") if isinstance(schedule, Mapping) else getattr(schedule, "objective", None)
        if stated is not None and stated != episode.objective:
            problems.append(f"the schedule's objective is {stated}, but the episode reported {full(episode.objective)}")
        return problems


def _instance_of(episode: Episode) -> Any:
    """The instance that an episode played, as the environment's methods take it."""
    # Plain environments have names for instances, and say them surely only at the end of an episode.
    named = episode.instance_data is None or isinstance(episode.instance_data, str)
    return episode.instance if named else episode.instance_data


def plain(value: Any) -> Any:
    """Data for JSON: numpy's numbers and arrays become Python's, NaN and infinities None, objects what `to_dict` gives.

    Raises:
        UserError: there is something that JSON cannot hold.
    """
    if hasattr(value, "to_dict"):
        return plain(value.to_dict())
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    raise UserError(f"an environment gave a {type(value).__name__} in its metrics or schedule, which JSON cannot hold")
