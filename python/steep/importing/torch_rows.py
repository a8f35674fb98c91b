"""Modules of PyTorch that steep has: a row for each in `MODULES`. Functions: `torch_functions`.

A row is called with the call, the module and its inputs.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import layers
from .onnx_node import tensor
from .torch_call import Call, Row
from .torch_functions import FUNCTIONS
from .torch_views import interpolate, pad, unflatten
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


def _conv(call: Call, module: Any, x: Any) -> Any:
    padding = module.padding
    if module.padding_mode != "zeros":
        x, padding = pad(call, x, module._reversed_padding_repeated_twice, module.padding_mode), 0
    about = (module.stride, padding, module.dilation, module.groups)
    return conv(call, x, call.own("weight"), call.own("bias"), *about)


def _conv_transpose(call: Call, module: Any, x: Any) -> Any:
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


def _rms_norm(call: Call, module: Any, x: Any) -> Any:
    eps = float(np.finfo(np.float32).eps) if module.eps is None else module.eps
    axis = -len(module.normalized_shape)
    return call.onnx("RMSNormalization", x, call.own("weight"), axis=axis, epsilon=eps)


def _pad(mode: str) -> Row:
    return lambda call, module, x: pad(call, x, module.padding, mode)


def _embedding(call: Call, module: Any, x: Any) -> Any:
    if module.max_norm is not None or module.scale_grad_by_freq:
        raise ValueError("bounds its rows, or counts them (max_norm, scale_grad_by_freq)")
    if module.padding_idx is not None:
        raise ValueError("does not train the row padding_idx; steep trains all rows")
    return call.onnx("Gather", call.own("weight"), x)


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
    about = (module.align_corners, module.recompute_scale_factor)
    return interpolate(call, x, module.size, module.scale_factor, module.mode, *about)


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
    "ChannelShuffle": _function("channel_shuffle", "groups"),
    "CircularPad1d": _pad("circular"),
    "CircularPad2d": _pad("circular"),
    "ConstantPad1d": lambda call, module, x: pad(call, x, module.padding, value=module.value),
    "ConstantPad2d": lambda call, module, x: pad(call, x, module.padding, value=module.value),
    "Conv1d": _conv,
    "Conv2d": _conv,
    "ConvTranspose1d": _conv_transpose,
    "ConvTranspose2d": _conv_transpose,
    "Dropout": _function("dropout", "p"),
    "Dropout1d": _function("feature_dropout", "p"),
    "Dropout2d": _function("feature_dropout", "p"),
    "ELU": _function("elu", "alpha"),
    "Embedding": _embedding,
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
    "RMSNorm": _rms_norm,
    "ReLU": _function("relu"),
    "ReLU6": _function("relu6"),
    "ReflectionPad1d": _pad("reflect"),
    "ReflectionPad2d": _pad("reflect"),
    "ReplicationPad1d": _pad("replicate"),
    "ReplicationPad2d": _pad("replicate"),
    "SELU": _function("selu"),
    "SiLU": _function("silu"),
    "Sigmoid": _function("sigmoid"),
    "Softmax": _function("softmax", "dim"),
    "Softmax2d": lambda call, module, x: FUNCTIONS["softmax"](call, x, 1),
    "Softmin": _function("softmin", "dim"),
    "Softplus": _function("softplus", "beta", "threshold"),
    "Softshrink": _function("softshrink", "lambd"),
    "Softsign": _function("softsign"),
    "Tanh": _function("tanh"),
    "Tanhshrink": _function("tanhshrink"),
    "Threshold": _function("threshold", "threshold", "value"),
    "Unflatten": lambda call, module, x: unflatten(call, x, module.dim, module.unflattened_size),
    "Upsample": _upsample,
    "UpsamplingBilinear2d": _upsample,
    "UpsamplingNearest2d": _upsample,
    "ZeroPad1d": lambda call, module, x: pad(call, x, module.padding),
    "ZeroPad2d": lambda call, module, x: pad(call, x, module.padding),
}
