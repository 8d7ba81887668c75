"""What every training run has, whoever trains: a folder, validation, checkpoints, and a way back after interruptions.

The folder of a run holds ``run.json`` (what was asked for), ``state.safetensors`` (to go on from), ``best/`` and
``last/`` (checkpoints, the best one by validation) and ``tensorboard/``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import Logger, configure

from ..agents.agent import Agent
from ..agents.checkpoint import Arrays, load_checkpoint, save_checkpoint
from ..agents.learned import find_checkpoint, load_for
from ..envs.core.errors import UserError
from ..envs.core.extras import library_versions
from ..envs.core.files import user_path
from ..envs.core.names import parse_name
from .books import Books, Interrupted, Pause, Paused
from .bridge import refuse_options_set_here
from .config import TrainConfig
from .folder import BEST, LAST, STATE, TENSORBOARD, check_folder, claim_folder, sweep_folder
from .progress import Progress
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


class DivergedError(UserError):
    """Weights are no numbers any more."""


class Run(ABC):
    """One training run in its folder. A subclass sets up its learner in `prepare`.

    Args:
        config: what to do.
        overwrite: empty the folder first if it holds another run.
        progress: told what happens.

    Raises:
        UserError: the folder holds something else, another run or a damaged one, or the config does not fit the
            environment.

    Attributes:
        logger: TensorBoard's, while the run trains.
        pause: where it stops for now, None where it goes on until the budget is spent.
    """

    logger: Logger
    pause: Pause | None = None

    def __init__(self, config: TrainConfig, overwrite: bool, progress: Progress) -> None:
        self.folder = user_path(config.out)
        self.is_new = check_folder(self.folder, config, overwrite)
        name = parse_name(config.env, "environment")
        self.config, self.progress = config, progress
        self.env_id = name.base
        self.env_options: dict[str, Any] = dict(name.options)
        if config.instances is not None:
            if "instance" in self.env_options:
                raise UserError(f"instances are given twice: {config.instances!r} and in {config.env!r}")
            self.env_options["instance"] = config.instances
        refuse_options_set_here(self.env_id, self.env_options)
        self.validation = self.make_validation()
        self.spec = self.validation.setting.spec
        self.counters = Counters()
        # Before the folder is taken: a teacher's name that is mistyped should not be what a run is called by.
        self.prepare()
        if self.is_new:
            if config.start is not None:
                self._start_from(config.start)
            claim_folder(self.folder, config)
        else:
            sweep_folder(self.folder)
            if (self.folder / STATE).is_file():
                self._go_on()

    def make_validation(self) -> Validation:
        """What weights are chosen by."""
        options = self.env_options
        if self.config.held_out is not None:
            options = {**options, "instance": self.config.held_out}
        return Validation(self.env_id, options, self.config.validation_worlds)

    @abstractmethod
    def prepare(self) -> None:
        """Set up whatever learns."""

    @property
    @abstractmethod
    def decisions(self) -> int:
        """How many decisions were made in training so far."""

    @property
    @abstractmethod
    def network(self) -> dict[str, Any]:
        """The card's description of what is trained."""

    @abstractmethod
    def weights(self) -> Arrays:
        """What a checkpoint holds."""

    @abstractmethod
    def take_up(self, weights: Arrays, source: str) -> None:
        """Begin with these weights.

        Raises:
            UserError: they do not fit; `source` says where they come from.
        """

    @abstractmethod
    def player(self) -> Agent:
        """What is trained, as it is validated."""

    @abstractmethod
    def learn(self, books: Books) -> None:
        """Train until the budget is spent, calling `books.between_updates` wherever the state is whole.

        Raises:
            Interrupted, Paused: by the books.
            UserError: training diverged.
        """

    @abstractmethod
    def save_state(self, path: Path) -> None:
        """Write everything to go on from.

        Raises:
            UserError: the file cannot be written; the old one is untouched.
        """

    @abstractmethod
    def load_state(self, path: Path) -> Mapping[str, Any]:
        """Take up what `save_state` wrote; returns the counters.

        Raises:
            UserError: the file is missing, truncated, or of another run.
        """

    @abstractmethod
    def is_finite(self) -> bool:
        """Whether all weights are numbers."""

    def card_extras(self) -> dict[str, Any]:
        """What else the card says."""
        return {}

    def device_name(self) -> str:
        """Where training takes place."""
        return "cpu"

    def _start_from(self, folder: str) -> None:
        """Begin with a checkpoint's weights."""
        weights, card = load_for(find_checkpoint(folder), self.spec)
        for what, given, wanted in (
            ("network", card["network"], self.network),
            ("foresight", card.get("foresight"), None),
        ):
            if given != wanted:
                raise UserError(f"option start: {what} of {folder!r} is {given}, expected {wanted}")
        self.take_up(weights, folder)

    def _go_on(self) -> None:
        """Take up the saved state."""
        saved = self.load_state(self.folder / STATE)
        try:
            self.counters = Counters(**saved)
        except TypeError:
            raise UserError(
                f"{self.folder / STATE}: its counters are {sorted(saved)}, not those of such a run"
            ) from None
        # The folder has the last word on the best: it may be of a validation that came after the last save.
        self.counters.best = self._best_in_folder()

    def _best_in_folder(self) -> float | None:
        try:
            _, card = load_checkpoint(self.folder / BEST)
            return float(card["training"]["validation"]["mean_objective"])
        except (UserError, KeyError, TypeError, ValueError):
            return None  # so that the next validation writes one

    def train(self) -> None:
        """Train until the budget is spent, or until the pause: then everything is validated and saved, too.

        Raises:
            Interrupted: somebody asked to stop; everything is saved.
            UserError: something cannot be written; what was saved before is there.
            DivergedError: training diverged, likewise.
        """
        if self.counters.finished:
            return
        try:
            self.logger = configure(str(self.folder / TENSORBOARD), ["tensorboard"])
        except OSError as error:
            raise UserError(f"cannot write to {str(self.folder / TENSORBOARD)!r}: {error.strerror or error}") from None
        books = Books(self)
        try:
            self._learn(books)
        finally:
            books.release()
            self.logger.close()

    def _learn(self, books: Books) -> None:
        try:
            self.learn(books)
        except Paused:
            self.validate()
            self.save()
            return
        except Interrupted as stop:
            if stop.by_user:
                self.validate()
                self.save()
                raise
        self.refuse_divergence()
        self.counters.finished = True
        self.validate()
        self.save()

    def refuse_divergence(self) -> None:
        """Raise before numbers that are none reach a file.

        Raises:
            DivergedError: a weight is not finite.
        """
        if not self.is_finite():
            raise DivergedError(
                f"training diverged: after {self.decisions:,} decisions the weights are not finite; "
                f"try a learning_rate below {self.config.learning_rate:g}"
            )

    def spent(self) -> float:
        """Share of the budget that is spent, by time or by decisions, whichever is larger."""
        return min(max(self.spent_time(), self.decisions / self.config.steps), 1.0)

    def spent_time(self) -> float:
        """Share of the time that is spent, in whole hundredths.

        Where steps are the limit, an interrupted run so goes on exactly as an unbroken one.
        """
        minutes = self.config.minutes
        return math.floor(100.0 * self.counters.seconds / (60.0 * minutes)) / 100.0 if minutes else 1.0

    def validate(self) -> float:
        """Mean objective on the held-out worlds; the best one so far becomes the checkpoint ``best``.

        Raises:
            UserError: the checkpoint cannot be written.
        """
        done = self.counters.validations
        if done and done[-1][0] == self.decisions and self.counters.best is not None:
            return done[-1][1]  # the same weights on the same worlds
        score = self.validation.score(self.player())
        done.append([self.decisions, score])
        self.logger.record("validation/objective", score)
        if self.validation.rule is not None:
            self.logger.record("validation/best_rule_objective", self.validation.rule_score)
        self.logger.dump(self.decisions)
        if self.counters.best is None or self.validation.is_better(score, self.counters.best):
            self.counters.best = score
            save_checkpoint(self.folder / BEST, self.weights(), self._card(score))
        return score

    def save(self) -> None:
        """Save the state to go on from, and the checkpoint ``last``.

        Raises:
            UserError: they cannot be written; the old ones are untouched.
        """
        self.save_state(self.folder / STATE)
        score = self.counters.validations[-1][1] if self.counters.validations else None
        save_checkpoint(self.folder / LAST, self.weights(), self._card(score))

    def _card(self, score: float | None) -> dict[str, Any]:
        return {
            "agent": self.config.agent,
            "network": self.network,
            **self.card_extras(),
            "spec_hash": self.spec.hash,
            "spec": self.spec.to_dict(),
            "env": self.env_id,
            "env_options": self.env_options,
            "training": {
                "config": {**self.config.to_dict(), "out": ""},
                "decisions": self.decisions,
                "seconds": round(self.counters.seconds, 1),
                "device": self.device_name(),
                "validation": {
                    "worlds": self.validation.worlds,
                    "mean_objective": score,
                    "best_rule": self.validation.rule,
                    "best_rule_mean_objective": None if self.validation.rule is None else self.validation.rule_score,
                },
            },
            "versions": library_versions(),
            "licence": "MIT",
        }
