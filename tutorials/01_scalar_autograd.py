# %% [markdown]
# # 1. Scalar autograd in 60 lines, and why order matters
#
# A neural network learns by asking one question again and again: *if I move this number a little, how much does the
# error move?* The answer for one number is a derivative. A network has thousands of numbers, and autograd (automatic
# differentiation) finds all the derivatives in one pass over the computation, for about the price of two or three
# runs of it.
#
# Here we write such an engine for single numbers, in plain Python without any library. (Only the picture takes
# matplotlib, and the last part minigrad.) On the way we write it wrong twice, because the wrong versions show what the
# right one is for. You need to know what a Python class is, and the chain rule by name.
#
# ## A derivative is a question that you can ask by hand
#
# Take this function, and move its input by a millionth:

# %%
import math


def f(x):
    return x * x + 3 * x


h = 1e-6
print(f(2.0), f(2.0 + h))
print("slope:", (f(2.0 + h) - f(2.0)) / h)

# %% [markdown]
# On paper the derivative of $x^2 + 3x$ is $2x + 3$, which is 7 at $x = 2$. The measured slope is 7 up to a small
# error. It costs one more run of `f` for each input, so a function of a million inputs needs a million runs. That is
# the price that we want to avoid.
#
# ## A number that remembers
#
# The idea: let every number remember **which numbers it was computed from**, and **its derivative by each of them**.
# For a single operation that derivative is easy to know, at the moment when the operation is done:
#
# | operation | derivative by the left | by the right |
# |---|---|---|
# | `a + b` | 1 | 1 |
# | `a * b` | the value of `b` | the value of `a` |
# | `tanh(a)` | `1 - tanh(a)**2` | |
#
# So here is a number that remembers. `sources` holds pairs of (a number it came from, the derivative by it).

# %%
class Number:
    """A value, the numbers that it was computed from, and its derivative by each of them."""

    def __init__(self, value, *sources):
        self.value, self.sources, self.grad = value, sources, 0.0

    def __add__(self, other):
        other = as_number(other)
        return Number(self.value + other.value, (self, 1.0), (other, 1.0))

    def __mul__(self, other):
        other = as_number(other)
        return Number(self.value * other.value, (self, other.value), (other, self.value))

    def __sub__(self, other):
        return self + as_number(other) * -1.0

    def tanh(self):
        y = math.tanh(self.value)
        return Number(y, (self, 1 - y * y))

    __radd__, __rmul__ = __add__, __mul__


def as_number(x):
    return x if isinstance(x, Number) else Number(x)


x = Number(2.0)
y = x * x + 3 * x
print(y.value, "=", " + ".join(f"{source.value}" for source, _ in y.sources))

# %% [markdown]
# `y` is now the top of a small graph: it knows that it is the sum of 4 and 6, the 4 knows that it is 2 times 2, and
# so on down to `x`. Computing built the graph; nobody had to declare it.
#
# ## First attempt: follow the arrows
#
# The **chain rule** says what to do along one path: multiply. If `c` moves twice as fast as `b`, and `b` twice as
# fast as `a`, then `c` moves four times as fast as `a`. Where several paths lead to the same number, their
# contributions add up.
#
# So let us walk from the result down to the inputs. Each number passes on its own gradient times the derivative that
# it remembered, to each source, which is then visited in turn:

# %%
def first_attempt(result):
    result.grad = 1.0
    waiting = [result]
    while waiting:
        node = waiting.pop()
        for source, derivative in node.sources:
            source.grad += node.grad * derivative
            waiting.append(source)


x = Number(2.0)
first_attempt(x * x + 3 * x)
print(x.grad)

# %% [markdown]
# 7, as on paper. It looks finished. Now a program that is even simpler. Before you read on: what is the derivative of
# `c` by `a` here?

# %%
a = Number(1.0)
b = a + a
c = b + b
first_attempt(c)
print(c.value, a.grad)

# %% [markdown]
# `c` is `4 * a`, so the derivative is 4, but the walk says 8. Follow it by hand. `c` names `b` twice, as both sides
# of its sum. Each time 1 is added to `b.grad`, which is then 2, and `b` is put on the list: so `b` is visited twice,
# and *each* visit passes on the whole 2, to `a` on both sides. That is 2 + 2 + 2 + 2 = 8.
#
# ## Second attempt: visit everything once
#
# The obvious cure is to visit each number only once.

# %%
def second_attempt(result):
    result.grad = 1.0
    waiting, seen = [result], {result}
    while waiting:
        node = waiting.pop()
        for source, derivative in node.sources:
            source.grad += node.grad * derivative
            if source not in seen:
                seen.add(source)
                waiting.append(source)


a = Number(1.0)
b = a + a
c = b + b
second_attempt(c)
print("a + a, then b + b:  computed", a.grad, " true 4")

a = Number(1.0)
b = a + a
c = b * 3
d = c + b
second_attempt(d)
print("d = 3 * b + b:      computed", a.grad, " true 8")

# %% [markdown]
# The first program is right now, and a second one is wrong: `d` is `8 * a`. Can you see why before the next paragraph
# says so?
#
# ```
#          ┌─────────────┐
#          │             v
# a ════> b ────> c ───> d
#     twice   times 3
# ```
#
# `d` comes from `c` and `b`, so both wait. `b` is taken first and passes on what it has, which is 1. But `b` is also
# a source of `c`, and `c` has not been visited: its 3 arrives at `b` *after* `b` has passed its gradient on. Those 3
# are lost to `a`.
#
# So once is not enough. A number may pass on its gradient **only when the gradient is complete**, and it is complete
# when everything that used the number has been visited. That is what order is for.
#
# ## The right order
#
# List the numbers so that each stands after its sources, and walk the list backwards. Such a list is called a
# topological order, and a depth-first walk makes one: write a number down when all its sources have been written
# down.

# %%
def in_order(result):
    order, seen = [], set()

    def visit(node):
        if node not in seen:
            seen.add(node)
            for source, _ in node.sources:
                visit(source)
            order.append(node)

    visit(result)
    return order


def backward(result):
    result.grad = 1.0
    for node in reversed(in_order(result)):
        for source, derivative in node.sources:
            source.grad += node.grad * derivative


a = Number(1.0)
b = a + a
c = b * 3
d = c + b
backward(d)
print([node.value for node in in_order(d)])
print(a.grad)

# %% [markdown]
# That is the whole engine: the class above, `as_number`, `in_order` and `backward`, less than 60 lines.
#
# There is another walk that is right: follow every *path* from the result separately and add up the products. It is
# what the chain rule says literally. Its trouble is the number of paths. When `b = a + a` is repeated twenty times,
# there are $2^{20}$ of them:

# %%
def paths(result):
    """How many paths lead from the result down to the inputs."""
    count = {}
    for node in in_order(result):
        count[node] = sum(count[source] for source, _ in node.sources) if node.sources else 1
    return count[result]


a = Number(1.0)
y = a
for _ in range(20):
    y = y + y
backward(y)
print("numbers in the graph:", len(in_order(y)), "  paths:", paths(y), "  gradient:", a.grad)

# %% [markdown]
# In the right order, 21 visits do the work of a million paths. This is why it is called *back-propagation* and not
# "applying the chain rule": it is the chain rule with shared work done once.
#
# ## Is it right? Ask by hand
#
# We measured a slope at the beginning by moving the input. The same measurement checks the engine, on a formula that
# nobody would want to differentiate on paper:

# %%
def g(x, y):
    z = x * y - 2 * x
    return (z * z + y).tanh() * x + z


def measured(f, values, k, h=1e-6):
    """The slope of f by its argument k: from a little below to a little above."""
    up = [v + h * (i == k) for i, v in enumerate(values)]
    down = [v - h * (i == k) for i, v in enumerate(values)]
    return (f(*map(Number, up)).value - f(*map(Number, down)).value) / (2 * h)


values = (0.7, 1.1)
inputs = [Number(v) for v in values]
backward(g(*inputs))
for k, x in enumerate(inputs):
    print(f"computed {x.grad:.9f}   measured {measured(g, values, k):.9f}")

# %% [markdown]
# ## Let it learn
#
# With gradients, learning is one line: move every number a little against its gradient, and the error falls. Here is
# a network of 8 units that learns a sine from 25 points. It has 25 numbers to learn: `t`, `u` and `v` of each unit,
# and one `shift`.

# %%
import random

random.seed(2)
units = [(Number(random.gauss(0, 1)), Number(random.gauss(0, 1)), Number(random.gauss(0, 1) / 3)) for _ in range(8)]
shift = Number(0.0)
parameters = [p for unit in units for p in unit] + [shift]


def network(x):
    y = shift
    for t, u, v in units:
        y = y + (u * x + t).tanh() * v
    return y


def error():
    total = Number(0.0)
    for x in points:
        difference = network(x) - math.sin(x)
        total = total + difference * difference
    return total * (1 / len(points))


points = [k / 4 - 3 for k in range(25)]
before = [network(x).value for x in points]
errors = []
for _ in range(600):
    for p in parameters:
        p.grad = 0.0
    e = error()
    backward(e)
    for p in parameters:
        p.value -= 0.1 * p.grad
    errors.append(e.value)
print(f"mean squared error: {errors[0]:.4f} at first, {errors[-1]:.4f} after 600 steps")
print(f"numbers in the graph of one error: {len(in_order(e)):,}")

# %%
import matplotlib.pyplot as plt

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
left.plot(points, [math.sin(x) for x in points], "k.", label="sin x")
left.plot(points, before, "C1--", label="before")
left.plot(points, [network(x).value for x in points], "C0", label="after")
left.set_xlabel("x")
left.legend()
right.semilogy(errors)
right.set_xlabel("step")
right.set_title("mean squared error", fontsize=10)
plt.show()

# %% [markdown]
# Note the line `p.grad = 0.0`. Gradients are *added* to what is there, which is what makes several paths work, so
# whoever starts a new pass has to clear them first.
#
# ## What 60 lines do not do
#
# A recurrent network is a long chain: each step uses the result of the one before. What does a chain of 5,000 steps
# do to our engine?

# %%
y = Number(1.0)
for _ in range(5000):
    y = y + 1.0
try:
    backward(y)
except RecursionError as problem:
    print("RecursionError:", problem)

# %% [markdown]
# `visit` calls itself once for each link of the chain, and Python allows about a thousand calls inside each other.
# minigrad's walk (`postorder` in [`minigrad/autograd.py`](../minigrad/autograd.py)) keeps a list of its own in place
# of nested calls, and is otherwise the one you just wrote: each node once, after all its users.

# %%
import minigrad as mg

a = mg.tensor(1.0, requires_grad=True)
b = a + a
c = b + b
c.backward()
print("a + a, then b + b:", a.grad)

y = start = mg.tensor(1.0, requires_grad=True)
for _ in range(100_000):
    y = y + 1.0
y.backward()
print("100,000 steps:", start.grad)

# %% [markdown]
# One more difference. Our `derivative` is a plain `float`, so what it computed is forgotten. In minigrad the
# derivatives are computed with the same operations as everything else, so they remember too, and can be
# differentiated again. For $x^3$ at 2 we expect $3x^2 = 12$, then $6x = 12$, then $6$:

# %%
def cube(x):
    return x * x * x


first, second, third = mg.grad(cube), mg.grad(mg.grad(cube)), mg.grad(mg.grad(mg.grad(cube)))
print(first(2.0).item(), second(2.0).item(), third(2.0).item())

# %% [markdown]
# And a minigrad tensor holds not one number but a whole array. That is the subject of [tutorial
# 2](02_tensors_and_broadcasting.md).
#
# ## To try
#
# * Add division or `exp` to `Number`: one method, with the derivative that you know from school. Check it with
#   `measured`.
# * `in_order` with a list of its own instead of recursion: 100,000 steps should work.
# * What does `second_attempt` give when `waiting.pop()` is `waiting.pop(0)`? Find a program on which *that* order
#   fails.
#
# The rest of this page is for the machine: it checks that what was said above is so.

# %%
def gradient(walk, program):
    a = Number(1.0)
    walk(program(a))
    return a.grad


def doubled_twice(a):
    b = a + a
    return b + b


def unequal_paths(a):
    b = a + a
    return b * 3 + b


assert [gradient(walk, doubled_twice) for walk in (first_attempt, second_attempt, backward)] == [8, 4, 4]
assert [gradient(walk, unequal_paths) for walk in (second_attempt, backward)] == [2, 8]
for k, x in enumerate(inputs):
    assert abs(x.grad - measured(g, values, k)) < 1e-8
assert errors[-1] < errors[0] / 50
assert a.grad.item() == 4 and start.grad.item() == 1
assert [f(2.0).item() for f in (first, second, third)] == [12, 12, 6]
