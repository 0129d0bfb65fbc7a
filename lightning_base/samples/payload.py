"""Payloads: what holds inputs, how rows are gathered from it, and hashes of its content."""

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Rows: TypeAlias = npt.NDArray[np.int64]
BLOCK = 1 << 25  # bytes


class Payload(Protocol):
    """What holds inputs: a NumPy array, memory-mapped or not, a `View` of one, `Ragged`, or files read on demand."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, ...); for ragged payloads the axis of unequal length is left out."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The values' type."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Any:
        """The samples (B, ...) of rows (B,)."""


def frozen(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same values, not copied, which an assignment in place refuses: folds share them."""
    values = values.view()
    values.flags.writeable = False
    return values


class Ragged:
    """Samples of unequal length, one after another in one flat array.

    Args:
        values: (T, ...) array, memory-mapped or not.
        offsets: (N + 1,) int64; sample i is values[offsets[i]:offsets[i + 1]].
    """

    def __init__(self, values: npt.NDArray[Any], offsets: npt.NDArray[np.int64]) -> None:
        self.values, self.offsets = values, offsets

    @staticmethod
    def of(parts: list[npt.NDArray[Any]], like: npt.NDArray[Any]) -> "Ragged":
        """The parts one after another; `like` gives the type and trailing shape where there are none."""
        offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts], dtype=np.int64)]).astype(np.int64)
        return Ragged(np.concatenate(parts).astype(like.dtype, copy=False) if parts else like[:0], offsets)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, ...) without the axis of unequal length."""
        return (len(self), *self.values.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The values' type."""
        return self.values.dtype

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def lengths(self, rows: Rows) -> Rows:
        """(B,) int64 lengths."""
        return self.offsets[rows + 1] - self.offsets[rows]

    def padded(self, rows: Rows, longest: int | None = None, fixed: bool = False) -> tuple[npt.NDArray[Any], Rows]:
        """The samples (B, L, ...), padded at their ends with 0, and their lengths (B,) int64.

        Args:
            rows: (B,) int64.
            longest: cut samples after so many values.
            fixed: pad to `longest` rather than to the longest of these samples.
        """
        lengths = self.lengths(rows)
        if longest is not None:
            lengths = np.minimum(lengths, longest)
        width = longest if fixed and longest is not None else max(int(lengths.max(initial=0)), 1)
        out = np.zeros((len(rows), width, *self.values.shape[1:]), dtype=self.dtype)
        inside = np.arange(width) < lengths[:, None]  # (B, L)
        out[inside] = self.values[(self.offsets[rows][:, None] + np.arange(width))[inside]]
        return out, lengths

    def __getitem__(self, rows: Any) -> Any:
        """One sample (T, ...) for a number, else padded samples (B, L, ...)."""
        if isinstance(rows, int | np.integer):
            return np.asarray(self.values[self.offsets[rows] : self.offsets[rows + 1]])
        return self.padded(np.asarray(rows))[0]


class Derived:
    """A payload made of another one as rows are asked for; here with the base's shape, type and length."""

    def __init__(self, base: Payload) -> None:
        self.base = base

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, ...)."""
        return self.base.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The values' type."""
        return self.base.dtype

    def __len__(self) -> int:
        return self.shape[0]


class View(Derived):
    """Some rows of a payload, in an order of their own; nothing is copied."""

    def __init__(self, base: Payload, index: Rows) -> None:
        super().__init__(base)
        self.index = index

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, ...)."""
        return (len(self.index), *self.base.shape[1:])

    def __getitem__(self, rows: Any) -> Any:
        return self.base[self.index[rows]]


def base_of(inputs: Payload) -> Any:
    """What a view is of, which is no view itself; other payloads as they are."""
    return inputs.base if isinstance(inputs, View) else inputs


def is_ragged(inputs: Payload) -> bool:
    """Whether samples are of unequal length, seen through a view or not."""
    return isinstance(base_of(inputs), Ragged)


def spread(rows: Rows, n: int) -> Rows:
    """At most n of the rows, evenly from the first to the last: they may stand by class."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(n, len(rows))).round().astype(np.int64))]


def gather(
    inputs: Payload, rows: Rows, longest: int | None = None, fixed: bool = False
) -> tuple[npt.NDArray[Any], Rows | None]:
    """The samples (B, ...) of rows (B,), and for ragged ones, padded at their ends with 0, their lengths (B,) int64.

    Args:
        inputs: the payload.
        rows: (B,) int64.
        longest: cut ragged samples after so many values.
        fixed: pad them to `longest` rather than to the longest of these samples.
    """
    if isinstance(inputs, View):
        return gather(inputs.base, inputs.index[rows], longest, fixed)
    if isinstance(inputs, Ragged):
        return inputs.padded(rows, longest, fixed)
    return np.asarray(inputs[rows]), None


def mixed(z: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """(B,) uint64 of which each bit depends on all bits of z: SplitMix64's finaliser, Steele, Lea & Flood 2014."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    spread: npt.NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return spread


def content_hash(content: bytes) -> int:
    """A 64-bit number by which equal contents are told: the eight bytes of BLAKE2b."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


class Block(NamedTuple):
    """Some of a payload's samples, read at a time.

    Attributes:
        rows: (B,) int64.
        values: (B, ...), ragged samples padded at their ends with 0.
        lengths: (B,) int64 of ragged samples; None for others.
    """

    rows: Rows
    values: npt.NDArray[Any]
    lengths: Rows | None


def blocks(
    inputs: Payload, rows: Rows | None = None, size: int = 1024, longest: int | None = None, fixed: bool = False
) -> Iterator[Block]:
    """The samples in order, so many at a time; those of an array that is read whole are not copied.

    Args:
        inputs: the payload.
        rows: (N,) int64, which samples; by default all.
        size: samples of a block.
        longest: cut ragged samples after so many values.
        fixed: pad them to `longest`.
    """
    for start in range(0, len(inputs) if rows is None else len(rows), size):
        if rows is None:
            some = np.arange(start, min(start + size, len(inputs)))
            if isinstance(inputs, np.ndarray):
                yield Block(some, inputs[start : start + size], None)
                continue
        else:
            some = rows[start : start + size]
        yield Block(some, *gather(inputs, some, longest, fixed))


def fitting(inputs: Payload) -> int:
    """How many samples make a block of BLOCK bytes, at most 65,536; 256 of ragged ones, whose length is not known."""
    if len(inputs.shape) < 2:
        return 256
    return max(1, min(BLOCK // max(int(np.prod(inputs.shape[1:])) * inputs.dtype.itemsize, 1), 1 << 16))


def narrowed(values: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """The values as float32 where that holds each of them exactly, else as they are."""
    with np.errstate(over="ignore", invalid="ignore"):
        first = values[:1000]  # which most often settles it
        if not np.array_equal(first.astype(np.float32), first, equal_nan=True):
            return values
        narrow = values.astype(np.float32)
        return narrow if np.array_equal(narrow, values, equal_nan=True) else values


def _narrowest(sample: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A sample's values as bytes where they are whole numbers from 0 to 255, else as float32 where it holds them."""
    if sample.dtype.kind not in "fb":
        return sample
    with np.errstate(invalid="ignore"):
        whole = sample.astype(np.uint8)
    if np.array_equal(whole, sample):
        return whole
    return narrowed(sample) if sample.dtype == np.float64 else sample


def exact_bytes(sample: npt.NDArray[Any]) -> bytes:
    """A sample's values in the narrowest of uint8, float32 and float64 that holds them; integers as they are."""
    return np.ascontiguousarray(_narrowest(sample)).tobytes()


def sample_hash(sample: npt.NDArray[Any]) -> int:
    """A 64-bit hash of one sample's values, whatever type they come in."""
    return content_hash(exact_bytes(sample))


def hash_payload(inputs: Payload) -> npt.NDArray[np.uint64]:
    """(N,) uint64 BLAKE2b of each sample's bytes in the narrowest of uint8, float32 and float64 that holds it exactly.

    So the same values have one hash, whatever type they come in.
    """
    hashes = np.empty(len(inputs), dtype=np.uint64)
    for block in blocks(inputs):
        for i, row in enumerate(block.rows):
            sample = block.values[i] if block.lengths is None else block.values[i, : block.lengths[i]]
            hashes[row] = sample_hash(sample)
    return hashes
