"""Law 10: products with derivatives fit each other, and are those of PyTorch's double backward."""

import numpy as np
from laws import parity
from laws.playing import Broken, Skip, loss_weight, start

BOUND = 1e-9  # of the largest numbers, in float64


def derivatives(case):
    """H and G are symmetric, J and its transpose are one matrix, H v and J v are PyTorch's."""
    if case.uses("GradientReversal"):
        raise Skip("its gradient is that of no objective")
    run = start(case)
    run.trainer._run.settings.build(case.inputs)
    gradients = run.trainer.gradients(run.X, run.y, run.weights)[1]
    state = run.net.state_dict()  # in the trainer's precision
    random = np.random.default_rng([case.seed, 10])
    u, v = (
        {name: random.standard_normal(g.shape) for name, g in gradients.items()} for _ in range(2)
    )
    found = Products(run, u, v)
    if not found.finite:
        raise Skip("not finite")
    found.fit_each_other()
    if {name: a.tobytes() for name, a in run.net.state_dict().items()} != {
        name: a.tobytes() for name, a in state.items()
    }:
        raise Broken("derivatives moved the network")
    if parity.with_torch() and not any(map(parity.draws, parity.nodes(case))):
        found.are_those_of(parity.Course(run, state, parity.DOUBLE))


class Products:
    """All products of one batch with two directions."""

    def __init__(self, run, u, v):
        self.run, self.u, self.v = run, u, v
        trainer, batch = run.trainer, (run.X, run.y)
        self.Hu, self.Hv = (trainer.hvp(*batch, d, run.weights) for d in (u, v))
        self.Gu, self.Gv = (trainer.gnvp(*batch, d, run.weights) for d in (u, v))
        self.Jv = trainer.jvp(run.X, v)
        self.back = np.random.default_rng(1).standard_normal(self.Jv.shape)
        self.Jback = trainer.vjp(run.X, self.back)

    @property
    def finite(self):
        """Say whether all are numbers of a size that rounding leaves digits."""
        dicts = (self.Hu, self.Hv, self.Gu, self.Gv, self.Jback)
        arrays = [a for d in dicts for a in d.values()] + [self.Jv]
        with np.errstate(invalid="ignore"):
            return all(np.abs(a).max(initial=0.0) < 1e9 for a in arrays)

    def fit_each_other(self):
        """Compare what two ways give."""
        same_number("u.Hv and v.Hu", dot(self.u, self.Hv), dot(self.v, self.Hu))
        same_number("u.Gv and v.Gu", dot(self.u, self.Gv), dot(self.v, self.Gu))
        jv = self.back * self.Jv
        same_number("b.Jv and v.J'b", (jv.sum(), np.abs(jv).sum()), dot(self.v, self.Jback))

    def are_those_of(self, course):
        """Compare with PyTorch, from the same weights."""
        torch, twin = parity.torch, course.twin
        options = dict(self.run.case.options)
        outputs = twin.run([torch.from_numpy(x) for x in course.X])
        rows = parity.twin.loss_rows(self.run.trainer.loss, outputs, torch.from_numpy(course.y))
        index = np.arange(len(rows))
        rows = rows * torch.from_numpy(course.each(index, self.run.weights))
        loss = rows.sum() / course.divisor(index, self.run.weights)
        loss = loss * loss_weight(self.run.trainer, 0, 0)
        if twin.bent:
            raise Skip("a slope that bends")
        if twin.unclear or twin.once or self.run.trainer.loss.name not in parity.twin.LOSSES:
            raise Skip("a kink" if twin.unclear else "no double backward")
        if not course.leaves or not loss.requires_grad:
            return
        given = [torch.from_numpy(self.v[name]) for name in twin.trained]
        Hv = double_backward(torch, loss, course.leaves, given)
        if not all(np.isfinite(a).all() for a in Hv):
            raise Skip("PyTorch's double backward is not finite")
        for name, theirs in zip(twin.trained, Hv, strict=True):
            group = course.groups[name]
            l2 = parity.reference.knobs_at(group.optimizer, 0, 0).of(group.common["l2"])
            l2 *= course.decayed[name] * (-1.0 if group.optimizer.maximize else 1.0)
            wanted = theirs + l2 * self.v[name]
            near(f"Hv of {name} ({options.get('reduction', 'mean')})", self.Hv[name], wanted, Hv)
        back = torch.from_numpy(self.back)
        theirs = torch.autograd.grad(
            (outputs.reshape(back.shape) * back).sum(), course.leaves, allow_unused=True
        )
        theirs = [zeros_for(torch, p, g) for p, g in zip(course.leaves, theirs, strict=True)]
        for name, wanted in zip(twin.trained, theirs, strict=True):
            near(f"J'b of {name}", self.Jback[name], wanted, theirs)


def zeros_for(torch, p, g):
    return (torch.zeros_like(p) if g is None else g).detach().numpy()


def double_backward(torch, loss, leaves, v):
    """Return the gradient of <gradient, v>, an array a leaf."""
    first = torch.autograd.grad(loss, leaves, create_graph=True, allow_unused=True)
    inner = [(g * d).sum() for g, d in zip(first, v, strict=True) if g is not None]
    inner = [part for part in inner if part.requires_grad]
    if not inner:
        return [zeros_for(torch, p, None) for p in leaves]
    second = torch.autograd.grad(sum(inner), leaves, allow_unused=True, retain_graph=True)
    return [zeros_for(torch, p, g) for p, g in zip(leaves, second, strict=True)]


def dot(a, b):
    """Return the product of two directions, and the sum of its terms' sizes."""
    terms = [(a[name] * b[name]).ravel() for name in a]
    return sum(t.sum() for t in terms), sum(np.abs(t).sum() for t in terms)


def same_number(what, left, right):
    (a, size), (b, other) = left, right
    if not abs(a - b) <= BOUND * (1 + size + other):
        raise Broken(f"{what} are {a!r} and {b!r}")


def near(what, found, wanted, every):
    """Refuse what is further from PyTorch's than a part of its largest number."""
    size = 1 + max(np.abs(a).max(initial=0.0) for a in every)
    error = np.abs(found - wanted).max(initial=0.0)
    if not error <= BOUND * size:
        raise Broken(f"{what} is {error:.3g} from PyTorch's, the largest is {size:.3g}")
