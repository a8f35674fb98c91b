"""steep's own side of the cases of more than one loss, or of noise or a graph."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .. import data, initializers, layers, losses, models, optimizers
from ..gan import GAN
from ..network.model import Input, Model, Sequential
from ..network.network import Network
from ..training.trainer import Trainer
from ..vae import VAE
from .tasks import CHARACTERS, RECURRENT, Arrays, Task, task_data
from .work import CHECK_STEPS, Work

Weights = list[NDArray[np.float32]]


def prepare_task(case: Task) -> Work:
    """Prepare a training step; every fit goes through the batches in order."""
    arrays, weights = task_data(case)
    return _MAKERS[case.name](case, arrays, weights)


def _begin(net: Network, weights: Weights) -> None:
    net.load_state_dict(dict(zip(net.state_dict(), weights, strict=True)))


def _work(case: Task, fit: Callable[[int, int], object], check: Callable[[], float] | None) -> Work:
    few = min(CHECK_STEPS, case.batches)
    fit(few * case.batch, CHECK_STEPS // few)
    return Work(
        lambda: fit(case.batches * case.batch, case.epochs),
        units=case.batches * case.epochs,
        check=check() if check else None,
        note="fit",
    )


def _two_heads(case: Task, arrays: Arrays, weights: Weights) -> Work:
    x = Input(64)
    h = layers.Dense(128, "relu")(layers.Dense(128, "relu")(x))
    net = Model(x, {"label": layers.Dense(10)(h), "box": layers.Dense(4)(h)})
    _begin(net, weights)
    trainer = Trainer(
        net,
        {"label": "cross_entropy", "box": losses.Huber()},
        optimizers.Adam(case.lr),
        loss_weights={"box": 2.0},
    )
    targets = {name: arrays[name] for name in ("label", "box")}

    def part(n: int) -> tuple[NDArray[np.float32], Arrays]:
        return arrays["x"][:n], {name: y[:n] for name, y in targets.items()}

    def fit(samples: int, epochs: int) -> object:
        return trainer.fit(
            *part(samples), epochs=epochs, batch_size=case.batch, shuffle=False, progress=False
        )

    return _work(case, fit, lambda: trainer.evaluate(*part(case.batch))["loss"])


def _vae_mnist(case: Task, arrays: Arrays, weights: Weights) -> Work:
    encoder = Sequential(layers.Dense(400, "relu"), layers.Dense(40))
    decoder = Sequential(layers.Dense(400, "relu"), layers.Dense(784))
    vae = VAE(encoder, decoder, 20, optimizer=optimizers.Adam(case.lr))
    vae.net.build((784,))
    _begin(vae.net, weights)
    x = arrays["x"]

    def fit(samples: int, epochs: int) -> object:
        return vae.fit(
            x[:samples], epochs=epochs, batch_size=case.batch, shuffle=False, progress=False
        )

    return _work(case, fit, lambda: vae.evaluate(x[: case.batch])["loss"])


def _dcgan28(case: Task, arrays: Arrays, _: Weights) -> Work:
    def conv(kind: type, filters: int, norm: bool) -> list[layers.Layer]:
        made = kind(filters, 4, 2, use_bias=not norm, init=initializers.Normal(0.02))
        return [made, layers.BatchNorm()] if norm else [made]

    up, down = layers.Conv2DTranspose, layers.Conv2D
    generator = Sequential(
        layers.Dense(7 * 7 * 128, use_bias=False),
        layers.Reshape((7, 7, 128)),
        layers.BatchNorm(),
        layers.ReLU(),
        *(conv(up, 64, True)),
        layers.ReLU(),
        *conv(up, 1, False),
        layers.Tanh(),
    )
    discriminator = Sequential(
        *conv(down, 64, False),
        layers.LeakyReLU(0.2),
        *conv(down, 128, True),
        layers.LeakyReLU(0.2),
        layers.Flatten(),
        layers.Dense(1),
    )
    adam = optimizers.Adam(case.lr, beta1=0.5)
    gan = GAN(generator, discriminator, 100, optimizers=(adam, adam))

    def fit(samples: int, epochs: int) -> object:
        return gan.fit(
            arrays["x"][:samples], epochs=epochs, batch_size=case.batch, shuffle=False,
            progress=False,
        )  # fmt: skip

    return _work(case, fit, None)


def _gcn_cora(case: Task, arrays: Arrays, weights: Weights) -> Work:
    graph = data.Graph(arrays["edges"], len(arrays["y"]))
    net = models.gcn(graph, 7, 16, features=data.Sparse(arrays["x"]))
    net.build((graph.nodes, 1))
    _begin(net, weights)
    trainer = Trainer(net, losses.CrossEntropy(ignore=-1), optimizers.Adam(case.lr))
    x, y = np.ones((1, graph.nodes, 1), np.float32), arrays["y"][None]

    def fit(_: int, epochs: int) -> object:
        return trainer.fit(x, y, epochs=epochs, shuffle=False, progress=False)

    return _work(case, fit, lambda: trainer.evaluate(x, y)["loss"])


def _recurrent(case: Task, arrays: Arrays, weights: Weights) -> Work:
    _, _, units, gates, out = RECURRENT[case.name]
    layer = layers.LSTM(units) if gates == 4 else layers.GRU(units)
    net = Sequential(layer, layers.Dense(out)).build(arrays["x"].shape[1:])
    _begin(net, weights)
    trainer = Trainer(net, "cross_entropy" if out > 1 else "mse", optimizers.Adam(case.lr))

    def fit(samples: int, epochs: int) -> object:
        x, y = arrays["x"][:samples], arrays["y"][:samples]
        return trainer.fit(
            x, y, epochs=epochs, batch_size=case.batch, shuffle=False, progress=False
        )  # fmt: skip

    first = slice(case.batch)
    return _work(
        case, fit, lambda: trainer.evaluate(arrays["x"][first], arrays["y"][first])["loss"]
    )


def _gpt_tiny(case: Task, arrays: Arrays, weights: Weights) -> Work:
    return _language_model(case, models.gpt(4, 4, 128, 64, 65), arrays, weights)


def _char_lstm(case: Task, arrays: Arrays, weights: Weights) -> Work:
    tokens, width, units, steps = CHARACTERS
    net = models.char_lstm(tokens, units, 1, steps, embedding=width)
    return _language_model(case, net, arrays, weights)


def _language_model(case: Task, net: Network, arrays: Arrays, weights: Weights) -> Work:
    net.build()
    _begin(net, weights)
    trainer = Trainer(net, "cross_entropy", optimizers.Adam(case.lr))
    x, y = arrays["x"], arrays["y"]

    def fit(samples: int, epochs: int) -> object:
        return trainer.fit(
            x[:samples], y[:samples], epochs=epochs, batch_size=case.batch, shuffle=False,
            progress=False,
        )  # fmt: skip

    first = slice(case.batch)
    return _work(case, fit, lambda: trainer.evaluate(x[first], y[first])["loss"])


_MAKERS = {
    **dict.fromkeys(RECURRENT, _recurrent),
    "two_heads": _two_heads,
    "vae_mnist": _vae_mnist,
    "dcgan28": _dcgan28,
    "gcn_cora": _gcn_cora,
    "gpt_tiny": _gpt_tiny,
    "char_lstm": _char_lstm,
}
