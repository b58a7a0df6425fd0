"""Who is told of a run's steps: a progress bar, a table, TensorBoard."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .loop import Run


@dataclass
class Validation:
    """What a look at the held-out part showed after a step: the mean loss in its unit, and other measures."""

    step: int
    loss: float
    measures: dict[str, float] = field(default_factory=dict)


@dataclass
class Progress:
    """Where a run stands after a step: this batch's loss in its unit, the learning rate, the norm of all gradients before they
    were clipped, targets a second in this sitting, and what was seen if it looked at the held-out part."""

    step: int
    loss: float
    lr: float
    norm: float
    targets_per_second: float
    validation: Validation | None


class Report:
    """Base of what is told of a run: that it begins (or goes on), each step, and that it ends, also by an error."""

    def begin(self, run: Run) -> None:
        """The run begins, or goes on from a checkpoint."""

    def step(self, progress: Progress) -> None:
        """A step was taken."""

    def end(self) -> None:
        """The run is over, be it by an error."""


class Bar(Report):
    """A progress bar on a terminal; when the output is no terminal, a line at each validation."""

    def begin(self, run: Run) -> None:
        from tqdm import tqdm

        self.run, self.unit, self.last, self.held_out = run, run.unit, run.last, ""
        self.bar = tqdm(total=run.last, initial=run.step, unit="step", disable=None, dynamic_ncols=True, file=sys.stdout)

    def step(self, progress: Progress) -> None:
        seen = progress.validation
        if seen is not None:
            self.held_out = "".join([f", held out {seen.loss:.4g}", *(f", {k} {v:.4g}" for k, v in seen.measures.items())])
        line = f"{progress.loss:.4g} {self.unit.name}{self.held_out}, {progress.targets_per_second:,.0f} {self.unit.targets}/s"
        self.bar.update(1)
        self.bar.set_postfix_str(line)
        if self.bar.disable and seen is not None:
            of = f" of {self.last}" if self.last else ""
            print(f"step {progress.step}{of}: {line}", flush=True)

    def end(self) -> None:
        self.bar.close()


class CsvLog(Report):
    """A table with a row a step: loss, learning rate, norm of the gradients, held-out loss and measures where there are any.
    A run that goes on keeps the rows up to where it does."""

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def begin(self, run: Run) -> None:
        self.measures = list(run.measures)
        kept = []
        if run.step and self.path.exists():
            try:
                with open(self.path, newline="", encoding="utf-8") as file:
                    kept = list(csv.reader(file))[1:run.step + 1]
            except (UnicodeDecodeError, csv.Error) as error:
                raise ValueError(f"{self.path} is no table of an earlier run ({error}); move the file away") from None
        self.file = open(self.path, "w", newline="", encoding="utf-8")      # noqa: SIM115 - closed by end
        self.writer = csv.writer(self.file)
        name = run.unit.name.replace(" ", "_")
        self.writer.writerow(["step", f"train_{name}", f"held_out_{name}", *self.measures, "learning_rate", "gradient_norm"])
        self.writer.writerows(kept)

    def step(self, progress: Progress) -> None:
        seen = progress.validation
        held_out = [""] * (1 + len(self.measures)) if seen is None else [seen.loss, *seen.measures.values()]
        self.writer.writerow([progress.step, progress.loss, *held_out, progress.lr, progress.norm])
        if seen is not None:
            self.file.flush()

    def end(self) -> None:
        self.file.close()


class TensorBoardLog(Report):
    """The same for TensorBoard, in a folder, by tensorboardX or PyTorch's SummaryWriter, whichever is installed."""

    def __init__(self, folder: str | Path):
        self.folder, self.writer_class = str(folder), _summary_writer()

    def begin(self, run: Run) -> None:
        self.name = run.unit.name.replace(" ", "_")
        self.writer = self.writer_class(self.folder, purge_step=run.step + 1)

    def step(self, progress: Progress) -> None:
        values = {f"train/{self.name}": progress.loss, "train/learning_rate": progress.lr, "train/gradient_norm": progress.norm}
        if progress.validation is not None:
            seen = {self.name: progress.validation.loss, **progress.validation.measures}
            values |= {f"held_out/{name}": value for name, value in seen.items()}
        for name, value in values.items():
            self.writer.add_scalar(name, value, progress.step)

    def end(self) -> None:
        self.writer.close()


def _summary_writer() -> Callable[..., Any]:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ImportError("logs for TensorBoard need tensorboardX: pip install tensorboardX") from None
    return SummaryWriter


def draw_curve(run: Run, path: str | Path) -> None:
    """The losses of a run as a picture, by matplotlib."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(range(1, len(run.losses) + 1), run.losses, linewidth=0.8, label="training batch")
    axes.plot([v.step for v in run.validations], [v.loss for v in run.validations], marker="o", markersize=3, label="held out")
    axes.set(xlabel="step", ylabel=run.unit.name)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)
