"""One limit for each size: what could overflow is refused by the layer's name; memory is exact."""

import os
import subprocess
import sys

import cases
import numpy as np
import pytest
import steep
from cases import NETWORKS
from steep import _core, layers, models

HUGE = (2**31, 2**32, 2**53, 2**62, 2**63 - 1, 2**63, 2**64, 2**70)


def image(*body, shape=(4, 5, 3)):
    return steep.Sequential(*body, layers.Flatten(), layers.Dense(2)).build(shape)


SIZED = {
    "ZeroPad2D": layers.ZeroPad2D,
    "ZeroPad2D above": lambda n: layers.ZeroPad2D((n, 0, 0, 0)),
    "ZeroPad2D channels": lambda n: layers.ZeroPad2D(1, channels=n),
    "UpSample2D": layers.UpSample2D,
    "Conv2D filters": lambda n: layers.Conv2D(n, 1),
    "Conv2D kernel": lambda n: layers.Conv2D(2, n, padding="same"),
    "Conv2D stride": lambda n: layers.Conv2D(2, 1, stride=n),
    "Conv2D dilation": lambda n: layers.Conv2D(2, 1, dilation=n),
    "Conv2D padding": lambda n: layers.Conv2D(2, 1, padding=n),
    "MaxPool2D size": lambda n: layers.MaxPool2D(n, padding="same"),
    "MaxPool2D stride": lambda n: layers.MaxPool2D(2, n),
    "AvgPool2D size": lambda n: layers.AvgPool2D(n, padding="same", count_padding=True),
    "LocalResponseNorm": lambda n: layers.LocalResponseNorm(n + 1 + n % 2),
}


@pytest.mark.parametrize("size", HUGE)
@pytest.mark.parametrize("name", SIZED)
def test_f23_sizes_beyond_the_limit_are_refused_by_name(name, size):
    with pytest.raises(ValueError, match=rf"^{name.split()[0]}.*(2\^31|2147483647|2\^40)"):
        image(SIZED[name](size))


@pytest.mark.parametrize("units", HUGE)
def test_f23_units_beyond_the_limit_are_refused_by_name(units):
    with pytest.raises(ValueError, match=r"^Dense .*: units must be at most 2147483647"):
        steep.Sequential(layers.Dense(units)).build(3)


BELOW = 2**31 - 1  # each number is allowed, what they make together is not
PRODUCTS = {
    "ZeroPad2D": layers.ZeroPad2D(BELOW),
    "UpSample2D": layers.UpSample2D(BELOW // 8),
    "Conv2D padding": layers.Conv2D(2, 1, padding=BELOW),
    "Conv2D dilation": layers.Conv2D(2, 3, dilation=BELOW, padding="same"),
    "Conv2D one row": layers.Conv2D(2**20, 1, padding=(0, 2**20), stride=(1, 2**20)),
    "Conv2D weights": layers.Conv2D(2**30, 20, padding="same"),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_f23_products_beyond_the_limit_are_refused_by_name(name):
    with pytest.raises(ValueError, match=rf"^{name.split()[0]}.*2\^(31|38|40)"):
        image(PRODUCTS[name])


WRAPPING = {
    "pool": lambda: [
        layers.ZeroPad2D((1, 1, 0, 6148914691236517205)),
        layers.MaxPool2D((1, 1), (1, 2**60)),
    ],
    "conv": lambda: [layers.ZeroPad2D(2**30), layers.Conv2D(2, 1, stride=2**62)],
}


@pytest.mark.parametrize("name", WRAPPING)
def test_f56_sums_that_would_wrap_are_refused(name):
    with pytest.raises(ValueError, match=r"2\^31|2147483647"):
        image(*WRAPPING[name]())


def test_f56_a_graph_checks_for_itself():
    """Layers of the user's own may come here without ours."""
    graph = _core.Graph()
    graph.name_next('Mine "a"')
    x = graph.input((4, 5, 3))
    half = 2**30
    for build in (
        lambda: graph.input((2**20, 2**21)),
        lambda: graph.parameter("w", (2**31, 1), True),
        lambda: graph.parameter("v", (2**25, 2**25), True),
        lambda: graph.reshape(x, (2**31, 2**31, 2**2, 15)),
        lambda: graph.upsample(x, (half, half)),
        lambda: graph.zero_pad(x, (half, half), (half, half), (0, 0)),
        lambda: graph.zero_pad(x, (2**62, 2**62), (0, 0), (0, 0)),
        lambda: graph.avg_pool(x, (2**32, 1), (1, 1), (2**31, 2**31, 0, 0), True),
        lambda: graph.max_pool(x, (1, 1), (2**31, 1), (0,) * 4),
        lambda: graph.lrn(x, 2**32 + 1, 1e-4, 0.75, 2.0),
    ):
        with pytest.raises(ValueError, match=r'^Mine "a": .*2\^(31|40)'):
            build()


@pytest.mark.parametrize("batch", [2**53, 2**56, 2**62, 2**63 - 1])
def test_f56_memory_never_wraps(batch):
    trainer = steep.Trainer(steep.Sequential(layers.Dense(64)).build(3000), "mse", "adam")
    with pytest.raises(ValueError, match=r"batch_size must be at most 2147483647"):
        trainer.memory(batch)
    assert trainer.memory(2**31 - 1)["arena"] > (2**31 - 1) * 3000 * 4


def test_f23_large_strides_and_dilations_are_right():
    """Below the limit they mean what they say: one window, at once."""
    x = np.random.default_rng(0).random((2, 4, 5, 3)).astype(np.float32)
    for stride in (6, 2**20, 2**31 - 1):
        for groups in (1, 3):
            net = image(layers.Conv2D(3, 1, stride=stride, groups=groups))
            near = image(layers.Conv2D(3, 1, stride=5, groups=groups))
            near.load_state_dict(net.state_dict())
            np.testing.assert_array_equal(net.predict(x), near.predict(x))
            found = [
                steep.Trainer(n, "mse", "sgd").gradients(x, np.ones((2, 2), np.float32))[1]
                for n in (net, near)
            ]
            for name, gradient in found[0].items():
                np.testing.assert_array_equal(gradient, found[1][name])


# ---- Memory: what is predicted is what is taken. ----


def taken(trainer):
    memory = trainer._run.session().memory()
    return {name: memory[name] for name in ("store", "arena")}


@pytest.mark.parametrize("batch", [1, 16, 40, 64, 150])
@pytest.mark.parametrize("name", ["plain", "lenet", "residual", "tree"])
def test_f49_memory_is_what_is_taken_on_one_thread(name, batch):
    """Blocks above 4 MiB are rounded to 2 MiB, with scratch memory beside them."""
    case = NETWORKS[name]
    X, y = case.data(samples=batch)
    trainer = case.trainer()
    trainer.net.build(case.inputs)
    with steep.threads(1):
        before = trainer.memory(batch)
        trainer.fit(X, y, batch_size=batch, progress=False)
        assert taken(trainer) == {key: before[key] for key in ("store", "arena")}


def test_f49_memory_is_what_is_taken_by_threads():
    trainer = steep.Trainer(models.lenet5(), "cross_entropy", "momentum", seed=1)
    trainer.net.build((28, 28, 1))
    random = np.random.default_rng(0)
    X, y = random.standard_normal((600, 28, 28, 1)), random.integers(0, 10, 600)
    with steep.threads(2):
        before = trainer.memory(600)
        trainer.fit(X, y, batch_size=600, progress=False)
        assert taken(trainer)["arena"] == before["arena"]


def test_f49_memory_is_what_is_taken_on_one_processor():
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("processors cannot be chosen here")
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "import sys, pytest; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', *sys.argv[1:]]))"
    )
    test = os.path.join(os.path.dirname(cases.__file__), "test_memory.py")
    child = subprocess.run(
        [sys.executable, "-c", code, test], check=False, capture_output=True, text=True, timeout=300
    )
    assert child.returncode == 0, child.stdout


# ---- Threads with little stack. ----

SMALL_STACK = """
import sys, threading
sys.path.insert(0, {tests!r})
import numpy as np, steep, cases
from steep import layers
case = cases.NETWORKS[{name!r}]
X, y = case.data(samples=100)
found = []
def work():
    for precision in ("float32", "float64"):
        trainer = case.trainer(precision=precision)
        trainer.fit(X, y, batch_size=50, progress=False)
        trainer.gradients(X[:20], y[:20])
        trainer.evaluate(X, y)
        trainer.net.predict(X)
        found.append(trainer.net.num_parameters)
steep.set_num_threads(1)
case.trainer().fit(X, y, batch_size=50, progress=False)  # imports and caches, on a large stack
threading.stack_size({stack})
thread = threading.Thread(target=work)
thread.start()
thread.join()
print("whole", len(found))
"""


@pytest.mark.parametrize("stack", [64 * 1024, 128 * 1024])
@pytest.mark.parametrize("name", ["plain", "look_ahead", "residual", "lenet", "tree"])
def test_f25_a_thread_with_a_small_stack_trains(name, stack):
    code = SMALL_STACK.format(tests=os.path.dirname(cases.__file__), name=name, stack=stack)
    child = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=120
    )
    assert (child.returncode, child.stdout) == (0, "whole 2\n"), child.stderr
