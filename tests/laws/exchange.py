"""Law 8: other programs compute what steep does: ONNX files of trained networks."""

import copy
import importlib.util

import numpy as np
from laws.playing import Broken, Skip, trained
from runtimes import apart, as_list, read_back, run, written
from steep.exporting.rows import NOT_EXPORTABLE

LIMIT = 1e-5


def exported(case):
    """The ONNX file of a trained network gives its predictions, to 1e-5 of a sample's largest.

    Where rounding decides more than that, four times what float32 itself is off, or what weights
    moved by a rounding give in float64: other orders of sums and folded normalisations do as much.
    """
    needs("onnx", "onnxruntime")
    if "sample=True" in case.text:
        raise Skip("predictions draw")
    done = trained(case)
    refused_by_name(done.net)
    done.net._convert("float32")  # runtimes have float64 for few operators
    wanted = as_list(done.net.predict(done.X))
    found = run(written(done.net), done.X)
    limits = roundings(done, wanted)
    for a, b, limit in zip(found, wanted, limits, strict=True):
        off = apart(a, b)
        if off > max(LIMIT, 4 * limit):
            raise Broken(f"onnxruntime is {off:.3g} apart, rounding {limit:.3g}")


def returned(case):
    """What reads the file again has the same weights, bit for bit, and predicts alike."""
    needs("onnx")
    if "sample=True" in case.text:
        raise Skip("predictions draw")
    done = trained(case)
    refused_by_name(done.net)
    done.net._convert("float32")
    if not all(np.isfinite(value).all() for value in done.net.state_dict().values()):
        raise Skip("weights beyond float32, which readers refuse")
    wanted, back = as_list(done.net.predict(done.X)), read_back(done.net)
    limits = roundings(done, wanted)
    for a, b, limit in zip(as_list(back.predict(done.X)), wanted, limits, strict=True):
        off = apart(a, b)
        if off > max(LIMIT, 4 * limit):
            raise Broken(f"what was read is {off:.3g} apart, rounding {limit:.3g}")
    left = {np.sort(value, None).tobytes() for value in back.state_dict().values()}
    for name, value in done.net.state_dict().items():  # rows may stand in another order
        if not name.endswith(".u") and np.sort(value, None).tobytes() not in left:
            raise Broken(f"{name} is not among what was read")


def refused_by_name(net):
    """Skip a network with ops that no ONNX file holds, where that is what is said."""
    try:
        written(net)
    except ValueError as error:
        if any(f"({why})" in str(error) for why in NOT_EXPORTABLE.values()):
            raise Skip("ops that no ONNX file holds") from None
        raise


def roundings(done, wanted):
    """Return for each output how far float32 is from float64, and that from itself, moved.

    Moved in float32, too: where sums cancel, that is right by luck in one of several tries.
    """
    net, single = copy.deepcopy(done.net), copy.deepcopy(done.net)
    net._convert("float64")
    exact = as_list(net.predict(done.X))
    if not all(np.isfinite(y).all() for y in exact):
        raise Skip("not finite")
    limits = [apart(a, b) for a, b in zip(wanted, exact, strict=True)]
    state, random = net.state_dict(), np.random.default_rng(done.case.seed)
    for _ in range(3):
        near = {
            name: w * (1 + 2.0**-23 * random.uniform(-1, 1, w.shape)) for name, w in state.items()
        }
        for one in (net, single):
            one.load_state_dict(near)
            moved = as_list(one.predict(done.X))
            limits = [
                max(most, apart(*pair)) for most, *pair in zip(limits, moved, exact, strict=True)
            ]
    return limits


def needs(*names):
    """Skip the law where a package is missing."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise Skip(f"{name} is not installed")
