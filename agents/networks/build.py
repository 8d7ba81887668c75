"""Networks by the name of the agent that they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from ...envs.core.errors import FieldError, UnknownNameError
from ...envs.core.spec import ObservationSpec
from .attention import AttentionConfig, AttentionNetwork
from .captain import CaptainConfig, CaptainNetwork
from .common import SlotNetwork
from .graph import GraphConfig, GraphNetwork
from .hierarchical import HierarchicalConfig, HierarchicalNetwork
from .prior import PriorNetwork
from .slots import SlotsConfig, SlotsNetwork

_KINDS: dict[str, tuple[type[Any], type[Any]]] = {
    "graph": (GraphNetwork, GraphConfig),
    "attention": (AttentionNetwork, AttentionConfig),
    "hierarchical": (HierarchicalNetwork, HierarchicalConfig),
    "slots": (SlotsNetwork, SlotsConfig),
    "captain": (CaptainNetwork, CaptainConfig),
}


def network_config(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The full configuration of a kind of network, defaults filled in; ``prior`` is kept where there is one.

    Raises:
        UserError: the kind or a key is unknown, or a value is no integer in its range, which is that from 1 but for the
            few sizes that say another (no name, for ``prior``).
    """
    if kind not in _KINDS:
        raise UnknownNameError("network", kind, _KINDS)
    config_class = _KINDS[kind][1]
    ranges = {field.name: field.metadata.get("range", (1, 4096)) for field in fields(config_class)}
    sizes = {key: value for key, value in given.items() if key != "prior"}
    for key, value in sizes.items():
        if key not in ranges:
            raise UnknownNameError(f"option of network {kind!r}:", key, ranges)
        low, high = ranges[key]
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise FieldError(f"network {key}", value, f"an integer from {low} to {high}")
    config = asdict(config_class(**sizes))
    if config["width"] % config.get("heads", 1):
        raise FieldError("network heads", config["heads"], f"a divisor of the width {config['width']}")
    if "prior" in given:
        if not isinstance(given["prior"], str):
            raise FieldError("network prior", given["prior"], "the name of an action feature")
        config["prior"] = given["prior"]
    return config


def build_network(kind: str, spec: ObservationSpec, config: Mapping[str, Any]) -> SlotNetwork:
    """A fresh network for an observation spec; any sizes of observations fit it.

    Raises:
        UserError: as `network_config`, or the spec lacks the action feature that is the prior.
    """
    full = network_config(kind, config)
    prior = full.pop("prior", None)
    network_class, config_class = _KINDS[kind]
    network = network_class(spec, config_class(**full))
    return network if prior is None else PriorNetwork(network, prior)
