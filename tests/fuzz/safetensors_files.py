"""Checkpoints and files of weights that are wrong behind a right header and a right checksum."""

import copy
import json
import struct

import numpy as np
from safetensors.numpy import save
from steep.files import checkpoint

from .mutate import BIG, TEXTS, of, raw, tree, value

KINDS = ("F64", "F32", "F16", "BF16", "I64", "I8", "U8", "BOOL", "F8_E4M3", "F4", "C64", "Q")


def bomb(rng):
    """Return layers in which each line doubles the network of the line before."""
    inner = {"layer": of(rng, ("ReLU", "Flatten")), "number": 900, "config": {}}
    for number in range(901, 901 + of(rng, (3, 12, 20, 45))):
        both = [inner] + [{"same": inner["number"]}] * int(rng.integers(1, 4))
        inner = {"layer": "Sequential", "number": number, "config": {"layers": both}}
    return inner


def schedule(rng):
    """Return a schedule of schedules."""
    inner = of(rng, (0.1, {"schedule": "Constant", "value": 0.1}, -1, 1e300))
    for _ in range(of(rng, (1, 5, 100, 320, 900))):
        inner = of(
            rng,
            (
                {"schedule": "Warmup", "then": inner, "over": 2},
                {"schedule": "Join", "schedules": [inner, 1.0], "boundaries": [2]},
                {"schedule": "Product", "schedules": [[inner]]},
            ),
        )
    return inner


def layer(rng):
    """Return a layer whose numbers are anything."""
    numbers = (
        *BIG,
        0,
        1,
        3,
        -1,
        1.5,
        [1, 2],
        [2**40, 1],
        "same",
        None,
        True,
        {"array": "config/0"},
        {"initializer": "Orthogonal", "gain": 2.0},
        {"initializer": "Normal", "std": -1},
        {"initializer": ["Sparse"], "layer": "Dense"},
    )
    name, names = of(
        rng,
        (
            ("Dense", ("units", "activation", "init")),
            ("Conv2D", ("filters", "kernel", "stride", "padding", "groups", "dilation")),
            ("ZeroPad2D", ("padding",)),
            ("Reshape", ("shape",)),
            ("MaxPool2D", ("size", "stride", "padding")),
            ("UpSample2D", ("factor",)),
            ("Rescale", ("scale", "shift")),
            ("Dropout", ("rate",)),
            ("Op", ("kind", "attributes")),
            ("Model", ("shapes", "calls", "outputs")),
        ),
    )
    config = {key: of(rng, numbers) for key in names if rng.random() < 0.8}
    return {"layer": name, "number": int(rng.integers(20)), "config": config}


def description(rng, about):
    """Change what a checkpoint says of itself, in place."""
    kind = int(rng.integers(10))
    try:
        stack = about["net"]["config"]["layers"]
        if kind == 0:
            stack.append(bomb(rng))
        elif kind == 1:
            about["optimizer"]["lr"] = schedule(rng)
        elif kind in (2, 3):
            stack[int(rng.integers(len(stack)))] = layer(rng)
        elif kind == 4:
            stack[0]["config"][of(rng, ("units", "filters"))] = of(rng, BIG)
        elif kind == 5:
            about["shapes"] = of(
                rng, ([[n] for n in BIG[:5]], [[2, 3], [3]], [], [[1] * 40], [[6.0]])
            )
        elif kind == 6:
            about["place"][of(rng, list(about["place"]))] = of(rng, (*BIG, -1, [1, 2], [0, 0, 0]))
        else:
            tree(rng, about)
    except (KeyError, TypeError, IndexError, AttributeError):
        tree(rng, about)


ARRAYS = (
    lambda rng, old: old.astype(of(rng, ("f2", "f8", "i1", "u1", "?", "i8"))),
    lambda rng, old: np.full(old.shape, of(rng, (np.nan, np.inf, -np.inf, 3e38)), old.dtype),
    lambda rng, old: old.reshape(*old.shape, 1) if rng.random() < 0.5 else old.reshape(-1),
    lambda rng, old: np.empty(of(rng, ((0,), (2**20, 0), (2**31, 0), (0, 2**40), ())), old.dtype),
    lambda rng, old: np.concatenate([old.reshape(-1)] * 3),
    lambda rng, old: np.full(old.shape, 1e300),
    lambda rng, old: old.T.copy() if old.ndim > 1 else old[:-1].copy(),
    lambda rng, old: np.array(old.reshape(-1)[:1] if old.size else 1.0),
)  # what may stand in place of a tensor


def tensors(rng, held):
    """Change some tensors, or their names, in place."""
    for _ in range(int(rng.integers(1, 3))):
        name = of(rng, sorted(held))
        kind = int(rng.integers(6))
        if kind == 0 and len(held) > 1:
            del held[name]
        elif kind == 1:
            held[of(rng, (name + "x", f"weights/{name}", *TEXTS[:3], "config/0"))] = held[name]
        else:
            held[name] = of(rng, ARRAYS)(rng, held[name])


def with_checksum(rng, data):
    """Return a file whose contents are wrong and whose checksum is right."""
    held, about = _taken(data)
    if about and rng.random() < 0.75:
        description(rng, about)
    if not about or rng.random() < 0.35:
        tensors(rng, held)
    try:
        held = dict(sorted(held.items()))
        whole = {"about": about, "crc32": checkpoint._crc(held, about)}
        text = json.dumps(whole)
        if rng.random() < 0.1:  # the later one of two equal keys counts
            text = json.dumps({"about": value(rng)})[:-1] + ", " + text[1:]
    except RecursionError:  # too deep for json itself: written by hand
        text = '{"about": ' + "[" * 5000 + "]" * 5000 + ', "crc32": 0}'
    return save(held, metadata={"steep": text} if about or rng.random() < 0.5 else None)


def header(rng, data):
    """Return a file whose header is changed as JSON."""
    (size,) = struct.unpack_from("<Q", data)
    about = json.loads(data[8 : 8 + size])
    rest = data[8 + size :]
    name = of(rng, sorted(about))
    entry, kind = about[name], int(rng.integers(7))
    if name != "__metadata__" and kind <= 3:
        if kind == 0:
            entry["dtype"] = of(rng, KINDS)
        elif kind == 1:
            entry["shape"] = of(
                rng, ([2**62, 2**62], [2**32] * 3, [0, 2**60], [-1], [], [1] * 99, [1.5])
            )
        elif kind == 2:
            end = entry["data_offsets"][1]
            entry["data_offsets"] = of(rng, ([0, end], [end, 0], [0, 2**63], [-1, 4], [end], []))
        else:
            entry["shape"], entry["dtype"] = [int(np.prod(entry["shape"])) * 4], "U8"
    elif kind == 4:
        about[of(rng, TEXTS)] = entry
    else:
        tree(rng, about)
    try:
        text = json.dumps(about)
    except RecursionError:
        text = '{"a":' * 4000 + "1" + "}" * 4000
    if rng.random() < 0.1:
        text = text[:-1] + ", " + text[1:]  # every key twice
    packed = text.encode() + b" " * of(rng, (0, 0, 8, 1000))
    length = len(packed) if rng.random() < 0.9 else of(rng, BIG) % 2**64
    return struct.pack("<Q", length) + packed + rest


def mutated(rng, data, others):
    """Return a changed file: half of them get past the checksum."""
    kind = rng.random()
    if kind < 0.55:
        return with_checksum(rng, data)
    if kind < 0.75:
        return header(rng, data)
    return raw(rng, data, others)


_READ = {}


def _taken(data):
    """Return copies of the tensors and the description of a good file."""
    if data not in _READ:
        (size,) = struct.unpack_from("<Q", data)
        about = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["steep"])["about"]
        from safetensors.numpy import load

        _READ[data] = load(data), about
    held, about = _READ[data]
    return {name: array.copy() for name, array in held.items()}, copy.deepcopy(about)
