"""``makespan report``: one HTML file out of the folders of evaluations and of training runs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence

from ..eval.page.write import write_page

DEFAULT_SCHEDULES = 4


def run(
    results: Sequence[str], training: Sequence[str], out: str | None, schedules: int, title: str | None, as_json: bool
) -> int:
    """Write a report and say where it is.

    Raises:
        UserError: a folder is missing, unfinished or damaged, or the file cannot be written.
        MissingExtraError: plotly is not installed.
    """
    written = write_page(
        results, training, out, schedules, title or "", _command(results, training, out, schedules, title)
    )
    if as_json:
        facts = {"evaluations": written.evaluations, "training_runs": written.runs, "left_out": written.left_out}
        print(json.dumps({"report": str(written.path), "bytes": written.size, **facts}))
        return 0
    print(f"Written to {written.path} ({written.size / 2**20:.1f} MiB).")
    if written.left_out:
        pictures = f"{written.left_out} picture{'' if written.left_out == 1 else 's'}"
        print(f"{pictures} of schedules left out to keep it small; fewer --schedules show those of more environments.")
    return 0


def _command(
    results: Sequence[str], training: Sequence[str], out: str | None, schedules: int, title: str | None
) -> str:
    """The command line that asks for this, safe in a shell."""
    words = ["makespan", "report", *results, *(("--training", *training) if training else ())]
    words += ["--out", out] if out is not None else []
    words += ["--schedules", str(schedules)] if schedules != DEFAULT_SCHEDULES else []
    words += ["--title", title] if title else []
    return shlex.join(words)
