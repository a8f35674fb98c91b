"""The losses of a training, named and weighted, and the native objectives made of them.

What users may write for losses is checked here; how parameters are moved is `settings`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from .. import _core, losses, schedules
from ..checks.names import choose
from ..checks.numbers import ANY
from ..losses import Custom, Loss
from ..network import Shape, Tensor
from ..network.description import Added
from ..network.network import Network
from ..network.scope import Scope

Weight: TypeAlias = "float | schedules.Schedule"
Sums: TypeAlias = Sequence[float]  # loss, by its weights, right, weight, samples


class Goal(NamedTuple):
    """What is to be made small: losses of outputs by their names, and their weights."""

    losses: Mapping[str, Loss]
    weights: Mapping[str, Any]  # of outputs and of losses that layers add
    metrics: Mapping[str, tuple[str, ...]]


class Wanted(NamedTuple):
    """An array of targets that a loss takes."""

    output: str
    loss: Loss
    shape: Shape  # of the output, or what the loss says


class Counting(Protocol):
    """What is asked of data: how many samples there are, or positions that count."""

    @property
    def samples(self) -> int: ...  # noqa: D102
    def counted(self, wanted: Wanted, number: int, output: int) -> int: ...  # noqa: D102
    def positions(self, output: int) -> int: ...  # noqa: D102


@dataclass(frozen=True)
class Term:
    """One loss of an objective."""

    name: str  # in histories
    accuracy: str | None  # and of its share of right ones
    weight: Weight
    target: int = -1  # which array of targets
    output: int = -1  # whose weights of samples are its
    by_sample: bool = False  # its mean over all samples is taken over their number


def outputs_of(net: Network, count: int) -> tuple[str, ...]:
    """Return the names of a network's outputs: "" of the only one that has none."""
    if net.output_names is not None:
        return net.output_names
    return ("",) if count == 1 else tuple(f"output_{k}" for k in range(count))


def goal(loss: Any, weights: Any, metrics: Any) -> Goal:
    """Return what a user wrote, checked as far as it can be without the network.

    Raises
    ------
    TypeError, ValueError
        If something is no loss, no weight, or no metric.
    """
    given = dict(loss) if isinstance(loss, Mapping) else {"": loss}
    if loss is None:
        given = {}
    found = {name: losses.get(each) for name, each in given.items()}
    if weights is not None and not isinstance(weights, Mapping):
        raise TypeError(
            f"loss_weights: expects a dict of numbers by output, got {type(weights).__name__}"
        )
    each = {
        name: schedules.base.of("loss_weights", name, weight, ANY)
        for name, weight in (weights or {}).items()
    }
    return Goal(found, each, _metrics(metrics, found))


def _metrics(given: Any, found: Mapping[str, Loss]) -> dict[str, tuple[str, ...]]:
    if given is None:
        return {name: ("accuracy",) for name, loss in found.items() if _counts_right(loss)}
    by_name = given
    if not isinstance(given, Mapping):
        names = tuple(given) if not isinstance(given, str) else (given,)
        if not names:
            return {}
        by_name = {name: names for name in found}
    metrics = {}
    for name, names in by_name.items():
        choose("metrics: output", name, dict.fromkeys(found))
        metrics[name] = tuple(names) if not isinstance(names, str) else (names,)
        for metric in metrics[name]:
            choose("metric", metric, {"accuracy": 0})
            if not _counts_right(found[name]):
                raise ValueError(
                    f"accuracy: counts right classes, but {found[name].name} is for values"
                )
    return metrics


def _counts_right(loss: Loss) -> bool:
    return loss.classification or loss.judged


class Terms:
    """The terms of all objectives of a training, over one graph.

    Parameters
    ----------
    net
        Built.
    goals
        Of each objective, with its name.

    Raises
    ------
    TypeError, ValueError
        If a loss, a weight or a metric is for no output of the network, or nothing is left to make
        small.
    """

    def __init__(self, net: Network, goals: Mapping[str, Goal]) -> None:
        self.net = net
        self.about = net._described()
        self.outputs = outputs_of(net, len(self.about.outputs))
        self.terms: list[Term] = []
        self.wanted: list[Wanted] = []
        self.scalars = list(self.about.scalars)  # of every step, beside the knobs
        self.native: list[list[_core.LossTerm]] = []  # of each objective
        self.graph = self.about.graph
        self._scope: Scope | None = None
        self.whole: list[int] = []  # outputs with a loss that takes their positions together
        self.totals: list[tuple[str, range]] = []  # of objectives with several losses
        for number, (name, each) in enumerate(goals.items()):
            self.native.append([])
            first = len(self.terms)
            # What layers add is the first objective's.
            self._add(name, each, self.about.losses if number == 0 else [])
            if name and len(self.terms) > first + 1:
                self.totals.append((f"{name}_loss", range(first, len(self.terms))))
        # One loss, as it is: then it is the whole of what histories call so.
        self.single = len(self.terms) == 1 and self.terms[0].name == "loss"
        # Sums by weights say nothing new.
        self.plain = len(self.terms) == 1 and self.terms[0].weight == 1.0
        self.scheduled = any(isinstance(each.weight, schedules.Schedule) for each in self.terms)
        # Losses that have weights of classes, by the place of their targets.
        self.classed = [
            (k, self.outputs.index(wanted.output), wanted)
            for k, wanted in enumerate(self.wanted)
            if getattr(wanted.loss, "class_weight", None) is not None
        ]

    def _add(self, objective: str, given: Goal, extra: Sequence[Added]) -> None:
        added = {loss.name: loss for loss in extra}
        own = [self.outputs[self._output(n)] or loss.name for n, loss in given.losses.items()]
        known = dict.fromkeys((*own, *added))
        named = self.net.output_names is not None and not objective
        many = len(given.losses) + len(added) > 1 or named
        prefix = f"{objective}_" if objective else ""
        for name, loss in given.losses.items():
            output = self._output(name)
            label = self.outputs[output]
            own_name = f"{label}_loss" if label else loss.name
            shown = own_name if many else "loss"
            metrics = given.metrics.get(name, ())
            accuracy = f"{label}_accuracy" if label and many else "accuracy"
            self._term(
                Term(
                    prefix + shown,
                    prefix + accuracy if metrics else None,
                    _weight(given.weights, label or loss.name),
                ),
                self._of_output(output, loss),
            )
        for name, loss_ in added.items():
            weight = _times(loss_.weight, _weight(given.weights, name))
            self._term(Term(prefix + name, None, weight), {"tensor": loss_.tensor, "option": 1.0})
        for name in given.weights:
            choose("loss_weights: output", name, known)
        if not self.native[-1]:
            raise ValueError(
                "Trainer: there is nothing to make small; give it a loss, or layers that add one"
            )

    def _output(self, name: str) -> int:
        if name in self.outputs:
            return self.outputs.index(name)
        if name == "" and len(self.outputs) == 1:
            return 0
        if name == "":
            known = ", ".join(f'"{each}"' for each in self.outputs)
            raise ValueError(
                f"Trainer: the network has {len(self.outputs)} outputs, {known}; "
                f'loss expects a dict by them, as {{"{self.outputs[0]}": "mse"}}'
            )
        choose("loss: output", name, {each: 0 for each in self.outputs if each})
        raise AssertionError

    def _of_output(self, output: int, loss: Loss) -> dict[str, Any]:
        """Return a term on an output as the core takes it; ops of the loss come into the graph."""
        shape = self.about.output_shapes[output]
        target = -1
        if loss.targeted:
            wanted = Wanted(self.outputs[output], loss, shape)
            if isinstance(loss, Custom) and isinstance(loss.target, tuple):
                wanted = wanted._replace(shape=loss.target)
            target = len(self.wanted)
            self.wanted.append(wanted)
        if not loss._of_ops:
            return {
                "tensor": self.about.outputs[output], "loss": loss.name, "option": loss.option,
                "target": target, "weights": output, "by_position": loss.by_position,
                "ignored": loss._ignored,
            }  # fmt: skip
        scope = self._own_scope()
        y = Tensor(shape, scope=scope, index=self.about.outputs[output])
        t = None
        if loss.targeted:
            shape = self.wanted[target].shape
            t = Tensor(shape, scope=scope, index=self.graph.target(shape, target))
        who = loss.label if isinstance(loss, Custom) else loss.name
        self.graph.name_next(f'loss "{who}"')
        made = loss._build(y, t)
        if not isinstance(made, Tensor) or made._scope is not scope or made._parameter:
            raise TypeError(f"loss {who!r}: must return a symbolic tensor, got {made!r}")
        if made.shape[:-1] != y.shape[:-1]:
            self.whole.append(output)
        judged = {"judged": y._index, "truth": t._index} if loss.judged and t is not None else {}
        return {
            "tensor": made._index, "target": target, "weights": output,
            "option": 1.0 / math.prod(made.shape), **judged,
        }  # fmt: skip

    def _own_scope(self) -> Scope:
        """Return the scope of a graph that may grow: a copy of the network's."""
        if self._scope is None:
            self.graph = self.graph.copy()
            self._scope = Scope(graph=self.graph, scalars=self.scalars)
        return self._scope

    def _term(self, term: Term, given: dict[str, Any]) -> None:
        names = [each.name for each in self.terms]
        if term.name in names:
            raise ValueError(f"Trainer: two losses are called {term.name!r}; names must differ")
        weight: dict[str, Any] = {"weight": term.weight}
        if isinstance(term.weight, schedules.Schedule):
            weight = {"scalar": len(self.scalars)}
            self.scalars.append(schedules.base.OfStep(term.weight, ANY, "the weight of a loss"))
        target, output = given.get("target", -1), given.get("weights", -1)
        plain = target >= 0 and len(self.wanted[target].shape) == 1
        by_sample = plain and self.wanted[target].loss._ignored is None
        self.terms.append(replace(term, target=target, output=output, by_sample=by_sample))
        self.native[-1].append(_core.LossTerm(term.name, **{"loss": None, **given, **weight}))

    # -- numbers -------------------------------------------------------------------------------

    @property
    def names(self) -> list[str]:
        """What is measured, by the names that histories have."""
        own = [] if self.single else [term.name for term in self.terms]
        own += [name for name, _ in self.totals]
        return ["loss", *own, *(term.accuracy for term in self.terms if term.accuracy is not None)]

    def logs(self, sums: Sequence[Sums], by_weight: bool) -> dict[str, float]:
        """Return losses and accuracies of what was summed; NaN where no sample was met.

        `by_weight`: means are over the weights of samples, not their number.
        """
        if self.single:
            logs = {"loss": _mean(sums[0], 1, by_weight)}
        else:
            logs = {"loss": _total(sums, by_weight)}
            for term, each in zip(self.terms, sums, strict=True):
                logs[term.name] = _mean(each, 0, by_weight)
        for name, of in self.totals:
            logs[name] = _total([sums[k] for k in of], by_weight)
        for term, (_, _, right, weight, _) in zip(self.terms, sums, strict=True):
            if term.accuracy is not None:
                logs[term.accuracy] = right / weight if weight > 0 else math.nan
        return logs

    def lead(self, output: str) -> Shape:
        """Return the axes of an output's positions, where its losses take them one by one."""
        k = self.outputs.index(output)
        return () if k in self.whole else self.about.output_shapes[k][:-1]

    def counted(self, term: Term, data: Counting) -> int:
        """Return what the mean of a term over all samples is taken over."""
        if term.target < 0:
            return data.samples * data.positions(term.output)
        wanted = self.wanted[term.target]
        return data.counted(wanted, term.target, self.outputs.index(wanted.output))

    def weight(self, term: Term, at: tuple[float, float]) -> float:
        """Return the weight of a term at a step and epoch."""
        if not self.scheduled:
            return term.weight  # type: ignore[return-value]
        step, epoch = (np.array([t]) for t in at)
        return float(np.asarray(schedules.base.evaluate(term.weight, step, epoch)).item())


def _mean(sums: Sums, what: int, by_weight: bool) -> float:
    """Return the mean of a term's losses, or of those by its weights; NaN where there are none."""
    if not sums[4]:
        return math.nan
    over = sums[3] if by_weight else sums[4]
    return sums[what] / over if over else 0.0


def _total(sums: Sequence[Sums], by_weight: bool) -> float:
    there = [_mean(each, 1, by_weight) for each in sums if each[4]]
    return sum(there, 0.0) if there else math.nan


def _weight(weights: Mapping[str, Any], name: str) -> Weight:
    found: Weight = weights.get(name, 1.0)
    return found


def _times(a: Weight, b: Weight) -> Weight:
    if isinstance(a, schedules.Schedule) or isinstance(b, schedules.Schedule):
        if not isinstance(a, schedules.Schedule) and a == 1.0:
            return b
        if not isinstance(b, schedules.Schedule) and b == 1.0:
            return a
        return schedules.Product((a, b))
    return a * b
