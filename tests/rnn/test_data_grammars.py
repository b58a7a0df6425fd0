"""Grammars against regular expressions written from their diagrams, and counting against strings written out."""

import re
from itertools import product

import numpy as np
import pytest

from rnn.data.grammars import Counting, EmbeddedReber, successors

THIRD = "(T*VPX)*T*V(V|PS)"                         # from the state that P leads to
INNER = f"B(TS*X(S|X{THIRD})|P{THIRD})E"
EMBEDDED = re.compile(f"B(T{INNER}T|P{INNER}P)E")


def grown(length):
    """All strings of the grammar of so many symbols at most, by its successors."""
    whole, begun = set(), [""]
    while begun:
        string = begun.pop()
        following = successors(string)
        if not following:
            whole.add(string)
        begun += [string + symbol for symbol in following if len(string) < length]
    return whole


def test_strings_are_those_of_the_regular_expression():
    inner = {"".join(s) for n in range(3, 7) for s in product("TPSXV", repeat=n) if re.fullmatch(INNER, f"B{''.join(s)}E")}
    expected = {f"B{t}B{s}E{t}E" for s in inner for t in "TP"}
    assert len(expected) > 30 and grown(12) == expected


def test_drawn_strings_belong_to_the_grammar_and_use_all_of_it():
    rng = np.random.default_rng(0)
    strings = [EmbeddedReber().string(rng) for _ in range(300)]
    assert all(EMBEDDED.fullmatch(s) for s in strings)
    assert {s[1] for s in strings} == set("TP") and max(map(len, strings)) > 20 and min(map(len, strings)) == 9


@pytest.mark.parametrize("beginning, following", [
    ("", "B"), ("B", "TP"), ("BT", "B"), ("BTB", "TP"), ("BTBT", "SX"), ("BPBP", "TV"), ("BTBTXS", "E"), ("BTBTXSE", "T"),
    ("BPBTXSE", "P"), ("BPBTXSEP", "E"), ("BPBTXSEPE", ""),
])
def test_successors(beginning, following):
    assert sorted(successors(beginning)) == sorted(following)


def test_what_breaks_the_grammar_is_named():
    with pytest.raises(ValueError, match=r"begins with 'BTBTXSEP': T may follow 'BTBTXSE'"):
        successors("BTBTXSEPE")
    with pytest.raises(ValueError, match=r"nothing may follow 'BTBTXSETE'"):
        successors("BTBTXSETEE")


def test_a_reber_batch_is_solved_by_its_legal_successors():
    task = EmbeddedReber(rows=20)
    batch = task.batch(0)
    legal = task.legal(batch)
    steps, rows = np.nonzero(np.arange(len(legal))[:, None] < batch.lengths)
    assert legal[steps, rows, batch.targets[steps, rows]].all() and set(legal[steps, rows].sum(-1)) == {1, 2}
    assert not legal[batch.lengths.min():, batch.lengths.argmin()].any()
    scores = legal + 0.3 * np.random.default_rng(0).random(legal.shape)
    assert task.correct(scores, batch).all() and not task.correct(np.zeros_like(scores), batch).any()
    scores[batch.lengths[3] - 2, 3] = scores[batch.lengths[3] - 2, 3][[0, 2, 1, 3, 4, 5, 6]]     # T and P exchanged, once
    assert np.flatnonzero(~task.correct(scores, batch)).tolist() == [3]


@pytest.mark.parametrize("letters, string, legal", [
    ("ab", "Saaabbb", ["a", "ab", "ab", "ab", "b", "b", "."]),
    ("abc", "Saabbcc", ["a", "ab", "ab", "b", "c", "c", "."]),
    ("abc", "Sabc", ["a", "ab", "c", "."]),
])
def test_what_may_follow_in_a_counting_string(letters, string, legal):
    task = Counting(letters)
    batch = task.strings([string.count("a")])
    assert "".join(task.symbols[k] for k in batch.inputs[:, 0]) == string
    assert ["".join(s for s, on in zip(letters + ".", step) if on) for step in batch.targets[:, 0]] == legal


def test_counts_are_drawn_from_their_range():
    batch = Counting(shortest=3, longest=5, rows=100).batch(0)
    assert set(batch.lengths) == {7, 9, 11}


def counter(up_to):
    """Scores of a counter that overflows: right up to that n."""
    def predict(inputs):
        n = min(int((inputs[:, 0] == 0).sum()), up_to)
        legal = Counting().strings([n]).targets - 0.5
        return np.resize(legal, (len(inputs), *legal.shape[1:]))
    return predict


def test_how_far_a_network_counts():
    assert Counting().accepts_up_to(counter(17)) == 17
    assert Counting().accepts_up_to(counter(40), most=30) == 30
    assert Counting().accepts_up_to(lambda inputs: np.zeros((len(inputs), 1, 3))) == 0


@pytest.mark.parametrize("given, message", [
    ({"letters": "a"}, r"two different letters or more, not 'a'"),
    ({"letters": "aba"}, r"two different letters or more, not 'aba'"),
    ({"shortest": 0}, r"not from 0 to 10"),
    ({"longest": 0}, r"not from 1 to 0"),
])
def test_impossible_languages_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        Counting(**given)
