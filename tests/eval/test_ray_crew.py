"""Workers on a Ray cluster: the rows of one process, whichever node dies."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from makespan.cli.suite import run as run_suite
from makespan.envs.core.errors import FieldError, MissingExtraError, UserError
from makespan.eval import ray_crew
from makespan.eval.judge import ImpossibleResultError
from makespan.eval.parallel import Job, play_jobs
from makespan.eval.plan import Request, make_plan
from makespan.eval.ray_crew import RayCrew
from makespan.eval.show import read_rows
from makespan.eval.store import Store, open_store
from makespan.eval.workers import work_through
from support.ray_nodes import Nodes, nodes, started_head

SHOP = "makespan/JobShop-v0"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Nodes]:
    pytest.importorskip("ray")
    with nodes(head_cpus=1, count=1) as made:
        yield made


def timeless(rows: list[dict[str, Any]], *without: str) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key not in ("seconds_per_decision", *without)} for row in rows]


def instance_of(name: str) -> Any:
    instances = make_plan(Request(SHOP, "spt", name)).instances
    assert instances is not None
    return instances[0]


class Killer:
    """Progress that counts rows, and kills a node each time that so many agents have played so many more together."""

    def __init__(self, agents: int, kill: Callable[[], None], times: int = 1, every: int = 1) -> None:
        self._agents, self._kill, self._every = agents, kill, every
        self.left, self.rows, self._since = times, 0, {}

    def __call__(self, agent: str, rows: int) -> None:
        self.rows += rows
        self._since[agent] = self._since.get(agent, 0) + rows
        if (
            self.left
            and sum(map(bool, self._since.values())) >= self._agents
            and sum(self._since.values()) >= self._every
        ):
            self.left -= 1
            self._since.clear()
            self._kill()


# --- what a worker may meet -------------------------------------------------------------------------------------------


class Numbers:
    """A board of numbers."""

    def __init__(self, *numbers: int) -> None:
        self.waiting, self.results, self.backs = list(numbers), {}, []

    def take(self, worker: int) -> int | None:
        return self.waiting.pop(0) if self.waiting else None

    def put_back(self, task: int) -> None:
        self.backs.append(task)
        self.waiting.insert(0, task)

    def done(self, task: int, result: int) -> None:
        assert task not in self.results
        self.results[task] = result


class Squares:
    """A desk that squares, and meets with accidents."""

    def __init__(self, mark: str) -> None:
        self._mark = Path(mark)

    def do(self, task: int) -> int:
        if task < 0 or (task == 3 and not self._mark.exists()):
            self._mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if task == 101:
            raise ImpossibleResultError("below the bound")
        if task == 102:
            raise KeyError("a bug")
        return task * task


@pytest.fixture
def _by_value() -> Iterator[None]:
    """The nodes cannot import a test."""
    from ray import cloudpickle

    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    yield
    cloudpickle.unregister_pickle_by_value(module)


@pytest.mark.slow
@pytest.mark.usefixtures("_by_value")
def test_actors_are_replaced_tasks_named_and_errors_come_home(cluster: Nodes, tmp_path: Path) -> None:
    mark = str(tmp_path / "mark")
    board = Numbers(*range(8))
    work_through(board, RayCrew(cluster.address, 2), Squares, mark)
    assert 3 in board.backs
    assert board.results == {number: number * number for number in range(8)}
    for task, kind, message in (
        (-5, UserError, r"2 processes died of -5 \(.*\); memory may be short"),
        (101, ImpossibleResultError, "^below the bound$"),
        (102, RuntimeError, r"in a worker process:\n(.|\n)*KeyError: 'a bug'"),
    ):
        with pytest.raises(kind, match=message):
            work_through(Numbers(task), RayCrew(cluster.address, 1), Squares, mark)


def test_a_node_that_is_killed_costs_no_row_and_doubles_none(
    cluster: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also: instances in files of this machine are sent to the nodes, which have other folders."""
    monkeypatch.chdir(tmp_path)
    instance = instance_of("la01")
    (tmp_path / "shops").mkdir()
    for number in range(3):
        shop = {**instance.to_dict(), "name": f"shop{number}"}
        (tmp_path / "shops" / f"{number}.json").write_text(json.dumps(shop))
    plan = make_plan(Request(f"{SHOP}:law=bernoulli:p=0.01", "spt,random:samples=2", "./shops/*.json", "0-4", batch=2))
    (expected,) = play_jobs([Job(plan, Store(None))], 1, lambda *_: None)
    killer = Killer(2, cluster.kill)
    (rows,) = play_jobs([Job(plan, Store(None))], RayCrew(cluster.address), killer)
    assert killer.left == 0, "a node was killed"
    assert killer.rows == len(expected), "each row came once"
    assert timeless(rows) == timeless(expected)


SUITE = """
title = "Two problems"
reference = "rule"
roles = ["rule", "search"]

[[problem]]
name = "shop"
title = "Shop"
env = "makespan/JobShop-v0"
instances = "ft06,la01"
seeds = "0-1"
sweep = ["p=0,0.01"]
batch = 2
baseline = "random"
[problem.roles]
rule = "spt"
search = "random:samples=2"

[[problem]]
name = "dag"
title = "DAGs"
env = "makespan/StaticDag-v0"
instances = "random:tasks=8:pes=2:count=2:seed=3"
seeds = "0"
batch = 1
baseline = "random"
[problem.roles]
rule = "heft"
search = "beam"
"""


def test_a_suite_on_a_cluster_is_that_of_one_process(cluster: Nodes, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(SUITE)
    for name, ray in (("alone", None), ("cluster", cluster.address)):
        assert run_suite(str(tmp_path / "mine.toml"), Request("", ""), str(tmp_path / name), False, True, 1, ray) == 0
    for problem in ("shop", "dag"):
        # Where a schedule is kept depends on who was quick.
        alone, shared = (timeless(read_rows(tmp_path / name / problem), "schedule") for name in ("alone", "cluster"))
        assert len(alone) == {"shop": 24, "dag": 6}[problem]
        assert shared == alone


@pytest.mark.slow
def test_nodes_come_and_go(tmp_path: Path) -> None:
    """Three nodes are killed, one after the other, and others take their places."""
    pytest.importorskip("ray")
    requests = (
        Request(f"{SHOP}:law=bernoulli:p=0.01", "spt,random:samples=2", "ft06,la01-la05", "0-4", batch=2),
        Request(f"{SHOP}:law=bernoulli:p=0.01", "mwkr,random", "random:size=3x3:count=2:seed=5", "0", hindsight=60.0),
    )
    plans = [make_plan(request) for request in requests]
    expected = play_jobs([Job(plan, Store(None)) for plan in plans], 1, lambda *_: None)
    stores = [open_store(tmp_path / str(number), plan.record()) for number, plan in enumerate(plans)]
    with nodes(head_cpus=0, count=2) as made:

        def replace() -> None:
            made.kill()
            made.add()

        killer = Killer(1, replace, times=3, every=12)
        jobs = [Job(*pair) for pair in zip(plans, stores, strict=True)]
        rows = play_jobs(jobs, RayCrew(made.address, 3), killer)
    assert killer.left == 0
    assert killer.rows == sum(map(len, expected)) + 2, "rows, and two worlds that are solved"
    for ours, theirs in zip(rows, expected, strict=True):
        assert timeless(ours, "schedule") == timeless(theirs, "schedule")
    for plan, store, ours in zip(plans, stores, rows, strict=True):
        store.close()
        again = open_store(store.folder, plan.record())
        assert len(again.rows) == len(ours)
        again.close()


@pytest.mark.slow
def test_files_that_the_nodes_lack_are_named(cluster: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path outside the folder of the command is read on the node, where another file may be."""
    instance = instance_of("ft06")
    path = tmp_path / "shop.json"
    path.write_text(json.dumps(instance.to_dict()))
    plan = make_plan(Request(SHOP, "spt", str(path)))
    path.unlink()
    with pytest.raises(UserError, match=r"cannot read .*shop.json.*on node .*: files are sent there only if"):
        play_jobs([Job(plan, Store(None))], RayCrew(cluster.address, 1), lambda *_: None)
    monkeypatch.setattr(ray_crew, "library_versions", lambda: {"makespan": "0.0.0"})
    with pytest.raises(UserError, match=r"node .* has makespan .*, expected 0.0.0 as here"):
        play_jobs(
            [Job(make_plan(Request(SHOP, "spt", "ft06")), Store(None))], RayCrew(cluster.address, 1), lambda *_: None
        )


# --- addresses --------------------------------------------------------------------------------------------------------


def test_addresses_that_lead_nowhere_are_told_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for address in ("nonsense", "host:", "host:99999", "ray://host", ":6379", "http://host:80"):
        with pytest.raises(FieldError, match=r"option ray is .*, expected local, auto, HOST:PORT or ray://HOST:PORT"):
            RayCrew(address)
    began = time.monotonic()
    job = Job(make_plan(Request(SHOP, "spt", "ft06")), Store(None))
    with socket.socket() as mute, socket.socket() as closed:
        for each in (mute, closed):
            each.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        for address in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}"):
            with pytest.raises(UserError, match=f"option ray is '{address}': no Ray cluster answers .*refused"):
                play_jobs([job], RayCrew(address), lambda *_: None)
        mute.listen()
        monkeypatch.setattr("makespan.eval.ray_cluster._CONNECT_SECONDS", 0.2)
        with pytest.raises(UserError, match="no Ray cluster answers there"):
            play_jobs([job], RayCrew(f"ray://127.0.0.1:{mute.getsockname()[1]}"), lambda *_: None)
    assert time.monotonic() - began < 20


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"option ray needs 'ray'.*pip install 'makespan\[ray\]'"):
        RayCrew("local")


def test_sockets_need_short_paths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("MAKESPAN_CACHE", str(tmp_path / ("long" * 10)))
    job = Job(make_plan(Request(SHOP, "spt", "ft06")), Store(None))
    with pytest.raises(UserError, match="too long for Ray's sockets, expected at most 38 bytes; set MAKESPAN_CACHE"):
        play_jobs([job], RayCrew("local"), lambda *_: None)


# --- a cluster of one's own -------------------------------------------------------------------------------------------


def _played(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "makespan.cli.main", "evaluate", SHOP, "--agents", "spt,random", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)


@pytest.mark.slow
def test_a_cluster_that_is_started_here_leaves_nothing_behind(tmp_path: Path, short_cache: Path) -> None:
    pytest.importorskip("ray")
    given = ("--instances", "ft06", "--seeds", "0-9", "--batch", "2", "--json")
    environment = {**os.environ, "MAKESPAN_CACHE": str(short_cache), "HOME": str(tmp_path)}
    one = _played(*given, "--workers", "1", env=environment, cwd=tmp_path)
    many = _played(*given, "--workers", "2", "--ray", "local", env=environment, cwd=tmp_path)
    assert (one.returncode, many.returncode) == (0, 0), many.stderr
    assert many.stderr == ""
    assert timeless(json.loads(many.stdout)["rows"]) == timeless(json.loads(one.stdout)["rows"])
    assert list(tmp_path.iterdir()) == []
    assert list((short_cache / "ray").iterdir()) == []


@pytest.fixture
def short_cache() -> Iterator[Path]:
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="c"))
    yield folder
    shutil.rmtree(folder)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.mark.slow
def test_a_cluster_is_joined_from_elsewhere(tmp_path: Path) -> None:
    """By the server that ``ray start`` serves."""
    pytest.importorskip("ray")
    port = _free_port()
    with started_head(_free_port(), port):
        until = time.monotonic() + 120
        while time.monotonic() < until:
            with socket.socket() as door:
                if door.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        done = _played("--instances", "ft06", "--ray", f"ray://127.0.0.1:{port}", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["rows"]) == 2


@pytest.mark.slow
def test_a_cluster_is_left_by_ctrl_c(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with nodes(head_cpus=1, count=0) as made:
        out = tmp_path / "x"
        command = [sys.executable, "-m", "makespan.cli.main", "evaluate", SHOP, "--agents", "rollout:worlds=8"]
        command += [
            "--instances",
            "la21-la40",
            "--seeds",
            "0-9",
            "--batch",
            "2",
            "--ray",
            made.address,
            "--out",
            str(out),
        ]
        process = subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
        )
        until = time.monotonic() + 120
        while not list(out.glob("schedules/*")) and time.monotonic() < until:
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "rows are stored, the same command continues" in said
