"""Clusters of Ray on this machine, whose nodes can be killed: beside other clusters, and with nothing left behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

_NODE = {"object_store_memory": 80 * 2**20, "include_dashboard": False, "include_log_monitor": False}


class Nodes:
    """A cluster: a head, where this process is, and nodes that can be killed.

    Args:
        cluster: of `ray.cluster_utils`.
    """

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        self.alive: list[Any] = []

    @property
    def address(self) -> str:
        return self._cluster.address

    def add(self, cpus: int = 1) -> None:
        self.alive.append(self._cluster.add_node(num_cpus=cpus, **_NODE))

    def kill(self) -> None:
        """Kill the oldest node but the head, with all of its processes, without a farewell."""
        self._cluster.remove_node(self.alive.pop(0), allow_graceful=False)


@contextlib.contextmanager
def nodes(head_cpus: int, count: int) -> Iterator[Nodes]:
    """A cluster with a head of so many processors and `count` nodes of one."""
    from ray.cluster_utils import Cluster

    folder = tempfile.mkdtemp(prefix="r")  # a short path: sockets are made below it
    before = dict(os.environ)
    os.environ.update({"RAY_TMPDIR": folder, "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"})
    try:
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": head_cpus, "no_monitor": True, **_NODE})
        try:
            made = Nodes(cluster)
            for _ in range(count):
                made.add()
            yield made
        finally:
            cluster.shutdown()
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def started_head(port: int, client_port: int) -> Iterator[None]:
    """A head as a user starts it, by ``ray start``, with the server for those who come from elsewhere."""
    folder = tempfile.mkdtemp(prefix="r")
    words = ["start", "--head", "--block", "--port", str(port), "--ray-client-server-port", str(client_port)]
    words += ["--num-cpus", "1", "--include-dashboard", "false", "--disable-usage-stats", "--temp-dir", folder]
    words += ["--object-store-memory", str(_NODE["object_store_memory"])]
    head = subprocess.Popen(
        [sys.executable, "-m", "ray.scripts.scripts", *words],
        env={**os.environ, "RAY_AUTH_MODE": "disabled"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # so that no other cluster of this machine is stopped with it
    )
    try:
        yield
    finally:
        head.send_signal(signal.SIGTERM)
        try:
            head.wait(60)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(head.pid, signal.SIGKILL)
            shutil.rmtree(folder, ignore_errors=True)
