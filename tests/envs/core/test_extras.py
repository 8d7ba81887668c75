"""Optional packages: what is missing is named, and Ctrl-C waits for a half-loaded one."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

import pytest
from makespan.envs.core.errors import MissingExtraError
from makespan.envs.core.extras import optional


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path / "half_loaded.py"
    sys.modules.pop("half_loaded", None)


def test_a_missing_package_is_named():
    told = r"a picture needs 'sketches', which is not installed.*makespan\[plot\]"
    with pytest.raises(MissingExtraError, match=told), optional("a picture", "plot", "sketches"):
        import no_such_package  # pyright: ignore[reportMissingImports]
    with pytest.raises(MissingExtraError, match="needs 'no_such_package'"), optional("a picture", "plot"):
        import no_such_package  # noqa: F401  # pyright: ignore[reportMissingImports]


def test_a_broken_package_is_not_called_missing(module):
    module.write_text("raise ImportError('a library of the system is too old')\n")
    with pytest.raises(ImportError, match="too old"), optional("a picture", "plot"):
        import half_loaded  # noqa: F401  # pyright: ignore[reportMissingImports]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_waits_for_the_import(module, number):
    """Compiled packages answer an interrupt with ImportError; this one does as they do."""
    module.write_text(
        f"import signal\ntry:\n    signal.raise_signal({int(number)})\n    whole = True\n"
        "except KeyboardInterrupt:\n    raise ImportError('interrupted')\n"
    )
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    before = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), optional("a picture", "plot"):
            import half_loaded  # noqa: F401  # pyright: ignore[reportMissingImports]
        assert sys.modules["half_loaded"].whole
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_threads_import_as_well(module):
    module.write_text("whole = True\n")

    def load():
        with optional("a picture", "plot"):
            import half_loaded  # noqa: F401  # pyright: ignore[reportMissingImports]

    thread = threading.Thread(target=load)
    thread.start()
    thread.join()
    assert sys.modules["half_loaded"].whole
