"""Derivatives of a training: gradients, and products with the Hessian, the Jacobian, and others.

The door's part that asks for them and checks what is given; they are computed natively.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks.arrays import array
from ..losses import Loss
from ..losses.composed import OfOps
from ..network import inputs
from . import knobs
from .run import Run

Array: TypeAlias = NDArray[Any]
Direction: TypeAlias = Mapping[str, ArrayLike]
MATRICES = {"hvp": "hessian", "gnvp": "gauss_newton"}  # as the core calls them


class Derivatives:
    """What a `Trainer` can derive of one batch, in training mode: dropout is on.

    Nothing of the network is moved, running statistics neither. Products along directions are
    computed in float64, by dual numbers, whatever the network's precision; they are dicts by the
    names of `gradients`, as directions are; a parameter that a direction leaves out does not move.
    """

    _run: Run

    def gradients(
        self, X: Any, y: Any = None, sample_weight: Any = None, objective: str | None = None
    ) -> tuple[float, dict[str, Array]]:
        """Return the objective of one batch, penalties included, and its gradients; no update.

        With ``maximize=True`` the penalties are taken off the loss: climbing it decays the weights.
        Of several objectives the one of that name, or the first.

        Returns
        -------
        loss, gradients
            The gradients by the names and in the shapes of ``net.state_dict()``. Dropout is on.

        Raises
        ------
        TypeError, ValueError
            As in `fit`.
        """
        with self._run.untouched():
            data = self._run.data(X, y, sample_weight)
        return self._run.gradients(data, objective)

    def hvp(self, X: Any, y: Any, v: Direction, sample_weight: Any = None) -> dict[str, Array]:
        """Return H v, H the Hessian of the objective of one batch (Pearlmutter 1994).

        The objective is that of `gradients`: the penalty l2 adds l2*v, l1 nothing. At kinks, of
        ReLU at 0 for one, derivatives are those that training has.

        Parameters
        ----------
        X, y, sample_weight
            One batch, as `fit` takes it.
        v
            The direction: arrays by the names and in the shapes of ``gradients()``.

        Returns
        -------
        Arrays by name, float64.

        Raises
        ------
        TypeError, ValueError
            As in `fit`; and if the direction has an unknown name, another shape, or values that are
            not finite.
        """
        return self._second("hvp", X, y, v, sample_weight)

    def gnvp(self, X: Any, y: Any, v: Direction, sample_weight: Any = None) -> dict[str, Array]:
        """Return G v, G = J^T H_L J the Gauss-Newton matrix of the objective (Schraudolph 2002).

        J is the Jacobian of the outputs, H_L the Hessian of the loss in them; the penalty l2 adds
        l2*v. For mean squares it is the matrix of Gauss and Newton, for cross entropy the Fisher
        information of the model. It has no negative eigenvalues where the loss is convex in the
        outputs.

        Parameters, results and errors are those of `hvp`.
        """
        return self._second("gnvp", X, y, v, sample_weight)

    def jvp(self, X: Any, v: Direction) -> Array:
        """Return the derivative of the outputs along a direction: J v, of (N, ...), float64.

        Parameters
        ----------
        X
            One batch, as `fit` takes it.
        v
            The direction, as `hvp` takes it.

        Raises
        ------
        TypeError, ValueError
            As in `hvp`.
        """
        given, along = self._batch(X), self._along("jvp", v)
        if not along:  # nothing moves: the core derives along what does
            return np.zeros((len(given[0]), *self._run.settings.output_shape()))
        found, _ = self._run.session().derive(
            given, None, [], "outputs", 0.0, along, None, self._scalars()
        )
        assert found is not None
        return found.reshape(len(found), *self._run.settings.output_shape())

    def vjp(self, X: Any, u: ArrayLike) -> dict[str, Array]:
        """Return J^T u, the gradient of sum(u * outputs), by name and in float64.

        Parameters
        ----------
        X
            One batch, as `fit` takes it.
        u
            Of the outputs' shape, (N, ...).

        Raises
        ------
        TypeError, ValueError
            As in `fit`; and if `u` has another shape or values that are not finite.
        """
        given = self._batch(X)
        wanted = (len(given[0]), *self._run.settings.output_shape())
        back = _finite("vjp: u", u, wanted)
        return self._run.session().derive(
            given, None, [], "outputs", 0.0, {}, back, self._scalars()
        )[1]

    def _scalars(self) -> list[float]:
        return knobs.scalars_now(self._run.settings, self._run.steps, self._run.epoch)

    def _second(
        self, name: str, X: Any, y: Any, v: Direction, sample_weight: Any
    ) -> dict[str, Array]:
        run = self._run
        with run.untouched():
            data = run.data(X, y, sample_weight)
            along = self._along(name, v)
        if name == "gnvp" and any(isinstance(loss, OfOps) for loss in self._losses()):
            raise ValueError("gnvp: takes built-in losses of outputs, whose curvature is known")
        _, l2 = knobs.penalties(run.settings, run.steps, run.epoch)
        return run.session().derive(*data, MATRICES[name], l2, along, None, self._scalars())[1]

    def _losses(self) -> list[Loss]:
        return list(self._run.settings.goal.losses.values())

    def _batch(self, X: Any) -> list[Any]:
        """Return inputs checked, building the network where it is not built."""
        run, settings = self._run, self._run.settings
        with run.untouched():
            settings.build()
            arrays = inputs.features(X, settings.net, precision=settings.precision)
            if not settings.net.built:
                settings.build(tuple(tuple(a.shape[1:]) for a in arrays))
            inputs.whole_numbers(arrays, settings.net._described().graph)
            run.session()
        return arrays

    def _along(self, who: str, v: object) -> dict[str, Array]:
        """Return a direction checked against the parameters that are trained."""
        if not isinstance(v, Mapping):
            raise TypeError(
                f"{who}: v must be a dict of arrays by name, as gradients() returns, "
                f"got {type(v).__name__}"
            )
        native = self._run.settings.net._native
        still = self._run.settings.still()
        shapes = {
            name: shape
            for name, shape in native.parameters()
            if native.trained(name) and name not in still
        }
        unknown = [name for name in v if name not in shapes]
        if unknown:
            raise ValueError(f"{who}: v has {unknown[0]!r}; trained are {', '.join(shapes)}")
        return {name: _finite(f"{who}: v[{name!r}]", a, shapes[name]) for name, a in v.items()}


def _finite(where: str, given: object, shape: tuple[int, ...]) -> Array:
    values = np.ascontiguousarray(array(where, given), dtype=np.float64)
    if values.shape != shape:
        raise ValueError(f"{where}: expects shape {shape}, got {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"{where}: has values that are not finite")
    return values
