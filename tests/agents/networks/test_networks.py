"""Networks built from a spec alone: what they must not depend on, and what they must."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from makespan.agents.networks.build import build_network, network_config
from makespan.agents.networks.common import SlotNetwork, to_tensors
from makespan.envs.core.errors import UserError
from makespan.envs.core.spec import EdgeType, Feature, Image, NodeType, ObservationSpec, Series, Sizes
from makespan.envs.job_shop.observation import SPEC as JOB_SHOP
from numpy.typing import NDArray

KINDS = ("graph", "attention", "hierarchical", "captain", "slots")
GRAPHS = KINDS[:-1]  # those that see more than slots and globals
SEEN = {"hierarchical": ("on", "before"), "captain": ("before",)}  # edge types, where not all are looked at
Arrays = dict[str, NDArray[Any]]
TINY = {"width": 8, "layers": 2}


def features(*names: str) -> tuple[Feature, ...]:
    return tuple(Feature(name, low=-4.0, high=64.0) for name in names)


def spec(**changes: Any) -> ObservationSpec:
    """Two node types, four edge types (one of them within a type), two references per slot."""
    usual: dict[str, Any] = {
        "nodes": (NodeType("job", features("a", "b")), NodeType("machine", features("c"))),
        "edges": (
            EdgeType("on", "job", "machine"),
            EdgeType("before", "job", "job"),
            EdgeType("holds", "machine", "job", features("x")),
            EdgeType("never", "machine", "machine"),
        ),
        "globals": features("g", "h"),
        "action_nodes": ("job", "machine"),
        "action_features": features("p", "q", "r"),
        "special_actions": ("wait",),
    }
    return ObservationSpec(**{**usual, **changes})


ODD: dict[str, ObservationSpec] = {
    "usual": spec(),
    "job shop": JOB_SHOP,
    "no edges": spec(edges=()),
    "no globals": spec(globals=()),
    "one node type": spec(
        nodes=(NodeType("arm", features("a")),), edges=(EdgeType("near", "arm", "arm"),), action_nodes=("arm",)
    ),
    "no references": spec(action_nodes=()),
    "one type twice": spec(action_nodes=("job", "job", "machine")),
    "no action features": spec(action_features=()),
    "nodes without features": spec(nodes=(NodeType("job", ()), NodeType("machine", features("c")))),
    "names of methods": spec(
        nodes=(NodeType("train", features("a")), NodeType("keys", features("c"))),
        edges=(EdgeType("forward", "train", "keys"), EdgeType("type", "keys", "keys")),
        action_nodes=("train",),
    ),
    "names with dots": spec(
        nodes=(NodeType("a.b", features("a")), NodeType("a%2Eb", features("c"))),
        edges=(EdgeType("to.from", "a.b", "a%2Eb"),),
        action_nodes=("a.b",),
    ),
    "series and images": spec(series=(Series("load", "machine", 3, features("s")),), images=(Image("map", 36, 40, 1),)),
}


def observation(of: ObservationSpec, seed: int = 0, batch: int = 3, room: int = 6, slots: int = 7) -> Arrays:
    """Random observations: from 2 to `room` real nodes of each type first, then padding; edges among the real ones."""
    rng = np.random.default_rng(seed)
    names = [node.name for node in of.nodes]
    sizes = Sizes({name: room - k for k, name in enumerate(names)}, {edge.name: 2 * room for edge in of.edges}, slots)
    space = of.space(sizes)
    arrays: Arrays = {
        key: np.zeros((batch, *box.shape), box.dtype) for key, box in space.items() if box.shape is not None
    }
    for key in arrays:
        if key.startswith("edges/") or key == "actions/nodes":
            arrays[key][:] = -1
    for row in range(batch):
        real = {name: int(rng.integers(2, sizes.nodes[name] + 1)) for name in names}
        for name, count in real.items():
            arrays[f"node_mask/{name}"][row, :count] = 1
            shape = arrays[f"nodes/{name}"][row, :count].shape
            arrays[f"nodes/{name}"][row, :count] = rng.uniform(-4, 8, shape)
        for edge in of.edges:
            if edge.name == "never":
                continue
            pairs = {(int(rng.integers(real[edge.source])), int(rng.integers(real[edge.target]))) for _ in range(6)}
            arrays[f"edges/{edge.name}"][row, :, : len(pairs)] = np.array(sorted(pairs)).T
        arrays["globals"][row] = rng.uniform(-4, 8, arrays["globals"][row].shape)
        legal = int(rng.integers(2, slots))
        arrays["action_mask"][row, rng.permutation(slots)[:legal]] = 1
        filled = rng.permutation(slots)[: slots - 1]
        for column, name in enumerate(of.action_nodes):
            arrays["actions/nodes"][row, filled, column] = rng.integers(-1, real[name], len(filled))
        arrays["actions/features"][row, filled] = rng.uniform(-4, 8, (len(filled), len(of.action_features)))
    return arrays


def network(kind: str, of: ObservationSpec, seed: int = 0) -> SlotNetwork:
    """A network all of whose weights matter: fresh ones begin with zeros in places."""
    torch.manual_seed(seed)
    made = build_network(kind, of, TINY)
    with torch.no_grad():
        for weight in made.parameters():
            weight.normal_(0.0, 0.4)
    return made.eval()


def play(made: SlotNetwork, arrays: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
    with torch.inference_mode():
        logits, values = made(to_tensors(arrays, "cpu"))
    return logits.numpy(), values.numpy()


def close(a: NDArray[Any], b: NDArray[Any]) -> None:
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3 * max(1.0, float(np.abs(b).max())))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ODD)
def test_any_spec_gives_a_network_that_tells_slots_and_states_apart(kind: str, name: str) -> None:
    of = ODD[name]
    arrays = observation(of)
    logits, values = play(network(kind, of), arrays)
    assert logits.shape == (3, 7)
    assert values.shape == (3,)
    assert np.isfinite(logits).all()
    assert np.isfinite(values).all()
    if kind in GRAPHS or of.action_features:
        assert logits.std(axis=1).min() > 1e-3
    assert values.std() > 1e-3


def test_a_spec_without_nodes() -> None:
    of = spec(nodes=(), edges=(), action_nodes=())
    logits, values = play(network("graph", of), observation(of))
    assert logits.std(axis=1).min() > 1e-3
    assert values.std() > 1e-3
    with pytest.raises(UserError, match="needs an observation with nodes"):
        build_network("attention", of, TINY)


@pytest.mark.parametrize("kind", KINDS)
def test_no_weight_depends_on_a_count(kind: str) -> None:
    of = spec()
    made = network(kind, of)
    for room, slots in ((4, 3), (6, 7), (20, 31)):
        logits, _ = play(made, observation(of, room=room, slots=slots))
        assert logits.shape == (3, slots)


def permuted(of: ObservationSpec, arrays: Arrays, seed: int) -> tuple[Arrays, NDArray[np.int64]]:
    """The same observations with nodes, edges and slots in another order; returns the slots' order, too."""
    rng = np.random.default_rng(seed)
    new = {key: array.copy() for key, array in arrays.items()}
    relabel: dict[str, NDArray[np.int64]] = {}
    for node in of.nodes:
        order = rng.permutation(arrays[f"node_mask/{node.name}"].shape[1])
        for key in (f"nodes/{node.name}", f"node_mask/{node.name}"):
            new[key] = arrays[key][:, order]
        relabel[node.name] = np.append(np.argsort(order), -1)  # -1 stays -1
    for edge in of.edges:
        order = rng.permutation(arrays[f"edges/{edge.name}"].shape[2])
        source, target = arrays[f"edges/{edge.name}"][:, 0, order], arrays[f"edges/{edge.name}"][:, 1, order]
        pair = relabel[edge.source][source], relabel[edge.target][target]
        new[f"edges/{edge.name}"] = np.stack(pair, axis=1).astype(np.int32)
    slots = rng.permutation(arrays["action_mask"].shape[1])
    for key in ("actions/features", "action_mask"):
        new[key] = arrays[key][:, slots]
    for column, name in enumerate(of.action_nodes):
        new["actions/nodes"][:, :, column] = relabel[name][arrays["actions/nodes"][:, slots, column]]
    return new, slots


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["usual", "job shop", "one node type", "one type twice"])
def test_order_does_not_matter(kind: str, name: str) -> None:
    of = ODD[name]
    made = network(kind, of)
    for seed in range(3):
        arrays = observation(of, seed)
        logits, values = play(made, arrays)
        other, slots = permuted(of, arrays, seed)
        new_logits, new_values = play(made, other)
        close(new_logits, logits[:, slots])
        close(new_values, values)


def padded(of: ObservationSpec, arrays: Arrays, more: int) -> tuple[Arrays, NDArray[np.bool_]]:
    """The same observations with more room, padding slots before the last one; returns which slots are the old ones."""
    new = {}
    slots = arrays["action_mask"].shape[1]
    old = np.ones(slots + more, dtype=np.bool_)
    old[slots - 1 : slots - 1 + more] = False
    for key, array in arrays.items():
        if key.startswith(("nodes/", "node_mask/")):
            widths = [(0, 0), (0, more)] + [(0, 0)] * (array.ndim - 2)
            new[key] = np.pad(array, widths)
        elif key.startswith("edges/"):
            new[key] = np.pad(array, [(0, 0), (0, 0), (0, more)], constant_values=-1)
        elif key in ("actions/nodes", "actions/features", "action_mask"):
            new[key] = np.full((len(array), slots + more, *array.shape[2:]), -(key == "actions/nodes"), array.dtype)
            new[key][:, old] = array
        else:
            new[key] = array
    return new, old


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["usual", "job shop", "no edges"])
@pytest.mark.parametrize("more", [1, 40])
def test_room_does_not_matter(kind: str, name: str, more: int) -> None:
    of = ODD[name]
    made = network(kind, of)
    arrays = observation(of)
    logits, values = play(made, arrays)
    other, old = padded(of, arrays, more)
    new_logits, new_values = play(made, other)
    close(new_logits[:, old], logits)
    close(new_values, values)


@pytest.mark.parametrize("kind", KINDS)
def test_copies_do_not_look_at_each_other(kind: str) -> None:
    of = spec()
    made = network(kind, of)
    arrays = observation(of, batch=4)
    logits, values = play(made, arrays)
    for row in range(4):
        alone_logits, alone_values = play(made, {key: array[row : row + 1] for key, array in arrays.items()})
        close(alone_logits, logits[row : row + 1])
        close(alone_values, values[row : row + 1])


@pytest.mark.parametrize("kind", GRAPHS)
def test_edges_count_and_half_an_edge_does_not(kind: str) -> None:
    of = spec()
    made = network(kind, of)
    arrays = observation(of)
    logits, _ = play(made, arrays)
    for edge in SEEN.get(kind, ("on", "before", "holds")):
        fewer = {key: array.copy() for key, array in arrays.items()}
        fewer[f"edges/{edge}"][:, :, :3] = -1
        without_logits, without_values = play(made, fewer)
        assert np.abs(without_logits - logits).max() > 1e-3, edge
        for end in (0, 1):
            half = {key: array.copy() for key, array in arrays.items()}
            half[f"edges/{edge}"][:, end, :3] = -1
            half_logits, half_values = play(made, half)
            close(half_logits, without_logits)
            close(half_values, without_values)


@pytest.mark.parametrize("kind", GRAPHS)
def test_references_count(kind: str) -> None:
    of = spec()
    made = network(kind, of)
    arrays = observation(of)
    logits, _ = play(made, arrays)
    for column in range(2):
        other = {key: array.copy() for key, array in arrays.items()}
        other["actions/nodes"][:, :, column] = -1
        assert np.abs(play(made, other)[0] - logits).max() > 1e-3, column


@pytest.mark.parametrize("kind", KINDS)
def test_illegal_slots_do_not_change_the_others(kind: str) -> None:
    of = spec()
    made = network(kind, of)
    arrays = observation(of)
    legal = arrays["action_mask"].astype(np.bool_)
    logits, values = play(made, arrays)
    other = {key: array.copy() for key, array in arrays.items()}
    other["actions/features"][~legal] = 7.0
    other["actions/nodes"][~legal] = 0
    new_logits, new_values = play(made, other)
    close(new_logits[legal], logits[legal])
    close(new_values, values)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("empty", ["nodes", "slots", "both", "neither"])
def test_gradients_are_finite(kind: str, empty: str) -> None:
    of = spec()
    arrays = observation(of)
    if empty in ("nodes", "both"):
        for node in of.nodes:
            arrays[f"node_mask/{node.name}"][:] = 0
            arrays[f"nodes/{node.name}"][:] = 0
        for edge in of.edges:
            arrays[f"edges/{edge.name}"][:] = -1
        arrays["actions/nodes"][:] = -1
    if empty in ("slots", "both"):
        arrays["action_mask"][:] = 0
    made = network(kind, of)
    logits, values = made(to_tensors(arrays, "cpu"))
    (logits.sum() + values.sum()).backward()
    gradients = [weight.grad for weight in made.parameters() if weight.grad is not None]
    assert gradients
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
    assert bool(torch.isfinite(logits).all())
    if empty == "neither":
        assert len(gradients) == len(list(made.parameters())), "a weight that nothing depends on"


@pytest.mark.parametrize("kind", KINDS)
def test_a_fresh_network_has_no_preference(kind: str) -> None:
    """PPO begins from nearly uniform choices, whatever the sizes of the features."""
    torch.manual_seed(0)
    logits, _ = play(build_network(kind, spec(), {}), observation(spec()))
    assert logits.std(axis=1).max() < 0.2


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        ("grapf", {}, "unknown network 'grapf'; did you mean 'graph'"),
        ("graph", {"widht": 8}, "unknown option of network 'graph': 'widht'; did you mean 'width'"),
        ("graph", {"width": 0}, "network width is 0, expected an integer from 1"),
        ("graph", {"layers": True}, "network layers is True"),
        ("graph", {"width": "8"}, "network width is '8'"),
        ("graph", {"width": 8.0}, "network width is 8.0"),
        ("attention", {"width": 10, "heads": 4}, "network heads is 4, expected a divisor of the width 10"),
    ],
)
def test_wrong_configurations(kind: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        network_config(kind, given)


# --- a network that begins as a rule ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_it_begins_by_taking_the_least_of_a_feature(kind: str) -> None:
    """Whatever else the slots say: the scores are minus a multiple of the feature, and a fresh network adds little."""
    torch.manual_seed(0)
    made = build_network(kind, spec(), {**TINY, "prior": "q"}).eval()
    arrays = observation(spec(), batch=50)
    logits, values = play(made, arrays)
    cost, legal = arrays["actions/features"][..., 1], arrays["action_mask"] == 1
    slope = np.log1p(np.exp(10.0))
    assert np.abs(logits + slope * cost)[legal].max() < 0.5
    for row in range(50):
        ordered = np.sort(cost[row, legal[row]])
        if ordered[1] - ordered[0] > 0.1:
            best = np.where(legal[row], logits[row], -np.inf).argmax()
            assert cost[row, best] == ordered[0]
    torch.manual_seed(0)
    plain = build_network(kind, spec(), TINY).eval()
    close(values, play(plain, arrays)[1])
    close(logits, play(plain, arrays)[0] - slope * cost)


@pytest.mark.parametrize("kind", KINDS)
def test_how_much_the_feature_counts_is_learned(kind: str) -> None:
    made = build_network(kind, spec(), {**TINY, "prior": "q"})
    logits, _ = made(to_tensors(observation(spec()), "cpu"))
    logits.square().sum().backward()
    gradient = dict(made.named_parameters())["multiple"].grad
    assert gradient is not None
    assert gradient.abs() > 0
    with torch.no_grad():
        dict(made.named_parameters())["multiple"].fill_(-30.0)
    arrays = observation(spec())
    close(play(made.eval(), arrays)[0], play(made.inner, arrays)[0])  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_the_network_within_works_steadily_where_it_should(kind: str) -> None:
    """Bit for bit: a copy's scores do not depend on which others are in the batch."""
    made = network(kind, spec(), seed=1)
    torch.manual_seed(1)
    prior = build_network(kind, spec(), {**TINY, "prior": "r"})
    prior.load_state_dict({f"inner.{name}": tensor for name, tensor in made.state_dict().items()}, strict=False)
    prior.eval().steady = True
    one, other = observation(spec(), seed=1, batch=8), observation(spec(), seed=2, batch=8)
    mixed = {key: np.concatenate([one[key][:4], other[key][4:]]) for key in one}
    assert np.array_equal(play(prior, one)[0][:4], play(prior, mixed)[0][:4])
    assert prior.inner.steady  # type: ignore[union-attr]
    prior.steady = False
    play(prior, one)
    assert not prior.inner.steady  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", KINDS)
def test_a_prior_survives_its_card(kind: str) -> None:
    config = network_config(kind, {**TINY, "prior": "q"})
    assert config["prior"] == "q"
    assert "prior" not in network_config(kind, TINY)
    again = json.loads(json.dumps(config))
    first, second = (build_network(kind, spec(), given) for given in ({**TINY, "prior": "q"}, again))
    second.load_state_dict(first.state_dict())
    arrays = observation(spec())
    assert np.array_equal(play(first.eval(), arrays)[0], play(second.eval(), arrays)[0])
    assert network_config(kind, again) == config


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        ("z", "unknown action feature of the option network prior: 'z'; known: p, q, r"),
        ("g", "unknown action feature of the option network prior: 'g'"),
        ("", "unknown action feature of the option network prior: ''"),
        (1, "network prior is 1, expected the name of an action feature"),
        (None, "network prior is None"),
        (["q"], r"network prior is \['q'\]"),
    ],
)
def test_wrong_priors(prior: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        build_network("graph", spec(), {**TINY, "prior": prior})
    assert "\n" not in str(caught.value)
