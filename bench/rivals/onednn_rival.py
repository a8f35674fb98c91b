"""oneDNN's side of products and convolutions: primitives made once, executed from a native loop."""

import ctypes
from importlib.metadata import files, version

import numpy as np
from kernels import build

VERSION = version("onednn-cpu-gomp")


def prepare(case, variant, threads, bench):
    """Return the prepared work of one case, or raise UnsupportedError."""
    del variant, threads  # threads are those of OpenMP, set by the environment
    make = gemm if isinstance(case, bench.Gemm) else convolution
    return make(case, bench)


def library(name):
    """Compile and load a kernel against the installed oneDNN."""
    include = next(
        f for f in files("onednn-devel-cpu-gomp") if f.name == "dnnl.hpp" and f.parts[-2] == "dnnl"
    )
    shared = next(f for f in files("onednn-cpu-gomp") if f.name.startswith("libdnnl.so."))
    return build.library(name, include=include.locate().parents[2], link=shared.locate())


def gemm(case, bench):
    """Prepare a matmul primitive over plain matrices."""
    native = library("onednn_matmul")
    native.matmul_make.restype = ctypes.c_void_p
    a, b, c = bench.gemm_data(case)
    sizes = [ctypes.c_long(n) for n in (case.m, case.n, case.k)]
    flags = [letter == "t" for letter in case.layout]
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (a, b, c)]
    matmul = ctypes.c_void_p(native.matmul_make(*sizes, *flags, *pointers))

    def calls(count, owners=(a, b, c)):  # the arrays live as long as the loop
        native.matmul_loop(matmul, ctypes.c_long(count))

    calls(1)
    check = float(np.square(c, dtype=np.float64).mean())
    return bench.Work(lambda: calls(1), many=calls, check=check, note="native loop, plain layouts")


def convolution(case, bench):
    """Prepare a convolution primitive that chooses its layouts; data lies in them beforehand."""
    native = library("onednn_convolution")
    native.convolution_make.restype = ctypes.c_void_p
    x, w, y = bench.convolution_data(case)
    passes = ("forward", "backward_data", "backward_weights")
    direction = passes.index("backward_data" if case.direction == "transposed" else case.direction)
    numbers = [case.batch, *case.size, case.channels, case.filters, *case.kernel, *case.y[1:3]]
    sizes = [ctypes.c_long(n) for n in (*numbers, case.stride, case.padding, case.groups)]
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (x, w, y)]
    made = ctypes.c_void_p(native.convolution_make(direction, *sizes, *pointers))

    def calls(count):
        native.convolution_loop(made, ctypes.c_long(count))

    calls(1)
    native.convolution_result(made)
    check = float(np.square((y, x, w)[direction], dtype=np.float64).mean())
    note = "native loop, its own blocked layouts, reordering of images and weights left out"
    return bench.Work(lambda: calls(1), many=calls, check=check, note=note)
