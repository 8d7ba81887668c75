"""Writes the platforms and applications that ship with DAG scheduling, in our own form.

    python benchmarks/soc_profiles.py PROFILES.json

The argument is a table of figures read from the configuration files of DS3 and SoCRATES and from papers: per cluster of
a chip its PEs, operating points, power profile and execution times; per application its tasks, edges and volumes.
The result is ``envs/soc/instances/profiles.json``. Power and leakage follow the section "Energy" of
``docs/environments/soc.md``.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import makespan.envs.soc.instances as shipped
from makespan.envs.soc.catalogue import PROFILES_FILE, PROFILES_FORMAT, PROFILES_VERSION
from makespan.envs.soc.checks import INELIGIBLE

FILE = Path(str(shipped.__file__)).parent / PROFILES_FILE

DS3 = "github.com/segemena/DS3, commit 056c930 (2021, configuration files of August 2020); figures only"
DS3_PAPER = (
    "github.com/segemena/DS3, commit bd7bee7 (January 2020), the chip of the paper's scheduler study; figures only"
)
SOCRATES = "github.com/EpiSci/SoCRATES, commit e246978 (MIT)"
TOPCUOGLU = "H. Topcuoglu, S. Hariri, M.-Y. Wu, IEEE TPDS 13(3), 2002, fig. 2"
PEFT = "H. Arabnejad, J. G. Barbosa, IEEE TPDS 25(3), 2014, fig. 1"
INSERTION = "a test of insertion in list scheduling"

PLATFORMS = {
    "ds3": ("ds3_default_2020_08", DS3),
    "ds3-paper": ("ds3_paper_2020_01", DS3_PAPER),
    "big-little": ("ds3_big_little_only", DS3),
    "three": ("topcuoglu_3pe", TOPCUOGLU),
}
APPLICATIONS = {
    "wifi-tx": ("wifi_tx", DS3),
    "wifi-rx": ("wifi_rx", DS3),
    "range-detection": ("range_detection", DS3),
    "single-carrier-tx": ("single_carrier_tx", DS3),
    "single-carrier-rx": ("single_carrier_rx", DS3),
    "temporal-mitigation": ("temporal_mitigation", DS3),
    "pulse-doppler": ("pulse_doppler_64", DS3_PAPER),
    "topcuoglu": ("topcuoglu", TOPCUOGLU),
}
OPEN_GAP = {"W": [[5, 3], [3, 3], [2, 6], [3, 6]], "edges": [[0, 3, 0]]}

KELVIN = 273.15 + 42
LEAK_C1, LEAK_C2, LEAK_GATE = 0.002488, 2660.0, 0.000519
CORES_OF_FORMULA = 4
CPUS = {"LTL": 4, "BIG": 1}
"""Clusters of CPU cores by DS3's type, and what their leakage is divided by."""
CPU_FFT_BANDWIDTH, OTHER_BANDWIDTH = 10, 1000
"""Of the paper's chip, where the table says so in words."""


def leakage_mw(millivolts: int, divisor: int) -> int:
    """Of one core."""
    volts = millivolts / 1000
    watts = volts * LEAK_C1 * KELVIN**2 * math.exp(-LEAK_C2 / KELVIN) + LEAK_GATE * volts
    return round(1000 * watts / CORES_OF_FORMULA / divisor)


def powers_mw(cluster: Mapping[str, Any], pes: int) -> tuple[list[list[int]], list[int]]:
    """Power of 1, 2, ... active PEs and leakage of an idle one, for each level."""
    levels = {mhz: mv for mhz, mv in cluster["opp_mhz_mv"]}
    profile = {int(mhz): watts for mhz, watts in cluster["power_profile_w"].items()}
    power, idle = [], []
    for mhz, mv in levels.items():
        at = min((known for known in profile if known >= mhz), default=max(profile))
        factor = mhz * mv**2 / (at * levels[at] ** 2)
        leak = leakage_mw(mv, CPUS[cluster["type"]]) if cluster["type"] in CPUS else 0
        watts = profile[at] if len(profile[at]) >= pes else [profile[at][0] * (k + 1) for k in range(pes)]
        power.append([round(1000 * watts[k] * factor) + (k + 1) * leak for k in range(pes)])
        idle.append(leak)
    return power, idle


def bandwidth(soc: Mapping[str, Any], first: Mapping[str, Any], second: Mapping[str, Any]) -> int:
    """Between PEs of two clusters."""
    table = soc["cluster_bandwidth"]
    if "default" in table:
        mixed = {first["name"], second["name"]}
        return CPU_FFT_BANDWIDTH if "FFT" in mixed and mixed & {"A7", "A15"} else OTHER_BANDWIDTH
    pair = (first["name"], second["name"])
    return int(table.get("-".join(pair)) or table.get("-".join(reversed(pair))) or 1)


def platform(name: str, soc: Mapping[str, Any], source: str, wanted: Sequence[str]) -> dict[str, Any]:
    """A platform in our form; bandwidths and times are per kind, times of the tasks that some application has."""
    clusters = soc["clusters"]
    kinds = []
    for cluster in clusters:
        power, idle = powers_mw(cluster, cluster["count"])
        kinds.append(
            {
                "name": cluster["name"],
                "pes": cluster["count"],
                "levels": cluster["opp_mhz_mv"],
                "power_mw": power,
                "idle_mw": idle,
            }
        )
    times = {}
    for task in wanted:
        row = [time_of(cluster["exec_us"], task) for cluster in clusters]
        if max(row) != INELIGIBLE:
            times[task] = row
    in_words = "default" in soc["cluster_bandwidth"]
    memory = {"name": "MEMORY"}
    return {
        "name": name,
        "source": source,
        "kinds": kinds,
        "bandwidth": [[bandwidth(soc, a, b) for b in clusters] for a in clusters],
        "memory_bandwidth": [OTHER_BANDWIDTH if in_words else bandwidth(soc, a, memory) for a in clusters],
        "times": times,
    }


def time_of(exec_us: Mapping[str, float], task: str) -> int:
    """Time of a task in a cluster's table, where ``fft_*`` stands for all numbered copies."""
    stem, _, number = task.rpartition("_")
    return integer(exec_us.get(task, exec_us.get(f"{stem}_*", INELIGIBLE) if number.isdecimal() else INELIGIBLE))


def integer(value: float) -> int:
    """A number of the table, all of which are whole."""
    if value != int(value):
        raise ValueError(f"{value} is not whole")
    return int(value)


def application(name: str, tasks: Sequence[str], edges: Sequence[Sequence[float]], source: str) -> dict[str, Any]:
    """An application in our form."""
    rows = [[int(i), int(j), integer(volume)] for i, j, volume in edges]
    return {"name": name, "source": source, "tasks": list(tasks), "edges": rows}


def graph(name: str, given: Mapping[str, Any], source: str) -> dict[str, Any]:
    """A graph with a table of times of its own."""
    tasks = [f"task_{i + 1}" for i in range(len(given["W"]))]
    return {**application(name, tasks, given["edges"], source), "times": given["W"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("profiles", type=Path)
    data = json.loads(parser.parse_args().profiles.read_text(encoding="utf-8"))
    applications = [
        application(name, data["applications"][key]["tasks"], data["applications"][key]["edges"], source)
        for name, (key, source) in APPLICATIONS.items()
    ]
    ten = data["applications"]["topcuoglu"]["tasks"]
    for number, job in enumerate(data["socrates_synthetic_profiles"]["jobs"].values()):
        applications.append(application(f"socrates-{number + 1:02d}", ten, job["edges"], SOCRATES))
    wanted = list(dict.fromkeys(task for entry in applications for task in entry["tasks"]))
    known = data["reference_answers"]["canonical"]
    graphs = [
        graph("peft", known["PEFT_example_10x3"], PEFT),
        graph("gap-exact", known["insertion_test_4x2"], INSERTION),
        graph("gap-open", OPEN_GAP, INSERTION),
    ]
    lists = {
        "platforms": [platform(name, data["socs"][key], source, wanted) for name, (key, source) in PLATFORMS.items()],
        "applications": applications,
        "graphs": graphs,
    }
    parts = [f' "format": "{PROFILES_FORMAT}",\n "version": {PROFILES_VERSION}']
    for key, rows in lists.items():
        parts.append(f' "{key}": [\n' + ",\n".join(f"  {json.dumps(row)}" for row in rows) + "\n ]")
    FILE.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
