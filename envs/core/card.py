"""What can be said of an environment without loading its compiled code: description, objective, options."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from gymnasium.envs.registration import EnvSpec

from .errors import UserError
from .ids import single_creator
from .objective import shown

# Keywords of every environment, which `gymnasium.make` documents.
_COMMON = ("self", "render_mode", "num_envs", "record", "threads")


@dataclass(frozen=True)
class OptionCard:
    """One option of an environment.

    Attributes:
        name: its keyword.
        default: as given in the source; None where there is none.
        description: what it does, one line.
    """

    name: str
    default: Any
    description: str = ""


@dataclass(frozen=True)
class EnvCard:
    """What an environment is.

    Attributes:
        description: one sentence.
        objective: ``{"name", "unit", "sense"}``, and how people are shown it, see `objective.shown`.
        options: its keywords.
    """

    description: str
    objective: Mapping[str, Any]
    options: tuple[OptionCard, ...]

    def to_dict(self) -> dict[str, Any]:
        """The card as plain JSON data."""
        return {
            "description": self.description,
            "objective": dict(self.objective),
            "options": [{**asdict(option), "default": _plain(option.default)} for option in self.options],
        }


def class_card(spec: EnvSpec) -> EnvCard:
    """The card of a registered environment, as its class and its docstrings have it.

    Raises:
        UserError: its class cannot be imported, or it names no objective, or a malformed one, as the contract demands.
    """
    creator = single_creator(spec)
    objective = getattr(creator, "metadata", {}).get("objective")
    if not isinstance(objective, Mapping):
        raise UserError(f"environment {spec.id!r} does not keep the contract: its class names no metadata['objective']")
    shown(objective)
    described = _attributes(inspect.getdoc(creator) or "") | _attributes(inspect.getdoc(creator.__init__) or "")
    options = tuple(
        OptionCard(
            parameter.name,
            spec.kwargs.get(parameter.name, None if parameter.default is parameter.empty else parameter.default),
            described.get(parameter.name, ""),
        )
        for parameter in inspect.signature(creator).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY) and parameter.name not in _COMMON
    )
    return EnvCard(first_sentence(inspect.getdoc(creator) or ""), dict(objective), options)


def dataclass_options(kind: type) -> tuple[OptionCard, ...]:
    """The fields of a dataclass of options, described by the section ``Attributes:`` of its docstring."""
    described = _attributes(inspect.getdoc(kind) or "")
    return tuple(
        OptionCard(field.name, None if field.default is MISSING else field.default, described.get(field.name, ""))
        for field in fields(kind)
    )


def first_sentence(docstring: str) -> str:
    """The first paragraph in one line."""
    return " ".join(docstring.strip().partition("\n\n")[0].split())


def _attributes(docstring: str) -> dict[str, str]:
    """What a docstring's sections ``Attributes:`` and ``Args:`` say of each name; ``a, b: text`` describes both."""
    found: dict[str, str] = {}
    names: list[str] = []
    inside = False
    for line in docstring.splitlines():
        if line.strip() in ("Attributes:", "Args:"):
            inside = True
        elif line and not line.startswith(" "):
            inside = False
        elif inside and line.startswith("    ") and not line.startswith("     "):
            before, _, text = line.strip().partition(": ")
            names = [name.strip() for name in before.split(",")]
            found.update(dict.fromkeys(names, text.strip()))
        elif inside and line.strip():
            found.update({name: f"{found[name]} {line.strip()}" for name in names})
    return found


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)
