"""All that looks like a leak and may be none: what `audit` tells beside leaks."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from lightning_base.auditing.overlap import Joined, Sides, pairs_across
from lightning_base.auditing.report import EXAMPLES, Hit, Leak, counted, merge
from lightning_base.auditing.suspicions.alike import alike_inputs, can_be_alike
from lightning_base.auditing.suspicions.between import between, can_lie_between
from lightning_base.auditing.suspicions.columns import is_columns, odd_columns
from lightning_base.auditing.suspicions.copies import changed_copies, copied_rows, too_large, why_no_copies
from lightning_base.auditing.suspicions.groups import alike_groups
from lightning_base.auditing.suspicions.headers import telling_headers
from lightning_base.auditing.suspicions.moved import moved_copies, why_not
from lightning_base.auditing.views import in_part, of_part, why_no_target
from lightning_base.clean.near_duplicates import near_duplicates
from lightning_base.samples.payload import Rows
from lightning_base.samples.samples import Samples

ONE_NAME = "write each group in one way, in the file"
ONE_SIDE = "where one thing was seen several times, declare its name as `group`, so that it stays on one side"
BEFORE = "augment after the split, as data.augment does, and give the originals alone"


def suspicions(joined: Joined, train: Rows, sealed: bool, leaks: Sequence[Leak] = (), near: bool = True) -> list[Leak]:
    """What looks like a leak and may be none, merged over folds; none for clean data.

    Args:
        joined: the pool, the test source where there is one, and the folds.
        train: (N,) int64 rows of the training role on which columns and files are tried.
        sealed: whether the test source is a share of the pool's.
        leaks: what is sure already, and not told again.
        near: also search changed copies, which takes longer.
    """
    found = telling_headers(joined.pool, train)
    for name, one in joined.parts.items():
        found = [*of_part(odd_columns(one.pool, one.test if sealed else None, train, leaks), name), *found]
    found += _merged("group", alike_groups(joined), joined, ONE_NAME)
    for name, one in joined.parts.items():
        if near:
            copies = _merged("changed_copy", _copies(one), joined, "leave one of each out, in the file")
            found += of_part([*copies, *_merged("changed_copy", _moved(one), joined, BEFORE), *_made(one.pool)], name)
        if name:
            found += _merged("alike_input", alike_inputs(joined, name, near), joined, ONE_SIDE)
    return found


def coverage(sources: Sequence[Samples]) -> list[tuple[str, str | None]]:
    """Each thing that is suspected, and None where it was looked for in these samples (pool, test), else why not."""
    pool = sources[0]
    classes = bool(pool.classes) and pool.target is not None
    files = None if pool.files is not None and classes else "no image files of classes"
    whole = {
        "groups written in several ways": None if "group" in pool.table else "the data has no `group`",
        "files that tell the class": files,
    }
    if "" in pool.parts:
        lines = _of_one(sources)
        return [*lines[:4], *whole.items(), *lines[4:]]
    found = list(whole.items())
    for name, part in pool.parts.items():
        found += [(in_part(what, name), why) for what, why in _of_one([source.parts[name] for source in sources])]
        alike = None if can_be_alike(part) else "columns and numbers are often alike by chance"
        found.append((f"{name} that is alike beside other inputs", alike))
    return found


def _of_one(sources: Sequence[Samples]) -> list[tuple[str, str | None]]:
    """What `coverage` says of one input, the first four of them about columns."""
    pool = sources[0]
    columns, classes = is_columns(pool), bool(pool.classes) and pool.target is not None
    real = columns and pool.inputs.dtype.kind == "f"
    none = "inputs are no columns of numbers"
    copies = why_no_copies(sources)
    made = None if can_lie_between(pool) else "three columns of broken numbers with classes have them, up to a size"
    undeclared = ("undeclared groups and times", None if columns else none)
    if columns and pool.target is None:
        undeclared = ("undeclared groups", why_no_target(pool) or "there are several targets")
    return [
        ("columns that tell the target", why_no_target(pool) if columns else none),
        ("gaps that tell the class", None if real and classes else "no columns with gaps, or no classes"),
        ("columns standardised before", None if real else none),
        undeclared,
        ("rounded and repunctuated copies", copies),
        ("moved copies of images", why_not(sources)),
        ("interpolated rows", made),
    ]


def looked_for(sources: Sequence[Samples]) -> str:
    """A line on what was suspected of these samples (pool, test) in vain or not, and what not, with its reason."""
    lines = coverage(sources)
    left = "; ".join(f"{what} ({reason})" for what, reason in lines if reason is not None)
    done = ", ".join(what for what, reason in lines if reason is None) or "nothing"
    return f"suspicions looked for: {done}" + (f"; not looked for: {left}" if left else "")


def _merged(kind: str, hits: Sequence[Hit], joined: Joined, mend: str) -> list[Leak]:
    """At most two suspicions: one for the folds and one for pool against test."""
    folds = sum(sides.fold is not None for sides in joined.sides)
    return [replace(leak, level="suspicious") for leak in merge(kind, hits, folds, mend, mend)]


def _copies(joined: Joined) -> list[Hit]:
    """Rows that agree when rounded, and texts without punctuation, on both sides; near duplicates are leaks."""
    if too_large(joined):
        return []
    keys = changed_copies(joined)
    if not keys:
        return []
    text = len(joined.pool.inputs.shape) == 1
    how = "without punctuation and capitals" if text else "when rounded"
    content = np.concatenate([source.content for source in joined.sources])
    known = _known(joined) if text else pd.MultiIndex.from_arrays([[], []])

    def find(sides: Sides) -> Hit | None:
        held, train = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        for some in keys:
            more, others = copied_rows(some, content, sides.train, sides.held)
            new = ~np.isin(more, held)
            held, train = np.concatenate([held, more[new]]), np.concatenate([train, others[new]])
        new = ~_pairs(joined, held, train).isin(known)
        return _hit(joined, sides, held[new], train[new], f"agree {how}")

    return joined.over(find)


def _moved(joined: Joined) -> list[Hit]:
    """Images that are flipped, shifted or cropped copies, on both sides; near duplicates are leaks."""
    if why_not(joined.sources) is not None:
        return []
    pairs = moved_copies(joined.sources)
    source = np.repeat(np.arange(len(joined.sources)), [len(source) for source in joined.sources])
    index = pd.MultiIndex.from_arrays([source, joined.ids])
    one = index.get_indexer(pd.MultiIndex.from_frame(pairs[["source", "id"]]))
    other = index.get_indexer(pd.MultiIndex.from_frame(pairs[["other_source", "other"]]))
    new = ~_pairs(joined, one, other).isin(_known(joined))
    one, other, how = one[new], other[new], pairs["how"].to_numpy()[new]
    if len(one) == 0:
        return []

    def find(sides: Sides) -> Hit | None:
        across, held, train = pairs_across(joined, sides, one, other)
        said = f"are {how[across[0]]} copies" if len(across) else ""
        return _hit(joined, sides, held, train, said)

    return joined.over(find)


def _known(joined: Joined) -> pd.MultiIndex:
    """The pairs of ids that are near duplicates, in either order."""
    pairs = [near_duplicates(joined.pool)]
    if joined.test is not None:
        pairs.append(near_duplicates(joined.pool, joined.test))
    both = pd.concat([*pairs, *(p.rename(columns={"id": "other", "other": "id"}) for p in pairs)], ignore_index=True)
    return pd.MultiIndex.from_frame(both[["id", "other"]])


def _pairs(joined: Joined, one: Rows, other: Rows) -> pd.MultiIndex:
    return pd.MultiIndex.from_arrays([joined.ids[one], joined.ids[other]])


def _hit(joined: Joined, sides: Sides, held: Rows, train: Rows, said: str) -> Hit | None:
    """What is said of held-out samples (M,) and the training samples that they are copies of; None for none."""
    if len(held) == 0:
        return None
    count = counted(len(np.unique(held)), f"{sides.name} sample", f"{sides.name} samples")
    example = f"{joined.ids[held[0]]!r} and {joined.ids[train[0]]!r} {said}"
    return Hit(sides.fold, f"{count} with a changed copy in {sides.known}: {example}", joined.examples(pd.unique(held)))


def _made(pool: Samples) -> list[Leak]:
    """One suspicion where rows lie between two neighbours of their class."""
    if not can_lie_between(pool):
        return []
    found = between(pool)
    if len(found.rows) == 0:
        return []
    ids = pool.table["id"].to_numpy(dtype=object)[found.rows[:EXAMPLES]]
    detail = (
        f"{len(found.rows)} of {found.looked} rows looked at lie exactly between two neighbours of their class, as "
        "SMOTE makes them: their neighbours may be held out; give measured rows alone, and weigh classes in the loss"
    )
    return [Leak("interpolated", None, detail, tuple(map(str, ids)), "suspicious")]
