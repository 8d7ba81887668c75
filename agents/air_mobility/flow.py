"""The day as a flow of aircraft and energy through a network of vertiports and time slots.

A linear program, an integer one where flights are whole. The aircraft of a vertiport and slot are pooled, as is the
energy in their batteries.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .linear import FREE, Rows, Solution, maximise

SLOT = 300
"""Length of a slot, s."""


@dataclass(frozen=True)
class FlowProblem:
    """What is to be planned; n vertiports, P pairs (i, j), T slots. Energy in kWh, money in $.

    Attributes:
        pairs: int64 [P, 2], the flyable ones.
        block: int64 [P, T], slots from the decision to being ready again.
        release: int64 [P, T], slots from the decision to the stand left behind being free.
        allowed: bool [P, T], whether a flight may be decided.
        fare: float64 [P, T].
        seats: float64 [P, T], passengers of a flight at most.
        cost: float64 [P, T], of a flight.
        energy: float64 [P], of a flight.
        need: float64 [P], what the battery must hold at the decision.
        battery: capacity.
        charge: what a charger gives in a slot.
        stands, chargers, occupied: int64 [n]; `occupied` at the beginning.
        freed: float64 [n, T], stands that become free by themselves.
        ready, ready_energy: float64 [n, T], aircraft that become ready, and what is in their batteries together.
        come, gone: float64 [P, T], passengers who have come by the end of each slot, and those of them whose patience
            has ended by then.
    """

    pairs: NDArray[np.int64]
    block: NDArray[np.int64]
    release: NDArray[np.int64]
    allowed: NDArray[np.bool_]
    fare: NDArray[np.float64]
    seats: NDArray[np.float64]
    cost: NDArray[np.float64]
    energy: NDArray[np.float64]
    need: NDArray[np.float64]
    battery: float
    charge: float
    stands: NDArray[np.int64]
    chargers: NDArray[np.int64]
    occupied: NDArray[np.int64]
    freed: NDArray[np.float64]
    ready: NDArray[np.float64]
    ready_energy: NDArray[np.float64]
    come: NDArray[np.float64]
    gone: NDArray[np.float64]


@dataclass(frozen=True)
class FlowPlan:
    """A solved problem.

    Attributes:
        value: profit of the plan, $.
        bound: no plan earns more.
        flights, boarded: float64 [P, T], decided in each slot, and their passengers.
    """

    value: float
    bound: float
    flights: NDArray[np.float64]
    boarded: NDArray[np.float64]


class FlowModel(ABC):
    """The program of a problem.

    Columns: of each allowed (pair, slot) flights x, energy u that they take off with beyond what they need, passengers
    y who board; of each (pair, slot) passengers r who have boarded or given up; of each (vertiport, slot) aircraft s
    that idle from then on, their energy e, what is charged g, stands taken o. The attributes x, u, y, r, s, e, g and o
    say where each kind begins, `column` [P, T] which one of its kind is that of a pair and slot (-1: none).
    """

    def __init__(self, problem: FlowProblem) -> None:
        self.problem = problem
        n, slots = problem.ready.shape
        self._n, self._slots = n, slots
        self.flight_pair, self.flight_slot = np.nonzero(problem.allowed)
        flights = len(self.flight_pair)
        self.column = np.full(problem.allowed.shape, -1, dtype=np.int64)
        self.column[self.flight_pair, self.flight_slot] = np.arange(flights)
        ports = n * slots
        widths = (flights, flights, flights, problem.come.size, ports, ports, ports, ports)
        self.x, self.u, self.y, self.r, self.s, self.e, self.g, self.o = np.cumsum((0, *widths[:-1])).tolist()
        self.columns = sum(widths)
        self.rows = Rows()
        self._add_balance()
        self._add_idling()
        self._add_stands()
        self._add_passengers()

    # --- rows ---------------------------------------------------------------------------------------------------------

    def _add_balance(self) -> None:
        """What comes in goes out: aircraft, and their energy."""
        problem, n, slots, rows = self.problem, self._n, self._slots, self.rows
        pair, slot = self.flight_pair, self.flight_slot
        flights = np.arange(len(pair))
        origin, destination = problem.pairs[pair].T
        out = origin * slots + slot
        lands = slot + problem.block[pair, slot]
        within = lands < slots
        back = destination[within] * slots + lands[within]

        self._aircraft_row = rows.block(problem.ready.ravel(), problem.ready.ravel(), n * slots)
        rows.add(self._aircraft_row + out, self.x + flights, 1.0)
        rows.add(self._aircraft_row + back, self.x + flights[within], -1.0)

        self._energy_row = rows.block(problem.ready_energy.ravel(), problem.ready_energy.ravel(), n * slots)
        rows.add(self._energy_row + out, self.x + flights, problem.need[pair])
        rows.add(self._energy_row + out, self.u + flights, 1.0)
        rows.add(self._energy_row + back, self.x + flights[within], -(problem.need - problem.energy)[pair[within]])
        rows.add(self._energy_row + back, self.u + flights[within], -1.0)

        most = rows.block(-FREE, 0.0, len(flights))
        rows.add(most + flights, self.u + flights, 1.0)
        rows.add(most + flights, self.x + flights, -(problem.battery - problem.need)[pair])

    @abstractmethod
    def _add_idling(self) -> None:
        """Aircraft that do not fly wait and charge."""

    def _wait(self, slots: int) -> None:
        """Whoever idles from a slot on is back so many slots later with the same energy."""
        rows, ports = self.rows, np.arange(self._n * self._slots)
        back = ports[ports % self._slots + slots < self._slots]
        for row, column in ((self._aircraft_row, self.s), (self._energy_row, self.e)):
            rows.add(row + ports, column + ports, 1.0)
            rows.add(row + back + slots, column + back, -1.0)

    def _add_stands(self) -> None:
        """Stands are reserved from the decision to fly to them until they are left."""
        problem, n, slots, rows = self.problem, self._n, self._slots, self.rows
        pair, slot = self.flight_pair, self.flight_slot
        flights = np.arange(len(pair))
        origin, destination = problem.pairs[pair].T
        # Row (v, t): taken then = taken before + came in - left.
        before = -problem.freed
        before[:, 0] += problem.occupied
        first = rows.block(before.ravel(), before.ravel(), n * slots)
        ports = np.arange(n * slots)
        goes_on = ports[ports % slots + 1 < slots]
        rows.add(first + ports, self.o + ports, 1.0)
        rows.add(first + goes_on + 1, self.o + goes_on, -1.0)
        rows.add(first + destination * slots + slot, self.x + flights, -1.0)
        freed = slot + problem.release[pair, slot]
        within = freed < slots
        rows.add(first + origin[within] * slots + freed[within], self.x + flights[within], 1.0)

    def _add_passengers(self) -> None:
        """Who boards has a seat, and is one of the oldest: r have boarded or given up, at least those without patience.

        Between r of the slot before and r are passengers who have come by now and still had patience then.
        """
        problem, slots, rows = self.problem, self._slots, self.rows
        flights = np.arange(len(self.flight_pair))
        seats = rows.block(-FREE, 0.0, len(flights))
        rows.add(seats + flights, self.x + flights, -problem.seats[self.flight_pair, self.flight_slot])
        rows.add(seats + flights, self.y + flights, 1.0)
        all_slots = np.arange(problem.come.size)
        later = all_slots[all_slots % slots > 0]
        leave = rows.block(-FREE, 0.0, len(all_slots))
        rows.add(leave + self.flight_pair * slots + self.flight_slot, self.y + flights, 1.0)
        rows.add(leave + all_slots, self.r + all_slots, -1.0)
        rows.add(leave + later, self.r + later - 1, 1.0)

    # --- solving ------------------------------------------------------------------------------------------------------

    def objective(self) -> NDArray[np.float64]:
        """Profit of each column."""
        problem = self.problem
        objective = np.zeros(self.columns)
        objective[: self.u] = -problem.cost[self.flight_pair, self.flight_slot]
        objective[self.y : self.r] = problem.fare[self.flight_pair, self.flight_slot]
        return objective

    def lower(self) -> NDArray[np.float64]:
        """The least of each column."""
        lower = np.zeros(self.columns)
        lower[self.r : self.s] = self.problem.gone.ravel()
        return lower

    def upper(self) -> NDArray[np.float64]:
        """The most of each column."""
        upper = np.full(self.columns, FREE)
        upper[: self.u] = self.problem.ready.sum()  # HiGHS calls some integer programs infeasible that lack it
        upper[self.r : self.s] = self.problem.come.ravel()
        without = np.repeat(self.problem.chargers, self._slots) == 0
        upper[self.g : self.o][without] = 0.0
        upper[self.o :] = np.repeat(self.problem.stands, self._slots)
        return upper

    def solve(self, whole_until: int = 0, method: str = "choose", seconds: float = FREE, gap: float = 1e-4) -> FlowPlan:
        """Solve the program.

        Args:
            whole_until: flights of the slots before this one are whole numbers.
            method, seconds, gap: see `maximise`.

        Raises:
            NoSolutionError: see `maximise`.
        """
        integer = None
        if whole_until > 0:
            integer = np.zeros(self.columns, dtype=np.bool_)
            integer[: len(self.flight_slot)] = self.flight_slot < whole_until
        solution = maximise(self.objective(), self.lower(), self.upper(), self.rows, integer, method, seconds, gap)
        return self._plan(solution)

    def _plan(self, solution: Solution) -> FlowPlan:
        flights, boarded = np.zeros(self.problem.allowed.shape), np.zeros(self.problem.allowed.shape)
        flights[self.flight_pair, self.flight_slot] = solution.x[: self.u]
        boarded[self.flight_pair, self.flight_slot] = solution.x[self.y : self.r]
        return FlowPlan(solution.value, solution.bound, flights, boarded)


class SlotModel(FlowModel):
    """Aircraft idle by the slot, and charge in all slots in which they are at a vertiport, that of a decision included.

    So no day of the real fleet is left out, wherever within a slot its decisions fall.
    """

    def _add_idling(self) -> None:
        problem, slots, rows = self.problem, self._slots, self.rows
        ports = np.arange(self._n * slots)
        flights = np.arange(len(self.flight_pair))
        self._wait(1)
        rows.add(self._energy_row + ports, self.g + ports, -1.0)
        most = rows.block(-FREE, 0.0, len(ports))
        rows.add(most + ports, self.e + ports, 1.0)
        rows.add(most + ports, self.s + ports, -problem.battery)
        present = rows.block(-FREE, 0.0, len(ports))
        rows.add(present + ports, self.g + ports, 1.0)
        rows.add(present + ports, self.s + ports, -problem.charge)
        origin = problem.pairs[self.flight_pair, 0]
        rows.add(present + origin * slots + self.flight_slot, self.x + flights, -problem.charge)

    def upper(self) -> NDArray[np.float64]:
        upper = super().upper()
        upper[self.g : self.o] = np.repeat(self.problem.charge * self.problem.chargers, self._slots)
        return upper


class StayModel(FlowModel):
    """Aircraft idle by stays of several slots, as in the decision process, and charge while they stay.

    Args:
        problem: to be planned.
        stay: slots that a stay lasts.
    """

    def __init__(self, problem: FlowProblem, stay: int) -> None:
        self._stay = stay
        super().__init__(problem)

    def _add_idling(self) -> None:
        problem, slots, rows, stay = self.problem, self._slots, self.rows, self._stay
        ports = np.arange(self._n * slots)
        back = ports[ports % slots + stay < slots]
        self._wait(stay)
        rows.add(self._energy_row + back + stay, self.g + back, -1.0)
        most = rows.block(-FREE, 0.0, len(ports))
        rows.add(most + ports, self.e + ports, 1.0)
        rows.add(most + ports, self.g + ports, 1.0)
        rows.add(most + ports, self.s + ports, -problem.battery)
        whole = stay * problem.charge
        served = np.flatnonzero(np.repeat(problem.chargers, slots) > 0)
        each = rows.block(-FREE, 0.0, len(served))
        rows.add(each + np.arange(len(served)), self.g + served, 1.0)
        rows.add(each + np.arange(len(served)), self.s + served, -whole)
        together = rows.block(-FREE, whole * problem.chargers[served // slots], len(served))
        for before in range(stay):
            here = served % slots >= before
            rows.add(together + np.flatnonzero(here), self.g + served[here] - before, 1.0)
