"""A graph's JSON, read as what anybody may have written: names, positions, sizes and attributes are checked; none is code."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

from ..ops import TABLE, Op, apply
from ..ops.shapes import Shape, ShapeError, show
from ..symbol import Symbol

LARGEST = 1 << 28               # numbers of one value in a row and step: 1 GiB of float32
LONGEST = 200                   # letters of a name
_CALLED: dict[Any, str] = {dict: "mapping", list: "list", (int, float): "number"}
_NAME = re.compile(r"[^\W\d]\w*(\.\w+)*")


def read_nodes(entries: Any) -> list[Symbol]:
    """The symbols that `Graph.to_json` listed, each made of earlier ones. Raises ValueError by the node's number."""
    nodes: list[Symbol] = []
    for k, entry in enumerate(_a(list, entries)):
        try:
            nodes.append(_node(_a(dict, entry), nodes))
        except (ValueError, TypeError, KeyError, IndexError) as error:
            kind = ShapeError if isinstance(error, ShapeError) else ValueError
            raise kind(f"node {k} of this graph: {error if isinstance(error, ValueError) else repr(error)}") from None
    return nodes


def chosen(nodes: Sequence[Symbol], positions: Any) -> dict[str, Symbol]:
    """Nodes by name, from their positions."""
    return {read_name(name): nodes[_position(i, len(nodes))] for name, i in _a(dict, positions).items()}


def leaves(nodes: Sequence[Symbol], positions: Any) -> dict[str, Symbol]:
    """Inputs by name: different nodes that are given, not computed."""
    found = chosen(nodes, positions)
    if any(node.op is not None for node in found.values()) or len(set(map(id, found.values()))) < len(found):
        raise ValueError("an input of this graph is computed in it, or has two names")
    return found


def read_name(name: Any) -> str:
    """A name of a value, which reaches generated source: words joined by dots."""
    if not isinstance(name, str) or len(name) > LONGEST or not _NAME.fullmatch(name):
        raise ValueError(f"a name is made of letters, digits, _ and dots, and is no longer than {LONGEST}; this one is "
                         f"{str(name)[:80]!r}")
    return name


def _node(entry: Mapping[str, Any], nodes: Sequence[Symbol]) -> Symbol:
    name = read_name(entry["name"]) if entry["name"] else None
    if "op" not in entry:
        return _bounded(Symbol(_shape(entry["shape"]), name))
    if not isinstance(entry["op"], str) or entry["op"] not in TABLE:
        raise ValueError(f"this graph uses the operation {str(entry['op'])[:80]!r}, which this version does not have")
    op, attributes = TABLE[entry["op"]], _a(dict, _decode(_a(dict, entry["attributes"])))
    args = [nodes[_position(a["node"], len(nodes))] if isinstance(a, dict) else float(_a((int, float), a))
            for a in _a(list, entry["inputs"])]
    _check_call(op, args, attributes)
    node = apply(op, *args, **attributes)
    node.name = name
    return _bounded(node)


def _bounded(node: Symbol) -> Symbol:
    if prod(d for d in node.shape if isinstance(d, int)) > LARGEST:
        raise ValueError(f"{show(node.shape)} are more than {LARGEST} numbers a row and step")
    return node


def _check_call(op: Op, args: Sequence[Any], attributes: Mapping[str, Any]) -> None:
    """As many arguments as the table's row has, at least one of them a symbol, and the attributes that it has."""
    _, *names = inspect.signature(op.array).parameters                          # the first is the array module
    count = len(args) if op.variadic and args else len(op.derivatives)
    wanted = names[1 if op.variadic else count:]
    if len(args) != count or not any(isinstance(a, Symbol) for a in args) or attributes.keys() != set(wanted):
        raise ValueError(f"{op.name} takes {'' if op.variadic else f'{count} '}symbols and {', '.join(wanted) or 'nothing'}, "
                         f"not {len(args)} and {', '.join(map(repr, attributes)) or 'nothing'}"[:300])
    for key, value in attributes.items():
        if key not in _FORMS or not _FORMS[key](value):
            raise ValueError(f"{op.name}: a stored graph has no {key}={str(value)[:80]}")


def _shape(dims: Any) -> Shape:
    for d in _a(list, dims):
        if not (type(d) is int and d > 0) and d not in ("T", "B", "S"):
            raise ValueError(f"a size is a whole number above 0, 'T', 'B' or 'S', not {str(d)[:80]!r}")
    return tuple(dims)


def _position(i: Any, count: int) -> int:
    if type(i) is not int or not 0 <= i < count:
        raise ValueError(f"it uses node {str(i)[:80]!r}, and {count} nodes come before it")
    return i


def _a(kind: Any, value: Any) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"a {_CALLED[kind]} should stand where {str(value)[:80]!r} does")
    return value


# -- attributes ---------------------------------------------------------------------------------------------------------------
def _whole(value: Any) -> bool:
    return type(value) is int


def _all_whole(value: Any) -> bool:
    return isinstance(value, tuple) and all(map(_whole, value))


def _index(value: Any) -> bool:
    return isinstance(value, tuple) and all(i is None or i is Ellipsis or _whole(i) or isinstance(i, slice) for i in value)


_FORMS: dict[str, Callable[[Any], bool]] = {
    "axis": lambda v: _whole(v) or _all_whole(v), "axes": _all_whole, "keepdims": lambda v: isinstance(v, bool), "n": _whole,
    "tail": lambda v: _all_whole(v) and all(d > 0 for d in v), "shape": _all_whole, "index": _index,
    "subscripts": lambda v: isinstance(v, str) and re.fullmatch(r"[a-zA-Z,]*->[a-zA-Z]*", v) is not None}


def _decode(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"slice"}:
            return slice(*(None if part is None else int(part) for part in value["slice"]))
        if value.keys() == {"ellipsis"}:
            return Ellipsis
        return {k: _decode(v) for k, v in value.items()}
    return tuple(_decode(v) for v in value) if isinstance(value, list) else value
