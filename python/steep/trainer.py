"""`Trainer`: fits a network, takes gradients, evaluates, saves. The loop is `loop`."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import _core, checkpoint, inputs, losses, memory, optimizers, resume, schedules
from .graph import Layer, Shape
from .history import History
from .hooks import Callbacks
from .loop import Knobs, Loop, NonFiniteError
from .model import Network
from .names import choose
from .ranges import NOT_NEGATIVE, POSITIVE, flag
from .weights import PRECISIONS

if TYPE_CHECKING:
    from .data.augment import Augment, Settings

Array: TypeAlias = NDArray[Any]
Batch: TypeAlias = tuple[list[Array], Array, Array | None]
_SLICE = 16  # batches evaluated between two looks at Ctrl-C


class Trainer:
    """Trains a network: w is moved to make the mean over samples of loss(net(x), y) small.

    Parameters
    ----------
    net
        A `Sequential` or `Model` with one output. Where it is not built yet, `seed` draws its
        weights.
    loss
        A name or one of `steep.losses`.
    optimizer
        A name or one of `steep.optimizers`.
    metrics
        ``("accuracy",)``, the default for classification, or ``()``.
    l1, l2
        Penalties l1*sum|w| + l2/2*sum w^2 on weights, not biases; >= 0, numbers or schedules.
    decay_bias
        Whether penalties and weight decay take the biases too.
    clip_norm
        Longest gradient allowed: g = g*clip_norm/|g| beyond, over all weights (Pascanu 2013).
    clip_value
        Largest element of a gradient allowed, before `clip_norm`.
    reduction
        ``"mean"`` over the batch, or ``"sum"``. Histories show means either way, except the losses
        of single steps.
    precision
        ``"float32"``, or ``"float64"`` for checks (slow).
    device
        ``"cpu"``.
    seed
        Of initial weights, order of samples and dropout. Equal seeds give equal bytes, whatever the
        number of threads.

    Raises
    ------
    TypeError, ValueError
        If an argument is unknown or out of range.
    RuntimeError
        For a device that this build does not have.
    """

    def __init__(
        self,
        net: Network,
        loss: Any,
        optimizer: Any,
        *,
        metrics: Sequence[str] | None = None,
        l1: Any = 0.0,
        l2: Any = 0.0,
        decay_bias: bool = False,
        clip_norm: Any = None,
        clip_value: Any = None,
        reduction: str = "mean",
        precision: str = "float32",
        device: str = "cpu",
        seed: int = 0,
    ) -> None:
        if not isinstance(net, Network):
            raise TypeError(f"Trainer: net must be a steep network, got {type(net).__name__}")
        self.net = net
        self.loss, self.optimizer = losses.get(loss), optimizers.get(optimizer)
        self.metrics = _metrics(metrics, self.loss)
        self.common: dict[str, Any] = {
            "l1": schedules.of("Trainer", "l1", l1, NOT_NEGATIVE),
            "l2": schedules.of("Trainer", "l2", l2, NOT_NEGATIVE),
            "clip_norm": _limit("clip_norm", clip_norm),
            "clip_value": _limit("clip_value", clip_value),
        }
        self.decay_bias = flag("Trainer", "decay_bias", decay_bias)
        self.reduction = choose("reduction", reduction, {"mean": "mean", "sum": "sum"})
        self.precision = choose("precision", precision, {k: k for k in PRECISIONS})
        self.device = _device(device)
        self.seed = inputs.seed(seed)
        self.history = History()
        self.place = resume.Place()
        self.logged: list[str] = []  # what the current fit measures, by name
        self.bound: object = None  # whose data the session holds
        self._session: _core.Session | None = None
        self._room_for = 0  # samples of the largest batch that is known to fit into memory
        self._native: _core.Network | None = None
        self._loaded = False
        self._states: list[Any] = []
        self._callbacks: Callbacks | None = None

    def __repr__(self) -> str:
        return (
            f"Trainer({type(self.net).__name__}, {self.loss!r}, {self.optimizer!r}, "
            f"epoch={self.epoch}, steps={self.steps})"
        )

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return self.place.epoch

    @property
    def steps(self) -> int:
        """Updates done."""
        return self.place.steps

    @property
    def finished(self) -> bool:
        """Whether no `fit` is under way or was cut short."""
        return self.place.call is None

    # -- training ------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        epochs: int = 1,
        batch_size: int = 32,
        validation: tuple[Any, Any] | tuple[Any, Any, Any] | None = None,
        sample_weight: Any = None,
        shuffle: bool = True,
        augment: "Augment | None" = None,
        callbacks: Any = (),
        progress: bool = True,
    ) -> History:
        """Train for some epochs; called again, it goes on.

        After `Trainer.load` of a checkpoint that a `fit` wrote before it was over, the same
        `epochs` finish that very call; any other number counts from the epoch in progress. An epoch
        cut short is finished first, or begun anew where samples, batch_size or shuffle changed.

        Parameters
        ----------
        X
            Array (N, ...), or a list of arrays for several inputs. float32, float64 and uint8 of
            any strides, `numpy.memmap` too, are read in place; uint8 keeps its values 0 to 255.
        y
            Labels (N,) or values (N, ...), as the loss takes them.
        epochs
            How many times to go through the data.
        batch_size
            Samples of one update; ``len(X)`` is batch gradient descent, 1 stochastic. A short last
            batch is kept.
        validation
            ``(Xv, yv)``, evaluated after each epoch.
        sample_weight
            (N,) weights >= 0; each multiplies its sample's loss. Means still divide by N.
        shuffle
            Whether each epoch has an order of its own.
        augment
            A `steep.data.Augment`: random flips, shifts and cutout of images while training. Like
            the data it is not saved: to go on from a checkpoint, give the same one.
        callbacks
            See `steep.callbacks`.
        progress
            Whether to show loss, accuracy and samples per second.

        Returns
        -------
        History
            The trainer's, with the epochs of earlier calls.

        Raises
        ------
        TypeError, ValueError
            If something does not fit, before the first step.
        NonFiniteError
            If a loss or gradient is not finite; the weights are those from before that step.
        """
        epochs, size = inputs.count("epochs", epochs), inputs.count("batch_size", batch_size)
        shuffle, progress = flag("fit", "shuffle", shuffle), flag("fit", "progress", progress)
        data = self._batch(X, y, sample_weight)
        checked = None if validation is None else self._validation(validation)
        changes = _augment(augment, self.net)
        self._refuse_too_large(min(size, len(data[0][0])))
        self.logged = [*self._measured(), "lr", "seconds"]
        if checked is not None:
            self.logged[-2:-2] = [f"val_{name}" for name in self._measured()]
        called, place = Callbacks(callbacks, self), self.place
        called.call("on_train_begin", place.epoch, {})  # may refuse: nothing is changed yet
        samples = len(data[0][0])
        layout = (samples, min(size, samples), shuffle)
        if place.batch and place.layout != layout:
            if self._loaded:  # after Ctrl-C, other data are a decision; here, likely a mistake
                warnings.warn(
                    f"the checkpoint stands at batch {place.batch} of an epoch with (samples, "
                    f"batch_size, shuffle) = {place.layout}, now {layout}: it begins anew",
                    stacklevel=2,
                )
            place.begin_epoch()
        states, old = self._states, place.call if self._loaded else None
        if old is None or old.epochs != epochs:
            place.call = resume.Call(place.epoch, epochs)
        assert place.call is not None
        place.layout, self._loaded, self._states = layout, False, []
        self._callbacks = called
        last = place.call.first + epochs
        loop = Loop(self, data, checked, called, last=last, progress=progress, augment=changes)
        loop.run(states)
        return self.history

    def step(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Do one update on one batch and return the loss before it, penalties left out.

        Raises
        ------
        TypeError, ValueError, NonFiniteError
            As in `fit`.
        """
        data = self._batch(X, y, sample_weight)
        session, place = self.session(), self.place
        self.bound = None
        session.set_data(*data, len(data[0][0]), False)
        epoch = float(place.epoch)
        table = Knobs(self).table(np.array([float(place.steps)]), np.array([epoch, epoch]))
        loss, correct = np.empty(1), np.empty(1)
        if session.run(place.epoch, 0, place.steps, table, loss, correct, 1.0) < 1:
            self.refuse_fault()
        place.steps += 1
        self.history.steps["loss"].append(float(loss[0]))
        return float(loss[0])

    def gradients(
        self, X: Any, y: Any, sample_weight: Any = None
    ) -> tuple[float, dict[str, Array]]:
        """Return the objective of one batch, penalties included, and its gradients; no update.

        Returns
        -------
        loss, gradients
            The gradients by the names and in the shapes of ``net.state_dict()``. Dropout is on.

        Raises
        ------
        TypeError, ValueError
            As in `fit`.
        """
        data = self._batch(X, y, sample_weight)
        now = np.array([float(self.steps)]), np.array([float(self.epoch)])
        l1, l2 = (
            float(np.asarray(schedules.evaluate(self.common[name], *now)).reshape(()))
            for name in ("l1", "l2")
        )
        loss, found = self.session().gradients(*data, self.steps, l1, l2)
        names = (name for name, _ in self.net.native.parameters())
        return loss, {name: found[name] for name in names if name in found}

    def evaluate(
        self, X: Any, y: Any, batch_size: int = 256, *, sample_weight: Any = None
    ) -> dict[str, float]:
        """Return loss and metrics over all samples, dropout off.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        batch_size
            Samples at a time; changes the memory used.

        Returns
        -------
        dict
            ``{"loss": mean over samples, "accuracy": share of right ones}``.

        Raises
        ------
        TypeError, ValueError
            As in `fit`.
        """
        size = inputs.count("batch_size", batch_size)
        return self.measure(*self._batch(X, y, sample_weight), batch_size=size)

    # -- saving --------------------------------------------------------------------------------

    def memory(self, batch_size: int = 32) -> dict[str, int]:
        """Return the bytes that training on batches of `batch_size` takes, before it begins.

        Returns
        -------
        memory
            ``"store"``: weights and the optimizer's slots; ``"snapshot"``: the copy of them that
            finds back to the last good weights; ``"arena"``: activations, their gradients and
            scratch memory; ``"total"``. The user's data are not in it.

        Raises
        ------
        ValueError
            If the network is not built yet.
        """
        size = inputs.count("batch_size", batch_size)
        found = dict(self.session().memory(size))
        return {**found, "total": sum(found.values())}

    def save(self, path: str | PathLike[str]) -> None:
        """Write everything to one safetensors file, whole or not at all.

        Weights, slots, counters, seeds, settings, history, the place within the epoch and the state
        of callbacks; not the data, and no times: equal trainings give equal bytes.

        Raises
        ------
        OSError
            If it cannot be written.
        ValueError
            If a schedule is a Python function.
        """
        checkpoint.write(path, *resume.pack(self))

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        custom_objects: Mapping[str, type[Layer]] | None = None,
        net: Network | None = None,
    ) -> "Trainer":
        """Return the trainer that `save` wrote; what it does next is what that one would have done.

        Parameters
        ----------
        path
            Of the file.
        custom_objects
            Your own layer classes by name.
        net
            The network to fill, instead of one made from the file's description.

        Raises
        ------
        OSError
            If there is no such file.
        ValueError
            If it is damaged, no checkpoint of a trainer, or does not fit `net`.
        """
        tensors, about = checkpoint.read(path)
        if about.get("format") != "trainer":
            raise ValueError(f"{path}: no checkpoint of a trainer; net.load_weights reads weights")
        try:
            options = resume.settings(about)
            shapes = tuple(tuple(int(n) for n in shape) for shape in about["shapes"])
            target = resume.network(tensors, about, custom_objects or {}) if net is None else net
            trainer = cls(target, **options)
            trainer.prepare(shapes)
            resume.unpack(trainer, tensors, about)
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
            reason = f"lacks {error}" if isinstance(error, KeyError) else error
            raise ValueError(f"{path}: {reason}") from error
        return trainer

    # -- inside --------------------------------------------------------------------------------

    def prepare(self, shapes: tuple[Shape, ...]) -> None:
        """Build the network for these inputs where it is not built, and refuse other inputs."""
        net = self.net
        if not net.built:
            if net.input_shapes is not None and net.input_shapes != shapes:
                raise ValueError(f"network takes inputs {net.input_shapes}, got {shapes}")
            net.build_for(shapes, self.seed, self.precision)
        elif net.input_shapes != shapes:
            raise ValueError(f"network takes inputs {net.input_shapes}, got {shapes}")

    def session(self) -> _core.Session:
        """Return the native session, made when it is first needed.

        Raises
        ------
        ValueError
            If the network has several outputs.
        RuntimeError
            If it was built again or converted since.
        """
        native = self.net.native
        if self._session is None:
            if len(self.net.output_shapes) != 1:
                raise ValueError(f"Trainer: trains one output, got {len(self.net.output_shapes)}")
            self._warn_of_softmax()
            if native.precision != self.precision:
                native.convert(self.precision)
            self._session = _core.Session(
                native,
                self.loss.name,
                self.loss.option,
                self.optimizer.rule,
                self.seed,
                self.reduction == "mean",
                self.decay_bias,
            )
            self._native = native
        if native is not self._native or native.precision != self.precision:
            raise RuntimeError(
                "Trainer: its network was built again or converted since training began; "
                "make a new Trainer for it"
            )
        return self._session

    def measure(
        self,
        arrays: list[Array],
        targets: Array,
        weights: Array | None,
        batch_size: int = 256,
        check: Callable[[], None] = lambda: None,
    ) -> dict[str, float]:
        """Return loss and metrics of checked data; `check` may raise between slices of it."""
        session, samples = self.session(), len(targets)
        loss = right = weight = 0.0
        for first in range(0, samples, batch_size * _SLICE):
            part = slice(first, first + batch_size * _SLICE)
            sums = session.evaluate(
                [a[part] for a in arrays],
                targets[part],
                None if weights is None else weights[part],
                batch_size,
            )
            loss, right, weight = loss + sums[0], right + sums[1], weight + sums[2]
            check()
        logs = {"loss": loss / samples}
        if self.metrics:
            logs["accuracy"] = right / weight
        return logs

    def refuse_fault(self) -> None:
        """Raise NonFiniteError where the session's last run met a value that is not finite."""
        fault = self.session().fault
        if fault is not None:
            place = self.place
            raise NonFiniteError(place.steps + 1, place.epoch + 1, fault["what"], fault["where"])

    def callback_states(self) -> list[dict[str, Any]]:
        """Return what a checkpoint keeps of the callbacks of the current fit."""
        return self._states if self._callbacks is None else self._callbacks.state()

    def loaded(self, states: list[Any]) -> None:
        """Note that the state came from a checkpoint, with these states of callbacks."""
        self._loaded, self._states = self.place.call is not None, states

    def _refuse_too_large(self, batch_size: int) -> None:
        """Refuse what cannot fit into memory; what is there already counts as had."""
        if batch_size <= self._room_for:
            return
        session, room = self.session(), memory.available()
        had, wanted = session.memory(), self.memory(batch_size)
        need = wanted["total"] - had["store"] - min(had["arena"], wanted["arena"])
        if room is None or need <= room:
            self._room_for = batch_size
            return
        parts = ", ".join(f"{name} {memory.readable(wanted[name])}" for name in ("store", "arena"))
        raise MemoryError(
            f"fit: batch_size={batch_size} needs {memory.readable(need)} more ({parts}), "
            f"{memory.readable(room)} are free. Take a smaller batch_size"
            f", or recompute=True in Residual layers."
        )

    def _measured(self) -> list[str]:
        return ["loss", *self.metrics]

    def _batch(self, X: Any, y: Any, sample_weight: Any) -> Batch:
        """Return checked data, building the network where it is not built."""
        if not self.net.built and self.net.input_shapes is not None:
            self.prepare(self.net.input_shapes)
        arrays = inputs.features(X, self.net, self.precision)
        if not self.net.built:
            self.prepare(tuple(tuple(a.shape[1:]) for a in arrays))
        self.session()
        samples = len(arrays[0])
        shape, precision = self.net.output_shapes[0], self.precision
        targets = inputs.targets(y, samples, self.loss, shape, precision)
        return arrays, targets, inputs.sample_weights(sample_weight, samples, precision)

    def _validation(self, given: Any) -> Batch:
        if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
            raise TypeError("validation: expects (Xv, yv) or (Xv, yv, sample_weight)")
        try:
            return self._batch(given[0], given[1], given[2] if len(given) == 3 else None)
        except (ValueError, TypeError) as error:
            raise type(error)(f"validation: {error}") from None

    def _warn_of_softmax(self) -> None:
        ends = {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid"}
        last = ends.get(self.loss.name)
        if last is not None and last == self.net.last_kind:
            warnings.warn(
                f"{type(self.loss).__name__} takes logits and applies {last} itself, but the "
                f"network ends in a {last}: leave that out",
                stacklevel=4,
            )


def _augment(given: Any, net: Network) -> "Settings | None":
    if given is None:
        return None
    from .data.augment import Augment  # noqa: PLC0415  (steep.data is imported when it is used)

    if not isinstance(given, Augment):
        raise TypeError(f"fit: augment must be a steep.data.Augment, got {type(given).__name__}")
    assert net.input_shapes is not None
    return given.settings(net.input_shapes)


def _metrics(given: Sequence[str] | None, loss: losses.Loss) -> tuple[str, ...]:
    if given is None:
        return ("accuracy",) if loss.classification else ()
    names = tuple(given) if not isinstance(given, str) else (given,)
    for name in names:
        choose("metric", name, {"accuracy": 0})
        if not loss.classification:
            raise ValueError(f"accuracy: counts right classes, but {loss.name} is for values")
    return names


def _limit(name: str, value: Any) -> Any:
    """Return a clipping threshold; 0 stands for none."""
    return 0.0 if value is None else schedules.of("Trainer", name, value, POSITIVE)


def _device(name: str) -> str:
    device = choose("device", name, {"cpu": "cpu", "cuda": "cuda"})
    if device == "cuda":
        raise RuntimeError(f'device="cuda": {_core.info()["cuda"]}. Use device="cpu".')
    return device
