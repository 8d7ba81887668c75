"""How much memory is free."""

from __future__ import annotations

from pathlib import Path

from ..envs.core.errors import UserError

_MEMINFO = Path("/proc/meminfo")
_LIMIT, _USED = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")


def free_memory() -> int | None:
    """Bytes that can be had before the system must swap or kill, None where it does not say.

    Linux: the least of what the machine and the control group of the process have left.
    """
    found = [value for value in (_of_machine(), _of_group()) if value is not None]
    return min(found, default=None)


def check_room(agent: str, copies: int, copy_bytes: int, advice: str) -> None:
    """Raise `UserError` where so many copies at once, of so many bytes each, do not fit the memory that is free."""
    free, needed = free_memory(), copies * copy_bytes
    if free is not None and needed > free:
        raise UserError(
            f"agent {agent!r}: {copies} tries at once take {needed / 2**30:.1f} GiB, more than the "
            f"{free / 2**30:.1f} GiB that are free; {advice}"
        )


def _of_machine() -> int | None:
    for line in _lines(_MEMINFO):
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) * 1024
    return None


def _of_group() -> int | None:
    limit, used = (next(iter(_lines(path)), "") for path in (_LIMIT, _USED))
    if limit.isdecimal() and used.isdecimal():
        return max(int(limit) - int(used), 0)
    return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
