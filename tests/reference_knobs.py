"""What optimizers make of their hyper-parameters at a step, and whole descents; by hand, in NumPy.

The steps themselves are in reference_rules.py. Nothing of steep is imported.
"""

import math
from collections import defaultdict

import numpy as np
from reference_rules import update


class At:
    """A description at one step: its hyper-parameters, and the knobs that papers make of them."""

    def __init__(self, optimizer, step, epoch):
        self.optimizer, self.step, self.epoch = optimizer, step, epoch

    def of(self, value):
        """Return a number, or what a schedule gives at this step."""
        if not callable(value):
            return value
        return value(self.epoch if getattr(value, "unit", "step") == "epoch" else self.step)

    def __getattr__(self, name):
        if name.startswith("one_minus_"):
            return 1 - getattr(self, name.removeprefix("one_minus_"))
        return self.of(getattr(self.optimizer, name))

    @property
    def t(self):
        """What bias corrections count, from 1."""
        return 1 + math.floor(self.epoch if self.bias_time == "epoch" else self.step)

    decay = property(lambda k: k.lr * k.weight_decay)
    ahead = property(lambda k: getattr(k, "nesterov", False) and k.like is None)
    look = property(lambda k: k.mu * k.rate_out if k.ahead else 0.0)

    mu = property(lambda k: k.momentum)
    rate_in = property(lambda k: k.damped * (k.lr if k.lr_in_velocity else 1.0))
    rate_out = property(lambda k: 1.0 if k.lr_in_velocity else k.lr)
    rate_direct = property(lambda k: k.lr)
    damped = property(lambda k: 1 - k.of(getattr(k.optimizer, "dampening", 0.0)) if k.step else 1.0)

    eps_in = property(lambda k: k.eps if k.eps_inside else 0.0)
    eps_out = property(lambda k: 0.0 if k.eps_inside else k.eps)

    first = property(lambda k: 1 - k.beta1**k.t if k.bias_correction else 1.0)
    second = property(lambda k: 1 - k.beta2**k.t if k.bias_correction else 1.0)
    rate = property(lambda k: k.lr / k.first)
    r_scale = property(lambda k: 1 / k.second)


class AtLAMB(At):
    """Decay is part of the direction, whose length has no rate in it."""

    decay = property(lambda k: k.weight_decay)
    m_scale = property(lambda k: 1 / k.first)


class AtLARS(At):
    """Nesterov momentum steps on along the velocity; Optax measures gradient and decay together."""

    decay = property(lambda k: k.weight_decay)
    ahead = False
    along = property(lambda k: k.momentum if k.nesterov else 1.0)
    direct = property(lambda k: 1.0 if k.nesterov else 0.0)
    joint = property(lambda k: 1.0 if k.like == "optax" else 0.0)


class AtMuon(At):
    """The authors' form; where others have another one it stands beside."""

    ahead = False
    mu = property(lambda k: k.momentum)
    take = property(lambda k: 1.0 if k.like == "keras" else 1 - k.mu)
    corrected = property(lambda k: 1 - k.mu ** (k.step + 1 + k.nesterov))
    fresh = property(lambda k: 1 - k.mu ** (k.step + 1))
    optax = property(lambda k: k.like == "optax")
    along = property(lambda k: (k.mu if k.nesterov else 1) / (k.corrected if k.optax else 1))
    direct = property(lambda k: k.nesterov * k.take / (k.fresh if k.optax else 1))
    torch = property(lambda k: k.like == "torch")
    eps = property(lambda k: 0.0 if k.torch else k.optimizer.eps)
    least_length = property(lambda k: k.optimizer.eps if k.torch else 0.0)
    ns_steps = property(lambda k: k.optimizer.steps)
    a = property(lambda k: k.coefficients[0])
    b = property(lambda k: k.coefficients[1])
    c = property(lambda k: k.coefficients[2])
    least = property(lambda k: float(k.adjust != "match_rms_adamw"))
    by_size = property(lambda k: 0.04 if k.adjust == "match_rms_adamw" else 0.0)
    by_flat = property(lambda k: float(k.adjust == "original" and k.optax))
    by_window = property(lambda k: float(k.adjust == "original" and not k.optax))


class AtAdafactor(At):
    """t counts steps from 1; PyTorch's eps1 is a limit, others add it to squares."""

    t = property(lambda k: k.step + 1)
    falling = property(lambda k: min(k.of(k.optimizer.lr), 1 / math.sqrt(k.t)))
    lr = property(lambda k: k.falling if k.relative_step else k.of(k.optimizer.lr))
    decay = property(
        lambda k: k.weight_decay * (1.0 if k.like == "optax" else k.of(k.optimizer.lr))
    )
    one_minus_beta2 = property(lambda k: k.t**k.beta2_decay)
    beta2 = property(lambda k: 1 - k.one_minus_beta2)
    torch = property(lambda k: k.like == "torch")
    eps_in = property(lambda k: 0.0 if k.torch else k.eps1)
    least = property(lambda k: k.eps1**2 if k.torch else 0.0)
    least_mean = property(lambda k: k.eps1 if k.torch else 0.0)
    scaled = property(lambda k: float(k.scale_parameter))


class AtAdam(At):
    """Keras follows the paper's shorter form, in which eps is not corrected along with r."""

    keras = property(lambda k: k.like == "keras")
    rate = property(lambda k: k.lr / k.first * (math.sqrt(k.second) if k.keras else 1.0))
    optax = property(lambda k: k.like == "optax" and k.amsgrad)
    r_kept = property(lambda k: 1 / k.second if k.optax else 1.0)
    r_scale = property(lambda k: 1.0 if k.keras or k.optax else 1 / k.second)


class AtRMSProp(At):
    """Optax's Nesterov momentum looks back."""

    back = property(lambda k: k.nesterov and not k.ahead)
    rate_out = property(lambda k: At.rate_out.fget(k) * (k.mu if k.back else 1.0))
    rate_direct = property(lambda k: k.lr if k.back else 0.0)


class AtAdamax(At):
    """PyTorch has eps beside the gradient, Keras beside u."""

    eps_in = property(lambda k: 0.0 if k.like == "keras" else k.eps)
    eps_out = property(lambda k: k.eps if k.like == "keras" else 0.0)


class AtNAdam(At):
    """The momentum grows, and is corrected by the product of all of its values."""

    def mu_at(self, t):
        if self.like == "optax":
            return self.beta1
        return self.beta1 * (1 - 0.5 * 0.96 ** (t * self.momentum_decay))

    def lost(self, t):
        return math.prod(map(self.mu_at, range(1, t + 1))) if self.bias_correction else 0.0

    rate_g = property(lambda k: k.lr * (1 - k.mu_at(k.t)) / (1 - k.lost(k.t)))
    rate_m = property(lambda k: k.lr * k.mu_at(k.t + 1) / (1 - k.lost(k.t + 1)))


class AtRAdam(At):
    """The factor of Liu et al., where rho is above the threshold; PyTorch corrects r beside eps."""

    late = property(lambda k: k.like == "torch")
    limit = property(lambda k: 2 / (1 - k.beta2) - 1)
    rho = property(lambda k: k.limit - 2 * k.t * k.beta2**k.t / (1 - k.beta2**k.t))
    known = property(lambda k: k.rho > k.threshold)
    plain = property(lambda k: 0.0 if k.known else k.rate)
    r_scale = property(lambda k: 1.0 if k.late else 1 / k.second)

    @property
    def adaptive(self):
        if not self.known:
            return 0.0
        above = (self.rho - 4) * (self.rho - 2) * self.limit
        below = (self.limit - 4) * (self.limit - 2) * self.rho
        late = math.sqrt(self.second) if self.late else 1.0
        return self.rate * math.sqrt(above / below) * late


class AtAdaBelief(At):
    """What eps adds to r in all steps stands under the root at once."""

    eps_out = property(lambda k: 0.0 if k.eps_inside else k.eps)
    eps_in = property(
        lambda k: k.r_scale * math.fsum(k.eps * k.beta2**i for i in range(k.step + 1))
    )


class AtYogi(At):
    """Optax has m, too, start from the accumulator."""

    first_r = property(lambda k: k.initial_accumulator)
    first_m = property(lambda k: k.initial_accumulator if k.like == "optax" else 0.0)


class AtAdan(At):
    """Optax has 1 - beta2 for beta2, and decay before the step."""

    mix = property(lambda k: 1 - k.beta2 if k.like == "optax" else k.beta2)
    known = property(lambda k: float(k.step > 0))
    proximal = property(lambda k: float(k.like != "optax"))
    rate_m = property(lambda k: k.rate)
    rate_v = property(lambda k: k.lr * k.mix / k.second)
    third = property(lambda k: 1 - k.beta3**k.t if k.bias_correction else 1.0)
    r_scale = property(lambda k: 1 / k.third)


class AtAdEMAMix(At):
    """The slow mean is not corrected."""

    rate_slow = property(lambda k: k.lr * k.alpha)


class AtRprop(At):
    """Optax does at each step what was due at the one before."""

    optax = property(lambda k: k.like == "optax")
    least = property(lambda k: k.step_min)
    most = property(lambda k: k.step_max)
    start = property(lambda k: type(k)(k.optimizer, 0, 0).of(k.optimizer.lr))
    lr = property(lambda k: k.start if k.optax else min(max(k.start, k.least), k.most))
    now = property(lambda k: float(not k.optax))
    late = property(lambda k: float(k.optax))
    decay = property(lambda k: k.of(k.optimizer.lr) * k.weight_decay)


class AtASGD(At):
    """Rates fall, weights decay by them."""

    rate = property(lambda k: k.lr / (1 + k.lambd * k.lr * k.step) ** k.alpha)
    mu = property(lambda k: 1 / max(1, k.step - k.t0))
    decay = property(lambda k: k.rate * k.lambd + k.lr * k.weight_decay)


class AtFTRL(At):
    """Keras's numbers as the rule has them."""

    power = property(lambda k: k.lr_power)
    per_lr = property(lambda k: 1 / k.lr)
    l1 = property(lambda k: k.l1_strength)
    l2 = property(lambda k: 2 * k.l2_strength + k.beta / k.lr)
    shrinkage = property(lambda k: 2 * k.l2_shrinkage)
    first_r = property(lambda k: k.initial_accumulator)
    toward = 1.0


class AtScheduleFree(At):
    """The weight of each step so far, and the share of the last one."""

    ahead = True
    part = property(lambda k: k.beta1 if hasattr(k.optimizer, "beta1") else k.momentum)
    look = property(lambda k: 1 - k.part)
    lr = property(lambda k: k.rate_at(k.step))
    decay = property(lambda k: k.lr * k.weight_decay)

    def rate_at(self, step):
        given, warm = self.optimizer.lr, self.optimizer.warmup_steps
        rate = given(step) if callable(given) else given
        return rate * min(1, (step + 1) / warm) if warm else rate

    @property
    def share(self):
        weights, largest = [], 0.0
        for step in range(self.step + 1):
            largest = max(largest, self.rate_at(step))
            weights.append((step + 1) ** self.r * largest**self.weight_lr_power)
        return weights[-1] / math.fsum(weights) if weights[-1] else 0.0


KNOBS = {  # At elsewhere
    "adam": AtAdam,
    "amsgrad": AtAdam,
    "adamax": AtAdamax,
    "nadam": AtNAdam,
    "rmsprop_momentum": AtRMSProp,
    "rmsprop_centered_momentum": AtRMSProp,
    "radam": AtRAdam,
    "adabelief": AtAdaBelief,
    "yogi": AtYogi,
    "lamb": AtLAMB,
    "lars": AtLARS,
    "muon": AtMuon,
    "adafactor": AtAdafactor,
    "adafactor_vector": AtAdafactor,
    "adan": AtAdan,
    "ademamix": AtAdEMAMix,
    "rprop": AtRprop,
    "asgd": AtASGD,
    "ftrl": AtFTRL,
    "ftrl_root": AtFTRL,
    "schedule_free_sgd": AtScheduleFree,
    "schedule_free_adam": AtScheduleFree,
}


def knobs_at(optimizer, step, epoch):
    return KNOBS.get(optimizer.rule, At)(optimizer, step, epoch)


def first_slots(optimizer):
    """Every slot is 0 until it is written, but for AdaGrad's sum."""
    start = optimizer.initial_accumulator if optimizer.rule == "adagrad" else 0.0
    return defaultdict(lambda: start)


def point(w, s, k):
    """Return where a rule takes the gradient."""
    return w + k.look * s["v"] if k.ahead else w


def move(w, s, g, k, decayed=1.0):
    """Return weights and slots after decay and the rule, of the gradient at the point."""
    k.decay_now = decayed * k.decay
    w, new = update(k.optimizer.rule, w, g, s, k)
    return w, s | new


def step(w, s, gradient, k, decayed=1.0):
    """Return weights and slots after one step of gradient(point)."""
    return move(w, s, gradient(point(w, s, k)), k, decayed)


class Following:
    """An average of weights: what `steep.averages` describes, moved step by step."""

    def __init__(self, average):
        self.average, self.mean, self.moves = average, None, 0

    def step(self, before, after, step, epoch, ends):
        """Return the weights after a step and its average; `ends` where it is an epoch's last."""
        average, kind = self.average, type(self.average).__name__
        if step == 0 and (kind == "Lookahead" or getattr(average, "like", None) == "keras"):
            self.mean = before
        done = step + 1 if average.unit == "step" else epoch + 1
        on_time = (done - average.start) % average.every == 0 and done > average.start
        if not on_time or (average.unit == "epoch" and not ends):
            return after
        if kind == "Lookahead":
            rate = average.pull
        elif kind == "SWA":
            rate = 1 / (self.moves + 1)
        else:
            times = {"step": step, "epoch": epoch}
            kept = average.decay
            kept = kept(times[kept.unit]) if callable(kept) else kept
            if average.warmup:
                kept = min(kept, (1 + self.moves) / (10 + self.moves))
            rate = 1 - kept
        self.moves += 1
        if self.mean is None:
            self.mean = after
        else:
            self.mean = [m + rate * (w - m) for m, w in zip(self.mean, after, strict=True)]
        return self.mean if kind == "Lookahead" else after


def descent(optimizer, gradient, w, steps, epoch_steps=1):
    """Yield w(0) .. w(steps), each with its slots."""
    w, s = np.array(w, float), first_slots(optimizer)
    yield w, s
    for n in range(steps):
        w, s = step(w, s, gradient, knobs_at(optimizer, n, n / epoch_steps))
        yield w, s


def path(*arguments):
    """Return the points of a descent, one a row."""
    return np.array([w for w, _ in descent(*arguments)])
