"""Ask cuDNN, without a GPU, for the plans of every convolution of the zoo; engines and workspaces.

python bench/cudnn_plans.py [--nets lenet5 resnet20 ...] [--batch 64] [--record TITLE]

The code that asks is the core's own (csrc/cuda/libraries), compiled here by g++; the device is
described by bench/device/h200.json. Needs the package nvidia-cudnn-cu13, or STEEP_CUDNN=path.
"""

import argparse
import collections
import ctypes
import datetime
import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parent.parent
CSRC = ROOT / "csrc"
SOURCES = [
    ROOT / "bench" / "device" / "plans.cpp", CSRC / "cuda" / "libraries" / "dnn.cpp",
    CSRC / "cuda" / "libraries" / "shared_object.cpp", CSRC / "base" / "error.cpp",
]  # fmt: skip
PASSES = ("forward", "data", "weights")
FORMATS = ("tf32", "bfloat16")
IMAGENET, CIFAR = (224, 224, 3), (32, 32, 3)


def zoo():
    """Return functions that make the networks, and the shapes of their images."""
    from steep import models

    deep = {f"resnet{d}": (lambda d=d: models.resnet(d), IMAGENET) for d in (18, 34, 50, 101, 152)}
    deep |= {
        f"densenet{d}": (lambda d=d: models.densenet(d), IMAGENET) for d in (121, 169, 201, 264)
    }
    deep |= {f"vgg{d}": (lambda d=d: models.vgg(d), IMAGENET) for d in (11, 13, 16, 19)}
    small = {f"resnet{d}": (lambda d=d: models.resnet_cifar(d), CIFAR) for d in (20, 56, 110)}
    return {
        "lenet5": (models.lenet5, (28, 28, 1)), "alexnet": (models.alexnet, IMAGENET),
        "googlenet": (models.googlenet, IMAGENET), "densenet_bc": (models.densenet_bc, CIFAR),
        "unet": (models.unet, (128, 128, 1)), **small, **deep,
        "generator": (lambda: models.dcgan((32, 32, 3), latent=100)[0], (100,)),
        "critic": (lambda: models.dcgan((32, 32, 3), latent=100)[1], CIFAR),
    }  # fmt: skip


def library():
    """Return the path of cuDNN, or None where there is none."""
    if os.environ.get("STEEP_CUDNN", "off") not in ("", "off", "on"):
        return os.environ["STEEP_CUDNN"]
    try:
        found = importlib.util.find_spec("nvidia.cudnn")
    except ModuleNotFoundError:
        return None
    for place in found.submodule_search_locations if found else ():
        for path in pathlib.Path(place).glob("lib/libcudnn.so.9"):
            return str(path)
    return None


def asking(folder, path):
    """Compile the core's door to cuDNN, and open the library behind it."""
    to = pathlib.Path(folder) / "plans.so"
    flags = [
        "-std=c++20",
        "-O1",
        "-shared",
        "-fPIC",
        f"-I{CSRC}",
        f"-I{CSRC / 'cuda' / 'emulation'}",
    ]
    subprocess.run(["g++", *flags, *map(str, SOURCES), "-ldl", "-o", str(to)], check=True)
    os.environ["STEEP_CUDNN"] = path
    return ctypes.CDLL(str(to))


def convolutions(make, shape, batch):
    """Return every convolution of a network, as plans.cpp takes it, and how often."""
    from steep.network import image_ops

    found = collections.Counter()
    emit = image_ops.emit

    def noted(op, *tensors, **options):
        made = emit(op, *tensors, **options)
        if op in ("conv2d", "conv2d_transpose"):
            x, weight = tensors[:2]
            image, result = (
                (x, made) if op == "conv2d" else (made, x)
            )  # it goes from one to the other
            groups, channels = options["groups"], image.shape[2]
            top, _, left, _ = options["padding"]
            pairs = (image.shape[:2], result.shape[:2], weight.shape[:2], options["stride"])
            pairs += (options["dilation"], (top, left))
            flat = [int(n) for each in pairs for n in each]
            if groups == 1 or groups < channels:  # every channel alone: steep's own
                found[batch, result.shape[2], groups, channels, *flat] += 1
        return made

    image_ops.emit = noted
    try:
        make().build(shape)
    finally:
        image_ops.emit = emit
    return found


def plan(door, numbers, device):
    """Return engine, workspace, and why there is none."""
    engine, workspace = ctypes.c_long(-1), ctypes.c_long(0)
    why = ctypes.create_string_buffer(400)
    array = (ctypes.c_long * len(numbers))(*numbers)
    door.plan_of(array, device, ctypes.byref(engine), ctypes.byref(workspace), why, 400)
    return engine.value, workspace.value, why.value.decode()


def report(door, nets, batch, device):
    """Return lines of a table, and what is wrong."""
    lines, wrong, known = [], [], {}
    for net in nets:
        made, shape = zoo()[net]
        found = convolutions(made, shape, batch)
        for kind, name in enumerate(FORMATS):
            engines, most = collections.Counter(), 0
            for numbers in found:
                for each, label in enumerate(PASSES):
                    asked = (each, kind, *numbers)
                    if asked not in known:
                        known[asked] = plan(door, asked, device)
                    engine, workspace, why = known[asked]
                    engines[engine] += 1
                    most = max(most, workspace)
                    if why:
                        wrong.append(f"{net} {name} {label} {numbers}: {why}")
            chosen = ", ".join(f"{e} x{n}" for e, n in sorted(engines.items()))
            lines.append(f"{net:12s} {name:9s} {len(found):4d} {most / 2**20:9.1f}  {chosen}")
    again = {asked: plan(door, asked, device) for asked in list(known)[::7]}
    wrong += [
        f"{asked}: another plan the second time" for asked in again if again[asked] != known[asked]
    ]
    return lines, wrong, known


def main():
    """Print the table; write it down where asked to; fail where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nets", nargs="+", default=None)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--device", default=str(ROOT / "bench" / "device" / "h200.json"))
    parser.add_argument("--record", metavar="TITLE")
    options = parser.parse_args()
    path = library()
    if path is None:
        sys.exit("cuDNN is not here; pip install nvidia-cudnn-cu13, or STEEP_CUDNN=path")
    with tempfile.TemporaryDirectory() as folder:
        door = asking(folder, path)
        said = ctypes.create_string_buffer(400)
        door.describe(said, 400)
        if not door.library_is_on():
            sys.exit(f"cuDNN: {said.value.decode()}")
        device = pathlib.Path(options.device).read_bytes()
        nets = options.nets or list(zoo())
        lines, wrong, known = report(door, nets, options.batch, device)
    version = said.value.decode().split(" ")[0]
    body = "\n".join([
        f"cuDNN {version}, batch {options.batch}, {len(known)} plans of different convolutions",
        f"{'network':12s} {'format':9s} {'conv':>4s} {'MiB':>9s}  engines",
        *lines, "", *(wrong or ["a deterministic plan for every one, the same when asked again"]),
    ])  # fmt: skip
    print(body)
    if options.record:
        now = datetime.datetime.now(datetime.UTC)
        to = ROOT / "bench" / "records" / f"{now:%Y-%m-%d-%H%M}-cudnn-plans.md"
        to.write_text(
            f"# {options.record}, {now:%Y-%m-%d %H:%M} UTC\n\n`python bench/cudnn_plans.py`, no "
            "GPU: the device is a description of an H200. `conv`: different convolutions, asked "
            "in three passes; `MiB`: the largest workspace; engines by cuDNN's numbers.\n\n"
            f"```text\n{body}\n```\n"
        )
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
