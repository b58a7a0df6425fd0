"""The classifier and the tagger: what counts is what lies before each sequence's end, and a file gives the model back."""

import numpy as np
import pytest

import minigrad as mg
from rnn import GRU, LSTM, Bidirectional, Cell, Input, Recurrent, Stack, State, W, models
from rnn.models import Classifier, Tagger

LENGTHS = np.array([4, 1, 6, 0])


class Mine(Cell):
    x, h = Input(), State()
    h_next = mg.tanh(W @ [h, x])


def layers():
    return {"one": Recurrent(Mine, 3, 4), "both": Recurrent(LSTM, 3, 4, num_layers=2, bidirectional=True),
            "stack": Stack(Recurrent(Mine, 3, 5), Bidirectional(Recurrent(GRU, 5, 4), Recurrent(Mine, 5, 4), merge="sum"))}


@pytest.fixture
def xs(rng):
    return rng.standard_normal((6, 4, 3)).astype(np.float32)


@pytest.mark.parametrize("name", layers())
@pytest.mark.parametrize("pooling", ["mean", "last", "ends"])
def test_each_row_is_scored_as_if_it_were_alone(name, pooling, xs):
    model = Classifier(layers()[name], "abc", pooling)
    scores, _ = model(xs, lengths=LENGTHS)
    assert scores.shape == (4, 3)
    for row, n in enumerate(LENGTHS[:3]):
        alone, _ = model(xs[:n, row:row + 1])
        np.testing.assert_allclose(scores.numpy()[row], alone.numpy()[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(scores.numpy()[3], model.head.bias.numpy(), rtol=1e-6)        # nothing was read


def test_what_is_pooled(xs):
    for pooling, expected in (("mean", lambda ys: ys[:4].mean(0)), ("last", lambda ys: ys[3]),
                              ("ends", lambda ys: np.append(ys[3], ys[0]))):
        model = Classifier(layers()["both"], "abc", pooling)
        ys = model.layer(mg.tensor(xs), lengths=LENGTHS)[0].numpy()[:, 0]
        scores = model.head(mg.tensor(expected(ys)[None]))
        np.testing.assert_allclose(model(xs, lengths=LENGTHS)[0].numpy()[0], scores.numpy()[0], rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="pooling is one of 'mean', 'last', 'ends', not 'max'"):
        Classifier(layers()["one"], "abc", "max")


@pytest.mark.parametrize("pooling", ["mean", "last", "ends"])
def test_gradients_of_pooling(pooling, rng):
    model = Classifier(Recurrent(Mine, 2, 3, dtype="float64", compile=False), "ab", pooling)
    for p in model.head.parameters():
        p._array = p._array.astype(np.float64)
    mg.gradcheck(lambda x: model(x, lengths=np.array([3, 1, 0]))[0], [rng.standard_normal((3, 3, 2))])


@pytest.mark.parametrize("symbols", [None, 7])
@pytest.mark.parametrize("make", [lambda symbols, layer: Classifier(layer, ["yes", "no"], "ends", symbols, 0.2),
                                  lambda symbols, layer: Tagger(layer, ["N", "V", "X"], symbols, 0.2)],
                         ids=["classifier", "tagger"])
@pytest.mark.parametrize("name", layers())
def test_a_file_gives_the_model_back_without_its_classes(tmp_path, rng, symbols, make, name):
    before = make(symbols, layers()[name]).eval()
    before.save(tmp_path / "m", {"more": 1}, {"beside": mg.ones(2)})
    after, more, tensors = models.load(tmp_path / "m")
    inputs = rng.integers(0, 7, (6, 4)) if symbols else rng.standard_normal((6, 4, 3)).astype(np.float32)
    assert type(after) is type(before) and after.labels == before.labels and more == {"more": 1} and list(tensors) == ["beside"]
    assert all(type(m) is Cell for m in after.modules() if isinstance(m, Cell))
    assert np.array_equal(before(inputs, lengths=LENGTHS)[0].numpy(), after.eval()(inputs, lengths=LENGTHS)[0].numpy())
    assert after.dropout.p == 0.2


def test_a_tagger_scores_every_step(xs):
    model = Tagger(layers()["both"], "abcde")
    scores, _ = model(xs, lengths=LENGTHS)
    assert scores.shape == (6, 4, 5)
    alone, _ = model(xs[:4, :1])
    np.testing.assert_allclose(scores.numpy()[:4, :1], alone.numpy(), rtol=1e-5, atol=1e-6)


def test_dropout_is_drawn_before_and_after_the_layer(xs):
    model = Tagger(Recurrent(Mine, 3, 4), "ab", dropout=0.5)
    assert not np.array_equal(model(xs)[0].numpy(), model(xs)[0].numpy())
    model.eval()
    assert np.array_equal(model(xs)[0].numpy(), model(xs)[0].numpy())


def test_symbols_by_name_are_kept(tmp_path):
    for symbols, told in (("abc", None), (["a", "b", "c"], None), (3, "3 different ids"), (None, "vectors")):
        Tagger(layers()["one"], "xy", symbols).save(tmp_path / "m")
        model = Tagger.load(tmp_path / "m")[0]
        if told:
            with pytest.raises(ValueError, match=f"this tagger knows no symbols by name; it reads {told}"):
                model.encode("abc")
            continue
        assert model.encode("cab").tolist() == [[2], [0], [1]] and model.embedding.weight.shape == (3, 3)
        with pytest.raises(ValueError, match="a text needs at least one symbol"):
            model.encode("")


def test_a_file_of_another_kind_is_refused(tmp_path):
    Tagger(layers()["one"], "ab").save(tmp_path / "m")
    with pytest.raises(ValueError, match="m holds a model of the kind 'tagger', not 'classifier'"):
        Classifier.load(tmp_path / "m")

    class Other(Tagger):
        kind = "other"

    Other(layers()["one"], "ab").save(tmp_path / "m")
    with pytest.raises(ValueError, match="m holds a model of the kind 'other'; here are characters, classifier, forecaster, "):
        models.load(tmp_path / "m")
    assert type(Other.load(tmp_path / "m")[0]) is Other
    mg.save(tmp_path / "m", {"a": mg.ones(1)}, {"format": "minigrad-rnn tagger 9"})
    with pytest.raises(ValueError, match="m is no checkpoint of a model of this version: minigrad-rnn tagger 9"):
        models.load(tmp_path / "m")
