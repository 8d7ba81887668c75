"""What mappers and searches come to: ``python benchmarks/memory_mapping_mappers.py [INSTANCES] [SECONDS]``.

INSTANCES as `makespan evaluate` takes them, by default ``mm-all``. A line for each instance: accesses; for one pass of
the mapper with either supply the milliseconds (the fastest of five), and the proxy and judged run time as shares of the
all-HBM run time; then the judged run time of ``tuned-xla``, and of random orders, search over orders and search over
plays, SECONDS of wall time each (default 2).

``python benchmarks/memory_mapping_mappers.py ratios`` prints which of the mapper's options are best on the programs for
training, in the mean of the judged run times, and what they come to elsewhere: where ``trained-xla`` comes from.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import numpy as np
from makespan.agents.memory_mapping.agent import SUPPLIES, grid, search_grid
from makespan.agents.memory_mapping.game_search import GameSearch
from makespan.agents.memory_mapping.mapper import Mapper, MapperOptions
from makespan.agents.memory_mapping.orders import order_of
from makespan.agents.memory_mapping.search import OrderSearch, RandomOrders, best_variant
from makespan.envs.core.errors import UserError
from makespan.envs.core.names import split_list
from makespan.envs.memory_mapping.catalogue import SPLITS, named, sets
from makespan.envs.memory_mapping.instance import MemoryInstance
from makespan.envs.memory_mapping.run_time import run_times

_PASSES = 5
_LISTED = 8
_COLUMNS = "{:24s}{:>6}" + "{:>9}{:>8}{:>8}" * 2 + "{:>8}" * 4


def one_pass(instance: MemoryInstance, options: MapperOptions) -> tuple[float, float, float]:
    """(milliseconds, proxy, judged) of one pass in XLA's order; run times as shares of all-HBM."""
    mapper = Mapper(instance, options)
    order = order_of(mapper.program, "priority")
    spent = []
    for _ in range(_PASSES):
        began = time.perf_counter()
        mapper.map(order)
        spent.append(time.perf_counter() - began)
    proxy, judged = mapper.run_times()
    return 1000.0 * min(spent), proxy / instance.all_hbm_ps, judged / instance.all_hbm_ps


def row_of(instance: MemoryInstance, seconds: float) -> list[float]:
    """The numbers of a line."""
    variants = [MapperOptions(supply=supply) for supply in SUPPLIES]
    numbers = [x for options in variants for x in one_pass(instance, options)]
    searches = (
        RandomOrders(instance, variants, "judge", 0),
        OrderSearch(instance, search_grid(), "judge", 0),
        GameSearch(instance, {}, 0, variants),
    )
    for search in searches:
        search.run(seconds)
    tuned = run_times(best_variant(instance, grid(MapperOptions()), "priority", "judge")[1]).judged_ps
    return [*numbers, *(judged / instance.all_hbm_ps for judged in (tuned, *(search.best for search in searches)))]


def main(texts: Sequence[str], seconds: float) -> None:
    """Print a line for each instance, and the mean."""
    names = [name for text in texts for name in sets().get(text, (text,))]
    instances = [instance for name in names for instance in named(name)]
    passes = [word for supply in SUPPLIES for word in (f"{supply[:4]} ms", "proxy", "judge")]
    print(_COLUMNS.format("instance", "N", *passes, "tuned", "random", "orders", "plays"))
    row_of(instances[0], 0.0)  # compiles
    rows = []
    for instance in instances:
        rows.append(row_of(instance, seconds))
        print(line(instance.name, instance.num_accesses, rows[-1]), flush=True)
    print(line("mean", "", np.mean(rows, axis=0).tolist()))


def compare_ratios() -> None:
    """Print the best options for training, with the means of the judged run times in each split."""
    variants = grid(MapperOptions())
    means = np.array([mean_times(f"mm-{split}", variants) for split in SPLITS])
    for row in np.argsort(means[0], kind="stable")[:_LISTED].tolist():
        print(*(f"{mean:.4f}" for mean in means[:, row]), variants[row])


def mean_times(name: str, variants: Sequence[MapperOptions]) -> list[float]:
    """The mean judged run time of a set for each of the options, as a share of all-HBM."""
    shares = []
    for instance in (instance for item in sets()[name] for instance in named(item)):
        mapper = Mapper(instance)
        order, times = order_of(mapper.program, "priority"), []
        for options in variants:
            mapper.set_options(options)
            mapper.map(order)
            times.append(mapper.run_times()[1] / instance.all_hbm_ps)
        shares.append(times)
    return np.mean(shares, axis=0).tolist()


def line(name: str, accesses: int | str, numbers: Sequence[float]) -> str:
    """A line of the table."""
    texts = [f"{x:.2f}" if k in (0, 3) else f"{x:.4f}" for k, x in enumerate(numbers)]
    return _COLUMNS.format(name, accesses, *texts)


if __name__ == "__main__":
    try:
        if sys.argv[1:] == ["ratios"]:
            compare_ratios()
            sys.exit()
        main(split_list(sys.argv[1] if len(sys.argv) > 1 else "mm-all"), float(sys.argv[2] if len(sys.argv) > 2 else 2))
    except (UserError, ValueError) as error:
        sys.exit(f"error: {error}")
