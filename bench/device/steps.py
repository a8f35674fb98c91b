"""Whole training steps on a GPU: steep beside PyTorch (eager, captured, compiled) and a JAX scan.

python bench/device/steps.py FILE.json [WAY,...] [--small] [--cases=NAME,...]

Everybody has the data on the device as bytes, shuffles there and takes batches by index. Times are
of a step, the fastest and the median of the turns; a turn is an epoch or more. Ways that end in
bf16 are PyTorch's autocast in channels last. A way that has no such case leaves it out.
"""

import json
import os
import sys
import time

from cases import CASES, RATE, Case, bench


class Unfit(Exception):
    """This way does not have the case."""


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
    trainer = case.trainer(precision)

    def work():
        trainer.fit(case.X, case.y, epochs=case.epochs, batch_size=case.batch, progress=False)
        return case.epochs * case.steps

    return timed(work, case.turns)


def by_graphs(case):
    """Train by graphs what would stay in one block."""
    os.environ["STEEP_RESIDENT"] = "off"
    try:
        return with_steep(case)
    finally:
        del os.environ["STEEP_RESIDENT"]


def torch_runner(net, take, y, batch, how, *, bf16=False):
    """Return what trains one step on the samples of an index: eagerly, captured, or compiled."""
    import torch

    cuda = torch.cuda.is_available()
    optimizer = torch.optim.Adam(net.parameters(), RATE, fused=cuda, capturable=how == "graph")
    loss_of, total = torch.nn.CrossEntropyLoss(), torch.zeros((), device=y.device)

    def value(index):
        with torch.autocast(y.device.type, torch.bfloat16, enabled=bf16):
            return loss_of(net(take(index)), y[index])

    value = torch.compile(value) if how == "compiled" else value

    def step(index):
        optimizer.zero_grad(set_to_none=how != "graph")
        loss = value(index)
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


def with_torch(case, how, bf16=False):
    """Train eagerly, replay a captured step, or one whose loss is compiled."""
    import torch
    from rivals import torch_images

    if bf16 and not case.images:
        raise Unfit
    device = "cuda" if torch.cuda.is_available() else "cpu"
    shape = (case.shape[2], *case.shape[:2]) if case.images else case.shape
    modules, _ = torch_images.build(case.net, shape, iter(case.weights), bench)
    net = torch.nn.Sequential(*modules).to(device)
    if case.images:
        net = net.to(memory_format=torch.channels_last)
    X, y = torch.tensor(case.X).to(device), torch.tensor(case.y).to(device)

    def take(index):
        x = X[index]
        x = x.permute(0, 3, 1, 2) if case.images else x  # channels last as they lie
        return x.float() * (1 / 255)

    run, total = torch_runner(net, take, y, case.batch, how, bf16=bf16)
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
    from rivals import jax_images

    X, y = jnp.asarray(case.X), jnp.asarray(case.y, jnp.int32)
    described = bench.ImageStep(case.name, case.net, case.shape, case.batch, 1)
    trained, running = jax_images.split(described, case.weights, bench)
    optimizer = optax.adam(RATE)

    def loss(trained, running, x, y):
        forward = jax_images.Forward(trained, running, True, bench)
        logits = forward.net(case.net, x)
        mean = optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()
        return mean, forward.new

    def body(state, index):
        trained, running, slots = state
        x = X[index].astype(jnp.float32) * (1 / 255)
        (value, running), gradients = jax.value_and_grad(loss, has_aux=True)(
            trained, running, x, y[index]
        )
        changes, slots = optimizer.update(gradients, slots)
        return (optax.apply_updates(trained, changes), running, slots), value

    def epoch(state, key):
        order = jax.random.permutation(key, len(X))[: case.steps * case.batch]
        return jax.lax.scan(body, state, order.reshape(case.steps, case.batch))

    @jax.jit
    def run(state, key):
        return jax.lax.scan(epoch, state, jax.random.split(key, case.epochs))

    held = [(trained, running, optimizer.init(trained)), 0]

    def work():
        held[1] += 1
        held[0], values = run(held[0], jax.random.key(held[1]))
        jax.block_until_ready(values)
        return case.epochs * case.steps

    return timed(work, case.turns)


WAYS = {
    "steep": with_steep,
    "steep-graphs": by_graphs,
    "tf32": lambda case: with_steep(case, "tf32"),
    "bfloat16": lambda case: with_steep(case, "bfloat16"),
    "eager": lambda case: with_torch(case, "eager"),
    "graph": lambda case: with_torch(case, "graph"),
    "eager-bf16": lambda case: with_torch(case, "eager", bf16=True),
    "graph-bf16": lambda case: with_torch(case, "graph", bf16=True),
    "compiled-bf16": lambda case: with_torch(case, "compiled", bf16=True),
    "jax": with_jax,
}


def main(file, *options):
    """Time each way on each case; one that cannot run says why."""
    ways = [one for one in options if not one.startswith("--")] or [",".join(WAYS)]
    names = [one[8:] for one in options if one.startswith("--cases=")] or [",".join(CASES)]
    found = []
    for name in names[0].split(","):
        for way in ways[0].split(","):
            row = {"case": name, "impl": way}
            try:
                best, median = WAYS[way](Case(name, "--small" in options))
                row |= {"min_s": best / 1e6, "median_s": median / 1e6}
                print(f"step {name:10s} {way:13s} {best:9.2f} us, median {median:9.2f}", flush=True)
            except Unfit:
                continue
            except Exception as error:
                row["note"] = f"{type(error).__name__}: {error}"
                print(f"step {name:10s} {way:13s} {row['note'][:200]}", flush=True)
            found.append(row)
            with open(file, "w") as out:  # what is known when the time is over
                json.dump(found, out, indent=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
