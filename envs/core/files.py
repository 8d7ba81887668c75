"""Files: written whole or not at all, read up to a limit."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from .errors import UserError

MAX_BYTES = 64 * 2**20
_UNFINISHED = re.compile(r"\.[0-9a-f]{16}\.tmp")
_LEAST_READ = 2**16  # of files that do not state their size, as those of /proc


def cache_folder() -> Path:
    """Folder of everything that is cached: ``$MAKESPAN_CACHE``, else the user's cache folder."""
    chosen = os.environ.get("MAKESPAN_CACHE")
    if chosen:
        return user_path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
        return (Path(base) if base else Path.home() / "AppData" / "Local") / "makespan"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "makespan"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "makespan"


def atomic_write(path: str | Path, data: bytes | str) -> None:
    """Write a file so that readers see the old content or the new one, also after a crash.

    The data go to a new file in the same folder, reach the disk and take the place of the old file. Text is written as
    UTF-8. A symbolic link is followed; an existing file keeps its permissions. Nothing but a regular file is replaced:
    a device would be gone for everybody.

    Raises:
        UserError: the file cannot be written (no such folder, no permission, disk full, ...); the old one is untouched
            and nothing is left behind.
    """
    try:
        target = Path(os.path.realpath(path))
        if target.exists() and not target.is_file():
            raise UserError(
                f"cannot write {str(path)!r}: it is {'a directory' if target.is_dir() else 'no regular file'}"
            )
        content = data.encode() if isinstance(data, str) else data
        aside = target.parent / f".{secrets.token_hex(8)}.tmp"
        # Exclusive, and with the user's umask, which the tempfile module would override.
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                shutil.copymode(target, aside)
            os.replace(aside, target)
        except BaseException:
            with contextlib.suppress(OSError):
                aside.unlink()
            raise
    except UserError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path, text that UTF-8 cannot hold
        raise UserError(f"cannot write {str(path)!r}: {_reason(error)}") from None
    _sync_folder(target.parent)


def is_unfinished(name: str) -> bool:
    """Whether a file's name is that of what `atomic_write` was still writing when its process was killed."""
    return _UNFINISHED.fullmatch(name) is not None


def refuse_links(folder: Path, names: Iterable[str]) -> None:
    """Raise where one of these files or folders, or something in them, is a link: it may lead out of the folder.

    For folders that are written to again, which may come from others.

    Raises:
        UserError: one is.
    """
    for name in names:
        for place, folders, files in [("", [name], []), *os.walk(folder / name)]:
            for inner in (*folders, *files):
                path = folder / place / inner
                if path.is_symlink():
                    raise UserError(
                        f"{str(path)!r} is a link, expected a file or folder of its own; take another folder"
                    )


def user_path(given: str | os.PathLike[str]) -> Path:
    """A path as users write it: ``~`` is their home; where nobody has the name behind it, a name as any other."""
    try:
        return Path(os.path.expanduser(given))
    except ValueError:  # what no user's name holds: a null byte, half a character
        return Path(given)


def named_files(given: str) -> list[Path]:
    """The instance's file that a path names, or those that match a pattern, sorted.

    Raises:
        UserError: it is a folder, or matches nothing. One file that is missing is left to whoever reads it.
    """
    path = user_path(given)
    # os.path says "no" where pathlib raises: names that are too long, or hold a null byte.
    if os.path.isdir(path):
        raise UserError(f"instance {given!r} is a folder; name its files, for example {str(path / '*.json')!r}")
    if os.path.isfile(path) or not glob.has_magic(given):
        return [path]
    files = [] if "\0" in given else sorted(filter(os.path.isfile, glob.glob(str(path), recursive=True)))
    if not files:
        raise UserError(f"instance {given!r} matches no file")
    return list(map(Path, files))


def suggest_path(name: str) -> None:
    """For a name that no instance has: say how the file that has it is read, if there is one.

    Raises:
        UserError: there is.
    """
    if os.path.isfile(name):
        raise UserError(f"unknown instance {name!r}; to read the file of this name write './{name}'")


def read_bounded(path: str | Path, limit: int = MAX_BYTES) -> bytes:
    """Read a regular file of at most `limit` bytes.

    Raises:
        UserError: the file is missing, unreadable, not a regular file, or larger.
    """
    try:
        if not Path(path).is_file():
            problem = "it is not a regular file" if Path(path).exists() else "no such file"
            raise UserError(f"cannot read {str(path)!r}: {problem}")
        with open(path, "rb") as file:
            # What is asked for is allocated at once: no more than there is, for a limit may be gibibytes.
            size = max(os.fstat(file.fileno()).st_size, _LEAST_READ)
            content = file.read(min(size, limit) + 1)
    except UserError:
        raise
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {str(path)!r}: {_reason(error)}") from None
    if len(content) > limit:
        raise UserError(f"cannot read {str(path)!r}: it holds more than {limit:,} bytes")
    return content


def decode_text(content: bytes, source: str) -> str:
    """Decode UTF-8, with or without a byte-order mark.

    Raises:
        UserError: the content is something else.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{source}: byte {error.start} is not UTF-8 text") from None


def _reason(error: OSError | ValueError) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _sync_folder(folder: Path) -> None:
    """Make the new name last through a power failure, where the system can do that for folders."""
    if os.name == "posix":
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
