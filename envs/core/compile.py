"""`compiled`: Numba's njit with a cache that is keyed by the sources.

Numba's own cache looks at the file of the outermost function only, so an edit of a function that it calls returns stale
machine code. Here the cache lies in a folder named by the hash of every source that may have been compiled in:
``$MAKESPAN_CACHE/compiled/<hash>/`` (default: the user's cache folder). Whoever cannot write there compiles anew in
each process and is told so once.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core import caching

from .files import cache_folder
from .part import Compiled, rebuild_part

# No reference counts, no wrapper for C, and divisions by zero that do not raise: compiled code has no exceptions.
_SAME = object()
_OPTIONS = {"_nrt": False, "no_cfunc_wrapper": True, "error_model": "numpy"}

_CORE = Path(__file__).resolve().parent
_ENVS = _CORE.parent
_PACKAGE = _ENVS.parent


def compiled(
    function: Callable[..., Any] | None = None, *, variant: str | None = None, when_plain: Any = _SAME, **options: Any
) -> Any:
    """Compile with Numba (no Python objects, no bounds checks, no exceptions, no allocation) and cache by source.

    Compiled code never allocates: whoever calls it brings the arrays. Numba can so do without reference counts, which
    would cost more than the work. Inside other compiled functions it is a part of theirs, see `Compiled`.

    Args:
        function: the function; None when used with arguments.
        variant: for functions made by a factory: names the compiled functions that the closure holds. Two closures of
            the same factory with the same variant must be the same function.
        when_plain: what calls from compiled code return where the first argument is a plain pack (`Pack`), without the
            function's being compiled at all; by default plain packs make no difference.
        options: passed on to Numba.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        if os.environ.get("NUMBA_DISABLE_JIT", "0") != "0":
            return function
        caches = _SourceCache(function, variant), _PartCache(function, "part" if variant is None else f"{variant}-part")
        return Compiled(function, {**_OPTIONS, **options}, *caches, _returning(when_plain, function))

    return decorate if function is None else decorate(function)


def entry(function: Callable[..., Any], *arguments: Any) -> Callable[..., Any]:
    """The machine code of a compiled function for arguments of these types, see `Compiled.entry`."""
    return function.entry(*arguments) if isinstance(function, Compiled) else function


def _returning(value: Any, function: Callable[..., Any]) -> Callable[..., Any] | None:
    """A function with the parameters of another that returns a constant; None for none."""
    if value is _SAME:
        return None
    namespace: dict[str, Any] = {"value": value}
    exec(f"def absent({', '.join(inspect.signature(function).parameters)}): return value", namespace)
    return namespace["absent"]


def source_hash(source: str) -> str:
    """Hash of all sources that compiled code of this file may hold: the core, its problem's folder, its own folder."""
    return _hash_folders(_folders(Path(source).resolve()))


def _folders(source: Path) -> tuple[Path, ...]:
    folder = source.parent
    if folder.is_relative_to(_ENVS) or not folder.is_relative_to(_PACKAGE):
        return (_CORE,) if folder == _CORE else (_CORE, folder)
    problems = sorted(path for path in _ENVS.iterdir() if path.is_dir() and path != _CORE)
    return (_CORE, *problems, folder)


@cache
def _hash_folders(folders: tuple[Path, ...]) -> str:
    digest = hashlib.sha256(numba.__version__.encode())
    for folder in folders:
        for path in sorted(folder.glob("*.py")):
            content = path.read_bytes()
            # Only modules that hold compiled code or say how it is made: an edit elsewhere need not compile all anew.
            if b"@compiled" in content or b"compiled(" in content or b"from numba" in content:
                digest.update(path.name.encode())
                digest.update(content)
    return digest.hexdigest()[:16]


class _Locator(caching._CacheLocator):
    """Says where a function's machine code lies; the folder's name is the stamp of freshness."""

    def __init__(self, function: Callable[..., Any], source: str, variant: str | None) -> None:
        self._py_file = source
        self._line = function.__code__.co_firstlineno
        self._variant = variant
        self._hash = source_hash(source)
        self._module = function.__module__

    def get_cache_path(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        return str(cache_folder() / "compiled" / self._hash / self._module)

    def get_source_stamp(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._hash

    def get_disambiguator(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        if self._variant is None:
            return str(self._line)
        return f"{self._line}-{hashlib.sha256(self._variant.encode()).hexdigest()[:12]}"

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> _Locator:
        return cls(py_func, py_file, None)


class _SourceCacheImpl(caching.CompileResultCacheImpl):
    _locator_classes = [_Locator]


class _SourceCache(caching.FunctionCache):
    _impl_class = _SourceCacheImpl
    _warned = False

    def __init__(self, function: Callable[..., Any], variant: str | None) -> None:
        super().__init__(function)
        if variant is not None:
            # The locator is made by the base class, which knows no variants: set it and derive the file names anew.
            self._impl._locator = _Locator(function, function.__code__.co_filename, variant)
            self._impl._filename_base = self._impl.get_filename_base(
                f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}", getattr(sys, "abiflags", "")
            )
            self._cache_file = caching.IndexDataCacheFile(
                cache_path=self._cache_path,
                filename_base=self._impl.filename_base,
                source_stamp=self._impl.locator.get_source_stamp(),
            )

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Numba would first load all that only compiling needs, which takes longer than the rest of a warm start."""
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        # Numba would pickle the closure, and pickled dispatchers differ from process to process. The folder's hash and
        # the variant in the file's name say the same and stay.
        return sig, codegen.magic_tuple()

    @contextlib.contextmanager
    def _guard_against_spurious_io_errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # a damaged or unwritable cache must not stop the work
            if not isinstance(error, OSError) and self._forget():
                return
            if not _SourceCache._warned:
                _SourceCache._warned = True
                warnings.warn(
                    f"compiled code cannot be cached in {cache_folder()} ({error}); it is compiled anew in each "
                    "process. Set MAKESPAN_CACHE to a folder that can be written.",
                    stacklevel=2,
                )

    def _forget(self) -> bool:
        """Delete a damaged index, so that it is written anew; returns whether there was one."""
        try:
            Path(self._cache_file._index_path).unlink()
        except OSError:
            return False
        return True


class _PartCacheImpl(_SourceCacheImpl):
    def rebuild(self, target_context: Any, payload: Any) -> Any:
        return rebuild_part(target_context, payload)


class _PartCache(_SourceCache):
    _impl_class = _PartCacheImpl
