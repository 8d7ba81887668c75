"""makespan: a Gymnasium suite for combinatorial scheduling.

Importing the package registers the environments' ids (and those of installed plug-ins); it imports neither torch nor
compiled code. `solve`, which finds a schedule of one instance, is loaded when it is first used. See ``makespan --help``
for the commands.
"""

__version__ = "0.1.0"

import sys as _sys
import typing as _typing

if _typing.TYPE_CHECKING:
    from .eval.optimise import solve as solve

try:
    from .envs.registry import register_all

    register_all()
except KeyboardInterrupt:
    # The command `makespan` loads this package before any code of its own could turn Ctrl-C into one line.
    if not _sys.argv[:1] or _sys.argv[0].replace("\\", "/").rpartition("/")[2] not in ("makespan", "makespan.exe"):
        raise
    print("makespan: error: interrupted", file=_sys.stderr)
    raise SystemExit(130) from None


def __getattr__(name: str) -> object:
    if name != "solve":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .eval.optimise import solve

    return solve
