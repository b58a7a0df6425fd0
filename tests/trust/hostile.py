"""What somebody who means harm, or a failing disk, makes of a file: bytes and JSON that are changed at random places."""

import copy
import re

import numpy as np

# What a user is told. Anything else (AttributeError, AssertionError, ZeroDivisionError, a crash) is a bug of ours.
OURS = (ValueError, TypeError, LookupError, OSError, MemoryError)

# What Python and NumPy say where nobody looked at the value before it was used.
BARE = re.compile(
    "unhashable type|not iterable|an iterable|not supported between|unsupported operand|has no attribute|not subscriptable|"
    "an array element with a sequence|could not convert|must be real number|index out of range|to unpack|ufunc|"
    "only integer scalar|bad operand|required argument|cannot be interpreted|object of type .* has no len|inhomogeneous|"
    "object is not callable|not understood|negative dimensions|cannot reshape|Cannot cast|Maximum allowed|"
    "operands could not be broadcast|'NoneType'|truth value of an array")
# But with a name before it.
NAMED = re.compile(r".* is damaged, or (of another version|no )|.*, line \d+|\w+ of \(.*: |\S*\(\) ")

VALUES = [None, True, False, 0, 1, -1, 2, 3, 1 << 31, 1 << 62, 10 ** 40, 0.5, -1.0, float("inf"), float("nan"), "", "T", "B",
          "x", "h", "y", "f", "é", "\0", "x; system(\"touch owned\")", "*/ int main() { abort(); } /*", "__import__('os')",
          "a" * 500, [], {}, [0], [1 << 40, 1 << 40], ["T", "B", "x"], {"node": 0}, {"node": -1}, {"node": 10 ** 9},
          {"slice": [None]}, {"slice": ["a", 1, 2]}, {"ellipsis": True}, [[[[]]]], {"type": "Stack", "layers": []}]


def changed_bytes(data, rng):
    """A file with one to four of these: bytes flipped, cut out, put in, repeated, or its end cut off."""
    out = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        if not out:
            break
        at, width = int(rng.integers(len(out))), int(rng.integers(1, 9))
        how = rng.integers(5)
        if how == 0:
            out[at] = int(rng.integers(256))
        elif how == 1:
            del out[at:at + width]
        elif how == 2:
            out[at:at] = rng.bytes(width)
        elif how == 3:
            out[at:at] = out[at:at + width * 20]
        else:
            del out[at:]
    return bytes(out)


def changed_json(value, rng, times=1):
    """A copy with some of its places holding something else, missing, doubled, or exchanged with another."""
    value = copy.deepcopy(value)
    for _ in range(times):
        places = list(_places(value))
        if not places:
            break
        holder, key = places[rng.integers(len(places))]
        how = rng.integers(8)
        if how == 0:
            del holder[key]
        elif how == 1 and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        elif how == 2:
            other, name = places[rng.integers(len(places))]
            holder[key] = copy.deepcopy(other[name])
        elif how == 3 and isinstance(holder, dict):
            holder[str(VALUES[rng.integers(len(VALUES))])] = holder.pop(key)
        elif how == 4 and isinstance(holder[key], (int, float)):
            holder[key] += int(rng.choice([-2, -1, 1, 2, 1000, 1 << 40]))
        else:
            holder[key] = copy.deepcopy(VALUES[rng.integers(len(VALUES))])
    return value


def _places(value):
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        yield value, key
        yield from _places(part)


def outcome(function, *args):
    """"right", or the name of an error of ours; every other error passes through."""
    try:
        with np.errstate(all="ignore"):
            function(*args)
    except OURS as error:
        assert str(error), f"a {type(error).__name__} without a word"
        if BARE.search(str(error)) and not NAMED.match(str(error)):
            raise AssertionError(f"an error of the machinery reaches the user: {error!r}") from error
        return type(error).__name__
    return "right"
