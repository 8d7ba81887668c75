"""Workers on a Ray cluster: one actor for each, on one processor, wherever there is one."""

from __future__ import annotations

import contextlib
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..envs.core.errors import UserError
from ..envs.core.extras import library_versions
from .ray_cluster import Cluster, check_address, connected
from .workers import Answer, Crew, DeadWorkerError, Desk, Post, Worker, available_cores, content_of

_GLANCE = 1.0  # seconds between looks at who has come
_IDLE = 0.1  # seconds after which it is to be found out whether an idle actor still lives
_MOST_FAILURES = 20  # actors in a row, beyond those of a node that is lost, that fail to begin
_PATIENCE = 300.0  # seconds in which some actor must have got a processor; nodes may have to be started first


class RayCrew(Crew):
    """Actors on a Ray cluster, which is joined when they are hired.

    An actor that has no processor yet holds its task until another is idle. One that dies, alone or with its node, is
    replaced where there is a processor. Nodes may join and leave; the machine of this process may not.

    Args:
        address: see `makespan.eval.ray_cluster.connected`.
        number: of actors; None for as many as the cluster has processors.

    Raises:
        UserError: Ray is not installed, or the address malformed.
    """

    sees_files = False

    def __init__(self, address: str, number: int | None = None) -> None:
        check_address(address)
        self._address, self._number = address, number
        self._ray: Any = None
        self._workers: list[_Actor] = []
        self._heard = 0.0
        self._failures = 0

    @contextlib.contextmanager
    def hire(self, make_desk: Callable[..., Desk], arguments: tuple[Any, ...]) -> Iterator[Sequence[Worker]]:
        with connected(self._address, self._number or available_cores()) as cluster:
            self._ray, self._heard = cluster.ray, time.monotonic()
            given = cluster.ray.put((make_desk, arguments, library_versions()))
            number = self._number or max(cluster.cpus, 1)
            self._workers = [_Actor(cluster, given, self._count) for _ in range(number)]
            try:
                yield self._workers
            finally:
                for worker in self._workers:
                    worker.stop()

    def wait(self, busy: Sequence[Worker]) -> Sequence[Worker]:
        of = {worker.expected: worker for worker in self._workers if worker.expected is not None}
        expected = list(of)
        if not self._ray.wait(expected, num_returns=1, timeout=_GLANCE)[0]:
            self._expect_somebody(busy)
            return []
        self._heard = time.monotonic()
        come, _ = self._ray.wait(expected, num_returns=len(expected), timeout=0)
        return [worker for one in come if (worker := of[one]).come()]

    def _count(self, failure: str | None) -> None:
        """Give up where actors fail to begin, one after the other.

        Args:
            failure: what kept one from beginning, None where one did.
        """
        self._failures = 0 if failure is None else self._failures + 1
        if self._failures > _MOST_FAILURES + len(self._workers):
            raise UserError(f"option ray is {self._address!r}: workers cannot begin there: {failure}")

    def _expect_somebody(self, busy: Sequence[Worker]) -> None:
        if time.monotonic() - self._heard > _PATIENCE and not any(worker.is_up for worker in busy):
            raise UserError(
                f"option ray is {self._address!r}: no processor of the cluster became free within {_PATIENCE:.0f} s"
            )


class _Actor(Worker):
    """One actor, begun with its first task.

    Args:
        cluster: where it is.
        given: reference to what `_Host` is made of.
        count: is told of each beginning.
    """

    def __init__(self, cluster: Cluster, given: Any, count: Callable[[str | None], None]) -> None:
        self._ray, self._count = cluster.ray, count
        # No restarts: the board knows which tasks are to be done again.
        options = {"num_cpus": 1, "max_restarts": 0, "max_task_retries": 0, "scheduling_strategy": "SPREAD"}
        self._make = lambda: cluster.ray.remote(**options)(_Host).remote(given)
        self._actor: Any = None
        self._ready: Any = None
        self._answer: Any = None
        self._heard = 0.0
        self.is_up = False

    @property
    def expected(self) -> Any:
        """Reference to what is to come of it next, None where nothing is."""
        return self._answer if self._answer is not None or self.is_up else self._ready

    def begin(self, task: Any) -> None:
        self.task = task
        if self._actor is None:
            self._actor = self._make()
            self._ready = self._actor.ready.remote()
        elif self.is_up and time.monotonic() - self._heard > _IDLE:
            self._ready = self._actor.ready.remote()
        if self.is_up:
            self._answer = self._actor.do.remote(task)

    def come(self) -> bool:
        """Take note that what was expected has come; whether it ends the task. If it is the actor, that begins it."""
        if self._answer is not None:
            return True
        if not self._is_there():
            if self.task is None:
                self._bury()
            return self.task is not None
        self._count(None)
        self.is_up = True
        if self.task is not None:
            self._answer = self._actor.do.remote(self.task)
        return False

    def end(self) -> Any:
        try:
            answer = self._ray.get(self._ready if self._answer is None else self._answer)
        except self._ray.exceptions.RayError:  # also where it answered and its node died with the answer
            raise self._bury() from None
        self.task, self._answer, self._heard = None, None, time.monotonic()
        return content_of(answer)

    def _bury(self) -> DeadWorkerError:
        """Forget the actor, which died; returns how."""
        began = self._answer is not None and self._is_there()
        try:
            self._ray.get(self._answer if began else self._ready, timeout=0)
            how = ""
        except self._ray.exceptions.RayError as error:
            how = _briefly(error)
        self.stop()
        if not began:
            self._count(how)
        return DeadWorkerError(how, began)

    def _is_there(self) -> bool:
        """Whether the actor has said that it is ready; where it has died, whether it had said so before."""
        try:
            self._ray.get(self._ready, timeout=0)
        except self._ray.exceptions.RayError:  # among them that nothing has come
            return False
        return True

    def stop(self) -> None:
        if self._actor is not None:
            with contextlib.suppress(Exception):  # the cluster may be gone
                self._ray.kill(self._actor)
        self._actor = self._ready = self._answer = self.task = None
        self.is_up = False


def _briefly(error: Exception) -> str:
    """What Ray says, in its last line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__


class _Host:
    """What an actor is.

    Args:
        given: how to make a desk, and the versions of libraries with which it must be made.
    """

    def __init__(self, given: tuple[Callable[..., Desk], tuple[Any, ...], dict[str, str]]) -> None:
        make_desk, arguments, self._versions = given
        self._post = Post(make_desk, arguments)

    def ready(self) -> None:
        """Come back once the actor is there."""

    def do(self, task: Any) -> Answer:
        """What comes of a task; see `Post`."""
        here = library_versions()
        for name in self._versions:
            if here.get(name) != self._versions[name]:
                said = f"node {platform.node()!r} has {name} {here.get(name)}, expected {self._versions[name]} as here"
                return UserError.__name__, said
        return self._post.do(task)
