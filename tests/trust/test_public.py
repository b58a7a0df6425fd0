"""What else is public, called in every wrong way: modules, losses, initialisers, optimisers, models, data, training. A result
that is right, or an error of ours that says what is wrong."""

import inspect
import re
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn, optim
from minigrad.nn import functional, init
from rnn import GRU, LSTM, Recurrent, attending, data, models, training
from trust.hostile import outcome

QUICK, LONG = 60, 1500
WILD = [None, True, -1, 0, 0.5, -0.5, 1.0, float("nan"), float("inf"), -float("inf"), "x", "", b"x", [], [1, 2], {},
        {"x": 1}, (), (0.5,), object(), LSTM, np.zeros((2, 0)), np.array([np.nan]), np.array("x"), np.array(None), 1j]
wild = st.sampled_from(WILD)


def mostly(*good):
    """Nine times in ten what fits."""
    return st.integers(0, 9).flatmap(lambda k: wild if k == 0 else st.sampled_from(good))


def drawn(strategy):
    return st.integers(0, 9).flatmap(lambda k: wild if k == 0 else strategy)


SPECIAL = [np.nan, np.inf, -np.inf, 0.0, 3e38, 1e-45]


@st.composite
def arrays(draw, shape=None, kind=None):
    shape = draw(st.lists(st.integers(0, 3), max_size=3)) if shape is None or draw(st.integers(0, 7)) == 0 else shape
    kind = draw(st.sampled_from(["f", "d", "i8", "?"])) if kind is None or draw(st.integers(0, 7)) == 0 else kind
    made = np.random.default_rng(draw(st.integers(0, 3))).integers(-1, 3, shape).astype(kind)
    if made.size and made.dtype.kind == "f" and draw(st.integers(0, 3)) == 0:
        made.flat[0] = draw(st.sampled_from(SPECIAL))
    return made


def tensors(*given):
    return drawn(arrays(*given).map(mg.tensor))


small, size, flag = mostly(1, 2, 3), mostly(1, 2, 4), mostly(True, False)
share, rate = mostly(0.0, 0.3, 0.9), mostly(1e-3, 0.1, 1.0)
dtype = mostly("float32", "float64", np.float16)
LAYERS = {(cell, n): Recurrent(cell, 2, n, compile="numpy") for cell in (LSTM, GRU) for n in (2, 3)}
layers = mostly(*LAYERS.values())
symbols, pooling = mostly(None, 3, "abc"), mostly("mean", "last", "ends")
ids, vectors = arrays((3, 2), "i8").map(abs), arrays((3, 2, 2), "f")
lengths = drawn(st.lists(st.integers(0, 3), min_size=2, max_size=2))
vocabulary = drawn(st.sampled_from(["abc", "ab"]).map(data.Vocabulary))
batch = (st.builds(data.Batch, vectors, st.one_of(arrays((2,), "i8"), ids, vectors).map(lambda a: (a != 0).astype(a.dtype)),
                   st.none() | st.lists(st.integers(0, 3), min_size=2, max_size=2).map(np.array),
                   st.none() | arrays((3, 2), "?")))


# -- what is done with what was made -------------------------------------------------------------------------------------------
def used(result):
    for y in result if isinstance(result, tuple) else [result]:
        if isinstance(y, mg.Tensor):
            assert y.numpy().shape == y.shape and y.dtype.kind in "fiub", f"{y.dtype}"
            if y.requires_grad and y.size:
                y.sum().backward()


def module(make):
    def call(x, **given):
        used(make(**given)(x))
    return call


def loss(function):
    def call(x, target, **given):
        used(function(x, target, **given))
    return call


def optimiser(kind):
    """Two steps; finite gradients leave finite numbers."""
    def call(gradient, **given):
        p = nn.Parameter(np.ones((2, 2), "f"))
        made = kind([p], **given)
        for _ in range(2):
            p.grad = mg.tensor(gradient)
            made.step()
        kind([nn.Parameter(np.ones((2, 2), "f"))], **given).load_state_dict(made.state_dict())
        assert p.shape == (2, 2) and p.dtype == np.float32
    return call


def schedule(make):
    def call(step, **given):
        found = make(**given)(step)
        assert isinstance(found, (int, float)) and np.isfinite(found), found
    return call


def initialiser(make):
    def call(shape, **given):
        found = make(**given)(shape)
        assert found.shape == np.broadcast_to(0, shape).shape and np.isfinite(found).all()
    return call


def clipped(clip):
    def call(gradient, limit):
        p = nn.Parameter(np.ones((2, 2), "f"))
        p.grad = mg.tensor(gradient)
        clip([p], limit)
    return call


def model(make):
    def call(xs, lengths, **given):
        made = make(**given)
        more = {"lengths": lengths} if "lengths" in inspect.signature(made.forward).parameters else {}
        used(made(xs, **more)[0])
        with tempfile.TemporaryDirectory() as folder:
            made.save(Path(folder, "a.safetensors"))
            twin = models.load(Path(folder, "a.safetensors"))[0].eval()
            np.testing.assert_allclose(twin(xs, **more)[0].numpy(), made.eval()(xs, **more)[0].numpy(), rtol=1e-4, atol=1e-5)
    return call


def translator(source_ids, target_ids, source, target, encoder, attention, dropout):
    decoder = Recurrent(attending(GRU), 2, 2, memory=encoder.output_size if hasattr(encoder, "output_size") else 2)
    made = models.Seq2Seq(source, target, encoder, decoder, dropout, attention)
    used(made(source_ids, target_ids))


def written(prompt, length, temperature, seed):
    made = models.CharacterModel(data.Vocabulary("abc"), Recurrent(GRU, 2, 2, compile="numpy"))
    assert len(made.write(prompt, length, temperature, seed)) == length


def forecast(history):
    made = models.Forecaster(Recurrent(GRU, 2, 2, compile="numpy"), 3, [1], [0, 0], [1, 1])
    assert made.forecast(history).shape == (3, 1)


def served(make):
    """The first batches, and those that are held out; the same twice."""
    def call(**given):
        found = make(**given)
        one, again = found.batch(0), found.batch(0)
        assert all((a is None and b is None) or np.array_equal(a, b, equal_nan=True) for a, b in zip(one, again))
        assert one.inputs.ndim in (2, 3) and one.inputs.shape[1] == len(one.targets if one.targets.ndim == 1 else one.inputs[0])
        next(iter(found.held_out()))
    return call


def characters(text, **given):
    known = data.Vocabulary.of(text)
    served(data.Characters)(ids=known.encode(text), vocabulary=known, **given)


def ragged(sequences, targets, **given):
    some = data.Examples(sequences, targets)
    served(data.Ragged)(training=some, validation=some, **given)


def windows(values, **given):
    served(data.Windows)(series=data.Series(["a", "b"], values), **given)


def halves(sequences, targets, **given):
    one, other = data.split(data.Examples(sequences, targets), **given)
    assert len(one.sequences) + len(other.sequences) == len(sequences)


def judged(measure):
    def call(outputs, batch):
        total, count = measure(mg.tensor(outputs), batch)
        assert np.shape(total.numpy() if isinstance(total, mg.Tensor) else total) == () and count >= 0
    return call


def fitted(steps, **given):
    run = training.fit(models.Classifier(Recurrent(GRU, 2, 2, compile="numpy"), "ab"), data.TemporalOrder(rows=2)
                       if steps is None else Two(), training.cross_entropy, steps=steps, **given)
    assert run.step <= steps


class Two:
    """A batch, over and over."""

    batches_per_epoch = 1

    def batch(self, number):
        return data.Batch(np.ones((2, 2, 2), "f"), np.array([0, 1]))

    def held_out(self):
        return iter([self.batch(0)])


def random_again(seed):
    mg.manual_seed(seed)
    state = mg.random.get_state()
    one = mg.randn(2).numpy()
    mg.random.set_state(state)
    assert np.array_equal(one, mg.randn(2).numpy())


def stored(state, metadata):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.safetensors")
        try:
            mg.save(path, state, metadata)
        finally:
            assert [p.name for p in Path(folder).iterdir()] in ([], ["a.safetensors"])
        assert mg.load(path).keys() == state.keys()


def frozen(*patterns):
    made = nn.Linear(2, 2)
    made.freeze(*patterns)
    made.unfreeze()


def moved(device, dtype):
    made = nn.Linear(2, 2).to(device, dtype)
    assert made.weight.dtype.kind == "f"


def numbers_taken(weight, bias):
    made = nn.Linear(2, 2)
    made.load_state_dict({"weight": weight, "bias": bias})
    assert made.weight.shape == (2, 2) and made.weight.dtype == np.float32


sequences = drawn(st.lists(arrays((2, 2), "f"), min_size=2, max_size=3))
targets = drawn(st.lists(mostly(0, 1), min_size=2, max_size=3))
drawn_rows = {"rows": small, "seed": mostly(0, 1, 7), "held_out_batches": small}
x22 = arrays((2, 2), "f")
whole_gradient = st.builds(np.full, st.just((2, 2)), st.sampled_from([0.0, 1.0, -2.0, *SPECIAL]))

ENTRIES = {
    "nn.Linear": (module(nn.Linear), {"x": tensors((2, 3), "f"), "in_features": mostly(3), "out_features": size, "bias": flag,
                                      "dtype": dtype}),
    "nn.Embedding": (module(nn.Embedding), {"x": drawn(arrays((2, 3), "i8").map(abs)), "num_embeddings": mostly(3, 4),
                                            "embedding_dim": size, "dtype": dtype}),
    "nn.Dropout": (module(nn.Dropout), {"x": tensors((2, 3), "f"), "p": share}),
    "nn.LayerNorm": (module(nn.LayerNorm), {"x": tensors((2, 3), "f"), "features": mostly(3), "eps": mostly(1e-5),
                                            "dtype": dtype}),
    "nn.Sequential": (lambda x, a, b: used(nn.Sequential(a, b)(x)), {
        "x": tensors((2, 3), "f"), "a": drawn(st.builds(nn.Linear, st.just(3), st.just(2))),
        "b": drawn(st.builds(nn.Linear, st.just(2), st.just(2)))}),
    "Module.freeze": (lambda a, b: frozen(a, b), {"a": mostly("weight", "*"), "b": mostly("bias")}),
    "Module.to": (moved, {"device": mostly("cpu", None), "dtype": mostly("float32", "float64", None)}),
    "Module.load_state_dict": (numbers_taken, {"weight": drawn(x22) | tensors((2, 2), "f"), "bias": drawn(arrays((2,), "f"))}),
    **{f"functional.{name}": (loss(getattr(functional, name)), {
        "x": tensors((2, 2), "f"), "target": drawn(x22), **more}) for name, more in (
            ("mse_loss", {}), ("l1_loss", {}), ("huber_loss", {"delta": mostly(1.0, 2)}),
            ("binary_cross_entropy_with_logits", {}))},
    "functional.nll_loss": (loss(functional.nll_loss), {"x": tensors((2, 2), "f"),
                                                        "target": mostly(np.array([0, 1]), np.array([-1, 1])),
                                                        "reduction": mostly("mean", "sum", "none")}),
    **{f"init.{name}": (initialiser(getattr(init, name)), {"shape": mostly((2, 3), (3, 3), (3,), (0, 2), (4, 1)), **given})
       for name, given in (("uniform", {"bound": rate}), ("normal", {"deviation": rate}), ("glorot_uniform", {}),
                           ("orthogonal", {"gain": rate}), ("identity", {"scale": rate}))},
    **{f"optim.{name}": (optimiser(getattr(optim, name)), {
        "gradient": whole_gradient, "lr": rate, **given}) for name, given in (
        ("SGD", {"momentum": share, "weight_decay": share, "nesterov": flag}),
        ("Adam", {"betas": mostly((0.9, 0.99), (0.0, 0.5)), "eps": mostly(1e-8), "weight_decay": share}),
        ("AdamW", {"betas": mostly((0.9, 0.99)), "eps": mostly(1e-8), "weight_decay": share}),
        ("RMSprop", {"alpha": share, "eps": mostly(1e-8), "momentum": share}))},
    **{f"optim.{name}": (schedule(getattr(optim, name)), {
        "step": st.sampled_from([0, 1, 100]), "lr": rate, **given}) for name, given in (
        ("constant", {}), ("step_decay", {"every": small, "factor": share}),
        ("exponential", {"factor": share}),
        ("cosine", {"steps": mostly(10, 100), "final": share, "warmup": mostly(0, 3)}),
        ("Plateau", {"factor": share, "patience": small, "threshold": share}))},
    "optim.clip_grad_norm": (clipped(optim.clip_grad_norm), {"gradient": x22, "limit": rate}),
    "optim.clip_grad_value": (clipped(optim.clip_grad_value), {"gradient": x22, "limit": rate}),
    "manual_seed": (random_again, {"seed": mostly(0, 1, 1 << 40)}),
    "save": (stored, {"state": st.dictionaries(st.sampled_from("ab"), drawn(arrays()) | tensors(), max_size=2),
                      "metadata": mostly(None, {"a": "b"})}),
    "from_dlpack": (lambda x: used(mg.from_dlpack(x)), {"x": drawn(arrays())}),
    "models.CharacterModel": (model(models.CharacterModel), {"xs": ids, "lengths": lengths, "vocabulary": vocabulary,
                                                             "layer": layers, "dropout": share, "tied": mostly(False)}),
    "models.Classifier": (model(models.Classifier), {
        "xs": ids | vectors, "lengths": lengths, "layer": layers, "labels": mostly("ab", ["x", "y"]), "pooling": pooling,
        "symbols": symbols, "dropout": share}),
    "models.Tagger": (model(models.Tagger), {"xs": ids | vectors, "lengths": lengths, "layer": layers,
                                             "labels": mostly("ab", ["x"]), "symbols": symbols, "dropout": share}),
    "models.Regressor": (model(models.Regressor), {"xs": ids | vectors, "lengths": lengths, "layer": layers, "outputs": size,
                                                   "symbols": symbols, "dropout": share, "pooling": mostly(None, "mean")}),
    "models.Forecaster": (model(models.Forecaster), {
        "xs": vectors, "lengths": st.none(), "layer": layers, "horizon": small, "columns": mostly([0], [1, 0], (1,)),
        "mean": mostly([0, 0.5], np.zeros(2)), "deviation": mostly([1, 2.0], np.ones(2)), "dropout": share}),
    "models.Seq2Seq": (translator, {"source_ids": ids, "target_ids": arrays((2, 2), "i8"), "source": vocabulary,
                                    "target": vocabulary, "encoder": layers, "attention": mostly("attention_a"),
                                    "dropout": share}),
    "CharacterModel.write": (written, {"prompt": mostly("a", "abc"), "length": mostly(0, 1, 3),
                                       "temperature": mostly(0, 0.7, 1), "seed": mostly(0, 1)}),
    "Forecaster.forecast": (forecast, {"history": drawn(arrays((4, 2), "d"))}),
    **{f"data.{name}": (served(getattr(data, name)), {**given, **drawn_rows}) for name, given in (
        ("Adding", {"steps": mostly(30, 100)}), ("CopyMemory", {"steps": mostly(1, 5)}),
        ("TemporalOrder", {"relevant": mostly(2, 3)}),
        ("EmbeddedReber", {}), ("Counting", {"letters": mostly("ab", "abc"), "shortest": mostly(1), "longest": mostly(3)}),
        ("WrittenDigits", {"shortest": mostly(5), "longest": mostly(7)}),
        ("PeriodicFunction", {"curve": mostly("cosine"), "period": mostly(5), "steps": mostly(9)}),
        ("MeasuringSpikeDelays", {"delay": mostly(5), "spread": small, "spikes": small}),
        ("GeneratingTimedSpikes", {"delay": mostly(5), "spread": small, "spikes": small}))},
    "data.Characters": (characters, {"text": mostly("to be or not to be " * 20, "ab" * 9), "rows": small, "steps": small,
                                     "held_out": mostly(0.1, 0.5)}),
    "data.Ragged": (ragged, {"sequences": sequences, "targets": targets, "classes": mostly("ab", ["x", "y"]),
                             "symbols": mostly(None), "rows": small, "seed": mostly(0)}),
    "data.split": (halves, {"sequences": sequences, "targets": targets, "share": mostly(0.1, 0.5), "seed": mostly(0)}),
    "data.Windows": (windows, {"values": drawn(arrays((20, 2), "d")), "history": small, "horizon": small,
                               "targets": mostly(None, ["a"], ["b", "a"]), "held_out": mostly(0.2, 0.5), "rows": small,
                               "seed": mostly(0)}),
    "data.mackey_glass": (lambda **given: data.mackey_glass(**given).values.shape, {
        "steps": mostly(1, 10), "delay": mostly(17, 2.5), "seed": mostly(None, 0)}),
    "data.Vocabulary": (lambda characters, text: data.Vocabulary(characters).decode(data.Vocabulary(characters).encode(text)), {
        "characters": mostly("abc", "aé"), "text": mostly("a", "")}),
    **{f"training.{name}": (judged(getattr(training, name)), {
        "outputs": vectors | arrays((2, 2), "f"), "batch": batch})
       for name in ("cross_entropy", "binary_cross_entropy", "squared_error", "absolute_error", "accuracy")},
    "training.fit": (fitted, {"steps": mostly(1, 3), "lr": rate, "schedule": mostly("constant", "cosine"),
                              "warmup": mostly(0, 1), "final": share, "clip": mostly(None, 1.0),
                              "validate_every": mostly(None, 1), "patience": mostly(None, 2)}),
    "attending": (lambda cell: attending(cell)(2, 2, memory=2), {"cell": mostly(GRU, LSTM)})}


# Sizes that would take all memory are tried by name below, not at random.
def try_entry(name, count):
    function, arguments = ENTRIES[name]
    found = []

    @settings(max_examples=count, deadline=None, database=None, derandomize=count == QUICK,
              suppress_health_check=list(HealthCheck))
    @given(st.fixed_dictionaries(arguments))
    def check(given):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)             # of NaN and infinity
            found.append(outcome(lambda: function(**given)))
    check()
    return found


@pytest.mark.parametrize("name", ENTRIES)
def test_entries_called_at_random(name):
    assert "right" in try_entry(name, QUICK)


@pytest.mark.fuzz
@pytest.mark.slow
@pytest.mark.parametrize("name", ENTRIES)
def test_thousands_of_calls_of_entries(name):
    found = try_entry(name, LONG)
    print(f"inputs tried: {len(found)}: { {kind: found.count(kind) for kind in sorted(set(found))} }")


SCORES = mg.zeros(3, 2, 4)


@pytest.mark.parametrize("make, error, told", [
    (lambda: training.accuracy(SCORES, data.Batch(np.ones((3, 2, 1)), np.zeros(2, int))), ValueError,
     "the scores are (3, 2, 4) and the targets (2,) int64; scores are (..., classes) and targets whole numbers (...)"),
    (lambda: training.accuracy(mg.zeros(3, 4), data.Batch(np.ones((3, 2, 1)), np.zeros(3))), ValueError,
     "the targets (3,) float64"),
    (lambda: optim.clip_grad_norm([], float("nan")), ValueError, "clip_grad_norm: the largest norm is a number of at least 0"),
    (lambda: optim.SGD([nn.Parameter([1.0])], float("inf")), ValueError, "a learning rate is a number of at least 0, not inf"),
    (lambda: optim.Adam([nn.Parameter([1.0])], betas=(0.9, 1.0)), ValueError,
     "Adam: betas[1] is a number of at least 0 and below 1"),
    (lambda: nn.Linear(0, 3), ValueError, "Linear: in_features is a whole number of at least 1 and below 2^60, not 0"),
    (lambda: nn.Embedding(3, 2, "int8"), TypeError, "Embedding: dtype is one of floating-point numbers, 'float32' or"),
    (lambda: functional.mse_loss(None, 1), TypeError, "mse_loss takes a tensor, not a NoneType"),
    (lambda: models.Classifier(None, "ab"), TypeError, "Classifier takes a layer, such as Recurrent(LSTM, 8, 16), not None"),
    (lambda: models.Seq2Seq("ab", "cd", None, None), TypeError, "Seq2Seq: source is a Vocabulary, not 'ab'"),
    (lambda: data.Adding(rows=10 ** 30), ValueError, "Adding: rows is a whole number of at least"),
    (lambda: data.CopyMemory(seed=-1), ValueError, "CopyMemory: seed is at least 0, not -1"),
    (lambda: data.mackey_glass(10 ** 30), ValueError, "mackey_glass: steps is a whole number of at least 1 and below 2^60"),
    (lambda: data.split(data.Examples([np.ones((2, 1))] * 3, [0, 1])), ValueError, "split: each sequence has a target"),
    (lambda: data.Vocabulary(["a"]), TypeError, "a vocabulary is made of the characters of a string, not of a list"),
    (lambda: mg.save("unused", {}, {"a": 1}), TypeError, "save: metadata are strings by name, not {'a': 1}"),
    (lambda: attending(None), TypeError, "attending takes a cell class, such as GRU, not None")])
def test_what_the_fuzzer_found_is_told(make, error, told):
    with pytest.raises(error, match=re.escape(told)):
        make()
