"""What users do with a network of either kind: build, predict, look, save. The kinds: `model`.

A network is described in Python and lowered once, at `build`, to a native one with the weights.
How that comes about is in `body`.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from html import escape
from os import PathLike
from typing import TYPE_CHECKING, Any

from .. import _core, drawing, exporting
from ..checks import numbers
from ..checks.arrays import Array
from ..checks.columns import Columns, from_file
from ..checks.names import choose
from ..device_array import DeviceArray
from ..files.checkpoint import read_weights, write_weights
from . import devices, inputs, layouts
from .body import Body
from .description import sizes
from .naming import label, shape_of
from .recorded import recorded
from .summary import summary
from .tensor import Shape
from .weights import fitting, of_weights

if TYPE_CHECKING:
    from ..data import Table


class Network(Body):
    """What `Sequential` and `Model` share: weights, prediction, summary. Not used by itself.

    A network that stands in another one that is built is a part of it: its weights are that one's,
    and what is done to either shows in both. A look at a network that is not built shows it as
    ``build(seed=0)`` would make it, and decides nothing.
    """

    # Of what was made of a module: its layouts, and what it has that steep has not.
    _elsewhere: tuple[Mapping[str, layouts.Layout], Mapping[str, Array]] | None = None

    def build(
        self, input_shape: Shape | int | Sequence[Shape] | None = None, seed: int = 0
    ) -> "Network":
        """Fix the input shape and draw the initial weights; building again draws them anew.

        Parameters
        ----------
        input_shape
            Without the batch axis; a list of shapes for several inputs; None where it is known.
        seed
            The weights are a pure function of it, of the parameter's place and of its shape.

        Raises
        ------
        ValueError
            If the shapes do not fit; the message begins with the layer. The network is as before.
        RuntimeError
            If a running `fit` uses the weights, or those of a network inside.

        Notes
        -----
        Networks inside become parts of this one: they keep the weights they had, and share them
        with it from now on. To build a part draws its weights anew in the whole.
        """
        self._build_for(self._given(input_shape), numbers.seed(seed), "float32")
        return self

    def predict(self, X: Any, batch_size: int = 256, seed: int = 0) -> Any:
        """Return the outputs for X, dropout off.

        Parameters
        ----------
        X
            Array (N, ...), or a list of arrays for several inputs. float32, float64, uint8,
            uint16, int32 and int64 of any strides are read in place. A network on the GPU takes
            arrays that lie there, too: CuPy's, PyTorch's, all that have
            ``__cuda_array_interface__`` or ``__dlpack__``.
        batch_size
            Samples at a time; changes the memory used, not the result.
        seed
            Of what layers draw that do so in predictions, too: ``Reparameterize(sample=True)``. A
            number and a sample's place in X give the same draw again.

        Returns
        -------
        numpy.ndarray or DeviceArray
            (N, ...) float32 (float64 in that precision), N = 0 too; a list for several outputs, a
            dict where they have names. Where X, or an input of several, lies on the GPU they do,
            too: `DeviceArray`, which CuPy and PyTorch take without a copy.

        Raises
        ------
        TypeError, ValueError
            If X does not fit the network or is not finite.
        """
        if self._shapes is not None:
            self._described()  # what is wrong with the network itself is told first
        arrays = inputs.features(X, self, empty=True, precision=self._precision, device=self.device)
        looked = self._looked(tuple(a.shape[1:] for a in arrays))
        inputs.whole_numbers(arrays, looked.about.graph)
        found = looked.native.predict(
            arrays, numbers.whole("", "batch_size", batch_size), numbers.seed(seed)
        )
        outputs = [DeviceArray(a) if isinstance(a, _core.DeviceArray) else a for a in found]
        if self.output_names is not None:
            return dict(zip(self.output_names, outputs, strict=True))
        return outputs[0] if len(outputs) == 1 else outputs

    def freeze(self, *patterns: str) -> None:
        """Leave weights as they are, whatever is trained from now on.

        Their bytes never change, no gradient is computed for them, and batch normalisation among
        them goes by its running statistics. `Layer.trainable` does the same to one layer. A trainer
        that has done steps is refused them: make a new one.

        Parameters
        ----------
        *patterns
            Names of layers or weights, with ``*`` and ``?``: ``net.freeze("encoder", "*.bias")``.
            None: all.

        Raises
        ------
        TypeError, ValueError
            If something is no name, or no weight of the network is called so.
        """
        self._note_frozen(patterns, True)

    def unfreeze(self, *patterns: str) -> None:
        """Have weights trained again that `freeze` took; without patterns all of them.

        Raises
        ------
        TypeError, ValueError
            As `freeze`.
        """
        self._note_frozen(patterns, False)

    @property
    def frozen(self) -> tuple[str, ...]:
        """Names of the weights that `freeze` and `Layer.trainable` keep as they are."""
        return self._frozen_names()

    def to(self, device: str) -> "Network":
        """Keep the weights on another device from now on: ``"cpu"`` or ``"cuda"``.

        Parameters
        ----------
        device
            Predictions are made there, in the precision of the last trainer. A trainer takes the
            network to its own device.

        Returns
        -------
        Network
            This network; its weights keep their values, those of the whole where it is a part.

        Raises
        ------
        ValueError
            If the device is no such word, or cannot hold this network.
        RuntimeError
            If it is not there, or a running `fit` uses the weights.
        """
        if devices.named(device) == "cuda":
            devices.check()
        precision = self._native.precision
        self._convert(of_weights(precision) if device == "cpu" else precision, device)
        return self

    @property
    def device(self) -> str:
        """Where the weights are: ``"cpu"`` or ``"cuda"``."""
        body = self._body()
        return "cpu" if body is None else body.native.device

    @property
    def feature_names(self) -> Any:
        """Names of the columns it was trained on, or None; a list for several inputs.

        A table with other columns, or in another order, is refused wherever one is taken; arrays
        have no names and go by position. `build` forgets them, with the weights.
        """
        names = [*self._columns] or [None] * len(self.input_shapes or (None,))
        return names[0] if len(names) == 1 else names

    @property
    def num_parameters(self) -> int:
        """How many numbers are learned; running statistics are not."""
        return sizes(self._described().weights.values())[0]

    @property
    def multiply_adds(self) -> int:
        """Multiplications with an addition that one sample costs in products and convolutions."""
        return self._described().multiply_adds

    def summary(self) -> str:
        """Return a table: layer, output shape, parameters, multiply-adds, how its weights begin.

        Multiply-adds are those of products and convolutions for one sample. Parameters that are
        kept but not learned, such as running statistics, are counted by themselves.
        """
        return summary(self._described(), self._precision)

    def _repr_html_(self) -> str | None:
        """Show the summary in notebooks; the plain text where shapes are not known yet."""
        return None if self.input_shapes is None else f"<pre>{escape(self.summary())}</pre>"

    def state_dict(self, device: str = "cpu") -> "OrderedDict[str, Any]":
        """Return the weights by name, in order of definition, as copies in their logical shapes.

        Parameters
        ----------
        device
            Where the copies are made: ``"cpu"``, arrays of NumPy, or ``"cuda"``, `DeviceArray`, of
            a network that is there.

        Raises
        ------
        ValueError
            If the network is not on that GPU.
        """
        looked = self._looked()
        if devices.named(device) == "cpu":
            return OrderedDict(looked.values())
        if looked.native.device != "cuda":
            raise ValueError('state_dict: the weights are on the CPU; net.to("cuda") moves them')
        names = [name for name, _ in looked.native.parameters()]
        values = map(DeviceArray, looked.native.values_on_device())
        return OrderedDict(zip(names, values, strict=True))

    def load_state_dict(
        self,
        state: Mapping[str, Any],
        *,
        strict: bool = True,
        prefix: str = "",
        layout: str | None = None,
    ) -> None:
        """Set every weight; all or, where something does not fit, none.

        Parameters
        ----------
        state
            Arrays by name. Those on a GPU are copied to the CPU first.
        strict
            False: weights that `state` does not have stay as they are, and what it has besides is
            left out. One at least must be there, and those that are there must fit.
        prefix
            What the names in `state` begin with: ``"encoder."`` takes the weights of a part out of
            those of a whole.
        layout
            ``"torch"``: the state dict of a PyTorch module, whose weights have other orders of
            axes, as `to_torch` has them. None: steep's; of what `steep.from_torch` made PyTorch's
            where tensors are given.

        Raises
        ------
        TypeError, ValueError
            Naming what is missing, unknown, of the wrong shape or not finite.
        """
        strict = numbers.flag("load_state_dict", "strict", strict)
        if layout is not None:
            choose("layout", layout, {"torch": "torch"})
        if isinstance(state, Mapping) and (layout or self._is_theirs(state)):
            known, extras = self._layouts()
            constants = [name for name, there in known.items() if not there.name]
            own = self.state_dict() if constants else {}
            kept = {name: own[name] for name in constants}
            state = {**layouts.taken(state, known, extras), **kept}
        with self._tentative():
            if not self.built:
                self._build_for(self._known_shapes(), 0, "float32", draw=not strict)
            native = self._native
            native.assign(list(fitting(native, state, strict, prefix).items()))

    def plot(
        self, path: str | PathLike[str] | None = None, *, depth: int | None = None
    ) -> drawing.Drawing:
        """Draw the network as a graph: a box for each layer, with its shape and parameters.

        Parameters
        ----------
        path
            Of an SVG file to write; None: none. Notebooks show what is returned.
        depth
            How many layers inside each other are told apart; None: all, and of networks with more
            than 60 layers the outermost.

        Returns
        -------
        Drawing
            With the text of the picture as `svg`.

        Raises
        ------
        TypeError, ValueError
            If the depth is no positive int.
        RuntimeError
            If the input shape is not known yet.
        OSError
            If the file cannot be written.
        """
        levels = None if depth is None else numbers.whole("plot", "depth", depth)
        made = drawing.drawn(recorded(self), levels)
        if path is not None:
            made.save(path)
        return made

    def to_torch(self) -> "OrderedDict[str, Any]":
        """Return the weights as a state dict of PyTorch: tensors, in its order of axes.

        Of what `steep.from_torch` made, with the module's names: ``module.load_state_dict`` takes
        it. Of other networks, outputs first, windows last, and a dense layer behind a flattened
        image has its inputs in the order (channels, height, width).

        Raises
        ------
        ImportError
            If PyTorch is not installed.
        """
        try:
            import torch  # noqa: PLC0415 - not required
        except ImportError:
            raise ImportError("PyTorch is not installed: `pip install torch`") from None
        known, extras = self._layouts()
        named = {name: v for name, v in self.state_dict().items() if known[name].name}
        found = {known[name].name: known[name].give(v) for name, v in named.items()}
        return OrderedDict(
            (name, torch.from_numpy(value.copy())) for name, value in {**found, **extras}.items()
        )

    def _layouts(self) -> tuple[Mapping[str, layouts.Layout], Mapping[str, Array]]:
        """Return how weights are laid out in PyTorch, and what its module has besides."""
        return self._elsewhere or (layouts.torch_layouts(recorded(self)), {})

    def _is_theirs(self, state: Mapping[str, Any]) -> bool:
        """Say whether tensors of PyTorch come for what was made of a module."""
        return self._elsewhere is not None and all(hasattr(v, "detach") for v in state.values())

    def save_weights(self, path: str | PathLike[str]) -> None:
        """Write `state_dict` as a safetensors file, whole or not at all, with `feature_names`.

        Raises
        ------
        OSError
            If the folder cannot be written.
        """
        write_weights(path, self.state_dict(), self._columns)

    def load_weights(
        self, path: str | PathLike[str], *, strict: bool = True, prefix: str = ""
    ) -> None:
        """Set every weight from a safetensors file; nothing changes where it does not fit.

        Parameters
        ----------
        path
            Of the file.
        strict, prefix
            As `load_state_dict` takes them.

        Raises
        ------
        OSError
            If there is no such file.
        ValueError
            If it is damaged, is no safetensors file, or belongs to another network.
        """
        state, about = read_weights(path)
        whole = strict and not prefix and about is not None
        named: tuple[Columns | None, ...] = ()
        try:
            if whole:
                named = from_file(about, self._called_shapes())
            self.load_state_dict(state, strict=strict, prefix=prefix)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: {error}") from None
        if whole:
            self._note_columns(named)

    def to_onnx(self, path: str | PathLike[str], table: "Table | None" = None) -> None:
        """Write the network as an ONNX file that computes what `predict` does.

        Opset 18; any number of samples, inputs and outputs shaped as here: images are (height,
        width, channels). Weights are written bit for bit under their names, in ONNX's order of
        axes. What draws or drops while training is written as predictions have it; docs/onnx.md has
        a table of what becomes what.

        Parameters
        ----------
        path
            Of the file, which is written whole or not at all.
        table
            A `data.Table` whose features the network takes: then the file takes the columns, each
            (batch, 1) under its name, texts or numbers, dates as seconds since 1970, and gives the
            target, (batch,), and ``probabilities``, (batch, classes).

        Raises
        ------
        ImportError
            If the package `onnx` is not installed: ``pip install 'steep[onnx]'``.
        ValueError
            If an op has no ONNX form, or the weights take more than 2 GB.
        RuntimeError
            If the input shape is not known yet.
        OSError
            If the file cannot be written.
        """
        exporting.write(recorded(self), path, table)

    def _given(self, input_shape: Any) -> tuple[Shape, ...]:
        """Return the input shapes `build` was asked for."""
        if input_shape is None:
            known = self.input_shapes
            if known is None:
                raise ValueError(f"{label(self)}: build needs the input_shape, without the batch")
            return known
        several = isinstance(input_shape, list) and all(
            isinstance(s, (tuple, list)) for s in input_shape
        )
        items = input_shape if several else [input_shape]
        return tuple(shape_of(label(self), shape) for shape in items)
