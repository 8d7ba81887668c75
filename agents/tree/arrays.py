"""A decision tree as arrays: what a checkpoint holds, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.core.errors import UserError

LEAF = -1
_TYPES = {"feature": "int32", "threshold": "float32", "left": "int32", "right": "int32", "value": "float32"}
_MOST_NODES = 2**17


class Tree(NamedTuple):
    """A binary tree of N nodes; node 0 is the root, and children come after their parents.

    Attributes:
        feature: int32 [N], the number of the input that a node compares, `LEAF` where it is a leaf.
        threshold: float32 [N]; an input at most as large goes left. 0 at leaves.
        left, right: int32 [N], a node's children; `LEAF` at leaves.
        value: float32 [N], what a leaf says.
    """

    feature: NDArray[np.int32]
    threshold: NDArray[np.float32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    value: NDArray[np.float32]

    @property
    def leaves(self) -> int:
        """How many leaves it has."""
        return int((self.feature == LEAF).sum())

    @property
    def depth(self) -> int:
        """Comparisons from the root to the farthest leaf."""
        depths = np.zeros(len(self.feature), dtype=np.int64)
        for node in np.flatnonzero(self.feature != LEAF).tolist():
            depths[[self.left[node], self.right[node]]] = depths[node] + 1
        return int(depths.max())


def single_leaf(value: float = 0.0) -> Tree:
    """The tree that says the same of everything."""
    leaf, zero = np.full(1, LEAF, dtype=np.int32), np.zeros(1, dtype=np.float32)
    return Tree(leaf, zero, leaf.copy(), leaf.copy(), np.full(1, value, dtype=np.float32))


def read_tree(arrays: Mapping[str, NDArray[Any]], inputs: int, source: str) -> Tree:
    """The tree in a checkpoint's arrays.

    Args:
        arrays: by the names of `Tree`'s fields.
        inputs: how many inputs there are.
        source: the checkpoint, for messages.

    Raises:
        UserError: an array is missing, unknown, of another shape or type, or they are no tree over these inputs.
    """
    where = f"checkpoint {source!r}"
    for name in arrays:
        if name not in _TYPES:
            raise UserError(f"{where} holds the unknown tensor {name!r}")
    for name, kind in _TYPES.items():
        if name not in arrays:
            raise UserError(f"{where} lacks the tensor {name!r} of a tree")
        array, nodes = arrays[name], len(arrays["feature"]) if arrays["feature"].ndim == 1 else 0
        if array.dtype.name != kind or array.shape != (nodes,) or not 1 <= nodes <= _MOST_NODES:
            raise UserError(
                f"{where}: tensor {name!r} is {array.dtype.name} of shape {array.shape}, expected {kind} for each of "
                f"1 to {_MOST_NODES} nodes"
            )
    tree = Tree(**{name: np.ascontiguousarray(arrays[name]) for name in _TYPES})
    _check_nodes(tree, inputs, where)
    return tree


def _check_nodes(tree: Tree, inputs: int, where: str) -> None:
    """Raise unless every node is reached from the root in one way and compares something that there is."""
    nodes = np.arange(len(tree.feature))
    leaf = tree.feature == LEAF
    _refuse(
        where, "feature", tree.feature, (tree.feature < LEAF) | (tree.feature >= inputs), f"from -1 to {inputs - 1}"
    )
    for name in ("threshold", "value"):
        array = getattr(tree, name)
        _refuse(where, name, array, ~np.isfinite(array), "a finite number")
    for name in ("left", "right"):
        child = getattr(tree, name)
        _refuse(where, name, child, leaf & (child != LEAF), "-1, as it is a leaf")
        _refuse(where, name, child, ~leaf & ((child <= nodes) | (child >= len(nodes))), "a later node")
    parents = np.bincount(np.concatenate([tree.left[~leaf], tree.right[~leaf]]), minlength=len(nodes))
    lost = np.flatnonzero(parents[1:] != 1) + 1
    if len(lost):
        raise UserError(f"{where}: node {lost[0]} of the tree has {parents[lost[0]]} parents, expected one")


def _refuse(where: str, name: str, array: NDArray[Any], wrong: NDArray[np.bool_], expected: str) -> None:
    found = np.flatnonzero(wrong)
    if len(found):
        raise UserError(f"{where}: {name} of node {found[0]} is {array[found[0]]}, expected {expected}")
