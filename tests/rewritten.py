"""What a rewritten graph has to keep: its values and gradients."""

from collections.abc import Callable

import numpy as np

import minigrad as mg
from minigrad.autograd import differentiate
from minigrad.graph import Graph

ROWS = ("T", "B")
SIZES = {"T": 2, "B": 3, "S": 5}


def check_values_and_gradients_stay(graph: Graph, rewrite: Callable[[Graph], Graph], rng: np.random.Generator) -> None:
    arrays = {name: rng.standard_normal([SIZES.get(d, d) for d in x.shape]) for name, x in graph.inputs.items()}
    wanted, found = computed(graph, arrays), computed(rewrite(graph), arrays)
    assert wanted.keys() == found.keys()
    for key, value in wanted.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-12, atol=1e-12, err_msg=key)


def computed(graph: Graph, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs and gradients."""
    leaves = {name: mg.tensor(a, requires_grad=True) for name, a in arrays.items()}
    outputs = graph(**leaves)
    seeds = [mg.tensor(np.cos(np.arange(y.size)).reshape(y.shape)) for y in outputs.values()]
    gradients = differentiate(list(outputs.values()), seeds, list(leaves.values()))
    return {**{name: y.numpy() for name, y in outputs.items()},
            **{f"d_{name}": np.zeros(x.shape) if g is None else g.numpy() for name, (x, g) in zip(leaves, gradients)}}
