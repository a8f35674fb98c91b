"""Activations in PyTorch, float64, and functions of NumPy as PyTorch differentiates them."""

import numpy as np
import reference
import torch

F = torch.nn.functional


def elu(x, alpha):
    """PyTorch's own forms take 1 from e^x: near 0 their digits are gone."""
    return torch.where(x > 0, x, alpha * torch.expm1(torch.clamp(x, max=0.0)))


# Those that PyTorch has; others are taken from the reference.
ACTIVATIONS = {
    "linear": lambda x, a: x,
    "relu": lambda x, a: torch.relu(x),
    "leaky_relu": F.leaky_relu,
    "elu": elu,
    "sigmoid": lambda x, a: torch.sigmoid(x),
    "tanh": lambda x, a: torch.tanh(x),
    "gelu": lambda x, a: F.gelu(x),
    # PyTorch's own form adds 1 to a tanh: far below 0 nothing is left of its gradient.
    "gelu_tanh": lambda x, a: x * torch.sigmoid(reference.gelu_u(x)),
    "silu": lambda x, a: F.silu(x),
    "mish": lambda x, a: F.mish(x),
    "selu": lambda x, a: reference.SELU_S * elu(x, reference.SELU_A),
    "celu": lambda x, a: a * elu(x / a, 1.0),
    "relu6": lambda x, a: F.relu6(x),
    "hard_sigmoid": lambda x, a: F.relu6(x + 3) / 6,  # F.hardsigmoid has float32's sixth in f'
    "hard_swish": lambda x, a: F.hardswish(x),
    "hard_tanh": lambda x, a: F.hardtanh(x),
    "log_sigmoid": lambda x, a: F.logsigmoid(x),
    "softsign": lambda x, a: F.softsign(x),
    "soft_shrink": F.softshrink,
    "hard_shrink": F.hardshrink,
    "exp": lambda x, a: torch.exp(x),
    "log": lambda x, a: torch.log(x),
    "square": lambda x, a: x * x,
    "abs": lambda x, a: torch.abs(x),
    "softplus": lambda x, a: F.softplus(x, threshold=1e9),
    "sqrt": lambda x, a: torch.sqrt(x),
    "sin": lambda x, a: torch.sin(x),
    "cos": lambda x, a: torch.cos(x),
}
BENT = {"softsign"}  # whose slope bends at 0, where PyTorch takes the middle
ALIASES = {"swish": "silu", "hard_silu": "hard_swish", "logistic": "sigmoid"}
GATES = {"glu": "sigmoid", "swiglu": "silu", "geglu": "gelu", "reglu": "relu"}
DEFAULTS = {"leaky_relu": 0.01, "elu": 1.0, "celu": 1.0, "soft_shrink": 0.5, "hard_shrink": 0.5}


class Reference(torch.autograd.Function):
    """What a function of NumPy gives for x: values, and their derivative by their own part of x."""

    @staticmethod
    def forward(ctx, x, f):
        value, slope = (torch.from_numpy(np.asarray(a)) for a in f(x.detach().double().numpy()))
        ctx.save_for_backward(slope.to(x.dtype))
        return value.to(x.dtype)

    @staticmethod
    def backward(ctx, dy):
        (slope,) = ctx.saved_tensors
        return dy.reshape(dy.shape + (1,) * (slope.dim() - dy.dim())) * slope, None


def apply(name, x, alpha):
    if name in ACTIVATIONS:
        return ACTIVATIONS[name](x, alpha)
    f, slope = reference.ACTIVATIONS[name]
    return Reference.apply(x, lambda x: (f(x, alpha), slope(x, alpha)))


def join(op, parts):
    total = parts[0]
    if op == "concat":
        return torch.cat(parts, -1)
    for part in parts[1:]:
        total = {"add": torch.add, "subtract": torch.sub, "multiply": torch.mul}[op](total, part)
    return total
