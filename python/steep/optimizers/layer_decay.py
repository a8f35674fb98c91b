"""Rates that fall from the last layer to the first, as groups of a trainer. No training here."""

from typing import Any

from ..checks.numbers import POSITIVE, number, whole
from ..network.network import Network


def layer_decay(net: Network, decay: float, depth: int = 1) -> dict[str, dict[str, Any]]:
    """Return groups whose rates fall layer by layer: decay^k of the k-th layer from the end.

    Layer-wise rate decay (Howard & Ruder 2018, "discriminative fine-tuning"): what was learned
    before changes least where it is most general. ``Trainer(net, loss, Adam(1e-3),
    groups=optimizers.layer_decay(net, 0.8))``; more groups may stand before or behind them.

    Parameters
    ----------
    net
        A network that is built: its layers with parameters, in the order of `net.state_dict()`.
    decay
        Factor from a layer to the one before it, > 0.
    depth
        How many parts of a name make a layer: with 1 all of ``"block1.conv.weight"`` is
        ``"block1"``, with 2 ``"block1.conv"``.

    Returns
    -------
    dict
        ``{layer: {"lr_factor": factor}}``, for the `groups` of a `Trainer`.

    Raises
    ------
    ValueError
        If the network is not built, or a number is out of range.
    """
    decay, depth = (
        number("layer_decay", "decay", decay, POSITIVE),
        whole("layer_decay", "depth", depth),
    )
    if not isinstance(net, Network):
        raise TypeError(f"layer_decay: net must be a steep network, got {type(net).__name__}")
    if not net.built:
        raise ValueError(
            "layer_decay: the network is not built yet; net.build(input_shape) does it"
        )
    names = (name for name, _ in net._native.parameters())
    layers = list(dict.fromkeys(".".join(name.split(".")[:-1][:depth]) or name for name in names))
    return {layer: {"lr_factor": decay ** (len(layers) - 1 - k)} for k, layer in enumerate(layers)}
