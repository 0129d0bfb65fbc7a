"""Records of when sealed test samples were read: by a run itself, and by the runs that stand beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_base.errors import ArtefactError
from lightning_base.tools.files import read_json

PLACES = ("*/crossval/test.json", "*/crossval/*/test.json", "*/fit/*/test.json")  # in the folder of all runs


@dataclass(frozen=True)
class Reads:
    """What other runs' records tell of the same test samples.

    Attributes:
        times: each moment at which they were read, and the record that says so; the first ones first.
        unread: records that cannot be read.
    """

    times: tuple[tuple[str, Path], ...] = ()
    unread: tuple[Path, ...] = ()

    def __str__(self) -> str:
        """How often, when first, and by which runs."""
        runs = list(dict.fromkeys(str(path.parent) for _, path in self.times))
        named = ", ".join(runs[:5]) + (f" and {len(runs) - 5} more" if len(runs) > 5 else "")
        return f"{len(self.times)} {'time' if len(self.times) == 1 else 'times'}, first {self.times[0][0]}, by {named}"


def records_beside(root: Path, with_own: bool = False) -> list[Path]:
    """The test.json of every run in the folder that an experiment's stands in; its own runs' where they are wanted."""
    home = root.absolute()
    found = sorted(path for place in PLACES for path in home.parent.glob(place))
    return [root.parent / path.relative_to(home.parent) for path in found if with_own or not path.is_relative_to(home)]


def moments(told: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    """Each read that a test.json tells of, and the fingerprint of the samples as they were then.

    Args:
        told: its content, with `reads`; what an earlier version wrote has one fingerprint for all, or none.
    """
    reads, prints = told["reads"], told.get("data_fingerprints")
    if not isinstance(prints, list) or len(prints) != len(reads):
        prints = [told.get("data_fingerprint")] * len(reads)
    return list(zip(reads, prints, strict=True))


def reads_of(fingerprint: str, records: Sequence[Path]) -> Reads:
    """When these test samples were read, by the records of other runs.

    Args:
        fingerprint: of the samples.
        records: test.json files; those of other samples tell nothing.
    """
    times, unread = [], []
    for path in records:
        try:
            told = read_json(path, needs={"reads": list, "data_fingerprint": str})
        except ArtefactError:
            unread.append(path)
            continue
        times += [(str(time), path) for time, of in moments(told) if of == fingerprint]
    return Reads(tuple(sorted(times)), tuple(unread))
