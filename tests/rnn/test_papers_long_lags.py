"""When the adding problem counts as solved."""

import pytest

from rnn.papers.long_lags import adds


@pytest.mark.parametrize("correct, error, solved", [(1.0, 0.0099, True), (1.0, 0.0101, False), (2559 / 2560, 0.001, False)])
def test_every_sequence_is_right_and_the_average_one_near(correct, error, solved):
    assert adds({"correct": correct, "error": error}) is solved
