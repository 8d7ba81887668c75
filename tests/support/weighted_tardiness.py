"""The example in plain Python, imported from its folder: an environment that keeps the contract, to break."""

import importlib
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "single_machine"

sys.path.insert(0, str(EXAMPLE))
problem = importlib.import_module("single_machine.problem")
Good = importlib.import_module("single_machine.env").WeightedTardinessEnv
sys.path.remove(str(EXAMPLE))

# Rules that tests/envs/core/test_check_suite.py shows to fail; all others test_check.py does.
SUITE = {
    "features", "copies", "seeds", "global randomness", "memory", "pickles", "options", "instance files",
    "malformed instances", "foreseeable", "rewriting", "engine copy", "batch", "vector illegal", "vector snapshot",
    "appraisal", "malformed schedules",
}  # fmt: skip
