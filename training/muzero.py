"""A training run by search: self-play in a vector environment, replay with reanalysis, unrolled gradient steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from ..agents.agent import Agent, Imagine, Observation
from ..agents.arena import look_ahead
from ..agents.checkpoint import Arrays
from ..agents.decoding import PolicyAgent
from ..agents.foresight import PRIOR
from ..agents.learned import build
from ..agents.muzero.agent import NetworkSearch
from ..agents.muzero.imagined import evaluate
from ..agents.muzero.learned import evaluating
from ..agents.muzero.search import Found, SearchConfig, Searcher
from ..envs.core.env import SchedulingVectorEnv
from ..envs.core.errors import UserError
from .books import Books
from .bridge import Bridge, make_vector_env, training_seed
from .foreseeing import foresight_of_run
from .muzero_learner import Losses, fit
from .muzero_replay import FORESEEN, MEMORY, EngineStates, ObservedStates, Replay, States, Step
from .rounds import RoundsRun

EXPLORE = 0.1  # share of a root's prior that all actions divide among them in training
STRAY = 0.5  # share of its actions that the most adventurous copy draws evenly, where a model is learned


class MuZeroRun(RoundsRun):
    """Rounds of self-play, reanalysis and fitting.

    Self-play makes one search for each copy of the environment at each decision; the search's action is played. MuZero
    searches the model that it learns; AlphaZero the imagined engine, and learns no model. In a round every copy makes
    `rollout` decisions, a share of the kept states is searched anew with the present network (reanalysis; Schrittwieser
    et al., NeurIPS 2021), and `epochs` gradient steps are made for every `batch` new decisions.

    With foresight AlphaZero's network sees what each action comes to if others go on, as PPO's does: search begins from
    what they can do, and rewards are what turns out better than foreseen (see `Bridge.foresee`).

    What is validated is the policy without search. The replay is not saved: a run that goes on fills it anew.
    """

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
        self._bridge = Bridge(make_vector_env(self.env_id, config.copies, self.env_options))
        spec = self.spec
        if self.foresight is not None:
            network["prior"] = PRIOR
            spec = self.foresight.spec
            self._bridge.foresee(self.foresight, setting.sign, config.seed)
        self._prepare_network(network, build(network, spec), fused=True)
        searcher = Searcher(SearchConfig(config.simulations))
        self._search = NetworkSearch(self.module, searcher, setting, self._learned, config.gamma, self.foresight)
        self._unroll = config.unroll if self._learned else 0
        self._slots = int(cast(spaces.Discrete, self._bridge.action_space).n)
        env = self._bridge.env
        self._engine = env.engine if isinstance(env, SchedulingVectorEnv) else None

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
        self._bridge.seed(training_seed(config.seed, self._decisions))
        self._observation: Observation = self._bridge.reset()
        self._replay = self._make_replay()
        while self._decisions < config.steps:
            books.between_updates()
            self._round += 1
            rng = np.random.default_rng([config.seed, self._round])
            for _ in range(config.rollout):
                self._play(rng)
            self._reanalyse(rng)
            self._fit(rng)
            self._report()

    def _make_replay(self) -> Replay:
        """Room for `replay` decisions, or as many as fit the memory."""
        config = self.config
        copies = config.copies
        if self._learned or self._engine is None:
            size = sum(array.nbytes for array in self._observation.values()) // copies
        else:
            size = self._engine.copy_bytes
        least = 2 * config.rollout
        moments = max(config.replay // copies, least)
        if least * copies * size > MEMORY:
            raise UserError(
                f"two rounds of copies={copies} times rollout={config.rollout} decisions take "
                f"{least * copies * size / 2**30:.1f} GiB, and the replay has {MEMORY / 2**30:.1f}; give fewer of them"
            )
        moments = min(moments, MEMORY // (size * copies))
        states: States
        if self._learned or self._engine is None:
            states = ObservedStates(self._observation, moments, copies)
        else:
            kept = () if self.foresight is None else FORESEEN
            states = EngineStates(self._engine, moments, {name: self._observation[name] for name in kept})
        return Replay(states, moments, copies, self._slots, config.bootstrap)

    def _searched(
        self,
        observation: Mapping[str, NDArray[Any]],
        imagine: Imagine | None,
        copies: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> Found:
        """Searches from the present of copies, with noise."""
        mask = observation["action_mask"]
        keys = rng.integers(0, 2**63, len(copies), dtype=np.uint64)
        gumbel = rng.gumbel(size=mask.shape)
        room = 2**30 if self._engine is None else self._search.roots_at_once(self._engine.copy_bytes)
        parts = []
        for low in range(0, len(copies), room):
            rows = slice(low, low + room)
            seen = {key: array[rows] for key, array in observation.items()}
            none = np.zeros(len(copies[rows]), dtype=np.int64)
            given = copies[rows], keys[rows], none, gumbel[rows], EXPLORE
            parts.append(self._search.search(seen, mask[rows], imagine, *given))
        return Found._make(np.concatenate(arrays) for arrays in zip(*parts, strict=True))

    def _play(self, rng: np.random.Generator) -> None:
        """One decision in each copy."""
        config, replay = self.config, self._replay
        imagine = None if self._learned or self._engine is None else look_ahead(self._engine)
        found = self._searched(self._observation, imagine, np.arange(config.copies), rng)
        replay.states.put(replay.next_moment, self._observation)
        actions = self._stray(found.actions, rng) if self._learned else found.actions
        observation, reward, ended, infos = self._bridge.step(actions)
        self._observation = cast("dict[str, NDArray[Any]]", observation)
        bridge = self._bridge
        cut = bridge.truncated
        discounts = config.gamma ** (bridge.elapsed / self.spec.time_scale) * ~(ended & ~cut)
        tails = self._tails(cut, infos)
        rewards = np.asarray(reward, dtype=np.float32)
        values = found.values.astype(np.float32)
        strays = actions != found.actions
        replay.put(Step(actions, rewards, discounts.astype(np.float32), strays, ended, tails, found.policy, values))
        self._decisions += config.copies

    def _stray(self, actions: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Actions of which some are drawn evenly from the legal ones, the more the later the copy.

        A learned model is wrong about what is never tried, and the search that believes it never tries it.
        """
        copies = self.config.copies
        drawn = np.where(self._observation["action_mask"] != 0, rng.random((copies, self._slots)), -1.0).argmax(axis=1)
        return np.where(rng.random(copies) < np.linspace(0.0, STRAY, copies), drawn, actions)

    def _tails(self, cut: NDArray[np.bool_], infos: list[dict[str, Any]]) -> NDArray[np.float32]:
        """Values [n] of the states at which copies were cut, 0 for the others."""
        tails = np.zeros(len(cut), dtype=np.float32)
        chosen = np.flatnonzero(cut)
        if len(chosen):
            last = [infos[copy]["final_observation"] for copy in chosen]
            with evaluating(self.module):
                tails[chosen] = evaluate(self.module, {key: np.stack([x[key] for x in last]) for key in last[0]})[1]
        return tails

    def _reanalyse(self, rng: np.random.Generator) -> None:
        """Search kept states anew."""
        config, states = self.config, self._replay.states
        wanted = int(config.reanalysis * config.copies * config.rollout)
        for low in range(0, wanted, config.copies):
            rows = self._replay.draw(rng, min(config.copies, wanted - low))
            found = self._searched(states.observation(rows), states.imagine(), rows, rng)
            self._replay.renew(rows, found.policy, found.values)

    def _fit(self, rng: np.random.Generator) -> None:
        """Gradient steps on what is kept."""
        config = self.config
        self._begin_fit()
        losses: list[Losses] = []
        for _ in range(max(config.epochs * config.copies * config.rollout // config.batch, 1)):
            batch = self._replay.sample(rng, config.batch, self._unroll)
            losses.append(fit(self.module, self._optimizer, batch, config.gradient_norm))
            self._replay.prioritise(batch.rows, losses[-1].errors)
        for name in ("policy", "value", "reward", "consistency"):
            self.logger.record(f"loss/{name}", float(np.mean([getattr(one, name) for one in losses])))

    def _report(self) -> None:
        finished = self._bridge.take_finished()
        score = float(np.mean(finished)) if finished else None
        if score is not None:
            self.logger.record("self_play/objective", score)
        self.progress.trained(self._decisions, score)
