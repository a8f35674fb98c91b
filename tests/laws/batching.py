"""Law 9: samples do not see each other in prediction, and every number has one formula."""

from dataclasses import replace

import numpy as np
from described import WHOLE
from laws.playing import Broken, Skip, equal, loss_weight, play, rows, samples, start, trained

UNIT = {"float32": 2.0**-24, "float64": 2.0**-53}


def predictions(case):
    """Batch size, subsets and order of samples change no byte of a sample's prediction."""
    run = trained(case)
    n, wanted = samples(run), run.net.predict(run.X)
    for size in {1, 2, 7, n, n + 1}:
        equal(run.net.predict(run.X, batch_size=size), wanted, f"predict with batch_size={size}")
    if "sample=True" in case.text:
        return  # what a sample draws depends on its place
    backwards = np.arange(n)[::-1]
    equal(run.net.predict(rows(run.X, backwards)), wanted[backwards], "predict backwards")
    equal(run.net.predict(rows(run.X, slice(n // 2, n))), wanted[n // 2 :], "predict of a half")


def evaluation(case):
    """`evaluate` is the loss of `predict` computed in NumPy, and counts what is right."""
    run = trained(case)
    measured = run.trainer.evaluate(run.X, run.y, sample_weight=run.weights)
    z = np.asarray(run.net.predict(run.X), np.float64)
    y, loss = np.asarray(run.y), run.trainer.loss
    whole = case.data.targets in WHOLE
    targets = y.reshape(z.shape[:-1]).astype(np.int64) if whole else y.astype(np.float64)
    with np.errstate(all="ignore"):
        by = loss_weight(run.trainer, run.trainer.steps, run.trainer.epoch)
        losses = by * loss.rows(z, targets)
        counts = np.ones(losses.shape)
        if whole and loss.by_position and loss.ignore is not None:
            counts = (targets != loss.ignore) * 1.0
        given = np.ones(len(z)) if run.weights is None else np.asarray(run.weights, float)
        weights = (counts.T * given).T  # of positions, where the loss takes them
        heavy = weights
        if whole and getattr(loss, "class_weight", None) is not None:
            heavy = weights * np.float64(loss.class_weight)[targets]
        over = {"mean": counts.sum(), "sum": len(z), "weighted_mean": heavy.sum()}
        over = over[run.trainer.reduction]
        wanted = float((losses * weights).sum() / over)
    if not (wanted < 1e30 and np.max(losses) < 1e30):
        raise Skip("the loss is beyond float32")
    # Each sample's loss is a sum of terms of at most this size, each with some roundings.
    largest = np.abs(z).reshape(len(z), -1).max(1)
    sizes = heavy.T * (np.abs(losses.T) + largest + 1)
    scale = float(sizes.sum() / over)
    bound = 64 * UNIT[case.option("precision", "float32")] * scale
    if not abs(measured["loss"] - wanted) <= bound:
        raise Broken(f"evaluate: loss {measured['loss']!r}, NumPy from predict {wanted!r}")
    if "accuracy" in measured and whole:
        right = (z.argmax(axis=-1) == targets) * heavy
        if abs(measured["accuracy"] - right.sum() / heavy.sum()) > 1e-6:
            raise Broken(f"evaluate: accuracy {measured['accuracy']}, not {right.mean()}")


def history(case):
    """With nothing learned, history says what `evaluate` says."""
    fitted = "fit" in {d.kind for d in case.script}
    if (
        case.draws
        or case.uses("BatchNorm", "Augment", "SpectralNorm")
        or "constraint=" in case.text
        or not fitted
    ):
        raise Skip("training sees other numbers than evaluation")
    if not all(isinstance(w, float) for w in start(case).trainer.loss_weights.values()):
        raise Skip("the loss's weight is another one at every step")
    if "class_weight=" in case.text or "drop_last=" in case.text:
        raise Skip("an epoch has other samples or weights")
    frozen = replace(case, optimizer="sgd").with_options(groups=None)
    run = start(frozen)
    run.trainer.optimizer = type(run.trainer.optimizer)(lr=0.0)
    deed = next(d for d in case.script if d.kind == "fit")
    if play(run, [deed]):
        raise Skip("not finite")
    weights = None if deed.get("sample_weight") is None else run.weights
    measured = run.trainer.evaluate(run.X, run.y, sample_weight=weights)
    bound = 1e3 * UNIT[case.option("precision", "float32")]
    for name in ("loss", "accuracy"):
        if name not in measured:
            continue
        for value in run.trainer.history.history[name]:
            if not abs(value - measured[name]) <= bound * max(1.0, abs(value)):
                raise Broken(f"history of {name} {value!r}, evaluate {measured[name]!r}")
