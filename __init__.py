"""makespan: a Gymnasium suite for combinatorial scheduling.

Importing the package registers the environments' ids (and those of installed plug-ins); it imports neither torch nor
compiled code. See ``makespan --help`` for the commands.
"""

__version__ = "0.1.0"

from .envs.registry import register_all

register_all()
