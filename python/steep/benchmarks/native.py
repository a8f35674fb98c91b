"""steep's own side of the benchmark cases."""

from typing import Any

import numpy as np

from .. import _core, layers, optimizers
from ..losses import CrossEntropy
from ..model import Sequential
from ..threads import set_num_threads
from ..trainer import Trainer
from .cases import Case, Gemm, Rule, Step
from .work import CHECK_STEPS, LEARNING_RATE, Work, gemm_data, rule_data, step_data


def prepare(case: Case, threads: int) -> Work:
    """Prepare steep's own side of a case.

    Parameters
    ----------
    case : Step, Gemm or Rule
        What to do.
    threads : int
        Threads steep may use.
    """
    set_num_threads(threads)
    if isinstance(case, Step):
        return _prepare_step(case)
    return _prepare_gemm(case) if isinstance(case, Gemm) else _prepare_rule(case)


def _prepare_step(case: Step) -> Work:
    x, y, weights = step_data(case)
    hidden = [layers.Dense(n, "relu") for n in case.units[1:-1]]
    net = Sequential(*hidden, layers.Dense(case.units[-1]))
    net.build((case.units[0],))
    flat = [array for pair in weights for array in pair]
    net.load_state_dict(dict(zip(net.state_dict(), flat, strict=True)))
    trainer = Trainer(net, CrossEntropy(), optimizers.Adam(lr=LEARNING_RATE))
    few = CHECK_STEPS * case.batch
    # The same batches in the same order as every rival, so nothing is shuffled.
    options: dict[str, Any] = {"batch_size": case.batch, "shuffle": False, "progress": False}
    trainer.fit(x[:few], y[:few], epochs=1, **options)
    loss = trainer.evaluate(x[: case.batch], y[: case.batch])["loss"]
    return Work(
        lambda: trainer.fit(x, y, epochs=case.epochs, **options),
        units=case.batches * case.epochs,
        check=loss,
        note="Trainer.fit",
    )


def _prepare_gemm(case: Gemm) -> Work:
    a, b, c = gemm_data(case)
    ta, tb = case.layout[0] == "t", case.layout[1] == "t"
    _core.gemm(a, b, c, ta, tb)
    return Work(lambda: _core.gemm(a, b, c, ta, tb), check=float(np.square(c).mean()))


def _prepare_rule(case: Rule) -> Work:
    w, g = rule_data(case)
    optimizer = optimizers.get(case.rule)
    sweep = _core.Sweep(optimizer.rule, w)
    step = [1000.0]  # late enough for every bias correction to have settled
    knobs = optimizer.knobs(step, step, step)[0]
    decay = float(np.max(optimizer.decay(step, step)))
    return Work(lambda: sweep.step(g, knobs, 1.0, decay), note="one call a step")
