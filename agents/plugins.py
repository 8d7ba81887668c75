"""What packages of others add beside environments and rules: agents by name, and folders of checkpoints.

Called by the function that a package names under the entry-point group `makespan.plugins`, beside `gymnasium.register`
and `makespan.agents.rules.rule.register_rules`. Everything is named by strings and loaded when it is used.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..envs.core.errors import UserError
from ..envs.core.files import decode_text, read_bounded
from ..envs.core.instance import parse_json
from ..envs.core.names import parse_name

if TYPE_CHECKING:
    from .agent import Agent, Setting

EVERYWHERE = "*"
_ENTRY_POINT = re.compile(r"[\w.]+:\w+\Z")
_SHIPPED = "makespan.checkpoints"


@dataclass(frozen=True)
class PluginAgent:
    """An agent of another package.

    Attributes:
        name: as users write it.
        entry_point: ``package.module:Class``, or a function: called with the setting, and the agent's options as
            keywords; returns an `Agent`.
    """

    name: str
    entry_point: str

    def creator(self) -> Callable[..., Agent]:
        """The class or function.

        Raises:
            UserError: it cannot be imported.
        """
        module, _, attribute = self.entry_point.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise UserError(f"agent {self.name!r}: {self.entry_point!r} cannot be imported: {error}") from error

    def options(self) -> tuple[str, ...]:
        """The options that it takes: the creator's parameters after the setting.

        Raises:
            UserError: it cannot be imported.
        """
        parameters = list(inspect.signature(self.creator()).parameters.values())[1:]
        kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        return tuple(parameter.name for parameter in parameters if parameter.kind in kinds)

    def make(self, setting: Setting, options: Mapping[str, Any]) -> Agent:
        """Make one.

        Raises:
            UserError: it cannot be imported, is no agent, or refuses an option or the setting.
        """
        from .agent import Agent

        agent = self.creator()(setting, **options)
        if not isinstance(agent, Agent):
            raise UserError(
                f"agent {self.name!r}: {self.entry_point!r} made a {type(agent).__name__}, expected a makespan Agent"
            )
        return agent


_agents: dict[str, dict[str, PluginAgent]] = {}
_checkpoints: list[str] = []


def register_agents(env_id: str, agents: Mapping[str, str]) -> None:
    """Add agents of an environment.

    Args:
        env_id: the registered id that they play, or "*": any.
        agents: entry point by name, ``{"exact": "my_problem.exact:ExactAgent"}``, see `PluginAgent`.

    Raises:
        UserError: a name or an entry point is malformed, or the name is registered for another entry point already.
    """
    known = dict(_agents.get(env_id, {}))
    for name, entry_point in agents.items():
        parsed = parse_name(name, "agent")
        if parsed.options or parsed.is_path:
            raise UserError(f"agent {name!r} needs a name of a-z, 0-9, '.', '_', '-'")
        if not isinstance(entry_point, str) or not _ENTRY_POINT.match(entry_point):
            raise UserError(f"agent {name!r} has the entry point {entry_point!r}, expected 'package.module:Class'")
        agent = PluginAgent(name, entry_point)
        if known.setdefault(name, agent) != agent:
            raise UserError(f"agent {name!r} of {env_id!r} is registered twice")
    _agents[env_id] = known


def registered_agents(env_id: str) -> dict[str, PluginAgent]:
    """The agents of other packages that play an environment, by name; its own before those that play any."""
    return {**_agents.get(EVERYWHERE, {}), **_agents.get(env_id, {})}


def named_agents(name: str) -> list[PluginAgent]:
    """The agents of other packages of a name, whatever they play."""
    return [agents[name] for agents in _agents.values() if name in agents]


def register_checkpoints(package: str) -> None:
    """Add the checkpoints that lie as folders in a package: they are found as ``checkpoints/NAME``.

    Args:
        package: its name, ``my_problem.checkpoints``; read when a checkpoint is looked for.

    Raises:
        UserError: it is no name of a package.
    """
    if not isinstance(package, str) or not all(part.isidentifier() for part in package.split(".")):
        raise UserError(f"checkpoints lie in {package!r}, expected the name of a package, such as mine.checkpoints")
    if package not in _checkpoints:
        _checkpoints.append(package)


def checkpoint_folders() -> list[Path]:
    """The folders that hold checkpoints by name: ours first, then those of other packages, as they were registered.

    Raises:
        UserError: a registered one is no package that can be imported.
    """
    folders = []
    for package in (_SHIPPED, *_checkpoints):
        try:
            folders.append(Path(str(resources.files(package))))
        except ImportError as error:
            raise UserError(f"the checkpoints of {package!r} cannot be found: {error}") from error
    return folders


def shipped_cards() -> Iterator[tuple[str, dict[str, Any]]]:
    """The checkpoints that ship, with whatever package: (``checkpoints/NAME``, its card), a package's sorted by name.

    Raises:
        UserError: a package cannot be found, or a card is no JSON object with the keys that every card has.
    """
    from .checkpoint import CARD

    for folder in checkpoint_folders():
        for path in sorted(folder.glob(f"*/{CARD}")):
            card = parse_json(decode_text(read_bounded(path), str(path)), str(path))
            if not isinstance(card, dict) or not {"env", "agent", "env_options"} <= set(card):
                raise UserError(f"{path}: expected a checkpoint's card, an object with env, env_options and agent")
            yield f"checkpoints/{path.parent.name}", card
