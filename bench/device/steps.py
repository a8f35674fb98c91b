"""Whole training steps on a GPU: steep beside PyTorch (eager and in a CUDA graph) and a JAX scan.

python bench/device/steps.py FILE.json [steep,tf32,bfloat16,eager,graph,jax] [--small]

Everybody has the data on the device, shuffles there and takes batches by index. Times are of a
step, the fastest and the median of the turns; a turn is an epoch or more.
"""

import json
import sys
import time

import numpy as np

CASES = {  # units, batch, samples
    "mlp_tiny": ((30, 64, 2), 32, 64000),
    "mlp_mnist": ((784, 128, 10), 128, 60000),
    "mlp_wide": ((784, 1024, 1024, 10), 128, 30000),
}
RATE = 1e-3


class Case:
    """Random data and initial weights, the same for everybody."""

    def __init__(self, name, small):
        self.units, self.batch, samples = CASES[name]
        samples = 4 * self.batch if small else samples
        random = np.random.default_rng(0)
        self.X = random.integers(0, 256, (samples, self.units[0]), dtype=np.uint8)
        self.y = random.integers(0, self.units[-1], samples)
        self.weights = [
            ((random.standard_normal(s) * np.sqrt(2 / s[0])).astype(np.float32),
             np.zeros(s[1], np.float32))
            for s in zip(self.units, self.units[1:], strict=False)
        ]  # fmt: skip
        self.steps = samples // self.batch
        self.epochs = 1 if small else max(1, 10000 // self.steps)
        self.turns = 2 if small else 5


def timed(work, turns):
    """Return microseconds a step: fastest and median of turns after a first one."""
    work()
    times = []
    for _ in range(turns):
        start = time.perf_counter()
        steps = work()
        times.append((time.perf_counter() - start) / steps * 1e6)
    return min(times), sorted(times)[len(times) // 2]


def with_steep(case, precision="float32"):
    """Train through `Trainer.fit`, checks of the data and all."""
    import steep

    body = [steep.layers.Dense(n, "relu") for n in case.units[1:-1]]
    net = steep.Sequential(steep.layers.Rescale(1 / 255), *body, steep.layers.Dense(case.units[-1]))
    trainer = steep.Trainer(net, "cross_entropy", steep.optimizers.Adam(RATE), device="cuda",
                            precision=precision)  # fmt: skip
    samples = case.steps * case.batch

    def work():
        trainer.fit(case.X[:samples], case.y[:samples], epochs=case.epochs, batch_size=case.batch,
                    progress=False)  # fmt: skip
        return case.epochs * case.steps

    return timed(work, case.turns)


def torch_runner(net, take, y, batch, how):
    """Return what trains one step on the samples of an index, eagerly or by a captured graph."""
    import torch

    cuda = torch.cuda.is_available()
    optimizer = torch.optim.Adam(net.parameters(), RATE, fused=cuda, capturable=how == "graph")
    loss_of, total = torch.nn.CrossEntropyLoss(), torch.zeros((), device=y.device)

    def step(index):
        optimizer.zero_grad(set_to_none=how == "eager")
        loss = loss_of(net(take(index)), y[index])
        loss.backward()
        optimizer.step()
        total.add_(loss.detach())

    if how != "graph":
        return step, total
    held = torch.zeros(batch, dtype=torch.long, device=y.device)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step(held)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(held)

    def replay(index):
        held.copy_(index)
        graph.replay()

    return replay, total


def with_torch(case, how):
    """Train eagerly, or replay a captured step."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    body = []
    for w, b in case.weights:
        layer = torch.nn.Linear(*w.shape)
        layer.weight.data, layer.bias.data = torch.tensor(w.T.copy()), torch.tensor(b)
        body += [layer, torch.nn.ReLU()]
    net = torch.nn.Sequential(*body[:-1]).to(device)
    X, y = torch.tensor(case.X).to(device), torch.tensor(case.y).to(device)
    run, total = torch_runner(net, lambda at: X[at].float() * (1 / 255), y, case.batch, how)
    few = min(case.steps, 400)  # of steps that take long

    def work():
        order = torch.randperm(len(X), device=device)[: few * case.batch]
        for index in order.view(few, case.batch):
            run(index)
        total.item()
        return few

    return timed(work, case.turns)


def with_jax(case):
    """Train all steps of some epochs in one jitted scan."""
    import jax
    import jax.numpy as jnp
    import optax

    X, y = jnp.asarray(case.X), jnp.asarray(case.y, jnp.int32)
    weights = [(jnp.asarray(a), jnp.asarray(b)) for a, b in case.weights]
    optimizer = optax.adam(RATE)

    def loss(weights, x, y):
        for w, b in weights[:-1]:
            x = jax.nn.relu(x @ w + b)
        z = x @ weights[-1][0] + weights[-1][1]
        return optax.softmax_cross_entropy_with_integer_labels(z, y).mean()

    def body(state, index):
        weights, slots = state
        x = X[index].astype(jnp.float32) * (1 / 255)
        value, gradients = jax.value_and_grad(loss)(weights, x, y[index])
        changes, slots = optimizer.update(gradients, slots)
        return (optax.apply_updates(weights, changes), slots), value

    def epoch(state, key):
        order = jax.random.permutation(key, len(X))[: case.steps * case.batch]
        return jax.lax.scan(body, state, order.reshape(case.steps, case.batch))

    @jax.jit
    def run(state, key):
        return jax.lax.scan(epoch, state, jax.random.split(key, case.epochs))

    held = [(weights, optimizer.init(weights)), 0]

    def work():
        held[1] += 1
        held[0], values = run(held[0], jax.random.key(held[1]))
        jax.block_until_ready(values)
        return case.epochs * case.steps

    return timed(work, case.turns)


WAYS = {
    "steep": with_steep,
    "tf32": lambda case: with_steep(case, "tf32"),
    "bfloat16": lambda case: with_steep(case, "bfloat16"),
    "eager": lambda case: with_torch(case, "eager"),
    "graph": lambda case: with_torch(case, "graph"),
    "jax": with_jax,
}


def main(file, names="steep,graph,eager,jax", *options):
    """Time each way on each case; one that cannot run says why."""
    found = []
    for name in CASES:
        for way in names.split(","):
            row = {"case": name, "impl": way}
            try:
                best, median = WAYS[way](Case(name, "--small" in options))
                row |= {"min_s": best / 1e6, "median_s": median / 1e6}
                print(f"step {name:10s} {way:8s} {best:9.2f} us, median {median:9.2f}", flush=True)
            except Exception as error:
                row["note"] = f"{type(error).__name__}: {error}"
                print(f"step {name:10s} {way:8s} {row['note'][:200]}", flush=True)
            found.append(row)
    with open(file, "w") as out:
        json.dump(found, out, indent=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
