"""The truths the tests compare with: every rule, schedule, activation, loss and initialiser.

Slow and obvious float64 NumPy, written from the papers' formulas. Nothing of steep is imported.
"""

import math
from collections import defaultdict

import numpy as np

# ---- Update rules: one step each, by native name. ----
#
# A formula takes weights, gradient, slots and knobs, and returns new weights and slots. Knobs are
# read from k: numbers of a test, or what a description makes of its hyper-parameters (`At`).


def root(x, k):
    return np.sqrt(x + k.eps_in) + k.eps_out


def velocity(s, change, k):
    return {"v": k.mu * s["v"] - k.rate_in * change}


def mean_square(g, s, k):
    return {"r": k.rho * s["r"] + k.one_minus_rho * g**2}


def means(g, s, k):
    m = k.beta1 * s["m"] + k.one_minus_beta1 * g
    return {"m": m, "r": k.beta2 * s["r"] + k.one_minus_beta2 * g**2}


def sgd(w, g, s, k):
    return w - k.lr * g, {}


def momentum(w, g, s, k):
    s = velocity(s, g, k)
    return w + k.rate_out * s["v"], s


def nesterov_lookback(w, g, s, k):
    """The gradient is taken at w; w is the look-ahead point of the other form."""
    s = velocity(s, g, k)
    return w + k.rate_out * k.mu * s["v"] - k.rate_direct * g, s


def adagrad(w, g, s, k):
    r = s["r"] + g**2
    return w - k.lr * g / root(r, k), {"r": r}


def rmsprop(w, g, s, k):
    s = mean_square(g, s, k)
    return w - k.lr * g / root(s["r"], k), s


def rmsprop_momentum(w, g, s, k):
    r = mean_square(g, s, k)
    return scaled_velocity(w, g / root(r["r"], k), s, k, r)


def rmsprop_nesterov(w, g, s, k):
    r = mean_square(g, s, k)
    s = velocity(s, g / root(r["r"], k), k)
    return w + k.rate_out * s["v"], r | s


def scaled_velocity(w, d, s, k, r):
    s = velocity(s, d, k)
    return w + k.rate_out * s["v"] - k.rate_direct * d, r | s


def variance(g, s, k):
    """Return the slots of the centered forms, and their root."""
    new = mean_square(g, s, k) | {"m": k.rho * s["m"] + k.one_minus_rho * g}
    return new, root(np.maximum(new["r"] - new["m"] ** 2, 0), k)


def rmsprop_centered(w, g, s, k):
    s, below = variance(g, s, k)
    return w - k.lr * g / below, s


def rmsprop_centered_momentum(w, g, s, k):
    new, below = variance(g, s, k)
    return scaled_velocity(w, g / below, s, k, new)


def rmsprop_centered_nesterov(w, g, s, k):
    new, below = variance(g, s, k)
    s = velocity(s, g / below, k)
    return w + k.rate_out * s["v"], new | s


def adam(w, g, s, k):
    s = means(g, s, k)
    return w - k.rate * s["m"] / root(k.r_scale * s["r"], k), s


def amsgrad(w, g, s, k):
    new = means(g, s, k)
    largest = np.maximum(s["rmax"], k.r_kept * new["r"])
    return w - k.rate * new["m"] / root(k.r_scale * largest, k), new | {"rmax": largest}


def adamax(w, g, s, k):
    m = k.beta1 * s["m"] + k.one_minus_beta1 * g
    untouched = (s["u"] == 0) & (g == 0)
    u = np.where(untouched, 0, np.maximum(k.beta2 * s["u"], np.abs(g) + k.eps_in))
    below = u + k.eps_out
    return w - k.rate * m / np.where(below == 0, 1, below), {"m": m, "u": u}


def nadam(w, g, s, k):
    s = means(g, s, k)
    step = k.rate_g * g + k.rate_m * s["m"]
    return w - step / root(k.r_scale * s["r"], k), s


def adadelta(w, g, s, k):
    new = mean_square(g, s, k)
    d = g * root(s["u"], k) / root(new["r"], k)
    return w - k.lr * d, new | {"u": k.rho * s["u"] + k.one_minus_rho * d**2}


def lion(w, g, s, k):
    c = k.beta1 * s["m"] + k.one_minus_beta1 * g
    return w - k.lr * np.sign(c), {"m": k.beta2 * s["m"] + k.one_minus_beta2 * g}


def signum(w, g, s, k):
    m = k.beta * s["m"] + k.one_minus_beta * g
    return w - k.lr * np.sign(m), {"m": m}


def radam(w, g, s, k):
    s = means(g, s, k)
    return w - k.plain * s["m"] - k.adaptive * s["m"] / root(k.r_scale * s["r"], k), s


def adabelief(w, g, s, k):
    m = k.beta1 * s["m"] + k.one_minus_beta1 * g
    r = k.beta2 * s["r"] + k.one_minus_beta2 * (g - m) ** 2
    return w - k.rate * m / root(k.r_scale * r, k), {"m": m, "r": r}


def yogi(w, g, s, k):
    """r and m are 0 until the first gradient that is not, and then start from the knobs."""
    fresh = s["r"] == 0
    started = ~(fresh & (g == 0))
    r = np.where(fresh, k.first_r, s["r"])
    m = np.where(fresh & (s["m"] == 0), k.first_m, s["m"])
    m = started * (k.beta1 * m + k.one_minus_beta1 * g)
    r = started * (r - k.one_minus_beta2 * np.sign(r - g**2) * g**2)
    return w - k.rate * m / root(k.r_scale * r, k), {"m": m, "r": r}


def adan(w, g, s, k):
    d = k.known * (g - s["previous"])
    m = k.beta1 * s["m"] + k.one_minus_beta1 * g
    v = k.beta2 * s["v"] + k.one_minus_beta2 * d
    r = k.beta3 * s["r"] + k.one_minus_beta3 * (g + k.mix * d) ** 2
    step = (k.rate_m * m + k.rate_v * v) / root(k.r_scale * r, k)
    late = k.proximal * k.decay_now
    w = (w - (k.decay_now - late) * w - step) / (1 + late)
    return w, {"m": m, "v": v, "r": r, "previous": g}


def ademamix(w, g, s, k):
    new = means(g, s, k) | {"slow": k.beta3 * s["slow"] + k.one_minus_beta3 * g}
    step = k.rate * new["m"] + k.rate_slow * new["slow"]
    return w - step / root(k.r_scale * new["r"], k), new


def rprop(w, g, s, k):
    turn = np.sign(g) * np.sign(s["previous"])
    before = np.where(s["eta"] == 0, k.lr, s["eta"])
    factor = np.where(turn > 0, k.eta_plus, k.eta_minus)
    changed = np.minimum(np.maximum(before * factor, k.least), k.most)
    eta, kept = np.where(turn == 0, before, changed), np.where(turn < 0, 0, g)
    w = w - k.now * eta * np.sign(kept) - k.late * before * np.sign(s["previous"]) * (turn >= 0)
    return w, {"eta": np.where((s["eta"] == 0) & (g == 0), 0, eta), "previous": kept}


def asgd(w, g, s, k):
    w = w - k.rate * g
    return w, {"average": k.one_minus_mu * s["average"] + k.mu * w}


def ftrl(w, g, s, k):
    """The weight is 0 but for what z has beyond l1; one without a gradient yet stays."""
    fresh = s["r"] == 0
    touched = ~(fresh & (g == 0))
    before = np.where(fresh, k.first_r, s["r"])
    after = before + g**2
    # after^power - before^power, which cancels
    with np.errstate(divide="ignore", invalid="ignore"):
        grown = before**k.power * np.expm1(k.power * np.log1p(g**2 / before))
    grown = np.where(before == 0, after**k.power, grown)
    z = s["z"] + k.toward * g + k.shrinkage * w - grown / k.lr * w
    below = after**k.power / k.lr + k.l2
    moved = (np.clip(z, -k.l1, k.l1) - z) / np.where(below == 0, 1, below)
    return np.where(touched, moved, w), {"r": touched * after, "z": touched * z}


def schedule_free(w, g, s, k, step):
    e = s["v"] - k.lr * step - k.decay_now * (w + k.look * s["v"])
    return w + k.share * e, {"v": k.one_minus_share * e}


def schedule_free_sgd(w, g, s, k):
    return schedule_free(w, g, s, k, g)


def schedule_free_adam(w, g, s, k):
    r = k.beta2 * s["r"] + k.one_minus_beta2 * g**2
    w, new = schedule_free(w, g, s, k, g / root(k.r_scale * r, k))
    return w, new | {"r": r}


OWN_DECAY = {adan, schedule_free_sgd, schedule_free_adam}  # take it as a knob, not before the step
RULES = {
    "sgd": sgd,
    "momentum": momentum,
    "nesterov": momentum,  # they differ in where the gradient is taken, not in what is done with it
    "nesterov_lookback": nesterov_lookback,
    "adagrad": adagrad,
    "rmsprop": rmsprop,
    "rmsprop_momentum": rmsprop_momentum,
    "rmsprop_nesterov": rmsprop_nesterov,
    "rmsprop_centered": rmsprop_centered,
    "rmsprop_centered_momentum": rmsprop_centered_momentum,
    "rmsprop_centered_nesterov": rmsprop_centered_nesterov,
    "adam": adam,
    "amsgrad": amsgrad,
    "adamax": adamax,
    "nadam": nadam,
    "adadelta": adadelta,
    "lion": lion,
    "signum": signum,
    "rprop": rprop,
    "radam": radam,
    "adabelief": adabelief,
    "yogi": yogi,
    "adan": adan,
    "ademamix": ademamix,
    "asgd": asgd,
    "ftrl": ftrl,
    "schedule_free_sgd": schedule_free_sgd,
    "schedule_free_adam": schedule_free_adam,
}


def update(rule, w, g, s, k):
    """Return weights and slots after a step of a native rule and the decoupled decay beside it."""
    own = RULES[rule] in OWN_DECAY
    return RULES[rule](w if own else w - k.decay_now * w, g, s, k)


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
    "adan": AtAdan,
    "ademamix": AtAdEMAMix,
    "rprop": AtRprop,
    "asgd": AtASGD,
    "ftrl": AtFTRL,
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


def clip_by_norm(g, limit):
    norm = math.sqrt(float(np.sum(g * g)))
    return g * limit / norm if norm > limit else g


# ---- Schedules: one time, one value. ----


def piecewise(t, boundaries, values):
    """boundaries[i] <= t < boundaries[i+1] gives values[i]."""
    value = values[0]
    for start, candidate in zip(boundaries, values, strict=True):
        if t >= start:
            value = candidate
    return value


def exponential(t, start, rate):
    return start * math.exp(-rate * t)


def inverse_power(t, start, beta, alpha):
    return start * (beta * t + 1) ** (-alpha)


def polynomial(t, start, end, over, power):
    return end + (start - end) * (1 - min(t, over) / over) ** power


def stairs(t, start, every, factor):
    return start * factor ** math.floor(t / every)


def cosine(t, start, over, end):
    return end + (start - end) * (1 + math.cos(math.pi * min(t, over) / over)) / 2


def restarts(t, start, over, *, multiply, decay, end):
    """Walk from period to period."""
    high = start - end
    while t >= over:
        t, over, high = t - over, over * multiply, high * decay
    return cosine(t, end + high, over, end)


def triangles(t, start, peak, *, up, down, scale):
    """Walk from cycle to cycle; scale(cycle, t) shrinks their height."""
    cycle, into = 0, t
    while into >= up + down:
        cycle, into = cycle + 1, into - (up + down)
    height = into / up if into <= up else (up + down - into) / down
    return start + (peak - start) * height * scale(cycle, t)


def linear(t, start, end, over):
    return start + (end - start) * min(t, over) / over


# ---- Activations: name -> (f, f'), alpha is the number of those that have one. ----


def sigmoid(x):
    """1/(1+e^-x) without overflow on either side."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def normal_cdf(x):
    return np.vectorize(lambda v: 0.5 * math.erfc(-v / math.sqrt(2)))(x)


def normal_density(x):
    return np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


SELU_A, SELU_S = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946

ACTIVATIONS = {
    "linear": (lambda x, a: x, lambda x, a: np.ones_like(x)),
    "relu": (lambda x, a: np.maximum(x, 0), lambda x, a: (x > 0) * 1.0),
    "leaky_relu": (
        lambda x, a: np.where(x > 0, x, a * x),
        lambda x, a: np.where(x > 0, 1.0, a),
    ),
    "elu": (
        lambda x, a: np.where(x > 0, x, a * np.expm1(np.minimum(x, 0))),
        lambda x, a: np.where(x > 0, 1.0, a * np.exp(np.minimum(x, 0))),
    ),
    "sigmoid": (
        lambda x, a: sigmoid(x),
        lambda x, a: sigmoid(x) * (1 - sigmoid(x)),
    ),
    "tanh": (lambda x, a: np.tanh(x), lambda x, a: 1 - np.tanh(x) ** 2),
    "gelu": (
        lambda x, a: x * normal_cdf(x),
        lambda x, a: normal_cdf(x) + x * normal_density(x),
    ),
    "silu": (
        lambda x, a: x * sigmoid(x),
        lambda x, a: sigmoid(x) * (1 + x * (1 - sigmoid(x))),
    ),
    "mish": (
        lambda x, a: x * np.tanh(np.logaddexp(0, x)),
        lambda x, a: (
            np.tanh(np.logaddexp(0, x)) + x * sigmoid(x) / np.cosh(np.logaddexp(0, x)) ** 2
        ),
    ),
    "selu": (
        lambda x, a: SELU_S * np.where(x > 0, x, SELU_A * np.expm1(np.minimum(x, 0))),
        lambda x, a: SELU_S * np.where(x > 0, 1.0, SELU_A * np.exp(np.minimum(x, 0))),
    ),
    "celu": (
        lambda x, a: np.where(x > 0, x, a * np.expm1(np.minimum(x, 0) / a)),
        lambda x, a: np.where(x > 0, 1.0, np.exp(np.minimum(x, 0) / a)),
    ),
    "relu6": (lambda x, a: np.clip(x, 0, 6), lambda x, a: ((x > 0) & (x < 6)) * 1.0),
    "hard_sigmoid": (
        lambda x, a: np.clip(x + 3, 0, 6) / 6,
        lambda x, a: (np.abs(x) < 3) / 6.0,
    ),
    "hard_swish": (
        lambda x, a: x * np.clip(x + 3, 0, 6) / 6,
        lambda x, a: np.where(np.abs(x) < 3, x / 3 + 0.5, x > 0),
    ),
    "hard_tanh": (lambda x, a: np.clip(x, -1, 1), lambda x, a: (np.abs(x) < 1) * 1.0),
    "log_sigmoid": (lambda x, a: -np.logaddexp(0, -x), lambda x, a: sigmoid(-x)),
    "softsign": (lambda x, a: x / (1 + np.abs(x)), lambda x, a: 1 / (1 + np.abs(x)) ** 2),
    "soft_shrink": (
        lambda x, a: np.sign(x) * np.maximum(np.abs(x) - a, 0),
        lambda x, a: (np.abs(x) > a) * 1.0,
    ),
    "hard_shrink": (
        lambda x, a: np.where(np.abs(x) > a, x, 0.0),
        lambda x, a: (np.abs(x) > a) * 1.0,
    ),
    "exp": (lambda x, a: np.exp(x), lambda x, a: np.exp(x)),
    "log": (lambda x, a: np.log(x), lambda x, a: 1 / x),
    "square": (lambda x, a: x * x, lambda x, a: 2 * x),
    "abs": (lambda x, a: np.abs(x), lambda x, a: np.sign(x)),
    "softplus": (lambda x, a: np.logaddexp(0, x), lambda x, a: sigmoid(x)),
    "sqrt": (lambda x, a: np.sqrt(x), lambda x, a: 0.5 / np.sqrt(x)),
}


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


# ---- Losses: (z, target, option) -> (loss of each row, gradient of each row's loss). ----


def one_hot(labels, classes):
    return np.eye(classes)[labels]


def mse(z, y, option=0.0):
    e = z - y
    return (e**2).mean(axis=1), 2 * e / z.shape[1]


def mae(z, y, option=0.0):
    e = z - y
    return np.abs(e).mean(axis=1), np.sign(e) / z.shape[1]


def huber(z, y, delta=1.0):
    e = z - y
    value = np.where(np.abs(e) <= delta, e**2 / 2, delta * (np.abs(e) - delta / 2))
    return value.mean(axis=1), np.clip(e, -delta, delta) / z.shape[1]


def log_cosh(z, y, option=0.0):
    """cosh(e) - 1 is 2 sinh(e/2)^2, which loses nothing near 0."""
    e = z - y
    return np.log1p(2 * np.sinh(e / 2) ** 2).mean(axis=1), np.tanh(e) / z.shape[1]


def cross_entropy(z, y, smoothing=0.0):
    """y are probabilities (N, classes); labels go through `one_hot` first."""
    y = (1 - smoothing) * y + smoothing / z.shape[1]
    top = z.max(axis=1, keepdims=True)
    log_p = z - top - np.log(np.exp(z - top).sum(axis=1, keepdims=True))
    return -(y * log_p).sum(axis=1), y.sum(axis=1, keepdims=True) * np.exp(log_p) - y


def binary_cross_entropy(z, y, option=0.0):
    log_p, log_q = -np.logaddexp(0, -z), -np.logaddexp(0, z)
    return -(y * log_p + (1 - y) * log_q).mean(axis=1), (sigmoid(z) - y) / z.shape[1]


LOSSES = {
    "mse": mse,
    "mae": mae,
    "huber": huber,
    "log_cosh": log_cosh,
    "cross_entropy": cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
}


# ---- Images: (N, H, W, C) batches, tap by tap. Padding is (top, bottom, left, right). ----


def pad_pixels(x, padding, value=0.0):
    top, bottom, left, right = padding
    return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=value)


def crop_pixels(x, padding):
    top, bottom, left, right = padding
    return x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]


def out_size(n, kernel, stride, padding, dilation=1):
    return (n + sum(padding) - dilation * (kernel - 1) - 1) // stride + 1


def windows(shape, kernel, stride, padding, dilation=(1, 1)):
    """Give (a, b, pixels): where tap (a, b) lies in padded images (N, H, W, C), for all outputs."""
    top, bottom, left, right = padding
    rows = out_size(shape[1], kernel[0], stride[0], (top, bottom), dilation[0])
    columns = out_size(shape[2], kernel[1], stride[1], (left, right), dilation[1])
    for a in range(kernel[0]):
        for b in range(kernel[1]):
            i, j = a * dilation[0], b * dilation[1]
            yield (
                a,
                b,
                (
                    slice(None),
                    slice(i, i + (rows - 1) * stride[0] + 1, stride[0]),
                    slice(j, j + (columns - 1) * stride[1] + 1, stride[1]),
                ),
            )


def conv2d(x, w, bias=0.0, *, stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), groups=1):
    """w is (kh, kw, C/groups, filters); group k takes its share of channels to its share of y."""
    x, y = pad_pixels(x, padding), 0.0
    n, m = x.shape[3] // groups, w.shape[3] // groups
    for a, b, pixels in windows(x.shape, w.shape[:2], stride, (0, 0, 0, 0), dilation):
        parts = [
            x[pixels][..., k * n : (k + 1) * n] @ w[a, b, :, k * m : (k + 1) * m]
            for k in range(groups)
        ]
        y = y + np.concatenate(parts, axis=3)
    return y + bias


def conv2d_grad(x, w, dy, *, stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), groups=1):
    """Return the gradients of x, w and the bias, dy being that of the result."""
    x = pad_pixels(x, padding)
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    n, m = x.shape[3] // groups, w.shape[3] // groups
    for a, b, pixels in windows(x.shape, w.shape[:2], stride, (0, 0, 0, 0), dilation):
        for k in range(groups):
            c, f = slice(k * n, (k + 1) * n), slice(k * m, (k + 1) * m)
            dx[pixels][..., c] += dy[..., f] @ w[a, b, :, f].T
            dw[a, b, :, f] = np.einsum("nijc,nijf->cf", x[pixels][..., c], dy[..., f])
    return crop_pixels(dx, padding), dw, dy.sum(axis=(0, 1, 2))


def max_pool(x, size, stride, padding=(0, 0, 0, 0)):
    """Give NaN for windows with a NaN; padding never wins."""
    x, y = pad_pixels(x, padding, -np.inf), -np.inf
    for _, _, pixels in windows(x.shape, size, stride, (0, 0, 0, 0)):
        y = np.maximum(y, x[pixels])
    return y


def max_pool_grad(x, dy, size, stride, padding=(0, 0, 0, 0)):
    """The first largest pixel of each window, or its first NaN, gets all of dy."""
    y = max_pool(x, size, stride, padding)
    inside = pad_pixels(np.ones_like(x), padding) > 0
    x = pad_pixels(x, padding)
    dx, given = np.zeros_like(x), np.zeros(dy.shape, bool)
    for _, _, pixels in windows(x.shape, size, stride, (0, 0, 0, 0)):
        here = inside[pixels] & ~given & ((x[pixels] == y) | np.isnan(x[pixels]))
        dx[pixels] += here * dy
        given |= here
    return crop_pixels(dx, padding)


def avg_pool_counts(shape, size, stride, padding, count_padding):
    """How many pixels each mean is over: (H', W', 1)."""
    ones = np.ones((1, *shape[1:3], 1))
    ones = pad_pixels(ones, padding, float(count_padding))
    return sum(ones[pixels] for _, _, pixels in windows(ones.shape, size, stride, (0, 0, 0, 0)))[0]


def avg_pool(x, size, stride, *, padding=(0, 0, 0, 0), count_padding=False):
    counts = avg_pool_counts(x.shape, size, stride, padding, count_padding)
    x = pad_pixels(x, padding)
    return sum(x[p] for _, _, p in windows(x.shape, size, stride, (0, 0, 0, 0))) / counts


def avg_pool_grad(x, dy, size, stride, *, padding=(0, 0, 0, 0), count_padding=False):
    counts = avg_pool_counts(x.shape, size, stride, padding, count_padding)
    dx = np.zeros_like(pad_pixels(x, padding))
    for _, _, pixels in windows(dx.shape, size, stride, (0, 0, 0, 0)):
        dx[pixels] += dy / counts
    return crop_pixels(dx, padding)


def moments(x):
    """Mean and biased variance of each channel, over samples and pixels."""
    axes = tuple(range(x.ndim - 1))
    mean = x.mean(axis=axes)
    return mean, ((x - mean) ** 2).mean(axis=axes)


def batch_norm(x, weight, bias, eps=1e-5):
    mean, variance = moments(x)
    return (x - mean) / np.sqrt(variance + eps) * weight + bias


def batch_norm_grad(x, weight, dy, eps=1e-5):
    """Return the gradients of x, weight and bias (Ioffe & Szegedy 2015, section 3)."""
    axes, count = tuple(range(x.ndim - 1)), x.size // x.shape[-1]
    mean, variance = moments(x)
    z = (x - mean) / np.sqrt(variance + eps)
    dz = dy * weight
    dvariance = (dz * (x - mean)).sum(axis=axes) * -0.5 * (variance + eps) ** -1.5
    dmean = -dz.sum(axis=axes) / np.sqrt(variance + eps)
    dx = dz / np.sqrt(variance + eps) + 2 * dvariance * (x - mean) / count + dmean / count
    return dx, (dy * z).sum(axis=axes), dy.sum(axis=axes)


def running(value, batch, momentum):
    return momentum * value + (1 - momentum) * batch


def neighbours(x, size):
    """Sum of channels c - size//2 .. c + size//2, those that exist."""
    channels = np.arange(x.shape[-1])
    near = np.abs(channels[:, None] - channels) <= size // 2
    return x @ near.astype(float)


def lrn(x, *, size=5, alpha=1e-4, beta=0.75, bias=2.0):
    """Krizhevsky et al. 2012, section 3.3."""
    return x / (bias + alpha * neighbours(x * x, size)) ** beta


def lrn_grad(x, dy, *, size=5, alpha=1e-4, beta=0.75, bias=2.0):
    base = bias + alpha * neighbours(x * x, size)
    around = neighbours(dy * x * base ** (-beta - 1), size)
    return dy * base**-beta - 2 * alpha * beta * x * around


# ---- Random numbers and initialisers. ----

MASK = 0xFFFFFFFF


def philox(counter, key):
    """Philox4x32-10 (Salmon et al. 2011): four words from four words of counter, two of key."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & MASK, (p0 >> 32) ^ c3 ^ k1, p0 & MASK
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return c0, c1, c2, c3


def drawn(seed, step, stream, rows, columns):
    """The words that an op draws at a step: the number `stream` among those of its network."""
    key = seed ^ ((step + 1) * 0x9E3779B97F4A7C15 % 2**64)
    key = key & MASK, key >> 32
    return np.array(
        [[philox((c // 4, r, 0, stream), key)[c % 4] for c in range(columns)] for r in range(rows)]
    )


def words(seed, stream, index):
    """The Philox block of initial weights number 2*index and 2*index + 1."""
    counter = (index & MASK, stream & MASK, stream >> 32, 0x494E4954)  # "INIT"
    return philox(counter, (seed & MASK, seed >> 32))


def uniform(seed, stream, n):
    """n numbers of 53 bits in [0, 1)."""
    drawn = []
    for index in range((n + 1) // 2):
        a, b, c, d = words(seed, stream, index)
        drawn += [((a << 32 | b) >> 11) * 2.0**-53, ((c << 32 | d) >> 11) * 2.0**-53]
    return np.array(drawn[:n])


def normal(seed, stream, n):
    """Box & Muller (1958) on pairs of uniform numbers."""
    u = uniform(seed, stream, n + n % 2)
    radius, angle = np.sqrt(-2 * np.log(1 - u[0::2])), 2 * np.pi * u[1::2]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel()[:n]


def xavier_bound(n_in, n_out):
    return math.sqrt(6 / (n_in + n_out))


def xavier_in_bound(n_in):
    return math.sqrt(6 / n_in)


def he_std(n_in):
    return math.sqrt(2 / n_in)
