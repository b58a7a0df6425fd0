"""From class bodies to one list of equations: references become links, placeholders become named parameters.

Every class along the method resolution order contributes what it wrote itself. A reference means the final equation of
that name, except inside an equation that replaces another: there it means the one replaced, as super() does. One memo
serves the whole cell, keyed by (class that wrote it, node): an expression that two equations share stays one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .body import Written
from .expressions import (
    Bernoulli,
    CellError,
    Declaration,
    Expression,
    Extra,
    Inner,
    Input,
    Memory,
    Placeholder,
    Product,
    Reference,
    Setting,
    State,
)
from .inner import with_inner
from .nodes import Blocks, Link, Weight, links, nodes


@dataclass
class Resolved:
    """An equation whose expression holds Links, Blocks and Weights, and where it stands."""

    key: str
    expression: Any
    where: str


@dataclass
class Definition:
    """A cell class, complete: declarations in order, equations in an order of computation, the key of its output."""

    name: str
    declarations: dict[str, Declaration] = field(default_factory=dict)
    equations: dict[str, Resolved] = field(default_factory=dict)
    output: str = ""
    latest: dict[str, str] = field(default_factory=dict)
    initial: dict[str, float] = field(default_factory=dict)     # of the cells inside

    @property
    def input(self) -> str:
        return next(name for name, d in self.declarations.items() if isinstance(d, Input))

    @property
    def states(self) -> list[str]:
        return [name for name, d in self.declarations.items() if isinstance(d, State)]


def resolve(cell: str, classes: list[tuple[Any, Written]]) -> Definition:
    """`classes`: (class, what it wrote) along the method resolution order, the cell itself first."""
    return _Resolver(cell, classes).definition()


class _Resolver:
    def __init__(self, cell: str, classes: list[tuple[Any, Written]]):
        self.cell = cell
        self.classes = [(c, with_inner(w)) for c, w in classes]
        self.memo: dict[tuple[int, int], Any] = {}
        self.found: dict[str, Resolved] = {}
        self.keys: dict[tuple[str, int], str] = {}  # (equation, class that wrote it) -> its key in the cell
        self.claimed: dict[str, str] = {}           # parameter -> the equation that has it
        self.declarations: dict[str, Declaration] = {}
        self.kept: list[Any] = []                   # nodes that the memo knows by id stay alive
        for _, written in reversed(self.classes):
            self.declarations |= written.declarations

    def definition(self) -> Definition:
        latest: dict[str, str] = {}
        names: dict[str, None] = {}
        for _, written in reversed(self.classes):
            latest |= written.latest
            names |= dict.fromkeys(written.equations)
        for name in names:
            if name not in self.declarations or self._first(name, 0) < self._first_declared(name):
                self._resolve(name, self._first(name, 0))
        initial = {name: value for _, written in reversed(self.classes) for name, value in written.initial.items()}
        out = Definition(self.cell, self.declarations, self.found, "", latest, initial)
        self._check(out)
        out.output = latest["y"] if self._has_output(latest) else latest[f"{out.states[0]}_next"]
        out.equations = _needed(out, _sorted(self.cell, self.found))
        for key, equation in self.found.items():
            state = key.removesuffix("_next")
            if state != key and key not in out.equations and not isinstance(self.declarations.get(state), State):
                raise CellError(f"{equation.where}: {key} updates no state and nothing uses it; declare {state} = State()")
        return out

    def _has_output(self, latest: dict[str, str]) -> bool:
        return "y" in latest and "y" not in self.declarations

    # -- which equation a name means ----------------------------------------------------------------------------------------
    def _first(self, name: str, start: int) -> int:
        """The first class from `start` on that wrote an equation of this name."""
        return next((k for k in range(start, len(self.classes)) if name in self.classes[k][1].equations), len(self.classes))

    def _first_declared(self, name: str) -> int:
        return next((k for k, (_, w) in enumerate(self.classes) if name in w.declarations), len(self.classes))

    def _link(self, ref: Reference, writer: int, inside: str, where: str) -> Link:
        name = ref.name
        if ref.owner is not None:
            position = next((k for k, (c, _) in enumerate(self.classes) if c is ref.owner), None)
            if position is None:
                raise CellError(f"{where}: {ref.owner.__name__}.{name} belongs to a class that {self.cell} is not derived "
                                f"from; write class {self.cell}({ref.owner.__name__})")
            name = next((w.latest[name] for _, w in self.classes[position:] if name in w.latest), name)
            if name == inside:                       # the equation that this one replaces
                replaced = self._first(name, writer + 1)
                if replaced < len(self.classes):
                    return Link(self._resolve(name, replaced))
        first = self._first(name, 0)
        if name in self.declarations and self._first_declared(name) <= first:
            return Link(name)
        if first == len(self.classes):
            raise CellError(f"{where}: {name} is not declared and no equation of that name exists")
        return Link(name)

    # -- one equation -------------------------------------------------------------------------------------------------------
    def _resolve(self, name: str, writer: int) -> str:
        """Resolve the equation `name` as class number `writer` wrote it; returns its key in the cell."""
        if (name, writer) in self.keys:
            return self.keys[name, writer]
        written = self.classes[writer][1]
        key = self.keys[name, writer] = self._new_key(name, writer)
        equation = written.equations[name]
        where = f"{self.cell}.{name}, line {equation.line} of {written.file}"
        self.found[key] = Resolved(key, None, where)
        base = name if name in written.latest else name.rpartition("_")[0]      # name_2 is the third value of name
        label = base.removesuffix("_next") + name[len(base):]
        state = self.declarations.get(base.removesuffix("_next")) if base.endswith("_next") else None
        rows = state.dimensions[0] if isinstance(state, State) else "hidden"

        def leaf(node: Any) -> Any:
            if isinstance(node, (Link, Blocks, Weight)):                   # of a cell used inside this one
                names = node.names if isinstance(node, Blocks) else (node.name,) if isinstance(node, Weight) else ()
                for parameter in names:
                    self._claim(parameter, key, where)
                return node
            if isinstance(node, Reference):
                return self._link(node, writer, name, where)
            if isinstance(node, (Declaration, Inner)):
                what = node.cell.__name__ if isinstance(node, Inner) else type(node).__name__
                raise CellError(f"{where}: a {what} is used without a name; give it a line of its own: q = {what}(...)")
            raise CellError(f"{where}: W stands only before a product, W @ [h, x]")

        def rebuild(node: Expression, inputs: tuple) -> Expression:
            if isinstance(node, Blocks):
                for parameter in node.names:
                    self._claim(parameter, key, where)
                return Blocks(node.names, node.rows, inputs)
            if not isinstance(node, Product):
                return Expression(node.op, inputs, node.attributes)
            names = tuple(f"W_{label}.{self._operand_name(o, where)}" for o in node.inputs)
            for parameter in names:
                self._claim(parameter, key, where)
            return Blocks(names, rows, inputs)

        def placeholder(node: Placeholder, parent: Expression) -> Any:
            if node.kind == "W":
                return leaf(node)
            if node.kind == "b":
                parameter = f"b_{label}"
            else:
                others = [a for a in parent.inputs if isinstance(a, Expression) and a is not node]
                if not others or parent.op is None or parent.op.name not in ("multiply", "matmul"):
                    raise CellError(f"{where}: w stands only in a product, w * c or w @ e")
                parameter = f"w_{label}.{self._operand_name(others[0], where)}"
            self._claim(parameter, key, where)
            return Weight(parameter, rows)

        self.found[key].expression = self._rewrite(equation.expression, writer, leaf, rebuild, placeholder)
        return key

    def _new_key(self, name: str, writer: int) -> str:
        """The name itself; for an equation that an edit replaces, with the name of the class that wrote it."""
        if writer == self._first(name, 0):
            return name
        key = f"{name}_{self.classes[writer][0].__name__}"
        while key in self.found or key in self.declarations or self._first(key, 0) < len(self.classes):
            key += "_"
        return key

    def _rewrite(self, root: Any, writer: int, leaf: Callable, rebuild: Callable, placeholder: Callable) -> Any:
        """The expression with its leaves replaced, bottom up, through the cell's memo."""
        if not isinstance(root, Expression):
            return float(root)
        if isinstance(root, Placeholder):
            return placeholder(root, Expression(None, ()))
        for node in nodes(root):
            if (isinstance(node, Placeholder) and node.kind != "W") or (writer, id(node)) in self.memo:
                continue
            self.kept.append(node)
            if not node.inputs:
                self.memo[writer, id(node)] = leaf(node)
                continue
            given = tuple(placeholder(a, node) if isinstance(a, Placeholder) and a.kind != "W" else
                          self.memo[writer, id(a)] if isinstance(a, Expression) else a for a in node.inputs)
            self.memo[writer, id(node)] = rebuild(node, given)
        return self.memo[writer, id(root)]

    def _operand_name(self, operand: Expression, where: str) -> str:
        """Its own name, else that of its only state, input or memory, else of its only equation."""
        references = [n for n in nodes(operand) if isinstance(n, (Reference, Link))]
        names = list(dict.fromkeys(n.name if isinstance(n, Reference) else n.key for n in references))
        carried = [n for n in names if isinstance(self.declarations.get(n), (Input, State, Memory))]
        for candidates in (carried, names):
            if len(candidates) == 1:
                return candidates[0]
        raise CellError(f"{where}: an operand made of {', '.join(names) or 'no quantity'} has no single name to call its "
                        "weights by; give it a line of its own: q = ..., then W @ q")

    def _claim(self, parameter: str, key: str, where: str) -> None:
        if parameter in self.declarations or self._first(parameter, 0) < len(self.classes):
            raise CellError(f"{where}: its bias is called {parameter}, as another quantity of the cell is; give that one "
                            "another name")
        if parameter in self.claimed:
            raise CellError(f"{where}: two parameters claim the name {parameter} (the other in {self.claimed[parameter]}); "
                            "give one a line of its own: q = W @ h + b, then use q")
        self.claimed[parameter] = key

    # -- the whole cell -------------------------------------------------------------------------------------------------------
    def _check(self, out: Definition) -> None:
        inputs = [n for n, d in self.declarations.items() if isinstance(d, Input)]
        if len(inputs) != 1:
            raise CellError(f"{self.cell}: a cell has one Input, not {len(inputs)} ({', '.join(inputs) or 'none'}); "
                            "declare what else arrives as Extra()")
        for name, declaration in self.declarations.items():
            line = next(w.lines[name] for _, w in self.classes if name in w.lines)
            self._check_name(name, declaration, f"{self.cell}.{name}, line {line}")
            if isinstance(declaration, State) and f"{name}_next" not in out.latest:
                raise CellError(f"{self.cell}.{name}, line {line}: the state {name} has no equation {name}_next = ...")
        if not out.states and not self._has_output(out.latest):
            raise CellError(f"{self.cell}: has neither a state nor an output y = ...; declare one")

    def _check_name(self, name: str, declaration: Declaration, where: str) -> None:
        """What becomes a keyword or a field must not mean something else already."""
        if isinstance(declaration, State) and name.startswith("_"):
            raise CellError(f"{where}: a state's name begins with a letter, as it is read as state.{name.lstrip('_')}")
        keywords = [d for d in declaration.dimensions if isinstance(d, str)] + [name] * isinstance(declaration, Setting)
        taken = [k for k in keywords if k in _OF_LAYERS] + [name] * (isinstance(declaration, (Extra, Memory))
                                                                    and name in ("state", "lengths"))
        if taken:
            raise CellError(f"{where}: {taken[0]} is an argument of every layer; give this {declaration.kind} another name")
        if isinstance(declaration, Bernoulli) and isinstance(declaration.p, Reference) \
                and not isinstance(self.declarations.get(declaration.p.name), Setting):
            raise CellError(f"{where}: a mask's probability is a number or a Setting; {declaration.p.name} is none")


_OF_LAYERS = ("cell", "input_size", "hidden_size", "num_layers", "bidirectional", "batch_first", "dropout", "compile", "dtype",
              "init")


def _sorted(cell: str, equations: dict[str, Resolved]) -> dict[str, Resolved]:
    """In the order they were written, but each after what it uses. Refuses a cycle."""
    done: dict[str, Resolved] = {}
    for start in equations:
        path: list[str] = []
        stack = [(start, False)]
        while stack:
            key, uses_are_done = stack.pop()
            if uses_are_done:
                path.pop()
                done[key] = equations[key]
            elif key in path:
                cycle = " -> ".join([*path[path.index(key):], key])
                raise CellError(f"{equations[key].where}: the equations {cycle} need each other; a value of the step before "
                                "is a state (c, not c_next)")
            elif key not in done:
                path.append(key)
                stack.append((key, True))
                stack += [(k, False) for k in reversed(links(equations[key].expression)) if k in equations]
    return done


def _needed(definition: Definition, equations: dict[str, Resolved]) -> dict[str, Resolved]:
    """Without the equations that no state and no output needs."""
    needed = {definition.output, *(definition.latest[f"{s}_next"] for s in definition.states)}
    for key in reversed(equations):
        if key in needed:
            needed |= set(links(equations[key].expression))
    return {key: e for key, e in equations.items() if key in needed}
