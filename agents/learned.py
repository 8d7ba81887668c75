"""Trained agents: a checkpoint's network, played greedily, by sampling, or with a beam."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..envs.core.errors import FieldError, MissingExtraError, UserError
from ..envs.core.names import Name, check_options
from ..envs.core.spec import ObservationSpec
from .agent import Agent, Setting
from .checkpoint import CARD, Arrays, load_checkpoint

if TYPE_CHECKING:
    from .networks.common import SlotNetwork


def find_checkpoint(name: str) -> Path:
    """Folder of a checkpoint: a path, the best one of a training run's folder, or one that ships with the package.

    Raises:
        UserError: there is none of this name.
    """
    path = Path(name).expanduser()
    for folder in (path, path / "best", path / "last"):
        if (folder / CARD).is_file():
            return folder
    if path.parts[:1] == ("checkpoints",) and len(path.parts) == 2:
        shipped = Path(str(resources.files("makespan.checkpoints"))) / path.parts[1]
        if (shipped / CARD).is_file():
            return shipped
    if path.is_dir():
        return path  # whoever reads it says what is missing
    raise UserError(f"checkpoint {name!r} is neither a folder nor shipped with the package")


def load_network(folder: str | Path, spec: ObservationSpec, device: str = "auto") -> tuple[SlotNetwork, dict[str, Any]]:
    """A checkpoint's network on an environment's observation spec, and its card.

    Raises:
        UserError: the checkpoint is damaged, for another spec, or its tensors do not fit the network of the card.
        MissingExtraError: torch or PyTorch Geometric is not installed.
    """
    weights, card = load_checkpoint(folder)
    if card["spec_hash"] != spec.hash:
        raise UserError(
            f"checkpoint {str(folder)!r} was trained on the observations of {card['env']} with spec "
            f"{card['spec_hash']!r}; those at hand have spec {spec.hash!r}"
        )
    network = build(card["network"], spec)
    load_weights(network, weights, str(folder))
    return network.to(choose_device(device)).eval(), card


def build(network: Mapping[str, Any], spec: ObservationSpec) -> SlotNetwork:
    """A fresh network from the card's description ``{"kind": ..., "width": ..., ...}``."""
    try:
        from .networks.build import build_network
    except ImportError as error:
        raise MissingExtraError("a trained agent", "train", str(error.name)) from None
    config = dict(network)
    return build_network(str(config.pop("kind", "")), spec, config)


def load_weights(network: SlotNetwork, weights: Arrays, source: str) -> None:
    """Set a network's weights.

    Raises:
        UserError: a tensor is missing, unknown or of another shape.
    """
    import torch

    own = network.state_dict()
    for name, tensor in own.items():
        if name not in weights:
            raise UserError(
                f"checkpoint {source!r} lacks the tensor {name!r}, expected with shape {tuple(tensor.shape)}"
            )
        if tuple(tensor.shape) != weights[name].shape:
            raise UserError(
                f"checkpoint {source!r}: tensor {name!r} has shape {weights[name].shape}, expected {tuple(tensor.shape)}"
            )
    for name in weights:
        if name not in own:
            raise UserError(f"checkpoint {source!r} holds the unknown tensor {name!r}")
    network.load_state_dict({name: torch.from_numpy(weights[name]) for name in own})


def weights_of(network: SlotNetwork) -> Arrays:
    """A network's weights as arrays."""
    return {name: tensor.detach().cpu().numpy() for name, tensor in network.state_dict().items()}


def choose_device(device: str) -> str:
    """ "auto" is a GPU where there is one.

    Raises:
        UserError: the device does not exist.
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {device!r} cannot be used: {str(error).splitlines()[0]}") from None
    return device


def load_agent(name: Name, setting: Setting) -> Agent:
    """The agent that a name with a path stands for: ``checkpoints/x``, ``runs/x:samples=64``, ``...:beam=8``.

    Options: `samples` (best of that many sampled plays), `temperature` of sampling (default 1), `beam` (width of a
    policy-guided beam search, foreseeable worlds only), `greedy=false` (sample once).
    """
    check_options(name, "trained agent", ("samples", "temperature", "beam", "greedy"))
    samples, beam = (_count(name, key, default) for key, default in (("samples", 1), ("beam", 0)))
    temperature = name.options.get("temperature", 1.0)
    if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not 0 < temperature <= 100:
        raise FieldError("option temperature", temperature, "a number above 0 and at most 100")
    greedy = name.options.get("greedy", samples == 1)
    if not isinstance(greedy, bool):
        raise FieldError("option greedy", greedy, "true or false")
    network, _ = load_network(find_checkpoint(name.base), setting.spec, setting.device)
    from .decoding import PolicyAgent, PolicyBeamAgent

    if beam:
        return PolicyBeamAgent(str(name), network, setting, beam)
    return PolicyAgent(str(name), network, 0.0 if greedy else float(temperature), samples)


def _count(name: Name, key: str, default: int) -> int:
    value = name.options.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not default <= value <= 100_000:
        raise FieldError(f"option {key}", value, f"an integer from {default} to 100000")
    return value
