"""OpenBLAS's side of the products: cblas_sgemm of scipy-openblas32, called from a native loop."""

import ctypes
from importlib.metadata import version
from pathlib import Path

import numpy as np
import scipy_openblas32
from kernels import build

VERSION = version("scipy-openblas32")

ROW_MAJOR, PLAIN, TRANSPOSED = 101, 111, 112


def prepare(case, variant, threads, bench):
    """Return the prepared work of one case, or raise UnsupportedError."""
    del variant
    blas = ctypes.CDLL(str(Path(scipy_openblas32.get_lib_dir()) / "libscipy_openblas.so"))
    blas.scipy_openblas_set_num_threads(threads)
    loop = build.library("sgemm_loop").sgemm_loop
    a, b, c = bench.gemm_data(case)
    flags = [TRANSPOSED if letter == "t" else PLAIN for letter in case.layout]
    sizes = [ctypes.c_int(n) for n in (case.m, case.n, case.k, a.shape[1], b.shape[1], case.n)]
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (a, b, c)]
    sgemm = ctypes.cast(blas.scipy_cblas_sgemm, ctypes.c_void_p)

    def calls(count, owners=(a, b, c)):  # the arrays live as long as the loop
        loop(sgemm, ctypes.c_long(count), *flags, *sizes, *pointers)

    calls(1)
    check = float(np.square(c, dtype=np.float64).mean())
    return bench.Work(lambda: calls(1), many=calls, check=check, note="native loop")
