"""A training run by PPO, with a warm start by imitation where one is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch

from ..agents.agent import Agent
from ..agents.catalogue import make_chooser
from ..agents.checkpoint import Arrays
from ..agents.decoding import PolicyAgent
from ..agents.foresight import PRIOR
from ..agents.learned import choose_device, load_weights, weights_of
from ..envs.core.errors import UserError
from .base import Run
from .books import Books
from .bridge import Bridge, make_vector_env, training_seed
from .buffer import ElapsedRolloutBuffer
from .callback import RunCallback
from .foreseeing import foresight_of_run
from .learner import Learner
from .policy import SlotPolicy
from .state import load_state, save_state
from .teacher import Teacher


class PPORun(Run):
    """One run of sb3-contrib's MaskablePPO on a `SlotNetwork`."""

    def prepare(self) -> None:
        config, setting = self.config, self.validation.setting
        torch.set_num_threads(config.threads or torch.get_num_threads())
        self.bridge = Bridge(make_vector_env(self.env_id, config.copies, self.env_options))
        self._network = config.network
        self.seen_spec = self.spec
        self.foresight = foresight_of_run(config, setting, self.folder, self.is_new)
        if self.foresight is not None:
            self.bridge.foresee(self.foresight, setting.sign, config.seed)
            self.seen_spec = self.foresight.spec
            self._network["prior"] = PRIOR
        self.learning_rate = config.learning_rate
        self.model = self._make_model()
        self.model.teacher = self._find_teacher()

    def _make_model(self) -> Learner:
        config = self.config
        model = Learner(
            SlotPolicy,
            self.bridge,
            learning_rate=lambda _: self.learning_rate,
            n_steps=config.rollout,
            batch_size=config.batch,
            n_epochs=config.epochs,
            gamma=config.gamma,
            gae_lambda=config.gae_lambda,
            clip_range=config.clip,
            ent_coef=config.entropy,
            vf_coef=config.value_weight,
            max_grad_norm=config.gradient_norm,
            rollout_buffer_class=ElapsedRolloutBuffer,
            rollout_buffer_kwargs={"bridge": self.bridge, "time_scale": self.spec.time_scale},
            policy_kwargs={"spec": self.seen_spec, "network": self._network},
            device=choose_device(config.device),
            seed=config.seed,
        )
        self.bridge.seed(training_seed(config.seed))  # after the model, which seeds it, too
        return model

    def _find_teacher(self) -> Teacher | None:
        name = self.config.imitate
        if name is None:
            return None
        agent = make_chooser(name, self.validation.setting)
        if agent.samples > 1:
            raise UserError(f"agent {name!r} tries each world {agent.samples} times, so it cannot be imitated")
        return Teacher(agent, self.bridge, self.config.imitate_temperature, self.config.seed)

    @property
    def policy(self) -> SlotPolicy:
        """What is trained."""
        return self.model.slot_policy

    @property
    def decisions(self) -> int:
        return self.model.num_timesteps

    @property
    def network(self) -> dict[str, Any]:
        return self._network

    def weights(self) -> Arrays:
        return {**weights_of(self.policy.network), **self._foreseen()}

    def take_up(self, weights: Arrays, source: str) -> None:
        load_weights(self.policy.network, weights, source)

    def _foreseen(self) -> Arrays:
        """What foresight needs."""
        return {} if self.foresight is None else self.foresight.arrays()

    def player(self) -> Agent:
        self.policy.set_training_mode(False)
        return PolicyAgent("policy", self.policy.network, foresight=self.foresight)

    def is_finite(self) -> bool:
        return all(bool(torch.isfinite(weights).all()) for weights in self.policy.parameters())

    def device_name(self) -> str:
        return str(self.model.device)

    def card_extras(self) -> dict[str, Any]:
        return {} if self.foresight is None else {"foresight": self.foresight.described()}

    def save_state(self, path: Path) -> None:
        save_state(path, self.model, self.bridge, vars(self.counters), self._foreseen())

    def load_state(self, path: Path) -> Mapping[str, Any]:
        saved = load_state(path, self.model, self.bridge)
        self.bridge.seed(training_seed(self.config.seed, self.model.num_timesteps))  # for environments not saved
        return saved

    def learn(self, books: Books) -> None:
        self.model.set_logger(self.logger)
        remaining = self.config.steps - self.model.num_timesteps
        never = cast(int, None)  # "log_interval": we write the log ourselves
        callback = RunCallback(self, books)
        try:
            self.model.learn(remaining, callback=callback, log_interval=never, reset_num_timesteps=False)
        except ValueError:
            self.refuse_divergence()  # torch found numbers that are none before we did
            raise

    def plan_rollout(self) -> None:
        """Decide how the next rollout is made, and set the learning rate, from what of the budget is spent."""
        config, counters = self.config, self.counters
        steps = self.model.num_timesteps
        if self.model.teacher is not None and not counters.imitated:
            part = config.imitate_share
            time = self.spent_time() / part if part else 1.0
            done = max(time, steps / config.imitate_steps, steps / config.steps)
            if done < 1.0:
                self.learning_rate = config.imitate_rate * (1.0 - 0.9 * done)
                self.model.guide(max(0.0, 1.0 - 4.0 * done))
                return
            counters.imitated, counters.imitated_share = True, self.spent()
            self.progress.phase("training")
        begun = counters.imitated_share
        done = (self.spent() - begun) / max(1.0 - begun, 1e-9)
        self.learning_rate = config.learning_rate * (1.0 - 0.9 * min(max(done, 0.0), 1.0))
        self.model.guide(None)
