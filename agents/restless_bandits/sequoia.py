"""SEQUOIA: the feasible action with the largest value of a Q-network, by a program that holds the network.

Source: Xu, Wilder, Khalil and Tambe, "Reinforcement learning with combinatorial actions for coupled restless bandits",
ICLR 2025 (arXiv 2503.01919). Here the solver is open, limits of the units come from the feasible set, the network
begins as the Lagrangian index, and what a solver leaves open is counted.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...envs.core.errors import FieldError, UnknownNameError, UserError
from ...envs.core.names import Name, check_options
from ...envs.restless_bandits.feasible import Action
from ...envs.restless_bandits.instance import BanditInstance
from ...envs.restless_bandits.program import FREE, NoSolutionError
from ..agent import Setting
from ..checkpoint import load_checkpoint
from .agent import RESTLESS_BANDITS, PolicyAgent
from .climb import Climber
from .embedded import SOLVERS, Effort, EmbeddedProgram, Inputs, ReluNet
from .lagrange import immediate_gains
from .model import KnownModel, reopened
from .outlook import ARM, GENERAL, PAIR, Outlook
from .policies import IndexProgram
from .q_network import HIDDEN, Weights, checked_weights, network_at

SECONDS = 10.0
"""Of a program, after which its best action so far is played."""
SEARCHES = ("auto", "milp", "local", "sampled", "iterative")
"""The last two are the comparisons of the paper: a DQN that looks at some random actions, and one that picks element
by element."""
SAMPLES = 100
_TOLERANCE = 1e-5


def network_card() -> dict[str, object]:
    """The card's description of the network."""
    return {"kind": "sequoia", "hidden": HIDDEN, "arm": list(ARM), "general": list(GENERAL), "pair": list(PAIR)}


def level_inputs(
    model: KnownModel, pairs: NDArray[np.int64] | None = None
) -> tuple[Inputs, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The inputs of a network over an instance's actions: the levels of its arms, then pairs acted on together.

    Returns:
        (inputs, (arm, level) of each level's input). Levels that an arm never has are left out.
    """
    instance = model.instance
    rows, column = model.level_rows
    arm, level = np.nonzero(column >= 0)
    columns = column[arm, level]
    # Arms that the same elements act on share their columns, and are one unit.
    first = {int(c): k for k, c in reversed(list(enumerate(columns.tolist())))}
    owner = np.array([arm[first[int(c)]] for c in columns.tolist()], dtype=np.int64)
    _, unit = np.unique(owner, return_inverse=True)
    most = instance.feasible.budget * (1 if instance.effect is None else instance.num_arms)
    if pairs is not None and len(pairs):
        builder = reopened(rows, instance.num_elements)
        for u, v in pairs.tolist():
            both = builder.variable(1, integral=False)
            builder.row("pair", [(both, 1.0), (u, -1.0)], upper=0.0)
            builder.row("pair", [(both, 1.0), (v, -1.0)], upper=0.0)
            builder.row("pair", [(u, 1.0), (v, 1.0), (both, -1.0)], upper=1.0)
        products = rows.num_columns + np.arange(len(pairs))
        rows = builder.build()
        columns = np.concatenate([columns, products])
        unit = np.concatenate([unit, unit.max() + 1 + np.arange(len(pairs))])
    return Inputs(rows, columns.astype(np.int64), unit.astype(np.int64), most), (arm, level)


class Sequoia(IndexProgram):
    """Plays the best action of a Q-network.

    Args:
        instance: as whoever plans knows it.
        weights: of the network, see `q_network`; None for the untrained one, which is the index.
        search: "milp", "local" or "auto": a program with proof, or changes of the index action as long as they are
            better; auto is local where even the set alone is too much for a program, on walks of many stops.
            "sampled": the best of some random feasible actions; "iterative": the element with which the value is
            largest joins, while it rises.
        seconds: of a program.
        solver: who solves it.
        tighten: whether limits of the second layer are tightened by linear programs.
        index: whether the network stands on the Lagrangian index; else on expected next rewards, which is what the
            paper's begins with.
    """

    def __init__(
        self,
        instance: BanditInstance,
        weights: Weights | None = None,
        search: str = "auto",
        seconds: float = SECONDS,
        solver: str = "highs",
        tighten: bool = False,
        index: bool = True,
    ) -> None:
        super().__init__(instance, None if index else immediate_gains(instance))
        self.weights, self.effort = weights, Effort()
        if search == "auto":
            search = "milp" if instance.feasible.quick_to_check else "local"
        self._search, self._seconds, self._solve = search, seconds, SOLVERS[solver]
        self._tighten = tighten
        self.outlook = Outlook(self.model, self.gain)
        self.inputs, (self._arm, self._level) = level_inputs(self.model, self.outlook.pairs)
        self.climber = Climber(self.model, self._arm, self._level, self.outlook.pairs)

    def network(self, epoch: int, states: NDArray[np.int64]) -> ReluNet:
        """The network in the inputs of `inputs` at a state."""
        assert self.weights is not None
        net, pairs = network_at(self.weights, self.outlook, epoch, states, self.worth(epoch, states))
        at = self._arm * (self.instance.num_levels - 1) + self._level - 1
        return net._replace(
            direct=np.concatenate([net.direct[at], pairs]),
            first=np.concatenate([net.first[:, at], np.zeros((len(net.first), len(pairs)))], axis=1),
        )

    def decide(self, epoch: int, states: NDArray[np.int64], rng: np.random.Generator) -> Action:
        if self.weights is None:
            return super().decide(epoch, states, rng)
        net = self.network(epoch, states).check()
        if self._search == "sampled":
            actions = np.array([self.instance.feasible.sample(rng) for _ in range(SAMPLES)])
            return actions[int(net.values(self.climber.inputs_of(actions)).argmax())]
        if self._search == "iterative":
            return self.model.grow(lambda actions: net.values(self.climber.inputs_of(actions)))
        best = self.climber.climb(net, self.start(epoch, states))
        return best if self._search == "local" else self.by_program(net, best)

    def start(self, epoch: int, states: NDArray[np.int64]) -> Action:
        """A good action by the gains, for local search to start with."""
        worth = self.worth(epoch, states)
        try:
            if self.instance.effect is None:
                return self.instance.feasible.quick(worth[:, 1] - worth[:, 0])
            return self.model.best(worth).action
        except NoSolutionError:
            self.failures += 1
            return self.instead(epoch, states)

    def by_program(self, net: ReluNet, start: Action) -> Action:
        """The program's action; the one to start with where that is better, or where there is none."""
        effort = self.effort
        effort.solved += 1
        value = self.climber.value(net, start)
        program = EmbeddedProgram(net, self.inputs, self._tighten)
        effort.unstable += program.unstable
        try:
            found = program.solve(self._solve, self._seconds, self._point(start))
            action = self.model.checked(found.values)
        except NoSolutionError:
            effort.failed += 1
            self.failures += 1
            self.remark = self._failure_remark()
            return start
        reached = max(value, self.climber.value(net, action))
        # Solvers err, too: a bound that a known action is above proves nothing.
        proved = found.proved and reached <= found.bound + _TOLERANCE * (1.0 + abs(found.bound))
        effort.proved += proved
        if not proved:
            effort.gap += max(found.bound - reached, 0.0)
            self.remark = self._failure_remark()
        return start if value >= reached else action

    def _point(self, action: Action) -> NDArray[np.float64] | None:
        """An action as a point of the inputs' rows, where the set can say so."""
        point, pairs = self.instance.feasible.point(action), self.outlook.pairs
        if point is None or self.instance.effect is not None:
            return None
        both = (action[pairs[:, 0]] * action[pairs[:, 1]]).astype(np.float64)
        return np.concatenate([point, both])

    def _failure_remark(self) -> str:
        effort = self.effort
        open_ = effort.solved - effort.proved - effort.failed
        return (
            f"{effort.solved} programs: {open_} were not proved, with a mean gap of {effort.gap / max(open_, 1):.3g}, "
            f"{effort.failed} found nothing and an action of local search was played"
        )


def load_sequoia_agent(name: Name, folder: Path, setting: Setting) -> PolicyAgent:
    """The agent of a checkpoint: ``checkpoints/sequoia_capacity[:search=local][:time=T][:solver=scipy][:tighten=1]``.

    Raises:
        UserError: the checkpoint is damaged or sees other features, an option is wrong, or it is another environment.
    """
    check_options(name, "agent", ("samples", "search", "time", "solver", "tighten"))
    if setting.env_id != RESTLESS_BANDITS:
        raise UserError(f"agent {str(name)!r} plays {RESTLESS_BANDITS!r}, not {setting.env_id!r}")
    weights, card = load_checkpoint(folder)
    described = dict(card["network"])
    index, usual = bool(described.pop("index", True)), described.pop("search", "auto")
    search, solver = str(name.options.get("search", usual)), str(name.options.get("solver", "highs"))
    for key, value, known in (("search", search, SEARCHES), ("solver", solver, tuple(SOLVERS))):
        if value not in known:
            raise UnknownNameError(f"option {key} of agent {name.base!r}", value, known)
    seconds = name.options.get("time", SECONDS)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < FREE:
        raise FieldError(f"option time of agent {name.base!r}", seconds, "seconds, above 0")
    if described != network_card():
        raise UserError(f"checkpoint {str(folder)!r} holds a Q-network of other features or another size")
    loaded = checked_weights(weights, str(folder))
    tighten = bool(name.options.get("tighten", 0))
    agent = PolicyAgent(
        setting,
        "sequoia",
        lambda instance: Sequoia(instance, loaded, search, float(seconds), solver, tighten, index),
    )
    agent.name = str(name)
    return agent
