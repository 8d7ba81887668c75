"""The tutorial of a problem of one's own: every block of it is run, or found in the package that it is about."""

from __future__ import annotations

import json
import re
import shlex
import textwrap
from pathlib import Path

import pytest
from makespan.cli.main import main
from support.workplace import Workplace, install

TREE = Path(__file__).resolve().parents[2]
EXAMPLE = TREE / "examples" / "total_tardiness"
TEXT = (TREE / "docs" / "tutorials" / "new_environment.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.DOTALL)
# What tests/cli/test_new_command.py runs on a new package.
BEGINNING = [
    "makespan new total_tardiness",
    "pip install -e total_tardiness",
    "pytest total_tardiness",
    "makespan check total-tardiness/TotalTardiness-v0",
]


def lines(kind: str) -> list[str]:
    return [line for one, block in BLOCKS if one == kind for line in block.replace("\\\n", " ").splitlines() if line]


def table(heading: str) -> dict[str, list[str]]:
    """The cells of the first table after a heading's command, by agent."""
    after = TEXT.partition(heading)[2]
    first = re.search(r"(?:^\|.*\n)+", after, re.MULTILINE)
    assert first is not None
    rows = [line.strip("| ").split(" | ") for line in first[0].splitlines() if line.startswith("| `")]
    return {row[0].strip("`"): row[1:] for row in rows}


def test_every_kind_of_block_is_seen_to():
    assert {kind for kind, _ in BLOCKS} == {"sh", "py", "python", "text"}
    assert lines("sh")[: len(BEGINNING)] == BEGINNING


def test_the_package_begins_as_makespan_new_writes_it(tmp_path, monkeypatch, capsys):
    """Every file of the skeleton is still there, and the example adds its own."""
    monkeypatch.chdir(tmp_path)
    assert main(BEGINNING[0].split()[1:]) == 0
    assert "makespan check total-tardiness/TotalTardiness-v0" in capsys.readouterr().out
    written = {path.relative_to(tmp_path / "total_tardiness") for path in tmp_path.rglob("*") if path.is_file()}
    kept = {path.relative_to(EXAMPLE) for path in EXAMPLE.rglob("*") if path.is_file()}
    assert written <= kept


@pytest.mark.parametrize("block", [block for kind, block in BLOCKS if kind == "py"])
def test_what_is_quoted_stands_in_the_package(block):
    first, _, code = block.partition("\n")
    source = (EXAMPLE / first.removeprefix("# ")).read_text(encoding="utf-8")
    assert textwrap.dedent(code).strip() in textwrap.dedent(source) or code.strip("\n") in source, first


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    found = install(EXAMPLE, tmp_path_factory.mktemp("tutorial"))
    (found.folder / "jobs.csv").write_text("".join(block for kind, block in BLOCKS if kind == "text"))
    return found


def test_the_table_of_jobs_is_the_examples(workplace):
    assert (workplace.folder / "jobs.csv").read_text() == (EXAMPLE / "jobs.csv").read_text()


def test_python_blocks_run(workplace):
    for kind, block in BLOCKS:
        if kind == "python":
            workplace.python(block)


def commands() -> list[str]:
    """The commands after the beginning that this page needs nothing else for, in their order."""
    return [line for line in lines("sh")[len(BEGINNING) :] if line.startswith("makespan ")]


def test_commands_run_in_their_order_and_come_to_what_the_page_says(workplace):
    """In one process, which loads what they need once."""
    for module in ("torch", "torch_geometric", "sb3_contrib", "matplotlib"):
        pytest.importorskip(module)
    assert commands() == lines("sh")[len(BEGINNING) :]
    words = [shlex.split(command)[1:] for command in commands()]
    shown = workplace.python(f"from makespan.cli.main import main\nprint([main(words) for words in {words}])")
    assert shown.splitlines()[-1] == str([0] * len(words))
    for heading, folder in (("--out results/rules", "rules"), ("--out results/hard", "hard")):
        rows = json.loads((workplace.folder / "results" / folder / "results.json").read_text())
        told = table(heading)
        assert list(told) == list(dict.fromkeys(row["agent"] for row in rows))
        best = {row["instance"]: row["objective"] for row in rows if row["agent"] == "exact"}
        for agent, (mean, gap) in told.items():
            own = {row["instance"]: row["objective"] for row in rows if row["agent"] == agent}
            assert mean == f"{sum(own.values()) / len(own):,.0f}", agent
            gaps = [own[name] / best[name] - 1 for name in own if best[name]]
            assert gap == f"{100 * sum(gaps) / len(gaps):.1f} %", agent
    shop = json.loads((workplace.folder / "results" / "shop" / "results.json").read_text())
    assert {row["agent"]: row["objective"] for row in shop} == {
        "edd": 560, "mdd": 445, "search:time=0.1": 375, "exact": 375,
    }  # fmt: skip
    assert "EDD gives 560, MDD 445, the search and the optimum 375" in TEXT
    result = json.loads((workplace.folder / "results" / "jobs" / "result.json").read_text())
    assert result["objective"] == result["bound"] == 375
