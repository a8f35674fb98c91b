"""Networks that read sequences with an LSTM: a classifier of them, and a model of texts."""

from ..checks.numbers import FRACTION, flag, number, whole
from ..initializers import Normal
from ..layers import LSTM, Bidirectional, Dense, Dropout, Embedding, Layer
from ..network.model import Input, Model, Sequential
from ..network.tensor import Shape


def lstm_classifier(
    classes: int = 2,
    units: int = 64,
    layers: int = 1,
    *,
    both_ways: bool = False,
    dropout: float = 0.0,
    vocabulary: int | None = None,
    shape: Shape | None = None,
) -> Sequential | Model:
    """Return a classifier of sequences (steps, features), or of tokens (steps,): logits (classes,).

    LSTM layers (Hochreiter & Schmidhuber 1997), of which the last one's h after the last step makes
    the logits. For 12 features and 9 classes: 20,297 parameters.

    Parameters
    ----------
    classes
        Number of outputs.
    units, layers
        Of the LSTM: numbers in h, and how many layers there are.
    both_ways
        Whether each layer is `Bidirectional`: twice the units reach the next one.
    dropout
        Rate behind each layer, in [0, 1).
    vocabulary
        Of tokens: how many different ones there are; an `Embedding` makes `units` numbers of each.
        None: the input is numbers.
    shape
        Of a sequence, its steps the most there are: the network then takes ``[X, lengths]``, whole
        numbers from 1 to the steps, and ends each sample at its own. None: X alone, all of it.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range.
    """
    size, rate = whole("lstm_classifier", "units", units), _rate("lstm_classifier", dropout)
    both = flag("lstm_classifier", "both_ways", both_ways)
    parts: list[Layer] = []
    if vocabulary is not None:
        rows = whole("lstm_classifier", "vocabulary", vocabulary)
        parts.append(Embedding(rows, size, Normal(1.0), name="tokens"))
    depth = whole("lstm_classifier", "layers", layers)
    for k in range(depth):
        name, inner = f"lstm{k}", k + 1 < depth
        if both:
            parts.append(Bidirectional(LSTM(size, return_sequences=inner), name=name))
        else:
            parts.append(LSTM(size, return_sequences=inner, name=name))
        parts += [Dropout(rate)] if rate else []
    parts.append(Dense(whole("lstm_classifier", "classes", classes), name="classes"))
    if shape is None:
        return Sequential(*parts)
    x, lengths = Input(shape), Input(())
    y = x
    for layer in parts:
        y = layer(y, lengths) if isinstance(layer, (LSTM, Bidirectional)) else layer(y)
    return Model([x, lengths], y)


def char_lstm(
    vocabulary: int = 65,
    units: int = 256,
    layers: int = 1,
    context: int = 64,
    *,
    embedding: int = 64,
    dropout: float = 0.0,
    stateful: bool | int = False,
) -> Sequential:
    """Return a language model for tokens (context,): logits (context, vocabulary).

    A row for each token, LSTM layers, and a product at each position (Graves 2013). Labels are the
    tokens that follow, (N, context). With the defaults: 349,569 parameters.

    Parameters
    ----------
    vocabulary
        How many different tokens there are.
    units, layers
        Of the LSTM: numbers in h, and how many layers there are.
    context
        Tokens of a sample.
    embedding
        Numbers in the row of a token.
    dropout
        Rate behind each layer, in [0, 1).
    stateful
        Whether row r of a batch goes on where row r of the batch before ended, as `LSTM` has it:
        the size of batches. Then ``fit`` takes samples in that order, and ``shuffle=False``.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range.
    """
    rows = whole("char_lstm", "vocabulary", vocabulary)
    width = whole("char_lstm", "embedding", embedding)
    size, rate = whole("char_lstm", "units", units), _rate("char_lstm", dropout)
    parts: list[Layer] = [Embedding(rows, width, Normal(1.0), name="tokens")]
    for k in range(whole("char_lstm", "layers", layers)):
        parts.append(LSTM(size, return_sequences=True, stateful=stateful, name=f"lstm{k}"))
        parts += [Dropout(rate)] if rate else []
    parts.append(Dense(rows, name="next"))
    return Sequential(*parts, input_shape=whole("char_lstm", "context", context))


def _rate(where: str, dropout: float) -> float:
    return number(where, "dropout", dropout, FRACTION, single=True)
