"""SipHash-2-4 of ids: what a sample's randomness is drawn from, the same as pandas' `hash_array` gives in training.

Source: Aumasson & Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012.
"""

KEY = b"0123456789123456"  # pandas' default
MASK = (1 << 64) - 1


def _turned(x: int, n: int) -> int:
    return ((x << n) | (x >> (64 - n))) & MASK


def hashed(text: str) -> int:
    """The unsigned 64-bit hash of an id, as pandas' `hash_array` has it: SipHash, mixed as by SplitMix64."""
    x = siphash(text)
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def siphash(text: str) -> int:
    """The unsigned 64-bit hash of a text's UTF-8 bytes."""
    data = text.encode("utf-8")
    k0, k1 = (int.from_bytes(KEY[i : i + 8], "little") for i in (0, 8))
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]
    whole = len(data) - len(data) % 8
    blocks = [int.from_bytes(data[i : i + 8], "little") for i in range(0, whole, 8)]
    for block in (*blocks, int.from_bytes(data[whole:], "little") | (len(data) & 0xFF) << 56):
        v[3] ^= block
        _rounds(v, 2)
        v[0] ^= block
    v[2] ^= 0xFF
    _rounds(v, 4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def _rounds(v: list[int], n: int) -> None:
    for _ in range(n):
        v[0] = (v[0] + v[1]) & MASK
        v[1] = _turned(v[1], 13) ^ v[0]
        v[0] = _turned(v[0], 32)
        v[2] = (v[2] + v[3]) & MASK
        v[3] = _turned(v[3], 16) ^ v[2]
        v[0] = (v[0] + v[3]) & MASK
        v[3] = _turned(v[3], 21) ^ v[0]
        v[2] = (v[2] + v[1]) & MASK
        v[1] = _turned(v[1], 17) ^ v[2]
        v[2] = _turned(v[2], 32)
