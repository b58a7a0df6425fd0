"""Results of papers, reproduced in minutes: what they claim, what is measured here, and how the two ways differ.

| module | what it holds |
|---|---|
| `paper` | `Paper`, the declaration of a result; `Trial`, one training |
| `run`, `report` | models times seeds in processes of one thread; the table and the picture |
| `long_lags`, `grammars`, `timing`, `music` | the papers; `bach`, the chorales that two of them read |
"""

from .grammars import ANBN, ANBNCN, REBER
from .long_lags import ADDING, ORDER
from .music import CHUNG, GREFF
from .paper import Column, Paper, Quote, Trial
from .timing import PERIODIC

__all__ = ["PAPERS", "Column", "Paper", "Quote", "Trial"]

PAPERS: dict[str, Paper] = {p.name: p for p in (ADDING, ORDER, REBER, PERIODIC, ANBN, ANBNCN, GREFF, CHUNG)}
