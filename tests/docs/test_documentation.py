"""The documentation: tables that equal the code, links that lead somewhere, commands whose options exist."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from makespan.cli.main import main
from makespan.envs.memory_mapping.instance import Hardware

TREE = Path(__file__).resolve().parents[2]
PAGES = sorted([*TREE.glob("*.md"), *TREE.glob("docs/**/*.md"), *TREE.glob("examples/**/*.md")])


def test_tables_equal_the_code(tmp_path):
    script = TREE / "docs" / "tables.py"
    done = subprocess.run([sys.executable, str(script), "--check"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_tables_of_the_suite_equal_the_committed_results(tmp_path):
    script = TREE / "docs" / "suite.py"
    done = subprocess.run([sys.executable, str(script), "--check"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_changed_result_is_noticed(tmp_path):
    """A figure that is changed in the results no longer equals the pages."""
    shutil.copytree(TREE / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("images", "_build"))
    shutil.copy(TREE / "README.md", tmp_path)
    results = tmp_path / "docs" / "data" / "suite.csv"
    head, first, *rest = results.read_text(encoding="utf-8").splitlines(keepends=True)
    column = head.split(",").index("gap")
    cells = first.split(",")
    cells[column] = "7.77"
    results.write_text("".join([head, ",".join(cells), *rest]), encoding="utf-8")
    command = [sys.executable, "docs/suite.py"]
    done = subprocess.run([*command, "--check"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (
        1,
        "suite_results.md differs from the results: run python docs/suite.py\n",
    )
    subprocess.run(command, cwd=tmp_path, check=True)
    assert "| 777.0 " in (tmp_path / "docs" / "suite_results.md").read_text(encoding="utf-8")


def test_a_changed_table_is_noticed():
    code = (
        "import tables; text = open('agents.md').read(); "
        "changed = text.replace('shortest processing time', 'longest'); "
        "print(changed != text, tables.with_tables(changed, tables.PAGES['agents.md']) == text)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=TREE / "docs", capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"


# Its blocks need the package that it makes; test_tutorial_new_environment.py runs them with it.
OF_A_PACKAGE = "new_environment.md"


def _examples() -> list[tuple[str, str]]:
    """(page, code) of every Python block."""
    found = []
    for page in PAGES:
        if page.name == OF_A_PACKAGE:
            continue
        blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        found += [(str(page.relative_to(TREE)), block) for block in blocks]
    return found


@pytest.mark.parametrize("page, code", _examples())
def test_python_examples_run(page, code):
    exec(compile(code, page, "exec"), {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TREE)))
def test_links_lead_to_files(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_files_of_memory_mapping_are_what_the_page_says(tmp_path, monkeypatch, capsys):
    page = (TREE / "docs/environments/memory_mapping.md").read_text(encoding="utf-8")
    section = page.partition("## Files")[2].partition("\n## ")[0]
    tiny, plan = re.findall(r"```json\n(.*?)```", section, re.DOTALL)
    (tmp_path / "tiny.json").write_text(tiny)
    (tmp_path / "plan.json").write_text(plan)
    (code,) = re.findall(r"```py\n(.*?)```", section, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "memory_mapping.md", "exec"), {})
    said = [line.partition("  # ")[2] for line in code.splitlines() if line.startswith("print(")]
    assert said[1].startswith("[], ")
    assert capsys.readouterr().out.splitlines() == [said[0], "[]", said[2]]
    keys = {key for key in re.findall(r"`([a-z_]+)`", section)}
    assert {*Hardware().to_dict(), "alias_group", "hbm_only", "loops", "source", "compute_ps", "write_backs"} <= keys


def _commands() -> list[str]:
    """Every `makespan ...` line in a code block of a page, continuation lines joined."""
    found = set()
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("makespan "):
                    found.add(" ".join(line.split("#")[0].split()))
    return sorted(found)


@pytest.mark.parametrize("command", _commands())
def test_commands_name_options_that_exist(command, capsys):
    """Words of the grammar are checked by the commands' own tests; here only that the options are known."""
    name, *arguments = command.split()[1:]
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    known = set(re.findall(r"--[a-z][a-z-]*", capsys.readouterr().out))
    assert {word for word in arguments if word.startswith("--")} <= known


def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("sphinx")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-b",
        "html",
        str(TREE / "docs"),
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for page in ("index", "environments/job_shop", "api/environments", "records", "architecture", "changelog"):
        assert (tmp_path / f"{page}.html").stat().st_size > 5000
