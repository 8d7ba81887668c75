"""Several processes: the rows of one, whoever dies."""

import subprocess
import sys

import pytest
from makespan.envs.core.errors import UserError
from makespan.eval.parallel import Job, play_jobs
from makespan.eval.plan import Request, make_plan
from makespan.eval.store import Store, open_store

SHOP = "makespan/JobShop-v0"
REQUESTS = (
    Request(f"{SHOP}:law=bernoulli:p=0.01", "spt,random:samples=2,rollout", "ft06,la01", "0-2", batch=2),
    Request(f"{SHOP}:law=bernoulli:p=0.01", "mwkr,random", "random:size=3x3:count=2:seed=5", "0", hindsight=60.0),
    Request("makespan/StaticDag-v0", "heft,random", "topcuoglu", sweep=("noise=0,0.5",)),
)


def timeless(rows):
    return [{key: value for key, value in row.items() if key != "seconds_per_decision"} for row in rows]


def play_all(workers, progress=lambda agent, rows: None, **options):
    return play_jobs([Job(make_plan(each), Store(None)) for each in REQUESTS], workers, progress, **options)


def test_rows_are_those_of_one_process_and_every_one_is_told_of():
    told = []
    expected = [timeless(rows) for rows in play_all(1)]
    assert [timeless(rows) for rows in play_all(3, lambda agent, rows: told.append(rows))] == expected
    assert sum(told) == sum(map(len, expected)) + 2, "rows and solved worlds"


def test_what_one_process_began_others_end_without_playing_it_again(tmp_path):
    plan = make_plan(REQUESTS[0])
    alone = play_jobs([Job(plan, Store(None))], 1, lambda agent, rows: None)[0]
    store = open_store(tmp_path / "x", plan.record())
    told = []
    rows = play_jobs([Job(plan, store)], 2, lambda agent, rows: told.append(rows), alone=0.5)[0]
    store.close()
    assert timeless([{**row, "schedule": None} for row in rows]) == timeless(
        [{**row, "schedule": None} for row in alone]
    )
    assert sum(told) == len(rows)
    again = open_store(tmp_path / "x", plan.record())
    assert play_jobs([Job(plan, again)], 2, lambda agent, rows: pytest.fail("played again"))[0] == rows
    again.close()


def test_mistakes_are_told_as_by_one_process():
    def play(agents="spt", **options):
        return play_jobs([Job(make_plan(Request(SHOP, agents, "ft06", **options)), Store(None))], 2, lambda *_: None)

    with pytest.raises(UserError, match="did you mean 'mwkr'"):
        play("spt,mwkrr")
    impossible = make_plan(Request("makespan/StaticDag-v0", "heft", "topcuoglu", hindsight=1.0))
    # Of two processes one may begin to play before the other finds that it cannot do its part.
    for alone, progress in ((0.0, lambda *_: None), (10.0, lambda *_: pytest.fail("played"))):
        with pytest.raises(UserError, match="nobody solves worlds"):
            play_jobs([Job(impossible, Store(None))], 2, progress, alone)


# --- the processes themselves -----------------------------------------------------------------------------------------

# A script of its own: processes that are begun afresh import what they do from where it is defined.
SCRIPT = """
import os, signal, sys
from pathlib import Path
from makespan.eval.judge import ImpossibleResultError
from makespan.eval.workers import work_through

class Numbers:
    def __init__(self, numbers):
        self.waiting, self.results, self.backs = list(numbers), {}, []
    def take(self, worker):
        return self.waiting.pop(0) if self.waiting else None
    def put_back(self, task):
        self.backs.append(task)
        self.waiting.insert(0, task)
    def done(self, task, result):
        assert task not in self.results
        self.results[task] = result

class Squares:
    def __init__(self, mark):
        self.mark = Path(mark)
    def do(self, task):
        if task == 3 and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if task < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if task == 101:
            raise ImpossibleResultError("below the bound")
        if task == 102:
            raise KeyError("a bug")
        return task * task

if __name__ == "__main__":
    for numbers in (range(8), [-5], [101], [102]):
        board = Numbers(numbers)
        try:
            work_through(board, 2, Squares, sys.argv[1])
            print(board.backs, sorted(board.results.items()))
        except Exception as error:
            print(type(error).__name__, *str(error).splitlines())
"""


def test_processes_are_replaced_tasks_named_and_errors_come_home(tmp_path):
    script = tmp_path / "squares.py"
    script.write_text(SCRIPT)
    run = subprocess.run([sys.executable, script, tmp_path / "mark"], capture_output=True, text=True, check=True)
    lines = run.stdout.splitlines()
    assert lines[0] == f"[3] {[(number, number * number) for number in range(8)]}"
    assert lines[1] == "UserError 2 processes died of -5 (signal 9); memory may be short: try fewer --workers"
    assert lines[2] == "ImpossibleResultError below the bound"
    assert lines[3].startswith("RuntimeError in a worker process: Traceback")
    assert lines[3].endswith("KeyError: 'a bug'")


def test_without_tasks_no_process_is_begun(monkeypatch):
    monkeypatch.setattr("multiprocessing.get_context", lambda kind: pytest.fail("begun"))
    play_jobs([], 4, lambda *_: None)
    plan, store = make_plan(Request(SHOP, "spt", "ft06")), Store(None)
    (rows,) = play_jobs([Job(plan, store)], 1, lambda *_: None)
    assert play_jobs([Job(plan, store)], 4, lambda *_: None) == [rows]
