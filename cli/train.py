"""``makespan train``: puts a run's config together and runs it."""

from __future__ import annotations

import json
from dataclasses import Field, field, fields, make_dataclass
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

from tyro.conf import arg

from ..envs.core.card import dataclass_options
from ..envs.core.errors import FieldError, UserError
from ..envs.core.extras import optional
from ..envs.core.files import user_path
from ..training.config import NO_LIMIT, PRESETS, TrainConfig, with_preset

_MAIN = ("env", "agent", "out")
_METAVARS = {int: "INT", float: "FLOAT", str: "TEXT"}
DEFAULT_PRESET = "quick"


def _option(item: Field[Any], kind: Any, description: str) -> tuple[str, Any, Any]:
    """An option that knows whether it was given: its default is None, whatever the run's is."""
    plain = next(one for one in get_args(kind) or (kind,) if one is not NoneType)
    usual = PRESETS[DEFAULT_PRESET].values.get(item.name, item.default)
    if item.name == "steps" and usual == NO_LIMIT:
        usual = "no limit"
    others = [
        f"; {preset}: {value.values[item.name]}" for preset, value in PRESETS.items() if item.name in value.values
    ]
    hint = (
        "" if usual is None else f"(default: {usual}{''.join(text for text in others if DEFAULT_PRESET not in text)})"
    )
    shown = arg(help=description.rstrip("."), help_behavior_hint=hint, metavar=_METAVARS[plain])
    return item.name, Annotated[plain | None, shown], field(default=None)


def _options() -> type[Any]:
    """A dataclass of a run's options, each None where the preset's or the config's own value holds."""
    kinds = get_type_hints(TrainConfig)
    texts = {option.name: option.description for option in dataclass_options(TrainConfig)}
    items = [
        _option(item, kinds[item.name], texts[item.name]) for item in fields(TrainConfig) if item.name not in _MAIN
    ]
    return make_dataclass("TrainOptions", items, frozen=True)


if TYPE_CHECKING:

    class TrainOptions:
        """What `_options` makes: the checker cannot know its fields."""
else:
    TrainOptions = _options()


def run(
    env: str | None,
    agent: str | None,
    out: str,
    preset: str | None,
    options: Any,
    resume: bool,
    overwrite: bool,
    as_json: bool,
    ray: str | None = None,
) -> int:
    """Train, or go on with a run.

    Args:
        env: the environment; None only where a run is resumed.
        agent: what to train; None takes the first that there is.
        out: the run's folder.
        preset: named defaults.
        options: `TrainOptions`.
        resume: go on with the run in the folder under its own config.
        overwrite: begin anew where the folder holds another run.
        as_json: print what came of it as JSON, and no progress.
        ray: address of a Ray cluster on which the run's actors play; None for this machine.

    Raises:
        UserError: something given is wrong, or the folder cannot be written.
        MissingExtraError: torch or what belongs to it is not installed.
        KeyboardInterrupt: the user stopped it; the run is saved.
    """
    if not out.strip():
        raise FieldError("option out", out, "the name of a folder")
    given = {item.name: getattr(options, item.name) for item in fields(options)}
    given = {name: value for name, value in given.items() if value is not None}
    if resume:
        config = _resumed(env, agent, out, preset, given, overwrite)
    elif env is None:
        raise UserError("train needs an environment, for example makespan/JobShop-v0; only --resume goes without")
    else:
        config = with_preset(preset or DEFAULT_PRESET, TrainConfig(env, agent or "graph-ppo", out), given)
    if ray is not None and not config.actors:
        raise FieldError("option ray", ray, "nothing without actors: give --actors too")
    _check_environment(config.env)
    from ..training.folder import hold_folder

    with hold_folder(user_path(config.out)):
        folder = _train()(config, overwrite, as_json, _lead(config.actors, ray) if config.actors else None)
    if as_json:
        print(json.dumps(_outcome(folder), indent=1, allow_nan=False))
    return 0


def _lead(actors: int, ray: str | None) -> Any:
    """Whoever lets actors work."""
    from ..eval.workers import work_through
    from .evaluate import find_players

    crew = find_players(actors, ray).workers

    def lead(board: Any, make_desk: Any, *arguments: Any) -> None:
        work_through(board, crew, make_desk, *arguments)

    return lead


def _check_environment(text: str) -> None:
    """Meet a mistake in the environment's name or options before torch is loaded, which takes seconds."""
    from ..envs.core.ids import make_single
    from ..eval.plan import parse_environment

    make_single(*parse_environment(text)).close()


def _train() -> Any:
    with optional("training", "train"):
        from ..training.run import train
    return train


def _resumed(
    env: str | None, agent: str | None, out: str, preset: str | None, given: dict[str, Any], overwrite: bool
) -> TrainConfig:
    """The config of the run in a folder; what is given beside it must agree.

    Raises:
        UserError: it does not, or the folder holds no run.
    """
    from ..training.folder import read_config

    if overwrite:
        raise UserError("--resume goes on with a run and --overwrite begins it anew; give one of them")
    config = read_config(out)
    asked = {**(PRESETS[preset].values if preset in PRESETS else {}), **given}
    asked.update({name: value for name, value in (("env", env), ("agent", agent)) if value is not None})
    for name, value in asked.items():
        if getattr(config, name) != value:
            raise UserError(
                f"--resume goes on with the run in {out!r}, whose {name} is {getattr(config, name)!r}, not {value!r}"
            )
    return config


def _outcome(folder: Path) -> dict[str, Any]:
    """What a script wants to know of a finished run."""
    found: dict[str, Any] = {"out": str(folder)}
    for name in ("best", "last"):
        card = folder / name / "card.json"
        if card.is_file():
            found[name] = {"checkpoint": str(card.parent), **json.loads(card.read_text())["training"]}
    return found
