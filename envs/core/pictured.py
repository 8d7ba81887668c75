"""An environment whose episodes can be drawn: the methods are alike, what they draw is each problem's own."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from numpy.typing import NDArray

from .env import SchedulingEnv

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .chart import Chart


class PicturedEnv(SchedulingEnv):
    """A `SchedulingEnv` whose package holds ``picture.py`` (``draw``, ``ansi`` and ``rgb_array`` of a schedule) and
    ``chart.py`` (``chart``). They are loaded when something is drawn.

    Attributes:
        package: name of the package.
        schedule_type: what `schedule` returns; has ``from_dict``.
    """

    package: ClassVar[str]
    schedule_type: ClassVar[Any]

    @classmethod
    def _picture(cls) -> Any:
        return import_module(f"{cls.package}.picture")

    def render(self) -> NDArray[Any] | str | None:  # type: ignore[override]
        """The episode so far: an image [H, W, 3] or text, as `render_mode` says."""
        if self.render_mode is None:
            return None
        picture, schedule = self._picture(), self.schedule()
        return picture.ansi(schedule) if self.render_mode == "ansi" else picture.rgb_array(schedule)

    @classmethod
    def read_schedule(cls, data: Any) -> Any:
        """The schedule whose `to_dict` gave `data`.

        Raises:
            UserError: a field is missing, unknown or malformed.
        """
        return cls.schedule_type.from_dict(data)

    @classmethod
    def draw(cls, schedule: Any) -> Figure:
        """A schedule as a matplotlib figure.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        return cls._picture().draw(schedule)

    @classmethod
    def ansi(cls, schedule: Any) -> str:
        """A schedule as text."""
        return cls._picture().ansi(schedule)

    @classmethod
    def chart(cls, schedule: Any) -> Chart:
        """A schedule for interactive pictures."""
        return import_module(f"{cls.package}.chart").chart(schedule)
