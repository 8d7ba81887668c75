"""Suites: several evaluations that are played and told of as one. A suite is data, a TOML file.

::

    title = "..."              # what it is, for people
    reference = "rule"         # the role that others are compared with
    roles = ["rule", "..."]    # in the order in which tables name them

    [[problem]]
    name = "job_shop"          # its folder
    title = "Blocking job shop"
    env = "makespan/JobShop-v0:law=bernoulli:p=0.01"
    instances = "la01-la05"    # these and what follows as on the command line
    seeds = "0-3"
    sweep = ["p=0,0.01"]
    batch = 8
    hindsight = 10
    baseline = "random"        # whose objective is score 0
    others = ["spt"]           # agents without a role

    [problem.roles]            # who plays which role here
    rule = "best-rule"
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..envs.core.errors import FieldError, UnknownNameError, UserError
from ..envs.core.files import decode_text, read_bounded, user_path
from .plan import Request

BASELINE = "baseline"
"""The role of whoever scores 0 by definition."""

_SHIPPED = Path(__file__).parent / "suites"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_PASSED_ON = ("instances", "seeds", "sweep", "batch", "hindsight")


@dataclass(frozen=True)
class Problem:
    """One evaluation of a suite.

    Attributes:
        name: of its folder.
        title: for people.
        request: what is played.
        baseline: the agent whose objective is score 0.
        roles: agents by the role that they play, in the suite's order; the baseline's is not among them.
    """

    name: str
    title: str
    request: Request
    baseline: str
    roles: Mapping[str, str]

    def role_of(self, agent: str) -> str:
        """An agent's role, empty for none."""
        return next((role for role, name in self.roles.items() if name == agent), "")


@dataclass(frozen=True)
class Suite:
    """Several evaluations.

    Attributes:
        name: ``quick``, ``full``, or that of the file.
        title: what it is, for people.
        reference: the role that others are compared with.
        roles: all of them, in the order of tables.
        problems: the evaluations.
    """

    name: str
    title: str
    reference: str
    roles: tuple[str, ...]
    problems: tuple[Problem, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        problems = [
            {**asdict(problem), "request": problem.request.to_dict(), "roles": dict(problem.roles)}
            for problem in self.problems
        ]
        return {**asdict(self), "roles": list(self.roles), "problems": problems}


def shipped_suites() -> list[str]:
    """Names of the suites that ship."""
    return sorted(path.stem for path in _SHIPPED.glob("*.toml"))


def load_suite(name: str) -> Suite:
    """A suite that ships, by its name, or a file's, by its path.

    Raises:
        UserError: there is none, or something in it is wrong.
    """
    if name in shipped_suites():
        path = _SHIPPED / f"{name}.toml"
    elif "/" in name or name.endswith(".toml"):
        path = user_path(name)
    else:
        raise UnknownNameError("suite (or the path of a file, ./mine.toml)", name, shipped_suites())
    try:
        document = tomllib.loads(decode_text(read_bounded(path), str(path)))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path} is not TOML: {error}") from None
    return _suite(path.stem, document, str(path))


def _suite(name: str, document: Mapping[str, Any], source: str) -> Suite:
    _known(document, ("title", "reference", "roles", "problem"), source)
    roles = _texts(document, "roles", source)
    if BASELINE in roles or len(set(roles)) != len(roles):
        raise FieldError("roles", roles, f"different names, none of them {BASELINE!r}", source)
    reference = _text(document, "reference", source)
    if reference not in roles:
        raise UnknownNameError(f"reference of {source} (it must be one of the roles)", reference, roles)
    tables = document.get("problem")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise FieldError("problem", tables, "at least one table [[problem]]", source)
    problems = tuple(_problem(table, roles, f"{source}, problem {number}") for number, table in enumerate(tables, 1))
    names = [problem.name for problem in problems]
    if len(set(names)) != len(names):
        raise FieldError("names of problems", names, "different ones", source)
    return Suite(name, _text(document, "title", source), reference, tuple(roles), problems)


def _problem(table: Mapping[str, Any], roles: list[str], source: str) -> Problem:
    _known(table, ("name", "title", "env", BASELINE, "reference", "roles", "others", *_PASSED_ON), source)
    name = _text(table, "name", source)
    if not _NAME.fullmatch(name):
        raise FieldError("name", name, "small letters, digits, - and _, since it names a folder", source)
    given = table.get("roles", {})
    if not isinstance(given, dict) or not all(isinstance(agent, str) for agent in given.values()):
        raise FieldError("roles", given, "a table of roles and agents", source)
    for role in given:
        if role not in roles:
            raise UnknownNameError(f"role of {source}", role, roles)
    cast = {role: given[role] for role in roles if role in given}
    baseline = _text(table, BASELINE, source)
    agents = [baseline, *cast.values(), *(_texts(table, "others", source) if "others" in table else [])]
    if len(set(agents)) != len(agents):
        raise FieldError("agents", agents, "none twice", source)
    passed_on = {key: _option(table, key, source) for key in _PASSED_ON if key in table}
    reference = _text(table, "reference", source) if "reference" in table else None
    request = Request(_text(table, "env", source), ",".join(agents), reference=reference, **passed_on)
    return Problem(name, _text(table, "title", source), request, baseline, cast)


def _option(table: Mapping[str, Any], key: str, source: str) -> Any:
    """A value that is passed on to a request, of the type that it has there."""
    if key == "sweep":
        return tuple(_texts(table, key, source))
    if key == "batch":
        return _number(table, key, source, int)
    return float(_number(table, key, source, (int, float))) if key == "hindsight" else _text(table, key, source)


def _known(table: Mapping[str, Any], keys: tuple[str, ...], source: str) -> None:
    for key in table:
        if key not in keys:
            raise UnknownNameError(f"field of {source}", key, keys)


def _text(table: Mapping[str, Any], key: str, source: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value.strip():
        raise FieldError(key, value, "a text", source)
    return value


def _texts(table: Mapping[str, Any], key: str, source: str) -> list[str]:
    value = table.get(key)
    if not isinstance(value, list) or not all(isinstance(entry, str) and entry.strip() for entry in value):
        raise FieldError(key, value, "a list of texts", source)
    return value


def _number(table: Mapping[str, Any], key: str, source: str, kind: Any) -> Any:
    value = table[key]
    if isinstance(value, bool) or not isinstance(value, kind):
        raise FieldError(key, value, "a number", source)
    return value
