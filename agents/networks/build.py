"""Networks by the name of the agent that they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from ...envs.core.errors import FieldError, UnknownNameError
from ...envs.core.spec import ObservationSpec
from .attention import AttentionConfig, AttentionNetwork
from .common import SlotNetwork
from .graph import GraphConfig, GraphNetwork

_KINDS: dict[str, tuple[type[Any], type[Any]]] = {
    "graph": (GraphNetwork, GraphConfig),
    "attention": (AttentionNetwork, AttentionConfig),
}


def network_config(kind: str, given: Mapping[str, Any]) -> dict[str, int]:
    """The full configuration of a kind of network, defaults filled in.

    Raises:
        UserError: the kind or a key is unknown, or a value is no positive integer.
    """
    if kind not in _KINDS:
        raise UnknownNameError("network", kind, _KINDS)
    config_class = _KINDS[kind][1]
    names = [field.name for field in fields(config_class)]
    for key, value in given.items():
        if key not in names:
            raise UnknownNameError(f"option of network {kind!r}:", key, names)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 4096:
            raise FieldError(f"network {key}", value, "an integer from 1 to 4096")
    config = asdict(config_class(**given))
    if config["width"] % config.get("heads", 1):
        raise FieldError("network heads", config["heads"], f"a divisor of the width {config['width']}")
    return config


def build_network(kind: str, spec: ObservationSpec, config: Mapping[str, Any]) -> SlotNetwork:
    """A fresh network for an observation spec; any sizes of observations fit it.

    Raises:
        UserError: as `network_config`.
    """
    full = network_config(kind, config)
    network_class, config_class = _KINDS[kind]
    return network_class(spec, config_class(**full))
