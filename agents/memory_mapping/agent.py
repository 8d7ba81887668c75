"""Compilers' mappers and searches over them as agents that propose whole plans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from ...envs.memory_mapping.instance import MemoryInstance
from ...envs.memory_mapping.options import MemoryOptions
from ...envs.memory_mapping.schedule import MemoryPlan
from ..agent import Imagine, Proposer, Report, Setting
from .game_search import GameSearch
from .mapper import Mapper, MapperOptions
from .orders import order_of
from .search import OrderSearch, OrderSearchBase, RandomOrders, best_variant

SUPPLIES = ("elapsed", "contended")
_TRIAL_SHARE = 0.15  # of the search over plays, for each supply


# Of `grid`, in XLA's order, the best mean on the programs for training, by the judge; of those within a thousandth the
# nearest to the defaults: python benchmarks/memory_mapping_mappers.py ratios
TRAINED = MapperOptions(preferred=4.0)
# With everything in HBM the reference that learned agents are measured by: the best of these on each program.
REFERENCE = (MapperOptions(), MapperOptions(supply="contended"), TRAINED)


def grid(options: MapperOptions, supplies: Sequence[str] = SUPPLIES) -> tuple[MapperOptions, ...]:
    """What `tuned-xla` tries: the options, and the ratios and supplies of a fixed grid."""
    ratios = product(supplies, (0.1, 0.5, 1.0, 2.0, 4.0), (0.0, 0.5, 1.0), (2.0, 8.0), (True, False))
    return (
        options,
        *(
            replace(options, supply=supply, preferred=preferred, minimum=minimum, maximum=maximum, pin_outputs=pinned)
            for supply, preferred, minimum, maximum, pinned in ratios
            if minimum <= preferred
        ),
    )


def search_grid() -> tuple[MapperOptions, ...]:
    """What `order-search` chooses from: XLA's options and the whole grid, also without a limit of the supply."""
    return grid(MapperOptions(), (*SUPPLIES, "unlimited"))


class MappingAgent(Proposer):
    """Proposes a plan without playing the game.

    Args:
        setting: of the environment.
    """

    def __init__(self, setting: Setting) -> None:
        default = MemoryOptions()
        self._setting = setting
        self._score = str(setting.options.get("objective", default.objective))
        supply = str(setting.options.get("supply", default.supply))
        self._supply = "contended" if supply == "either" else supply  # by the judge any plan will do

    def _comparable(self, variants: Sequence[MapperOptions]) -> tuple[MapperOptions, ...]:
        """Those of some variants that may compete: all by the judge; by the proxy, to which transfers that fit no
        supply are free, those for the environment's supply."""
        return tuple(options for options in variants if self._score == "judge" or options.supply == self._supply)


class XlaAgent(MappingAgent):
    """One pass of the mapper.

    Args:
        setting: of the environment.
        options: how it maps; by the proxy for the environment's supply, whatever they say.
        order: in which order, one of `ORDERS`.
    """

    name = "xla-like"

    def __init__(self, setting: Setting, options: MapperOptions | None = None, order: str = "priority") -> None:
        super().__init__(setting)
        options = options or MapperOptions()
        self._options = options if self._score == "judge" else replace(options, supply=self._supply)
        self._order = order

    def propose(self, instance: MemoryInstance, key: int) -> MemoryPlan:
        mapper = Mapper(instance, self._options)
        mapper.map(order_of(mapper.program, self._order, self._options.loop_factor))
        return mapper.plan()


class TunedXlaAgent(MappingAgent):
    """The mapper with whatever options of a grid map the program at hand best.

    Args:
        setting: of the environment.
    """

    name = "tuned-xla"

    def propose(self, instance: MemoryInstance, key: int) -> MemoryPlan:
        return best_variant(instance, self._comparable(grid(MapperOptions())), "priority", self._score)[1]


class SearchingAgent(MappingAgent):
    """Searches for an order of the mapper.

    Args:
        setting: of the environment.
        seconds: wall time for each program; None: no limit.
        mappings: limit of another kind, how many orders are mapped; None: none.
    """

    improves = True
    _search: type[OrderSearchBase]

    def __init__(self, setting: Setting, seconds: float | None, mappings: int | None = None) -> None:
        super().__init__(setting)
        self._seconds, self._mappings = seconds, mappings

    @staticmethod
    def _variants() -> tuple[MapperOptions, ...]:
        """Options of the mapper that the search may take."""
        return tuple(MapperOptions(supply=supply) for supply in SUPPLIES)

    def propose(self, instance: MemoryInstance, key: int) -> MemoryPlan:
        search = self._search(instance, self._comparable(self._variants()), self._score, key)
        search.run(self._seconds, self._mappings)
        return search.plan()

    def improve(
        self, instance: MemoryInstance, imagine: Imagine, seconds: float, report: Report, best: Any = None
    ) -> None:
        search = self._search(instance, self._comparable(self._variants()), self._score, self._setting.seed)
        search.run(seconds, self._mappings, report.found)


class RandomOrdersAgent(SearchingAgent):
    """The best of random orders."""

    name = "best-of-orders"
    _search = RandomOrders


class OrderSearchAgent(SearchingAgent):
    """The best order that local search finds from XLA's on."""

    name = "order-search"
    _search = OrderSearch

    @staticmethod
    def _variants() -> tuple[MapperOptions, ...]:
        return search_grid()


class GameSearchAgent(MappingAgent):
    """Searches for a good play of the game, under each supply for a while, then under that which has come to the best.

    Args:
        setting: of the environment.
        seconds: wall time for each program; None: no limit.
        plays: limit of another kind, how many plays; None: none.
    """

    name = "game-search"
    improves = True

    def __init__(self, setting: Setting, seconds: float | None, plays: int | None = None) -> None:
        super().__init__(setting)
        self._seconds, self._plays = seconds, plays

    def propose(self, instance: MemoryInstance, key: int) -> MemoryPlan:
        return self._search(instance, key, self._seconds, None)

    def improve(
        self, instance: MemoryInstance, imagine: Imagine, seconds: float, report: Report, best: Any = None
    ) -> None:
        self._search(instance, self._setting.seed, seconds, report.found)

    def _search(
        self, instance: MemoryInstance, key: int, seconds: float | None, found: Callable[[MemoryPlan], None] | None
    ) -> MemoryPlan:
        """Within so many seconds and the plays, the best plan found."""
        variants = self._comparable([MapperOptions(supply=supply) for supply in SUPPLIES])
        searches = [
            GameSearch(instance, {**self._setting.options, "supply": supply}, key, variants)
            for supply in dict.fromkeys(options.supply for options in variants)
        ]
        shares = [_TRIAL_SHARE] * len(searches) if len(searches) > 1 else [0.0]
        for search, share in zip(searches, shares, strict=True):
            search.run(*_limits(share, seconds, self._plays), found)
        best = min(searches, key=lambda search: search.best)
        best.run(*_limits(1.0 - sum(shares), seconds, self._plays), found)
        return best.plan()


def _limits(share: float, seconds: float | None, plays: int | None) -> tuple[float | None, int | None]:
    """A share of both limits."""
    return None if seconds is None else share * seconds, None if plays is None else round(share * plays)
