"""The better of several agents, by the objective: never worse than any of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..agent import Agent, Observation, Setting
from ..arena import Case, Episode, open_arena, play


class HybridAgent(Agent):
    """Lets each agent make its schedule of an instance, and proposes the best.

    Where nothing is hidden, and the environment appraises schedules.

    Args:
        parts: the agents.
        setting: of the environment.
    """

    name = "hybrid"
    proposes = True

    def __init__(self, parts: Sequence[Agent], setting: Setting) -> None:
        self._parts, self._setting = list(parts), setting

    def propose(self, instance: Any, key: int) -> Any:
        case = Case(instance, int(key) & 0x7FFFFFFF)
        episodes = [self._play(part, case) for part in self._parts]
        return min(episodes, key=lambda episode: self._setting.sign * episode.objective).schedule

    def _play(self, part: Agent, case: Case) -> Episode:
        setting = self._setting
        options = {**setting.options, "instance": [case.instance]}
        arena = open_arena(setting.env_id, part.samples, options, setting.seed, setting.device)
        return play(arena, part, [case])[0]

    def act(self, observation: Observation, mask: Any) -> Any:
        raise NotImplementedError("agent 'hybrid' proposes whole schedules and does not play")
