"""Foresight: what each action would come to if a rule or scorer went on from there, as features of the action slots.

A network that sees them starts from what the generic rollout planner knows and learns where that is wrong. They are
worked out by whoever plays the network, from imagined worlds alone, and are no part of the environment's observation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ..envs.core.errors import FieldError, UserError
from ..envs.core.random import combine
from ..envs.core.spec import Feature, ObservationSpec, feature_box
from .agent import Imagine, Observation, Setting
from .checkpoint import Arrays
from .planners.bases import Base, keep_bases, make_bases, restore_bases
from .planners.playouts import Playouts, check_worlds, draw_worlds

UNIT = 0.05
"""Share of the reward scale that a regret of 1 stands for: differences between good actions are a few hundredths."""
PRIOR = "regret_under_best"
PREFIX = "foresight."
"""What the names of arrays begin with that a checkpoint holds for its foresight."""
_HIGHEST = 64.0
_TAG = np.uint64(int.from_bytes(b"foresee", "big"))


@dataclass(frozen=True)
class Foreseen:
    """What foresight found in the present of n copies.

    Attributes:
        observation: with the features added.
        costs: float64 [n], the least mean cost over actions and bases; zero for copies whose episode has ended.
        scales: float64 [n], the reward scale; one for those.
    """

    observation: dict[str, NDArray[Any]]
    costs: NDArray[np.float64]
    scales: NDArray[np.float64]


class Foresight:
    """Adds to each legal action slot its regret under each of B bases, and the regret under the best of them.

    The regret of an action is the mean cost over imagined worlds if the base goes on after it, less that of the best
    action, in units of `UNIT` times the reward scale; all actions and bases meet the same worlds. The globals get the
    mean cost of the best action under the best base, over the reward scale.

    Args:
        bases: who goes on.
        setting: of an environment that can look ahead and scales its rewards by the instance.
        worlds: imagined worlds at each decision, K; 0 for the one in which nothing unforeseen happens.

    Raises:
        UserError: a base does not play in compiled code.

    Attributes:
        spec: what the observation holds with the features added.
        sign: of the objective as a cost (see `Setting.sign`).
        worlds: K, as given.
    """

    def __init__(self, bases: Sequence[Base], setting: Setting, worlds: int) -> None:
        self._playouts = Playouts([base.agent for base in bases], setting)
        check_worlds(worlds, setting)
        self.worlds = worlds
        self._bases = list(bases)
        self.sign = setting.sign
        self.spec = foresight_spec(setting.spec, [base.name for base in bases])

    def described(self) -> dict[str, Any]:
        """What a card says of it."""
        return {"of": [base.name for base in self._bases], "worlds": self.worlds}

    def arrays(self) -> Arrays:
        """What a checkpoint must hold of it."""
        return {f"{PREFIX}{name}": array for name, array in keep_bases(self._bases).items()}

    def space(self, space: spaces.Dict) -> spaces.Dict:
        """The space of an observation with the features added."""
        slots = space["action_mask"].shape
        assert slots is not None
        boxes = {
            "actions/features": feature_box(slots, self.spec.action_features),
            "globals": feature_box((), self.spec.globals),
        }
        return spaces.Dict({key: boxes.get(key, box) for key, box in space.items()})

    def look(
        self,
        imagine: Imagine,
        observation: Observation,
        mask: NDArray[np.int8],
        keys: NDArray[np.uint64],
        decisions: NDArray[np.int64],
        scales: NDArray[np.float64] | None = None,
    ) -> Foreseen:
        """Look ahead in the present of n copies.

        Args:
            imagine: how to.
            observation: arrays [n, ...] without the features; they are shared where they stay the same.
            mask: int8 [n, A]; all zero for copies whose episode has ended.
            keys, decisions: uint64 and int64 [n], what the imagined worlds are drawn from.
            scales: float64 [n], the reward scales, where they are known already.
        """
        worlds = draw_worlds(keys ^ _TAG, decisions, self.worlds)
        copies, actions = np.nonzero(mask)
        found = self._playouts.costs(imagine, copies, actions, worlds).mean(axis=2)
        running = np.flatnonzero(mask.any(axis=1))
        if scales is None:
            scales = np.ones(len(mask))
            if len(running):
                present = imagine(running, worlds[running, 0])
                scales[running] = [present.reward_scale(copy) for copy in range(len(running))]
        costs: NDArray[np.float64] = np.full((*mask.shape, found.shape[1] + 1), np.inf)
        costs[copies, actions, :-1] = found
        costs[copies, actions, -1] = found.min(axis=1)
        least = np.zeros((len(mask), found.shape[1] + 1))
        least[running] = costs[running].min(axis=1)
        regret = np.where(mask[..., None] != 0, (costs - least[:, None]) / (UNIT * scales[:, None, None]), 0.0)
        total = np.clip(least[:, -1:] / scales[:, None], -_HIGHEST, _HIGHEST)
        widened = dict(observation)
        widened["actions/features"] = np.concatenate(
            [observation["actions/features"], np.minimum(regret, _HIGHEST).astype(np.float32)], axis=2
        )
        widened["globals"] = np.concatenate([observation["globals"], total.astype(np.float32)], axis=1)
        return Foreseen(widened, least[:, -1], scales)

    def best_action(self, observation: Observation) -> NDArray[np.int64]:
        """What costs least in an observation with the features; int64 [n], 0 where nothing is legal."""
        regret = np.where(observation["action_mask"] != 0, observation["actions/features"][..., -1], np.inf)
        return regret.argmin(axis=1)

    def note(
        self, imagine: Imagine, copies: NDArray[np.int64], actions: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Costs float64 [k] and plans int64 [k, P] of actions, if the best base goes on after each.

        Copies whose episode has ended keep what was played.
        """
        return self._playouts.note(imagine, copies, actions)

    def follow(
        self, imagine: Imagine, copies: NDArray[np.int64], plans: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """What plans cost, and what becomes of them, from the present on, if nothing unforeseen happens any more: costs
        float64 [k] and plans int64 [k, P]. Where a plan says nothing, the first base goes on."""
        return self._playouts.follow(imagine, copies, plans)

    def blind(self, observation: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """One copy's observation with features of zero: where there is no present to look ahead from."""
        added = {
            "actions/features": len(self.spec.action_features) - observation["actions/features"].shape[-1],
            "globals": len(self.spec.globals) - observation["globals"].shape[-1],
        }
        widened = dict(observation)
        for key, count in added.items():
            array = observation[key]
            widened[key] = np.concatenate([array, np.zeros((*array.shape[:-1], count), array.dtype)], axis=-1)
        return widened


def make_foresight(of: str, worlds: int, setting: Setting) -> Foresight:
    """Foresight by bases given by their names, see `make_bases`.

    Raises:
        UserError: the environment cannot look ahead or does not scale its rewards by the instance; or see `make_bases`.
    """
    _refuse_blindness(setting)
    return Foresight(make_bases(of, setting, "foresight"), setting, worlds)


def _refuse_blindness(setting: Setting) -> None:
    """Raise where nobody can look ahead, before somebody asks for the rules of an environment that has none."""
    if setting.engine is None:
        raise UserError("foresight needs an environment that can look ahead (imagine)")
    if setting.options.get("reward_scale", "instance") != "instance":
        raise FieldError("option reward_scale", setting.options["reward_scale"], "'instance', where foresight is used")


def restore_foresight(
    described: Mapping[str, Any], arrays: Arrays, worlds: int, setting: Setting, source: str
) -> Foresight:
    """The foresight of a checkpoint.

    Args:
        described: the card's ``{"of": ["lrm", "scorer"], "worlds": 1}``.
        arrays: of the checkpoint, the network's and others.
        worlds: imagined at each decision.
        setting: of the environment.
        source: the checkpoint, for messages.

    Raises:
        UserError: the environment cannot look ahead or does not scale its rewards by the instance; or see
            `restore_bases`.
    """
    _refuse_blindness(setting)
    kept = {name[len(PREFIX) :]: array for name, array in arrays.items() if name.startswith(PREFIX)}
    return Foresight(restore_bases(foresight_names(described), kept, setting, source), setting, worlds)


def foresight_names(described: Mapping[str, Any]) -> list[str]:
    """Names of the bases in a card's description of the foresight.

    Raises:
        FieldError: there are none.
    """
    names = described.get("of")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise FieldError("foresight of", names, "a list of names of rules, or of scorers that the checkpoint holds")
    return names


def foresight_spec(spec: ObservationSpec, bases: Sequence[str]) -> ObservationSpec:
    """What an observation holds with the features of some bases added."""
    unit = f"{UNIT} x reward scale"
    regrets = [Feature(f"regret_under_{base}", unit, 0.0, _HIGHEST) for base in bases]
    regrets.append(Feature(PRIOR, unit, 0.0, _HIGHEST))
    total = Feature("foreseen_cost", "reward scale", -_HIGHEST, _HIGHEST)
    return replace(spec, action_features=(*spec.action_features, *regrets), globals=(*spec.globals, total))


def training_keys(seed: int, copies: int, moment: int) -> NDArray[np.uint64]:
    """Keys of the worlds that training imagines at its step number `moment`: uint64 [copies]."""
    stream = np.uint64(combine(np.uint64(combine(_TAG, seed)), moment))
    return np.array([combine(stream, copy) for copy in range(copies)], dtype=np.uint64)
