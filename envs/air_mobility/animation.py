"""A day as an animated GIF: the map through the day."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import FieldError
from ..core.extras import optional
from ..core.files import atomic_write
from .map_picture import COLOURS, PAPER, MapScene
from .picture_moment import Course
from .schedule import AirSchedule

_WIDTH, _HEIGHT = 720, 600
_SHADES = 12
_UNCHANGED = 255  # of a palette: shows what was there before, which packs well
_LEAST_STEP, _MOST_FRAMES = 10, 2000
_HOLD_MILLISECONDS = 2000


def save_animation(
    schedule: AirSchedule,
    path: str | Path,
    first: int = 0,
    last: int | None = None,
    step: int = 180,
    frames_per_second: int = 12,
    width: int = _WIDTH,
    height: int = _HEIGHT,
) -> None:
    """Write a part of a day as a GIF, whole or not at all; the last picture stays for two seconds.

    Args:
        first, last: from when to when, in s; by default the whole day.
        step: simulated seconds from one picture to the next.
        width, height: in pixels.

    Raises:
        MissingExtraError: matplotlib, or pillow that comes with it, is not installed.
        UserError: the times are not within the day, the pictures are too many, or the file cannot be written.
    """
    last = schedule.end if last is None else last
    if not 0 <= first < last <= schedule.end:
        raise FieldError("part of the day", f"{first} to {last} s", f"two times from 0 to {schedule.end}, in order")
    if step < _LEAST_STEP or (last - first) // step >= _MOST_FRAMES:
        raise FieldError("step", step, f"at least {_LEAST_STEP} s, and at most {_MOST_FRAMES} pictures")
    with optional("drawing animations", "plot", "PIL"):
        from PIL import Image
    colours = _palette()
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours)
    scene, frames = MapScene(Course(schedule), width, height), []
    before: NDArray[np.uint8] | None = None
    for time in [*range(first, last, step), last]:
        scene.show(time)
        picture = np.array(Image.fromarray(scene.pixels()).quantize(palette=palette, dither=Image.Dither.NONE))
        changed = picture if before is None else np.where(picture == before, np.uint8(_UNCHANGED), picture)
        frame = Image.fromarray(changed)
        frame.putpalette(colours)
        frames.append(frame)
        before = picture
    content = io.BytesIO()
    durations = [1000 // frames_per_second] * (len(frames) - 1) + [_HOLD_MILLISECONDS]
    style: dict[str, Any] = {"loop": 0, "transparency": _UNCHANGED, "disposal": 1, "optimize": False}
    frames[0].save(content, "GIF", save_all=True, append_images=frames[1:], duration=durations, **style)
    atomic_write(path, content.getvalue())


def _palette() -> list[int]:
    """Red, green and blue of 256 colours: those of a map, and how they fade into its paper, as edges and trails do.

    A palette per picture would make colours flicker.
    """
    paper = _channels(PAPER)
    found = [*paper, 255, 255, 255]
    for colour in COLOURS:
        for shade in range(_SHADES):
            share = 1.0 - shade / _SHADES
            found += [round(share * c + (1.0 - share) * p) for c, p in zip(_channels(colour), paper, strict=True)]
    assert len(found) <= 3 * _UNCHANGED
    return found + [0] * (768 - len(found))


def _channels(code: str) -> list[int]:
    return [int(code[at : at + 2], 16) for at in (1, 3, 5)]
