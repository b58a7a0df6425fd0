# %% [markdown]
# # 2. Tensors and broadcasting
#
# In [tutorial 1](01_scalar_autograd.md) every number of a computation was an object that remembered where it came
# from. That is the whole idea of autograd, and far too slow: a million numbers would be a million objects. A
# **tensor** is one object for a whole array of numbers. Operations treat all of them at once, and the graph has a
# node for each operation, not for each number.
#
# Arrays bring one new question, which this tutorial is about. In `x + b`, what if `x` is a table and `b` a single
# row? The answer is broadcasting. It makes programs short, it has one rule for gradients, and it hides two mistakes
# that every practitioner makes once. We make them here, on purpose.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg

mg.manual_seed(0)
x = mg.tensor([[1.0, 2.0, 3.0],
               [4.0, 5.0, 6.0]], requires_grad=True)
print(x.shape, x.dtype, x.device)
print(x * 10 + 1)

# %% [markdown]
# The shape of `x` is `(2, 3)`: two rows, three columns. Note the `from add` in what was printed. The result remembers
# its last operation, and through it everything before, just as `Number` did. A million numbers need no more memory of
# that kind than six:

# %%
big = mg.ones(1000, 1000, requires_grad=True)
y = (big * 10 + 1).sum()
steps = []
node = y
while node.op:
    steps.append(node.op.name)
    node = node.inputs[0]
print(f"{big.size:,} numbers, {len(steps)} operations: {' <- '.join(steps)}")

# %% [markdown]
# ## The rule
#
# Add a table of shape `(2, 3)` and a row of shape `(3,)`. The row is used for each row of the table, as if it had
# been copied:

# %%
row = mg.tensor([10.0, 20.0, 30.0], requires_grad=True)
print(x + row)

# %%
def draw(axis, numbers, title, real):
    """A table of numbers; cells that are only copies are pale."""
    for (i, j), number in np.ndenumerate(numbers):
        axis.add_patch(plt.Rectangle((j, -i), 1, 1, facecolor="C0" if real[i][j] else "white", edgecolor="C0", alpha=0.5))
        axis.text(j + 0.5, 0.5 - i, f"{number:g}", ha="center", va="center")
    axis.set(xlim=(-0.1, 3.1), ylim=(-1.1, 1.1), aspect="equal", title=title)
    axis.axis("off")


figure, axes = plt.subplots(1, 3, figsize=(8, 2))
here, copied = [[True] * 3] * 2, [[True] * 3, [False] * 3]
draw(axes[0], x.numpy(), "x: (2, 3)", here)
draw(axes[1], np.broadcast_to(row.numpy(), (2, 3)), "row: (3,), spread to (2, 3)", copied)
draw(axes[2], (x + row).numpy(), "x + row", here)
plt.show()

# %% [markdown]
# The rule, which is NumPy's: **write the shapes below each other, aligned at the end. In each column the sizes must
# be equal, or one of them 1 (or missing). The 1 is spread to the other size.**
#
# ```
# x      (2, 3)             a      (5, 1, 4)
# row       (3,)            b         (3, 1)
# result (2, 3)             result (5, 3, 4)
# ```
#
# Decide for each of these pairs what comes out, before you look at the output: (3, 4) and (4,); (3, 4) and (3,); (3,
# 1) and (4,); (2, 1, 3) and (4, 3); (3,) and (2,).

# %%
for left, right in [((3, 4), (4,)), ((3, 4), (3,)), ((3, 1), (4,)), ((2, 1, 3), (4, 3)), ((3,), (2,))]:
    try:
        print(left, "and", right, "->", (mg.ones(left) + mg.ones(right)).shape)
    except mg.ShapeError as problem:
        print(left, "and", right, "->", problem)

# %% [markdown]
# ## The gradient of something that was spread
#
# Every number of `x` was used once in `x + row`, but each number of `row` was used twice, once a row. Let the result
# be the sum of everything. What is the gradient of `x`, and what is that of `row`?

# %%
(x + row).sum().backward()
print("x.grad  ", x.grad)
print("row.grad", row.grad)

# %% [markdown]
# Moving the 10 in `row` by a little moves *two* numbers of the result, so its gradient is 2. It is the rule of
# tutorial 1 again: **where a number is used several times, the gradients of its uses add up.** Spreading is using
# several times, so its gradient is a sum over what was spread. In code, that is all there is to it:

# %%
def undo_spreading(gradient, shape):
    """The sum of `gradient` over what was spread to reach its shape from `shape`."""
    added = gradient.ndim - len(shape)
    gradient = gradient.sum(axis=tuple(range(added)))
    stretched = tuple(i for i, size in enumerate(shape) if size == 1 and gradient.shape[i] != 1)
    return gradient.sum(axis=stretched, keepdims=True)


gradient_of_result = np.ones((5, 3, 4))
for shape in [(5, 1, 4), (3, 1), (4,), ()]:
    print(shape, "gets", undo_spreading(gradient_of_result, shape).tolist())

# %% [markdown]
# Read the last line aloud: a single number that was added to all 60 numbers of an array has the gradient 60.
#
# In minigrad these lines stand at one place, `fit` in [`minigrad/autograd.py`](../minigrad/autograd.py), which the
# walk applies to every gradient. So the derivative of addition can be written as if no broadcasting existed: `g` to
# the left, `g` to the right. You will see in [tutorial 3](03_write_an_operation.md) how much this simplifies each
# operation.
#
# The weights of a network follow the same logic. In a layer, each row of `inputs` is one example, and all of them use
# the same matrix `W`. So the gradient of `W` is a sum over the examples, and this is what `contract` computes:

# %%
inputs = mg.randn(4, 3)
W = mg.randn(2, 3, requires_grad=True)
outputs = mg.linear(inputs, W)                     # each row of inputs times W, transposed: (4, 3) -> (4, 2)
g = mg.randn(4, 2)
outputs.backward(g)
one_by_one = sum(np.outer(g.numpy()[k], inputs.numpy()[k]) for k in range(4))
print("largest difference:", np.abs(W.grad.numpy() - one_by_one).max())
print("same as contract:  ", np.array_equal(W.grad.numpy(), mg.contract(g, inputs).numpy()))

# %% [markdown]
# ## First mistake: a column against a row
#
# A model predicts 4 numbers, one for each example, as a column of shape `(4, 1)`. The targets come from a file, as
# `(4,)`. The prediction is perfect. What is the mean squared error?

# %%
targets = mg.tensor([1.0, 2.0, 3.0, 4.0])
predicted = mg.tensor([[1.0], [2.0], [3.0], [4.0]], requires_grad=True)
difference = predicted - targets
print("error:", (difference * difference).mean().item(), "  shape of the difference:", difference.shape)

# %% [markdown]
# `(4, 1)` and `(4,)` broadcast to `(4, 4)`: every prediction is compared with every target. No error is raised, and
# training even makes progress. Where to? Let us follow the gradient from the perfect prediction:

# %%
p = predicted
for _ in range(200):
    p = mg.tensor(p, requires_grad=True)
    d = p - targets
    (d * d).mean().backward()
    p = p - p.grad
print(p.numpy().ravel())

# %% [markdown]
# To the mean of the targets, for all examples. A model that "only learns the mean" is the mark of this mistake. The
# cure is to make the shapes equal, and to look at the shape of a difference at least once:

# %%
difference = predicted - targets.reshape(4, 1)
print("error:", (difference * difference).mean().item(), "  shape of the difference:", difference.shape)

# %% [markdown]
# ## Second mistake: a mean that lost its axis
#
# Subtract from each row its own mean. With `square - square.mean(axis=1)`, is the mean of each row 0 afterwards?

# %%
square = mg.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0], [0.0, 0.0, 6.0]])
print("row means are now", (square - square.mean(axis=1)).mean(axis=1).numpy())
print("with keepdims:   ", (square - square.mean(axis=1, keepdims=True)).mean(axis=1).numpy())

# %% [markdown]
# The means have shape `(3,)`, so they are laid along the *columns*. With a table that is not square this would be an
# error; here it is a silent mistake. `keepdims=True` keeps the axis with size 1, so the shape is `(3, 1)` and each
# mean meets its own row.
#
# ## Broadcasting at work: a map from distances
#
# Somebody measured the distances between 40 places and lost the map. Can we draw it again? We start with places at
# random, compute all distances between them, and move the places until the distances are right.
#
# All pairs at once is what broadcasting is good at: `(40, 1, 2)` against `(1, 40, 2)` is `(40, 40, 2)`, the
# difference between any two places.

# %%
def squared_distances(places):
    """(n, 2) -> (n, n)"""
    n = len(places)
    apart = places.reshape(n, 1, 2) - places.reshape(1, n, 2)
    return (apart * apart).sum(axis=-1)


angle = np.linspace(0, 4 * np.pi, 40)
true_map = mg.tensor(np.stack([angle * np.cos(angle), angle * np.sin(angle)], axis=1) / 8)
measured = squared_distances(true_map).sqrt()
print("places", true_map.shape, "  distances", measured.shape)

# %% [markdown]
# The obvious error is the squared difference between the distances. One step with it:

# %%
places = mg.tensor(mg.randn(40, 2), "float64", requires_grad=True)
with np.errstate(invalid="ignore"):                # NumPy warns of what we are about to see
    difference = squared_distances(places).sqrt() - measured
    (difference * difference).mean().backward()
print("error:", f"{(difference * difference).mean().item():.3f}", "  gradient of the first place:", places.grad.numpy()[0])

# %% [markdown]
# Not a number! The error is fine and the gradient is not. Where does it come from? The distance of a place to
# *itself* is `sqrt(0)`, and the slope of the square root at 0 is infinite: a vertical tangent. The chain rule
# multiplies it by the gradient that arrives there, which is 0, as that distance is right. Zero times infinity is not
# a number, and one such number among the 40 that are added up for a place spoils the sum.
#
# The cure is not to take a root where it is not needed. Let us compare *squared* distances instead:

# %%
history, errors = [], []
places = mg.tensor(mg.randn(40, 2), "float64")
for _ in range(1000):
    places = mg.tensor(places, requires_grad=True)
    difference = squared_distances(places) - measured * measured
    error = (difference * difference).mean()
    error.backward()
    history.append(places.numpy())
    errors.append(error.item())
    places = places - 0.1 * places.grad
print(f"error: {errors[0]:.3f} at first, {errors[-1]:.1e} after {len(errors)} steps")

# %%
figure, axes = plt.subplots(1, 4, figsize=(9, 2.6))
for axis, title, shown in zip(axes, ["start", "20 steps", "1,000 steps", "the lost map"],
                              [history[0], history[20], history[-1], true_map.numpy()]):
    axis.plot(*shown.T, ".-", linewidth=0.6)
    axis.set(title=title, aspect="equal", xlim=(-2.5, 2.5), ylim=(-2.5, 2.5), xticks=[], yticks=[])
plt.show()

# %% [markdown]
# The spiral is back, but turned, and perhaps mirrored. No distance changes when a map is turned, mirrored or moved,
# so no distance can tell which way is north. The gradient found what there was to find.
#
# ## Which dtype comes out
#
# Numbers have a kind, and kinds meet. The rules are short: a Python number adapts to the tensor beside it; whole
# numbers beside floats become floats; two widths of floats give the wider.

# %%
whole, single, double = mg.tensor([1, 2]), mg.ones(2), mg.ones(2, dtype="float64")
for name, result in [("single * 2.5", single * 2.5), ("whole + 0.5", whole + 0.5),
                     ("whole + single", whole + single), ("single + double", single + double)]:
    print(f"{name:16s}", result.dtype)

# %% [markdown]
# The first rule matters most: a `2.5` in a formula does not turn a network of 32-bit numbers into one of 64-bit
# numbers, which would need twice the memory.
#
# And tensors are not changed in place, because a gradient may still need the old numbers:

# %%
try:
    x[0, 0] = 5.0
except TypeError as problem:
    print("TypeError:", problem)

# %% [markdown]
# ## To try
#
# * Compute the softmax of each row of `square` by hand, with `exp`, `sum` and one `keepdims`. Compare with
#   `mg.softmax`.
# * Change `undo_spreading` so that it forgets `stretched`. Which shapes are wrong now, and which are right by luck?
# * Give the lost map only half of the distances (multiply `difference` by a random table of zeros and ones). Is it
#   still found? With a tenth?
#
# The rest checks what was said above.

# %%
a, b = mg.randn(5, 1, 4, requires_grad=True), mg.randn(3, 1, requires_grad=True)
g = mg.randn(5, 3, 4)
(a * b).backward(g)
np.testing.assert_allclose(a.grad.numpy(), undo_spreading(g.numpy() * b.numpy(), (5, 1, 4)), rtol=1e-5)
np.testing.assert_allclose(b.grad.numpy(), undo_spreading(g.numpy() * a.numpy(), (3, 1)), rtol=1e-5)
np.testing.assert_allclose(W.grad.numpy(), one_by_one, rtol=1e-5)
assert row.grad.tolist() == [2, 2, 2]
assert np.allclose(p.numpy(), 2.5, atol=1e-3)
assert errors[-1] < 1e-6 < errors[0]
assert [(single * 2.5).dtype, (whole + 0.5).dtype, (single + double).dtype] == ["float32", "float32", "float64"]
