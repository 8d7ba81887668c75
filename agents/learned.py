"""Trained agents: a checkpoint's network, played greedily, by sampling, or with a beam."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..envs.core.errors import FieldError, UserError
from ..envs.core.extras import optional
from ..envs.core.files import user_path
from ..envs.core.names import Name, check_options
from ..envs.core.spec import ObservationSpec
from .agent import Agent, Setting
from .checkpoint import CARD, Arrays, checkpoint_place, load_checkpoint
from .foresight import PREFIX, Foresight, foresight_names, foresight_spec, restore_foresight
from .plugins import checkpoint_folders
from .policy_beam import DistinctPlansAgent, PolicyBeamAgent
from .scorer.agent import ScorerAgent, ScorerPolicy
from .scorer.choice import join_row, weight_shapes

if TYPE_CHECKING:
    from .networks.common import SlotNetwork

_TREES = ("tree", "das")  # kinds of networks that are trees
SIMULATIONS = 32  # of a search, where a network was trained by search


def find_checkpoint(name: str) -> Path:
    """Folder of a checkpoint: a path, the best one of a training run's folder, or one that ships with a package, ours
    or one that registers its own.

    Raises:
        UserError: there is none of this name, or there are two.
    """
    path = user_path(name)
    if "\0" not in name:
        for folder in (path, path / "best", path / "last"):
            if os.path.isfile(checkpoint_place(folder) / CARD):
                return folder
        if path.parts[:1] == ("checkpoints",) and len(path.parts) == 2:
            shipped = [found for one in checkpoint_folders() if os.path.isfile((found := one / path.parts[1]) / CARD)]
            if len(shipped) > 1:
                raise UserError(f"checkpoint {name!r} is shipped twice, in {' and '.join(map(str, shipped))}")
            if shipped:
                return shipped[0]
        if os.path.isdir(path):
            return path  # whoever reads it says what is missing
    raise UserError(f"checkpoint {name!r} is neither a folder nor shipped with a package")


def load_network(
    folder: str | Path, spec: ObservationSpec, device: str = "auto"
) -> tuple[SlotNetwork, Arrays, dict[str, Any]]:
    """A checkpoint's network on an environment's observation spec (with foresight, where it has it), all that the
    checkpoint holds, and its card.

    Raises:
        UserError: the checkpoint is damaged, for another spec, or its tensors do not fit the network of the card.
        MissingExtraError: torch or PyTorch Geometric is not installed.
    """
    arrays, card = load_for(folder, spec)
    seen, weights = spec, arrays
    if "foresight" in card:
        seen = foresight_spec(spec, foresight_names(card["foresight"]))
        weights = {name: array for name, array in arrays.items() if not name.startswith(PREFIX)}
    import torch

    with torch.device("meta"):  # without memory: what an edited card asks for may not fit into it
        check_weights(build(card["network"], seen), weights, str(folder))
    network = build(card["network"], seen)
    load_weights(network, weights, str(folder))
    return network.to(choose_device(device)).eval(), arrays, card


def load_for(folder: str | Path, spec: ObservationSpec) -> tuple[Arrays, dict[str, Any]]:
    """A checkpoint's arrays and card.

    Raises:
        UserError: the checkpoint is damaged, or for another spec.
    """
    arrays, card = load_checkpoint(folder)
    if card["spec_hash"] != spec.hash:
        raise UserError(
            f"checkpoint {str(folder)!r} was trained on the observations of {card['env']} with spec "
            f"{card['spec_hash']!r}; those at hand have spec {spec.hash!r}"
        )
    return arrays, card


def load_scorer(name: Name, setting: Setting) -> tuple[Arrays, ScorerAgent]:
    """A scorer's weights, and the scorer as an agent that plays without noise.

    Raises:
        UserError: see `load_agent`; or the checkpoint is not a scorer's.
    """
    folder = find_checkpoint(name.base)
    arrays, card = load_for(folder, setting.spec)
    if card["network"].get("kind") != "scorer":
        raise UserError(f"checkpoint {str(folder)!r} holds a {card['agent']}, expected a scorer")
    return arrays, scorer_agent(str(name), arrays, setting.spec, str(folder))


def holds_tree(name: Name) -> bool:
    """Whether a checkpoint is a tree's, or one of `das`.

    Raises:
        UserError: there is none, or it is damaged.
    """
    return load_checkpoint(find_checkpoint(name.base))[1]["network"].get("kind") in _TREES


def load_tree(name: Name, setting: Setting) -> Agent:
    """A tree's checkpoint, or one of `das`, as an agent.

    Raises:
        UserError: see `load_agent`; or the checkpoint is not a tree's.
    """
    from .tree.agent import tree_agent

    check_options(name, "tree", ())
    folder = find_checkpoint(name.base)
    arrays, card = load_for(folder, setting.spec)
    return tree_agent(str(name), card["network"], arrays, setting, str(folder))


def scorer_agent(
    name: str, weights: Arrays, spec: ObservationSpec, source: str, noise: float = 0.0, samples: int = 1
) -> ScorerAgent:
    """A scorer by its weights.

    Raises:
        UserError: see `check_scorer`.
    """
    check_scorer(weights, spec, source)
    return ScorerAgent(name, join_row(weights, spec, noise)[None], samples)


def check_scorer(weights: Arrays, spec: ObservationSpec, source: str) -> None:
    """Check that weights are a scorer's.

    Raises:
        UserError: an array is missing, unknown, of another shape or type, or holds a number that is not finite.
    """
    check_arrays({key: (shape, "float32") for key, shape in weight_shapes(spec).items()}, weights, source)


def build(network: Mapping[str, Any], spec: ObservationSpec) -> SlotNetwork:
    """A fresh network from the card's description ``{"kind": ..., "width": ..., ...}``."""
    config = dict(network)
    kind = str(config.pop("kind", ""))
    with optional("a trained agent", "train"):
        if kind == "muzero":
            from .muzero.network import make_muzero

            return make_muzero(spec, config)
        from .networks.build import build_network
    return build_network(kind, spec, config)


def check_weights(network: SlotNetwork, weights: Arrays, source: str) -> None:
    """Compare arrays with what a network needs.

    Raises:
        UserError: a tensor is missing, unknown, of another shape or type, or holds a number that is not finite.
    """
    own = network.state_dict()
    needed = {name: (tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")) for name, tensor in own.items()}
    check_arrays(needed, weights, source)


def check_arrays(needed: Mapping[str, tuple[tuple[int, ...], str]], weights: Arrays, source: str) -> None:
    """Compare arrays with the shapes and types that are needed.

    Raises:
        UserError: one is missing, unknown, of another shape or type, or holds a number that is not finite.
    """
    for name, (shape, kind) in needed.items():
        if name not in weights:
            raise UserError(f"checkpoint {source!r} lacks the tensor {name!r}, expected with shape {shape}")
        array = weights[name]
        if array.shape != shape or array.dtype.name != kind:
            raise UserError(
                f"checkpoint {source!r}: tensor {name!r} is {array.dtype.name} of shape {array.shape}, "
                f"expected {kind} of shape {shape}"
            )
        if not np.isfinite(array).all():
            raise UserError(f"checkpoint {source!r}: tensor {name!r} holds a number that is not finite")
    for name in weights:
        if name not in needed:
            raise UserError(f"checkpoint {source!r} holds the unknown tensor {name!r}")


def load_weights(network: SlotNetwork, weights: Arrays, source: str) -> None:
    """Set a network's weights.

    Raises:
        UserError: see `check_weights`.
    """
    import torch

    check_weights(network, weights, source)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    network.source = source


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
        float(torch.zeros(1, device=device))  # "meta" makes tensors that hold nothing
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {device!r} cannot be used: {str(error).splitlines()[0]}") from None
    return device


def load_agent(name: Name, setting: Setting) -> Agent:
    """The agent that a name with a path stands for: ``checkpoints/x``, ``runs/x:samples=64``, ``...:beam=8``.

    Options: `samples` (best of that many sampled plays), `temperature` of sampling (default 1; given, it samples),
    `greedy` (the best slot each time, which is the default, or ``false``: sample once), `beam` (width of a
    policy-guided beam search) or `distinct` (best of that many plans drawn without replacement), both of foreseeable
    worlds only and with the policy's `temperature`, `worlds` (imagined at each decision by a policy with foresight;
    default as trained), `simulations` (of a Gumbel search at each decision; 0 plays the policy alone, the default but
    for what was trained by search) and `model` ("learned" or "engine": what is searched).

    Raises:
        UserError: an option has a wrong value or contradicts another; see `find_checkpoint` and `load_network`.
        MissingExtraError: torch or PyTorch Geometric is not installed.
    """
    folder = find_checkpoint(name.base)
    card = load_checkpoint(folder)[1]
    kind = card["network"].get("kind")
    if kind == "mapper-order":
        from .memory_mapping.order_agent import load_order_agent

        return load_order_agent(name, folder, setting)
    if kind == "dag-order":
        from .soc.order_agent import load_dag_order_agent

        return load_dag_order_agent(name, folder, setting)
    if kind == "sequoia":
        from .restless_bandits.sequoia import load_sequoia_agent

        return load_sequoia_agent(name, folder, setting)
    if kind in _TREES:
        return load_tree(name, setting)
    if _simulations(name, kind):
        return _load_search(name, setting, folder)
    plain = {key: value for key, value in name.options.items() if key != "simulations"}
    decoding = _read_decoding(Name(name.base, plain))
    if kind == "scorer":
        return _load_scorer_agent(name, setting, decoding)
    network, foresight, _ = _load_foreseeing(name, setting, folder)
    from .decoding import NetworkPolicy, PolicyAgent

    if decoding.plans is not None:
        policy = NetworkPolicy(network, foresight)
        return decoding.plans(str(name), policy, setting, decoding.width, decoding.temperature)
    return PolicyAgent(str(name), network, decoding.noise, decoding.samples, foresight)


def _load_foreseeing(
    name: Name, setting: Setting, folder: Path
) -> tuple[SlotNetwork, Foresight | None, dict[str, Any]]:
    """A checkpoint's network, its foresight, if any, with as many worlds as the name's options ask for, and its card.

    Raises:
        UserError: see `load_network`; or the option worlds is wrong, or there is no foresight that it could be for.
    """
    network, arrays, card = load_network(folder, setting.spec, setting.device)
    if "foresight" in card:
        worlds = _count({**card["foresight"], **name.options}, "worlds", 0)
        return network, restore_foresight(card["foresight"], arrays, worlds, setting, str(folder)), card
    if "worlds" in name.options:
        raise UserError(f"agent {str(name)!r}: option worlds is for policies with foresight, which this one has not")
    return network, None, card


def _simulations(name: Name, kind: Any) -> int:
    """How many a search is to make; of other networks than those trained by search none by default.

    Raises:
        FieldError: a wrong number, or one for a scorer.
    """
    options = name.options
    decoded = set(options) - {"simulations", "model", "worlds"}
    if kind == "muzero" and decoded and "simulations" not in options:
        shown = ", ".join(sorted(decoded))
        raise UserError(f"agent {str(name)!r}: option {shown} is for the policy alone; add simulations=0")
    value = options.get("simulations", SIMULATIONS if kind == "muzero" else 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100_000:
        raise FieldError("option simulations", value, "an integer from 0 to 100000")
    if value and kind == "scorer":
        raise FieldError("option simulations", value, f"0 for a scorer; try gumbel:of={name.base}:simulations={value}")
    if "model" in options and not value:
        raise UserError(f"agent {str(name)!r}: option model says what is searched; it needs simulations")
    if value and decoded:
        raise UserError(f"agent {str(name)!r}: a search takes no other option but simulations, model and worlds")
    return value


def _load_search(name: Name, setting: Setting, folder: Path) -> Agent:
    """A network that is played by search.

    Raises:
        UserError: see `load_network`; or there is nothing that could be searched.
    """
    network, foresight, card = _load_foreseeing(name, setting, folder)
    has_dynamics = bool(card["network"].get("dynamics", 0))
    model = name.options.get("model", "learned" if has_dynamics else "engine")
    if model not in ("learned", "engine"):
        raise FieldError("option model", model, "'learned' or 'engine'")
    if model == "learned" and not has_dynamics:
        raise FieldError("option model", model, "'engine' for a network without dynamics")
    if model == "engine" and setting.engine is None:
        raise UserError(f"agent {str(name)!r} cannot look ahead: environment {setting.env_id!r} is plain Python")
    from .muzero.agent import NetworkSearch, NetworkSearchAgent
    from .muzero.search import SearchConfig, Searcher

    try:
        gamma = float(card["training"]["config"]["gamma"])
    except (LookupError, TypeError, ValueError):
        raise UserError(f"{folder / CARD}: training.config.gamma is missing or no number") from None
    searcher = Searcher(SearchConfig(_simulations(name, card["network"].get("kind"))))
    search = NetworkSearch(network, searcher, setting, model == "learned", gamma, foresight)
    return NetworkSearchAgent(str(name), search, model == "learned")


class _Decoding(NamedTuple):
    """How scores become choices.

    Attributes:
        samples: tries at each world.
        noise: of the scores of each decision; 0: the best slot is taken.
        plans: who makes whole plans instead; None: nobody.
        width: plans that are made at a time.
        temperature: of these.
    """

    samples: int
    noise: float
    plans: type[PolicyBeamAgent] | None
    width: int
    temperature: float


def _read_decoding(name: Name) -> _Decoding:
    """What the options of a name say of it.

    Raises:
        UserError: one has a wrong value or contradicts another.
    """
    options = name.options
    check_options(name, "trained agent", ("samples", "temperature", "beam", "distinct", "greedy", "worlds"))
    samples, beam, distinct = (
        _count(options, key, default) for key, default in (("samples", 1), ("beam", 0), ("distinct", 0))
    )
    temperature = options.get("temperature", 1.0)
    if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not 0 < temperature <= 100:
        raise FieldError("option temperature", temperature, "a number above 0 and at most 100")
    temperature = float(temperature)
    if beam or distinct:
        if (beam and distinct) or "samples" in options or "greedy" in options:
            key = "beam" if beam else "distinct"
            raise UserError(f"agent {str(name)!r}: {key} takes no other option but temperature and worlds")
        plans = PolicyBeamAgent if beam else DistinctPlansAgent
        return _Decoding(1, 0.0, plans, max(beam, distinct), temperature)
    sampled = "temperature" in options or samples > 1
    greedy = options.get("greedy", not sampled)
    if not isinstance(greedy, bool):
        raise FieldError("option greedy", greedy, "true or false")
    if greedy and sampled:
        raise UserError(f"agent {str(name)!r}: greedy play is the same each time; samples or temperature contradict it")
    return _Decoding(samples, 0.0 if greedy else temperature, None, 0, temperature)


def _load_scorer_agent(name: Name, setting: Setting, decoding: _Decoding) -> Agent:
    """A scorer as an agent.

    Raises:
        UserError: see `load_scorer`; or the option is not for scorers.
    """
    if "worlds" in name.options:
        raise UserError(f"agent {str(name)!r}: option worlds is not for scorers")
    weights, _ = load_scorer(name, setting)
    if decoding.plans is not None:
        policy = ScorerPolicy(join_row(weights, setting.spec))
        return decoding.plans(str(name), policy, setting, decoding.width, decoding.temperature)
    return scorer_agent(str(name), weights, setting.spec, name.base, decoding.noise, decoding.samples)


def _count(options: Mapping[str, Any], key: str, default: int) -> int:
    value = options.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not default <= value <= 100_000:
        raise FieldError(f"option {key}", value, f"an integer from {default} to 100000")
    return value
