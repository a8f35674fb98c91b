"""A network, its trainer, its data and what is done with them, as plain data that print as Python.

What a `Case` prints is what runs: `make` executes `code`. Nothing random lives here.
"""

import inspect
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import own_layers
import steep
from steep import (
    averages,
    callbacks,
    constraints,
    data,
    initializers,
    layers,
    losses,
    ops,
    optimizers,
    schedules,
)


@dataclass(frozen=True)
class Call:
    """``room.kind(*args, **named)``; arguments are plain values or other calls."""

    room: str
    kind: str
    args: tuple[Any, ...] = ()
    named: tuple[tuple[str, Any], ...] = ()

    def code(self) -> str:
        given = [code(value) for value in self.args]
        given += [f"{name}={code(value)}" for name, value in self.named]
        return f"{self.room}{'.' * bool(self.room)}{self.kind}({', '.join(given)})"

    def get(self, name: str, default: Any = None) -> Any:
        return dict(self.named).get(name, default)

    def changed(self, **named: Any) -> "Call":
        """Return the call with other named arguments; those that are None are left out."""
        merged = {**dict(self.named), **named}
        kept = tuple((k, v) for k, v in merged.items() if v is not None or k not in named)
        return replace(self, named=kept)


@dataclass(frozen=True)
class Use:
    """A layer of `Case.shared`, by name: the same object wherever it stands."""

    name: str

    def code(self) -> str:
        return self.name


@dataclass(frozen=True)
class Fork:
    """Ways that part and meet again, in a functional model: op(way_1(x), way_2(x), ...)."""

    op: str  # of `ops`: "add", "subtract", "multiply", "concat"
    ways: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Meet:
    """Where the second input of a functional model comes in: op(x, way(second))."""

    op: str
    way: tuple[Any, ...]


Node = Call | Use | Fork | Meet


def call(room: str, kind: str, *args: Any, **named: Any) -> Call:
    """Return a `Call`; named arguments that are None are left out."""
    return Call(room, kind, args, tuple((k, v) for k, v in named.items() if v is not None))


def code(value: Any) -> str:
    """Return a value as Python: an expression."""
    if isinstance(value, (Call, Use)):
        return value.code()
    if isinstance(value, tuple):
        inside = ", ".join(code(item) for item in value)
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    return value.source if isinstance(value, Source) else repr(value)


@dataclass(frozen=True)
class Source:
    """An expression that stands for itself, such as a lambda."""

    source: str


@dataclass(frozen=True)
class Data:
    """What a case is trained on: how many samples, of which kind, and how they lie in memory."""

    samples: int
    targets: str  # of TARGETS
    dtype: str = "float32"
    layout: str = "plain"  # of LAYOUTS
    target_dtype: str = "float64"
    target_layout: str = "plain"
    weights: str = "none"  # of WEIGHTS
    seed: int = 0


@dataclass(frozen=True)
class Case:
    """Everything that decides a training, small enough to read."""

    seed: int
    inputs: tuple[tuple[int, ...], ...]
    body: tuple[Node, ...]
    output: tuple[int, ...]
    loss: Any
    optimizer: Any
    data: Data
    script: tuple[Call, ...]
    shared: tuple[tuple[str, Call], ...] = ()
    functional: bool = False
    options: tuple[tuple[str, Any], ...] = ()
    build: int | None = None  # the seed of `build`; None: the trainer builds
    stirred: bool = False  # all weights random, biases too
    frozen: bool = False  # every third weight, of a network that is built
    notes: dict[str, Any] = field(default_factory=dict, compare=False)

    def option(self, name: str, default: Any = None) -> Any:
        return dict(self.options).get(name, default)

    def with_options(self, **options: Any) -> "Case":
        """Return the case with other arguments of its Trainer; None leaves one out."""
        merged = {k: v for k, v in {**dict(self.options), **options}.items() if v is not None}
        return replace(self, options=tuple(merged.items()))

    @property
    def text(self) -> str:
        """All that is called, as one text to look names up in."""
        return "\n".join([self.code(), *(deed.code() for deed in self.script)])

    @property
    def draws(self) -> bool:
        """Whether training draws numbers that prediction does not, or goes on where it was."""
        names = ("Dropout", "AlphaDropout", "RReLU", "GaussianNoise", "Reparameterize")
        return self.uses(*names) or any(f"{word}=" in self.text for word in ("dropout", "stateful"))

    def uses(self, *names: str) -> bool:
        return any(f".{name}(" in self.text or f"{name}(" in self.text for name in names)

    # -- as Python -----------------------------------------------------------------------------

    def code(self) -> str:
        """Return the program: ``net``, ``trainer``, ``X``, ``y``, ``weights`` come out of it."""
        return "\n".join([*self._network(), *self._data(), *self._trainer()])

    def program(self) -> str:
        """Return the whole program, to run by itself: imports, own layers, the training."""
        body = self.code()
        known = own_layers.OWN | own_layers.FUNCTIONS
        own = [kind for name, kind in known.items() if f"{name}(" in body]
        lines = [f"# seed {self.seed}", "import pickle, tempfile, warnings", "import numpy as np"]
        lines += ["import steep", f"from steep import {', '.join(sorted(ROOMS))}"]
        for kind in own:
            lines += ["", inspect.getsource(kind).rstrip(), ""]
        lines += [body, *(f"trainer.{deed.code()}" for deed in self.script)]
        return "\n".join(lines) + "\n"

    def make(self) -> dict[str, Any]:
        """Return the namespace of `code`, executed."""
        space = dict(SPACE)
        exec(compile(self.code(), f"<case {self.seed}>", "exec"), space)
        return space

    def _network(self) -> list[str]:
        lines = [f"{name} = {layer.code()}" for name, layer in self.shared]
        if self.functional:
            names = ["p", "q"][: len(self.inputs)]
            lines += [
                f"{n} = steep.Input({shape!r})" for n, shape in zip(names, self.inputs, strict=True)
            ]
            last = _chain(lines, self.body, "p", [0])
            given = names[0] if len(names) == 1 else f"[{', '.join(names)}]"
            lines.append(f"net = steep.Model({given}, {last})")
        else:
            lines.append(f"net = steep.Sequential({', '.join(code(n) for n in self.body)})")
        if self.build is not None:
            shapes = self.inputs[0] if len(self.inputs) == 1 else list(self.inputs)
            lines.append(f"net.build({shapes!r}, seed={self.build})")
        if self.build is not None and self.stirred:
            lines += [STIR.format(seed=self.build)]
        if self.build is not None and self.frozen:
            lines.append("_ = [net.freeze(name) for name in list(net.state_dict())[:-1:3]]")
        return lines

    def _data(self) -> list[str]:
        d = self.data
        lines = [f"random = np.random.default_rng({d.seed})"]
        names = ["X"] if len(self.inputs) == 1 else ["X0", "X1"]
        for name, shape in zip(names, self.inputs, strict=True):
            draw = "random.random(({}))" if d.dtype in UNSIGNED else "random.standard_normal(({}))"
            size = ", ".join(str(n) for n in (d.samples, *shape))
            scale = UNSIGNED.get(d.dtype, "")
            if name != "X1" and isinstance(self.body[0], Call) and self.body[0].kind == "Embedding":
                most = self.body[0].args[0] if d.dtype != "bool" else 2
                draw, scale = f"random.integers(0, {most}, ({{}}))", ""
            lines.append(f"{name} = ({draw.format(size)}{scale}).astype({d.dtype!r})")
            lines += [line.format(name) for line in LAYOUTS[d.layout]]
        if len(names) == 2:
            lines.append("X = [X0, X1]")
        shape = (d.samples, *self.output)
        given = {"shape": shape, "lead": shape[:-1], "n": d.samples, "c": shape[-1]}
        lines.append(f"y = ({TARGETS[d.targets].format(**given)})")
        lines.append(f"y = np.asarray(y).astype({d.target_dtype!r})")
        lines += [line.format("y") for line in LAYOUTS[d.target_layout]]
        lines.append(f"weights = {WEIGHTS[d.weights].format(n=d.samples)}")
        return lines

    def _trainer(self) -> list[str]:
        options = "".join(f", {name}={code(value)}" for name, value in self.options)
        return [f"trainer = steep.Trainer(net, {code(self.loss)}, {code(self.optimizer)}{options})"]


def _chain(lines: list[str], nodes: tuple[Node, ...], x: str, count: list[int]) -> str:
    """Append the statements that call `nodes` in turn on `x`; return the name of the last."""
    for node in nodes:
        if isinstance(node, Fork):
            ends = [_chain(lines, way, x, count) for way in node.ways]
        elif isinstance(node, Meet):
            ends = [x, _chain(lines, node.way, "q", count)]
        count[0] += 1
        y = f"x{count[0]}"
        if isinstance(node, (Fork, Meet)):
            given = f"[{', '.join(ends)}]" if node.op == "concat" else ", ".join(ends)
            lines.append(f"{y} = ops.{node.op}({given})")
        else:
            lines.append(f"{y} = {node.code()}({x})")
        x = y
    return x


ROOMS = {
    "averages": averages, "callbacks": callbacks, "constraints": constraints, "data": data,
    "initializers": initializers,
    "layers": layers, "losses": losses, "ops": ops, "optimizers": optimizers,
    "schedules": schedules,
}  # fmt: skip


SPACE: dict[str, Any] = {
    "np": np, "steep": steep, **ROOMS, **own_layers.OWN, **own_layers.FUNCTIONS,
    "pickle": __import__("pickle"), "tempfile": __import__("tempfile"),
}  # fmt: skip

STIR = """random = np.random.default_rng({seed})
net.load_state_dict({{
    name: np.abs(w + 0.3 * random.standard_normal(w.shape)) + 0.1 * ("var" in name)
    if "var" in name else w + 0.3 * random.standard_normal(w.shape)
    for name, w in net.state_dict().items()
}})"""

UNSIGNED = {"uint8": " * 7", "bool": " * 2", "int64": " * 7", "uint16": " * 7", "int8": " * 7"}

LAYOUTS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "fortran": ("{0} = np.asfortranarray({0})",),
    "every other": ("{0} = np.repeat({0}, 2, axis=0)[::2]",),
    "reversed": ("{0} = {0}[::-1].copy()[::-1]",),
    "last axis reversed": ("{0} = {0}[..., ::-1].copy()[..., ::-1]",),
    "wide rows": ("{0} = np.concatenate([{0}, {0}], axis=-1)[..., :{0}.shape[-1]]",),
    "read only": ("{0}.setflags(write=False)",),
    "pickled": ("{0} = pickle.loads(pickle.dumps({0}))",),
    "unaligned": (
        "{0}_bytes = np.zeros({0}.nbytes + 1, np.uint8)",
        "{0}_bytes[1:] = np.frombuffer({0}.tobytes(), np.uint8)",
        "{0} = {0}_bytes[1:].view({0}.dtype).reshape({0}.shape)",
    ),
    "memory-mapped": (
        "file = tempfile.TemporaryFile()",
        "file.write({0}.tobytes()), file.flush()",
        "{0} = np.memmap(file, {0}.dtype, 'r', shape={0}.shape)",
        "file.close()",
    ),
}

TARGETS = {
    "values": "random.standard_normal({shape})",
    "values of one output": "random.standard_normal({n})",
    "labels": "random.integers(0, {c}, {n})",
    "column of labels": "random.integers(0, {c}, ({n}, 1))",
    "one class": "np.zeros({n})",
    "one-hot": "np.eye({c})[random.integers(0, {c}, {n})]",
    "probabilities": "random.dirichlet(np.ones({c}), {n})",
    "labels of positions": "random.integers(0, {c}, {lead})",
    "some ignored": (
        "np.where(np.indices({lead})[-1] % 3 == 1, -1, random.integers(0, {c}, {lead}))"
    ),
    "probabilities of positions": "random.dirichlet(np.ones({c}), {lead})",
    "bits": "random.integers(0, 2, {shape})",
    "chances": "random.random({shape})",
}

WHOLE = ("labels", "column of labels", "one class", "labels of positions", "some ignored")


WEIGHTS = {
    "none": "None",
    "random": "random.random({n}) + 0.1",
    "some zero": "np.arange({n}) % 3 * 0.5 if {n} > 1 else np.ones(1)",
    "all but one zero": "(np.arange({n}) == {n} // 2) * 2.0",
    "integers": "random.integers(1, 4, {n})",
}
