"""``makespan new``: a package of the user's own, with an environment that keeps the contract from the first minute."""

from __future__ import annotations

import importlib.util
import keyword
import os
import re
import secrets
import shutil
import sys
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from ..envs.core.errors import FieldError, UserError
from ..envs.core.files import user_path

# What the skeleton calls itself: as a package, in ids and file formats, and as the beginning of class names.
_PACKAGE, _NAMESPACE, _CLASS = "my_problem", "my-problem", "MyProblem"
_FOLDER = "package"  # where the skeleton keeps what becomes the package
_SUFFIX = ".in"  # of its files, which are no modules of ours
_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_LONGEST = 40


def run(name: str, out: str | None) -> int:
    """Write a package and say how to go on.

    Args:
        name: of the package.
        out: the new folder; default the name, here.

    Raises:
        UserError: the name cannot be a package's, or the folder is there already or cannot be written.
    """
    check_name(name)
    folder = Path(name) if out is None else user_path(out)
    _refuse_taken(folder)
    _refuse_installed(name)
    write_package(name, folder)
    env_id = f"{namespace(name)}/{class_name(name)}-v0"
    print(f"Written to {folder}: {env_id} with two rules, two instances and tests. Go on with")
    print(f"  pip install -e {folder}\n  pytest {folder}\n  makespan check {env_id}")
    print(f"  makespan evaluate {env_id} --agents spt,lpt,random --instances tiny5,tiny8")
    print(f"then make it yours room by room: {folder / 'README.md'}")
    return 0


def namespace(name: str) -> str:
    """A package's name as ids and file formats have it."""
    return re.sub(r"_+", "-", name).strip("-")


def class_name(name: str) -> str:
    """What class names begin with."""
    return "".join(part.capitalize() for part in name.split("_"))


def check_name(name: str) -> None:
    """Raise where a name cannot be that of a new package.

    Raises:
        FieldError: it is no identifier in lower case, or one that Python or makespan has.
    """
    if not _NAME.match(name) or len(name) > _LONGEST or name.endswith("_"):
        expected = f"an identifier of a-z, 0-9 and _ with at most {_LONGEST} characters, such as my_problem"
        raise FieldError("name", name, expected)
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        raise FieldError("name", name, "a name that is no keyword of Python")
    if name in sys.stdlib_module_names or name in ("makespan", "tests"):
        raise FieldError("name", name, "a name that no module of Python's library or of makespan has")


def _refuse_installed(name: str) -> None:
    """Raise where a package or module of that name can be imported already: one of the two would hide the other."""
    found = importlib.util.find_spec(name)
    if found is not None and found.origin is not None:  # any folder of that name would be a package without origin
        raise UserError(f"a package {name!r} is installed already; choose another name, or uninstall it")


def _refuse_taken(folder: Path) -> None:
    """Raise where something of that name is there."""
    if folder.exists() or folder.is_symlink():
        raise UserError(f"{str(folder)!r} is there already; choose another folder with --out")


def write_package(name: str, folder: Path) -> None:
    """Write the package into a new folder, whole or not at all.

    Raises:
        UserError: the folder is there already, or cannot be written.
    """
    shown = repr(str(folder))
    try:
        _refuse_taken(folder)
        aside = folder.absolute().parent / f".{secrets.token_hex(8)}.tmp"
        try:
            _write(resources.files("makespan.cli") / "skeleton", aside, name)
            _refuse_taken(folder)  # os.rename would replace an empty one
            os.rename(aside, folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    except (OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UserError(f"cannot write {shown}: {reason}") from None


def _write(source: Traversable, target: Path, name: str) -> None:
    """Copy a folder of the skeleton under the new names."""
    target.mkdir()
    for entry in sorted(source.iterdir(), key=lambda one: one.name):
        if entry.is_dir() and entry.name == _FOLDER:
            _write(entry, target / name, name)
        elif entry.is_dir() and not entry.name.startswith("__"):
            _write(entry, target / entry.name, name)
        elif entry.name.endswith(_SUFFIX):
            path = target / renamed(entry.name.removesuffix(_SUFFIX), name)
            path.write_text(renamed(entry.read_text(encoding="utf-8"), name), encoding="utf-8", newline="\n")


def renamed(text: str, name: str) -> str:
    """A text of the skeleton under the new names."""
    for old, new in ((_PACKAGE, name), (_NAMESPACE, namespace(name)), (_CLASS, class_name(name))):
        text = text.replace(old, new)
    return text
