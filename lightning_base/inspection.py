"""Looking at data before training: the verbs `prepare` and `audit`, and the audit that begins `fit` and `crossval`."""

from pathlib import Path

import pandas as pd
from rich.table import Table

from lightning_base.audit import Leak, audit, show_leaks, test_source
from lightning_base.data import BaseDataModule
from lightning_base.display import console
from lightning_base.errors import AuditError
from lightning_base.files import write_parquet
from lightning_base.manifest import write_manifest
from lightning_base.run import Experiment
from lightning_base.show import draw_samples

SHOWN = 20  # most findings that the terminal lists; all stand in the file


def prepare(experiment: Experiment, data: BaseDataModule) -> None:
    """Fetches, cleans, packs and splits; writes cleaning.parquet and split.parquet in runs/<name>/prepare.

    Raises:
        UserError: where a source cannot be had, or a finding's policy is `fail`.
    """
    out, directory = console(), experiment.root / "prepare"
    data.prepare_data()
    for source, samples in (("pool", data.samples("pool")), ("test", test_source(data))):
        if samples is not None:
            out.print(f"{source}: {len(samples)} samples from {samples.origin}", soft_wrap=True)
    write_split(directory, data)
    found = findings(data)
    if len(found):
        out.print(count_table(found))
        for line in found.head(SHOWN).itertuples(index=False):
            out.print(f"  {line.kind}  {line.id}: {line.detail} ({line.action})", soft_wrap=True, markup=False)
        if len(found) > SHOWN:
            out.print(f"  … and {len(found) - SHOWN} more")
    fold = data.folds.folds[0]
    out.print(
        f"{len(found)} findings; split: {len(data.folds.folds)} folds, the first with {len(fold.train)} training and "
        f"{len(fold.val)} held-out samples\nresults: {directory}",
        soft_wrap=True,
    )


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
    write_manifest(directory / "split.parquet", data.folds.table(), data.samples("pool").fingerprint)
    write_findings(directory, data)


def count_table(found: pd.DataFrame) -> Table:
    """How many findings of each kind in each source, and what was done about them."""
    table = Table(title="cleaning", title_justify="left")
    for heading in ("source", "kind", "action"):
        table.add_column(heading)
    table.add_column("findings", justify="right")
    for line in found.value_counts(["source", "kind", "action"], sort=False).reset_index().to_numpy():
        table.add_row(*map(str, line))
    return table


def inspect(experiment: Experiment, data: BaseDataModule) -> None:
    """The audit before training: nothing, a table, or a refusal, as the experiment's `audit` says.

    Raises:
        AuditError: for leaks, where `audit` is "fail".
    """
    if experiment.audit != "off":
        _tell(find_leaks(experiment, data), experiment.audit)


def audit_verb(experiment: Experiment, data: BaseDataModule, picture: Path | None) -> None:
    """Audits, and draws augmented samples where a picture is asked for.

    Raises:
        AuditError: for leaks, where `audit` is "fail".
    """
    data.prepare_data()
    data.setup("fit")
    if picture is not None:
        draw_samples(data, picture)
        console().print(f"samples before and after augmentation: {picture}", soft_wrap=True)
    leaks = find_leaks(experiment, data)
    if not leaks:
        pool, folds = data.samples("pool"), data.folds.folds
        console().print(f"no leaks found: {len(pool)} samples, {len(folds)} folds")
    _tell(leaks, experiment.audit)


def find_leaks(experiment: Experiment, data: BaseDataModule) -> list[Leak]:
    """The audit's findings, with the records of earlier reads of the test samples in this experiment's folder."""
    reads = sorted(map(str, experiment.root.rglob("test.json"))) if experiment.root.is_dir() else []
    return audit(data, reads)


def _tell(leaks: list[Leak], policy: str) -> None:
    if not leaks:
        return
    console().print(show_leaks(leaks))
    if policy == "fail":
        kinds = ", ".join(dict.fromkeys(leak.kind for leak in leaks))
        count = f"{len(leaks)} leak{'s' if len(leaks) > 1 else ''}"
        raise AuditError(f"audit: {count} ({kinds}); mend as the table says, or set audit: warn")
