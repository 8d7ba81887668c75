"""Where the instances come from: a fixed list; random ones are drawn when the environment is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core import source as core
from ..core.names import Name, parse_name, split_list
from .generator import resolve
from .instance import SocInstance


class InstanceSource(core.InstanceSource[SocInstance, int]):
    """The instances that an environment plays.

    Args:
        instances: a fixed list; an episode's seed picks one.
    """

    instance_type = SocInstance
    _resolve = staticmethod(resolve)

    @staticmethod
    def _parse_sizes(name: Name) -> Sequence[int]:
        raise NotImplementedError  # `parse` makes lists of random families

    def _random(self, seed: int) -> SocInstance:
        raise NotImplementedError

    @classmethod
    def parse(cls, given: Any) -> InstanceSource:
        """Read the option `instance`, see `makespan.envs.core.source.InstanceSource.parse`.

        ``random:...`` without a count is a hundred instances.
        """
        if isinstance(given, str) and given:
            items = split_list(given)
            return cls([instance for item in items for instance in resolve(cls._counted(item))])
        return super().parse(given)

    @staticmethod
    def _counted(item: str) -> str:
        name = parse_name(item, "instance")
        return f"{item}:count=100" if name.base == "random" and "count" not in name.options else item

    @property
    def instances(self) -> list[SocInstance]:
        """All that have been played or may be."""
        return list(self._instances)

    @property
    def fixed(self) -> list[SocInstance]:
        """Those that an episode's seed picks from."""
        return self._instances[: self._fixed]
