# %% [markdown]
# # 5. One program, two backends
#
# minigrad computes with NumPy on the CPU and with CuPy on an NVIDIA GPU, and a program for one is a program for the
# other. This tutorial runs a small network on both if there is a GPU, and does not mind if there is none, so you can
# read and run it anywhere. Then it opens the lid: what a backend is (short enough to write a third one), what a GPU
# is actually asked to do, and what does differ between the two, since something always does.
#
# It builds on [tutorial 2](02_tensors_and_broadcasting.md) and, for one section, on the table of operations in
# [tutorial 3](03_write_an_operation.md).
#
# ## The program
#
# Two spirals, wound into each other. Which of the two does a point belong to? A network with two hidden layers of 32
# units learns it.

# %%
import time

import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
from minigrad import backends, nn, optim
from minigrad.nn import functional as F


def spirals(n):
    """n points, (n, 2), and which spiral each belongs to, (n,)."""
    t = np.linspace(0.2, 1.0, n // 2) * 3 * np.pi
    one = np.stack([np.cos(t), np.sin(t)], axis=1) * t[:, None] / 10
    return np.concatenate([one, -one]).astype("float32"), np.repeat([0, 1], n // 2)


def train(device, n=200, steps=300):
    """The network, and the last loss."""
    mg.manual_seed(0)
    points, classes = (mg.tensor(a, device=device) for a in spirals(n))
    network = nn.Sequential(nn.Linear(2, 32), mg.tanh, nn.Linear(32, 32), mg.tanh, nn.Linear(32, 2)).to(device)
    optimizer = optim.Adam(network.parameters(), lr=0.01)
    for _ in range(steps):
        loss = F.cross_entropy(network(points), classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network, loss.item()


# %% [markdown]
# Two places name the device: the data are made there, and the network is moved there. All between follows its
# arguments. Now ask for each device. Without a GPU, "cuda" is refused with the reason, and we go on with what is
# there:

# %%
devices, losses = [], {}
for device in ("cpu", "cuda"):
    try:
        network, losses[device] = train(device)
        devices.append(device)
        print(f"{device}: loss {losses[device]:.6f}")
    except RuntimeError as problem:
        print(problem)

# %%
side = mg.tensor(np.linspace(-1.1, 1.1, 120))
grid = np.stack(np.meshgrid(side.numpy(), side.numpy()), axis=-1).reshape(-1, 2).astype("float32")
with mg.device(devices[-1]):
    chances = network(mg.tensor(grid)).softmax().numpy()[:, 1].reshape(120, 120)
points, classes = spirals(200)
plt.figure(figsize=(3.4, 3.4))
plt.imshow(chances, extent=(-1.1, 1.1, -1.1, 1.1), origin="lower", cmap="RdBu", alpha=0.6)
plt.scatter(*points.T, c=classes, cmap="RdBu", s=8, edgecolors="k", linewidths=0.3)
plt.axis("off")
plt.show()

# %% [markdown]
# (`with mg.device(name)` is a third way to say it: tensors that are made inside live there.)
#
# ## What a backend is
#
# Look again at a row of the table of operations:
#
# ```
# tanh = row("tanh", lambda xp, x: xp.tanh(x), ...)
# ```
#
# It never says `numpy`. It receives the array library as `xp` and calls *its* `tanh`. NumPy and CuPy agree on nearly
# all of their names, so one table serves both. What is left to say about a library is its module, its class of
# arrays, and how numbers get in and out:

# %%
print(backends.Backend.__doc__)
for name in ("asarray", "to_numpy", "synchronize"):
    print(f"{name}: {' '.join(getattr(backends.Backend, name).__doc__.split())}")

# %% [markdown]
# To see a backend from inside, we write one. It *pretends* to be a device with a memory of its own. In truth it
# computes with NumPy, but it keeps a ledger: how many operations it was asked for, and how often numbers crossed the
# border. That is what a GPU would have been asked, and you can read it without a GPU.

# %%
import inspect
from collections import Counter

ledger = Counter()


class PretendArray(np.ndarray):
    """NumPy's arrays under another name; every operation on them is counted."""

    def __array_ufunc__(self, function, method, *arguments, **options):
        ledger["operations"] += 1
        arguments = [np.asarray(a) if isinstance(a, np.ndarray) else a for a in arguments]
        result = getattr(function, method)(*arguments, **options)
        return None if result is None else np.asarray(result).view(PretendArray)

    def item(self):
        asking = inspect.currentframe().f_back.f_back           # behind Tensor.item
        ledger[f"copied out for {asking.f_code.co_name}"] += 1
        return super().item()


class PretendLibrary:
    """NumPy's functions; arrays that they make are pretended ones."""

    def __getattr__(self, name):
        found = getattr(np, name)
        if isinstance(found, (np.ufunc, type)) or not callable(found):
            return found

        def call(*args, **options):
            result = found(*args, **options)
            return result.view(PretendArray) if isinstance(result, np.ndarray) else result
        return call


class PretendBackend(backends.Backend):
    device, xp, array_type = "pretend", PretendLibrary(), PretendArray

    def asarray(self, data, dtype=None):
        if isinstance(data, PretendArray):
            return data if dtype is None else data.astype(dtype)
        ledger["copied in"] += 1
        return np.array(data, dtype).view(PretendArray)

    def to_numpy(self, array):
        ledger["copied out as a whole array"] += 1
        return np.array(array)

    def synchronize(self):
        pass


pretend = backends.register(PretendBackend())

# %% [markdown]
# The same program now runs on a device that minigrad had never heard of. Three guesses first: in 300 steps of
# training, how often are numbers copied to the device? How often back? And how many operations does one step take?

# %%
network, losses["pretend"] = train("pretend")
print("loss on the CPU ", losses["cpu"])
print("loss, pretended ", losses["pretend"])
for what, count in ledger.items():
    print(f"{count:6,} {what}")
print("operations a step:", ledger["operations"] // 300)

# %% [markdown]
# Eight copies in: the points, the classes, and six weights and biases. After that, everything happens where the
# numbers are.
#
# More than a hundred operations a step, though the program has a dozen lines. Forward, backward and the optimiser are
# all counted, and each of them is a launch of a kernel on a GPU.
#
# And 301 copies out: one is the loss that `train` returns. The other 300 were asked for by `_negative_at`, which is
# the inside of `cross_entropy`: it looks whether the largest class is one that the network has, so that it can raise
# an error that names it. Each copy is only 8 bytes, but the program has to *wait* for it. Here that is the price of a
# good error message, and it is known; in programs of one's own, a forgotten `print(loss)` in the inner loop has the
# same effect.
#
# ## What differs
#
# **Numbers have a place, and do not move unless asked.** The two most frequent errors of beginners on a GPU, here on
# our pretended one:

# %%
def attempt(f):
    try:
        return f()
    except (ValueError, TypeError) as problem:
        print(f"{type(problem).__name__}: {problem}")


here, there = mg.ones(3), mg.ones(3, device="pretend")
attempt(lambda: here + there)
attempt(lambda: np.asarray(there))
print((here.to("pretend") + there).numpy())

# %% [markdown]
# (The second message knows of one other device only.) A copy that is made silently would cost time in a place where
# nobody looks for it, so it has to be written. Gradients go back through `.to`, and one model may span both devices.
#
# **A GPU answers later.** `x + y` on a GPU only puts a job in a queue and returns at once; Python runs ahead. The
# program waits where it needs a number: at `.item()`, `.numpy()` or a `print`. So timing a GPU without waiting
# measures how fast Python can write to a queue. `backends.get(device).synchronize()` waits for all that was asked:

# %%
def seconds(device, f, repeat=20):
    """The median time of f, its work on the device included."""
    taken = []
    for _ in range(repeat):
        start = time.perf_counter()
        f()
        backends.get(device).synchronize()
        taken.append(time.perf_counter() - start)
    return sorted(taken)[repeat // 2]


for device in devices:
    x = mg.ones(1000, 1000, device=device)
    print(f"{device}: tanh of a million numbers, about {seconds(device, x.tanh) * 1e6:,.0f} microseconds")

# %% [markdown]
# **A launch has a price, whatever its size.** Here is what `train` takes for one step, on one NVIDIA H100 and on 16
# cores of the Xeon processor beside it, for ever more points. (Measured there and written down here, the mean of two
# runs. The times below 5 milliseconds differed by up to a half between the runs.)

# %%
sizes = [200, 2_000, 20_000, 200_000, 2_000_000]
milliseconds = {"16 CPU cores": [1.0, 1.9, 11, 140, 1570], "H100": [2.8, 3.3, 4.0, 10, 101]}
for name, taken in milliseconds.items():
    plt.loglog(sizes, taken, "o-", label=name)
plt.xlabel("points")
plt.ylabel("milliseconds a step")
plt.legend()
plt.show()

# %% [markdown]
# With few points the GPU takes about 3 milliseconds, and would take them for no points at all: more than a hundred
# launches, each with Python's work around it, some 25 microseconds apiece. The CPU is done before. From several
# thousand points on the numbers matter more than the launches, and with two million the GPU is 15 times faster. Where
# the lines cross depends on both machines and on the program. **Small problems belong on the CPU.** Recurrent
# networks are the hard case: many small steps, one after another. That is why minigrad makes *one* kernel of a whole
# loop over time; see [tutorial 13](13_train_on_a_gpu.md).
#
# **Sums are taken in another order.** A GPU adds up a million numbers in thousands of threads. Addition of floats is
# not associative, so another order gives another last digit. You do not need a GPU to see it:

# %%
numbers = np.random.default_rng(0).normal(size=1_000_000).astype("float32")
exact = np.sum(numbers, dtype="float64")
for name, total in [("NumPy's order", numbers.sum()), ("one by one", np.cumsum(numbers)[-1]),
                    ("columns first", numbers.reshape(1000, 1000).sum(axis=0).sum())]:
    print(f"{name:14s} {total:.4f}   error {abs(total - exact):.1e}")

# %% [markdown]
# None is *the* result. Hence two runs on different devices agree in most digits, and not in all. The loss that this
# tutorial reached is 0.001383351 on a CPU and 0.001383340 on that H100, after 300 steps each. Compare with a
# tolerance, as in `np.testing.assert_allclose`, never with `==`.
#
# What does *not* differ is random numbers: they are drawn on the CPU, or by a counter that gives the same numbers
# anywhere, so one seed means the same weights and the same dropout on every device.
#
# ## What happens without a GPU
#
# * No tensor goes to a GPU by itself. CuPy is imported the first time that somebody says "cuda".
# * Then the error says which of two things is missing: CuPy (with the line to install it), or a GPU and its driver.
# * The CUDA that would run there can be printed on any machine; [tutorial 13](13_train_on_a_gpu.md) does that.
#
# ## To try
#
# * Replace `cross_entropy` by the mean squared error of `softmax`. What does the ledger say now?
# * Let the ledger count operations by name (`function.__name__`). Which is the most frequent, and who asks for it?
# * `mg.fuse` makes one kernel of several operations. Which operations of this network could it join?
#
# The rest checks what was said above.

# %%
assert losses["cpu"] < 0.01 and np.isclose(losses["pretend"], losses["cpu"], rtol=1e-3)
if "cuda" in losses:
    assert abs(losses["cuda"] - losses["cpu"]) < 0.1 * losses["cpu"]
before = Counter(ledger)
train("pretend", steps=10)
assert ledger["copied in"] - before["copied in"] == 8 and ledger["copied out for train"] - before["copied out for train"] == 1
assert 1000 < ledger["operations"] - before["operations"] < 2000
for wrong in (lambda: here + there, lambda: np.asarray(there)):
    try:
        wrong()
    except (ValueError, TypeError):
        continue
    raise AssertionError("devices were mixed")
