"""Networks as objects: looks, parts and wholes, failed builds. Rows F4, F33, F42."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest
import steep
from steep import layers
from wholes import X, coder, same


def functional(enc, dec):
    x = steep.Input((8,))
    return steep.Model(x, dec(enc(x)))


WHOLES = {
    "sequential": steep.Sequential,
    "deep": lambda enc, dec: steep.Sequential(
        steep.Sequential(steep.Sequential(enc, name="a"), name="b"), dec
    ),
    "functional": functional,
    "branches": lambda enc, dec: steep.Sequential(
        layers.Branches(enc, layers.Dense(3), join="add"), dec
    ),
    "residual": lambda enc, dec: steep.Sequential(layers.Residual(enc, dec)),
    "twice": lambda enc, dec: steep.Sequential(enc, dec, enc, dec),
}


def mlp(**options):
    return steep.Sequential(layers.Dense(6, "relu"), layers.Dense(2), **options)


# -- F4: a part shares its weights with the network it was built into ------------------------------


@pytest.mark.parametrize("kind", WHOLES)
def test_f4_a_part_has_the_weights_of_the_whole(kind):
    enc, dec, auto = coder(WHOLES[kind])
    steep.Trainer(auto, "mse", "adam", seed=3).fit(X, X, epochs=2, progress=False)
    whole = auto.state_dict()
    assert enc.built
    assert enc.input_shapes == ((8,),)
    for part, name in ((enc, "enc"), (dec, "dec")):
        mine = {k: v for k, v in whole.items() if f"{name}." in k}
        assert len(mine) == 2
        assert same(part.state_dict(), mine)
    codes = np.tanh(X @ enc.state_dict()["dense.weight"] + enc.state_dict()["dense.bias"])
    assert np.allclose(enc.predict(X), codes, atol=1e-6)
    assert enc.num_parameters == 8 * 3 + 3
    assert "(3,)" in enc.summary()


def test_f4_both_directions_at_any_time(tmp_path):
    enc, dec, auto = coder()
    auto.build((8,), seed=1)
    codes = enc.predict(X)
    assert np.array_equal(dec.predict(codes), auto.predict(X))
    enc.load_state_dict({k: v + 1 for k, v in enc.state_dict().items()})
    assert np.array_equal(auto.state_dict()["enc.dense.weight"], enc.state_dict()["dense.weight"])
    assert np.array_equal(dec.predict(enc.predict(X)), auto.predict(X))
    trainer = steep.Trainer(auto, "mse", "adam")
    for _ in range(3):
        trainer.step(X, X)
        assert np.array_equal(dec.predict(enc.predict(X)), auto.predict(X))
    enc.save_weights(tmp_path / "enc")
    auto.build(seed=9)
    assert not np.array_equal(enc.predict(X), codes)
    assert np.array_equal(dec.predict(enc.predict(X)), auto.predict(X))
    before = dec.state_dict()
    enc.load_weights(tmp_path / "enc")
    assert same(dec.state_dict(), before)
    assert np.array_equal(dec.predict(enc.predict(X)), auto.predict(X))


def test_f4_building_a_part_draws_its_weights_in_the_whole():
    enc, dec, auto = coder()
    auto.build((8,), seed=1)
    decoder = dec.state_dict()
    enc.build((8,), seed=5)
    alone = steep.Sequential(layers.Dense(3, "tanh")).build((8,), seed=5)
    assert same(enc.state_dict(), alone.state_dict())
    assert same(dec.state_dict(), decoder)
    assert np.array_equal(dec.predict(alone.predict(X)), auto.predict(X))
    with pytest.raises(ValueError, match=r'"enc".*\(8, 3\)'):
        enc.build((7,))
    assert np.array_equal(enc.predict(X), alone.predict(X))


def test_f4_a_trainer_of_a_part_trains_the_whole():
    enc, dec, auto = coder()
    auto.build((8,), seed=1)
    decoder, codes = dec.state_dict(), np.zeros((64, 3), np.float32)
    trainer = steep.Trainer(enc, "mse", "sgd")
    first = trainer.evaluate(X, codes)["loss"]
    trainer.fit(X, codes, epochs=5, progress=False)
    assert trainer.evaluate(X, codes)["loss"] < first
    assert same(dec.state_dict(), decoder)
    assert np.array_equal(dec.predict(enc.predict(X)), auto.predict(X))
    alone = steep.Sequential(layers.Dense(3, "tanh"))
    alone.build((8,)).load_state_dict(
        dict(zip(["dense.weight", "dense.bias"], _drawn(auto, 1), strict=True))
    )
    steep.Trainer(alone, "mse", "sgd").fit(X, codes, epochs=5, progress=False)
    assert same(alone.state_dict(), enc.state_dict())


def _drawn(auto, seed):
    """The encoder's weights as the whole draws them."""
    twin = copy.deepcopy(auto).build((8,), seed=seed).state_dict()
    return [v for k, v in twin.items() if k.startswith("enc.")]


def test_f4_a_trained_part_brings_its_weights_and_old_trainers_say_so():
    enc, _, auto = coder()
    old = steep.Trainer(enc, "mse", "sgd", seed=4)
    old.step(X, np.zeros((64, 3)))
    trained = enc.state_dict()
    auto.build((8,), seed=1)
    assert same(enc.state_dict(), trained)
    assert np.array_equal(auto.state_dict()["enc.dense.weight"], trained["dense.weight"])
    assert "taken over" in auto.summary()
    with pytest.raises(RuntimeError, match="built again or converted"):
        old.step(X, np.zeros((64, 3)))
    auto.build(seed=2)  # draws the decoder anew, not what the encoder had learned before
    assert same(enc.state_dict(), trained)


def test_f4_a_part_follows_into_another_precision_and_back():
    enc, dec, auto = coder()
    auto.build((8,), seed=1)
    enc.predict(X)
    trainer = steep.Trainer(auto, "mse", "sgd", precision="float64")
    trainer.fit(X, X, epochs=2, progress=False)
    assert enc.predict(X).dtype == np.float64
    assert np.array_equal(dec.predict(enc.predict(X)), auto.predict(X))
    steep.Trainer(dec, "mse", "sgd").step(np.zeros((4, 3)), np.ones((4, 8)))
    assert enc.predict(X).dtype == np.float32
    assert np.array_equal(dec.predict(enc.predict(X)), auto.predict(X))


def test_f4_two_trainers_take_turns_on_the_whole_and_a_part():
    enc, dec, auto = coder()
    auto.build((8,), seed=1)
    whole, part = steep.Trainer(auto, "mse", "adam"), steep.Trainer(enc, "mse", "adam")
    for _ in range(3):
        before = enc.state_dict()
        whole.fit(X, X, progress=False)
        between = enc.state_dict()
        part.fit(X, np.zeros((64, 3)), progress=False)
        after = enc.state_dict()
        assert not same(before, between)
        assert not same(between, after)
        assert np.array_equal(dec.predict(enc.predict(X)), auto.predict(X))


def test_f4_the_second_network_takes_the_part_with_it():
    enc, dec, auto = coder()
    auto.build((8,), seed=1)
    first, codes = auto.state_dict(), enc.predict(X)
    head = steep.Sequential(enc, layers.Dense(2)).build((8,), seed=2)
    assert np.array_equal(enc.predict(X), codes)
    steep.Trainer(head, "mse", "sgd").step(X, np.ones((64, 2)))
    assert np.array_equal(head.state_dict()["enc.dense.weight"], enc.state_dict()["dense.weight"])
    assert not np.array_equal(enc.predict(X), codes)
    assert same(auto.state_dict(), first)
    assert np.array_equal(dec.predict(codes), auto.predict(X))


def test_f4_a_part_of_a_part_and_a_shared_layer():
    inner = steep.Sequential(layers.Dense(8, "tanh"), name="inner")
    middle = steep.Sequential(inner, layers.Dense(8), name="middle").build((8,), seed=1)
    shown = inner.predict(X)
    outer = steep.Sequential(middle, layers.Dense(2)).build((8,), seed=2)
    assert np.array_equal(inner.predict(X), shown)
    steep.Trainer(outer, "mse", "sgd").step(X, np.zeros((64, 2)))
    weights = outer.state_dict()
    assert np.array_equal(weights["middle.inner.dense.weight"], inner.state_dict()["dense.weight"])
    assert np.array_equal(
        weights["middle.inner.dense.weight"], middle.state_dict()["inner.dense.weight"]
    )
    layer = layers.Dense(8)
    a, b = (steep.Sequential(layer).build((8,), seed=s) for s in (1, 2))
    assert not same(a.state_dict(), b.state_dict())  # a layer's weights are each network's own


def test_f4_a_part_takes_images_of_its_own_size():
    part = steep.Sequential(layers.Conv2D(2, 3), input_shape=(6, 6, 1))
    whole = steep.Sequential(part, layers.Flatten(), layers.Dense(2)).build((9, 9, 1), seed=3)
    assert part.predict(np.ones((2, 6, 6, 1), np.float32)).shape == (2, 6, 6, 2)
    assert np.array_equal(
        part.state_dict()["conv2d.weight"], next(iter(whole.state_dict().values()))
    )


def test_f4_a_dropped_whole_frees_its_memory_without_the_collector():
    enc, _, auto = coder()
    auto.build((8,))
    enc.predict(X)
    watched = [weakref.ref(net) for net in (enc, auto)]
    gc.collect()
    gc.disable()
    try:
        del enc, auto, _
        assert [w() for w in watched] == [None, None]
    finally:
        gc.enable()


# -- F4, second half: a look decides nothing -------------------------------------------------------


def looks(net, path):
    return {
        "summary": net.summary,
        "state_dict": net.state_dict,
        "num_parameters": lambda: net.num_parameters,
        "multiply_adds": lambda: net.multiply_adds,
        "predict": lambda: net.predict(X),
        "save_weights": lambda: net.save_weights(path / "w"),
        "copy": lambda: copy.copy(net),
        "deepcopy": lambda: copy.deepcopy(net),
        "pickle": lambda: pickle.dumps(net),
        "repr": lambda: repr(net),
    }


@pytest.mark.parametrize("look", sorted(looks(mlp(), None)))
def test_f4_a_look_does_not_draw_the_weights(look, tmp_path):
    net, shown = mlp(input_shape=8), mlp().build(8, seed=0)
    first, second = looks(net, tmp_path)[look](), looks(net, tmp_path)[look]()
    expected = looks(shown, tmp_path)[look]()
    if look in ("summary", "num_parameters", "multiply_adds"):
        assert first == second == expected
    if look == "state_dict":
        assert same(first, expected)
        assert same(second, expected)
    if look == "predict":
        assert np.array_equal(first, expected)
        assert np.array_equal(second, expected)
    assert not net.built
    assert net.output_shapes == ()
    steep.Trainer(net, "cross_entropy", "sgd", seed=7).evaluate(X, np.zeros(64, int))
    assert same(net.state_dict(), mlp().build(8, seed=7).state_dict())


def test_f4_predict_does_not_fix_an_unknown_shape():
    net = mlp()
    for width in (8, 5):
        X = np.random.default_rng(1).normal(size=(3, width))
        assert np.array_equal(net.predict(X), mlp().build(width).predict(X))
        assert net.input_shapes is None
    with pytest.raises(RuntimeError, match="not known"):
        net.summary()
    assert same(net.build(4, seed=2).state_dict(), mlp().build(4, seed=2).state_dict())


def test_f4_a_look_at_the_whole_leaves_parts_alone_and_sees_what_they_have():
    enc, _, auto = coder(lambda enc, dec: steep.Sequential(enc, dec, input_shape=8))
    auto.predict(X)
    assert not enc.built
    enc.build((8,), seed=5)
    for seed in (5, 6):
        weights = enc.build(seed=seed).state_dict()
        assert same({k: v for k, v in weights.items()}, _part(auto, "enc."))
    assert not auto.built
    old = steep.Trainer(enc, "mse", "sgd")
    old.step(X, np.zeros((64, 3)))
    auto.predict(X)
    old.step(X, np.zeros((64, 3)))
    assert same(enc.state_dict(), _part(auto, "enc."))


def _part(auto, prefix):
    return {k: v for k, v in auto.state_dict().items() if k.startswith(prefix)}


def test_f4_a_write_builds():
    state = mlp().build(8, seed=3).state_dict()
    net = mlp(input_shape=8)
    net.load_state_dict(state)
    assert net.built
    assert same(net.state_dict(), state)


# -- F33, F42: what fails changes nothing ----------------------------------------------------------


def test_f33_a_failed_build_leaves_the_network_as_it_was(monkeypatch):
    net = steep.Sequential(layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(2))
    with pytest.raises(ValueError, match="Conv2D"):
        net.build((4,))
    assert not net.built
    assert net.input_shapes is None
    net.build((4, 4, 1), seed=3)
    before, native = net.state_dict(), net._native
    with pytest.raises(ValueError, match="Conv2D"):
        net.build((4,))
    assert net._native is native
    assert same(net.state_dict(), before)


def test_f33_a_build_without_memory_leaves_network_and_parts_as_they_were(monkeypatch):
    enc, dec, auto = coder()
    enc.build((8,), seed=2)
    trainer = steep.Trainer(enc, "mse", "sgd")
    trainer.step(X, np.zeros((64, 3)))
    calls = []

    def fail(*args, **kwargs):
        calls.append(args)
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("steep.network.initializers.draw", fail)
        with pytest.raises(MemoryError):
            auto.build((8,))
    assert calls
    assert (auto.built, dec.built, auto.input_shapes) == (False, False, None)
    trainer.step(X, np.zeros((64, 3)))


def test_f33_a_part_built_for_other_inputs_is_refused_before_anything_changes():
    enc, dec, auto = coder()
    enc.build((8,), seed=2)
    before = enc.state_dict()
    with pytest.raises(ValueError, match=r'"enc.dense".*\(8, 3\).*\(9, 3\)'):
        auto.build((9,))
    assert (auto.built, dec.built) == (False, False)
    assert same(enc.state_dict(), before)


def test_f33_loading_what_does_not_fit_leaves_an_unbuilt_network_unbuilt():
    enc, _, auto = coder(functional)
    with pytest.raises(ValueError, match="missing"):
        auto.load_state_dict({})
    assert (auto.built, enc.built) == (False, False)


def test_f33_tentative_takes_a_build_back():
    enc, dec, auto = coder()
    enc.build((8,), seed=2)
    trainer = steep.Trainer(enc, "mse", "sgd")
    trainer.step(X, np.zeros((64, 3)))
    before = enc.state_dict()
    with pytest.raises(KeyboardInterrupt), auto._tentative():
        auto.build((8,), seed=1)
        with auto._tentative():
            auto.load_state_dict({k: v + 1 for k, v in auto.state_dict().items()})
        raise KeyboardInterrupt
    assert (auto.built, dec.built, auto.input_shapes) == (False, False, None)
    assert same(enc.state_dict(), before)
    trainer.step(X, np.zeros((64, 3)))
    with auto._tentative():
        auto.build((8,), seed=1)
    assert auto.built


def test_f42_weights_in_use_are_not_taken_away():
    enc, dec, auto = coder()
    auto.build((8,))
    for used in (auto, enc):
        with used._in_use():
            for refused in (
                auto.build,
                lambda: enc.build(seed=3),
                lambda: auto._convert("float64"),
                lambda: dec._convert("float64"),
                lambda: steep.Sequential(enc, layers.Dense(2)).build((8,)),
            ):
                with pytest.raises(RuntimeError, match="in use by a running fit of Sequential"):
                    refused()
            enc.load_state_dict(enc.state_dict())
    head = steep.Sequential(enc, layers.Dense(2)).build((8,))
    assert np.array_equal(head.state_dict()["enc.dense.bias"], enc.state_dict()["dense.bias"])
