"""A training run by search: self-play in a vector environment, replay with reanalysis, unrolled gradient steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..agents.agent import Agent
from ..agents.checkpoint import Arrays
from ..agents.decoding import PolicyAgent
from ..agents.foresight import PRIOR
from ..agents.learned import build
from ..envs.core.errors import FieldError, UserError
from .books import Books
from .bridge import Bridge, make_vector_env, training_seed
from .foreseeing import foresight_of_run
from .muzero_actors import Actor, Games, Lead, Stage, posted
from .muzero_learner import Losses, fit
from .muzero_play import SelfPlay
from .muzero_replay import FORESEEN, MEMORY, EngineStates, ObservedStates, Replay, States, Step
from .rounds import RoundsRun


class MuZeroRun(RoundsRun):
    """Rounds of self-play, reanalysis and fitting.

    Self-play makes one search for each copy of the environment at each decision; the search's action is played. MuZero
    searches the model that it learns; AlphaZero the imagined engine, and learns no model. In a round every copy makes
    `rollout` decisions, a share of the kept states is searched anew with the present network (reanalysis; Schrittwieser
    et al., NeurIPS 2021), and `epochs` gradient steps are made for every `batch` new decisions.

    With foresight AlphaZero's network sees what each action comes to if others go on, as PPO's does: search begins from
    what they can do, and rewards are what turns out better than foreseen (see `Bridge.foresee`).

    With actors the games are played elsewhere, see `makespan.training.muzero_actors`; each actor has a replay here, a
    round is learned from as it comes, and the order in which rounds come is that of the actors' speeds.

    What is validated is the policy without search. The replay is not saved: a run that goes on fills it anew.
    """

    lead: Lead | None = None

    def prepare(self) -> None:
        config, setting = self.config, self.validation.setting
        if config.imitate is not None:
            raise UserError(f"option imitate is not for agent {config.agent!r}")
        self._learned = config.agent == "muzero"
        if self._learned and config.foresight is not None:
            raise UserError(
                "option foresight is not for agent 'muzero', whose model imagines no observations; try alphazero"
            )
        if not self._learned and setting.engine is None:
            raise UserError(
                f"agent 'alphazero' searches the imagined engine, and environment {self.env_id!r} is plain Python; "
                "use muzero"
            )
        torch.set_num_threads(config.threads or torch.get_num_threads())
        torch.manual_seed(config.seed)
        self.foresight = foresight_of_run(config, setting, self.folder, self.is_new)
        network = {
            "kind": "muzero",
            "encoder": config.encoder,
            "width": config.width,
            "layers": config.layers,
            "dynamics": int(self._learned),
        }
        bridge = Bridge(make_vector_env(self.env_id, config.copies, self.env_options))
        spec = self.spec
        if self.foresight is not None:
            network["prior"] = PRIOR
            spec = self.foresight.spec
            bridge.foresee(self.foresight, setting.sign, config.seed)
        self._prepare_network(network, build(network, spec), fused=True)
        self._self_play = SelfPlay(config, setting, bridge, self.module, self.foresight)
        self._unroll = config.unroll if self._learned else 0

    def player(self) -> Agent:
        return PolicyAgent("policy", self.module, foresight=self.foresight)

    def extras(self) -> Arrays:
        return {} if self.foresight is None else self.foresight.arrays()

    def card_extras(self) -> dict[str, Any]:
        return {} if self.foresight is None else {"foresight": self.foresight.described()}

    # --- the run ------------------------------------------------------------------------------------------------------

    def learn(self, books: Books) -> None:
        config = self.config
        books.open()
        self.progress.phase("training")
        self._self_play.reset(training_seed(config.seed, self._decisions))
        self._replays = [self._make_replay() for _ in range(config.actors or 1)]
        if config.actors:
            self._learn_from_actors(books)
            return
        while self._decisions < config.steps:
            books.between_updates()
            self._round += 1
            rng = np.random.default_rng([config.seed, self._round])
            for _ in range(config.rollout):
                self._play(rng)
            self._learn_round(rng, self._self_play.take_finished())

    def _learn_from_actors(self, books: Books) -> None:
        """Learn from each round of games as it comes. Who gave it plays on with the weights learned from it."""
        config = self.config
        if self.lead is None:
            raise FieldError("option actors", config.actors, "0 where nobody leads them, as makespan train does")
        weights = [posted(self.module)]

        def take(worker: int, games: Games) -> None:
            self._round += 1
            replay = self._replays[worker]
            if games.anew:
                replay.cut()
            for moment in range(config.rollout):
                replay.states.put(replay.next_moment, {key: array[moment] for key, array in games.observations.items()})
                replay.put(Step._make(array[moment] for array in games.steps))
            self._decisions += config.copies * config.rollout
            self._learn_round(np.random.default_rng([config.seed, self._round]), games.finished)
            weights[0] = posted(self.module)
            books.between_updates()

        books.between_updates()
        rounds = math.ceil((config.steps - self._decisions) / (config.copies * config.rollout))
        stage = Stage(self._decisions, max(rounds, 0), lambda: weights[0], take)
        self.lead(stage, Actor, config.to_dict(), self.env_options, self.network)

    def _learn_round(self, rng: np.random.Generator, finished: Sequence[float]) -> None:
        """Learn from a round that was played."""
        self._reanalyse(rng)
        self._fit(rng)
        self._report(finished)

    def _make_replay(self) -> Replay:
        """Room for `replay` decisions, or as many as fit the memory; for its share of them where there are actors."""
        config, actors = self.config, self.config.actors or 1
        observation, engine = self._self_play.observation, self._self_play.engine
        copies = config.copies
        if self._learned or engine is None:
            size = sum(array.nbytes for array in observation.values()) // copies
        else:
            size = engine.copy_bytes
        least = 2 * config.rollout
        memory = MEMORY // actors
        moments = max(config.replay // (copies * actors), least)
        if least * copies * size > memory:
            raise UserError(
                f"two rounds of copies={copies} times rollout={config.rollout} decisions take "
                f"{least * copies * size / 2**30:.1f} GiB, and the replay has {memory / 2**30:.1f}; give fewer of them"
            )
        moments = min(moments, memory // (size * copies))
        states: States
        if self._learned or engine is None:
            states = ObservedStates(observation, moments, copies)
        else:
            kept = () if self.foresight is None else FORESEEN
            states = EngineStates(engine, moments, {name: observation[name] for name in kept})
        return Replay(states, moments, copies, self._self_play.slots, config.bootstrap)

    def _some_replay(self, rng: np.random.Generator) -> Replay:
        """One of the replays, each as likely as it has states; there are several where there are actors."""
        if len(self._replays) == 1:
            return self._replays[0]
        sizes = np.array([replay.size for replay in self._replays], dtype=np.float64)
        return self._replays[rng.choice(len(sizes), p=sizes / sizes.sum())]

    def _play(self, rng: np.random.Generator) -> None:
        """One decision in each copy."""
        play, replay = self._self_play, self._replays[0]
        found = play.search(rng)
        replay.states.put(replay.next_moment, play.observation)
        replay.put(play.act(found, rng))
        self._decisions += self.config.copies

    def _reanalyse(self, rng: np.random.Generator) -> None:
        """Search kept states anew."""
        config = self.config
        wanted = int(config.reanalysis * config.copies * config.rollout)
        for low in range(0, wanted, config.copies):
            replay = self._some_replay(rng)
            rows, states = replay.draw(rng, min(config.copies, wanted - low)), replay.states
            found = self._self_play.searched(states.observation(rows), states.imagine(), rows, rng)
            replay.renew(rows, found.policy, found.values)

    def _fit(self, rng: np.random.Generator) -> None:
        """Gradient steps on what is kept."""
        config = self.config
        self._begin_fit()
        losses: list[Losses] = []
        for _ in range(max(config.epochs * config.copies * config.rollout // config.batch, 1)):
            replay = self._some_replay(rng)
            batch = replay.sample(rng, config.batch, self._unroll)
            losses.append(fit(self.module, self._optimizer, batch, config.gradient_norm))
            replay.prioritise(batch.rows, losses[-1].errors)
        for name in ("policy", "value", "reward", "consistency"):
            self.logger.record(f"loss/{name}", float(np.mean([getattr(one, name) for one in losses])))

    def _report(self, finished: Sequence[float]) -> None:
        score = float(np.mean(finished)) if finished else None
        if score is not None:
            self.logger.record("self_play/objective", score)
        self.progress.trained(self._decisions, score)
