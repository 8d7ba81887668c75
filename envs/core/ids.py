"""Registered ids: finding them, and making environments from them with options that they take."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec, load_env_creator

from .errors import UnknownNameError, UserError


def find_env(env_id: str) -> EnvSpec:
    """Gymnasium's entry for an id.

    Raises:
        UnknownNameError: there is none; the nearest id is suggested.
    """
    known = gymnasium.registry
    if env_id not in known:
        names = [name for name in known if "/" in name]
        raise UnknownNameError("environment", env_id, names or list(known))
    return known[env_id]


def single_creator(spec: EnvSpec) -> Any:
    """The class or function that makes one copy.

    Raises:
        UserError: it cannot be imported.
    """
    return _load(spec, spec.entry_point, "entry_point")


def vector_creator(spec: EnvSpec) -> Any:
    """The class or function that makes many copies, None where the id has none.

    Raises:
        UserError: it cannot be imported.
    """
    return None if spec.vector_entry_point is None else _load(spec, spec.vector_entry_point, "vector_entry_point")


def _load(spec: EnvSpec, entry_point: Any, name: str) -> Any:
    if callable(entry_point):
        return entry_point
    try:
        return load_env_creator(entry_point)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"environment {spec.id!r}: its {name} {entry_point!r} cannot be imported: {error}") from error


def takes_option(creator: Any, name: str) -> bool:
    """Whether a creator has an argument of that name, or takes any."""
    parameters = inspect.signature(creator).parameters
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def make_single(env_id: str, options: Mapping[str, Any]) -> gymnasium.Env[Any, Any]:
    """Make one copy of an environment.

    Raises:
        UserError: the id is unknown, or an option is one that its environment does not take.
    """
    spec = find_env(env_id)
    creator = single_creator(spec)
    for name in options:
        if not takes_option(creator, name):
            raise UnknownNameError(f"option of {env_id}", name, inspect.signature(creator).parameters)
    return gymnasium.make(env_id, disable_env_checker=True, **options)
