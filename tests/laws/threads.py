"""Law 3: one, two, three and eight threads give the same bytes."""

import steep
from laws.playing import equal, same, trained


def threads(case):
    """Weights, slots, history and predictions do not depend on the number of threads."""
    alone = trained(case)
    wanted = alone.net.predict(alone.X)
    for count in (2, 3, 8):
        run = trained(case, count)
        same(run.trace, alone.trace, f"{count} threads")
        with steep.threads(count):
            equal(run.net.predict(run.X), wanted, f"predictions with {count} threads")
