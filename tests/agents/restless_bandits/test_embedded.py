"""Networks inside programs: argmax by enumeration, values by a forward pass, limits that hold."""

from __future__ import annotations

import numpy as np
import pytest
from makespan.agents.restless_bandits.embedded import SOLVERS, EmbeddedProgram, ReluNet
from makespan.agents.restless_bandits.model import KnownModel
from makespan.agents.restless_bandits.sequoia import level_inputs
from makespan.envs.core.errors import UserError
from makespan.envs.restless_bandits.generator import FAMILIES, Size, draw_instance


def random_net(rng: np.random.Generator, size: int, hidden: int = 5) -> ReluNet:
    return ReluNet(
        rng.normal(size=size),
        rng.normal(size=(hidden, size)),
        rng.normal(size=hidden),
        rng.normal(size=(hidden, hidden)),
        rng.normal(size=hidden),
        2.0 * rng.normal(size=hidden),
        float(rng.normal()),
    )


def member_inputs(model: KnownModel, column: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """[M, n]: the network's inputs for every feasible action."""
    levels = model.levels(model.instance.feasible.members)
    arms, level = column
    return (levels[:, arms] == level).astype(np.float64)


def compare(family: str, problems: int, seed: int, solver: str = "highs") -> None:
    rng = np.random.default_rng(seed)
    for number in range(problems):
        arms = int(rng.integers(4, 9)) if family != "sigmoid" else int(rng.integers(6, 19))
        model = KnownModel(draw_instance(Size(family, arms), 1000 + number % 50))
        inputs, column = level_inputs(model)
        net = random_net(rng, len(inputs.column))
        all_values = net.values(member_inputs(model, column))
        program = EmbeddedProgram(net, inputs, tighten=bool(number % 2))
        found = program.solve(SOLVERS[solver])
        assert found.proved
        action = model.checked(found.values)
        levels = model.levels(action[None])
        forward = net.values((levels[:, column[0]] == column[1]).astype(np.float64))[0]
        assert forward == pytest.approx(all_values.max(), rel=1e-6, abs=1e-6), number
        # The solver's own value may be off by its tolerance, 1e-6 for each indicator of a unit.
        assert found.value == pytest.approx(forward, rel=1e-5, abs=1e-5), number


@pytest.mark.parametrize("family", FAMILIES)
def test_the_best_action_is_that_of_enumeration(family: str) -> None:
    compare(family, 12, 1)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_the_best_of_many_problems_is_that_of_enumeration(family: str) -> None:
    compare(family, 1000, 2)


def test_a_problem_whose_presolve_lost_the_optimum() -> None:
    """Number 8 of the long comparison: HiGHS 1.13 and 1.14 proved 1.048 where the network is worth 1.167."""
    rng = np.random.default_rng(2)
    problems = []
    for number in range(9):
        model = KnownModel(draw_instance(Size("schedule", int(rng.integers(4, 9))), 1000 + number))
        inputs, column = level_inputs(model)
        problems.append((model, inputs, column, random_net(rng, len(inputs.column))))
    model, inputs, column, net = problems[-1]
    found = EmbeddedProgram(net, inputs).solve(SOLVERS["highs"])
    assert found.value == pytest.approx(net.values(member_inputs(model, column)).max(), abs=1e-6)


@pytest.mark.parametrize("family", ["cardinality", "capacity"])
def test_another_solver_comes_to_the_same(family: str) -> None:
    compare(family, 5, 3, "scipy")


@pytest.mark.parametrize("family", ["cardinality", "schedule", "sigmoid"])
def test_limits_hold_for_every_action(family: str) -> None:
    rng = np.random.default_rng(4)
    model = KnownModel(draw_instance(Size(family, 8), 3))
    inputs, column = level_inputs(model)
    for _ in range(5):
        net = random_net(rng, len(inputs.column), 8)
        every = member_inputs(model, column)
        first = every @ net.first.T + net.first_bias
        second = np.maximum(first, 0.0) @ net.second.T + net.second_bias
        loose, tight = EmbeddedProgram(net, inputs), EmbeddedProgram(net, inputs, tighten=True)
        for program in (loose, tight):
            assert (first >= program.first.low).all()
            assert (first <= program.first.high).all()
            assert (second >= program.second.low - 1e-6).all()
            assert (second <= program.second.high + 1e-6).all()
        assert tight.unstable <= loose.unstable
        assert (tight.second.high <= loose.second.high + 1e-9).all()


def test_a_start_is_completed_to_a_feasible_point() -> None:
    rng = np.random.default_rng(5)
    model = KnownModel(draw_instance(Size("cardinality", 8), 0))
    inputs, _ = level_inputs(model)
    for _ in range(5):
        net = random_net(rng, 8, 8)
        program = EmbeddedProgram(net, inputs)
        start = np.zeros(inputs.rows.num_columns)
        start[rng.choice(8, 2, replace=False)] = 1.0
        point, rows = program._completed(start), program._rows()
        sums = rows.matrix @ point
        assert (sums >= rows.lower - 1e-6).all()
        assert (sums <= rows.upper + 1e-6).all()


def test_weights_that_are_no_numbers_are_refused() -> None:
    model = KnownModel(draw_instance(Size("cardinality", 4), 0))
    inputs, _ = level_inputs(model)
    net = random_net(np.random.default_rng(6), 4)
    net.first[0, 0] = np.nan
    with pytest.raises(UserError, match="first holds a weight that is not a finite number"):
        EmbeddedProgram(net, inputs)
