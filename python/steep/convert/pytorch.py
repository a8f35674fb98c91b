"""Weights of PyTorch's layers by other names: state dicts into networks built here, and back.

Layer after layer in the order of both; how axes are turned is in `network.layouts`. What makes a
network out of a module is `from_torch` in `importing`.
"""

import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..layers import (
    GRU,
    LSTM,
    Bidirectional,
    MultiHeadAttention,
    PReLU,
    SimpleRNN,
    TransformerBlock,
)
from ..network.description import Weight
from ..network.layouts import plain
from ..network.network import Network
from .bert import of_bert
from .states import RECURRENT, one_way, weights_of

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
CELL: Names = {
    "weight": "weight_ih",
    "recurrent": "weight_hh",
    "bias": "bias_ih",
    "recurrent_bias": "bias_hh",
}
WHOLE = (TransformerBlock, MultiHeadAttention, Bidirectional)  # one layer there, several here
# Of attention to a context, PyTorch keeps one matrix where there are two here: queries come first.
APART = {"qkv.weight": ("q.weight", "kv.weight"), "qkv.bias": ("q.bias", "kv.bias")}


class Pair(NamedTuple):
    """A weight here and there."""

    ours: str
    theirs: str
    part: int | None = None  # which part of theirs it is; None: all
    added: str | None = None  # what else there is added up here


def from_torch(state: Mapping[str, Any], net: Network) -> None:
    """Load a state dict of PyTorch into a built network of the same layers in the same order.

    Linear, Conv, BatchNorm, LayerNorm, GroupNorm, Embedding, MultiheadAttention and
    TransformerEncoderLayer become `Dense`, `Conv1D` and `Conv2D`, `BatchNorm`, `LayerNorm`,
    `GroupNorm`, `Embedding`, `MultiHeadAttention` and `TransformerBlock`: matrices are turned,
    ``in_proj_weight`` is ``qkv.weight`` transposed. A Linear behind a flattened image reads it in
    PyTorch's order. RNN, LSTM and GRU of several layers, or both ways, become as many layers here,
    or `Bidirectional` ones; the two biases of RNN and LSTM are added. BERT by the names of Hugging
    Face's transformers goes, without its pooler, into `Embedding`, `PositionEmbedding`, `LayerNorm`
    and blocks with the norm behind; its tokens are all of the first kind.

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
    state = of_bert(state, net.input_shapes[0][0] if net.input_shapes else 0)
    found: dict[str, Any] = {}
    for ours, theirs, part, added in _pairs(net, state):
        value = plain(state[theirs])
        if added is not None:
            value = value + plain(state[added])
        found[ours] = value if part is None else np.split(value, [len(value) // 3])[part]
    net.load_state_dict(found, layout="torch", strict=False)  # but what is kept between batches


def to_torch(net: Network, state: Mapping[str, Any]) -> "OrderedDict[str, Any]":
    """Return a network's weights as a state dict of PyTorch with the names of another.

    Where PyTorch adds two biases, the first is that of here and the second 0.

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

    for ours, theirs, part, added in _pairs(net, state):
        first = part is None or part == 0
        pieces[theirs] = values[ours] if first else torch.cat([pieces[theirs], values[ours]])
        if added is not None:
            pieces[added] = torch.zeros_like(values[ours])
    return pieces


def _pairs(net: Network, state: Mapping[str, Any]) -> Iterator[Pair]:
    """Yield what belongs together, layer after layer."""
    left = [name for name in state if not str(name).endswith("num_batches_tracked")]
    for layer, weights in _layers(net):
        names = _names(layer, weights, left)
        prefix = _prefix(layer, names, left)
        for ours, theirs in names.items():
            added = _added(layer, theirs)
            for name in (theirs, added) if added else (theirs,):
                if prefix + name not in left:
                    raise ValueError(f"from_torch: {layer} finds no {prefix + name} in the state")
                left.remove(prefix + name)
            if ours in weights:
                yield Pair(weights[ours], prefix + theirs, None, added and prefix + added)
                continue
            for part, piece in enumerate(APART[ours]):
                yield Pair(weights[piece], prefix + theirs, part)
    if left:
        raise ValueError(f"from_torch: the network has no layers for {', '.join(left)}")


def _layers(net: Network) -> Iterator[tuple[Any, dict[str, str]]]:
    """Yield layers that PyTorch has as one, with the names of their weights by what they are."""
    found: dict[int, tuple[Any, list[Weight]]] = {}
    for weight in weights_of(net):
        whole = [o for o in weight.owners if isinstance(o, WHOLE)]
        layer = (*whole, weight.layer)[0]
        found.setdefault(id(layer), (layer, []))[1].append(weight)
    for layer, weights in found.values():
        depth = 2 if isinstance(layer, Bidirectional) else 1  # forward.weight
        parts = {".".join(w.name.split(".")[-depth:]): w.name for w in weights}
        if isinstance(layer, (TransformerBlock, MultiHeadAttention)):
            known = (*BLOCK, *ATTENTION, *(name for pair in APART.values() for name in pair))
            parts = {}
            for w in weights:
                parts[max((n for n in known if w.name.endswith(f".{n}")), key=len)] = w.name
        yield layer, parts


def _names(layer: Any, weights: Mapping[str, str], left: list[str]) -> Names:
    if isinstance(layer, (*RECURRENT, Bidirectional)):
        return _of_cells(layer, weights, left)
    if isinstance(layer, TransformerBlock):
        return BLOCK
    if isinstance(layer, MultiHeadAttention):
        biased = "out.bias" in weights
        return {k: v for k, v in ATTENTION.items() if biased or not k.endswith("bias")}
    if isinstance(layer, PReLU):
        return SLOPE
    return {name: STATISTICS.get(name, name) for name in weights}


def _of_cells(layer: Any, weights: Mapping[str, str], left: list[str]) -> Names:
    """Return the names of a recurrent layer, which end in its number within the module there."""
    one_way("from_torch", layer)
    for cell in (layer.forward, layer.backward) if isinstance(layer, Bidirectional) else (layer,):
        if isinstance(cell, GRU) and not cell.reset_after:
            raise ValueError(f"from_torch: PyTorch has no {cell}, but reset_after=True")
    number = re.search(r"weight_ih_l(\d+)$", left[0]) if left else None
    behind = f"_l{number[1]}" if number else "_l0"
    found = {}
    for ours in weights:
        way, _, part = ours.rpartition(".")
        found[ours] = CELL[part] + behind + ("_reverse" if way == "backward" else "")
    return found


def _added(layer: Any, theirs: str) -> str | None:
    """Return the second bias of PyTorch where here is one."""
    cell = layer.forward if isinstance(layer, Bidirectional) else layer
    if isinstance(cell, (SimpleRNN, LSTM)) and theirs.startswith("bias_ih"):
        return theirs.replace("bias_ih", "bias_hh")
    return None


def _prefix(layer: Any, names: Names, left: list[str]) -> str:
    """Return what the names of the next layer there begin with."""
    for theirs in names.values():
        if left and (left[0] == theirs or left[0].endswith(f".{theirs}")):
            return left[0].removesuffix(theirs)
    next_ = left[0] if left else "nothing"
    raise ValueError(f"from_torch: {layer} expects one of {', '.join(names.values())}, got {next_}")
