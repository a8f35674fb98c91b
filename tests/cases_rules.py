"""The table of update rules that the laws loop over: a row each, by its native name or another one.

Their formulas stand in `reference_rules.py`, other tables in `cases.py`.
"""

from dataclasses import dataclass
from typing import Any

from steep import optimizers, schedules


@dataclass(frozen=True)
class Rule:
    """An optimizer for the laws, and what is known of its native rule."""

    optimizer: Any
    rule: str = ""  # the native one, where the row has another name
    same: tuple[str, ...] = ()  # values of `like` that change nothing: the default is their form
    scale_free: bool = False  # steps as large for any gradient: it takes |g| or its sign, no square
    whole: bool = False  # a weight's step depends on all of its parameter
    starts_by_eps: bool = False  # without eps its first step is 0 everywhere


EVERY = ("torch", "keras", "optax")
RULES = {
    "sgd": Rule(optimizers.SGD(0.05), same=EVERY),
    "momentum": Rule(optimizers.SGD(0.02, 0.9), same=("keras",)),
    "nesterov": Rule(optimizers.SGD(0.02, 0.9, nesterov=True)),
    "nesterov_lookback": Rule(
        optimizers.SGD(0.02, 0.9, nesterov=True, like="torch"), same=("optax",)
    ),
    "adagrad": Rule(optimizers.AdaGrad(0.02), same=("torch",)),
    "rmsprop": Rule(optimizers.RMSProp(1e-3), same=("torch",)),
    "rmsprop_momentum": Rule(optimizers.RMSProp(1e-3, momentum=0.8)),
    "rmsprop_nesterov": Rule(optimizers.RMSProp(1e-3, momentum=0.8, nesterov=True)),
    "rmsprop_centered": Rule(optimizers.RMSProp(1e-3, eps=1e-5, centered=True), same=("torch",)),
    "rmsprop_centered_momentum": Rule(
        optimizers.RMSProp(1e-3, eps=1e-5, momentum=0.8, centered=True)
    ),
    "rmsprop_centered_nesterov": Rule(
        optimizers.RMSProp(1e-3, eps=1e-5, momentum=0.8, nesterov=True, centered=True)
    ),
    "adam": Rule(optimizers.Adam(1e-3), same=("torch", "optax")),
    "amsgrad": Rule(optimizers.AMSGrad(1e-3), same=("torch",)),
    "adamax": Rule(optimizers.Adamax(2e-3), same=("torch", "optax"), scale_free=True),
    "nadam": Rule(optimizers.NAdam(2e-3), same=("torch", "keras")),
    "radam": Rule(optimizers.RAdam(1e-3, beta2=0.9), same=("keras", "optax")),
    "adabelief": Rule(optimizers.AdaBelief(1e-3), same=EVERY),
    "yogi": Rule(optimizers.Yogi(1e-3, initial_accumulator=1e-3), same=("torch", "keras")),
    "adan": Rule(optimizers.Adan(1e-3, weight_decay=0.1), same=("torch", "keras")),
    "ademamix": Rule(optimizers.AdEMAMix(1e-3, beta3=0.99), same=EVERY),
    "lamb": Rule(optimizers.LAMB(1e-2, weight_decay=0.1), same=EVERY, scale_free=True, whole=True),
    "lars": Rule(
        optimizers.LARS(1.0, weight_decay=0.1), same=("torch", "keras"), scale_free=True, whole=True
    ),
    "muon": Rule(
        optimizers.Muon(0.02, weight_decay=0.1, matrices="*"), scale_free=True, whole=True
    ),
    "adafactor": Rule(
        optimizers.Adafactor(0.05, eps1=1e-3, clip=0.7, weight_decay=0.1),
        same=("keras",),
        scale_free=True,
        whole=True,
    ),
    "adafactor_vector": Rule(
        optimizers.Adafactor(0.05, eps1=1e-3, weight_decay=0.1, factored=False),
        same=("keras",),
        scale_free=True,
        whole=True,
    ),
    "adadelta": Rule(optimizers.AdaDelta(1.0), same=EVERY, starts_by_eps=True),
    "lion": Rule(optimizers.Lion(1e-3, weight_decay=0.1), same=EVERY, scale_free=True),
    "signum": Rule(optimizers.Signum(1e-3), same=EVERY, scale_free=True),
    "rprop": Rule(optimizers.Rprop(1e-3), same=("torch", "keras"), scale_free=True),
    "asgd": Rule(optimizers.ASGD(0.05, lambd=0.1, t0=3), same=EVERY),
    "ftrl": Rule(  # its first step leads near 0 from everywhere
        optimizers.FTRL(0.1, 0.4, l1_strength=1e-3, beta=1.0), same=EVERY, scale_free=True
    ),
    "ftrl_root": Rule(
        optimizers.FTRL(0.1, l1_strength=1e-3, beta=1.0), same=EVERY, scale_free=True
    ),
    "schedule_free_sgd": Rule(
        optimizers.ScheduleFreeSGD(0.1, warmup_steps=5, weight_decay=0.1), same=EVERY
    ),
    "schedule_free_adam": Rule(
        optimizers.ScheduleFreeAdamW(1e-3, warmup_steps=5, weight_decay=0.1), same=EVERY
    ),
    "adamw": Rule(optimizers.AdamW(1e-3, weight_decay=0.1), rule="adam", same=("torch", "optax")),
    "scheduled": Rule(  # look-ahead with rate and momentum that change every step
        optimizers.SGD(
            schedules.Exponential(0.05, 0.01), schedules.Linear(0.5, 0.9, 60), nesterov=True
        ),
        rule="nesterov",
    ),
}
