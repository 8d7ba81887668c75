"""Searches per second: Gumbel search with 50 actions, 32 simulations and 128 roots at a time, on one core.

    python benchmarks/search.py
    python benchmarks/search.py --rounds 3 --seconds 0.3

Where `mctx` (and so `jax`) is installed its jitted `gumbel_muzero_policy` is measured in turn with ours, round after
round, so that both meet the same state of the machine; the median over rounds of searches per CPU second counts. There
are two models, the same for both: a table of states, which costs next to nothing, so that the trees themselves are
compared, and a multi-layer perceptron with the same weights (torch for ours, jax for mctx). Both searches start from
the same Gumbel numbers, and how often they choose the same action is printed, too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch
import tyro
from makespan.agents.muzero.search import Evaluation, Model, SearchConfig, Searcher
from numpy.typing import NDArray

STATES = 4096
Search = Callable[[], NDArray[Any]]


@dataclass(frozen=True)
class Options:
    """What is measured.

    Attributes:
        roots: searched at a time.
        actions: of every state.
        simulations: of a search.
        width: of the perceptron's layers.
        rounds: of measuring everything in turn.
        seconds: of CPU time that each measurement takes at least.
    """

    roots: int = 128
    actions: int = 50
    simulations: int = 32
    width: int = 64
    rounds: int = 7
    seconds: float = 0.5


# --- a table of states ------------------------------------------------------------------------------------------------


def make_table(options: Options) -> dict[str, NDArray[Any]]:
    """A world of random states."""
    rng = np.random.default_rng(0)
    shape = (STATES, options.actions)
    return {
        "values": rng.normal(size=STATES).astype(np.float32),
        "logits": rng.normal(size=shape).astype(np.float32),
        "rewards": (0.3 * rng.normal(size=STATES)).astype(np.float32),
        "following": rng.integers(0, STATES, shape),
    }


class TableModel(Model):
    """The table as our model."""

    def __init__(self, table: dict[str, NDArray[Any]], options: Options) -> None:
        self._table = table
        self._legal = np.ones((options.roots, options.actions), dtype=np.int8)
        self._discounts = np.full(options.roots, 0.99, dtype=np.float32)
        self._rows = np.arange(options.roots)

    def begin(self, nodes: int) -> Evaluation:
        self._states = np.zeros((len(self._rows), nodes), dtype=np.int64)
        self._states[:, 0] = self._rows
        return self._evaluate(self._rows)

    def expand(self, node: int, parents: Any, actions: Any, fresh: Any) -> Evaluation:
        after = self._table["following"][self._states[self._rows, parents], actions]
        self._states[:, node] = after
        return self._evaluate(after)

    def _evaluate(self, states: NDArray[np.int64]) -> Evaluation:
        table = self._table
        return Evaluation(
            table["rewards"][states], self._discounts, table["values"][states], table["logits"][states], self._legal
        )


# --- a perceptron -----------------------------------------------------------------------------------------------------


def make_weights(options: Options) -> dict[str, NDArray[Any]]:
    """Weights of dynamics (state and action to state and reward) and prediction (state to logits and value)."""
    rng = np.random.default_rng(1)
    width, actions = options.width, options.actions
    shapes = {
        "state": (width, width),
        "action": (actions, width),
        "next": (width, width),
        "hidden": (width, width),
        "out": (width, actions + 2),
    }
    return {name: (rng.normal(size=shape) / shape[0] ** 0.5).astype(np.float32) for name, shape in shapes.items()}


def first_latents(options: Options) -> NDArray[np.float32]:
    """Latent states of the roots."""
    return np.random.default_rng(2).normal(size=(options.roots, options.width)).astype(np.float32)


class PerceptronModel(Model):
    """The perceptron in torch as our model: latent states of all nodes stand in one tensor."""

    def __init__(self, weights: dict[str, NDArray[Any]], options: Options) -> None:
        self._weights = {name: torch.from_numpy(array) for name, array in weights.items()}
        self._roots = torch.from_numpy(first_latents(options))
        self._legal = np.ones((options.roots, options.actions), dtype=np.int8)
        self._discounts = np.full(options.roots, 0.99, dtype=np.float32)

    def begin(self, nodes: int) -> Evaluation:
        count, width = self._roots.shape
        self._latents = torch.empty(nodes * count, width)
        self._rows = torch.arange(count)
        return self._evaluate(0, self._roots)

    def expand(self, node: int, parents: Any, actions: Any, fresh: Any) -> Evaluation:
        weights, count = self._weights, len(self._rows)
        before = self._latents.index_select(0, torch.from_numpy(parents) * count + self._rows)
        moved = torch.relu(before @ weights["state"] + weights["action"].index_select(0, torch.from_numpy(actions)))
        return self._evaluate(node, torch.tanh(moved @ weights["next"]))

    def _evaluate(self, node: int, latents: torch.Tensor) -> Evaluation:
        weights, count = self._weights, len(self._rows)
        self._latents[node * count : (node + 1) * count] = latents
        out = (torch.relu(latents @ weights["hidden"]) @ weights["out"]).numpy()
        values, rewards, logits = out[:, 0], out[:, 1], out[:, 2:]
        return Evaluation(rewards, self._discounts, values, logits, self._legal)


def ours(model: Any, gumbel: NDArray[np.float64], options: Options) -> Search:
    """Our search on a model; returns actions."""
    searcher = Searcher(SearchConfig(options.simulations, floor=0.0))

    def search() -> NDArray[Any]:
        with torch.inference_mode():
            return searcher.search(model, gumbel).actions

    return search


# --- mctx -------------------------------------------------------------------------------------------------------------


def mctx_searches(
    table: dict[str, NDArray[Any]], weights: dict[str, NDArray[Any]], gumbel: NDArray[np.float64], options: Options
) -> dict[str, Search]:
    """The same two models under mctx, jitted; none where it is not installed."""
    try:
        import jax  # pyright: ignore[reportMissingImports]
        import jax.numpy as jnp  # pyright: ignore[reportMissingImports]
        import mctx  # pyright: ignore[reportMissingImports]
    except ImportError:
        return {}

    discounts = jnp.full(options.roots, 0.99, dtype=jnp.float32)

    def predict(weights: Any, latents: Any) -> Any:
        out = jax.nn.relu(latents @ weights["hidden"]) @ weights["out"]
        return out[:, 0], out[:, 1], out[:, 2:]

    def by_perceptron(weights: Any, key: Any, action: Any, latents: Any) -> Any:
        after = jnp.tanh(jax.nn.relu(latents @ weights["state"] + weights["action"][action]) @ weights["next"])
        value, reward, logits = predict(weights, after)
        return mctx.RecurrentFnOutput(reward=reward, discount=discounts, prior_logits=logits, value=value), after

    def by_table(table: Any, key: Any, action: Any, states: Any) -> Any:
        after = table["following"][states, action]
        reward, value, logits = table["rewards"][after], table["values"][after], table["logits"][after]
        return mctx.RecurrentFnOutput(reward=reward, discount=discounts, prior_logits=logits, value=value), after

    def jitted(recurrent: Any, make_root: Any, parameters: dict[str, NDArray[Any]]) -> Search:
        given = {name: jnp.asarray(array) for name, array in parameters.items()}

        @jax.jit
        def run(parameters: Any, key: Any) -> Any:
            output = mctx.gumbel_muzero_policy(
                parameters, key, make_root(parameters), recurrent, options.simulations, gumbel_scale=1.0
            )
            return output.action

        drawn = jax.random.gumbel
        try:  # both start from the same numbers
            jax.random.gumbel = lambda *_, **__: jnp.asarray(gumbel, dtype=jnp.float32)
            run(given, jax.random.PRNGKey(0)).block_until_ready()
        finally:
            jax.random.gumbel = drawn
        return lambda: np.asarray(run(given, jax.random.PRNGKey(0)))

    def table_root(table: Any) -> Any:
        states = jnp.arange(options.roots)
        return mctx.RootFnOutput(prior_logits=table["logits"][states], value=table["values"][states], embedding=states)

    def perceptron_root(weights: Any) -> Any:
        latents = jnp.asarray(first_latents(options))
        value, _, logits = predict(weights, latents)
        return mctx.RootFnOutput(prior_logits=logits, value=value, embedding=latents)

    return {
        "table": jitted(by_table, table_root, table),
        "perceptron": jitted(by_perceptron, perceptron_root, weights),
    }


# --- measuring --------------------------------------------------------------------------------------------------------


def speed(search: Search, options: Options) -> float:
    """Searches per CPU second."""
    done, began = 0, time.process_time()
    while (spent := time.process_time() - began) < options.seconds:
        search()
        done += options.roots
    return done / spent


def main(options: Options) -> None:
    """Measure, and print a line for each model."""
    if hasattr(os, "sched_setaffinity"):  # jax has no other way to keep to one core
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    table, weights = make_table(options), make_weights(options)
    gumbel = np.random.default_rng(3).gumbel(size=(options.roots, options.actions))
    own = {
        "table": ours(TableModel(table, options), gumbel, options),
        "perceptron": ours(PerceptronModel(weights, options), gumbel, options),
    }
    theirs = mctx_searches(table, weights, gumbel, options)
    chosen = {name: search() for name, search in own.items()}
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(options.rounds):
        for name in own:
            found.setdefault(("makespan", name), []).append(speed(own[name], options))
            if name in theirs:
                found.setdefault(("mctx", name), []).append(speed(theirs[name], options))
    for name in own:
        line = f"{name}: makespan {median(found['makespan', name]):,.0f} searches/s"
        if name in theirs:
            ratio = median(a / b for a, b in zip(found["makespan", name], found["mctx", name], strict=True))
            same = float(np.mean(chosen[name] == theirs[name]()))
            line += f", mctx {median(found['mctx', name]):,.0f}, ratio {ratio:.2f}; same action {same:.1%}"
        print(line)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
