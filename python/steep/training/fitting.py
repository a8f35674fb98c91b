"""What a trainer does with samples: `fit`, `step`, `evaluate`.

The door's part that checks what is given; the steps are the loop's and the run's.
"""

from typing import TYPE_CHECKING, Any

from ..checks.names import choose
from ..checks.numbers import flag, whole
from ..network import inputs
from .data import checked_augment, checked_validation, refuse_kept, warn_of_single_sample
from .history import History
from .hooks import Callbacks, Recorder
from .loop import Loop
from .nonfinite import POLICIES
from .place import layout_for, layout_of
from .run import Run

if TYPE_CHECKING:
    from ..data.augment import Augment


class Fitting:
    """What a `Trainer` does with samples and their targets."""

    _run: Run

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        epochs: int = 1,
        batch_size: int | None = None,
        validation: tuple[Any, Any] | tuple[Any, Any, Any] | None = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        shuffle: bool = True,
        drop_last: bool = False,
        accumulate: int = 1,
        augment: "Augment | None" = None,
        callbacks: Any = (),
        nonfinite: str = "raise",
        record: Recorder | None = None,
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
            mapped file must not be cut short meanwhile. With ``device="cuda"`` X, y and weights may
            be arrays on the GPU, CuPy's or PyTorch's, which are read there.
        y
            Labels (N,) or values (N, ...), as the loss takes them; for several outputs a dict by
            their names. None where no loss has targets.
        epochs
            How many times to go through the data.
        batch_size
            Samples of one update; ``len(X)`` is batch gradient descent, 1 stochastic. A short last
            batch is kept. None: 32, or all samples for a method for full batches (`LBFGS` and its
            like), which takes no fewer.
        validation
            ``(Xv, yv)`` or ``(Xv, yv, sample_weight)``, evaluated after each epoch.
        sample_weight
            (N,) weights >= 0, or a dict of them by output; each multiplies its sample's loss. Means
            still divide by N, unless the trainer has ``reduction="weighted_mean"``. An accuracy is
            the share of the weights of right samples.
        class_weight
            ``{class: weight}`` (1 for those left out), an array (classes,), or ``"balanced"``:
            N / (classes * samples of the class), as in scikit-learn. Multiplies `sample_weight`.
        shuffle
            Whether each epoch has an order of its own.
        drop_last
            Whether a short last batch is left out, as batch normalisation wants it where that is
            one sample. With `shuffle`, other samples each epoch.
        accumulate
            Batches of one update: it is that of a batch of ``accumulate*batch_size`` samples, which
            go forward and backward `batch_size` at a time, in the memory of so many. Batch
            normalisation sees each by itself. Histories and schedules count updates.
        augment
            A `steep.data.Augment`: random flips, shifts and cutout of images while training. Like
            the data it is not saved: to go on from a checkpoint, give the same one.
        callbacks
            See `steep.callbacks`.
        nonfinite
            What becomes of a step whose loss or update is not finite. ``"raise"``: see below.
            ``"skip"``: it is left out and counted, and its loss in ``history.steps`` is nan.
            ``"rollback"``: so it is, and weights and the optimizer's state are again those with
            which the epoch began, or this call, whichever is later. Where as many steps in a row
            fail as an epoch has, and at least 8, both raise, too.
        record
            A `steep.callbacks.Recorder`: norms of weights, gradients and updates, and what becomes
            of activations, every so many steps. Changes nothing of the training.
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
            If a loss or gradient is not finite, and `nonfinite` does not help; the weights are
            those from before that step.
        """
        policy = choose("nonfinite", nonfinite, POLICIES)
        epochs = whole("", "epochs", epochs)
        size = None if batch_size is None else whole("", "batch_size", batch_size)
        shuffle, progress = flag("fit", "shuffle", shuffle), flag("fit", "progress", progress)
        drop_last = flag("fit", "drop_last", drop_last)
        accumulate = whole("fit", "accumulate", accumulate)
        run, net = self._run, self._run.settings.net
        with run.training("fit"):
            with run.untouched():
                data = run.data(X, y, sample_weight, class_weight)
                columns = inputs.columns(X, net)
                held = checked_validation(run.settings, validation, columns)
                changes = checked_augment(augment, net)
                layout = layout_for(
                    run.settings.optimizer,
                    data.samples,
                    size,
                    accumulate=accumulate,
                    shuffle=shuffle,
                    drop_last=drop_last,
                )
                size = layout[1] if accumulate == 1 else size or 32
                run.refuse_too_large(min(size, layout[1]))
                warn_of_single_sample(net, layout_of(data.samples, size, shuffle, drop_last))
                refuse_kept(net, layout)
                called = Callbacks(callbacks, self, run.place, record)
                run.announce(called, validated=held is not None)
            net._note_columns(columns)
            run.begin(epochs, layout, progress)
            at_once = size if accumulate > 1 else 0
            Loop(
                run,
                data,
                held,
                called,
                progress=progress,
                augment=changes,
                at_once=at_once,
                nonfinite=policy,
            ).train()
        return run.record()

    def step(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Do one update on one batch and return the loss before it, penalties left out.

        Raises
        ------
        TypeError, ValueError, NonFiniteError
            As in `fit`.
        """
        run = self._run
        with run.training("step"):
            with run.untouched():
                data = run.data(X, y, sample_weight)
                if data.samples == 1:
                    warn_of_single_sample(run.settings.net, layout_of(1, 1))
                columns = inputs.columns(X, run.settings.net)
            loss = run.step(data)
            run.settings.net._note_columns(columns)
            return loss

    def evaluate(
        self, X: Any, y: Any = None, batch_size: int = 256, *, sample_weight: Any = None
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
            ``{"loss": mean over samples, or over their weights as `reduction` says, "accuracy":
            share of right ones}``.

        Raises
        ------
        TypeError, ValueError
            As in `fit`.
        """
        size = whole("", "batch_size", batch_size)
        with self._run.untouched():
            data = self._run.data(X, y, sample_weight)
        return self._run.measure(data, size)
