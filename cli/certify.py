"""``makespan certify``: solutions judged by the validators alone, beside the records held."""

from __future__ import annotations

import json as json_format
from collections.abc import Sequence

from ..envs.core.errors import UserError
from ..envs.core.files import user_path
from ..eval.records import certify, keep, objective_text


def run(files: Sequence[str], records: str | None = None, keep_better: bool = False, json: bool = False) -> int:
    """Print how each solution stands.

    Args:
        files: solutions, records or folders of ``makespan optimise``.
        records: the folder of records; None for those that ship.
        keep_better: make what is better the record.
        json: print a list of ``{"file", "env", "instance", "valid", "objective", "problems", "standing", ...}``.

    Returns:
        0 where all are valid, else 1.

    Raises:
        UserError: a file cannot be read or is malformed.
    """
    if not files:
        raise UserError("name at least one solution: a schedule as JSON, a record, or a folder that optimise wrote")
    where = None if records is None else user_path(records)
    if where is not None and not where.is_dir():
        raise UserError(f"option records is {records!r}, which is no folder")
    if keep_better and where is None:
        raise UserError("option keep needs --records, the folder to write to")
    reports, all_valid = [], True
    for file in files:
        judged, record, standing = certify(file, where)
        all_valid &= judged.valid
        reports.append(
            {
                "file": str(file),
                "env": judged.env,
                "options": dict(judged.options),
                "instance": judged.instance,
                "valid": judged.valid,
                "objective": judged.objective,
                "problems": judged.problems,
                "standing": standing,
                "record": None if record is None else record.objective,
                "bound": None if record is None else record.bound._asdict(),
            }
        )
        if not json:
            verdict = f"valid, {objective_text(judged)}; {standing}" if judged.valid else standing
            print(f"{file}: {judged.instance}: {verdict}")
            for problem in judged.problems:
                print(f"  {problem}")
        if keep_better and judged.valid:
            kept = keep(file, where)
            if not json:
                print(f"  {kept}")
    if json:
        print(json_format.dumps(reports, indent=1, allow_nan=False))
    return 0 if all_valid else 1
