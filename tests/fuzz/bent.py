"""What the fuzzers of files share: bytes flipped, cut, spliced, and how much memory a reading took."""

import random
import resource


def spliced(whole: bytes, other: bytes, rng: random.Random) -> bytes:
    """A file's bytes, some flipped, zeroed, set to extremes, cut off, left out, repeated, or put in from another."""
    bent = bytearray(whole)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        at = rng.randrange(len(bent) or 1)
        if rng.random() < 0.6:  # headers more often than what they head
            at = rng.randrange(min(len(bent), 200) or 1)
        n = rng.choice([1, 2, 4, 8, 40])
        match rng.randrange(8):
            case 0 if bent:
                bent[at] ^= 1 << rng.randrange(8)
            case 1:
                bent[at : at + n] = bytes(len(bent[at : at + n]))
            case 2:
                bent[at : at + n] = b"\xff" * len(bent[at : at + n])
            case 3:
                bent[at : at + n] = rng.choice([b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80"])
            case 4:
                del bent[at:]
            case 5:
                del bent[at : at + n * 3]
            case 6:
                bent[at:at] = bent[at : at + n * 3]
            case _:
                place = rng.randrange(len(other) or 1)
                bent[at : at + n * 2] = other[place : place + n * 2]
    return bytes(bent)


def peak() -> int:
    """The most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
