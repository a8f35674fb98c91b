"""The node tests of the ONNX standard, from the package `onnx`, on what `from_onnx` reads.

``python tests/onnx_nodes.py`` counts them: passed, refused and why. Inputs beside the first become
constants where the operator wants weights there.
"""

import re
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import steep
from runtimes import as_list

SHARED = ("attn_mask", "bias", "cos_cache", "sin_cache", "weight")  # by all samples
PASSED, FAILED, REFUSED = "passed", "failed", "refused"


def cases(known=None):
    """Return the test cases that have models and arrays only, of known operators where given."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = collect_testcases(None)
    for case in found:
        if case.model is not None and case.data_sets:
            inputs, outputs = case.data_sets[0]
            if known and any(node.op_type not in known for node in case.model.graph.node):
                continue
            if all(isinstance(a, np.ndarray) for a in (*inputs, *outputs)):
                yield case


def outcome(case):
    """Return what became of a case and, where it is not passed, why."""
    inputs, outputs = case.data_sets[0]
    said = ""
    for kept in ways(case.model, len(inputs)):
        try:
            net = read(case.model, inputs, kept)
        except ValueError as error:
            said = str(error).partition(": ")[2]
            continue
        return judge(case, net, [inputs[k] for k in kept], outputs)
    return REFUSED, said


def ways(model, count):
    """Return which inputs stay inputs: all, of recurrent layers all but weights, or the first."""
    (first, *_) = model.graph.node or [None]
    if first is not None and first.op_type in ("GRU", "LSTM", "RNN"):
        given = [name for k, name in enumerate(first.input) if name and k not in (1, 2, 3, 7)]
        names = [entry.name for entry in model.graph.input]
        return [[names.index(name) for name in given if name in names], [0]]
    names = [entry.name for entry in model.graph.input][:count]
    rest = [k for k, name in enumerate(names) if name not in SHARED]
    found = [[*range(count)], rest, [*range(min(count, 1))]]
    return [way for k, way in enumerate(found) if way not in found[:k]]


def read(model, inputs, kept):
    """Return the network of a model that keeps some of its inputs; others become constants."""
    import onnx

    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    names = [given.name for given in model.graph.input]
    del changed.graph.input[:]
    changed.graph.input.extend(model.graph.input[k] for k in kept)
    for k, (name, value) in enumerate(zip(names, inputs, strict=False)):
        if k not in kept:
            changed.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.onnx"
        path.write_bytes(changed.SerializeToString())
        return steep.from_onnx(path)


def judge(case, net, inputs, outputs):
    """Hold predictions against the outputs: channels first or last, the batch always first."""
    X = [
        fit(np.asarray(x, np.float32), shape)
        for x, shape in zip(inputs, net.input_shapes, strict=True)
    ]
    found = as_list(net.predict(X if len(X) > 1 else X[0]))
    for got, wanted in zip(found, outputs, strict=False):
        alike = [wanted, *(np.moveaxis(wanted, k, 0) for k in range(1, wanted.ndim))]
        alike += [np.moveaxis(wanted, 1, -1)] if wanted.ndim > 2 else []
        if not any(close(got, way, case) for way in alike):
            return FAILED, f"{got.shape}, wanted {wanted.shape}: {got.ravel()[:4]}"
    return PASSED, ""


def fit(x, shape):
    x = x[:, None] if x.ndim == 1 else x
    turned = [x, np.moveaxis(x, 1, -1), np.moveaxis(x, 1, 0)]
    return next((way for way in turned if way.shape[1:] == shape), x)


def close(found, wanted, case):
    """Judge as the standard's own runner does, by the case's bounds."""
    if wanted.ndim == 1:  # one number a sample, which has an axis here
        wanted = wanted[:, None]
    if found.shape != wanted.shape:
        return False
    rtol = case.rtol
    if wanted.dtype == np.float16:  # computed in half: 1.0007e-3 off, where steep is 2.5e-7 off
        rtol += float(np.finfo(np.float16).eps)
    bounds = {"rtol": rtol, "atol": max(case.atol, 1e-6), "equal_nan": True}
    return np.allclose(found, np.asarray(wanted, np.float64), **bounds)


def kind(said):
    """Return a refusal without what differs from case to case."""
    if "steep does not have:" in said:
        return "an operator that steep does not have"
    said = re.sub(r"^cannot read '.*?' \(\w+\): ", "", said.partition("; '")[0])
    return re.sub(r"[\[(][^)\]]*[\])]|'[^']*'|-?\d[\d.]*", "_", said)


def main():
    counts, why, failed = Counter(), Counter(), []
    for case in cases():
        found, said = outcome(case)
        counts[found] += 1
        if found == FAILED:
            failed.append(f"{case.name}: {said}")
        elif found == REFUSED:
            why[kind(said)] += 1
    print(*(f"{name} {n}" for name, n in counts.items()), *failed, sep="\n")
    for said, n in why.most_common():
        print(f"{n:5}  {said}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
