"""The audit: whether training could know what it is scored on, over every fold and against the test source."""

from collections.abc import Sequence
from pathlib import Path

from lightning_base.auditing import overlap
from lightning_base.auditing.fitted import statistics_leaks
from lightning_base.auditing.report import Leak, counted, merge
from lightning_base.auditing.suspicions.look import suspicions
from lightning_base.auditing.target import target_leaks
from lightning_base.data.datamodule import BaseDataModule
from lightning_base.errors import NoSourceError, one_line
from lightning_base.results.sealed_reads import Reads, reads_of
from lightning_base.samples.samples import Samples
from lightning_base.splitters.base import TableSplitter
from lightning_base.tools.files import read_json


def audit(
    data: BaseDataModule, reads: Sequence[str] = (), near: bool = True, others: Sequence[Path] = ()
) -> list[Leak]:
    """The leaks, merged over folds, and what could not be looked at (kind "unchecked"); none for clean data.

    Of the test source, where there is one, content hashes, near duplicates, groups, times and classes are compared;
    no model sees it. Columns are tried on the first fold's training role, preprocessing on that of data.fold; the
    data's preprocessing is fitted, where it was not.

    Args:
        data: whose folds can be made.
        reads: paths of the test.json records that say when the test samples were read before.
        near: also search near duplicates, which takes longer.
        others: test.json records of other runs, which count where they are of the same test samples.

    Raises:
        UserError: for data that cannot be read or split, or a record that cannot be read.
    """
    pool, split = data.samples("pool"), data.folds
    test, unread = look_at_test(data)
    joined = overlap.Joined(pool, test, split.ordinary)  # a pair leaks what its folds do
    after = isinstance(data.split, TableSplitter) and data.split.trains_after
    apart = "take them out of the pool or out of the test source"
    leaks = [unread] if unread is not None else []
    for kind, hits, mend, mend_test in (
        ("duplicate", overlap.duplicates(joined), "set data.clean.duplicate: drop", "set data.clean.duplicate: drop"),
        (
            "near_duplicate",
            overlap.near(joined) if near else [],
            "set data.clean.near_duplicate: drop",
            "set data.clean.near_duplicate: drop",
        ),
        (
            "group",
            overlap.groups(joined),
            "take a splitter with groups, as sklearn.model_selection.GroupKFold",
            "seal whole groups: data.split: lightning_base.splitters.Ratio with test and by: group",
        ),
        (
            "future",
            overlap.future(joined, after),
            "purge folds as lightning_base.splitters.PurgedKFold does"
            if after
            else "take lightning_base.splitters.Expanding, or sklearn.model_selection.TimeSeriesSplit",
            "seal the latest: data.split: lightning_base.splitters.Ratio with test and by: time",
        ),
        (
            "class",
            overlap.missing_classes(joined),
            "take a stratified splitter or fewer folds",
            "seal a larger share, stratified" if data.seals else "add samples of it to the test source",
        ),
    ):
        between = mend_test if data.seals or kind == "class" else apart
        leaks += merge(kind, hits, len(split.ordinary), mend, between)
    leaks += target_leaks(pool, split.folds[0].train)
    leaks += statistics_leaks(data, pool, test)
    leaks += read_before(reads, reads_of(test.fingerprint, others) if test is not None and others else Reads())
    return leaks + suspicions(joined, split.folds[0].train, data.seals, leaks, near)


def read_test_source(data: BaseDataModule) -> Samples | None:
    """The samples of the test source, or None where there is none.

    Raises:
        UserError: where there is one that cannot be read.
    """
    try:
        return data.samples("test")
    except NoSourceError:
        return None


def look_at_test(data: BaseDataModule) -> tuple[Samples | None, Leak | None]:
    """The samples of the test source, where there is one; and what is said where they cannot be read."""
    try:
        return read_test_source(data), None
    except Exception as error:  # a data module of one's own raises any; what has not been looked at is not clean
        why = one_line(error) or type(error).__name__
        return None, Leak("unchecked", None, f"test source: not looked at, since it cannot be read: {why}")


def read_before(reads: Sequence[str], others: Reads) -> list[Leak]:
    """One leak where records say that the test samples were read, by this run or others, and one of what is no record.

    Raises:
        ArtefactError: where a record of this run's cannot be read.
    """
    own = [(time, path) for path in reads for time in read_json(Path(path), needs={"reads": list})["reads"]]
    leaks = []
    if own or others.times:
        said = []
        if own:
            said.append(f"{counted(len(own), 'time', 'times')} before, first {min(own)[0]} ({min(own)[1]})")
        if others.times:
            said.append(f"{others}")
        detail = (
            f"the test samples were read {', and by other runs '.join(said) if own else f'by other runs {said[0]}'}; "
            "seal others (data.test_seed), or report the score as one of so many"
        )
        leaks.append(Leak("test_read", None, detail, level="suspicious"))  # no sample has crossed over
    if others.unread:
        detail = f"records of other runs' reads of test samples: {counted(len(others.unread), 'file', 'files')} cannot "
        leaks.append(Leak("unchecked", None, f"{detail}be read, first {others.unread[0]}; delete or restore it"))
    return leaks
