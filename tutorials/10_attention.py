# %% [markdown]
# # 10. Attention, and the alignment of a date
#
# *Builds on tutorial 9 (the GRU). Runs in about half a minute. Needs the package `babel`, which knows how dates are written
# in many languages; the extra `docs` brings it.*
#
# A network reads *domingo, 23 de mayo de 2021* and is to write *2021-05-23*. What it writes first, the year, stands at the
# end of what it read; the month is a word in one of several languages; the day stands somewhere before it, or after it. A
# person who does this looks back and forth. Attention lets a network do the same, and afterwards shows where it looked.

# %%
import numpy as np

import minigrad as mg
import rnn.viz
from minigrad import softmax, tanh
from rnn import Cell, Input, Memory, Recurrent, ResetAfterGRU, W, attending, w
from rnn.data.batch import pad
from rnn.data.dates import Dates
from rnn.models import Seq2Seq
from rnn.models.seq2seq import exact, taught
from rnn.training import cross_entropy, fit

data = Dates(rows=64, locales=("en", "de", "fr", "es", "it"), held_out_batches=4)
for written, iso in data.pairs(8, np.random.default_rng(5), held_out=False):
    print(f"{written:32} {iso}")

# %% [markdown]
# ## The narrow place
#
# The usual arrangement has two networks. An **encoder** reads the text, one character a step. Its last state goes to a
# **decoder**, which writes the answer, one character a step. So all that was read must pass through one vector, however
# long the text is, and the decoder must keep it in mind while it writes.
#
# Bahdanau, Cho and Bengio ("Neural machine translation by jointly learning to align and translate", ICLR 2015) opened that
# place. The encoder's outputs at *all* steps are kept as a **memory**, one slot for each character that was read. Before
# each character that it writes, the decoder asks this memory, in three steps:
#
# 1. a **score** for each slot: how well does it fit what I am doing now?
# 2. a softmax, which makes the scores **weights** that are positive and add up to 1;
# 3. the **context**, the average of the slots by these weights.
#
# Here they are as a cell, with the paper's formulas beside them. `s` is the decoder's state and `m` the memory.

# %%
class AdditiveAttention(Cell):
    s, m = Input(), Memory()

    k = tanh(W @ [s, m])                       # k_j = tanh(W_a s_{i-1} + U_a h_j)
    e = w @ k                                  # e_ij = v_a·k_j
    a = softmax(e, where=m.mask)               # α_ij = exp(e_ij) / Σ_k exp(e_ik), over the slots in use
    y = a @ m                                  # c_i = Σ_j α_ij h_j


mg.manual_seed(0)
attention = AdditiveAttention(input_size=4, hidden_size=6, memory=3)
print({name: parameter.shape for name, parameter in attention.named_parameters()})

# %% [markdown]
# It has no state: it is a function of a query and a memory. We give it two rows of memory, the second of which uses only two
# of its five slots, as its text was shorter. What must the weights of the other three be? (As in the paper, $v_a$, here
# `w_e.k`, begins as zeros, with which all slots are equally good. To see something we give it other numbers.)

# %%
mg.manual_seed(1)
attention.weights["w_e.k"].assign(mg.randn(6).numpy())
query, memory = mg.randn(2, 4), mg.randn(2, 5, 3)
context, _, seen = attention(query, m=memory, m_lengths=[5, 2], capture=["e", "a"])
weights = seen["a"].numpy()
print(weights.round(3))

# %% [markdown]
# Exactly 0, and so nothing that stands in an unused slot can reach the answer. Now the three steps by hand, for the second
# row and the two slots that count:

# %%
p = {name: parameter.numpy() for name, parameter in attention.weights.items()}
slots = memory.numpy()[1, :2]
scores = [p["w_e.k"] @ np.tanh(p["W_k.s"] @ query.numpy()[1] + p["W_k.m"] @ slot) for slot in slots]
shares = np.exp(scores) / np.exp(scores).sum()
by_hand = shares @ slots
difference = np.abs(by_hand - context.numpy()[1]).max()
print("weights", shares.round(3), " context", by_hand.round(3), f" difference {difference:.0e}")

# %% [markdown]
# (The product `W_k.m` with the memory does not depend on the query. This project's plan computes it once for a text and not
# once for each character written, without being told to; tutorial 11 shows how it finds such things.)
#
# ## A decoder that looks
#
# `attending(cell)` takes any cell and gives it such an attention: the context goes beside the input, wherever a matrix
# multiplies the input.

# %%
print(attending(ResetAfterGRU)(input_size=32, hidden_size=64, memory=64))

# %% [markdown]
# We train two models that differ in nothing else: both read with a GRU in both directions and write with a GRU; one decoder
# looks at the memory, the other has the last state alone. Both see the same 150 batches of 64 dates. They are then judged on
# days that were held out in all languages: how many dates are right in *all* ten characters? What do you expect: 90 and 80
# per cent, or further apart?

# %%
def reader(looks):
    mg.manual_seed(0)
    encoder = Recurrent(ResetAfterGRU, 32, 32, bidirectional=True)
    decoder = Recurrent(attending(ResetAfterGRU), 32, 64, memory=64) if looks else Recurrent(ResetAfterGRU, 32, 64)
    return Seq2Seq(data.source, data.target, encoder, decoder)


runs = {}
for name, looks in (("with attention", True), ("without", False)):
    runs[name] = fit(reader(looks), data, cross_entropy, call=taught, measures={"exact": exact}, steps=150, lr=1e-2,
                     schedule="cosine", warmup=30, final=0.02, validate_every=30)
    print(f"{name:15}", " ".join(f"{v.measures['exact']:6.1%}" for v in runs[name].validations))

model = runs["with attention"].model
for text in ("domingo, 23 de mayo de 2021", "23. Mai 2021", "May 23, 2021", "23/05/2021"):
    print(f"{text:28} {model.write([text])[0]}")

# %% [markdown]
# The difference is not one of degree. Not that the model without attention could never learn it: with ten times the updates,
# 1,500, it reached 81 % when we tried. But it must learn to put ten characters into one vector and to take them out in order.
# The other one learns where to look.
#
# And does it look where a person would? For each character written, `decode` returns the weights over what was read.

# %%
def alignment(text):
    """What is written for the text, and the weights (characters written, characters read)."""
    ids, lengths = pad([data.source.encode(text)])
    found = model.decode(ids, lengths)
    length = int(found.lengths[0])
    return data.target.decode(found.symbols[0, :length]), found.attention[0, :length]


spanish, english = "domingo, 23 de mayo de 2021", "May 23, 2021"
alignments = {text: alignment(text) for text in (spanish, english)}


def picture(text):
    iso, weights = alignments[text]
    return rnn.viz.attention(weights, source=text, target=iso)


picture(spanish)

# %%
picture(english)

# %% [markdown]
# What was read stands above, what was written at the left. Each row is a character that is written and adds up to 1; dark is
# where the decoder looked while it wrote it. The year is copied from the year, digit after digit, the day from the day. For the
# month it looks at letters of the month's name, more for its second digit than for its first, which is 0 for nine months of
# twelve. At the hyphens the rows are pale, or look already at what comes next: a hyphen is always the same. (`␣` is a space.)
#
# Look closely at the digits, and you may find the dark cell one character *beside* the one that is copied. That is no
# mistake. A slot does not hold a character; it holds the state of two GRUs that came past it, one from the left and one from
# the right, and both know their neighbours.
#
# We put that into a number: how much of the weight lies on the right part of the text?

# %%
def share_on(text, part, written):
    """Of the weights of the characters `written` (a slice), the share that lies on a part of the text or just beside it."""
    start = text.index(part)
    return float(alignments[text][1][written, max(0, start - 1):start + len(part) + 1].sum(1).mean())


looked = {"year": share_on(spanish, "2021", slice(0, 4)), "month": share_on(spanish, "mayo", slice(5, 7)),
          "day": share_on(spanish, "23", slice(8, 10)), "year (en)": share_on(english, "2021", slice(0, 4)),
          "day (en)": share_on(english, "23", slice(8, 10))}
print({name: round(share, 2) for name, share in looked.items()})

# %% [markdown]
# Nobody told the model which part of a text is the year. It was told only what to write, and an alignment came with it. That
# is the title of the paper: *jointly learning to align and translate*. A word of caution: the weights say where the decoder
# looked, not why, and with a memory whose slots know their neighbours they do not even say exactly what it saw there.
#
# Where does it fail? Give it something that no rule covers:

# %%
for text in ("the 23rd of May", "2021", "domingo, domingo"):
    print(f"{text:20} {model.write([text])[0]}")
try:
    model.write(["May 23, 2021!"])
except ValueError as error:
    unknown = str(error)
print(unknown)

# %% [markdown]
# It always writes something that looks like a date, whatever it has read. Only a character that it has never seen is
# refused, and by name.
#
# Things to try:
#
# - All languages that the data knows: `Dates(rows=64)`, 800 updates. `python -m rnn train dates` does that, with a progress
#   bar and checkpoints.
# - `beams=4` in `model.write`: beam search keeps the four best beginnings instead of one. Does it mend anything here?
# - Other cells: `attending(LSTM)`, or `attending` of a cell of your own.

# %%
last = {name: run.validations[-1].measures["exact"] for name, run in runs.items()}
assert (weights >= 0).all() and np.allclose(seen["a"].numpy().sum(1), 1) and (seen["a"].numpy()[1, 2:] == 0).all()
assert difference < 1e-6
assert last["with attention"] > 0.8 and last["without"] < 0.3
assert alignments[spanish][0] == alignments[english][0] == "2021-05-23"
assert min(looked["year"], looked["day"]) > 0.5
assert "'!'" in unknown
