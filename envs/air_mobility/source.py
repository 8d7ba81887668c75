"""Where the instances come from: a fixed list; random ones are drawn when the environment is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core import source as core
from ..core.names import Name, parse_name, split_list
from .catalogue import adapted, resolve
from .instance import AirInstance
from .options import AirOptions

FAMILY = 16
"""Random instances that ``random:...`` without a count makes."""


class InstanceSource(core.InstanceSource[AirInstance, int]):
    """The instances that an environment plays.

    Args:
        instances: a fixed list; an episode's seed picks one.
        options: may give another vehicle and another fleet to all of them.
    """

    instance_type = AirInstance
    _resolve = staticmethod(resolve)

    def __init__(self, instances: Sequence[AirInstance], options: AirOptions | None = None) -> None:
        super().__init__([adapted(one, options) for one in instances])
        self._options = options

    @staticmethod
    def _parse_sizes(name: Name) -> Sequence[int]:
        raise NotImplementedError  # `parse` makes lists of random families

    def _random(self, seed: int) -> AirInstance:
        raise NotImplementedError

    @classmethod
    def parse(cls, given: Any, options: AirOptions | None = None) -> InstanceSource:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Read the option `instance`, see `makespan.envs.core.source.InstanceSource.parse`."""
        if isinstance(given, AirInstance):
            return cls([given], options)
        if isinstance(given, str) and given:
            return cls([one for item in split_list(given) for one in resolve(_counted(item))], options)
        return cls(cls._each(given), options)

    def index(self, instance: str | AirInstance) -> int:
        if isinstance(instance, AirInstance):
            if not any(instance is one for one in self._instances):
                instance = adapted(instance, self._options)
        elif isinstance(instance, str) and instance not in self._names:
            found = resolve(instance)
            if len(found) == 1:
                self._instances.append(adapted(found[0], self._options))
                self._names[instance] = len(self._instances) - 1
        return super().index(instance)

    @property
    def instances(self) -> list[AirInstance]:
        """All that have been played or may be."""
        return list(self._instances)

    @property
    def fixed(self) -> list[AirInstance]:
        """Those that an episode's seed picks from."""
        return self._instances[: self._fixed]


def _counted(item: str) -> str:
    name = parse_name(item, "instance")
    return f"{item}:count={FAMILY}" if name.base == "random" and "count" not in name.options else item
