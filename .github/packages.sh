#!/bin/sh
# Build the wheel and the sdist, look into them, and install each into an empty environment that runs a layer.
# usage: .github/packages.sh [PYTHON], from the root of a clean checkout
set -eu
python=${1:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git archive HEAD | (mkdir "$work/source" && tar -x -C "$work/source")
"$python" -m venv "$work/build"
"$work/build/bin/pip" install --quiet build
"$work/build/bin/python" -m build --outdir "$work/dist" "$work/source" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$work/build/bin/python" - "$work/dist" "$work/source" <<'PYTHON'
import sys, tarfile, zipfile
from pathlib import Path

dist, source = map(Path, sys.argv[1:])
wheel = set(zipfile.ZipFile(next(dist.glob("*.whl"))).namelist())
sdist = {name.partition("/")[2] for name in tarfile.open(next(dist.glob("*.tar.gz"))).getnames()}
own = {p.relative_to(source).as_posix() for package in ("minigrad", "rnn") for p in (source / package).rglob("*") if p.is_file()}
more = sorted(n for n in wheel if n.startswith(("tests/", "tutorials/")))
assert not more, f"the wheel has {more}"
for what, names in (("wheel", wheel), ("sdist", sdist)):
    assert not own - names, f"the {what} lacks {sorted(own - names)}"
    assert any(name.endswith("LICENSE") for name in names), f"the {what} has no licence"
PYTHON
for package in "$work"/dist/*; do
    "$python" -m venv --clear "$work/empty"
    "$work/empty/bin/pip" install --quiet "$package"
    (cd "$work" && MINIGRAD_CACHE="$work/cache" "$work/empty/bin/python" -W error -c "
import numpy, rnn
ys, state = rnn.Recurrent(rnn.LSTM, 3, 4, compile='native')(numpy.ones((5, 2, 3), 'f'))
assert ys.shape == (5, 2, 4) and numpy.isfinite(ys.numpy()).all()" && "$work/empty/bin/python" -m rnn cells LSTM > /dev/null)
    echo "$(basename "$package"): installed with $("$work/empty/bin/python" -V) and NumPy $("$work/empty/bin/python" -c 'import numpy; print(numpy.__version__)')"
done
