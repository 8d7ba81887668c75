"""The cache of compiled code, in copies of the package with a cache of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import makespan
import pytest

PACKAGE = Path(makespan.__file__).parent

INNER = """
from ..core.compile import compiled

@compiled
def inner(x):
    return x + 1
"""
OUTER = """
from ..core.compile import compiled
from .inner import inner

@compiled
def outer(x):
    return 10 * inner(x)

def make(factor):
    constant = factor

    @compiled(variant=f"factor={factor}")
    def made(x):
        return constant * inner(x)

    return made
"""
PLAY = """
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from makespan.envs.toy.outer import make, outer
    two, three = make(2), make(3)
    results = outer(4), two(4), three(4)
print(*results)
print(sum(outer.stats.cache_hits.values()), sum(two.stats.cache_hits.values()))
print(sum("cannot be cached" in str(w.message) for w in caught))
"""


@pytest.fixture
def tree(tmp_path):
    """A copy of the package's core with a small problem of its own."""
    root = tmp_path / "tree" / "makespan"
    shutil.copytree(PACKAGE / "envs" / "core", root / "envs" / "core", ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("__init__.py", "envs/__init__.py", "envs/registry.py"):
        shutil.copy(PACKAGE / file, root / file)
    toy = root / "envs" / "toy"
    toy.mkdir()
    (toy / "__init__.py").touch()
    (toy / "inner.py").write_text(INNER)
    (toy / "outer.py").write_text(OUTER)
    return root


def start(tree: Path, cache: Path, code: str = PLAY) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(tree.parent), "MAKESPAN_CACHE": str(cache)}
    command = [sys.executable, "-B", "-c", code]
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tree.parent
    )


def finish(process: subprocess.Popen[str]) -> list[list[int]]:
    """The numbers printed: results, cache hits of outer and of a variant, warnings about the cache."""
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return [[int(word) for word in line.split()] for line in out.splitlines()]


def test_an_edit_of_a_callee_is_seen_and_nothing_else_compiles_anew(tree, tmp_path):
    cache = tmp_path / "cache"
    assert finish(start(tree, cache)) == [[50, 10, 15], [0, 0], [0]]
    assert finish(start(tree, cache)) == [[50, 10, 15], [1, 1], [0]]
    inner = tree / "envs" / "toy" / "inner.py"
    inner.write_text(INNER.replace("x + 1", "x + 2"))
    assert finish(start(tree, cache)) == [[60, 12, 18], [0, 0], [0]]
    inner.write_text(INNER)
    assert finish(start(tree, cache)) == [[50, 10, 15], [1, 1], [0]]
    # A file without compiled code is no reason to compile anew.
    (tree / "envs" / "toy" / "notes.py").write_text("x = 1\n")
    assert finish(start(tree, cache))[1] == [1, 1]
    # One that says how code is compiled is.
    pack = tree / "envs" / "core" / "pack.py"
    pack.write_text(pack.read_text() + "\n")
    assert finish(start(tree, cache)) == [[50, 10, 15], [0, 0], [0]]


def test_a_cache_that_cannot_be_written_is_told_once_and_the_work_goes_on(tree, tmp_path):
    (tmp_path / "file").touch()
    assert finish(start(tree, tmp_path / "file" / "cache")) == [[50, 10, 15], [0, 0], [1]]


def test_a_damaged_cache_is_mended(tree, tmp_path):
    cache = tmp_path / "cache"
    finish(start(tree, cache))
    files = [path for path in cache.rglob("*") if path.is_file()]
    assert files
    for path in files:
        path.write_bytes(path.read_bytes()[:20])
    assert finish(start(tree, cache)) == [[50, 10, 15], [0, 0], [0]]
    assert finish(start(tree, cache)) == [[50, 10, 15], [1, 1], [0]]


def test_two_first_runs_at_once_are_safe(tree, tmp_path):
    cache = tmp_path / "cache"
    for results, _, warned in [finish(process) for process in [start(tree, cache) for _ in range(2)]]:
        assert results == [50, 10, 15]
        assert warned == [0]
    assert finish(start(tree, cache)) == [[50, 10, 15], [1, 1], [0]]


def test_a_warm_start_loads_nothing_that_only_compiling_needs(tree, tmp_path):
    code = "import sys\nfrom makespan.envs.toy.outer import outer\nprint(outer(4))\n"
    code += "print(int('numba.np.arraymath' in sys.modules))\n"
    assert finish(start(tree, tmp_path / "cache", code)) == [[50], [1]]
    assert finish(start(tree, tmp_path / "cache", code)) == [[50], [0]]


def test_importing_the_package_brings_in_neither_torch_nor_compiled_code():
    code = (
        "import sys, makespan\n"
        "heavy = {'torch', 'numba', 'torch_geometric', 'ortools', 'matplotlib', 'stable_baselines3', 'scipy'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
