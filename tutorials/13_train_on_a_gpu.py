# %% [markdown]
# # 13. Train on a GPU
#
# *Builds on tutorial 5 (two backends) and tutorial 11 (from equations to a kernel). Runs in about twenty seconds, and needs no
# GPU: where there is none, it shows what would be launched there, and plays it on the CPU.*
#
# To train on a GPU is one word. To be *fast* there is the interesting part: a recurrent network is about the worst thing that
# one can ask a GPU for. This tutorial trains a network on whatever device you have, counts what a GPU is asked to do by three
# ways of running the same loop, reads the CUDA kernel that is generated for the best of them, and runs its algorithm by hand.
#
# ## The one word
#
# We ask for a GPU, and take the CPU if there is none.

# %%
import threading
import time

import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
import minigrad.viz
from minigrad import backends
from rnn import GRU, LSTM, RNN, PeepholeLSTM, Recurrent, ResetAfterGRU
from rnn.data import WrittenDigits
from rnn.models import Classifier
from rnn.training import accuracy, cross_entropy, fit

device = "cuda"
try:
    mg.zeros(1, device=device)
except RuntimeError as problem:
    print(problem)
    device = "cpu"
print("we train on:", device)

# %% [markdown]
# (It takes an NVIDIA GPU with its driver, and CuPy: `pip install -e '.[train,cuda13]'` in a copy of this repository, `cuda12`
# where the driver is older. The message says which of them is missing.)
#
# The task: read the movements of a pen, between 15 and 45 of them, and tell which digit was written. The network is an LSTM in
# both directions. `.to(device)` is the word; the batches follow the model by themselves.

# %%
digits = WrittenDigits(rows=32)
mg.manual_seed(0)
model = Classifier(Recurrent(LSTM, digits.input_size, 32, bidirectional=True), digits.classes).to(device)
start = time.perf_counter()
run = fit(model, digits, cross_entropy, steps=300, lr=1e-2, schedule="cosine", measures={"accuracy": accuracy},
          validate_every=100)
print([f"{v.measures['accuracy']:.1%}" for v in run.validations], f"in {time.perf_counter() - start:.1f} s")
print("the weights are on:", model.layer.cell.device)
mg.viz.losses(run.losses, unit="nats")

# %% [markdown]
# Nothing else in the program knows about the device. The initial weights, the batches and the dropout of one seed are the same
# everywhere, checkpoints of one device are read on the other, and the losses agree to rounding. On the command line it is
# `python -m rnn train --device cuda`.
#
# If you ran this with a GPU, were you impressed? A layer as small as this one is *not* faster there, as tutorial 5 explains.
# So, a larger one.
#
# ## What a GPU is asked to do
#
# The measured example of the README: an LSTM with 256 inputs and 256 units, 64 sequences of 256 steps, a training step of it
# on one NVIDIA H100. How long *must* that take? The products are nearly all of the arithmetic. For each of the 256 · 64 rows:
# a matrix of 4 · 256 rows and 256 + 256 columns, once forward and twice backward, and two operations for each weight.

# %%
T, B, SIZE, UNITS = 256, 64, 256, 256
operations = T * B * (4 * UNITS) * (SIZE + UNITS) * 2 * 3
at_peak = operations / 67e12
print(f"{operations / 1e9:.0f} thousand million operations; at the 67 million million a second of an H100's data sheet, "
      f"{at_peak * 1e3:.2f} ms")

# %% [markdown]
# Less than a millisecond, if only it could do them all at once. But step 2 needs the result of step 1. Forward and backward are
# 512 small jobs in a row, and each must be finished before the next begins.
#
# There are three ways to hand such a loop to a GPU. The plan of tutorial 11 tells what each launches for the forward half:
#
# - **operation by operation**: every node of the graph is a kernel, in each step;
# - **a kernel a stage**: the products that do not need the state are done before the loop; in each step a stage is one product
#   and one generated kernel;
# - **one kernel a loop**: a single launch, whose threads stay until the last step.
#
# How many launches is that, for 256 steps of an LSTM?

# %%
cell = LSTM(SIZE, UNITS)
made = cell.loop.plan(("x", *cell.weights), fused=True)
nodes = sum(node.op is not None for node in cell.structure.graph.nodes)
early = sum(len(stage.groups) for stage in made.forward.before)
each = sum(len(stage.groups) for stage in made.forward.loop) + sum(bool(r.outputs) for r in made.forward.regions["loop"])
launches = {"operation by operation": nodes * T, "a kernel a stage": early + each * T, "one kernel a loop": early + 1}
for way, count in launches.items():
    print(f"{way:24} {count:6,} launches forward")

# %% [markdown]
# And this is what a training step took, in milliseconds. These figures are copied from the README, which says with which
# versions they were measured, and by which command you can measure them again; "PyTorch loop" is the loop that one writes by
# hand in PyTorch, and cuDNN is NVIDIA's own LSTM.

# %%
measured = {"one kernel a loop": 4.65, "jax, lax.scan": 11.2, "torch.nn (cuDNN)": 11.4, "a kernel a stage": 98.4,
            "PyTorch loop": 108}
fig, ax = plt.subplots(figsize=(6.4, 2.2))
bars = ax.barh([*measured], [*measured.values()], color=["tab:blue", "0.7", "0.7", "tab:blue", "0.7"])
ax.bar_label(bars, padding=3)
ax.invert_yaxis()
ax.axvline(at_peak * 1e3, color="tab:red", linewidth=1, linestyle="--")
ax.set(xlabel="milliseconds a training step on an H100 (dashed: the arithmetic alone)")
ax.margins(x=0.1)

for way, taken in (("a kernel a stage", 98.4), ("one kernel a loop", 4.65)):
    print(f"{way}: {taken / (2 * T) * 1e3:.0f} microseconds for each of the 512 steps")

# %% [markdown]
# With a kernel a stage, a step takes 192 microseconds, in which the GPU could have done its arithmetic a hundred times. The
# time goes into Python, which says "now this product, now this kernel" a thousand times. With one kernel a step takes 9
# microseconds, and Python is asked once.
#
# ## One kernel that stays
#
# A kernel runs as many *blocks* of threads, spread over the GPU's 132 processors. Blocks are meant to be independent of each
# other. A loop over time needs them to cooperate: each computes some of the units, but every unit needs the `h` of *all* units
# of the step before.
#
# Here is the generated kernel of a small LSTM, without its arguments and the functions that it calls. Read the loop; the
# comments below say what the words mean.

# %%
text = Recurrent(LSTM, 8, 16).explain().sources["CUDA"][0]
kernel = text[text.index("    extern __shared__"):]
print(kernel)

# %% [markdown]
# - `part` is the number of a block among those that share the same rows. Its units are `low_16` to `low_16 + units_16`.
# - `keep` copies *the block's own rows of the weights* into shared memory, which is as near to a processor as memory can be. It
#   happens once. In all steps after it, no weight is fetched from far away again.
# - `product` multiplies them with `h` of the step before, and adds that to what the products with `x` have left in `run_work`.
# - `forward_1` are your equations, for one unit: the function that tutorial 11 printed.
# - `meet` is the price. Each block says "I am here", by adding 1 to a counter, and waits until all have said so. After it,
#   everybody's `h` is there for everybody.
#
# There is one `meet` in each step. Where does it have to stand, and why only one, if there are two states, `h` *and* `c`?
#
# ## Play it
#
# We can run this algorithm without a GPU, with threads as blocks and a `threading.Barrier` as `meet`. Four blocks, 16 units,
# so each has four. `keep` is a copy of a part of the weights.

# %%
def block(part, parts, p, before, h, meet):
    """What one block does. before: the products with x, by gate (T, B, H); h (T + 1, B, H), which all blocks share."""
    mine = slice(16 * part // parts, 16 * (part + 1) // parts)
    kept = {gate: p[f"W_{gate}.h"][mine].T.copy() for gate in "fiog"}
    c = np.zeros_like(h[0][:, mine])                        # nobody else ever sees it
    for t in range(len(h) - 1):
        meet()                                              # all units of h[t] are there
        f, i, o, g = (before[gate][t][:, mine] + h[t] @ kept[gate] for gate in "fiog")
        f, i, o = (1 / (1 + np.exp(-v)) for v in (f, i, o))
        c = f * c + i * np.tanh(g)
        h[t + 1][:, mine] = o * np.tanh(c)


mg.manual_seed(0)
layer = Recurrent(LSTM, 8, 16, dtype="float64")
p = {name: parameter.numpy() for name, parameter in layer.cell.weights.items()}
xs = mg.randn(30, 5, 8, dtype="float64")
ys = layer(xs)[0].numpy()
before = {gate: xs.numpy() @ p[f"W_{gate}.x"].T + p[f"b_{gate}"] for gate in "fiog"}

h = np.zeros((31, 5, 16))
barrier = threading.Barrier(4)
blocks = [threading.Thread(target=block, args=(k, 4, p, before, h, barrier.wait)) for k in range(4)]
for thread in blocks:
    thread.start()
for thread in blocks:
    thread.join()
together = np.abs(h[1:] - ys).max()
print(f"four blocks that meet: differ from the layer by {together:.0e}")

# %% [markdown]
# `c` never leaves its block: unit 3 of `c` is needed by unit 3 alone. Only what a *product* reads must be told to the others,
# and an LSTM has products of `h` alone; hence one meeting. That also answers where it stands: before the product.
#
# Without meetings nothing holds a block back. One possible course of events is that block 0 runs through all steps before block
# 1 begins. What will come out?

# %%
alone = np.zeros((31, 5, 16))
for k in range(4):
    block(k, 4, p, before, alone, lambda: None)
wrong = np.abs(alone[1:] - ys).max((1, 2))
print("without meetings, error at step 1, 2, 3, 30:", *(f"{wrong[t]:.1e}" for t in (0, 1, 2, 29)))

# %% [markdown]
# Step 1 is right, as `h` is 0 before it. From then on block 0 has computed with zeros in place of the others' units. On a GPU
# it would be worse, since the course of events differs from run to run: mostly right, and sometimes not. So meetings are not
# placed by hand. The generator knows what each part of a step reads and writes, and puts a meeting where one block reads what
# another has written, or overwrites what another still reads.
#
# Which cells need more than one? Count the products that have to wait for each other, as in tutorial 11. Make your guess for
# the article's peephole LSTM, whose gates look at `c` through full matrices, and for the two forms of the GRU.

# %%
def meetings(cell):
    lines = Recurrent(cell, 8, 16).explain().forward
    return next(line.strip().removeprefix("on a GPU, blocks that share rows meet ") for line in lines if "meet" in line)


times_met = {c.__name__: meetings(c) for c in (RNN, LSTM, GRU, ResetAfterGRU, PeepholeLSTM)}
for name, count in times_met.items():
    print(f"{name:14} {count}")

# %% [markdown]
# The GRU as it is printed has its reset gate *inside* a product, so its step has two products in a row. In the form of PyTorch
# and cuDNN, `ResetAfterGRU`, the gate acts after the product, and one of the two disappears (tutorial 9). The peephole LSTM
# needs its new `c` in the product of the output gate. (The README has its time, too: 8.11 milliseconds, for three quarters more
# products in the loop and twice the meetings. PyTorch has no such layer.)
#
# ## Where it ends
#
# The blocks of one step must all be on the GPU at once, and the weights on the state must fit into their shared memory. On an
# H100 that is 132 processors with 227 KiB each.

# %%
room = 132 * 227 * 1024
for units in (128, 256, 512, 1024, 2048):
    needed = 4 * units * units * 4
    print(f"LSTM of {units:5,} units: {needed / 2**20:6.2f} MiB of weights on h, {needed / room:6.1%} of the room")

# %% [markdown]
# (There is less room in truth: blocks need some for other things, and weights are kept again for each part of the rows.) Where
# they do not fit, or where the products of a step are so large that launches no longer matter, the layer takes the way of a
# kernel a stage, by itself. The README says how all this compares. At 256 units, the example above, our LSTM is more than
# twice as fast as cuDNN's. Up to 128 units, where a training step is a millisecond of Python, cuDNN's LSTM and GRU are up to
# 1.7 times faster than ours, and at 1,024 units 1.1 to 1.3 times. For a cell of your own there is no cuDNN.
#
# ## If you have one
#
# The last cell runs the same layer on both devices, and compares outputs, gradients and times. Note `synchronize`: a GPU
# answers later, and who does not wait for it measures nothing (tutorial 5).

# %%
def training_step(device, steps=64, rows=32, units=64):
    """The output and the gradient of one weight, and the best time of ten."""
    mg.manual_seed(0)
    layer = Recurrent(PeepholeLSTM, units, units).to(device)
    xs = mg.tensor(np.random.default_rng(0).normal(size=(steps, rows, units)).astype("float32"), device=device)
    taken = []
    for _ in range(10):
        layer.zero_grad()
        start = time.perf_counter()
        ys, _ = layer(xs)
        ys.sum().backward()
        backends.get(device).synchronize()
        taken.append(time.perf_counter() - start)
    return ys.numpy(), layer.cell.weights["W_f.c"].grad.numpy(), min(taken)


results = {name: training_step(name) for name in dict.fromkeys(["cpu", device])}
for name, (_, _, seconds) in results.items():
    print(f"{name}: {seconds * 1e3:.1f} ms a training step")
if device == "cpu":
    print("no GPU here, nothing to compare")

# %% [markdown]
# Things to try:
#
# - `print(layer.explain())` for a cell of your own: how often do its blocks meet, forward and backward? Can you write it so
#   that they meet less?
# - Let the blocks of `block` share out rows instead of units. What has to be kept then, and who has to meet? (The kernel does
#   both: `tile` is the part of the rows.)
# - `rnn.viz.roofline(layer)` draws how far a layer is from what your machine could do, in arithmetic and in fetching numbers
#   from memory. Try it with `rows=1` and with `rows=64`.
# - On a GPU: `python -m rnn bench --device cuda --cells LSTM,PeepholeLSTM --shapes 256,64,256,256 --executors stages`.

# %%
assert run.validations[-1].measures["accuracy"] > 0.8
assert launches["one kernel a loop"] < 10 < T < launches["a kernel a stage"] < launches["operation by operation"]
assert kernel.count("meet(") == 1 and "keep(" in kernel and "forward_1(" in kernel
assert together < 1e-12
assert wrong[0] < 1e-12 < 0.01 < wrong[1]
assert times_met == {"RNN": "once", "LSTM": "once", "GRU": "twice", "ResetAfterGRU": "once", "PeepholeLSTM": "twice"}
for ys, gradient, _ in results.values():
    assert np.allclose(ys, results["cpu"][0], atol=1e-4) and np.allclose(gradient, results["cpu"][1], rtol=1e-3, atol=1e-3)
