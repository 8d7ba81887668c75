"""`makespan trace`: a model becomes an instance file, or one line says why not."""

from __future__ import annotations

import json

import pytest
from makespan.cli.main import main
from makespan.envs.memory_mapping.instance import MemoryInstance

HLO = """HloModule jit_f, is_scheduled=true

ENTRY %main (x: f32[64,64]) -> f32[64,64] {
  %x = f32[64,64]{1,0} parameter(0)
  ROOT %y = f32[64,64]{1,0} dot(%x, %x), lhs_contracting_dims={1}, rhs_contracting_dims={0}
}
"""
MODULE = """
import torch
from torch import nn
from helper import WIDTH


class Model(nn.Module):
    def __init__(self, out=64):
        super().__init__()
        self.layer = nn.Linear(WIDTH, out)

    def forward(self, x):
        return self.layer(x)


class Loss(Model):
    def forward(self, x):
        return self.layer(x).square().mean()


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(1000, WIDTH)

    def forward(self, ids):
        return self.table(ids)


class Broken(nn.Module):
    def __init__(self):
        raise KeyError("weights.bin")


class Leaves(nn.Module):
    def __init__(self):
        import sys
        sys.exit()


class LeavesLater(nn.Module):
    def forward(self, x):
        raise SystemExit(3)


class Branches(nn.Module):
    def forward(self, x):
        return x + 1 if x.sum() > 0 else x


ready = Model()
number = 3


def seven():
    return 7
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "f.hlo").write_text(HLO)
    (tmp_path / "models.py").write_text(MODULE)
    (tmp_path / "helper.py").write_text("WIDTH = 256\n")
    return tmp_path


def run(folder, model, *options, out="out.json"):
    return main(["trace", str(folder / model), *options, "--out", str(folder / out)])


def fails(folder, capsys, model, *options, **given):
    before = sorted(folder.iterdir())
    assert run(folder, model, *options, **given) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert [path for path in sorted(folder.iterdir()) if path.name != "__pycache__"] == before
    return error


def test_hlo(folder, capsys):
    assert run(folder, "f.hlo", "--cmem", "64", "--name", "mine") == 0
    instance = MemoryInstance.load(folder / "out.json")
    assert instance.name == "mine"
    assert instance.hardware.cmem_bytes == 64 * 2**20
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(f"out.json: mine, {instance.hash}")
    assert lines[1].strip() == "1 instruction, 2 tensors, 2 accesses, 0 alias groups, 0 loops"
    assert len(lines) == 7


def test_json(folder, capsys):
    assert run(folder, "f.hlo", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    instance = MemoryInstance.load(folder / "out.json")
    assert facts["all_hbm_ps"] == instance.all_hbm_ps
    assert facts["peak_live_bytes"] == 2 * 64 * 64 * 4
    assert facts["hash"] == instance.hash


@pytest.mark.parametrize("model", ["Model", "ready"])
def test_a_module(folder, model):
    pytest.importorskip("torch")
    assert run(folder, f"models.py:{model}", "--input", "32x256") == 0
    instance = MemoryInstance.load(folder / "out.json")
    assert instance.name == model.lower()
    assert [x.op for x in instance.instructions] == ["addmm"]
    assert instance.source["dtype"] == "bf16"


def test_the_home_folder_is_known(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(folder)
    assert main(["trace", "f.hlo", "--out", "~/mine.json"]) == 0
    assert (folder / "mine.json").is_file()
    assert not (folder / "~").exists()


def test_inputs_of_whole_numbers_and_other_types(folder):
    pytest.importorskip("torch")
    assert run(folder, "models.py:Words", "--input", "4x128:int", "--dtype", "f32") == 0
    assert MemoryInstance.load(folder / "out.json").access_bytes.max() == 4 * 128 * 256 * 4


def test_a_training_step(folder):
    pytest.importorskip("torch")
    assert run(folder, "models.py:Loss", "--input", "32x256", "--train", "adam") == 0
    assert MemoryInstance.load(folder / "out.json").source["kind"] == "torch.autograd, adam"


@pytest.mark.parametrize(
    "model, options, says",
    [
        ("models.py:Model", ["--input", "32x"], "option input is '32x', expected sides such as 8x3x224x224"),
        ("models.py:Model", [], "option input is missing"),
        ("models.py:Modle", ["--input", "3"], "did you mean 'Model'?"),
        ("models.py", ["--input", "3"], "expected module.py:Model, or a file of HLO text"),
        ("models.py:number", ["--input", "3"], "models.py: TypeError: 'int' object is not callable"),
        ("models.py:seven", ["--input", "3"], "makes something of type int, expected a torch.nn.Module"),
        ("models.py:Broken", ["--input", "3"], "models.py: KeyError: 'weights.bin'"),
        ("models.py:Leaves", ["--input", "3"], "models.py: it ends the program by sys.exit(None)"),
        ("models.py:LeavesLater", ["--input", "3"], "module 'leaveslater' cannot be exported"),
        ("models.py:Branches", ["--input", "4x4"], "'branches' cannot be exported: at operator '__bool__'"),
        ("models.py:Model", ["--input", "4x4"], "cannot be exported: at operator 'linear'"),
        ("models.py:Model", ["--input", "4x256", "--trips", "3"], "option trips is for HLO text"),
        ("no.py:Model", ["--input", "3"], "no such file"),
        ("f.hlo", ["--input", "3"], "option input is for PyTorch modules"),
        ("f.hlo", ["--train", "sgd"], "option train is for PyTorch modules"),
        ("f.hlo", ["--cmem", "0"], "option cmem is 0.0, expected a size in MiB"),
        ("f.hlo", ["--dtype", "f64"], "f64"),
        ("no.hlo", [], "no such file"),
    ],
)
def test_mistakes(folder, capsys, model, options, says):
    if ".py" in model:
        pytest.importorskip("torch")
    assert says in fails(folder, capsys, model, *options)


def test_the_file_must_be_json(folder, capsys):
    assert "expected a name that ends in .json" in fails(folder, capsys, "f.hlo", out="out.txt")


def test_a_file_with_a_syntax_error(folder, capsys):
    pytest.importorskip("torch")
    (folder / "bad.py").write_text("class Model(:\n")
    assert "bad.py: SyntaxError: " in fails(folder, capsys, "bad.py:Model", "--input", "3")
