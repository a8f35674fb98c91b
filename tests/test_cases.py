"""The tables of cases.py are complete: what the library has is what the laws are held to."""

import cases
from steep import _core, layers, losses, optimizers


def test_every_activation_has_a_row():
    assert set(cases.ACTIVATIONS) == set(_core.activations())


def test_every_loss_has_a_row():
    assert {loss.name for loss, _, _ in cases.LOSSES.values()} == set(_core.losses())
    assert {type(loss) for loss, _, _ in cases.LOSSES.values()} == set(losses.TABLE.values())


def test_every_rule_has_a_row():
    assert {rule.rule for rule in cases.RULES.values()} == set(_core.rules())
    made = {made for made in optimizers.TABLE.values() if isinstance(made, type)}
    assert {type(rule) for rule in cases.RULES.values()} == made


def test_every_layer_has_a_row():
    used = {name for row in cases.LAYERS for name in row.split() if name in layers.__all__}
    assert used == set(layers.__all__) - {"Layer"}
