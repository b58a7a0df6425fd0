# %% [markdown]
# # 6. A plain RNN and the gradient that vanishes
#
# *Builds on tutorials 1 and 2 (gradients, tensors). Runs in about half a minute.*
#
# A recurrent network reads a sequence one step at a time and keeps what it has read in a state. The simplest one, by Elman
# (1990), is a single equation:
#
# $$h_t = \tanh(W \cdot [h_{t-1}, x_t] + b)$$
#
# The square brackets put two vectors one below the other, so $W$ has a part for the state, $W_h$, and one for the input,
# $W_x$. In this project you write the equation and get the network:

# %%
import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
import rnn.viz
from minigrad import tanh
from rnn import LSTM, Cell, Input, Recurrent, State, W, b


class RNN(Cell):
    x, h = Input(), State()
    h_next = tanh(W @ [h, x] + b)


cell = RNN(input_size=2, hidden_size=3)
print(cell)
print({name: parameter.shape for name, parameter in cell.named_parameters()})

# %% [markdown]
# `h` is the state before the step, `h_next` the state after it. `W_h.h` is the part of the matrix that multiplies the
# state: three rows as there are three units, three columns as the state has three numbers.
#
# ## How far back can it learn?
#
# Suppose that at step 100 the network makes a mistake, and the cause is something it read at step 1. To mend that, the
# gradient must come back from step 100 to step 1, through all the steps between. Does it?
#
# Begin with a network of one unit and no input, so that $h_t = \tanh(w \cdot h_{t-1})$. The chain rule says how a step
# passes a gradient back:
#
# $$\frac{\partial h_t}{\partial h_{t-1}} = (1 - h_t^2) \cdot w$$
#
# and 100 steps multiply 100 such factors. Guess before you read the output: which of these weights lets a useful gradient
# through, 0.5, 0.9, 1.0, 1.1 or 2?

# %%
def gradient_through(w, steps=100):
    """How h after so many steps depends on the first h, which is 0.1."""
    first = mg.tensor(0.1, dtype="float64", requires_grad=True)
    h = first
    for _ in range(steps):
        h = tanh(w * h)
    h.backward()
    return first.grad.item()


through = {w: gradient_through(w) for w in (0.5, 0.9, 1.0, 1.1, 2.0)}
for w, gradient in through.items():
    print(f"w = {w}:  {gradient:.1e}      w^100 = {w ** 100:.1e}")

# %% [markdown]
# For a weight below 1 the gradient shrinks like $w^{100}$. A weight above 1 does not rescue it: the state then grows until
# tanh is nearly flat, $1 - h^2$ becomes small, and the product shrinks all the same. Even $w = 1$ loses some, since
# $1 - h^2$ is below 1 wherever $h$ is not exactly 0. To keep a gradient alive, 100 factors must all lie near 1, and nothing
# in the equation makes them.
#
# ## The same with 64 units
#
# With many units the factor becomes a matrix: $\partial h_t / \partial h_{t-1} = \mathrm{diag}(1 - h_t^2) \cdot W_h$. We let a
# layer of 64 units read 100 random vectors, and ask how its last output depends on each of them. That is one call of
# `backward`: the gradient of the last output by *all* inputs.
#
# A layer begins with an orthogonal $W_h$, which stretches no vector. We multiply it by a number from 0.5 to 2 to see more.

# %%
STEPS, UNITS = 100, 64


def layer_of(cell, scale=1.0, **keywords):
    mg.manual_seed(0)
    layer = Recurrent(cell, input_size=8, hidden_size=UNITS, **keywords)
    for name, parameter in layer.named_parameters():
        if name.endswith("W_h.h"):
            parameter.assign(parameter.numpy() * scale)
    return layer


def flow(layer):
    """(steps,): the norm of the gradient of the sum of the last output, by what was read at each step."""
    mg.manual_seed(1)
    xs = mg.randn(STEPS, 1, 8, requires_grad=True)
    ys, _ = layer(xs)
    ys[-1].sum().backward()
    return np.linalg.norm(xs.grad.numpy()[:, 0], axis=-1)


flows = {scale: flow(layer_of(RNN, scale)) for scale in (0.5, 0.9, 1.0, 1.5, 2.0)}

fig, ax = plt.subplots(figsize=(7, 3.4))
for scale, norms in flows.items():
    ax.semilogy(range(1, STEPS + 1), norms, label=f"$W_h$ orthogonal · {scale}")
ax.set(xlabel="step at which something was read", ylabel="gradient's norm", ylim=(1e-20, 1e8))
ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
fig.tight_layout()

# %% [markdown]
# Read the picture from right to left, as the gradient travels. A straight line on this scale means that every step
# multiplies by about the same number. For 0.5 the line leaves the picture, and at the first steps something absolute
# happens:

# %%
print("scale 0.5, steps 1 to 5:", flows[0.5][:5])
print("scale 1.0, step 100 and step 1:", flows[1.0][-1], flows[1.0][0])

# %% [markdown]
# The gradient is not merely small there but exactly zero. The smallest positive number that float32 can hold is about
# $10^{-45}$, and the product has fallen below it. But even with the well-behaved orthogonal matrix, what was read at step 1
# counts eleven or twelve orders of magnitude less than what was read last.
#
# And at 2.0 the opposite happens: the gradient **explodes**. In the one-unit network saturation stopped that. With many
# units and inputs that push them around it need not. Between the two lies a narrow path, and training moves $W_h$ about
# without knowing it.
#
# Is this really the product of the matrices, and not something that our engine does wrong? We multiply them by hand, in
# NumPy, and compare.

# %%
layer = layer_of(RNN, 1.5)
norms = flow(layer)

mg.manual_seed(1)
hs = layer(mg.randn(STEPS, 1, 8))[0].numpy()[:, 0].astype(np.float64)
weights = {name.split(".")[-1]: p.numpy() for name, p in layer.named_parameters() if "W_h" in name}
back, by_hand = np.ones(UNITS), np.empty(STEPS)
for t in reversed(range(STEPS)):
    through_tanh = back * (1 - hs[t] ** 2)
    by_hand[t] = np.linalg.norm(weights["x"].T @ through_tanh)
    back = weights["h"].T @ through_tanh

difference = np.abs(by_hand / norms - 1).max()
print(f"largest relative difference: {difference:.1e}")

# %% [markdown]
# ## An explosion has a cure
#
# A gradient that is too long can be cut to a length that is not. The direction stays. This is called clipping (Pascanu,
# Mikolov & Bengio, "On the difficulty of training recurrent neural networks", ICML 2013), and every training loop for
# recurrent networks has it. The function returns the norm that it found.

# %%
layer = layer_of(RNN, 2.0)
flow(layer)
found = mg.optim.clip_grad_norm(layer.parameters(), max_norm=1.0)
left = np.sqrt(sum((p.grad.numpy().astype(np.float64) ** 2).sum() for p in layer.parameters()))
print(f"norm of the parameters' gradient: {found:.1f}, clipped: {left:.3f}")

# %% [markdown]
# Nothing like that helps against vanishing. Multiplying everything by a large number does not help either: the gradient of
# a weight is a *sum* over all steps, and in that sum the near steps drown the far ones whatever the scale is. The network
# is not told "you should have remembered", only "you should have looked harder at the last few steps".
#
# ## Does it matter?
#
# Here is a task that needs nothing but memory. The first step shows one of four symbols; then comes noise; at the end the
# network must say which symbol it was. Chance is 25 %. We train the RNN with 20 steps of noise and with 120, three times
# each. What do you expect?

# %%
def remember(cell, lag, seed, updates=250, rows=32, **keywords):
    """The share that is right over the last 20 of `updates` batches."""
    mg.manual_seed(seed)
    rng = np.random.default_rng(seed)
    layer, head = Recurrent(cell, 5, 32, **keywords), mg.nn.Linear(32, 4)
    parameters = [*layer.parameters(), *head.parameters()]
    optimizer, right = mg.optim.Adam(parameters, lr=3e-3), []
    for _ in range(updates):
        symbol = rng.integers(0, 4, rows)
        xs = np.zeros((1 + lag, rows, 5), np.float32)
        xs[0, np.arange(rows), symbol] = 1                              # the symbol, on one of four lines
        xs[1:, :, 4] = rng.standard_normal((lag, rows))                 # noise, on the fifth
        scores = head(layer(xs)[0][-1])
        right.append((scores.numpy().argmax(-1) == symbol).mean())
        optimizer.zero_grad()
        mg.nn.functional.cross_entropy(scores, symbol).backward()
        mg.optim.clip_grad_norm(parameters, 1.0)
        optimizer.step()
    return float(np.mean(right[-20:]))


right = {}


def report(name, cell, lag, **keywords):
    right[name, lag] = [remember(cell, lag, seed, **keywords) for seed in range(3)]
    print(f"{name}, {lag} steps of noise:  " + "  ".join(f"{share:4.0%}" for share in right[name, lag]))


report("RNN", RNN, 20)
report("RNN", RNN, 120)

# %% [markdown]
# With 120 steps between, the RNN guesses. It *could* do the task; that weights which remember exist, the short lag shows. The
# gradient does not lead there. (There is no sharp border. When we tried 80 steps with six seeds and more training, one run
# ended at 100 %, one at 82 %, and four guessed. How to report such things is the subject of tutorial 14.)
#
# ## What the LSTM does differently
#
# Sepp Hochreiter described the vanishing gradient in his diploma thesis of 1991; Bengio, Simard and Frasconi came to it
# independently in 1994. The LSTM of Hochreiter and Schmidhuber (1997) was made against it. Its heart is a second state:
#
# $$c_t = f_t \cdot c_{t-1} + i_t \cdot g_t$$
#
# No matrix and no tanh stand between $c_{t-1}$ and $c_t$. Going back along this line a gradient is multiplied by $f_t$, the
# forget gate, which is a number between 0 and 1 for each unit and **chosen by the network**. Where $f_t$ is 1, nothing is
# lost. At the beginning nothing has been chosen, and $f$ is about $\sigma(b_f)$: 0.73 if the forget gate's bias is 1, which
# is what an `LSTM` begins with here, and 0.98 if it is 4.

# %%
layers = {"RNN": layer_of(RNN), "LSTM, $b_f$ = 1": layer_of(LSTM), "LSTM, $b_f$ = 4": layer_of(LSTM, init={"b_f": 4.0})}
reach = {name: flow(layer)[0] for name, layer in layers.items()}
for name, norm in reach.items():
    print(f"{name:16} the last output by what was read at step 1: {norm:.0e}")

mg.manual_seed(1)
rnn.viz.gradient_flow(layers, mg.randn(STEPS, 1, 8), loss=lambda ys: ys[-1].sum())

# %% [markdown]
# These are networks that have learnt nothing yet: the numbers and the picture show how far the very first gradients reach.
# `rnn.viz.gradient_flow` draws for any layer the gradient by the *states* that a step hands to the next. In an LSTM the lines
# of `c` and `h` have the same slope: what comes back to `h` has come along `c`, and goes on along it. The LSTM that begins with
# $b_f = 1$ loses much less than the RNN, but after 100 steps still four orders of magnitude. Can it learn the task with 120
# steps? And with $b_f = 4$?

# %%
report("LSTM, b_f = 1", LSTM, 120)
report("LSTM, b_f = 4", LSTM, 120, init={"b_f": 4.0})

# %% [markdown]
# To have an LSTM is not enough. The same six equations guess or succeed according to *one number* at which a bias begins, and
# the picture foretold it. If your network must bridge a long time, look at its forget bias (an old advice: Gers, Schmidhuber
# and Cummins gave it in 2000, Jozefowicz, Zaremba and Sutskever again in 2015). Tutorial 7 opens the LSTM and looks at each of
# its gates.
#
# Things to try:
#
# - Replace tanh by relu in the cell, and multiply the identity by 1 in place of an orthogonal matrix
#   (`init={"W_h.h": np.eye(64)}`). Le, Jaitly and Hinton proposed exactly this in 2015. Does the gradient vanish? Does it
#   explode?
# - Take `flow` of a `GRU` (tutorial 9).
# - Train an RNN on short lags first and then on longer ones. Can it be led along the narrow path?

# %%
assert through[0.5] < 1e-29 and through[2.0] < 1e-29 and 0.1 < through[1.0] < 1
assert flows[0.5][0] == 0 and flows[1.0][0] < 1e-8 < flows[1.0][-1] and flows[2.0][0] > 1e3
assert difference < 1e-2
assert found > 100 and abs(left - 1) < 1e-5
assert np.median(right["RNN", 20]) > 0.9 and np.median(right["RNN", 120]) < 0.5
assert np.median(right["LSTM, b_f = 1", 120]) < 0.5 and np.median(right["LSTM, b_f = 4", 120]) > 0.9
assert reach["LSTM, $b_f$ = 4"] > 1e-2 > reach["LSTM, $b_f$ = 1"] > 1e3 * reach["RNN"]
