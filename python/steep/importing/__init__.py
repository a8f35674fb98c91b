"""Reads what others made: ONNX files, modules of PyTorch. What is written for them: `exporting`."""
