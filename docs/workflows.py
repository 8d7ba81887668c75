"""Makes workflows from WfCommons' recipes: structures of real runs, scaled, with times and file sizes fitted to them.

``python docs/workflows.py FOLDER`` (``pip install wfcommons``) writes WfFormat files, which any command plays:
``--instances 'FOLDER/*.json'``, on other machines ``--instances 'FOLDER/*.json:pes=8:beta=1'``. The same seed makes the
same workflows. Recipes that need more tasks than are asked for are left out, and those whose workflows have no edge.

Coleman, Casanova, Pottier, Kaushik, Deelman & Ferreira da Silva, "WfCommons: A framework for enabling scientific
workflow research and development", Future Generation Computer Systems 128, 2022.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np


def recipes() -> dict[str, Any]:
    """WfCommons' recipes by the names of their workflows."""
    try:
        import wfcommons.wfchef.recipes as known  # pyright: ignore[reportMissingImports]
    except ImportError:
        sys.exit("error: recipes need WfCommons: pip install wfcommons")
    found = sorted(name for name in dir(known) if name.endswith("Recipe"))
    return {name.removesuffix("Recipe").lower(): getattr(known, name) for name in found}


def make(recipe: Any, tasks: int, seed: int) -> Any | None:
    """A workflow of about so many tasks; None where the recipe has none so small, or none with an edge."""
    from wfcommons import WorkflowGenerator  # pyright: ignore[reportMissingImports]

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 the library draws from it
    try:
        workflow = WorkflowGenerator(recipe.from_num_tasks(tasks)).build_workflow()
    except ValueError:
        return None
    return workflow if workflow.number_of_edges() else None


def main() -> None:
    """Write the files and say how many there are of which."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tasks", default="60,120,250", help="numbers of tasks, by commas")
    parser.add_argument("--count", type=int, default=1, help="workflows of each number and recipe")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    known = recipes()
    given.folder.mkdir(parents=True, exist_ok=True)
    for name, recipe in known.items():
        made = 0
        for tasks in [int(number) for number in given.tasks.split(",")]:
            for seed in range(given.seed, given.seed + given.count):
                workflow = make(recipe, tasks, seed)
                if workflow is not None:
                    workflow.write_json(given.folder / f"{name}-{tasks}-s{seed}.json")
                    made += 1
        print(f"{name}: {made}")


if __name__ == "__main__":
    main()
