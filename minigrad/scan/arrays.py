"""The plan run by an array module, NumPy or one with its names: products before and after the loop once, and in the loop one
product a group and the stages' operations, on the rows that are in use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ..codegen import python_function, python_names
from ..graph import Region
from ..ops import reductions
from ..symbol import Symbol
from .packed import Packed, Pull
from .passes.divide import LOOP
from .passes.merge import Group
from .passes.plan import Half, Plan, Stage
from .rows import Named, Rows


class Execution:
    """One half of a plan on arrays.

    given:   leaves by symbol: of steps packed (total, ...), of rows sorted (rows, ...), others as they are.
    work:    (total, width), the pre-activations; backward their adjoints.
    stacks:  values of every step, packed, by symbol.
    """

    def __init__(self, plan: Plan, half: Half, rows: Rows, given: Mapping[int, Any], weights: Mapping[str, Any], work: Any,
                 xp: Any, backward: bool):
        self.plan, self.half, self.rows, self.xp, self.backward = plan, half, rows, xp, backward
        self.given = dict(given)
        self.weights, self.work = weights, work
        self.stacks: dict[int, Any] = {}
        self._merged: dict[tuple, Any] = {}
        if not backward:
            self.stacks = {id(plan.step.graph.inputs[pre]): work[:, columns] for pre, columns in plan.columns.items()}

    # -- all steps at once ------------------------------------------------------------------------------------------------
    def all_steps(self, stages: list[Stage]) -> None:
        for stage in stages:
            for group in stage.groups:
                self._multiply(group)
            for node in stage.nodes:
                (self.stacks if "T" in node.shape else self.given)[id(node)] = self._computed(node)
            for source, pre in stage.writes:
                self.work[:, self.plan.columns[pre]] = self.stack(source)

    def _multiply(self, group: Group) -> None:
        first = group.edges[0]
        if not self.backward:
            self.work[:, group.columns] += self.stack(first.source) @ self.merged(group)
            return
        product = self.work[:, group.columns] @ self.merged(group)
        old = self.stacks.get(id(first.target))
        self.stacks[id(first.target)] = product if old is None else old + product

    def _computed(self, node: Symbol) -> Any:
        if node.op is reductions.sum and "T" in node.inputs[0].shape and "T" not in node.shape:
            return self._summed(node)
        get = self.stack if "T" in node.shape else self.value
        given = [get(a) if isinstance(a, Symbol) else a for a in node.inputs]
        array = node.op.array(self.xp, *given, **node.attributes)  # type: ignore[union-attr]
        return array.astype(self.work.dtype, copy=False)        # a truth value times a Python float would be float64

    def _summed(self, node: Symbol) -> Any:
        """A sum over steps, and rows unless it keeps them; packed, both stand in the first axis."""
        value = self.stack(node.inputs[0])
        if "B" not in node.shape:
            features = [a for a in node.attributes["axis"] if a + len(node.inputs[0].shape) > 1]
            total = value.sum(0)
            return total.sum(tuple(features)) if features else total
        return self.rows.summed(value)

    def stack(self, node: Symbol) -> Any:
        """The value of all steps, packed; a quantity of rows is spread over its steps."""
        if id(node) in self.stacks:
            return self.stacks[id(node)]
        value = self.given[id(node)]
        if "B" in node.shape and "T" not in node.shape:
            value = value[self.rows.owners()]
        self.stacks[id(node)] = value
        return value

    def value(self, node: Symbol) -> Any:
        """The value as it is: of steps packed, of rows sorted, or fixed."""
        return self.stack(node) if "T" in node.shape else self.given[id(node)]

    def merged(self, group: Group) -> Any:
        """The weights of a group as one matrix, transposed forward."""
        names = tuple(e.weight for e in group.edges)
        if names not in self._merged:
            matrix = self.weights[names[0]] if len(names) == 1 else self.xp.concatenate([self.weights[n] for n in names])
            self._merged[names] = matrix if self.backward else self.xp.ascontiguousarray(matrix.T)
        return self._merged[names]

    # -- step by step -------------------------------------------------------------------------------------------------------
    def step_by_step(self, carried: list[Carried]) -> None:
        """The loop."""
        half, rows = self.half, self.rows
        accumulated = [(id(n), id(n.inputs[0])) for n in half.sums]
        nodes = [node for stage in half.loop for node in stage.nodes]
        received = {id(c.leaf) for c in carried}        # what a step hands on unchanged is copied: writing may overtake it
        computed = {id(n) for n in nodes} | received
        fed = {id(g.edges[0].target) for s in half.loop for g in s.groups} if self.backward else set()
        used = [a for n in nodes for a in n.inputs if isinstance(a, Symbol)]
        used += [g.edges[0].source for s in half.loop for g in s.groups] if not self.backward else []
        used += [c.update for c in carried if c.update is not None]
        used += [source for stage in half.loop for source, _ in stage.writes] + half.stacked
        leaves = {id(a): a for a in used if id(a) not in computed and (id(a) not in fed or id(a) in self.stacks)}
        packed = [(i, self.stack(a)) for i, a in leaves.items() if "T" in a.shape]
        of_rows = [(i, self.given[i]) for i, a in leaves.items() if "T" not in a.shape and "B" in a.shape]
        fixed = {i: self.given[i] for i, a in leaves.items() if "T" not in a.shape and "B" not in a.shape}
        kept: list[tuple[int, Any]] = []
        xp, work = self.xp, self.work
        program = [(self._groups(stage), compiled(region, xp, work.dtype),
                    [id(a) for a in region.inputs], [id(y) for y in region.outputs],
                    [(id(s), self.plan.columns[pre]) for s, pre in stage.writes])
                   for stage, region in zip(half.loop, half.regions[LOOP])]
        for t in reversed(list(rows)) if self.backward else rows:
            m, here = rows.counts[t], rows.packed(t)
            if not m and rows.total:            # if no row runs at all, one empty step tells the shapes
                continue
            env = dict(fixed)
            for i, stack in packed:
                env[i] = stack[here]
            for i, array in of_rows:
                env[i] = array[:m]
            for c in carried:
                env[id(c.leaf)] = c.read(t, m)
            now = work[here]
            for groups, function, reads, results, writes in program:
                for columns, matrix, i in groups:
                    if self.backward:
                        product = now[:, columns] @ matrix
                        env[i] = env[i] + product if i in env else product
                    else:
                        now[:, columns] += env[i] @ matrix
                if results:
                    env.update(zip(results, function(*[env[i] for i in reads])))
                for i, columns in writes:
                    now[:, columns] = env[i]
            if not kept:
                kept = [(id(n), self._room(n, env[id(n)])) for n in half.stacked]
            for i, stack in kept:
                stack[here] = env[i]
            news = [0.0 if c.update is None else env[id(c.update)] for c in carried]
            for c, new in zip(carried, [xp.array(v) if id(c.update) in received else v for c, v in zip(carried, news)]):
                c.write(t, m, new)
            for total, i in accumulated:
                if total not in self.given:
                    self.given[total] = xp.zeros((rows.rows, *env[i].shape[1:]), env[i].dtype)
                self.given[total][:m] += env[i]
        self.stacks.update(kept)
        self.stacks.update({i: work[:, columns] for *_, writes in program for i, columns in writes})    # whole only now

    def _groups(self, stage: Stage) -> list[tuple]:
        return [(g.columns, self.merged(g), id(g.edges[0].target if self.backward else g.edges[0].source))
                for g in stage.groups]

    def _room(self, node: Symbol, value: Any) -> Any:
        """Where a value of the loop is kept for all steps, given that of one: for what is computed from a pre-activation
        that nothing else reads, in its place."""
        place = self._in_place(node)
        return self.xp.empty((self.rows.total, *value.shape[1:]), value.dtype) if place is None else place

    def _in_place(self, node: Symbol) -> Any:
        if self.backward or node.op is None or not node.op.elementwise or len(node.inputs) != 1:
            return None
        pre = node.inputs[0]
        readers = [n for n in self.half.flow.graph.nodes if any(a is pre for a in n.inputs)]
        if len(readers) > 1 or pre.name not in self.plan.columns or any(s is pre for s in self.plan.saved):
            return None
        return self.work[:, self.plan.columns[pre.name]]


class Carried:
    """What a step hands to the next. Forward: blocks of all steps; backward: one array of the rows."""

    def __init__(self, leaf: Symbol, update: Symbol | None, array: Any, rows: Rows | None = None):
        self.leaf, self.update, self.array, self.rows = leaf, update, array, rows

    def read(self, t: int, m: int) -> Any:
        return self.array[:m] if self.rows is None else self.array[self.rows.before(t)]

    def write(self, t: int, m: int, value: Any) -> None:
        self.array[slice(m) if self.rows is None else self.rows.after(t)] = value


def compiled(region: Region, xp: Any, dtype: Any) -> Callable[..., tuple]:
    """The region's operations as a function over arrays of `xp`, from the source that is printed for it; made once."""
    key = (xp.__name__, str(dtype))
    if key not in region.made:
        names = python_names(xp, dtype)
        exec(compile(python_function(region), f"<{region.name}>", "exec"), names)
        region.made[key] = names[region.name]
    return region.made[key]


class Arrays(Packed):
    """A plan for the arrays of one module."""

    def __init__(self, plan: Plan, xp: Any):
        self.plan, self.xp = plan, xp

    def run(self, rows: Rows, given: Named, states: Named) -> tuple[Named, Named, Pull]:
        y, last, run = forward(self.plan, rows, given, states, self.xp)
        return y, last, partial(backward, run)


def forward(plan: Plan, rows: Rows, given: Named, states: Named,
            xp: Any) -> tuple[Named, Named, Execution]:
    """given: the inputs by name, as `Execution` takes them; states: (rows, size), sorted.

    Returns the outputs packed, the last states (rows, size) sorted, and the execution, which `backward` reads.
    """
    graph = plan.step.graph
    like = next(iter({**given, **states}.values())).dtype
    work = xp.zeros((rows.total, plan.width), like)
    for pre, names in plan.step.biases.items():
        for name in names:
            work[:, plan.columns[pre]] += given[name]
    run = Execution(plan, plan.forward, rows, {id(leaf): given[n] for n, leaf in graph.inputs.items() if n in given}, given,
                    work, xp, backward=False)
    run.all_steps(plan.forward.before)
    carried = []
    for name, update in plan.carry.items():
        blocks = xp.empty((rows.starts[-1], states[name].shape[1]), like)
        rows.begin(blocks, states[name])
        carried.append(Carried(graph.inputs[name], graph.outputs[update], blocks, rows))
    run.step_by_step(carried)
    for c in carried:
        run.stacks[id(c.leaf)] = rows.befores(c.array)
        run.stacks[id(c.update)] = rows.afters(c.array)
    run.all_steps(plan.forward.after)
    last = {name: rows.last(c.array, states[name]) for name, c in zip(plan.carry, carried)}
    return {name: run.stack(graph.outputs[name]) for name in plan.results}, last, run


def backward(run: Execution, g_ys: Named, g_last: Named) -> dict[str, Any]:
    """g_ys packed, g_last (rows, size) sorted -> the gradients by name: of steps packed, of rows and states sorted."""
    plan, rows, xp, half = run.plan, run.rows, run.xp, run.plan.backward
    assert half is not None
    graph, step = half.flow.graph, plan.step
    work = xp.zeros(run.work.shape, run.work.dtype)
    back = Execution(plan, half, rows, run.given, run.weights, work, xp, backward=True)
    back.stacks.update({id(s): run.stack(s) for s in plan.saved})
    for name, update in plan.carry.items():
        for s in (step.graph.inputs[name], step.graph.outputs[update]):
            back.stacks[id(s)] = run.stacks[id(s)]
    back.stacks.update({id(e.source): work[:, plan.columns[e.pre]] for e in half.flow.edges})
    back.stacks.update({id(graph.inputs[f"g_{name}"]): g for name, g in g_ys.items()})
    for name, left in step.graph.outputs.items():
        if name.startswith("left.") and not any(e.target is graph.inputs[f"g_{name}"] for e in half.flow.edges):
            back.given[id(graph.inputs[f"g_{name}"])] = xp.zeros((rows.total, left.shape[-1]), work.dtype)
    back.all_steps(half.before)
    carried = [Carried(graph.inputs[f"g_{update}"], graph.outputs.get(f"d_{name}"), g_last[name])
               for name, update in plan.carry.items()]
    back.step_by_step(carried)
    back.all_steps(half.after)
    found = {name: back.value(node) for name, node in plan.gradients.items()}
    found |= {name: c.array for name, c in zip(plan.carry, carried)}
    return {**found, **_of_weights(back, half)}


def _of_weights(back: Execution, half: Half) -> dict[str, Any]:
    """The gradients of matrices and biases, from the adjoints of all pre-activations."""
    plan, step = back.plan, back.plan.step
    out: dict[str, Any] = {}
    fed = {e.pre for e in half.flow.edges}
    for left, group in plan.deferred:
        product = back.work[:, group.columns].T @ back.stack(left)
        for edge in group.edges:
            own = plan.columns[edge.pre]
            g = product[own.start - group.columns.start:own.stop - group.columns.start]
            out[edge.weight] = out[edge.weight] + g if edge.weight in out else g
    for pre, names in step.biases.items():
        for name in names if pre in fed else ():
            g = back.work[:, plan.columns[pre]].sum(0)
            out[name] = out[name] + g if name in out else g
    return out
