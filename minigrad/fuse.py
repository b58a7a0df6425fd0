"""Fuse: a function of tensors as one generated kernel forward and one backward."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from struct import Struct
from typing import Any, NamedTuple

import numpy as np

from . import anomaly, backends
from .autograd import differentiate, fit, grad_enabled
from .codegen import Unsupported, c_function, cuda_kernel, cuda_source, python_function, python_names
from .graph import Graph, Region, derive
from .graph.simplify import simplify
from .native import NoCompiler, address, empty, library, runtime, threads
from .native.build import CTYPES
from .notice import notice
from .ops import ShapeError
from .ops.shapes import broadcast
from .results import Results
from .symbol import Symbol
from .tensor import Tensor, tensor

SMALL = 100_000                 # numbers below which a second thread costs more than it brings
WIDTH = 1024                    # numbers that a thread takes at a time
ALIKE = {"b": "b", "i": "iu", "f": "f"}         # kinds of dtypes, by the kind of a number


def fuse(f: Callable[..., Any]) -> Callable[..., Any]:
    """The elementwise function `f` of tensors, which returns a tensor or a tuple of them, computed by one kernel: C on the
    CPU, CUDA on a GPU; and its gradients by another. Also a decorator.

        >>> import minigrad as mg
        >>> @mg.fuse
        ... def highway(x, y, t):
        ...     t = mg.sigmoid(t)
        ...     return t * x + (1 - t) * y
        >>> highway(mg.ones(3), mg.zeros(3), mg.tensor(0.0))
        tensor([0.5, 0.5, 0.5])

    Arguments broadcast. The kernels are made at the first call and serve all sizes. They compute in the widest dtype of
    the floating-point arguments, whole numbers beside them as well; the results have the dtypes that `f` gives. Whole numbers
    as results, and second derivatives, come from `f` itself. `highway.source()` is what is generated.
    Raises ShapeError if `f` does more than compute element by element.
    """
    return functools.wraps(f)(Fused(f))


class Kind(NamedTuple):
    """What `f` returns for tensors of certain dtypes.

    computed:  the dtype in which kernels compute it, or None where they cannot, as they know no whole numbers.
    dtypes:    of the results.
    tracked:   of each result, whether it has a gradient.
    several:   is it a tuple?
    """

    computed: Any
    dtypes: list[Any]
    tracked: list[bool]
    several: bool


class Fused:
    """What `fuse` returns. Kernels are kept by which arguments are arrays and which single numbers, by which gradients are
    wanted, and by dtype."""

    def __init__(self, f: Callable[..., Any]):
        if not callable(f):
            raise TypeError(f"fuse takes a function of tensors, not {f!r}")
        self.f = f
        self.name = f.__name__ if getattr(f, "__name__", "").isidentifier() else "function"
        self._graphs: dict[tuple, Graph] = {}
        self._kinds: dict[tuple, Kind] = {}
        self._kernels: dict[tuple, Kernel] = {}

    def __call__(self, *args: Any) -> Any:
        inputs = _tensors(args)
        if not inputs:
            raise TypeError(f"fuse: {self.name} takes at least one tensor")
        shape, kind = broadcast(*(a.shape for a in inputs)), self.kind(inputs)
        if kind.computed is None or anomaly.current():
            made = self.f(*inputs)
            parts = tuple(y.broadcast_to(shape) for y in (made if kind.several else (made,)))
        else:
            run = _Run(self, inputs, shape, kind)
            results = Results(run, inputs, any(kind.tracked))
            parts = tuple(results.part(k) if tracked else Tensor(run.arrays[k]) for k, tracked in enumerate(kind.tracked))
        return parts if kind.several else parts[0]

    def kind(self, inputs: tuple[Tensor, ...]) -> Kind:
        """As `f` itself tells, given empty tensors."""
        key = (grad_enabled(), *((a.dtype, a.requires_grad) for a in inputs))
        if key not in self._kinds:
            self.graph((True,) * len(inputs))                   # refuses what cannot be fused
            made = self.f(*(Tensor(np.empty(0, a.dtype), a.requires_grad) for a in inputs))
            results = made if isinstance(made, tuple) else (made,)
            widest = np.result_type(bool, *(a.dtype for a in inputs if a.dtype.kind == "f"))
            fits = widest.name in CTYPES and all(y.dtype.kind in "fb" for y in results)
            self._kinds[key] = Kind(widest if fits else None, [y.dtype for y in results], [y.requires_grad for y in results],
                                    isinstance(made, tuple))
        return self._kinds[key]

    def graph(self, full: tuple[bool, ...]) -> Graph:
        """Of one element: arguments of the full shape are arrays, the others single numbers."""
        if full not in self._graphs:
            leaves = {f"x{k}": Symbol(("B", "S") if array else (1,), f"x{k}") for k, array in enumerate(full)}
            made = self.f(*leaves.values())
            results = made if isinstance(made, tuple) else (made,)
            if not results or not all(isinstance(y, Symbol) for y in results):
                raise TypeError(f"fuse: {self.name} must return what it computes from its arguments by minigrad's functions, "
                                f"not {made!r}")
            graph = simplify(Graph(leaves, {f"y{k}": y for k, y in enumerate(results)}))
            for node in graph.nodes:
                if node.op is not None and not node.op.elementwise:
                    raise ShapeError(f"fuse: {self.name} uses {node.op.name}, which is not computed element by element")
            self._graphs[full] = graph
        return self._graphs[full]

    def kernel(self, full: tuple[bool, ...], wanted: tuple[str, ...], xp: Any, dtype: Any) -> Kernel:
        """wanted: arguments whose gradients it computes; none for the function itself."""
        key = (full, wanted, xp.__name__, dtype)
        if key not in self._kernels:
            self._kernels[key] = Kernel(*self.region(full, wanted), xp, dtype)
        return self._kernels[key]

    def region(self, full: tuple[bool, ...], wanted: tuple[str, ...]) -> tuple[Graph, Region]:
        """What such a kernel computes, and its operations, to be printed as one function."""
        graph = self.graph(full)
        graph = simplify(derive(graph, wanted)) if wanted else graph
        computed = [n for n in graph.nodes if n.op is not None]
        return graph, Region(f"{self.name}_{'backward' if wanted else 'forward'}", list(graph.inputs.values()),
                             list({id(y): y for y in graph.outputs.values() if y.op is not None}.values()), computed)

    def source(self, dialect: str = "C") -> str:
        """What is generated for the function and for its gradients, where all arguments are float32 arrays; x0 is the first of
        them, y0 the first result. dialect: "C", "CUDA" or "Python"."""
        printers = {"C": lambda region: c_function(region, "float32"), "CUDA": cuda_source, "Python": python_function}
        if dialect not in printers:
            raise ValueError(f"fuse: source of {self.name} can be {', '.join(printers)}, not {dialect!r}")
        names = [f"x{k}" for k in range(len(signature(self.f).parameters))]
        halves = [self.region((True,) * len(names), wanted)[1] for wanted in ((), tuple(names))]
        return "\n\n".join(printers[dialect](region).strip() for region in halves)


def _tensors(args: Sequence[Any]) -> tuple[Tensor, ...]:
    """A number is weak: it lives with the tensors and has the dtype of those of its kind."""
    given = [a if isinstance(a, (Tensor, bool, int, float)) else tensor(a) for a in args]
    tensors = [a for a in given if isinstance(a, Tensor)]
    return tuple(a if isinstance(a, Tensor) else _weak(a, tensors) for a in given)


def _weak(number: float, tensors: Sequence[Tensor]) -> Tensor:
    own = [a.dtype for a in tensors if a.dtype.kind in ALIKE[np.result_type(number).kind]]
    return tensor(number, np.result_type(*own) if own else None, tensors[0].device if tensors else None)


class _Run:
    """One call of the kernel: its results, and the way back."""

    def __init__(self, fused: Fused, inputs: tuple[Tensor, ...], shape: Any, kind: Kind):
        self.fused, self.inputs, self.shape, self.dtype = fused, inputs, shape, kind.computed
        self.backend = backends.of(inputs[0]._array)
        alone = all(a.size == 1 for a in inputs)
        self.full = tuple(alone or a.requires_grad or a.size != 1 for a in inputs)
        self.given = {f"x{k}": self._spread(a._array) if full else a._array.reshape(1).astype(self.dtype, copy=False)
                      for k, (a, full) in enumerate(zip(inputs, self.full))}
        kernel = fused.kernel(self.full, (), self.backend.xp, self.dtype)
        self.arrays = [y.astype(dtype, copy=False) for y, dtype in zip(kernel(self.given, self.shape).values(), kind.dtypes)]

    def pull(self, gradients: Mapping[int, Tensor]) -> list[Tensor | None]:
        if grad_enabled():
            return self._replayed(gradients)
        wanted = tuple(f"x{k}" for k, a in enumerate(self.inputs) if a.requires_grad)
        kernel = self.fused.kernel(self.full, wanted, self.backend.xp, self.dtype)
        given = dict(self.given)
        for name in kernel.graph.inputs.keys() - self.given.keys():
            number = int(name.removeprefix("g_y"))
            given[name] = (self._spread(gradients[number]._array) if number in gradients else
                           self.backend.xp.zeros(self.shape, self.dtype))
        found = kernel(given, self.shape)
        return [fit(Tensor(found[f"d_x{k}"]), a) if f"d_x{k}" in found else None for k, a in enumerate(self.inputs)]

    def _replayed(self, gradients: Mapping[int, Tensor]) -> list[Tensor | None]:
        """The same through `f` itself, so that it can be differentiated again."""
        own = [a.broadcast_to(a.shape) if a.requires_grad else a for a in self.inputs]
        made = self.fused.f(*own)
        results = made if isinstance(made, tuple) else (made,)
        chosen = [a for a in own if a.requires_grad]
        seeds = [fit(g, results[k]) for k, g in gradients.items()]
        found = {id(a): g for a, g in differentiate([results[k] for k in gradients], seeds, chosen)}
        return [found.get(id(a)) for a in own]

    def _spread(self, array: Any) -> Any:
        return self.backend.xp.broadcast_to(array, self.shape).astype(self.dtype, "C", copy=False)


class Kernel:
    """A graph of elementwise operations, as a function of arrays of one shape, or single numbers, by name."""

    def __init__(self, graph: Graph, region: Region, xp: Any, dtype: Any):
        self.graph, self.region, self.xp, self.dtype = graph, region, xp, np.dtype(dtype)
        if region.outputs:                                      # otherwise all results are arguments
            self._compute = self._on_gpu() if xp is not np else self._on_cpu()

    def __call__(self, given: Mapping[str, Any], shape: Any) -> dict[str, Any]:
        values = {id(leaf): given[name] for name, leaf in self.graph.inputs.items()}
        if self.region.outputs:
            results = self._compute([values[id(x)] for x in self.region.inputs], shape)
            values |= {id(y): a for y, a in zip(self.region.outputs, results)}
        xp = self.xp
        return {name: values[id(y)] if values[id(y)].shape == shape else xp.array(xp.broadcast_to(values[id(y)], shape))
                for name, y in self.graph.outputs.items()}

    def _on_gpu(self) -> Callable[..., Any]:
        kernel = self.xp.ElementwiseKernel(**cuda_kernel(self.region))
        single = len(self.region.outputs) == 1
        return lambda arrays, shape: [kernel(*arrays)] if single else kernel(*arrays)

    def _on_cpu(self) -> Callable[..., Any]:
        try:
            built = library(c_function(self.region, self.dtype.name), self.dtype.name)
        except (NoCompiler, Unsupported) as error:
            notice(f"NumPy runs a fused function, which is slower than generated C: {error}")
            names = python_names(np, self.dtype)
            exec(compile(python_function(self.region), f"<{self.region.name}>", "exec"), names)
            return lambda arrays, shape: names[self.region.name](*arrays)
        self._library = built
        return _in_rows(self.region, ctypes.cast(getattr(built, self.region.name), ctypes.c_void_p).value, self.dtype)


def _in_rows(region: Region, task: Any, dtype: np.dtype) -> Callable[..., Any]:
    """A task of rows, for arrays of any number of elements: full rows of WIDTH, then the rest as one row."""
    run_task = runtime(dtype.name).run_task
    values = [*region.inputs, *region.outputs]
    packed = Struct(f"{2 + len(values)}q")
    arrays_of = [("B" in x.shape) * dtype.itemsize for x in values]

    def compute(arrays: Sequence[Any], shape: tuple[int, ...]) -> list[Any]:
        results = [empty(shape if "B" in y.shape else (1,), dtype) for y in region.outputs]
        count = int(np.prod(shape))
        addresses = [address(a) for a in (*arrays, *results)]
        rows, rest = divmod(count, WIDTH)
        if rows:
            run_task(task, packed.pack(rows, WIDTH, *addresses), threads() if count >= SMALL else 1)
        if rest:
            run_task(task, packed.pack(1, rest, *(a + rows * WIDTH * size for a, size in zip(addresses, arrays_of))), 1)
        return results
    return compute
