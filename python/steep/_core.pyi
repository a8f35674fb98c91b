"""The native core: graphs, plans, kernels and threads. Arithmetic only, no policy."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

__version__: str
# A row of a knob table: those of all parameters; then, for each group of them, those of every rule
# and its rule's own.
SHARED_KNOBS: list[str]
GROUP_KNOBS: list[str]
MAX_THREADS: int

def info() -> dict[str, Any]: ...  # version, isa, isas, threads, cpus, cuda (device, or why not)
def cuda_lacks() -> list[str]: ...  # ops that have no kernel there
def cuda_status() -> str: ...  # "" where a CUDA device can be used, else why not
def from_dlpack(capsule: object) -> DeviceArray: ...  # takes what is in it
def device_stream() -> int: ...  # on which an array is to be ready that steep reads
def device_wait(stream: int) -> None: ...  # 1: the default one, 2: the thread's, 0: all of them
def set_num_threads(n: int) -> None: ...  # of every thread without a limit of its own
def limit_threads(n: int) -> None: ...  # of the calling thread; 0: none of its own
def get_num_threads() -> int: ...  # of the calling thread
def quota_cpus(
    root: str,
) -> int: ...  # processors the cgroups allow, 0: any number; root stands before /proc and /sys
def count_positions(
    labels: NDArray[Any], classes: int, ignored: int | None = None
) -> tuple[int, int, int]: ...  # how many count; sample and position of one that is no class, or -1
def activations() -> list[str]: ...
def relu_like() -> list[str]: ...  # activations before which weights start as He says
def losses() -> list[str]: ...
def ops() -> list[str]: ...  # that a network may ask for: methods of Graph
def rules() -> dict[
    str, dict[str, Any]
]: ...  # name -> {"slots": [...], "knobs": [...], "look_ahead": bool, "passes": 1, ...}
def methods() -> dict[str, dict[str, Any]]: ...  # likewise; slots named x# are numbered
def uniform(seed: int, stream: int, n: int) -> NDArray[np.float64]: ...  # Philox, [0, 1)
def normal(seed: int, stream: int, n: int) -> NDArray[np.float64]: ...  # Philox + Box-Muller
def permutation(
    seed: int, epoch: int, n: int
) -> NDArray[np.int64]: ...  # order in which fit reads samples
def all_finite(
    array: Array, limit: float = 1.7976931348623157e308
) -> bool: ...  # and |x| <= limit; any strides, float32/float64 (uint8 is True); no copy, no GIL
def check_invariants(
    on: bool,
) -> str: ...  # turns the proof that padding is 0 on or off; what was found broken first, or ""
def gemm(
    a: Array, b: Array, out: Array, transpose_a: bool = False, transpose_b: bool = False
) -> None: ...

class Sweep:
    """One update rule over one flat vector, float32 or float64 as `start` is."""

    def __init__(self, rule: str, start: Array) -> None: ...
    # look of a step must be look_next of the step before
    def step(
        self, gradient: Array, knobs: NDArray[np.float64], scale: float = 1.0, decay: float = 0.0
    ) -> bool: ...
    @property
    def w(self) -> Array: ...  # the weights
    @property
    def point(
        self,
    ) -> Array: ...  # where the next gradient is to be taken (w unless the rule looks ahead)
    def slot(self, name: str) -> Array: ...

class Orthogonal:
    """Newton-Schulz on many matrices at once, all float32 or all float64."""

    def __init__(self, matrices: Sequence[Array]) -> None: ...
    def set(self, matrices: Sequence[Array]) -> None: ...  # others of the same shapes
    # X = U/(|U| + eps), then X = X(aI + bA + cAA), A = X^T X, so many times, in place
    def run(
        self,
        steps: int = 5,
        a: float = 3.4445,
        b: float = -4.775,
        c: float = 2.0315,
        eps: float = 1e-7,
    ) -> None: ...
    def get(self) -> list[Array]: ...
    @property
    def bytes(self) -> int: ...  # of scratch memory

class Convolution:
    """One convolution of a batch of images by itself, for benchmarks and tests; float32."""

    def __init__(
        self,
        height: int,
        width: int,
        channels: int,
        filters: int,
        kernel: Sequence[int],
        stride: Sequence[int] = [1, 1],
        padding: Sequence[int] = [0, 0, 0, 0],  # top, bottom, left, right
        dilation: Sequence[int] = [1, 1],
        groups: int = 1,
        batch: int = 1,
    ) -> None: ...
    # x (batch, height, width, channels), w as in Graph.conv2d, y and dy (batch, h', w', filters);
    # the last argument is written
    def forward(self, x: Array, w: Array, y: Array) -> None: ...
    def backward_data(self, dy: Array, w: Array, dx: Array) -> None: ...
    def backward_weights(self, x: Array, dy: Array, dw: Array) -> None: ...

class SkipGram:
    """Skip-gram with negative sampling over sentences of words, one pair after the other."""

    def __init__(
        self,
        words: Array,  # int32, of all sentences
        ends: Array,  # int64, of the sentences, ascending
        keep: Array,  # of each word: how probably it is kept
        weights: Array,  # of each word: how often it is a negative
        window: int,
        negatives: int,
        seed: int,
    ) -> None: ...
    def begin(self, epoch: int) -> int: ...  # how many words are kept: the centres
    # rows (n,) of the centres, (n, 1 + negatives) of the contexts and of what was drawn
    def pairs(self, first: int, last: int) -> tuple[Array, Array]: ...
    # the tables change in place; the sum of the pairs' losses, and how many pairs there were
    def step(
        self, inputs: Array, outputs: Array, lr: float, first: int, last: int
    ) -> tuple[float, int]: ...

class Graph:
    """Describes one network. Tensors are ints, shapes leave out the batch."""

    def __init__(self) -> None: ...
    def copy(self) -> Graph: ...  # one that may grow; its tensors have the same numbers
    def input(self, shape: tuple[int, ...]) -> int: ...
    # A row of the array of targets of that number, no input of the network.
    def target(self, shape: tuple[int, ...], number: int) -> int: ...
    # (in, out), (n,), or (height, width, in / groups, out) of a convolution, (length, in / groups,
    # out) of one along a sequence; one not trained,
    # such as a running mean, has no gradient and no update
    def parameter(
        self, name: str, shape: tuple[int, ...], decay: bool, trained: bool = True
    ) -> int: ...
    # what it is brought back to after every update: "clip", "non_negative", "max_norm", "unit_norm"
    def constrain(self, parameter: int, kind: str, limit: float = 0.0) -> None: ...
    def name_next(
        self, layer: str
    ) -> None: ...  # layer that the following ops belong to, for faults
    def shape(self, tensor: int) -> tuple[int, ...]: ...
    # Every op that a network may ask for, by its name (see ops()): tensors, then parameters, then
    # numbers, by position or by name; in csrc/ops each is said with its op.
    def __getattr__(self, op: str) -> Callable[..., int]: ...
    def concat(self, tensors: list[int], axis: int = -1) -> int: ...  # the other axes are equal
    def recompute(
        self, block: int
    ) -> None: ...  # ops from here on are computed again for the backward pass; 0: no longer
    def output(self, tensors: list[int]) -> None: ...
    # the first number of the inputs that an op cannot take for a whole one: input, sample, place in
    # it, number, least, most, what it is, layer
    def stray(
        self, inputs: list[Given]
    ) -> tuple[int, int, int, float, int, int, str, str] | None: ...

class DeviceArray:
    """An array in the memory of GPU 0: a view of another's, or a dense one of our own."""

    # Strides in bytes, None: C order. Refuses addresses that are not there; keeps the owner.
    def __init__(
        self,
        address: int,
        shape: Sequence[int],
        strides: Sequence[int] | None,
        number: str,  # a dtype's name, or "bfloat16"
        owner: object,
    ) -> None: ...
    def to_dlpack(self, versioned: bool) -> object: ...  # of our own
    def __len__(self) -> int: ...
    shape: tuple[int, ...]  # read only, as the next ones
    ndim: int
    size: int
    number: str
    dtype: np.dtype[Any]
    address: int
    owned: bool
    def numpy(self) -> Array: ...
    def astype(self, dtype: Any) -> DeviceArray: ...  # a copy: the same, float32 or int32
    def reshape(self, shape: Sequence[int]) -> DeviceArray: ...  # a view where it is dense
    def value(self, index: int) -> float: ...  # in C order, of what samples may hold
    # Place of the first number not in [low, high], or not whole, and not `besides`; -1 for none.
    def first_unwanted(
        self, low: float, high: float, whole: bool = False, besides: float | None = None
    ) -> int: ...
    # Of the last axis, the first row whose sum is not in [low, high]; -1 for none.
    def first_unwanted_sum(self, low: float, high: float) -> int: ...

Given: TypeAlias = Array | DeviceArray

class SparseMatrix:
    """A constant matrix by rows, and by columns; refuses what is none."""

    def __init__(
        self, shape: tuple[int, int], begin: NDArray[Any], column: NDArray[Any], value: NDArray[Any]
    ) -> None: ...

class Network:
    """A graph with its weights: one flat packed Store."""

    def __init__(self, graph: Graph, precision: str = "float32", device: str = "cpu") -> None: ...
    precision: str  # read only
    outputs: list[int]  # tensors of the graph; read only
    device: str  # read only; "cpu" | "cuda"
    def parameters(self) -> list[tuple[str, tuple[int, ...]]]: ...  # in order of definition
    def trained(self, name: str) -> bool: ...  # False for running statistics
    def get(self, name: str) -> Array: ...  # a copy in logical shape
    def values(self) -> list[Array]: ...  # copies, all of one moment, in order of definition
    def values_on_device(self) -> list[DeviceArray]: ...  # of a network that is there
    def set(self, name: str, value: Array) -> None: ...
    def assign(self, values: list[tuple[str, Array]]) -> None: ...  # all at one moment, or none
    # A network over another graph on these weights: its parameters are those of the given names,
    # in the order of the graph's. It follows this one into another precision and to another device.
    def view(self, graph: Graph, names: list[str]) -> Network: ...
    # "float32" | "float64", "cpu" | "cuda"; keeps the values.
    def convert(self, precision: str, device: str = "cpu") -> None: ...
    # The very network there is, for a conversion to be undone.
    def form(self) -> object: ...
    def restore(self, form: object) -> None: ...
    # Outputs lie on the GPU where an input does.
    def predict(self, inputs: Sequence[Given], batch_size: int, seed: int = 0) -> list[Any]: ...
    def memory(self) -> dict[str, int]: ...

class Recipe:
    """How the parameters of a network are trained."""

    def __init__(
        self,
        rules: list[str],  # of each group
        groups: list[int],  # of each parameter
        seed: int = 0,
        mean: bool = True,  # of the losses of a batch, not their sum
        weighted: bool = False,  # the mean is over the sum of the weights
        decay_bias: bool = False,
        average: bool = False,  # a slot of all parameters that follows their weights
        adaptive: bool = False,  # sharpness in the measure of each weight
        sparse: list[bool] = [],  # of each group: rows without a gradient are left alone
        history: int = 0,  # vectors of each kind that a method keeps
    ) -> None: ...
    # Of each slot, its shape for each parameter of such a shape; None where it has none.
    def slots(self, shapes: Sequence[Sequence[int]]) -> dict[str, list[list[int] | None]]: ...

class LossTerm:
    """One loss of an objective: the mean over samples of what it gives for a tensor."""

    def __init__(
        self,
        name: str,
        tensor: int,  # of the graph
        loss: str | None,  # None: option times the sum of the tensor's elements
        option: float = 0.0,
        target: int = -1,  # which array of targets
        weights: int = -1,  # which array of sample weights
        weight: float = 1.0,
        scalar: int = -1,  # which number of the step is the weight
        by_position: bool = False,  # the loss takes the last axis of an output
        ignored: int | None = None,  # the label of what does not count
        judged: int = -1,  # of a sum: logits, right where they are on the side of ...
        truth: int = -1,  # ... these targets; tensors of the graph
    ) -> None: ...

class Objective:
    """What is made small, and by moving which parameters."""

    def __init__(
        self,
        recipe: Recipe,
        terms: list[LossTerm],
        moves: list[bool] = [],  # each parameter, running statistics too; [] for all
        frozen: list[bool] = [],  # nobody moves it; [] for none
        every: int = 1,  # steps, after which it is due
        name: str = "",
    ) -> None: ...

Sums: TypeAlias = tuple[float, float, float, float, float]
Ended: TypeAlias = tuple[int, int, float, list[Sums]]

class Session:
    """Trains a Network: where the training stands, slots, plan, batcher. For any thread."""

    def __init__(
        self,
        network: Network,
        objectives: list[Objective],
        graph: Graph | None = None,  # that of the losses, a copy that grew; None: the network's own
        scalars: int = 0,  # of a step, that losses and ops go by: the last columns of the knobs
    ) -> None: ...
    # Keeps references to the arrays until release_data, labels aside; float32/float64/uint8 inputs
    # of any strides; targets of each loss int (N,) labels (any integer dtype) or float (N, ...)
    # values; sample weights (N,) or None, of which losses say which one they take; augment (flip,
    # shift, cutout, fill) of images (H, W) or (H, W, C),
    # fill one pixel in the units of the input.
    def set_data(
        self,
        inputs: list[Given],
        targets: list[Given],
        sample_weight: list[Array | None],
        batch_size: int,
        shuffle: bool,
        drop_last: bool = False,
        augment: tuple[bool, int, int, list[float]] | None = None,
        at_once: int = 0,  # samples that go through the network together; 0: all of a batch
    ) -> None: ...
    # One batch: each run does one step on it, which belongs to no epoch. Copied where a snapshot of
    # the weights would cost more.
    def set_batch(
        self, inputs: list[Given], targets: list[Given], sample_weight: list[Array | None]
    ) -> None: ...
    def release_data(self) -> None: ...
    @property
    def data_set(self) -> int: ...  # another number whenever the data were changed
    # Steps from where the session stands, on into later epochs, but none where the one in progress
    # is complete; knobs row i for step i. Losses of steps before `known` are forgotten. Returns the
    # number of updates done; stops after about budget seconds, on Ctrl-C, or before the first
    # update that is not finite (see fault). -1 where Ctrl-C came while it waited for the weights.
    def run(
        self,
        knobs: NDArray[np.float64],  # (count, shared, then each group's)
        known: int,
        budget: float,
    ) -> int: ...
    # False, with a fault, and weights and progress gone back, where a slot is not finite. Looks
    # always, or as often as it costs next to nothing.
    def verify(self, always: bool) -> bool: ...
    @property
    # "what": "loss", "gradient", "update" or "optimizer's state"; "where": layer or parameter;
    # "op"; "direction"; "sample": its number among the data, or None. The step is the one after
    # those done
    def fault(self) -> dict[str, Any] | None: ...
    @property
    # The last step of a method found nothing left to gain, or went beyond the evaluations allowed.
    def ended(self) -> bool: ...
    @property
    def evaluations(self) -> int: ...  # of the objective, by a method for full batches
    def limit_evaluations(self, most: int) -> None: ...
    @property
    def epoch(self) -> int: ...  # without waiting
    @property
    def steps(self) -> int: ...
    @property
    # epoch, batch (done of the epoch in progress), steps, seconds; "sums" over that epoch, of each
    # loss: of samples' losses, of those by the loss's weights, right and all of samples' weights,
    # samples
    def progress(self) -> dict[str, Any]: ...
    def set_progress(
        self,
        epoch: int,
        batch: int,
        steps: int,
        sums: Sequence[Sums],
    ) -> None: ...
    def begin_epoch(self, next: bool) -> None: ...  # the next one, or the one in progress anew
    # Epochs and steps done, losses of steps [first, done), all by their weights: mean (or sum) over
    # the batch; NaN for those said to be known. And the epochs that runs went past since: number,
    # steps done by its end, seconds, sums as in `progress`. All of one moment.
    def record(self, first: int) -> tuple[int, int, NDArray[np.float64], list[Ended]]: ...
    # Records every so-manyth step, counted from 0, from now on; 0 for none. ValueError for several
    # objectives and methods for full batches.
    def set_recording(self, every: int) -> None: ...
    # The recorded steps from `known` on (those before are forgotten), and a row for each: norms of
    # weight, gradient, gradient as clipped and update of each parameter (NaN where it does not
    # move); then mean, deviation, share of dead units and of saturated outputs (NaN where f has no
    # limits) of each op that is watched.
    def recorded(self, known: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]: ...
    @property
    def watched(self) -> list[tuple[str, str]]: ...  # layer and activation
    # An objective (losses + penalties) of one batch in training mode and its gradients; no update.
    def gradients(
        self,
        inputs: list[Given],
        targets: list[Given],
        sample_weight: list[Array | None],
        l1: float | list[float],  # of all groups, or each
        l2: float | list[float],
        objective: int = 0,
        scalars: list[float] = [],
    ) -> tuple[float, dict[str, Array]]: ...
    # Derivatives of one batch in training mode along a direction, all in float64. what: "hessian"
    # or "gauss_newton", of the objective with l2; "outputs", without targets: their derivative
    # along the direction, (samples, width), None where it is empty, and the gradient of
    # <back, outputs>.
    def derive(
        self,
        inputs: list[Given],
        targets: list[Given] | None,
        sample_weight: list[Array | None],
        what: str,
        l2: float | list[float],
        along: dict[str, Array],
        back: Array | None,
        scalars: list[float] = [],
    ) -> tuple[Array | None, dict[str, Array]]: ...
    # Forward only, inference mode, of each loss: (sum of weighted losses, sum of weighted correct,
    # sum of weights)
    def evaluate(
        self,
        inputs: list[Given],
        targets: list[Given],
        sample_weight: list[Array | None],
        batch_size: int,
    ) -> list[tuple[float, float, float]]: ...
    @property
    def slots(self) -> list[str]: ...
    def get_slot(self, slot: str, name: str) -> Array: ...
    # Weights by name, slots by slot and name, progress, all of one moment.
    def copy_out(
        self,
    ) -> tuple[dict[str, Array], dict[str, dict[str, Array]], dict[str, Any]]: ...
    def assign_slots(self, slots: dict[str, dict[str, Array]]) -> None: ...
    # "store", "snapshot", "arena": of the plan that is there, or of one for so many rows
    def steps_by(self) -> str: ...
    def stored(self) -> str: ...
    def memory(self, batch_size: int | None = None) -> dict[str, int]: ...
