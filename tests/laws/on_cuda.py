"""Laws of a GPU or its emulation: chains in one block and streamed data give the CPU's bytes."""

import contextlib
import os
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import own_layers
import random_chains
import random_methods
import random_networks
import random_objectives
import steep
from emulation import EMULATED, emulating
from laws.playing import Broken, Skip, arguments, play, same, start, trace, trained
from laws.resuming import Cut, Stop
from laws.several import fit
from steep import _core

# Convolutions are summed in another order (test_cuda_images), second derivatives have their law.
LACKING = (
    "PatchEmbedding",
    "PeriodicEmbedding",
    "PiecewiseEmbedding",
    "NewtonCG",
    "LevenbergMarquardt",
)
NO_TANGENT = "no kernel for the derivatives of"
OTHERS = re.compile(rf"Conv[12]D|\b({'|'.join(LACKING)})\b")
ORDERS, MULTIPROCESSORS = (0, 1, 7), (1, 5)
OTHER = "convolutions, or second derivatives"
STREAMED = "data that are streamed"


@contextlib.contextmanager
def setting(**environment):
    """Set variables of the environment for a while."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def machines(seed):
    """Yield settings of the emulation: every order, both numbers of multiprocessors by turns."""
    if not EMULATED:
        yield {}
        return
    for k, order in enumerate(ORDERS):
        yield {"order": order, "sms": MULTIPROCESSORS[(seed + k) % 2]}


def lacking():
    """Return why these laws cannot be tried here; "" where they can."""
    if _core.cuda_status():
        return "no GPU, nor its emulation"
    return "no fused multiply-adds here" if _core.info()["isa"] == "baseline" else ""


def needed():
    if reason := lacking():
        raise Skip(reason)


def steps_by(trainer):
    return trainer._run.session().steps_by()


def there(case):
    return case.with_options(device="cuda")


# ---- What is tried ----


def in_one_block(case):
    """Return the dense chain of a case."""
    needed()
    return random_chains.chain(case)


def in_batches(case):
    """Return a case that a GPU takes, of at least three batches, and a random size of buffers."""
    needed()
    if OTHERS.search(case.program()):
        raise Skip(OTHER)
    random = np.random.default_rng([case.seed, 13])
    data = replace(case.data, samples=max(7, case.data.samples))

    def smaller(deed):
        most = max(1, data.samples // (3 * deed.get("accumulate", 1)))
        return deed.changed(batch_size=int(random.integers(1, most + 1)))

    script = tuple(smaller(deed) if deed.kind == "fit" else deed for deed in case.script)
    case = replace(case.with_options(precision=None), data=data, script=script)
    if case.make()["trainer"].optimizer.rule in _core.methods():
        raise Skip("a method takes all samples at once")
    return case, random


def sizes(run, random):
    """Yield what buffers may be for a run's data: a batch, some of them, all there are."""
    targets = run.y.values() if isinstance(run.y, dict) else [run.y]
    whole = sum(np.asarray(x).nbytes for x in (*_list(run.X), *targets) if x is not None)
    while True:
        yield ("1", str(int(random.integers(1, whole + 1))), "streamed")[random.integers(3)]


def _list(X):
    return X if isinstance(X, list) else [X]


# ---- Laws ----


def resident(case):
    """A chain in one block leaves the CPU's bytes, and those of graphs."""
    case = in_one_block(case)
    wanted = trained(case).trace
    for machine in machines(case.seed):
        with emulating(**machine):
            run = trained(there(case))
        of_block(run.trainer, case)
        same(run.trace, wanted, f"one block, {machine}\n{case.program()}")
    with setting(STEEP_RESIDENT="off"):
        same(trained(there(case)).trace, wanted, f"graphs\n{case.program()}")


def of_block(trainer, case):
    """Refuse a chain that did not stay in a block."""
    how = steps_by(trainer)
    if "bytes of shared memory" in how:
        raise Skip("a chain too large for a block")
    if how != "one block":
        raise Broken(f"steps by {how}\n{case.program()}")


def streamed(case):
    """Data that are streamed in chunks of any size leave the CPU's bytes."""
    case, random = in_batches(case)
    wanted = trained(case).trace
    for machine, size in zip(machines(case.seed), sizes(start(case), random), strict=False):
        with emulating(**machine), setting(STEEP_CUDA_DATA=size):
            run = trained(there(case))
        of_stream(run.trainer, case)
        same(run.trace, wanted, f"buffers of {size}, {machine}\n{case.program()}")


def streamed_several(case):
    """So do several losses and several objectives."""
    needed()
    data = replace(case.data, samples=max(7, case.data.samples))
    several = random_objectives.several(replace(case, data=data).with_options(precision=None))
    if OTHERS.search(several.code()):
        raise Skip(OTHER)
    random = np.random.default_rng([case.seed, 15])
    several = replace(several, size=int(random.integers(1, data.samples // 3 + 1)))
    with steep.threads(1):
        run = several.make()
        fit(several, run, several.epochs)
    wanted = trace(run.trainer)
    several = replace(several, case=there(several.case))
    for machine, size in zip(machines(case.seed), sizes(run, random), strict=False):
        with emulating(**machine), setting(STEEP_CUDA_DATA=size):
            run = several.make()
            fit(several, run, several.epochs)
        of_stream(run.trainer, several)
        same(trace(run.trainer), wanted, f"buffers of {size}, {machine}\n{several.code()}")


def of_stream(trainer, case):
    """Refuse a training whose data were not streamed."""
    if trainer.steps and STREAMED not in steps_by(trainer):
        raise Broken(f"not streamed: steps by {steps_by(trainer)}\n{case.code()}")


def resident_crossing(case):
    """A chain in one block goes on on the CPU, and back."""
    case = in_one_block(case)
    crossing(case, of_block)


def streamed_crossing(case):
    """A training whose data are streamed goes on on the CPU, and back."""
    case, random = in_batches(case)
    with setting(STEEP_CUDA_DATA=next(sizes(start(case), random))):
        crossing(case, of_stream)


def by_products(case):
    """Return a case of a method with second derivatives, of a dense chain or of its own layers."""
    random = np.random.default_rng([case.seed, 16])
    case = random_chains.chain(case) if random.random() < 0.6 else case
    case = random_methods.of_second_order(case.with_options(precision=None), random)
    case = random_networks.moved(case)
    if re.search(r"Conv[12]D", case.program()):
        raise Skip(OTHER)
    return case


def refused_by_name(error):
    """Skip a case that is refused for want of kernels; raise what is anything else."""
    if NO_TANGENT not in str(error):
        raise error
    raise Skip("an op without derivatives there") from error


def second_order(case):
    """Newton-CG and Levenberg-Marquardt leave the CPU's bytes, whoever computes."""
    needed()
    case = by_products(case)
    wanted = None
    for machine in machines(case.seed):
        try:
            with emulating(**machine):
                found = trained(there(case)).trace
        except ValueError as error:
            refused_by_name(error)
        wanted = wanted or trained(case).trace
        same(found, wanted, f"{machine}\n{case.program()}")


def second_order_crossing(case):
    """Their trainings go on on the CPU, and back."""
    needed()
    try:
        crossing(by_products(case), lambda *_: None)
    except ValueError as error:
        refused_by_name(error)


def products(case):
    """Products with derivatives by themselves leave the CPU's bytes, whoever computes."""
    needed()
    random = np.random.default_rng([case.seed, 17])
    case = random_chains.chain(case) if random.random() < 0.3 else case
    of = {k: single(getattr(case.data, k)) for k in ("dtype", "target_dtype")}
    case = replace(case.with_options(precision=None), data=replace(case.data, **of))
    wanted = None
    for machine in machines(case.seed):
        try:
            with emulating(**machine):
                found = derived(there(case))
        except ValueError as error:
            refused_by_name(error)
        wanted = wanted or derived(case)
        same(found, wanted, f"{machine}\n{case.program()}")


def single(kind):
    """Return a type of numbers that floats hold: on a GPU samples are floats."""
    of = np.dtype(kind)
    return f"{of.byteorder}f4" if of.kind == "f" and of.itemsize >= 8 else kind


def derived(case):
    """Return all four products along random directions, as bytes by name."""
    with steep.threads(1):
        run = start(case)
        run.trainer._run.settings.build(case.inputs)
        weights = None if run.weights is None else np.asarray(run.weights, np.float32)
        random = np.random.default_rng([case.seed, 18])
        shapes = run.trainer.gradients(run.X, run.y, weights)[1]
        v = {name: random.standard_normal(shapes[name].shape) for name in sorted(shapes)}
        along = run.trainer.jvp(run.X, v)
        found = {
            "hvp": run.trainer.hvp(run.X, run.y, v, weights),
            "gnvp": run.trainer.gnvp(run.X, run.y, v, weights),
            "jvp": {"outputs": along},
            "vjp": run.trainer.vjp(run.X, random.standard_normal(along.shape)),
        }
    arrays = {
        f"{kind} of {name}": a for kind, all_of in found.items() for name, a in all_of.items()
    }
    if not all(np.isfinite(a).all() for a in arrays.values()):
        raise Skip("not finite")
    return {name: a.tobytes() for name, a in arrays.items()}


def crossing(case, went):
    """One fit is cut at a step on the GPU and ends on the CPU; what follows is on the GPU again."""
    fits = [k for k, deed in enumerate(case.script) if deed.kind == "fit"]
    if "lambda" in case.text or not fits:
        raise Skip("a function cannot be saved" if fits else "no fit")
    case = replace(case, script=(*case.script, case.script[fits[-1]]))
    whole = trained(case)
    if whole.trace["fault"]:
        raise Skip("not finite")
    random = np.random.default_rng([case.seed, 14])
    cut = fits[int(random.integers(len(fits)))]
    run = start(there(case))
    play(run, case.script[:cut])
    left = cut_off(run, case.script[cut], random)
    with tempfile.TemporaryDirectory() as folder:
        load(run, Path(folder) / "half", "cpu")
        if left:
            play(run, [case.script[cut].changed(epochs=left)])
        load(run, Path(folder) / "back", "cuda")
    play(run, case.script[cut + 1 :])
    went(run.trainer, case)
    found = trace(run.trainer)
    same(found, whole.trace, f"cut in fit {cut}, {left} epochs left\n{case.program()}")


def cut_off(run, deed, random):
    """Play a fit up to a random step; return how many epochs are left."""
    _, named = arguments(deed, run.space)
    size = named["batch_size"] * named.get("accumulate", 1)
    steps = named["epochs"] * -(-len(run.y) // size)
    after = run.trainer.steps + int(random.integers(1, steps + 1))
    last = run.trainer.epoch + named["epochs"]
    with contextlib.suppress(Cut):
        play(run, [deed], callbacks=[Stop("raise", after)])
        return 0  # a method that found nothing left to gain
    if run.trainer._run.session().ended:
        raise Skip("the method ends where it is cut, and another fit would try again")
    return last - run.trainer.epoch


def load(run, path, device):
    """Give a run the trainer that it saved, on another device."""
    run.trainer.save(path)
    run.trainer = steep.Trainer.load(path, custom_objects=own_layers.OWN, device=device)
