"""Programs of JAX whose compiled form ships with memory mapping: writes their scheduled HLO text into a folder.

    python benchmarks/memory_mapping_jax.py FOLDER

Needs ``jax`` (CPU), which nothing else here does; its version is written beside the texts. Those that ship are of jax
0.10.2, which made them anew byte for byte. XLA fuses for the CPU, not for the TPU that the hardware describes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax  # type: ignore[import-not-found]
import jax.numpy as jnp  # type: ignore[import-not-found]

Shape = jax.ShapeDtypeStruct
Params = dict[str, Any]


def _array(*sides: int) -> Any:
    return Shape(sides, jnp.float32)


# --- a recurrent net whose steps are a loop ---------------------------------------------------------------------------


def lstm(params: Params, xs: jax.Array) -> jax.Array:
    """LSTM with normalised weights (Salimans and Kingma 2016) over a sequence [T, B, W]; the last states' scores."""
    weights = {
        key: params[key] / jnp.sqrt(jnp.sum(params[key] ** 2, axis=0, keepdims=True)) for key in ("input", "state")
    }

    def step(carry: tuple[jax.Array, jax.Array], x: jax.Array) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        hidden, memory = carry
        gates = x @ weights["input"] + hidden @ weights["state"] + params["bias"]
        enter, forget, cell, leave = jnp.split(gates, 4, axis=-1)
        memory = jax.nn.sigmoid(forget) * memory + jax.nn.sigmoid(enter) * jnp.tanh(cell)
        hidden = jax.nn.sigmoid(leave) * jnp.tanh(memory)
        return (hidden, memory), hidden

    start = jnp.zeros(xs.shape[1:]), jnp.zeros(xs.shape[1:])
    _, seen = jax.lax.scan(step, start, xs)
    return jnp.tanh(seen @ params["middle"]) @ params["head"]


def lstm_arguments(batch: int, width: int = 1024, steps: int = 32) -> tuple[Any, ...]:
    shapes = {
        "input": _array(width, 4 * width),
        "state": _array(width, 4 * width),
        "bias": _array(4 * width),
        "middle": _array(width, width),
        "head": _array(width, 4096),
    }
    return shapes, _array(steps, batch, width)


# --- a transformer whose layers are a loop ----------------------------------------------------------------------------


def _norm(x: jax.Array) -> jax.Array:
    return (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + 1e-5)


def _layer(x: jax.Array, layer: Params, heads: int) -> jax.Array:
    batch, length, width = x.shape
    mixed = (_norm(x) @ layer["attend"]).reshape(batch, length, 3, heads, width // heads)
    query, key, value = mixed[:, :, 0], mixed[:, :, 1], mixed[:, :, 2]
    chance = jax.nn.softmax(jnp.einsum("bqhd,bkhd->bhqk", query, key) / (width // heads) ** 0.5)
    x = x + jnp.einsum("bhqk,bkhd->bqhd", chance, value).reshape(x.shape) @ layer["out"]
    return x + jax.nn.gelu(_norm(x) @ layer["wide"]) @ layer["narrow"]


def encoder(params: Params, x: jax.Array) -> jax.Array:
    """A transformer encoder on [B, L, W] that loops over its layers' stacked weights."""
    x, _ = jax.lax.scan(lambda x, layer: (_layer(x, layer, 8), None), x + params["place"], params["layers"])
    return _norm(x) @ params["head"]


def _layer_shapes(width: int, stack: tuple[int, ...] = ()) -> Params:
    return {
        "attend": _array(*stack, width, 3 * width),
        "out": _array(*stack, width, width),
        "wide": _array(*stack, width, 4 * width),
        "narrow": _array(*stack, 4 * width, width),
    }


def encoder_arguments(batch: int, length: int = 256, width: int = 512, layers: int = 6) -> tuple[Any, ...]:
    params = {"layers": _layer_shapes(width, (layers,)), "place": _array(length, width), "head": _array(width, 8192)}
    return params, _array(batch, length, width)


# --- a training step --------------------------------------------------------------------------------------------------


def transformer_step(params: Params, slots: Params, x: jax.Array, labels: jax.Array) -> tuple[Params, Params]:
    """One step of momentum on a small transformer; parameters and slots are donated, so that they change in place."""

    def loss(params: Params) -> jax.Array:
        seen = x
        for layer in params["layers"]:
            seen = _layer(seen, layer, 8)
        scores = jax.nn.log_softmax(seen.mean(1) @ params["head"])
        return -jnp.take_along_axis(scores, labels[:, None], axis=1).mean()

    gradients = jax.grad(loss)(params)
    slots = jax.tree.map(lambda slot, gradient: 0.9 * slot + gradient, slots, gradients)
    return jax.tree.map(lambda param, slot: param - 0.01 * slot, params, slots), slots


def transformer_step_arguments(batch: int, length: int = 128, width: int = 512, layers: int = 4) -> tuple[Any, ...]:
    params = {"layers": [_layer_shapes(width) for _ in range(layers)], "head": _array(width, 1024)}
    return params, params, _array(batch, length, width), Shape((batch,), jnp.int32)


PROGRAMS: dict[str, tuple[Callable[..., Any], Callable[..., tuple[Any, ...]], tuple[int, ...]]] = {
    "looplstm": (lstm, lstm_arguments, (32, 128)),
    "loopencoder": (encoder, encoder_arguments, (4, 16)),
    "xlatrain": (transformer_step, transformer_step_arguments, (8, 32)),
}


def main(folder: str) -> None:
    Path(folder, "jax.txt").write_text(jax.__version__)
    for name, (function, arguments, batches) in PROGRAMS.items():
        donated = (0, 1) if function is transformer_step else ()
        for batch in batches:
            compiled = jax.jit(function, donate_argnums=donated).lower(*arguments(batch)).compile()
            Path(folder, f"{name}_b{batch}.hlo").write_text(compiled.as_text())


if __name__ == "__main__":
    main(sys.argv[1])
