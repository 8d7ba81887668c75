"""Registration: our ids, and plug-ins of others, broken ones included."""

from __future__ import annotations

import warnings

import gymnasium
import makespan.envs.registry as registry
import pytest


class Entry:
    """Stands for an installed entry point."""

    def __init__(self, name, load):
        self.name, self.value, self.load = name, f"{name}.plugin:register", load


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
        "plug-in 'acme' (acme.plugin:register) ignored: ModuleNotFoundError(\"No module named 'acme'\")",
        "plug-in 'bad' (bad.plugin:register) ignored: RuntimeError('no luck')",
    ]


def test_registering_twice_does_nothing(anew):
    called = []
    assert anew(Entry("good", lambda: lambda: called.append(True))) == []
    registry.register_all()
    assert called == [True]
