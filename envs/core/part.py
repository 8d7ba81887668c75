"""`Compiled`: a compiled function that Python calls; inside other compiled functions it is a `Part` of them.

Numba optimises every function by itself and translates it to machine code with wrappers for Python, and does so once
more in each caller that it is linked into: with many small functions nearly all of the compiler's time goes there. A
part stops at LLVM's intermediate form; only the function that Python calls is optimised, with its parts in it, and
translated.

What is overridden here is internal to Numba; ``pyproject.toml`` bounds its version, and
``tests/envs/core/test_compile.py`` shows what must hold.
"""

from __future__ import annotations

import contextlib
import gc
import operator
from collections.abc import Iterator
from typing import Any, ClassVar

from llvmlite import binding
from numba import typeof
from numba.core import sigutils, typed_passes, types, untyped_passes
from numba.core.caching import NullCache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder, compile_result
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import register_pass
from numba.core.registry import CPUDispatcher
from numba.core.typing.context import Context


class PartLibrary(JITCodeLibrary):
    """Code in LLVM's intermediate form, neither optimised as a whole nor translated."""

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True

    def serialize_using_object_code(self) -> Any:
        return self.serialize_using_bitcode()


@register_pass(mutates_CFG=True, analysis_only=False)
class PartLowering(typed_passes.NativeLowering):
    """Numba's lowering, without the machine code and what Python would need to call it."""

    _name = "makespan_part_lowering"

    def run_pass(self, state: Any) -> Any:
        state.library = PartLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = True
        super().run_pass(state)
        result = state["cr"]
        state["cr"] = result._replace(cfunc=_register(state.targetctx, result.fndesc, state.library))
        return True


def _register(context: Any, descriptor: Any, library: PartLibrary) -> object:
    """Make a part callable from compiled code. Returns the key by which callers find it."""
    key = object()
    context.insert_user_function(key, descriptor, [library])
    return key


_UNNEEDED = (
    untyped_passes.WithLifting,
    untyped_passes.InlineClosureLikes,
    untyped_passes.RewriteDynamicRaises,
    untyped_passes.MakeFunctionToJitFunction,
    untyped_passes.FindLiterallyCalls,
    untyped_passes.LiteralUnroll,
    untyped_passes.LiteralPropagationSubPipelinePass,
    typed_passes.NopythonRewrites,
    typed_passes.DumpParforDiagnostics,
)


class QuickTyping(Context):
    """Numba's typing context with a memory: Numba itself tries a dozen templates for each ``+`` anew."""

    _known: ClassVar[dict[Any, Any]] = {}

    def resolve_function_type(self, func: Any, args: Any, kws: Any) -> Any:
        if kws or not (isinstance(func, types.Function) or getattr(func, "__module__", "") == operator.add.__module__):
            return super().resolve_function_type(func, args, kws)
        key = id(func), tuple(args)
        if key not in self._known:
            found = super().resolve_function_type(func, args, kws)
            if found is None:
                return None
            self._known[key] = func, found  # holding the function keeps its id from being used again
        return self._known[key][1]


class PartCompiler(CompilerBase):
    """Numba's pipeline with `PartLowering` in it, and without what only closures, literals and whole arrays need."""

    def define_pipelines(self) -> list[Any]:
        quick = QuickTyping.__new__(QuickTyping)
        quick.__dict__ = self.state.typingctx.__dict__
        self.state.typingctx = quick
        manager = DefaultPassBuilder.define_nopython_pipeline(self.state)
        manager.passes = [
            (PartLowering if step is typed_passes.NativeLowering else step, description)
            for step, description in manager.passes
            if step not in _UNNEEDED
        ]
        manager._finalized = False
        manager.finalize()
        return [manager]


def rebuild_part(context: Any, payload: Any) -> Any:
    """The compile result of a part from what the cache holds of it."""
    (name, _, bitcode), descriptor, environment, signature, objectmode, lifted, annotation, init, environments = payload
    library = PartLibrary(context.codegen(), name)
    library._final_module = binding.parse_bitcode(bitcode)
    library._finalize_final_module()
    return compile_result(
        target_context=context,
        typing_context=context.typing_context,
        library=library,
        environment=environment,
        entry_point=_register(context, descriptor, library),
        fndesc=descriptor,
        type_annotation=annotation,
        signature=signature,
        objectmode=objectmode,
        lifted=lifted,
        reload_init=init,
        referenced_envs=environments,
    )


class Part(CPUDispatcher):
    """The dispatcher of a function as a part of others.

    A part that another part calls lies in that one's code: only those called by whole functions are cached.
    """

    _depth: ClassVar[int] = 0

    def __init__(self, function: Any, options: dict[str, Any], cache: Any) -> None:
        super().__init__(function, targetoptions={**options, "no_cpython_wrapper": True}, pipeline_class=PartCompiler)
        self._own_cache = cache

    def compile(self, sig: Any) -> Any:
        """As Numba's, but that nothing is timed: its clocks run for each function that waits for its parts."""
        with global_compiler_lock:
            args, return_type = sigutils.normalize_signature(sig)
            if (known := self.overloads.get(tuple(args))) is not None:
                return known.entry_point
            cache = NullCache() if self._own_cache is None or Part._depth > 0 else self._own_cache
            if (found := cache.load_overload(sig, self.targetctx)) is not None:
                self.add_overload(found)
                return found.entry_point
            Part._depth += 1
            try:
                made = self._compiler.compile(args, return_type)  # pyright: ignore[reportAttributeAccessIssue]
            finally:
                Part._depth -= 1
            self.add_overload(made)
            cache.save_overload(sig, made)
            return made.entry_point

    def add_overload(self, cres: Any) -> None:
        self.overloads[tuple(cres.signature.args)] = cres


@contextlib.contextmanager
def _seldom_collected() -> Iterator[None]:
    """While a function compiles: makes Python look for garbage seldom, which would take a sixth of the time."""
    usual = gc.get_threshold()
    if usual[0] == 0:  # it is never looked for
        yield
        return
    gc.set_threshold(max(usual[0], 100_000), *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


class Compiled(CPUDispatcher):
    """The dispatcher of a compiled function.

    Args:
        function: the function.
        options: Numba's.
        cache: of its machine code, or None.
        part_cache: of it as a part, or None.
        absent: a function of the same parameters that is compiled instead where a caller's first argument is a plain
            pack, or None.
    """

    def __init__(
        self, function: Any, options: dict[str, Any], cache: Any = None, part_cache: Any = None, absent: Any = None
    ) -> None:
        options = {"nopython": True, "boundscheck": None, **options}
        super().__init__(function, targetoptions=options)
        if cache is not None:
            self._cache = cache
        self._part = Part(function, options, part_cache)
        self._absent = None if absent is None else Part(absent, options, None)

    def compile(self, sig: Any) -> Any:
        with global_compiler_lock, _seldom_collected():
            return super().compile(sig)

    def entry(self, *arguments: Any) -> Any:
        """The machine code for arguments of these types: calling it skips the look at each argument, which takes longer
        than a small function's work. It must be given arguments of exactly these types."""
        return self.compile(tuple(typeof(argument) for argument in arguments))

    def _part_for(self, args: Any) -> Part:
        return self._part if self._absent is None or not args[0].plain else self._absent

    def get_call_template(self, args: Any, kws: Any) -> Any:
        # One version for all integers: Numba would compile a version for each literal.
        return self._part_for(args).get_call_template([types.unliteral(arg) for arg in args], kws)

    def get_overload(self, sig: Any) -> Any:
        return self._part_for(sigutils.normalize_signature(sig)[0]).get_overload(sig)
