"""Seven dense networks on the CPU and on the GPU: the first thing to know of a new chip.

python bench/device/same_bytes.py [--small]
"""

import copy
import os
import sys

import numpy as np
import steep
from steep import layers, losses, optimizers

RULES = (
    optimizers.SGD(0.05, 0.9, nesterov=True), optimizers.Adam(),
    optimizers.SGD(0.05, 0.9, nesterov=True), optimizers.RMSProp(1e-3),
    optimizers.AMSGrad(1e-3), optimizers.NAdam(1e-3), optimizers.AdaDelta(),
)  # fmt: skip
NETWORKS = {
    "784-128-10": (784, 10, [layers.Dense(128, "relu")]),
    "30-64-2": (30, 2, [layers.Dense(64, "relu")]),
    "30-32-16-7": (30, 7, [layers.Dense(32, "tanh"), layers.Dropout(0.2), layers.Dense(16, "gelu")]),
    "19-33-17-40": (19, 40, [layers.Dense(33, "tanh"), layers.Dropout(0.3), layers.Dense(17, "gelu")]),
    "784-1024-1024-10": (784, 10, [layers.Dense(1024, "relu"), layers.Dense(1024, "silu")]),
    "64-256-1": (64, 1, [layers.Dense(256, "softplus"), layers.AlphaDropout(0.1)]),
    "100-300-300-16": (100, 16, [layers.Dense(300, "selu"), layers.GLU()]),
}  # fmt: skip
SAMPLES = 100 if "--small" in sys.argv else 1000


def train(name, rule, device):
    """Return weights, slots and losses after two epochs with a short last batch, and how steps were made."""
    inputs, outputs, body = NETWORKS[name]
    random = np.random.default_rng(1)
    X = random.standard_normal((SAMPLES, inputs)).astype(np.float32)
    y = random.integers(0, outputs, SAMPLES)
    loss = losses.CrossEntropy(label_smoothing=0.05)
    if outputs == 1:
        loss, y = losses.Huber(), random.standard_normal((SAMPLES, 1)).astype(np.float32)
    net = steep.Sequential(*copy.deepcopy(body), layers.Dense(outputs))
    trainer = steep.Trainer(net, loss, rule, clip_norm=1.0, l2=1e-4, device=device, seed=2)
    history = trainer.fit(X, y, epochs=2, batch_size=32 if inputs == 30 else 96, progress=False)
    weights, slots, _ = trainer._run.session().copy_out()
    return weights, slots, history.steps["loss"], trainer._run.session().steps_by()


def compared(what, here, there):
    """Say what differs; whether nothing does."""
    differ = [key for key in here[0] if here[0][key].tobytes() != there[0][key].tobytes()]
    for slot, values in here[1].items():
        differ += [f"{slot}/{k}" for k, v in values.items()
                   if v is not None and v.tobytes() != there[1][slot][k].tobytes()]  # fmt: skip
    equal = list(here[2]) == list(there[2])
    print(f"same {what}: {differ or 'equal'}, losses {'equal' if equal else 'DIFFER'}")
    return not differ and equal


def main():
    """Compare, in one block where that takes them, and by graphs; the exit code says whether all are equal."""
    wrong = 0
    for name, rule in zip(NETWORKS, RULES, strict=True):
        here = train(name, rule, "cpu")
        for one_block in ("on", "off"):
            os.environ["STEEP_RESIDENT"] = one_block
            there = train(name, rule, "cuda")
            if one_block == "off" or there[3] == "one block":
                wrong += not compared(f"{name:18s} {there[3].split(':')[0]:9s} {rule}", here, there)
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
