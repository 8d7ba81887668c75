"""The static data of a coupled restless bandit: arms as finite Markov chains, what they pay, and what couples them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.errors import FieldError, UserError
from ..core.files import atomic_write
from ..core.instance import (
    content_hash,
    load_document,
    require_integer,
    require_keys,
    require_list,
    require_name,
)
from .checks import check_effect, check_number, check_stochastic, check_table
from .feasible import FeasibleSet
from .sets import read_set

FORMAT = "makespan/restless-bandits"
VERSION = 1
MAX_ARMS, MAX_STATES, MAX_LEVELS, MAX_HORIZON, MAX_REWARD = 10_000, 64, 16, 10_000, 1e6
LEAST_UNTREATED = 0.02
"""An arm of a contagion goes up with at least this probability."""

_KEYS = ("format", "version", "name", "horizon", "arms", "feasible")
_OPTIONAL_KEYS = ("family", "discount", "joint", "contagion", "effect")
_ARM_KEYS = ("transition", "up", "reward", "start", "group", "name", "position")


@dataclass(frozen=True)
class Joint:
    """A reward that several arms earn together: `weight` in each epoch after which all of them are in state `least` or
    above."""

    arms: tuple[int, ...]
    weight: float
    least: int = 2


@dataclass(frozen=True)
class Contagion:
    """How untreated arms suffer by their neighbours.

    An untreated birth-death arm j goes up with probability max(b_j - strength * (share of neighbours in state
    `sick` or below), 0.02), where b_j is what its transition of level 0 says.

    Attributes:
        neighbours: for each arm those that it suffers by.
    """

    neighbours: tuple[tuple[int, ...], ...]
    strength: float = 0.85
    sick: int = 1


@dataclass(frozen=True, eq=False, repr=False)
class BanditInstance:
    """J arms with S states each, acted on at K levels; checked when made, its arrays are copies and read-only.

    Attributes:
        name: how it is called.
        transition: float64 [J, K, S, S], probability of the next state by level and state.
        reward: float64 [J, S], what an arm pays in its *next* state.
        start: float64 [J, S], probability of its first state.
        horizon: H, epochs of an episode.
        feasible: which elements may be chosen together. Where there is no `effect` element j is arm j at level 1.
        discount: what a reward counts one epoch later, for solvers that are not told otherwise; the objective of an
            episode is not discounted.
        family: which law it was drawn by, or any name.
        group: of each arm, for metrics on who is left out.
        effect: integers [J, N], by how many levels each element raises each arm; None: the identity.
        joint: rewards of several arms together.
        contagion: None: arms move independently of each other.
        positions: float64 [J, 2], where arms are drawn on a map; None: nowhere in particular.
        arm_names: what arms are called in pictures; none: by their numbers.

    Raises:
        UserError: something is malformed; the message names arm, state and constraint.
    """

    name: str
    transition: NDArray[np.float64]
    reward: NDArray[np.float64]
    start: NDArray[np.float64]
    horizon: int
    feasible: FeasibleSet
    discount: float = 1.0
    family: str = "custom"
    group: tuple[str, ...] = ()
    effect: NDArray[np.int64] | None = None
    joint: tuple[Joint, ...] = ()
    contagion: Contagion | None = None
    positions: NDArray[np.float64] | None = None
    arm_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_name("name", self.name)
        require_name("family", self.family)
        require_integer("horizon", self.horizon, 1, MAX_HORIZON)
        check_number("discount", self.discount, 0.0, 1.0)
        arms, levels, states = self._shape()
        transition = check_stochastic(
            "transition", self.transition, (arms, levels, states, states), ("level ", "state ")
        )
        fixed: dict[str, Any] = {
            "transition": transition,
            "reward": check_table("reward", self.reward, (arms, states), -MAX_REWARD, MAX_REWARD, ("state ",)),
            "start": check_stochastic("start", self.start, (arms, states), ("state ",)),
            "group": tuple(self.group) or ("all",) * arms,
            "joint": tuple(self.joint),
            "arm_names": tuple(self.arm_names),
        }
        if len(fixed["group"]) != arms:
            raise FieldError("group", fixed["group"], f"{arms} names, one for each arm")
        for j, group in enumerate(fixed["group"]):
            require_name(f"arms[{j}].group", group)
        if fixed["arm_names"] and len(set(fixed["arm_names"])) != arms:
            raise FieldError("arm_names", fixed["arm_names"], f"{arms} different names, one for each arm, or none")
        for j, arm_name in enumerate(fixed["arm_names"]):
            require_name(f"arms[{j}].name", arm_name)
        if self.effect is not None:
            fixed["effect"] = check_effect(self.effect, arms, levels, self.feasible.size)
        elif self.feasible.size != arms:
            expected = f"{arms}, one for each arm, or an effect of the elements on the arms"
            raise FieldError("feasible: number of elements", self.feasible.size, expected)
        elif levels != 2:
            raise FieldError("arms: levels", levels, "2 (passive, active) where there is no effect of the elements")
        if self.positions is not None:
            fixed["positions"] = check_table("positions", self.positions, (arms, 2), -1e9, 1e9)
        for name, value in fixed.items():
            object.__setattr__(self, name, value)
        self._check_joint()
        self._check_contagion()

    def _shape(self) -> tuple[int, int, int]:
        table = np.asarray(self.transition)
        if table.ndim != 4 or table.shape[2] != table.shape[3]:
            raise FieldError("transition: shape", table.shape, "(arms, levels, states, states)")
        require_integer("number of arms", table.shape[0], 1, MAX_ARMS)
        require_integer("number of levels", table.shape[1], 2, MAX_LEVELS)
        require_integer("number of states", table.shape[2], 2, MAX_STATES)
        return table.shape[0], table.shape[1], table.shape[2]

    def _check_joint(self) -> None:
        for g, joint in enumerate(self.joint):
            where = f"joint[{g}]"
            for k, arm in enumerate(joint.arms):
                require_integer(f"{where}.arms[{k}]", arm, 0, self.num_arms - 1)
            if len(set(joint.arms)) != len(joint.arms) or not joint.arms:
                raise FieldError(f"{where}.arms", joint.arms, "different arms, one at least")
            check_number(f"{where}.weight", joint.weight, -MAX_REWARD, MAX_REWARD)
            require_integer(f"{where}.least", joint.least, 0, self.num_states - 1)

    def _check_contagion(self) -> None:
        if self.contagion is None:
            return
        near = self.contagion.neighbours
        if len(near) != self.num_arms:
            raise FieldError("contagion.neighbours", f"{len(near)} lists", f"{self.num_arms}, one for each arm")
        for j, row in enumerate(near):
            for k, other in enumerate(row):
                require_integer(f"contagion.neighbours[{j}][{k}]", other, 0, self.num_arms - 1)
            if j in row or len(set(row)) != len(row):
                raise FieldError(f"contagion.neighbours[{j}]", row, "different arms, without the arm itself")
        check_number("contagion.strength", self.contagion.strength, 0.0, 1.0)
        require_integer("contagion.sick", self.contagion.sick, 0, self.num_states - 1)
        if self.up is None:
            raise FieldError("contagion", "given", "arms that go up or down one state, as birth_death makes them")

    def __repr__(self) -> str:
        return f"BanditInstance({self.name!r}, {self.num_arms} arms, {self.feasible.kind}, horizon {self.horizon})"

    # --- sizes --------------------------------------------------------------------------------------------------------

    @property
    def num_arms(self) -> int:
        """J."""
        return self.transition.shape[0]

    @property
    def num_levels(self) -> int:
        """K, the passive level included."""
        return self.transition.shape[1]

    @property
    def num_states(self) -> int:
        """S."""
        return self.transition.shape[2]

    @property
    def num_elements(self) -> int:
        """N, the elements that an action consists of."""
        return self.feasible.size

    # --- the model ----------------------------------------------------------------------------------------------------

    @cached_property
    def up(self) -> NDArray[np.float64] | None:
        """float64 [J, K], the probability of going up, where every arm is a birth-death chain; else None."""
        up = self.transition[:, :, 0, 1]
        same = np.array_equal(birth_death(up, self.num_states), self.transition)
        return np.array(up) if same else None

    def levels(self, action: ArrayLike) -> NDArray[np.int64]:
        """int64 [J]: the level at which an action acts on each arm."""
        bits = np.asarray(action).astype(np.int64)
        raised = bits if self.effect is None else self.effect @ bits
        return np.minimum(raised, self.num_levels - 1)

    def next_law(self, states: ArrayLike, action: ArrayLike) -> NDArray[np.float64]:
        """float64 [J, S]: the probability of each arm's next state; given both, arms move independently.

        Args:
            states: integers [J].
            action: [N], not checked.
        """
        now, levels = np.asarray(states), self.levels(action)
        law = self.transition[np.arange(self.num_arms), levels, now]
        if self.contagion is None:
            return law
        law = law.copy()
        assert self.up is not None
        for j in np.flatnonzero(levels == 0).tolist():
            near = self.contagion.neighbours[j]
            share = sum(now[k] <= self.contagion.sick for k in near) / max(len(near), 1)
            up = max(self.up[j, 0] - self.contagion.strength * share, LEAST_UNTREATED)
            law[j] = birth_death(np.array([[up]]), self.num_states)[0, 0, now[j]]
        return law

    def expected_reward(self, states: ArrayLike, action: ArrayLike) -> float:
        """The expected reward of the next states."""
        law = self.next_law(states, action)
        total = float((law * self.reward).sum())
        for joint in self.joint:
            total += joint.weight * float(np.prod(law[list(joint.arms), joint.least :].sum(axis=1)))
        return total

    def realised_reward(self, states: ArrayLike) -> float:
        """What given next states pay."""
        now = np.asarray(states)
        total = float(self.reward[np.arange(self.num_arms), now].sum())
        return total + sum(joint.weight for joint in self.joint if (now[list(joint.arms)] >= joint.least).all())

    def reward_limits(self) -> tuple[float, float]:
        """What an epoch can pay at least and at most."""
        low, high = float(self.reward.min(axis=1).sum()), float(self.reward.max(axis=1).sum())
        for joint in self.joint:
            low, high = low + min(joint.weight, 0.0), high + max(joint.weight, 0.0)
        return low, high

    def with_feasible(self, feasible: FeasibleSet) -> BanditInstance:
        """The same arms under another feasible set."""
        return replace(self, feasible=feasible)

    def estimated(self, observed: int) -> BanditInstance:
        """The instance as whoever plans knows it from `observed` transitions per arm and level.

        A birth-death arm's are pooled over its states; those of other chains are shared out evenly, at least one to
        each state. The draws depend on the instance and on `observed` alone.
        """
        count = require_integer("option model_error", observed, 1, 10**9)
        rng = np.random.Generator(np.random.Philox(key=int(self.hash, 16) << 64 | count))
        if self.up is not None:
            table = birth_death(rng.binomial(count, self.up) / count, self.num_states)
        else:
            each = max(count // self.num_states, 1)
            table = rng.multinomial(each, self.transition) / each
        return replace(self, transition=table)

    # --- files --------------------------------------------------------------------------------------------------------

    @cached_property
    def hash(self) -> str:
        """Hash of everything but the name, the family, and names and positions of arms."""
        data = self.to_dict()
        arms = [{key: value for key, value in arm.items() if key not in ("name", "position")} for arm in data["arms"]]
        return content_hash({**{key: data[key] for key in data if key not in ("name", "family")}, "arms": arms})

    def to_dict(self) -> dict[str, Any]:
        """The instance as plain JSON data; `from_dict` reads it back."""
        arms = []
        for j in range(self.num_arms):
            chain: dict[str, Any] = (
                {"transition": self.transition[j].tolist()} if self.up is None else {"up": self.up[j].tolist()}
            )
            where: dict[str, Any] = {} if self.positions is None else {"position": self.positions[j].tolist()}
            if self.arm_names:
                where["name"] = self.arm_names[j]
            law = {"reward": self.reward[j].tolist(), "start": self.start[j].tolist(), "group": self.group[j]}
            arms.append({**chain, **law, **where})
        data: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "name": self.name,
            "family": self.family,
            "horizon": int(self.horizon),
            "discount": float(self.discount),
            "arms": arms,
            "feasible": self.feasible.to_dict(),
        }
        if self.effect is not None:
            data["effect"] = self.effect.tolist()
        if self.joint:
            data["joint"] = [{"arms": list(one.arms), "weight": one.weight, "least": one.least} for one in self.joint]
        if self.contagion is not None:
            near = [list(row) for row in self.contagion.neighbours]
            data["contagion"] = {"neighbours": near, "strength": self.contagion.strength, "sick": self.contagion.sick}
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], source: str | None = None) -> BanditInstance:
        """The instance of parsed JSON whose header has been checked.

        An arm is given by ``transition`` [K, S, S] or, if it goes up or down one state, by ``up`` [K].

        Raises:
            UserError: something is missing, unknown or malformed.
        """
        require_keys("the document", data, _KEYS, _OPTIONAL_KEYS, source)
        arms = require_list("arms", data["arms"], source)
        if not arms:
            raise FieldError("arms", arms, "one arm at least", source)
        rows = [_read_arm(f"arms[{j}]", arm, source) for j, arm in enumerate(arms)]
        transition, reward, start, group = (list(column) for column in zip(*rows, strict=True))
        labels = _for_all("name", arms, source)
        positions = _for_all("position", arms, source)
        effect = data.get("effect")
        if effect is not None and (not isinstance(effect, list) or not effect or not isinstance(effect[0], list)):
            raise FieldError("effect", effect, "a list of one row for each arm", source)
        size = len(arms) if effect is None else len(effect[0])
        try:
            return cls(
                name=data["name"],
                transition=_stacked("transition", transition),
                reward=_stacked("reward", reward),
                start=_stacked("start", start),
                horizon=data["horizon"],
                feasible=read_set(data["feasible"], size, source),
                discount=data.get("discount", 1.0),
                family=data.get("family", "custom"),
                group=tuple(group),
                arm_names=tuple(labels),
                positions=_stacked("position", positions) if positions else None,
                effect=effect,  # type: ignore[arg-type]
                joint=_read_joint(data.get("joint", [])),
                contagion=_read_contagion(data.get("contagion")),
            )
        except FieldError as error:
            if source is None or error.source is not None:
                raise
            raise FieldError(error.field, error.value, error.expected, source) from None
        except UserError as error:
            if source is None or str(error).startswith(source):
                raise
            raise UserError(f"{source}: {error}") from None

    @classmethod
    def load(cls, path: str | Path) -> BanditInstance:
        """Read a file.

        Raises:
            UserError: it cannot be read, or something in it is malformed.
        """
        return cls.from_dict(load_document(path, FORMAT, (VERSION,)), str(path))

    def save(self, path: str | Path) -> None:
        """Write a file that `load` reads back.

        Raises:
            UserError: it cannot be written.
        """
        atomic_write(path, json.dumps(self.to_dict(), indent=1) + "\n")


def birth_death(up: ArrayLike, states: int = 4) -> NDArray[np.float64]:
    """Chains that go up one state with probability p, else down one; only at the ends they stay.

    Args:
        up: float [J, K], p by arm and level.
        states: S.

    Returns:
        float64 [J, K, S, S].
    """
    p = np.asarray(up, dtype=np.float64)
    table = np.zeros((*p.shape, states, states))
    for s in range(states):
        table[..., s, min(s + 1, states - 1)] += p
        table[..., s, max(s - 1, 0)] += 1.0 - p
    return table


def bernoulli_start(arms: int, share: float = 0.2, states: int = 4) -> NDArray[np.float64]:
    """float64 [J, S]: arms begin in state 1 with probability `share`, else in state 0."""
    start = np.zeros((arms, states))
    start[:, 0], start[:, 1] = 1.0 - share, share
    return start


def _read_arm(where: str, arm: Any, source: str | None) -> tuple[Any, Any, Any, Any]:
    """(transition, reward, start, group) of an arm of a file."""
    data = require_keys(where, arm, ("reward",), _ARM_KEYS, source)
    if ("transition" in data) == ("up" in data):
        raise FieldError(where, sorted(data), "either 'transition' or 'up'", source)
    reward = _numbers(f"{where}.reward", data["reward"], 1, source)
    if "up" in data:
        up = _numbers(f"{where}.up", data["up"], 1, source)
        wrong = np.flatnonzero(~((up >= 0) & (up <= 1)))
        if len(wrong):
            raise FieldError(f"{where}.up[level {wrong[0]}]", float(up[wrong[0]]), "a probability from 0 to 1", source)
        transition = birth_death(up, len(reward))
    else:
        transition = _numbers(f"{where}.transition", data["transition"], 3, source)
    start = _numbers(f"{where}.start", data["start"], 1, source) if "start" in data else None
    if start is None:
        start = np.zeros(len(reward))
        start[0] = 1.0
    return transition, reward, start, data.get("group", "all")


def _for_all(key: str, arms: list[Any], source: str | None) -> list[Any]:
    """A key's values of all arms; none where no arm has it."""
    found = [arm[key] for arm in arms if key in arm]
    if found and len(found) < len(arms):
        missing = next(j for j, arm in enumerate(arms) if key not in arm)
        raise FieldError(f"arms[{missing}]", sorted(arms[missing]), f"a {key!r}, as other arms have one", source)
    if key == "position":
        return [_numbers(f"arms[{j}].position", value, 1, source) for j, value in enumerate(found)]
    return found


def _numbers(where: str, value: Any, axes: int, source: str | None) -> NDArray[np.float64]:
    what = ("a list of numbers", "", "a list [levels][states][states] of numbers")[axes - 1]
    try:
        array = np.array(value)
    except ValueError:
        raise FieldError(where, "rows of different lengths", what, source) from None
    if array.ndim != axes or array.dtype.kind not in "iuf" or not array.size:
        raise FieldError(where, value, what, source)
    return array.astype(np.float64)


def _stacked(name: str, tables: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Arms' tables in one; all must have one shape."""
    for j, table in enumerate(tables):
        if table.shape != tables[0].shape:
            raise FieldError(f"arms[{j}].{name}: shape", table.shape, f"that of arms[0], {tables[0].shape}")
    return np.stack(tables)


def _read_joint(rows: Any) -> tuple[Joint, ...]:
    found = []
    for g, row in enumerate(require_list("joint", rows)):
        data = require_keys(f"joint[{g}]", row, ("arms", "weight"), ("least",))
        found.append(Joint(tuple(require_list(f"joint[{g}].arms", data["arms"])), data["weight"], data.get("least", 2)))
    return tuple(found)


def _read_contagion(data: Any) -> Contagion | None:
    if data is None:
        return None
    given = require_keys("contagion", data, ("neighbours",), ("strength", "sick"))
    rows = require_list("contagion.neighbours", given["neighbours"])
    near = tuple(tuple(require_list(f"contagion.neighbours[{j}]", row)) for j, row in enumerate(rows))
    return Contagion(near, given.get("strength", 0.85), given.get("sick", 1))
