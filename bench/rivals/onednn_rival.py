"""oneDNN's side of the products: a matmul primitive made once, executed from a native loop."""

import ctypes
from importlib.metadata import files, version

import numpy as np
from kernels import build

VERSION = version("onednn-cpu-gomp")


def prepare(case, variant, threads, bench):
    """Return the prepared work of one case, or raise UnsupportedError."""
    del variant, threads  # threads are those of OpenMP, set by the environment
    include = next(
        f for f in files("onednn-devel-cpu-gomp") if f.name == "dnnl.hpp" and f.parts[-2] == "dnnl"
    )
    shared = next(f for f in files("onednn-cpu-gomp") if f.name.startswith("libdnnl.so."))
    native = build.library(
        "onednn_matmul",
        include=include.locate().parents[2],
        link=shared.locate(),
    )
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
