"""The folder of a run: whose it is, and what is left alone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from makespan.envs.core.errors import UserError
from makespan.training import folder as module
from makespan.training.config import TrainConfig
from makespan.training.folder import OURS, RUN, check_folder, claim_folder, hold_folder, read_config, sweep_folder

Tiny = Callable[..., TrainConfig]


def claimed(config: TrainConfig) -> Path:
    folder = Path(config.out)
    assert check_folder(folder, config, overwrite=False)
    claim_folder(folder, config)
    return folder


def refused(folder: Path, config: TrainConfig, *parts: str, overwrite: bool = False) -> None:
    with pytest.raises(UserError) as caught:
        check_folder(folder, config, overwrite)
    assert "\n" not in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


def test_the_same_run_is_known_again(tiny: Tiny) -> None:
    folder = claimed(tiny())
    assert check_folder(folder, tiny(), overwrite=False) is False
    assert check_folder(folder, tiny(), overwrite=True) is False, "overwriting is for other runs: this one goes on"
    assert read_config(folder) == tiny()
    assert json.loads((folder / RUN).read_text())["command"] == "train"


def test_a_folder_is_the_same_by_any_name(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = claimed(tiny())
    monkeypatch.chdir(tmp_path)
    for name in (f"{folder}/", "run", "./run", "run/../run/"):
        assert check_folder(Path(name), tiny(out=name), overwrite=False) is False


def test_another_config_is_refused_by_its_first_difference(tiny: Tiny) -> None:
    folder = claimed(tiny())
    for changes, parts in (
        ({"seed": 3}, "its seed is 0, not 3"),
        ({"env": "makespan/JobShop-v0:p=0.1"}, "its env is 'makespan/JobShop-v0', not 'makespan/JobShop-v0:p=0.1'"),
        ({"imitate": "spt"}, "its imitate is None, not 'spt'"),
        ({"width": 16, "steps": 999}, "its steps is 160, not 999"),
    ):
        refused(folder, tiny(**changes), "holds another run", parts)
        assert check_folder(folder, tiny(**changes), overwrite=True) is True


def test_other_content_is_refused(tiny: Tiny) -> None:
    folder = Path(tiny().out)
    folder.mkdir()
    (folder / "thesis.txt").write_text("all of it")
    for overwrite in (False, True):
        refused(folder, tiny(), "is not empty and holds no training run", "'thesis.txt'", overwrite=overwrite)
    assert os.listdir(folder) == ["thesis.txt"]


def test_a_file_in_the_place_of_the_folder(tiny: Tiny) -> None:
    folder = Path(tiny().out)
    folder.write_text("a file")
    refused(folder, tiny(), "cannot write to", "a file")
    below = Path(tiny(out=f"{folder}/below").out)
    assert check_folder(below, tiny(), overwrite=False)
    with pytest.raises(UserError, match="cannot make or empty folder"):
        claim_folder(below, tiny())
    assert folder.read_text() == "a file"


@pytest.mark.parametrize("name", ["\0", "y" * 300, "/proc/nowhere/x", "/dev/null"])
def test_names_of_no_folder(tiny: Tiny, name: str) -> None:
    def open_it() -> None:
        check_folder(Path(name), tiny(), overwrite=False)
        claim_folder(Path(name), tiny())

    with pytest.raises(UserError) as caught:
        open_it()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", RUN),
        ("[]", RUN),
        ('{"format": "makespan/checkpoint", "version": 1}', "makespan/training-run"),
        ('{"format": "makespan/training-run", "version": 2}', "version"),
        ('{"format": "makespan/training-run", "version": 1, "command": "train", "config": []}', "expected an object"),
        ('{"format": "makespan/training-run", "version": 1, "command": "train", "config": {}}', "'env'"),
        (
            '{"format": "makespan/training-run", "version": 1, "command": "train",'
            ' "config": {"env": 5, "agent": "graph-ppo"}}',
            "option env is 5",
        ),
        (
            '{"format": "makespan/training-run", "version": 1, "command": "train",'
            ' "config": {"env": "a/b", "agent": [], "steps": 3}}',
            "option agent is []",
        ),
    ],
)
def test_a_damaged_run(tiny: Tiny, text: str, part: str) -> None:
    folder = claimed(tiny())
    (folder / RUN).write_text(text)
    refused(folder, tiny(), part, str(folder / RUN))
    refused(folder, tiny(), part, overwrite=True)


def fill(folder: Path) -> None:
    for name in ("best", "last"):
        (folder / name).mkdir()
        (folder / name / "card.json").write_text("{}")
        (folder / name / "weights.safetensors").write_text("")
    (folder / "tensorboard").mkdir()
    (folder / "tensorboard" / "events.out.tfevents.1.host.2.0").write_text("")
    (folder / "state.safetensors").write_text("")


def test_overwriting_empties_a_run_and_nothing_else(tiny: Tiny) -> None:
    folder = claimed(tiny())
    fill(folder)
    assert {path.name for path in folder.iterdir()} == OURS
    for mine in ("notes.txt", "best/notes.txt", "last/notes.txt", "tensorboard/notes.txt"):
        (folder / mine).write_text("mine")
        refused(folder, tiny(seed=1), f"holds {mine!r} beside a run; it is not overwritten", overwrite=True)
        assert (folder / mine).read_text() == "mine"
        (folder / mine).unlink()
    assert check_folder(folder, tiny(seed=1), overwrite=True)
    claim_folder(folder, tiny(seed=1))
    assert os.listdir(folder) == [RUN]
    assert read_config(folder).seed == 1


def test_a_link_is_removed_and_not_what_it_points_to(tiny: Tiny, tmp_path: Path) -> None:
    folder = claimed(tiny())
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "events.out.tfevents.1").write_text("kept")
    (folder / "tensorboard").symlink_to(other)
    assert check_folder(folder, tiny(seed=1), overwrite=True)
    claim_folder(folder, tiny(seed=1))
    assert os.listdir(folder) == [RUN]
    assert os.listdir(other) == ["events.out.tfevents.1"]


def test_emptying_that_is_cut_off_leaves_a_run(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is never one that "holds no training run": the same command can be given again."""
    folder = claimed(tiny())
    fill(folder)
    real = module._remove
    for stop in range(1, 8):
        left = stop

        def dying(path: Path) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
            real(path)

        monkeypatch.setattr(module, "_remove", dying)
        try:
            claim_folder(folder, tiny(seed=stop))
        except KeyboardInterrupt:
            assert check_folder(folder, tiny(seed=99), overwrite=True)
            assert not (set(os.listdir(folder)) - OURS)
        else:
            assert read_config(folder).seed == stop
            return
        fill_again = set(OURS) - set(os.listdir(folder)) - {RUN}
        for name in fill_again:
            (folder / name).mkdir()
    pytest.fail("emptying has more steps than were tried")


def test_what_a_killed_process_leaves_is_swept_up(tiny: Tiny) -> None:
    config = tiny()
    folder = Path(config.out)
    folder.mkdir()
    (folder / ".0123456789abcdef.tmp").write_text("half")
    assert check_folder(folder, config, overwrite=False), "killed while run.json was written"
    claim_folder(folder, config)
    assert os.listdir(folder) == [RUN]
    fill(folder)
    (folder / ".0123456789abcdef.tmp").write_text("half")
    (folder / ".best.new").mkdir()
    (folder / ".last.old").mkdir()
    assert check_folder(folder, config, overwrite=False) is False
    sweep_folder(folder)
    assert set(os.listdir(folder)) == OURS | {".last.old"}, "a checkpoint between two names is not rubbish"
    assert check_folder(folder, tiny(seed=1), overwrite=True)


def test_a_folder_has_one_writer_at_a_time(tiny: Tiny) -> None:
    folder = Path(tiny().out)
    with hold_folder(folder):
        with pytest.raises(UserError, match="another process"):
            hold_folder(folder)
        claimed(tiny())
        assert check_folder(folder, tiny(), overwrite=False) is False
        with pytest.raises(UserError, match="another process"):
            hold_folder(folder)  # emptying it has not freed it
    with hold_folder(folder):
        assert read_config(folder) == tiny()


def test_a_file_cannot_be_held(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="that of a file"):
        hold_folder(tmp_path / "file")


@pytest.mark.parametrize("place", ["state.safetensors", "best", "last/card.json", RUN])
def test_links_in_the_folder_are_not_followed(tiny: Tiny, tmp_path: Path, place: str) -> None:
    folder, kept = claimed(tiny()), tmp_path / "kept"
    kept.write_text("all of it")
    (folder / place).parent.mkdir(exist_ok=True)
    (folder / place).unlink(missing_ok=True)
    (folder / place).symlink_to(kept)
    for overwrite in (False, True):
        refused(folder, tiny(), "is a link", overwrite=overwrite)
    assert kept.read_text() == "all of it"
