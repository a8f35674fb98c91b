"""The numbers that Keras's own tests expect of its optimizers, in the setting of those tests.

They are facts about Keras 3 (keras/src/optimizers/*_test.py), printed to four digits; Keras is not
needed. An optimizer stands with Keras's defaults, which are others than ours.
"""

import numpy as np
import pytest
import steep
from steep import lab, layers
from steep.optimizers import (
    FTRL,
    SGD,
    AdaDelta,
    Adafactor,
    AdaGrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    Muon,
    NAdam,
    RMSProp,
    ScheduleFreeAdamW,
)

PRINTED = 1e-4  # one unit of the last digit: some of them are cut, some rounded
THEIRS = 5e-4  # Keras's own bound, where it has one number for ten that differ


def rows(*values):
    """Return the same values for each of ten weights."""
    return np.tile(np.reshape(values, (-1, 1)), (1, 10))


# From ten weights of 1: one step by a gradient of 0.01, then by 0.1, 0.2, .. 1.
GOLDEN = {
    "SGD": (
        SGD(0.01, like="keras"),
        0.9999 - 1e-3 * np.outer(np.arange(5), np.arange(1, 11)),
    ),
    "RMSprop": (
        RMSProp(1e-3, 0.9, 1e-7, centered=True, like="keras"),
        rows(0.9967, 0.9933, 0.9908, 0.9885, 0.9864),
    ),
    "Adagrad": (
        AdaGrad(0.2, 1e-6, initial_accumulator=0.3, like="keras"),
        [
            [0.9963] * 10,
            [0.9604, 0.9278, 0.9003, 0.8784, 0.8615, 0.8487, 0.8388, 0.8313, 0.8255, 0.8209],
            [0.9251, 0.8629, 0.8137, 0.7768, 0.7497, 0.7298, 0.7151, 0.704, 0.6956, 0.6891],
            [0.8903, 0.8012, 0.7342, 0.6862, 0.6521, 0.6277, 0.6099, 0.5967, 0.5867, 0.579],
            [0.856, 0.7422, 0.6604, 0.6037, 0.5644, 0.5367, 0.5168, 0.5021, 0.491, 0.4825],
        ],
    ),
    "Adafactor": (
        Adafactor(0.5, -0.65, 1e-15, 1e-4, 0.9, like="keras"),
        [
            [0.55] * 10,
            [0.3031, 0.3026, 0.3025, *[0.3024] * 7],
            [0.1671, 0.1665, *[0.1663] * 8],
            [0.0923, 0.0916, 0.0915, *[0.0914] * 7],
            [0.0554, 0.0548, 0.0546, 0.0546, 0.0546, 0.0546, 0.0546, 0.0545, 0.0545, 0.0545],
        ],
    ),
    "Adamax": (
        Adamax(0.2, 0.85, 0.95, 1e-6, like="keras"),
        [
            [0.8] * 10,
            [0.6827, 0.6873, 0.6888, 0.6896, 0.6901, 0.6904, 0.6906, 0.6908, 0.6909, 0.691],
            [0.5333, 0.5407, 0.5431, 0.5444, 0.5451, 0.5456, 0.546, 0.5462, 0.5464, 0.5466],
            [0.368, 0.3773, 0.3804, 0.382, 0.3829, 0.3835, 0.384, 0.3843, 0.3846, 0.3848],
            [0.1933, 0.204, 0.2076, 0.2094, 0.2105, 0.2112, 0.2117, 0.2121, 0.2124, 0.2126],
        ],
    ),
    "Nadam": (
        NAdam(0.5, 0.5, 0.67, 1e-5, momentum_decay=1.0, like="keras"),
        [
            [0.4281] * 10,
            [
                -0.1738,
                -0.1731,
                -0.1726,
                -0.1723,
                -0.1721,
                -0.172,
                -0.1719,
                -0.1718,
                -0.1718,
                -0.1717,
            ],
            [
                -0.7115,
                -0.7103,
                -0.7096,
                -0.7092,
                -0.709,
                -0.7088,
                -0.7086,
                -0.7085,
                -0.7085,
                -0.7084,
            ],
            [
                -1.2335,
                -1.2322,
                -1.2313,
                -1.2309,
                -1.2306,
                -1.2304,
                -1.2302,
                -1.2301,
                -1.23,
                -1.2299,
            ],
            [
                -1.7492,
                -1.7478,
                -1.7469,
                -1.7464,
                -1.7461,
                -1.7459,
                -1.7457,
                -1.7456,
                -1.7455,
                -1.7454,
            ],
        ],
    ),
    "Adam": (
        Adam(1e-3, 0.9, 0.999, 1e-7, amsgrad=True, like="keras"),
        rows(0.999, 0.9982, 0.9974, 0.9965, 0.9955),
    ),
    "AdamW": (
        AdamW(1.0, 0.9, 0.999, 2.0, 0.5, like="keras"),
        [
            [0.4998] * 10,
            [0.2486, 0.2475, 0.2463, 0.2451, 0.244, 0.2428, 0.2417, 0.2405, 0.2394, 0.2382],
            [0.1223, 0.1198, 0.1174, 0.1149, 0.1124, 0.11, 0.1075, 0.1051, 0.1027, 0.1003],
            [0.0586, 0.0549, 0.0512, 0.0475, 0.0439, 0.0402, 0.0366, 0.033, 0.0294, 0.0258],
            [0.0263, 0.0215, 0.0167, 0.012, 0.0073, 0.0026, -0.0021, -0.0067, -0.0113, -0.0159],
        ],
    ),
    "Adadelta": (
        AdaDelta(1.0, 0.8, 1e-6, like="keras"),
        rows(0.9978, 0.9947, 0.9915, 0.9882, 0.9849),
    ),
    "Ftrl": (
        FTRL(
            0.05,
            0.2,
            initial_accumulator=0.4,
            l1_strength=0.05,
            l2_strength=0.15,
            l2_shrinkage=0.01,
            beta=0.3,
        ),
        [
            [0.0] * 10,
            [
                -0.0034,
                -0.0077,
                -0.0118,
                -0.0157,
                -0.0194,
                -0.023,
                -0.0263,
                -0.0294,
                -0.0325,
                -0.0354,
            ],
            [
                -0.0078,
                -0.0162,
                -0.0242,
                -0.0317,
                -0.0387,
                -0.0454,
                -0.0516,
                -0.0575,
                -0.0631,
                -0.0685,
            ],
            [
                -0.0121,
                -0.0246,
                -0.0363,
                -0.0472,
                -0.0573,
                -0.0668,
                -0.0757,
                -0.0842,
                -0.0922,
                -0.0999,
            ],
            [
                -0.0164,
                -0.0328,
                -0.0481,
                -0.0623,
                -0.0753,
                -0.0875,
                -0.099,
                -0.1098,
                -0.1201,
                -0.1299,
            ],
        ],
    ),
    "Lion": (Lion(1e-3, like="keras"), rows(0.999, 0.998, 0.997, 0.996, 0.995)),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_five_steps(name):
    optimizer, golden = GOLDEN[name]
    gradients = iter([np.full(10, 0.01), *[np.arange(1, 11) / 10] * 4])
    path = lab.descend(optimizer, lambda w: next(gradients), np.ones(10), 5)
    bound = THEIRS if np.ptp(golden, axis=1).max() == 0 else PRINTED
    np.testing.assert_allclose(path[1:], golden, rtol=0, atol=bound)


# From 1, 2, 3, 4 by gradients of 1, 6, 7, 2.
STEP = {
    "SGD": (SGD(0.5, like="keras"), [0.5, -1.0, -0.5, 3.0]),
    "RMSprop": (RMSProp(0.5, 0.9, 1e-7, like="keras"), [-0.5811, 0.4189, 1.4189, 2.4189]),
    "Adagrad": (
        AdaGrad(0.5, 1e-7, initial_accumulator=0.1, like="keras"),
        [0.5233, 1.5007, 2.5005, 3.5061],
    ),
    "Adamax": (Adamax(0.5, eps=1e-7, like="keras"), [0.5, 1.5, 2.5, 3.5]),
    "Nadam": (
        NAdam(0.5, eps=1e-7, momentum_decay=1.0, like="keras"),
        [0.4686, 1.4686, 2.4686, 3.4686],
    ),
    "Adam": (Adam(0.5, eps=1e-7, like="keras"), [0.5, 1.5, 2.5, 3.5]),
    "AdamW": (
        AdamW(0.5, eps=1e-7, weight_decay=0.004, like="keras"),
        [0.4980, 1.4960, 2.494, 3.492],
    ),
    "Adadelta": (AdaDelta(0.5, 0.95, 1e-7, like="keras"), [0.9993, 1.9993, 2.9993, 3.9993]),
    "Ftrl": (FTRL(0.5), [0.2218, 1.3954, 2.3651, 2.8814]),
    "Lion": (Lion(0.5, like="keras"), [0.5, 1.5, 2.5, 3.5]),
}


@pytest.mark.parametrize("name", STEP)
def test_one_step(name):
    optimizer, golden = STEP[name]
    g = np.array([1.0, 6.0, 7.0, 2.0])
    path = lab.descend(optimizer, lambda w: g, np.arange(1.0, 5.0), 1)
    np.testing.assert_allclose(path[1], golden, rtol=0, atol=PRINTED)


@pytest.mark.parametrize("name", sorted(STEP.keys() - {"Ftrl"}))  # which sets the weight itself
def test_decay_without_gradients(name):
    """Keras takes lr*weight_decay*w off beside the step, as is done here."""
    config = STEP[name][0].get_config() | {"lr": 1.0, "weight_decay": 0.004}
    optimizer = type(STEP[name][0])(**{k: v for k, v in config.items() if k != "optimizer"})
    path = lab.descend(optimizer, lambda w: np.zeros(1), [2.0], 3)
    assert path[-1, 0] == pytest.approx(1.9760959, abs=5e-7)


def test_schedule_free_adamw_follows_its_source():
    """Keras's tests of it have no numbers: its formulas, written out, with its warm-up."""
    x, z, r, y = 1.0, 1.0, 0.0, 1.0
    want = []
    for t in range(1, 13):
        g = np.cos(3.0 * y)
        rate = 0.05 * min(t / 4, 1.0)
        r += (g * g - r) * (1 - 0.97)
        z -= rate * g / (np.sqrt(r / (1 - 0.97**t)) + 1e-8)
        x = (1 - 1 / t) * x + z / t
        y = 0.1 * z + 0.9 * x
        want.append(x)
    # Keras averages all z alike, the rates of the warm-up notwithstanding
    optimizer = ScheduleFreeAdamW(0.05, 0.9, 0.97, warmup_steps=4, weight_lr_power=0)
    path = lab.descend(optimizer, lambda w: np.cos(3.0 * w), [1.0], 12)
    np.testing.assert_allclose(path[1:, 0], want, rtol=1e-12)


@pytest.mark.parametrize(
    ("optimizer", "want", "digits"),
    [
        (Adafactor(0.5, like="keras"), [[0.7007, -0.0081], [1.2492, 3.4407]], PRINTED),
        (  # Keras's own bound; its numbers are those of other coefficients' rounding
            Muon(0.5, adjust="match_rms_adamw", matrices="*", like="keras"),
            [[0.988775, 1.887053], [2.873428, 3.97035]],
            1e-2,
        ),
    ],
)
def test_a_step_of_a_matrix(optimizer, want, digits):
    """One sample a row and a loss whose gradient is the difference: any gradient can be had."""
    w, g = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 6.0], [7.0, 2.0]])
    net = steep.Sequential(layers.Dense(2, use_bias=False))
    trainer = steep.Trainer(net, "mse", optimizer, reduction="sum", precision="float64")
    trainer._run.settings.build(((2,),))
    name = next(iter(net.state_dict()))
    net.load_state_dict({name: w})
    trainer.step(np.eye(2), w - g)
    np.testing.assert_allclose(net.state_dict()[name], want, rtol=0, atol=digits)
