"""Weights of other libraries in networks that were built here, and PyTorch's names for ours."""

from .keras import from_keras
from .pytorch import from_torch, to_torch

__all__ = ["from_keras", "from_torch", "to_torch"]
