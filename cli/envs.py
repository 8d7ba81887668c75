"""``makespan envs``: what is registered, without loading compiled code."""

from __future__ import annotations

import json
import sys
from typing import Any

from ..envs.core.errors import UserError
from ..envs.core.objective import shown
from ..envs.registry import contract_ids, find_card


def run(as_json: bool) -> int:
    """Print the environments. Returns 1 if one of them cannot be described, else 0."""
    rows, broken = [], []
    for env_id in contract_ids():
        try:
            rows.append({"id": env_id, **find_card(env_id).to_dict(), **_players(env_id)})
        except UserError as error:
            broken.append(str(error))
    if as_json:
        print(json.dumps(rows, indent=1, allow_nan=False))
    else:
        for row in rows:
            _print(row)
    for message in broken:
        print(f"makespan: error: {message}", file=sys.stderr)
    return 1 if broken else 0


def _players(env_id: str) -> dict[str, list[str]]:
    """Who plays an environment beside the generic agents: its rules, other packages' agents, checkpoints that ship."""
    from ..agents.plugins import registered_agents, shipped_cards
    from ..agents.rules.rule import rules_of

    return {
        "rules": list(rules_of(env_id)),
        "agents": list(registered_agents(env_id)),
        "checkpoints": [name for name, card in shipped_cards() if card["env"] == env_id],
    }


def _print(row: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    objective = row["objective"]
    console.print(Text(row["id"], style="bold"))
    console.print(Text(f"  {row['description']}"))
    sense = "minimised" if objective["sense"] == "min" else "maximised"
    unit = shown(objective).unit
    told = "" if unit == objective["unit"] else f", shown in {unit}"
    console.print(Text(f"  objective: {objective['name']} ({objective['unit']}{told}), {sense}"))
    table = Table(box=None, padding=(0, 2, 0, 2), show_edge=False)
    for title in ("option", "default", "what it does"):
        table.add_column(title)
    for option in row["options"]:
        table.add_row(Text(option["name"]), Text(_default(option["default"])), Text(option["description"]))
    console.print(table)
    for kind in ("rules", "agents", "checkpoints"):
        if row[kind]:
            console.print(Text(f"  {kind}: {', '.join(row[kind])}"))
    console.print()


def _default(value: Any) -> str:
    if value is None:
        return "-"
    return str(value).lower() if isinstance(value, bool) else str(value)
