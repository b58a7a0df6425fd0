"""`python -m rnn train`: a character language model of any cell, on any text."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import minigrad as mg

from .. import catalogue
from ..data import text as texts
from ..models import CharacterModel
from ..recurrent import Recurrent
from ..training import Plan, Progress, Trainer
from . import CommandError


def add(parser: argparse.ArgumentParser) -> None:
    plan = Plan()
    data = parser.add_argument_group("data")
    data.add_argument("--text", nargs="+", metavar="FILE", help="UTF-8 text; by default Python's own documentation, the last "
                      "tenth of it held out")
    model = parser.add_argument_group("model")
    model.add_argument("--cell", default="LSTM", metavar="NAME", help="a cell's name (python -m rnn cells lists them), or "
                       "file.py:ClassName, which runs that file (default: %(default)s)")
    model.add_argument("--hidden", type=_whole, default=128, metavar="N", help="hidden size (default: %(default)s)")
    model.add_argument("--embedding", type=_whole, default=64, metavar="N", help="size of a character's vector "
                       "(default: %(default)s)")
    model.add_argument("--layers", type=_whole, default=1, metavar="N", help="(default: %(default)s)")
    model.add_argument("--dropout", type=float, default=0.0, metavar="P", help="(default: %(default)s)")
    model.add_argument("--set", nargs="+", default=[], metavar="NAME=NUMBER", help="further sizes and settings of the cell")
    run = parser.add_argument_group("run")
    run.add_argument("--steps", type=_whole, metavar="N", help=f"(default: {plan.steps})")
    run.add_argument("--minutes", type=float, metavar="M", help="stop after so many minutes, if the steps are not done before")
    run.add_argument("--batch", type=_whole, metavar="B", help=f"rows of text side by side (default: {plan.batch})")
    run.add_argument("--length", type=_whole, metavar="T", help=f"characters between two steps (default: {plan.length})")
    run.add_argument("--lr", type=float, metavar="X", help=f"the highest learning rate (default: {plan.lr})")
    run.add_argument("--seed", type=int, metavar="N", help=f"(default: {plan.seed})")
    run.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="(default: %(default)s)")
    run.add_argument("--out", default="runs/characters", metavar="FOLDER", help="for checkpoint, loss curve and sample "
                     "(default: %(default)s)")
    run.add_argument("--resume", metavar="CHECKPOINT", help="go on from there, with the same text; --steps may be changed")


def run(args: argparse.Namespace) -> None:
    try:
        text = texts.read(args.text) if args.text else texts.python_documentation()
        model, trainer = _resumed(args, text) if args.resume else _begun(args, text)
    except (ValueError, TypeError, LookupError) as error:
        raise CommandError(str(error)) from error
    print(f"{len(text):,} characters, {len(model.vocabulary)} of them different; {model.layer!r}\n"
          f"{sum(p.size for p in model.parameters()):,} parameters with the embedding and the output", flush=True)
    try:
        with _Bar(trainer) as bar:
            trainer.run(bar.report, args.minutes)
    except KeyboardInterrupt:
        raise CommandError(_stopped(trainer)) from None
    trainer.write_history()
    prompt = text[:1] if "\n" not in model.vocabulary.characters else "\n"
    sample = model.write(prompt, 400, 0.7, trainer.plan.seed)
    (trainer.out / "sample.txt").write_text(sample, encoding="utf-8")
    held_out = next(h for _, _, h in reversed(trainer.history) if h is not None)
    print(f"\n{sample}\n\nheld-out text: {held_out:.3f} bits per character after {trainer.step} steps\n"
          f"in {trainer.out}: checkpoint.safetensors, loss.csv, loss.png, sample.txt\n"
          f"more text: python -m rnn sample {trainer.checkpoint} --prompt 'The '")


def _begun(args: argparse.Namespace, text: str) -> tuple[CharacterModel, Trainer]:
    plan = Plan.of({k: v for k, v in vars(args).items() if v is not None})
    mg.manual_seed(plan.seed)
    cell = catalogue.find(args.cell)
    vocabulary = texts.Vocabulary.of(text)
    layer = Recurrent(cell, args.embedding, args.hidden, args.layers, dropout=args.dropout, **number_settings(args.set))
    extras = layer.layers[0]["forward"].structure.extras
    if extras:
        raise CommandError(f"{args.cell} needs {', '.join(extras)} at every call, which a language model does not have")
    model = CharacterModel(vocabulary, layer, args.dropout)
    model.to(args.device)
    return model, _trainer(args, model, text, plan)


def _resumed(args: argparse.Namespace, text: str) -> tuple[CharacterModel, Trainer]:
    model, more, tensors = CharacterModel.load(args.resume)
    changed = {k: v for k, v in vars(args).items() if k in more["plan"] and v is not None}
    if set(changed) - {"steps"}:
        kept = ", ".join(sorted(set(changed) - {"steps"}))
        raise CommandError(f"a resumed run keeps its {kept}; only --steps may be changed")
    model.to(args.device)
    trainer = _trainer(args, model, text, Plan.of({**more["plan"], **changed}))
    trainer.resume(more, tensors)
    return model, trainer


def _trainer(args: argparse.Namespace, model: CharacterModel, text: str, plan: Plan) -> Trainer:
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    return Trainer(model, model.vocabulary.encode(text), plan, out)


class _Bar:
    """A progress bar on a terminal; when the output is no terminal, a line at each validation."""

    def __init__(self, trainer: Trainer):
        from tqdm import tqdm

        self.trainer = trainer
        self.bar = tqdm(total=trainer.plan.steps, initial=trainer.step, unit="step", disable=None, dynamic_ncols=True,
                        file=sys.stdout)
        self.held_out = ""

    def report(self, progress: Progress) -> None:
        if progress.held_out is not None:
            self.held_out = f", held out {progress.held_out:.3f}"
        line = f"{progress.bits:.3f} bits/char{self.held_out}, {progress.characters_per_second:,.0f} chars/s"
        self.bar.update(1)
        self.bar.set_postfix_str(line)
        if self.bar.disable and progress.held_out is not None:
            print(f"step {progress.step} of {self.trainer.plan.steps}: {line}", flush=True)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: Any) -> None:
        self.bar.close()


def _stopped(trainer: Trainer) -> str:
    if trainer.checkpoint.exists():
        return f"stopped at step {trainer.step}; go on from the last checkpoint with --resume {trainer.checkpoint}"
    return f"stopped at step {trainer.step}, before the first checkpoint"


def number_settings(pairs: list[str]) -> dict[str, Any]:
    """NAME=NUMBER, ... as keywords."""
    out: dict[str, Any] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        try:
            out[name] = int(value) if value.lstrip("-").isdigit() else float(value)
        except ValueError:
            raise CommandError(f"--set takes NAME=NUMBER, not {pair!r}") from None
    return out


def _whole(value: str) -> int:
    number = int(value)
    if number < 1:
        raise argparse.ArgumentTypeError(f"a whole number of at least 1, not {value}")
    return number
