"""The verb `compare`: tests of the differences between finished cross-validations of one split; needs no torch."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import combinations
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lightning_base.errors import ArtefactError, ConfigError, suggest
from lightning_base.results.finished import DIRECTIONS, Finished, check_same_split, direction, load, score_of
from lightning_base.stats.differences import Difference, compare_folds, holm, mcnemar
from lightning_base.stats.digits import decimals, number, together

ROPE = 0.01
MEASURED, NARROW = 1000, 80  # columns: more than any table needs; fewer than one with McNemar's test does


@dataclass(frozen=True)
class MetricTest:
    """Two runs compared by one metric; differences are a - b. `p_holm` is corrected over all such tests of the call.

    Attributes:
        rope: half-width of the region of practical equivalence, in the metric's unit.
        higher_is_better: None where that is not known.
    """

    a: str
    b: str
    metric: str
    higher_is_better: bool | None
    mean_a: float
    mean_b: float
    rope: float
    difference: Difference
    p_holm: float


@dataclass(frozen=True)
class ErrorTest:
    """McNemar's test of two runs: how many of n samples one alone has right. `p_holm` is corrected over all pairs."""

    a: str
    b: str
    only_a: int
    only_b: int
    n: int
    method: str
    p: float
    p_holm: float


@dataclass(frozen=True, repr=False)
class Comparison:
    """All pairs of runs, over k folds (all repeats) of n samples.

    Attributes:
        runs: names and directories.
        mcnemar: one per pair; empty where the runs do not classify.
        notes: what a reader must know beside the numbers.
    """

    runs: dict[str, str]
    split_hash: str
    k: int
    n: int
    tests: tuple[MetricTest, ...]
    mcnemar: tuple[ErrorTest, ...]
    notes: tuple[str, ...]

    @property
    def table(self) -> pd.DataFrame:
        """One row per metric and pair: both means, their difference with its 95 % interval, p (Holm's where there are
        several), and the probabilities that either is better or that they differ by no more than `rope`.
        """
        rows = []
        for test in self.tests:
            d = test.difference
            a_better, b_better = (d.left, d.right) if test.higher_is_better is False else (d.right, d.left)
            row = {"metric": test.metric, "a": test.a, "b": test.b, "mean_a": test.mean_a, "mean_b": test.mean_b}
            row |= {"difference": d.mean, "low": d.ci95[0], "high": d.ci95[1], "p": test.p_holm}
            rows.append(row | {"a_better": a_better, "b_better": b_better, "rope": d.rope})
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        console = Console(
            highlight=False,
            markup=False,
            emoji=False,
            width=140,
            file=io.StringIO(),
            force_terminal=False,
            color_system=None,
        )
        with console.capture() as printed:
            show(self, console)
        return printed.get().rstrip()

    def _repr_html_(self) -> str:
        rows = self.table.to_html(index=False, float_format=decimals)
        notes = "".join(f"<p>note: {escape(note)}</p>" for note in self.notes)
        return f"<p>{self.k} folds, n = {self.n}</p>{rows}{notes}"


def compare(
    directories: Sequence[Path], metrics: Sequence[str] | None = None, ropes: Mapping[str | None, float] | None = None
) -> Comparison:
    """Compares every pair of finished cross-validations.

    McNemar's test takes the predictions of the first repeat, each sample once. It takes samples as independent and
    the folds' models as given, so it says nothing of other training sets (Dietterich 1998).

    Where the two runs of a pair trained on different numbers of samples, as where one sets some aside for early
    stopping, the t-tests take the smaller: it gives the larger variance, and the same in either order.

    Args:
        directories: two or more, as `crossval` leaves them.
        metrics: what to compare; by default the runs' score.
        ropes: half-widths of the region of practical equivalence by metric; under None that of the others.

    Raises:
        UserError: for runs that are not finished, on different splits, or without a metric.
    """
    if len(directories) < 2:
        raise ArtefactError(f"compare: needs two crossval directories or more, got {len(directories)}")
    resolved = [directory.resolve() for directory in directories]
    for i, directory in enumerate(directories):
        if resolved[i] in resolved[:i]:
            raise ArtefactError(f"compare: {directory} is given twice; name different runs")
    runs = dict(zip(_labels(directories), map(load, directories), strict=True))
    first, *others = runs.values()
    for other in others:
        check_same_split(first, other)
    shared = [name for name in first.metrics if all(name in other.metrics for other in others)]
    if not metrics and not shared:
        raise ArtefactError(f"compare: {first.directory} and the others share no metric; compare runs of one task")
    chosen = list(dict.fromkeys(metrics or [score_of(runs, shared)]))
    widths = {None: ROPE, **(ropes or {})}
    for name in widths:
        if name is not None and name not in chosen:
            raise ConfigError(f"--rope: {name} is not compared, {', '.join(chosen)} is{suggest(name, chosen)}")
    better = {name: direction(runs, name) for name in chosen}
    tests = []
    for name in chosen:
        folds = {label: run.folds(name) for label, run in runs.items()}
        for a, b in combinations(runs, 2):
            width = widths.get(name, widths[None])
            n_train = min(runs[a].n_train, runs[b].n_train)
            difference = compare_folds(list(folds[a] - folds[b]), n_train, first.n_val, width)
            means = float(folds[a].mean()), float(folds[b].mean())
            tests.append(MetricTest(a, b, name, better[name], *means, width, difference, difference.p))
    corrected = holm([test.difference.p for test in tests])
    return Comparison(
        runs={label: str(run.directory) for label, run in runs.items()},
        split_hash=first.summary.split_hash,
        k=first.summary.k,
        n=int(first.oof["id"].nunique()),
        tests=tuple(replace(test, p_holm=p) for test, p in zip(tests, corrected, strict=True)),
        mcnemar=_error_tests(runs),
        notes=tuple(_notes(runs, tests)),
    )


def _labels(directories: Sequence[Path]) -> list[str]:
    """The runs' names where these differ, else the paths."""
    names = [(d.resolve().parent if d.resolve().name == "crossval" else d.resolve()).name for d in directories]
    return names if len(set(names)) == len(names) else [str(directory) for directory in directories]


def _error_tests(runs: Mapping[str, Finished]) -> tuple[ErrorTest, ...]:
    right = {}
    for label, run in runs.items():
        once = run.oof[run.oof["repeat"] == 0]
        if not run.summary.classes or not {"target", "pred"} <= set(once.select_dtypes("number").columns):
            return ()
        right[label] = (once["target"] == once["pred"]).to_numpy()
    tests = []
    for a, b in combinations(runs, 2):
        only_a, only_b = int((right[a] & ~right[b]).sum()), int((right[b] & ~right[a]).sum())
        p, method = mcnemar(only_a, only_b)
        tests.append(ErrorTest(a, b, only_a, only_b, len(right[a]), method, p, p))
    corrected = holm([test.p for test in tests])
    return tuple(replace(test, p_holm=p) for test, p in zip(tests, corrected, strict=True))


def _notes(runs: Mapping[str, Finished], tests: Sequence[MetricTest]) -> list[str]:
    first, *others = runs.values()
    notes = []
    if first.grouped and first.summary.classes:
        notes.append("samples come in groups; McNemar's test takes them as independent, and its p is too small")
    if any(other.summary.data_fingerprint != first.summary.data_fingerprint for other in others):
        notes.append("the runs had different inputs of the same samples (other data fingerprints)")
    if any(other.summary.selection != first.summary.selection for other in others):
        notes += [f"{label} scored: {run.summary.selection}" for label, run in runs.items()]
    if len({run.n_train for run in runs.values()}) > 1:
        told = ", ".join(f"{label} {run.n_train:,.0f}" for label, run in runs.items())
        notes.append(f"the runs trained on different numbers of samples ({told}); the tests of a pair take the smaller")
    for name in dict.fromkeys(test.metric for test in tests if test.higher_is_better is None):
        notes.append(f"whether a higher {name} is better is not known; P(better) takes it that it is")
    if any(test.difference.p != test.difference.p for test in tests):
        notes.append("one fold has no variance: no t-test")
    return notes


def show(found: Comparison, console: Console) -> None:
    """Prints a row per pair and metric: two lines, one per run, and what is tested between them."""
    title = f"{len(found.runs)} runs on one split: {found.k} folds, n = {found.n}"
    several, pairs = len(found.tests) > 1, len(found.mcnemar) > 1
    headings = ["metric", "run", "mean", "difference", "p, Holm" if several else "p", "P(better)", "P(rope)"]
    headings += ["McNemar p, Holm" if pairs else "McNemar p"] if found.mcnemar else []
    rows = []
    errors = {(test.a, test.b): test for test in found.mcnemar}
    names = [test.metric for test in found.tests]
    home = "accuracy" if "accuracy" in names else names[0]  # McNemar's test is of this, and the same for every metric
    for test in found.tests:
        d = test.difference
        a_better, b_better = (d.left, d.right) if test.higher_is_better is False else (d.right, d.left)
        row = [
            f"{test.metric}\n{DIRECTIONS[test.higher_is_better]} is better",
            f"{test.a}\n{test.b}",
            "\n".join(together([test.mean_a, test.mean_b])),
            _difference(d),
            _p(test.p_holm),
            f"{_number(a_better)}\n{_number(b_better)}",
            f"{_number(d.rope)}\n±{test.rope:g}",
        ]
        if test.metric == home and (error := errors.get((test.a, test.b))):
            row.append(f"{_p(error.p_holm)}\n{error.only_a} : {error.only_b}")
        rows.append(row)
    for table in tables(title, headings, rows, console):
        console.print(table)
    console.print(
        "difference: first minus second, corrected resampled t interval of 95 % and p, Nadeau & Bengio 2003; "
        "P: Bayesian correlated t-test, Corani & Benavoli 2015"
    )
    console.print(
        "mean: over folds, each counting the same, as these tests take it; the score that crossval prints is pooled "
        "over samples, and may differ from it"
    )
    if found.mcnemar:
        methods = " or ".join(dict.fromkeys(test.method for test in found.mcnemar))
        console.print(
            f"McNemar, of accuracy: samples that the first : the second alone has right, out-of-fold, {methods}, n = "
            f"{found.mcnemar[0].n}; it takes the trained models as given and samples as independent, and says nothing "
            "of other training sets"
        )
    if several:
        console.print(f"Holm: corrected over {len(found.tests)} tests{' (McNemar: over the pairs)' if pairs else ''}")
    for note in found.notes:
        console.print(f"note: {note}")


def tables(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], console: Console) -> list[Table]:
    """The rows as one table, without lines where these have no room; in a narrow terminal as a table of each."""
    if console.width < NARROW:
        found = [Table(title=title, title_justify="left", box=None, show_header=False, pad_edge=False) for _ in rows]
        for table, row in zip(found, rows, strict=True):
            for heading, cell in zip(headings, row, strict=False):
                table.add_row(Text(heading), Text(cell))
        return found
    table = Table(title=title, title_justify="left", show_lines=True)
    for i, heading in enumerate(headings):
        text = i < 2
        table.add_column(heading, justify="left" if text else "right", no_wrap=not text, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    if console.measure(table, options=console.options.update(max_width=MEASURED)).maximum > console.width:
        table.box, table.pad_edge, table.collapse_padding, table.leading = None, False, True, 1
    return [table]


def _number(value: float) -> str:
    """Four decimals; "-" for none."""
    return "-" if value != value else number(value)


def _difference(found: Difference) -> str:
    """The mean difference, signed, and below it its interval."""
    mean, low, high = together([found.mean, *found.ci95])
    return f"{'+' if found.mean >= 0 else ''}{mean}\n{low} … {high}"


def _p(value: float) -> str:
    return "< 0.0001" if value < 0.0001 else _number(value)
