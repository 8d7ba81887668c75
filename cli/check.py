"""``makespan check``: the contract's rules on one environment and on who plays it, in words."""

from __future__ import annotations

import json as json_format
from dataclasses import asdict

from ..agents.check import check_players
from ..envs.core.check import Finding, check_contract
from ..envs.core.names import Name
from ..eval.plan import parse_environment

_STYLES = {"passed": "green", "failed": "bold red", "skipped": "yellow"}


def run(env: str, json: bool = False) -> int:
    """Print what came of each rule of the contract.

    Args:
        env: an id with options, for example ``makespan/JobShop-v0:law=bernoulli:p=0.005``.
        json: print ``{"env", "env_options", "ok", "findings": [{"rule", "outcome", "text"}, ...]}``.

    Returns:
        0 where nothing is broken, else 1.

    Raises:
        UserError: the id is unknown, or an option is wrong.
    """
    name = Name(*parse_environment(env))
    findings = check_contract(name.base, name.options)
    if [finding.rule for finding in findings] != ["make"]:
        findings += check_players(name.base, name.options)
    broken = sum(finding.outcome == "failed" for finding in findings)
    if json:
        report = {
            "env": name.base,
            "env_options": dict(name.options),
            "ok": not broken,
            "findings": [asdict(finding) for finding in findings],
        }
        print(json_format.dumps(report, indent=1, allow_nan=False))
    else:
        _print(str(name), findings, broken)
    return 1 if broken else 0


def _print(name: str, findings: list[Finding], broken: int) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table(title=Text(name), title_justify="left", box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        style = _STYLES[finding.outcome]
        table.add_row(Text(finding.outcome, style=style), Text(finding.rule), Text(finding.text))
    console.print(table)
    verdict = "keeps the contract" if not broken else f"breaks the contract: {broken} of {len(findings)} rules failed"
    console.print(Text(f"\n{name} {verdict}.", style=_STYLES["failed" if broken else "passed"]))
