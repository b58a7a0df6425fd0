"""A run can be repeated, stopped and resumed, to the last bit; it ends when its plan says so."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import optim
from rnn import LSTM, Recurrent
from rnn.data.batch import Batch
from rnn.data.text import Characters, Vocabulary
from rnn.models import CharacterModel, Regressor
from rnn.training import BITS, Plan, Report, accuracy, cross_entropy, evaluate, fit, squared_error

TEXT = "the cat sat on the mat and the dog ate the hat. " * 30
VOCABULARY = Vocabulary.of(TEXT)


def characters(dropout=0.0, seed=0, **changes):
    """What `fit` takes to train a small character model."""
    mg.manual_seed(seed)
    model = CharacterModel(VOCABULARY, Recurrent(LSTM, 5, 7, num_layers=2, dropout=dropout), dropout)
    plan = Plan(**{"steps": 12, "validate_every": 6, "lr": 1e-2, "schedule": "cosine", **changes})
    return {"model": model, "data": Characters(VOCABULARY.encode(TEXT), VOCABULARY, 4, 8), "loss": cross_entropy, "plan": plan,
            "unit": BITS}


def assert_same(a, b):
    assert a.losses == b.losses and a.validations == b.validations and a.step == b.step
    for (name, p), (_, q) in zip(a.model.named_parameters(), b.model.named_parameters()):
        assert np.array_equal(p.numpy(), q.numpy()), name


class Interrupted(Exception):
    pass


class StopAt(Report):
    def __init__(self, step):
        self.at = step

    def step(self, progress):
        if progress.step == self.at:
            raise Interrupted


class Line:
    """y = 2x - 1 of one number, ten batches an epoch; held out: what `held` says is measured, one after another."""

    batches_per_epoch = 10
    input_size = output_size = 1

    def batch(self, number):
        xs = np.random.default_rng(number % 10).uniform(-1, 1, (3, 4, 1)).astype(np.float32)
        return Batch(xs, 2 * xs - 1)

    def held_out(self):
        return [self.batch(3)]


def line(**changes):
    mg.manual_seed(0)
    return {"model": Regressor(Recurrent(LSTM, 1, 6), 1), "data": Line(), "loss": squared_error, "plan": Plan(**changes)}


def test_the_loss_falls():
    losses = fit(**characters(steps=100)).losses
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_same_seed_gives_the_same_run(dropout):
    one = fit(**characters(dropout))
    assert_same(one, fit(**characters(dropout)))
    assert fit(**characters(dropout, seed=1)).losses != one.losses


@pytest.mark.parametrize("schedule", ["cosine", "plateau"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, dropout, schedule):
    options = {"schedule": schedule} if schedule == "cosine" else {"schedule": schedule, "decay_every": 1, "validate_every": 1,
                                                                  "lr": 3.0}
    whole = fit(**characters(dropout, **options))
    with pytest.raises(Interrupted):                     # with cosine, three steps after the checkpoint
        fit(**characters(dropout, **options), out=tmp_path, reports=[StopAt(9)])
    resumed = fit(**characters(dropout, seed=5, **options), resume=tmp_path / "checkpoint.safetensors")
    assert_same(whole, resumed)
    assert whole.optimizer.lr == resumed.optimizer.lr
    assert schedule == "cosine" or whole.optimizer.lr < 3.0        # the rate fell on the way


def test_a_resumed_run_may_go_on_for_longer_but_not_otherwise(tmp_path):
    fit(**characters(schedule="constant"), out=tmp_path)
    again = {"resume": tmp_path / "checkpoint.safetensors"}
    assert fit(**characters(schedule="constant", steps=14), **again).step == 14
    assert fit(**characters(schedule="constant"), **again).step == 12
    with pytest.raises(ValueError, match=r"a resumed run keeps its lr \(lr=0.01\); only steps, epochs, minutes, patience may"):
        fit(**characters(schedule="constant", lr=1.0), **again)
    with pytest.raises(ValueError, match=r"best.safetensors holds a model alone; a run goes on from checkpoint.safetensors"):
        fit(**characters(schedule="constant"), resume=tmp_path / "best.safetensors")


def test_a_plain_module_trains_and_resumes(tmp_path):
    class Plain(mg.nn.Module):
        def __init__(self):
            self.layer = Recurrent(LSTM, 1, 4)
            self.head = mg.nn.Linear(4, 1)

        def forward(self, xs):
            return self.head(self.layer(xs)[0])

    def arguments(steps):
        mg.manual_seed(0)
        return {**line(steps=steps, validate_every=5), "model": Plain()}

    whole = fit(**arguments(20))
    fit(**arguments(10), out=tmp_path)
    assert_same(whole, fit(**arguments(20), resume=tmp_path / "checkpoint.safetensors"))


def test_both_devices_train_alike_and_go_on(tmp_path, device):
    def trained(where, **changes):
        with mg.device("cpu"):
            arguments = characters(0.2, **changes)
            arguments["model"].to(where)
            return fit(**arguments, out=tmp_path / where, measures={"accuracy": accuracy})

    expected, found = trained("cpu"), trained(device)
    assert found.losses == pytest.approx(expected.losses, rel=1e-4) and found.model.head.weight.device == device
    with mg.device("cpu"):
        arguments = characters(0.2, steps=14)
        arguments["model"].to(device)
        again = fit(**arguments, resume=tmp_path / device / "checkpoint.safetensors")
    assert again.step == 14 and again.losses[:12] == found.losses and again.state[0].device == device


def test_the_best_model_is_kept(tmp_path):
    run = fit(**characters(lr=0.5, schedule="constant", steps=30, validate_every=3), out=tmp_path, about={"mine": 1})
    assert run.best.step < run.step and run.best.loss == min(v.loss for v in run.validations)
    model, more, tensors = CharacterModel.load(tmp_path / "best.safetensors")
    assert more == {"mine": 1, "step": run.best.step} and not tensors
    held_out = evaluate(model, run.data.held_out(), {"loss": cross_entropy}, carried=True)["loss"]
    assert held_out * BITS.scale == pytest.approx(run.best.loss, rel=1e-6)


# -- when a run ends ----------------------------------------------------------------------------------------------------------
def test_whichever_budget_is_over_first_ends_a_run():
    assert fit(**line(epochs=1.5)).step == 15
    assert fit(**line(epochs=3, steps=4)).step == 4
    assert fit(**line(epochs=0.15, steps=4)).step == 2 and fit(**line(epochs=1.1)).step == 11
    late = fit(**line(steps=400, minutes=1e-9))
    assert (late.step, late.ended) == (1, "minutes") and late.validations[-1].step == 1


def test_patience_ends_a_run_that_gets_no_better():
    run = fit(**line(steps=1000, lr=0.3, schedule="constant", validate_every=2, patience=3))
    assert run.ended == "patience" and run.step < 1000
    assert [v.step for v in run.validations].index(run.best.step) == len(run.validations) - 4
    assert fit(**line(steps=5, validate_every=1, patience=3)).ended == "steps"


@pytest.mark.parametrize("values, said", [
    ({}, "training needs an end: give steps, epochs or minutes"),
    ({"steps": 0}, "steps is a number above 0, not 0"),
    ({"steps": 5, "lr": -1.0}, "lr is a number above 0, not -1.0"),
    ({"steps": 5, "schedule": "linear"}, "schedule is one of 'constant', 'cosine', 'step', 'plateau', not 'linear'"),
    ({"steps": 5, "schedule": "step"}, "schedule='step' needs decay_every: the number of steps after which"),
    ({"steps": 5, "schedule": "plateau"}, "needs decay_every: the number of validations without a lower loss after which"),
    ({"minutes": 5, "schedule": "cosine"}, "schedule='cosine' falls towards the last step; give steps or epochs beside"),
])
def test_plans_that_make_no_sense_are_refused(values, said):
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        fit(**line(**values))


def test_epochs_of_data_without_end_are_refused():
    endless = Line()
    endless.batches_per_epoch = None
    with pytest.raises(ValueError, match="these data never end, so epochs cannot be counted; give steps or minutes"):
        fit(**{**line(epochs=1), "data": endless})
    assert [v.step for v in fit(**{**line(steps=250), "data": endless}).validations] == [100, 200, 250]


def test_plan_or_fields():
    arguments = line(steps=2)
    plan = arguments.pop("plan")
    assert fit(**arguments, steps=2).plan == plan
    with pytest.raises(TypeError, match="fit takes a plan or its fields, not both: steps"):
        fit(**arguments, plan=plan, steps=3)


# -- rates, gradients, state --------------------------------------------------------------------------------------------------
def rates(**values):
    seen = []

    class Rates(Report):
        def step(self, progress):
            seen.append(progress.lr)

    fit(**line(lr=0.5, **values), reports=[Rates()])
    return seen


def test_rates_follow_the_schedule():
    assert rates(steps=3) == [0.5] * 3
    assert rates(steps=5, schedule="step", decay_every=2, decay=0.1) == pytest.approx([0.5, 0.5, 0.05, 0.05, 0.005])
    assert rates(steps=40, warmup=9)[:5] == pytest.approx([0.125, 0.25, 0.375, 0.5, 0.5])              # a tenth of all at most
    at = optim.cosine(0.5, 40, 0.05, 4)
    assert rates(steps=40, schedule="cosine", warmup=20, final=0.1) == [at(k) for k in range(40)]


def test_gradients_are_clipped_and_their_norm_is_told():
    seen, steps = [], []

    class Norms(Report):
        def step(self, progress):
            seen.append(progress.norm)

    for clip in (None, 1e-3):
        arguments = line(steps=1, clip=clip, lr=1.0)
        before = [p.numpy().copy() for p in arguments["model"].parameters()]
        fit(**arguments, optimizer=optim.SGD(arguments["model"].parameters(), 1.0), reports=[Norms()])
        after = [p.numpy() for p in arguments["model"].parameters()]
        steps.append(np.sqrt(sum(((a - b) ** 2).sum() for a, b in zip(after, before))))
    assert seen[0] == seen[1] > 1e-3                    # told as it was before
    assert steps == pytest.approx([seen[0], 1e-3], rel=1e-3)


def test_a_state_is_carried_and_ends_gradients():
    """Windows of one sequence give the losses of the whole, and the gradient of the last window alone."""
    arguments = characters(steps=3, clip=None)
    arguments["data"].training.windows = 3
    arguments["plan"] = Plan(steps=3, lr=1e-12, clip=None, validate_every=10)    # nothing is learnt: the windows are comparable
    run = fit(**arguments)
    rows = arguments["data"].training
    with mg.no_grad():
        scores, _ = run.model(rows.inputs[:24])
        whole = mg.nn.functional.cross_entropy(scores, rows.targets[:24].copy(), "none").numpy()
    assert run.losses == pytest.approx([w.mean() * BITS.scale for w in np.split(whole, 3)], rel=1e-5)
    found = [p.grad.numpy().copy() for p in run.model.parameters()]
    with mg.no_grad():
        _, state = run.model(rows.inputs[:16])
    run.model.zero_grad()
    mg.nn.functional.cross_entropy(run.model(rows.inputs[16:24], state)[0], rows.targets[16:24].copy()).backward()
    for g, p in zip(found, run.model.parameters()):
        np.testing.assert_allclose(g, p.grad.numpy(), rtol=1e-3, atol=1e-6)


def test_held_out_bits_are_those_of_the_untouched_end():
    """Counted once more, character by character."""
    run = fit(**characters())
    rows, bits = run.data.validation, []
    with mg.no_grad():
        for row in range(rows.rows):
            n = rows.windows * rows.steps
            scores, _ = run.model(rows.inputs[:n, row:row + 1])
            p = scores.softmax().numpy()[np.arange(n), 0, rows.targets[:n, row]]
            bits.append(-np.log2(p))
    assert np.mean(bits) == pytest.approx(run.validations[-1].loss, rel=1e-5)
