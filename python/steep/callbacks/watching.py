"""Callbacks that watch a quantity from epoch to epoch: when to stop, when to lower the rate."""

import contextlib
import inspect
import math
from collections.abc import Iterator, Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

from ..checks.names import choose
from ..checks.numbers import NOT_NEGATIVE, SMALLEST, Range, flag, number, whole

if TYPE_CHECKING:
    from ..training.trainer import Trainer

Logs = Mapping[str, float]
_REDUCING = Range(0.0, 1.0, low_open=True)


class _Watching:
    """What EarlyStopping and ReduceOnPlateau share: a quantity, and whether it improves."""

    def __init__(self, monitor: str, min_delta: float, mode: str) -> None:
        self.monitor = monitor
        self.min_delta = number(type(self).__name__, "min_delta", min_delta, NOT_NEGATIVE)
        auto = "max" if "accuracy" in str(monitor) else "min"
        self.mode = choose("mode", mode, {"auto": auto, "min": "min", "max": "max"})
        self._reset()

    def __repr__(self) -> str:
        names = [name for name in inspect.signature(type(self)).parameters if hasattr(self, name)]
        given = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({given})"

    def _reset(self) -> None:
        self.best = -math.inf if self.mode == "max" else math.inf
        self.wait = 0

    def _improved(self, value: float) -> bool:
        """Say whether a value is better than the best one so far, and note it then."""
        if self._better(value):
            self.best, self.wait = value, 0
            return True
        return False

    def _better(self, value: float) -> bool:
        return (value - self.best if self.mode == "max" else self.best - value) > self.min_delta

    def _check(self, trainer: "Trainer") -> None:
        if self.monitor not in trainer.logged:
            hint = " Give fit validation=(Xv, yv)." if str(self.monitor).startswith("val_") else ""
            raise ValueError(
                f'{type(self).__name__}: nothing measures "{self.monitor}"; measured are '
                f"{', '.join(trainer.logged)}.{hint}"
            )

    def on_train_begin(self, trainer: "Trainer") -> None:
        """Refuse a training that this does not fit, and stay as it is; forget an earlier one."""
        self._check(trainer)
        self._reset()


class EarlyStopping(_Watching):
    """Stops when a quantity no longer improves, and brings the best weights back.

    The best weights come back however training ends: by this, by the number of epochs, by Ctrl-C.

    Parameters
    ----------
    monitor
        ``"val_loss"``, ``"val_accuracy"``, ``"loss"``, ``"accuracy"``.
    patience
        Epochs without improvement that are borne.
    min_delta
        Smallest change that counts as an improvement.
    restore_best
        Whether the network ends with the weights of its best epoch.
    mode
        ``"min"``, ``"max"``, or ``"auto"``: max for an accuracy.
    ties
        Which of several epochs with the best value is the best: ``"first"``, or ``"last"``, which
        has learned longer; `min_delta` must be 0 then. Patience counts from it.

    Attributes
    ----------
    best : float
        The best value so far.
    best_epoch : int
        Its epoch, from 0; -1 before the first.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 5,
        min_delta: float = 0.0,
        restore_best: bool = True,
        mode: str = "auto",
        *,
        ties: str = "first",
    ) -> None:
        super().__init__(monitor, min_delta, mode)
        self.ties = choose("EarlyStopping ties", ties, {"first": "first", "last": "last"})
        if self.ties == "last" and self.min_delta > 0:
            raise ValueError('EarlyStopping: ties="last" takes min_delta=0')
        self.patience = whole("EarlyStopping", "patience", patience)
        self.restore_best = flag("EarlyStopping", "restore_best", restore_best)
        self._active = False  # between begin and end of a training

    def _reset(self) -> None:
        super()._reset()
        self.best_epoch = -1
        self._weights: dict[str, Any] | None = None

    def on_train_begin(self, trainer: "Trainer") -> None:
        """Refuse a quantity that nothing measures; forget an earlier training."""
        super().on_train_begin(trainer)
        self._active = True

    def on_epoch_end(self, trainer: "Trainer", epoch: int, logs: Logs) -> str | None:
        """Keep the weights of a better epoch; stop after `patience` others."""
        value = logs[self.monitor]
        if self._improved(value) or (self.ties == "last" and value == self.best):
            self.wait = 0
            self.best_epoch = epoch
            self._weights = dict(trainer.net.state_dict()) if self.restore_best else None
            return None
        self.wait += 1
        return "stop" if self.wait >= self.patience else None

    def on_train_end(self, trainer: "Trainer") -> None:
        """Bring the best weights back, once."""
        active, self._active = self._active, False
        if active and self._weights is not None:
            trainer.net.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: the best value, its weights, how long ago."""
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "wait": self.wait,
            "weights": self._weights,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where a checkpoint was written; ValueError where that is no state of this."""
        with _of_checkpoint("EarlyStopping"):
            best, best_epoch = float(state["best"]), int(state["best_epoch"])
            wait, weights = int(state["wait"]), state["weights"]
            weights = None if weights is None else dict(weights.items())
        self.best, self.best_epoch, self.wait, self._weights = best, best_epoch, wait, weights


class ReduceOnPlateau(_Watching):
    """Multiplies the learning rate by a factor when a quantity no longer improves.

    lr = max(factor*lr, min_lr) after `patience` epochs without improvement. The trainer's `lr` must
    be a number, not a schedule. Checkpoints keep the rate and the counts. Epochs are counted as in
    Keras, or with ``like="torch"`` as in PyTorch's ReduceLROnPlateau.

    Parameters
    ----------
    monitor
        ``"val_loss"``, ``"val_accuracy"``, ``"loss"``, ``"accuracy"``.
    factor
        In (0, 1).
    patience
        Epochs without improvement after which the rate falls; PyTorch bears as many, and lowers it
        after the next.
    min_delta
        Smallest change that counts as an improvement; PyTorch's threshold.
    cooldown
        Epochs after a fall that are not counted, >= 0; in Keras the last of them counts again.
    min_lr
        Lowest rate, >= 0.
    mode
        ``"min"``, ``"max"``, or ``"auto"``: max for an accuracy.
    threshold_mode
        ``"abs"``: better than best by more than `min_delta`; ``"rel"``: below best*(1 - min_delta),
        or above best*(1 + min_delta). None: "rel" like PyTorch, else "abs".
    eps
        Falls of the rate that are not larger do not happen, >= 0; PyTorch's default is 1e-8.
    like
        ``"keras"`` or ``"torch"``: how `patience` and `cooldown` count.

    Attributes
    ----------
    best : float
        The best value so far.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        *,
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        mode: str = "auto",
        threshold_mode: str | None = None,
        eps: float = 0.0,
        like: str = "keras",
    ) -> None:
        super().__init__(monitor, min_delta, mode)
        self.like = choose("like", like, {"keras": "keras", "torch": "torch"})
        usual = "rel" if self.like == "torch" else "abs"
        self.threshold_mode = choose(
            "threshold_mode",
            usual if threshold_mode is None else threshold_mode,
            {"abs": "abs", "rel": "rel"},
        )
        self.eps = number("ReduceOnPlateau", "eps", eps, NOT_NEGATIVE)
        self.factor = number("ReduceOnPlateau", "factor", factor, _REDUCING)
        self.patience = whole("ReduceOnPlateau", "patience", patience)
        self.cooldown = whole("ReduceOnPlateau", "cooldown", cooldown, 0)
        self.min_lr = number("ReduceOnPlateau", "min_lr", min_lr, NOT_NEGATIVE)

    def _reset(self) -> None:
        super()._reset()
        self.cooling = 0

    def _check(self, trainer: "Trainer") -> None:
        super()._check(trainer)
        self._lowered(trainer)

    def _better(self, value: float) -> bool:
        if self.threshold_mode == "abs" and self.like == "keras":
            return super()._better(value)
        delta = self.min_delta if self.mode == "max" else -self.min_delta
        # Rounded as PyTorch does: whole per cents of an accuracy tie with round thresholds.
        bound = self.best * (1.0 + delta) if self.threshold_mode == "rel" else self.best + delta
        return value > bound if self.mode == "max" else value < bound

    def on_epoch_end(self, trainer: "Trainer", logs: Logs) -> None:
        """Count an epoch, and lower the rate when there were enough without improvement."""
        if self.cooling:
            self.cooling -= 1
            self.wait = 0
        if self._improved(logs[self.monitor]) or self.cooling:
            return
        self.wait += 1
        later = self.like == "torch"  # by an epoch: the one that ends patience or cooldown is borne
        if self.wait >= self.patience + later and (changed := self._lowered(trainer)):
            for name, value in changed.items():
                setattr(trainer, name, value)
            self.wait = 0
            self.cooling = self.cooldown + later if self.cooldown else 0

    def _lowered(self, trainer: "Trainer") -> dict[str, Any]:
        """Return the settings of a trainer with rates that fall, as they are then."""
        settings = trainer._run.settings
        after = settings.with_rates(self._lower)
        return {name: value for name, value in after.items() if value != settings.get(name)}

    def _lower(self, rate: Any) -> float:
        """Return what a rate falls to: itself where that is too near, or 0 in float32."""
        if not isinstance(rate, Real):
            raise ValueError(
                f"ReduceOnPlateau: the learning rate follows {rate!r}; give the optimizer a "
                "number, or leave this callback out"
            )
        now = float(rate)
        lowered = max(self.factor * now, self.min_lr)
        return lowered if lowered >= SMALLEST and now - lowered > self.eps else now

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: the best value and the counts."""
        return {"best": self.best, "wait": self.wait, "cooling": self.cooling}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where a checkpoint was written; ValueError where that is no state of this."""
        with _of_checkpoint("ReduceOnPlateau"):
            best, wait, cooling = float(state["best"]), int(state["wait"]), int(state["cooling"])
        self.best, self.wait, self.cooling = best, wait, cooling


@contextlib.contextmanager
def _of_checkpoint(callback: str) -> Iterator[None]:
    """Say what is wrong with a state that a checkpoint kept for a callback."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{callback}: the checkpoint's state of it is damaged: {reason}") from None
