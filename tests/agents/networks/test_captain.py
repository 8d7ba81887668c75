"""CapTAIN's network: its layers against plain formulas, and what can be left out of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from makespan.agents.networks.build import build_network, network_config
from makespan.agents.networks.capsules import GraphCapsules, GraphConvolution, Weights
from makespan.agents.networks.captain import (
    CaptainConfig,
    CaptainNetwork,
    Pointer,
    SeriesTransformer,
    distinct_rows,
    sinusoids,
)
from makespan.envs.core.errors import UserError
from makespan.envs.core.spec import EdgeType, Feature, NodeType, ObservationSpec, Series
from torch import Tensor, nn

PLACES, CRAFT, STEPS = 5, 7, 4
ABLATIONS = ({}, {"capsules": 0}, {"series": 0}, {"decoder": 0}, {"capsules": 0, "series": 0, "decoder": 0})


def features(*names: str) -> tuple[Feature, ...]:
    return tuple(Feature(name, low=-1.0, high=1.0) for name in names)


def spec() -> ObservationSpec:
    """Vertiports and aircraft, as air mobility has them."""
    return ObservationSpec(
        nodes=(NodeType("vertiport", features("x", "y", "occupied")), NodeType("aircraft", features("x", "y", "soc"))),
        edges=(
            EdgeType("at", "aircraft", "vertiport"),
            EdgeType("pairs", "vertiport", "vertiport", features("flyable", "open", "distance", "fare")),
        ),
        globals=features("time"),
        action_nodes=("vertiport", "aircraft"),
        action_features=features("profit", "value"),
        series=(Series("vertiport", "vertiport", STEPS, features("demand", "fare")),),
    )


def observation(batch: int = 3, places: int = PLACES, craft: int = CRAFT, seed: int = 0) -> dict[str, Tensor]:
    """Random, everything filled; aircraft 2 decides, if there is one."""
    rng = np.random.default_rng(seed)

    def numbers(*shape: int) -> Tensor:
        return torch.tensor(rng.uniform(0.1, 1.0, (batch, *shape)), dtype=torch.float32)

    pairs = [(i, j) for i in range(places) for j in range(places) if i != j]
    arrays = {
        "nodes/vertiport": numbers(places, 3),
        "node_mask/vertiport": torch.ones(batch, places, dtype=torch.int8),
        "nodes/aircraft": numbers(craft, 3),
        "node_mask/aircraft": torch.ones(batch, craft, dtype=torch.int8),
        "edges/at": torch.tensor([[list(range(craft)), [a % places for a in range(craft)]]] * batch),
        "edges/pairs": torch.tensor([np.array(pairs).T.tolist()] * batch),
        "edge_features/pairs": numbers(len(pairs), 4),
        "series/vertiport": numbers(places, STEPS * 2),
        "globals": numbers(1),
        "actions/nodes": torch.tensor([[[j, min(2, craft - 1)] for j in range(places)]] * batch),
        "actions/features": numbers(places, 2),
        "action_mask": torch.ones(batch, places, dtype=torch.int8),
    }
    arrays["edge_features/pairs"][..., :2] = (arrays["edge_features/pairs"][..., :2] > 0.4).float()
    arrays["action_mask"][:, 1] = 0
    return arrays


def network(seed: int = 0, **config: Any) -> CaptainNetwork:
    torch.manual_seed(seed)
    made = build_network("captain", spec(), {"width": 16, "heads": 2, **config})
    assert isinstance(made, CaptainNetwork)
    with torch.no_grad():
        for weight in made.parameters():
            if weight.ndim == 2:
                weight.normal_(0.0, weight.shape[1] ** -0.5)  # fresh pointers begin nearly at zero
    return made.eval()


# --- graphs -----------------------------------------------------------------------------------------------------------


def laplacian(weights: np.ndarray) -> np.ndarray:
    root = np.diag(1.0 / np.sqrt(weights.sum(1)))
    return np.eye(len(weights)) - root @ weights @ root


def test_capsules_are_the_formula() -> None:
    torch.manual_seed(1)
    layer = GraphCapsules(4, moments=3, hops=2)
    nn.init.normal_(layer.bias)
    rng = np.random.default_rng(1)
    nodes = rng.normal(size=(6, 4))
    weights = rng.uniform(0.1, 1.0, (6, 6))
    weights = weights + weights.T
    np.fill_diagonal(weights, 0.0)
    spread = laplacian(weights)
    first = (nodes - nodes.mean(1, keepdims=True)) / np.sqrt(nodes.var(1, keepdims=True) + 1e-5)
    found = []
    for power, linear in zip((1, 2, 3), layer.spread, strict=True):
        moment = first**power
        seen = np.concatenate([moment, spread @ moment, spread @ spread @ moment], axis=1)
        joined = np.concatenate(np.split(linear.weight.detach().numpy().T, 3, axis=1))  # type: ignore[union-attr,operator]
        found.append(np.tanh(seen @ joined + layer.bias.detach().numpy()[power - 1]))
    expected = np.tanh(
        np.concatenate(found, axis=1) @ layer.join.weight.detach().numpy().T + layer.join.bias.detach().numpy()
    )
    got = layer(torch.tensor(nodes[None], dtype=torch.float32), torch.tensor(weights[None], dtype=torch.float32))
    np.testing.assert_allclose(got[0].detach().numpy(), expected, atol=1e-5)


def test_a_plain_convolution_has_as_many_weights() -> None:
    def count(layer: nn.Module) -> int:
        return sum(weight.numel() for weight in layer.parameters())

    assert count(GraphConvolution(32)) == pytest.approx(count(GraphCapsules(32, 3, 2)), rel=0.02)


def test_vertiports_are_near_by_open_edges_and_distance() -> None:
    arrays = observation()
    weights = Weights(spec(), "vertiport")(arrays)[0]
    table = np.zeros((PLACES, PLACES))
    for number, (i, j) in enumerate(zip(*arrays["edges/pairs"][0].tolist(), strict=True)):
        flyable, is_open, distance, _ = arrays["edge_features/pairs"][0, number].tolist()
        table[i, j] = flyable * is_open / (1.0 + 4.0 * distance)  # distance in 40 miles: 1 / (1 + miles / 10)
    np.testing.assert_allclose(weights.numpy(), (table + table.T) / 2, atol=1e-6)


def test_aircraft_are_near_by_their_features() -> None:
    arrays = observation()
    weights = Weights(spec(), "aircraft")(arrays)[0]
    rows = arrays["nodes/aircraft"][0].numpy()
    expected = np.exp(-0.5 * ((rows[:, None] - rows[None]) ** 2).sum(-1)) * (1 - np.eye(CRAFT))
    np.testing.assert_allclose(weights.numpy(), expected, atol=1e-5)


def test_masked_nodes_are_near_to_nobody() -> None:
    arrays = observation()
    for name in ("vertiport", "aircraft"):
        arrays[f"node_mask/{name}"][:, -2:] = 0
        weights = Weights(spec(), name)(arrays)
        assert float(weights[:, -2:].abs().max()) == 0.0
        assert float(weights[:, :, -2:].abs().max()) == 0.0


# --- series -----------------------------------------------------------------------------------------------------------


def encoder_and_calls() -> tuple[SeriesTransformer, list[int]]:
    """A transformer, and how many rows it was asked for each time."""
    encoder = SeriesTransformer(spec().series[0], CaptainConfig(width=16, heads=2)).eval()
    calls: list[int] = []
    encoder.embedding.register_forward_hook(lambda module, given, result: calls.append(len(result)))
    return encoder, calls


def test_rows_that_are_alike_are_worked_out_once() -> None:
    encoder, calls = encoder_and_calls()
    rows = torch.rand(3, 1, STEPS * 2).repeat(4, PLACES, 1)
    quick = encoder(rows)
    assert calls == [3]
    one_by_one = [encoder(row[None]) for row in rows]
    torch.testing.assert_close(quick, torch.cat(one_by_one), atol=1e-5, rtol=1e-4)


def test_series_are_remembered_until_weights_change() -> None:
    encoder, calls = encoder_and_calls()
    series = torch.rand(3, PLACES, STEPS * 2)
    with torch.inference_mode():
        first = encoder(series)
        assert calls == [PLACES] * 3
        again = encoder(series[[2, 0, 1, 2]])
        assert len(calls) == 3
        assert torch.equal(again, first[[2, 0, 1, 2]])
    with torch.no_grad():
        assert torch.equal(encoder(series), first)  # as rollouts after a validation
    assert len(calls) == 3
    trained = encoder(series)
    torch.testing.assert_close(first, trained, atol=1e-5, rtol=1e-4)
    trained.sum().backward()
    torch.optim.SGD(encoder.parameters(), 0.1).step()
    with torch.no_grad():
        assert float((encoder(series) - first).abs().max()) > 1e-3
        encoder.load_state_dict({key: weight * 0.5 for key, weight in encoder.state_dict().items()})
        halved = encoder(series)
    torch.testing.assert_close(halved, encoder(series), atol=1e-5, rtol=1e-4)


def test_what_is_remembered_has_its_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("makespan.agents.networks.captain._ROOM", 10 * PLACES * STEPS * 2)
    encoder, _ = encoder_and_calls()
    with torch.inference_mode():
        for _ in range(30):
            encoder(torch.rand(2, PLACES, STEPS * 2))
            assert len(encoder._remembered) <= 12


def test_distinct_rows_are_the_rows() -> None:
    rows = torch.rand(9, 6)[torch.randint(9, (50,))]
    distinct, place = distinct_rows(rows)
    assert place is not None
    assert torch.equal(distinct[place], rows)
    assert len(distinct) == len(torch.unique(rows, dim=0))
    assert distinct_rows(torch.rand(9, 6))[1] is None
    # Rows that the numbers they are told apart by confuse are left as they are.
    confused = torch.zeros(8, 6, dtype=torch.float64)
    confused[:4, 0] = 2.0**0.5
    confused[4:, 5] = 1.0
    found, place = distinct_rows(confused)
    assert torch.equal(found if place is None else found[place], confused)
    assert distinct_rows(torch.zeros(0, 6))[1] is None


def test_order_in_time_counts_for_the_transformer_and_not_for_the_mean() -> None:
    arrays = observation()
    turned = dict(arrays)
    steps = arrays["series/vertiport"].view(3, PLACES, STEPS, 2)
    turned["series/vertiport"] = steps.flip(2).reshape(3, PLACES, -1)
    for series, differs in ((1, True), (0, False)):
        made = network(series=series)
        with torch.inference_mode():
            difference = (made(arrays)[0] - made(turned)[0]).abs().max()
        assert (float(difference) > 1e-3) == differs


def test_positions() -> None:
    table = sinusoids(16, 6)
    assert table.shape == (16, 6)
    assert table[3, 0] == pytest.approx(np.sin(3.0))
    assert table[3, 5] == pytest.approx(np.cos(3.0 / 1e4 ** (4 / 6)))
    assert sinusoids(4, 5).shape == (4, 5)


# --- the pointer ------------------------------------------------------------------------------------------------------


def test_the_pointer_is_clipped_and_blind_for_illegal_slots() -> None:
    torch.manual_seed(0)
    pointer = Pointer(spec(), CaptainConfig(width=16, heads=2)).eval()
    with torch.no_grad():
        pointer.projections.weight.normal_(0.0, 10.0)
        pointer.last.weight.zero_()
    slots, query = torch.rand(3, PLACES, 16), torch.rand(3, 16)
    mask = torch.tensor([[1, 0, 1, 1, 0]] * 3)
    with torch.inference_mode():
        scores, glimpse = pointer(query, slots, torch.zeros(3, PLACES, 2), mask)
        other = slots.clone()
        other[:, [1, 4]] = 9.0
        again, same = pointer(query, other, torch.zeros(3, PLACES, 2), mask)
    assert float(scores.abs().max()) == pytest.approx(10.0, abs=1e-3)
    torch.testing.assert_close(glimpse, same)
    torch.testing.assert_close(scores[:, [0, 2, 3]], again[:, [0, 2, 3]])


# --- the whole --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", ABLATIONS)
@pytest.mark.parametrize("places, craft", [(2, 1), (5, 7), (50, 100)])
def test_any_sizes(config: dict[str, int], places: int, craft: int) -> None:
    made = network(**config)
    with torch.inference_mode():
        logits, values = made(observation(2, places, craft))
    assert logits.shape == (2, places)
    assert bool(torch.isfinite(logits).all())
    assert bool(torch.isfinite(values).all())


@pytest.mark.parametrize("config", ABLATIONS)
@pytest.mark.parametrize(
    "key", ["series/vertiport", "nodes/vertiport", "nodes/aircraft", "actions/features", "globals"]
)
def test_everything_is_looked_at(config: dict[str, int], key: str) -> None:
    made, arrays = network(**config), observation()
    other = {**arrays, key: arrays[key] * 0.5}
    with torch.inference_mode():
        logits, values = made(arrays)
        new_logits, new_values = made(other)
    assert float((new_logits - logits).abs().max()) > 1e-4
    if key != "actions/features":  # which only bias the scores
        assert float((new_values - values).abs().max()) > 1e-4


def test_who_decides_counts() -> None:
    made, arrays = network(), observation()
    other = {**arrays, "actions/nodes": arrays["actions/nodes"].clone()}
    other["actions/nodes"][..., 1] = 5
    with torch.inference_mode():
        assert float((made(other)[0] - made(arrays)[0]).abs().max()) > 1e-4


@pytest.mark.parametrize("config", ABLATIONS)
def test_steady_work_is_the_same_but_for_rounding(config: dict[str, int]) -> None:
    made, arrays = network(**config), observation()
    twice = {key: torch.cat([array, array]) for key, array in arrays.items()}
    with torch.inference_mode():
        quick = made(twice)
        made.steady = True
        steady = made(twice)
    torch.testing.assert_close(quick[0], steady[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(quick[1], steady[1], atol=1e-4, rtol=1e-4)


def test_it_fits_its_checkpoint() -> None:
    """Two mebibytes, at the width that training is told of in the documentation."""
    made = build_network("captain", spec(), {"width": 96})
    assert sum(weight.numel() * 4 for weight in made.parameters()) < 2 * 2**20


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"capsules": 9}, "network capsules is 9, expected an integer from 0 to 8"),
        ({"series": 2}, "network series is 2, expected an integer from 0 to 1"),
        ({"decoder": -1}, "network decoder is -1, expected an integer from 0 to 1"),
        ({"capsule": 1}, "unknown option of network 'captain': 'capsule'; did you mean 'capsules'"),
        ({"width": 20, "heads": 4}, "network heads is 4, expected twice it a divisor of the width 20"),
    ],
)
def test_wrong_configurations(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_network("captain", spec(), network_config("captain", given))
