"""steep's own side of the benchmark cases."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _core, layers, models, optimizers
from ..losses import CrossEntropy
from ..network.model import Sequential
from ..threads import set_num_threads
from ..training.trainer import Trainer
from .cases import Case, Gemm, NewtonSchulz, Rule, Step
from .images import Convolution, ImageStep
from .native_tasks import prepare_task
from .tasks import Task
from .work import (
    CHECK_STEPS,
    IMAGE_LEARNING_RATE,
    LEARNING_RATE,
    ImageData,
    Work,
    convolution_data,
    gemm_data,
    image_data,
    matrix_data,
    rule_data,
    step_data,
)


def prepare(case: Case, threads: int) -> Work:
    """Prepare steep's own side of a case.

    Parameters
    ----------
    case : Case
        What to do.
    threads : int
        Threads steep may use.
    """
    set_num_threads(threads)
    if isinstance(case, Step):
        return _prepare_step(case)
    if isinstance(case, ImageStep):
        return _prepare_image_step(case)
    if isinstance(case, Convolution):
        return _prepare_convolution(case)
    if isinstance(case, Task):
        return prepare_task(case)
    if isinstance(case, NewtonSchulz):
        return _prepare_newton_schulz(case)
    return _prepare_gemm(case) if isinstance(case, Gemm) else _prepare_rule(case)


def _prepare_step(case: Step) -> Work:
    x, y, weights = step_data(case)
    hidden = [layers.Dense(n, "relu") for n in case.units[1:-1]]
    net = Sequential(*hidden, layers.Dense(case.units[-1]))
    net.build((case.units[0],))
    flat = [array for pair in weights for array in pair]
    net.load_state_dict(dict(zip(net.state_dict(), flat, strict=True)))
    adam = optimizers.Adam(lr=LEARNING_RATE)
    rule = optimizers.Muon(LEARNING_RATE, rest=adam) if case.rule == "muon" else adam
    trainer = Trainer(net, CrossEntropy(), rule)
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


def image_trainer(case: ImageStep, data: ImageData) -> tuple[Trainer, Callable[..., object]]:
    """Return a trainer with the first weights of `data`, and what fits it to the first samples.

    The latter takes a number of samples and of epochs.
    """
    x, y, weights = data
    net = models.lenet5() if case.name == "lenet5" else models.resnet_cifar(20)
    net.build(case.shape)
    net.load_state_dict(dict(zip(net.state_dict(), weights, strict=True)))
    rule = optimizers.SGD(lr=IMAGE_LEARNING_RATE, momentum=0.9)
    trainer = Trainer(net, CrossEntropy(), rule)

    def fit(samples: int, epochs: int) -> object:
        return trainer.fit(
            x[:samples],
            y[:samples],
            epochs=epochs,
            batch_size=case.batch,
            shuffle=False,
            progress=False,
        )

    return trainer, fit


def _prepare_image_step(case: ImageStep) -> Work:
    data = image_data(case)
    trainer, fit = image_trainer(case, data)
    few = min(CHECK_STEPS, case.batches)
    fit(few * case.batch, CHECK_STEPS // few)
    return Work(
        lambda: fit(case.batches * case.batch, case.epochs),
        units=case.batches * case.epochs,
        check=trainer.evaluate(data[0][: case.batch], data[1][: case.batch])["loss"],
        note="Trainer.fit",
    )


def _prepare_convolution(case: Convolution) -> Work:
    x, w, dy = convolution_data(case)
    native = _core.Convolution(
        *case.size,
        case.channels,
        case.filters,
        kernel=case.kernel,
        stride=(case.stride,) * 2,
        padding=(case.padding,) * 4,
        dilation=(1, 1),
        groups=case.groups,
        batch=case.batch,
    )
    call, first, second, like = {
        "forward": (native.forward, x, w, dy),
        "backward_data": (native.backward_data, dy, w, x),
        "transposed": (native.backward_data, dy, w, x),
        "backward_weights": (native.backward_weights, x, dy, w),
    }[case.direction]
    out = np.empty_like(like)
    call(first, second, out)
    return Work(
        lambda: call(first, second, out),
        check=float(np.square(out, dtype=np.float64).mean()),
        note="packing of the weights included",
    )


def _prepare_gemm(case: Gemm) -> Work:
    a, b, c = gemm_data(case)
    ta, tb = case.layout[0] == "t", case.layout[1] == "t"
    _core.gemm(a, b, c, ta, tb)
    return Work(lambda: _core.gemm(a, b, c, ta, tb), check=float(np.square(c).mean()))


def _prepare_newton_schulz(case: NewtonSchulz) -> Work:
    native = _core.Orthogonal(matrix_data(case))
    native.run()
    check = float(np.mean([np.square(x).mean() for x in native.get()]))
    return Work(native.run, check=check, note="in place, the lengths included")


def _prepare_rule(case: Rule) -> Work:
    w, g = rule_data(case)
    optimizer = optimizers.get(case.rule).parts({"w": w.shape})[0][0]
    sweep = _core.Sweep(optimizer.rule, w)
    step = [1000.0]  # late enough for every bias correction to have settled
    knobs = optimizer.knobs(step, step, step)[0]
    decay = float(np.max(optimizer.decay(step, step)))
    return Work(lambda: sweep.step(g, knobs, 1.0, decay), note="one call a step")
