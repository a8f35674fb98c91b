"""Recurrent layers: known numbers, the reference, PyTorch, lengths, states, what is refused."""

import numpy as np
import own_layers
import pytest
import reference_recurrent as reference
import steep
import torch
from steep import layers
from stopping import StopAt

pytestmark = pytest.mark.usefixtures("padding_stays_zero")


def sines(shift, *shape, size=0.5):
    return size * np.sin(shift + np.arange(np.prod(shape))).reshape(shape)


class Given(layers.Layer):
    """x plus a parameter that begins at 0, whose gradient is then that of x."""

    def call(self, x):
        size = int(np.prod(x.shape))
        flat = steep.ops.reshape(x, (size,)) + self.parameter("x", (size,), init=0.0)
        return steep.ops.reshape(flat, x.shape)


class Total(layers.Layer):
    """Adds the sum of what it sees to the loss."""

    def call(self, x):
        self.add_loss(x)
        return x


GATES = {"lstm": 4, "gru": 3, "gru_before": 3, "tanh": 1, "relu": 1}
CELLS = tuple(GATES)


def layer_of(cell, units, **options):
    if cell == "lstm":
        return layers.LSTM(units, name="r", **options)
    if cell in ("gru", "gru_before"):
        return layers.GRU(units, reset_after=cell == "gru", name="r", **options)
    return layers.SimpleRNN(units, cell, name="r", **options)


def weights_of(cell, features, units, random=None):
    """Return the golden weights, or random ones."""
    columns = GATES[cell] * units
    shapes = {"weight": (features, columns), "recurrent": (units, columns), "bias": (columns,)}
    if cell == "gru":
        shapes["recurrent_bias"] = (columns,)
    if random is None:
        return {name: sines(1 + k, *shape) for k, (name, shape) in enumerate(shapes.items())}
    scale = 1 / np.sqrt(units)
    return {name: scale * random.standard_normal(shape) for name, shape in shapes.items()}


def built(cell, x, weights, *, precision="float64", total=True, lengths=False, states=0, **options):
    """Return a network of one layer that has these weights, behind a parameter added to x."""
    given = steep.Input(x.shape[1:])
    more = [steep.Input(()) for _ in range(lengths)]
    units = weights["recurrent"].shape[0]
    more += [steep.Input((units,)) for _ in range(states)]
    y = layer_of(cell, units, **options)(Given(name="g")(given), *more)
    outputs = list(y) if isinstance(y, tuple) else [y]
    if total:
        outputs[0] = Total(name="t")(outputs[0])
    net = steep.Model([given, *more], outputs).build(seed=0)
    net._convert(precision, "cpu")
    trainer = None
    if total:
        trainer = steep.Trainer(net, None, "sgd", precision=precision)
    state = {name: np.zeros_like(value) for name, value in net.state_dict().items()}
    state.update({f"r.{name}": value for name, value in weights.items()})
    net.load_state_dict(state)
    return net, trainer


def gradients(cell, x, weights, **options):
    """Return the sum of the output over samples, and its gradients."""
    more = {}
    inputs = [x]
    if "lengths" in options:
        inputs.append(np.asarray(options.pop("lengths")))
        more["lengths"] = True
    _, trainer = built(cell, x, weights, **more, **options)
    loss, found = trainer.gradients(inputs if len(inputs) > 1 else x)
    return loss * len(x), {k.removeprefix("r."): v * len(x) for k, v in found.items()}


X = sines(0, 2, 3, 2, size=1.0)


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, atol=6e-11, rtol=0)


def last_of(cell, **options):
    net, _ = built(cell, X, weights_of(cell, 2, 2), total=False, return_state=True, **options)
    return net


def test_r1_lstm():
    w = weights_of("lstm", 2, 2)
    _, h, c = reference.run("lstm", X, w)
    close(h, [[0.0917361289, 0.0935928178], [0.0866856961, 0.0988976398]])
    close(c, [[0.2268379911, 0.2671039550], [0.2067351771, 0.2638504460]])
    loss, found = gradients("lstm", X, w, return_sequences=True)
    assert loss == pytest.approx(1.3106938507, abs=6e-11)
    close(
        found["weight"][0],
        [
            -0.1074499947,
            0.1283643510,
            0.0957757828,
            0.0380100957,
            0.8428558449,
            0.2754238348,
            -0.0566761179,
            0.0644130346,
        ],
    )
    close(
        found["recurrent"][0],
        [
            0.0009786414,
            0.0305320904,
            0.0179225358,
            0.0148823230,
            0.1914808259,
            0.0902137144,
            0.0094159917,
            0.0322348064,
        ],
    )
    close(
        found["bias"],
        [
            0.2855322707,
            0.4410539586,
            0.1225856264,
            0.1349940971,
            2.0857439269,
            0.9987350856,
            0.2606524040,
            0.4359418845,
        ],
    )
    _, found = gradients("lstm", X[:1], w, return_sequences=True)
    close(found["g.x"][:2], [-0.0492699819, 0.1403082662])


def test_r2_lengths():
    w = weights_of("lstm", 2, 2)
    loss, found = gradients("lstm", X, w, return_sequences=True, lengths=[3, 2])
    assert loss == pytest.approx(1.1251105148, abs=6e-11)
    close(
        found["bias"],
        [
            0.2349198236,
            0.3776620913,
            0.1007408755,
            0.0921063372,
            1.7676762940,
            0.7643454191,
            0.2101525004,
            0.3654311016,
        ],
    )
    _, found = gradients("lstm", X[1:], w, return_sequences=True, lengths=[2])
    close(found["g.x"], [-0.0116190478, 0.1173470077, -0.1630273992, 0.1146994901, 0, 0])
    net, _ = built("lstm", X, w, total=False, lengths=True)
    h = [[0.0917361289, 0.0935928178], [0.0458087585, 0.1811021264]]
    close(net.predict([X, np.array([3, 2])]), h)


def test_r3_backwards():
    w = weights_of("lstm", 2, 2)
    _, h, _ = reference.run("lstm", X, w, lengths=[3, 2], reverse=True)
    close(h, [[0.1724148445, 0.1304987536], [0.1602135409, 0.1188476307]])
    loss, _ = gradients("lstm", X, w, lengths=[3, 2], reverse=True)
    assert loss == pytest.approx(h.sum(), abs=1e-12)


def test_r5_gru_reset_after():
    w = weights_of("gru", 2, 2)
    _, h, _ = reference.run("gru", X, w)
    close(h, [[0.6475768147, 0.4628384035], [0.6096249378, 0.4562380495]])
    loss, found = gradients("gru", X, w, return_sequences=True)
    assert loss == pytest.approx(3.5453691985, abs=6e-11)
    bias = [0.4472699591, 0.2110871768, -0.4010655112, -0.6820552833, 4.0355312308, 3.5629012210]
    close(found["bias"], bias)
    close(found["recurrent_bias"], [*bias[:4], 2.0448146332, 1.3686021010])
    close(
        found["recurrent"][0],
        [0.0289553216, 0.0209636494, 0.0084824323, -0.0332882287, 0.1663709968, 0.1244568174],
    )


def test_r6_gru_reset_before():
    w = weights_of("gru_before", 2, 2)
    _, h, _ = reference.run("gru_before", X, w)
    close(h, [[0.5139129263, 0.4417946308], [0.4716553277, 0.4324971688]])
    loss, found = gradients("gru_before", X, w, return_sequences=True)
    assert loss == pytest.approx(2.4160164155, abs=6e-11)
    close(
        found["bias"],
        [-0.0014659545, -0.0016915182, -0.2340925830, -0.5388937681, 4.0547676883, 4.0981951245],
    )


def test_r7_simple():
    w = weights_of("tanh", 2, 2)
    _, h, _ = reference.run("tanh", X, w)
    close(h, [[-0.1291861261, -0.4181549862], [-0.0205917855, -0.2972987465]])
    loss, found = gradients("tanh", X, w, return_sequences=True)
    assert loss == pytest.approx(-0.2123004043, abs=6e-11)
    close(found["recurrent"], [[1.3788499434, 1.1343687994], [-0.6283415661, 0.1814657589]])
    loss, found = gradients("relu", X, w, return_sequences=True)
    assert loss == pytest.approx(1.1736606712, abs=6e-11)
    close(found["recurrent"], [[0.6458314152, 0], [0, 0]])


def random_case(seed):
    random = np.random.default_rng(seed)
    samples, steps = int(random.integers(1, 9)), int(random.choice([1, 2, 3, 5, 8, 11]))
    features, units = (
        int(random.choice([1, 2, 3, 7, 17])),
        int(random.choice([1, 2, 5, 16, 33, 40])),
    )
    x = random.standard_normal((samples, steps, features))
    return random, x, features, units


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("seed", range(8))
def test_values_are_the_references(cell, seed):
    random, x, features, units = random_case(seed)
    w = weights_of(cell, features, units, random)
    lengths = random.integers(1, x.shape[1] + 1, len(x))
    reverse, hold = bool(seed % 2), seed % 4 > 1
    memory = 2 if cell == "lstm" else 1
    start = [0.5 * random.standard_normal((len(x), units)) for _ in range(memory)]
    wanted = reference.run(
        cell, x, w, lengths=lengths, start=(start[0], start[-1]), reverse=reverse, hold=hold
    )
    net, _ = built(cell, x, w, total=False, lengths=True, states=memory, return_sequences=True,
                   return_state=True, reverse=reverse, hold=hold)  # fmt: skip
    found = net.predict([x, lengths, *start])
    for a, b in zip(found, wanted[: 1 + memory], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12, rtol=0)


def torch_layer(cell, features, units, w):
    """Return PyTorch's layer of the same weights, in float64."""
    made = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}.get(cell)
    if made is None:
        module = torch.nn.RNN(features, units, nonlinearity=cell, batch_first=True)
    else:
        module = made(features, units, batch_first=True)
    module = module.double()
    second = w.get("recurrent_bias", np.zeros_like(w["bias"]))
    values = (w["weight"].T, w["recurrent"].T, w["bias"], second)
    with torch.no_grad():
        for parameter, value in zip(module.parameters(), values, strict=True):
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(value)))
    return module


def torch_gradients(cell, x, w, lengths, target):
    """Return loss and gradients of mean((y - target)^2) over what counts, of PyTorch."""
    module = torch_layer(cell, x.shape[2], w["recurrent"].shape[0], w)
    given = torch.from_numpy(x).requires_grad_()
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        given, torch.from_numpy(lengths), batch_first=True, enforce_sorted=False
    )
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(
        module(packed)[0], batch_first=True, total_length=x.shape[1]
    )
    loss = ((y - torch.from_numpy(target)) ** 2).mean()
    loss.backward()
    weight, recurrent, bias, second = (p.grad.numpy() for p in module.parameters())
    found = {"weight": weight.T, "recurrent": recurrent.T, "bias": bias}
    if cell == "gru":
        found["recurrent_bias"] = second
    return loss.item(), found, given.grad.numpy()


PRECISIONS = {"float64": 1e-9, "float32": 1e-5}


@pytest.mark.parametrize("cell", [c for c in CELLS if c != "gru_before"])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("seed", [*range(10, 16), "long"])
def test_gradients_are_pytorchs(cell, precision, seed):
    random, x, features, units = random_case(3 if seed == "long" else seed)
    if seed == "long":
        x, units = random.standard_normal((3, 256, features)), 20
    w = weights_of(cell, features, units, random)
    lengths = random.integers(1, x.shape[1] + 1, len(x))
    target = random.standard_normal((len(x), x.shape[1], units))
    x, target = (a.astype(precision).astype(float) for a in (x, target))
    w = {name: value.astype(precision).astype(float) for name, value in w.items()}
    loss, wanted, dx = torch_gradients(cell, x, w, lengths, target)
    given, counts = steep.Input(x.shape[1:]), steep.Input(())
    y = layer_of(cell, units, return_sequences=True)(Given(name="g")(given), counts)
    net = steep.Model([given, counts], y).build(seed=0)
    net._convert(precision, "cpu")
    trainer = steep.Trainer(net, "mse", "sgd", precision=precision)
    zero = {"g.x": np.zeros(x[0].size)}
    net.load_state_dict({**{f"r.{k}": v for k, v in w.items()}, **zero})
    found_loss, found = trainer.gradients([x, lengths], target)
    bound = PRECISIONS[precision]
    assert found_loss == pytest.approx(loss, abs=bound)
    for name, value in wanted.items():
        np.testing.assert_allclose(found[f"r.{name}"], value, atol=bound, rtol=bound, err_msg=name)
    np.testing.assert_allclose(found["g.x"], dx.sum(axis=0).ravel(), atol=bound, rtol=bound)


@pytest.mark.parametrize("cell", CELLS)
def test_a_padded_batch_gives_the_bytes_of_the_unpadded_one(cell):
    random, x, features, units = np.random.default_rng(1), None, 5, 19
    x = random.standard_normal((6, 4, features)).astype(np.float32)
    padded = np.concatenate(
        [x, random.standard_normal((6, 9, features)).astype(np.float32)], axis=1
    )
    w, lengths = weights_of(cell, features, units, random), np.full(6, 4)
    net, trainer = built(cell, x, w, precision="float32")
    other, longer = built(cell, padded, w, precision="float32", lengths=True)
    assert np.array_equal(net.predict(x), other.predict([padded, lengths]))
    first, second = trainer.gradients(x), longer.gradients([padded, lengths])
    assert first[0] == second[0]
    for name, value in first[1].items():
        if name == "g.x":
            assert np.array_equal(value, second[1][name][: value.size])
            assert not second[1][name][value.size :].any()
        else:
            assert value.tobytes() == second[1][name].tobytes(), name


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("sequences", [True, False])
def test_states_go_on_from_batch_to_batch(cell, sequences):
    """Three batches of a stateful layer are one long sequence; an epoch begins anew."""
    random = np.random.default_rng(5)
    x, w = random.standard_normal((4, 6, 3)), weights_of(cell, 3, 7, random)
    net, trainer = built(cell, x[:, :2], w, return_sequences=sequences, stateful=5)
    trainer.lr = 0.0
    batches = np.concatenate([x[:, :2], x[:, 2:4], x[:, 4:]])
    trainer.fit(batches, epochs=2, batch_size=4, shuffle=False, progress=False)
    out = reference.run(cell, x, w)[0]
    wanted = (out if sequences else out[:, [1, 3, 5]]).sum() / 12
    np.testing.assert_allclose(trainer.history.history["loss"], [wanted, wanted], atol=1e-12)
    state = net.state_dict()["r.h"].reshape(5, 7)
    np.testing.assert_allclose(state[:4], out[:, -1], atol=1e-12)
    assert not state[4].any()
    alone = reference.run(cell, x[:, :2], w)[0]  # predictions begin with zeros
    found = net.predict(x[:, :2])
    np.testing.assert_allclose(found, alone if sequences else alone[:, -1], atol=1e-12)


def test_golden_r4():
    w = weights_of("lstm", 2, 2)
    _, found = gradients("lstm", X, w)
    close(
        found["recurrent"][0][:5],
        [0.0031132851, 0.0107275238, 0.0051253201, 0.0064795596, 0.0581297182],
    )
    _, h, c = reference.run("lstm", X[:, :2], w)
    _, trainer = built("lstm", X[:, 2:], w, states=2)
    _, found = trainer.gradients([X[:, 2:], h, c])
    cut = 2 * found["r.recurrent"][0][:5]
    close(cut, [0.0038736252, 0.0011836295, 0.0005654362, 0.0024562405, 0.0106140933])


def ragged(threads=2, called=(), path=None):
    """Return a training of an LSTM with lengths, a stateful GRU behind it; resumed where it was."""
    random = np.random.default_rng(3)
    x = random.standard_normal((120, 14, 6)).astype(np.float32)
    lengths, y = random.integers(1, 15, 120), random.integers(0, 4, 120)
    given, counts = steep.Input((14, 6)), steep.Input(())
    h = layers.Bidirectional(layers.LSTM(36, return_sequences=True))(given, counts)
    h = layers.GRU(20, stateful=True, recurrent_dropout=0.2)(h, counts)
    net = steep.Model([given, counts], layers.Dense(4)(h)).build(seed=1)
    with steep.threads(threads):
        trainer = steep.Trainer(net, "cross_entropy", "adam", seed=2)
        trainer = steep.Trainer.load(path) if path else trainer
        options = {"batch_size": 50, "shuffle": False, "progress": False, "callbacks": called}
        trainer.fit([x, lengths], y, epochs=3, **options)
    state = b"".join(value.tobytes() for value in trainer.net.state_dict().values())
    return state, trainer.history.history["loss"]


def test_threads_change_no_bit():
    alone = ragged(1)
    for threads in (2, 3, 8):
        assert ragged(threads) == alone, threads


@pytest.mark.parametrize("step", [1, 3, 5, 8])
def test_states_are_resumed(step, tmp_path):
    whole = ragged()
    with pytest.raises(KeyboardInterrupt):
        ragged(called=[StopAt(step, tmp_path / "stop", KeyboardInterrupt)])
    assert ragged(path=tmp_path / "stop") == whole


def test_states_are_passed_on():
    """An encoder's last states begin a decoder, and the gradient goes through them."""
    random = np.random.default_rng(7)
    x = random.standard_normal((5, 6, 3))
    w = weights_of("lstm", 3, 4, random)
    source = steep.Input((6, 3))
    encoder = layers.LSTM(4, return_sequences=True, return_state=True, name="e")
    first, second = (steep.ops.slice(source, k, k + 3, 0) for k in (0, 3))
    y, h, c = encoder(first)
    y = steep.ops.concat([y, layers.LSTM(4, return_sequences=True, name="d")(second, h, c)], axis=0)
    net = steep.Model(source, y).build(seed=0)
    net.load_state_dict({f"{k}.{name}": value for k in "ed" for name, value in w.items()})
    whole = steep.Sequential(layers.LSTM(4, return_sequences=True, name="w")).build((6, 3))
    whole.load_state_dict({f"w.{name}": value for name, value in w.items()})
    target = random.standard_normal((5, 6, 4))
    parts, one = (
        steep.Trainer(n, "mse", "sgd", precision="float64").gradients(x, target)
        for n in (net, whole)
    )
    assert parts[0] == pytest.approx(one[0], abs=1e-13)
    for name in w:
        total = parts[1][f"e.{name}"] + parts[1][f"d.{name}"]
        np.testing.assert_allclose(total, one[1][f"w.{name}"], atol=1e-13)
    again = steep.Model.from_config(net.config())
    again.build(seed=0)
    again._convert("float64", "cpu")
    again.load_state_dict(net.state_dict())
    assert np.array_equal(again.predict(x), net.predict(x))


def test_both_ways_are_two_layers():
    random = np.random.default_rng(8)
    x, lengths = random.standard_normal((5, 7, 3)), np.array([7, 1, 3, 5, 2])
    given, counts = steep.Input((7, 3)), steep.Input(())
    both = layers.Bidirectional(layers.GRU(4, return_sequences=True, return_state=True), name="b")
    net = steep.Model([given, counts], list(both(given, counts))).build(seed=3)
    state = net.state_dict()
    names = ("weight", "recurrent", "bias", "recurrent_bias")
    assert list(state) == [f"b.{way}.{n}" for way in ("forward", "backward") for n in names]
    found = net.predict([x, lengths])
    for k, way in enumerate(("forward", "backward")):
        w = {n: state[f"b.{way}.{n}"] for n in names}
        y, h, _ = reference.run("gru", x, w, lengths=lengths, reverse=way == "backward")
        np.testing.assert_allclose(found[0][:, :, 4 * k : 4 * k + 4], y, atol=1e-6)
        np.testing.assert_allclose(found[1 + k], h, atol=1e-6)


@pytest.mark.parametrize("merge", ["add", "multiply", "average"])
def test_merges(merge):
    x = np.random.default_rng(9).standard_normal((4, 5, 3))
    joined = steep.Sequential(layers.Bidirectional(layers.LSTM(6), name="b")).build((5, 3))
    merged = steep.Sequential(layers.Bidirectional(layers.LSTM(6), merge=merge, name="b"))
    merged.build((5, 3)).load_state_dict(joined.state_dict())
    a, b = np.split(joined.predict(x), 2, axis=1)
    wanted = {"add": a + b, "multiply": a * b, "average": (a + b) / 2}[merge]
    np.testing.assert_allclose(merged.predict(x), wanted, atol=1e-6)


def test_every_step_has_the_same_layer():
    x = np.random.default_rng(9).standard_normal((4, 5, 6, 6, 2))
    net = steep.Sequential(layers.TimeDistributed(layers.Conv2D(3, 3))).build((5, 6, 6, 2))
    inner = steep.Sequential(layers.Conv2D(3, 3)).build((6, 6, 2))
    inner.load_state_dict(dict(zip(inner.state_dict(), net.state_dict().values(), strict=True)))
    for t in range(5):
        assert np.array_equal(net.predict(x)[:, t], inner.predict(x[:, t]))


@pytest.mark.parametrize("rate", [0.3, 0.6])
def test_one_mask_for_all_steps(rate):
    """Weights of 0 but for U of a relu: what comes through the steps tells the mask."""
    units, steps = 40, 4
    net = steep.Sequential(layers.SimpleRNN(units, "relu", True, recurrent_dropout=rate, name="r"))
    net.build((steps, 1))
    zeros = {
        "r.weight": np.ones((1, units)),
        "r.recurrent": np.eye(units),
        "r.bias": np.zeros(units),
    }
    net.load_state_dict(zeros)
    x = np.zeros((1, steps, 1))
    x[:, 0] = 1
    target = np.zeros((1, steps, units))
    trainer = steep.Trainer(net, "mse", "sgd", precision="float64", seed=4)
    loss, _ = trainer.gradients(x, target)
    scale = 1 / (1 - rate)
    sizes = 1 + sum(
        scale ** (2 * k) for k in range(1, steps)
    )  # of a unit that is kept at every step
    kept = (loss * steps * units - units) / (sizes - 1)
    assert kept == pytest.approx(round(kept), abs=1e-9)
    assert abs(kept / units - (1 - rate)) < 0.25
    np.testing.assert_allclose(net.predict(x), np.ones((1, steps, units)))


def test_dropout_of_the_input_is_one_mask():
    net = steep.Sequential(layers.SimpleRNN(1, "relu", True, dropout=0.5, name="r")).build((3, 50))
    net.load_state_dict(
        {"r.weight": np.ones((50, 1)), "r.recurrent": np.zeros((1, 1)), "r.bias": np.zeros(1)}
    )
    trainer = steep.Trainer(net, "mse", "sgd", precision="float64", seed=5)
    _, found = trainer.gradients(np.ones((1, 3, 50)), np.zeros((1, 3, 1)))
    values = np.unique(np.round(found["r.weight"], 9))
    assert len(values) == 2 and values[0] == 0.0


LENGTHS = (list, bool, "i1", "u1", "i2", "u2", "i4", "u4", "i8", ">i8", "u8", "f2", "f4", "f8")


@pytest.mark.parametrize("kind", LENGTHS)
def test_lengths_are_of_any_kind_of_number(kind):
    net, trainer = built("lstm", X, weights_of("lstm", 2, 2), lengths=True)
    counts = [1, 1] if kind is bool else [3, 2]
    given = counts if kind is list else np.array(counts).astype(kind)
    wanted = np.array(counts, np.int64)
    for call in (net.predict, lambda data: trainer.gradients(data)[1]["r.recurrent"]):
        found, same = call([X, given]), call([X, wanted])
        assert np.asarray(found).tobytes() == np.asarray(same).tobytes()
    assert (net.predict([X, given]) != net.predict([X, np.array([3, 3])])).any()


REFUSED = {
    "zero": ([3, 0], r"X\[1\]: LSTM \"r\" goes by lengths, .* from 1 to 3, got 0 at row 1"),
    "too long": ([4, 1], "from 1 to 3, got 4 at row 0"),
    "a part": ([3, 2.5], r"whole numbers .* got 2\.5 at row 1"),
    "below zero": ([3, -1], "from 1 to 3, got -1 at row 1"),
    "what four bytes cut off": ([3, 2**32 + 2], r"from 1 to 3, got 4\.29497e\+09 at row 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_lengths_are_refused(name):
    lengths, message = REFUSED[name]
    net, trainer = built("lstm", X, weights_of("lstm", 2, 2), lengths=True)
    for call in (net.predict, lambda data: trainer.fit(data, epochs=1), trainer.gradients):
        with pytest.raises(ValueError, match=message):
            call([X, np.array(lengths)])
    assert trainer.steps == 0


def test_lengths_that_are_computed_and_not_numbers_are_none():
    net = steep.Sequential(
        layers.Dense(8, "square"), layers.Reshape((4, 2)),
        own_layers.Counted(layers.LSTM(3, return_sequences=True, hold=True), 3),
    ).build((3,))  # fmt: skip
    assert not net.predict(np.full((5, 3), 1e30, np.float32)).any()


def test_stateful_is_refused_where_rows_do_not_go_on():
    _, trainer = built("gru", X, weights_of("gru", 2, 2), stateful=1)
    with pytest.raises(ValueError, match=r'GRU "r": is stateful: .*shuffle=False'):
        trainer.fit(X, epochs=1)
    with pytest.raises(ValueError, match=r"keeps the states of 1 rows, .*stateful=2"):
        trainer.fit(X, epochs=1, batch_size=2, shuffle=False)
    trainer.fit(X, epochs=1, batch_size=1, shuffle=False)


CALLS = {
    "no sequence": (lambda: layers.LSTM(3)(steep.Input((4,))), r"expects a sequence \(steps"),
    "states": (
        lambda: layers.LSTM(3)(steep.Input((4, 2)), steep.Input((3,))),
        r"takes a sequence, then lengths \(1,\) and h and c \(3,\)",
    ),
    "size": (lambda: layers.GRU(3)(steep.Input((4, 2)), steep.Input((2,))), r"h \(3,\)"),
    "both": (
        lambda: layers.GRU(3, stateful=True)(steep.Input((4, 2)), steep.Input((3,))),
        "begins with states of its own",
    ),
    "activation": (lambda: layers.SimpleRNN(3, "gelu"), "activation"),
    "rate": (lambda: layers.GRU(3, recurrent_dropout=1.0), "recurrent_dropout"),
    "same way": (
        lambda: layers.Bidirectional(layers.GRU(3), layers.GRU(3)), "both layers go the same way"
    ),
    "merge": (
        lambda: layers.Bidirectional(layers.GRU(3), layers.GRU(4, reverse=True), merge="add"),
        "as many units both ways, got 3 and 4",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_calls_are_refused(name):
    make, message = CALLS[name]
    with pytest.raises(ValueError, match=message):
        make()


def test_numbers_of_weights_are_the_published_ones():
    before = layers.GRU(64, reset_after=False)
    sizes = [(layers.LSTM(128), 28, 80_384), (layers.LSTM(256), 65, 329_728)]
    for layer, features, count in [*sizes, (layers.GRU(64), 8, 14_208), (before, 8, 14_016)]:
        assert steep.Sequential(layer).build((4, features)).num_parameters == count
