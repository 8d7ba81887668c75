"""What is installed: optional packages, named where they are missing, and the versions that results are made with."""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
import signal
import threading
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType
from typing import Any

from .errors import MissingExtraError

_RECORDED = (
    *("makespan", "gymnasium", "numpy", "numba", "scipy", "ortools"),
    *("torch", "torch-geometric", "stable-baselines3", "sb3-contrib"),
)
_STOPS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def optional(what: str, extra: str, module: str = "") -> Iterator[None]:
    """Import an optional package inside this context.

    Ctrl-C waits until the import is over: compiled packages turn one that meets them half-loaded into an ImportError,
    which would be read as "not installed", and cannot be imported again.

    Args:
        what: needs the package, for the message.
        extra: of ours, which installs it.
        module: the package's name; empty: as the failed import calls it.

    Raises:
        MissingExtraError: the package is not installed.
        KeyboardInterrupt: somebody asked to stop meanwhile.
    """
    with _stops_wait():
        try:
            yield
        except ModuleNotFoundError as error:
            missing = str(error.name)
            if missing.partition(".")[0] == __name__.partition(".")[0]:
                raise
            raise MissingExtraError(what, extra, module or missing) from None


@contextlib.contextmanager
def _stops_wait() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        asked.append(number)

    # None stands for a handler that was not installed from Python: it could not be put back.
    before = {number: signal.getsignal(number) for number in _STOPS}
    before = {number: handler for number, handler in before.items() if handler is not None}
    for number in before:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in asked:
            signal.raise_signal(number)


def library_versions() -> dict[str, str]:
    """Versions of Python, of the package and of what results may depend on, as far as installed."""
    found = {"python": platform.python_version()}
    for name in _RECORDED:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def provenance() -> dict[str, Any]:
    """What a folder of results says of how they came about: ``versions``, ``machine`` and when it was ``created``."""
    return {
        "versions": library_versions(),
        "machine": f"{_processor()}, {os.cpu_count()} processors, {platform.system()}",
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _processor() -> str:
    """The processor's name, or its architecture where the system does not tell the name."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, name = line.partition(":")
            if key.strip() == "model name" and name.strip():
                return name.strip()
    return platform.processor() or platform.machine()
