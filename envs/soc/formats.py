"""Files of DAGs: our JSON, WfFormat and STG (see `wfformat` and `stg`)."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import UserError
from ..core.files import decode_text, read_bounded
from ..core.instance import parse_json, require_name
from .checks import MAX_FILE_TASKS, MAX_TASKS, TIMES_KEY, check_count
from .instance import SocInstance
from .machines import Machines
from .stg import read_stg
from .wfformat import PARENTS_KEY, VERSION_KEY, read_wfformat


def load(path: str | Path, machines: Machines | None = None) -> SocInstance:
    """Read a file in our form, in WfFormat or in STG; the content says which.

    Args:
        path: the file. An instance from a workflow or an STG file is called as the file is, without its suffix.
        machines: PEs for DAGs that have none; None takes defaults. Instances in our form have theirs.

    Raises:
        UserError: the file cannot be read, or something in it is malformed.
    """
    source = str(path)
    text = decode_text(read_bounded(path), source)
    if text.lstrip()[:1] not in ("{", "["):
        return read_stg(text, _name(path), machines or Machines(), source)
    if VERSION_KEY in text:
        check_count(text, PARENTS_KEY, MAX_TASKS, source)
        return read_wfformat(parse_json(text, source), _name(path), machines or Machines(), source)
    check_count(text, TIMES_KEY, MAX_FILE_TASKS, source)
    instance = SocInstance.from_dict(parse_json(text, source), source)
    if machines is not None and machines != Machines():
        raise UserError(f"{source}: options for PEs are given, but this instance has its own platform")
    return instance


def _name(path: str | Path) -> str:
    return require_name("name of the file", Path(path).stem, str(path))
