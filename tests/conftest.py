"""Keeps pytest from importing the tree beside the installed package, and hypothesis from timing tests."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

# The first call of a compiled function compiles it, and machines are busy: no test is one of time.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


class _RootIsAFolder:
    """The root of the tree is a package to its users, but to the tests no more than a folder.

    Pytest would import its `__init__.py` a second time under another name, which would register every id twice.
    """

    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        if path == parent.config.rootpath:
            return pytest.Dir.from_parent(parent, path=path)
        return None


def pytest_configure(config: pytest.Config) -> None:
    # A hook of this file itself would not be asked about folders above it.
    config.pluginmanager.register(_RootIsAFolder(), "root-is-a-folder")
