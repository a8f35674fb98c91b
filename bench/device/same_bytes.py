"""Six dense networks on the CPU and on the GPU: the first thing to know of a new chip.

python bench/device/same_bytes.py
"""

import copy
import sys

import numpy as np
import steep
from steep import layers, losses, optimizers

RULES = (
    optimizers.SGD(0.05, 0.9, nesterov=True), optimizers.Adam(), optimizers.RMSProp(1e-3),
    optimizers.AMSGrad(1e-3), optimizers.NAdam(1e-3), optimizers.AdaDelta(),
)  # fmt: skip
NETWORKS = {
    "784-128-10": (784, 10, [layers.Dense(128, "relu")]),
    "30-64-2": (30, 2, [layers.Dense(64, "relu")]),
    "19-33-17-40": (19, 40, [layers.Dense(33, "tanh"), layers.Dropout(0.3), layers.Dense(17, "gelu")]),
    "784-1024-1024-10": (784, 10, [layers.Dense(1024, "relu"), layers.Dense(1024, "silu")]),
    "64-256-1": (64, 1, [layers.Dense(256, "softplus"), layers.AlphaDropout(0.1)]),
    "100-300-300-16": (100, 16, [layers.Dense(300, "selu"), layers.GLU()]),
}  # fmt: skip


def train(name, rule, device):
    """Return weights, slots and losses after two epochs with a short last batch."""
    inputs, outputs, body = NETWORKS[name]
    random = np.random.default_rng(1)
    X = random.standard_normal((1000, inputs)).astype(np.float32)
    y = random.integers(0, outputs, 1000)
    loss = losses.CrossEntropy(label_smoothing=0.05)
    if outputs == 1:
        loss, y = losses.Huber(), random.standard_normal((1000, 1)).astype(np.float32)
    net = steep.Sequential(*copy.deepcopy(body), layers.Dense(outputs))
    trainer = steep.Trainer(net, loss, rule, clip_norm=1.0, l2=1e-4, device=device, seed=2)
    history = trainer.fit(X, y, epochs=2, batch_size=96, progress=False)
    weights, slots, _ = trainer._run.session().copy_out()
    return weights, slots, history.steps["loss"]


def main():
    """Compare; the exit code says whether all are equal."""
    wrong = 0
    for name, rule in zip(NETWORKS, RULES, strict=True):
        found = [train(name, rule, device) for device in ("cpu", "cuda")]
        differ = [
            key for key in found[0][0] if found[0][0][key].tobytes() != found[1][0][key].tobytes()
        ]
        for slot, values in found[0][1].items():
            differ += [f"{slot}/{k}" for k, v in values.items()
                       if v is not None and v.tobytes() != found[1][1][slot][k].tobytes()]  # fmt: skip
        losses_equal = list(found[0][2]) == list(found[1][2])
        wrong += bool(differ) or not losses_equal
        print(f"same {name:18s} {rule.name if hasattr(rule, 'name') else rule}: "
              f"{differ or 'equal'}, losses {'equal' if losses_equal else 'DIFFER'}")  # fmt: skip
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
