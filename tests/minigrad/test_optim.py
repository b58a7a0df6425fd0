"""Optimisers against PyTorch's (live, and the numbers they gave), clipping and schedules against their definitions."""

import math

import numpy as np
import pytest

import minigrad as mg
from goldens.make_optim import CASES, FILE, KEPT, STEPS, gradients, pytorchs, start
from minigrad import optim


def begin(name, values=None):
    kind, options = CASES[name]
    parameters = [mg.Parameter(a) for a in (values or start())]
    return parameters, getattr(optim, kind)(parameters, **options)


def walk(parameters, optimizer, steps):
    """All parameters, side by side, after each step."""
    path = []
    for _ in range(steps):
        for p, g in zip(parameters, gradients(*(p.numpy() for p in parameters))):
            p.grad = mg.tensor(g)
        optimizer.step()
        path.append(np.concatenate([p.numpy().ravel() for p in parameters]))
    return np.array(path)


@pytest.mark.parametrize("name", CASES)
def test_steps_are_those_that_pytorch_gave(name):
    with np.load(FILE) as golden:
        expected = golden[name]
    path = walk(*begin(name), STEPS)
    np.testing.assert_allclose(path[[k - 1 for k in KEPT]], expected, rtol=0, atol=1e-10)
    assert np.abs(path[-1] - np.concatenate([a.ravel() for a in start()])).max() > 0.1       # it went somewhere


@pytest.mark.parametrize("name", CASES)
def test_steps_are_pytorchs(name):
    pytest.importorskip("torch")
    np.testing.assert_allclose(walk(*begin(name), STEPS), pytorchs(name), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("through_a_file", [False, True])
def test_resuming_equals_going_on_exactly(name, through_a_file, tmp_path):
    uninterrupted = walk(*begin(name), 12)
    parameters, optimizer = begin(name)
    walk(parameters, optimizer, 5)
    state, values = optimizer.state_dict(), [p.numpy().copy() for p in parameters]
    if through_a_file:
        mg.save(tmp_path / "optimizer", state)
        state = mg.load(tmp_path / "optimizer")
    walk(parameters, optimizer, 3)                      # the state is a snapshot: what happens later does not reach it
    again, resumed = begin(name, values)
    resumed.load_state_dict(state)
    np.testing.assert_array_equal(walk(again, resumed, 7), uninterrupted[5:])


def test_a_refused_state_changes_nothing():
    parameters, optimizer = begin("adam")
    walk(parameters, optimizer, 2)
    good = optimizer.state_dict()
    for key, value, kind, text in [
            ("square.1", mg.zeros(4), ValueError, r"^Adam: square\.1 is \(4,\), its parameter \(5,\)$"),
            ("square.2", mg.zeros(4), KeyError, r"Adam: the state and this optimiser differ in square\.2; was it saved from")]:
        with pytest.raises(kind, match=text):
            optimizer.load_state_dict({**{k: v * 0 for k, v in good.items()}, key: value})
    with pytest.raises(KeyError, match=r"SGD: .* differ in mean\.0, mean\.1, square\.0, square\.1, velocity\.0, velocity\.1"):
        begin("sgd")[1].load_state_dict(good)
    for name, value in optimizer.state_dict().items():
        np.testing.assert_array_equal(np.asarray(value), np.asarray(good[name]))


@pytest.mark.parametrize("name", CASES)
def test_scalars_and_float32(name):
    p, q = mg.Parameter(np.array(2.0, np.float32)), mg.Parameter(np.ones((2, 0), np.float32))
    kind, options = CASES[name]
    optimizer = getattr(optim, kind)([p, q], **options)
    for _ in range(3):
        (p * p + q.sum()).backward()
        optim.clip_grad_norm([p, q], 1.0)
        optimizer.step()
        optimizer.zero_grad()
    assert p.shape == () and p.dtype == np.float32 and 0 < p.item() < 2
    for name, value in optimizer.state_dict().items():
        assert name == "steps" or value.dtype == np.float32


def test_a_parameter_without_a_gradient_stays():
    p, q = mg.Parameter(np.ones(2)), mg.Parameter(np.ones(2))
    optimizer = optim.Adam([p, q], weight_decay=0.5)
    p.sum().backward()
    optimizer.step()
    assert (p.numpy() < 1).all() and (q.numpy() == 1).all()


def test_lr_may_be_assigned():
    p = mg.Parameter(np.ones(1))
    optimizer = optim.SGD([p], lr=1.0)
    for lr in (0.5, 0.25):
        optimizer.lr = lr
        p.grad = mg.ones(1, dtype=np.float64)
        optimizer.step()
    assert p.item() == 0.25


def test_zero_grad():
    p = mg.Parameter(np.ones(2))
    p.sum().backward()
    optim.SGD([p], lr=1.0).zero_grad()
    assert p.grad is None


def test_a_step_before_backward_is_refused():
    p = mg.Parameter(np.ones(2))
    loss = (p * p).sum()
    p.grad = mg.ones(2, dtype=np.float64)
    optim.SGD([p], lr=0.1).step()
    with pytest.raises(RuntimeError, match=r"multiply: an argument of shape .* was assigned new values"):
        loss.backward()


def test_refused_arguments():
    with pytest.raises(ValueError, match=r"at least one parameter; give it model\.parameters\(\)"):
        optim.Adam([])
    for lr in (-1, float("nan")):
        with pytest.raises(ValueError, match=f"a learning rate is a number of at least 0, not {lr}"):
            optim.SGD([mg.Parameter(np.ones(1))], lr=lr)


# -- clipping ------------------------------------------------------------------------------------------------------------------
def graded(*gradients):
    parameters = [mg.Parameter(np.zeros(np.shape(g))) for g in gradients]
    for p, g in zip(parameters, gradients):
        p.grad = mg.tensor(np.asarray(g, np.float64))
    return parameters


def test_clip_grad_norm_scales_all_gradients_together():
    parameters = [*graded([3.0, 0.0], [[4.0]]), mg.Parameter(np.ones(2))]
    assert optim.clip_grad_norm(parameters, 1.0) == 5.0
    np.testing.assert_allclose([*parameters[0].grad.numpy(), *parameters[1].grad.numpy()[0]], [0.6, 0, 0.8], rtol=1e-15)
    assert parameters[2].grad is None


def test_clip_grad_norm_leaves_what_is_small_enough():
    parameters = graded([3.0, 4.0])
    before = parameters[0].grad
    assert optim.clip_grad_norm(parameters, 5.0) == 5.0
    assert parameters[0].grad is before


def test_clip_grad_norm_does_not_overflow_in_float32():
    p = mg.Parameter(np.zeros(2, np.float32))
    p.grad = mg.tensor(np.array([3e30, 4e30], np.float32))
    assert abs(optim.clip_grad_norm([p], 1.0) / 5e30 - 1) < 1e-6
    np.testing.assert_allclose(p.grad.numpy(), [0.6, 0.8], rtol=1e-6)
    assert p.grad.dtype == np.float32


def test_clip_grad_norm_is_pytorchs():
    torch = pytest.importorskip("torch")
    arrays = gradients(*start())
    ours, theirs = graded(*arrays), [torch.zeros(a.shape, dtype=torch.float64, requires_grad=True) for a in arrays]
    for p, a in zip(theirs, arrays):
        p.grad = torch.tensor(a)
    norm = optim.clip_grad_norm(ours, 0.7)
    assert abs(norm - torch.nn.utils.clip_grad_norm_(theirs, 0.7).item()) < 1e-13
    for p, q in zip(ours, theirs):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-6)       # PyTorch divides by the norm + 1e-6


def test_clip_grad_value():
    parameters = [*graded([-3.0, 0.2, 3.0]), mg.Parameter(np.ones(2))]
    optim.clip_grad_value(parameters, 0.5)
    np.testing.assert_array_equal(parameters[0].grad.numpy(), [-0.5, 0.2, 0.5])


# -- schedules -----------------------------------------------------------------------------------------------------------------
def test_schedules():
    assert [optim.constant(0.1)(k) for k in (0, 9)] == [0.1, 0.1]
    assert [optim.step_decay(8.0, every=3, factor=0.5)(k) for k in range(7)] == [8, 8, 8, 4, 4, 4, 2]
    assert [optim.exponential(8.0, 0.5)(k) for k in range(4)] == [8, 4, 2, 1]
    cosine = optim.cosine(1.0, steps=8, final=0.2)
    np.testing.assert_allclose([cosine(k) for k in (0, 2, 4, 8, 100)],
                               [1, 0.6 + 0.4 * math.sqrt(0.5), 0.6, 0.2, 0.2], rtol=1e-15)


def test_cosine_with_warmup():
    at = optim.cosine(2.0, steps=14, final=0.0, warmup=4)
    np.testing.assert_allclose([at(k) for k in range(5)], [0.5, 1, 1.5, 2, 2])
    assert abs(at(9) - 1) < 1e-15 and at(14) == 0


def test_schedules_are_pytorchs():
    torch = pytest.importorskip("torch")
    schedulers = torch.optim.lr_scheduler
    for ours, theirs in [(optim.step_decay(0.3, 4, 0.6), lambda o: schedulers.StepLR(o, 4, 0.6)),
                         (optim.exponential(0.3, 0.9), lambda o: schedulers.ExponentialLR(o, 0.9)),
                         (optim.cosine(0.3, 10, 0.01), lambda o: schedulers.CosineAnnealingLR(o, 10, 0.01))]:
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
        scheduler = theirs(optimizer)
        for k in range(10):
            assert abs(ours(k) - optimizer.param_groups[0]["lr"]) < 1e-12
            optimizer.step()
            scheduler.step()


def test_a_plateau_is_pytorchs():
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.4, patience=2)
    ours = optim.Plateau(0.3, 0.4, 2)
    values = [5, 4, 4, 4 * (1 - 2e-4), 4, 4, 4, 3.9997, 3, 3, 3, 3, 3, 3, 3, 2, 2.5]
    for value in values:
        ours.observe(value)
        theirs.step(value)
        assert ours(0) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
    assert ours.lr == pytest.approx(0.3 * 0.4 ** 3)


def test_groups_of_parameters_are_refused_with_the_cure():
    with pytest.raises(TypeError, match="not a dict; for groups with rates of their own, make an optimiser for each"):
        optim.Adam([{"params": [mg.Parameter(np.zeros(2))]}], 0.1)
