"""Processes that work through tasks: kept busy, replaced when they die, gone when this process goes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from ..envs.core.errors import UserError
from .judge import ImpossibleResultError

_MOST_DEATHS = 2
"""Processes that may die over the same task; then the task is to blame."""

_FAREWELL_SECONDS = 5.0


class Board(Protocol):
    """What is to be done, and where results go. Only the process that made it calls it."""

    def take(self, worker: int) -> Hashable | None:
        """A task for a process; None where there is none for now."""
        ...

    def put_back(self, task: Any) -> None:
        """Take back a task whose process died."""
        ...

    def done(self, task: Any, result: Any) -> None:
        """Take a result."""
        ...


class Desk(Protocol):
    """Where a process works."""

    def do(self, task: Any) -> Any:
        """The result of a task."""
        ...


def available_cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def work_through(board: Board, number: int, make_desk: Callable[..., Desk], *arguments: Any) -> None:
    """Let processes do the tasks of a board until it has none left.

    Each is begun when there is a task for it, and knows nothing of the others. One that is killed is replaced and its
    task done again. They go when this process goes, however it does.

    Args:
        board: gives tasks and takes results.
        number: of processes.
        make_desk: called in each process, with the arguments; it and they are pickled.

    Raises:
        UserError, ImpossibleResultError, MemoryError: what a task raised; or a task's processes died again and again.
        RuntimeError: a task raised something else; the message holds its traceback.
    """
    crew = [_Worker(make_desk, arguments) for _ in range(number)]
    deaths: Counter[Hashable] = Counter()
    try:
        while True:
            for index, worker in enumerate(crew):
                if worker.task is None and (task := board.take(index)) is not None:
                    worker.begin(task)
            busy = {worker.connection: worker for worker in crew if worker.task is not None}
            if not busy:
                return
            for ready in wait(list(busy)):
                worker = busy[ready]
                task = worker.task
                try:
                    result = worker.end()
                except (EOFError, OSError):
                    deaths[task] += 1
                    code = worker.bury()
                    if deaths[task] == _MOST_DEATHS:
                        raise UserError(_obituary(task, code)) from None
                    board.put_back(task)
                else:
                    board.done(task, result)
    finally:
        for worker in crew:
            worker.stop()


def _obituary(task: Any, code: int | None) -> str:
    end = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    return f"{_MOST_DEATHS} processes died of {task} ({end}); memory may be short: try fewer --workers"


class _Worker:
    """One process, begun with its first task."""

    def __init__(self, make_desk: Callable[..., Desk], arguments: tuple[Any, ...]) -> None:
        self._make_desk, self._arguments = make_desk, arguments
        self._process: Any = None
        self.connection: Any = None
        self.task: Any = None

    def begin(self, task: Any) -> None:
        """Send a task to the process."""
        self.task = task
        if self._process is None:
            # Not forked: threads of compiled code and of solvers do not survive that.
            context = multiprocessing.get_context("spawn")
            self.connection, theirs = context.Pipe()
            self._process = context.Process(
                target=_serve, args=(theirs, self._make_desk, self._arguments), name="makespan-worker", daemon=True
            )
            with _deaf_children():
                self._process.start()
            theirs.close()
        with contextlib.suppress(OSError):  # it has just died: `end` finds out
            self.connection.send(task)

    def end(self) -> Any:
        """The result of the task.

        Raises:
            EOFError, OSError: the process died.
            UserError, ImpossibleResultError, MemoryError, RuntimeError: the task failed.
        """
        kind, content = self.connection.recv()
        self.task = None
        if kind == "done":
            return content
        raise _ERRORS.get(kind, RuntimeError)(content)

    def bury(self) -> int | None:
        """Forget the process, which died; the next task begins another.

        Returns:
            Its exit code, negative for a signal.
        """
        process = self._process
        process.join(_FAREWELL_SECONDS)  # it may have closed the pipe and be on its way out
        code = process.exitcode
        self.stop()
        return code

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self.connection.close()
        self._process = self.connection = self.task = None


_ERRORS: dict[str, type[Exception]] = {
    kind.__name__: kind for kind in (UserError, ImpossibleResultError, MemoryError, RuntimeError)
}


@contextlib.contextmanager
def _deaf_children() -> Iterator[None]:
    """Processes that are begun meanwhile do not hear Ctrl-C: the terminal sends it to all, and this one ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, make_desk: Callable[..., Desk], arguments: tuple[Any, ...]) -> None:
    """Do tasks as they come, until the process that sends them is gone."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    desk: Desk | None = None
    while True:
        try:
            task = connection.recv()
        except (EOFError, OSError):
            return
        try:
            desk = make_desk(*arguments) if desk is None else desk
            answer = ("done", desk.do(task))
        except Exception as error:
            answer = _told(error)
        try:
            connection.send(answer)
        except OSError:  # nobody is there to hear it
            return


def _told(error: Exception) -> tuple[str, str]:
    """An error as text: a class of its own might not come out of a pickle."""
    for kind in (UserError, ImpossibleResultError, MemoryError):
        if isinstance(error, kind):
            return kind.__name__, str(error)
    return "RuntimeError", f"in a worker process:\n{''.join(traceback.format_exception(error))}"


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
