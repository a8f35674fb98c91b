"""PyTorch's side of the cases: eager, foreach and fused optimizers, and torch.compile."""

import logging
import math
import time

import torch
import torch.nn.functional as F

from rivals import Unsupported

VERSION = torch.__version__

# Rules PyTorch has a fused CPU optimizer for.
FUSED = {"sgd", "momentum", "nesterov", "adagrad", "adam", "adamw", "amsgrad"}
BETAS = (0.9, 0.999)


def prepare(case, variant, threads, bench):
    """Return the prepared work of one case, or raise Unsupported."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    if isinstance(case, bench.Step):
        return compiled_step(case, bench) if variant == "torch-compile" else eager(
            case, variant, bench
        )
    if isinstance(case, bench.Gemm):
        return gemm(case, variant, bench)
    return rule(case, variant, bench)


def optimizer(name, parameters, lr, **how):
    """Return the PyTorch optimizer that carries a rule of ours."""
    o = torch.optim
    make = {
        "sgd": lambda: o.SGD(parameters, lr, **how),
        "momentum": lambda: o.SGD(parameters, lr, momentum=0.9, **how),
        "nesterov": lambda: o.SGD(parameters, lr, momentum=0.9, nesterov=True, **how),
        "adagrad": lambda: o.Adagrad(parameters, lr, **how),
        "rmsprop": lambda: o.RMSprop(parameters, lr, alpha=0.9, **how),
        "adam": lambda: o.Adam(parameters, lr, **how),
        "adamw": lambda: o.AdamW(parameters, lr, **how),
        "amsgrad": lambda: o.Adam(parameters, lr, amsgrad=True, **how),
        "adamax": lambda: o.Adamax(parameters, lr, **how),
        "nadam": lambda: o.NAdam(parameters, lr, **how),
        "adadelta": lambda: o.Adadelta(parameters, 1.0, rho=0.95, eps=1e-6, **how),
    }
    return make[name]()


HOW = {
    "torch": {},  # PyTorch's own choice, a loop over the tensors on CPU
    "torch-foreach": {"foreach": True},
    "torch-fused": {"fused": True},
}


class Problem:
    """Network, loss and data of a step case; batches are views of one tensor."""

    def __init__(self, case, bench):
        x, y, weights = bench.step_data(case)
        self.case = case
        layers = []
        for i, (w, b) in enumerate(weights):
            dense = torch.nn.Linear(*w.shape)
            with torch.no_grad():
                dense.weight.copy_(torch.from_numpy(w).t())
                dense.bias.copy_(torch.from_numpy(b))
            layers += [dense] if i == len(weights) - 1 else [dense, torch.nn.ReLU()]
        self.net = torch.nn.Sequential(*layers)
        self.batches = list(
            zip(torch.from_numpy(x).split(case.batch), torch.from_numpy(y).split(case.batch))
        )

    def loss(self, x, y):
        """Return the mean cross entropy of a batch."""
        return F.cross_entropy(self.net(x), y)

    def work(self, step, bench, note=""):
        """Check the loss after the common first steps, then return what is timed."""
        for x, y in self.batches[: bench.CHECK_STEPS]:
            step(x, y)
        with torch.no_grad():
            check = self.loss(*self.batches[0]).item()

        def run():
            for _ in range(self.case.epochs):
                for x, y in self.batches:
                    step(x, y)

        return bench.Work(run, self.case.batches * self.case.epochs, check=check, note=note)


def eager(case, variant, bench):
    """Prepare an eager training step."""
    problem = Problem(case, bench)
    update = optimizer("adam", problem.net.parameters(), bench.LEARNING_RATE, **HOW[variant])

    def step(x, y):
        update.zero_grad(set_to_none=True)
        problem.loss(x, y).backward()
        update.step()

    return problem.work(step, bench)


def compile_loss(case, bench):
    """Compile forward and loss; the fused optimizer stays outside."""
    problem = Problem(case, bench)
    update = optimizer("adam", problem.net.parameters(), bench.LEARNING_RATE, fused=True)
    loss = torch.compile(problem.loss, fullgraph=True, dynamic=False)

    def step(x, y):
        update.zero_grad(set_to_none=True)
        loss(x, y).backward()
        update.step()

    return problem, step


def compile_whole(case, bench):
    """Compile forward, backward and Adam into one graph (gradients through torch.func)."""
    problem = Problem(case, bench)
    names = [name for name, _ in problem.net.named_parameters()]
    weights = [p.detach() for p in problem.net.parameters()]
    first = [torch.zeros_like(p) for p in weights]
    second = [torch.zeros_like(p) for p in weights]
    time_step = torch.zeros((), dtype=torch.float32)

    def loss(weights, x, y):
        out = torch.func.functional_call(problem.net, dict(zip(names, weights)), (x,))
        return F.cross_entropy(out, y)

    def step(x, y):
        gradients = torch.func.grad(loss)(weights, x, y)
        time_step.add_(1)
        root = torch.sqrt(1 - BETAS[1] ** time_step)
        rate = bench.LEARNING_RATE / (1 - BETAS[0] ** time_step)
        for w, g, m, v in zip(weights, gradients, first, second):
            m.lerp_(g, 1 - BETAS[0])
            v.mul_(BETAS[1]).addcmul_(g, g, value=1 - BETAS[1])
            w.sub_(rate * m / (v.sqrt() / root + 1e-8))

    return problem, torch.no_grad()(torch.compile(step, fullgraph=True, dynamic=False))
