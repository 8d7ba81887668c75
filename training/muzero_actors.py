"""Actors that play for a learner of MuZero elsewhere: in other processes, or on other machines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ..agents.arena import open_arena
from ..agents.checkpoint import dump_arrays, parse_arrays
from ..agents.learned import build, load_weights, weights_of
from ..agents.networks.common import SlotNetwork
from ..envs.core.names import parse_name
from .bridge import Bridge, make_vector_env, training_seed
from .config import TrainConfig
from .muzero_play import SelfPlay
from .muzero_replay import Step

Lead = Callable[..., None]
"""``lead(board, make_desk, *arguments)`` lets workers do the tasks of a board (`makespan.eval.workers`)."""


@dataclass(frozen=True)
class PlayGames:
    """A task: go on playing for a round.

    Attributes:
        number: of the task, which says what is drawn at random.
        weights: of the network to play with, as bytes of safetensors.
    """

    number: int
    weights: bytes = field(repr=False, compare=False)


class Games(NamedTuple):
    """What an actor played in a round: M moments of n copies.

    Attributes:
        anew: whether episodes began anew before the first moment, so that it does not follow what the learner has.
        observations: arrays [M, n, ...], before each decision.
        steps: arrays [M, n, ...].
        finished: objectives of the episodes that ended.
    """

    anew: bool
    observations: dict[str, NDArray[Any]]
    steps: Step
    finished: list[float]


class Actor:
    """Where games are played; its episodes go on from one task to the next.

    Args:
        config: of the run, plain data.
        options: of the environment.
        network: as cards describe it.
    """

    def __init__(self, config: dict[str, Any], options: Mapping[str, Any], network: Mapping[str, Any]) -> None:
        self._config = TrainConfig.from_dict(config)
        torch.set_num_threads(self._config.threads or 1)
        env_id = parse_name(self._config.env, "environment").base
        setting = open_arena(env_id, 1, options).setting
        self._network: Any = build(network, setting.spec)
        bridge = Bridge(make_vector_env(env_id, self._config.copies, dict(options)))
        self._play = SelfPlay(self._config, setting, bridge, self._network)
        self._plays = False

    def do(self, task: PlayGames) -> Games:
        """Play a round."""
        config, play = self._config, self._play
        load_weights(self._network, parse_arrays(task.weights, "the learner's weights"), "the learner's weights")
        anew = not self._plays
        if anew:
            play.reset(training_seed(config.seed, task.number))
            self._plays = True
        rng = np.random.default_rng([config.seed, task.number])
        seen, steps = [], []
        for _ in range(config.rollout):
            found = play.search(rng)
            seen.append(play.observation)
            steps.append(play.act(found, rng))
        observations = {key: np.stack([one[key] for one in seen]) for key in seen[0]}
        together = Step._make(np.stack(arrays) for arrays in zip(*steps, strict=True))
        return Games(anew, observations, together, play.take_finished())


def posted(network: SlotNetwork) -> bytes:
    """Weights as they are sent to actors."""
    return dump_arrays(weights_of(network))


class Stage:
    """The learner's side: gives tasks and takes each round of games once, whatever becomes of the actors.

    Args:
        begun: number before that of the first task.
        rounds: how many are to be played.
        weights: gives those to play with.
        take_games: is given the number of a worker, counted from 0, and its games.
    """

    def __init__(
        self, begun: int, rounds: int, weights: Callable[[], bytes], take_games: Callable[[int, Games], None]
    ) -> None:
        self._next, self._last = begun + 1, begun + rounds  # without a limit on steps there are too many to list
        self._back: list[int] = []
        self._weights, self._take_games = weights, take_games
        self._at: dict[int, int] = {}

    def take(self, worker: int) -> PlayGames | None:
        """A round for a worker."""
        if self._back:
            number = self._back.pop()
        elif self._next <= self._last:
            number, self._next = self._next, self._next + 1
        else:
            return None
        self._at[number] = worker
        return PlayGames(number, self._weights())

    def put_back(self, task: PlayGames) -> None:
        """A round was not played: it will be, with the weights that there are then."""
        del self._at[task.number]
        self._back.append(task.number)

    def done(self, task: PlayGames, games: Games) -> None:
        """Pass games on."""
        self._take_games(self._at.pop(task.number), games)
