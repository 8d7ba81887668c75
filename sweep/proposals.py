"""Which setting is tried next: random, TPE by Optuna, or all of them in turn.

A proposal is a function of the sweep, its number and what the trials before it came to: nothing is carried along, so
that a sweep that was interrupted proposes what an unbroken one would (with one process; several end in any order).

Akiba, Sano, Yanase, Ohta & Koyama, "Optuna: A Next-generation Hyperparameter Optimization Framework", KDD 2019; TPE:
Bergstra, Bardenet, Bengio & Kegl, "Algorithms for Hyper-Parameter Optimization", NIPS 2011.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..envs.core.extras import optional
from .config import SweepConfig
from .space import Choice, Dimension, Setting

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_TRIES = 200


class Seen(NamedTuple):
    """A setting that was proposed.

    Attributes:
        settings: it.
        objective: what it came to at the first budget; None where it is not there yet, or failed.
    """

    settings: Mapping[str, Setting]
    objective: float | None


def propose(config: SweepConfig, number: int, seen: Sequence[Seen]) -> dict[str, Setting] | None:
    """The setting of a trial: one that can be trained and was not proposed yet.

    Args:
        config: the sweep.
        number: of the trial, from 1.
        seen: the trials before it, in their order.

    Returns:
        The setting, or None where no more is found.

    Raises:
        MissingExtraError: Optuna is not installed; the grid needs none.
    """
    known = [dict(one.settings) for one in seen]

    def new(settings: dict[str, Setting]) -> bool:
        return settings not in known and config.problem_of(settings) is None

    if config.sampler != "grid":
        for attempt in range(_TRIES):
            settings = _ask(config, number, attempt, seen)
            if new(settings):
                return settings
        if config.space.size > _TRIES * _TRIES:
            return None
    return next(filter(new, config.space.settings()), None)


def check_sampler(config: SweepConfig) -> None:
    """Meet a missing sampler before anything is trained.

    Raises:
        MissingExtraError: Optuna is not installed.
    """
    if config.sampler != "grid":
        _optuna()


def _optuna() -> Any:
    with optional("sweeping", "sweep", "optuna"):
        import optuna
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _ask(config: SweepConfig, number: int, attempt: int, seen: Sequence[Seen]) -> dict[str, Setting]:
    optuna = _optuna()
    seed = int(np.random.SeedSequence([config.seed, number, attempt]).generate_state(1)[0])
    kind = optuna.samplers.TPESampler if config.sampler == "tpe" else optuna.samplers.RandomSampler
    direction = "minimize" if config.sense == "min" else "maximize"
    study = optuna.create_study(sampler=kind(seed=seed), direction=direction)
    dimensions = config.space.dimensions
    distributions = {name: _distribution(one) for name, one in dimensions.items()}
    for one in seen:
        if one.objective is not None:
            done = optuna.trial.create_trial(
                params=dict(one.settings), distributions=distributions, value=one.objective
            )
            study.add_trial(done)
    asked = study.ask(distributions).params
    return {name: _tidy(dimensions[name], asked[name]) for name in dimensions}


def _distribution(dimension: Dimension) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(dimension, Choice):
        return CategoricalDistribution(dimension.values)
    if dimension.whole:
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def _tidy(dimension: Dimension, value: Any) -> Setting:
    return value if isinstance(dimension, Choice) else dimension.tidy(value)
