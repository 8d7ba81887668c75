"""PyTorch modules as instances, by ``torch.export`` (inference) or by tracing forward and backward (a training step).

Needs torch, which is an optional dependency; only shapes matter, so a module on the device ``meta`` costs nothing.
"""

from __future__ import annotations

import hashlib
import io
import logging
import sysconfig
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from traceback import walk_tb
from types import FrameType
from typing import TYPE_CHECKING, Any

from ...core.errors import FieldError, UserError
from ...core.extras import optional
from ..instance import Hardware, MemoryInstance
from .fusion import fuse
from .program import SMALLEST_BYTES, to_instance

if TYPE_CHECKING:
    import torch
    from torch import nn

DTYPES = {"own": None, "bf16": 2, "f16": 2, "f32": 4}  # bytes of an element of floating point
OPTIMISERS = ("sgd", "momentum", "adam")

_LIBRARY = sysconfig.get_path("stdlib")


def trace_module(
    module: nn.Module,
    inputs: Sequence[Any],
    name: str | None = None,
    dtype: str = "bf16",
    hardware: Hardware | None = None,
    smallest_bytes: int = SMALLEST_BYTES,
) -> MemoryInstance:
    """The instance of a module's forward pass in its present mode (``eval()`` or ``train()``).

    Operators of one element at a time are fused into what makes their operands; views cost nothing; gathers read what
    they touch; buffers that are changed, and sliced updates, happen in place where they can (alias groups).

    Args:
        module: with parameters on any device, also ``meta``.
        inputs: example inputs; only their shapes and types matter.
        name: what the instance is called; default the class's name in lower case.
        dtype: one of `DTYPES`: how numbers of floating point are stored; ``own`` for the module's types.
        hardware: what it runs on.
        smallest_bytes: smaller tensors are left out.

    Raises:
        MissingExtraError: torch is not installed.
        UserError: the module cannot be exported, or an operator is not supported; the operator is named.
    """
    torch = _torch()
    float_bytes = _float_bytes(dtype)
    title = name or type(module).__name__.lower()
    with _exporting(title):
        exported = torch.export.export(module, tuple(inputs)).run_decompositions()
    signature = exported.graph_signature
    kinds = {"PARAMETER": "param", "BUFFER": "param", "CONSTANT_TENSOR": "const"}
    roles = {
        entry.arg.name: (kinds.get(entry.kind.name, "input"), entry.target or entry.arg.name)
        for entry in signature.input_specs
        if hasattr(entry.arg, "name")
    }
    by_target = {target: node for node, (_, target) in roles.items()}
    replaced = {
        k: by_target[entry.target] for k, entry in enumerate(signature.output_specs) if entry.target in by_target
    }
    return _instance(
        exported.graph, roles, replaced, title, "torch.export", dtype, float_bytes, hardware, smallest_bytes
    )


def trace_training_step(
    module: nn.Module,
    inputs: Sequence[Any],
    optimiser: str = "momentum",
    name: str | None = None,
    dtype: str = "bf16",
    hardware: Hardware | None = None,
    smallest_bytes: int = SMALLEST_BYTES,
) -> MemoryInstance:
    """The instance of one training step: forward, backward, and the optimiser's update of every parameter in place.

    Args:
        module: its forward pass returns the loss, a scalar.
        optimiser: one of `OPTIMISERS`; ``momentum`` keeps one further tensor per parameter, ``adam`` two.

    The other arguments and errors are those of `trace_module`.
    """
    torch = _torch()
    float_bytes = _float_bytes(dtype)
    if optimiser not in OPTIMISERS:
        raise FieldError("optimiser", optimiser, " or ".join(OPTIMISERS))
    title = name or f"{type(module).__name__.lower()}_train"
    names = [key for key, parameter in module.named_parameters() if parameter.requires_grad]
    parameters = [dict(module.named_parameters())[key].detach() for key in names]
    kept = {
        key: tensor.detach()
        for key, tensor in (*module.named_parameters(), *module.named_buffers())
        if key not in names
    }
    slots = OPTIMISERS.index(optimiser)
    states = [torch.empty_like(parameter) for _ in range(slots) for parameter in parameters]
    arguments = [*parameters, *states, *kept.values(), *inputs]
    split = len(parameters), len(parameters) + len(states), len(parameters) + len(states) + len(kept)

    def step(*flat: torch.Tensor) -> list[torch.Tensor]:
        weights = [weight.detach().requires_grad_() for weight in flat[: split[0]]]
        buffers = dict(zip(kept, flat[split[1] : split[2]], strict=True))
        filled = {**buffers, **dict(zip(names, weights, strict=True))}
        loss = torch.func.functional_call(module, filled, flat[split[2] :])
        if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
            what = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, torch.Tensor) else type(loss).__name__
            raise UserError(f"module {title!r} returns {what}, expected the loss, a tensor with one number")
        gradients = torch.autograd.grad(loss, weights, materialize_grads=True)
        return [*_update(optimiser, flat[: split[0]], gradients, flat[split[0] : split[1]]), *buffers.values(), loss]

    with _exporting(title):
        from torch.fx.experimental.proxy_tensor import make_fx

        table = torch.export.default_decompositions()
        backward = make_fx(step, table, tracing_mode="fake")(*arguments)  # functionalize knows no autograd
        graph = make_fx(torch.func.functionalize(backward), table, tracing_mode="fake")(*arguments).graph
    labels = [*names, *(f"{key}.state{k}" for k in range(slots) for key in names), *kept]
    roles = {
        node.name: ("param", labels[k]) if k < len(labels) else ("input", f"input{k - len(labels)}")
        for k, node in enumerate(x for x in graph.nodes if x.op == "placeholder")
    }
    replaced = dict(enumerate(list(roles)[: split[2]]))
    kind = f"torch.autograd, {optimiser}"
    return _instance(graph, roles, replaced, title, kind, dtype, float_bytes, hardware, smallest_bytes)


def _update(
    optimiser: str, weights: Sequence[torch.Tensor], gradients: Sequence[torch.Tensor], slots: Sequence[torch.Tensor]
) -> Iterator[torch.Tensor]:
    """New weights, then new states in their order."""
    count = len(weights)
    states: list[torch.Tensor] = []
    for k, (weight, gradient) in enumerate(zip(weights, gradients, strict=True)):
        if optimiser == "sgd":
            yield weight - 0.1 * gradient
        elif optimiser == "momentum":
            states.append(0.9 * slots[k] + gradient)
            yield weight - 0.1 * states[-1]
        else:
            first = 0.9 * slots[k] + 0.1 * gradient
            second = 0.999 * slots[count + k] + 0.001 * gradient * gradient
            states += [first, second]
            yield weight - 0.001 * first / (second.sqrt() + 1e-8)
    width = max(1, len(states) // count)
    yield from (states[k] for slot in range(width) for k in range(slot, len(states), width))


def _instance(
    graph: torch.fx.Graph,
    roles: Mapping[str, tuple[str, str]],
    replaced: Mapping[int, str],
    name: str,
    kind: str,
    dtype: str,
    float_bytes: int | None,
    hardware: Hardware | None,
    smallest_bytes: int,
) -> MemoryInstance:
    from .torch_graph import GraphReader

    program = fuse(GraphReader(roles, replaced, float_bytes).read(graph))
    source = {
        "kind": kind,
        "model": name,
        "torch": _torch().__version__.partition("+")[0],
        "dtype": dtype,
        "sha256": _graph_hash(graph),
    }
    return to_instance(program, name, hardware, source, smallest_bytes)


def _graph_hash(graph: torch.fx.Graph) -> str:
    """Of the operators, their arguments and the shapes of what they make."""
    lines = (f"{node.op} {node.name} {node.target} {node.args} {node.kwargs} {_shape(node)}" for node in graph.nodes)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _shape(node: torch.fx.Node) -> str:
    value = node.meta.get("val")
    shapes = value if isinstance(value, list | tuple) else [value]
    return str([tuple(getattr(x, "shape", ())) for x in shapes])


def _float_bytes(dtype: str) -> int | None:
    if dtype not in DTYPES:
        raise FieldError("dtype", dtype, " or ".join(DTYPES))
    return DTYPES[dtype]


def _torch() -> Any:
    with optional("tracing a PyTorch module", "train", "torch"):
        import torch
    return torch


@contextmanager
def _exporting(name: str) -> Iterator[None]:
    """Turns whatever goes wrong meanwhile into one line that says where in the module, and at which operator.

    Raises:
        UserError: something went wrong.
    """
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # export tells at length what the one line says
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # a module that calls sys.exit would end the command well
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"module {name!r} cannot be exported: {_place_of(error, reason)}") from error
    finally:
        logging.disable(before)


def _place_of(error: BaseException, reason: str) -> str:
    """The reason of an error, with the line of the model's code and the operator that it had called, where it had."""
    told = f"{type(error).__name__}: {reason}"
    for one in _chain(error):
        frames = [frame for frame, _ in walk_tb(one.__traceback__)]
        lines = [line for _, line in walk_tb(one.__traceback__)]
        last = max((k for k, frame in enumerate(frames) if _is_model(frame)), default=-1)
        if last < 0:
            continue
        own = [k for k in range(last + 1) if _is_model(frames[k]) and not _of_torch(frames[k])]
        line = f"{Path(frames[own[-1]].f_code.co_filename).name}, line {lines[own[-1]]}" if own else ""
        operator = _operator(frames[last + 1 :])
        if operator is None:
            return f"{line}: {told}" if line else told
        return f"at operator {operator!r}{f' ({line})' if line else ''}: {reason}"
    return told


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those that it came of."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _of_torch(frame: FrameType) -> bool:
    return (frame.f_globals.get("__name__") or "").partition(".")[0] == "torch"


def _is_model(frame: FrameType) -> bool:
    """Whether a frame runs a model, its parts by torch included, and not what traces it."""
    file, name = frame.f_code.co_filename, frame.f_globals.get("__name__") or ""
    if _of_torch(frame):
        return name.startswith("torch.nn.")
    tracing = name.startswith((__package__ or "", "sympy."))
    return not (tracing or file.startswith("<") or (Path(file).is_relative_to(_LIBRARY) and "-packages" not in file))


def _operator(frames: Sequence[FrameType]) -> str | None:
    """The operator that a model's last frame has called, given the frames after it; None if it has called none."""
    for frame in frames:
        function = frame.f_locals.get("func") if frame.f_code.co_name == "__torch_function__" else None
        if function is not None:
            schema = getattr(function, "_schema", None)
            return str(getattr(function, "__name__", function) if schema is None else schema.name)
    return frames[0].f_code.co_name if frames and _of_torch(frames[0]) else None
