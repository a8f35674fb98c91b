"""The generator of random cases knows everything the library has, and cases are what they print."""

import contextlib
import dataclasses
import inspect
import os
import re

import cases
import numpy as np
import pytest
import random_networks
import random_objectives
import reference
import shrink
import steep
from described import LAYOUTS, ROOMS, SPACE, TARGETS, WEIGHTS, Call, Source, call
from hunt.__main__ import Hunt, smallest
from hunt.crew import Worker
from laws import batching, looks, parity, playing, refusals, table
from shapes import after, each
from steep import _core, constraints, initializers, layers, losses, optimizers, schedules

# Softmax before cross-entropy, batches of one under BatchNorm: meant here.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

CASES = [random_networks.case(seed) for seed in range(2500)]
TEXT = "\n".join(case.program() for case in CASES)


def called(room):
    """Return what is called of a module in all programs."""
    return set(re.findall(rf"\b{room}\.(\w+)\(", TEXT))


def calls(value):
    """Yield every call in a value, those among its arguments too."""
    if isinstance(value, Call):
        yield value
        for inside in (*value.args, *(given for _, given in value.named)):
            yield from calls(inside)
    elif isinstance(value, tuple):
        for inside in value:
            yield from calls(inside)


def named(kind):
    """Return the arguments that calls of a kind are ever given by name."""
    whole = [(case.optimizer, case.loss, case.options, case.script) for case in CASES]
    return {name for call in calls(tuple(whole)) if call.kind == kind for name, _ in call.named}


def test_every_layer_is_drawn():
    assert called("layers") == set(layers.__all__) - {"Layer"}


def test_every_activation_is_drawn():
    kinds = set(re.findall(r"'(\w+)'", TEXT)) | {k.lower() for k in called("layers")}
    kinds |= {k for k in _core.activations() if k.replace("_", "") in kinds}
    assert set(_core.activations()) <= kinds
    assert {"'softmax'", "'swish'"} <= {f"'{k}'" for k in kinds}


def test_every_loss_is_drawn_by_name_and_by_class():
    assert called("losses") == {made.__name__ for made in losses.TABLE.values()}
    assert set(losses.TABLE) <= {case.loss for case in CASES if isinstance(case.loss, str)}


def test_every_initializer_is_drawn():
    assert called("initializers") == set(initializers.TABLE)
    assert "init='delta_orthogonal'" in TEXT


def test_every_constraint_is_drawn():
    assert called("constraints") == set(constraints.TABLE)


def test_every_rule_is_drawn():
    made = [case.make()["trainer"].optimizer for case in CASES[:1000]]
    assert {rule.rule for rule in made} == {*_core.rules(), *_core.methods()}
    assert {type(rule) for rule in made} == {
        kind for kind in (optimizers.TABLE | optimizers.METHODS).values() if isinstance(kind, type)
    }


def may_turn(kind, name):
    """Say whether a switch may stand the other way in any row; what is none may always change."""
    rows = [row.optimizer for row in cases.RULES.values() if type(row.optimizer) is kind]
    if not isinstance(getattr(rows[0], name), bool):
        return True
    for row in rows:
        with contextlib.suppress(ValueError):
            kind(**{**vars(row), name: not getattr(row, name)})
            return True
    return False


def test_every_switch_of_every_rule_is_drawn():
    for kind in {kind for kind in optimizers.TABLE.values() if isinstance(kind, type)}:
        given = named(kind.__name__)
        fields = {item.name for item in dataclasses.fields(kind)}
        assert {name for name in fields if may_turn(kind, name)} <= given, kind.__name__


def test_every_schedule_is_drawn_by_step_and_by_epoch():
    assert called("schedules") == set(schedules.TABLE)
    for name in schedules.TABLE:
        assert "unit" in named(name), name
    sources = {value.source for case in CASES for _, value in case.options
               if isinstance(value, Source)}  # fmt: skip
    assert any(source.startswith("lambda") for source in sources)


def test_every_argument_of_trainer_and_fit_is_drawn():
    trainer = set(inspect.signature(steep.Trainer.__init__).parameters)
    left_out = {"self", "net", "loss", "optimizer", "objectives", "device"}
    assert trainer - left_out == {name for case in CASES for name, _ in case.options}
    fit = set(inspect.signature(steep.Trainer.fit).parameters)
    own = {"self", "X", "y", "callbacks", "record"}  # records have laws of their own
    assert fit - own == named("fit")


def test_every_argument_of_every_layer_is_drawn():
    for name in sorted(set(layers.__all__) - {"Layer"}):
        parameters = inspect.signature(getattr(layers, name).__init__).parameters
        wanted = [p.name for p in parameters.values() if p.kind is not p.VAR_POSITIONAL][1:]
        drawn = [node for case in CASES for node in each(case.body, case.shared)
                 if node.kind == name]  # fmt: skip
        given = {key for node in drawn for key, _ in node.named}
        given |= set(wanted[: max(len(node.args) for node in drawn)])
        # In a chain of layers each gives one tensor.
        assert set(wanted) - {"name", "return_state"} <= given, name


def test_the_twins_know_everything():
    pytest.importorskip("torch")
    parity.with_torch()
    assert set(layers.__all__) - {"Layer"} <= set(parity.twin.LAYERS)


@pytest.mark.parametrize(
    ("field", "table_"),
    [("layout", LAYOUTS), ("target_layout", LAYOUTS), ("targets", TARGETS), ("weights", WEIGHTS)],
)
def test_every_kind_of_data_is_drawn(field, table_):
    assert {getattr(case.data, field) for case in CASES} == set(table_)


def test_every_shape_of_network_is_drawn():
    assert {len(case.inputs[0]) for case in CASES} == {1, 2, 3}
    assert {len(case.inputs) for case in CASES} == {1, 2}
    for word in ("ops.add(", "ops.subtract(", "ops.multiply(", "ops.concat(", "recompute=True"):
        assert word in TEXT
    assert any(case.shared for case in CASES)
    assert {1, 15, 16, 17, 31, 32, 33, 40} <= {case.inputs[0][-1] for case in CASES}


def test_trainings_of_several_losses_have_every_loss_and_one_or_two_objectives():
    drawn = [random_objectives.several(case) for case in CASES[:400]]
    text = "\n".join(several.code() for several in drawn)
    assert {head.kind for each in drawn for head in each.heads} == set(random_objectives.KINDS)
    assert {len(each.rules) for each in drawn} == {1, 2}
    assert {each.every for each in drawn} == {1, 2}
    assert all(what in text for what in ("Size(", "Custom(", "schedules.Exponential("))


def test_large_cases_are_run_by_several_threads():
    """A law on threads says nothing of steps too small for two; a worker sleeps for each thread."""

    class Count:
        most = 0

        def on_step_end(self, trainer):
            self.most = max(self.most, len(os.listdir("/proc/self/task")))

    with steep.threads(1):
        alone = len(os.listdir("/proc/self/task"))
    large = [case for case in CASES[:200] if case.seed % random_networks.LARGE == 7]
    counts = [Count() for _ in large]
    for case, count in zip(large, counts, strict=True):
        playing.trained(case, 8, callbacks=[count])
    assert sum(count.most >= alone + 3 for count in counts) > len(large) // 3


def test_a_seed_gives_one_case_and_another_seed_another():
    again = [random_networks.case(seed) for seed in range(50)]
    assert [case.program() for case in again] == [case.program() for case in CASES[:50]]
    assert len({case.program() for case in CASES}) == len(CASES)


def test_what_is_printed_runs_by_itself_and_does_the_same():
    for case in CASES[:40]:
        run = playing.trained(case)
        if run.trace["fault"]:
            continue
        space = {}
        exec(case.program(), space)
        assert playing.trace(space["trainer"]) == run.trace


def test_shapes_are_those_of_steep():
    for case in CASES[:300]:
        net = case.make()["net"]
        if net.built:
            second = case.inputs[1] if len(case.inputs) == 2 else None
            assert net.output_shapes == (after(case.body, case.inputs[0], case.shared, second),)
            assert net.output_shapes == (case.output,)


def test_smaller_cases_can_be_made_and_are_smaller():
    for case in CASES[:15]:
        smaller = list(shrink.candidates(case))
        assert smaller
        for candidate in smaller[::5]:
            candidate.make()
            assert candidate != case


def test_a_layer_keeps_its_numbers_when_its_activation_is_left_out():
    dense = call("layers", "Dense", 33, call("layers", "ELU", 0.7))
    body = (dense, call("layers", "Dense", 3))
    plain = dataclasses.replace(CASES[0], inputs=((5,),), body=body, shared=(), output=(3,))
    bodies = {made.body for made in shrink.candidates(plain)}
    assert (dataclasses.replace(dense, args=(33,)), body[1]) in bodies
    assert all(isinstance(n.args[0], int) for made in bodies for n in made if n.kind == "Dense")


# ---- Tests of the machine: what it must find. ----


def law(name):
    return table.LAWS[name].check


def test_a_wrong_rule_is_found(monkeypatch):
    pytest.importorskip("torch")
    for name in ("sgd", "momentum", "nesterov", "nesterov_lookback"):
        right = reference.RULES[name]
        wrong = lambda w, g, s, k, right=right: right(w, g * (1 + 1e-6), s, k)  # noqa: E731
        monkeypatch.setitem(reference.RULES, name, wrong)
    found = 0
    for case in [case for case in CASES if case.uses("SGD")][:20]:
        try:
            parity.steps(case)
        except playing.Skip:
            continue
        except playing.Broken:
            found += 1
    assert found >= 3


def test_a_prediction_that_depends_on_the_batch_is_found(monkeypatch):
    right = steep.Sequential.predict
    monkeypatch.setattr(
        steep.Sequential,
        "predict",
        lambda net, X, batch_size=256: right(net, X, batch_size) + np.float32(1e-3 * batch_size),
    )
    with pytest.raises(playing.Broken, match="batch_size"):
        batching.predictions(plain())


def test_a_look_that_changes_something_is_found(monkeypatch):
    def careless(run, trainer):
        trainer.net.load_state_dict({k: w + 1 for k, w in trainer.net.state_dict().items()})

    monkeypatch.setattr(looks, "LOOKS", (careless,))
    with pytest.raises(playing.Broken, match="looks"):
        looks.looks(plain())


def test_a_refusal_that_changes_something_or_does_not_refuse_is_found(monkeypatch):
    def half(run):
        run.trainer.step(run.X, run.y)
        raise ValueError

    for wrong in (half, lambda run: None):
        monkeypatch.setattr(refusals, "WRONG", {"half": wrong})
        with pytest.raises(playing.Broken, match="half"):
            refusals.refusals(plain())


def plain():
    """Return a case of a built sequential network, float32, with a fit."""
    return next(
        case
        for case in CASES
        if case.build is not None and not case.functional and "lambda" not in case.text
        and case.script[0].kind == "fit" and case.data.samples > 2 and not case.option("precision")
        and case.uses("Dense") and not case.frozen
    )  # fmt: skip


CRASH = Source("__import__('os').abort()")


def test_a_crash_is_a_failure_and_not_the_end():
    worker = Worker()
    try:
        case = dataclasses.replace(CASES[3], loss=CRASH)
        (result,) = worker.run({"case": case, "laws": ["weights"]})
        assert result.failed
        assert "SIGABRT" in result.message
        assert worker.run({"case": plain(), "laws": ["predictions"]})[0].kind == "held"
    finally:
        worker.stop()


def test_a_failure_is_shrunk_to_a_few_lines(monkeypatch):
    """Every case whose network has a Dense fails here: what is left is little more than that."""

    class Always:
        def run(self, order):
            text = order["case"].text
            from hunt.crew import Result

            kind = "failed" if "layers.Dense(" in text else "held"
            return [Result("weights", kind, "Broken: it has a Dense")]

    from hunt.crew import Result

    result = Result("weights", "failed", "Broken: it has a Dense")
    seed = next(  # what has several axes needs more than a Dense to come to them
        case.seed
        for case in CASES
        if "layers.Dense(" in case.text and len(case.body) > 4 and len(case.output) == 1
    )
    case, _ = smallest(seed, result, Always(), 20.0)
    assert [node.kind for node in case.body if node.kind != "Flatten"] == ["Dense"]
    assert case.data.samples == 1
    assert len(case.program().splitlines()) < 14


def test_a_hunt_counts_and_ends():
    said = []
    worker = Worker()
    try:
        hunt = Hunt(range(4), ["predictions"], report=said.append).run([worker])
    finally:
        worker.stop()
    assert hunt.cases == 4
    assert not hunt.failures, said
    assert set(ROOMS) <= set(SPACE)
