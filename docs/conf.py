"""The documentation's site: ``make docs`` builds it into build/site; every warning is an error there."""

from __future__ import annotations

import re
from typing import Any

import makespan

project = "makespan"
author = "The makespan authors"
project_copyright = "the makespan authors"
release = version = makespan.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns = ["data", "*.py"]

# Headings of any depth can be linked to, as on the forges that show these pages as they are.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "attrs_inline"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_mock_imports = ["torch_geometric"]
napoleon_use_ivar = True
# A name in backticks is a piece of code, as in Markdown.
default_role = "code"

html_theme = "furo"
html_title = f"makespan {release}"
html_copy_source = False
html_show_sphinx = False


def _as_restructured(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Headings of docstrings in Markdown, as Gymnasium's environments have them, become bold lines."""
    made = []
    for line in lines:
        heading = re.fullmatch(r"#+ (.+)", line)
        made += [f"**{heading[1]}**", ""] if heading else [line]
    lines[:] = made


def setup(app: Any) -> None:
    """What Sphinx calls."""
    # Before Napoleon, which reads sections by their names.
    app.connect("autodoc-process-docstring", _as_restructured, priority=100)
