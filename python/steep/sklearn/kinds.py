"""Classifiers and regressors: labels and values to targets and back; losses. No training."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax, xlogy
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    type_of_target,
    unique_labels,
)

from ..checks.arrays import Array
from .samples import pair

# A loss of scikit-learn: steep's, and what multiplies it to be theirs, in training and as reported,
# for k outputs: theirs add up the outputs where steep's are means over them.
LOSSES: Mapping[str, tuple[str, Any, Any]] = {
    "squared_error": ("mse", lambda k: k / 2, lambda k: 0.5),
    "poisson": ("poisson", lambda k: k, lambda k: k),
    "log_loss": ("binary_cross_entropy", lambda k: k, lambda k: k),
    "softmax": ("cross_entropy", lambda k: 1, lambda k: 1),
}


def _in_parts(estimator: Any) -> bool:
    """Say whether an estimator can learn a part of the data at a time."""
    if estimator._full_batch:
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers. {estimator._method} is not "
            "stochastic."
        )
    return True


def _refuse_ends(name: str, labels: Any) -> None:
    """Refuse texts that end with NUL: scikit-learn's arrays drop it, and two classes become one."""
    kind = getattr(getattr(labels, "dtype", None), "kind", "O")
    if kind not in "OT" or hasattr(labels, "toarray"):
        return
    for label in np.asarray(labels, object).ravel().tolist():
        if isinstance(label, (str, bytes)) and label[-1:] in ("\0", b"\0"):
            raise ValueError(
                f"{name}: the label {label!r} ends with NUL, which arrays of texts do not keep; "
                "strip or number such labels"
            )


class Classifies(ClassifierMixin):
    """Labels of any type, several a sample, too."""

    def _pair(self, X: Any, y: Any, *, first: bool, incremental: bool) -> tuple[Array, Array, Any]:
        """Return inputs, targets and the labels themselves."""
        _refuse_ends("y", y)
        X, y = pair(self, X, y, reset=first, numeric=False, images=self._images)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            self._refuse_others(y)
        return X, self._targets(y), y

    def _refuse_others(self, y: Any) -> None:
        """Refuse classes that an earlier call did not have."""
        classes = unique_labels(y)
        if self.warm_start and set(classes) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {classes}"
            )
        if len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                "`y` has classes not in `self.classes_`. `self.classes_` has "
                f"{self.classes_}. 'y' has {classes}."
            )

    def _first_classes(self, y: Any, classes: Any) -> None:
        """Take the classes that a first `partial_fit` names."""
        _refuse_ends("classes", classes)
        if _check_partial_fit_first_call(self, classes):
            several = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if several else classes)

    @property
    def _loss_name(self) -> str:
        return "softmax" if self._label_binarizer.y_type_ == "multiclass" else "log_loss"

    @property
    def _several(self) -> bool:
        """Whether a sample may have several labels."""
        return self._label_binarizer.y_type_.startswith("multilabel")

    def _targets(self, y: Any) -> Array:
        """Return labels as the loss takes them: numbers of classes, or 0 and 1."""
        if self._loss_name == "softmax":
            return np.searchsorted(self.classes_, y).astype(np.int32)
        if not self._several:
            second = self.classes_[1:]  # none, where there is one class
            return np.isin(y, second).astype(np.float32)
        return ((y.toarray() if hasattr(y, "toarray") else y) != 0).astype(np.float32)

    def _width(self, y: Array) -> int:
        """Return how many outputs there are."""
        return (
            len(self.classes_) if self._loss_name == "softmax" else 1 if y.ndim == 1 else y.shape[1]
        )

    def _weigh(self, labels: Any, sample_weight: Any, incremental: bool) -> Any:
        """Return weights of samples, those of their classes in them."""
        if self.class_weight is None:
            return sample_weight
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                'class_weight="balanced" needs all samples, and partial_fit sees a part of them: '
                "give a dict, from sklearn.utils.class_weight.compute_class_weight"
            )
        each = compute_sample_weight(self.class_weight, labels)
        return each if sample_weight is None else each * np.asarray(sample_weight, np.float64)

    def _constant(self, y: Array, weights: Array | None) -> float:
        return 0.0

    def _rate_outputs(self, z: Array, y: Array, weights: Array | None) -> float:
        """Return the accuracy of raw outputs."""
        if self._loss_name == "softmax":
            right = z.argmax(axis=1) == y
        else:
            right = ((z > 0) == (y.reshape(z.shape) > 0)).all(axis=1)
        return float(np.average(right, weights=weights))

    @available_if(_in_parts)
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        """Train for one epoch on these samples, going on with the optimizer of earlier calls.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : (K,), optional
            All classes there are; the first call needs them.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            As `fit`, and for a class that the first call did not name.
        """
        self._first_classes(y, classes)
        return self._fit(X, y, sample_weight, incremental=True)

    def decision_function(self, X: Any) -> Array:
        """Return the logits.

        Returns
        -------
        logits : (N,) or (N, K)
            One a sample for two classes, above 0 for the second; else one for each class.
        """
        z = self._outputs(X)
        return z[:, 0] if z.shape[1] == 1 else z

    def predict(self, X: Any) -> Array:
        """Return the most likely class of each sample, or a table (N, K) of 0 and 1."""
        z = self._outputs(X)
        if self._loss_name == "softmax":
            return self.classes_[z.argmax(axis=1)]
        chosen = (z > 0).astype(np.float64)
        return self._label_binarizer.inverse_transform(chosen[:, 0] if z.shape[1] == 1 else chosen)

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class, (N, K), columns as `classes_`."""
        return self._probabilities(X, softmax, expit)

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithms of `predict_proba`; finite where that is rounded to 0, too."""
        found, exact = self.predict_proba(X), self._probabilities(X, log_softmax, log_expit)
        return np.log(found, out=exact, where=found > 0)

    def _probabilities(self, X: Any, of_all: Any, of_one: Any) -> Array:
        z = self._outputs(X)
        exact = z.astype(np.float64)
        if self._loss_name == "softmax":
            found = of_all(exact, axis=1)
        elif self._several:
            found = of_one(exact)
        elif len(self.classes_) == 1:
            found = of_one(np.full_like(exact, np.inf))
        else:
            found = np.hstack([of_one(-exact), of_one(exact)])
        return found.astype(z.dtype, copy=False)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_label = True
        return tags


class Regresses(RegressorMixin):
    """Values, one or several a sample."""

    _loss_name = "squared_error"

    def _pair(self, X: Any, y: Any, *, first: bool, incremental: bool) -> tuple[Array, Array, Any]:
        """Return inputs, targets, and these again."""
        X, y = pair(self, X, y, reset=first, numeric=True, images=self._images)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        y = y if y.dtype in (np.float32, np.float64) else y.astype(np.float64)
        return X, y, y

    def _width(self, y: Array) -> int:
        return 1 if y.ndim == 1 else y.shape[1]

    def _weigh(self, labels: Any, sample_weight: Any, incremental: bool) -> Any:
        return sample_weight

    def _constant(self, y: Array, weights: Array | None) -> float:
        """Return what the reported loss has beside that of steep."""
        if self._loss_name != "poisson":
            return 0.0
        rest = xlogy(y, y) - y
        return float(np.sum(np.average(rest, weights=weights, axis=0)))

    def _values(self, z: Array) -> Array:
        """Return predictions from raw outputs."""
        return np.exp(z) if self._loss_name == "poisson" else z

    def _rate_outputs(self, z: Array, y: Array, weights: Array | None) -> float:
        """Return R^2 of raw outputs; NaN where one is not finite."""
        found = self._values(z).reshape(y.shape)
        if not np.isfinite(found).all():
            return float("nan")
        middle = np.average(y, weights=weights, axis=0)
        total = np.average((y - middle) ** 2, weights=weights, axis=0)
        if not np.all(total > 0):  # rules of its own for constant targets
            return float(r2_score(y, found, sample_weight=weights))
        return float(np.mean(1.0 - np.average((y - found) ** 2, weights=weights, axis=0) / total))

    @available_if(_in_parts)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train for one epoch on these samples, going on with the optimizer of earlier calls.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            As `fit`.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Array:
        """Return the values, (N,) or (N, K)."""
        found = self._values(self._outputs(X))
        return found[:, 0] if found.shape[1] == 1 else found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.multi_output = True
        return tags
