"""A cell used inside a cell: its equations are written out in the outer one, under a prefix."""

from __future__ import annotations

from typing import Any

from .body import Equation, Written
from .expressions import Bernoulli, CellError, Declaration, Expression, Inner, Input, Memory, Reference, Setting, size_name
from .nodes import Blocks, Link, Weight, nodes


def with_inner(written: Written) -> Written:
    """What a class wrote, with the cells that it uses inside written out."""
    if not written.inner:
        return written
    out = Written(written.file, dict(written.declarations), dict(written.equations), {}, dict(written.latest),
                  dict(written.lines), written.cell, dict(written.initial))
    for prefix, (inner, line) in written.inner.items():
        _Copy(prefix, inner, line, f"{written.cell}.{prefix}, line {line}").into(out)
    return out


class _Copy:
    """The quantities of a complete cell with a prefix to their names, its input and memories bound to quantities of the
    outer cell; an expression given as its input becomes an equation of its own."""

    def __init__(self, prefix: str, inner: Inner, line: int, where: str):
        self.prefix, self.line, self.where = prefix, line, where
        self.definition = inner.cell.__cell__.definition
        self.initial = {**self.definition.initial, **type.__getattribute__(inner.cell, "initial")}
        self.bound: dict[str, Any] = {}
        self.expressions: dict[str, Any] = {}       # equation -> what was given as an argument
        self.sizes: dict[str, Any] = {}
        self.defaults: dict[str, float] = {}        # of settings
        self.done: dict[int, Any] = {}              # one memo for all equations: what they share stays shared
        taken = [n for n, d in self.definition.declarations.items() if isinstance(d, (Input, Memory))]
        if len(inner.arguments) != len(taken):
            raise CellError(f"{where}: {self.definition.name} inside a cell takes {', '.join(taken)} and was given "
                            f"{len(inner.arguments)} arguments")
        for name, argument in zip(taken, inner.arguments):
            self._bind(name, argument)
        for keyword, value in inner.keywords.items():
            self._take(keyword, value)

    def _bind(self, name: str, argument: Any) -> None:
        if isinstance(argument, Reference):
            self.bound[name] = argument
        elif isinstance(self.definition.declarations[name], Memory):
            raise CellError(f"{self.where}: {self.definition.name} looks at a memory, {name}; give it a Memory by its name")
        else:
            self.expressions[self._named(name)] = argument
            self.bound[name] = Reference(None, self._named(name))

    def _take(self, keyword: str, value: Any) -> None:
        """A size, or a setting as a number or as a setting of the outer cell."""
        settings = [n for n, d in self.definition.declarations.items() if isinstance(d, Setting)]
        sizes = {d for declared in self.definition.declarations.values() for d in declared.dimensions}
        sizes |= {n.rows for e in self.definition.equations.values() for n in nodes(e.expression) if isinstance(n, Blocks)}
        if keyword in settings and isinstance(value, Reference):
            self.bound[keyword] = value
        elif keyword in settings:
            self.defaults[keyword] = float(value)
        elif keyword.removesuffix("_size") in sizes:
            self.sizes[keyword.removesuffix("_size")] = size_name(value)
        else:
            names = ", ".join([*sorted(d for d in sizes if isinstance(d, str)), *settings])
            raise CellError(f"{self.where}: {self.definition.name} takes no {keyword}; its sizes and settings are {names}")

    def into(self, out: Written) -> None:
        for name, argument in self.expressions.items():
            out.equations[name] = Equation(name, argument, self.line)
            out.lines[name], out.latest[name] = self.line, name
        for name, declaration in self.definition.declarations.items():
            if name not in self.bound and name.removesuffix("_mask") not in self.bound:
                out.declarations[self._named(name)] = self._declaration(name, declaration)
                out.lines[self._named(name)] = self.line
        for key, equation in self.definition.equations.items():
            out.equations[self._named(key)] = Equation(self._named(key), self._expression(equation.expression), self.line)
            out.lines[self._named(key)] = self.line
        for name, version in self.definition.latest.items():
            if name not in self.bound:
                out.latest[self._named(name)] = self._named(version)
        out.initial |= {_prefixed(name, self.prefix): value for name, value in self.initial.items()}
        out.equations[self.prefix] = Equation(self.prefix, Reference(None, self._named(self.definition.output)), self.line)

    def _named(self, name: str) -> str:
        return f"{self.prefix}_{name}"

    def _size(self, size: Any) -> Any:
        return self.sizes.get(size, size)

    def _declaration(self, name: str, declaration: Declaration) -> Declaration:
        copy = object.__new__(type(declaration))
        for slot in (s for c in type(declaration).__mro__ for s in getattr(c, "__slots__", ())):
            setattr(copy, slot, getattr(declaration, slot))
        copy.dimensions = tuple(self._size(d) for d in declaration.dimensions)
        if isinstance(copy, Bernoulli) and isinstance(copy.p, Reference):
            copy.p = self._link(copy.p.name)  # type: ignore[assignment]
        if isinstance(copy, Setting):
            copy.default = self.defaults.get(name, copy.default)
        return copy

    def _expression(self, root: Any) -> Any:
        for node in nodes(root):
            if id(node) not in self.done:
                self.done[id(node)] = self._node(node)
        return self.done[id(root)] if isinstance(root, Expression) else root

    def _node(self, node: Any) -> Expression:
        inputs = tuple(self.done[id(a)] if isinstance(a, Expression) else a for a in node.inputs)
        if isinstance(node, Link):
            return self._link(node.key)
        if isinstance(node, Weight):
            return Weight(_prefixed(node.name, self.prefix), self._size(node.rows))
        if isinstance(node, Blocks):
            return Blocks(tuple(_prefixed(name, self.prefix) for name in node.names), self._size(node.rows), inputs)
        return Expression(node.op, inputs, node.attributes)

    def _link(self, key: str) -> Expression:
        if key in self.bound:
            return self.bound[key]
        memory = key.removesuffix("_mask")
        return self.bound[memory].mask if memory != key and memory in self.bound else Reference(None, self._named(key))


def _prefixed(parameter: str, prefix: str) -> str:
    """W_f.h of a cell used as `q` is W_q_f.h."""
    kind, _, rest = parameter.partition("_")
    return f"{kind}_{prefix}_{rest}"
