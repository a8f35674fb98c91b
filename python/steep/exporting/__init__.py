"""Writes networks for other programs; no layer lives here."""

from .onnx_file import write

__all__ = ["write"]
