# %% [markdown]
# # 7. The LSTM, gate by gate
#
# *Builds on tutorial 6 (why a plain RNN forgets). Runs in about half a minute.*
#
# The LSTM has the reputation of being complicated. It has six equations. This tutorial takes them one at a time: what each
# is for, what it computes, and in the end what the gates do in a network that reads a text.
#
# The equations are those of J. Mungalpara's article *What is LSTM, peephole LSTM and GRU?* (Nerd For Tech, 2021), as
# comments beside the code. The code is all that there is to the cell; this is how it stands in the file `rnn/cells.py`.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
import rnn.viz
from minigrad import sigmoid, tanh
from rnn import Cell, Input, Recurrent, State, W, b
from rnn.data import Characters, Vocabulary, python_documentation
from rnn.models import CharacterModel
from rnn.training import BITS, cross_entropy, fit


class LSTM(Cell):
    x, h, c = Input(), State(), State()
    initial = {"b_f": 1.0}

    f = sigmoid(W @ [h, x] + b)                # f_t = σ(W_f·[h_{t-1}, x_t] + b_f)
    i = sigmoid(W @ [h, x] + b)                # i_t = σ(W_i·[h_{t-1}, x_t] + b_i)
    g = tanh(W @ [h, x] + b)                   # C̃_t = tanh(W_C·[h_{t-1}, x_t] + b_C)
    c_next = f * c + i * g                     # C_t = f_t * C_{t-1} + i_t * C̃_t
    o = sigmoid(W @ [h, x] + b)                # o_t = σ(W_o·[h_{t-1}, x_t] + b_o)
    h_next = o * tanh(c_next)                  # h_t = o_t * tanh(C_t)


# %% [markdown]
# Everything is a vector with one number for each unit, `*` multiplies unit by unit, and every `W` and `b` belongs to the
# equation in which it stands: `f` has its own matrix and bias, `i` its own, and so on. The same as a picture, drawn from the
# equations, with time to the right: the line along the top is the memory `c`.

# %%
rnn.viz.gates(LSTM)

# %% [markdown]
# There are two kinds of equations. Four look at the outside, through a matrix: three **gates**, which end in a sigmoid and
# so lie between 0 and 1, and one **candidate** `g`, which ends in tanh and lies between -1 and 1. The other two have no
# matrix: they only say how the four act on the memory `c`.
#
# ## A memory that you can operate by hand
#
# To see what the gates do, we take a cell of one unit and set its weights ourselves. All weights are 0 at first, so that
# only the biases act. $\sigma(10)$ is practically 1 and $\sigma(-10)$ practically 0: a bias of 10 holds a gate open, one of
# -10 holds it shut. `W_g.x` is the weight of the candidate `g` on the input `x`.

# %%
OPEN, SHUT = 10.0, -10.0


def one_unit(parameters):
    """An LSTM of one unit that reads one number a step. parameters: numbers by name; all others are 0."""
    return Recurrent(LSTM, input_size=1, hidden_size=1, init={"default": lambda name, shape: np.zeros(shape), **parameters})


def trace(layer, inputs):
    """What the cell does at each step, by name."""
    _, _, seen = layer(np.array(inputs, np.float32)[:, None], capture=["f", "i", "g", "c", "o", "h"])
    return {name: values.numpy()[0, :, 0] for name, values in seen.items()}


def show(inputs, seen):
    print("x  ", " ".join(f"{x:5.1f}" for x in inputs))
    for name, values in seen.items():
        print(f"{name}  ", " ".join(f"{v:5.2f}" for v in values))


inputs = [0.5, 0, 0, 0, 0]
remembers = trace(one_unit({"b_f": OPEN, "b_i": OPEN, "b_o": OPEN, "W_g.x": 1.0}), inputs)
show(inputs, remembers)

# %% [markdown]
# The candidate `g` is tanh(0.5) = 0.46 at the first step and 0 after it. The input gate lets it in, the forget gate keeps
# what is there, and `c` holds 0.46 for as long as we like. The plain RNN of tutorial 6 could not do this.
#
# What will `c` do if the input stays at 0.5 for five steps? And then, if we also set the forget gate to one half?

# %%
inputs = [0.5, 0.5, 0.5, 0.5, 0.5]
adds = trace(one_unit({"b_f": OPEN, "b_i": OPEN, "b_o": OPEN, "W_g.x": 1.0}), inputs)
print("forget gate at 1:")
show(inputs, {name: adds[name] for name in ("g", "c", "h")})
leaks = trace(one_unit({"b_f": 0.0, "b_i": OPEN, "b_o": OPEN, "W_g.x": 1.0}), inputs)
print("\nforget gate at 1/2:")
show(inputs, {name: leaks[name] for name in ("g", "c", "h")})

# %% [markdown]
# With the forget gate at 1 the cell **adds up**: `c` grows by 0.46 a step without limit, which is why there is a tanh
# between `c` and `h`. At one half it **averages**, and goes to 0.46 / (1 - 1/2) = 0.92. The name is unlucky: the forget gate
# is open when the cell remembers.
#
# So far the gates stood still. Now the input works one: a large input opens the input gate, small ones leave it shut. We
# ask for a gate that opens at $x = 1$ and not at $x = 0.4$, and let the forget gate be its opposite.

# %%
inputs = [0.4, 0.4, 1.0, 0.4, 0.4, -0.4, 1.5, 0.4]
latches = trace(one_unit({"W_i.x": 40, "b_i": -28, "W_f.x": -40, "b_f": 28, "b_o": OPEN, "W_g.x": 1}), inputs)
show(inputs, latches)

# %% [markdown]
# A latch: it takes the value of a large input, and ignores the small ones, until the next large one comes. Nobody would
# build a network like that by hand. The point is that these are behaviours that six equations *can* have, smoothly, so
# that a gradient can find them.
#
# ## The same in NumPy
#
# Is there more to it than the six lines say? Here are 20 steps of a layer of 16 units against the article's equations in
# NumPy. The parameters' names say where they stand: `W_f.h` is the part of `W_f` that multiplies `h`.

# %%
def by_hand(p, xs):
    def logistic(v):
        return 1 / (1 + np.exp(-v))

    def product(gate, h, x):
        return p[f"W_{gate}.h"] @ h + p[f"W_{gate}.x"] @ x + p[f"b_{gate}"]

    h = c = np.zeros(16)
    for x in xs:
        f, i, o = (logistic(product(gate, h, x)) for gate in "fio")
        g = np.tanh(product("g", h, x))
        c = f * c + i * g
        h = o * np.tanh(c)
    return h


mg.manual_seed(0)
layer = Recurrent(LSTM, input_size=4, hidden_size=16, dtype="float64")
xs = mg.randn(20, 4, dtype="float64")
_, state = layer(xs)
numbers = {name: parameter.numpy() for name, parameter in layer.cell.weights.items()}
difference = np.abs(by_hand(numbers, xs.numpy()) - state.h.numpy()).max()
print(f"after 20 steps the two differ by {difference:.0e}")

# %% [markdown]
# ## What gates do in a text
#
# Now a network that nobody operates. It reads the documentation that every Python carries for its `help()`, one character
# at a time, and learns to say which character comes next. 64 units, and 500 updates on 32 rows of 64 characters.

# %%
text = python_documentation()
vocabulary = Vocabulary.of(text)
data = Characters(vocabulary.encode(text), vocabulary, rows=32, steps=64)

mg.manual_seed(0)
model = CharacterModel(vocabulary, Recurrent(LSTM, input_size=32, hidden_size=64))
run = fit(model, data, cross_entropy, steps=500, lr=1e-2, schedule="cosine", warmup=20, final=0.05, clip=1.0, unit=BITS,
          validate_every=500)
print(f"{run.best.loss:.2f} bits per character on text that it has not seen; blind guessing has {np.log2(len(vocabulary)):.2f}")
print(model.write("The ", 160, temperature=0.6))

# %% [markdown]
# After so little training it writes something that has the shape of English words. Let it
# read 20,000 characters of the part that was held out, and write down all gates and states at each character.

# %%
read = text[-len(text) // 10:][:20_000]
with mg.no_grad():
    vectors = model.embedding(vocabulary.encode(read)[:, None])
    _, _, seen = model.layer(vectors, capture=["f", "i", "o", "g", "c", "h"])
seen = {name: values.numpy()[0, :, 0] for name, values in seen.items()}         # each (20000 characters, 64 units)
print({name: values.shape for name, values in seen.items()})

# %% [markdown]
# 64 units times six quantities is more than one can look at. So ask a question: which unit knows something that *we* can
# name? Two things are easy to compute from the text: how many letters of the present word have been read, and whether we
# are inside quotation marks. For each we take the unit whose `h` goes along with it best (the largest correlation).

# %%
letters, quoted = np.zeros(len(read)), np.zeros(len(read))
for k, character in enumerate(read):
    letters[k] = letters[k - 1] + 1 if character.isalpha() else 0
    quoted[k] = (1 - quoted[k - 1]) if character == '"' else quoted[k - 1]


def knows(values, fact):
    """The unit that goes along with the fact best, and the correlation."""
    correlations = np.nan_to_num([np.corrcoef(unit, fact)[0, 1] for unit in values.T])
    best = int(np.abs(correlations).argmax())
    return best, float(correlations[best])


counter, of_counter = knows(seen["h"], letters)
quoter, of_quoter = knows(seen["h"], quoted)
chance = max(abs(knows(seen["h"], np.roll(fact, 5000))[1]) for fact in (letters, quoted))
print(f"letters of the word so far: unit {counter}, correlation {of_counter:.2f}")
print(f"inside quotation marks:     unit {quoter}, correlation {of_quoter:.2f}")
print(f"the best of 64 units for a fact of 5,000 characters earlier: {chance:.2f}")

# %% [markdown]
# The third line is there for honesty: among 64 units one will always go along with anything a little. The first two are
# well above it. Nobody told the network about words or quotation marks; to know them helps in guessing the next character.
#
# Here are the two units over a piece of the text, each gate as a row: yellow is 1, dark blue is 0. For `c` and `h`, which may
# be negative, red is positive and blue negative. (`rnn.viz.activations` draws whatever a layer has captured, all units of it if
# you do not choose. `␣` is a space and `⏎` the end of a line.)

# %%
def picture(unit, start, length=90):
    piece = slice(start, start + length)
    of_unit = {name: seen[name][None, piece, unit:unit + 1] for name in "fioch"}       # (1 layer, steps, 1 unit)
    return rnn.viz.activations(of_unit, labels=read[piece])


picture(counter, read.index("\n\n", 3000) + 2)

# %%
picture(quoter, read.index('"', 3000) - 15)

# %% [markdown]
# Begin with the first unit's `f`. It is dark between words: there the unit throws away what it knew. Its input gate is open
# nearly always, so that `c` gathers something at each letter of a word. That is a counter with a reset, which you could now
# build by hand, and nobody asked for it. (Where exactly it resets we can count, too.)
#
# The second unit is less clean. Its `c` is pinned below -1 outside of quotations and leaves that range at an opening
# quotation mark, but other things disturb it as well. Most units are like this, or worse: a unit does part of a job that
# several do together, and has several such parts. Be careful with stories about single units; the correlation of 0.5 says
# that this one knows the fact only half.

# %%
is_letter = np.array([character.isalpha() for character in read])
of_letters, of_others = seen["f"][is_letter, counter].mean(), seen["f"][~is_letter, counter].mean()
print(f"unit {counter}: forget gate {of_letters:.2f} on average at letters, {of_others:.2f} at all other characters")

# %% [markdown]
# Over all characters, what is the forget gate's average at each unit, and does it say how long a unit remembers?

# %%
mean_f = seen["f"].mean(0)
c = seen["c"] - seen["c"].mean(0)
kept = (c[:-1] * c[1:]).mean(0) / (c * c).mean(0)           # how like its last value c is, one character later

fig, ax = plt.subplots(figsize=(5, 3))
ax.scatter(mean_f, kept, s=14)
ax.set(xlabel="forget gate, on average", ylabel="autocorrelation of c\nafter one character")
fig.tight_layout()
together = float(np.corrcoef(mean_f, kept)[0, 1])
print(f"correlation {together:.2f}; forget gates from {mean_f.min():.2f} to {mean_f.max():.2f}")

# %% [markdown]
# The units have divided the work: some keep their memory over many characters, others renew it at nearly each one. All of
# them began with the same forget bias.
#
# Things to try:
#
# - Build by hand a unit that counts the steps since the last large input.
# - Replace `h` by `c` in `knows`. Are the best units the same?
# - Train ten times longer (`steps=5000`). Does a unit appear that counts the characters of a line? (The text is broken
#   after some 70 characters.) Karpathy, Johnson and Li found such units in "Visualizing and understanding recurrent
#   networks" (2015).
# - `print(layer.explain())` shows what the project made of the six equations, down to the C that ran here. Tutorial 11 reads
#   it with you.

# %%
assert abs(remembers["c"][-1] - np.tanh(0.5)) < 1e-3
assert abs(adds["c"][-1] - 5 * np.tanh(0.5)) < 1e-2 and abs(leaks["c"][-1] - (2 - 2 ** -4) * np.tanh(0.5)) < 1e-3
assert np.allclose(latches["c"][2:6], np.tanh(1.0), atol=0.02) and np.allclose(latches["c"][6:], np.tanh(1.5), atol=0.02)
assert difference < 1e-12
assert run.best.loss < 3.0
assert abs(of_counter) > 0.4 and abs(of_quoter) > 0.25 and chance < min(abs(of_counter), abs(of_quoter))
assert of_letters > of_others + 0.2
assert together > 0.3
