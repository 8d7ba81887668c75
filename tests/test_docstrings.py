"""Whatever is public has a docstring; a method that overrides a documented one may go without."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import makespan

ROOT = Path(makespan.__file__).resolve().parent
ROOMS = ("agents", "checkpoints", "cli", "envs", "eval", "records", "sweep", "training")
PLAIN_BASES = {"ABC", "Enum", "Exception", "Generic", "NamedTuple", "Protocol", "object"}
"""Bases from outside that document no method of ours; others from outside, such as gymnasium's, do."""


class Package:
    """Modules of a folder, parsed."""

    def __init__(self, modules: dict[str, ast.Module]) -> None:
        self._modules = modules
        self._classes: defaultdict[str, list[ast.ClassDef]] = defaultdict(list)
        for tree in modules.values():
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    self._classes[node.name].append(node)
        self._protocols = [each for found in self._classes.values() for each in found if "Protocol" in bases(each)]

    def undocumented(self) -> list[str]:
        """What lacks a docstring: path, and the name in it."""
        found = []
        for path, tree in self._modules.items():
            parts = path.removesuffix(".py").split("/")
            if any(part.startswith("_") and part != "__init__" for part in parts):
                continue
            if tree.body and not ast.get_docstring(tree):
                found.append(f"{path}: the module")
            found += [f"{path}: {name}" for name in self._lacking(tree.body, "", None)]
        return found

    def _lacking(self, body: list[ast.stmt], prefix: str, owner: ast.ClassDef | None) -> Iterator[str]:
        for node in body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name[0] == "_":
                continue
            if not ast.get_docstring(node) and (owner is None or not self._inherits(owner, node)):
                yield prefix + node.name
            if isinstance(node, ast.ClassDef):
                yield from self._lacking(node.body, f"{prefix}{node.name}.", node)

    def _inherits(self, owner: ast.ClassDef, node: ast.stmt) -> bool:
        """Whether a method has its docstring from a base, from a protocol, or from the property that it sets."""
        if not isinstance(node, ast.FunctionDef):
            return False
        if any(isinstance(each, ast.Attribute) and each.attr == "setter" for each in node.decorator_list):
            return True
        return self._documents(owner, node.name, set()) or any(documents(each, node.name) for each in self._protocols)

    def _documents(self, owner: ast.ClassDef, name: str, seen: set[str]) -> bool:
        for base in bases(owner):
            if base in seen or base in PLAIN_BASES:
                continue
            seen.add(base)
            if base not in self._classes:
                return True
            if any(documents(each, name) or self._documents(each, name, seen) for each in self._classes[base]):
                return True
        return False


def bases(node: ast.ClassDef) -> list[str]:
    """Names of a class's bases, without modules and type arguments."""
    found = []
    for base in node.bases:
        while isinstance(base, ast.Subscript):
            base = base.value
        found.append(base.id if isinstance(base, ast.Name) else base.attr if isinstance(base, ast.Attribute) else "")
    return found


def documents(owner: ast.ClassDef, name: str) -> bool:
    """Whether a class has a method of a name, with a docstring."""
    return any(
        isinstance(each, ast.FunctionDef) and each.name == name and ast.get_docstring(each) for each in owner.body
    )


def parsed(texts: dict[str, str]) -> Package:
    return Package({path: ast.parse(text) for path, text in texts.items()})


def test_whatever_is_public_has_a_docstring():
    paths = [ROOT / "__init__.py", *(path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))]
    assert len(paths) > 300
    package = parsed({str(path.relative_to(ROOT)): path.read_text("utf-8") for path in paths})
    assert package.undocumented() == []


A = '''
class Base(Protocol):
    """B."""
    def told(self):
        """T."""
    def silent(self): ...
class Heir(Base):
    """H."""
    def told(self): ...
    def silent(self): ...
    def _own(self): ...
def free(): ...
def _hidden(): ...
'''


def test_what_lacks_a_docstring_is_found():
    package = parsed(
        {
            "a.py": A,
            "b.py": '"""B."""\nclass Bare:\n    @property\n    def told(self): ...\n    def other(self): ...\n',
            "_c.py": "def free(): ...\n",
        }
    )
    assert package.undocumented() == [
        "a.py: the module",
        "a.py: Base.silent",
        "a.py: Heir.silent",
        "a.py: free",
        "b.py: Bare",
        "b.py: Bare.other",
    ]
