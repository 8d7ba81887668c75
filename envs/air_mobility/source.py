"""Where the instances come from: a fixed list; random ones are drawn when the environment is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..core.source import ListSource
from .catalogue import adapted, resolve
from .instance import AirInstance
from .options import AirOptions


class InstanceSource(ListSource[AirInstance]):
    """The instances that an environment plays.

    Args:
        instances: a fixed list; an episode's seed picks one.
        options: may give another vehicle and another fleet to all of them.
    """

    instance_type = AirInstance
    family_count = 16
    _resolve = staticmethod(resolve)

    def __init__(self, instances: Sequence[AirInstance], options: AirOptions | None = None) -> None:
        super().__init__([adapted(one, options) for one in instances])
        self._options = options

    @classmethod
    def parse(cls, given: Any, options: AirOptions | None = None) -> InstanceSource:
        """Read the option `instance`: names, paths, ``random:...``, an instance, or a sequence of these.

        Raises:
            UserError: it is something else, or names nothing.
        """
        return cls(cls._listed(given, _resolver(options)), options)

    def index(self, instance: str | AirInstance) -> int:
        if isinstance(instance, AirInstance):
            if not any(instance is one for one in self._instances):
                instance = adapted(instance, self._options)
        elif isinstance(instance, str) and instance not in self._names:
            found = _resolver(self._options)(instance)
            if len(found) == 1:
                self._instances.append(adapted(found[0], self._options))
                self._names[instance] = len(self._instances) - 1
        return super().index(instance)


def _resolver(options: AirOptions | None) -> Callable[[str], list[AirInstance]]:
    """How names are read: a network's file, which may be too small for 40 aircraft, with those that the options ask."""
    return partial(resolve, fleet=None if options is None else options.fleet)
