"""How an agent's work is made to grow with its budget: which option of its name scales it, and what values it takes."""

from __future__ import annotations

from dataclasses import dataclass

from ..agents.catalogue import options_of
from ..envs.core.errors import FieldError, UserError
from ..envs.core.names import Name, parse_name, parse_value, split_list

DEFAULT_BUDGETS = "0.1,1,10,60"

_LONGEST = 1_000_000.0
_LARGEST_WORK = 100_000
_MOST_TRIES = 2**62
_SCALES = ("time", "width", "beam")


def parse_budgets(text: str) -> tuple[float, ...]:
    """CPU seconds from ``0.1,1,10``.

    Raises:
        UserError: the list is empty, holds something that is no positive number, or does not grow.
    """
    try:
        items = split_list(text)
    except UserError as error:
        raise UserError(f"option anytime: {error}") from None
    budgets: list[float] = []
    for item in items:
        value = parse_value(item)
        if isinstance(value, bool | str) or not 0 < value <= _LONGEST:
            expected = f"CPU seconds by commas, each above 0 and at most {_LONGEST:g}"
            raise FieldError("option anytime", text, f"{expected}, but {item!r} is not")
        if budgets and value <= budgets[-1]:
            raise FieldError("option anytime", text, f"budgets that grow, but {item} comes after {budgets[-1]:g}")
        budgets.append(float(value))
    return tuple(budgets)


@dataclass(frozen=True)
class Ladder:
    """How an agent climbs: one option grows, the others stay.

    Attributes:
        name: the agent's, without the option that grows.
        option: "time" (a solver's limit), "width" or "beam" (of a search), "samples" (tries at a world), or "" for an
            agent that has one point.
        most: the largest value, which the user gave; else as much as there is.
    """

    name: Name
    option: str
    most: float

    def agent(self, value: float) -> str:
        """The name of the agent that works so much."""
        return str(
            Name(self.name.base, {**self.name.options, self.option: value} if self.option else self.name.options)
        )


def ladder_of(agent: str) -> Ladder:
    """The ladder of an agent.

    The first that fits: ``time``, where the agent takes it; ``width`` or ``beam``, likewise; ``samples``, where tries
    differ: whoever is given ``samples`` or a ``temperature``, and ``random``. Of a checkpoint's options only those
    count that are given. All others have one point: rules, greedy policies, rollouts (their ``worlds`` make each
    decision better and cannot be stopped earlier).
    """
    name = parse_name(agent, "agent")
    taken = {*options_of(name), *name.options}
    option = next((option for option in _SCALES if option in taken), "samples" if _draws(name) else "")
    others = {key: value for key, value in name.options.items() if key != option}
    unlimited = {"time": _LONGEST, "samples": _MOST_TRIES}.get(option, _LARGEST_WORK)
    given = name.options.get(option, unlimited)
    # What is no number is the agent's to refuse, as it is made.
    most = float(given) if isinstance(given, int | float) else unlimited
    return Ladder(Name(name.base, others), option, most)


def _draws(name: Name) -> bool:
    """Whether tries at the same world differ."""
    given = name.options
    return name.base == "random" or bool({"samples", "temperature"} & set(given)) or given.get("greedy") is False
