"""From class bodies to one list of equations: references become links, placeholders become named parameters.

Every class along the method resolution order contributes what it wrote itself. A reference means the final equation of
that name, except inside an equation that replaces another: there it means the one replaced, as super() does. One memo
serves the whole cell, keyed by (class that wrote it, node): an expression that two equations share stays one.
"""

from __future__ import annotations

from typing import Any, TypeGuard

from .body import Written
from .definition import Definition, Resolved, complete
from .expressions import CellError, Declaration, Expression, Inner, Input, Memory, Placeholder, Product, Reference, State
from .inner import with_inner
from .nodes import Blocks, Link, Weight, nodes


def resolve(cell: str, classes: list[tuple[Any, Written]]) -> Definition:
    """`classes`: (class, what it wrote) along the method resolution order, the cell itself first."""
    return _Cell(cell, classes).definition()


class _Cell:
    """All classes of a cell: which equation a name means, and what has been resolved so far."""

    def __init__(self, name: str, classes: list[tuple[Any, Written]]):
        self.name = name
        self.classes = [(c, with_inner(w)) for c, w in classes]
        self.memo: dict[tuple[int, int], Any] = {}
        self.kept: list[Any] = []                   # nodes that the memo knows by id stay alive
        self.found: dict[str, Resolved] = {}
        self.keys: dict[tuple[str, int], str] = {}  # (equation, class that wrote it) -> its key in the cell
        self.claimed: dict[str, str] = {}           # parameter -> the equation that has it
        self.declarations: dict[str, Declaration] = {}
        for _, written in reversed(self.classes):
            self.declarations |= written.declarations

    def definition(self) -> Definition:
        latest: dict[str, str] = {}
        lines: dict[str, int] = {}
        initial: dict[str, float] = {}
        names: dict[str, None] = {}
        for _, written in reversed(self.classes):
            latest |= written.latest
            lines |= written.lines
            initial |= written.initial
            names |= dict.fromkeys(written.equations)
        for name in names:
            if not self.is_declared(name):
                self.equation(name, self.first(name, 0))
        return complete(Definition(self.name, self.declarations, self.found, "", latest, initial), lines)

    def first(self, name: str, start: int) -> int:
        """The first class from `start` on that wrote an equation of this name."""
        return next((k for k in range(start, len(self.classes)) if name in self.classes[k][1].equations), len(self.classes))

    def is_declared(self, name: str) -> bool:
        """Does the name mean a declaration, and no equation that a subclass put in its place?"""
        declared = next((k for k, (_, w) in enumerate(self.classes) if name in w.declarations), len(self.classes))
        return name in self.declarations and declared <= self.first(name, 0)

    def equation(self, name: str, writer: int) -> str:
        """The key of the equation `name` as class number `writer` wrote it, resolved."""
        if (name, writer) not in self.keys:
            self.keys[name, writer] = key = self._new_key(name, writer)
            self.found[key] = Resolved(key, None, "")
            equation = _Equation(self, name, writer, key)
            self.found[key].where = equation.where
            self.found[key].expression = equation.resolved()
        return self.keys[name, writer]

    def link(self, ref: Reference, writer: int, inside: str, where: str) -> Link:
        """What a reference means that class number `writer` wrote in its equation `inside`."""
        name = ref.name
        if ref.owner is not None:
            position = next((k for k, (c, _) in enumerate(self.classes) if c is ref.owner), None)
            if position is None:
                raise CellError(f"{where}: {ref.owner.__name__}.{name} belongs to a class that {self.name} is not derived "
                                f"from; write class {self.name}({ref.owner.__name__})")
            name = next((w.latest[name] for _, w in self.classes[position:] if name in w.latest), name)
            replaced = self.first(name, writer + 1)
            if name == inside and replaced < len(self.classes):
                return Link(self.equation(name, replaced))
        if not self.is_declared(name) and self.first(name, 0) == len(self.classes):
            raise CellError(f"{where}: {name} is not declared and no equation of that name exists")
        return Link(name)

    def claim(self, parameter: str, key: str, where: str) -> str:
        if parameter in self.declarations or self.first(parameter, 0) < len(self.classes):
            raise CellError(f"{where}: its bias is called {parameter}, as another quantity of the cell is; give that one "
                            "another name")
        if parameter in self.claimed:
            raise CellError(f"{where}: two parameters claim the name {parameter} (the other in {self.claimed[parameter]}); "
                            "give one a line of its own: q = W @ h + b, then use q")
        self.claimed[parameter] = key
        return parameter

    def _new_key(self, name: str, writer: int) -> str:
        """The name itself; for an equation that an edit replaces, with the name of the class that wrote it."""
        if writer == self.first(name, 0):
            return name
        key = f"{name}_{self.classes[writer][0].__name__}"
        while key in self.found or key in self.declarations or self.first(key, 0) < len(self.classes):
            key += "_"
        return key


class _Equation:
    """One equation as one class wrote it: its expression is rebuilt, bottom up, through the cell's memo."""

    def __init__(self, cell: _Cell, name: str, writer: int, key: str):
        written = cell.classes[writer][1]
        self.cell, self.name, self.writer, self.key = cell, name, writer, key
        self.written = written.equations[name]
        self.where = f"{cell.name}.{name}, line {self.written.line} of {written.file}"
        base = name if name in written.latest else name.rpartition("_")[0]      # name_2 is the third value of name
        self.label = base.removesuffix("_next") + name[len(base):]              # h_next has W_h and b_h
        state = cell.declarations.get(base.removesuffix("_next")) if base.endswith("_next") else None
        self.rows = state.dimensions[0] if isinstance(state, State) else "hidden"

    def resolved(self) -> Any:
        root, memo = self.written.expression, self.cell.memo
        if not isinstance(root, Expression):
            return float(root)
        if _is_vector(root):
            return self._vector(root, Expression(None, ()))
        for node in nodes(root):
            if not _is_vector(node) and (self.writer, id(node)) not in memo:
                self.cell.kept.append(node)
                memo[self.writer, id(node)] = self._rebuilt(node) if node.inputs else self._leaf(node)
        return memo[self.writer, id(root)]

    def _rebuilt(self, node: Expression) -> Expression:
        memo = self.cell.memo
        inputs = tuple(self._vector(a, node) if _is_vector(a) else memo[self.writer, id(a)] if isinstance(a, Expression) else a
                       for a in node.inputs)
        if isinstance(node, Product):
            names = tuple(f"W_{self.label}.{self._operand_name(o)}" for o in node.inputs)
            return Blocks(self._claimed(names), self.rows, inputs)
        if isinstance(node, Blocks):                        # of a cell used inside this one
            return Blocks(self._claimed(node.names), node.rows, inputs)
        return Expression(node.op, inputs, node.attributes)

    def _leaf(self, node: Any) -> Expression:
        if isinstance(node, Reference):
            return self.cell.link(node, self.writer, self.name, self.where)
        if isinstance(node, Weight):                        # of a cell used inside this one
            self._claimed((node.name,))
        if isinstance(node, (Link, Weight)):
            return node
        if isinstance(node, (Declaration, Inner)):
            what = node.cell.__name__ if isinstance(node, Inner) else type(node).__name__
            raise CellError(f"{self.where}: a {what} is used without a name; give it a line of its own: q = {what}(...)")
        raise CellError(f"{self.where}: W stands only before a product, W @ [h, x]")

    def _vector(self, node: Placeholder, parent: Expression) -> Weight:
        """The parameter that `w` or `b` stands for in an operation."""
        if node.kind == "b":
            return Weight(self.cell.claim(f"b_{self.label}", self.key, self.where), self.rows)
        others = [a for a in parent.inputs if isinstance(a, Expression) and a is not node]
        if not others or parent.op is None or parent.op.name not in ("multiply", "matmul"):
            raise CellError(f"{self.where}: w stands only in a product, w * c or w @ e")
        name = f"w_{self.label}.{self._operand_name(others[0])}"
        return Weight(self.cell.claim(name, self.key, self.where), self.rows)

    def _claimed(self, parameters: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self.cell.claim(p, self.key, self.where) for p in parameters)

    def _operand_name(self, operand: Expression) -> str:
        """Its own name, else that of its only state, input or memory, else of its only equation."""
        references = [n for n in nodes(operand) if isinstance(n, (Reference, Link))]
        names = list(dict.fromkeys(n.name if isinstance(n, Reference) else n.key for n in references))
        carried = [n for n in names if isinstance(self.cell.declarations.get(n), (Input, State, Memory))]
        for candidates in (carried, names):
            if len(candidates) == 1:
                return candidates[0]
        raise CellError(f"{self.where}: an operand made of {', '.join(names) or 'no quantity'} has no single name to call its "
                        "weights by; give it a line of its own: q = ..., then W @ q")


def _is_vector(node: Any) -> TypeGuard[Placeholder]:
    """w or b, which get a name only where they stand."""
    return isinstance(node, Placeholder) and node.kind != "W"
