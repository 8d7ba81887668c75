"""Names of instances, and where the instances that an environment plays come from."""

from __future__ import annotations

from ..core.errors import UnknownNameError
from ..core.files import named_files, suggest_path
from ..core.names import check_options, expand_range, parse_name
from ..core.source import ListSource
from .generator import FAMILIES, named_instance, random_instances
from .instance import BanditInstance
from .known_cases import NAMES, SETS, known_case
from .streets import patrol_of

ARMS = (20, 40, 100)
PER_SET = 10
_SHIPPED = tuple(f"{family}-j{arms}-{number}" for family in FAMILIES for arms in ARMS for number in range(PER_SET))


def names() -> list[str]:
    """Names of the instances that ship: k0 to k8b, and ten of each family and of 20, 40 and 100 arms."""
    return [*NAMES, *_SHIPPED]


def resolve(text: str) -> list[BanditInstance]:
    """The instances that one item of a list of instances names.

    * ``k3``, ``k2`` (k2a and k2b), ``k0-k8`` (all of them);
    * ``capacity-j40-3``, for any number of arms and any instance; ``capacity-j40`` (the first ten);
    * a path or pattern of files; a list of streets: ``./streets.csv:depot=PLACE:length=30``, see `streets`;
    * ``random:size=capacity-j20+path-j20:count=20:seed=7``.

    Raises:
        UserError: the item names nothing, or a file is malformed.
    """
    name = parse_name(text, "instance")
    if name.base == "random":
        return random_instances(name)
    if name.is_path and name.base.lower().endswith(".csv"):
        return [patrol_of(name)]
    check_options(name, "instance", ())
    if name.is_path:
        return _from_files(name.base)
    found = named_instance(name.base)
    if found is not None:
        return [found]
    if name.base in SETS:
        return [known_case(one) for one in SETS[name.base]]
    if name.base in _families():
        return [_named(f"{name.base}-{number}") for number in range(PER_SET)]
    if name.base in NAMES:
        return [known_case(name.base)]
    first, _, last = name.base.partition("-")
    if first in SETS and last in SETS:
        return [known_case(one) for group in expand_range(name.base, list(SETS)) for one in SETS[group]]
    suggest_path(name.base)
    raise UnknownNameError("instance", name.base, [*names(), *SETS, *_families()])


def _families() -> list[str]:
    return [f"{family}-j{arms}" for family in FAMILIES for arms in ARMS]


def _named(name: str) -> BanditInstance:
    found = named_instance(name)
    assert found is not None
    return found


def _from_files(base: str) -> list[BanditInstance]:
    return [BanditInstance.load(file) for file in named_files(base)]


class InstanceSource(ListSource[BanditInstance]):
    """The instances that an environment plays: a fixed list, of which an episode's seed picks one."""

    instance_type = BanditInstance
    _resolve = staticmethod(resolve)
