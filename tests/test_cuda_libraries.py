"""Products by cuBLASLt, convolutions by cuDNN: what they are asked, by made-up libraries that look.

The libraries of `tests/cuda/fake_*.cpp` refuse layouts, transposes, leading dimensions,
alignment, epilogues and workspaces that are not as they should be, and compute in plain loops; what
they see is in test_cuda_fakes. Needs the emulation and g++.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import devices
import numpy as np
import pytest
from emulation import EMULATED

HERE = Path(__file__).parent
pytestmark = [
    *devices.NEEDED,
    pytest.mark.skipif(not EMULATED, reason="needs the emulation"),
    pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not here"),
    pytest.mark.skipif(not (HERE / "cuda").is_dir(), reason="the sources are not here"),
]
VERSIONS = {"cublaslt": 130101, "cudnn": 92400}
NAMES = {"cublaslt": "cuBLASLt", "cudnn": "cuDNN"}


def built(folder, name, version=None, to=None):
    """Compile a made-up library; to a file that other programs may know it by."""
    to = to or folder / f"lib{name}_{version or VERSIONS[name]}.so"
    flags = ["-std=c++20", "-O1", "-shared", "-fPIC", f"-DFAKE_VERSION={version or VERSIONS[name]}"]
    source = HERE / "cuda" / f"fake_{name}.cpp"
    known = [f"-Wl,-soname,{to.name}"]
    subprocess.run(["g++", *flags, *known, str(source), "-o", str(to)], check=True, timeout=300)
    return to


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    folder = tmp_path_factory.mktemp("libraries")
    return {name: built(folder, name) for name in VERSIONS}


def run(code, *, bare=False, **environment):
    """Run code in a process of its own, where libraries are opened; what it printed."""
    set_up = (
        "import ctypes, os, sys, numpy as np, steep\n"
        "from steep import _core, layers, losses, models, ops, optimizers\n"
        "import devices, test_cuda_precision as t\n"
        "def begin(path):\n"
        "    fake, core = ctypes.CDLL(path), ctypes.CDLL(_core.__file__)\n"
        "    hooks = (core.emulation_enqueue, core.emulation_holds)\n"
        "    fake.fake_begin(*(ctypes.cast(f, ctypes.c_void_p) for f in hooks))\n"
        "    fake.fake_said.restype = ctypes.c_char_p\n"
        "    return fake\n"
    )
    paths = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code if bare else set_up + code],
        capture_output=True, text=True,
        check=False, timeout=300, env={**os.environ, "PYTHONPATH": paths, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def environment(libraries, *names):
    return {f"STEEP_{name.upper()}": str(libraries[name]) for name in names or libraries}


WHOLE = """
fakes = [begin(os.environ[name]) for name in ("STEEP_CUBLASLT", "STEEP_CUDNN")]
for precision in t.BITS:
    before = [fake.fake_runs() for fake in fakes]
    for shape in ((1, 1, 5, 5), (17, 33, 9, 31), (65, 40, 130, 7), (37, 70, 65, 6)):
        t.test_products_of_whole_numbers_are_exact(*shape, precision)
    for kind in t.CONVOLUTIONS:
        t.test_convolutions_of_whole_numbers_are_exact(kind, precision)
    assert all(fake.fake_runs() >= n + 12 for fake, n in zip(fakes, before)), "they were asked"
"""


def test_passes_of_whole_numbers_are_exact(libraries):
    """Outputs and gradients: every layout and transpose is as it is meant, padding and all."""
    run(WHOLE, **environment(libraries))


CLOSE = """
fakes = [begin(os.environ[name]) for name in ("STEEP_CUBLASLT", "STEEP_CUDNN")]
random = np.random.default_rng(0)
X, y = random.standard_normal((45, 30)).astype(np.float32), random.integers(0, 5, 45)
images = random.standard_normal((45, 10, 9, 2)).astype(np.float32)
def net(f):
    return steep.Sequential(layers.Dense(24, f), layers.Dense(19, f), layers.Dense(5))
def pictures(f):
    body = [layers.Conv2D(8, 3, 2, padding=1, activation=f), layers.BatchNorm()]
    body += [layers.Conv2D(12, 3, groups=2, activation=f)]
    body += [layers.Conv2DTranspose(6, 3, activation=f)]
    return steep.Sequential(*body, layers.GlobalAvgPool2D(), layers.Dense(5))
def trained(made, X, precision, **options):
    trainer = steep.Trainer(made, "cross_entropy", optimizers.SGD(0.05, 0.9), device="cuda",
                            precision=precision, seed=1, **options)
    history = trainer.fit(X, y, epochs=2, batch_size=16, progress=False)
    return history.steps["loss"], made.predict(X[:7]), trainer.gradients(X[:9], y[:9])[1]
precision, names = sys.argv[1], ("relu", "gelu_tanh", "gelu", "tanh", None)
for f in names:
    for make, data in ((net, X), (pictures, images)):
        np.save(f"{sys.argv[2]}_{f}_{make.__name__}.npy", np.concatenate(
            [np.ravel(x).astype(np.float64) for x in t_flat(trained(make(f), data, precision))]))
print(sum(fake.fake_runs() for fake in fakes))
"""


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_trainings_are_close_to_those_by_own_kernels(libraries, precision, tmp_path):
    """Biases, ReLU, GELU and their gradients; a short last batch; libraries sum in double."""
    code = "def t_flat(x):\n    import test_cuda_images\n    return test_cuda_images.flat(x)\n"
    found = []
    for where in ("libraries", "own"):
        stem = tmp_path / where
        text = f"sys.argv = ['', {precision!r}, {str(stem)!r}]\n" + code + CLOSE
        if where == "own":
            text = text.replace("begin(os.environ[name])", "begin_none()")
            text = "class begin_none:\n    def fake_runs(self):\n        return 0\n" + text
        runs = int(run(text, **(environment(libraries) if where == "libraries" else {})))
        assert (runs > 300) == (where == "libraries")
        found.append({p.name.split("_", 1)[1]: np.load(p) for p in tmp_path.glob(f"{where}_*.npy")})
    assert len(found[0]) == 10
    for name, values in found[0].items():
        apart = np.abs(values - found[1][name]).max() / np.abs(values).max()
        assert apart < {"tf32": 1e-3, "bfloat16": 2e-2}[precision], name


def test_results_do_not_depend_on_who_computes_them(libraries):
    code = """
for name in ("STEEP_CUBLASLT", "STEEP_CUDNN"):
    begin(os.environ[name])
from emulation import emulating
wanted = [devices.play(t.small(), "cuda", precision=p) for p in t.BITS]
for settings in ({"order": 1}, {"order": 5}, {"lazy": 0}, {"sms": 132}):
    with emulating(**settings):
        devices.same([devices.play(t.small(), "cuda", precision=p) for p in t.BITS], wanted)
"""
    run(code, **environment(libraries))


def test_missing_numbers_stay_missing(libraries):
    """What is infinite in bfloat16 makes NaN, which a library's ReLU would turn into 0."""
    code = """
fakes = [begin(os.environ[name]) for name in ("STEEP_CUBLASLT", "STEEP_CUDNN")]
X = np.full((6, 5, 5, 2), 3.4e38, np.float32)
def signs(shape):  # what a unit sees of infinity adds up to NaN
    return np.where(np.indices(shape)[-2] % 2, -0.5, 0.5) if len(shape) > 1 else np.zeros(shape)
for f in ("relu", "gelu_tanh", None):
    net = steep.Sequential(layers.Conv2D(6, 3, activation=f), layers.Flatten(), layers.Dense(8, f))
    dense = steep.Sequential(layers.Flatten(), layers.Dense(8, f))
    for made in (net, dense):
        values = made.build((5, 5, 2)).state_dict()
        made.load_state_dict({name: signs(v.shape) for name, v in values.items()})
    for made in (net, dense):
        trainer = steep.Trainer(made, "mse", "sgd", device="cuda", precision="bfloat16")
        try:
            trainer.fit(X, np.zeros((6, 8)), epochs=1, progress=False)
        except steep.NonFiniteError as error:
            assert "the loss is not finite" in str(error), error
        else:
            raise AssertionError("nobody heard of it")
assert all(fake.fake_runs() for fake in fakes)
"""
    run(code, **environment(libraries))


def test_float32_stays_exact(libraries):
    code = """
fakes = [begin(os.environ[name]) for name in ("STEEP_CUBLASLT", "STEEP_CUDNN")]
devices.play(t.small(), "cuda")
assert not any(fake.fake_runs() for fake in fakes)
"""
    run(code, **environment(libraries))


def test_on_finds_what_pip_installed(tmp_path):
    """Packages of the extra cuda13, of which no loader knows."""
    places = {
        "cublaslt": "nvidia/cu13/lib/libcublasLt.so.13",
        "cudnn": "nvidia/cudnn/lib/libcudnn.so.9",
    }
    for name, place in places.items():
        (tmp_path / place).parent.mkdir(parents=True)
        built(tmp_path, name, to=tmp_path / place)
    for first in ("", "steep.Trainer(net, 'mse', 'sgd', device='cuda')"):
        code = f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport steep\n"
        code += (
            f"net = steep.Sequential(steep.layers.Dense(2))\n{first}\nprint(steep.info()['cuda'])"
        )
        said = run(code, bare=True, STEEP_CUBLASLT="on", STEEP_CUDNN="on")
        assert "cuBLASLt: 13.1.1 from libcublasLt.so.13" in said
        assert "cuDNN: 9.24.0 from libcudnn.so.9" in said


def test_info_says_what_was_found(libraries, tmp_path):
    say = "print(steep.info()['cuda'])"
    said = run(say)
    assert "cuBLASLt: off; STEEP_CUBLASLT=on uses it" in said
    assert "cuDNN: off; STEEP_CUDNN=on uses it" in said
    said = run(say, **environment(libraries))
    assert f"cuBLASLt: 13.1.1 from {libraries['cublaslt']}" in said
    assert f"cuDNN: 9.24.0 from {libraries['cudnn']}" in said
    said = run(say, STEEP_CUBLASLT="/nowhere/libcublasLt.so", STEEP_CUDNN="maybe")
    assert "cuBLASLt: not found (/nowhere" in said
    assert 'STEEP_CUDNN must be on, off or a path with a "/", got "maybe"' in said
    empty = tmp_path / "empty.cpp"
    empty.write_text("int nothing;\n")
    library = tmp_path / "empty.so"
    subprocess.run(["g++", "-shared", "-fPIC", empty, "-o", library], check=True, timeout=100)
    said = run(say, STEEP_CUBLASLT=str(library), STEEP_CUDNN=str(library))
    assert "has no cublasLtGetVersion" in said
    assert "has no cudnnGetVersion" in said
    old = {"cublaslt": 120801, "cudnn": 80905}
    paths = {f"STEEP_{n.upper()}": str(built(tmp_path, n, v)) for n, v in old.items()}
    said = run(say + "\nt.small()\ndevices.play(t.small(), 'cuda', precision='tf32')", **paths)
    assert "is version 120801, 13 is needed" in said
    assert "is version 80905, 9.8 or a later 9 is needed" in said
