"""The verbs prepare and audit: what was found in the data, shown."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.markup import escape
from rich.table import Table

from lightning_base.auditing.audit import look_at_test, read_test_source
from lightning_base.auditing.coverage import coverage, told
from lightning_base.auditing.gate import LeakWarning, find_leaks, findings, tell, write_split
from lightning_base.auditing.live import compare, notes_of, table_of
from lightning_base.auditing.pictures import draw_samples
from lightning_base.auditing.report import Leak, counted
from lightning_base.auditing.suspicions.look import looked_for
from lightning_base.auditing.wrong_labels import audit_labels
from lightning_base.data.datamodule import BaseDataModule
from lightning_base.errors import AuditError
from lightning_base.preprocess import Preprocess, Several, TablePreprocess
from lightning_base.samples.payload import blocks
from lightning_base.sources.schema import described as described_columns
from lightning_base.sources.schema import rows_of, write_schema
from lightning_base.tools.console import Level, console, level, warn
from lightning_base.tools.files import write_json
from lightning_base.tools.process import is_main
from lightning_base.training.experiment import Experiment
from lightning_base.training.run import build
from lightning_base.verbs.results import Prepared

SHOWN = 20  # most findings that the terminal lists; all stand in the file


def open_data(experiment: Experiment, verb: str) -> BaseDataModule:
    """The data of an experiment's first fold, fetched."""
    data = build(experiment.without_model(), 0, experiment.root / verb, quiet=True, training=False).datamodule
    data.prepare_data()
    return data


def prepare(experiment: Experiment) -> Prepared:
    """Fetches, cleans, packs and splits; writes cleaning.parquet and split.parquet in `runs/<name>/prepare`.

    Raises:
        UserError: where a source cannot be had, or a finding's policy is `fail`.
    """
    out, directory, data = console(Level.QUIET), experiment.root / "prepare", open_data(experiment, "prepare")
    sources = {"pool": data.samples("pool"), "test": read_test_source(data)}
    counts = {source: len(samples) for source, samples in sources.items() if samples is not None}
    for source, samples in sources.items():
        if samples is not None:
            out.print(f"{source}: {len(samples)} samples from {samples.origin}", soft_wrap=True)
    if lines := described(data):
        out.print("\n".join(lines), soft_wrap=True, markup=False)
    for name, preprocess in parts_of(data.preprocess).items():
        table = data.samples("pool").parts.get(name)
        if isinstance(preprocess, TablePreprocess) and table is not None and table.schema is not None:
            widths = preprocess.widths()
            out.print(schema_table(described_columns(table, widths), rows_of(table), name))
            write_schema(directory / (f"schema_{name}.yaml" if name else "schema.yaml"), table, widths)
    write_split(directory, data)
    found = findings(data)
    if len(found):
        out.print(count_table(found))
        for line in found.head(SHOWN).itertuples(index=False):
            out.print(f"  {line.kind}  {line.id}: {line.detail} ({line.action})", soft_wrap=True)
        if len(found) > SHOWN:
            out.print(f"  … and {len(found) - SHOWN} more")
    fold, told_of = data.folds.folds[0], counted(len(found), "finding", "findings")
    out.print(
        f"{told_of}; split: {len(data.folds.folds)} folds, the first with {len(fold.train)} training and "
        f"{len(fold.val)} held-out samples\nresults: {directory}",
        soft_wrap=True,
    )
    return Prepared(directory, counts, found, data.folds.table())


def described(data: BaseDataModule) -> list[str]:
    """Lines on the classes with their samples or boxes, the groups, and how many numbers a network gets of a row."""
    pool, lines = data.samples("pool"), []
    if pool.classes and pool.target is not None and len(pool.classes) <= SHOWN:
        count = np.bincount(pool.target, minlength=len(pool.classes))
        named = ", ".join(f"{name} {n}" for name, n in zip(pool.classes, count, strict=True))
        lines.append(f"{len(pool.classes)} classes: {named}")
    elif pool.classes:
        lines.append(f"{len(pool.classes)} classes")
    if pool.targets is not None and pool.targets.kind == "labels":
        each = sum(block.values.sum(axis=0, dtype=np.float64) for block in blocks(pool.targets.payload))
        labels = [f"{name} {n:.0f}" for name, n in zip(pool.targets.names, np.asarray(each), strict=True)]
        left = [f"… and {len(labels) - SHOWN} more"] if len(labels) > SHOWN else []
        lines.append(f"{counted(len(labels), 'label', 'labels')}: {', '.join(labels[:SHOWN] + left)}")
    if pool.boxes is not None:
        count = np.bincount(pool.boxes.values[:, 4].astype(np.int64), minlength=len(pool.classes))
        lines[-1] += ": " + ", ".join(f"{name} {n} boxes" for name, n in zip(pool.classes, count, strict=True))
    if "group" in pool.table:
        lines.append(counted(pool.table["group"].nunique(), "group", "groups"))
    for name, part in parts_of(data.preprocess).items():
        if isinstance(part, TablePreprocess) and name in pool.parts:
            data.setup("fit")
            n = counted(len(pool.parts[name].features), "column is an input", "columns are inputs")
            lines.append(f"{f'{name}: ' if name else ''}{n}: {part.width()} numbers a sample")
    return lines


def parts_of(preprocess: Preprocess) -> Mapping[str, Preprocess]:
    """By input what preprocesses it; that of one input by the name ""."""
    return preprocess.parts if isinstance(preprocess, Several) else {"": preprocess}


def schema_table(columns: Sequence[Mapping[str, Any]], rows: int, part: str = "") -> Table:
    """What each column, of a part where samples have several, was taken for, a line each; counts are over the rows."""
    of = f"columns of {part}" if part else "columns"
    table = Table(title=f"{of}, over all {counted(rows, 'row', 'rows')}", title_justify="left")
    for heading in ("column", "taken for"):
        table.add_column(heading, overflow="fold")
    for heading in ("distinct", "missing"):
        table.add_column(heading, justify="right")
    table.add_column("examples", max_width=28, no_wrap=True)
    table.add_column("becomes", overflow="fold")
    table.add_column("width", justify="right")
    for one in columns:
        shown = [one["name"], one["kind"], one.get("distinct", ""), one.get("missing", ""), one.get("examples", "")]
        table.add_row(*(escape(str(value)) for value in (*shown, one["becomes"], one["width"] or "")))
    return table


def count_table(found: pd.DataFrame) -> Table:
    """How many findings of each kind in each source, and what was done about them."""
    table = Table(title="cleaning", title_justify="left")
    for heading in ("source", "kind", "action"):
        table.add_column(heading)
    table.add_column("findings", justify="right")
    for line in found.value_counts(["source", "kind", "action"], sort=False).reset_index().to_numpy():
        table.add_row(*map(str, line))
    return table


def audit(experiment: Experiment, show: Path | None = None, labels: Path | None = None, live: Any = None) -> list[Leak]:
    """Looks for leaks, draws augmented samples where a picture is asked for, ranks labels, or compares new samples.

    Args:
        experiment: whose data.
        show: a picture to draw.
        labels: a classifier's finished crossval directory, whose labels are ranked; leaks are not looked for then.
        live: new samples, a path or in memory, that are compared with the training role; leaks are not looked for then.

    Raises:
        AuditError: for leaks, or new samples that differ, where `audit` is "fail".
    """
    data = open_data(experiment, "audit")
    if live is not None:
        return audit_live(experiment, data, live)
    if labels is not None:
        audit_labels(data, labels)
        if show is None:
            return []
    data.setup("fit")
    if show is not None:
        draw_samples(data, show)
        console(Level.QUIET).print(f"samples before and after augmentation: {show}", soft_wrap=True)
    leaks = find_leaks(experiment.root, data)
    out, pool, folds = console(Level.QUIET), data.samples("pool"), data.folds.folds
    if not leaks:
        out.print(f"no leaks found: {len(pool)} samples, {len(folds)} folds")
    test = look_at_test(data)[0]
    for line in told(coverage(pool, test, leaks)):
        if line:
            out.print(line, soft_wrap=True, markup=False)
    out.print(looked_for([found for found in (pool, test) if found is not None]), soft_wrap=True, markup=False)
    tell(experiment.audit, leaks, Level.QUIET)
    return leaks


def audit_live(experiment: Experiment, data: BaseDataModule, live: Any) -> list[Leak]:
    """Compares new samples with the training role; writes live.json into `runs/<name>/audit`.

    Raises:
        UserError: where they cannot be read; AuditError where they differ, and `audit` is "fail".
    """
    found, path, out = compare(data, live), experiment.root / "audit" / "live.json", console(Level.QUIET)
    write_json(path, found.written())
    out.print(table_of(found))
    for line in notes_of(found):
        out.print(line, soft_wrap=True, markup=False, highlight=False)
    changed, drifts = found.changed, found.drifts
    names = ", ".join(row.column for row in changed)
    n = counted(len(changed), "column differs", "columns differ")
    total = counted(len(found.rows), "column", "columns")
    few = sum(row.verdict == "too few" for row in found.rows)
    untold = f"; of {few} too few samples to tell" if few else ""
    out.print(
        f"{n} from the training role, of {total}{f': {names}' if changed else ''}{untold}\nresults: {path}",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )
    if changed and experiment.audit == "fail":
        raise AuditError(
            f"audit: {found.origin}: {n} from the training role ({names}); look into it, or set audit: warn"
        )
    if level() == Level.SILENT and is_main() and experiment.audit != "off":
        for drift in drifts:
            warn(f"audit: {drift.detail}", LeakWarning)
    return list(drifts)
