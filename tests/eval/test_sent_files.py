"""Which files a command names, for machines that do not see them."""

from pathlib import Path

import pytest
from makespan.eval.sent_files import collect_files


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("best", "last"):
        (tmp_path / "runs/x" / name).mkdir(parents=True)
        for file in ("card.json", "weights.safetensors"):
            (tmp_path / "runs/x" / name / file).write_text(name)
    for file in ("run.json", "state.safetensors"):
        (tmp_path / "runs/x" / file).write_text("")
    (tmp_path / "shops").mkdir()
    for number in range(2):
        (tmp_path / "shops" / f"{number}.json").write_text("{}")
    return tmp_path


PLAYED = {"runs/x/best/card.json", "runs/x/best/weights.safetensors"}
SHOPS = {"shops/0.json", "shops/1.json"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("spt,runs/x:samples=4", PLAYED),
        ("reconsider:of=runs/x/best+lrm:plan=spt", PLAYED),
        ("reconsider:of=lrm:plan=./runs/x/best", PLAYED),
        ("hybrid:of=spt+runs/x@samples=4", PLAYED),
        ("hybrid:of=reconsider@plan=runs/x+spt", PLAYED),
        ("makespan/JobShop-v0:instance=shops/*.json", SHOPS),
        ("ft06,shops", set()),
        ("./shops", SHOPS),
        ("shops/1.json,shops/2.json", {"shops/1.json"}),
        ("checkpoints/job_shop_scorer,/etc/hosts,../shops/0.json,no/such,a/\0", set()),
    ],
)
def test_what_texts_name_is_found(here: Path, text: str, expected: set[str]) -> None:
    assert set(collect_files([text])) == expected


def test_a_checkpoint_between_two_names_is_sent(here: Path) -> None:
    (here / "runs/x/best").rename(here / "runs/x/.best.old")
    assert set(collect_files(["runs/x"])) == {name.replace("best", ".best.old", 1) for name in PLAYED}
