"""Law 2: what can be read from a network is all it is: a fresh one with it does the same."""

import copy
import pickle

from laws.playing import Broken, Skip, equal, play, same, start, trace, trained


def weights(case):
    """A fresh network with the state_dict of a trained one predicts the same bytes."""
    run = trained(case)
    fresh = start(case)
    if not fresh.net.built:
        shapes = case.inputs[0] if len(case.inputs) == 1 else list(case.inputs)
        fresh.net.build(shapes, seed=77)
    if case.option("precision") == "float64":
        fresh.trainer._run.session()  # the trainer converts its network
    fresh.net.load_state_dict(run.net.state_dict())
    equal(fresh.net.predict(fresh.X), run.net.predict(run.X), "a fresh network with equal weights")
    again = run.net.state_dict()
    run.net.load_state_dict(again)
    for name, value in run.net.state_dict().items():
        equal(value, again[name], f"{name} after its own state_dict was loaded")


def going_on(case):
    """A deep and a pickled copy of a trainer continue training to the same bytes."""
    run = trained(case)
    if run.trace["fault"]:
        raise Skip("not finite")
    deed = case.script[-1]
    ways = {"copied": copy.deepcopy(run.trainer)}
    if "lambda" not in case.text:
        ways["pickled"] = pickle.loads(pickle.dumps(run.trainer))
    wanted = trace(run.trainer, play(run, [deed]))
    for how, trainer in ways.items():
        run.trainer = trainer
        same(trace(trainer, play(run, [deed])), wanted, f"the {how} trainer")


def copies(case):
    """A pickled and a deep copy of a trained network predict the same bytes."""
    run = trained(case)
    wanted = run.net.predict(run.X)
    names = list(run.net.state_dict())
    for how, other in (
        ("pickled", pickle.loads(pickle.dumps(run.net))),
        ("copied", copy.deepcopy(run.net)),
    ):
        equal(other.predict(run.X), wanted, f"the {how} network")
        if list(other.state_dict()) != names:
            raise Broken(f"the {how} network has other weights: {list(other.state_dict())}")
