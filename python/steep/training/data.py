"""`Data`: what a fit, a step or an evaluation works on, checked once. The checks are `inputs`."""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..checks.arrays import Given
from ..checks.columns import Columns
from ..checks.names import choose
from ..losses import Loss
from ..network import Shape, inputs
from ..network import labels as positions
from ..network.network import Network
from .place import Layout
from .settings import Settings
from .terms import Terms, Wanted

Array: TypeAlias = NDArray[Any]


class Data(NamedTuple):
    """Samples as the core reads them: they fit the network and the loss."""

    inputs: list[Given]
    targets: list[Given]  # of each loss that takes some: values, labels int32 or of positions
    weights: list[Array | None]  # of samples or positions, for each output; classes are in them

    @property
    def samples(self) -> int:
        """How many there are."""
        return len(self.inputs[0])

    def counted(self, wanted: Wanted, number: int, output: int) -> int:
        """Return what the mean of a loss over all samples is taken over.

        The samples or, where the loss takes positions one by one, those of them that count.
        `number` is that of its targets, `output` that of its output.
        """
        loss, shape = wanted.loss, wanted.shape
        if len(shape) == 1 and loss._ignored is None:
            return self.samples
        targets = self.targets[number]
        labelled = loss.by_position and targets.dtype.kind in "iu"
        if labelled and (targets.ndim > 1 or loss._ignored is not None):
            return positions.count(inputs.on_host(targets), shape[-1], loss._ignored)
        each = math.prod(shape[:-1]) if loss.by_position else self.positions(output)
        return self.samples * each

    def positions(self, output: int) -> int:
        """Return how many positions of a sample have weights of their own; 1 where it has one."""
        weights = self.weights[output] if output >= 0 else None
        return 1 if weights is None else math.prod(weights.shape[1:])


def checked(
    settings: Settings, X: Any, y: Any, sample_weight: Any = None, class_weight: Any = None
) -> Data:
    """Return what the user gave as data, building the network where it is not built.

    Raises
    ------
    TypeError, ValueError
        If something does not fit the network or the loss.
    """
    net, precision, device = settings.net, settings.precision, settings.device
    settings.build()  # what is wrong with the network itself is told first
    arrays = inputs.features(X, net, precision=precision, device=device)
    if not net.built:
        settings.build(tuple(tuple(a.shape[1:]) for a in arrays))
    inputs.whole_numbers(arrays, net._described().graph)
    samples, terms = len(arrays[0]), settings.terms()
    if len(terms.outputs) == 1 and len(terms.wanted) == 1 and type(y) is not dict:
        targets = [_targets(y, samples, terms.wanted[0], precision, device)]  # most calls
    else:
        outputs = list(dict.fromkeys(wanted.output for wanted in terms.wanted))
        given, targets = _by_output("y", y, terms.outputs, outputs), []
        for wanted in terms.wanted:
            with _named("y", wanted.output, terms):
                targets.append(_targets(given[wanted.output], samples, wanted, precision, device))
    weights: list[Array | None] = [None] * len(terms.outputs)
    if sample_weight is not None:
        found = _by_output("sample_weight", sample_weight, terms.outputs, list(terms.outputs))
        for k, output in enumerate(terms.outputs):
            with _named("sample_weight", output, terms):
                weights[k] = inputs.sample_weights(
                    found[output], samples, terms.lead(output), device=device
                )
    if class_weight is not None:
        _add_classes(class_weight, terms, targets, weights)
    for at, k, (_, loss, shape) in terms.classed:
        own = getattr(loss, "class_weight", None)
        weights[k] = _of_classes(own, loss, shape, targets[at], weights[k])
    return Data(arrays, targets, weights)


def _targets(given: Any, samples: int, wanted: Wanted, precision: str, device: str) -> Given:
    if given is None:
        raise ValueError(f"y: has no targets for the loss {wanted.loss.name}")
    return inputs.targets(
        given, samples, wanted.loss, wanted.shape, precision=precision, device=device
    )


def _by_output(what: str, given: Any, outputs: Sequence[str], wanted: list[str]) -> dict[str, Any]:
    """Return what users gave for each output: a dict by names, a list, or one for the only one."""
    if isinstance(given, Mapping):
        for name in given:
            choose(f"{what}: output", name, {each: 0 for each in outputs if each})
            if name not in wanted:
                raise ValueError(f"{what}: the output {name!r} has no loss that takes it")
        return {name: given.get(name) for name in wanted}
    if what == "y" and not wanted:
        if given is not None:
            raise ValueError("y: no loss has targets; leave it out")
        return {}
    if len(outputs) == 1 or len(wanted) == 1 or given is None or what != "y":
        return dict.fromkeys(wanted, given)
    if isinstance(given, (list, tuple)) and len(given) == len(outputs):
        return {name: given[outputs.index(name)] for name in wanted}
    raise ValueError(
        f"{what}: expects a dict of arrays by output, {', '.join(map(repr, wanted))}, got "
        f"{type(given).__name__}"
    )


@contextmanager
def _named(what: str, output: str, terms: Terms) -> Iterator[None]:
    """Say of which output an error is, where there are several."""
    try:
        yield
    except (ValueError, TypeError) as error:
        if len(terms.outputs) == 1:
            raise
        raise type(error)(f"{what}[{output!r}]: {str(error).removeprefix(f'{what}: ')}") from None


def _add_classes(
    given: Any, terms: Terms, targets: list[Given], weights: list[Array | None]
) -> None:
    """Multiply the weights of samples by those of their classes."""
    by_output = {"": given}
    if len(terms.outputs) > 1:
        if not isinstance(given, Mapping):
            raise ValueError("class_weight: expects a dict by output, of weights by class each")
        by_output = dict(given)
    names = {wanted.output: k for k, wanted in enumerate(terms.wanted)}
    for name, each in by_output.items():
        known = name if len(terms.outputs) > 1 else next(iter(names), "")
        choose("class_weight: output", known, names) if known else None
        if known not in names:
            raise ValueError("class_weight: there are no targets to have classes")
        k, at = names[known], terms.outputs.index(known)
        wanted = terms.wanted[k]
        weights[at] = _of_classes(each, wanted.loss, wanted.shape, targets[k], weights[at])


def checked_validation(
    settings: Settings, given: Any, columns: Sequence[Columns | None]
) -> Data | None:
    """Return what `fit` evaluates after each epoch; raises as `checked`, naming it.

    `columns` are the names of what it is trained on.
    """
    if given is None:
        return None
    if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
        raise TypeError("validation: expects (Xv, yv) or (Xv, yv, sample_weight)")
    try:
        data = checked(settings, *given)
        inputs.columns(given[0], settings.net, columns)
        return data
    except (ValueError, TypeError) as error:
        raise type(error)(f"validation: {error}") from None


def checked_augment(given: Any, net: Network) -> tuple[bool, int, int, list[float]] | None:
    """Return how images are changed, as the core takes it."""
    if given is None:
        return None
    from ..data.augment import Augment  # noqa: PLC0415  (steep.data is imported when it is used)

    if not isinstance(given, Augment):
        raise TypeError(f"fit: augment must be a steep.data.Augment, got {type(given).__name__}")
    assert net.input_shapes is not None
    return given._settings(net.input_shapes)


def refuse_kept(net: Network, layout: Layout) -> None:
    """Refuse batches that do not go on where the one before ended, of layers that keep states."""
    samples, size, shuffle, _ = layout
    for who, rows in net._keeping:
        if shuffle:
            raise ValueError(
                f"{who}: is stateful: a row of a batch goes on where it ended in the batch before. "
                "Use fit(shuffle=False)."
            )
        if min(samples, size) > rows:
            raise ValueError(
                f"{who}: keeps the states of {rows} rows, and batches have {min(samples, size)}. "
                f"Make it with stateful={min(samples, size)}."
            )


def warn_of_single_sample(net: Network, layout: Layout) -> None:
    """Warn where a batch is so small that a batch normalisation sees one value a channel."""
    samples, size, _, drop_last = layout
    last = samples % size or size
    batches = {min(size, samples), size if drop_last else last}
    if any((n % (group or n) or group or n) == 1 for n in batches for group in net._sample_groups):
        warnings.warn(
            "a batch of 1 sample has no variance: BatchNorm then learns nothing from it and "
            "halves its running variance. Use drop_last=True or another batch_size or "
            "virtual_batch",
            stacklevel=4,
        )


def warn_of_softmax(settings: Settings) -> None:
    """Warn where the network ends in what the loss does itself."""
    ends = {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid"}
    terms = settings.terms()
    for wanted in terms.wanted:
        output = terms.about.outputs[terms.outputs.index(wanted.output)]
        last = ends.get(wanted.loss.name)
        if last is not None and last == terms.about.kinds.get(output):
            warnings.warn(
                f"{type(wanted.loss).__name__} takes logits and applies {last} itself, but the "
                f"network ends in a {last}: leave that out",
                stacklevel=7,  # of who called the trainer
            )


def _of_classes(
    given: Any, loss: Loss, shape: Shape, targets: Given, weights: Array | None
) -> Array | None:
    """Return weights times the weight of the class of each sample or position, all checked."""
    classes, labels, counts = _labels(loss, shape, inputs.on_host(targets))
    each = np.ones(classes)
    if isinstance(given, str):
        if given != "balanced":
            raise ValueError(f'class_weight: the one word it takes is "balanced", got {given!r}')
        sizes = np.bincount(labels[counts].reshape(-1), minlength=classes)
        each[sizes > 0] = sizes.sum() / (np.count_nonzero(sizes) * sizes[sizes > 0])
    elif isinstance(given, Mapping):
        for key, value in given.items():
            each[_class(key, classes)] = _weight(key, value)
    else:
        values = np.asarray(given)
        if values.shape != (classes,):
            raise ValueError(
                f'class_weight: expects a dict, "balanced" or one weight for each of the '
                f"{classes} classes, got shape {values.shape}"
            )
        each = np.array([_weight(k, value) for k, value in enumerate(values.tolist())])
    chosen = np.where(counts, each[labels], 0.0)
    if weights is not None:
        chosen = chosen * weights.reshape(weights.shape + (1,) * (labels.ndim - weights.ndim))
    return inputs.sample_weights(chosen, len(labels), labels.shape[1:])


def _labels(
    loss: Loss, shape: Shape, targets: Array
) -> tuple[int, NDArray[np.int64], NDArray[np.bool_]]:
    """Return how many classes there are, the class of each sample or position, and which count."""
    if loss.by_position and targets.dtype.kind in "iu":
        counts = np.ones(targets.shape, bool) if loss._ignored is None else targets != loss._ignored
        return shape[-1], np.where(counts, targets, 0).astype(np.int64), counts
    if loss.name == "binary_cross_entropy" and shape[-1] == 1:
        values = targets.reshape(len(targets), *shape[:-1])
        labels = values.astype(np.int64)
        if (labels == values).all():
            return 2, labels, np.ones(labels.shape, bool)
    raise ValueError(
        "class_weight: needs a class for each sample or position: labels of cross_entropy, or 0 "
        "and 1 of binary_cross_entropy with one output. For other targets use sample_weight"
    )


def _class(key: object, classes: int) -> int:
    whole = isinstance(key, (int, np.integer)) and not isinstance(key, bool)
    if not whole or not 0 <= int(key) < classes:  # type: ignore[call-overload]
        raise ValueError(f"class_weight: classes are 0 to {classes - 1}, got {key!r}")
    return int(key)  # type: ignore[call-overload,no-any-return]


def _weight(key: object, value: object) -> float:
    plain = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not plain or not 0 <= float(value) < np.inf:  # type: ignore[arg-type]
        raise ValueError(
            f"class_weight: must be a finite number of at least 0, got {value!r} for class {key!r}"
        )
    return float(value)  # type: ignore[arg-type]
