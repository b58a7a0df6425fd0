"""Our modules in PyTorch: they train as its own do, gradients are right, and both sides have the same numbers."""

import copy

import numpy as np
import pytest

import minigrad as mg
from minigrad import sigmoid, tanh
from minigrad.autograd import grad_enabled
from rnn import LSTM, Cell, Input, Recurrent, ResetAfterGRU, State, W, b
from rnn.data.text import Vocabulary
from rnn.models import CharacterModel
from rnn.variants import AttentiveGRU

torch = pytest.importorskip("torch")
bridge = pytest.importorskip("rnn.torch")


class MyCell(Cell):
    """Zhou et al. 2016."""
    x, h = Input(), State()

    f = sigmoid(W @ [h, x] + b)
    n = tanh(W @ [f * h, x] + b)
    h_next = (1 - f) * h + f * n


def made(cell=LSTM, inputs=3, hidden=4, **options):
    return bridge.Module(Recurrent(cell, inputs, hidden, dtype=np.float64, **options))


def drawn(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng([seed, *shape]).standard_normal(shape)).requires_grad_()


# -- as PyTorch's own -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("optimiser", [lambda ps: torch.optim.SGD(ps, 0.1, 0.9), lambda ps: torch.optim.Adam(ps, 0.05)],
                         ids=["SGD", "Adam"])
@pytest.mark.parametrize("cell, kind", [(LSTM, "LSTM"), (ResetAfterGRU, "GRU")])
def test_it_trains_as_pytorchs_own(cell, kind, optimiser):
    """Without biases: PyTorch trains two where we have one."""
    peer = getattr(torch.nn, kind)(3, 4, 2, bidirectional=True, bias=False, dtype=torch.float64)
    layer = Recurrent(cell, 3, 4, num_layers=2, bidirectional=True, dtype=np.float64)
    layer.load_torch_state_dict(peer.state_dict())
    for name, p in layer.named_parameters():
        p.requires_grad = ".b_" not in name
    losses = []
    for model in (peer, bridge.Module(layer)):
        steps, xs = optimiser([p for p in model.parameters() if p.requires_grad]), drawn(6, 2, 3)
        losses.append([])
        for _ in range(5):
            ys, _ = model(xs)
            loss = ((ys - 0.3) ** 2).mean()
            steps.zero_grad()
            loss.backward()
            steps.step()
            losses[-1].append(loss.item())
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-10)
    assert losses[1][-1] < losses[1][0]


def test_a_cell_of_ones_own_in_an_ordinary_training_loop():
    """Its layer learns, with a layer of PyTorch's on top, to remember the first number of a sequence."""
    torch.manual_seed(0)
    layer, head = made(MyCell, 1, 8), torch.nn.Linear(8, 1, dtype=torch.float64)
    optimiser = torch.optim.Adam([*layer.parameters(), *head.parameters()], 0.03)
    losses = []
    for _ in range(40):
        xs = torch.randn(5, 16, 1, dtype=torch.float64)
        ys, _ = layer(xs)
        loss = torch.nn.functional.mse_loss(head(ys[-1]), xs[0])
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(layer.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) / 2


# -- gradients --------------------------------------------------------------------------------------------------------------
def gradcheck(module, inputs, call):
    """By everything that goes in and by every parameter."""
    names = [name for name, _ in module.named_parameters()]
    values = [p.detach().clone().requires_grad_() for p in module.parameters()]

    def f(*given):
        xs, ps = given[:len(inputs)], given[len(inputs):]
        return call(lambda *args, **kwargs: torch.func.functional_call(module, dict(zip(names, ps)), args, kwargs), *xs)
    assert torch.autograd.gradcheck(f, (*inputs, *values))


def test_gradients_of_inputs_states_and_parameters():
    module = made(LSTM, 1, 2, bidirectional=True)

    def call(run, xs, h, c):
        ys, state = run(xs, (h, c), lengths=torch.tensor([3, 1]))
        return ys, *state
    gradcheck(module, [drawn(3, 2, 1), drawn(2, 2, 2), drawn(2, 2, 2, seed=1)], call)


def test_gradients_of_what_a_cell_takes_by_name():
    module = made(AttentiveGRU, 2, 3, memory=2)
    gradcheck(module, [drawn(3, 2, 2), drawn(2, 4, 2)], lambda run, xs, m: run(xs, m=m, m_lengths=[4, 2])[0])


def test_gradients_of_one_step():
    module = bridge.Module(MyCell(2, 3, dtype=np.float64))
    gradcheck(module, [drawn(2, 2), drawn(2, 3)], lambda run, x, h: run(x, (h,))[1].h)


def test_what_needs_no_gradient_gets_none():
    module, xs = made(), drawn(4, 2, 3).detach()
    module.layers_0_forward_W_f_h.requires_grad_(False)
    module(xs)[0].sum().backward()
    assert [name for name, p in module.named_parameters() if p.grad is None] == ["layers_0_forward_W_f_h"]
    assert xs.grad is None and not dict(module.module.named_parameters())["layers.0.forward.W_f.h"].requires_grad


def test_without_gradients_nothing_is_recorded():
    class Watched(mg.nn.Module):
        def forward(self, x):
            self.recorded = grad_enabled()
            return x * 2
    module, x = bridge.Module(Watched()), drawn(2)
    assert module(x).requires_grad and module.module.recorded
    with torch.no_grad():
        assert not module(x).requires_grad and not module.module.recorded


def test_gradients_add_up_and_the_way_back_can_be_walked_twice():
    module, xs = made(), drawn(4, 2, 3)
    ys, _ = module(xs)
    ys.sum().backward(retain_graph=True)
    once = [p.grad.clone() for p in module.parameters()]
    ys.sum().backward()
    for p, g in zip(module.parameters(), once, strict=True):
        torch.testing.assert_close(p.grad, 2 * g)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        g, = torch.autograd.grad(module(xs)[0].pow(2).sum(), [xs], create_graph=True)
        g.sum().backward()


# -- memory -----------------------------------------------------------------------------------------------------------------
def test_both_sides_have_the_same_numbers_after_every_step():
    module, xs = made(num_layers=2), drawn(4, 2, 3)
    own = dict(module.module.named_parameters())
    optimiser = torch.optim.SGD(module.parameters(), 0.1)
    for _ in range(3):
        optimiser.zero_grad()
        ys, _ = module(xs)
        ys.sum().backward()
        optimiser.step()
        for path, p in own.items():
            theirs = getattr(module, path.replace(".", "_"))
            assert np.array_equal(p.numpy(), theirs.detach().numpy())
            assert p.data.__array_interface__["data"][0] == theirs.data_ptr()
    fresh = made(num_layers=2).module
    fresh.load_state_dict({path: p.numpy() for path, p in own.items()})
    np.testing.assert_array_equal(fresh(mg.tensor(xs.detach().numpy()))[0].numpy(), module(xs)[0].detach().numpy())


def test_a_gradient_of_ours_through_numbers_that_pytorch_has_changed_is_refused():
    module = made()
    ys, _ = module.module(mg.ones(4, 2, 3, dtype=np.float64))
    with torch.no_grad():
        module.layers_0_forward_b_f.add_(1)
    assert module.module
    with pytest.raises(RuntimeError, match="was assigned new values"):
        ys.sum().backward()


def test_numbers_that_pytorch_puts_elsewhere_are_found():
    module, xs = made(), drawn(4, 2, 3).detach()
    before = module(xs)[0]
    with torch.no_grad():
        torch.nn.utils.vector_to_parameters(2 * torch.nn.utils.parameters_to_vector(module.parameters()), module.parameters())
    after = module(xs)[0]
    assert not torch.equal(before, after)
    assert module.float()(xs.float())[0].dtype == torch.float32
    torch.testing.assert_close(module.double()(xs)[0], after, rtol=1e-5, atol=1e-6)


def test_results_and_gradients_are_pytorchs_own_to_write_to():
    module, xs = made(), drawn(4, 2, 3)
    ys, state = module(xs)
    wanted = torch.autograd.grad(ys.sum() + state.c.sum(), [xs, *module.parameters()])
    ys, state = module(xs)
    with torch.no_grad():
        state.h.zero_()
        assert ys[-1].abs().min() > 0
        ys.zero_()
    for found, g in zip(torch.autograd.grad(ys.sum() + state.c.sum(), [xs, *module.parameters()]), wanted, strict=True):
        torch.testing.assert_close(found, g)
    places = [g.data_ptr() for g in wanted]
    assert len(set(places)) == len(places)


def test_an_input_that_is_overwritten_before_its_gradient_is_refused():
    module, xs = made(), drawn(4, 2, 3).detach()
    ys, _ = module(xs)
    xs.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        ys.sum().backward()


# -- as a torch.nn.Module -----------------------------------------------------------------------------------------------------
def test_state_dict_goes_from_one_to_another():
    first, second, xs = made(num_layers=2), made(num_layers=2), drawn(4, 2, 3)
    assert next(iter(first.state_dict())) == "layers_0_forward_W_f_h"
    before = second(xs)[0]
    second.load_state_dict(first.state_dict())
    assert torch.equal(second(xs)[0], first(xs)[0]) and not torch.equal(before, first(xs)[0])


def test_a_copy_has_numbers_of_its_own():
    module, xs = made(compile=False), drawn(4, 2, 3)
    module(xs)
    other = copy.deepcopy(module)
    expected = module(xs)[0]
    with torch.no_grad():
        for p in other.parameters():
            p.zero_()
    assert torch.equal(module(xs)[0], expected) and not other(xs)[0].any()


def test_training_and_evaluation_carry_over():
    module, xs = made(num_layers=2, dropout=0.5), drawn(4, 2, 3)
    assert not torch.equal(module(xs)[0], module(xs)[0])
    assert module.eval() is module and not module.module.training
    assert torch.equal(module(xs)[0], module(xs)[0])
    assert bridge.Module(Recurrent(LSTM, 3, 4).eval()).training is False


def test_lengths_masks_captured_gates_and_states_pass_through():
    module, xs = made(), drawn(4, 2, 3)
    ys, state, seen = module(xs, lengths=torch.tensor([4, 2]), capture=["f"])
    assert type(state).__name__ == "LSTMState" and list(seen) == ["f"] and seen["f"].requires_grad
    assert not ys[2:, 1].any()
    mask = torch.arange(4)[:, None] < torch.tensor([4, 2])
    assert torch.equal(module(xs, mask=mask)[0], ys)
    first, between = module(xs[:2])
    torch.testing.assert_close(torch.cat([first, module(xs[2:], between)[0]]), module(xs)[0])


def test_whole_models_and_integers():
    model = bridge.Module(CharacterModel(Vocabulary("abc"), Recurrent(LSTM, 3, 4)))
    scores, _ = model(torch.tensor([[0, 1], [2, 0]]))
    torch.nn.functional.cross_entropy(scores.reshape(-1, 3), torch.tensor([1, 2, 0, 1])).backward()
    assert scores.shape == (2, 2, 3) and all(p.grad is not None for p in model.parameters())


def test_pytorchs_parametrizations_apply():
    module, xs = made(), drawn(4, 2, 3)
    expected = module(xs)[0]
    torch.nn.utils.parametrizations.weight_norm(module, "layers_0_forward_W_f_h")
    torch.testing.assert_close(module(xs)[0], expected)
    module(xs)[0].sum().backward()
    assert module.parametrizations.layers_0_forward_W_f_h.original0.grad is not None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no GPU")
@pytest.mark.parametrize("device", ["cuda"], indirect=True)
def test_on_a_gpu_it_computes_and_trains_where_pytorch_puts_it(device):
    xs, losses = drawn(4, 2, 3).detach(), {}
    layer = Recurrent(LSTM, 3, 4, bidirectional=True, dtype=np.float64)
    for place in ("cpu", device):
        module = bridge.Module(Recurrent.from_config(layer.config(), np.float64))
        module.load_state_dict(bridge.Module(layer).state_dict())
        module.to(place)
        optimiser = torch.optim.Adam(module.parameters(), 0.05)
        losses[place] = []
        for _ in range(5):
            ys, state = module(xs.to(place), lengths=[4, 2])
            loss = (ys ** 2).mean() + state.c.sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses[place].append(loss.item())
        assert ys.device.type == place and module.module.layers[0]["forward"].device == place
    np.testing.assert_allclose(losses["cuda"], losses["cpu"], rtol=1e-9)


# -- errors -----------------------------------------------------------------------------------------------------------------
def test_what_is_no_module_of_ours_is_refused():
    with pytest.raises(TypeError) as error:
        bridge.Module(torch.nn.Linear(1, 2))
    assert str(error.value) == ("rnn.torch.Module takes a layer, a cell or a model of ours, such as Recurrent(LSTM, 8, 16), "
                                "not Linear(in_features=1, out_features=2, bias=True)")


def test_two_parameters_of_one_name_are_refused():
    class Clash(mg.nn.Module):
        def __init__(self):
            self.a_b, self.a = mg.Parameter([1.0]), {"b": mg.Parameter([1.0])}
    with pytest.raises(ValueError) as error:
        bridge.Module(Clash())
    assert str(error.value) == "rnn.torch.Module: a.b and another parameter would both be called a_b; rename one"


def test_values_assigned_on_our_side_are_refused():
    layer = Recurrent(LSTM, 3, 4, dtype=np.float64)
    module = bridge.Module(layer)
    layer.load_torch_state_dict(Recurrent(LSTM, 3, 4).torch_state_dict())
    with pytest.raises(RuntimeError) as error:
        module(drawn(4, 2, 3))
    assert str(error.value) == ("layers.0.forward.W_f.h was given new values on our side after it became a parameter of "
                                "PyTorch, which does not see them; load them into the torch module, or before it is made")
