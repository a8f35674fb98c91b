"""`Trainer`: fits a network, takes gradients, evaluates, saves. The loop is `loop`."""

import dataclasses
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import _core, memory, optimizers, schedules
from ..checks.numbers import flag
from ..network import inputs
from ..network.graph import Layer, Shape
from ..network.model import Network
from ..network.network import BUILDING
from ..saving import checkpoint, described, resume
from . import weighting
from .history import History
from .hooks import Callbacks
from .loop import Knobs, Loop, NonFiniteError
from .settings import FIXED, Settings

if TYPE_CHECKING:
    from ..data.augment import Augment
    from ..data.augment import Settings as Changes

Array: TypeAlias = NDArray[Any]
Batch: TypeAlias = tuple[list[Array], Array, Array | None]


class Trainer(Settings):
    """Trains a network: w is moved to make the mean over samples of loss(net(x), y) small.

    Penalties, limits and every hyper-parameter of the optimizer are attributes, which may be
    assigned at any time, by a callback, too: ``trainer.lr = 1e-4``, ``trainer.l2 = 0.0``. What is
    assigned holds from the next step on, is what ``history["lr"]`` tells and checkpoints keep.

    One `fit` or `step` runs at a time; a second one from another thread is refused. `evaluate`,
    `gradients`, `save` and the network's `predict` may be called from any thread meanwhile: each
    sees the weights of one moment between two steps. Two trainers may train one network, each the
    weights it finds.

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
        Longest gradient allowed: g = g*clip_norm/|g| beyond, over all weights (Pascanu 2013). A
        schedule may reach 0, which lets nothing pass.
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
        super().__init__(
            net,
            loss,
            optimizer,
            metrics=metrics,
            common={"l1": l1, "l2": l2, "clip_norm": clip_norm, "clip_value": clip_value},
            decay_bias=decay_bias,
            reduction=reduction,
            precision=precision,
            device=device,
            seed=seed,
        )
        self._history = History()
        self.place = resume.Place()
        self.logged: list[str] = []  # what the current fit measures, by name
        self._session: _core.Session | None = None
        self._room_for = 0  # samples of the largest batch that is known to fit into memory
        self._native: _core.Network | None = None
        self._loaded = False
        self._states: list[Any] = []
        self._callbacks: Callbacks | None = None
        self._trained_by: int | None = None  # thread of the running fit or step
        self._starting = threading.Lock()
        self._recording = threading.RLock()

    def __repr__(self) -> str:
        return (
            f"Trainer({type(self.net).__name__}, {self.loss!r}, {self.optimizer!r}, "
            f"epoch={self.epoch}, steps={self.steps})"
        )

    def _take_rule(self, given: optimizers.Optimizer) -> None:
        """Make room for another update rule, or refuse it once steps are done."""
        if self._session is None or given.rule == self.optimizer.rule:
            return
        if self.steps or self._trained_by is not None:
            raise ValueError(
                f"Trainer: {given!r} updates by the rule {given.rule}, but {self.steps} steps "
                f"were done by {self.optimizer.rule}, whose state it cannot use. Make a new "
                "Trainer for the same network."
            )
        self._session = None

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return 0 if self._session is None else self._session.epoch

    @property
    def steps(self) -> int:
        """Updates done."""
        return 0 if self._session is None else self._session.steps

    @property
    def finished(self) -> bool:
        """Whether no `fit` is under way or was cut short."""
        return self.place.call is None or self.place.call.done

    @property
    def history(self) -> History:
        """What was recorded so far, by every `fit` and `step` of this trainer."""
        self.record()
        return self._history

    @property
    def recorded(self) -> History:
        """The history as `record` left it."""
        return self._history

    def record(self) -> None:
        """Bring the history to where the session stands, also where it went back."""
        session, history = self._session, self._history
        if session is None:
            return
        with self._recording:
            losses = history.steps["loss"]
            epoch, steps, new = session.losses(len(losses))
            losses[steps - len(new) :] = new.tolist()  # done twice, it is the same
            history.cut(epoch)

    def end_epoch(self, logs: Mapping[str, float]) -> None:
        """Count the epoch in progress as done, with its numbers."""
        epoch = self.epoch
        with self._recording:
            self._history.put(epoch, logs)
            self.session().begin_epoch(next=True)
            # A signal handler between the two may have asked for the history of then.
            self._history.put(epoch, logs)

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
        class_weight: Any = None,
        shuffle: bool = True,
        drop_last: bool = False,
        augment: "Augment | None" = None,
        callbacks: Any = (),
        progress: bool = True,
    ) -> History:
        """Train for some epochs; called again, it goes on.

        After `Trainer.load` of a checkpoint that a callback of a `fit` wrote, the same `epochs`
        finish that very call, and do nothing where it was over: a script that loads its checkpoint
        and fits may be killed and started again at any moment. Any other number counts from the
        epoch in progress. An epoch cut short is finished first, or begun anew where samples,
        batch_size, shuffle or drop_last changed.

        Parameters
        ----------
        X
            Array (N, ...), or a list of arrays for several inputs. float32, float64 and uint8 of
            any strides, `numpy.memmap` too, are read in place; uint8 keeps its values 0 to 255. A
            mapped file must not be cut short meanwhile.
        y
            Labels (N,) or values (N, ...), as the loss takes them.
        epochs
            How many times to go through the data.
        batch_size
            Samples of one update; ``len(X)`` is batch gradient descent, 1 stochastic. A short last
            batch is kept.
        validation
            ``(Xv, yv)`` or ``(Xv, yv, sample_weight)``, evaluated after each epoch.
        sample_weight
            (N,) weights >= 0; each multiplies its sample's loss. Means still divide by N. An
            accuracy is the share of the weights of right samples.
        class_weight
            ``{class: weight}`` (1 for those left out), an array (classes,), or ``"balanced"``:
            N / (classes * samples of the class), as in scikit-learn. Multiplies `sample_weight`.
        shuffle
            Whether each epoch has an order of its own.
        drop_last
            Whether a short last batch is left out, as batch normalisation wants it where that is
            one sample. With `shuffle`, other samples each epoch.
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
        drop_last = flag("fit", "drop_last", drop_last)
        with self._training("fit"):
            data, checked, changes, layout, called = self._checked(
                (X, y, sample_weight),
                class_weight=class_weight,
                validation=validation,
                augment=augment,
                callbacks=callbacks,
                order=(size, shuffle, drop_last),
            )
            last, states = self._begin(epochs, layout, progress)
            self._callbacks = called
            try:
                loop = Loop(
                    self, data, checked, called, last=last, progress=progress, augment=changes
                )
                with self.net.in_use():
                    loop.run(states)
            finally:
                try:
                    self._states = called.state()
                finally:
                    self.__dict__["_callbacks"] = None
                    if self._session is not None:
                        self._session.release_data()
        return self.history

    def _checked(
        self,
        given: tuple[Any, Any, Any],
        *,
        class_weight: Any,
        validation: Any,
        augment: Any,
        callbacks: Any,
        order: tuple[int, bool, bool],
    ) -> tuple[Batch, Batch | None, "Changes | None", resume.Layout, Callbacks]:
        """Return what a fit works on; where something is refused, nothing was changed."""
        size, shuffle, drop_last = order
        with self._untouched():
            data = self._batch(*given)
            if class_weight is not None:
                shape = self.net.output_shapes[0]
                data = (*data[:2], weighting.of_classes(class_weight, self.loss, shape, *data[1:]))
            checked = None if validation is None else self._validation(validation)
            changes = _augment(augment, self.net)
            samples = len(data[1])
            size = min(size, samples) if not drop_last else size
            if size > samples:
                raise ValueError(
                    f"fit: drop_last=True leaves nothing of {samples} samples with "
                    f"batch_size={size}; take a smaller batch_size"
                )
            self._refuse_too_large(size)
            self._warn_of_single_sample(1 if size == 1 else 0 if drop_last else samples % size)
            before = self.logged
            self.logged = [*self._measured(), "lr", "seconds"]
            if checked is not None:
                self.logged[-2:-2] = [f"val_{name}" for name in self._measured()]
            try:
                called = Callbacks(callbacks, self)
                called.call("on_train_begin", self.epoch, {})
            except BaseException:
                self.logged = before
                raise
        return data, checked, changes, (samples, size, shuffle, drop_last), called

    def _begin(self, epochs: int, layout: resume.Layout, progress: bool) -> tuple[int, list[Any]]:
        """Return the epoch a fit ends with, and the states its callbacks go on from."""
        session, place = self.session(), self.place
        if session.progress["batch"] and place.layout != layout:
            if self._loaded:  # after Ctrl-C, other data are a decision; here, likely a mistake
                warnings.warn(
                    f"the checkpoint stands at batch {session.progress['batch']} of an epoch with "
                    f"(samples, batch_size, shuffle, drop_last) = {place.layout}, now {layout}: it "
                    "begins anew",
                    stacklevel=3,
                )
            session.begin_epoch(next=False)
        states, old = (self._states, place.call) if self._loaded else ([], None)
        if old is not None and old.epochs == epochs:
            if old.done and progress:
                print(
                    f"fit: this fit of {epochs} epochs was over when its checkpoint was written; "
                    "call fit again to train on",
                    file=sys.stderr,
                )
        else:
            place.call = resume.Call(self.epoch, epochs)
        assert place.call is not None
        place.layout, self._loaded, self._states = layout, False, []
        return place.call.first + epochs, states

    @contextmanager
    def _training(self, what: str) -> Iterator[None]:
        """Be the one `fit` or `step` that runs; a step may stand in a callback of its own fit."""
        me, by, taken = threading.get_ident(), None, False
        try:
            with self._starting:
                by = self._trained_by
                if by is not None and (by != me or what == "fit"):
                    where = "a callback of it" if by == me else "another thread"
                    raise RuntimeError(
                        f"Trainer: {what} was called in {where} while a fit or step of this "
                        "trainer runs; wait for it, or make another Trainer"
                    )
                taken, self.__dict__["_trained_by"] = True, me  # no call, no Ctrl-C in between
            yield
        finally:
            if taken:
                self.__dict__["_trained_by"] = by

    @contextmanager
    def _untouched(self) -> Iterator[None]:
        """Leave network and trainer as they were where the body refuses something."""
        if self._session is not None:
            yield
            return
        with BUILDING:  # nobody else begins the session meanwhile
            session, net = self._session, self.net
            form = net.native.form() if net.built else None
            try:
                with net.tentative():
                    yield
            except BaseException:
                self._session = session
                if form is not None and session is None:
                    net.native.restore(form)  # it may have been converted for this trainer
                raise

    def step(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Do one update on one batch and return the loss before it, penalties left out.

        Raises
        ------
        TypeError, ValueError, NonFiniteError
            As in `fit`.
        """
        with self._training("step"):
            with self._untouched():
                data = self._batch(X, y, sample_weight)
                self._warn_of_single_sample(len(data[1]))
            session = self.session()
            before, epoch = session.steps, float(session.epoch)
            table = Knobs(self).table(np.array([float(before)]), np.array([epoch, epoch]))
            self._loaded = False
            self._changes += 1
            try:
                session.set_batch(*data)
                # Ctrl-C may have stopped it, and its handler not have raised: then once more.
                known = min(len(self._history.steps["loss"]), before)
                while (done := session.run(table, known, 1.0)) < 1:
                    if done == 0:
                        self.refuse_fault()
            finally:
                session.release_data()
            self.record()
            return self._history.steps["loss"][before]

    def gradients(
        self, X: Any, y: Any, sample_weight: Any = None
    ) -> tuple[float, dict[str, Array]]:
        """Return the objective of one batch, penalties included, and its gradients; no update.

        With ``maximize=True`` the penalties are taken off the loss: climbing it decays the weights.

        Returns
        -------
        loss, gradients
            The gradients by the names and in the shapes of ``net.state_dict()``. Dropout is on.

        Raises
        ------
        TypeError, ValueError
            As in `fit`.
        """
        with self._untouched():
            data = self._batch(X, y, sample_weight)
        now = np.array([float(self.steps)]), np.array([float(self.epoch)])
        sign = -1.0 if self.optimizer.maximize else 1.0
        l1, l2 = (
            sign * float(np.asarray(schedules.evaluate(self.common[name], *now)).reshape(()))
            for name in ("l1", "l2")
        )
        loss, found = self.session().gradients(*data, l1, l2)
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
        with self._untouched():
            data = self._batch(X, y, sample_weight)
        return self.measure(*data, batch_size=size)

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
        NonFiniteError
            If the optimizer's state is not finite any more, which could not be loaded again.
        """
        with self._untouched():
            self.verify()
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
            If it is damaged, no checkpoint of a trainer, or does not fit `net`; nothing changes.
        RuntimeError
            If it was written on a device that this build does not have.
        """
        tensors, about = checkpoint.read(path)
        if about.get("format") != "trainer":
            raise ValueError(f"{path}: no checkpoint of a trainer; net.load_weights reads weights")
        try:
            options = resume.settings(about)
            target = resume.network(tensors, about, custom_objects or {}) if net is None else net
            trainer = cls(target, **options)
            shapes = described.check_state(trainer, about["shapes"], tensors, about)
            with target.tentative():
                trainer.prepare(shapes, draw=False)
                resume.unpack(trainer, tensors, about)
        except RecursionError:
            raise ValueError(f"{path}: its description is nested too deeply") from None
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
            reason = f"lacks {error}" if isinstance(error, KeyError) else error
            raise ValueError(f"{path}: {reason}") from error
        except RuntimeError as error:  # of a device that is not here
            raise RuntimeError(f"{path}: {error}") from error
        except MemoryError as error:
            raise MemoryError(f"{path}: does not fit into the memory that is left") from error
        return trainer

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle as settings, network and, once steps are done, what `save` keeps."""
        state: dict[str, Any] = {
            "fixed": {name: self.__dict__[name] for name in FIXED},
            "optimizer": self.optimizer,
            "common": dict(self.common),
        }
        if self._session is not None and self._native is self.net.native:
            weights, slots, progress = self.session().copy_out()
            state["trained"] = (weights, slots, progress, resume.until(self.history, progress))
            place = dataclasses.replace(self.place)
            state["place"] = (place, self._loaded, list(self.callback_states()))
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        fixed = dict(state["fixed"])
        Trainer.__init__(
            self,
            fixed.pop("net"),
            fixed.pop("loss"),
            state["optimizer"],
            **fixed,
            **state["common"],
        )
        if "trained" in state:
            weights, slots, progress, self._history = state["trained"]
            self.net.load_state_dict(weights)
            self.session().assign_slots(slots)
            self.session().set_progress(**resume.counters(progress))
            self.place, self._loaded, self._states = state["place"]

    # -- inside --------------------------------------------------------------------------------

    def prepare(self, shapes: tuple[Shape, ...], draw: bool = True) -> None:
        """Build the network for these inputs where it is not built, and refuse other inputs."""
        net = self.net
        if not net.built:
            if net.input_shapes is not None and net.input_shapes != shapes:
                raise ValueError(f"network takes inputs {net.input_shapes}, got {shapes}")
            net.build_for(shapes, self.seed, self.precision, draw=draw)
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
        if not self.net.built and self.net.input_shapes is not None:
            self.prepare(self.net.input_shapes)
        if self._session is None:
            with BUILDING:  # one session, whoever asks first
                self._begin_session()
        assert self._session is not None
        current = self.net.native.precision
        if self._native is not self.net.native or current != self.precision:
            raise RuntimeError(
                "Trainer: its network was built again or converted since training began; "
                "make a new Trainer for it"
            )
        return self._session

    def _begin_session(self) -> None:
        native = self.net.native
        if self._session is None:
            if len(self.net.output_shapes) != 1:
                raise ValueError(f"Trainer: trains one output, got {len(self.net.output_shapes)}")
            self._warn_of_softmax()
            self.net.convert(self.precision)
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

    def measure(
        self, arrays: list[Array], targets: Array, weights: Array | None, batch_size: int = 256
    ) -> dict[str, float]:
        """Return loss and metrics of checked data."""
        loss, right, weight = self.session().evaluate(arrays, targets, weights, batch_size)
        logs = {"loss": loss / len(targets)}
        if self.metrics:
            logs["accuracy"] = right / weight
        return logs

    def refuse_fault(self) -> None:
        """Raise NonFiniteError where the session's last run met a value that is not finite."""
        session = self.session()
        fault = session.fault
        if fault is not None:
            self.record()
            raise NonFiniteError(
                session.steps + 1, session.epoch + 1, fault["what"], fault["where"]
            )

    def verify(self, always: bool = True) -> None:
        """Raise NonFiniteError where the optimizer's state holds what is not finite."""
        if not self.session().verify(always):
            self.refuse_fault()

    def callback_states(self) -> list[dict[str, Any]]:
        """Return what a checkpoint keeps of the callbacks of the current fit."""
        return self._states if self._callbacks is None else self._callbacks.state()

    def loaded(self, place: resume.Place, history: History, states: list[Any]) -> None:
        """Take from a checkpoint what neither network nor session hold."""
        self.place, self._history = place, history
        self._loaded, self._states = place.call is not None, states

    def _refuse_too_large(self, batch_size: int) -> None:
        """Refuse what cannot fit into memory; what is there already counts as had."""
        if batch_size <= self._room_for:
            return
        session, room = self.session(), memory.available()
        had, wanted = session.memory(), self.memory(batch_size)
        need = wanted["total"] - had["store"]
        if wanted["arena"] <= had["arena"]:
            need -= wanted["arena"]  # the plan there is serves; a larger one comes beside it first
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
        arrays = inputs.features(X, self.net, precision=self.precision)
        if not self.net.built:
            self.prepare(tuple(tuple(a.shape[1:]) for a in arrays))
        self.session()
        samples = len(arrays[0])
        targets = inputs.targets(
            y, samples, self.loss, self.net.output_shapes[0], precision=self.precision
        )
        return arrays, targets, inputs.sample_weights(sample_weight, samples)

    def _validation(self, given: Any) -> Batch:
        if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
            raise TypeError("validation: expects (Xv, yv) or (Xv, yv, sample_weight)")
        try:
            return self._batch(given[0], given[1], given[2] if len(given) == 3 else None)
        except (ValueError, TypeError) as error:
            raise type(error)(f"validation: {error}") from None

    def _warn_of_single_sample(self, samples: int) -> None:
        """Warn where a batch is so small that a batch normalisation sees one value a channel."""
        if samples == 1 and self.net.normalises_samples:
            warnings.warn(
                "a batch of 1 sample has no variance: BatchNorm then learns nothing from it and "
                "halves its running variance. Use drop_last=True or another batch_size",
                stacklevel=5,
            )

    def _warn_of_softmax(self) -> None:
        ends = {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid"}
        last = ends.get(self.loss.name)
        if last is not None and last == self.net.last_kind:
            warnings.warn(
                f"{type(self.loss).__name__} takes logits and applies {last} itself, but the "
                f"network ends in a {last}: leave that out",
                stacklevel=4,
            )


def _augment(given: Any, net: Network) -> "Changes | None":
    if given is None:
        return None
    from ..data.augment import Augment  # noqa: PLC0415  (steep.data is imported when it is used)

    if not isinstance(given, Augment):
        raise TypeError(f"fit: augment must be a steep.data.Augment, got {type(given).__name__}")
    assert net.input_shapes is not None
    return given.settings(net.input_shapes)
