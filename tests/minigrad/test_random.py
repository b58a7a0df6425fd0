"""Random numbers."""

import zlib

import numpy as np
import pytest

import minigrad as mg
from minigrad import backends, native, random


def philox_by_hand(high, low, key):
    """Philox2x32-10 of one counter, in Python's whole numbers, as the paper writes it."""
    for _ in range(10):
        product = 0xD256D193 * low
        high, low = product & 0xFFFFFFFF, (product >> 32) ^ key ^ high
        key = (key + 0x9E3779B9) & 0xFFFFFFFF
    return high, low


def by_hand(key, name, position):
    key = (key ^ zlib.crc32(name.encode()) * 0x9E3779B97F4A7C15) % 2 ** 64
    counter = (key >> 32 << 20) + position
    return (philox_by_hand(counter >> 32, counter % 2 ** 32, key % 2 ** 32)[1] >> 8) * 2.0 ** -24


@pytest.mark.parametrize("key, name, offset", [(0, "", 0), (1, "dropout", 0), (2 ** 62 + 12345, "layers.0", 7),
                                               (2 ** 63 - 1, "z", 2 ** 20 - 3)])
def test_uniform_is_philox(key, name, offset):
    numbers = random.uniform(key, name, (2, 4), offset)
    assert numbers.dtype == np.float32
    assert numbers.reshape(-1).tolist() == [by_hand(key, name, offset + k) for k in range(8)]


def test_every_device_draws_the_same(device):
    xp = backends.get(device).xp
    drawn = random.uniform(2 ** 62 + 12345, "mask", (3, 70), 2 ** 40 - 5, xp=xp)
    with mg.device("cpu"):
        expected = random.uniform(2 ** 62 + 12345, "mask", (3, 70), 2 ** 40 - 5)
    np.testing.assert_array_equal(backends.get(device).to_numpy(drawn), expected)


def test_without_a_compiler_numpy_draws_them_and_says_so(monkeypatch):
    expected = random.uniform(2 ** 63 - 1, "mask", (3, 70), 2 ** 40 - 5)

    def missing(*_):
        raise native.NoCompiler("there is none")
    monkeypatch.setattr(native, "library", missing)
    random._filler.cache_clear()
    try:
        with pytest.warns(UserWarning, match="NumPy draws random masks, which is slower than C: there is none"):
            found = random.uniform(2 ** 63 - 1, "mask", (3, 70), 2 ** 40 - 5)
    finally:
        random._filler.cache_clear()
    np.testing.assert_array_equal(found, expected)


def test_elements_depend_on_their_place_alone():
    whole = random.uniform(42, "mask", (6, 4))
    assert (random.uniform(42, "mask", (24,)).reshape(6, 4) == whole).all()
    assert (random.uniform(42, "mask", (2, 4), offset=8) == whole[2:4]).all()
    assert (random.uniform(42, "mask", (3, 4)) == whole[:3]).all()
    assert random.uniform(42, "mask", (), offset=5) == whole[1, 1]
    assert random.uniform(42, "mask", (0, 4)).shape == (0, 4)


def test_keys_and_names_give_other_numbers():
    draws = [random.uniform(key, name, (64,)) for key in (0, 1, 2 ** 32, 2 ** 40, 2 ** 62) for name in ("a", "b")]
    assert len({tuple(d) for d in draws}) == len(draws)
    correlations = np.corrcoef([random.uniform(key, "a", (4000,)) for key in (0, 1, 2 ** 32)])
    assert abs(correlations - np.eye(3)).max() < 0.07


def test_uniform_is_uniform():
    x = random.uniform(7, "u", (200_000,))
    assert 0 <= x.min() < 1e-4 and 1 - 1e-4 < x.max() < 1
    counts = np.histogram(x, 100, (0, 1))[0]
    assert ((counts - 2000) ** 2 / 2000).sum() < 160, "chi-squared with 99 degrees of freedom: p < 0.0001"
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 0.01
    for bit in range(24):
        assert abs(((x * 2 ** 24).astype(np.int64) >> bit & 1).mean() - 0.5) < 0.006, f"bit {bit}"


def test_seeds(device):
    mg.manual_seed(3)
    first, key = mg.randn(4).tolist(), random.draw_key()
    mg.manual_seed(3)
    assert mg.randn(4).tolist() == first and random.draw_key() == key
    assert mg.randn(4).tolist() != first
    with mg.device("cpu"):
        mg.manual_seed(3)
        assert mg.randn(4).tolist() == first, "every device sees the same numbers"


def test_state():
    mg.randn(3)
    state = random.get_state()
    first = mg.randn(3).tolist()
    random.set_state(state)
    assert mg.randn(3).tolist() == first


def test_state_survives_json():
    import json

    state = json.loads(json.dumps(random.get_state()))
    first = mg.randn(3).tolist()
    random.set_state(state)
    assert mg.randn(3).tolist() == first
