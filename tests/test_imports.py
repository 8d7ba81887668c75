"""Imports go one way: what each room of the package may know of the others."""

from __future__ import annotations

import ast
from pathlib import Path

import makespan

ROOT = Path(makespan.__file__).resolve().parent
ALLOWED = {
    "cli": {"sweep", "eval", "training", "agents", "envs"},
    "sweep": {"eval", "training", "agents", "envs"},
    "eval": {"agents", "envs", "records"},
    "training": {"agents", "envs"},
    "agents": {"envs", "checkpoints"},
    "envs": set(),
    "checkpoints": set(),
    "records": set(),
}
PROBLEMS = ("job_shop", "memory_mapping", "soc", "air_mobility", "restless_bandits")


def imported(path: Path) -> set[tuple[str, ...]]:
    """What a module imports of the package, as parts of names: ("envs", "core", "errors")."""
    here = path.relative_to(ROOT).with_suffix("").parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = here[: len(here) - node.level]
            name = (*base, *(node.module or "").split(".")) if node.module else base
            found |= {name} if node.module else {(*name, alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "makespan":
            found.add(tuple((node.module or "").split(".")[1:]))
        elif isinstance(node, ast.Import):
            found |= {tuple(one.name.split(".")[1:]) for one in node.names if one.name.split(".")[0] == "makespan"}
    return {name for name in found if name}


def modules(room: str) -> list[Path]:
    return sorted(path for path in (ROOT / room).rglob("*.py") if "__pycache__" not in path.parts)


def test_rooms_import_only_what_lies_below_them() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {'.'.join(name)}"
        for room, allowed in ALLOWED.items()
        for path in modules(room)
        for name in sorted(imported(path))
        if name[0] != room and name[0] in ALLOWED and name[0] not in allowed
    ]
    assert wrong == []


def test_problems_know_the_core_and_not_each_other() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {'.'.join(name)}"
        for problem in PROBLEMS
        for path in modules(f"envs/{problem}")
        for name in sorted(imported(path))
        if name[0] == "envs" and len(name) > 1 and name[1] not in ("core", problem)
    ]
    assert wrong == []


def test_the_core_knows_no_problem() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {'.'.join(name)}"
        for path in modules("envs/core")
        for name in sorted(imported(path))
        if name[0] != "envs" or (len(name) > 1 and name[1] in PROBLEMS)
    ]
    assert wrong == []


def test_generic_agents_know_no_problem() -> None:
    """What plays any environment; whoever plays one problem alone is in its folder."""
    generic = ("networks", "planners", "tree", "scorer", "muzero")
    paths = [path for room in generic for path in modules(f"agents/{room}")]
    doors = ("catalogue.py", "learned.py")
    paths += [path for path in (ROOT / "agents").glob("*.py") if path.name not in doors]
    wrong = [
        f"{path.relative_to(ROOT)} imports {'.'.join(name)}"
        for path in paths
        for name in sorted(imported(path))
        if name[0] == "envs" and len(name) > 1 and name[1] in PROBLEMS
    ]
    assert wrong == []


def test_agents_of_a_problem_know_no_other() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {'.'.join(name)}"
        for problem in PROBLEMS
        for path in modules(f"agents/{problem}")
        for name in sorted(imported(path))
        if name[0] in ("agents", "envs") and len(name) > 1 and name[1] in PROBLEMS and name[1] != problem
    ]
    assert wrong == []
