"""Written digits: what is drawn is that digit, and can be told by its shape."""

import numpy as np
import pytest

from rnn.data.strokes import DIGITS, WrittenDigits


def outline(movements, points=16):
    """A stroke's path at equal ways, centred and of one size."""
    path = np.vstack([[0, 0], np.cumsum(movements, 0)])
    way = np.append(0, np.cumsum(np.hypot(*movements.T)))
    path = np.stack([np.interp(np.linspace(0, way[-1], points), way, axis) for axis in path.T], -1)
    return (path - path.mean(0)) / path.std()


def test_digits_are_told_by_their_outline():
    """By the nearest of the ten undistorted shapes."""
    corners = [np.array([[float(c) for c in corner] for corner in digit.split()]) for digit in DIGITS]
    shapes = [outline(np.diff(some, axis=0)) for some in corners]
    task = WrittenDigits(rows=300)
    inputs, targets, lengths, _ = task.batch(0)
    found = [np.argmin([np.square(outline(inputs[:n, b]) - shape).sum() for shape in shapes]) for b, n in enumerate(lengths)]
    assert np.mean(found == targets) > 0.8 and set(targets) == set(range(10))


def test_strokes_differ_in_length_and_shape():
    inputs, targets, lengths, _ = WrittenDigits(10, 12, rows=200).batch(0)
    assert set(lengths) == {10, 11, 12} and len(inputs) == 12 and not inputs[11, lengths == 10].any()
    zeros = inputs[:10, targets == 0]
    assert zeros.shape[1] > 5 and zeros.std(1).min() > 0.01


def test_corners_move():
    """No turn, slant and stretch of one stroke makes another: what is left of the best is more than a hand's tremble."""
    rng = np.random.default_rng(0)
    paths = [outline(WrittenDigits().write(2, rng)) for _ in range(21)]
    left = [path - paths[0] @ np.linalg.lstsq(paths[0], path, rcond=None)[0] for path in paths[1:]]
    assert np.median([rest.std() for rest in left]) > 0.06


def test_the_highest_score_is_the_answer():
    task = WrittenDigits(rows=6)
    batch = task.batch(0)
    scores = np.eye(10)[batch.targets]
    scores[2] = -scores[2]
    assert task.correct(scores, batch).tolist() == [True, True, False, True, True, True]


def test_impossible_lengths_are_refused():
    with pytest.raises(ValueError, match=r"the steps of a digit run from 1 or more up to as many or more, not from 9 to 3"):
        WrittenDigits(9, 3)
