"""Where the instances of an environment come from: a fixed list, or a family of random ones, one for each seed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from .compile import compiled
from .errors import FieldError, UserError
from .names import Name, parse_name, split_list
from .random import uniform

_STREAM_CHOICE = 9


class Named(Protocol):
    """What has a name."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...


AnyInstance = TypeVar("AnyInstance", bound=Named)
AnySize = TypeVar("AnySize")


@compiled
def choose_by_seed(seeds, count, chosen):
    """Write for each seed which of `count` instances it plays."""
    for index in range(len(seeds)):
        chosen[index] = np.int64(count * uniform(seeds[index], _STREAM_CHOICE, 0))


class ListSource(ABC, Generic[AnyInstance]):
    """The instances that an environment plays: a fixed list, of which an episode's seed picks one.

    Args:
        instances: the list.
    """

    instance_type: ClassVar[type[Any]]
    family_count: ClassVar[int] = 100
    """Random instances that ``random:...`` without a count makes."""

    def __init__(self, instances: Sequence[AnyInstance]) -> None:
        self._instances = list(instances)
        self._names = {instance.name: index for index, instance in enumerate(self._instances)}
        self._fixed = len(self._instances)

    @staticmethod
    @abstractmethod
    def _resolve(text: str) -> list[AnyInstance]:
        """The instances that a name, a range, a path or ``random:size=...:count=...`` names."""

    @classmethod
    def parse(cls, given: str | AnyInstance | Sequence[str | AnyInstance]) -> Self:
        """Read the option `instance`: names, ranges, paths, ``random:...`` (`family_count` of them without a count).

        Or an instance, or a sequence of instances and names.

        Raises:
            UserError: it is something else, or names nothing.
        """
        return cls(cls._listed(given, cls._resolve))

    @classmethod
    def _listed(cls, given: Any, resolve: Callable[[str], list[AnyInstance]]) -> list[AnyInstance]:
        """The instances that the option `instance` names; `resolve` gives those of an item."""
        if isinstance(given, cls.instance_type):
            return [cast(AnyInstance, given)]
        if isinstance(given, str):
            return [instance for item in split_list(given) for instance in resolve(cls._counted(item))]
        return cls._each(given, resolve)

    @classmethod
    def _counted(cls, item: str) -> str:
        name = parse_name(item, "instance")
        counted = name.base != "random" or "count" in name.options
        return item if counted else f"{item}:count={cls.family_count}"

    @classmethod
    def _each(cls, given: Any, resolve: Callable[[str], list[AnyInstance]]) -> list[AnyInstance]:
        """The instances of a sequence of instances and names."""
        expected = f"a name, a path, a {cls.instance_type.__name__} or a list of these"
        if not isinstance(given, Sequence) or not given:
            raise FieldError("option instance", given, expected)
        found: list[AnyInstance] = []
        for number, item in enumerate(given):
            if isinstance(item, str):
                found += resolve(item)
            elif isinstance(item, cls.instance_type):
                found.append(cast(AnyInstance, item))
            else:
                raise FieldError(f"option instance[{number}]", item, expected)
        return found

    @property
    def instances(self) -> list[AnyInstance]:
        """All that have been played or may be."""
        return list(self._instances)

    @property
    def fixed(self) -> list[AnyInstance]:
        """Those that an episode's seed picks from."""
        return self._instances[: self._fixed]

    def choose(self, seeds: NDArray[np.int64]) -> NDArray[np.int64]:
        """Index of the instance that each episode plays."""
        chosen = np.zeros(len(seeds), dtype=np.int64)
        choose_by_seed(np.ascontiguousarray(seeds), self._fixed, chosen)
        return chosen

    def index(self, instance: str | AnyInstance) -> int:
        """Index of an instance given by name or as an object; one that is new is kept for later.

        Raises:
            UserError: it is something else, or names none or several.
        """
        if isinstance(instance, self.instance_type):
            given = cast(AnyInstance, instance)
            known = self._names.get(given.name)
            if known is None or self._instances[known] is not given:
                self._names[given.name] = len(self._instances)
                self._instances.append(given)
            return self._names[given.name]
        if not isinstance(instance, str):
            expected = f"a name, a path or a {self.instance_type.__name__}"
            raise UserError(f"instance is {instance!r}, expected {expected}")
        if instance not in self._names:
            found = self._resolve(instance)
            if len(found) != 1:
                raise UserError(f"instance {instance!r} names {len(found)} instances, expected one")
            self._names[instance] = len(self._instances)
            self._instances.append(found[0])
        return self._names[instance]

    def instance(self, index: int, seed: int = 0) -> AnyInstance:
        """An instance by index; the episode's seed says no more."""
        return self._instances[index]


class InstanceSource(ListSource[AnyInstance], Generic[AnyInstance, AnySize]):
    """The instances of an environment that can make a new one for each episode, too.

    Args:
        instances: a fixed list; an episode's seed picks one.
        sizes: of a family of random instances; an episode's seed makes one. Exactly one of the two.
    """

    def __init__(self, instances: Sequence[AnyInstance] = (), sizes: Sequence[AnySize] = ()) -> None:
        if bool(instances) == bool(sizes):
            raise ValueError("give either instances or the sizes of a random family")
        super().__init__(instances)
        self.sizes = tuple(sizes)

    @staticmethod
    @abstractmethod
    def _parse_sizes(name: Name) -> Sequence[AnySize]:
        """The sizes of ``random:size=...``."""

    @abstractmethod
    def _random(self, seed: int) -> AnyInstance:
        """The random instance of an episode's seed."""

    @classmethod
    def parse(cls, given: str | AnyInstance | Sequence[str | AnyInstance]) -> Self:
        """Read the option `instance`: names, ranges, paths, ``random:size=...`` (a family; with ``count`` a list).

        Or an instance, or a sequence of instances and names.

        Raises:
            UserError: it is something else, or names nothing.
        """
        if isinstance(given, cls.instance_type):
            return cls([given])  # pyright: ignore[reportArgumentType]
        if not isinstance(given, str):
            return cls(cls._each(given, cls._resolve))
        items = split_list(given)
        families = [name for item in items if (name := parse_name(item, "instance")).base == "random"]
        if len(families) == len(items) and not any({"count", "seed"} & set(name.options) for name in families):
            return cls(sizes=[size for name in families for size in cls._parse_sizes(name)])
        return cls([instance for item in items for instance in cls._resolve(item)])

    def choose(self, seeds: NDArray[np.int64]) -> NDArray[np.int64]:
        """Index of the instance that each episode plays, -1 for one made from the seed."""
        return np.full(len(seeds), -1, dtype=np.int64) if self.sizes else super().choose(seeds)

    def instance(self, index: int, seed: int = 0) -> AnyInstance:
        """An instance by index, or the one made from the episode's seed."""
        return self._instances[index] if index >= 0 else self._random(seed)
