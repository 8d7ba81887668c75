"""Policies that decide a whole action at once, from the states of all arms: baselines, indices and their rollout.

A policy belongs to one instance, as whoever plans knows it. `makespan.agents.restless_bandits.agent` plays its actions
element by element.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from ...envs.core.errors import UserError
from ...envs.restless_bandits.feasible import Action
from ...envs.restless_bandits.instance import BanditInstance
from ...envs.restless_bandits.program import FREE, NoSolutionError, solve_program
from .lagrange import gains_from, lagrangian_gains
from .model import KnownModel, reopened
from .simulation import Simulation
from .whittle import DISCOUNT, whittle_arms

SAMPLES = 100
PATHS = 24
_PASSES = 2
_FINALISTS = 8
_AGAIN = 4
_MOST_ENUMERATED = 12


class Policy(ABC):
    """Decides actions of one instance.

    Args:
        instance: as whoever plans knows it.
        seconds: of wall time that a program may take; then the best action so far is played.

    Attributes:
        failures: how often a solver failed and something else was played.
        remark: what reports say of it.
    """

    def __init__(self, instance: BanditInstance, seconds: float = FREE) -> None:
        self.instance = instance
        self.model = KnownModel(instance)
        self.failures = 0
        self._seconds = seconds
        self._solved = self._proved = 0
        self._also = ""
        self.remark = ""
        self._arms = np.arange(instance.num_arms)

    @abstractmethod
    def decide(self, epoch: int, states: NDArray[np.int64], rng: np.random.Generator) -> Action:
        """A feasible action, int8 [N].

        Args:
            states: int64 [J].
            rng: of the policy's own randomness in this epoch.

        Raises:
            NoSolutionError: a solver found nothing.
        """

    def instead(self, epoch: int, states: NDArray[np.int64]) -> Action:
        """What is played where a solver found nothing: elements join by what they add to the next reward."""
        return self.model.greedy(self.model.own_rewards(states))

    def best(self, worth: NDArray[np.float64]) -> Action:
        """The feasible action with the largest sum of worths [J, K], or the best that is found in time.

        Raises:
            NoSolutionError: the solver found nothing in time.
        """
        found = self.model.best(worth, self._seconds)
        self._count(found.proved)
        return found.action

    def _count(self, proved: bool) -> None:
        """A program was solved; reports say how many were cut off."""
        self._solved += 1
        self._proved += proved
        if not proved:
            cut = self._solved - self._proved
            self.remark = f"{self._also}{cut} of {self._solved} programs ended without proof"


class RandomFeasible(Policy):
    """Elements join in random order while they can: maximal, so far stronger than one uniform over the set."""

    def decide(self, epoch: int, states: NDArray[np.int64], rng: np.random.Generator) -> Action:
        return self.instance.feasible.sample(rng)


class SampledBest(Policy):
    """Of some random feasible actions the one with the largest expected next reward."""

    def __init__(self, instance: BanditInstance, samples: int = SAMPLES) -> None:
        super().__init__(instance)
        self._samples = samples

    def decide(self, epoch: int, states: NDArray[np.int64], rng: np.random.Generator) -> Action:
        actions = np.array([self.instance.feasible.sample(rng) for _ in range(self._samples)])
        return actions[int(self.model.expected_rewards(states, actions).argmax())]


class Myopic(Policy):
    """The feasible action with the largest expected next reward; exact."""

    def decide(self, epoch: int, states: NDArray[np.int64], rng: np.random.Generator) -> Action:
        if not self.instance.joint:
            return self.best(self.model.own_rewards(states))
        if self.instance.num_elements <= _MOST_ENUMERATED:
            members = self.instance.feasible.members
            return members[int(self.model.expected_rewards(states, members).argmax())].copy()
        return self._by_program(states)

    def _by_program(self, states: NDArray[np.int64]) -> Action:
        """With a column for every set of arms of a joint reward that may be acted on together."""
        instance = self.instance
        if instance.effect is not None:
            raise UserError(f"instance {instance.name!r}: 'myopic' knows no joint rewards of arms at several levels")
        laws = self.model.laws(states)
        builder = reopened(instance.feasible.linear_rows, instance.num_elements)
        own = np.einsum("jks,js->jk", laws, instance.reward)
        worth = dict(enumerate((own[:, 1] - own[:, 0]).tolist()))
        for joint in instance.joint:
            ready = laws[list(joint.arms), :, joint.least :].sum(axis=2)
            for picked in range(1, 2 ** len(joint.arms)):
                inside = [picked >> m & 1 for m in range(len(joint.arms))]
                arms = [arm for arm, one in zip(joint.arms, inside, strict=True) if one]
                factors = [r[1] - r[0] if one else r[0] for r, one in zip(ready, inside, strict=True)]
                column = arms[0] if len(arms) == 1 else builder.variable(1, integral=False)
                worth[column] = worth.get(column, 0.0) + joint.weight * float(np.prod(factors))
                if len(arms) > 1:
                    for arm in arms:
                        builder.row("both", [(column, 1.0), (arm, -1.0)], upper=0.0)
                    given = [(arm, 1.0) for arm in arms]
                    builder.row("both", [*given, (column, -1.0)], upper=len(arms) - 1.0)
        built = builder.build()
        objective = np.array([worth.get(column, 0.0) for column in range(built.num_columns)])
        found = solve_program(built, objective, self._seconds)
        self._count(found.proved)
        return self.model.checked(found.values)


class WhittleIndex(Policy):
    """The feasible action with the largest sum of Whittle's indices, of arms by themselves over an endless horizon.

    States of an arm that is not indexable count by the price from which on not acting is best throughout.
    """

    def __init__(self, instance: BanditInstance, discount: float = DISCOUNT, seconds: float = FREE) -> None:
        super().__init__(instance, seconds)
        arms = whittle_arms(instance, discount)
        self._index = np.array([arm.index for arm in arms])
        missing = sum(not arm.indexable for arm in arms)
        if missing:
            self.remark = f"{missing} of {len(arms)} arms of {instance.name} are not indexable"
            self._also = f"{self.remark}; "

    def decide(self, epoch: int, states: NDArray[np.int64], rng: np.random.Generator) -> Action:
        found = self.instance.feasible.solve(self._index[self._arms, states], self._seconds)
        self._count(found.proved)
        return found.action


class IndexProgram(Policy):
    """The feasible action with the largest sum of Lagrangian gains (index-MILP).

    Args:
        instance: as whoever plans knows it.
        gain: float64 [H, J, S, K], other gains to go by.
        seconds: as `Policy` takes them.
    """

    def __init__(
        self, instance: BanditInstance, gain: NDArray[np.float64] | None = None, seconds: float = FREE
    ) -> None:
        super().__init__(instance, seconds)
        self.gain = lagrangian_gains(instance) if gain is None else gain

    def worth(self, epoch: int, states: NDArray[np.int64]) -> NDArray[np.float64]:
        """float64 [J, K]: the gains of the arms at hand."""
        return self.gain[epoch, self._arms, states]

    def decide(self, epoch: int, states: NDArray[np.int64], rng: np.random.Generator) -> Action:
        return self.best(self.worth(epoch, states))

    def instead(self, epoch: int, states: NDArray[np.int64]) -> Action:
        """What is played where a solver found nothing: elements join by their gains."""
        return self.model.greedy(self.gain[epoch, self._arms, states])


class IndexGreedy(IndexProgram):
    """The element with the largest Lagrangian gain joins while it fits."""

    def decide(self, epoch: int, states: NDArray[np.int64], rng: np.random.Generator) -> Action:
        return self.model.greedy(self.worth(epoch, states))


class LpUpdate(IndexProgram):
    """Index-MILP with gains by an occupancy program that is solved anew in each epoch (Gast, Gaujal and Yan 2024)."""

    def worth(self, epoch: int, states: NDArray[np.int64]) -> NDArray[np.float64]:
        try:
            return gains_from(self.instance, epoch, states)[0, self._arms, states]
        except NoSolutionError:
            self.failures += 1
            return super().worth(epoch, states)


class IndexRollout(IndexProgram):
    """The best of the index action and what one swap, more or less makes of it, each followed by the index policy.

    All are played in the same simulated luck of the known instance. The best of many noisy means is mostly luck: so the
    few best are played again in fresh luck, four times as often, beside the action to swap from, and the best of those
    becomes the next action to swap from.
    """

    def __init__(self, instance: BanditInstance, paths: int = PATHS) -> None:
        super().__init__(instance)
        simulation = Simulation.of(instance)
        if simulation is None:
            raise UserError(
                f"instance {instance.name!r}: 'index-rollout' is for sets of at most B arms, this one is "
                f"{instance.feasible.kind!r}; 'rollout' plays any"
            )
        self._simulation, self._paths = simulation, paths

    def decide(self, epoch: int, states: NDArray[np.int64], rng: np.random.Generator) -> Action:
        best = super().decide(epoch, states, rng)
        for _ in range(_PASSES):
            near = neighbours(best, self.instance.feasible.budget)
            values = self._mean_returns(epoch, states, near, self._paths, rng)
            values[0] = np.inf  # the action at hand, with which they are compared
            few = near[np.argsort(-values, kind="stable")[:_FINALISTS]]
            at = int(self._mean_returns(epoch, states, few, _AGAIN * self._paths, rng).argmax())
            if at == 0:
                break
            best = few[at]
        return best.copy()

    def _mean_returns(
        self, epoch: int, states: NDArray[np.int64], actions: NDArray[np.int8], paths: int, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        draws = self._simulation.draw(paths, epoch, rng)
        return self._simulation.play(self.gain[..., 1], epoch, states, actions, draws).mean(axis=1)


def neighbours(action: Action, budget: int) -> NDArray[np.int8]:
    """int8 [M, N]: an action of at most `budget` elements, and all with one element less, more or another."""
    inside, outside = np.flatnonzero(action), np.flatnonzero(action == 0)
    drops = [(i, -1) for i in inside]
    adds = [(-1, o) for o in outside] if len(inside) < budget else []
    changes = [*((i, o) for i in inside for o in outside), *drops, *adds]
    near = np.repeat(action[None], 1 + len(changes), axis=0)
    for number, (i, o) in enumerate(changes, start=1):
        if i >= 0:
            near[number, i] = 0
        if o >= 0:
            near[number, o] = 1
    return near
