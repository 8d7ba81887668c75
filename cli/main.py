"""``makespan COMMAND``: reads the command line, runs the command, turns mistakes into one line and an exit code.

Exit codes: 0 done, 1 done but something is wrong (a broken contract, an invalid schedule), 2 a mistake of the user's or
output that cannot be written, 130 interrupted. Bugs of ours keep their traceback.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ..envs.core.errors import UnknownNameError, UserError
from ..envs.core.files import cache_folder

COMMANDS = ("train", "sweep", "evaluate", "optimise", "show", "report", "envs", "check", "trace", "certify", "new")
_LONGEST_LINE = 400  # a word out of place may make every option after it unknown, and each is told of
_DESCRIPTION = "Environments for combinatorial scheduling, agents that play them, and honest comparisons."


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: arguments without the program's name; default those of the process.

    Returns:
        The exit code.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except UserError as error:
        return _fail(str(error), 2)
    except KeyboardInterrupt as interrupt:
        return _fail(f"interrupted{f': {interrupt}' if str(interrupt) else ''}", 130)
    except MemoryError as error:
        return _fail(
            f"not enough memory; play fewer worlds, tries or nodes at once: {error or 'nothing more is known'}", 2
        )
    except BrokenPipeError:  # whoever read our output has gone
        _drop_output()
        return 1
    except OSError as error:  # a full disk, a folder that vanished
        _drop_output()
        named = f" {error.filename!r}" if error.filename else ""
        return _fail(f"cannot read or write{named}: {error.strerror or error}", 2)


def _run(arguments: list[str]) -> int:
    if arguments in (["--version"], ["version"]):
        from .. import __version__

        print(f"makespan {__version__}")
        return 0
    if arguments and not arguments[0].startswith("-") and arguments[0] not in COMMANDS:
        raise UnknownNameError("command", arguments[0], COMMANDS)
    _keep_caches_together()
    return _parse(arguments)()


def _keep_caches_together() -> None:
    """Give libraries a place in our cache folder for what they write unasked, where their users chose none.

    PyTorch makes a folder among the temporary ones as soon as an optimiser is made; Matplotlib keeps a list of fonts,
    by default where its users expect it, so that it is moved only if ``MAKESPAN_CACHE`` is set.
    """
    cache = cache_folder()
    there = next(str(path) for path in (cache.absolute(), *cache.absolute().parents) if os.path.lexists(path))
    if not (os.path.isdir(there) and os.access(there, os.W_OK)):
        return  # PyTorch would fail where it cannot make its folder
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache / "torch"))
    if os.environ.get("MAKESPAN_CACHE"):
        os.environ.setdefault("MPLCONFIGDIR", str(cache / "matplotlib"))


def _parse(arguments: list[str]) -> Callable[[], int]:
    """The command with its arguments, still to be run: what it raises or prints is no affair of the parser's.

    Loads commands and parser only here, where Ctrl-C is caught.

    Raises:
        UserError: the arguments do not fit the command.
        SystemExit: help was asked for.
    """
    import tyro

    from . import commands

    messages = io.StringIO()
    try:
        with contextlib.redirect_stderr(messages):
            return tyro.extras.subcommand_cli_from_dict(
                {name: _later(getattr(commands, name)) for name in COMMANDS},
                prog="makespan",
                description=_DESCRIPTION,
                args=arguments,
                config=(tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes),
            )
    except SystemExit as end:
        if end.code in (0, None):
            raise
        raise UserError(_one_line(messages.getvalue())) from None


def _later(command: Callable[..., int]) -> Callable[..., Callable[[], int]]:
    """The same signature and docstring, but calling it only keeps the arguments."""
    import functools

    @functools.wraps(command)
    def keep(*args: Any, **kwargs: Any) -> Callable[[], int]:
        return lambda: command(*args, **kwargs)

    return keep


def _one_line(box: str) -> str:
    """A parser's framed message as one line: its title goes, and so does the advice to read the help."""
    blocks: list[list[str]] = [[]]
    for line in box.splitlines():
        if line.startswith(("╭", "╰", "+-")):
            continue
        text = line.strip("│| ")
        if text and not text.strip("─-"):  # the second of each where the terminal knows ASCII alone
            blocks.append([])
        elif text:
            blocks[-1].append(text)
    kept = [" ".join(block) for block in blocks if block and not block[0].startswith(("For full", "Argument help"))]
    said = "; ".join(kept) or "the arguments do not fit; see 'makespan --help'"
    return said if len(said) <= _LONGEST_LINE else said[: _LONGEST_LINE - 3] + "..."


def _fail(message: str, code: int) -> int:
    with contextlib.suppress(OSError):
        print(f"makespan: error: {' '.join(message.split())}", file=sys.stderr, flush=True)
    return code


def _drop_output() -> None:
    """Send what is still buffered nowhere, so that the interpreter's last flush does not fail again."""
    with contextlib.suppress(OSError, ValueError, io.UnsupportedOperation):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())
