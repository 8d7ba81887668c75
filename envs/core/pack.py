"""`Pack`: many arrays that compiled code receives as one pointer.

Numba passes a tuple of arrays by value: every call of a compiled function that is not inlined hands over a dozen words
per array and counts references on each. A pack is a table of addresses and shapes in memory; compiled code reads an
array's entry where it uses it (``state.job[i, j, END]``), so that a call costs one word, and compiles several times
faster. Python code uses a pack like the NamedTuple that it is made from.

An array of two axes or more is a *table*: a row for each copy, each contiguous by itself, at equal distances, so that
the rows of one copy in many tables may lie side by side (`Arena`). Compiled code names the copy first
(``state.job[i]``, ``state.job[i, j, END]``, ``state.job[i, :, END]``) and works on rows as on any array.

A pack's arrays are indexed without wrap-around: an index below zero is an error that nobody catches. Whole entries
(``state.job[i, j, END]``) compile to a bare load or store, which tells LLVM that items of different types never share
memory; everything else that Numba offers on arrays works on rows as well.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.arraydecl import get_array_index_type
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_global, signature
from numba.extending import (
    NativeValue,
    infer_getattr,
    lower_builtin,
    lower_getattr,
    lower_getattr_generic,
    models,
    register_model,
    type_callable,
    typeof_impl,
    unbox,
)
from numba.np import arrayobj
from numba.np.numpy_support import from_dtype
from numpy.typing import NDArray


class Pack:
    """The arrays of a NamedTuple under their names, for Python and for compiled code.

    Arrays must be C-contiguous, those of two axes or more but for the first; they must keep their memory for as long as
    the pack lives. Their content may change.

    Args:
        arrays: the NamedTuple.
        plain: what a problem's packs are by default; for a problem whose common options need only part of its code,
            see `compile.compiled`.
    """

    def __init__(self, arrays: Any, plain: bool = False) -> None:
        self._arrays = arrays
        table: list[int] = []
        fields = []
        for name, array in arrays._asdict().items():
            row = array[0] if array.ndim > 1 and len(array) else array
            if not row.flags.c_contiguous:
                raise ValueError(f"array {name!r} is not C-contiguous")
            fields.append((name, len(table), _item_type(array.dtype, array.ndim)))
            table += [array.ctypes.data, *array.strides[: array.ndim - 1][:1], *array.shape]
        self._table = np.array(table, dtype=np.int64)
        self._address = self._table.ctypes.data
        self._numba_type = _pack_type(type(arrays).__name__, tuple(fields), plain)

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


class PackTable(types.Type):
    """Numba's type of a pack's array of two axes or more; compiled code gets where its address, the distance of its
    rows and its shape stand.

    Attributes:
        row: type of a row, the array without its first axis.
    """

    def __init__(self, row: PackArray) -> None:
        self.row = row
        self.dtype = row.dtype
        self.ndim = row.ndim + 1
        super().__init__(name=f"table of {row.name}")


register_model(PackTable)(models.OpaqueModel)


class PackType(types.Type):
    """Numba's type of a pack: names, positions in the table and array types of its fields, and whether it is plain."""

    def __init__(self, name: str, fields: tuple[tuple[str, int, PackArray | PackTable], ...], plain: bool) -> None:
        self.fields = fields
        self.plain = plain
        described = ", ".join(f"{field}: {array.dtype}{array.ndim}" for field, _, array in fields)
        super().__init__(name=f"{'plain ' if plain else ''}{name}({described})")


@cache
def _item_type(dtype: np.dtype[Any], ndim: int) -> PackArray | PackTable:
    """Numba's type of a pack's array; made once, like those of packs, since planners make packs by the thousand."""
    row = PackArray(from_dtype(dtype), max(ndim - 1, 1), "C")
    return row if ndim == 1 else PackTable(row)


@cache
def _pack_type(name: str, fields: tuple[tuple[str, int, types.Type], ...], plain: bool) -> PackType:
    return PackType(name, fields, plain)


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

    def generic_resolve(self, typ: PackType, attr: str) -> PackArray | PackTable | None:
        for name, _, array in typ.fields:
            if name == attr:
                return array
        return None


_WORD = ir.IntType(64)


def _word(builder: Any, words: Any, index: int) -> Any:
    """A word of a pack's table of addresses and shapes."""
    loaded = builder.load(builder.gep(words, [ir.Constant(_WORD, index)]))
    # A pack's arrays never move: one load serves the whole function.
    loaded.set_metadata("invariant.load", builder.module.add_metadata([]))
    return loaded


@lower_getattr_generic(PackType)
def _lower(context: Any, builder: Any, typ: PackType, value: Any, attr: str) -> Any:
    position, array_type = next((position, array) for name, position, array in typ.fields if name == attr)
    words = builder.gep(builder.bitcast(value, _WORD.as_pointer()), [ir.Constant(_WORD, position)])
    if isinstance(array_type, PackTable):
        return builder.bitcast(words, value.type)
    return _make_row(context, builder, array_type, _word(builder, words, 0), [_word(builder, words, 1)])


def _make_row(context: Any, builder: Any, row_type: PackArray, address: Any, shape: list[Any]) -> Any:
    """A contiguous array at an address."""
    item = context.get_data_type(row_type.dtype)
    item_size = ir.Constant(_WORD, context.get_abi_sizeof(item))
    strides = [item_size]
    for length in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], length))
    array = arrayobj.make_array(row_type)(context, builder)
    arrayobj.populate_array(array, builder.inttoptr(address, item.as_pointer()), shape, strides, item_size, None)
    return array._getvalue()


# --- tables -----------------------------------------------------------------------------------------------------------


@infer_getattr
class _TableAttributes(AttributeTemplate):
    key = PackTable

    def resolve_shape(self, typ: PackTable) -> types.UniTuple:
        return types.UniTuple(types.intp, typ.ndim)


@lower_getattr(PackTable, "shape")
def _table_shape(context: Any, builder: Any, typ: PackTable, value: Any) -> Any:
    words = builder.bitcast(value, _WORD.as_pointer())
    return cgutils.pack_array(builder, [_word(builder, words, 2 + axis) for axis in range(typ.ndim)])


def _inner_index(index: Any) -> Any:
    """What is left of an index into a table for the row that it names first; None if it names no row first."""
    indices = _index_types(index)
    if not isinstance(indices[0], types.Integer):
        return None
    return types.Tuple.from_types(indices[1:])


@infer_global(operator.getitem)  # pyright: ignore[reportOptionalCall]
class _GetFromTable(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        table, index = args
        if not isinstance(table, PackTable) or (inner := _inner_index(index)) is None:
            return None
        result = get_array_index_type(table.row, inner).result if len(inner) else table.row
        return signature(result, table, index)


@infer_global(operator.setitem)  # pyright: ignore[reportOptionalCall]
class _SetInTable(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        table, index, value = args
        if not isinstance(table, PackTable) or not (inner := _inner_index(index)):
            return None
        whole = not isinstance(get_array_index_type(table.row, inner).result, types.Array)
        return signature(types.none, table, index, table.dtype if whole else value)


def _table_row(context: Any, builder: Any, table_type: PackTable, table: Any, index_type: Any, index: Any) -> Any:
    """The row that an index into a table names first, its remaining index's type, and that index."""
    is_tuple = isinstance(index_type, types.BaseTuple)
    indices = cgutils.unpack_tuple(builder, index, len(index_type)) if is_tuple else [index]
    words = builder.bitcast(table, _WORD.as_pointer())
    copy = context.cast(builder, indices[0], _index_types(index_type)[0], types.intp)
    address = builder.add(_word(builder, words, 0), builder.mul(copy, _word(builder, words, 1)))
    shape = [_word(builder, words, 3 + axis) for axis in range(table_type.row.ndim)]
    row = _make_row(context, builder, table_type.row, address, shape)
    inner_type = _inner_index(index_type)
    return row, inner_type, context.make_tuple(builder, inner_type, indices[1:]) if indices[1:] else None


@lower_builtin(operator.getitem, PackTable, types.Any)
def _get_from_table(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    table_type, index_type = sig.args
    row, inner_type, inner = _table_row(context, builder, table_type, args[0], index_type, args[1])
    if inner is None:
        return row
    return _get_by_tuple(context, builder, signature(sig.return_type, table_type.row, inner_type), (row, inner))


@lower_builtin(operator.setitem, PackTable, types.Any, types.Any)
def _set_in_table(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    table_type, index_type, value_type = sig.args
    row, inner_type, inner = _table_row(context, builder, table_type, args[0], index_type, args[1])
    inner_sig = signature(sig.return_type, table_type.row, inner_type, value_type)
    return _set(context, builder, inner_sig, (row, inner, args[2]))


_LINE = 64


def prefetch(table: NDArray[Any], copy: int, begin: int, end: int) -> None:
    """Compiled code: ask for the items begin .. end - 1 of a copy's row, so that they are at hand when it is its turn.

    Python code does nothing by it.
    """


@type_callable(prefetch)
def _type_prefetch(context: Any) -> Any:
    def typer(table: Any, copy: Any, begin: Any, end: Any) -> Any:
        integers = all(isinstance(one, types.Integer) for one in (copy, begin, end))
        return types.none if isinstance(table, PackTable) and integers else None

    return typer


@lower_builtin(prefetch, PackTable, types.Integer, types.Integer, types.Integer)
def _prefetch(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    table_type = sig.args[0]
    copy, begin, end = (
        context.cast(builder, value, typ, types.intp) for value, typ in zip(args[1:], sig.args[1:], strict=True)
    )
    words = builder.bitcast(args[0], _WORD.as_pointer())
    item_size = ir.Constant(_WORD, context.get_abi_sizeof(context.get_data_type(table_type.dtype)))
    row = builder.add(_word(builder, words, 0), builder.mul(copy, _word(builder, words, 1)))
    first = builder.and_(builder.add(row, builder.mul(begin, item_size)), ir.Constant(_WORD, -_LINE))
    last = builder.add(row, builder.mul(end, item_size))
    pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(ir.VoidType(), [pointer, number, number, number]), "llvm.prefetch.p0"
    )
    with cgutils.for_range_slice(builder, first, last, ir.Constant(_WORD, _LINE)) as (address, _):
        read, keep, data = (ir.Constant(number, value) for value in (0, 3, 1))
        builder.call(function, [builder.inttoptr(address, pointer), read, keep, data])
    return context.get_dummy_value()


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
