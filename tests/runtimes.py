"""Runs ONNX files under onnxruntime, for tests; they skip where it is not installed."""

import tempfile
from pathlib import Path

import numpy as np
import steep

KINDS = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64}


def written(net):
    """Return the bytes of a network's ONNX file."""
    with tempfile.TemporaryDirectory() as folder:
        net.to_onnx(Path(folder) / "net.onnx")
        return (Path(folder) / "net.onnx").read_bytes()


def read_back(net):
    """Return the network that a network's ONNX file describes."""
    with tempfile.TemporaryDirectory() as folder:
        net.to_onnx(Path(folder) / "net.onnx")
        return steep.from_onnx(Path(folder) / "net.onnx")


def run(model, X):
    """Return the outputs of a model, given as bytes, for one array or a list of them."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
    arrays = X if isinstance(X, list) else [X]
    return session.run(
        None,
        {
            given.name: np.ascontiguousarray(x, KINDS[given.type])
            for given, x in zip(session.get_inputs(), arrays, strict=True)
        },
    )


def exported_by_torch(module, X, path):
    """Write a module of PyTorch for any number of samples; return its outputs for X."""
    import torch

    x = torch.from_numpy(X)
    axes = {"input_names": ["x"], "dynamic_axes": {"x": {0: "n"}}, "dynamo": False}
    torch.onnx.export(module, x, path, opset_version=17, **axes)
    with torch.no_grad():
        return module(x).numpy()


def trains_alike(net, back, X, y):
    """Expect three steps of two networks to end with the same weights."""
    for one in (net, back):
        trainer = steep.Trainer(one, "cross_entropy", steep.optimizers.SGD(0.1, 0.9))
        for _ in range(3):
            trainer.step(X, y)
    for name, value in net.state_dict().items():
        np.testing.assert_allclose(back.state_dict()[name], value, rtol=1e-5, atol=1e-6)


def as_list(outputs):
    """Return what `predict` gave as a list."""
    if isinstance(outputs, dict):
        return list(outputs.values())
    return outputs if isinstance(outputs, list) else [outputs]


def apart(found, wanted):
    """Return the largest difference, as a part of the sample's largest number or of 1."""
    shape = (len(wanted), -1) if wanted.size else (1, 0)
    found, wanted = (a.astype(np.float64).reshape(shape) for a in (found, wanted))
    same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    with np.errstate(invalid="ignore"):
        off = np.where(same, 0.0, np.abs(found - wanted))
        size = np.abs(wanted).max(axis=1, keepdims=True, initial=1.0)
    return float(np.max(off / size, initial=0.0))
