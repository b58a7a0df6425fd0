"""Data that is made or found at run time: nothing is downloaded, and no data of others is part of this package.

| module | what it serves |
|---|---|
| `batch` | `Batch` and `Data`, what a training loop asks for; `Drawn`, the tasks that never end |
| `lags`, `grammars`, `timing`, `strokes` | tasks that are drawn: the classics, and digits written with a pen |
| `text`, `text_files` | characters of Python's documentation or of files, in memory or larger than it |
| `series`, `csv_files` | windows of time series, standardised by what is trained on alone |
| `ragged`, `ts_files`, `names`, `source_tags` | sequences of different lengths in buckets, a class each or one a step |
"""

from .batch import Batch, Data, Drawn
from .csv_files import from_statsmodels, read_csv
from .grammars import Counting, EmbeddedReber
from .lags import Adding, CopyMemory, TemporalOrder
from .names import language_of_a_name
from .ragged import Buckets, Examples, Ragged, split
from .series import Series, Windows, mackey_glass
from .source_tags import python_tags
from .strokes import WrittenDigits
from .text import Characters, Rows, Vocabulary, python_documentation
from .text_files import encoded
from .timing import GeneratingTimedSpikes, MeasuringSpikeDelays, PeriodicFunction
from .ts_files import from_aeon

__all__ = ["Adding", "Batch", "Buckets", "Characters", "CopyMemory", "Counting", "Data", "Drawn", "EmbeddedReber", "Examples",
           "GeneratingTimedSpikes", "MeasuringSpikeDelays", "PeriodicFunction", "Ragged", "Rows", "Series", "TemporalOrder",
           "Vocabulary", "Windows", "WrittenDigits", "encoded", "from_aeon", "from_statsmodels", "language_of_a_name",
           "mackey_glass", "python_documentation", "python_tags", "read_csv", "split"]
