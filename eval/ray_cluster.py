"""A Ray cluster, joined or started for a while: quietly, without usage statistics, dashboard or files left behind."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from ..envs.core.errors import FieldError, MissingExtraError, UserError
from ..envs.core.files import cache_folder

LOCAL, AUTO, _CLIENT = "local", "auto", "ray://"
_CONNECT_SECONDS = 5.0
_OBJECT_STORE = 128 * 2**20
_SHARED_MEMORY = Path("/dev/shm")
_LONGEST_FOLDER = 38  # characters: below it Ray makes sockets, and paths of sockets have at most 107 bytes
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])  # RFC 9113, section 3.4
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_raylet_start_wait_time_s": "10",
}


class Cluster(NamedTuple):
    """A cluster that this process is connected to.

    Attributes:
        ray: the module.
        cpus: processors of all nodes.
    """

    ray: Any
    cpus: int


def check_address(address: str) -> None:
    """Raise where no cluster can be meant, or Ray is not installed.

    Raises:
        UserError: so it is.
    """
    if address not in (LOCAL, AUTO):
        _host_and_port(address)
    _load()


@contextlib.contextmanager
def connected(address: str, cpus: int) -> Iterator[Cluster]:
    """A cluster.

    A process that is connected already keeps its connection. A cluster that is started here listens to this machine
    alone, writes to ``ray`` in the cache folder, and is gone, with what it wrote, at the end.

    Args:
        address: ``local`` starts one here, ``auto`` joins the one of which this machine is a node, ``HOST:PORT`` the
            one with this head if this machine is a node of it, ``ray://HOST:PORT`` from anywhere.
        cpus: processors that a cluster that is started here is said to have.

    Raises:
        UserError: Ray is not installed, the address is malformed, or nobody answers there.
    """
    check_address(address)
    ray = _load()
    if ray.is_initialized():
        yield Cluster(ray, _cpus(ray))
        return
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        options |= _local_options(cpus)
    else:
        _knock(address)
    with _environment(_QUIET | ({"RAY_AUTH_TOKEN": _token()} if address == LOCAL else {})):
        context = _init(ray, address, options)
        printing = ray._private.worker
        printing._worker_logs_enabled = False  # nodes that are lost would be told of on standard output
        try:
            yield Cluster(ray, _cpus(ray))
        finally:
            ray.shutdown()
            printing._worker_logs_enabled = True
            if address == LOCAL:
                _clear(context.address_info["session_dir"])


@cache
def _token() -> str:
    """With which others are kept out of a cluster that is started here. Ray keeps the first that a process has."""
    return secrets.token_hex(32)


def _load() -> Any:
    # Read when Ray is imported, or when its processes begin.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise MissingExtraError("option ray", "ray", "ray") from None
    return ray


def _init(ray: Any, address: str, options: dict[str, Any]) -> Any:
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        return ray.init(address=address, **options)
    except Exception as error:  # Ray raises of every kind, plain ones too where a node takes too long to begin
        ray.shutdown()
        raise UserError(f"option ray is {address!r}: {_first_sentence(error)}") from None


def _first_sentence(error: Exception) -> str:
    return " ".join(str(error).split()).partition(". ")[0] or type(error).__name__


def _cpus(ray: Any) -> int:
    return int(ray.cluster_resources().get("CPU", 0))


def _host_and_port(address: str) -> tuple[str, int]:
    host, colon, port = address.removeprefix(_CLIENT).rpartition(":")
    if not (host and colon and port.isdecimal() and 0 < int(port) < 2**16) or "/" in host:
        raise FieldError("option ray", address, "local, auto, HOST:PORT or ray://HOST:PORT")
    return host.strip("[]"), int(port)


def _knock(address: str) -> None:
    """See whether a cluster is there: Ray itself would try for many minutes.

    Raises:
        UserError: nobody answers, or somebody who does not speak HTTP/2, as gRPC does.
    """
    place = address if address.startswith(_CLIENT) else _resolved(address)
    try:
        with socket.create_connection(_host_and_port(place), _CONNECT_SECONDS) as connection:
            if os.environ.get("RAY_USE_TLS", "0") == "0":
                connection.sendall(_HELLO)
                _expect_settings(connection)
    except OSError as error:
        where = "there" if place == address else f"at {place}"
        raise UserError(
            f"option ray is {address!r}: no Ray cluster answers {where} ({error.strerror or error})"
        ) from None


def _resolved(address: str) -> str:
    """Where Ray looks for the cluster: it reads a file for ``auto`` and puts its own address for 127.0.0.1."""
    from ray._private.services import canonicalize_bootstrap_address_or_die

    try:
        return canonicalize_bootstrap_address_or_die(address)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"option ray is {address!r}: {_first_sentence(error)}") from None


def _expect_settings(connection: socket.socket) -> None:
    """Raise `OSError` unless a server's first frame comes, which HTTP/2 says is of its settings."""
    frame = b""
    while len(frame) < 9:
        more = connection.recv(9 - len(frame))
        if not more:
            raise OSError("it hangs up")
        frame += more
    if frame[3] != 4:
        raise OSError("it is no server of gRPC")


def _local_options(cpus: int) -> dict[str, Any]:
    folder = cache_folder() / "ray"
    if len(os.fsencode(folder)) > _LONGEST_FOLDER:
        raise UserError(
            f"option ray is 'local': folder {str(folder)!r} is too long for Ray's sockets, expected at most "
            f"{_LONGEST_FOLDER} bytes; set MAKESPAN_CACHE to a shorter one"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write {str(folder)!r}: {error.strerror or error}") from None
    options: dict[str, Any] = {
        "num_cpus": cpus,
        "num_gpus": 0,
        "include_dashboard": False,
        "object_store_memory": _OBJECT_STORE,
        "_temp_dir": str(folder),
        "_node_ip_address": "127.0.0.1",
    }
    if not _SHARED_MEMORY.is_dir() or shutil.disk_usage(_SHARED_MEMORY).free < 2 * _OBJECT_STORE:
        options["_plasma_directory"] = str(folder)
    return options


def _clear(session: str) -> None:
    """Remove what a session wrote."""
    shutil.rmtree(session, ignore_errors=True)
    latest = Path(session).parent / "session_latest"
    with contextlib.suppress(OSError):
        if latest.is_symlink() and not latest.exists():
            latest.unlink()


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Variables that are not set have these values for a while."""
    before = dict(os.environ)
    for name, value in values.items():
        os.environ.setdefault(name, value)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            if name.startswith("RAY_"):  # Ray sets others, which would speak of a cluster that is gone
                del os.environ[name]
