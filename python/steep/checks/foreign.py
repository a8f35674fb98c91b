"""What arguments are called in other libraries: a call that has such a name is told ours.

`explain` and `explained` are put around what users call, by `steep/__init__.py` and
`steep/sklearn/__init__.py`; the tables are below.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from types import ModuleType
from typing import Any

# Names of Keras, scikit-learn, PyTorch, XGBoost, and what they are here: the first that is taken.
NAMES: Mapping[str, tuple[str, ...]] = {
    "activation_fn": ("activation",),
    "alpha": ("l2",),
    "batch": ("batch_size",),
    "batches": ("batch_size",),
    "beta_1": ("beta1",),
    "beta_2": ("beta2",),
    "bias": ("use_bias",),
    "bs": ("batch_size",),
    "class_weights": ("class_weight",),
    "clipnorm": ("clip_norm",),
    "clipvalue": ("clip_value",),
    "dilation_rate": ("dilation",),
    "drop_prob": ("rate", "dropout"),
    "dropout_rate": ("rate", "dropout"),
    "early_stopping_rounds": ("patience",),
    "embedding_dim": ("units",),
    "epoch": ("epochs",),
    "epochs_": ("epochs",),
    "epsilon": ("eps",),
    "eta": ("lr",),
    "eval_set": ("validation",),
    "features": ("units", "filters"),
    "hidden_size": ("units",),
    "initializer": ("init",),
    "input_dim": ("vocabulary",),
    "inputs": ("X",),
    "kernel_initializer": ("init",),
    "kernel_size": ("kernel", "size"),
    "labels": ("y",),
    "learning_rate": ("lr",),
    "learning_rate_init": ("lr",),
    "lr": ("learning_rate_init",),
    "max_epochs": ("epochs", "max_iter"),
    "max_iter": ("epochs",),
    "max_norm": ("clip_norm",),
    "minibatch_size": ("batch_size",),
    "n_epochs": ("epochs", "max_iter"),
    "n_heads": ("heads",),
    "nb_epoch": ("epochs", "max_iter"),
    "negative_slope": ("alpha",),
    "nesterovs_momentum": ("nesterov",),
    "num_embeddings": ("vocabulary",),
    "num_epochs": ("epochs", "max_iter"),
    "num_heads": ("heads",),
    "out_channels": ("filters",),
    "out_features": ("units",),
    "output_dim": ("units",),
    "p": ("rate",),
    "pool_size": ("size",),
    "random_seed": ("seed",),
    "random_state": ("seed",),
    "recurrent_initializer": ("recurrent_init",),
    "restore_best_weights": ("restore_best",),
    "seed": ("random_state",),
    "step_size": ("lr", "every"),
    "strides": ("stride",),
    "target": ("y",),
    "targets": ("y",),
    "training_data": ("X",),
    "val_data": ("validation",),
    "valid": ("validation",),
    "validation_data": ("validation",),
    "verbose": ("progress",),
    "weight": ("sample_weight",),
    "weights": ("sample_weight",),
    "x": ("X",),
}
# What has no name here because it stands elsewhere.
ELSEWHERE: Mapping[str, str] = {
    "betas": "beta1= and beta2= are two numbers",
    "from_logits": "losses take logits always; leave softmax and sigmoid away",
    "in_channels": "what comes in is found when the network is built",
    "in_features": "what comes in is found when the network is built",
    "input_dim": "net.build(shape), or the first fit, says what comes in",
    "input_shape": "net.build(shape), or the first fit, says what comes in",
    "input_size": "what comes in is found when the network is built",
    "kernel_regularizer": "penalties are the trainer's: Trainer(net, loss, l1=, l2=)",
    "label_smoothing": "the loss has it: steep.losses.CrossEntropy(label_smoothing=0.1)",
    "learning_rate": "the optimizer has it: Trainer(net, loss, steep.optimizers.Adam(lr=1e-3))",
    "loss": "the trainer has it: Trainer(net, loss, optimizer)",
    "loss_fn": "the trainer has it: Trainer(net, loss, optimizer)",
    "lr": "the optimizer has it: Trainer(net, loss, steep.optimizers.Adam(lr=1e-3))",
    "metrics": "accuracies of labels are measured by themselves, others by steep.metrics",
    "optimizer": "the trainer has it: Trainer(net, loss, optimizer)",
    "steps_per_epoch": "an epoch is all samples; give fewer of them",
    "validation_split": "steep.data.split parts the samples, validation=(Xv, yv) takes them",
    "weight_decay": "the optimizer has it: steep.optimizers.AdamW(weight_decay=0.01)",
    "workers": "steep.set_num_threads(n)",
}


def explained(call: Callable[..., Any], name: str = "") -> Callable[..., Any]:
    """Return a call whose unknown arguments are answered by what they are called here.

    `name` is how messages call it; that of the object's class where there is none.
    """

    @functools.wraps(call)
    def told(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        except TypeError:
            if kwargs and (said := _unknown(call, kwargs)):
                raise TypeError(f"{name or type(args[0]).__name__}: {said}") from None
            raise

    return told


def explain(kind: type, methods: Iterable[str] = ()) -> None:
    """Put `explained` around a class's constructor and some of its methods."""
    made: Any = inspect.getattr_static(kind, "__init__")
    if made is not object.__init__:
        kind.__init__ = explained(made)  # type: ignore[misc]  # as it is meant
    for method in methods:
        setattr(kind, method, explained(getattr(kind, method), f"{kind.__name__}.{method}"))


def explain_all(room: ModuleType) -> None:
    """Put `explained` around the constructors of all classes of a package."""
    for kind in (getattr(room, name) for name in room.__all__):
        if isinstance(kind, type) and not inspect.isabstract(kind):
            explain(kind)


def _unknown(call: Callable[..., Any], given: Mapping[str, Any]) -> str:
    """Return what is wrong with the names of arguments; nothing where they are all known."""
    parameters = inspect.signature(call).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return ""
    own = [p.name for p in parameters if p.kind not in (p.POSITIONAL_ONLY, p.VAR_POSITIONAL)]
    known = [name for name in own if name != "self"]
    found = [_hint(name, known) for name in given if name not in own]
    if not found:
        return ""
    return f"{'; '.join(found)}. It takes {', '.join(known) or 'none'}"


def _hint(name: str, known: list[str]) -> str:
    """Return what an unknown name is here."""
    for ours in NAMES.get(name, ()):
        if ours in known:
            return f"takes no {name}=; here it is {ours}="
    near = get_close_matches(name, known, n=1, cutoff=0.7)
    if name in ELSEWHERE and not (near and near[0].lower() == name.lower()):
        return f"takes no {name}=: {ELSEWHERE[name]}"
    return f"takes no {name}=" + (f"; did you mean {near[0]}=?" if near else "")
