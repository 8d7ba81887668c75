"""Where the instances come from: a fixed list; random ones are drawn when the environment is made."""

from __future__ import annotations

from ..core.source import ListSource
from .generator import resolve
from .instance import SocInstance


class InstanceSource(ListSource[SocInstance]):
    """The instances that an environment plays: a fixed list, of which an episode's seed picks one."""

    instance_type = SocInstance
    _resolve = staticmethod(resolve)
