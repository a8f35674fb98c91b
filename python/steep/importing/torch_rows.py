"""Modules of PyTorch that steep has: a row for each in `MODULES`. Functions: `torch_functions`.

A row is called with the call, the module and its inputs.
"""

from collections.abc import Mapping
from typing import Any

from .. import layers
from .onnx_node import tensor
from .torch_call import Call, Row
from .torch_functions import FUNCTIONS, interpolate, pad, unflatten
from .torch_windows import batch_norm, conv, conv_transpose, group_norm, linear
from .views import View
from .weights import Weight


def _function(name: str, *words: str) -> Row:
    """Return the row of a module that is a function, with attributes of the module as arguments."""

    def row(call: Call, module: Any, *given: Any) -> Any:
        return FUNCTIONS[name](call, *given, **{word: getattr(module, word) for word in words})

    return row


def _linear(call: Call, module: Any, x: Any) -> View:
    return linear(call, x, call.own("weight"), call.own("bias"))


def _zeros_only(module: Any) -> None:
    if module.padding_mode != "zeros":
        raise ValueError(f"pads by {module.padding_mode!r}; steep pads by zeros")


def _conv(call: Call, module: Any, x: Any) -> Any:
    _zeros_only(module)
    about = (module.stride, module.padding, module.dilation, module.groups)
    return conv(call, x, call.own("weight"), call.own("bias"), *about)


def _conv_transpose(call: Call, module: Any, x: Any) -> Any:
    _zeros_only(module)
    about = (module.stride, module.padding, module.output_padding, module.groups, module.dilation)
    return conv_transpose(call, x, call.own("weight"), call.own("bias"), *about)


def _batch_norm(call: Call, module: Any, x: Any) -> View:
    mean, variance, weight, bias = map(call.own, ("running_mean", "running_var", "weight", "bias"))
    about = {"momentum": module.momentum, "eps": module.eps}
    return batch_norm(call, x, mean, variance, weight, bias, **about)


def _affine_norm(name: str, *words: str) -> Row:
    def row(call: Call, module: Any, x: Any) -> Any:
        about = {word: getattr(module, word) for word in (*words, "eps")}
        return FUNCTIONS[name](call, x, weight=call.own("weight"), bias=call.own("bias"), **about)

    return row


def _instance_norm(call: Call, module: Any, x: Any) -> Any:
    if module.track_running_stats:
        raise ValueError("has running statistics of samples")
    return group_norm(call, x, tensor(x).shape[0], call.own("weight"), call.own("bias"), module.eps)


def _prelu(call: Call, module: Any, x: Any) -> View:
    v, slope = tensor(x), call.own("weight")
    assert slope is not None
    if slope.value.size > 1:
        wide = slope.value.reshape(-1, *[1] * (len(v.axes) - 1))
        slope = Weight(wide, slope.name)
    return call.builder.prelu(v, slope, call.name)


def _alpha_dropout(call: Call, module: Any, x: Any) -> View:
    return x.of(layers.AlphaDropout(module.p)(x.x)) if module.p > 0 else x  # type: ignore[no-any-return]


def _upsample(call: Call, module: Any, x: Any) -> Any:
    return interpolate(call, x, module.size, module.scale_factor, module.mode)


def _rrelu(call: Call, module: Any, x: Any) -> View:
    return x.of(layers.RReLU(module.lower, module.upper)(x.x))  # type: ignore[no-any-return]


_POOL = ("kernel_size", "stride", "padding", "ceil_mode")
MODULES: Mapping[str, Row] = {
    "AdaptiveAvgPool1d": _function("adaptive_avg_pool1d", "output_size"),
    "AdaptiveAvgPool2d": _function("adaptive_avg_pool2d", "output_size"),
    "AdaptiveMaxPool1d": _function("adaptive_max_pool1d", "output_size"),
    "AdaptiveMaxPool2d": _function("adaptive_max_pool2d", "output_size"),
    "AlphaDropout": _alpha_dropout,
    "AvgPool1d": _function("avg_pool1d", *_POOL, "count_include_pad"),
    "AvgPool2d": _function("avg_pool2d", *_POOL, "count_include_pad", "divisor_override"),
    "BatchNorm1d": _batch_norm,
    "BatchNorm2d": _batch_norm,
    "CELU": _function("celu", "alpha"),
    "Conv1d": _conv,
    "Conv2d": _conv,
    "ConvTranspose1d": _conv_transpose,
    "ConvTranspose2d": _conv_transpose,
    "Dropout": _function("dropout", "p"),
    "ELU": _function("elu", "alpha"),
    "Flatten": _function("flatten", "start_dim", "end_dim"),
    "GELU": _function("gelu", "approximate"),
    "GLU": _function("glu", "dim"),
    "GroupNorm": _affine_norm("group_norm", "num_groups"),
    "Hardshrink": _function("hardshrink", "lambd"),
    "Hardsigmoid": _function("hardsigmoid"),
    "Hardswish": _function("hardswish"),
    "Hardtanh": _function("hardtanh", "min_val", "max_val"),
    "Identity": lambda call, module, x: x,
    "InstanceNorm1d": _instance_norm,
    "InstanceNorm2d": _instance_norm,
    "LayerNorm": _affine_norm("layer_norm", "normalized_shape"),
    "LeakyReLU": _function("leaky_relu", "negative_slope"),
    "Linear": _linear,
    "LocalResponseNorm": _function("local_response_norm", "size", "alpha", "beta", "k"),
    "LogSigmoid": _function("logsigmoid"),
    "LogSoftmax": _function("log_softmax", "dim"),
    "MaxPool1d": _function("max_pool1d", *_POOL, "dilation", "return_indices"),
    "MaxPool2d": _function("max_pool2d", *_POOL, "dilation", "return_indices"),
    "Mish": _function("mish"),
    "PReLU": _prelu,
    "PixelShuffle": _function("pixel_shuffle", "upscale_factor"),
    "PixelUnshuffle": _function("pixel_unshuffle", "downscale_factor"),
    "RReLU": _rrelu,
    "ReLU": _function("relu"),
    "ReLU6": _function("relu6"),
    "SELU": _function("selu"),
    "SiLU": _function("silu"),
    "Sigmoid": _function("sigmoid"),
    "Softmax": _function("softmax", "dim"),
    "Softplus": _function("softplus", "beta", "threshold"),
    "Softshrink": _function("softshrink", "lambd"),
    "Softsign": _function("softsign"),
    "Tanh": _function("tanh"),
    "Unflatten": lambda call, module, x: unflatten(call, x, module.dim, module.unflattened_size),
    "Upsample": _upsample,
    "UpsamplingNearest2d": _upsample,
    "ZeroPad1d": lambda call, module, x: pad(call, x, module.padding),
    "ZeroPad2d": lambda call, module, x: pad(call, x, module.padding),
}
