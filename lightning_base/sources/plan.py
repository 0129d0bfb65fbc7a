"""Plan: what each column of a table is taken for, decided by what a first pass tells, and said."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from lightning_base.errors import ConfigError, DataError
from lightning_base.runtime.notation import PLAIN, WRITTEN, Notation, from_written, number, written
from lightning_base.samples.samples import Feature
from lightning_base.sources import dates
from lightning_base.sources.before import demand_as_before, form_of
from lightning_base.sources.columns import MOST_VALUES, Layout, Tally, apart, canonical, classes_of, inputs
from lightning_base.sources.numbers import notation_of
from lightning_base.sources.records import Records

FEWEST = 30  # values by which a column can be told to name the rows
DISTINCT = 0.9  # … share of them that are distinct
IDENTIFIER = re.compile(r"(^|.*[^a-z])(id|ids|uid|uuid|guid|index|idx|rowid|row|key)|.*[a-z](Id|ID)", re.IGNORECASE)
NAMELESS = ("", "Unnamed: 0", "__index_level_0__")


@dataclass(frozen=True)
class Column:
    """What a column was taken for.

    Attributes:
        name: its own.
        kind: number, boolean, category, date, identifier, text or constant; or what it is declared as.
        becomes: what is done with it.
        tally: what the first pass learnt; None of columns that it did not look at.
        feature: as an input; None where it is none.
    """

    name: str
    kind: str
    becomes: str
    tally: Tally | None = None
    feature: Feature | None = None


@dataclass(frozen=True)
class Plan:
    """How a file's columns are encoded: what the first pass decided.

    Attributes:
        columns: what each column was taken for, in the file's order.
        classes: the classes' names; empty for regression.
        rows: the number of records.
        findings: (id, kind, detail).
        target: how the target's numbers are written.
        features: the inputs in their order, with the categories of those that are no numbers.
    """

    columns: tuple[Column, ...]
    classes: tuple[str, ...]
    rows: int
    findings: list[tuple[str, str, str]] = field(default_factory=list)
    target: Notation = PLAIN

    features: tuple[Feature, ...] = ()


def plan(layout: Layout, records: Records) -> Plan:
    """The first pass: counts rows, tells what each column is, and collects categories and classes.

    Raises:
        UserError: for a column that is not there, a file without rows, or a declaration that does not fit.
    """
    names = inputs(layout, records)
    declared = [f.name for f in layout.features or () if f.categories is not None] or list(layout.categorical)
    rows, tallies = _tally(layout, records, names, declared)
    # columns that hold other values than numbers, of which some chunks did not: what they are is told by all of them
    mixed = {name for name, tally in tallies.items() if tally.parsed and (tally.odd is not None or tally.coded)}
    if late := [name for name in names if name in mixed]:
        rows, tallies = _tally(layout, records, names, declared + late)
    given = {feature.name: feature for feature in layout.features or ()}
    columns, findings = [], list[tuple[str, str, str]]()
    for name in names:
        one = (
            _as_before(layout, records, tallies[name], given[name])
            if given
            else _decided(layout, records, name, tallies[name])
        )
        columns.append(one)
        findings += _findings(layout, one)
    features = tuple(column.feature for column in columns if column.feature is not None)
    if not features:
        raise DataError(f"{layout.form.path}: no column is left as an input; name some in data.columns")
    used = {*layout.special, *(layout.columns or ())}
    lost = [name for name in records.index if name not in used]
    findings += [(name, "unused", "pandas' index, which gives rows no names of their own; no input") for name in lost]
    findings += [(name, "known_after", "known only after the target is, so no input") for name in layout.known_after]
    target, classes = _target(layout, records, tallies)
    if layout.target is not None and target != records.notation:
        findings.append(_read_so(layout.target, tallies[layout.target], target))
    others = [Column(name, kind, becomes, tallies.get(name)) for name, kind, becomes in apart(layout, records, names)]
    order = {name: i for i, name in enumerate(records.names)}
    found = sorted([*columns, *others], key=lambda column: order.get(column.name, -1))
    return Plan(tuple(found), classes, rows, findings + records.findings, target, features)


def _numeric(layout: Layout, name: str, tally: Tally) -> bool:
    """Whether a column that is not declared categorical is read as numbers."""
    given = {feature.name for feature in layout.features or () if feature.categories is None}
    return name in given or name in layout.numeric or tally.numeric


def _decided(layout: Layout, records: Records, name: str, tally: Tally) -> Column:
    """What an input was taken for."""
    if name in layout.categorical:
        return _category(layout, name, "category", tally)
    if name in layout.dates and (form := _date_form(layout, name, tally)):
        return _date(name, tally, form)
    if name in layout.numeric or tally.numeric:
        if name not in layout.numeric and _names_rows(layout, name, tally):
            return _left_out(layout, name, "identifier", tally)
        return _number(layout, records, name, tally)
    if tally.truths:
        return _category(layout, name, "boolean", tally)
    if not tally.coded and (notation := _notation(layout, records, name, tally)):
        return _number(layout, records, name, tally, notation)
    if not tally.coded and (form := _date_form(layout, name, tally)):
        return _date(name, tally, form)
    if tally.known >= FEWEST and tally.distinct >= DISTINCT * tally.known:
        words = sum(len(one.split()) for one in tally.examples) / len(tally.examples)
        return _left_out(layout, name, "text" if words >= 3 else "identifier", tally)
    return _category(layout, name, "category", tally)


def _number(layout: Layout, records: Records, name: str, tally: Tally, notation: Notation | None = None) -> Column:
    """A column of numbers."""
    if notation is None and tally.words and not tally.truths:
        notation = _notation(layout, records, name, tally)
    kind = "constant" if tally.distinct < 2 and not tally.words else "number"
    kept = "" if notation is None else written(notation)
    return Column(name, kind, "gaps filled, standardised", tally, Feature(name, None, kept))


def _category(layout: Layout, name: str, kind: str, tally: Tally) -> Column:
    """A column of categories."""
    if tally.values is None:
        raise ConfigError(
            f"data.categorical: column {name!r} has over {MOST_VALUES} distinct values; declare it in data.numeric"
        )
    names = tuple(sorted(canonical(tally.values)))
    return Column(name, "constant" if len(names) < 2 else kind, "spread out", tally, Feature(name, names))


def _date(name: str, tally: Tally, form: str) -> Column:
    """A column of dates."""
    return Column(name, "date", "days, year, month, weekday", tally, Feature(name, None, f"date {form}"))


def _left_out(layout: Layout, name: str, kind: str, tally: Tally) -> Column:
    """A column that has another value in nearly every row."""
    if layout.columns is not None:
        raise ConfigError(
            f"data.columns: {name!r} has a value of its own in nearly every row, {tally.examples[0]!r} for one, which "
            "no model learns from; leave it out, or name it in data.categorical or data.numeric too"
        )
    return Column(name, kind, "left out", tally)


def _names_rows(layout: Layout, name: str, tally: Tally) -> bool:
    """Whether numbers count the rows, or are said to name them: then they are no inputs."""
    if tally.known < 2 or tally.missing or not tally.rising:
        return False
    return name in NAMELESS or (tally.known >= FEWEST and IDENTIFIER.fullmatch(name) is not None)


def _notation(layout: Layout, records: Records, name: str, tally: Tally) -> Notation | None:
    """How a column writes its numbers, where what is no plain number is one of another notation."""
    if not tally.words:
        return None
    try:
        found = notation_of(tally.words, records.notation)
    except ValueError as error:
        raise DataError(
            f"{layout.form.path}: column {name!r}: {error}; say which with data.decimal and data.thousands, or "
            "name it in data.categorical"
        ) from error
    if found is None or (tally.numbers and not _reads_alike(tally, found, records.notation)):
        return None  # the odd ones among plain numbers are a finding
    return found


def _reads_alike(tally: Tally, found: Notation, base: Notation) -> bool:
    """Whether a column's plain numbers are the same in another notation, or so few that they are slips, and told."""
    if found.mark or tally.values is None:
        return False
    if len(tally.words) >= DISTINCT * len(tally.values):
        return True
    plain = (value for value in tally.values if value not in tally.words)
    return all(number(value, found) == number(value, base) for value in plain)


def _date_form(layout: Layout, name: str, tally: Tally) -> str | None:
    """The form of a column's dates.

    Raises:
        DataError: where day and month may stand in either order, or a column that is declared dates has none.
    """
    form, texts = layout.date_format, tally.values or set()
    try:
        form = form or dates.form_of(sorted(texts))
    except ValueError as error:
        raise DataError(
            f"{layout.form.path}: column {name!r}: {error}; say which with data.date_format, or name it in "
            "data.categorical"
        ) from error
    if form is None and name in layout.dates:
        raise DataError(
            f"{layout.form.path}: column {name!r} (data.dates) holds {tally.examples[0]!r}, which is no date that is "
            "known; give data.date_format, such as '%d.%m.%Y'"
        )
    if form and layout.date_format and name not in layout.dates and not dates.fits(sorted(texts), form):
        return None
    return form


def _as_before(layout: Layout, records: Records, tally: Tally, feature: Feature) -> Column:
    """A column read as another file's is."""
    name = feature.name
    demand_as_before(layout, records, tally, feature)
    if feature.categories is not None:
        return _category(layout, name, "boolean" if tally.truths else "category", tally)
    if feature.is_date:
        return _date(name, tally, form_of(feature))
    return Column(name, "number", "gaps filled, standardised", tally, Feature(name, None, feature.written))


def _findings(layout: Layout, column: Column) -> list[tuple[str, str, str]]:
    """What is said of a column."""
    tally, feature = column.tally, column.feature
    assert tally is not None
    if feature is None:
        first = ", ".join(map(repr, tally.examples))
        detail = f"{'text' if column.kind == 'text' else 'values'}, another in nearly every row ({first}): no input"
        return [(column.name, "identifier", detail)]
    if feature.categories is not None or tally.truths or tally.odd is None:
        return []
    if feature.written.startswith(WRITTEN) and layout.features is None:
        return [_read_so(column.name, tally, from_written(feature.written))]
    if feature.written:
        return []  # values that are none are told one by one as they are encoded
    value, line = tally.odd
    count = tally.known - tally.numbers
    detail = f"a column of {tally.known} values, {count} of them no numbers, the first {value!r} in line {line}"
    return [(column.name, "type", detail)]


def _read_so(name: str, tally: Tally, notation: Notation) -> tuple[str, str, str]:
    """The finding that a column's numbers are read in a notation."""
    odd = tally.odd and tally.odd[0]
    return (name, "notation", f"{odd!r} is read as a number, written as {notation} is")


def _tally(
    layout: Layout, records: Records, names: Sequence[str], declared: Sequence[str]
) -> tuple[int, dict[str, Tally]]:
    """The number of rows, and what a run through the file tells of the inputs and the target."""
    wanted = [layout.target] if layout.target is not None else []
    text = [*(n for n in names if n in declared), *wanted]
    tallies = {name: Tally() for name in [*names, *wanted]}
    rows = 0
    for chunk in records.chunks(text, [n for n in names if n not in text]):
        for name, tally in tallies.items():
            tally.add(chunk.columns[name], chunk)
        rows += len(chunk)
    if rows == 0 and records.findings:
        where, _, detail = records.findings[0]
        raise DataError(
            f"{layout.form.path}: no record fits the header; {where}: {detail} ({len(records.findings)} such lines); "
            "mend the header, or give data.header and data.separator"
        )
    if rows == 0:
        raise DataError(f"{layout.form.path}: no records; give a file that has some")
    return rows, tallies


def _target(layout: Layout, records: Records, tallies: dict[str, Tally]) -> tuple[Notation, tuple[str, ...]]:
    """How the target's numbers are written, and its classes.

    Raises:
        ConfigError: for one of names or dates, which no model could learn.
    """
    classes = classes_of(layout, tallies)
    if layout.target is None or layout.task == "classification" or (classes and layout.classes is not None):
        return records.notation, classes
    tally = tallies[layout.target]
    if tally.words and not tally.coded and (found := _notation(layout, records, layout.target, tally)):
        return found, ()
    if layout.task == "auto" and tally.known >= FEWEST and len(classes) >= DISTINCT * tally.known:
        raise ConfigError(
            f"data.target: column {layout.target!r} of {layout.form.path} has another value in nearly every row, "
            f"{tally.examples[0]!r} for one: no classes, and no numbers; name another column, or give data.task"
        )
    return records.notation, classes
