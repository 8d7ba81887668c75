"""The lower bounds of the suite's programs, written to `envs/memory_mapping/known.json`; best plans known stay.

    python benchmarks/memory_mapping_known.py [--seconds 600] [INSTANCE ...]

Solves both linear programs for each instance given, by default for the whole suite. Upper bounds are whoever's who
finds better plans: they are added by `makespan.envs.memory_mapping.known.record`.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from makespan.envs.core.files import atomic_write
from makespan.envs.memory_mapping.bounds import lp_bound
from makespan.envs.memory_mapping.catalogue import named, names
from makespan.envs.memory_mapping.known import FILE, FORMAT, VERSION, known, record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("instances", nargs="*", default=names(), help="of the suite")
    parser.add_argument("--seconds", type=float, default=600.0, help="wall time for each linear program")
    arguments = parser.parse_args()
    path = Path(__file__).resolve().parent.parent / "envs" / "memory_mapping" / FILE
    entries = json.loads(json.dumps(dict(known())))
    for name in arguments.instances:
        (instance,) = named(name)
        began = time.perf_counter()
        found = {supply: lp_bound(instance, supply, arguments.seconds) for supply in ("contended", "elapsed")}
        record(entries, instance, {supply: value for supply, value in found.items() if value is not None}, {})
        shares = {k: None if v is None else round(v / instance.all_hbm_ps, 4) for k, v in found.items()}
        print(f"{name}: {shares} of all-HBM, {time.perf_counter() - began:.1f} s", flush=True)
    rows = sorted(entries.items(), key=lambda entry: (entry[1]["name"], entry[0]))
    lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(entry)}" for key, entry in rows)
    atomic_write(path, f'{{\n "format": "{FORMAT}",\n "version": {VERSION},\n "instances": {{\n{lines}\n }}\n}}\n')


if __name__ == "__main__":
    main()
