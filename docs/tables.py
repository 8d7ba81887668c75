"""Writes the tables of the documentation that the code knows best: `python docs/tables.py` (`--check` only compares).

Each table stands between the marks ``<!-- NAME:begin -->`` and ``<!-- NAME:end -->`` of its page.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import air_mobility_meanings
import bandit_meanings
import feature_meanings
import memory_mapping_meanings
import soc_meanings
from makespan.agents.rules.air_mobility import RULES as AIR_RULES
from makespan.agents.rules.job_shop import RULES
from makespan.agents.rules.memory_mapping import RULES as MEMORY_RULES
from makespan.agents.rules.restless_bandits import RULES as BANDIT_RULES
from makespan.agents.rules.rule import Rule
from makespan.agents.rules.soc import RULES as SOC_RULES
from makespan.envs.air_mobility.observation import SPEC as AIR_SPEC
from makespan.envs.air_mobility.options import AirOptions
from makespan.envs.core.card import dataclass_options
from makespan.envs.core.spec import Feature, ObservationSpec
from makespan.envs.job_shop.catalogue import catalogue
from makespan.envs.job_shop.generator import named_instance
from makespan.envs.job_shop.observation import SPEC
from makespan.envs.job_shop.options import JobShopOptions
from makespan.envs.memory_mapping.catalogue import SPLITS, suite
from makespan.envs.memory_mapping.observation import SPEC as MEMORY_SPEC
from makespan.envs.memory_mapping.options import MemoryOptions
from makespan.envs.restless_bandits.observation import SPEC as BANDIT_SPEC
from makespan.envs.restless_bandits.options import BanditOptions
from makespan.envs.soc.observation import SPEC as SOC_SPEC
from makespan.envs.soc.options import SocOptions

Meanings = Mapping[tuple[str, str], str]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def options(described: type) -> str:
    """The options of an environment, as their dataclass describes them."""
    rows = [[f"`{option.name}`", f"`{option.default}`", option.description] for option in dataclass_options(described)]
    return table(("option", "default", "meaning"), rows)


def observation(spec: ObservationSpec, meanings: Meanings) -> str:
    """Every array of an observation and every feature in it."""
    edges = [[f"`edges/{edge.name}`", edge.source, edge.target, _when(edge.dynamic)] for edge in spec.edges]
    parts = [_features(f"nodes/{node.name}", node.name, node.features, meanings) for node in spec.nodes]
    parts.append("**Edges**, int32 [2, room]\n\n" + table(("edges", "from", "to", "changes"), edges))
    parts += [
        _features(f"edge_features/{edge.name}", edge.name, edge.features, meanings)
        for edge in spec.edges
        if edge.features
    ]
    parts += [
        _features(
            f"series/{series.name}", f"series/{series.name}", series.features, meanings, f", {series.steps} steps"
        )
        for series in spec.series
    ]
    parts.append(_features("globals", "global", spec.globals, meanings))
    parts.append(_features("actions/features", "action", spec.action_features, meanings))
    return "\n".join(parts)


def _features(key: str, group: str, features: Sequence[Feature], meanings: Meanings, how_often: str = "") -> str:
    rows = []
    for column, feature in enumerate(features):
        bounds = f"{feature.low:g} … {feature.high:g}"
        meaning = meanings[group, feature.name]
        rows.append([str(column), f"`{feature.name}`", feature.unit, bounds, _when(feature.dynamic), meaning])
    head = f"**`{key}`**, float32{how_often}\n\n"
    return head + table(("", "feature", "unit", "range", "changes", "meaning"), rows)


def _when(dynamic: bool) -> str:
    return "yes" if dynamic else "fixed"


def instances() -> str:
    """The families of public instances: sizes, how many optima are proved, and who published them."""
    families: dict[str, list[str]] = {}
    for name in catalogue():
        families.setdefault(name.rstrip("0123456789"), []).append(name)
    rows = []
    for names in families.values():
        entries = [catalogue()[name] for name in names]
        sizes = {(named_instance(name).num_jobs, named_instance(name).num_machines) for name in names}
        proved = [
            str(sum(mode in entry.bounds and len(set(entry.bounds[mode])) == 1 for entry in entries))
            for mode in ("none", "swap", "no-swap")
        ]
        shown = ", ".join(f"{jobs}×{machines}" for jobs, machines in sorted(sizes))
        rows.append([f"`{names[0]}`–`{names[-1]}`", str(len(names)), shown, *proved, entries[0].source])
    head = ("instances", "number", "jobs × machines", "proved: classical", "swap", "no swap", "source")
    return table(head, rows) + "\n" + _bounds_sources()


def optima() -> str:
    """Proved optima of the instances that have one under blocking, in their order; the bounds where one is open."""
    rows = []
    for names in _WITH_OPTIMA:
        bounds = [[catalogue()[name].bounds.get(mode) for name in names] for mode in _MODES]
        title = f"{names[0]}–{names[-1]}" if len(names) > 3 else ", ".join(names)
        rows.append([title, *(" ".join(map(_optimum, mode)) if any(map(_proved, mode)) else "" for mode in bounds)])
    return table(("", "classical", "BWS", "BNS"), rows)


def _proved(bounds: tuple[int, int] | None) -> bool:
    return bounds is not None and bounds[0] == bounds[1]


def _optimum(bounds: tuple[int, int] | None) -> str:
    if bounds is None:
        return "–"
    return str(bounds[0]) if _proved(bounds) else f"[{bounds[0]}, {bounds[1]}]"


_WITH_OPTIMA = (
    ("ft06", "ft10", "ft20"),
    *([f"la{number:02d}" for number in range(first, first + 5)] for first in (1, 6, 16)),
    [f"orb{number:02d}" for number in range(1, 11)],
    ("abz5", "abz6"),
)


def _bounds_sources() -> str:
    sources = {mode: {entry.bounds_sources.get(mode, "") for entry in catalogue().values()} for mode in _MODES}
    return "".join(f"- {_MODES[mode]}: {'; '.join(sorted(found - {''}))}.\n" for mode, found in sources.items())


_MODES = {
    "none": "Bounds of the classical shop",
    "swap": "Bounds under blocking with swaps",
    "no-swap": "Bounds under blocking without swaps",
}


def programs() -> str:
    """The suite of memory mapping: its splits, families and instances."""
    rows = []
    for split in SPLITS:
        families: dict[str, list[str]] = {}
        for name, entry in suite().items():
            if entry.split == split:
                families.setdefault(entry.family, []).append(name)
        for family, names in families.items():
            rows.append([split, family, ", ".join(f"`{name}`" for name in names)])
    return table(("split", "family", "instances"), rows)


def _key(rule: Rule, number: int) -> str:
    """A key of a rule, with what is added to the first."""
    feature, sign = rule.keys[number]
    summed = " + ".join([feature, *(f"{term.option} * {term.feature}" for term in rule.terms[: 0 if number else None])])
    return summed if sign > 0 else f"-({summed})" if "+" in summed else f"-{summed}"


def rules(listed: Sequence[Rule]) -> str:
    """The rules of an environment."""
    rows = []
    for rule in listed:
        keys = ", then ".join(f"`{_key(rule, number)}`" for number in range(len(rule.keys)))
        if rule.conflict_set is None:
            rows.append([f"`{rule.name}`", keys, rule.source])
    return table(("rule", "smallest first", "what it is, and where described"), rows)


_RECORDS = {
    "job_shop/swap": "blocking job shop with swaps",
    "job_shop/none": "classical job shop",
    "memory_mapping/judge": "memory mapping, by the judge",
    "soc/makespan": "one DAG on a heterogeneous chip",
}


def records() -> str:
    """What the records come to: how many are proved optimal, and how far the others are from their bounds."""
    rows = []
    for folder, title in _RECORDS.items():
        held = [
            json.loads(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "records" / folder).glob("*.json"))
        ]
        gaps = [abs(one["objective"] - one["bound"]["value"]) / one["bound"]["value"] for one in held]
        open_ = [gap for gap in gaps if gap > 0]
        kinds = Counter(one["bound"]["kind"] for one in held)
        rows.append([
            title,
            str(len(held)),
            str(len(held) - len(open_)),
            f"{100 * sum(gaps) / len(gaps):.2f} %",
            f"{100 * median(open_):.2f} %, {100 * max(open_):.1f} %" if open_ else "–",
            ", ".join(f"{kind} ({count})" for kind, count in kinds.most_common()),
        ])  # fmt: skip
    head = (
        "problem",
        "solutions",
        "proved optimal",
        "mean gap to the bound",
        "of the open ones: median, largest",
        "bounds",
    )
    return table(head, rows)


PAGES: dict[str, dict[str, Callable[[], str]]] = {
    "environments/job_shop.md": {
        "options": partial(options, JobShopOptions),
        "observation": partial(observation, SPEC, feature_meanings.MEANINGS),
        "instances": instances,
        "optima": optima,
    },
    "environments/memory_mapping.md": {
        "options": partial(options, MemoryOptions),
        "observation": partial(observation, MEMORY_SPEC, memory_mapping_meanings.MEANINGS),
        "rules": partial(rules, MEMORY_RULES),
        "programs": programs,
    },
    "environments/soc.md": {
        "options": partial(options, SocOptions),
        "observation": partial(observation, SOC_SPEC, soc_meanings.MEANINGS),
        "rules": partial(rules, SOC_RULES),
    },
    "environments/air_mobility.md": {
        "options": partial(options, AirOptions),
        "observation": partial(observation, AIR_SPEC, air_mobility_meanings.MEANINGS),
        "rules": partial(rules, AIR_RULES),
    },
    "environments/restless_bandits.md": {
        "options": partial(options, BanditOptions),
        "observation": partial(observation, BANDIT_SPEC, bandit_meanings.MEANINGS),
        "rules": partial(rules, BANDIT_RULES),
    },
    "agents.md": {"rules": partial(rules, RULES)},
    "records.md": {"records": records},
    "../README.md": {"records": records},
}


def with_tables(text: str, tables: dict[str, Callable[[], str]]) -> str:
    """A page's text with its tables made anew.

    Raises:
        ValueError: the page lacks the marks of one.
    """
    for name, make in tables.items():
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"the page has no marks {begin} and {end}")
        text = f"{before}{begin}\n\n{make()}\n{end}{after}"
    return text


def main(arguments: Sequence[str]) -> int:
    """Write the pages; with ``--check`` name those that differ and return 1 if there are any."""
    stale = []
    for name, page_tables in PAGES.items():
        path = HERE / name
        old = path.read_text(encoding="utf-8")
        new = with_tables(old, page_tables)
        if new != old:
            stale.append(name)
            if "--check" not in arguments:
                path.write_text(new, encoding="utf-8")
    said = "differs from the code: run python docs/tables.py" if "--check" in arguments else "written"
    for name in stale:
        print(f"{(HERE / name).resolve().relative_to(ROOT)} {said}")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
