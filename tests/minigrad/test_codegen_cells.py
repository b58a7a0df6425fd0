"""The whole way of a cell: class body, trace, gradients, stages, printed code; its numbers equal eager ones."""

import re

import numpy as np
import pytest

import run_stages
from minigrad.codegen import Unsupported, c_function
from minigrad.graph import derive, stages
from rnn.catalogue import shipped

ARTICLE = ["LSTM", "PeepholeLSTM", "GRU"]
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
# What is constant over a sequence has rows of its own, which a task cannot walk beside those of all steps.
NOT_IN_C = {"AdditiveAttention", "AttentiveGRU", "VariationalLSTM"}


def check(name, runner, dtype, rng):
    graph = run_stages.cell_graph(name)
    arrays = run_stages.numbers_for(derive(graph), rng, dtype)
    expected = run_stages.eagerly(graph, arrays)
    computed = run_stages.run_both_ways(graph, arrays, runner)
    assert computed.keys() == expected.keys()
    assert any(key.startswith("d_W_") for key in computed)
    for key, value in expected.items():
        assert computed[key].dtype == value.dtype == dtype
        np.testing.assert_allclose(computed[key], value, TOLERANCE[dtype], TOLERANCE[dtype], err_msg=key)


@pytest.fixture(params=["PYTHON", "C", "ROWS", "CUDA"])
def runner(request):
    found = getattr(run_stages, request.param)
    return found or pytest.skip("CuPy is not installed")


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", ARTICLE)
def test_the_articles_cells(name, runner, dtype, rng):
    check(name, runner, dtype, rng)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", [name for name in shipped() if name not in ARTICLE])
def test_every_cell_as_python(name, dtype, rng):
    check(name, run_stages.PYTHON, dtype, rng)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", [name for name in shipped() if name not in {*ARTICLE, *NOT_IN_C}])
def test_every_cell_as_c(name, dtype, rng):
    check(name, run_stages.C, dtype, rng)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", sorted(NOT_IN_C))
def test_cells_with_rows_of_two_kinds_as_functions_of_a_row(name, dtype, rng):
    check(name, run_stages.ROWS, dtype, rng)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", [name for name in shipped() if name not in {*ARTICLE, *NOT_IN_C}])
def test_every_cell_as_functions_of_a_row(name, dtype, rng):
    check(name, run_stages.ROWS, dtype, rng)


@pytest.mark.slow
@pytest.mark.skipif(run_stages.CUDA is None, reason="CuPy is not installed")
@pytest.mark.parametrize("name", [name for name in shipped() if name not in ARTICLE])
def test_every_cell_as_cuda(name, rng):
    check(name, run_stages.CUDA, "float64", rng)


@pytest.mark.parametrize("name, refusal", [
    ("AdditiveAttention", "k_m: (B, S, 4) has not all the rows of (T, B, S, 4)"),
    ("AttentiveGRU", "attention_k_m: (B, S, 4) has not all the rows of (T, B, S, 4)"),
    ("VariationalLSTM", "mask: (B, 4) has not all the rows of (T, B, 4)"),
])
def test_what_a_task_cannot_walk_is_said(name, refusal):
    regions = [region for stage in stages(run_stages.cell_graph(name)) for region in stage.regions]
    with pytest.raises(Unsupported, match=f"^{re.escape(refusal)}$"):
        for region in regions:
            c_function(region)


@pytest.mark.skipif(run_stages.CUDA is None, reason="CuPy is not installed")
def test_a_step_launches_its_kernels_and_products_and_waits_for_nothing(rng):
    """The arrays stay on the GPU between the kernels; only the results are fetched."""
    import standin

    graph = run_stages.cell_graph("PeepholeLSTM")
    arrays = run_stages.numbers_for(graph, rng)
    with standin.counting() as n:
        run_stages.run([(graph, stages(graph, "forward"))], arrays, run_stages.CUDA)
    assert {name: n.names[name] for name in ("forward_1", "forward_2")} == {"forward_1": 1, "forward_2": 1}
    assert n.kernels == 2 and n.to_device == len(arrays) and n.to_host == len(graph.outputs)
    assert n.synchronisations == n.to_host
