"""The three passes of a convolution over plain arrays, against the float64 reference."""

import numpy as np
import pytest
import reference
from steep import _core

# height, width, channels, filters, kernel; then options and the batch
CASES = {
    "first layer": ((28, 28, 1, 6, (5, 5)), {"padding": (2, 2, 2, 2)}, 9),
    "few filters": ((14, 14, 6, 16, (5, 5)), {}, 10),
    "whole lanes": ((9, 8, 16, 32, (3, 3)), {"padding": (1, 1, 1, 1)}, 17),
    "narrower than a tile": ((4, 3, 16, 16, (3, 3)), {"padding": (1, 1, 0, 3)}, 2),
    "tall and thin": ((11, 2, 16, 16, (3, 3)), {"padding": (1, 1, 2, 2)}, 3),
    "few elements an image": (
        (1, 11, 24, 3, (2, 2)),
        {"stride": (2, 3), "padding": (1, 2, 1, 2), "dilation": (2, 2)},
        8,
    ),
    "strided": ((15, 13, 20, 33, (3, 3)), {"stride": (2, 2), "padding": (1, 1, 1, 1)}, 5),
    "pixel by pixel": ((7, 7, 40, 65, (1, 1)), {}, 4),
    "groups": ((8, 9, 12, 18, (3, 3)), {"padding": (1, 1, 1, 1), "groups": 3}, 5),
    "pixels in groups": ((1, 1, 15, 9, (1, 1)), {"groups": 3}, 64),
    "pixels in wide groups": ((1, 1, 2 * 70, 2 * 33, (1, 1)), {"groups": 2}, 131),
    "a pixel in whole panels": ((1, 1, 4 * 16, 4 * 32, (1, 1)), {"groups": 4}, 65),
    "a pixel of each group": ((1, 1, 5, 20, (1, 1)), {"groups": 5}, 1),
    "a pixel among zeros": ((1, 1, 6, 4, (3, 3)), {"padding": (1, 1, 1, 1), "groups": 2}, 9),
    "depthwise": ((10, 9, 21, 21, (3, 3)), {"padding": (1, 1, 1, 1), "groups": 21}, 9),
}


def arrays(name):
    """Return the convolution, its options, and x, w and dy that end where their memory ends."""
    (height, width, channels, filters, kernel), options, batch = CASES[name]
    groups = options.get("groups", 1)
    native = _core.Convolution(height, width, channels, filters, kernel, batch=batch, **options)
    random = np.random.default_rng(len(name))
    x = random.standard_normal((batch, height, width, channels)).astype("f")
    w = random.standard_normal((*kernel, channels // groups, filters)).astype("f")
    like = reference.conv2d(x, w, **options)
    return native, options, x, w, random.standard_normal(like.shape).astype("f")


def close(got, want, size):
    """Errors are a few roundings of the sum of absolute terms."""
    assert np.all(np.abs(got - want) <= 4e-6 * size)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("threads", [1, 3])
def test_passes(name, threads):
    native, options, x, w, dy = arrays(name)
    y, dx, dw = np.full_like(dy, np.nan), np.full_like(x, np.nan), np.full_like(w, np.nan)
    before = _core.get_num_threads()
    _core.set_num_threads(threads)
    try:
        native.forward(x, w, y)
        native.backward_data(dy, w, dx)
        native.backward_weights(x, dy, dw)
    finally:
        _core.set_num_threads(before)
    X, W, DY = (a.astype(np.float64) for a in (x, w, dy))
    close(y, reference.conv2d(X, W, **options), reference.conv2d(abs(X), abs(W), **options))
    want = reference.conv2d_grad(X, W, DY, **options)
    size = reference.conv2d_grad(abs(X), abs(W), abs(DY), **options)
    close(dx, want[0], size[0])
    close(dw, want[1], size[1])


def test_arrays_that_do_not_fit_are_refused():
    native, _, x, w, dy = arrays("strided")
    with pytest.raises(ValueError, match=r"x must have shape \(5, 15, 13, 20\), got \(4, 15"):
        native.forward(x[:4], w, dy)
    with pytest.raises(TypeError):
        native.forward(x.astype(float), w, dy)
    with pytest.raises(ValueError, match="groups must divide"):
        _core.Convolution(4, 4, 5, 6, (3, 3), groups=2)
