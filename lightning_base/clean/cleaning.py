"""Cleaning: findings about a source's samples, each dropped, fixed, kept or fatal as the configuration says."""

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.clean.findings import (
    Bound,
    Limits,
    bounds,
    column_name,
    conflicts,
    constants,
    duplicates,
    is_table,
    look_alikes,
    non_finite,
    outliers,
    targets,
)
from lightning_base.errors import ConfigError, DataError, one_line
from lightning_base.samples.payload import Derived, Payload, Rows
from lightning_base.samples.samples import Feature, Samples, findings_table
from lightning_base.samples.several import content_of, viewed, with_payloads
from lightning_base.tools.choices import demand_choices

COLUMN_KINDS = (
    "type",
    "constant",
    "known_after",
    "identifier",
    "notation",
)  # their findings name a column where others name a sample
MENDS = {
    "mode": "fix to convert them",
    "size": "fix to resize them",
    "rate": "fix to resample them",
    "orientation": "fix to turn them upright",
    "frames": "keep to read the first of each",
    "type": "fix to make the odd values missing ones",
    "constant": "drop to leave the columns out",
    "identifier": "drop to leave them out",
    "notation": "fix to read them so",
}


@dataclass(frozen=True)
class Cleaning:
    """What is done about each kind of finding: `drop` the samples, `fix` them, `keep` them, or `fail`.

    Every finding is listed in cleaning.parquet, whatever is done. The raw source is never changed.

    Args:
        unreadable: files that are truncated, damaged or of another format, rows with a wrong number of fields.
        empty: samples without content.
        escape: files whose path leaves the source's folder.
        unmatched: samples that some of several inputs have and others lack; masks, transcripts and labels without one.
        unused: files beside those that are read, of a type that is not.
        encoding: text that is not in the declared encoding.
        mode: images of another colour mode; fix converts them, and so does keep, since all samples have one shape.
        size: images of another size; fix resizes them, and so does keep.
        orientation: images that their EXIF says are not upright, or whose EXIF cannot be read; fix turns them.
        frames: files of several images, of which one is read; keep takes the first.
        rate: sound of another sample rate; fix resamples it.
        level: sound of floating-point numbers beyond full scale, which is 1.
        type: columns of numbers with other values between; fix makes those missing values.
        notation: columns whose numbers are written otherwise than 1234.5; fix reads them.
        identifier: columns of a table that have another value in nearly every row; they are no inputs.
        target: samples whose target is missing or impossible. For detection drop leaves the impossible boxes out,
            and the image stays.
        non_finite: NaN or infinite inputs; in tables NaN is a missing value, which preprocessing imputes, so that
            only infinite values are found, and fix makes them missing.
        duplicate: samples with the same content as another; drop keeps the first id of each.
        near_duplicate: images or texts that differ from another one by hardly more than compression or a word;
            drop keeps the first id of each; skip does not search.
        conflict: samples of the same content with different targets; drop leaves all of them out.
        known_after: columns that the data says are known only after the target is; they are no inputs.
        constant: columns of a table that have one value, or only missing ones; drop leaves the columns out.
        outlier: numbers outside `ranges` or `iqr`; fix clips them.
        ranges: [lowest, highest] of a table's columns, by name; null is no limit. Columns of arrays are 0, 1, …; those
            of one of several inputs are called `<input>.<column>`.
        iqr: a number farther outside the quartiles than so many interquartile ranges is an outlier. The quartiles are
            the source's as it is read, so cleaning by `drop` what was cleaned before can find more.

    Raises:
        UserError: for a range that is none, or an outlier policy without a rule.
    """

    unreadable: Literal["drop", "fail"] = "fail"
    empty: Literal["drop", "fail"] = "fail"
    escape: Literal["drop", "fail"] = "fail"
    unmatched: Literal["drop", "fail"] = "fail"
    unused: Literal["drop", "fail"] = "drop"
    encoding: Literal["drop", "fail"] = "fail"
    mode: Literal["fix", "keep", "drop", "fail"] = "fix"
    size: Literal["fix", "keep", "drop", "fail"] = "fail"
    orientation: Literal["fix", "drop", "fail"] = "fix"
    frames: Literal["keep", "drop", "fail"] = "keep"
    rate: Literal["fix", "drop", "fail"] = "fix"
    level: Literal["keep", "drop", "fail"] = "keep"
    type: Literal["fix", "fail"] = "fail"
    notation: Literal["fix", "fail"] = "fix"
    identifier: Literal["drop", "fail"] = "drop"
    target: Literal["drop", "fail"] = "fail"
    non_finite: Literal["drop", "fix", "fail"] = "fail"
    duplicate: Literal["drop", "keep", "fail"] = "keep"
    near_duplicate: Literal["skip", "drop", "keep", "fail"] = "skip"
    conflict: Literal["drop", "keep", "fail"] = "keep"
    known_after: Literal["drop"] = "drop"
    constant: Literal["drop", "keep", "fail"] = "keep"
    outlier: Literal["drop", "fix", "keep", "fail"] = "keep"
    ranges: dict[str, Bound] | None = None
    iqr: float | None = None

    def __post_init__(self) -> None:
        demand_choices(self, "data.clean")
        for name, (low, high) in (self.ranges or {}).items():
            if low is not None and high is not None and low > high:
                raise ConfigError(f"data.clean.ranges: {name}: {low} is above {high}; give [lowest, highest]")
        if self.iqr is not None and self.iqr <= 0:
            raise ConfigError(f"data.clean.iqr: {self.iqr} is not positive; 3 is usual")
        if self.outlier != "keep" and self.ranges is None and self.iqr is None:
            raise ConfigError(
                f"data.clean.outlier: {self.outlier} has no rule; give data.clean.ranges or data.clean.iqr"
            )


class Mended(Derived):
    """A table with clipped columns, infinite values made missing, or columns left out, as rows are asked for.

    Args:
        base: (N, F) float payload, which stays as it is.
        columns: (F',) the columns that are left.
        low, high: (F',) bounds, -inf and inf where there is none.
        infinite: make infinite values NaN.
    """

    def __init__(
        self, base: Payload, columns: Rows, low: npt.NDArray[Any], high: npt.NDArray[Any], infinite: bool
    ) -> None:
        super().__init__(base)
        self.columns, self.low, self.high, self.infinite = columns, low, high, infinite

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, F')."""
        return (len(self.base), len(self.columns))

    def __getitem__(self, rows: Any) -> Any:
        x = np.asarray(self.base[rows])[..., self.columns]
        if self.infinite:
            x = np.where(np.isinf(x), np.array(np.nan, x.dtype), x)
        return np.clip(x, self.low, self.high).astype(self.dtype, copy=False)  # NaN stays NaN


def clean(samples: Samples, policy: Cleaning, pool: bool = True) -> tuple[Samples, pd.DataFrame]:
    """The samples without those dropped, and the findings: id, kind, detail, action, sorted.

    Args:
        samples: a source as it was read; it is not changed.
        policy: what is done about each kind.
        pool: False looks only for what a sample tells by itself, as a test or predict source needs it: repeated
            samples, constant columns and what lies far from the quartiles stay, and one class is enough.

    Raises:
        UserError: for a finding whose kind is to fail, and where too little is left.
    """
    n, log = len(samples), [_acted(findings_table(), policy)]

    def act(samples: Samples, found: pd.DataFrame, limits: Limits | None = None) -> Samples:
        log.append(_acted(found, policy))
        _fail(samples, log[-1], pool)
        return _drop(_fix(samples, log[-1], limits), log[-1])

    told = set(samples.findings["id"][samples.findings["kind"] == "target"])
    wrong = targets(samples)
    found = pd.concat([samples.findings, wrong[~wrong["id"].isin(told)], non_finite(samples)], ignore_index=True)
    samples = act(samples, found)
    iqr = policy.iqr if pool else None
    if policy.ranges or iqr:
        limits = bounds(samples, policy.ranges or {}, iqr)
        samples = act(samples, outliers(samples, limits), limits)
    if pool:  # conflicts before duplicates, of which one stays; columns last, when no more rows go
        samples = act(samples, conflicts(samples))
        samples = act(samples, duplicates(samples))
        if policy.near_duplicate != "skip":
            samples = act(samples, look_alikes(samples))
        samples = act(samples, constants(samples))
        _check_classes(samples, len(samples) < n)
    table = samples.table
    if samples.classes and "target" in table and not pd.api.types.is_integer_dtype(table["target"]):
        table = table.assign(target=table["target"].astype(np.int64))
    findings = pd.concat(log, ignore_index=True).sort_values(["kind", "id", "detail"], ignore_index=True)
    return replace(samples, table=table, findings=findings_table(), hashes=samples.content), findings


def _acted(found: pd.DataFrame, policy: Cleaning) -> pd.DataFrame:
    """The findings with a column `action`."""
    known = {f.name for f in fields(policy)} - {"ranges", "iqr"}
    if strange := sorted(set(found["kind"]) - known):
        raise ConfigError(
            f"data.clean: reading found {strange[0]!r}, which is no kind of finding; one of {sorted(known)}"
        )
    return found.assign(action=pd.Series([getattr(policy, kind) for kind in found["kind"]], dtype=str))


def _fail(samples: Samples, found: pd.DataFrame, pool: bool) -> None:
    """Raises for the first finding that is to fail."""
    failing = found[found["action"] == "fail"]
    if failing.empty:
        return
    name, kind, detail = failing.iloc[0][["id", "kind", "detail"]]
    count = failing["kind"].value_counts()
    others = "".join(f", {n} of kind {other}" for other, n in count.items() if other != kind)
    told = ((samples.findings["id"] == name) & (samples.findings["detail"] == detail)).any()
    where = f"{name}: {detail}" if told else f"{'column' if kind in COLUMN_KINDS else 'row'} {name!r} has {detail}"
    raise DataError(
        f"{samples.origin}: {one_line(where)} ({count[kind]} of kind {kind}{others}); mend the data, or set "
        f"data.clean.{kind}: {MENDS.get(kind, 'drop to leave them out')}" + ("" if pool else ", when training too")
    )


def _fix(samples: Samples, found: pd.DataFrame, limits: Limits | None) -> Samples:
    """Infinite values made missing and outliers clipped, where they are to be fixed; reading has fixed other kinds."""
    fixed = found[(found["action"] == "fix") & found["kind"].isin(["non_finite", "outlier"])]
    if fixed.empty:
        return samples
    infinite = bool((fixed["kind"] == "non_finite").any())
    mended = {}
    for name, part in samples.parts.items():
        if infinite and not is_table(part) and fixed["id"].isin(non_finite(part)["id"]).any():
            raise ConfigError(
                f"data.clean.non_finite: fix makes infinite values of a table missing, and {part.origin} is no table: "
                f"row {fixed['id'].iloc[0]!r} has NaN or infinite inputs; set it to drop, or mend the data"
            )
        if is_table(part) or name in (limits or {}):
            n, dtype = part.inputs.shape[1], part.inputs.dtype
            low, high = (limits or {}).get(name, (np.full(n, -np.inf), np.full(n, np.inf)))
            mended[name] = Mended(part.inputs, np.arange(n), low.astype(dtype), high.astype(dtype), infinite)
    inputs = with_payloads(samples.inputs, mended)
    hashes = samples.hashes
    if hashes is not None:
        # the source's own, which compare with its other files: only samples that change get new ones
        rows = np.flatnonzero(samples.table["id"].isin(fixed["id"]).to_numpy())
        hashes = hashes.copy()
        hashes[rows] = content_of(viewed(inputs, rows))
    return replace(samples, inputs=inputs, hashes=hashes)


def _without_columns(samples: Samples, columns: set[str]) -> Samples:
    """The samples without columns of these names."""
    mended, features = dict[str, Payload](), dict[str, tuple[Feature, ...]]()
    for name, part in samples.parts.items():
        left = [i for i, f in enumerate(part.features) if column_name(name, f.name) not in columns]
        if len(left) == len(part.features):
            continue
        if not left:
            raise DataError(f"{part.origin}: every column is constant; give columns that differ between samples")
        free = np.full(len(left), np.inf, dtype=part.inputs.dtype)
        mended[name] = Mended(part.inputs, np.array(left, dtype=np.int64), -free, free, infinite=False)
        features[name] = tuple(part.features[i] for i in left)
    return replace(
        samples,
        inputs=with_payloads(samples.inputs, mended, features),
        features=features.get("", samples.features),
        hashes=samples.content,  # samples that differ, differ in what is left
    )


def _drop(samples: Samples, found: pd.DataFrame) -> Samples:
    """The samples without the columns and rows that are to be dropped."""
    going = found[found["action"] == "drop"]
    if columns := set(going["id"][going["kind"] == "constant"]):
        samples = _without_columns(samples, columns)
    # a detection image stays without the boxes that reading has left out
    apart = [*COLUMN_KINDS, *(["target"] if samples.boxes is not None else [])]
    gone = samples.table["id"].isin(going["id"][~going["kind"].isin(apart)]).to_numpy()
    if gone.all():
        kinds = ", ".join(sorted(set(going["kind"])))
        raise DataError(f"{samples.origin}: cleaning leaves no samples: all are dropped for {kinds}; mend the data")
    return samples.take(np.flatnonzero(~gone)) if gone.any() else samples


def _check_classes(samples: Samples, dropped: bool) -> None:
    """Refuses samples that are all of one class."""
    if not samples.classes or samples.target is None or len(seen := np.unique(samples.target)) > 1:
        return
    how = "cleaning leaves only samples of" if dropped else "all samples are of"
    name = samples.classes[int(seen[0])]
    raise DataError(f"{samples.origin}: {how} class {name!r}; a classifier needs samples of two classes")
