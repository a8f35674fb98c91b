"""What the chip can do at most: copies, products in three formats, PyTorch's own update sweeps.

python bench/device/ceilings.py
"""

import torch

PARAMETERS = 64_000_000
SHAPES = ((128, 128, 784), (784, 128, 128), (128, 1024, 1024), (1024, 1024, 128), (1024,) * 3)


def milliseconds(work, turns=10):
    """Return the fastest of three groups of `turns`, by events."""
    work()
    torch.cuda.synchronize()
    best = float("inf")
    for _ in range(3):
        start, end = torch.cuda.Event(True), torch.cuda.Event(True)
        start.record()
        for _ in range(turns):
            work()
        end.record()
        end.synchronize()
        best = min(best, start.elapsed_time(end) / turns)
    return best


def products(n=8192):
    """Print the rates of large products."""
    for name, dtype, tf32 in (
        ("bf16", torch.bfloat16, False), ("tf32", torch.float32, True), ("fp32", torch.float32, False),
    ):  # fmt: skip
        torch.backends.cuda.matmul.allow_tf32 = tf32
        a, b = (torch.randn(n, n, device="cuda", dtype=dtype) for _ in range(2))
        ms = milliseconds(lambda a=a, b=b: torch.mm(a, b), 5)
        print(f"product {name} {n}: {ms:.3f} ms, {2 * n**3 / ms / 1e9:.1f} TFLOP/s")
    torch.backends.cuda.matmul.allow_tf32 = False


def small_products():
    """Print what cuBLAS takes in a graph for the shapes of small networks."""
    for m, n, k in SHAPES:
        a, b = torch.randn(m, k, device="cuda"), torch.randn(k, n, device="cuda")
        c = torch.empty(m, n, device="cuda")
        torch.mm(a, b, out=c)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(10):
                torch.mm(a, b, out=c)
        print(f"product cuBLAS fp32 {m} {n} {k}: {milliseconds(graph.replay) * 100:.2f} us")


def sweeps():
    """Print what a copy and PyTorch's fused updates take."""
    x = torch.randn(1 << 30, device="cuda")
    y = torch.empty_like(x)
    ms = milliseconds(lambda: y.copy_(x), 5)
    print(f"copy 4.3 GB: {ms:.3f} ms, {8 * 2**30 / ms / 1e9:.3f} TB/s")
    for kind in (torch.optim.SGD, torch.optim.Adam):
        p = torch.nn.Parameter(torch.randn(PARAMETERS, device="cuda"))
        p.grad = torch.randn(PARAMETERS, device="cuda")
        ms = milliseconds(kind([p], 1e-3, fused=True).step, 5)
        print(f"copy torch {kind.__name__} fused, {PARAMETERS} parameters: {ms:.3f} ms")


if __name__ == "__main__":
    print(torch.__version__, torch.cuda.get_device_name())
    products()
    small_products()
    sweeps()
