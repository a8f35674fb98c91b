"""Law 10: LSUV makes every variance 1 and touches nothing else, or refuses and does nothing."""

import numpy as np
import steep
from laws.playing import Broken, Skip, start
from steep import lab


def lsuv(case):
    """Variances are within the tolerance, other weights as before, bytes those of any threads."""
    found, state, before = set_anew(case, 1)
    for one in found:
        biased = case.stirred and one.tries == 10  # what biases give to a variance stays
        if not abs(one.variance - 1) <= 0.1 and not biased:
            raise Broken(f"lsuv: {one}")
    scaled = {one.name for one in found}
    for name, value in before.items():
        if name not in scaled and value.tobytes() != state[name].tobytes():
            raise Broken(f"lsuv: {name} is another, though no product")
    told, again, _ = set_anew(case, 3)
    if told != found or any(w.tobytes() != state[name].tobytes() for name, w in again.items()):
        raise Broken("lsuv: other bytes with 3 threads")


def set_anew(case, threads):
    """Return what LSUV tells, the weights and those before; a refusal must leave these."""
    run = start(case)
    built = run.net.built
    before = run.net.state_dict() if built else {}
    with steep.threads(threads):
        try:
            found = lab.lsuv(run.net, run.X)
        except ValueError as error:
            if run.net.built != built:
                raise Broken("lsuv: refuses, and has built the network") from error
            same = [np.array_equal(run.net.state_dict()[k], w) for k, w in before.items()]
            if not all(same):
                raise Broken("lsuv: refuses, and has changed the network") from error
            raise Skip("refused: nothing to scale, or it does not vary") from None
    return found, run.net.state_dict(), before
