"""
Adam and its bias correction
============================

Adam is momentum for the direction and RMSProp for the size. Both averages begin at 0, and so are
too small at first: after t steps of a constant gradient g they are (1 - β₁ᵗ)·g and (1 - β₂ᵗ)·g².
The correction divides by just that.
"""

import matplotlib.pyplot as plt
import numpy as np
from steep import lab
from steep.lab import surfaces
from steep.optimizers import SGD, Adam, RMSProp

Adam(0.1).formula()

# %%
# With a constant gradient every corrected step is exactly the rate, whatever the gradient.
# Uncorrected, the first is (1 - β₁)/√(1 - β₂) = .1/.0316 = 3.2 times too long, soon twice that, and
# it takes thousands of steps to come down: the momentum is complete after ten steps, the divisor
# after a thousand.
figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
for corrected, line in ((True, "-"), (False, "--")):
    rule = Adam(0.1, bias_correction=corrected, eps=1e-12)
    step = -np.diff(lab.descend(rule, lambda w: 0.3, 0.0, 3000).ravel())
    axes.semilogx(
        np.arange(1, 3001), step, line, label="corrected" if corrected else "not corrected"
    )
    print(f"corrected {corrected}: first step {step[0]:.4f}, longest {step.max():.4f}")
axes.set(xlabel="step t", ylabel="length of the step (rate .1)", ylim=(0, None))
axes.legend()


# %%
# The forms in the notes, on w² from 2
# ------------------------------------
def slope(w):
    return 2 * w


forms = {
    "the paper's, rate .1": Adam(0.1),
    "no rate (S2's first slide)": Adam(1.0),
    "ε before the correction (Keras, scikit-learn)": Adam(0.1, like="keras"),
    "t counts epochs of 3 batches (S2)": Adam(0.1, bias_time="epoch"),
    "no correction, ε inside, β₂ .99 (S1, S4)": Adam(
        0.1, beta2=0.99, eps=1e-10, eps_inside=True, bias_correction=False
    ),
}
for name, rule in forms.items():
    path = lab.descend(rule, slope, 2.0, 3, epoch_steps=3).ravel()
    print(f"{name:46} {path[1:].round(10)}")

# %%
# * S1 and S4 multiply the step by the gradient once more. That is an error: from 2 the first step
#   would be .4 long instead of .1, and the point of the rule, a step whose length does not hang on
#   the gradient's, is lost. steep has no such switch.
# * S1 writes both averages with a minus, -(1 - β₂)g²: the root of a negative number.
# * S2's first slide has no learning rate; ``Adam(1.0)`` is that form.
# * "10E-8" in S4 is 1e-7 to the letter; the paper, and steep, say 1e-8. S1's β₂ is .99, the others'
#   .999.
# * S2 says that t is the number of epochs, inside the loop over batches: ``bias_time="epoch"``.

# %%
# Momentum and RMSProp together
# -----------------------------
# Without momentum and correction Adam is RMSProp, to the last bit:
start = surfaces.rosenbrock.start
adam = Adam(0.01, beta1=0.0, beta2=0.9, bias_correction=False)
ends = [
    lab.descend(rule, surfaces.rosenbrock.grad, start, 300)[-1]
    for rule in (adam, RMSProp(0.01, rho=0.9, eps=1e-8))
]
print(ends[0], ends[1], "equal:", ends[0].tobytes() == ends[1].tobytes())

# %%
rules = {
    "SGD": SGD(1e-3),
    "momentum": SGD(1e-3, momentum=0.9),
    "RMSProp": RMSProp(0.01),
    "Adam": Adam(0.05),
}
figure = lab.plot_paths(surfaces.rosenbrock, rules, steps=150)
