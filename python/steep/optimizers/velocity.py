"""The velocity that SGD and RMSProp share: checks, knobs, formula. No optimizer is here."""

from typing import Any

from .clock import Clock, Value


def check_nesterov(optimizer: Any) -> None:
    """Refuse Nesterov's look-ahead without a velocity to look along."""
    if optimizer.nesterov and optimizer.momentum == 0.0:
        raise ValueError(
            f"{type(optimizer).__name__}: nesterov=True needs a momentum above 0, got 0.0; "
            "0.9 is usual"
        )


def check_rate_place(optimizer: Any) -> None:
    """Refuse to take the rate out of a velocity that is not there."""
    plain = optimizer.momentum == 0.0 and optimizer.like is None
    if plain and optimizer.lr_in_velocity is False:
        raise ValueError(
            f"{type(optimizer).__name__}: lr_in_velocity=False needs a momentum above 0, got 0.0; "
            "leave it out"
        )


def velocity(optimizer: Any, clock: Clock, look: bool) -> dict[str, Value]:
    """Return the knobs of v = mu*v - rate_in*g, w = w + rate_out*v, and of w + look*v.

    The rate stands inside the velocity or outside; they differ where it changes.
    """

    def mu_and_outer(when: Clock) -> tuple[Value, Value]:
        inside = optimizer.lr_in_velocity
        return optimizer._at("momentum", when), 1.0 if inside else optimizer._at("lr", when)

    mu, rate_out = mu_and_outer(clock)
    rate_in = optimizer._sign * (optimizer._at("lr", clock) if optimizer.lr_in_velocity else 1.0)
    columns = {"mu": mu, "rate_in": rate_in, "rate_out": rate_out}
    if look:
        mu_next, out_next = mu_and_outer(clock.next())
        columns |= {"look": mu * rate_out, "look_next": mu_next * out_next}
    return columns


def looking_back(optimizer: Any, columns: dict[str, Value], clock: Clock) -> dict[str, Value]:
    """Return the knobs of w = w + rate_out*v - rate_direct*d that differ with Nesterov's step back.

    The gradient is taken at w; w then goes on to mu*v again, as the libraries have it.
    """
    return {
        "rate_out": columns["rate_out"] * columns["mu"],
        "rate_direct": optimizer._sign * optimizer._at("lr", clock),
    }


def with_velocity(optimizer: Any, lines: list[str], look: bool) -> list[str]:
    """Return a formula whose last line, w = w - lr*x, feeds a velocity instead."""
    *before, last = lines
    inner, outer = ("lr*", "") if optimizer.lr_in_velocity else ("", "lr*")
    ahead = [f"g is taken at w + momentum*{outer}v"] if look else []
    change = last.removeprefix("w = w - lr*")
    moved = f"v = momentum*v - {inner}{change}"
    back = optimizer.nesterov and not look
    onward = f"momentum*{outer}v - lr*{change}" if back else f"{outer}v"
    return [*ahead, *before, moved, f"w = w + {onward}"]
