"""What attention takes on a GPU, forward and back, beside PyTorch's: kernel by kernel, by its profiler.

python bench/device/attention.py FILE.json [--small]

A multiply-add counts twice; of a causal head those that it needs, half of them.
"""

import json
import sys

import numpy as np
import steep
import torch
from kernels import profiled, short
from steep import layers

BATCH = 64
CASES = [  # heads, size, positions
    (4, 16, 64), (4, 32, 64), (8, 64, 64), (4, 16, 128), (4, 32, 128), (8, 64, 128),
    (4, 16, 256), (4, 32, 256), (8, 64, 256), (8, 64, 512), (4, 32, 1024),
]  # fmt: skip
STEPS = 8


def of_steep(case, precision):
    """Return [(kernel, microseconds)] of the attention in a training of causal heads."""
    heads, size, positions = case
    net = steep.Sequential(
        layers.Dense(8), layers.MultiHeadAttention(heads, size, causal=True), layers.Flatten(),
        layers.Dense(2),
    )  # fmt: skip
    trainer = steep.Trainer(net, "mse", "sgd", device="cuda", precision=precision)
    random = np.random.default_rng(0)
    X = random.standard_normal((STEPS * BATCH, positions, 8)).astype(np.float32)
    y = random.standard_normal((STEPS * BATCH, 2)).astype(np.float32)
    seen = profiled(lambda: trainer.fit(X, y, epochs=1, batch_size=BATCH, progress=False))
    mine = ("attend_rows", "slope_rows", "slope_keys")
    return [(short(name), us) for name, _, us in seen if any(part in name for part in mine)]


def of_torch(case, kind):
    """Return microseconds of its fused attention, forward and back together."""
    heads, size, positions = case
    device = "cuda" if torch.cuda.is_available() else "cpu"
    q, k, v, dy = (
        torch.randn(BATCH, heads, positions, size, device=device, dtype=kind, requires_grad=i < 3)
        for i in range(4)
    )

    def work():
        for _ in range(STEPS):
            y = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            torch.autograd.grad(y, (q, k, v), dy)

    return sum(times * us for _, times, us in profiled(work)) / STEPS


def main(file, *options):
    """Profile, print and write."""
    rows = []
    for case in CASES[:1] if "--small" in options else CASES:
        heads, size, positions = case
        one = BATCH * heads * positions * positions * size  # of a causal product
        for precision, kind in (
            ("float32", torch.float32), ("tf32", None), ("bfloat16", torch.bfloat16)
        ):  # fmt: skip
            parts = of_steep(case, precision)
            whole = sum(us for _, us in parts)
            rival = of_torch(case, kind) if kind else None
            rows.append({"case": case, "precision": precision, "us": whole, "torch": rival,
                         "kernels": parts})  # fmt: skip
            beside = f"{rival:9.1f} us in PyTorch" if rival else ""
            print(f"kernel attention {heads}x{size} at {positions:4d} {precision:8s} {whole:9.1f} us, "
                  f"{9 * one / max(whole, 1e-9) / 1e6:7.2f} TFLOP/s {beside}")  # fmt: skip
            for name, us in parts:
                print(f"         {us:9.2f} us  {name}")
    with open(file, "w") as out:
        json.dump(rows, out, indent=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
