"""The training loop: a model, rows of text, steps, validation, checkpoints."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from math import log
from pathlib import Path
from typing import Any

import numpy as np

import minigrad as mg
from minigrad import optim
from minigrad.nn.functional import cross_entropy

from .data.text import Rows
from .models import CharacterModel

BITS = 1 / log(2)                   # nats to bits


@dataclass
class Plan:
    """How to train. What a checkpoint stores, so that a resumed run goes on as it began."""

    steps: int = 1300
    batch: int = 64
    length: int = 64
    lr: float = 6e-3
    clip: float = 1.0
    seed: int = 0
    evaluate_every: int = 100

    @classmethod
    def of(cls, values: dict[str, Any]) -> Plan:
        return cls(**{f.name: values[f.name] for f in fields(cls) if f.name in values})


@dataclass
class Progress:
    """Where a run stands after a step."""

    step: int
    bits: float                     # per character, of this step's window
    held_out: float | None          # per character, of the held-out text, when it was measured
    characters_per_second: float


class Trainer:
    """Trains a character model on a text, with Adam and a cosine schedule, the state carried from window to window.

    The data, their order and every random number depend on the plan's seed and the step alone, so a run that is stopped
    and resumed equals one that is not, to the last bit (on the same machine with the same number of threads).
    """

    def __init__(self, model: CharacterModel, ids: np.ndarray, plan: Plan, out: Path):
        held = max(len(ids) // 10, 1)
        self.model, self.plan, self.out = model, plan, out
        self.rows = Rows(ids[:-held], plan.batch, plan.length)
        self.held_out = Rows(ids[-held:], min(plan.batch, max(1, (held - 1) // plan.length)), plan.length)
        self.optimizer = optim.Adam(model.parameters(), plan.lr, betas=(0.9, 0.99))
        self.schedule = optim.cosine(plan.lr, plan.steps, final=plan.lr / 20, warmup=min(20, plan.steps // 10))
        self.step = 0
        self.state: Any = None
        self.history: list[tuple[int, float, float | None]] = []

    # -- one step, and a whole run ------------------------------------------------------------------------------------------
    def train_step(self) -> float:
        """One window forward and backward, one step of the optimiser; the loss in bits per character."""
        inputs, targets, first = self.rows.window(self.step)
        state = None if first or self.state is None else type(self.state)(*(part.detach() for part in self.state))
        scores, self.state = self.model(inputs, state)
        loss = cross_entropy(scores, targets)
        self.optimizer.zero_grad()
        loss.backward()
        optim.clip_grad_norm(self.optimizer.parameters, self.plan.clip)
        self.optimizer.lr = self.schedule(self.step)
        self.optimizer.step()
        self.step += 1
        return loss.item() * BITS

    def evaluate(self) -> float:
        """Bits per character of the held-out text, read once from start to end in a few rows."""
        self.model.eval()
        total, state = 0.0, None
        with mg.no_grad():
            for k in range(self.held_out.windows):
                inputs, targets, _ = self.held_out.window(k)
                scores, state = self.model(inputs, state)
                total += cross_entropy(scores, targets).item()
        self.model.train()
        return total / self.held_out.windows * BITS

    def run(self, report: Callable[[Progress], None], minutes: float | None = None) -> None:
        """Train to the plan's last step, or until `minutes` are over; validate and save on the way and at the end."""
        began, first = time.perf_counter(), self.step
        evaluating = 0.0
        while self.step < self.plan.steps:
            bits = self.train_step()
            late = minutes is not None and time.perf_counter() - began > 60 * minutes
            held_out = None
            if self.step % self.plan.evaluate_every == 0 or self.step == self.plan.steps or late:
                pause = time.perf_counter()
                held_out = self.evaluate()
                evaluating += time.perf_counter() - pause
            self.history.append((self.step, bits, held_out))
            if held_out is not None:
                self.save()
            seconds = time.perf_counter() - began - evaluating
            report(Progress(self.step, bits, held_out, (self.step - first) * self.plan.batch * self.plan.length / seconds))
            if late:
                break

    # -- checkpoints --------------------------------------------------------------------------------------------------------
    @property
    def checkpoint(self) -> Path:
        return self.out / "checkpoint.safetensors"

    def save(self) -> None:
        """The model, and all that the next step depends on."""
        tensors = {f"optimizer.{name}": value for name, value in self.optimizer.state_dict().items()}
        tensors |= {f"state.{name}": part for name, part in zip(self.state._fields, self.state)}
        self.model.save(self.checkpoint, {"plan": asdict(self.plan), "step": self.step, "history": self.history,
                                          "random": mg.random.get_state()}, tensors)

    def resume(self, more: dict[str, Any], tensors: dict[str, mg.Tensor]) -> None:
        """Go on from what `CharacterModel.load` returned beside the model."""
        device = self.model.head.weight.device
        self.optimizer.load_state_dict({n.removeprefix("optimizer."): t for n, t in tensors.items()
                                        if n.startswith("optimizer.")})
        parts = [tensors[f"state.{name}"].to(device) for name in self.model.layer.State._fields]
        self.state = self.model.layer.State(*parts)
        self.step, self.history = more["step"], [tuple(entry) for entry in more["history"]]
        mg.random.set_state(more["random"])

    def write_history(self) -> None:
        """loss.csv, and loss.png where matplotlib is installed."""
        with open(self.out / "loss.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["step", "train_bits_per_character", "held_out_bits_per_character"])
            writer.writerows((step, repr(bits), "" if held is None else repr(held)) for step, bits, held in self.history)
        draw_history(self.history, self.out / "loss.png")


def draw_history(history: list[tuple[int, float, float | None]], path: Path) -> None:
    """The loss curve as a picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([h[0] for h in history], [h[1] for h in history], linewidth=0.8, label="training window")
    held = [(step, value) for step, _, value in history if value is not None]
    axes.plot([h[0] for h in held], [h[1] for h in held], marker="o", markersize=3, label="held-out text")
    axes.set(xlabel="step", ylabel="bits per character")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)
