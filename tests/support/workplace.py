"""A package installed by pip into a folder of its own, and processes that know it by its installation alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


class Workplace(NamedTuple):
    """A folder to work in, the sources of the package, and the variables under which it is installed."""

    folder: Path
    source: Path
    variables: dict[str, str]

    @property
    def site(self) -> Path:
        """Where the package is installed."""
        return Path(self.variables["PYTHONPATH"])

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def makespan(self, *arguments: str, code: int = 0) -> str:
        """What a command prints; it must return `code`."""
        done = self.run("-m", "makespan.cli.main", *arguments)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def python(self, source: str) -> str:
        done = self.run("-c", source)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def own_tests(self) -> None:
        """Run the tests that lie beside the package's sources."""
        done = self.run("-m", "pytest", "-q", "-p", "no:cacheprovider", str(self.source / "tests"))
        assert done.returncode == 0, done.stdout + done.stderr


def install(package: Path, root: Path) -> Workplace:
    """Install a package without network below `root`, from a copy: building writes beside the sources."""
    ignored = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
    source = shutil.copytree(package, root / "source", ignore=ignored)
    flags = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *flags, "--target", str(root / "site"), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (root / "work").mkdir()
    inherited = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    variables = {**inherited, "PYTHONPATH": str(root / "site"), "COLUMNS": "200", "OMP_NUM_THREADS": "1"}
    return Workplace(root / "work", source, variables)
