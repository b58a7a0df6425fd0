"""Losses and measures against PyTorch, with ends and masks."""

import numpy as np
import pytest

import minigrad as mg
from rnn.data.batch import Batch
from rnn.training import absolute_error, accuracy, binary_cross_entropy, cross_entropy, evaluate, squared_error

LENGTHS = np.array([5, 2, 0])
INSIDE = np.arange(5)[:, None] < LENGTHS


@pytest.mark.parametrize("given", ["nothing", "lengths", "mask"])
def test_steps_that_count_are_those_of_pytorch(rng, given):
    torch = pytest.importorskip("torch")
    mask = rng.random((5, 3)) < 0.5
    count = {"nothing": np.ones((5, 3), bool), "lengths": INSIDE, "mask": mask}[given]
    ends = {"nothing": (None, None), "lengths": (LENGTHS, None), "mask": (LENGTHS, mask)}[given]
    scores, classes = rng.standard_normal((5, 3, 4)), rng.integers(0, 4, (5, 3))
    batch = Batch(np.zeros((5, 3, 2)), classes, *ends)
    total, n = cross_entropy(mg.tensor(scores), batch)
    theirs = torch.nn.functional.cross_entropy(torch.tensor(scores[count]), torch.tensor(classes[count]), reduction="sum")
    assert total.item() == pytest.approx(theirs.item(), rel=1e-12) and n == count.sum()
    right, n = accuracy(mg.tensor(scores), batch)
    assert (right, n) == ((scores.argmax(-1) == classes)[count].sum(), count.sum())
    targets = rng.standard_normal((5, 3, 4))
    shares = (targets > 0).astype(float)
    total, n = binary_cross_entropy(mg.tensor(scores), Batch(np.zeros((5, 3, 2)), shares, *ends))
    bce = torch.nn.functional.binary_cross_entropy_with_logits(torch.tensor(scores[count]), torch.tensor(shares[count]))
    assert total.item() / n == pytest.approx(bce.item())
    for ours, theirs in ((squared_error, torch.nn.functional.mse_loss), (absolute_error, torch.nn.functional.l1_loss)):
        total, n = ours(mg.tensor(scores), Batch(np.zeros((5, 3, 2)), targets, *ends))
        assert total.item() / n == pytest.approx(theirs(torch.tensor(scores[count]), torch.tensor(targets[count])).item())


def test_a_target_a_sequence_counts_whatever_its_length(rng):
    scores, classes = rng.standard_normal((3, 4)), np.array([1, 0, 3])
    total, n = cross_entropy(mg.tensor(scores), Batch(np.zeros((5, 3, 2)), classes, LENGTHS))
    assert n == 3 and total.item() == pytest.approx(-mg.tensor(scores).log_softmax().numpy()[range(3), classes].sum())
    targets = rng.standard_normal((3, 4))
    total, n = squared_error(mg.tensor(scores), Batch(np.zeros((5, 3, 2)), targets, LENGTHS))
    assert n == 12 and total.item() == pytest.approx(((scores - targets) ** 2).sum())


def test_outputs_and_targets_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"the outputs are \(5, 3, 1\) and the targets \(5, 3\); they must be alike"):
        squared_error(mg.zeros(5, 3, 1), Batch(np.zeros((5, 3, 2)), np.zeros((5, 3))))


def test_a_mean_over_batches_of_several_sizes_is_that_of_all_targets(rng):
    """And evaluation leaves the mode as it was."""
    class Same(mg.nn.Module):
        def forward(self, xs, lengths=None):
            assert not self.training
            return mg.tensor(xs)

    model, targets = Same(), rng.standard_normal((5, 3, 1))
    batches = [Batch(np.zeros((5, 1, 1)), targets[:, :1]), Batch(np.zeros((5, 2, 1)), targets[:, 1:], np.array([5, 1]))]
    seen = np.concatenate([targets[:, 0], targets[:, 1], targets[:1, 2]])
    found = evaluate(model, batches, {"mse": squared_error, "mae": absolute_error})
    assert found == {"mse": pytest.approx((seen ** 2).mean()), "mae": pytest.approx(np.abs(seen).mean())}
    assert model.training
