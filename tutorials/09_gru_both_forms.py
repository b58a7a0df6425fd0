# %% [markdown]
# # 9. The GRU, in both forms
#
# *Builds on tutorial 7 (gates). Runs in about 20 seconds.*
#
# The gated recurrent unit came in 2014 (Cho et al., "Learning phrase representations using RNN encoder-decoder for
# statistical machine translation"). It keeps the LSTM's idea, a memory that gates operate, with half the parts: one state
# in place of two, two gates in place of three. What is less known: there are **two** GRUs, their results differ, and
# weights trained for one are wrong for the other. A network moved from one library to another can fail by it silently.
#
# Here is the form of the article that this project follows, with the article's lines beside it.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
import rnn.viz
from minigrad import sigmoid, tanh
from rnn import LSTM, RNN, Cell, Input, Recurrent, ResetAfterGRU, ResetBeforeGRU, State, W


class GRU(Cell):
    x, h = Input(), State()

    z = sigmoid(W @ [h, x])                    # z_t = σ(W_z·[h_{t-1}, x_t])
    r = sigmoid(W @ [h, x])                    # r_t = σ(W_r·[h_{t-1}, x_t])
    n = tanh(W @ [r * h, x])                   # h̃_t = tanh(W·[r_t * h_{t-1}, x_t])
    h_next = (1 - z) * h + z * n               # h_t = (1 - z_t) * h_{t-1} + z_t * h̃_t


for kind in (RNN, GRU, LSTM):
    cell = kind(input_size=32, hidden_size=64)
    print(f"{kind.__name__:4} {sum(p.size for p in cell.parameters()):6,} parameters")

# %% [markdown]
# Read it from the last line. The new state is a mixture of the old one and a candidate `n`, and the **update gate** `z`
# says how much of each. Where an LSTM has two gates for that, `f` and `i`, which may both be open, the GRU has one: what
# comes in takes the place of what goes. The **reset gate** `r` acts earlier: it says how much of the old state the
# candidate may see. With `r` at 0 the candidate begins as if nothing had been read before.
#
# ## A small difference: which way does z point?
#
# PyTorch, Keras and ONNX write the last line the other way round, `z * h + (1 - z) * n`. Is that a different network?

# %%
print(ResetBeforeGRU(input_size=2, hidden_size=3))

# %% [markdown]
# It is not, and the reason fits in one line: $\sigma(-a) = 1 - \sigma(a)$. Negate everything that leads into `z` and the two
# agree. We take the weights of an article's GRU, negate `W_z`, and give them to the library's form, whose biases stay 0.

# %%
mg.manual_seed(0)
article, library = GRU(4, 8, dtype="float64"), ResetBeforeGRU(4, 8, dtype="float64")
for name, parameter in article.weights.items():
    sign = -1 if name.startswith("W_z") else 1
    library.weights[name].assign(sign * parameter.numpy())

x, state = mg.randn(5, 4, dtype="float64"), mg.randn(5, 8, dtype="float64")
turned = np.abs(article(x, [state])[0].numpy() - library(x, [state])[0].numpy()).max()
print(f"largest difference: {turned:.0e}")

# %% [markdown]
# So this is a matter of notation, as long as someone remembers the minus sign.
#
# ## The real difference: where does r act?
#
# Now the form that PyTorch and cuDNN compute, and Keras unless you ask it not to. Before you read on, find the line that
# matters.

# %%
print(ResetAfterGRU(input_size=2, hidden_size=3))

# %% [markdown]
# As pictures, drawn from the equations: first the form with the reset before the product, which you have seen above, then
# this one. Look for `r`, and for the box in which its line ends.

# %%
rnn.viz.gates(ResetBeforeGRU)

# %%
rnn.viz.gates(ResetAfterGRU)

# %% [markdown]
# In the article's form the state is multiplied by `r` and *then* by the matrix: $W (r * h)$. Here the matrix comes first:
# $r * (W h)$. Reset **before** the product, and reset **after** it.
#
# Think of units that send numbers to each other through $W$. Before the product, `r` sits at the **sender**: unit 1 decides
# how much of itself *anyone* hears. After the product it sits at the **receiver**: unit 1 decides how much it hears *of
# others*. Two units that swap their numbers make the difference plain. What are the two results, if only unit 1's reset gate
# is open?

# %%
swap = np.array([[0, 1],
                 [1, 0]])
h, r = np.array([3, 7]), np.array([1, 0])
before, after = swap @ (r * h), r * (swap @ h)
print("reset before the product:", before)
print("reset after the product: ", after)

# %% [markdown]
# Unit 1 holds 3, unit 2 holds 7. With the gate at the sender, unit 1 may speak, and its 3 arrives at unit 2. With the gate at
# the receiver, unit 1 may listen, and the 7 arrives at it. From the same weights, the same state and the same gate come two
# results that have nothing in common.
#
# Can some change of weights make up for that, like the minus sign did? Only where the two agree for all `r`, that is, if $W$
# is diagonal, so that no unit hears another. In general there is none. Here are the forms after one step and after twenty,
# with the same numbers in all parameters that they share:

# %%
def outputs(kind, weights, xs):
    layer = Recurrent(kind, 4, 8, init=lambda name, shape: weights.get(name, np.zeros(shape)))
    return layer(xs)[0].numpy()[:, 0]


mg.manual_seed(0)
weights = {name: 2 * p.numpy() for name, p in ResetBeforeGRU(4, 8).weights.items() if name.startswith("W")}
xs = mg.randn(20, 1, 4)
of_before = outputs(ResetBeforeGRU, weights, xs)
of_after = outputs(ResetAfterGRU, {**weights, "W_q.h": weights["W_n.h"]}, xs)
apart = np.abs(of_before - of_after).max(-1)
print("largest difference after step 1, 2, 3, 20:", apart[[0, 1, 2, 19]].round(3))

# %% [markdown]
# Nothing is wrong at the first step, where the state is still 0. A test of one step from a zero state would not have seen
# it. From the second step on they are different networks.
#
# Therefore this project does not guess. It has both forms under names that say which is which, and refuses a conversion that
# would be wrong:

# %%
try:
    Recurrent(ResetBeforeGRU, 4, 8).torch_state_dict()
except TypeError as error:
    refusal = str(error)
print(refusal)

# %% [markdown]
# ## Is ours really PyTorch's?
#
# PyTorch's documentation defines its GRU by these equations (with $b_{ir}$ for the bias beside $W_{ir}$, and so on):
#
# $$r = \sigma(W_{ir} x + b_{ir} + W_{hr} h + b_{hr}) \qquad z = \sigma(W_{iz} x + b_{iz} + W_{hz} h + b_{hz})$$
#
# $$n = \tanh(W_{in} x + b_{in} + r * (W_{hn} h + b_{hn})) \qquad h' = (1 - z) * n + z * h$$
#
# and stores the three parts of each kind one below the other, in the order r, z, n. We export a layer's weights under
# PyTorch's names and compute its equations in NumPy.

# %%
layer = Recurrent(ResetAfterGRU, 4, 8, init="torch", dtype="float64")
exported = {name: np.asarray(value) for name, value in layer.torch_state_dict().items()}
print({name: value.shape for name, value in exported.items()})


def torch_step(p, x, h):
    i_r, i_z, i_n = np.split(p["weight_ih_l0"] @ x + p["bias_ih_l0"], 3)
    h_r, h_z, h_n = np.split(p["weight_hh_l0"] @ h + p["bias_hh_l0"], 3)
    r, z = 1 / (1 + np.exp(-i_r - h_r)), 1 / (1 + np.exp(-i_z - h_z))
    n = np.tanh(i_n + r * h_n)
    return (1 - z) * n + z * h


xs, h = mg.randn(20, 4, dtype="float64"), np.zeros(8)
for x in xs.numpy():
    h = torch_step(exported, x, h)
as_torch = np.abs(h - layer(xs)[1].h.numpy()).max()
print(f"after 20 steps they differ by {as_torch:.0e}")

# %% [markdown]
# ## Why would anyone move the gate?
#
# Because of the machine. Ask for the plan of each form, and look only at what is left to do in each step:

# %%
def in_each_step(kind):
    lines = Recurrent(kind, 32, 64).explain().forward
    start = lines.index("in each step:")
    return [line for line in lines[start + 1:] if line.startswith(" ")]


loops = {kind.__name__: in_each_step(kind) for kind in (ResetBeforeGRU, ResetAfterGRU)}
for name, lines in loops.items():
    print(name, *lines, sep="\n")

# %% [markdown]
# A line with `+=` is a matrix product (`h times W_r.h W_z.h`: by two matrices at once), `forward_1` and so on are the generated
# functions between products. With the reset before, the product with `W_n.h` needs `r`, and `r` needs the first product: two
# products **one after the other**. With the reset after, all three matrices multiply the same `h`, so one product with three
# times the rows does it, and one function does the rest. On a GPU, where the blocks of threads that share a step must wait for
# each other at each such point ("meet"), that is one wait in place of two. NVIDIA's cuDNN has only this form, and libraries
# followed.
#
# The arithmetic is nearly the same. What differs is how much of it can be done at once.
#
# ## Does it matter for what is learnt?
#
# A task that asks for resets: add up the numbers that you read, and begin again whenever a flag comes with one. We train both
# forms, and a plain RNN for comparison, with 16 units and three seeds each. (Both in the library's form with biases, so that
# the place of the reset is all that differs.) The table shows the mean squared error; the targets have a variance of about
# 0.7. Will the two forms differ by more than their seeds do?

# %%
def running_sums(rng, steps=40, rows=32):
    """(steps, rows, 2): numbers and flags; (steps, rows, 1): half the sum since the last flag."""
    numbers, flags = rng.uniform(-1, 1, (steps, rows)), rng.random((steps, rows)) < 0.1
    sums, total = np.zeros((steps, rows)), np.zeros(rows)
    for t in range(steps):
        total = np.where(flags[t], 0, total) + numbers[t]
        sums[t] = total
    return np.stack([numbers, flags], -1).astype(np.float32), 0.5 * sums[:, :, None].astype(np.float32)


def train(kind, seed, updates=300):
    """The layer, its readout, and the mean squared error over the last 20 batches."""
    mg.manual_seed(seed)
    rng = np.random.default_rng(seed)
    layer, head = Recurrent(kind, 2, 16), mg.nn.Linear(16, 1)
    parameters = [*layer.parameters(), *head.parameters()]
    optimizer, rate = mg.optim.Adam(parameters), mg.optim.cosine(0.01, updates, 1e-4)
    losses = []
    for k in range(updates):
        xs, targets = running_sums(rng)
        loss = mg.nn.functional.mse_loss(head(layer(xs)[0]), targets)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        mg.optim.clip_grad_norm(parameters, 1.0)
        optimizer.lr = rate(k)
        optimizer.step()
    return layer, head, float(np.mean(losses[-20:]))


runs = {kind.__name__: [train(kind, seed) for seed in range(3)] for kind in (ResetBeforeGRU, ResetAfterGRU, RNN)}
errors = {name: np.array([error for _, _, error in of_kind]) for name, of_kind in runs.items()}
for name, of_kind in errors.items():
    print(f"{name:14}", " ".join(f"{error:.4f}" for error in of_kind))

# %% [markdown]
# Both GRUs follow the sum closely, the RNN only roughly, and the two forms differ by no more than the seeds do. That is one
# small task and three seeds: it does not prove that they are equal, but it gives no reason to prefer one for what it learns.
# Prefer one for what it must be compatible with, and for speed.
#
# How does it do it? From the equations one would expect that at a flag `r` shuts, so that the candidate starts afresh, and
# that `z`, which keeps the old state in this form, goes down. We look at one network over one sequence, first at what it
# answers, then at its 16 units, with a ▲ below each flag; and at averages over 32 sequences.

# %%
layer, head, _ = runs["ResetBeforeGRU"][0]
xs, targets = running_sums(np.random.default_rng(99))
with mg.no_grad():
    ys, _, seen = layer(xs, capture=["r", "z", "h"])
    answers = head(ys).numpy()
inside = {name: values.numpy()[0] for name, values in seen.items()}             # (steps, rows, units)
flags = xs[:, :, 1] == 1

fig, ax = plt.subplots(figsize=(6, 1.8))
ax.plot(targets[:, 0, 0], color="0.8", linewidth=4, label="target")
ax.plot(answers[:, 0, 0], color="tab:blue", linewidth=1.2, label="answer")
for t in np.flatnonzero(flags[:, 0]):
    ax.axvline(t - 0.5, color="tab:red", linewidth=1)
ax.set(xlabel="step (red: a flag)", xlim=(-0.5, len(flags) - 0.5))
ax.legend(fontsize=8)
fig.tight_layout()

# %%
rnn.viz.activations(seen, labels=["▲" if flag else "" for flag in flags[:, 0]])        # the first of the 32 sequences

# %%
changes = np.abs(np.diff(inside["h"], axis=0))
at_flags = {"r": inside["r"][flags].mean(), "z": inside["z"][flags].mean(), "change of h": changes[flags[1:]].mean()}
elsewhere = {"r": inside["r"][~flags].mean(), "z": inside["z"][~flags].mean(), "change of h": changes[~flags[1:]].mean()}
for name in at_flags:
    print(f"{name:12} at flags {at_flags[name]:.2f}, elsewhere {elsewhere[name]:.2f}")

# %% [markdown]
# The expected is there, but only as a tendency. Both gates go down at flags, and the state jumps, by several times as much as
# at other steps; yet hardly any unit has a gate that is simply open or shut. The sum is not kept in one unit, as a person
# would build it, but spread over all 16, each a mixture of old and new, and the flag moves all of them a little. That is
# worth knowing before one reads a meaning into a single gate.
#
# Things to try:
#
# - Train the LSTM on the same task. With $f = i = 1$ it can add to a number and keep all of it, which a GRU, with one gate
#   for both, cannot. Does it find the sum more exactly?
# - A third form: let `r` act on both sides. How many products are left in each step?
# - `print(Recurrent(GRU, 32, 64).explain())` shows the whole plan, with the backward half and the sources.

# %%
assert turned < 1e-12 and as_torch < 1e-12
assert list(before) == [0, 3] and list(after) == [7, 0]
assert apart[0] < 1e-6 and apart[1:].max() > 0.1
assert "ResetBeforeGRU" in refusal
assert [sum("+=" in line for line in lines) for lines in loops.values()] == [2, 1]
assert max(errors["ResetBeforeGRU"].max(), errors["ResetAfterGRU"].max()) < 0.5 * errors["RNN"].min()
assert at_flags["r"] < elsewhere["r"] and at_flags["change of h"] > 2 * elsewhere["change of h"]
