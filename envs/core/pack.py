"""`Pack`: many arrays that compiled code receives as one pointer.

Numba passes a tuple of arrays by value: every call of a compiled function that is not inlined hands over a dozen words
per array and counts references on each. A pack is a table of addresses and shapes in memory; compiled code reads an
array's entry where it uses it (``state.job[i, j, END]``), so that a call costs one word, and compiles several times
faster. Python code uses a pack like the NamedTuple that it is made from.

A pack's arrays are indexed without wrap-around: an index below zero is an error that nobody catches. Whole entries
(``state.job[i, j, END]``) compile to a bare load or store, which tells LLVM that items of different types never share
memory; everything else that Numba offers on arrays works as well.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import AttributeTemplate
from numba.extending import (
    NativeValue,
    infer_getattr,
    lower_builtin,
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

    Args:
        arrays: the NamedTuple.
        plain: what a problem's packs are by default; for a problem whose common options need only part of its code,
            see `compile.compiled_part`.
    """

    def __init__(self, arrays: Any, plain: bool = False) -> None:
        self._arrays = arrays
        table: list[int] = []
        fields = []
        for name, array in arrays._asdict().items():
            if not array.flags.c_contiguous:
                raise ValueError(f"array {name!r} is not C-contiguous")
            fields.append((name, len(table), PackArray(from_dtype(array.dtype), array.ndim, "C")))
            table += [array.ctypes.data, *array.shape]
        self._table = np.array(table, dtype=np.int64)
        self._address = self._table.ctypes.data
        self._numba_type = PackType(type(arrays).__name__, tuple(fields), plain)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._arrays, name)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return iter(self._arrays)

    def _asdict(self) -> dict[str, NDArray[Any]]:
        return self._arrays._asdict()


class PackArray(types.Array):
    """Numba's type of a pack's array, and of its rows."""

    def __init__(self, dtype: Any, ndim: int, layout: Any, readonly: bool = False, aligned: bool = True) -> None:
        super().__init__(dtype, ndim, layout, readonly, f"pack{dtype}{ndim}{layout}{int(readonly)}", aligned)

    def copy(self, dtype: Any = None, ndim: Any = None, layout: Any = None, readonly: Any = None) -> PackArray:
        return PackArray(
            self.dtype if dtype is None else dtype,
            self.ndim if ndim is None else ndim,
            self.layout if layout is None else layout,
            not self.mutable if readonly is None else readonly,
            self.aligned,
        )


register_model(PackArray)(models.ArrayModel)


class PackType(types.Type):
    """Numba's type of a pack: names, positions in the table and array types of its fields, and whether it is plain."""

    def __init__(self, name: str, fields: tuple[tuple[str, int, PackArray], ...], plain: bool) -> None:
        self.fields = fields
        self.plain = plain
        described = ", ".join(f"{field}: {array.dtype}{array.ndim}" for field, _, array in fields)
        super().__init__(name=f"{'plain ' if plain else ''}{name}({described})")


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

    def generic_resolve(self, typ: PackType, attr: str) -> PackArray | None:
        for name, _, array in typ.fields:
            if name == attr:
                return array
        return None


@lower_getattr_generic(PackType)
def _lower(context: Any, builder: Any, typ: PackType, value: Any, attr: str) -> Any:
    word = ir.IntType(64)
    position, array_type = next((position, array) for name, position, array in typ.fields if name == attr)
    table = builder.bitcast(value, word.as_pointer())
    fixed = builder.module.add_metadata([])

    def entry(index: int) -> Any:
        loaded = builder.load(builder.gep(table, [ir.Constant(word, position + index)]))
        loaded.set_metadata("invariant.load", fixed)  # a pack's arrays never move: one load serves the whole function
        return loaded

    array = arrayobj.make_array(array_type)(context, builder)
    item_size = context.get_abi_sizeof(context.get_data_type(array_type.dtype))
    data = builder.inttoptr(entry(0), context.get_data_type(array_type.dtype).as_pointer())
    shape = [entry(1 + axis) for axis in range(array_type.ndim)]
    strides = [ir.Constant(word, item_size)]
    for length in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], length))
    arrayobj.populate_array(array, data, shape, strides, ir.Constant(word, item_size), None)
    return array._getvalue()


# --- whole entries ----------------------------------------------------------------------------------------------------


def _index_types(index: Any) -> tuple[Any, ...]:
    return index.types if isinstance(index, types.UniTuple | types.Tuple) else (index,)


def _is_plain(array: PackArray, index: Any) -> bool:
    """Whether an index consists of integers alone, so that it names an entry or a row."""
    plain = isinstance(array.dtype, types.Integer | types.Float) and array.layout == "C"
    return plain and all(isinstance(one, types.Integer) for one in _index_types(index))


def _locate(context: Any, builder: Any, array_type: PackArray, value: Any, index_type: Any, index: Any) -> Any:
    """Returns (the array, pointer to its entry, or to the first entry of its row)."""
    is_tuple = isinstance(index_type, types.BaseTuple)
    indices = cgutils.unpack_tuple(builder, index, len(index_type)) if is_tuple else [index]
    index_types = _index_types(index_type)
    array = arrayobj.make_array(array_type)(context, builder, value)
    shape = cgutils.unpack_tuple(builder, array.shape, array_type.ndim)
    offset = context.cast(builder, indices[0], index_types[0], types.intp)
    for axis in range(1, array_type.ndim):
        offset = builder.mul(offset, shape[axis], flags=["nsw"])
        if axis < len(indices):
            one = context.cast(builder, indices[axis], index_types[axis], types.intp)
            offset = builder.add(offset, one, flags=["nsw"])
    return array, builder.gep(array.data, [offset], inbounds=True)


def _mark_type(builder: Any, instruction: Any, dtype: Any) -> None:
    """Say (as TBAA does) that this access meets only items of its own type."""
    module = builder.module
    root = module.add_metadata(["makespan pack"])
    zero = ir.Constant(ir.IntType(64), 0)
    item = module.add_metadata([str(dtype), root, zero])
    instruction.set_metadata("tbaa", module.add_metadata([item, item, zero]))


def _get(context: Any, builder: Any, sig: Any, args: Any, otherwise: Any) -> Any:
    array_type, index_type = sig.args
    if not _is_plain(array_type, index_type):
        return otherwise(context, builder, sig, args)
    array, pointer = _locate(context, builder, array_type, args[0], index_type, args[1])
    if not isinstance(sig.return_type, types.Array):
        loaded = builder.load(pointer)
        _mark_type(builder, loaded, array_type.dtype)
        return loaded
    row = arrayobj.make_array(sig.return_type)(context, builder)
    skipped = array_type.ndim - sig.return_type.ndim
    shape = cgutils.unpack_tuple(builder, array.shape, array_type.ndim)[skipped:]
    strides = cgutils.unpack_tuple(builder, array.strides, array_type.ndim)[skipped:]
    arrayobj.populate_array(row, pointer, shape, strides, array.itemsize, None)
    return row._getvalue()


@lower_builtin(operator.getitem, PackArray, types.BaseTuple)
def _get_by_tuple(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return _get(context, builder, sig, args, arrayobj.getitem_array_tuple)


@lower_builtin(operator.getitem, PackArray, types.Integer)
def _get_by_integer(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return _get(context, builder, sig, args, arrayobj.getitem_arraynd_intp)


@lower_builtin(operator.setitem, PackArray, types.Any, types.Any)
def _set(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    array_type, index_type, value_type = sig.args
    whole = len(_index_types(index_type)) == array_type.ndim
    if not (whole and _is_plain(array_type, index_type)) or isinstance(value_type, types.Array):
        return arrayobj.setitem_array(context, builder, sig, args)
    _, pointer = _locate(context, builder, array_type, args[0], index_type, args[1])
    value = context.cast(builder, args[2], value_type, array_type.dtype)
    _mark_type(builder, builder.store(value, pointer), array_type.dtype)
    return context.get_dummy_value()
