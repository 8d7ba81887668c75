"""What a person sees of a run: a bar, the score, and the best rule's score beside it."""

from __future__ import annotations

import math
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from ..envs.core.objective import shown
from .config import TrainConfig

if TYPE_CHECKING:
    from .base import Run
    from .validation import Validation


class Progress:
    """The display of one run; silent where `quiet`. Written to the error stream, so that output can be piped."""

    def __init__(self, config: TrainConfig, quiet: bool) -> None:
        self._config, self._quiet = config, quiet
        self._console = Console(stderr=True, quiet=quiet)
        self._bar = Bar(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            console=self._console,
            disable=quiet,
        )
        self._task: Any = None
        self._rule = ""
        self._score = self._held_out = math.nan
        self._factor = 1.0

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:  # a bar that is stopped ends with an empty line, also where none was shown
            self._bar.stop()

    def say(self, text: str) -> None:
        """One line of text."""
        self._console.print(text, highlight=False, markup=False)

    def begin(self, validation: Validation) -> None:
        """Name the bar to clear."""
        objective = validation.setting.objective
        unit = shown(objective)
        self._factor = unit.factor
        if validation.rule is not None:
            self._rule = f"best rule {validation.rule} {self._text(validation.rule_score)}"
            self.say(
                f"{self._config.agent} on {self._config.env}; "
                f"objective: {unit.title(objective['name'])} ({objective['sense']}); "
                f"on {validation.worlds} held-out worlds the {self._rule}"
            )

    def phase(self, name: str) -> None:
        """What the run does from now on."""
        if self._task is None:
            self._bar.start()
            self._task = self._bar.add_task(name, total=1.0, state="")
        self._bar.update(self._task, description=name)

    def advance_to(self, share: float) -> None:
        """How much of the budget is spent."""
        self._bar.update(self._task, completed=share)

    def trained(self, steps: int, score: float | None) -> None:
        """A rollout has ended; `score` is the mean objective of the episodes that ended in it."""
        if score is not None:
            self._score = score
        training = "" if math.isnan(self._score) else f" | training {self._text(self._score)}"
        held_out = "" if math.isnan(self._held_out) else f" | held-out {self._text(self._held_out)}"
        rule = f" | {self._rule}" if self._rule else ""
        self._bar.update(self._task, state=f"{steps:,} decisions{training}{held_out}{rule}")

    def validated(self, score: float) -> None:
        """A validation's mean objective."""
        self._held_out = score

    def end(self, run: Run) -> None:
        """The last line."""
        best, validation = run.counters.best, run.validation
        if best is None:
            return
        text = f"{run.decisions:,} decisions in {run.counters.seconds:.0f} s; best held-out score {self._text(best)}"
        if validation.rule is not None:
            text += f", {self._apart(best - validation.rule_score, validation.rule_score)} the {self._rule}"
        self.say(f"{text}; checkpoint: {run.folder / 'best'}")

    def _apart(self, difference: float, reference: float) -> str:
        """How far from a reference: in shares of its size, since profits may be below 0; as it is where that is 0."""
        if not difference:
            return "as"
        far = f"{abs(difference / reference):.1%}" if reference else self._text(abs(difference))
        return f"{far} {'below' if difference < 0 else 'above'}"

    def _text(self, score: float) -> str:
        """A mean objective in the unit that people are shown."""
        return f"{score * self._factor:.4g}"
