"""OR-tools' CP-SAT, loaded when it is needed, and a search by it that is watched: what it finds is told as it comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from queue import SimpleQueue
from threading import Thread
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..envs.core.extras import optional

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

_PATIENCE = 0.05  # seconds between two requests to stop: one that comes before the search has begun is not heard


def cp_sat() -> ModuleType:
    """OR-tools' CP-SAT model, loaded when it is needed.

    Raises:
        MissingExtraError: OR-tools is not installed.
    """
    with optional("the exact solver", "exact", "ortools"):
        from ortools.sat.python import cp_model
    return cp_model


def solve_watched(
    cp: ModuleType,
    solver: cp_model.CpSolver,
    model: cp_model.CpModel,
    variables: Mapping[Any, Any],
    found: Callable[[dict[Any, int]], None],
    bounded: Callable[[float], None],
) -> cp_model.CpSolverStatus:
    """Solve a model in a thread of its own, and hand on what it finds in this one.

    Args:
        cp: the module `ortools.sat.python.cp_model`.
        variables: those whose values are wanted.
        found: takes their values in each solution.
        bounded: takes each bound on the objective.

    Raises:
        KeyboardInterrupt: the user stopped it; the search has ended then.
    """
    events: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
    ended: list[cp_model.CpSolverStatus] = []
    failed: list[BaseException] = []

    class Watch(cp.CpSolverSolutionCallback):
        def on_solution_callback(self) -> None:
            values = {key: int(self.value(variable)) for key, variable in variables.items()}
            events.put(lambda: found(values))

    def search() -> None:
        try:
            ended.append(solver.solve(model, Watch()))
        except BaseException as error:
            failed.append(error)
        finally:
            events.put(None)

    solver.best_bound_callback = lambda bound: events.put(lambda: bounded(bound))
    solver.parameters.catch_sigint_signal = False  # it would be taken for the end of the time
    thread = Thread(target=search, daemon=True)
    thread.start()
    try:
        while (event := events.get()) is not None:
            event()
    finally:
        while thread.is_alive():
            solver.stop_search()
            thread.join(_PATIENCE)
    if failed:
        raise failed[0]
    return ended[0]
