"""A training run of SEQUOIA: first a fit to simulated returns of the index policy, then Q-learning.

The model is known, and so both use expected rewards. In the fit the returns of some actions at a state, each followed
by the index policy, are simulated in the same luck, and the network learns by how much they differ: what a rollout
finds out. Where episodes cannot be simulated in compiled code (sets other than "at most B arms"), it is left out. Then
transitions are replayed, with a copy of the network, renewed every 200 updates, that says what the next action is
worth; nothing is added at the end of an episode. The next action is chosen once, when the transition is played, by the
network as it is then: by local search, every tenth time audited by the program. It is kept as long as the transition is
and neither network chooses again, so that targets are of a policy that lags behind. Double Q-learning would choose
anew in each update, at the price of a search for each of a batch's transitions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from ..agents.agent import Agent
from ..agents.checkpoint import Arrays, dump_arrays, parse_arrays
from ..agents.restless_bandits.agent import RESTLESS_BANDITS, PolicyAgent
from ..agents.restless_bandits.policies import neighbours
from ..agents.restless_bandits.q_network import checked_weights, fresh_weights
from ..agents.restless_bandits.sequoia import Sequoia, network_card
from ..agents.restless_bandits.simulation import Simulation
from ..envs.core.errors import FieldError, UserError
from ..envs.core.files import atomic_write, read_bounded
from ..envs.core.names import parse_name, split_list
from ..envs.restless_bandits.feasible import Action
from ..envs.restless_bandits.instance import BanditInstance
from ..envs.restless_bandits.source import resolve
from .base import Run
from .books import Books
from .sequoia_learner import Labelled, QNetwork, Replay, Sample, Transition, join
from .state import dump_optimizer, load_optimizer

_MAX_BYTES = 2**28
_ACTIONS = 24  # at a state whose returns are simulated
_PATHS = 24
_STATES = 16  # of a batch of such
_RENEW = 200
_AUDIT = 10
_LEVEL = 0.02  # weight of the value itself beside differences between actions
_EPSILON, _EPSILON_FIRST, _EPSILON_FALL = 0.05, 0.85, 1000.0
_EPISODES = 16  # of the index policy, to know the usual return to go
_DECAY = 1e-4


class Course:
    """One instance to train on, and an episode of it that goes on.

    Attributes:
        policy: chooses by the network's weights.
        usual: float64 [H + 1], mean return to go of the index policy beyond its action's gains, over the unit.
    """

    def __init__(self, instance: BanditInstance, search: str, index: bool) -> None:
        self.instance = instance
        self.policy = Sequoia(instance, None, search, index=index)
        self.simulation = Simulation.of(instance) if index else None
        self.epoch = instance.horizon
        self.states = np.zeros(instance.num_arms, dtype=np.int64)
        self._chance = np.cumsum(instance.start, axis=1)
        self.usual = self._usual(np.random.default_rng(0))

    @property
    def unit(self) -> float:
        """What worths are divided by."""
        return self.policy.outlook.unit

    def begin(self, rng: np.random.Generator) -> None:
        """A new episode."""
        self.epoch = 0
        self.states = (rng.random((self.instance.num_arms, 1)) >= self._chance[:, :-1]).sum(axis=1)

    def index_action(self) -> Action:
        """That of the Lagrangian index, on large walks a good one by it."""
        return self.policy.start(self.epoch, self.states)

    def move(self, action: Action, rng: np.random.Generator) -> float:
        """Play an action; returns the expected reward over the unit."""
        model = self.policy.model
        reward = float(model.expected_rewards(self.states, action[None])[0]) / self.unit
        law = model.laws(self.states)[np.arange(self.instance.num_arms), model.levels(action[None])[0]]
        self.states = (rng.random((self.instance.num_arms, 1)) >= np.cumsum(law, axis=1)[:, :-1]).sum(axis=1)
        self.epoch += 1
        return reward

    def sample(self, actions: NDArray[np.int8]) -> Sample:
        """Some actions at the present state."""
        policy, instance = self.policy, self.instance
        levels = policy.model.levels(actions)
        given = (levels[:, :, None] == np.arange(1, instance.num_levels)).reshape(len(actions), -1)
        worth = policy.worth(self.epoch, self.states)
        gains = (worth - worth[:, :1])[:, 1:].ravel() / self.unit
        offset = self.usual[self.epoch] + given @ gains
        return Sample(
            policy.outlook.arms(self.epoch, self.states),
            policy.outlook.general(self.epoch, self.states),
            given.astype(np.float32),
            offset.astype(np.float32),
        )

    def _usual(self, rng: np.random.Generator) -> NDArray[np.float64]:
        paid, gained = np.zeros((2, self.instance.horizon + 1))
        arms = np.arange(self.instance.num_arms)
        for _ in range(_EPISODES):
            self.begin(rng)
            while self.epoch < self.instance.horizon:
                epoch, action = self.epoch, self.index_action()
                worth = self.policy.worth(epoch, self.states)
                levels = self.policy.model.levels(action[None])[0]
                gained[epoch] += float((worth[arms, levels] - worth[:, 0]).sum()) / self.unit
                paid[epoch] += self.move(action, rng)
        return (np.cumsum(paid[::-1])[::-1] - gained) / _EPISODES


class SequoiaRun(Run):
    """One run of SEQUOIA. Replayed samples are not saved: a run that goes on fills its memory anew."""

    def prepare(self) -> None:
        if self.env_id != RESTLESS_BANDITS:
            raise FieldError("option agent", self.config.agent, f"another for {self.env_id!r}: it plays bandits")
        if self.config.instances is None:
            raise FieldError("option instances", None, "bandits to train on, for example corridor-j20")
        torch.set_num_threads(self.config.threads or torch.get_num_threads())
        options = parse_name(self.config.agent).options
        self._has_index, self._search = bool(options.get("index", 1)), str(options.get("search", "local"))
        self._instances = [one for item in split_list(self.config.instances) for one in resolve(item)]
        rng = np.random.default_rng([self.config.seed, 0])
        self._network = QNetwork(fresh_weights(rng))
        self._target = QNetwork(self._network.arrays())
        self._optimizer = torch.optim.AdamW(
            self._network.parameters(), lr=self.config.learning_rate, weight_decay=_DECAY
        )
        self._rounds, self._updates = 0, 0
        self._audits: list[float] = []
        self._courses: dict[int, Course] = {}

    @property
    def decisions(self) -> int:
        return self._rounds

    @property
    def network(self) -> dict[str, Any]:
        unusual = {} if self._search == "local" else {"search": self._search}
        return {**network_card(), **({} if self._has_index else {"index": False}), **unusual}

    def weights(self) -> Arrays:
        return cast(Arrays, self._network.arrays())

    def take_up(self, weights: Arrays, source: str) -> None:
        self._network.take(checked_weights(weights, source))
        self._target.take(self._network.arrays())

    def player(self) -> Agent:
        weights, search, index = self._network.arrays(), self._search, self._has_index
        return PolicyAgent(
            self.validation.setting, "sequoia", lambda instance: Sequoia(instance, weights, search, index=index)
        )

    def is_finite(self) -> bool:
        return all(bool(torch.isfinite(value).all()) for value in self._network.parameters())

    # --- learning -----------------------------------------------------------------------------------------------------

    def learn(self, books: Books) -> None:
        books.open()
        if not self.counters.validations:
            self.progress.phase("the untrained agent")
            self.validate()
        labelled = Replay(len(self._instances), self.config.replay, _MAX_BYTES)
        replay = Replay(len(self._instances), self.config.replay, _MAX_BYTES)
        self.progress.phase("learning")
        while self._rounds < self.config.steps:
            books.between_updates()
            self._rounds += 1
            rng = np.random.default_rng([self.config.seed, self._rounds])
            number = int(rng.integers(len(self._instances)))
            course = self._course(number)
            fits = course.simulation is not None and self.spent() < self.config.imitate_share
            self.progress.phase("fit to simulated returns" if fits else "Q-learning")
            for group in self._optimizer.param_groups:
                group["lr"] = self.config.learning_rate * (1.0 - 0.9 * self.spent())
            if course.epoch >= course.instance.horizon:
                course.begin(rng)
            course.policy.weights = self._network.arrays()
            if fits:
                labelled.add(number, self._label(course, rng))
                loss = self._fit(labelled, rng)
            else:
                replay.add(number, self._play(course, rng))
                loss = self._learn_from(replay, rng)
            if self._rounds % 50 == 0:
                self.logger.record("training/loss", loss)
                if self._audits:
                    self.logger.record("training/loss_of_local_search", float(np.mean(self._audits)))
                self.progress.trained(self._rounds, None)

    def _course(self, number: int) -> Course:
        if number not in self._courses:
            self._courses[number] = Course(self._instances[number], self._search, self._has_index)
        return self._courses[number]

    def _behaviour(self, course: Course, greedy: Action, rng: np.random.Generator) -> Action:
        """The greedy action, or now and then that of the index after some random changes, without it a random one."""
        epsilon = _EPSILON + _EPSILON_FIRST * np.exp(-self._rounds / _EPSILON_FALL)
        if rng.random() >= epsilon:
            return greedy
        if not self._has_index:
            return course.instance.feasible.sample(rng)
        action = course.index_action()
        for _ in range(int(rng.integers(0, 3))):
            action = self._swap(course, action, rng)
        return action

    @staticmethod
    def _swap(course: Course, action: Action, rng: np.random.Generator) -> Action:
        near = neighbours(action, course.instance.feasible.budget)[1:]
        for at in rng.permutation(len(near))[:_ACTIONS].tolist():
            if course.instance.feasible.contains(near[at]):
                return near[at]
        return action

    def _label(self, course: Course, rng: np.random.Generator) -> Labelled:
        """Simulated returns of the index action, the greedy one, and changes of both; the episode goes on."""
        assert course.simulation is not None
        policy, epoch, states = course.policy, course.epoch, course.states
        index, greedy = course.index_action(), policy.decide(epoch, states, rng)
        played = self._behaviour(course, greedy, rng)
        budget = course.instance.feasible.budget
        near = np.concatenate([neighbours(index, budget)[1:], neighbours(greedy, budget)[1:]])
        chosen = near[rng.choice(len(near), _ACTIONS - 3, replace=len(near) < _ACTIONS - 3)]
        actions = np.concatenate([[index, greedy, played], chosen]).astype(np.int8)
        draws = course.simulation.draw(_PATHS, epoch, rng)
        values = course.simulation.play(policy.gain[..., 1], epoch, states, actions, draws).mean(axis=1)
        sample = course.sample(actions)
        course.move(played, rng)
        return Labelled(sample, (values / course.unit).astype(np.float32))

    def _fit(self, labelled: Replay, rng: np.random.Generator) -> float:
        number, items = labelled.draw(_STATES, rng)
        outlook = self._course(number).policy.outlook
        target = torch.from_numpy(np.stack([item.target for item in items]))
        value = self._network(join([item.sample for item in items]), outlook)
        more, wished = value - value[:, :1], target - target[:, :1]
        loss = ((more - wished) ** 2).mean() + _LEVEL * ((value[:, 0] - target[:, 0]) ** 2).mean()
        return self._step(loss)

    def _play(self, course: Course, rng: np.random.Generator) -> Transition:
        """One transition, with the action that the network chooses at the next state now, for as long as it is kept."""
        policy = course.policy
        greedy = policy.decide(course.epoch, course.states, rng)
        played = self._behaviour(course, greedy, rng)
        sample = course.sample(played[None])
        reward = course.move(played, rng)
        if course.epoch >= course.instance.horizon:
            return Transition(sample, reward, None)
        after = policy.decide(course.epoch, course.states, rng)
        if self._search == "local" and self._rounds % _AUDIT == 0:
            after = self._audited(course, after)
        return Transition(sample, reward, course.sample(after[None]))

    def _audited(self, course: Course, action: Action) -> Action:
        """The program's action; by how much it is better is noted."""
        policy = course.policy
        net = policy.network(course.epoch, course.states)
        best = policy.by_program(net, action)
        values = net.values(policy.climber.inputs_of(np.array([action, best])))
        self._audits = [*self._audits[-99:], float(values[1] - values[0])]
        return best

    def _learn_from(self, replay: Replay, rng: np.random.Generator) -> float:
        """An update; the copy values the next actions that were chosen when the transitions were played."""
        number, items = replay.draw(self.config.batch, rng)
        outlook = self._course(number).policy.outlook
        target = torch.tensor([item.reward for item in items])
        going_on = [k for k, item in enumerate(items) if item.after is not None]
        if going_on:
            with torch.no_grad():
                after = self._target(join([cast(Sample, items[k].after) for k in going_on]), outlook)[:, 0]
            target[going_on] += self.config.gamma * after
        value = self._network(join([item.sample for item in items]), outlook)[:, 0]
        loss = self._step(torch.nn.functional.smooth_l1_loss(value, target))
        self._updates += 1
        if self._updates % _RENEW == 0:
            self._target.take(self._network.arrays())
        return loss

    def _step(self, loss: torch.Tensor) -> float:
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), self.config.gradient_norm)
        self._optimizer.step()
        return float(loss.detach())

    # --- going on -----------------------------------------------------------------------------------------------------

    def save_state(self, path: Path) -> None:
        arrays: Arrays = {f"network.{name}": array for name, array in self._network.arrays().items()}
        arrays.update({f"target.{name}": array for name, array in self._target.arrays().items()})
        arrays.update(dump_optimizer(self._optimizer))
        meta = {**vars(self.counters), "rounds": self._rounds, "updates": self._updates}
        arrays["meta"] = np.frombuffer(json.dumps(meta, allow_nan=False).encode(), dtype=np.uint8)
        atomic_write(path, dump_arrays(arrays))

    def load_state(self, path: Path) -> Mapping[str, Any]:
        arrays = parse_arrays(read_bounded(path, _MAX_BYTES), str(path))
        try:
            meta = json.loads(arrays["meta"].tobytes())
            self._rounds, self._updates = int(meta.pop("rounds")), int(meta.pop("updates"))
            for network, name in ((self._network, "network"), (self._target, "target")):
                own = {key[len(name) + 1 :]: array for key, array in arrays.items() if key.startswith(f"{name}.")}
                network.take(checked_weights(own, str(path)))
            load_optimizer(self._optimizer, list(self._network.parameters()), arrays)
        except UserError:
            raise
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            raise UserError(f"{path}: not the state of such a run ({type(error).__name__}: {error})") from None
        return meta
