"""`Pack`: many arrays that compiled code receives as one pointer.

Numba passes a tuple of arrays by value: every call of a compiled function that is not inlined hands over a dozen words
per array and counts references on each. A pack is a table of addresses and shapes in memory; compiled code reads an
array's entry where it uses it (``state.job[i, j, END]``), so that a call costs one word, and compiles several times
faster. Python code uses a pack like the NamedTuple that it is made from.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import AttributeTemplate
from numba.extending import (
    NativeValue,
    infer_getattr,
    lower_getattr_generic,
    models,
    register_model,
    typeof_impl,
    unbox,
)
from numba.np import arrayobj
from numba.np.numpy_support import from_dtype
from numpy.typing import NDArray


class Pack:
    """The arrays of a NamedTuple under their names, for Python and for compiled code.

    Arrays must be C-contiguous and keep their memory for as long as the pack lives; their content may change.
    """

    def __init__(self, arrays: Any) -> None:
        self._arrays = arrays
        table: list[int] = []
        fields = []
        for name, array in arrays._asdict().items():
            if not array.flags.c_contiguous:
                raise ValueError(f"array {name!r} is not C-contiguous")
            fields.append((name, len(table), types.Array(from_dtype(array.dtype), array.ndim, "C")))
            table += [array.ctypes.data, *array.shape]
        self._table = np.array(table, dtype=np.int64)
        self._address = self._table.ctypes.data
        self._numba_type = PackType(type(arrays).__name__, tuple(fields))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._arrays, name)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return iter(self._arrays)

    def _asdict(self) -> dict[str, NDArray[Any]]:
        return self._arrays._asdict()


class PackType(types.Type):
    """Numba's type of a pack: names, positions in the table and array types of its fields."""

    def __init__(self, name: str, fields: tuple[tuple[str, int, types.Array], ...]) -> None:
        self.fields = fields
        described = ", ".join(f"{field}: {array.dtype}{array.ndim}" for field, _, array in fields)
        super().__init__(name=f"{name}({described})")


register_model(PackType)(models.OpaqueModel)


@typeof_impl.register(Pack)
def _typeof(value: Pack, _: Any) -> PackType:
    return value._numba_type


@unbox(PackType)
def _unbox(_: PackType, obj: Any, c: Any) -> NativeValue:
    address = c.pyapi.object_getattr_string(obj, "_address")
    pointer = c.pyapi.long_as_voidptr(address)
    c.pyapi.decref(address)
    return NativeValue(pointer, is_error=cgutils.is_not_null(c.builder, c.pyapi.err_occurred()))


@infer_getattr
class _PackAttributes(AttributeTemplate):
    key = PackType

    def generic_resolve(self, typ: PackType, attr: str) -> types.Array | None:
        for name, _, array in typ.fields:
            if name == attr:
                return array
        return None


@lower_getattr_generic(PackType)
def _lower(context: Any, builder: Any, typ: PackType, value: Any, attr: str) -> Any:
    word = ir.IntType(64)
    position, array_type = next((position, array) for name, position, array in typ.fields if name == attr)
    table = builder.bitcast(value, word.as_pointer())

    def entry(index: int) -> Any:
        return builder.load(builder.gep(table, [ir.Constant(word, position + index)]))

    array = arrayobj.make_array(array_type)(context, builder)
    item_size = context.get_abi_sizeof(context.get_data_type(array_type.dtype))
    data = builder.inttoptr(entry(0), context.get_data_type(array_type.dtype).as_pointer())
    shape = [entry(1 + axis) for axis in range(array_type.ndim)]
    strides = [ir.Constant(word, item_size)]
    for length in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], length))
    arrayobj.populate_array(array, data, shape, strides, ir.Constant(word, item_size), None)
    return array._getvalue()
