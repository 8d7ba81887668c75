"""Episodes on record: what the contract's rules look at."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from .ids import make_single, single_creator, takes_option
from .spec import ObservationSpec

MOST_STEPS = 50_000
Choose = Callable[[int, NDArray[Any]], int | None]
"""``choose(step, mask)``: the next action, None to stop."""


class Broken(Exception):
    """A rule of the contract is broken; the message says in one sentence what is so and what was expected."""


class Skipped(Exception):
    """A rule does not apply; the message says why and what is switched off."""


@dataclass(frozen=True)
class Turn:
    """One call of `reset` or `step`: what was received, and copies of it made at once.

    Attributes:
        action: None at a reset.
        mask: what `action_masks()` said after the call.
        received: the very objects that the call returned: (observation, info, action_masks()).
    """

    action: int | None
    observation: dict[str, Any]
    reward: Any
    terminated: Any
    truncated: Any
    info: dict[str, Any]
    mask: Any
    received: tuple[Any, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether the episode is over."""
        return bool(self.terminated or self.truncated)


@dataclass
class Trace:
    """An episode, or its beginning.

    Attributes:
        seed: given to `reset`, None where there was none.
    """

    seed: int | None
    turns: list[Turn] = field(default_factory=list)

    @property
    def actions(self) -> list[int]:
        """The actions that were played, in order."""
        return [turn.action for turn in self.turns if turn.action is not None]

    @property
    def ended(self) -> bool:
        """Whether the episode came to its end."""
        return self.turns[-1].ended

    @property
    def endless(self) -> bool:
        """Whether it was cut off after `MOST_STEPS`."""
        return not self.ended and len(self.turns) > MOST_STEPS

    @property
    def final(self) -> dict[str, Any]:
        """The last info."""
        return self.turns[-1].info

    @property
    def total_reward(self) -> float:
        """Sum of all rewards."""
        return float(sum(turn.reward for turn in self.turns[1:]))


def record(
    env: Any,
    seed: int | None,
    choose: Choose,
    options: dict[str, Any] | None = None,
    vandal: bool = False,
    sampled: bool = False,
) -> Trace:
    """Play an episode with recorded turns until it ends, `choose` stops, or after `MOST_STEPS`.

    Args:
        vandal: overwrite every received array once it is copied, as its owner may.
        sampled: hand actions over as numpy integers, as `action_space.sample()` gives them.
    """

    def turn(action: int | None, received: tuple[Any, ...], reward: Any, terminated: Any, truncated: Any) -> Turn:
        observation, info, mask = copy.deepcopy(received)
        if vandal:
            spoil(received)
        return Turn(action, observation, reward, terminated, truncated, info, mask, received)

    observation, info = env.reset(seed=seed, options=options)
    trace = Trace(seed, [turn(None, (observation, info, env.action_masks()), 0.0, False, False)])
    while not trace.ended and len(trace.turns) <= MOST_STEPS:
        action = choose(len(trace.turns) - 1, trace.turns[-1].observation["action_mask"])
        if action is None:
            break
        observation, reward, terminated, truncated, info = env.step(np.int64(action) if sampled else action)
        trace.turns.append(turn(action, (observation, info, env.action_masks()), reward, terminated, truncated))
    return trace


def finish(env: Any, seed: int, options: dict[str, Any] | None = None) -> dict[str, Any]:
    """Play an episode with random legal actions, keeping nothing but the last info."""
    choose = at_random(seed)
    observation, info = env.reset(seed=seed, options=options)
    for step in range(MOST_STEPS):
        action = choose(step, observation["action_mask"])
        if action is None:
            break
        observation, _, terminated, truncated, info = env.step(action)
        if terminated or truncated:
            return info
    raise Broken(f"no episode ended within {MOST_STEPS} random legal actions, expected an end")


def at_random(seed: int) -> Choose:
    """Random legal actions; stops where none is legal."""
    rng = np.random.default_rng(seed)

    def choose(step: int, mask: NDArray[Any]) -> int | None:
        legal = np.flatnonzero(mask)
        return int(rng.choice(legal)) if len(legal) else None

    return choose


def by_step(step: int, mask: NDArray[Any]) -> int | None:
    """A fixed pattern of legal actions: a function of the step and the mask alone."""
    legal = np.flatnonzero(mask)
    return int(legal[(step * 7 + 3) % len(legal)]) if len(legal) else None


def the_same(actions: Sequence[int]) -> Choose:
    """The given actions in turn."""
    return lambda step, mask: actions[step] if step < len(actions) else None


def spoil(data: Any) -> None:
    """Overwrite every array in nested data."""
    for _, array in arrays_in(data):
        if array.flags.writeable:
            array[...] = 77


def arrays_in(data: Any, name: str = "") -> list[tuple[str, NDArray[Any]]]:
    """Every array in nested data, with its name."""
    if isinstance(data, np.ndarray):
        return [(name, data)]
    if isinstance(data, Mapping):
        return [found for key, value in data.items() for found in arrays_in(value, f"{name}[{key!r}]")]
    if isinstance(data, list | tuple):
        return [found for key, value in enumerate(data) for found in arrays_in(value, f"{name}[{key}]")]
    return []


def same(left: Any, right: Any) -> bool:
    """Whether nested data of arrays and plain values are equal; NaN equals NaN."""
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        a, b = np.asarray(left), np.asarray(right)
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        return bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    return bool(left == right) or (left != left and right != right)


def difference(left: Turn, right: Turn) -> str | None:
    """The first thing in which two turns differ, None where they are equal."""
    for key in left.observation.keys() | right.observation.keys():
        if not same(left.observation.get(key), right.observation.get(key)):
            return f"observation[{key!r}]"
    for name in ("reward", "terminated", "truncated", "mask"):
        if not same(getattr(left, name), getattr(right, name)):
            return "action_masks()" if name == "mask" else name
    for key in left.info.keys() | right.info.keys():
        if not same(left.info.get(key), right.info.get(key)):
            return f"info[{key!r}]"
    return None


def first_difference(left: Trace, right: Trace) -> str | None:
    """Where two traces part, in words; None where they are equal."""
    for step, (a, b) in enumerate(zip(left.turns, right.turns, strict=False)):
        found = difference(a, b)
        if found:
            return f"{found} {'at the reset' if step == 0 else f'after step {step}'}"
    if len(left.turns) != len(right.turns):
        return f"the length ({len(left.turns) - 1} and {len(right.turns) - 1} steps)"
    return None


class Subject:
    """The environment under check.

    Attributes:
        env_id, options: what is checked.
        spec: Gymnasium's entry for it.
    """

    def __init__(self, spec: EnvSpec, options: Mapping[str, Any]) -> None:
        self.env_id = spec.id
        self.spec = spec
        self.options = dict(options)

    def make(self, **more: Any) -> Any:
        """A fresh copy without wrappers."""
        return make_single(self.env_id, {**self.options, **more}).unwrapped

    def takes(self, option: str) -> bool:
        """Whether the environment has an option of that name."""
        return takes_option(single_creator(self.spec), option)

    @cached_property
    def env(self) -> Any:
        """A copy to ask; whoever plays on it resets it first."""
        return self.make()

    @cached_property
    def observation_spec(self) -> ObservationSpec:
        """The environment's spec.

        Raises:
            Skipped: it has none.
        """
        found = getattr(self.env, "observation_spec", None)
        if not isinstance(found, ObservationSpec):
            raise Skipped("there is no observation_spec to compare with")
        return found

    @cached_property
    def sense(self) -> str:
        """The sense of the objective, "min" or "max".

        Raises:
            Skipped: the environment does not say.
        """
        sense = _item(getattr(self.env, "metadata", {}).get("objective"), "sense")
        if sense not in ("min", "max"):
            raise Skipped("metadata['objective'] does not say whether it is to be small or large")
        return sense

    @cached_property
    def traces(self) -> list[Trace]:
        """Three whole episodes of random legal actions, each on a fresh copy.

        Raises:
            Skipped: none could be played (the rule "episode" says why).
        """
        try:
            traces = [record(self.make(), seed, at_random(seed), sampled=seed == 123) for seed in (0, 1, 123)]
        except Exception as error:
            raise Skipped(f"no episode could be played: {describe(error)}") from error
        return traces

    @cached_property
    def whole(self) -> list[Trace]:
        """Those of `traces` that came to an end."""
        ended = [trace for trace in self.traces if trace.ended]
        if not ended:
            raise Skipped("no episode came to an end")
        return ended


def describe(error: BaseException) -> str:
    """An error on one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}"


def _item(data: Any, key: str) -> Any:
    return data.get(key) if isinstance(data, Mapping) else None
