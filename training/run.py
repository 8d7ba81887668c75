"""A training run: PPO on an environment, with validation, checkpoints, and a way back after any interruption.

The folder of a run holds ``run.json`` (what was asked for), ``state.safetensors`` (to go on from), ``best/`` and
``last/`` (checkpoints, the best one by validation) and ``tensorboard/``.
"""

from __future__ import annotations

import math
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from stable_baselines3.common.logger import configure

from ..agents.catalogue import make_agent
from ..agents.checkpoint import load_checkpoint, save_checkpoint
from ..agents.learned import choose_device, weights_of
from ..envs.core.errors import UserError
from ..envs.core.names import parse_name
from .bridge import Bridge, make_vector_env, training_seed
from .buffer import ElapsedRolloutBuffer
from .callback import Interrupted, RunCallback
from .config import AGENTS, TrainConfig
from .folder import BEST, LAST, STATE, TENSORBOARD, check_folder, claim_folder, sweep_folder
from .learner import Learner
from .policy import SlotPolicy
from .progress import Progress
from .state import load_state, save_state
from .teacher import Teacher
from .validation import Validation


@dataclass
class Counters:
    """What a run has come to; saved with its state.

    Attributes:
        seconds: of training, validation and saving included.
        best: mean objective of the best validation so far, None before the first.
        validations: [decisions, mean objective] of each validation.
        imitated: whether the warm start is done, where one was asked for.
        imitated_share: of the budget that it took.
        finished: whether the budget is spent.
    """

    seconds: float = 0.0
    best: float | None = None
    validations: list[list[float]] = field(default_factory=list)
    imitated: bool = False
    imitated_share: float = 0.0
    finished: bool = False


class Run:
    """One training run in its folder.

    Args:
        config: what to do.
        overwrite: empty the folder first if it holds another run.
        progress: told what happens.

    Raises:
        UserError: the folder holds something else, another run or a damaged one, or the config does not fit the
            environment.
    """

    def __init__(self, config: TrainConfig, overwrite: bool, progress: Progress) -> None:
        self.folder = Path(config.out)
        self.is_new = check_folder(self.folder, config, overwrite)
        name = parse_name(config.env, "environment")
        self.config, self.progress = config, progress
        self.env_id = name.base
        self.env_options: dict[str, Any] = dict(name.options)
        if config.instances is not None:
            if "instance" in self.env_options:
                raise UserError(f"instances are given twice: {config.instances!r} and in {config.env!r}")
            self.env_options["instance"] = config.instances
        torch.set_num_threads(config.threads or torch.get_num_threads())
        env = make_vector_env(self.env_id, config.copies, self.env_options)
        self.bridge = Bridge(env)
        self.validation = Validation(self.env_id, self.env_options, config.validation_worlds)
        self.network = {"kind": AGENTS[config.agent], "width": config.width, "layers": config.layers}
        self.spec = self.validation.setting.spec
        self.learning_rate = config.learning_rate
        self.model = self._make_model()
        self.counters = Counters()
        # Before the folder is taken: a teacher's name that is mistyped should not be what a run is called by.
        self.model.teacher = self._find_teacher()
        if self.is_new:
            claim_folder(self.folder, config)
        else:
            sweep_folder(self.folder)
            if (self.folder / STATE).is_file():
                self._go_on()

    def _go_on(self) -> None:
        """Take up the saved state."""
        saved = load_state(self.folder / STATE, self.model, self.bridge)
        try:
            self.counters = Counters(**saved)
        except TypeError:
            raise UserError(
                f"{self.folder / STATE}: its counters are {sorted(saved)}, not those of such a run"
            ) from None
        # The folder has the last word on the best: it may be of a validation that came after the last save.
        self.counters.best = self._best_in_folder()
        self.bridge.seed(training_seed(self.config.seed, self.model.num_timesteps))  # for environments not saved

    def _best_in_folder(self) -> float | None:
        try:
            _, card = load_checkpoint(self.folder / BEST)
            return float(card["training"]["validation"]["mean_objective"])
        except (UserError, KeyError, TypeError, ValueError):
            return None  # so that the next validation writes one

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
            policy_kwargs={"spec": self.spec, "network": self.network},
            device=choose_device(config.device),
            seed=config.seed,
        )
        self.bridge.seed(training_seed(config.seed))  # after the model, which seeds it, too
        return model

    @property
    def policy(self) -> SlotPolicy:
        """What is trained."""
        return self.model.slot_policy

    def train(self) -> None:
        """Train until the budget is spent.

        Raises:
            Interrupted: somebody asked to stop; everything is saved.
            UserError: something cannot be written, or training diverged; what was saved before is there.
        """
        if self.counters.finished:
            return
        try:
            logger = configure(str(self.folder / TENSORBOARD), ["tensorboard"])
        except OSError as error:
            raise UserError(f"cannot write to {str(self.folder / TENSORBOARD)!r}: {error.strerror or error}") from None
        self.model.set_logger(logger)
        callback = RunCallback(self)
        try:
            self._learn(callback)
        finally:
            callback.release()
            logger.close()

    def _learn(self, callback: RunCallback) -> None:
        remaining = self.config.steps - self.model.num_timesteps
        never = cast(int, None)  # "log_interval": we write the log ourselves
        try:
            self.model.learn(remaining, callback=callback, log_interval=never, reset_num_timesteps=False)
        except Interrupted as stop:
            if stop.by_user:
                self.validate()
                self.save()
                raise
        except ValueError:
            self.refuse_divergence()  # torch found numbers that are none before we did
            raise
        self.refuse_divergence()
        self.counters.finished = True
        self.validate()
        self.save()

    def refuse_divergence(self) -> None:
        """Raise before numbers that are none reach a file.

        Raises:
            UserError: a weight is not finite.
        """
        if not all(bool(torch.isfinite(weights).all()) for weights in self.policy.parameters()):
            raise UserError(
                f"training diverged: after {self.model.num_timesteps:,} decisions the weights are not finite; "
                f"try a learning_rate below {self.config.learning_rate:g}"
            )

    def _find_teacher(self) -> Teacher | None:
        name = self.config.imitate
        if name is None:
            return None
        agent = make_agent(name, self.validation.setting)
        if agent.samples > 1:
            raise UserError(f"agent {name!r} tries each world {agent.samples} times, so it cannot be imitated")
        return Teacher(agent, self.bridge, self.config.imitate_temperature, self.config.seed)

    def plan_rollout(self) -> None:
        """Decide how the next rollout is made, and set the learning rate, from what of the budget is spent.

        Seconds count in whole hundredths of the budget: where steps are the limit, an interrupted run so goes on
        exactly as an unbroken one.
        """
        config, counters = self.config, self.counters
        total = math.floor(100.0 * counters.seconds / (60.0 * config.minutes)) / 100.0 if config.minutes else 1.0
        steps = self.model.num_timesteps
        if self.model.teacher is not None and not counters.imitated:
            part = config.imitate_share
            done = max(total / part if part else 1.0, steps / config.imitate_steps, steps / config.steps)
            if done < 1.0:
                self.learning_rate = config.imitate_rate * (1.0 - 0.9 * done)
                self.model.guide(max(0.0, 1.0 - 4.0 * done))
                return
            counters.imitated, counters.imitated_share = True, min(max(total, steps / config.steps), 1.0)
            self.progress.phase("training", config.steps)
        begun = counters.imitated_share
        done = (max(total, steps / config.steps) - begun) / max(1.0 - begun, 1e-9)
        self.learning_rate = config.learning_rate * (1.0 - 0.9 * min(max(done, 0.0), 1.0))
        self.model.guide(None)

    def validate(self) -> float:
        """Mean objective on the held-out worlds; the best one so far becomes the checkpoint ``best``.

        Raises:
            UserError: the checkpoint cannot be written.
        """
        done = self.counters.validations
        if done and done[-1][0] == self.model.num_timesteps and self.counters.best is not None:
            return done[-1][1]  # the same weights on the same worlds
        self.policy.set_training_mode(False)
        score = self.validation.score(self.policy.network)
        done.append([self.model.num_timesteps, score])
        logger = self.model.logger
        logger.record("validation/objective", score)
        if self.validation.rule is not None:
            logger.record("validation/best_rule_objective", self.validation.rule_score)
        logger.dump(self.model.num_timesteps)
        if self.counters.best is None or self.validation.is_better(score, self.counters.best):
            self.counters.best = score
            save_checkpoint(self.folder / BEST, self._weights(), self._card(score))
        return score

    def save(self) -> None:
        """Save the state to go on from, and the checkpoint ``last``.

        Raises:
            UserError: they cannot be written; the old ones are untouched.
        """
        save_state(self.folder / STATE, self.model, self.bridge, vars(self.counters))
        score = self.counters.validations[-1][1] if self.counters.validations else None
        save_checkpoint(self.folder / LAST, self._weights(), self._card(score))

    def _weights(self) -> dict[str, Any]:
        return weights_of(self.policy.network)

    def _card(self, score: float | None) -> dict[str, Any]:
        return {
            "agent": self.config.agent,
            "network": self.network,
            "spec_hash": self.spec.hash,
            "spec": self.spec.to_dict(),
            "env": self.env_id,
            "env_options": self.env_options,
            "training": {
                "config": {**self.config.to_dict(), "out": ""},
                "decisions": self.model.num_timesteps,
                "seconds": round(self.counters.seconds, 1),
                "device": str(self.model.device),
                "validation": {
                    "worlds": self.config.validation_worlds,
                    "mean_objective": score,
                    "best_rule": self.validation.rule,
                    "best_rule_mean_objective": None if self.validation.rule is None else self.validation.rule_score,
                },
            },
            "versions": versions(),
            "licence": "MIT",
        }


def versions() -> dict[str, str]:
    """Versions of everything that a result may depend on."""
    from importlib.metadata import version

    names = ("makespan", "gymnasium", "numba", "numpy", "torch", "torch-geometric", "stable-baselines3", "sb3-contrib")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def train(config: TrainConfig, overwrite: bool = False, quiet: bool = False) -> Path:
    """Run or continue a training run; returns its folder.

    The same config on a folder that holds its run continues it, and returns at once where it is finished.

    Args:
        config: what to do.
        overwrite: begin anew in a folder that holds another run.
        quiet: show no progress.

    Raises:
        UserError: see `Run`.
        Interrupted: by Ctrl-C; the run is saved and can be continued.
    """
    with Progress(config, quiet) as progress:
        run = Run(config, overwrite, progress)
        if run.counters.finished:
            progress.say(f"{config.out} is finished: {run.model.num_timesteps:,} decisions")
            return run.folder
        if not run.is_new:
            progress.say(f"going on after {run.model.num_timesteps:,} decisions")
        progress.begin(run.validation)
        run.train()
        progress.end(run)
        return run.folder
