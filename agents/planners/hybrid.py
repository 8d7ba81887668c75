"""The better of several agents, by the objective: never worse than any of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...envs.core.random import combine
from ..agent import Agent, Proposer, Setting
from ..arena import Case, Episode, open_arena, play


class HybridAgent(Proposer):
    """Lets each agent make its schedule of an instance, and proposes the best; the first of equals.

    Each does what it would do alone, with the same randomness (in the first of its own tries, where it has several).

    Args:
        parts: the agents: whoever plays or proposes.
        setting: of the environment, where nothing is hidden and schedules are appraised.
    """

    name = "hybrid"

    def __init__(self, parts: Sequence[Agent], setting: Setting) -> None:
        self._parts, self._setting = list(parts), setting

    def propose(self, instance: Any, key: int) -> Any:
        episodes = [self._play(part, instance, key) for part in self._parts]
        return min(episodes, key=lambda episode: self._setting.sign * episode.objective).schedule

    def _play(self, part: Agent, instance: Any, key: int) -> Episode:
        setting = self._setting
        arena = open_arena(
            setting.env_id, part.samples, {**setting.options, "instance": [instance]}, setting.seed, setting.device
        )
        keys = [np.uint64(key), *(np.uint64(combine(np.uint64(key), number)) for number in range(1, part.samples))]
        return play(arena, part, [Case(instance, 0)], np.array(keys, dtype=np.uint64))[0]
