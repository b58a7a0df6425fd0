"""A layered layout of a graph without cycles: every arrow leads down, and few of them cross (Sugiyama, Tagawa & Toda 1981)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

GAP_X, GAP_Y = 22.0, 34.0
_SWEEPS = 12


@dataclass
class Layout:
    """x, y:    the middle of every node.      bends: of every edge the points between its ends, from above to below."""

    x: list[float]
    y: list[float]
    bends: list[list[tuple[float, float]]]
    width: float
    height: float


def layered(widths: Sequence[float], height: float, edges: Sequence[tuple[int, int]]) -> Layout:
    """Of nodes of these widths and one height, in an order in which every edge (from, to) leads to a later node."""
    rank = _ranks(len(widths), edges)
    wide, pieces, chains = list(widths), list[tuple[int, int]](), []
    for start, end in edges:                            # a long edge passes through a point in every layer between
        chain = [start]
        for r in range(rank[start] + 1, rank[end]):
            chain.append(len(rank))
            rank.append(r)
            wide.append(2.0)
        chains.append([*chain, end])
        pieces += pairwise(chains[-1])
    layers = [[n for n in range(len(rank)) if rank[n] == r] for r in range(max(rank, default=-1) + 1)]
    above, below = _neighbours(len(rank), pieces), _neighbours(len(rank), [(b, a) for a, b in pieces])
    layers = _uncrossed(layers, above, below)
    x = _places(layers, wide, above, below)
    y = [height / 2 + r * (height + GAP_Y) for r in rank]
    left = min((x[n] - wide[n] / 2 for n in range(len(x))), default=0.0)
    x = [at - left for at in x]
    right = max((x[n] + wide[n] / 2 for n in range(len(x))), default=0.0)
    count = len(widths)
    return Layout(x[:count], y[:count], [[(x[n], y[n]) for n in chain[1:-1]] for chain in chains], right,
                  len(layers) * (height + GAP_Y) - GAP_Y)


def _ranks(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Layers from above: each node below all it comes from; what comes from nothing just above its first user."""
    rank = [0] * count
    for start, end in sorted(edges, key=lambda e: e[1]):
        rank[end] = max(rank[end], rank[start] + 1)
    begins = set(range(count)) - {end for _, end in edges}
    for node in begins:
        rank[node] = min((rank[end] - 1 for start, end in edges if start == node), default=0)
    return rank


def _neighbours(count: int, pieces: Sequence[tuple[int, int]]) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in range(count)]
    for start, end in pieces:
        found[end].append(start)
    return found


def _uncrossed(layers: list[list[int]], above: list[list[int]], below: list[list[int]]) -> list[list[int]]:
    """Each layer in the order of its neighbours' middles, downwards and upwards in turn; the best order that was found."""
    best, fewest = layers, _crossings(layers, above)
    for sweep in range(_SWEEPS):
        layers = [list(layer) for layer in layers]
        place = {n: float(k) for layer in layers for k, n in enumerate(layer)}
        near = below if sweep % 2 else above
        for layer in reversed(layers) if sweep % 2 else layers:
            layer.sort(key=lambda n: sum(place[m] for m in near[n]) / len(near[n]) if near[n] else place[n])
            place |= {n: float(k) for k, n in enumerate(layer)}
        crossings = _crossings(layers, above)
        if crossings < fewest:
            best, fewest = layers, crossings
    return best


def _crossings(layers: list[list[int]], above: list[list[int]]) -> int:
    place = {n: k for layer in layers for k, n in enumerate(layer)}
    count = 0
    for layer in layers:
        ends = [place[m] for n in layer for m in sorted(above[n], key=place.__getitem__)]
        count += sum(ends[i] > ends[j] for i in range(len(ends)) for j in range(i + 1, len(ends)))
    return count


def _places(layers: list[list[int]], wide: list[float], above: list[list[int]], below: list[list[int]]) -> list[float]:
    """Each node near the mean of its neighbours, and clear of those beside it."""
    x = [0.0] * len(wide)
    for layer in layers:
        at = 0.0
        for n in layer:
            x[n], at = at + wide[n] / 2, at + wide[n] + GAP_X
    for sweep in range(2 * _SWEEPS):
        near = below if sweep % 2 else above
        for layer in reversed(layers) if sweep % 2 else layers:
            wanted = [sum(x[m] for m in near[n]) / len(near[n]) if near[n] else x[n] for n in layer]
            for n, at in zip(layer, _apart(wanted, [wide[n] for n in layer])):
                x[n] = at
    return x


def _apart(wanted: list[float], wide: list[float]) -> list[float]:
    """The places nearest to those wanted, by least squares, at which boxes of these widths do not touch: blocks of boxes that
    push each other stand at the mean of what they want (pool adjacent violators)."""
    offset, at = [], 0.0
    for k, w in enumerate(wide):
        at += (wide[k - 1] / 2 + GAP_X + w / 2) if k else 0.0
        offset.append(at)
    blocks: list[tuple[float, int]] = []                # the sum and the number of what its boxes want of their block
    for want, off in zip(wanted, offset):
        blocks.append((want - off, 1))
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            (a, m), (b, n) = blocks[-2:]
            blocks[-2:] = [(a + b, m + n)]
    means = [total / n for total, n in blocks for _ in range(n)]
    return [mean + off for mean, off in zip(means, offset)]
