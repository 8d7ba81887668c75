"""A folder that one process at a time writes to."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path

from .errors import UserError

LOCK = ".lock"
_TAKEN = (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK)


class FolderHeldError(UserError):
    """Another holder has the folder."""


class FolderLock:
    """Holds a folder until `release`, or until the process ends, however it does.

    The system's lock on a file ``.lock`` in the folder: one that a killed process leaves behind is no obstacle. A
    folder that is missing is made, and goes again with `release` if nothing was put into it.

    Args:
        folder: which.

    Raises:
        FolderHeldError: another holder has it.
        UserError: it cannot be made or written to.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self._path = self._folder / LOCK
        self._made: list[Path] = []
        try:
            missing = [path for path in (self._folder, *self._folder.parents) if not path.exists()]
            self._folder.mkdir(parents=True, exist_ok=True)
            self._made = missing
            self._descriptor = self._acquire()
        except (OSError, ValueError) as error:
            self._remove_made()
            if isinstance(error, UserError):
                raise
            reason = (isinstance(error, OSError) and error.strerror) or str(error)
            raise UserError(f"cannot write to {str(folder)!r}: {reason}") from None

    def _acquire(self) -> int:
        while True:
            # Never through a link: the file that it leads to would be emptied.
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
            try:
                if not _try_lock(descriptor):
                    holder = os.read(descriptor, 20).decode(errors="replace").strip()
                    raise FolderHeldError(
                        f"folder {str(self._folder)!r} is being written to by another process"
                        f"{f' ({holder})' if holder else ''}; wait for it or name another folder"
                    )
                if self._is_there(descriptor):
                    os.ftruncate(descriptor, 0)
                    os.write(descriptor, f"{os.getpid()}\n".encode())
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # its holder removed the file between our two steps

    def _is_there(self, descriptor: int) -> bool:
        """Whether the locked file still has the name under which others look for it."""
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self._path))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Let others have the folder. Whoever stands by meanwhile finds either our lock or no file."""
        with contextlib.suppress(OSError):  # Windows does not remove what is open: the file stays, unlocked
            self._path.unlink()
        os.close(self._descriptor)
        self._remove_made()

    def _remove_made(self) -> None:
        with contextlib.suppress(OSError):  # something was put there
            for path in self._made:
                path.rmdir()

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _try_lock(descriptor: int) -> bool:
    """Whether the file is ours now. Where the file system knows no locks, everybody may have it."""
    try:
        _lock(descriptor)
    except OSError as error:
        return error.errno not in _TAKEN
    return True


if sys.platform == "win32":
    import msvcrt

    _BYTE = 2**30  # bytes are locked: one beyond the content, which so stays readable

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, _BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
