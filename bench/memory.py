"""Compares the memory of a training step, steep beside PyTorch; see bench/README.md.

Each one trains in a fresh process. Its data and its libraries are there before, and do not count.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from pool import THREAD_VARIABLES, missing, processors
from worker import load_cases

IMPLEMENTATIONS = ("steep", "torch", "torch-channels-last")
STATUS = Path("/proc/self/status")


def status(field):
    """Return one number of bytes out of what the system says about this process."""
    return int(re.search(rf"^{field}:\s*(\d+) kB", STATUS.read_text(), re.MULTILINE)[1]) << 10


def steep_trainer(case, threads):
    """Import steep and build its data; return what builds the network and trains."""
    native = import_module("steep.benchmarks.native")
    import_module("steep").set_num_threads(threads)
    data = load_cases(native=True).image_data(case)

    def train(epochs):
        native.image_trainer(case, data)[1](len(data[0]), epochs)

    return train


def torch_trainer(case, variant, threads):
    """Do the same for PyTorch, whose batches lie in the layout of the variant."""
    bench, torch = load_cases(), import_module("torch")
    images = import_module("rivals.torch_images")
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    data = bench.image_data(case)
    batches, weights = images.batches(case, data, variant), data[2]

    def train(epochs):
        problem = images.Problem(case, variant, weights, bench, fused=True)
        for _ in range(epochs):
            for x, y in batches:
                problem.step(x, y)

    return train


def child(name, case, threads, epochs):
    """Train in this process and print what it took."""
    case = load_cases(native=name == "steep").find(case)
    train = steep_trainer(case, threads) if name == "steep" else torch_trainer(case, name, threads)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = status("VmRSS")
    train(epochs)
    print(json.dumps({"before": before, "peak": status("VmHWM"), "after": status("VmRSS")}))


def measure(name, case, threads, epochs):
    """Return the entry of one implementation, out of a fresh process."""
    environment = dict(os.environ)
    environment.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    words = [sys.executable, __file__, "--child", name, "--case", case]
    words += ["--threads", str(threads), "--epochs", str(epochs)]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"case": case, "impl": name, "threads": threads, "error": reason}
    seen = json.loads(done.stdout.splitlines()[-1])
    return {
        "case": case,
        "impl": name,
        "threads": threads,
        "step_bytes": seen["peak"] - seen["before"],
        "peak_bytes": seen["peak"],
        "before_bytes": seen["before"],
        "after_bytes": seen["after"],
    }


def main(arguments):
    """Print a table, and write the JSON where it is asked for."""
    parser = argparse.ArgumentParser("bench/memory.py", description=__doc__)
    parser.add_argument("--case", default="resnet20", help="a network over images")
    parser.add_argument("--impl", default=",".join(IMPLEMENTATIONS), help="comma-separated")
    parser.add_argument("--threads", type=int, default=len(processors()))
    parser.add_argument("--epochs", type=int, default=1, help="passes over the data of the case")
    parser.add_argument("--json", metavar="FILE", help="write the results there")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        child(options.child, options.case, options.threads, options.epochs)
        return 0
    bench = load_cases()
    if not isinstance(bench.find(options.case), bench.ImageStep):
        parser.error(f"--case {options.case}: only networks over images, lenet5 and resnet20")
    unknown = set(options.impl.split(",")) - set(IMPLEMENTATIONS)
    if unknown:
        parser.error(f"--impl {min(unknown)}: there are {', '.join(IMPLEMENTATIONS)}")
    entries = []
    print(f"{options.case}, {options.threads} threads, MiB of resident memory")
    print(f"  {'':22}{'training':>10}{'x steep':>9}{'before':>10}{'peak':>10}")
    for name in options.impl.split(","):
        absent = missing(name)
        if absent:
            print(absent)
            continue
        one = measure(name, options.case, options.threads, options.epochs)
        entries.append(one)
        print(line(one, entries), flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(entries, indent=1) + "\n")
    return int(any("error" in one for one in entries))


def line(one, entries):
    """Return the line of the table for one entry."""
    if "error" in one:
        return f"  {one['impl']:22}failed: {one['error']}"
    own = next((e["step_bytes"] for e in entries if e["impl"] == "steep" and "error" not in e), 0)
    ratio = f"{one['step_bytes'] / own:.2f}" if own else ""
    mib = {key: f"{one[key] / 2**20:.1f}" for key in ("step_bytes", "before_bytes", "peak_bytes")}
    return (
        f"  {one['impl']:22}{mib['step_bytes']:>10}{ratio:>9}"
        f"{mib['before_bytes']:>10}{mib['peak_bytes']:>10}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
