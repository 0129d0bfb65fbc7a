"""MP3 files: whether they say how long they are, which libsndfile guesses of those that do not."""

import mmap
from pathlib import Path

BIT_RATES = {  # kbit/s, by MPEG version and number in a frame's header: ISO/IEC 11172-3 and 13818-3, layer III
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES = (44_100, 48_000, 32_000)  # hertz; halved in version 2, quartered in 2.5


def said_bytes(path: Path) -> int | None:
    """How many bytes it says it has, tags before its frames included: 0 where it says its length otherwise.

    None where it does not.
    """
    with open(path, "rb") as file:
        file.seek(start := _tagged(file.read(10)))
        first = file.read(4096)
    if first[:1] != b"\xff":
        return None
    at = max(first.find(b"Xing"), first.find(b"Info"))
    if at < 0:
        return 0 if b"VBRI" in first else None
    flags = int.from_bytes(first[at + 4 : at + 8], "big")
    place = at + 8 + 4 * (flags & 1)  # the number of frames stands before it
    return start + int.from_bytes(first[place : place + 4], "big") if flags & 2 else 0


def varies(path: Path) -> bool:
    """Whether its frames are of more than one bit rate: then a length guessed from the first ones is wrong."""
    seen: set[tuple[int, int]] = set()
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
        at, end = _tagged(raw[:10]), len(raw) - 4
        while at < end:
            frame = _frame(raw[at : at + 4])
            if frame is None or (at + frame[1] < end and _frame(raw[at + frame[1] : at + frame[1] + 4]) is None):
                at = raw.find(b"\xff", at + 1)  # no frame, or bytes that only look like one
                if at < 0:
                    break
                continue
            seen.add(frame[0])
            if len(seen) > 1:
                return True
            at += frame[1]
    return False


def _tagged(head: bytes) -> int:
    """How many bytes of tags stand before the first frame."""
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    return 10 + sum((byte & 127) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))


def _frame(head: bytes) -> tuple[tuple[int, int], int] | None:
    """(version, bit rate) and length in bytes of the frame that a header begins; None where it is none of layer III."""
    if len(head) < 4 or head[0] != 255 or head[1] & 0xE6 != 0xE2:
        return None
    version, bits, rate = (head[1] >> 3) & 3, head[2] >> 4, (head[2] >> 2) & 3
    if version == 1 or bits in (0, 15) or rate == 3:
        return None
    speed = BIT_RATES[1 if version == 3 else 2][bits]
    hertz = RATES[rate] // {3: 1, 2: 2, 0: 4}[version]
    return (version, speed), (144 if version == 3 else 72) * speed * 1000 // hertz + ((head[2] >> 1) & 1)
