"""What is known of the static instances that ship, written to `envs/soc/known.json`; what is better there stays.

    python benchmarks/soc_known.py [--seconds 60] [NAME ...]

Each instance is solved by CP-SAT from the best list schedule on, with one thread, for at most so many seconds of wall
time (whatever the time, proved optima are the same).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from makespan.agents.soc.cp_sat import solve_soc
from makespan.agents.soc.lists import Lists
from makespan.envs.core.files import atomic_write
from makespan.envs.core.names import split_list
from makespan.envs.soc.bounds import lower_bound
from makespan.envs.soc.catalogue import named, names
from makespan.envs.soc.known import FILE, FORMAT, VERSION, known

PATH = Path(__file__).resolve().parent.parent / "envs" / "soc" / FILE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "instances", nargs="*", default=[name for name in names() if not name.startswith(("mix-", "chip-"))]
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args()
    entries = {key: dict(entry) for key, entry in known().items()}
    for instance in [x for item in arguments.instances for part in split_list(item) for x in named(part)]:
        rule, start = Lists(instance).best()
        counted = lower_bound(instance)
        result = solve_soc(instance, arguments.seconds, start=start)
        lower, upper = max(counted, result.bound), result.plan.makespan
        how = "paths and work" if lower == counted else "CP-SAT"
        entry = {"name": instance.name, "lower": lower, "upper": upper}
        entry["source"] = f"{how}; {rule if upper == start.makespan else 'CP-SAT'}"
        if _better(entry, entries.get(instance.hash)):
            entries[instance.hash] = entry
        print(f"{instance.name}: {lower} to {upper}, {entry['source']}, {result.seconds:.1f} s", flush=True)
    rows = sorted(entries.items(), key=lambda item: (item[1]["name"], item[0]))
    lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(entry)}" for key, entry in rows)
    atomic_write(PATH, f'{{\n "format": "{FORMAT}",\n "version": {VERSION},\n "instances": {{\n{lines}\n }}\n}}\n')


def _better(entry: dict[str, Any], old: dict[str, Any] | None) -> bool:
    """Whether the gap is smaller, or with the same gap the schedule shorter."""
    keys = [(x["upper"] - x["lower"], x["upper"]) for x in (entry, old) if x is not None]
    return len(keys) == 1 or keys[0] < keys[1]


if __name__ == "__main__":
    main()
