# %% [markdown]
# # 4. Check a gradient and catch a bug
#
# A wrong gradient is a quiet bug. Nothing crashes, and, as we shall see, the loss often falls all the same. The good
# news: a gradient is the easiest thing to test in all of machine learning, because there is a second way to obtain it
# that shares no code with the first. Move the input a little and look at the result.
#
# We first learn how little is little enough, then look at the places where the test itself is wrong, and then plant a
# bug in a recurrent network and find it, down to the line. What you need: what a gradient is ([tutorial
# 1](01_scalar_autograd.md)), and NumPy.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
import minigrad.viz

# %% [markdown]
# ## How small should the step be?
#
# The slope of $f$ at $x$ can be measured from one side, $(f(x+h) - f(x)) / h$, or around $x$, $(f(x+h) - f(x-h)) /
# 2h$. The slope is the limit for $h \to 0$, so a smaller $h$ should be better. Let us see, with $e^x$ at 1, where we
# know that the slope is $e$. Before you look at the picture: which of 1e-1, 1e-5 and 1e-15 would you take?

# %%
steps = 10.0 ** np.arange(-15, 0, 0.1)


def errors(measure, dtype):
    """How far the measured slope is from the true one, relative to it, for each step."""
    x, true = dtype(1), np.exp(1.0)
    return [abs(float(measure(x, dtype(h))) - true) / true for h in steps]


def one_sided(x, h):
    return (np.exp(x + h) - np.exp(x)) / h


def central(x, h):
    return (np.exp(x + h) - np.exp(x - h)) / (2 * h)


results = {"one-sided, float64": errors(one_sided, np.float64), "central, float64": errors(central, np.float64),
           "central, float32": errors(central, np.float32)}
for name, values in results.items():
    plt.loglog(steps, np.maximum(values, 1e-13), label=name)
plt.xlabel("step h")
plt.ylabel("relative error")
plt.legend()
plt.show()
for name, values in results.items():
    print(f"{name:20s} best step about {steps[np.argmin(values)]:.0e}, error there {min(values):.0e}")

# %% [markdown]
# Each curve is a V, because two errors are at work.
#
# * **From the right**, the curve of $f$ is not straight. One-sided, the error falls like $h$; around $x$ the worst of
#   it cancels between the sides, and it falls like $h^2$, twice as steep in the picture.
# * **From the left**, a computer keeps about 16 digits (float64) or 7 (float32). $f(x+h)$ and $f(x-h)$ agree in
#   nearly all of them if $h$ is tiny, and subtracting leaves only the last, wrong ones. This error *grows* as $h$
#   shrinks. With 1e-15 almost nothing is left.
#
# So: measure around $x$, in float64, with a step near 1e-6 to 1e-5, and expect about ten right digits. In float32
# four or five digits are the best that *measuring* can do. That says nothing against float32 gradients themselves:

# %%
x32 = mg.tensor(1.0, requires_grad=True)
mg.exp(x32).backward()
print(f"computed in float32, relative error: {abs(x32.grad.item() - np.e) / np.e:.0e}")

# %% [markdown]
# They have all the 7 digits of their kind. So check in float64, and then train in float32.
#
# ## gradcheck
#
# `mg.gradcheck(f, inputs)` does this for each number of each input. It is silent if all is well. It refuses float32:

# %%
def f(x, W):
    return mg.tanh(mg.linear(x, W)).softmax()


rng = np.random.default_rng(0)
x, W = rng.normal(size=(3, 4)), rng.normal(size=(5, 4))
mg.gradcheck(f, [x, W])
mg.gradcheck(f, [x, W], order=2)
try:
    mg.gradcheck(f, [x.astype("float32"), W])
except TypeError as problem:
    print(problem)

# %% [markdown]
# `order=2` checks the gradient of the gradient, too.
#
# ## Where the check is wrong: kinks
#
# The function `relu(x)` is 0 left of 0 and `x` right of it. At 0 it has a kink, and no slope. What will the two
# methods say there?

# %%
for name, f in [("relu", mg.relu), ("abs", mg.abs)]:
    for where in (0.0, 1e-7, 1e-3):
        try:
            mg.gradcheck(f, [np.array([where])])
            print(f"{name} at {where}: fine")
        except mg.GradcheckError as problem:
            print(f"{name} at {where}: {problem}")

# %% [markdown]
# `gradcheck` multiplies the results with fixed random numbers, so that errors in several of them cannot cancel; here
# the number is 1.137. Divided by it, the first line says: computed 0, measured 0.5. Measuring gives the mean of both
# sides, the table says 0, and neither is "right". With `abs` both happen to say 0.
#
# At 1e-7 the slope of `relu` is 1 for sure, but the step of 1e-6 reaches across the kink. This is how a correct
# program fails a check: not often, and only with some seeds. The cure is to choose inputs that stay away from kinks,
# by more than the step. It is *not* to widen the tolerance until the test is green.
#
# ## A bug is planted
#
# Here is a plain recurrent network, $h_t = \tanh(W_x x_t + W_h h_{t-1} + b)$, whose backward pass is written by hand,
# as people did before autograd. The loss is the squared distance of the last state from a target. One thing in it is
# wrong. The shapes all fit. Do you see it?

# %%
def loss_of(p, xs, target):
    """The loss, and the states h_0, h_1, ... that it came from."""
    hs = [np.zeros(len(p["b"]))]
    for x in xs:
        hs.append(np.tanh(p["W_x"] @ x + p["W_h"] @ hs[-1] + p["b"]))
    return ((hs[-1] - target) ** 2).sum(), hs


def gradients(p, xs, target):
    """By hand, from the last step to the first."""
    _, hs = loss_of(p, xs, target)
    g = {name: np.zeros_like(value) for name, value in p.items()}
    d_h = 2 * (hs[-1] - target)
    for t in reversed(range(len(xs))):
        d = d_h * (1 - hs[t + 1] ** 2)
        g["W_x"] += np.outer(d, xs[t])
        g["W_h"] += np.outer(d, hs[t])
        g["b"] += d
        d_h = p["W_h"] @ d
    return g


def made(seed, size=6, steps=8):
    """Parameters, a sequence and a target."""
    rng = np.random.default_rng(seed)
    p = {"W_x": rng.normal(size=(size, 3)), "W_h": rng.normal(size=(size, size)) / size**0.5, "b": rng.normal(size=size)}
    return p, rng.normal(size=(steps, 3)), rng.uniform(-0.9, 0.9, size)


# %% [markdown]
# If you do not see it, neither will a reviewer. Surely training will show it? We train this network, and beside it
# one with the bug repaired (do not look for the difference yet):

# %%
def by_minigrad(p, xs, target):
    tensors = {name: mg.tensor(value, requires_grad=True) for name, value in p.items()}
    h = mg.zeros(len(target), dtype="float64")
    for x in xs:
        h = mg.tanh(mg.linear(mg.tensor(x), tensors["W_x"]) + mg.linear(h, tensors["W_h"]) + tensors["b"])
    ((h - target) * (h - target)).sum().backward()
    return {name: t.grad.numpy() for name, t in tensors.items()}


def trained(gradients, seed, steps=150):
    """The mean loss over four sequences as it falls."""
    tasks = [made(seed + k)[1:] for k in range(4)]
    p = made(seed)[0]
    losses = []
    for _ in range(steps):
        found = [gradients(p, *task) for task in tasks]
        losses.append(np.mean([loss_of(p, *task)[0] for task in tasks]))
        p = {name: value - 0.02 * sum(g[name] for g in found) for name, value in p.items()}
    return losses


runs = {name: [trained(g, seed) for seed in (10, 20, 30)] for name, g in [("by hand", gradients), ("by minigrad", by_minigrad)]}
mg.viz.losses(runs, log=True)

# %% [markdown]
# The loss falls with the bug as well, from three different starts, and nobody could tell from the ends of the curves
# which are the right ones. (At the last step of each sequence the wrong gradients *are* right, and this task is small
# enough for that to do.) Somebody who has only the curves by hand sees a network that learns, and perhaps tries another
# learning rate. **A falling loss is no evidence that a gradient is right.**
#
# ## The bug is found
#
# Ten lines measure every slope. They call only the forward pass, so they cannot share a mistake with the backward
# pass.

# %%
def measured(p, xs, target, h=1e-6):
    g = {name: np.zeros_like(value) for name, value in p.items()}
    for name, value in p.items():
        for index in np.ndindex(value.shape):
            kept = value[index]
            ends = []
            for moved in (kept + h, kept - h):
                value[index] = moved
                ends.append(loss_of(p, xs, target)[0])
            value[index] = kept
            g[name][index] = (ends[0] - ends[1]) / (2 * h)
    return g


def check(gradients, p, xs, target):
    """The largest error in each parameter's gradient, relative to the largest slope of all."""
    computed, slopes = gradients(p, xs, target), measured(p, xs, target)
    largest = max(abs(slope).max() for slope in slopes.values())
    return {name: float(abs(computed[name] - slopes[name]).max() / largest) for name in p}


def show(found):
    return "   ".join(f"{name} {error:.1e}" for name, error in found.items())


p, xs, target = made(0)
print(show(check(gradients, p, xs, target)))

# %% [markdown]
# Errors of the size of the gradients themselves, in all three: not rounding. Which line is it? Halve the problem
# until it is small. The obvious knob is the length of the sequence.

# %%
for steps in (1, 2, 3):
    print(f"{steps} steps:  ", show(check(gradients, p, xs[:steps], target)))

# %% [markdown]
# With a single step all is right, with two it is wrong. So the loss, the derivative of tanh and the three lines that
# add to `g` are fine, and the mistake is in what passes from one step to the one before. That is one line: `d_h =
# p["W_h"] @ d`. Forward, $h_{t-1}$ is multiplied by $W_h$; backward, the gradient is multiplied by its *transpose*.
# The matrix is square, so NumPy had nothing to complain about.

# %%
def repaired(p, xs, target):
    _, hs = loss_of(p, xs, target)
    g = {name: np.zeros_like(value) for name, value in p.items()}
    d_h = 2 * (hs[-1] - target)
    for t in reversed(range(len(xs))):
        d = d_h * (1 - hs[t + 1] ** 2)
        g["W_x"] += np.outer(d, xs[t])
        g["W_h"] += np.outer(d, hs[t])
        g["b"] += d
        d_h = p["W_h"].T @ d
    return g


print(show(check(repaired, p, xs, target)))

# %% [markdown]
# ## A check that would have missed it
#
# The weights above were random. Many programs begin with something tidier, for instance the identity as recurrent
# matrix. What would the check of the *wrong* gradients have said there?

# %%
tidy = {**p, "W_h": np.eye(6) * 0.9}
print("the wrong gradients at a tidy place:  ", show(check(gradients, tidy, xs, target)))

# %% [markdown]
# All right! The identity is its own transpose. Zeros, ones, identities and equal numbers hide mistakes in this way,
# so **check at random places**, with sizes that differ (3 inputs, 6 units: a square matrix is where our bug could
# live).
#
# ## A million parameters: one direction at a time
#
# Measuring takes two runs for each number. A real layer has too many, but a check does not need each of them. Take a
# random direction $v$ in the space of all parameters. The slope in that direction can be measured with two runs, and
# must equal the sum of gradient times $v$. If one gradient of many is wrong, almost every direction shows it. Here
# for a layer of this project, with its generated backward code:

# %%
from rnn import LSTM, Recurrent

mg.manual_seed(0)
layer = Recurrent(LSTM, input_size=20, hidden_size=50, num_layers=2, dtype="float64")
inputs, weights = mg.randn(12, 4, 20).astype("float64"), mg.randn(12, 4, 50).astype("float64")


def loss():
    ys, _ = layer(inputs)
    return (ys * weights).sum()


loss().backward()
parameters = list(layer.parameters())
start = [p.numpy().copy() for p in parameters]
direction = [rng.normal(size=p.shape) for p in parameters]
expected = sum((p.grad.numpy() * v).sum() for p, v in zip(parameters, direction))

ends = []
for h in (1e-6, -1e-6):
    for p_, a, v in zip(parameters, start, direction):
        p_.assign(a + h * v)
    ends.append(loss().item())
slope = (ends[0] - ends[1]) / 2e-6
print(f"{sum(a.size for a in start):,} parameters: from gradients {expected:.8f}, measured {slope:.8f}")

# %% [markdown]
# ## In short
#
# 1. Central differences, float64, a step of about 1e-6.
# 2. Away from kinks, at random places, with sizes that are all different.
# 3. A check that cannot fail is worth nothing: break the code and see that it does.
# 4. If it fails, make the problem smaller until one line is left.
#
# ## To try
#
# * Plant another bug: `1 - hs[t] ** 2`, or `xs[t - 1]`. With how many steps does `check` first see it?
# * Does a random *direction* find the bug in `gradients`? In how many directions out of a hundred would a tolerance
#   of 1e-4 miss it?
# * Find the best step for central differences of $\sin x$ at $x = 1000$ in float64. Why is it larger?
#
# The rest checks what was said above.

# %%
assert min(results["central, float64"]) < 1e-9 < min(results["one-sided, float64"]) < 1e-6
assert 1e-6 < min(results["central, float32"]) < 1e-3
assert all(curve[-1] < curve[0] / 2 for curves in runs.values() for curve in curves)
assert max(check(repaired, *made(1)).values()) < 1e-6
assert min(check(gradients, *made(1)).values()) > 1e-2
assert max(check(gradients, tidy, xs, target).values()) < 1e-6
by_hand, by_walk = repaired(*made(1)), by_minigrad(*made(1))
for name in by_hand:
    np.testing.assert_allclose(by_hand[name], by_walk[name], rtol=1e-10, atol=1e-12)
assert abs(slope - expected) < 1e-6 * abs(expected)
