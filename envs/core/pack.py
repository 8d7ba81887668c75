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
    data = _item_pointer(context, builder, array_type, _word(builder, words, 0))
    return _make_row(context, builder, array_type, data, [_word(builder, words, 1)])


def _make_row(context: Any, builder: Any, row_type: PackArray, data: Any, shape: list[Any]) -> Any:
    """A contiguous array whose entries begin at a pointer; its parts are put together without a detour by memory."""
    item_size = ir.Constant(_WORD, context.get_abi_sizeof(context.get_data_type(row_type.dtype)))
    strides = [item_size]
    for length in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], length))
    count = shape[0]
    for length in shape[1:]:
        count = builder.mul(count, length, flags=["nsw"])
    nobody = ir.Constant(ir.IntType(8).as_pointer(), None)
    parts = {
        "meminfo": nobody,
        "parent": nobody,
        "nitems": count,
        "itemsize": item_size,
        "data": data,
        "shape": cgutils.pack_array(builder, shape),
        "strides": cgutils.pack_array(builder, strides),
    }
    model = context.data_model_manager[row_type]
    return cgutils.pack_struct(builder, [parts[name] for name in sorted(parts, key=model.get_field_position)])


def _item_pointer(context: Any, builder: Any, array_type: PackArray, address: Any) -> Any:
    """A pointer to items of an array from an address."""
    return builder.inttoptr(address, context.get_data_type(array_type.dtype).as_pointer())


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


class _Row:
    """The row that an index into a table names first, and what is left of the index.

    Attributes:
        type: its type.
        data: pointer to its entries.
        shape: its axes' lengths.
        indices, index_types: what is left.
    """

    def __init__(self, context: Any, builder: Any, table_type: PackTable, table: Any, index_type: Any, index: Any):
        self.type = table_type.row
        words = builder.bitcast(table, _WORD.as_pointer())
        (first, *self.indices), (first_type, *self.index_types) = _unpack(builder, index_type, index)
        copy = context.cast(builder, first, first_type, types.intp)
        address = builder.add(_word(builder, words, 0), builder.mul(copy, _word(builder, words, 1)))
        self.data = _item_pointer(context, builder, self.type, address)
        self.shape = [_word(builder, words, 3 + axis) for axis in range(self.type.ndim)]

    def value(self, context: Any, builder: Any) -> Any:
        return _make_row(context, builder, self.type, self.data, self.shape)

    def whole_index(self, context: Any, builder: Any) -> tuple[Any, Any]:
        """What is left of the index, and its type, for what works on arrays."""
        index_type = types.Tuple.from_types(self.index_types)
        return index_type, context.make_tuple(builder, index_type, self.indices)


@lower_builtin(operator.getitem, PackTable, types.Any)
def _get_from_table(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    row = _Row(context, builder, *_interleave(sig, args))
    if not row.indices:
        return row.value(context, builder)
    if _is_plain(row.type, row.index_types):
        return _get_at(context, builder, sig.return_type, row.type, row.data, row.shape, row.indices, row.index_types)
    inner_type, inner = row.whole_index(context, builder)
    inner_sig = signature(sig.return_type, row.type, inner_type)
    return arrayobj.getitem_array_tuple(context, builder, inner_sig, (row.value(context, builder), inner))


@lower_builtin(operator.setitem, PackTable, types.Any, types.Any)
def _set_in_table(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    value_type = sig.args[2]
    row = _Row(context, builder, *_interleave(sig, args))
    if _is_entry(row.type, row.index_types, value_type):
        entry = _locate(context, builder, row.data, row.shape, row.indices, row.index_types)
        return _store(context, builder, row.type, entry, value_type, args[2])
    inner_type, inner = row.whole_index(context, builder)
    inner_sig = signature(sig.return_type, row.type, inner_type, value_type)
    return arrayobj.setitem_array(context, builder, inner_sig, (row.value(context, builder), inner, args[2]))


def _interleave(sig: Any, args: Any) -> tuple[Any, Any, Any, Any]:
    """Types and values of what is indexed and of the index, by turns."""
    return sig.args[0], args[0], sig.args[1], args[1]


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


def _unpack(builder: Any, index_type: Any, index: Any) -> tuple[list[Any], list[Any]]:
    """The indices for each axis, and their types."""
    if isinstance(index_type, types.BaseTuple):
        return cgutils.unpack_tuple(builder, index, len(index_type)), list(_index_types(index_type))
    return [index], [index_type]


def _is_plain(array: PackArray, index_types: Any) -> bool:
    """Whether an index consists of integers alone, so that it names an entry or a row."""
    plain = isinstance(array.dtype, types.Integer | types.Float) and array.layout == "C"
    return plain and all(isinstance(one, types.Integer) for one in index_types)


def _is_entry(array: PackArray, index_types: Any, value_type: Any) -> bool:
    """Whether what is assigned to goes into one entry."""
    whole = len(index_types) == array.ndim and _is_plain(array, index_types)
    return whole and not isinstance(value_type, types.Array)


def _locate(context: Any, builder: Any, data: Any, shape: Any, indices: Any, index_types: Any) -> Any:
    """Pointer to an entry, or to the first entry of a row, of a contiguous array."""
    offset = context.cast(builder, indices[0], index_types[0], types.intp)
    for axis in range(1, len(shape)):
        offset = builder.mul(offset, shape[axis], flags=["nsw"])
        if axis < len(indices):
            one = context.cast(builder, indices[axis], index_types[axis], types.intp)
            offset = builder.add(offset, one, flags=["nsw"])
    return builder.gep(data, [offset], inbounds=True)


def _mark_type(builder: Any, instruction: Any, dtype: Any) -> None:
    """Say (as TBAA does) that this access meets only items of its own type."""
    module = builder.module
    root = module.add_metadata(["makespan pack"])
    zero = ir.Constant(ir.IntType(64), 0)
    item = module.add_metadata([str(dtype), root, zero])
    instruction.set_metadata("tbaa", module.add_metadata([item, item, zero]))


def _get_at(
    context: Any, builder: Any, result: Any, array: PackArray, data: Any, shape: Any, indices: Any, index_types: Any
) -> Any:
    """The entry or the row of a contiguous array that integers name."""
    pointer = _locate(context, builder, data, shape, indices, index_types)
    if isinstance(result, PackArray):
        return _make_row(context, builder, result, pointer, shape[len(indices) :])
    loaded = builder.load(pointer)
    _mark_type(builder, loaded, array.dtype)
    return loaded


def _store(context: Any, builder: Any, array: PackArray, pointer: Any, value_type: Any, value: Any) -> Any:
    """Write an entry."""
    _mark_type(builder, builder.store(context.cast(builder, value, value_type, array.dtype), pointer), array.dtype)
    return context.get_dummy_value()


def _read(context: Any, builder: Any, array: PackArray, value: Any) -> tuple[Any, list[Any]]:
    """Where the entries of an array begin, and its axes' lengths."""
    model = context.data_model_manager[array]
    data, lengths = (model.get_field_position(name) for name in ("data", "shape"))
    shape = [builder.extract_value(value, [lengths, axis]) for axis in range(array.ndim)]
    return builder.extract_value(value, data), shape


def _get(context: Any, builder: Any, sig: Any, args: Any, otherwise: Any) -> Any:
    array_type, value, index_type, index = _interleave(sig, args)
    indices, index_types = _unpack(builder, index_type, index)
    if not _is_plain(array_type, index_types):
        return otherwise(context, builder, sig, args)
    data, shape = _read(context, builder, array_type, value)
    return _get_at(context, builder, sig.return_type, array_type, data, shape, indices, index_types)


@lower_builtin(operator.getitem, PackArray, types.BaseTuple)
def _get_by_tuple(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return _get(context, builder, sig, args, arrayobj.getitem_array_tuple)


@lower_builtin(operator.getitem, PackArray, types.Integer)
def _get_by_integer(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return _get(context, builder, sig, args, arrayobj.getitem_arraynd_intp)


@lower_builtin("static_getitem", PackArray, types.IntegerLiteral)
def _get_by_constant(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    inner_sig = signature(sig.return_type, sig.args[0], types.intp)
    return _get_by_integer(context, builder, inner_sig, (args[0], ir.Constant(_WORD, args[1])))


@lower_builtin(operator.setitem, PackArray, types.Any, types.Any)
def _set(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    array_type, value, index_type, index = _interleave(sig, args)
    indices, index_types = _unpack(builder, index_type, index)
    if not _is_entry(array_type, index_types, sig.args[2]):
        return arrayobj.setitem_array(context, builder, sig, args)
    entry = _locate(context, builder, *_read(context, builder, array_type, value), indices, index_types)
    return _store(context, builder, array_type, entry, sig.args[2], args[2])


@lower_builtin("static_setitem", PackArray, types.Integer, types.Any)
def _set_by_constant(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    inner_sig = signature(sig.return_type, sig.args[0], types.intp, sig.args[2])
    return _set(context, builder, inner_sig, (args[0], ir.Constant(_WORD, args[1]), args[2]))


@lower_builtin("__array__", PackArray)
def _as_array(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    """A pack's array is laid out as any array: without this, Numba looks through all that it knows at every use."""
    return args[0]
