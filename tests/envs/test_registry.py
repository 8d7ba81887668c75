"""Registration: our ids, and plug-ins of others, broken ones included."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import gymnasium
import makespan.envs.registry as registry
import pytest
from makespan.envs.core.errors import UserError


class Entry:
    """Stands for an installed entry point."""

    def __init__(self, name, load):
        self.name, self.value, self.load = name, f"{name}.plugin:register", load
        self.dist = SimpleNamespace(name=f"{name}-scheduling")


@pytest.fixture
def anew(monkeypatch):
    """`register_all` as in a fresh process with the given plug-ins installed."""

    def call(*entries):
        monkeypatch.setattr(registry, "_done", False)
        monkeypatch.setattr(registry, "BUILT_IN", ())
        monkeypatch.setattr(registry, "entry_points", lambda group: entries if group == "makespan.plugins" else ())
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            registry.register_all()
        return [str(warning.message) for warning in caught]

    return call


def test_our_ids_are_registered_with_both_doors():
    for env_id, single, batched in registry.BUILT_IN:
        spec = gymnasium.registry[env_id]
        assert (spec.entry_point, spec.vector_entry_point) == (single, batched)
        assert spec.max_episode_steps is None


def test_a_broken_plug_in_is_reported_by_name_and_the_others_are_called(anew):
    called = []

    def register():
        called.append(True)

    def broken():
        raise RuntimeError("no luck")

    def missing():
        raise ModuleNotFoundError("No module named 'acme'")

    said = anew(Entry("acme", missing), Entry("bad", lambda: broken), Entry("good", lambda: register))
    assert called == [True]
    assert said == [
        "plug-in 'acme' of package 'acme-scheduling' (acme.plugin:register) ignored: "
        "ModuleNotFoundError(\"No module named 'acme'\")",
        "plug-in 'bad' of package 'bad-scheduling' (bad.plugin:register) ignored: RuntimeError('no luck')",
    ]


@pytest.mark.parametrize("error", [SystemExit(3), SyntaxError("bad"), UserError("rule 'spt' is registered twice")])
def test_whatever_a_plug_in_raises_the_others_go_on(error, anew):
    def raising():
        raise error

    called = []
    (said,) = anew(Entry("bad", lambda: raising), Entry("good", lambda: lambda: called.append(True)))
    assert "'bad-scheduling'" in said
    assert called == [True]


def test_a_warning_is_one_line_whatever_the_error_says(anew, monkeypatch):
    class Long(Exception):
        def __repr__(self):
            return "first\nsecond"

    def raising():
        raise Long

    shown = []

    def show(message, category, filename, line, file=None, source=None):
        shown.append(warnings.formatwarning(message, category, filename, line))

    monkeypatch.setattr(registry, "_done", False)
    monkeypatch.setattr(registry, "BUILT_IN", ())
    monkeypatch.setattr(registry, "entry_points", lambda group: [Entry("bad", lambda: raising)])
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", show)
        registry.register_all()
    assert len(shown) == 1
    assert shown[0].strip().count("\n") == 0
    assert "first second" in shown[0]


def test_a_plug_in_that_holds_up_every_command_is_named(anew, monkeypatch):
    monkeypatch.setattr(registry, "perf_counter", iter([0.0, 3.2]).__next__)
    (said,) = anew(Entry("slow", lambda: lambda: None))
    assert "'slow-scheduling'" in said
    assert "takes 3.2 s to register" in said


def test_registering_twice_does_nothing(anew):
    called = []
    assert anew(Entry("good", lambda: lambda: called.append(True))) == []
    registry.register_all()
    assert called == [True]
