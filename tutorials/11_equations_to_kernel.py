# %% [markdown]
# # 11. From equations to a kernel
#
# *Builds on tutorial 3 (an operation and its derivative) and tutorial 6 (a recurrent network). Runs in about ten seconds.
# Needs a C compiler for the last part.*
#
# You write three equations. What runs is a C program, with a backward half that you never wrote, in which some of the work
# has moved out of the loop and some products have become one. This tutorial opens every stage in between:
#
# **trace** the equations, **derive** their gradients, **plan** the loop, **print** the code, **run** it.
#
# At the end you will have run the plan yourself, in NumPy, and have compared all gradients with those of the generated C.
#
# The cell is a *minimal gated unit* (Zhou and others, 2016), which is a GRU with a single gate. Put a cell of your own in its
# place: nothing below knows which one it is, except the part in which we play the machine.

# %%
import time

import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
import minigrad.viz
from minigrad import sigmoid, tanh
from minigrad.codegen import cuda_kernel, python_function, python_names, row_function
from minigrad.graph import derive, trace
from minigrad.graph.simplify import simplify
from minigrad.scan.passes.plan import plan
from rnn import Cell, Input, Recurrent, State, W, b
from rnn.viz import gates


class MyCell(Cell):
    x, h = Input(), State()

    f = sigmoid(W @ [h, x] + b)
    n = tanh(W @ [f * h, x] + b)
    h_next = (1 - f) * h + f * n


# %% [markdown]
# ## 1. Trace
#
# How does a program find out what another piece of program computes? It does not read its text. It calls it, with stand-ins
# for the numbers. A `Symbol` has a shape and no numbers; every operation on it gives a new `Symbol` that remembers what it
# was made from. Calling a function once with symbols leaves a graph behind.
#
# Here is the last line of the cell, and the sigmoid before it, as a function. Its shapes are (steps, rows, 4): the numbers of
# steps and rows, `T` and `B`, are not known yet, and they need not be.

# %%
def blend(a, h, n):
    f = sigmoid(a)
    return (1 - f) * h + f * n


shape = ("T", "B", 4)
graph = trace(blend, a=shape, h=shape, n=shape)
print(graph)

# %% [markdown]
# One line for each operation, in an order in which they can be computed. As a picture:

# %%
mg.viz.graph(graph)

# %% [markdown]
# The graph is a program again. Given tensors, it computes what the function computes:

# %%
mg.manual_seed(0)
a, h, n = (mg.randn(5, 2, 4, dtype="float64") for _ in range(3))
same = np.abs(graph(a=a, h=h, n=n)["y"].numpy() - blend(a, h, n).numpy()).max()
print("graph against function:", same)

# %% [markdown]
# For a cell, the class body is what is called. The names that you gave to the equations stay with the nodes:

# %%
mg.manual_seed(0)
layer = Recurrent(MyCell, input_size=3, hidden_size=4, dtype="float64")
cell = layer.cell
print(cell.structure.graph)

# %% [markdown]
# `linear(h, W)` is the product $h \cdot W^T$, for all rows. There are four of them; remember them, they are what costs time.
#
# ## 2. Derive
#
# Each row of the table of operations says how its gradient is computed, *in operations of the same table* (tutorial 3). So the
# walk that differentiates tensors also differentiates symbols, and what it returns is a graph again. What is the gradient of
# `blend` by `f`? By hand: $g \cdot (n - h)$. And by `a`, through the sigmoid: that times $f (1 - f)$. Now look for both.

# %%
gradients = derive(graph)
print(gradients)

# %% [markdown]
# It has one more input, `g_y`, the gradient that arrives from outside, and an output for each of `a`, `h` and `n`. As the
# forward values stand in it (`sigmoid(a)`), a part of the forward half is computed again. Whether that is wise is decided
# later.
#
# Two of its lines compute the same thing. Find them before you go on; `simplify` finds them, too.

# %%
tidy = simplify(gradients)
print(tidy)
print("\noperations:", *(sum(x.op is not None for x in graph.nodes) for graph in (gradients, tidy)))

# %% [markdown]
# $1 - f$ was needed twice, once by the equation and once by the derivative of the sigmoid, and is now computed once. Nobody
# told the machine that these two have something to do with each other; the two nodes had the same operation and the same
# arguments.
#
# Is it right? The tape of tutorial 2 knows.

# %%
inputs = {name: mg.tensor(x.numpy(), requires_grad=True) for name, x in (("a", a), ("h", h), ("n", n))}
g_y = mg.randn(5, 2, 4, dtype="float64")
(blend(**inputs) * g_y).sum().backward()
found = tidy(**inputs, g_y=g_y)
for name, x in inputs.items():
    print(f"d_{name}: differs from the tape by {np.abs(found[f'd_{name}'].numpy() - x.grad.numpy()).max():.0e}")

# %% [markdown]
# ## 3. Plan
#
# Now time. The plain way is a loop that does all of the graph at each step, and then all of the gradients in reverse. But
# not everything has to be done *in* the loop. Take your four products:
#
# `linear(h, W_f.h)` · `linear(x, W_f.x)` · `linear(f * h, W_n.h)` · `linear(x, W_n.x)`
#
# Which of them could be computed for all steps at once, before the loop begins? And going backward, when must the gradients
# of the four weights be computed?
#
# `plan` derives the answer by a row of passes. It tells a watcher the result of each.

# %%
passes = []
wanted = ("x", *cell.weights)                   # by what we want gradients
made = plan(cell.structure.graph, cell.loop.carry, wanted, True, lambda name, result: passes.append((name, str(result))))
told = dict(passes)
print(" > ".join(name for name, _ in passes))

# %% [markdown]
# Four of them are worth a look. **cut** takes the products out. A sum of products and biases is given a name, `f_pre` and
# `n_pre`, and what is left between the products is elementwise:

# %%
print("\n".join(line for line in told["cut"].splitlines() if "_pre" in line or " = " in line))

# %% [markdown]
# **divide** asks of every node: is it reached by what the loop carries (here `h`)? If it is not, it is computed *before* the
# loop, for all steps at once. If it is reached, but does not lead to the next `h`, it waits until *after* it.

# %%
print(told["divide, forward"])
print("\nand backward:")
print(told["divide, backward"])

# %% [markdown]
# Forward, the two products with `x` leave the loop: one large product for all steps is much faster than many small ones.
# Backward, the gradients by `x` are computed after the loop, since no earlier step waits for them. So are the gradients of all
# weights, which is why `f * h` is wanted for all steps at once (the `multiply` before the backward loop). The same question
# gives both answers; they have two names, *hoisting* and *deferring*.
#
# **save** decides what the backward half finds in memory. The outputs of costly operations (a sigmoid, a tanh) are kept, cheap
# ones are computed again, since a multiplication is faster than fetching its result from memory:

# %%
print(told["save"])

# %% [markdown]
# And **merge** makes one product of several that have the same left operand, and puts everything into stages: first products,
# then what is elementwise.

# %%
print(told["merge"])

# %% [markdown]
# Read the forward part. `W_f.x` and `W_n.x` are one product before the loop. In the loop there are *two* stages, as `n` needs
# `f * h`, which needs `f`, which needs a product: two products that have to wait for each other. This is a property of the
# equations, and it decides how long a step takes at least: on a GPU, thousands of threads have to wait for each other twice.
#
# The same as a picture of the cell, drawn from its equations, with time to the right. Follow `f`: one of
# its ways goes by `f * h` to the operands of the tanh, and that is where the second stage begins.

# %%
gates(MyCell, color="stage")

# %% [markdown]
# Can you save a stage? Take the gate out of the product, so that it acts after it (as tutorial 9 did with the GRU):

# %%
class OneStage(Cell):
    x, h = Input(), State()

    f = sigmoid(W @ [h, x] + b)
    q = W @ h + b
    n = tanh(W @ x + b + f * q)
    h_next = (1 - f) * h + f * n


class RenamedAndMoved(Cell):
    """MyCell with other names, and its terms in another order."""
    eingang, zustand = Input(), State()

    gate = sigmoid(W @ [zustand, eingang] + b)
    neu = tanh(W @ [gate * zustand, eingang] + b)
    zustand_next = gate * neu + (1 - gate) * zustand


def stages(cell_class):
    made = Recurrent(cell_class, 3, 4).cell
    lines = str(made.loop.plan((made.structure.input, *made.weights), fused=True)).splitlines()
    return [line for line in lines if line.startswith("forward loop") and "products -" not in line]


for cell_class in (MyCell, OneStage, RenamedAndMoved):
    print(cell_class.__name__, *stages(cell_class), sep="\n    ")

# %% [markdown]
# One stage instead of two, and `W_f.h` and `W_q.h` are one product now, because both multiply `h`. The third cell shows that
# names and order do not matter: there is no list of known cells anywhere.
#
# ## 4. Print
#
# The operations of a stage become one function. It is printed in the dialect of whoever runs it: Python, C or CUDA.

# %%
second = made.forward.regions["loop"][2]
print(python_function(second))
print(row_function(second, "float32").text)
print("// CUDA, where a stage is a kernel of its own:")
print(cuda_kernel(second)["operation"])

# %% [markdown]
# One body, three times, with your names in it. In C it is a loop over the units of a row, and in CUDA a thread computes a
# unit. (`n_` has an underscore because CuPy uses `n` itself.) The three numbers that a unit needs are read once and the two
# results written once; an array library would have walked over memory five times, an operation at a time.
#
# The backward functions are printed the same way. Here they are in Python:

# %%
regions = [*made.forward.regions["loop"], *made.backward.regions["loop"]]
regions = [region for region in regions if region.outputs]
print("\n".join(python_function(region) for region in regions))

# %% [markdown]
# These lines are the derivative of your cell, as you might have written it down with patience, and without a mistake.
#
# ## 5. Run, by hand
#
# A plan is a recipe, and a recipe can be followed by hand. We turn the five printed texts into functions, and do ourselves
# what the plan says: the product before the loop, the stages in it, the deferred gradients after it. The comments repeat the
# plan.

# %%
def function(region):
    names = python_names(np, np.float64)
    exec(python_function(region), names)
    return names[region.name]


do = {region.name: function(region) for region in regions}


def forward(p, xs, h):
    pre = xs @ np.concatenate([p["W_f.x"], p["W_n.x"]]).T + np.concatenate([p["b_f"], p["b_n"]])     # before the loop
    hs, fs, ns = [h], [], []
    for step in pre:
        f, r = do["forward_1"](f_pre=step[:, :4] + h @ p["W_f.h"].T, h=h)                             # stage 1
        n, h = do["forward_2"](n_pre=step[:, 4:] + r @ p["W_n.h"].T, f=f, h=h)                        # stage 2
        hs, fs, ns = [*hs, h], [*fs, f], [*ns, n]
    return np.array(hs), np.array(fs), np.array(ns)                                                  # h, f, n are kept


def backward(p, xs, hs, fs, ns, g_ys):
    g_h, d_pre = np.zeros_like(hs[0]), np.zeros((*xs.shape[:2], 8))
    for t in reversed(range(len(xs))):
        kept = {"f": fs[t], "n": ns[t]}
        d_h_next, d_pre[t, :, 4:] = do["backward_0"](g_y=g_ys[t], g_h_next=g_h, **kept)
        g_left_2 = d_pre[t, :, 4:] @ p["W_n.h"]
        t0, d_pre[t, :, :4] = do["backward_1"](g_left_2=g_left_2, h=hs[t], d_h_next=d_h_next, **kept)
        g_left_h = d_pre[t, :, :4] @ p["W_f.h"]
        g_h, = do["backward_2"](g_left_2=g_left_2, f=fs[t], g_left_h=g_left_h, d_h_next=d_h_next, t0=t0)
    rows = d_pre.reshape(-1, 8)                                                                     # after the loop
    by_x, by_h, by_r = (rows.T @ left.reshape(len(rows), -1) for left in (xs, hs[:-1], fs * hs[:-1]))
    return {"W_f.x": by_x[:4], "W_n.x": by_x[4:], "W_f.h": by_h[:4], "W_n.h": by_r[4:],
            "b_f": rows[:, :4].sum(0), "b_n": rows[:, 4:].sum(0)}


# %% [markdown]
# (`left_2` is the second operand to which no equation gave a name, `f * h`.) Fifty steps, three rows. The layer runs the
# generated C program; we run the recipe.

# %%
xs = mg.randn(50, 3, 3, dtype="float64")
ys, _ = layer(xs)
g_ys = mg.randn(*ys.shape, dtype="float64")
(ys * g_ys).sum().backward()

p = {name: parameter.numpy() for name, parameter in cell.weights.items()}
hs, fs, ns = forward(p, xs.numpy(), np.zeros((3, 4)))
ours = backward(p, xs.numpy(), hs, fs, ns, g_ys.numpy())

differences = {"ys": np.abs(hs[1:] - ys.numpy()).max()}
differences |= {name: np.abs(ours[name] - parameter.grad.numpy()).max() for name, parameter in cell.weights.items()}
for name, difference in differences.items():
    print(f"{name:6} {difference:.0e}")

# %% [markdown]
# That is all that an executor does. The project has several (NumPy, C, CUDA in two ways), and they differ in where values
# live and in who works on what at the same time, not in what is computed.
#
# ## What it is worth
#
# One training step, forward and backward, of a small layer of this cell: 64 steps, 4 rows, 32 inputs, 32 units. First
# operation by operation with a tape, then the plan in NumPy, then the plan in C. Guess the two ratios.

# %%
def milliseconds(compile, repeat=9):
    layer = Recurrent(MyCell, 32, 32, compile=compile)
    xs = mg.randn(64, 4, 32)
    times = []
    for _ in range(repeat + 1):                             # the first one builds and is left out
        start = time.perf_counter()
        layer(xs)[0].sum().backward()
        times.append(1000 * (time.perf_counter() - start))
    return min(times[1:])


names = {"operation by operation": False, "the plan, NumPy": "numpy", "the plan, C": "native"}
measured = {name: milliseconds(compile) for name, compile in names.items()}
for name, taken in measured.items():
    print(f"{name:24} {taken:7.1f} ms")

fig, ax = plt.subplots(figsize=(6, 1.6))
bars = ax.barh([*measured], [*measured.values()], color=["0.75", "tab:orange", "tab:blue"])
ax.bar_label(bars, fmt="%.1f", padding=3)
ax.invert_yaxis()
ax.set(xlabel="milliseconds a training step")
ax.margins(x=0.12)

# %% [markdown]
# These are times of the machine on which this page was made, and yours will differ. The first gain comes from hoisting,
# merging and deferring, and from having no tape: the same NumPy does fewer and larger things. The second comes from printing:
# no Python and no temporary arrays in the loop. It shrinks as layers grow, since products of large matrices take their time
# in any language.
#
# Things to try:
#
# - `print(layer.explain())` shows all of this for any layer, the C and the CUDA included, and on the command line
#   `python -m rnn explain my.py:MyCell --passes` shows the passes for a cell in a file of yours.
# - An `LSTM`: how many stages has its loop, and what is merged? And the article's `PeepholeLSTM`, whose output gate looks at
#   the new cell state?
# - Write a cell with three stages, if you can find a reason for one.

# %%
assert same == 0
assert all(np.allclose(found[f"d_{name}"].numpy(), x.grad.numpy(), atol=1e-12) for name, x in inputs.items())
assert sum(x.op is not None for x in tidy.nodes) < sum(x.op is not None for x in gradients.nodes)
assert told["divide, forward"].splitlines()[0] == "before: [W_f.x], [W_n.x]"
assert [len(stages(c)) for c in (MyCell, OneStage, RenamedAndMoved)] == [2, 1, 2]
assert max(differences.values()) < 1e-10
