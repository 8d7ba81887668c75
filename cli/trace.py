"""``makespan trace``: a model becomes an instance of memory mapping."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..envs.core.errors import FieldError, UnknownNameError, UserError
from ..envs.core.extras import optional
from ..envs.core.files import user_path
from ..envs.memory_mapping.instance import MAX_BYTES, Hardware, MemoryInstance
from ..envs.memory_mapping.tracing.hlo import read_hlo
from ..envs.memory_mapping.tracing.summary import summary

_INPUT = re.compile(r"([0-9]{1,9}(?:x[0-9]{1,9})*)(:int)?\Z")
_HLO_ENDINGS = (".hlo", ".txt")
_MIB = 2**20


@dataclass(frozen=True)
class Request:
    """What is to be traced.

    Attributes:
        model: ``module.py:Model``, or a file of HLO text.
        inputs: of a PyTorch module: ``8x3x224x224``, ``8x128:int``.
        train: the optimiser of a training step; None for the forward pass.
        dtype: how numbers of floating point are stored; None for bf16, for HLO the types of the text.
        trips: how often a loop of HLO runs whose text does not tell.
        cmem: size of CMEM, MiB; None for the hardware's own.
        name: of the instance; None for the model's.
    """

    model: str
    inputs: tuple[str, ...] = ()
    train: str | None = None
    dtype: str | None = None
    trips: int | None = None
    cmem: float | None = None
    name: str | None = None


def run(request: Request, out: str, as_json: bool) -> int:
    """Trace the model, write the instance, say what it is like.

    Raises:
        UserError: the model cannot be read, built or traced, or the file cannot be written.
    """
    if not out.endswith(".json"):
        raise FieldError("option out", out, "a name that ends in .json")
    hardware = _hardware(request.cmem)
    is_hlo = Path(request.model).suffix in _HLO_ENDINGS
    instance = _trace_hlo(request, hardware) if is_hlo else _trace_torch(request, hardware)
    path = user_path(out)
    instance.save(path)
    facts = {**summary(instance), "out": str(path)}
    print(json.dumps(facts) if as_json else _text(facts))
    return 0


def _hardware(cmem: float | None) -> Hardware:
    if cmem is None:
        return Hardware()
    if not 1 <= cmem * _MIB <= MAX_BYTES:
        raise FieldError("option cmem", cmem, f"a size in MiB, up to {MAX_BYTES // _MIB}")
    return replace(Hardware(), cmem_bytes=round(cmem * _MIB))


def _trace_hlo(request: Request, hardware: Hardware) -> MemoryInstance:
    for option, value in (("input", request.inputs), ("train", request.train)):
        if value:
            raise UserError(f"option {option} is for PyTorch modules; {request.model!r} is a file of HLO text")
    return read_hlo(request.model, request.name, request.dtype or "own", request.trips, hardware)


def _trace_torch(request: Request, hardware: Hardware) -> MemoryInstance:
    if request.trips is not None:
        raise UserError(f"option trips is for HLO text; {request.model!r} is a PyTorch module")
    with optional("tracing a PyTorch module", "train", "torch"):
        import torch
    from ..envs.memory_mapping.tracing.trace_torch import trace_module, trace_training_step

    shapes = [_shape(text) for text in request.inputs]
    if not shapes:
        raise UserError("option input is missing, expected the shape of each input, for example 8x3x224x224")
    module = _module(request.model)
    inputs = [
        torch.zeros(sides, dtype=torch.int64 if whole else torch.float32, device="meta") for sides, whole in shapes
    ]
    name = request.name or request.model.rpartition(":")[2].lower()
    if request.train is not None:
        return trace_training_step(module.train(), inputs, request.train, name, request.dtype or "bf16", hardware)
    return trace_module(module.eval(), inputs, name, request.dtype or "bf16", hardware)


def _shape(text: str) -> tuple[tuple[int, ...], bool]:
    """Sides, and whether it holds integers."""
    match = _INPUT.match(text)
    if not match:
        raise FieldError("option input", text, "sides such as 8x3x224x224, followed by ':int' for whole numbers")
    return tuple(map(int, match[1].split("x"))), match[2] is not None


def _module(model: str) -> Any:
    """The user's module, on the device ``meta``."""
    import torch

    path, _, name = model.rpartition(":")
    if not path.endswith(".py") or not name:
        raise FieldError("the model", model, "module.py:Model, or a file of HLO text that ends in .hlo or .txt")
    if not Path(path).is_file():
        raise UserError(f"cannot read {path!r}: no such file")
    with _users_code(path), torch.device("meta"):
        file = _load(Path(path))
        if not hasattr(file, name):
            raise UnknownNameError(f"model in {path}:", name, [key for key in vars(file) if not key.startswith("_")])
        found = getattr(file, name)
        module = found if isinstance(found, torch.nn.Module) else found()
    if not isinstance(module, torch.nn.Module):
        raise UserError(f"{model} makes something of type {type(module).__name__}, expected a torch.nn.Module")
    return module.to("meta")


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module


@contextmanager
def _users_code(path: str) -> Iterator[None]:
    """Turns what goes wrong in the user's file into one line.

    Raises:
        UserError: something went wrong.
    """
    try:
        yield
    except UserError:
        raise
    except SystemExit as error:  # else the command would end well, without a file
        raise UserError(f"{path}: it ends the program by sys.exit({error.code!r})") from error
    except Exception as error:
        reason = (str(error).strip() or "no reason given").splitlines()[0]
        raise UserError(f"{path}: {type(error).__name__}: {reason}") from error


def _text(facts: dict[str, Any]) -> str:
    def lines() -> Iterator[str]:
        yield f"{facts['out']}: {facts['name']}, {facts['hash']}"
        counts = ("instructions", "tensors", "accesses", "alias_groups", "loops")
        yield "  " + ", ".join(f"{facts[key]} {_plural(key, facts[key])}" for key in counts)
        for key in ("parameter_bytes", "peak_live_bytes", "cmem_bytes"):
            yield f"  {key.removesuffix('_bytes').replace('_', ' '):<14} {facts[key] / _MIB:12,.2f} MiB"
        for key, label in (("all_hbm_ps", "all in HBM"), ("infinite_cmem_ps", "unlimited CMEM")):
            yield f"  {label:<14} {facts[key] / 1e6:12,.2f} us"

    return "\n".join(lines())


def _plural(key: str, count: int) -> str:
    words = key.replace("_", " ")
    return words.removesuffix("s") if count == 1 else words
