"""Layers of images and of windows over sequences in PyTorch, for `twin_layers`."""

import torch
from shapes import along, around, both, image, sequence, spread, window

F = torch.nn.functional


def as_image(x):
    return x.reshape(len(x), *image(tuple(x.shape[1:])))


def nchw(x):
    return as_image(x).permute(0, 3, 1, 2)


def nhwc(x):
    return x.permute(0, 2, 3, 1)


def padded(x, zeros, value=0.0):
    top, bottom, left, right = zeros
    return F.pad(x, (left, right, top, bottom), value=value)


def conv(twin, node, x, key):
    x = as_image(x)
    _, stride, dilation, zeros = window(node, tuple(x.shape[1:]))
    weight = twin.weight(node, key)
    bias = twin.take(key, "bias") if node.get("use_bias", True) else None
    weight = twin.divided(weight, key).permute(3, 2, 0, 1).contiguous()
    groups = node.get("groups", 1)
    y = F.conv2d(padded(nchw(x), zeros).contiguous(), weight, bias, stride, 0, dilation, groups)
    return twin.activate(node.get("activation"), nhwc(y), key)


def conv_transpose(twin, node, x, key):
    """PyTorch's, with what is cut off and added, of each side its own, done around it."""
    x = as_image(x)
    _, stride, dilation, cut, more, size = spread(node, tuple(x.shape[1:]))
    weight = twin.weight(node, key).permute(3, 2, 0, 1).contiguous()
    groups = node.get("groups", 1)
    y = F.conv_transpose2d(
        nchw(x).contiguous(), weight, None, stride, 0, 0, groups, dilation=dilation
    )
    y = nhwc(F.pad(y, (0, more[1], 0, more[0])))
    y = y[:, cut[0] : cut[0] + size[0], cut[2] : cut[2] + size[1]]
    if node.get("use_bias", True):
        y = y + twin.take(key, "bias")
    return twin.activate(node.get("activation"), y, key)


def max_pool(twin, node, x, key):
    x = as_image(x)
    size, stride, _, zeros = window(node, tuple(x.shape[1:]))
    wide = padded(nchw(x), zeros, -torch.inf)
    twin.largest(
        wide.detach().unfold(2, size[0], stride[0]).unfold(3, size[1], stride[1]).flatten(4)
    )
    return nhwc(F.max_pool2d(wide, size, stride))


def avg_pool(twin, node, x, key):
    x = as_image(x)
    size, stride, _, zeros = window(node, tuple(x.shape[1:]))
    ones = padded(
        torch.ones(1, 1, *x.shape[1:3], dtype=x.dtype), zeros, float(node.get("count_padding", 0))
    )
    sums, counts = (
        F.avg_pool2d(part, size, stride, divisor_override=1)
        for part in (padded(nchw(x), zeros), ones)
    )
    return nhwc(sums / counts)


def global_pool(twin, node, x, key):
    return as_image(x).mean((1, 2))


def largest_pixel(twin, node, x, key):
    return twin.largest(as_image(x).flatten(1, 2).transpose(1, 2))


def channels_first(x):
    return x.reshape(len(x), *sequence(tuple(x.shape[1:]))).transpose(1, 2)


def conv1d(twin, node, x, key):
    x = channels_first(x)
    _, stride, dilation, zeros = along(node, x.shape[2])
    weight = twin.take(key, "weight").permute(2, 1, 0).contiguous()
    bias = twin.take(key, "bias") if node.get("use_bias", True) else None
    y = F.conv1d(F.pad(x, zeros), weight, bias, stride, 0, dilation, node.get("groups", 1))
    return twin.activate(node.get("activation"), y.transpose(1, 2), key)


def max_pool1d(twin, node, x, key):
    x = channels_first(x)
    size, stride, _, zeros = along(node, x.shape[2])
    wide = F.pad(x, zeros, value=-torch.inf)
    twin.largest(wide.detach().unfold(2, size, stride))
    return F.max_pool1d(wide, size, stride).transpose(1, 2)


def avg_pool1d(twin, node, x, key):
    x = channels_first(x)
    size, stride, _, zeros = along(node, x.shape[2])
    ones = F.pad(
        torch.ones(1, 1, x.shape[2], dtype=x.dtype),
        zeros,
        value=float(node.get("count_padding", 0)),
    )
    sums, counts = (F.avg_pool1d(part, size, stride) for part in (F.pad(x, zeros), ones))
    return (sums / counts).transpose(1, 2)


def mean_step(twin, node, x, key):
    return channels_first(x).mean(2)


def largest_step(twin, node, x, key):
    return twin.largest(channels_first(x))


def lrn(twin, node, x, key):
    x = as_image(x)
    half = node.args[0] // 2
    squares = F.pad(x * x, (half, half))
    sums = squares.unfold(3, 2 * half + 1, 1).sum(-1)
    alpha, beta = node.get("alpha", 1e-4), node.get("beta", 0.75)
    return x / (node.get("bias", 2.0) + alpha * sums) ** beta


def upsample(twin, node, x, key):
    rows, columns = both(node.args[0])
    return as_image(x).repeat_interleave(rows, 1).repeat_interleave(columns, 2)


def zero_pad(twin, node, x, key):
    top, bottom, left, right = around(node.args[0], (0, 0), (1, 1), (1, 1), (1, 1))
    before, behind = both(node.get("channels", 0))
    return F.pad(as_image(x), (before, behind, left, right, top, bottom))


def patches(twin, node, x, key):
    x, size = as_image(x), both(node.args[0])
    n, height, width, channels = x.shape
    rows, columns = height // size[0], width // size[1]
    parts = x.reshape(n, rows, size[0], columns, size[1], channels).transpose(2, 3)
    weight = twin.take(key, "weight").reshape(-1, node.args[1])
    return parts.reshape(n, rows * columns, -1) @ weight + twin.take(key, "bias")
