"""What an observation holds: typed nodes, typed edges, and the actions that may be chosen now; nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray


@dataclass(frozen=True)
class Feature:
    """One column of a feature array.

    Attributes:
        name: the field's standard term.
        unit: what a value of 1 means, for example ``mean processing time``.
        low, high: finite bounds; values are clipped to them.
        dynamic: False when the value is fixed for an episode, so that a policy may encode it once: that of a node, that
            of an edge, and that of an action slot as long as it refers to the same nodes.
    """

    name: str
    unit: str = "1"
    low: float = 0.0
    high: float = 1.0
    dynamic: bool = True


@dataclass(frozen=True)
class NodeType:
    """A type of nodes and its features."""

    name: str
    features: tuple[Feature, ...]


@dataclass(frozen=True)
class EdgeType:
    """Directed edges from nodes of one type to nodes of another.

    Attributes:
        name: how the key ``edges/<name>`` calls them.
        source, target: the node types.
        features: of each edge; there may be none.
        dynamic: False when the edges of the reset stay in their columns as long as both their nodes are there, and no
            other one comes, so that a policy may encode them once.
    """

    name: str
    source: str
    target: str
    features: tuple[Feature, ...] = ()
    dynamic: bool = False


@dataclass(frozen=True)
class Series:
    """A time series for each node of a type: `steps` values of each feature, flattened time first."""

    name: str
    node: str
    steps: int
    features: tuple[Feature, ...]


@dataclass(frozen=True)
class Image:
    """An image of uint8, 0 to 255."""

    name: str
    height: int
    width: int
    channels: int


@dataclass(frozen=True)
class Sizes:
    """How many nodes, edges and action slots an observation has room for. Never part of the spec or its hash."""

    nodes: Mapping[str, int]
    edges: Mapping[str, int]
    actions: int


@dataclass(frozen=True)
class ObservationSpec:
    """Names every feature of an observation with unit, scaling and bounds; every generic agent is built from it alone.

    Attributes:
        nodes: the node types.
        edges: the edge types.
        globals: features of the whole state.
        action_nodes: the node type that each of the K columns of ``actions/nodes`` refers to.
        action_features: features of each action slot.
        special_actions: names of the last action slots (WAIT, STOP), which refer to no node.
        series, images: where there are any.
        time_scale: simulated time that counts as one unit of discounting: gamma ** (elapsed / time_scale).
        stochastic: whether the transition is random, so that search on the engine must be open-loop.
    """

    nodes: tuple[NodeType, ...]
    edges: tuple[EdgeType, ...]
    globals: tuple[Feature, ...]
    action_nodes: tuple[str, ...]
    action_features: tuple[Feature, ...]
    special_actions: tuple[str, ...] = ()
    series: tuple[Series, ...] = field(default=())
    images: tuple[Image, ...] = field(default=())
    time_scale: float = 1.0
    stochastic: bool = False

    def __post_init__(self) -> None:
        names = [node.name for node in self.nodes]
        if len(set(names)) != len(names):
            raise ValueError(f"node types {names} are not unique")
        referred = [edge.source for edge in self.edges] + [edge.target for edge in self.edges]
        referred += [*self.action_nodes, *(series.node for series in self.series)]
        for name in referred:
            if name not in names:
                raise ValueError(f"node type {name!r} is referred to, but the spec has only {names}")
        for image in self.images:
            if min(image.height, image.width) < 36:
                raise ValueError(f"image {image.name!r} is {image.height}x{image.width}, its sides must be at least 36")
        for feature in self._all_features():
            if not (np.isfinite(feature.low) and np.isfinite(feature.high) and feature.low <= 0 <= feature.high):
                raise ValueError(f"feature {feature.name!r}: bounds must be finite and hold 0 (padding is zero)")

    def _all_features(self) -> list[Feature]:
        groups = [node.features for node in self.nodes] + [edge.features for edge in self.edges]
        groups += [series.features for series in self.series] + [self.globals, self.action_features]
        return [feature for group in groups for feature in group]

    def keys(self) -> tuple[str, ...]:
        """The observation's keys in their fixed order."""
        keys: list[str] = []
        for node in self.nodes:
            keys += [f"nodes/{node.name}", f"node_mask/{node.name}"]
        for edge in self.edges:
            keys.append(f"edges/{edge.name}")
            if edge.features:
                keys.append(f"edge_features/{edge.name}")
        keys += [f"series/{series.name}" for series in self.series]
        keys += [f"images/{image.name}" for image in self.images]
        keys += ["globals", "actions/nodes", "actions/features", "action_mask"]
        return tuple(keys)

    def action_column(self, name: str) -> int:
        """Column of a named action feature.

        Raises:
            KeyError: there is no such feature.
        """
        for column, feature in enumerate(self.action_features):
            if feature.name == name:
                return column
        raise KeyError(name)

    def space(self, sizes: Sizes) -> spaces.Dict:
        """Gymnasium space of one observation with room for the given sizes."""
        boxes: dict[str, spaces.Space[Any]] = {}
        for node in self.nodes:
            count = sizes.nodes[node.name]
            boxes[f"nodes/{node.name}"] = feature_box((count,), node.features)
            boxes[f"node_mask/{node.name}"] = spaces.Box(0, 1, (count,), np.int8)
        for edge in self.edges:
            count = sizes.edges[edge.name]
            highest = max(sizes.nodes[edge.source], sizes.nodes[edge.target]) - 1
            boxes[f"edges/{edge.name}"] = spaces.Box(-1, max(highest, 0), (2, count), np.int32)
            if edge.features:
                boxes[f"edge_features/{edge.name}"] = feature_box((count,), edge.features)
        for series in self.series:
            boxes[f"series/{series.name}"] = feature_box((sizes.nodes[series.node],), series.features * series.steps)
        for image in self.images:
            shape = (image.height, image.width, image.channels)
            boxes[f"images/{image.name}"] = spaces.Box(0, 255, shape, np.uint8)
        boxes["globals"] = feature_box((), self.globals)
        highest = max((sizes.nodes[name] for name in self.action_nodes), default=1) - 1
        boxes["actions/nodes"] = spaces.Box(-1, max(highest, 0), (sizes.actions, len(self.action_nodes)), np.int32)
        boxes["actions/features"] = feature_box((sizes.actions,), self.action_features)
        boxes["action_mask"] = spaces.Box(0, 1, (sizes.actions,), np.int8)
        return spaces.Dict(boxes)

    def to_dict(self) -> dict[str, Any]:
        """The spec as plain JSON data; `from_dict` reads it back."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ObservationSpec:
        """The spec that `to_dict` wrote."""

        def features(rows: Any) -> tuple[Feature, ...]:
            return tuple(Feature(**row) for row in rows)

        def having_features(kind: Any, rows: Any) -> Any:
            return tuple(kind(**{**row, "features": features(row["features"])}) for row in rows)

        return cls(
            nodes=having_features(NodeType, data["nodes"]),
            edges=having_features(EdgeType, data["edges"]),
            globals=features(data["globals"]),
            action_nodes=tuple(data["action_nodes"]),
            action_features=features(data["action_features"]),
            special_actions=tuple(data["special_actions"]),
            series=having_features(Series, data["series"]),
            images=tuple(Image(**row) for row in data["images"]),
            time_scale=float(data["time_scale"]),
            stochastic=bool(data["stochastic"]),
        )

    @cached_property
    def hash(self) -> str:
        """Hash of type and feature names, order, units and bounds; never of counts."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:16]


def _bounds(features: tuple[Feature, ...]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    low = np.array([feature.low for feature in features], dtype=np.float32)
    high = np.array([feature.high for feature in features], dtype=np.float32)
    return low, high


def feature_box(leading: tuple[int, ...], features: tuple[Feature, ...]) -> spaces.Box:
    """Gymnasium space of features [*leading, F] within their bounds."""
    low, high = _bounds(features)
    shape = (*leading, len(features))
    return spaces.Box(np.broadcast_to(low, shape).copy(), np.broadcast_to(high, shape).copy(), dtype=np.float32)
