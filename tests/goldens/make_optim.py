"""Makes optim.npz: what PyTorch's optimisers do with a small problem. `python tests/goldens/make_optim.py`, with PyTorch."""

from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("optim.npz")
STEPS, KEPT = 20, (1, 2, 20)

# name: (class, its options), by the same names here and in PyTorch
CASES = {
    "sgd": ("SGD", {"lr": 0.1}),
    "sgd_decay": ("SGD", {"lr": 0.1, "weight_decay": 0.05}),
    "sgd_momentum": ("SGD", {"lr": 0.03, "momentum": 0.9}),
    "sgd_nesterov": ("SGD", {"lr": 0.03, "momentum": 0.8, "nesterov": True}),
    "sgd_all": ("SGD", {"lr": 0.03, "momentum": 0.9, "nesterov": True, "weight_decay": 0.02}),
    "adam": ("Adam", {"lr": 0.05}),
    "adam_options": ("Adam", {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    "adamw": ("AdamW", {"lr": 0.05}),
    "adamw_options": ("AdamW", {"lr": 0.1, "betas": (0.7, 0.9), "eps": 1e-4, "weight_decay": 0.3}),
    "rmsprop": ("RMSprop", {"lr": 0.02}),
    "rmsprop_options": ("RMSprop", {"lr": 0.02, "alpha": 0.8, "eps": 1e-3, "momentum": 0.7}),
}


def start() -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    return [rng.standard_normal((3, 4)), rng.standard_normal(5)]


def gradients(W: np.ndarray, v: np.ndarray) -> list[np.ndarray]:
    """Of a quadratic with curvatures from 0.1 to 3 and of a wave."""
    curvature = np.linspace(0.1, 3, 12).reshape(3, 4)
    return [curvature * (W - 0.5), np.sin(v) + 0.1 * v]


def pytorchs(name: str) -> np.ndarray:
    """All parameters, side by side, after each step."""
    import torch

    kind, options = CASES[name]
    parameters = [torch.tensor(a, requires_grad=True) for a in start()]
    optimizer = getattr(torch.optim, kind)(parameters, **options)
    path = []
    for _ in range(STEPS):
        for p, g in zip(parameters, gradients(*(p.detach().numpy() for p in parameters))):
            p.grad = torch.tensor(g)
        optimizer.step()
        path.append(np.concatenate([p.detach().numpy().ravel() for p in parameters]))
    return np.array(path)


if __name__ == "__main__":
    np.savez_compressed(FILE, **{name: pytorchs(name)[[k - 1 for k in KEPT]] for name in CASES})
