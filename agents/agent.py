"""What an agent is: anything that chooses, for a batch of copies at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..envs.core.engine import BatchEngine
from ..envs.core.names import OptionValue
from ..envs.core.spec import ObservationSpec

Observation = Mapping[str, NDArray[Any]]
Imagine = Callable[[NDArray[np.int64], NDArray[np.uint64]], BatchEngine]
"""``imagine(copies, keys)``: an engine of the given copies' present, each with its hidden future drawn from its key."""


class CompiledChoice(NamedTuple):
    """How an agent chooses in compiled code, as `makespan.envs.core.player.play_out` takes it.

    Attributes:
        choose: the compiled choice.
        parameters: [R, P], rows that it chooses by.
        rows: int64 [n], the row of each copy.
        keys: uint64 [n], of each copy's randomness.
        decisions: int64 [n], how many came before; counted on.
    """

    choose: Callable[..., Any]
    parameters: NDArray[Any]
    rows: NDArray[np.int64]
    keys: NDArray[np.uint64]
    decisions: NDArray[np.int64]


class Report(Protocol):
    """Who is told of what a search comes to, while it goes on."""

    def found(self, schedule: Any, /) -> None:
        """Take a schedule, as the environment makes them; whether it is valid and the best so far is seen there."""
        ...

    def bounded(self, bound: float, /) -> None:
        """Take a proved bound on the objective."""
        ...


@dataclass(frozen=True)
class Setting:
    """What an agent may know of an environment before it plays.

    Attributes:
        env_id: the registered id.
        options: the environment's options, as far as they were given; not which instances are played, since they may
            hold what nobody may know beforehand.
        spec: what an observation holds.
        objective: ``{"name", "unit", "sense"}``; sense is "min" or "max".
        engine: the problem's engine class, None for a plain Python environment.
        stochastic: whether the world holds events that nobody can foresee under these options.
        training_instances: the names of instances like those to be played that may be learned from, as the option
            ``instance`` takes them; None for the environment's own default.
        seed: of the agent's own randomness.
        device: where networks run: "auto", "cpu", "cuda", ...
    """

    env_id: str
    spec: ObservationSpec
    objective: Mapping[str, Any]
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    engine: type[BatchEngine] | None = None
    stochastic: bool = False
    training_instances: str | None = None
    seed: int = 0
    device: str = "auto"

    @property
    def sign(self) -> int:
        """1 where the objective is to be small, -1 where it is to be large: sign * objective is always a cost."""
        return 1 if self.objective["sense"] == "min" else -1


class Agent(ABC):
    """Anything that chooses: rules, learned policies, planners and exact solvers.

    Attributes:
        name: how tables call it.
        samples: how often each world is played; the best try counts. Where the world is stochastic that is hindsight.
        follows_plan: whether its choices make sense only if all earlier choices of the episode were its own.
        fixed_batch: whether choices may differ, in the last bits of floating point, with the size of the batch
            (networks): evaluation then fills every batch up to the same size.
        reads_instances: whether `begin` is handed the instances: making them takes longer than many an agent's play.
        improves: whether `improve` may be called.
        remark: what reports say of it beside its name, for example which rule was chosen.
    """

    name: str
    samples: int = 1
    follows_plan: bool = False
    fixed_batch: bool = False
    reads_instances: bool = False
    improves: bool = False
    remark: str = ""

    def begin(
        self,
        copies: NDArray[np.int64],
        instances: Sequence[Any],
        keys: NDArray[np.uint64],
        imagine: Imagine | None,
    ) -> None:
        """Some copies begin an episode.

        Args:
            copies: int64 [k], which.
            instances: the k instances (objects; names in plain Python environments), as far as they are known when
                an episode begins; none where the agent does not read them.
            keys: uint64 [k], of the agent's own randomness: the same world, agent seed and try give the same key,
                whatever else is in the batch.
            imagine: how to look ahead; None where the environment cannot.
        """

    @abstractmethod
    def act(self, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.int64]:
        """Choose one action for each copy.

        Args:
            observation: arrays [n, ...]; only to be read, and only during the call.
            mask: int8 [n, A]; all zero for copies whose episode has ended, where any action will do.

        Returns:
            int64 [n].
        """

    def action_costs(self, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.float64] | None:
        """What each action would cost in the end, by the agent's estimate; may be called in place of `act`.

        Args:
            observation, mask: as for `act`.

        Returns:
            float64 [n, A], infinite for actions that are illegal or not considered, all zero in rows without choice;
            None where the agent makes no such estimates.
        """
        return None

    def compiled_choice(self, copies: int) -> CompiledChoice | None:
        """How the agent plays a batch of so many copies to its end in compiled code; None where it cannot.

        Must make the same choices as `act`.
        """
        return None

    def improve(self, instance: Any, imagine: Imagine, seconds: float, report: Report, best: Any = None) -> None:
        """Search one instance for better and better schedules, instead of `begin` and `act`.

        Only where `improves` says so: by agents whose work can be stopped at any time.

        Args:
            instance: what is to be scheduled.
            imagine: how to look ahead from the start of it, which is copy 0.
            seconds: wall time, in place of a limit of the agent's own.
            report: is told of schedules and bounds as they come, from the thread that called.
            best: a valid schedule to begin from, None where there is none.

        Raises:
            KeyboardInterrupt: the user stopped it; what was reported stands.
        """
        raise NotImplementedError


class Proposer(Agent):
    """Makes whole schedules by itself, which the environment appraises, instead of choosing."""

    reads_instances = True

    @abstractmethod
    def propose(self, instance: Any, key: int) -> Any:
        """A schedule of an instance, as the environment makes them.

        Args:
            instance: what is to be scheduled.
            key: of the agent's own randomness.
        """

    def act(self, observation: Observation, mask: NDArray[np.int8]) -> NDArray[np.int64]:
        raise TypeError(f"agent {self.name!r} proposes whole schedules and does not play")
