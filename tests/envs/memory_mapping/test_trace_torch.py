"""PyTorch modules as instances: what is read, computed, written in place; what cannot be traced."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from makespan.envs.core.errors import UserError
from makespan.envs.memory_mapping.instance import Hardware, MemoryInstance

torch = pytest.importorskip("torch")

from makespan.envs.memory_mapping.tracing.trace_torch import trace_module, trace_training_step  # noqa: E402
from torch import nn  # noqa: E402


def trace(module, *inputs, **options):
    return trace_module(module.to("meta").eval(), inputs, smallest_bytes=1, **options)


def zeros(*sides, dtype=torch.float32):
    return torch.zeros(sides, dtype=dtype, device="meta")


def by_name(instance):
    return {tensor.name: tensor for tensor in instance.tensors}


def rows(instance):
    names = [tensor.name for tensor in instance.tensors]
    return [
        (x.op, {names[v]: size for v, size in x.reads}, {names[v]: size for v, size in x.writes})
        for x in instance.instructions
    ]


def test_a_perceptron_by_hand():
    instance = trace(nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 32)), zeros(8, 64))
    first, second = rows(instance)
    assert first[0] == "addmm+relu"
    assert first[1] == {"0.bias": 256, "input": 1024, "0.weight": 16384}
    assert list(first[2].values()) == [2048]
    assert second[1] == {"2.bias": 64, **first[2], "2.weight": 8192}
    assert [x.mxu_flops for x in instance.instructions] == [2 * 8 * 64 * 128, 2 * 8 * 128 * 32]
    assert instance.instructions[0].vec_flops == 8 * 128
    assert [x.kind for x in instance.tensors] == ["param", "input", "param", "act", "param", "param", "output"]


def test_bytes_of_an_element():
    module = nn.Linear(64, 64)
    sizes = {
        dtype: by_name(trace(module, zeros(8, 64), dtype=dtype))["weight"].bytes for dtype in ("own", "bf16", "f32")
    }
    assert sizes == {"own": 16384, "bf16": 8192, "f32": 16384}
    with pytest.raises(UserError, match="dtype is 'f8', expected own or bf16"):
        trace(module, zeros(8, 64), dtype="f8")


def test_small_tensors_are_left_out_by_default():
    module = nn.Linear(64, 64).to("meta").eval()
    assert "bias" not in by_name(trace_module(module, (zeros(8, 64),)))


def test_normalisation_and_rectifier_join_the_convolution():
    module = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    (instruction,) = trace(module, zeros(2, 3, 16, 16)).instructions
    assert instruction.op == "convolution+batch_norm+relu"
    assert instruction.mxu_flops == 2 * (2 * 8 * 16 * 16) * 3 * 9


class Shared(nn.Module):
    """The sum of a product and its transpose, of which a part is returned: all views of one storage."""

    def forward(self, x):
        y = x @ x
        return (y + y.t())[:4]


def test_views_are_folded_into_what_they_look_at():
    instance = trace(Shared(), zeros(16, 16))
    assert [(tensor.kind, tensor.bytes) for tensor in instance.tensors] == [("input", 512), ("output", 512)]


class Sliced(nn.Module):
    def forward(self, x):
        return torch.softmax(x[:2], dim=-1)


def test_a_slice_reads_what_it_shows():
    ((_, reads, writes),) = rows(trace(Sliced(), zeros(8, 64)))
    assert reads == {"x": 256}
    assert list(writes.values()) == [256]


def test_a_gather_reads_the_rows_that_it_touches():
    ((_, reads, _),) = rows(trace(nn.Embedding(10_000, 64), zeros(4, dtype=torch.int64)))
    assert reads == {"weight": 4 * 64 * 2, "input": 16}
    ((_, reads, _),) = rows(trace(nn.Embedding(2, 64), zeros(100, dtype=torch.int64)))
    assert reads["weight"] == 2 * 64 * 2  # no more than there is


class Cached(nn.Module):
    """Writes one row of a buffer, then looks at all of it."""

    def __init__(self):
        super().__init__()
        self.cache: Any
        self.register_buffer("cache", torch.zeros(32, 64))

    def forward(self, x):
        self.cache[3:4] = x
        return self.cache @ x.t()


def test_a_buffer_is_updated_in_place():
    instance = trace(Cached(), zeros(1, 64))
    update, product = rows(instance)
    new = next(iter(update[2]))
    assert update[1] == {"x": 128, "cache": 0}
    assert update[2] == {new: 128}
    assert product[1] == {new: 4096, "x": 128}
    tensors = by_name(instance)
    assert tensors["cache"].alias_group == tensors[new].alias_group is not None
    assert tensors[new].kind == "output"


class Unchanged(nn.Module):
    """The same on a copy: the buffer must not change."""

    def __init__(self):
        super().__init__()
        self.cache: Any
        self.register_buffer("cache", torch.zeros(32, 64))

    def forward(self, x):
        copy = self.cache.clone()
        copy[3:4] = x
        return copy @ x.t()


def test_a_buffer_that_must_not_change_is_copied():
    update = rows(trace(Unchanged(), zeros(1, 64)))[0]
    assert update[1] == {"x": 128, "cache": 4096}
    assert list(update[2].values()) == [4096]


def test_the_source_names_model_and_graph():
    source = trace(nn.Linear(8, 8), zeros(4, 8), name="small").source
    assert source["kind"] == "torch.export"
    assert source["model"] == "small"
    assert source["torch"] == torch.__version__.partition("+")[0]
    again, other = (trace(nn.Linear(8, 8), zeros(b, 8)).source for b in (4, 5))
    assert source["sha256"] == again["sha256"] != other["sha256"]


def test_tracing_twice_gives_the_same_instance_which_survives_a_file(tmp_path):
    one, two = (trace(nn.Linear(8, 8), zeros(4, 8), hardware=Hardware(cmem_bytes=2**20)) for _ in range(2))
    assert one.hash == two.hash
    one.save(tmp_path / "x.json")
    assert MemoryInstance.load(tmp_path / "x.json").same_as(one)


# --- training steps ---------------------------------------------------------------------------------------------------


class Loss(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64))

    def forward(self, x):
        return self.layers(x).square().mean()


@pytest.mark.parametrize("optimiser, slots", [("sgd", 0), ("momentum", 1), ("adam", 2)])
def test_a_training_step_updates_parameters_in_place(optimiser, slots):
    instance = trace_training_step(Loss().to("meta"), (zeros(32, 64),), optimiser, smallest_bytes=1)
    groups = {}
    for tensor in instance.tensors:
        if tensor.alias_group is not None:
            groups.setdefault(tensor.alias_group, []).append((tensor.kind, tensor.bytes))
    # weights and biases of two layers and what the optimiser keeps of each
    assert len(groups) == 4 * (1 + slots)
    assert all([kind for kind, _ in members] == ["param", "output"] for members in groups.values())
    forward_and_backward = 2 * 32 * 64 * 128 * 5  # the first layer's input needs no gradient
    assert sum(x.mxu_flops for x in instance.instructions) == forward_and_backward


def test_activations_live_until_the_backward_pass():
    instance = trace_training_step(Loss().to("meta"), (zeros(32, 64),), "sgd", smallest_bytes=1)
    hidden = next(iter(rows(instance)[0][2]))
    reads = [t for t, (_, reads, _) in enumerate(rows(instance)) if hidden in reads]
    assert reads[0] == 1
    assert reads[-1] > instance.num_instructions // 2


def test_an_unknown_optimiser():
    with pytest.raises(UserError, match="optimiser is 'lion', expected sgd or momentum or adam"):
        trace_training_step(Loss().to("meta"), (zeros(32, 64),), "lion")


# --- what cannot be traced --------------------------------------------------------------------------------------------


class DataDependent(nn.Module):
    def forward(self, x):
        return x[x > 0]


class Branches(nn.Module):
    def forward(self, x):
        return x + 1 if x.sum() > 0 else x.exp()


def test_a_shape_that_depends_on_data_names_the_operator():
    with pytest.raises(UserError, match=r"operator aten\.index\.Tensor has a result whose shape \('u0',\)"):
        trace(DataDependent(), zeros(4, 4))


def test_a_branch_on_data_names_the_operator(capfd):
    with pytest.raises(UserError, match="module 'branches' cannot be exported: at operator '__bool__'") as caught:
        trace(Branches(), zeros(4, 4))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_inputs_that_do_not_fit_name_the_operator():
    with pytest.raises(UserError, match="cannot be exported: at operator 'linear': a and b must"):
        trace(nn.Linear(8, 8), zeros(4, 9))


@torch.library.custom_op("makespan_tests::opaque", mutates_args=())
def opaque(x: torch.Tensor) -> torch.Tensor:  # pyright: ignore[reportInvalidTypeForm]
    return x.clone()


def no_such_key(x):
    return {}[x.shape]


def attribute(x):
    return x.no_such_attribute


def product(x):
    return x @ torch.zeros(3, 3, device="meta")


def rows_of(x):
    return torch.cond(x.sum() > 0, lambda a: a.no_such_attribute, lambda a: a - 1, (x,))


def as_numpy(x):
    return x.numpy()


class Either(nn.Module):
    def forward(self, x):
        return torch.cond(x.sum() > 0, lambda a: a + 1, lambda a: a - 1, (x,))


def test_an_operator_that_chooses_between_programs_is_not_supported():
    with pytest.raises(UserError, match=r"^operator cond is not supported$"):
        trace(Either(), zeros(4, 8))


class Fails(nn.Module):
    """Goes well up to an operator, then comes what fails."""

    def __init__(self, what):
        super().__init__()
        self.layer = nn.Linear(8, 8)
        self.what = what

    def forward(self, x):
        return self.what(torch.relu(self.layer(x)))


@pytest.mark.parametrize(
    "what, says",
    [
        (product, r"at operator 'matmul' \(test_trace_torch.py, line {line}\): a and b must have same reduction dim"),
        (
            opaque,
            r"at operator 'makespan_tests::opaque' \(test_trace_torch.py, line {forward}\): There was no fake impl",
        ),
        (rows_of, r"at operator 'cond' \(test_trace_torch.py, line {line}\): "),
        (as_numpy, r"at operator 'numpy' \(test_trace_torch.py, line {line}\): "),
        (no_such_key, r"cannot be exported: test_trace_torch.py, line {line}: KeyError: torch.Size\(\[4, 8\]\)$"),
        (
            attribute,
            r"cannot be exported: test_trace_torch.py, line {line}: AttributeError: 'FakeTensor' object has no",
        ),
    ],
)
def test_only_an_operator_that_fails_is_named(what, says):
    line = inspect.getsourcelines(what)[1] + 1 if what is not opaque else 0
    forward = inspect.getsourcelines(Fails.forward)[1] + 1
    with pytest.raises(UserError, match=says.format(line=line, forward=forward)) as caught:
        trace(Fails(what), zeros(4, 8))
    assert "\n" not in str(caught.value)
    assert "'relu'" not in str(caught.value)


def test_a_training_step_that_fails_names_the_operator():
    line = inspect.getsourcelines(product)[1] + 1
    with pytest.raises(UserError, match=rf"at operator 'matmul' \(test_trace_torch.py, line {line}\)"):
        trace_training_step(Fails(product).to("meta"), (zeros(4, 8),))


def test_a_loss_that_is_no_number_is_told_so():
    with pytest.raises(UserError, match=r"module 'linear_train' returns a tensor of shape \(4, 8\), expected the loss"):
        trace_training_step(nn.Linear(8, 8).to("meta"), (zeros(4, 8),))


def test_inputs_that_are_missing_are_no_operators_fault():
    with pytest.raises(UserError, match="module 'linear' cannot be exported: TypeError: missing a required argument"):
        trace(nn.Linear(8, 8))
