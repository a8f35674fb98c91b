"""Sequences out of language models, token by token. Training them is no different from others'."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from .checks import numbers
from .checks.arrays import array
from .checks.numbers import NOT_NEGATIVE, number, whole
from .data.text import Text
from .network.carried import Carried, carried
from .network.network import Network
from .network.stepped import Stepped, stepped

_WORTH = 2e9  # multiply-adds of whole passes spared that are worth making a network of one step


def generate(  # noqa: PLR0917 - as users write them
    net: Network,
    prompt: Any,
    length: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    seed: int = 0,
    *,
    text: Text | None = None,
    stride: int = 1,
) -> Any:
    """Return a prompt continued by a language model.

    Each token is drawn from softmax(logits / temperature), and goes on as the last one read. The
    network must be causal where it has logits for each token. Recurrent ones like
    `models.char_lstm` keep their states: all tokens count, and each costs one step. Others read the
    last `context` tokens, or with a `stride` fewer. Of Transformers like `models.gpt` keys and
    values are kept, where that is worth it: a token then costs one position, and the tokens are the
    same.

    Parameters
    ----------
    net
        A network from tokens (context,) to logits (context, vocabulary), of which those at the last
        token count, or (vocabulary,), which reads tokens 0 before the first.
    prompt
        Tokens, (n,) whole numbers, at least one; or a string, which `text` encodes.
    length
        How many tokens are drawn.
    temperature
        Below 1 likelier tokens are drawn more often; 0 takes the likeliest.
    top_k
        Draw among so many likeliest only; None: all.
    seed
        Of the draws; equal ones give equal sequences.
    text
        The `data.Text` that the network was trained on, for prompts that are strings.
    stride
        How many of the oldest tokens are forgotten at once when the context is full, 1 to
        `context`. All others then stand at positions that are new, so they are read once more,
        with keys and values of their own: 1 reads most and is a whole pass a token, half the
        context one pass in so many tokens.

    Returns
    -------
    numpy.ndarray or str
        Prompt and continuation: tokens int64, a string where the prompt is one.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, the network is no such model, or the prompt has what the
        network or the text does not know.
    """
    where = "generate"
    length, seed = whole(where, "length", length), numbers.seed(seed)
    heat = number(where, "temperature", temperature, NOT_NEGATIVE)
    context, size, each = _sizes(net)
    most = size if top_k is None else min(size, whole(where, "top_k", top_k))
    stride = whole(where, "stride", stride)
    if stride > context:
        raise ValueError(f"generate: stride must be 1 to {context}, the context, got {stride}")
    given = _tokens(prompt, text)
    if given.min() < 0 or given.max() >= size:
        raise ValueError(f"generate: tokens of the prompt must be 0 to {size - 1}, got {given}")
    tokens = np.concatenate([given, np.zeros(length, np.int64)])
    drawn = np.asarray(_core.uniform(seed, 0, length))
    reader: Carried | _Window | None = carried(net) if each else None
    if reader is None:
        passes = -(-max(0, min(len(given), context) + length - 1 - context) // stride)
        worth = each and (length - 1 - passes) * net.multiply_adds >= _WORTH
        reader = _Window(net, context, stride, stepped(net) if worth else None)
    at = reader.begin(given)
    for n in range(len(given), len(tokens)):
        tokens[n] = _draw(at.astype(np.float64), heat, most, drawn[n - len(given)])
        if n + 1 < len(tokens):
            at = reader.then(int(tokens[n]))
    return text.decode(tokens) if isinstance(prompt, str) and text is not None else tokens


class _Window:
    """A network that reads the last tokens of a sequence, `context` at most."""

    def __init__(self, net: Network, context: int, stride: int, kept: Stepped | None) -> None:
        self._net, self._context, self._stride, self._kept = net, context, stride, kept
        self._tokens = np.zeros(0, np.int64)

    def begin(self, tokens: NDArray[np.int64]) -> NDArray[Any]:
        """Return the logits behind the last of tokens (n,)."""
        self._tokens = tokens[-self._context :]
        return self._pass()

    def then(self, token: int) -> NDArray[Any]:
        """Read one more and return the logits there."""
        full = len(self._tokens) == self._context
        self._tokens = np.append(self._tokens[self._stride * full :], token)
        if full and self._stride == 1:
            self._kept = None  # from here on every token is a whole pass
        if full or self._kept is None:
            return self._pass()
        return self._kept.then(token)

    def _pass(self) -> NDArray[Any]:
        if self._kept is None:
            return _read(self._net, self._tokens, self._context)
        return self._kept.begin(self._tokens)


def _read(net: Network, tokens: NDArray[np.int64], context: int) -> NDArray[Any]:
    """Return the logits behind the last of at most `context` tokens."""
    n, each = len(tokens), len(net.output_shapes[0]) == 2
    row = np.zeros((1, context), np.int64)
    row[0, slice(0, n) if each else slice(context - n, None)] = tokens
    logits = np.asarray(net.predict(row))[0]
    return np.asarray(logits[n - 1] if each else logits)


def _sizes(net: Network) -> tuple[int, int, bool]:
    """Return context and vocabulary, and whether each token has logits."""
    shapes = net.input_shapes
    if shapes is None or len(shapes) != 1 or len(shapes[0]) != 1 or len(net.output_shapes) != 1:
        raise ValueError(
            "generate: expects a built network of one input (context,) and one output, got inputs "
            f"{shapes} and outputs {net.output_shapes}"
        )
    context, out = shapes[0][0], net.output_shapes[0]
    if (len(out) == 2 and out[0] != context) or len(out) > 2:
        raise ValueError(
            f"generate: expects logits (context, vocabulary) or (vocabulary,), got {out} for a "
            f"context of {context}"
        )
    return context, out[-1], len(out) == 2


def _tokens(prompt: Any, text: Text | None) -> NDArray[np.int64]:
    if isinstance(prompt, str):
        if text is None:
            raise ValueError("generate: a prompt that is a string needs text=, a data.Text")
        given = text.encode(prompt)
    else:
        given = array("prompt", prompt)
    if given.ndim != 1 or not given.size:
        raise ValueError(f"generate: expects at least one token, (n,), got shape {given.shape}")
    if given.dtype.kind == "f" and (given != np.rint(given)).any():
        raise ValueError(f"generate: tokens must be whole numbers, got {given}")
    return np.asarray(given, np.int64)


def _draw(logits: NDArray[np.float64], heat: float, most: int, u: float) -> int:
    """Return one token: where the sum of probabilities passes u."""
    order = np.argsort(-logits, kind="stable")[:most]
    if heat == 0.0:
        return int(order[0])
    share = np.exp((logits[order] - logits[order[0]]) / heat)
    total = np.cumsum(share)
    return int(order[min(int(np.searchsorted(total, u * total[-1], side="right")), most - 1)])
