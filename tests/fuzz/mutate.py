"""Changes to bytes of any kind, and to trees of JSON. What the bytes mean is not known here."""

import json
import zlib

BIG = (2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**53, 2**62, 2**63 - 1, 2**63, 2**64, 10**30)
NUMBERS = (*BIG, 0, 1, -1, 2, 3, 255, 256, -(2**31), -(2**63), 1.5, 1e308, 1e-320, -0.0, 1e400)
TEXTS = ("", "x", "adam", "mse", "relu", "\0", "ü" * 40, "{epoch}", "../../x", "nan", "9" * 5000)


def of(rng, items):
    """Return one of some items, of any kinds."""
    return items[int(rng.integers(len(items)))]


def at(rng, size):
    """Return a place in `size` bytes; often near the beginning, where headers are."""
    size = max(1, size)
    return int(rng.integers(min(size, 64)) if rng.random() < 0.4 else rng.integers(size))


def raw(rng, data, others=()):
    """Return bytes with one to five changes: bits, bytes, lengths, cuts, splices."""
    data = bytearray(data)
    for _ in range(int(rng.integers(1, 6))):
        place, kind = at(rng, len(data)), int(rng.integers(9))
        length = int(rng.integers(1, 40))
        if kind == 0 and data:
            data[place % len(data)] ^= 1 << int(rng.integers(8))
        elif kind == 1 and data:
            data[place % len(data)] = int(rng.integers(256))
        elif kind == 2:  # a number in one of its forms
            size, order = of(rng, (2, 4, 8)), of(rng, ("little", "big"))
            value = of(rng, (*BIG, 0, 1, len(data), len(data) + 1)) % 256**size
            data[place : place + size] = value.to_bytes(size, order)
        elif kind == 3:
            del data[place : place + length]
        elif kind == 4:
            data[place:place] = rng.bytes(length)
        elif kind == 5 and rng.random() < 0.5:
            del data[place:]
        elif kind == 6:
            data[place:place] = data[place : place + length] * int(rng.integers(1, 50))
        elif kind == 7 and others:
            other = of(rng, others)
            start = at(rng, len(other))
            data[place : place + length] = other[start : start + of(rng, (length, len(other)))]
        elif kind == 8:
            data[place : place + length] = bytes(length)
    return bytes(data)


def gzip_member(rng, data):
    """Return a gzip file with these contents, or one that lies about them."""
    body = zlib.compressobj(int(rng.integers(10)), zlib.DEFLATED, -15)
    packed = body.compress(data) + body.flush()
    crc, size = zlib.crc32(data), len(data)
    if rng.random() < 0.2:
        crc, size = of(rng, ((crc ^ 1, size), (crc, size + 1)))
    ends = crc.to_bytes(4, "little") + (size % 2**32).to_bytes(4, "little")
    return b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + packed + ends


def value(rng, depth=3):
    """Return any JSON value."""
    kind = int(rng.integers(8 if depth else 5))
    if kind == 0:
        return of(rng, (None, True, False))
    if kind <= 2:
        return of(rng, NUMBERS)
    if kind <= 4:
        return of(rng, TEXTS)
    items = [value(rng, depth - 1) for _ in range(int(rng.integers(4)))]
    return items if kind < 7 else {f"k{k}": item for k, item in enumerate(items)}


def places(tree):
    """Return (holder, key) of everything in a tree of JSON, without recursion."""
    found, todo = [], [tree]
    while todo:
        holder = todo.pop()
        keys = range(len(holder)) if isinstance(holder, list) else list(holder)
        for key in keys:
            found.append((holder, key))
            if isinstance(holder[key], (dict, list)):
                todo.append(holder[key])
    return found


def deep(rng, inner):
    """Return a value around another one, up to 3000 levels deep."""
    key = of(rng, ("then", "dict", "layer", "config", None))
    for _ in range(of(rng, (3, 60, 200, 600, 3000))):
        inner = [inner] if key is None else {key: inner}
    return inner


def tree(rng, root):
    """Change a tree of JSON in place: replaced, removed, doubled, moved, wrapped entries."""
    for _ in range(int(rng.integers(1, 4))):
        found = places(root)
        if not found:
            return
        holder, key = of(rng, found)
        kind = int(rng.integers(8))
        if kind <= 1:
            holder[key] = value(rng)
        elif kind == 2:
            del holder[key]
        elif kind == 3 and isinstance(holder, list):
            holder[key:key] = [holder[key]] * int(rng.integers(1, 30))
        elif kind == 4:  # copies: trees that share a part would not be JSON
            other, place = of(rng, found)
            holder[key] = json.loads(json.dumps(other[place]))
        elif kind == 5 and isinstance(holder[key], (int, float)):
            holder[key] = of(rng, NUMBERS)
        elif kind == 6 and isinstance(holder, dict):
            holder[of(rng, TEXTS)] = value(rng)
        elif kind == 7 and rng.random() < 0.2:
            holder[key] = deep(rng, holder[key])
            return
