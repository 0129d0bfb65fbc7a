"""The gate before training: the audit that begins `fit` and `crossval`, and what was found and split, written."""

from pathlib import Path

import pandas as pd

from lightning_base.auditing.audit import audit
from lightning_base.auditing.report import Leak, count_leaks, show_leaks
from lightning_base.data.datamodule import BaseDataModule
from lightning_base.errors import AuditError
from lightning_base.results.sealed_reads import records_beside
from lightning_base.splitters.manifest import write_manifest
from lightning_base.tools.console import Level, console, level, warn
from lightning_base.tools.files import write_parquet
from lightning_base.tools.process import is_main


class LeakWarning(UserWarning):
    """A way in which held-out samples are known in training."""


def findings(data: BaseDataModule) -> pd.DataFrame:
    """What cleaning found in the sources read so far: source, id, kind, detail, action."""
    parts = [table.assign(source=source) for source, table in data.findings.items()]
    columns = ["source", "id", "kind", "detail", "action"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns, dtype=str)


def write_findings(directory: Path, data: BaseDataModule) -> None:
    """Writes cleaning.parquet, and says how much was found."""
    found = findings(data)
    write_parquet(directory / "cleaning.parquet", found)
    if len(found):
        counts = found.value_counts(["kind", "action"], sort=False).reset_index()
        text = ", ".join(f"{line.count} {line.kind} ({line.action})" for line in counts.itertuples(index=False))
        console().print(f"cleaning: {text}; see {directory / 'cleaning.parquet'}", soft_wrap=True)


def write_split(directory: Path, data: BaseDataModule) -> None:
    """Writes split.parquet, signed, and cleaning.parquet."""
    write_manifest(directory / "split.parquet", data.folds.table(), data.samples("pool").fingerprint, data.folds.traits)
    write_findings(directory, data)


def inspect(policy: str, root: Path, data: BaseDataModule) -> None:
    """The audit before training: nothing, a table, or a refusal.

    Args:
        policy: "off", "warn" or "fail".
        root: the experiment's folder, where earlier reads of the test samples are recorded.
        data: the data, which can be split.

    Raises:
        AuditError: for leaks and for checks that could not be made, where the policy is "fail".
    """
    if policy != "off":
        tell(policy, find_leaks(root, data))


def find_leaks(root: Path, data: BaseDataModule) -> list[Leak]:
    """The audit's findings, with the records of earlier reads of the test samples in this and other runs' folders."""
    reads = sorted(map(str, root.rglob("test.json"))) if root.is_dir() else []
    return audit(data, reads, others=records_beside(root))


def tell(policy: str, leaks: list[Leak], importance: Level = Level.NORMAL) -> None:
    """Prints the table of leaks and suspicions, where there are some; where nothing is printed, each is a warning.

    Raises:
        AuditError: for leaks, suspicions not counted, where the policy is "fail".
    """
    if not leaks:
        return
    refused = policy == "fail" and any(leak.level == "leak" for leak in leaks)
    console(Level.QUIET if refused else importance).print(show_leaks(leaks))
    if not refused and level() == Level.SILENT and is_main():
        for leak in leaks:
            doubt = "suspicious: " if leak.level == "suspicious" else ""
            warn(f"audit: {doubt}{leak.kind}: {leak.detail}", LeakWarning)
    if refused:
        leaks = [leak for leak in leaks if leak.level == "leak"]
        kinds = ", ".join(dict.fromkeys(leak.kind for leak in leaks))
        told = "; ".join(leak.detail for leak in leaks) if level() == Level.SILENT else "mend as the table says"
        raise AuditError(f"audit: {count_leaks(leaks)} ({kinds}); {told}, or set audit: warn")
