"""Policies of restless bandits as agents: an epoch's whole action is decided, then played element by element."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.restless_bandits.feasible import chosen
from ...envs.restless_bandits.instance import BanditInstance
from ...envs.restless_bandits.program import NoSolutionError, load_highs
from ..agent import Agent, Imagine, Observation, Setting
from .policies import Policy

MakePolicy = Callable[[BanditInstance], Policy]
RESTLESS_BANDITS = "makespan/RestlessBandits-v0"
_MOST_KEPT = 64


class _Course(NamedTuple):
    """What a copy is about to play.

    Attributes:
        policy: who decides.
        key: of the episode's randomness.
        waiting: elements that are still to join the epoch's action.
    """

    policy: Policy
    key: int
    waiting: list[int]


class PolicyAgent(Agent):
    """Plays a policy.

    Args:
        setting: of the environment.
        name: how tables call it.
        make: the policy of an instance; kept for instances that are met again.
    """

    reads_instances = True
    follows_plan = True

    def __init__(self, setting: Setting, name: str, make: MakePolicy) -> None:
        load_highs()
        self.name = name
        self._make = make
        self._policies: dict[str, Policy] = {}
        self._courses: dict[int, _Course] = {}
        names = [feature.name for feature in setting.spec.globals]
        self._passed, self._picked = names.index("epochs_passed"), names.index("picked")
        arm = next(node for node in setting.spec.nodes if node.name == "arm")
        self._state = [feature.name for feature in arm.features].index("state")

    def begin(
        self,
        copies: NDArray[np.int64],
        instances: Sequence[Any],
        keys: NDArray[np.uint64],
        imagine: Imagine | None,
    ) -> None:
        for copy, instance, key in zip(copies.tolist(), instances, keys.tolist(), strict=True):
            self._courses[copy] = _Course(self._policy(instance), key, [])

    def act(self, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.int64]:
        stop = mask.shape[1] - 1
        actions = np.full(len(mask), stop, dtype=np.int64)
        for copy in np.flatnonzero(mask.any(axis=1)).tolist():
            course = self._courses[copy]
            if observation["globals"][copy, self._picked] == 0.0:
                course.waiting[:] = self._decide(course, observation, copy)
            actions[copy] = _next_element(course.waiting, mask[copy])
        return actions

    def _policy(self, instance: BanditInstance) -> Policy:
        key = f"{instance.name}/{instance.hash}"
        if key not in self._policies:
            if len(self._policies) >= _MOST_KEPT:
                self._policies.pop(next(iter(self._policies)))
            self._policies[key] = self._make(instance)
            self._tell()
        return self._policies[key]

    def _tell(self) -> None:
        """Say in reports what there is to be said: failures of solvers in all, and remarks of instances."""
        policies = self._policies.values()
        failures = sum(policy.failures for policy in policies)
        remarks = [policy.remark for policy in policies if policy.remark]
        said = [f"solvers found nothing {failures} times, and a greedy action was played"] if failures else []
        if remarks:
            said.append(remarks[0] + (f" (likewise {len(remarks) - 1} other instances)" if remarks[1:] else ""))
        self.remark = "; ".join(said)

    def _decide(self, course: _Course, observation: Observation, copy: int) -> list[int]:
        """The elements of a new epoch's action."""
        instance = course.policy.instance
        epoch = round(float(observation["globals"][copy, self._passed]) * instance.horizon)
        level = observation["nodes/arm"][copy, : instance.num_arms, self._state]
        states = np.rint(level.astype(np.float64) * (instance.num_states - 1)).astype(np.int64)
        rng = np.random.Generator(np.random.Philox(key=course.key, counter=epoch))
        policy = course.policy
        before = policy.failures, policy.remark
        try:
            action = policy.decide(epoch, states, rng)
        except NoSolutionError:
            policy.failures += 1
            action = policy.instead(epoch, states)
        if (policy.failures, policy.remark) != before:
            self._tell()
        return chosen(action)


def _next_element(waiting: list[int], legal: NDArray[np.int8]) -> int:
    """The next element that may join, else STOP, else, where some arm must be visited first, the lowest that may.

    Where arms must be visited (`min_visits`), an element of a feasible action may have to wait until they have joined.
    """
    for element in waiting:
        if legal[element]:
            waiting.remove(element)
            return element
    stop = len(legal) - 1
    return stop if legal[stop] else int(np.argmax(legal))
