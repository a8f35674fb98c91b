"""What users hear where the GPU, its driver, its memory or the process is not as it should be.

Skipped where there is neither a GPU nor its emulation. Why there is no device at all: test_cuda.
"""

import os
import re

import devices
import numpy as np
import pytest
import steep
import trainings
from devices import data, dense, same
from emulation import EMULATED, counted, emulating
from steep import _core

pytestmark = devices.NEEDED
emulated = pytest.mark.skipif(not EMULATED, reason="needs the emulation")

X, Y = data(60)
FORKED = "forked from one that used the GPU; start it anew"
# What a child may ask of what its parent made there, and of the GPU itself.
ASKED = {
    "fit": lambda trainer, net, path: trainer.fit(X, Y, batch_size=32, progress=False),
    "step": lambda trainer, net, path: trainer.step(X, Y),
    "evaluate": lambda trainer, net, path: trainer.evaluate(X, Y),
    "gradients": lambda trainer, net, path: trainer.gradients(X, Y),
    "predict": lambda trainer, net, path: net.predict(X),
    "weights": lambda trainer, net, path: net.state_dict(),
    "save": lambda trainer, net, path: trainer.save(path),
    "save_weights": lambda trainer, net, path: net.save_weights(path),
    "back": lambda trainer, net, path: net.to("cpu"),
    "there": lambda trainer, net, path: dense().build(30).to("cuda"),
    "anew": lambda trainer, net, path: steep.Trainer(dense(), "mse", "sgd", device="cuda"),
}


def said_by(asked):
    """Return what a child process is told, call by call, and by `info`."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        lines = []
        for name, call in asked.items():
            try:
                call()
                lines.append(f"{name}: nothing")
            except Exception as error:  # whatever it is, the parent judges
                lines.append(f"{name}: {type(error).__name__} {error}".replace("\n", " "))
        os.write(writes, "\n".join([*lines, f"info: {_core.info()['cuda']}"]).encode())
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return dict(line.split(": ", 1) for line in said.splitlines())


def test_nothing_of_the_gpu_survives_a_fork(tmp_path):
    """Neither what was made before it nor anything new; the CPU's does, and the parent's."""
    path = tmp_path / "kept"
    twin, trainer = (steep.Trainer(dense(), "cross_entropy", "adam", device="cuda") for _ in "ab")
    for each in (twin, trainer):
        each.fit(X, Y, batch_size=32, progress=False)
    trainer.save(path)
    written = path.read_bytes()

    def bind(call):
        return lambda: call(trainer, trainer.net, path)

    here = steep.Trainer(dense(), "cross_entropy", "adam")
    asked = {name: bind(call) for name, call in ASKED.items()}
    told = said_by({**asked, "cpu": lambda: here.fit(X, Y, progress=False)})
    assert told.pop("cpu") == "nothing"
    assert {name: said for name, said in told.items() if FORKED not in said} == {}
    assert path.read_bytes() == written
    for each in (twin, trainer):
        each.fit(X, Y, batch_size=32, progress=False)
    same(dict(trainer.net.state_dict()), dict(twin.net.state_dict()))


def test_float64_is_refused_before_anything_is_built():
    net = dense()
    with pytest.raises(ValueError, match=r'device="cuda": networks are float32 there.*"cpu"'):
        steep.Trainer(net, "cross_entropy", "adam", device="cuda", precision="float64")
    assert not net.built


@emulated
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (2, r'^device="cuda": out of memory: .* of .* free; choose a smaller batch_size or '),
        (209, r"no code for the GPU here; pip install \. -Csteep.cuda=on .* 8\.0 and newer$"),
        (700, r"cudaErrorIllegalAddress .*; start a new process. The last checkpoint is whole$"),
    ],
)
def test_what_the_runtime_reports(error, said):
    trainer = steep.Trainer(dense(), "cross_entropy", "adam", device="cuda")
    trainer.fit(X, Y, progress=False)
    with emulating(broken=error), pytest.raises(RuntimeError, match=said):
        trainer.fit(X, Y, progress=False)


WANTED = re.compile(
    r'device="cuda": out of memory: (\d\S*) (?:bytes|[KMG]iB)(?: of pinned memory)? wanted, '
    r"\d\S* (?:bytes|[KMG]iB) of \d\S* (?:bytes|[KMG]iB) free; choose a smaller batch_size or "
    "network"
)
ALL = trainings.trainings()


@emulated
@pytest.mark.parametrize("name", sorted(set(ALL) - {"option/float64"})[::23])
def test_memory_that_runs_out_at_any_moment_changes_nothing(name):
    """Whatever is missing, its size is told, and training goes on as if nobody had asked."""
    random = np.random.default_rng(len(name))
    calm, made = ALL[name](), ALL[name]()
    before = counted("bytes")
    trainer = devices.trainer_of(calm, "cuda")
    trainer.fit(calm.X, calm.y, progress=False, **calm.fit)
    wanted, needed = dict(calm.net.state_dict()), counted("bytes") - before
    trainer = devices.trainer_of(made, "cuda")
    for _ in range(6):
        with emulating(limit=counted("bytes") + int(random.integers(needed))):
            try:
                trainer.fit(made.X, made.y, progress=False, **made.fit)
                break
            except RuntimeError as error:
                found = WANTED.fullmatch(str(error))
                assert found, str(error)
                assert float(found[1]) > 0
    else:
        trainer.fit(made.X, made.y, progress=False, **made.fit)
    same(dict(made.net.state_dict()), wanted)
