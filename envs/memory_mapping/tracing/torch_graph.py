"""A graph of PyTorch's ATen operators as a program: operations from shapes, views folded into what they look at."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch.utils.flop_counter import flop_registry

from ...core.errors import UserError
from .program import TRANSCENDENTAL_OPS, InPlace, Operation, Program

_VIEW_NAMES = frozenset(  # also copies: a value is made in the layout in which it is needed
    {"_unsafe_view", "reshape", "_reshape_alias", "detach", "lift_fresh_copy", "alias", "lift_fresh", "clone", "copy"}
)
_ELEMENTWISE_NAMES = frozenset(
    {"_to_copy", "_native_batch_norm_legit_no_training", "native_dropout", "convert_element_type"}
)
_MADE_ANYWHERE = frozenset(  # constants that any operation can make for itself
    {"full", "full_like", "zeros", "zeros_like", "ones", "ones_like", "empty", "empty_like", "arange", "scalar_tensor",
     "new_zeros", "new_ones", "new_full", "new_empty", "empty_permuted", "new_empty_strided", "empty_strided"}
)  # fmt: skip
_GATHERS = {"embedding": 0, "gather": 0, "index_select": 0, "index": 0}  # place of the table among the arguments
_TRANSCENDENTAL = frozenset(
    {"exp", "exp2", "expm1", "log", "log1p", "log2", "sin", "cos", "tanh", "sigmoid", "gelu", "gelu_backward", "erf",
     "silu", "mish", "softplus", "pow", "sqrt", "rsqrt", "atan", "atan2", "elu", "log_sigmoid_forward", "div"}
)  # fmt: skip
_PASSES = {  # vector operations per element of the largest operand
    "_softmax": 4 + TRANSCENDENTAL_OPS,
    "_log_softmax": 4 + TRANSCENDENTAL_OPS,
    "_softmax_backward_data": 4,
    "_log_softmax_backward_data": 4 + TRANSCENDENTAL_OPS,
    "native_layer_norm": 8,
    "native_layer_norm_backward": 12,
    "native_group_norm": 8,
    "native_group_norm_backward": 12,
    "_native_batch_norm_legit": 8,
    "_native_batch_norm_legit_functional": 8,
    "native_batch_norm": 8,
    "native_batch_norm_backward": 10,
    "_native_batch_norm_legit_no_training": 2,
}
_SLICED_UPDATES = frozenset({"slice_scatter", "select_scatter", "index_put", "index_copy", "scatter"})
_MOVES = frozenset({"_to_copy", "cat", "constant_pad_nd", "embedding", "index", "gather", "index_select"})


@dataclass(frozen=True)
class Look:
    """A tensor of the graph: what it looks at.

    Attributes:
        value: number of the value that holds it; None for a constant that costs nothing.
        bytes: how much of the value it shows.
        whole: whether it shows each element of the value once.
    """

    value: int | None
    bytes: int
    whole: bool


class GraphReader:
    """Reads one graph.

    Args:
        roles: the kind (``param``, ``input``, ``const``) and the name of each placeholder, by its name in the graph.
        replaced: what each output takes the place of: its place among the outputs -> the placeholder's name.
        float_bytes: size of a number of floating point, integers having 32 bits at most; None for what the types say.
    """

    def __init__(
        self, roles: Mapping[str, tuple[str, str]], replaced: Mapping[int, str], float_bytes: int | None
    ) -> None:
        self.program = Program()
        self._roles, self._replaced, self._float_bytes = roles, replaced, float_bytes
        self._looks: dict[torch.fx.Node, Look | list[Look | None]] = {}
        self._placeholders: dict[str, int] = {}

    def read(self, graph: torch.fx.Graph) -> Program:
        """The program.

        Raises:
            UserError: an operator or a shape is not supported; the operator is named.
        """
        for node in graph.nodes:
            if node.op == "placeholder":
                self._placeholder(node)
            elif node.op == "get_attr":
                if isinstance(node.meta.get("val"), torch.Tensor):  # not a branch of `cond`
                    self._looks[node] = self._outside(node, "const", str(node.target))
            elif node.op == "call_function":
                self._call(node)
            elif node.op == "output":
                self._outputs(node)
            else:
                raise UserError(f"operator {node.target} is of a kind ({node.op}) that is not supported")
        return self.program

    # --- tensors ------------------------------------------------------------------------------------------------------

    def _placeholder(self, node: torch.fx.Node) -> None:
        if isinstance(node.meta.get("val"), torch.Tensor):
            kind, name = self._roles.get(node.name, ("input", node.name))
            self._looks[node] = self._outside(node, kind, name)

    def _outside(self, node: torch.fx.Node, kind: str, name: str) -> Look:
        size = self._size(node.meta["val"], node)
        if not size:
            return Look(None, 0, False)
        number = self.program.add_value(size, kind, name)
        self.program.values[number].donated = node.name in self._replaced.values()
        self._placeholders[node.name] = number
        return Look(number, size, True)

    def _size(self, tensor: torch.Tensor, node: torch.fx.Node) -> int:
        """Bytes of a tensor."""
        if not all(isinstance(side, int) for side in tensor.shape):
            raise UserError(
                f"operator {node.target} has a result whose shape {tuple(map(str, tensor.shape))} depends on data"
            )
        return tensor.numel() * self._element(tensor)

    def _element(self, tensor: torch.Tensor) -> int:
        if self._float_bytes is None:
            return tensor.element_size()
        return self._float_bytes if tensor.is_floating_point() else min(4, tensor.element_size())

    # --- operators ----------------------------------------------------------------------------------------------------

    def _call(self, node: torch.fx.Node) -> None:
        target = node.target
        if target is operator.getitem:
            self._getitem(node)
            return
        if not isinstance(target, torch._ops.OpOverload):
            if isinstance(node.meta.get("val"), torch.Tensor | list | tuple):
                raise UserError(f"operator {getattr(target, '__name__', target)} is not supported")
            return  # arithmetic on sizes
        name = _name(target)
        if name in _MADE_ANYWHERE:
            self._looks[node] = Look(None, 0, False)
        elif name in _VIEW_NAMES or target.is_view or (name.endswith("_copy") and name not in _ELEMENTWISE_NAMES):
            self._view(node)
        else:
            self._operation(node, name)

    def _getitem(self, node: torch.fx.Node) -> None:
        source, index = node.args[0], node.args[1]
        looks = self._looks.get(source) if isinstance(source, torch.fx.Node) else None
        if isinstance(looks, list) and isinstance(index, int) and (look := looks[index]) is not None:
            self._looks[node] = look

    def _view(self, node: torch.fx.Node) -> None:
        shown = node.args[1 if _name(node.target) == "copy" else 0]  # type: ignore[arg-type]
        base = self._looks.get(shown) if isinstance(shown, torch.fx.Node) else None
        if not isinstance(base, Look):
            raise UserError(f"operator {node.target} looks at no tensor")
        result = node.meta["val"]
        if isinstance(result, torch.Tensor):
            self._looks[node] = self._shown(base, result, node)
        else:
            self._looks[node] = [self._shown(base, part, node) for part in result]

    def _shown(self, base: Look, tensor: torch.Tensor, node: torch.fx.Node) -> Look:
        """What a view shows: as much as it has elements, but no more than what it looks at, which it may repeat."""
        size = self._size(tensor, node)
        return Look(base.value, min(size, base.bytes), base.whole and size == base.bytes)

    def _operation(self, node: torch.fx.Node, name: str) -> None:
        results = node.meta.get("val")
        if results is None:
            return  # an assertion
        operation = Operation(_label(name))
        for argument in node.all_input_nodes:
            if not isinstance(self._looks.get(argument), list):
                self._read(operation, argument)
        tensors = [results] if isinstance(results, torch.Tensor) else list(results) if _is_list(results) else []
        looks = [self._write(operation, tensor, node, k) for k, tensor in enumerate(tensors)]
        if not any(looks):
            return
        self._looks[node] = looks if _is_list(results) else looks[0]  # type: ignore[assignment]
        self._adjust(operation, node, name)
        self._count(operation, node, name, tensors)
        if _is_elementwise(node.target, name):
            operation.elementwise = True
            operation.through = self._through(node)
        self.program.operations.append(operation)

    def _read(self, operation: Operation, argument: torch.fx.Node) -> None:
        look = self._looks.get(argument)
        if isinstance(look, Look) and look.value is not None:
            whole = self.program.values[look.value].bytes
            operation.reads[look.value] = min(whole, operation.reads.get(look.value, 0) + look.bytes)

    def _write(self, operation: Operation, tensor: object, node: torch.fx.Node, k: int) -> Look | None:
        if not isinstance(tensor, torch.Tensor):
            return None
        size = self._size(tensor, node)
        if not size:
            return Look(None, 0, False)
        value = self.program.add_value(size, "act", f"{node.name}.{k}" if k else node.name)
        operation.writes[value] = size
        return Look(value, size, True)

    def _adjust(self, operation: Operation, node: torch.fx.Node, name: str) -> None:
        """Gathers read what they touch, sliced updates write what they change."""
        look = self._looks[node]
        if not isinstance(look, Look) or look.value is None:
            return
        if name in _GATHERS:
            table = self._looks.get(node.args[_GATHERS[name]])  # type: ignore[arg-type]
            if isinstance(table, Look) and table.value is not None:
                operation.reads[table.value] = min(table.bytes, look.bytes)
        elif name in _SLICED_UPDATES and isinstance(old := self._looks.get(node.args[0]), Look):  # type: ignore[arg-type]
            if old.value is None or not old.whole:
                return
            change = self._changed_bytes(node, name)
            del operation.writes[look.value]
            operation.reads.pop(old.value, None)
            operation.in_place.append(InPlace(look.value, old.value, min(change, look.bytes)))

    def _changed_bytes(self, node: torch.fx.Node, name: str) -> int:
        source = node.args[{"slice_scatter": 1, "select_scatter": 1, "index_put": 2}.get(name, 3)]
        tensor = source.meta.get("val") if isinstance(source, torch.fx.Node) else None
        return self._size(tensor, node) if isinstance(tensor, torch.Tensor) else self._size(node.meta["val"], node)

    def _count(self, operation: Operation, node: torch.fx.Node, name: str, tensors: Sequence[Any]) -> None:
        """Matrix operations by PyTorch's own counter; vector operations per element."""
        packet = node.target.overloadpacket  # type: ignore[union-attr]
        if packet in flop_registry:
            args, kwargs = torch.fx.map_arg((node.args, node.kwargs), lambda x: x.meta.get("val"))
            operation.mxu_flops = int(flop_registry[packet](*args, **kwargs, out_val=node.meta["val"]))
            return
        elements = [x.numel() for x in tensors if isinstance(x, torch.Tensor)]
        read = [x.meta["val"].numel() for x in node.all_input_nodes if isinstance(x.meta.get("val"), torch.Tensor)]
        if name in _PASSES:
            operation.vec_flops = _PASSES[name] * max(elements + read)
        elif name in _MOVES or name in _SLICED_UPDATES:
            operation.vec_flops = 0
        elif "pool" in name:
            operation.vec_flops = max(elements[0] * _window(node), *read)
        else:
            operation.vec_flops = max(elements + read) * (TRANSCENDENTAL_OPS if name in _TRANSCENDENTAL else 1)

    def _through(self, node: torch.fx.Node) -> frozenset[int]:
        shape = _first(node.meta["val"]).numel()
        looks = [
            self._looks.get(x)
            for x in node.all_input_nodes
            if isinstance(x.meta.get("val"), torch.Tensor) and x.meta["val"].numel() == shape
        ]
        return frozenset(x.value for x in looks if isinstance(x, Look) and x.whole and x.value is not None)

    # --- outputs ------------------------------------------------------------------------------------------------------

    def _outputs(self, node: torch.fx.Node) -> None:
        maker = {value: operation for operation in self.program.operations for value in operation.makes()}
        for k, look in enumerate(self._looks.get(x) for x in _flat(node.args[0])):
            if not isinstance(look, Look) or look.value is None:
                continue
            self.program.values[look.value].is_output = True
            old = self._placeholders.get(self._replaced.get(k, ""))
            if old is not None and look.whole and look.value in maker:
                held = maker[look.value].in_place
                if all(wish.new != look.value for wish in held):
                    held.append(InPlace(look.value, old))


def _name(target: torch._ops.OpOverload) -> str:
    return target.overloadpacket.__name__


def _label(name: str) -> str:
    """An operator's name without what tells its variants apart."""
    return name.strip("_").removeprefix("native_").partition("_legit")[0].removesuffix("_with_indices")


def _is_list(results: object) -> bool:
    return isinstance(results, list | tuple)


def _is_elementwise(target: Any, name: str) -> bool:
    return name in _ELEMENTWISE_NAMES or torch.Tag.pointwise in target.tags


def _first(results: Any) -> torch.Tensor:
    return results[0] if _is_list(results) else results


def _flat(outputs: Any) -> list[torch.fx.Node]:
    found: list[torch.fx.Node] = []
    torch.fx.map_arg(outputs, lambda x: found.append(x))
    return found


def _window(node: torch.fx.Node) -> int:
    """Elements that a pooling operator looks at for each that it makes."""
    sizes = node.args[1] if len(node.args) > 1 else ()
    return prod(x for x in sizes if isinstance(x, int)) if isinstance(sizes, list | tuple) else 1
