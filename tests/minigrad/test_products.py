"""Matrix products."""

import numpy as np
import pytest

import minigrad as mg
import samples
from minigrad.ops import Cost

ROWS = samples.of(Cost.PRODUCT)


@pytest.mark.parametrize("sample", ROWS, ids=str)
class TestRows(samples.RowTests):
    pass


def test_linear_and_contract_are_each_others_derivatives():
    x, W = mg.ones(2, 3, 4, requires_grad=True), mg.ones(5, 4, requires_grad=True)
    y = x.linear(W)
    g = mg.ones(2, 3, 5, requires_grad=True)
    (_, dx), (_, dW) = mg.differentiate([y], [g], [x, W])
    assert (dx.op.name, dW.op.name) == ("linear", "contract")
    (_, dg), (_, dx2) = mg.differentiate([dW], [mg.ones(5, 4)], [g, x])
    assert dg.op is None or dg.shape == g.shape
    assert dx2.shape == x.shape


def test_linear_is_one_product_of_rows(device, rng):
    x, W = rng.standard_normal((4, 5, 3)), rng.standard_normal((2, 3))
    np.testing.assert_allclose(mg.linear(x, W).numpy(), x @ W.T, rtol=1e-14)
    np.testing.assert_allclose(mg.contract(x, x).numpy(), np.einsum("tbm,tbn->mn", x, x), rtol=1e-13)


MISFITS = [
    (lambda a, b: a @ b, (2, 3), (4, 5), r"matmul.*\(2, 3\).*\(4, 5\)"),
    (lambda a, b: a @ b, (3,), (4,), r"matmul.*\(3,\).*\(4,\)"),
    (lambda a, b: a @ b, (2, 2, 3), (3, 3, 2), r"matmul.*\(2, 2, 3\).*\(3, 3, 2\)|matmul: shapes \(2,\) and \(3,\)"),
    (lambda a, b: a @ b, (), (3,), r"matmul.*no scalars; use \*"),
    (mg.linear, (2, 3), (3, 2), r"linear.*\(2, 3\).*\(3, 2\)"),
    (mg.contract, (2, 3), (3, 2), r"contract.*\(2, 3\).*\(3, 2\)"),
    (lambda a, b: mg.einsum("ij,jk->ik", a, b), (2, 3), (4, 2), r"einsum.*\(2, 3\).*\(4, 2\)"),
    (lambda a, b: mg.einsum("ij,j->i", a, b), (2, 3), (3, 1), r"einsum.*does not fit shapes \(2, 3\), \(3, 1\)"),
]


@pytest.mark.parametrize("f, a, b, message", MISFITS, ids=[m for *_, m in MISFITS])
def test_misfits_name_the_operation_and_the_shapes(device, f, a, b, message):
    with pytest.raises(mg.ShapeError, match=message):
        f(mg.zeros(a), mg.zeros(b))


@pytest.mark.parametrize("subscripts, message", [("ii->i", "a letter twice"), ("...i->i", "name every axis"),
                                                 ("ij->k", "k stands in no")])
def test_einsum_refuses(subscripts, message):
    with pytest.raises(mg.ShapeError, match=message):
        mg.einsum(subscripts, mg.ones(2, 2))


@pytest.mark.parametrize("a, b", [((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((5, 2, 3), (5, 3, 4)), ((3,), (3, 4)), ((2, 3), (3,)),
                                  ((3,), (3,))])
def test_torch_agrees(rng, a, b):
    torch = pytest.importorskip("torch")
    arrays = [rng.standard_normal(s) for s in (a, b)]
    x, W = (mg.tensor(v, requires_grad=True) for v in arrays)
    tx, tW = (torch.tensor(v, requires_grad=True) for v in arrays)
    (x @ W).tanh().sum().backward()
    (tx @ tW).tanh().sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), tx.grad.numpy(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(W.grad.numpy(), tW.grad.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("subscripts, shapes", [("bij,bjk->bik", [(2, 3, 4), (2, 4, 2)]),
                                                ("ij,ik,il->jkl", [(3, 2), (3, 2), (3, 2)])])
def test_torch_agrees_on_einsum(rng, subscripts, shapes):
    torch = pytest.importorskip("torch")
    arrays = [rng.standard_normal(s) for s in shapes]
    xs, ts = [mg.tensor(v, requires_grad=True) for v in arrays], [torch.tensor(v, requires_grad=True) for v in arrays]
    mg.einsum(subscripts, *xs).tanh().sum().backward()
    torch.einsum(subscripts, *ts).tanh().sum().backward()
    for x, t in zip(xs, ts):
        np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), rtol=1e-12, atol=1e-14)
