"""The physical floor of a case on this machine: measured arithmetic and memory speed."""

import ctypes

from kernels import build

SIZES = [16 << 10 << 2 * i for i in range(8)]  # 16 KiB .. 256 MiB


class Floor:
    """Peak float32 multiply-adds and the bandwidth of w += s*g, both with all threads."""

    def __init__(self, threads):
        native = build.library("floor")
        seconds = ctypes.c_double(0.05)
        native.flops_per_second.restype = ctypes.c_double
        native.bytes_per_second.restype = ctypes.c_double
        self.flops = max(native.flops_per_second(threads, seconds) for _ in range(8))
        self.bandwidths = [
            max(native.bytes_per_second(threads, seconds, ctypes.c_long(size)) for _ in range(4))
            for size in SIZES
        ]

    def bandwidth(self, working_set):
        """Return bytes/s for a working set, never less than what a larger one reached."""
        first = sum(size <= working_set for size in SIZES[1:])
        return max(self.bandwidths[first:])

    def seconds(self, case):
        """Return the least time of a case, and whether arithmetic or memory sets it."""
        arithmetic = case.flops / self.flops
        memory = case.bytes / self.bandwidth(case.working_set)
        return max((arithmetic, "arithmetic"), (memory, "memory"))

    def __str__(self):
        memory = ", ".join(
            f"{rate / 1e9:.0f} at {size >> 10 if size < 1 << 20 else size >> 20} "
            f"{'KiB' if size < 1 << 20 else 'MiB'}"
            for size, rate in zip(SIZES, self.bandwidths, strict=True)
        )
        return f"{self.flops / 1e9:.0f} GFLOP/s float32; GB/s of w += s*g: {memory}"
