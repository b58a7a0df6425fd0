# %% [markdown]
# # 3. Write an operation
#
# minigrad knows some fifty operations: `+`, `tanh`, sums, matrix products. Sooner or later you will miss one. In many
# frameworks adding it means a class with a forward and a backward method, then a kernel for the CPU, one for the GPU,
# and a second derivative if you are patient. Here it is **one row of a table**. This tutorial adds the arc tangent,
# which minigrad lacks, and then looks at what has been gained by that row: gradients of any order, generated C and
# CUDA, and a recurrent cell that uses it.
#
# It builds on [tutorial 1](01_scalar_autograd.md) (how gradients travel) and [tutorial
# 2](02_tensors_and_broadcasting.md) (what broadcasting does to them).

# %%
import dataclasses

import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
from minigrad.ops import TABLE, Cost, apply
from minigrad.ops.row import row
from minigrad.ops.shapes import broadcast, same

print(len(TABLE), "operations;  arctan among them:", "arctan" in TABLE)

# %% [markdown]
# ## What a row says
#
# Here is the row of the hyperbolic tangent, as it stands in
# [`minigrad/ops/elementwise.py`](../minigrad/ops/elementwise.py):
#
# ```
# tanh = row("tanh", lambda xp, x: xp.tanh(x), same, COSTLY, lambda g, y, x: g * (1 - y * y), c="tanh({0})")
# ```
#
# From left to right:
#
# | | |
# |---|---|
# | `"tanh"` | the name, for errors and printed graphs |
# | `lambda xp, x: xp.tanh(x)` | the value. `xp` is the array library: NumPy, or CuPy on a GPU |
# | `same` | the shape of the result: that of the argument |
# | `COSTLY` | what it costs. A compiler will rather keep the result than compute it again |
# | `lambda g, y, x: g * (1 - y * y)` | the derivative: `g` arrives at the result `y`, and this reaches the argument `x` |
# | `c="tanh({0})"` | the same in C, with `{0}` for the argument |
#
# Note that the derivative of tanh is written with `y`, the result that is there already, and not with `x`: $1 -
# \tanh^2 x$ costs one multiplication if $\tanh x$ is known.
#
# ## Our row
#
# The derivative of $\arctan x$ is $1 / (1 + x^2)$. Try to fill in the row before you read it.

# %%
arctan_row = row("arctan", lambda xp, x: xp.arctan(x), same, Cost.COSTLY, lambda g, y, x: g / (1 + x * x), c="atan({0})")


def arctan(x):
    return apply(arctan_row, x)


x = mg.tensor([-2.0, 0.0, 0.5], requires_grad=True)
y = arctan(x)
y.sum().backward()
print(y)
print(x.grad)

# %% [markdown]
# That was the work. The rest of this page is harvest.
#
# ## Gradients of any order
#
# `g / (1 + x * x)` looks like a formula for arrays, but `g` and `x` are tensors. So the gradient is itself a
# computation that minigrad has recorded, made of divisions, additions and products, whose derivatives are rows of the
# table too. Nothing more is needed for a second derivative, or a third.

# %%
def derivative(f):
    """Of a function that treats each number by itself."""
    return mg.grad(lambda x: f(x).sum())


points = mg.tensor(np.linspace(-4, 4, 201))
curves = {"arctan x": arctan, "first derivative": derivative(arctan), "second": derivative(derivative(arctan)),
          "third": derivative(derivative(derivative(arctan)))}
for name, curve in curves.items():
    plt.plot(points.numpy(), curve(points).numpy(), label=name)
plt.legend()
plt.xlabel("x")
plt.show()

# %% [markdown]
# Look at the curves with a ruler in mind: where arctan is steepest, the first derivative has its peak; where that
# peaks, the second crosses 0. Pictures of this kind find gross mistakes. For the others there is `gradcheck`, which
# compares the gradients with slopes that it measures by moving each number a little. `order=2` checks the gradients'
# own gradients as well:

# %%
mg.gradcheck(arctan, [np.array([-2.0, 0.0, 0.5])], order=2)

# %% [markdown]
# It is silent, so it agrees. Does it speak when it should? Here are two wrong rows. The first has a wrong sign. The
# second is more cunning: its derivative has the right *value*, but it takes the numbers out of the tensors and
# computes with NumPy. What do you expect to happen to its second derivative?

# %%
wrong_sign = dataclasses.replace(arctan_row, derivatives=(lambda g, y, x: g / (1 - x * x),))
forgetful = dataclasses.replace(arctan_row, derivatives=(lambda g, y, x: g / (1 + x.numpy() ** 2),))


def verdict(operation):
    try:
        mg.gradcheck(lambda x: apply(operation, x), [np.array([-2.0, 0.0, 0.5])], order=2)
        return "right"
    except mg.GradcheckError as problem:
        return str(problem)


for operation in (arctan_row, wrong_sign, forgetful):
    print(verdict(operation))

# %% [markdown]
# The forgetful row passed the first order, and at the second its gradient is 0: what is computed outside is a
# constant to the engine. Hence the rule: **a derivative is written in the operations themselves.** [Tutorial
# 4](04_check_a_gradient.md) is all about such checks.
#
# ## Several arguments, and broadcasting
#
# An operation of two arguments has two derivatives. `hypot(a, b)` is $\sqrt{a^2 + b^2}$, the length of the long side
# of a right triangle. Its derivatives are $a/y$ and $b/y$:

# %%
hypot_row = row("hypot", lambda xp, a, b: xp.hypot(a, b), broadcast, Cost.COSTLY,
                lambda g, y, a, b: g * a / y,
                lambda g, y, a, b: g * b / y, c="hypot({0}, {1})")


def hypot(a, b):
    return apply(hypot_row, a, b)


column = mg.tensor([[3.0], [5.0], [8.0]], "float64", requires_grad=True)
line = mg.tensor([4.0, 12.0, 15.0, 6.0], "float64", requires_grad=True)
print(hypot(column, line).numpy().round(2))
hypot(column, line).sum().backward()
print("shapes of the gradients:", column.grad.shape, line.grad.shape)
mg.gradcheck(hypot, [column, line], order=2)

# %% [markdown]
# A column of 3 and a row of 4 gave a table of 3 by 4, and each gradient came back in its own shape. The row says
# nothing about that: the shape rule `broadcast` allowed it, and the engine undoes it. If shapes do not fit, the rule
# explains, in the name of our operation:

# %%
try:
    hypot(mg.ones(3), mg.ones(2))
except mg.ShapeError as problem:
    print(problem)

# %% [markdown]
# ## What the C form is for
#
# Up to now NumPy did the computing: one pass over memory for each operation, with a new array each time. `mg.fuse`
# makes one kernel of a whole formula, and one more for its gradients. To see how, we take its path by hand. First, a
# formula that uses our operation is *traced*: it is called with symbols, which have a shape and no numbers, and write
# down what is done to them. (`"B"` and `"S"` are sizes that will be known when the kernel runs.)

# %%
from minigrad.codegen import c_function, cuda_kernel, python_function
from minigrad.graph import derive, stages, trace
from minigrad.graph.simplify import simplify


def formula(x, y):
    return arctan(x * y) * y


graph = trace(formula, x=("B", "S"), y=("B", "S"))
print(graph)

# %% [markdown]
# Second, the graph is differentiated, by the same walk and the same rows as tensors are. Third, it is printed. Here
# is the backward kernel as Python. Find our derivative in it:

# %%
backward = simplify(derive(graph))
[stage] = stages(backward, "formula_backward")
[region] = stage.regions
print(python_function(region))

# %% [markdown]
# `t1` holds it: `g_y * y` is what arrives at the arc tangent, and it is divided by `1 + t0 * t0`. The same body as C,
# of which we look at the loop, and as the body of a CUDA kernel:

# %%
source = c_function(region)
print(source[source.index("    for (long unit"):source.index("typedef")])
print(cuda_kernel(region)["operation"])

# %% [markdown]
# No GPU and no compiler were needed to print this; text is text. Where there is a C compiler, `fuse` builds the text
# and calls it:

# %%
fused = mg.fuse(formula)
u, v = mg.randn(1000, requires_grad=True), mg.randn(1000, requires_grad=True)
fused(u, v).sum().backward()
kernel_gradients = u.grad.numpy(), v.grad.numpy()
u.grad = v.grad = None
formula(u, v).sum().backward()
print("largest difference of gradients:", max(abs(k - t.grad.numpy()).max() for k, t in zip(kernel_gradients, (u, v))))

# %% [markdown]
# ## A recurrent cell that uses it
#
# The cells of this project are declared by their equations, and an equation may use any operation of the table, so
# ours too. A plain recurrent network with the arc tangent in place of the hyperbolic one:

# %%
from rnn import Cell, Input, Recurrent, State, W, b


class ArctanRNN(Cell):
    x, h = Input(), State()

    h_next = arctan(W @ [h, x] + b)


mg.manual_seed(0)
layer = Recurrent(ArctanRNN, input_size=3, hidden_size=4)
print(layer)
print()
print("\n".join(layer.explain().sources["Python"]))

# %% [markdown]
# The step of the backward pass has our derivative in it, in the variables of the cell. The whole loop over time is
# made of it, in C on this machine and in CUDA on one with a GPU. `compile=False` runs the same cell operation by
# operation, on tensors, and serves as a check:

# %%
plain = Recurrent(ArctanRNN, input_size=3, hidden_size=4, compile=False)
plain.load_state_dict(layer.state_dict())
xs = mg.randn(50, 2, 3)
for run in (layer, plain):
    ys, _ = run(xs)
    (ys * ys).sum().backward()
differences = {name: np.abs(p.grad.numpy() - q.grad.numpy()).max() for (name, p), q in
               zip(layer.named_parameters(), plain.parameters())}
print({name: f"{d:.0e}" for name, d in differences.items()})

# %% [markdown]
# ## Without a C form
#
# The C form is what makes an operation *elementwise* for the compiler. A row without it works on tensors and is
# differentiated like any other; asked for a kernel, it says:

# %%
try:
    no_c_form = dataclasses.replace(arctan_row, name="arctan_without_c", c=None)
    mg.fuse(lambda x: apply(no_c_form, x) * x)(mg.ones(3))
except mg.ShapeError as problem:
    print(problem)

# %% [markdown]
# ## To add it for good
#
# 1. The row goes to [`minigrad/ops/elementwise.py`](../minigrad/ops/elementwise.py), and a method of one line to
#    [`operators.py`](../minigrad/ops/operators.py), which makes it `x.arctan()` and `mg.arctan(x)`.
# 2. A line of arguments goes to [`tests/samples.py`](../tests/samples.py). The tests are made from the table: each
#    row is compared with the value by other means, differentiated twice, tried on arrays with gaps between their
#    numbers, on both backends, and printed as Python, C and CUDA. A row without a sample fails the suite.
#
# ## To try
#
# * Write `softsign`, $x / (1 + |x|)$, as a row. Is its derivative shorter with `x` or with `y`?
# * Write `atan2(a, b)`. Its derivatives are $b / (a^2 + b^2)$ and $-a / (a^2 + b^2)$. Where is it not differentiable?
# * `arctan(x * y) * y` computes `x * y` again in its backward kernel. Why might that be faster than keeping it?
#
# The rest checks what was said above.

# %%
inside = np.linspace(-4, 4, 201)
np.testing.assert_allclose(curves["first derivative"](points).numpy(), 1 / (1 + inside**2), rtol=1e-6)
np.testing.assert_allclose(curves["second"](points).numpy(), -2 * inside / (1 + inside**2) ** 2, rtol=1e-5, atol=1e-6)
assert [verdict(operation) == "right" for operation in (arctan_row, wrong_sign, forgetful)] == [True, False, False]
assert (column.grad.shape, line.grad.shape) == ((3, 1), (4,))
assert "atan(" in source and "atan(" in cuda_kernel(region)["operation"]
for k, t in zip(kernel_gradients, (u, v)):
    np.testing.assert_allclose(k, t.grad.numpy(), rtol=1e-5, atol=1e-6)
assert max(differences.values()) < 1e-3
del TABLE["arctan"], TABLE["hypot"]
