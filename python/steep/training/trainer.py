"""`Trainer`: the door to a training, with its settings, its place and its file. `run` trains.

What it does with samples is `fitting`, what it derives of them `derivatives`.
"""

import copy
from collections.abc import Mapping, Sequence
from html import escape
from os import PathLike
from typing import Any

from .. import optimizers
from ..averages import Average
from ..checks.numbers import whole
from ..network.network import Network
from ..network.weights import of_weights
from . import resume
from .derivatives import Derivatives
from .fitting import Fitting
from .history import History
from .objective import Objective, settings_of
from .run import Run
from .settings import FIXED, OWN, Settings


class Trainer(Fitting, Derivatives):
    """Trains a network: w is moved to make the mean over samples of loss(net(x), y) small.

    Penalties, limits and every hyper-parameter of the optimizer are attributes, which may be
    assigned at any time, by a callback, too: ``trainer.lr = 1e-4``, ``trainer.l2 = 0.0``. What is
    assigned holds from the next step on, is what ``history["lr"]`` tells and checkpoints keep.

    One `fit` or `step` runs at a time; a second one from another thread is refused. `evaluate`,
    `gradients`, `save` and the network's `predict` may be called from any thread meanwhile: each
    sees the weights of one moment between two steps. Two trainers may train one network, each the
    weights it finds.

    Parameters
    ----------
    net
        A `Sequential` or `Model`. Where it is not built yet, `seed` draws its
        weights.
    loss
        A name or one of `steep.losses`, or a function of an output and its target, made of
        `steep.ops` (`losses.Custom`). For several outputs a dict by their names; outputs that are
        not in it are not trained on. None: only what layers add (`Layer.add_loss`).
    optimizer
        A name or one of `steep.optimizers`.
    objectives
        Several `steep.Objective`, in the place of `loss` and everything that is one's own: each
        trains weights of its own by an optimizer of its own, one after the other in every step.
        Histories show every loss, and as ``"loss"`` the sum of all.
    groups
        Other optimizers or settings for some parameters, by patterns of their names, the first one
        that matches: ``{"head.*": Adam(1e-3), "*.bias": {"lr": 0.1, "weight_decay": 0}, "stem":
        {"lr_factor": 0.5}}``. A pattern may be a layer's name. Settings are hyper-parameters of the
        optimizer, `lr_factor`, ``"optimizer"``, `l1`, `l2`, `clip_value` and `clip_parameter`.
        Where groups take all parameters no `optimizer` is needed.
    loss_weights
        What losses are multiplied by, a dict by outputs (by the loss's name for the only one that
        has no name) and by the names of losses that layers add: numbers, or schedules for every
        step. 1 for those left out. Histories show each loss as it is, and as ``"loss"`` their
        weighted sum.
    metrics
        ``("accuracy",)``, the default for classification, or ``()``; a dict for several outputs.
    l1, l2
        Penalties l1*sum|w| + l2/2*sum w^2 on weights, not biases; >= 0, numbers or schedules.
    decay_bias
        Whether penalties and weight decay take the biases too.
    clip_norm
        Longest gradient allowed: g = g*clip_norm/|g| beyond, over all weights (Pascanu 2013). A
        schedule may reach 0, which lets nothing pass.
    clip_value
        Largest element of a gradient allowed, before `clip_parameter`.
    clip_parameter
        Longest gradient of any one parameter allowed, each by itself, before `clip_norm`; Keras
        calls it `clipnorm`.
    average
        One of `steep.averages`, or its name: an average of the weights that follows them
        (`averaged`), or that they come back to (`Lookahead`).
    sam
        Sharpness-aware minimisation (Foret et al. 2021): the gradient is taken at w + sam*g/|g|, so
        that each step costs two; >= 0, 0 for none.
    sam_adaptive
        In the measure of each weight (Kwon et al. 2021): at w + sam*w^2*g/|w*g|.
    reduction
        ``"mean"`` over the batch's samples, ``"sum"``, or ``"weighted_mean"``: the sum of losses
        times weights over the sum of weights, as PyTorch has it for classes and scikit-learn for
        samples; where all weights of a batch are 0 it is 0. Histories show means in every case,
        except the losses of single steps.
    precision
        ``"float32"``, or ``"float64"``: half as many numbers in a vector and twice the bytes. With
        ``device="cuda"`` also ``"tf32"`` or ``"bfloat16"``: products and convolutions are made by
        tensor cores, which round both factors to 11 or 8 bits; sums, weights and slots are float32.
        In the latter images and their gradients are kept in it where all that meets them can.
    device
        ``"cpu"``, or ``"cuda"`` for an NVIDIA GPU in a build that has it: float32, and for networks
        of dense layers the same bytes as on a CPU with AVX2. The network moves there.
    seed
        Of initial weights, order of samples and dropout. Equal seeds give equal bytes, whatever the
        number of threads.

    Raises
    ------
    TypeError, ValueError
        If an argument is unknown or out of range.
    RuntimeError
        For a device that this build does not have.
    """

    net: Network
    loss: Any
    loss_weights: dict[str, Any]
    metrics: Any
    objectives: tuple[Objective, ...]
    average: Average | None
    sam_adaptive: bool
    decay_bias: bool
    reduction: str
    precision: str
    device: str
    seed: int

    def __init__(
        self,
        net: Network,
        loss: Any = None,
        optimizer: Any = None,
        *,
        objectives: Sequence[Objective] | None = None,
        groups: Mapping[str, Any] | None = None,
        loss_weights: Mapping[str, Any] | None = None,
        metrics: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
        l1: Any = 0.0,
        l2: Any = 0.0,
        decay_bias: bool = False,
        clip_norm: Any = None,
        clip_value: Any = None,
        clip_parameter: Any = None,
        average: Any = None,
        sam: Any = 0.0,
        sam_adaptive: bool = False,
        reduction: str = "mean",
        precision: str = "float32",
        device: str = "cpu",
        seed: int = 0,
    ) -> None:
        common = {"l1": l1, "l2": l2, "clip_norm": clip_norm, "clip_value": clip_value}
        common |= {"clip_parameter": clip_parameter, "sam": sam}
        fixed: dict[str, Any] = {"metrics": metrics, "decay_bias": decay_bias, "seed": seed}
        fixed |= {
            "average": average,
            "reduction": reduction,
            "precision": precision,
            "device": device,
        }
        fixed |= {"sam_adaptive": sam_adaptive, "loss_weights": loss_weights}
        if objectives is None:
            self._run = Run(Settings(net, loss, optimizer, common, fixed, given=groups))
            return
        given = common | {name: fixed[name] for name in OWN}
        given |= {"loss": loss, "optimizer": optimizer, "groups": groups}
        for name, value in given.items():
            if value not in (None, 0.0, False):
                raise ValueError(
                    f"Trainer: {name} is an objective's; give it to steep.Objective, not beside "
                    "objectives"
                )
        self._run = Run(settings_of(net, objectives, fixed))

    def __repr__(self) -> str:
        what = f"{self.loss!r}, {self.optimizer!r}"
        if self.objectives:
            what = f"objectives={[*self.objectives]!r}"
        return f"Trainer({type(self.net).__name__}, {what}, epoch={self.epoch}, steps={self.steps})"

    def _repr_html_(self) -> str:
        """Show the trainer, its network and its last epochs, in notebooks."""
        parts = (self.net._repr_html_(), self.history._repr_html_() if len(self.history) else None)
        return f"<pre>{escape(repr(self))}</pre>" + "".join(part for part in parts if part)

    def __getattr__(self, name: str) -> Any:
        """Return a setting, a hyper-parameter of the optimizer too, as it was given."""
        if name == "_run":  # while it is made or copied
            raise AttributeError(f"Trainer has no attribute {name!r}")
        return self._run.settings.get(name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Take hyper-parameters by name; refuse what would have no effect."""
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        elif name in self._run.settings:
            self._run.set(name, value)
        elif type(self) is Trainer and not hasattr(Trainer, name):  # no user's own
            names = ", ".join(self._run.settings.names)
            raise AttributeError(f"Trainer: has no setting {name!r}; settings are {names}")
        else:
            object.__setattr__(self, name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *FIXED, *self._run.settings.names})

    @property
    def optimizer(self) -> optimizers.Optimizer:
        """The optimizer; of several objectives the first one's.

        Another one may be assigned, of the same update rule once steps are done.

        Raises
        ------
        ValueError
            If its rule is another one than that of the steps done.
        """
        return self._run.settings.optimizer

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return self._run.epoch

    @property
    def steps(self) -> int:
        """Updates done."""
        return self._run.steps

    @property
    def finished(self) -> bool:
        """Whether no `fit` is under way or was cut short."""
        call = self._run.place.call
        return call is None or call.done

    @property
    def logged(self) -> list[str]:
        """What the current `fit` measures, by the names that `history` has."""
        return self._run.logged

    @property
    def history(self) -> History:
        """What was recorded so far, by every `fit` and `step` of this trainer."""
        return self._run.record()

    def averaged(self) -> Network:
        """Return a copy of the network with the average of the weights in their place.

        Running statistics are those of the network.

        Raises
        ------
        RuntimeError
            If the trainer keeps no average, or it has not begun.
        """
        average = self._run.averaged()
        net = copy.deepcopy(self.net)
        net.load_state_dict(average)
        return net

    def memory(self, batch_size: int = 32) -> dict[str, int]:
        """Return the bytes that training on batches of `batch_size` takes, before it begins.

        Returns
        -------
        memory
            ``"store"``: weights and the optimizer's slots; ``"snapshot"``: the copy of them that
            finds back to the last good weights; ``"arena"``: activations, their gradients and
            scratch memory; ``"total"``. The user's data are not in it.

        Raises
        ------
        ValueError
            If the network is not built yet.
        """
        return self._run.memory(whole("", "batch_size", batch_size))

    def save(self, path: str | PathLike[str]) -> None:
        """Write everything to one safetensors file, whole or not at all.

        Weights, slots, counters, seeds, settings, history, the place within the epoch and the state
        of callbacks; not the data, and no times: equal trainings give equal bytes.

        Raises
        ------
        OSError
            If it cannot be written.
        ValueError
            If a schedule is a Python function.
        NonFiniteError
            If the optimizer's state is not finite any more, which could not be loaded again.
        """
        resume.save(self._run, path)

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        custom_objects: Mapping[str, Any] | None = None,
        net: Network | None = None,
        device: str | None = None,
    ) -> "Trainer":
        """Return the trainer that `save` wrote; what it does next is what that one would have done.

        Parameters
        ----------
        path
            Of the file.
        custom_objects
            Your own layer classes by name, and functions of `losses.Custom`.
        net
            The network to fill, instead of one made from the file's description.
        device
            Where to go on; None for the device that the file was written on. What a GPU trained in
            ``"tf32"`` or ``"bfloat16"`` goes on in ``"float32"`` on the CPU.

        Raises
        ------
        OSError
            If there is no such file.
        ValueError
            If it is damaged, no checkpoint of a trainer, or does not fit `net`; nothing changes.
        RuntimeError
            If it was written on a device that is not here: name another one.
        """
        with resume.opened(path) as (tensors, about):
            functions = {k: f for k, f in (custom_objects or {}).items() if not isinstance(f, type)}
            options = resume.settings(about, functions)
            if device is not None:
                options["device"] = device
            if device == "cpu":
                options["precision"] = of_weights(options.get("precision", "float32"))
            target = resume.network(tensors, about, custom_objects or {}) if net is None else net
            trainer = cls(target, **options)
            resume.unpack(trainer._run, tensors, about)
        return trainer

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle as settings, network and, once steps are done, what `save` keeps."""
        return resume.state(self._run)

    def __setstate__(self, state: dict[str, Any]) -> None:
        given = {"optimizer": state["optimizer"], "groups": state.get("groups")}
        fixed = dict(state["fixed"])
        fixed["objectives"] = fixed.get("objectives") or None
        Trainer.__init__(self, **given, **fixed, **state["common"])
        resume.set_state(self._run, state)
