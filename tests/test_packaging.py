"""What is shipped: the package list, the wheel, the versions, and how little `import makespan` loads."""

from __future__ import annotations

import fnmatch
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import makespan
import pytest

TREE = Path(__file__).resolve().parents[1]
# Folders of the tree that are no part of the package.
_OUTPUT = ("build", "dist", "runs", "results")
_NOT_SHIPPED = {"tests", "examples", "docs", "benchmarks", *_OUTPUT}


@pytest.fixture(scope="module")
def project() -> dict[str, object]:
    return tomllib.loads((TREE / "pyproject.toml").read_text(encoding="utf-8"))


def shipped_files() -> list[Path]:
    """Every file below the folders of the package, relative to the tree."""
    files = []
    for path in sorted(TREE.rglob("*")):
        parts = path.relative_to(TREE).parts
        hidden = any(part.startswith(".") or part == "__pycache__" or part.endswith(".egg-info") for part in parts)
        if path.is_file() and len(parts) > 1 and not hidden and parts[0] not in _NOT_SHIPPED:
            files.append(Path(*parts))
    return files


def packages_of_the_tree() -> set[str]:
    """A folder is a package where it holds an `__init__.py`; every folder with a module must."""
    folders = {path.parent for path in shipped_files() if path.suffix == ".py"}
    return {"makespan"} | {".".join(("makespan", *folder.parts)) for folder in folders}


def test_no_package_is_missing_from_the_list(project):
    listed = project["tool"]["setuptools"]["packages"]
    assert sorted(listed) == sorted(packages_of_the_tree())
    for package in listed:
        assert TREE.joinpath(*package.split(".")[1:], "__init__.py").is_file(), f"{package} has no __init__.py"


def test_every_data_file_is_shipped(project):
    """Whatever lies beside the modules and is not one is named by package-data."""
    data = project["tool"]["setuptools"]["package-data"]
    for path in shipped_files():
        if path.suffix == ".py":
            continue
        owners = [
            (package, path.relative_to(folder).as_posix())
            for package in data
            if path.is_relative_to(folder := Path(*package.split(".")[1:]))
        ]
        matches = [
            name
            for package, name in owners
            for pattern in data[package]
            if fnmatch.fnmatch(name, pattern) or fnmatch.fnmatch(name, pattern.removeprefix("**/"))
        ]
        assert matches, f"{path} is named by no pattern of package-data"


def test_nothing_else_lies_at_the_root():
    """Every `.py` at the root would be shipped as a part of the package."""
    assert [path.name for path in TREE.glob("*.py")] == ["__init__.py"]


def test_versions_agree():
    citation = re.search(r"^version: (\S+)$", (TREE / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    newest = re.search(r"^## (\S+)", (TREE / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert citation is not None
    assert newest is not None
    assert citation[1] == newest[1] == makespan.__version__


def test_the_changelog_keeps_its_headings():
    text = (TREE / "CHANGELOG.md").read_text(encoding="utf-8")
    for release in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        headings = re.findall(r"^### (.+)$", release, re.MULTILINE)
        assert headings == ["Breaking", "New", "Fixes", "Deprecations", "Documentation"]


def test_import_loads_neither_torch_nor_numba(tmp_path):
    code = (
        "import sys, makespan, gymnasium; "
        "heavy = {'torch', 'numba', 'torch_geometric', 'ortools', 'matplotlib', 'stable_baselines3', 'scipy'}; "
        "print(sorted(heavy & set(sys.modules))); print('makespan/JobShop-v0' in gymnasium.registry)"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert out.stdout.split("\n")[:2] == ["[]", "True"]


@pytest.fixture(scope="module")
def archives(tmp_path_factory) -> tuple[Path, Path]:
    """The source archive and the wheel built from it, from a copy of the tree, without network."""
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("archives")
    copy = folder / "tree"
    shutil.copytree(TREE, copy, ignore=shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", *_OUTPUT))
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(copy)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (source,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return source, wheel


@pytest.fixture(scope="module")
def wheel(archives) -> Path:
    return archives[1]


def test_the_source_archive_holds_what_belongs_to_it(archives):
    with tarfile.open(archives[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    expected = {"Makefile", "CHANGELOG.md", "CITATION.cff", "LICENSE", "docs/agents.md", "tests/conftest.py"}
    expected |= {"tests/test_packaging.py", "benchmarks/peers/worker.py", "examples/single_machine/pyproject.toml"}
    assert expected <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith(_OUTPUT)]


def test_the_wheel_holds_one_top_level_name(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names} == {"makespan", f"makespan-{makespan.__version__}.dist-info"}
    shipped = {f"makespan/{path.as_posix()}" for path in shipped_files()} | {
        "makespan/__init__.py",
        "makespan/py.typed",
    }
    assert {name for name in names if ".dist-info/" not in name} == shipped


def test_the_wheel_works_from_another_folder(wheel, tmp_path):
    """Unpacked elsewhere it plays an episode's first step; the code comes from there and not from the tree."""
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r}); "
        "import gymnasium, makespan; print(makespan.__file__); "
        "env = gymnasium.make('makespan/JobShop-v0', instance='ft06'); env.reset(seed=0); print(env.step(0)[2])"
    )
    # Without the site's .pth files, through which an editable installation would be found.
    out = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    where, ended = out.stdout.split()
    assert Path(where) == site / "makespan" / "__init__.py"
    assert ended == "False"
