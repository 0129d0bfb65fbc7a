"""Before: whether a file's columns hold what they held in another file, which it is read like."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from lightning_base.errors import DataError
from lightning_base.runtime.notation import from_written
from lightning_base.runtime.spelling import TRUTHS
from lightning_base.samples.samples import Feature
from lightning_base.sources.columns import Layout, Tally, canonical
from lightning_base.sources.dates import ISO, to_days
from lightning_base.sources.numbers import to_numbers
from lightning_base.sources.records import Records

BOOLEANS = {*TRUTHS, "0", "1"}


def as_held(feature: Feature, records: Records) -> Feature:
    """A feature as this file holds it: one that holds numbers or moments writes them in no notation."""
    kind = records.kind(feature.name) if feature.written else ""
    if kind == "number" and not feature.is_date:
        return replace(feature, written="")
    return replace(feature, written=f"date {ISO}") if kind == "moment" and feature.is_date else feature


def demand_as_before(layout: Layout, records: Records, tally: Tally, feature: Feature) -> None:
    """Refuses a column none of whose values is what it was: all of them would count as missing.

    Raises:
        DataError: naming the column, its first value, and how it was written before.
    """
    where = f"{layout.form.path}: column {feature.name!r}"
    if feature.categories is not None:
        if layout.schema is not None and feature.categories:
            _demand_known(f"data.schema: {layout.schema}: {where}", tally, feature.categories)
        return
    if tally.odd is None or tally.truths or _readable(tally, as_held(feature, records)):
        return
    value, line = tally.odd
    what, form = ("dates" if feature.is_date else "numbers"), _shown(feature)
    raise DataError(
        f"{where} was {what}{form and f' such as {form}'} before and holds none here, the first value is {value!r} in "
        f"line {line}; write them as before, or leave the values empty"
    )


def _demand_known(where: str, tally: Tally, before: Iterable[str]) -> None:
    """Refuses categories of which none was there before; 0 and 1 may be booleans that were, and the reverse."""
    here, known = canonical(tally.values), canonical(before)
    if here and not here & known and not here | known <= BOOLEANS:
        new, old = (", ".join(map(repr, sorted(names)[:5])) for names in (here, known))
        raise DataError(f"{where}: none of its values ({new}) is one of the categories there ({old}); spell them so")


def _readable(tally: Tally, feature: Feature) -> bool:
    """Whether any value is what it was in another file: a number, or a date, as that writes them."""
    if not feature.written:
        return tally.numbers > 0
    if tally.values is None:  # numbers, and too many to remember
        return True
    found = np.array(sorted(tally.values), dtype=object)
    read = to_days(found, form_of(feature)) if feature.is_date else to_numbers(found, from_written(feature.written))
    return not bool(np.isnan(read).all())


def form_of(feature: Feature) -> str:
    """How a column writes its dates, as strptime has it, or ISO8601."""
    return feature.written.removeprefix("date ")


def _shown(feature: Feature) -> str:
    """A date or a number as a column writes it; nothing of plain numbers."""
    if feature.is_date:
        form = form_of(feature)
        return "2024-12-31" if form == ISO else form
    return str(from_written(feature.written)) if feature.written else ""
