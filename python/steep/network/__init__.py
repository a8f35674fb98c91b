"""Networks, described and built: tensors, scopes, weights. Layers and training live elsewhere."""

from .layer import Layer, add_loss
from .naming import label, shape_of
from .tensor import Shape, Tensor, emit, recomputed, spectral, title_of

__all__ = [
    "Layer",
    "Shape",
    "Tensor",
    "add_loss",
    "emit",
    "label",
    "recomputed",
    "shape_of",
    "spectral",
    "title_of",
]
