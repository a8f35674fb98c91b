"""Makes networks of PyTorch's modules, traced by torch.fx. What is traced: `torch_rows`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..layers import BatchNorm
from ..network.layouts import plain
from ..network.model import Model
from .builder import Builder, entering, laid_out, model
from .onnx_node import Missing
from .torch_call import Call
from .torch_functions import FUNCTIONS
from .torch_rows import MODULES
from .views import View, leaving
from .weights import Weight

# What images meet first: channels are last, then; and what makes something else of images.
WINDOWED = ("2d", "batch_norm", "batchnorm", "channel", "conv", "group_norm", "groupnorm",
            "instance", "interpolate", "pixel", "pool", "upsample")  # fmt: skip
SHAPED = ("flatten", "view", "reshape", "permute", "transpose", "linear", "matmul")
HOW_TO_GET = "PyTorch is not installed: `pip install torch`"


def from_torch(module: Any, example: Any = None) -> Model:
    """Return the network of a PyTorch module, with its weights.

    The module is traced by torch.fx: `nn.Sequential`, and whatever computes the same for all inputs
    of one shape. Weights have the names of its state dict, and steep's order of axes:
    ``net.load_state_dict(module.state_dict())`` and ``module.load_state_dict(net.to_torch())`` turn
    them. Images come in, and go out, with channels last: ``net.predict(x.permute(0, 2, 3, 1))``.

    Parameters
    ----------
    module
        A `torch.nn.Module`. It is traced as for inference; what drops while training does so here.
    example
        Tensors or arrays as the module takes them, one or a tuple, or the shape of one sample, (3,
        32, 32): only shapes matter. None where the module begins with a `Linear`.

    Returns
    -------
    Model
        Which predicts, trains and is saved as any other.

    Raises
    ------
    ImportError
        If PyTorch is not installed.
    TypeError
        If it is no module.
    ValueError
        If it cannot be traced, or does what steep has no op for: all such places are named.
    """
    try:
        import torch  # noqa: PLC0415 - not required
    except ImportError:
        raise ImportError(HOW_TO_GET) from None
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"from_torch: expects a torch.nn.Module, got {type(module).__name__}")
    kind = type(module).__name__
    shapes = _shapes(torch, module, example)
    graph, constants = _traced(torch, module)
    weights = {
        **{name: Weight(plain(value), fixed=True) for name, value in constants.items()},
        **{
            name: Weight(plain(value), name, True, fixed=not value.requires_grad)
            for name, value in module.named_parameters()
        },
        **{name: Weight(plain(value), name, fixed=True) for name, value in module.named_buffers()},
    }
    stems = frozenset(name.rpartition(".")[0] for name in weights)
    walk = _Walk(graph, module, shapes, weights)
    try:
        ways, surely = walk.ways()
        inputs, outputs, builder = laid_out(walk, ways, stems, surely=surely)
        _once(builder, weights)
        net = model(inputs, outputs, builder)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"from_torch: {kind} {error}") from None
    if untrained := _untrained(builder, weights):
        net.freeze(*untrained)
    state = module.state_dict()
    own = {k: tuple(v.shape) for k, v in state.items()}  # rows may have got axes of size 1 here
    known = {k: replace(v, theirs=own.get(v.name, v.theirs)) for k, v in builder.layouts.items()}
    extras = state.keys() - {layout.name for layout in known.values()}
    net._elsewhere = known, {k: plain(v).copy() for k, v in state.items() if k in extras}
    return net


def _once(builder: Builder, weights: Mapping[str, Weight]) -> None:
    """Refuse a weight that two layers would have, each its own: they would be trained apart."""
    seen: dict[str, str] = {}
    for name, layout in builder.layouts.items():
        other = seen.setdefault(layout.name, name)
        if layout.name and other != name and not weights[layout.name].fixed:
            raise ValueError(
                f"uses the weight {layout.name} in two ways, as {other} and {name}, which would be "
                "trained apart here; steep shares whole layers, and a product with its transpose"
            )


def _untrained(builder: Builder, weights: Mapping[str, Weight]) -> list[str]:
    """Return the names of what PyTorch does not train, but for what layers keep as it is."""
    return [
        name
        for name, layout in builder.layouts.items()
        if layout.name
        and weights[layout.name].fixed
        and not isinstance(builder.owner(name), BatchNorm)
    ]


def _shapes(torch: Any, module: Any, example: Any) -> list[tuple[int, ...]]:
    """Return the shapes of one sample of each input."""
    if example is None:
        first = next((m for m in module.modules() if not list(m.children())), None)
        if isinstance(first, torch.nn.Linear):
            return [(first.in_features,)]
        raise ValueError(
            "from_torch: needs an example, or the shape of a sample: "
            "from_torch(module, example=torch.zeros(1, 3, 32, 32))"
        )
    if isinstance(example, (tuple, list)) and all(isinstance(n, int) for n in example):
        return [tuple(example)]
    several = example if isinstance(example, (tuple, list)) else [example]
    if not all(hasattr(one, "shape") and len(one.shape) > 0 for one in several):
        raise TypeError("from_torch: example must be tensors (N, ...), or the shape of a sample")
    return [tuple(int(n) for n in one.shape[1:]) for one in several]


def _traced(torch: Any, module: Any) -> tuple[Any, dict[str, Any]]:
    """Return the graph of a module, as it is in inference, and tensors that it makes itself."""
    states = [(part, part.training) for part in module.modules()]
    before = {*vars(module)}
    try:
        graph = _graph(torch, module, Asked(0)) or _graph(torch, module, False)
        made = vars(module).keys() - before  # the tracer leaves them there
        return graph, {name: value for name, value in vars(module).items() if name in made}
    except Exception as error:  # whatever the module's own code raises
        raise ValueError(
            f"from_torch: {type(module).__name__} cannot be traced by torch.fx "
            f"({type(error).__name__}: {error}). torch.onnx.export and steep.from_onnx are another "
            "way."
        ) from None
    finally:
        for part, training in states:
            part.training = training
        for name in vars(module).keys() - before:
            delattr(module, name)


def _graph(torch: Any, module: Any, training: Any) -> Any:
    """Return a module's graph with some `training`; None where a function takes bools alone."""
    for part in module.modules():
        part.training = training
    try:
        return torch.fx.Tracer().trace(module)
    except TypeError:
        if training is False:
            raise
        return None


class Asked(int):
    """What a module that is traced has as its `training`: no, and not the False that others say."""


class _Walk:
    """Puts a traced graph behind the builder."""

    def __init__(
        self, graph: Any, module: Any, shapes: Sequence[Any], weights: Mapping[str, Weight]
    ) -> None:
        self.graph, self.module, self.shapes, self.weights = graph, module, shapes, weights

    def ways(self) -> tuple[tuple[bool, ...], bool]:
        """Return whether channels are to be last, likelier ways first, and whether that is sure."""
        ahead: set[Any] = set()
        for node in self.graph.nodes:
            name = self._called(node).lower()
            if node.op == "placeholder":
                ahead.add(node)
            elif ahead.intersection(node.all_input_nodes):
                if any(word in name for word in WINDOWED):
                    return (True, False), True
                if any(word in name for word in SHAPED):
                    break
                ahead.add(node)
        called = {self._called(node).lower() for node in self.graph.nodes}
        images = any("conv" in name or "pool" in name for name in called)
        return ((True, False) if images else (False, True)), False

    def _called(self, node: Any) -> str:
        """Return the name of a module's class, or of a function."""
        if node.op == "call_module":
            return type(self.module.get_submodule(node.target)).__name__
        return node.target if isinstance(node.target, str) else str(node.target.__name__)

    def __call__(self, builder: Builder) -> tuple[list[Any], Any]:
        inputs: list[Any] = []
        values: dict[Any, Any] = {}
        problems: list[str] = []
        shapes = iter(self.shapes)
        result: Any = None
        for node in self.graph.nodes:
            if node.op == "placeholder":
                shape = next(shapes, None)
                if shape is None and node.args:
                    values[node] = node.args[0]
                    continue
                if shape is None:
                    raise ValueError(f"takes an input {node.name!r} that the example lacks")
                x, values[node] = entering(shape, last=builder.last)
                inputs.append(x)
            elif node.op == "output":
                result = self._filled(node.args[0], values)
            else:
                values[node] = self._value(builder, node, values, problems)
        if problems:
            raise ValueError("does what steep cannot: " + "; ".join(problems))
        return inputs, _results(result, builder)

    def _filled(self, given: Any, values: Mapping[Any, Any]) -> Any:
        """Return arguments with values in the place of nodes."""
        if isinstance(given, (list, tuple)):
            return type(given)(self._filled(item, values) for item in given)
        if isinstance(given, dict):
            return {key: self._filled(item, values) for key, item in given.items()}
        if isinstance(given, slice):
            parts = (given.start, given.stop, given.step)
            return slice(*(self._filled(part, values) for part in parts))
        return values[given] if hasattr(given, "all_input_nodes") else given

    def _value(
        self, builder: Builder, node: Any, values: Mapping[Any, Any], problems: list[str]
    ) -> Any:
        """Return what a node gives; note what is wrong with it and go on."""
        if any(isinstance(values[source], Missing) for source in node.all_input_nodes):
            return Missing()
        args, named = self._filled(node.args, values), self._filled(node.kwargs, values)
        try:
            if node.op == "get_attr":
                return self.weights[node.target]
            if node.op == "call_module":
                part = self.module.get_submodule(node.target)
                call = Call(builder, str(node.target), self.weights)
                return MODULES[type(part).__name__](call, part, *args, **named)
            call = Call(builder, node.name, self.weights)
            return _called(call, self._called(node), node.target, args, named)
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
            what = node.target if isinstance(node.target, str) else node.target.__name__
            if node.op == "call_module":
                what = f"{what} ({type(self.module.get_submodule(node.target)).__name__})"
            text = "steep has nothing like it" if isinstance(error, LookupError) else str(error)
            problems.append(f"{what}: {text}")
            return Missing()


def _called(call: Call, name: str, target: Any, args: Any, named: Any) -> Any:
    """Return what a function gives: of tensors by its row, of numbers by itself."""
    if not _has_view((args, named)):
        if isinstance(target, str):
            return getattr(args[0], target)(*args[1:], **named)
        return target(*args, **named)
    return FUNCTIONS[name](call, *args, **named)


def _has_view(given: Any) -> bool:
    if isinstance(given, (list, tuple)):
        return any(map(_has_view, given))
    if isinstance(given, dict):
        return any(map(_has_view, given.values()))
    return isinstance(given, (View, Weight))


def _results(result: Any, builder: Builder) -> Any:
    def of(value: Any) -> Any:
        if not isinstance(value, View):
            raise ValueError(f"returns {value!r}, which does not depend on its inputs")
        return leaving(value, builder.moves, last=builder.last)

    if isinstance(result, dict):
        return {str(key): of(value) for key, value in result.items()}
    if isinstance(result, (list, tuple)):
        return [of(value) for value in result]
    return of(result)
