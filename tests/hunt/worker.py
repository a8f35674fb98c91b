"""A process that tries laws on cases it is sent, one after another; it may crash without harm.

One JSON text a line: in come {"case": pickled, or "seed": number, "laws": [names]}; out go
{"law": name} as each begins, {"result": [law, kind, message, where, seconds]}, {"done": true}.
"""

import base64
import faulthandler
import json
import os
import pickle
import sys
import time
import traceback
from pathlib import Path

TESTS = str(Path(__file__).resolve().parent.parent)
if TESTS not in sys.path:
    sys.path.insert(0, TESTS)

HELD, SKIPPED, FAILED = "held", "skipped", "failed"


def attempt(law, case):
    """Return (kind, message, where) of one law on one case."""
    from laws.playing import Skip

    try:
        law(case)
    except Skip as reason:
        return SKIPPED, str(reason), ""
    except MemoryError:
        return SKIPPED, "MemoryError", ""
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        return FAILED, f"{type(error).__name__}: {error}", where
    return HELD, "", ""


def serve(orders, answers):
    """Answer orders until they end."""
    import laws.table
    import random_networks

    for line in orders:
        order = json.loads(line)
        if "case" in order:
            case = pickle.loads(base64.b64decode(order["case"]))
        else:
            case = random_networks.case(order["seed"])
        for name in order["laws"]:
            print(json.dumps({"law": name}), file=answers, flush=True)
            start = time.perf_counter()
            kind, message, where = attempt(laws.table.LAWS[name].check, case)
            result = [name, kind, message, where, time.perf_counter() - start]
            print(json.dumps({"result": result}), file=answers, flush=True)
        print(json.dumps({"done": True}), file=answers, flush=True)


def main():
    # What the library prints must not stand among the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    faulthandler.enable()
    serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
