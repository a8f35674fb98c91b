"""Folders of pictures that are wrong: headers that lie, bombs, other formats, odd names."""

import io
import struct
import zlib

import numpy as np

from .mutate import BIG, of, raw

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "ICO", "TGA", "PCX", "JPEG2000")
EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 8 8
%%EndComments
0 0 8 8 rectfill
showpage
%%EOF
"""


def goods():
    """Return a small good picture of each format that Pillow can write here, by name."""
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    found = {}
    for kind in FORMATS:
        out = io.BytesIO()
        try:
            Image.fromarray(pixels).save(out, kind)
        except (OSError, KeyError):
            continue
        found[f"p.{kind.lower()}"] = out.getvalue()
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(out, "JPEG", exif=exif)
    found["turned.jpg"] = out.getvalue()
    return found


def png(rng):
    """Return a PNG whose checksums are right and whose header says anything."""
    sizes = (*BIG[:3], 0, 1, 8, 3000, 20_000, 65_535)
    width, height = int(of(rng, sizes)) % 2**32, int(of(rng, sizes)) % 2**32
    depth, colour = of(rng, (1, 8, 8, 16, 3)), of(rng, (0, 2, 3, 4, 6, 7))
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, of(rng, (0, 0, 1, 2)))
    body = zlib.compress(bytes(of(rng, (0, 8 * 25, 1 << 16, 1 << 22))), 9)
    chunks = [(b"IHDR", head), (b"IDAT", body), (b"IEND", b"")]
    if rng.random() < 0.3:
        text = b"k\0\0" + zlib.compress(bytes(of(rng, (10, 1 << 22))), 9)
        chunks[1:1] = [(of(rng, (b"zTXt", b"iCCP", b"PLTE", b"eXIf", b"tRNS")), text)] * 3
    out = b"\x89PNG\r\n\x1a\n"
    for name, data in chunks:
        out += (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )
    return out


def claim(rng, data):
    """Write large sizes where the formats keep width and height."""
    data, size = bytearray(data), of(rng, (255, 4096, 20_000, 32_767, 65_535, 2**31 - 1))
    if data[:2] == b"BM":
        struct.pack_into("<ii", data, 18, size, of(rng, (size, -size, 8)))
    elif data[:3] == b"GIF":
        struct.pack_into("<HH", data, 6, size % 65536, size % 65536)
    elif data[:2] == b"P6":
        return b"P6\n%d %d\n255\n" % (size, size) + bytes(data[12:])
    else:
        for mark in (b"\xff\xc0\0\x11\x08", b"\x01\x2a"):
            place = data.find(mark)
            if place >= 0:
                struct.pack_into(">HH", data, place + len(mark), size % 65536, size % 65536)
    return bytes(data)


def folder(rng, good):
    """Return a folder of pictures, by path, one or some of which are changed."""
    names = sorted(good)
    files = {}
    for k in range(int(rng.integers(1, 4))):
        name, kind = of(rng, names), rng.random()
        data = good[name]
        if kind < 0.45:
            data = raw(rng, data, [good[of(rng, names)]])
        elif kind < 0.6:
            data = png(rng)
        elif kind < 0.8:
            data = claim(rng, data)
        elif kind < 0.84:
            data = of(rng, (EPS, b"", b"\0" * 100, rng.bytes(200), b"GIF89a", b"\xff\xd8\xff"))
        files[f"{of(rng, ('a', 'b', 'c/d'))}/{k}{name}"] = data
    return files
