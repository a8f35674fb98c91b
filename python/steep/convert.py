"""Weights of PyTorch's layers by other names: state dicts into networks built here, and back.

Layer after layer in the order of both; how axes are turned is in `network.layouts`. What makes a
network out of a module is `from_torch` in `importing`.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .layers import MultiHeadAttention, PReLU, TransformerBlock
from .network.description import Weight
from .network.layouts import plain
from .network.network import Network

__all__ = ["from_torch", "to_torch"]

Names = Mapping[str, str]  # of a layer's weights: here, and there

ATTENTION: Names = {
    "qkv.weight": "in_proj_weight",
    "qkv.bias": "in_proj_bias",
    "out.weight": "out_proj.weight",
    "out.bias": "out_proj.bias",
}
BLOCK: Names = {
    **{f"attention.{ours}": f"self_attn.{theirs}" for ours, theirs in ATTENTION.items()},
    "up.weight": "linear1.weight",
    "up.bias": "linear1.bias",
    "down.weight": "linear2.weight",
    "down.bias": "linear2.bias",
    **{name: name for name in ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias")},
}
SLOPE: Names = {"slope": "weight"}
STATISTICS: Names = {"running_mean": "running_mean", "running_var": "running_var"}
# Of attention to a context, PyTorch keeps one matrix where there are two here: queries come first.
APART = {"qkv.weight": ("q.weight", "kv.weight"), "qkv.bias": ("q.bias", "kv.bias")}


def from_torch(state: Mapping[str, Any], net: Network) -> None:
    """Load a state dict of PyTorch into a built network of the same layers in the same order.

    Linear, Conv, BatchNorm, LayerNorm, GroupNorm, Embedding, MultiheadAttention and
    TransformerEncoderLayer become `Dense`, `Conv1D` and `Conv2D`, `BatchNorm`, `LayerNorm`,
    `GroupNorm`, `Embedding`, `MultiHeadAttention` and `TransformerBlock`: matrices are turned,
    ``in_proj_weight`` is ``qkv.weight`` transposed. A Linear behind a flattened image reads it in
    PyTorch's order.

    Parameters
    ----------
    state
        ``module.state_dict()``; arrays do as well.
    net
        A network of matching layers.

    Raises
    ------
    ValueError
        If a layer has no counterpart, names it; if a shape does not fit, or something is left.
    """
    found: dict[str, Any] = {}
    for ours, theirs, part in _pairs(net, state):
        value = plain(state[theirs])
        found[ours] = value if part is None else np.split(value, [len(value) // 3])[part]
    net.load_state_dict(found, layout="torch")


def to_torch(net: Network, state: Mapping[str, Any]) -> "OrderedDict[str, Any]":
    """Return a network's weights as a state dict of PyTorch with the names of another.

    Parameters
    ----------
    net
        A built network.
    state
        ``module.state_dict()`` of the module that they are for: its names, and what the network has
        not, such as counts of batches.

    Raises
    ------
    ValueError
        As `from_torch`.
    """
    values, pieces = net.to_torch(), OrderedDict(state)
    import torch  # noqa: PLC0415 - whoever asks for its tensors has it

    for ours, theirs, part in _pairs(net, state):
        first = part is None or part == 0
        pieces[theirs] = values[ours] if first else torch.cat([pieces[theirs], values[ours]])
    return pieces


def _pairs(net: Network, state: Mapping[str, Any]) -> Iterator[tuple[str, str, int | None]]:
    """Yield the names of each weight here and there, and which part of theirs it is."""
    left = [name for name in state if not str(name).endswith("num_batches_tracked")]
    for layer, weights in _layers(net):
        names = _names(layer, weights)
        prefix = _prefix(layer, names, left)
        for ours, theirs in names.items():
            if prefix + theirs not in left:
                raise ValueError(f"from_torch: {layer} finds no {prefix + theirs} in the state")
            left.remove(prefix + theirs)
            if ours in weights:
                yield weights[ours], prefix + theirs, None
                continue
            for part, piece in enumerate(APART[ours]):
                yield weights[piece], prefix + theirs, part
    if left:
        raise ValueError(f"from_torch: the network has no layers for {', '.join(left)}")


def _layers(net: Network) -> Iterator[tuple[Any, dict[str, str]]]:
    """Yield layers that PyTorch has as one, with the names of their weights by what they are."""
    found: dict[int, tuple[Any, list[Weight]]] = {}
    for weight in net._described().weights.values():
        whole = [o for o in weight.owners if isinstance(o, (TransformerBlock, MultiHeadAttention))]
        layer = (*whole, weight.layer)[0]
        found.setdefault(id(layer), (layer, []))[1].append(weight)
    for layer, weights in found.values():
        parts = {w.name.split(".")[-1]: w.name for w in weights}
        if isinstance(layer, (TransformerBlock, MultiHeadAttention)):
            known = (*BLOCK, *ATTENTION, *(name for pair in APART.values() for name in pair))
            parts = {}
            for w in weights:
                parts[max((n for n in known if w.name.endswith(f".{n}")), key=len)] = w.name
        yield layer, parts


def _names(layer: Any, weights: Mapping[str, str]) -> Names:
    if isinstance(layer, TransformerBlock):
        return BLOCK
    if isinstance(layer, MultiHeadAttention):
        biased = "out.bias" in weights
        return {k: v for k, v in ATTENTION.items() if biased or not k.endswith("bias")}
    if isinstance(layer, PReLU):
        return SLOPE
    return {name: STATISTICS.get(name, name) for name in weights}


def _prefix(layer: Any, names: Names, left: list[str]) -> str:
    """Return what the names of the next layer there begin with."""
    for theirs in names.values():
        if left and (left[0] == theirs or left[0].endswith(f".{theirs}")):
            return left[0].removesuffix(theirs)
    next_ = left[0] if left else "nothing"
    raise ValueError(f"from_torch: {layer} expects one of {', '.join(names.values())}, got {next_}")
