"""Local search of an action by a network's value: compiled values of all swaps, additions and removals at once.

It proves nothing; how much it misses is measured (`benchmarks/bandit_decisions.py`). Where looking whether an action is
feasible takes long (walks of many stops), the network is replaced by what each element adds to the action at hand, and
the set's own search finds a good action for that, again and again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...envs.core.compile import compiled
from ...envs.restless_bandits.feasible import Action
from .embedded import ReluNet
from .model import KnownModel

_ROUNDS = 100
_REPLACED = 8  # times that a network is replaced by what elements add
_LEAST = 1e-9
_MOST_KEPT = 100_000


@compiled
def change_values(direct, pair, first, second, second_bias, output, sums, inside, outside, scratch, values):
    """What the network gains by each change of an action.

    Args:
        direct: [N], worth of each element alone.
        pair: [N, N], worth of two elements together, symmetric; [0, 0] for none.
        first: [N, H], weights of the first layer by element.
        second: [H, H]. second_bias, output: [H].
        sums: [H], of the first layer under the action.
        inside, outside: int64 [I], [O], elements in the action and not.
        scratch: [2, N + 2 * H].
        values: written, [I + 1, O + 1], the value after dropping the element of a row and adding that of a column; none
            is dropped in the last row, and none added in the last column.
    """
    size, hidden = first.shape
    near, own = scratch[0], scratch[1]  # worth of pairs with the action; of an element with that
    base = 0.0
    for j in range(size):
        near[j] = 0.0
        if len(pair) > 0:
            for k in range(len(inside)):
                near[j] += pair[j, inside[k]]
        own[j] = direct[j] + near[j]
    for k in range(len(inside)):
        base += direct[inside[k]] + 0.5 * near[inside[k]]
    z = scratch[0, size : size + hidden]
    y = scratch[0, size + hidden : size + 2 * hidden]
    for r in range(len(inside) + 1):
        for c in range(len(outside) + 1):
            value = base
            for h in range(hidden):
                z[h] = sums[h]
            if r < len(inside):
                i = inside[r]
                value -= own[i]
                for h in range(hidden):
                    z[h] -= first[i, h]
            if c < len(outside):
                o = outside[c]
                value += own[o]
                for h in range(hidden):
                    z[h] += first[o, h]
                if r < len(inside) and len(pair) > 0:
                    value -= pair[inside[r], o]
            for h in range(hidden):
                y[h] = second_bias[h]
            for g in range(hidden):
                if z[g] > 0.0:
                    for h in range(hidden):
                        y[h] += z[g] * second[g, h]
            for h in range(hidden):
                if y[h] > 0.0:
                    value += y[h] * output[h]
            values[r, c] = value


class Climber:
    """Local search over one instance's actions.

    Args:
        model: of the instance.
        arm, level: int64 [L], of the network's first L inputs.
        pairs: int64 [P, 2], elements of the other inputs.
    """

    def __init__(
        self, model: KnownModel, arm: NDArray[np.int64], level: NDArray[np.int64], pairs: NDArray[np.int64]
    ) -> None:
        self._model, self._feasible = model, model.instance.feasible
        self._arm, self._level, self._pairs = arm, level, pairs
        self._known: dict[bytes, bool] = {}

    def inputs_of(self, actions: NDArray[np.int8]) -> NDArray[np.float64]:
        """float64 [M, L + P]: the network's inputs under some actions [M, N]."""
        given = (self._model.levels(actions)[:, self._arm] == self._level).astype(np.float64)
        pairs = self._pairs
        if not len(pairs):
            return given
        return np.concatenate([given, (actions[:, pairs[:, 0]] & actions[:, pairs[:, 1]]).astype(np.float64)], axis=1)

    def value(self, net: ReluNet, action: Action) -> float:
        """The network's value of an action."""
        return float(net.values(self.inputs_of(action[None]))[0])

    def climb(self, net: ReluNet, action: Action) -> Action:
        """The best feasible swap, addition or removal, as long as the network's value rises by one."""
        if not self._feasible.quick_to_check:
            return self._replace(net, action)
        for _ in range(_ROUNDS):
            inside, outside = np.flatnonzero(action), np.flatnonzero(action == 0)
            values = self._changes(net, action, inside, outside)
            found = self._best(action, inside, outside, values)
            if found is None:
                return action
            action = found
        return action

    def _best(
        self,
        action: Action,
        inside: NDArray[np.int64],
        outside: NDArray[np.int64],
        values: NDArray[np.float64],
    ) -> Action | None:
        """The feasible change of the largest value, if that is above the action's own in the last corner."""
        better = np.flatnonzero(values.ravel() > values[-1, -1] + _LEAST)
        kinds, refused = self._feasible.kinds, set()
        for at in better[np.argsort(-values.ravel()[better], kind="stable")].tolist():
            r, c = divmod(at, len(outside) + 1)
            change = (
                int(kinds[inside[r]]) if r < len(inside) else -1,
                int(kinds[outside[c]]) if c < len(outside) else -1,
            )
            if change in refused:
                continue
            other = action.copy()
            if r < len(inside):
                other[inside[r]] = 0
            if c < len(outside):
                other[outside[c]] = 1
            if change[0] == change[1] or self._contains(other):
                return other
            refused.add(change)
        return None

    def _contains(self, action: Action) -> bool:
        """Whether an action is feasible; actions of equally many elements of each kind are alike."""
        key = np.bincount(self._feasible.kinds[action == 1], minlength=1).tobytes()
        if key not in self._known:
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            self._known[key] = self._feasible.contains(action)
        return self._known[key]

    def _changes(
        self, net: ReluNet, action: Action, inside: NDArray[np.int64], outside: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """float64 [I + 1, O + 1]: values after changes, see `change_values`."""
        values = np.empty((len(inside) + 1, len(outside) + 1))
        if self._model.instance.effect is not None:
            near = np.broadcast_to(action, (*values.shape, len(action))).copy()
            near[np.arange(len(inside)), :, inside] = 0
            near[:, np.arange(len(outside)), outside] = 1
            return net.values(self.inputs_of(near.reshape(-1, len(action)))).reshape(values.shape)
        size, hidden = len(action), len(net.second_bias)
        pair = np.zeros((0, 0))
        if len(self._pairs):
            pair = np.zeros((size, size))
            pair[self._pairs[:, 0], self._pairs[:, 1]] = net.direct[size:]
            pair += pair.T
        first = np.ascontiguousarray(net.first[:, :size].T)
        sums = net.first_bias + first[inside].sum(axis=0)
        change_values(
            np.ascontiguousarray(net.direct[:size]),
            pair,
            first,
            np.ascontiguousarray(net.second.T),
            net.second_bias,
            net.output,
            sums,
            inside,
            outside,
            np.empty((2, size + 2 * hidden)),
            values,
        )
        return values + net.constant

    def _replace(self, net: ReluNet, action: Action) -> Action:
        """Good actions for what elements add to the one at hand, as long as the network's value rises."""
        value = self.value(net, action)
        for _ in range(_REPLACED):
            inside, outside = np.flatnonzero(action), np.flatnonzero(action == 0)
            values = self._changes(net, action, inside, outside)
            adds = np.empty(len(action))
            adds[inside], adds[outside] = values[-1, -1] - values[:-1, -1], values[-1, :-1] - values[-1, -1]
            other = self._feasible.quick(adds)
            reached = self.value(net, other)
            if reached <= value + _LEAST:
                break
            action, value = other, reached
        return action
