"""Items: somebody else's map-style Dataset, read once for what folds, scores and the audit need to know of it."""

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from lightning_base.errors import DataError, UserError
from lightning_base.samples.payload import exact_bytes, sample_hash
from lightning_base.tools.imports import told

TARGETS = ("target", "targets", "label", "labels", "y")  # what items that are mappings call what is to be predicted
AGAIN = 16  # items that are read twice
Finder: TypeAlias = str | int | Callable[[Any], Any] | Sequence[Any] | None


@dataclass(frozen=True)
class Read:
    """What one pass over a dataset tells.

    Attributes:
        targets: (N,) what is to be predicted of each item, as it stands there; None where items have none.
        named: by what was asked for beside it (ids, groups, times), (N,) values.
        hashes: (N,) uint64 of each item without its target; None where an item holds what cannot be hashed.
        draws: whether items are drawn at random: reading them moves the generators of torch, NumPy or Python.
        changes: whether an item that is read again, from the same states of these, is another one.
    """

    targets: list[Any] | None
    named: dict[str, list[Any]]
    hashes: npt.NDArray[np.uint64] | None
    draws: bool
    changes: bool


def demand_items(dataset: Any, origin: str) -> int:
    """The number of a dataset's items.

    Raises:
        DataError: where it has no length or no places, so that nothing can be held out of it.
    """
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__getitem__"):
        mend = (
            "its dataset: loader.dataset" if hasattr(dataset, "dataset") else "a dataset with __getitem__ and __len__"
        )
        raise DataError(
            f"{origin}: a {type(dataset).__name__} gives its items in an order of its own, so that no fold can be held "
            f"out of it; give {mend}"
        )
    try:
        n = len(dataset)
    except (TypeError, NotImplementedError) as error:
        raise DataError(f"{origin}: {type(dataset).__name__} has no length; give it __len__") from error
    if n == 0:
        raise DataError(f"{origin}: {type(dataset).__name__} has no items")
    return n


def read_items(
    dataset: Any, origin: str, target: Finder = None, beside: Mapping[str, Finder] | None = None, demanded: bool = True
) -> Read:
    """Reads each item once, or twice where items are drawn at random.

    Of a dataset that draws, items are read from one state of the generators each, so that equal ones are equal.

    Args:
        dataset: map-style.
        origin: what messages call it.
        target: where an item's target is: the place or key in the item, a function of the item, or (N,) targets;
            by default the last of a tuple, or a mapping's `target`, `label` or `y`.
        demanded: whether each item must have a target where `target` says which, and what else is looked for.
        beside: what else is looked for, by name, likewise; without a default.

    Raises:
        DataError: for an item that cannot be read, or has no such target.
    """
    n = demand_items(dataset, origin)
    with same_states():
        before = states()
        read = _pass(dataset, n, origin, target, beside or {}, demanded, seeded=False)
        draws = not same(before, states())
        if draws:
            read = _pass(dataset, n, origin, target, beside or {}, demanded, seeded=True)
        changes = False
        if read.hashes is not None:
            rows = np.unique(np.linspace(0, n - 1, min(n, AGAIN)).astype(np.int64))
            some = [_seeded(dataset, int(row), draws) for row in rows]
            where = None if is_listed(target) else target
            again = [item_hash(parted(item, where)[0]) for item in some]
            changes = again != [int(read.hashes[row]) for row in rows]
    return Read(read.targets, read.named, read.hashes, draws, changes)


def _pass(
    dataset: Any, n: int, origin: str, target: Finder, beside: Mapping[str, Finder], demanded: bool, seeded: bool
) -> Read:
    given = {key: _listed(finder, n, origin, key) for key, finder in {"targets": target, **beside}.items()}
    targets, hashes = list[Any](), np.zeros(n, dtype=np.uint64)
    named: dict[str, list[Any]] = {key: [] for key, finder in beside.items() if finder is not None}
    whole = True
    for row in range(n):
        try:
            item = _seeded(dataset, row, seeded)
        except UserError:
            raise
        except Exception as error:  # whatever the user's own dataset does
            raise DataError(
                f"{origin}: item {row} of {type(dataset).__name__} cannot be read: {told(error)}"
            ) from error
        try:
            x, y = parted(item, None if given["targets"] is not None else target)
        except Exception as error:  # whatever the user's own function does, or no such place
            raise DataError(
                f"{origin}: data.targets {target!r:.40} is not in item {row}, a {type(item).__name__}: {told(error)}; "
                "give its place or key in the item, or from Python a function of the item"
            ) from error
        if y is None and target is not None and given["targets"] is None and demanded:
            raise DataError(f"{origin}: data.targets {target!r:.40} is not in item {row}, a {type(item).__name__}")
        targets.append(given["targets"][row] if given["targets"] is not None else y)
        for key, values in list(named.items()):
            listed = given[key]
            if row == 0 and not demanded and isinstance(item, Mapping) and beside[key] not in item:
                del named[key]  # what is predicted need not have it
                continue
            values.append(_found(item, beside[key], origin, key) if listed is None else listed[row])
        found = item_hash(x) if whole else None
        whole = whole and found is not None
        hashes[row] = found or 0
    missing = sum(y is None for y in targets)
    if 0 < missing < n:
        row = next(i for i, y in enumerate(targets) if y is None)
        raise DataError(f"{origin}: item {row} has no target, and others have; {missing} of {n} have none")
    return Read(None if missing else targets, named, hashes if whole else None, False, False)


def is_listed(finder: Finder) -> bool:
    """Whether one value of each item is given, and no way to find it there."""
    return not (finder is None or isinstance(finder, str | int) or callable(finder))


def _listed(finder: Finder, n: int, origin: str, key: str) -> Sequence[Any] | None:
    """What was given as one value an item; None for what is looked for in items."""
    if not is_listed(finder):
        return None
    assert isinstance(finder, Sequence | np.ndarray | Tensor)
    if len(finder) != n:
        raise DataError(f"{origin}: {len(finder)} {key} are given for {n} items; give one of each")
    return finder


def _found(item: Any, finder: Finder, origin: str, key: str) -> Any:
    try:
        return finder(item) if callable(finder) else item[finder]
    except Exception as error:  # whatever the user's own function does
        raise DataError(f"{origin}: data.{key} does not fit its items: {told(error)}") from error


def parted(item: Any, target: Finder = None) -> tuple[Any, Any]:
    """An item without what is to be predicted, and that; None where it has none."""
    if callable(target):
        return item, target(item)
    if isinstance(item, Mapping):
        key = target if target is not None else next((name for name in TARGETS if name in item), None)
        if key is None or key not in item:
            return item, None
        return {name: value for name, value in item.items() if name != key}, item[key]
    if isinstance(item, tuple | list) and len(item) > 1:
        place = len(item) - 1 if target is None else int(target)  # type: ignore[arg-type]
        rest = [value for i, value in enumerate(item) if i != place % len(item)]
        return (rest[0] if len(rest) == 1 else tuple(rest)), item[place]
    return item, None


def item_hash(item: Any) -> int | None:
    """A 64-bit number by which equal items are told; None where one holds what is not known to show all of itself.

    Numbers count by their values, whatever type holds them; one array has the hash that it has as a sample of an array.
    """
    if isinstance(item, Tensor) and item.layout == torch.strided and item.dtype != torch.bfloat16:
        item = item.detach().cpu().numpy()
    if isinstance(item, np.ndarray) and not item.dtype.hasobject:
        return sample_hash(item)
    digest = hashlib.blake2b(digest_size=8)
    return int.from_bytes(digest.digest(), "little") if _add(digest, item) else None


def _add(digest: Any, value: Any) -> bool:
    if isinstance(value, Tensor):
        if value.layout != torch.strided:
            return False
        value = value.detach().cpu()
        value = (value.view(torch.int16) if value.dtype == torch.bfloat16 else value).numpy()
    elif hasattr(value, "getbands") and hasattr(value, "tobytes"):  # an image of Pillow's
        digest.update(f"{value.mode} {value.size}".encode())
        digest.update(value.tobytes())
        return True
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.hasobject:
            return False
        digest.update(f"numbers {np.shape(value)}".encode())
        digest.update(exact_bytes(np.asarray(value)))
        return True
    if isinstance(value, str | bytes | int | float | bool | None):
        digest.update(f"{type(value).__name__} {value!r}".encode())
        return True
    if isinstance(value, Mapping):
        digest.update(f"mapping {len(value)}".encode())
        return all(_add(digest, str(key)) and _add(digest, value[key]) for key in sorted(value, key=str))
    if isinstance(value, tuple | list):
        digest.update(f"list {len(value)}".encode())
        return all(_add(digest, part) for part in value)
    if is_dataclass(value) and not isinstance(value, type):
        return all(_add(digest, getattr(value, one.name)) for one in fields(value))
    return False


def _seeded(dataset: Any, row: int, seeded: bool) -> Any:
    if seeded:
        seed_item(0)
    return dataset[row]


def seed_item(seed: int) -> None:
    """Seeds the generators that a dataset may draw an item with: torch's on the CPU, NumPy's and Python's."""
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    random.seed(seed)


def states() -> tuple[Any, ...]:
    """The states of these generators."""
    return torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002


def same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Whether these are the same states."""
    equal = torch.equal(one[0], other[0]) and one[2] == other[2]
    return equal and all(np.array_equal(a, b) for a, b in zip(one[1], other[1], strict=True))


class Places:
    """The payload of a dataset's samples: the items' places in it, (N,) int64.

    Attributes:
        draws: whether items are drawn at random.
        changes: whether an item that is read again is another one.
    """

    def __init__(self, n: int, draws: bool, changes: bool) -> None:
        self.n, self.draws, self.changes = n, draws, changes

    @property
    def shape(self) -> tuple[int, ...]:
        """(N,)."""
        return (self.n,)

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of whole numbers."""
        return np.dtype(np.int64)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, rows: Any) -> Any:
        """The places of rows (B,)."""
        return np.arange(self.n)[rows]


@contextmanager
def same_states() -> Iterator[None]:
    """Leaves these generators as they were."""
    before = states()
    try:
        yield
    finally:
        torch.set_rng_state(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        random.setstate(before[2])
