"""What the fuzzing machine found in the readers of data, one test for each kind."""

import io
import struct
import time
import zipfile
import zlib

import numpy as np
import pytest
from steep import data


def npy(array):
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def archive(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


GOOD = {"X": npy(np.arange(12.0).reshape(6, 2)), "y": npy(np.arange(6))}


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_npz_packed_in_ways_that_have_no_bound(method, tmp_path):
    path = archive(tmp_path / "a.npz", GOOD, method)
    with pytest.raises(ValueError, match=rf"a.npz, array 'X': is packed by method {method}"):
        data.read_npz(path)


def test_npz_beyond_its_header_is_not_unpacked(tmp_path, monkeypatch):
    """A bomb that says it is small: no more than a byte too many is read of 200 MB."""
    taken = []
    read = zipfile.ZipExtFile.read

    def counted(self, n=-1):
        found = read(self, n)
        taken.append(len(found))
        return found

    monkeypatch.setattr(zipfile.ZipExtFile, "read", counted)
    path = archive(tmp_path / "a.npz", GOOD | {"X": GOOD["X"] + bytes(200 << 20)})
    with pytest.raises(ValueError, match=r"a.npz, array 'X': declares.*holds more"):
        data.read_npz(path)
    assert sum(taken) < 1 << 16


def test_npz_that_seeks_to_nowhere_is_named(tmp_path):
    path = archive(tmp_path / "a.npz", GOOD)
    raw = path.read_bytes()
    path.write_bytes(raw[raw.index(b"PK\x01\x02") :])  # the directory alone
    with pytest.raises(ValueError, match=r"a.npz: not a readable .npz file"):
        data.read_npz(path)


def test_npz_arrays_that_share_their_bytes(tmp_path):
    """Several members that are the whole file each would be several times what it can hold."""
    path = archive(tmp_path / "a.npz", GOOD)
    raw = bytearray(path.read_bytes())
    for name in (b"X.npy", b"y.npy"):
        entry = raw.rindex(name) - 46  # in the directory at the end
        assert raw[entry : entry + 4] == b"PK\x01\x02"
        struct.pack_into("<I", raw, entry + 20, len(raw) * 2 // 3)
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=r"a.npz: not a readable .npz file .*overlap"):
        data.read_npz(path)


def test_idx_without_elements_in_too_many_rows(tmp_path):
    (tmp_path / "i").write_bytes(struct.pack(">HBB3I", 0, 13, 3, 2**32 - 1, 0, 2**32 - 1))
    with pytest.raises(ValueError, match=r"/i: its header declares shape \(4294967295, 0, "):
        data.read_idx(tmp_path / "i")


def test_csv_with_text_that_comes_late_in_many_columns(tmp_path):
    """Was read once more for each of the columns."""
    columns = 300
    rows = ",".join(["1"] * columns) + ",2\n"
    late = ",".join(["t"] * columns) + ",3\n"
    names = ",".join(f"c{k}" for k in range(columns)) + ",y\n"
    (tmp_path / "t.csv").write_text(names + rows * 1100 + late)
    start = time.process_time()
    table = data.read_csv(tmp_path / "t.csv", "y")
    assert table.X.shape == (1101, 2 * columns)
    assert table.X.sum() == 1101 * columns
    assert time.process_time() - start < 5.0


def picture(folder, name, content):
    (folder / "a").mkdir(exist_ok=True)
    (folder / "a" / name).write_bytes(content)
    return folder


def png(width, height, body):
    out = b"\x89PNG\r\n\x1a\n"
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    for name, content in ((b"IHDR", head), (b"IDAT", zlib.compress(body)), (b"IEND", b"")):
        out += struct.pack(">I", len(content)) + name + content
        out += struct.pack(">I", zlib.crc32(name + content))
    return out


def test_a_picture_that_another_program_would_open(tmp_path):
    """Pillow hands PostScript to Ghostscript."""
    pytest.importorskip("PIL")
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n"
    with pytest.raises(ValueError, match=r"a/x.png: not an image that can be read"):
        data.images(picture(tmp_path, "x.png", eps))


def test_a_picture_that_claims_what_its_bytes_cannot_hold(tmp_path):
    pytest.importorskip("PIL")
    with pytest.raises(ValueError, match=r"a/x.png: claims 9000x9000 pixels"):
        data.images(picture(tmp_path, "x.png", png(9000, 9000, bytes(100))))


def test_pictures_that_do_not_fit_into_memory(tmp_path, monkeypatch):
    pytest.importorskip("PIL")
    good = png(2, 1, bytes(7))
    monkeypatch.setattr("steep.memory.available", lambda: 5)
    with pytest.raises(MemoryError, match="1 images of 1x2 need 6 bytes, 5 bytes are free"):
        data.images(picture(tmp_path, "x.png", good))
    monkeypatch.setattr("steep.memory.available", lambda: 6)
    assert data.images(tmp_path)[0].shape == (1, 1, 2, 3)
