"""Made-up cuBLASLt and cuDNN see what is wrong: arguments planted one by one; right twins pass."""

import ctypes
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not here"),
    pytest.mark.skipif(not (HERE / "cuda").is_dir(), reason="the sources are not here"),
]
HOOK = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4)  # in place of an emulated stream


def built(folder, name, version):
    to = folder / f"lib{name}.so"
    flags = ["-std=c++20", "-O1", "-shared", "-fPIC", f"-DFAKE_VERSION={version}"]
    source = HERE / "cuda" / f"fake_{name}.cpp"
    subprocess.run(["g++", *flags, str(source), "-o", str(to)], check=True, timeout=300)
    lib = ctypes.CDLL(str(to))
    lib.fake_said.restype = ctypes.c_char_p
    return lib


@pytest.fixture(scope="module")
def lt(tmp_path_factory):
    return Lt(built(tmp_path_factory.mktemp("lt"), "cublaslt", 130101))


@pytest.fixture(scope="module")
def dnn(tmp_path_factory):
    return Dnn(built(tmp_path_factory.mktemp("dnn"), "cudnn", 92400))


class Room:
    """Memory for a call."""

    def __init__(self, lib):
        self.lib = lib
        self.room = (ctypes.c_char * (1 << 20))()
        self.base = (ctypes.addressof(self.room) + 4095) // 4096 * 4096

    def run(self, call):
        """Return the status of what is enqueued, and what was said."""
        enqueued = []
        hook = HOOK(lambda *_: enqueued.append(1))
        self.lib.fake_begin(hook, None)
        status = call()
        assert bool(enqueued) == (status == 0)
        return self.lib.fake_said().decode() if status else ""


class Lt(Room):
    """A product asked of the made-up cuBLASLt, right but for what a test changes."""

    def made(self, function, *arguments):
        out = ctypes.c_void_p()
        assert getattr(self.lib, f"cublasLt{function}")(ctypes.byref(out), *arguments) == 0
        return out

    def set(self, function, of, attribute, value):
        return getattr(self.lib, f"cublasLt{function}SetAttribute")(
            of, attribute, ctypes.byref(value), ctypes.c_size_t(ctypes.sizeof(value))
        )

    def ask(self, **wrong):
        """D (8, 6) of A (8, 16), turned, and B (16, 6), in bfloat16; what is said against it."""
        right = {
            "handle": self.made("Create"), "turn_a": 1, "lda": 16, "ldb": 16, "ldd": 8, "k": 16,
            "type": 14, "out": 0, "compute": 68, "epilogue": 4, "workspace": 8192, "reductions": 6,
            "offset": 0, "d": 32768, "bias": 65536, "alignment": 16, "size": 8192, "aux_ld": 8,
        }  # fmt: skip
        at = {**right, **wrong}
        assert at.keys() == right.keys()
        i64, i32, u64 = ctypes.c_int64, ctypes.c_int32, ctypes.c_uint64
        desc = self.made("MatmulDescCreate", at["compute"], 0)
        self.set("MatmulDesc", desc, 3, i32(at["turn_a"]))
        self.set("MatmulDesc", desc, 7, i32(at["epilogue"]))
        self.set("MatmulDesc", desc, 12, i64(at["aux_ld"]))
        for attribute in (8, 11):
            self.set("MatmulDesc", desc, attribute, ctypes.c_void_p(self.base + at["bias"]))
        shape = (16, 8) if right["turn_a"] else (8, 16)
        a = self.made(
            "MatrixLayoutCreate", at["type"], u64(shape[0]), u64(shape[1]), i64(at["lda"])
        )
        b = self.made("MatrixLayoutCreate", 14, u64(at["k"]), u64(6), i64(at["ldb"]))
        d = self.made("MatrixLayoutCreate", at["out"], u64(8), u64(6), i64(at["ldd"]))
        wish = self.made("MatmulPreferenceCreate")
        self.set("MatmulPreference", wish, 1, u64(at["workspace"]))
        self.set("MatmulPreference", wish, 3, ctypes.c_uint32(at["reductions"]))
        for which in range(5, 9):
            self.set("MatmulPreference", wish, which, ctypes.c_uint32(at["alignment"]))
        found, count = (ctypes.c_uint64 * 16)(), ctypes.c_int()
        status = self.lib.cublasLtMatmulAlgoGetHeuristic(
            at["handle"], desc, a, b, d, d, wish, 1, found, ctypes.byref(count)
        )
        if status == 0:
            assert count.value == 1
            one, p = ctypes.c_float(1), lambda offset: ctypes.c_void_p(self.base + offset)
            return self.run(
                lambda: self.lib.cublasLtMatmul(
                    at["handle"], desc, ctypes.byref(one), p(at["offset"]), a, p(8192), b,
                    ctypes.byref(one), p(at["d"]), d, p(at["d"]), d, found, p(131072),
                    ctypes.c_size_t(at["size"]), None,
                )
            )  # fmt: skip
        return self.lib.fake_said().decode()


PRODUCTS = {
    "not turned": ({"turn_a": 0}, "op\\(A\\) has"),
    "another k": ({"k": 8}, "op\\(A\\) has 16 columns"),
    "a short ld": ({"lda": 8}, "leading dimension of 8"),
    "an odd ld": ({"ldb": 17}, "16 bytes apart"),
    "types that differ": ({"type": 0}, "types 0 and 14"),
    "a narrow result": ({"out": 14}, "not float32"),
    "a compute type": ({"compute": 77}, "compute type"),
    "an epilogue": ({"epilogue": 2}, "epilogue 2"),
    "sums of a turned A": ({"epilogue": 256}, "sums of A"),
    "an aux ld": ({"epilogue": 164, "aux_ld": 9}, "aux ld"),
    "no workspace": ({"workspace": 0}, "workspace of 0"),
    "less than was promised": ({"size": 100}, "the workspace"),
    "sums in any order": ({"reductions": 7}, "any order"),
    "an alignment that is not kept": ({"offset": 2}, "as the algorithm was told"),
    "more alignment than there is": ({"alignment": 256, "offset": 16}, "as the algorithm was told"),
    "D upon B": ({"d": 8192}, "D lies upon"),
    "no handle": ({"handle": None}, "no handle"),
}


@pytest.mark.parametrize("bug", PRODUCTS)
def test_a_wrong_product_is_refused(lt, bug):
    wrong, said = PRODUCTS[bug]
    assert lt.ask() == "", "its right twin"
    found = lt.ask(**wrong)
    assert found, "not seen"
    assert re.search(said, found), found


def real_lt():
    """Return the true cuBLASLt; what makes descriptors of it needs no GPU."""
    try:
        return ctypes.CDLL("libcublasLt.so.13")
    except OSError:
        for place in map(Path, sys.path):
            for path in place.glob("nvidia/cu13/lib/libcublasLt.so.13"):
                return ctypes.CDLL(str(path))
    pytest.skip("cuBLASLt is not here")


def test_the_true_library_takes_the_same_descriptors(lt):
    """Attributes by number, their sizes, epilogues, types; a wrong size, an unknown one."""
    answers = []
    for lib in (lt.lib, real_lt()):
        other = Lt(lib)
        i32, u32, i64, u64 = ctypes.c_int32, ctypes.c_uint32, ctypes.c_int64, ctypes.c_uint64
        desc = other.made("MatmulDescCreate", 68, 0)
        assert other.made("MatmulDescCreate", 77, 0)
        values = [(3, i32(1)), (4, i32(1)), (8, ctypes.c_void_p(4096)), (11, ctypes.c_void_p(4096))]
        values += [(7, i32(e)) for e in (1, 4, 6, 36, 164, 192, 256)]
        values += [(12, i64(16)), (3, i64(1)), (99, i32(1))]
        said = [other.set("MatmulDesc", desc, *pair) for pair in values]
        wish = other.made("MatmulPreferenceCreate")
        values = [(1, u64(1 << 25)), *((n, u32(16)) for n in (3, 5, 6, 7, 8)), (1, u32(5))]
        said += [other.set("MatmulPreference", wish, *pair) for pair in values]
        for kind in (0, 14):
            assert other.made("MatrixLayoutCreate", kind, u64(8), u64(6), i64(8))
        answers.append(said)
    assert answers[0] == answers[1]
    assert answers[0].count(0) == len(answers[0]) - 3


CONVOLUTION, FORWARD, DATA, WEIGHTS, GRAPH, PACK, TENSOR = 1, 10, 12, 11, 15, 16, 17
FIRST = {FORWARD: 700, DATA: 706, WEIGHTS: 712}


class Refused(Exception):
    """A status that is no success."""


class Dnn(Room):
    """A convolution asked of the made-up cuDNN, right but for what a test changes."""

    def call(self, function, *arguments):
        if getattr(self.lib, f"cudnn{function}")(*arguments):
            raise Refused(self.lib.fake_said().decode())

    def desc(self, kind, values=(), finish=True):
        """Make a descriptor of (attribute, type, array)s."""
        made = ctypes.c_void_p()
        self.call("BackendCreateDescriptor", kind, ctypes.byref(made))
        for attribute, kind_of, array in values:
            count = ctypes.c_int64(len(array))
            self.call("BackendSetAttribute", made, attribute, kind_of, count, array)
        if finish:
            self.call("BackendFinalize", made)
        return made

    def get(self, of, attribute, kind, array):
        count = ctypes.c_int64()
        most = ctypes.c_int64(len(array))
        self.call("BackendGetAttribute", of, attribute, kind, most, ctypes.byref(count), array)
        return count.value

    def tensor(self, number, size, *, kind=0, strides=None, alignment=16):
        _, c, h, w = size
        strides = strides or (c * h * w, 1, w * c, c)
        values = [(901, 1, ints(kind)), (902, 3, longs(*size)), (903, 3, longs(*strides))]
        return self.desc(TENSOR, [*values, (906, 3, longs(number)), (900, 3, longs(alignment))])

    def ask(self, kind=FORWARD, **wrong):
        """x (2, 6, 9, 8), w (4, 3, 3, 3) in two groups, steps of 2; what is said against it."""
        right = {
            "x": {}, "y": (2, 4, 5, 4), "w": (4, 3, 3, 3), "type": 0, "mode": 1, "before": (1, 1),
            "after": (1, 1), "beta": 0, "graph": True, "engine": 2, "handle": True,
            "ids": (1, 2, 3), "offset": 0, "workspace": 65536, "stream": 1, "part": None,
        }  # fmt: skip
        at = {**right, **wrong}
        assert at.keys() == right.keys()
        try:
            return self.convolve(kind, at)
        except Refused as error:
            return str(error)

    def convolve(self, kind, at):
        handle = ctypes.c_void_p()
        self.call("Create", ctypes.byref(handle))
        x, w = self.tensor(1, (2, 6, 9, 8), **at["x"]), self.tensor(2, at["w"])
        y = self.tensor(3, at["y"], kind=at["type"])
        by = [(106, 3, longs(2)), (100, 1, ints(0)), (101, 7, ints(at["mode"]))]
        by += [(105, 3, longs(*at["before"])), (104, 3, longs(*at["after"]))]
        convolution = self.desc(CONVOLUTION, [*by, (103, 3, longs(2, 2)), (102, 3, longs(1, 1))])
        first = FIRST[kind]
        parts = [(first, 4, floats(1)), (first + 1, 4, floats(at["beta"]))]
        parts += [(first + 2 + i, 15, pointers(p)) for i, p in enumerate((convolution, w, x, y))]
        operation = self.desc(kind, parts[: at["part"]])
        graph = self.desc(GRAPH, [(801, 15, pointers(operation))] if at["graph"] else [])
        heuristic = self.desc(4, [(200, 8, ints(3)), (201, 15, pointers(graph))])
        choices = [self.desc(3, finish=False) for _ in range(3)]
        assert self.get(heuristic, 202, 15, pointers(*choices)) == 3
        engine = self.desc(2, finish=False)
        self.get(choices[at["engine"]], 300, 15, pointers(engine))
        notes = ints(0, 0, 0)
        assert self.get(engine, 1303, 11, notes) == (2 if at["engine"] == 0 else 1)
        by = [(401, 15, pointers(choices[at["engine"]]))]
        plan = self.desc(5, by + ([(400, 0, pointers(handle))] if at["handle"] else []))
        places = [self.base + at["offset"], self.base + 16384, self.base + 32768]
        pack = [(1001, 6, pointers(*places)), (1000, 3, longs(*at["ids"]))]
        pack = self.desc(PACK, [*pack, (1003, 6, pointers(self.base + at["workspace"]))])
        self.call("SetStream", handle, ctypes.c_void_p(at["stream"]))
        return self.run(lambda: self.lib.cudnnBackendExecute(handle, plan, pack))


def array(kind, *values):
    return (kind * len(values))(*values)


def longs(*values):
    return array(ctypes.c_int64, *values)


def ints(*values):
    return array(ctypes.c_int, *values)


def floats(*values):
    return array(ctypes.c_float, *values)


def pointers(*values):
    return array(ctypes.c_void_p, *(getattr(v, "value", v) for v in values))


CONVOLUTIONS = {
    "channels first": ({"x": {"strides": (432, 72, 8, 1)}}, "channels are not last"),
    "a type": ({"x": {"kind": 2}}, "type 2"),
    "types that differ": ({"type": 9}, "types that differ"),
    "an alignment": ({"x": {"alignment": 4}}, "alignment of 4"),
    "a result too high": ({"y": (2, 4, 6, 4)}, "axis 0: the result has 6"),
    "other images": ({"y": (3, 4, 5, 4)}, "images or filters"),
    "filters of other channels": ({"w": (4, 4, 3, 3)}, "6 channels, filters of 4"),
    "padding": ({"before": (0, 1)}, "axis 0"),
    "a convolution that turns": ({"mode": 0}, "no correlation"),
    "beta": ({"beta": 1}, "alpha or beta"),
    "a tensor is missing": ({"part": 5}, "attribute 7.* is missing"),
    "no operation": ({"graph": False}, "attribute 801 is missing"),
    "an engine without a plan": ({"engine": 1}, "engine 38 makes no plan"),
    "no handle": ({"handle": False}, "neither a handle nor a device"),
    "a tensor without memory": ({"ids": (1, 2, 4)}, "tensor 3 has no memory"),
    "an address": ({"offset": 4}, "tensor 1 goes beyond"),
    "a workspace upon x": ({"workspace": 0}, "lies in the workspace"),
    "no stream": ({"stream": None}, "no stream"),
}


@pytest.mark.parametrize("kind", FIRST)
@pytest.mark.parametrize("bug", CONVOLUTIONS)
def test_a_wrong_convolution_is_refused(dnn, bug, kind):
    wrong, said = CONVOLUTIONS[bug]
    assert dnn.ask(kind) == "", "its right twin"
    found = dnn.ask(kind, **wrong)
    assert found, "not seen"
    assert re.search(said, found), found
