"""makespan: a Gymnasium suite for combinatorial scheduling.

Importing the package registers the environments' ids (and those of installed plug-ins); it imports neither torch nor
compiled code. See ``makespan --help`` for the commands.
"""

__version__ = "0.1.0"

import sys as _sys

try:
    from .envs.registry import register_all

    register_all()
except KeyboardInterrupt:
    # The command `makespan` loads this package before any code of its own could turn Ctrl-C into one line.
    if not _sys.argv[:1] or _sys.argv[0].replace("\\", "/").rpartition("/")[2] not in ("makespan", "makespan.exe"):
        raise
    print("makespan: error: interrupted", file=_sys.stderr)
    raise SystemExit(130) from None
