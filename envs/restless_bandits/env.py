"""`makespan/RestlessBandits-v0`: the two doors to coupled restless bandits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from ..core.env import SchedulingVectorEnv
from ..core.errors import FieldError
from ..core.options import split_options
from ..core.pictured import PicturedEnv
from .card import DEFAULT_INSTANCE
from .engine import BanditEngine
from .instance import BanditInstance
from .options import BanditOptions
from .schedule import BanditSchedule
from .source import InstanceSource, names, resolve
from .validity import validate

if TYPE_CHECKING:
    from .scale import Scale

MOST_WEIGHT = 1e9


def make_engine(
    num_copies: int,
    instance: str | BanditInstance | Sequence[str | BanditInstance] = DEFAULT_INSTANCE,
    record: bool = False,
    threads: int = 1,
    **options: Any,
) -> BanditEngine:
    """Make the engine from the options of the registered id.

    Args:
        num_copies: n.
        instance: names, sets, paths, ``random:size=capacity-j20`` (a hundred), or instances.
        record: keep what happened in every epoch.
        threads: threads that share a step of a large batch.
        options: fields of `BanditOptions`.

    Raises:
        UserError: an option or an instance is not what it should be.
    """
    known = [field.name for field in fields(BanditOptions)]
    own, _ = split_options("makespan/RestlessBandits-v0", options, known)
    return BanditEngine(num_copies, InstanceSource.parse(instance), BanditOptions(**own), record, None, threads)


def _action_space(engine: BanditEngine) -> spaces.Space[Any]:
    """The space of an epoch's whole action, or of a weight for each element."""
    size = engine.room.elements
    if engine.options.view == "vector":
        return spaces.MultiBinary(size)
    return spaces.Box(-MOST_WEIGHT, MOST_WEIGHT, (size,), np.float64)


class RestlessBanditsEnv(PicturedEnv):
    """Coupled restless bandits: which arms to act on in each epoch, where a combinatorial set couples them.

    ## Action space
    ``Discrete(N + 1)``: element 0 .. N - 1 joins the epoch's action, N is STOP: the action is played, and every arm
    moves. The mask lets through what can be completed to a feasible action. With ``view="vector"`` an action is a whole
    one, ``MultiBinary(N)``; with ``view="cost"`` a weight for each element, whose best feasible action is played.

    ## Observation space
    Arms with their states, elements, and what couples them; see `makespan.envs.restless_bandits.observation.SPEC`.

    ## Rewards
    At STOP, what the states pay that arms moved to, over what an episode can pay at most. An illegal action returns
    less than any episode of legal ones.

    ## Starting state
    Drawn by the instance's start law.

    ## Episode end
    Terminates after ``horizon`` epochs, or at an illegal action (``on_illegal="terminate"``).

    ## Arguments
    ``instance``, ``on_illegal``, ``render_mode`` and the fields of
    `makespan.envs.restless_bandits.options.BanditOptions`.

    ## Version history
    v0: first version.
    """

    metadata: dict[str, Any] = {
        "render_modes": ["rgb_array", "ansi"],
        "render_fps": 4,
        "objective": BanditEngine.objective,
    }
    make_engine: ClassVar[Any] = staticmethod(make_engine)
    package: ClassVar[str] = str(__package__)
    schedule_type: ClassVar[Any] = BanditSchedule

    def __init__(self, render_mode: str | None = None, on_illegal: str = "terminate", **options: Any) -> None:
        super().__init__(render_mode, on_illegal, **options)
        if self._bandits.options.view != "sequential":
            self.action_space = _action_space(self._bandits)  # type: ignore[assignment]
            self._action = np.zeros((1, self._bandits.room.elements))

    def _write_action(self, action: Any) -> None:
        if self._bandits.options.view == "sequential":
            super()._write_action(action)
            return
        given = np.asarray(action)
        if given.shape != self._action.shape[1:] or given.dtype.kind not in "biuf":
            raise FieldError("action", action, f"an array of {self._action.shape[1]} numbers")
        self._action[0] = given

    def instances(self) -> list[str]:
        return names()

    def expected_scale(self, instance: BanditInstance | str) -> Scale | None:
        """What acting on nothing returns on average, and a bound on any policy's expected return, with its name.

        Single episodes may lie beyond both. None for an instance whose bound would take too long.
        """
        from .scale import expected_scale  # only here: it loads a solver, and few ask

        return expected_scale(resolve(instance)[0] if isinstance(instance, str) else instance)

    def validate(self, schedule: BanditSchedule) -> list[str]:
        """What is wrong with a schedule, in words; empty when it is valid. Shares no code with the dynamics."""
        return validate(schedule)

    @staticmethod
    def resolve_instances(item: str) -> list[BanditInstance]:
        """The instances that one item of a list names, see `makespan.envs.restless_bandits.source.resolve`.

        Raises:
            UserError: it names nothing, or a file is malformed.
        """
        return resolve(item)

    @property
    def _bandits(self) -> BanditEngine:
        assert isinstance(self.engine, BanditEngine)
        return self.engine


class RestlessBanditsVectorEnv(SchedulingVectorEnv):
    """Many copies of `RestlessBanditsEnv` in one engine; copies may hold instances of different sizes."""

    metadata: dict[str, Any] = {
        "render_modes": [],
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "objective": BanditEngine.objective,
    }
    make_engine: ClassVar[Any] = staticmethod(make_engine)

    def __init__(self, num_envs: int = 1, **options: Any) -> None:
        super().__init__(num_envs, **options)
        assert isinstance(self.engine, BanditEngine)
        if self.engine.options.view != "sequential":
            self.single_action_space = _action_space(self.engine)  # type: ignore[assignment]
            self.action_space = batch_space(self.single_action_space, num_envs)
