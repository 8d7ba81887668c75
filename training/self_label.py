"""A training run by self-labelling: a policy draws many plans of each world and learns the best of them.

Corsini, Porrello, Calderara & Dell'Amico, "Self-labeling the job shop scheduling problem", NeurIPS 2024, arXiv
2401.11849, take the best of many samples of a world; Pirnay & Grimm, TMLR 2024, arXiv 2403.15180, search with the
policy for better labels, as is done here wherever one can look ahead (see `makespan.agents.planners.reconsider`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from ..agents.agent import Agent
from ..agents.arena import Arena, Case, open_arena
from ..agents.catalogue import make_chooser
from ..agents.decoding import PolicyAgent
from ..agents.learned import build
from ..agents.networks.common import to_tensors
from ..agents.planners.reconsider import ReconsiderAgent
from ..agents.scorer.agent import ScorerAgent
from ..agents.scorer.choice import HIDDEN, join_row
from ..agents.scorer.network import ScorerNetwork
from ..envs.core.errors import UserError
from ..envs.core.random import combine
from .books import Books
from .bridge import training_seed
from .rounds import RoundsRun
from .validation import refuse_strange_objectives

_SCORER_KEYS = ("actions/features", "globals", "action_mask")


class Labels(NamedTuple):
    """What was decided in the best plans, wherever there was a choice.

    Attributes:
        observation: arrays [D, ...].
        actions: int64 [D].
    """

    observation: dict[str, NDArray[Any]]
    actions: NDArray[np.int64]


class SelfLabelRun(RoundsRun):
    """Rounds of labelling and fitting.

    A round takes W fresh worlds. A scorer, which draws plans in compiled code, plays each by step and reconsider, with
    T plans at each decision, wherever it can look ahead; so does a network where the world is stochastic. All plans are
    drawn in worlds in which nothing unforeseen happens, so that no label has seen the future. Otherwise each world is
    played T times and the best try counts. The policy then learns the actions taken, by cross entropy.
    During the warm start (`imitate`) an agent makes the labels instead; where that is the whole run (a share of 1)
    nobody looks ahead or tries twice, so that any environment will do.

    Everything random in a round is drawn from the seed and its number, so that a run is resumed by its numbers alone.
    """

    def prepare(self) -> None:
        config, setting = self.config, self.validation.setting
        if config.foresight is not None:
            raise UserError("option foresight is for ppo; self-labelling looks ahead for its labels instead")
        torch.set_num_threads(config.threads or torch.get_num_threads())
        torch.manual_seed(config.seed)
        self._is_scorer = config.kind == "scorer"
        can_plan = setting.engine is not None and (not setting.stochastic or setting.engine.imagines_typical)
        self._looks_ahead = can_plan and (self._is_scorer or setting.stochastic)
        imitates_alone = config.imitate is not None and config.imitate_share == 1
        if setting.stochastic and not can_plan and not imitates_alone:
            raise UserError(
                f"environment {self.env_id!r} holds events that nobody can foresee, and no world without them can be "
                "imagined: the best of several tries at one world would be luck, and no label; use ppo or es, or "
                "imitate alone (--imitate AGENT --imitate-share 1)"
            )
        self._tries = 1 if self._looks_ahead or imitates_alone else config.label_tries
        self._arena = self._open_arena(config.label_worlds * self._tries)
        network: dict[str, Any] = {"kind": "scorer", "hidden": HIDDEN} if self._is_scorer else config.network
        self._prepare_network(network, ScorerNetwork(self.spec) if self._is_scorer else build(network, self.spec))
        self._teacher: Agent | None = None
        if config.imitate is not None:
            self._lecture = self._arena if self._tries == 1 else self._open_arena(config.label_worlds)
            self._teacher = make_chooser(config.imitate, self._lecture.setting)
            if self._teacher.samples > 1:
                raise UserError(f"agent {config.imitate!r} tries each world several times, so it cannot be imitated")

    def _open_arena(self, copies: int) -> Arena:
        return open_arena(self.env_id, copies, self.env_options, device=self.config.device)

    def player(self) -> Agent:
        return self._policy(0.0)

    def _policy(self, temperature: float) -> Agent:
        self.module.eval()
        if self._is_scorer:
            return ScorerAgent("policy", join_row(self.weights(), self.spec, temperature)[None])
        return PolicyAgent("policy", self.module, temperature)

    def learn(self, books: Books) -> None:
        books.open()
        self.progress.phase("training")
        while self._decisions < self.config.steps:
            books.between_updates()
            self._round += 1
            labels, costs = self._label()
            self._fit(labels)
            score = float(self.validation.setting.sign * costs.mean())
            self.logger.record("labels/objective", score)
            self.progress.trained(self._decisions, score)

    def _label(self) -> tuple[Labels, NDArray[np.float64]]:
        """Labels of a round's worlds, and what the plans that they come from cost."""
        config, setting = self.config, self._arena.setting
        first = training_seed(config.seed, self._round)
        cases = [Case(None, first + number) for number in range(config.label_worlds)]
        every = np.arange(len(cases))
        if self._teacher is not None and (self.spent() < config.imitate_share or config.imitate_share == 1):
            return self._play(self._teacher, self._lecture, cases, every)
        policy = self._policy(1.0)
        if self._looks_ahead:
            return self._play(ReconsiderAgent([policy], setting, config.label_tries), self._arena, cases, every)
        # Played twice, with the same keys, rather than remembering what all tries have seen.
        tried = [case for case in cases for _ in range(self._tries)]
        _, costs = self._play(policy, self._arena, tried, np.zeros(0, dtype=np.int64))
        kept = every * self._tries + costs.reshape(len(cases), self._tries).argmin(axis=1)
        labels, costs = self._play(policy, self._arena, tried, kept)
        return labels, costs[kept]

    def _play(
        self, agent: Agent, arena: Arena, cases: list[Case], kept: NDArray[np.int64]
    ) -> tuple[Labels, NDArray[np.float64]]:
        """Let an agent play worlds, one in each copy, to their end; what it decides in the copies `kept`, and all
        costs."""
        arena.reset(cases)
        stream = np.uint64(combine(self.config.seed, self._round))
        keys = np.array([combine(stream, number) for number in range(arena.num_copies)], dtype=np.uint64)
        copies = np.arange(arena.num_copies, dtype=np.int64)
        agent.begin(copies, arena.instances() if agent.reads_instances else [], keys, arena.imagine())
        parts: list[Labels] = []
        while arena.running().any():
            observation, mask = arena.observation(), arena.masks()
            actions = agent.act(observation, mask)
            chosen = kept[mask[kept].sum(axis=1) > 1]
            if len(chosen):
                names = _SCORER_KEYS if self._is_scorer else tuple(observation)
                parts.append(Labels({name: observation[name][chosen] for name in names}, actions[chosen]))
            self._decisions += int(arena.running().sum())
            arena.step(actions)
        costs = arena.setting.sign * arena.objectives()
        refuse_strange_objectives(costs, self.env_id)
        if not parts:
            return Labels({}, np.zeros(0, dtype=np.int64)), costs
        joined = {name: np.concatenate([part.observation[name] for part in parts]) for name in parts[0].observation}
        return Labels(joined, np.concatenate([part.actions for part in parts])), costs

    def _fit(self, labels: Labels) -> None:
        """Pass over a round's labels by gradient steps."""
        config = self.config
        self._begin_fit()
        rng = np.random.default_rng([config.seed, self._round])
        losses: list[float] = []
        for _ in range(config.epochs):
            order = rng.permutation(len(labels.actions))
            for low in range(0, len(order), config.batch):
                rows = order[low : low + config.batch]
                tensors = to_tensors({name: array[rows] for name, array in labels.observation.items()}, self._device)
                logits, _ = self.module(tensors)
                scores = logits.masked_fill(tensors["action_mask"] == 0, -1e9)
                loss = functional.cross_entropy(scores, torch.as_tensor(labels.actions[rows], device=self._device))
                self._optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self.module.parameters(), config.gradient_norm)
                self._optimizer.step()
                losses.append(loss.item())
        if losses:
            self.logger.record("labels/cross_entropy", float(np.mean(losses)))
