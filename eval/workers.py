"""Workers that do the tasks of a board: kept busy, replaced when they die, gone when this process goes.

A crew says where they work: `Processes` in processes of this machine; `makespan.eval.ray_crew` on a Ray cluster.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import traceback
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from ..envs.core.errors import UserError
from .judge import ImpossibleResultError

_MOST_DEATHS = 2
"""Workers that may die over the same task; then the task is to blame."""

_FAREWELL_SECONDS = 5.0


class Board(Protocol):
    """What is to be done, and where results go. Only the process that made it calls it."""

    def take(self, worker: int) -> Hashable | None:
        """A task for a worker; None where there is none for now."""
        ...

    def put_back(self, task: Any) -> None:
        """Take back a task whose worker died, or has not come while others are idle."""
        ...

    def done(self, task: Any, result: Any) -> None:
        """Take a result."""
        ...


class Desk(Protocol):
    """Where a worker works."""

    def do(self, task: Any) -> Any:
        """The result of a task."""
        ...


class DeadWorkerError(Exception):
    """A worker died over its task.

    Args:
        how: it died.
        began: whether it had begun the task: else the task is not to blame.
    """

    def __init__(self, how: str, began: bool = True) -> None:
        super().__init__(how)
        self.began = began


class Worker(ABC):
    """Does one task at a time.

    Attributes:
        task: what it is at, None while it is idle.
        is_up: whether it is at its task, or would be at once: who begins may have to wait for a processor, task in
            hand.
    """

    task: Any = None
    is_up: bool = True

    @abstractmethod
    def begin(self, task: Any) -> None:
        """Send it a task, the first of which begins it."""

    @abstractmethod
    def end(self) -> Any:
        """The result of its task; it is idle then.

        Raises:
            DeadWorkerError: it died. Its next task begins another in its place.
            UserError, ImpossibleResultError, MemoryError, RuntimeError: the task failed.
        """

    @abstractmethod
    def stop(self) -> None:
        """End it, whatever it is doing."""


class Crew(ABC):
    """Workers that can be hired for a board.

    Attributes:
        sees_files: whether they see the files that this process sees, by the same paths.
    """

    sees_files: bool

    @abstractmethod
    def hire(
        self, make_desk: Callable[..., Desk], arguments: tuple[Any, ...]
    ) -> contextlib.AbstractContextManager[Sequence[Worker]]:
        """Idle workers, who make their desks by a function and its arguments, which are pickled."""

    @abstractmethod
    def wait(self, busy: Sequence[Worker]) -> Sequence[Worker]:
        """Those of the busy workers that have a result or have died; none where there is something else to see to."""


def available_cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def work_through(board: Board, crew: Crew | int, make_desk: Callable[..., Desk], *arguments: Any) -> None:
    """Let workers do the tasks of a board until it has none left.

    Each is begun when there is a task for it, and knows nothing of the others. One that dies is replaced and its task
    done again. They go when this process goes, however it does.

    Args:
        board: gives tasks and takes results.
        crew: who works; a number stands for so many processes.
        make_desk: called in each worker, with the arguments; it and they are pickled.

    Raises:
        UserError, ImpossibleResultError, MemoryError: what a task raised; or a task's workers died again and again.
        RuntimeError: a task raised something else; the message holds its traceback.
    """
    crew = Processes(crew) if isinstance(crew, int) else crew
    first = board.take(0)
    if first is None:  # nobody is hired for nothing
        return
    with crew.hire(make_desk, arguments) as workers:
        workers[0].begin(first)
        _work(board, crew, workers)


def _work(board: Board, crew: Crew, workers: Sequence[Worker]) -> None:
    deaths: Counter[Hashable] = Counter()
    while True:
        # Those first who can begin at once.
        for index, worker in sorted(enumerate(workers), key=lambda pair: not pair[1].is_up):
            if worker.task is None and (task := board.take(index)) is not None:
                worker.begin(task)
        busy = [worker for worker in workers if worker.task is not None]
        if not busy:
            return
        for worker in crew.wait(busy):
            task = worker.task
            try:
                result = worker.end()
            except DeadWorkerError as death:
                deaths[task] += death.began
                if deaths[task] == _MOST_DEATHS:
                    raise UserError(_obituary(task, str(death))) from None
                board.put_back(task)
            else:
                board.done(task, result)
        if any(worker.task is None and worker.is_up for worker in workers):
            for worker in workers:
                if worker.task is not None and not worker.is_up:
                    board.put_back(worker.task)
                    worker.task = None


def _obituary(task: Any, how: str) -> str:
    return f"{_MOST_DEATHS} processes died of {task} ({how}); memory may be short: try fewer --workers"


class Processes(Crew):
    """Processes of this machine.

    Args:
        number: how many.
    """

    sees_files = True

    def __init__(self, number: int) -> None:
        self._number = number

    @contextlib.contextmanager
    def hire(self, make_desk: Callable[..., Desk], arguments: tuple[Any, ...]) -> Iterator[Sequence[Worker]]:
        workers = [_Process(make_desk, arguments) for _ in range(self._number)]
        try:
            yield workers
        finally:
            for worker in workers:
                worker.stop()

    def wait(self, busy: Sequence[Any]) -> Sequence[Worker]:
        connections = {worker.connection: worker for worker in busy}
        return [connections[ready] for ready in wait(list(connections))]  # type: ignore[index]


class _Process(Worker):
    """One process, begun with its first task."""

    def __init__(self, make_desk: Callable[..., Desk], arguments: tuple[Any, ...]) -> None:
        self._make_desk, self._arguments = make_desk, arguments
        self._process: Any = None
        self.connection: Any = None

    def begin(self, task: Any) -> None:
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
        try:
            answer = self.connection.recv()
        except (EOFError, OSError):
            raise DeadWorkerError(self._bury()) from None
        self.task = None
        return content_of(answer)

    def _bury(self) -> str:
        """Forget the process, which died; returns how."""
        process = self._process
        process.join(_FAREWELL_SECONDS)  # it may have closed the pipe and be on its way out
        code = process.exitcode
        self.stop()
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self.connection.close()
        self._process = self.connection = self.task = None


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
    post = Post(make_desk, arguments)
    while True:
        try:
            task = connection.recv()
        except (EOFError, OSError):
            return
        answer = post.do(task)
        try:
            connection.send(answer)
        except OSError:  # nobody is there to hear it
            return


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


# --- what is sent back ------------------------------------------------------------------------------------------------

Answer = tuple[str, Any]
"""``("done", result)``, or the name of an error and its text: a class of its own might not come out of a pickle."""


class Post:
    """Where a worker answers: its desk is made for the first task.

    Args:
        make_desk: called with the arguments.
    """

    def __init__(self, make_desk: Callable[..., Desk], arguments: tuple[Any, ...]) -> None:
        self._make_desk, self._arguments = make_desk, arguments
        self._desk: Desk | None = None

    def do(self, task: Any) -> Answer:
        """What comes of a task."""
        try:
            if self._desk is None:
                self._desk = self._make_desk(*self._arguments)
            return "done", self._desk.do(task)
        except Exception as error:
            return _told(error)


def content_of(answer: Answer) -> Any:
    """The result that an answer holds.

    Raises:
        UserError, ImpossibleResultError, MemoryError, RuntimeError: the task failed.
    """
    kind, content = answer
    if kind == "done":
        return content
    raise _ERRORS.get(kind, RuntimeError)(content)


_ERRORS: dict[str, type[Exception]] = {
    kind.__name__: kind for kind in (UserError, ImpossibleResultError, MemoryError, RuntimeError)
}


def _told(error: Exception) -> Answer:
    for kind in (UserError, ImpossibleResultError, MemoryError):
        if isinstance(error, kind):
            return kind.__name__, str(error)
    return "RuntimeError", f"in a worker process:\n{''.join(traceback.format_exception(error))}"
