"""BERT's weights by the names of Hugging Face's transformers, as those of PyTorch's own layers."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..network.layouts import plain

_WORDS = "embeddings.word_embeddings.weight"
# Of an encoder layer: the names there, and those of nn.TransformerEncoderLayer.
_LAYER = {
    "attention.output.dense": "self_attn.out_proj",
    "intermediate.dense": "linear1",
    "output.dense": "linear2",
    "attention.output.LayerNorm": "norm1",
    "output.LayerNorm": "norm2",
}
_LEFT_OUT = ("position_ids", "pooler.dense.weight", "pooler.dense.bias")


def of_bert(state: Mapping[str, Any], context: int) -> Mapping[str, Any]:
    """Return BERT's state dict with the names, matrices and order of PyTorch's layers.

    An embedding, a table of positions, a norm, then encoder layers with queries, keys and values in
    one matrix. Positions are the first `context`; the row of the first kind of token, which a
    single text is of, is added to them. The pooler is left out. Another state dict comes back as it
    is.
    """
    start = next((name.removesuffix(_WORDS) for name in state if name.endswith(_WORDS)), None)
    if start is None:
        return state
    left = {name.removeprefix(start): value for name, value in state.items()}
    left = {name: v for name, v in left.items() if not name.endswith(_LEFT_OUT)}
    made: OrderedDict[str, Any] = OrderedDict()

    def take(name: str) -> Any:
        if name not in left:
            raise ValueError(f"from_torch: BERT's state dict has no {start}{name}")
        return plain(left.pop(name))

    made["tokens.weight"] = take(_WORDS)
    positions, kinds = (
        take(f"embeddings.{n}_embeddings.weight") for n in ("position", "token_type")
    )
    if len(positions) < context:
        raise ValueError(
            f"from_torch: the network has {context} positions, BERT's table {len(positions)}"
        )
    made["positions.weight"] = positions[:context] + kinds[0]
    for part in ("weight", "bias"):
        made[f"norm.{part}"] = take(f"embeddings.LayerNorm.{part}")
    k = 0
    while any(name.startswith(f"encoder.layer.{k}.") for name in left):
        there, here = f"encoder.layer.{k}.", f"layers.{k}."
        for part in ("weight", "bias"):
            three = [take(f"{there}attention.self.{n}.{part}") for n in ("query", "key", "value")]
            made[f"{here}self_attn.in_proj_{part}"] = np.concatenate(three)
            for theirs, ours in _LAYER.items():
                made[f"{here}{ours}.{part}"] = take(f"{there}{theirs}.{part}")
        k += 1
    return made | left
