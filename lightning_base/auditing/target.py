"""Target leakage: a single column that alone predicts the target."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from lightning_base.auditing.report import Leak, named
from lightning_base.auditing.series import previous
from lightning_base.auditing.suspicions.columns import is_columns
from lightning_base.auditing.suspicions.evidence import areas, surely
from lightning_base.auditing.views import of_part, single_targets
from lightning_base.samples.payload import Rows, gather
from lightning_base.samples.samples import Samples

Matrix = npt.NDArray[np.float64]
SCORE, LIKELY = 0.99, 0.985  # told as a leak, and as a suspicion
SURELY = 0.97  # an area under the curve less two standard errors
MOST_ROWS = 4000
MOST_TREES = 200  # columns that are looked at closely
LEAF = 5  # a value that fewer samples share cannot be memorised


def target_leaks(pool: Samples, train: Rows) -> list[Leak]:
    """What `leaks_of` finds in each of several inputs, and for each of several values or labels."""
    found: list[Leak] = []
    for part, samples in pool.parts.items():
        for name, one in single_targets(samples).items() if is_columns(samples) else ():
            found += of_part(leaks_of(one, train, f"target {name!r}" if name else "the target"), part)
    return found


def leaks_of(pool: Samples, train: Rows, which: str = "the target") -> list[Leak]:
    """One leak that names the columns of a table, or of an array (N, F), with a score of 0.99 or more.

    And one suspicion that names those with R² of 0.985 or more, or an area under the ROC curve of 0.985 or more for
    each two classes. A column that is the previous target of a persistent series, by `series.previous`, is neither.

    The score is balanced accuracy, or R² for regression, of a decision tree over one column; categories stand as their
    codes, and a missing value is a value. Each half of the rows is predicted by the tree of the other half. Of large
    data a few thousand rows are taken, those with the smallest hash of their id: the same whatever the order.

    Args:
        pool: the samples.
        train: (N,) int64 rows of a training role.
        which: what the target is called.
    """
    if pool.target is None or not is_columns(pool):
        return []
    rows = chosen(pool, train)
    if len(rows) < 4 * LEAF:
        return []
    x, y = gather(pool.inputs, rows)[0], pool.target[rows]
    drawn = np.argsort(pool.keys[rows])  # an order that knows nothing of the targets, for values that are equal
    parts = [x[drawn, i : i + 256] for i in range(0, x.shape[1], 256)]
    smooth = np.concatenate([smoothness(part, y[drawn], bool(pool.classes)) for part in parts])
    near = np.flatnonzero(smooth > 0.3)  # a score of 0.99 from leaves of LEAF samples and more is far smoother
    near = near[np.argsort(-smooth[near], kind="stable")][:MOST_TREES]
    columns = {int(i): x[:, i].astype(np.float64) for i in near}
    scores = {i: score(column, y, bool(pool.classes)) for i, column in columns.items()}
    sure = {i: value for i, value in scores.items() if value >= SCORE}
    measure = "balanced accuracy" if pool.classes else "R²"
    if pool.classes:
        order = np.unique(y, return_inverse=True)[1].astype(np.int64)
        each = {i: areas(ranking(pool, i, column, order), order) for i, column in columns.items()}
        scores = {i: float(area.min()) for i, area in each.items() if surely(area, order).min() >= SURELY}
    likely = {i: value for i, value in scores.items() if value >= LIKELY and i not in sure}
    before = previous(pool, rows, {i: columns[i] for i in [*sure, *likely]}, scorer(bool(pool.classes)))
    sure, likely = ({i: value for i, value in some.items() if i not in before} for some in (sure, likely))
    found = [
        told(pool, sure, measure, len(rows), "leak", which),
        told(pool, likely, "AUC" if pool.classes else "R²", len(rows), "suspicious", which),
    ]
    return [leak for leak in found if leak is not None]


def scorer(classes: bool) -> Callable[[Matrix, npt.NDArray[Any]], float]:
    """What tells how well a column (N,) tells targets (N,) in any order."""

    def tells(x: Matrix, y: npt.NDArray[Any]) -> float:
        order = np.argsort(y, kind="stable")
        return score(x[order], y[order], classes)

    return tells


def told(
    pool: Samples, scores: dict[int, float], measure: str, rows: int, level: Literal["leak", "suspicious"], which: str
) -> Leak | None:
    """What is said of columns with these scores; None for none."""
    found = sorted(scores, key=lambda i: (-scores[i], i))
    if not found:
        return None
    names = [pool.features[i].name if i < len(pool.features) else str(i) for i in found]
    columns = "column" if len(names) == 1 else "columns"
    known = " (for each two classes)" if measure == "AUC" and len(pool.classes) > 2 else ""
    mend = (
        f"drop {columns} {named(names)}, or set audit: warn where the value is known before the target is"
        if level == "leak"
        else f"where the value is known only after the target is, declare data.known_after: [{names[0]}]"
    )
    detail = (
        f"{columns} {named(names)} alone {'predicts' if len(names) == 1 else 'predict'} {which} ({measure} "
        f"{scores[found[0]]:.4f}{known} on {rows} training samples); {mend}"
    )
    return Leak("target", None, detail, level=level)


def ranking(pool: Samples, column: int, x: Matrix, y: npt.NDArray[np.int64]) -> Matrix:
    """The column (N,), with the categories of two classes in the order of their share of the second.

    Each half of the rows takes the shares of the other, so that a category of few rows tells nothing of itself.
    """
    if column >= len(pool.features) or pool.features[column].categories is None:
        return x
    if len(pool.classes) > 2:
        return x
    codes, shares = np.where(np.isfinite(x), x + 1, 0).astype(np.int64), np.empty(len(x))
    half = np.arange(len(y)) % 2 == 0
    for known in (half, ~half):
        counts = np.bincount(codes[known] * 2 + y[known], minlength=2 * (int(codes.max()) + 1)).reshape(-1, 2)
        shares[~known] = ((counts[:, 1] + 1) / (counts.sum(axis=1) + 2))[codes[~known]]
    return shares


def chosen(pool: Samples, train: Rows) -> Rows:
    """Training rows with a target, at most MOST_ROWS, of each class alike; in order of (target, hash of the id)."""
    assert pool.target is not None
    target = pool.target[train]
    rows = train[target >= 0] if pool.classes else train[np.isfinite(target)]
    keys = pool.keys[rows]
    if not pool.classes:
        rows = rows[np.argsort(keys)[:MOST_ROWS]]
        return rows[np.lexsort([pool.keys[rows], pool.target[rows]])]
    rows = rows[np.lexsort([keys, pool.target[rows]])]
    labels, first, counts = np.unique(pool.target[rows], return_index=True, return_counts=True)
    place = np.arange(len(rows)) - np.repeat(first, counts)
    most = max(MOST_ROWS // max(len(labels), 1), 4 * LEAF)
    kept = rows[(place < most) & np.repeat(counts >= 2 * LEAF, counts)]  # of a rarer class a half could not learn
    return kept if (counts >= 2 * LEAF).sum() > 1 else rows[:0]


def smoothness(x: npt.NDArray[Any], y: npt.NDArray[Any], classes: bool) -> Matrix:
    """(F,) how alike targets (N,) of neighbours are in the order of each column (N, F): 1 alike, about 0 by chance."""
    ordered = y[np.argsort(x, axis=0, kind="stable")].astype(np.float64)  # missing values come last
    if classes:
        shares = np.unique(y, return_counts=True)[1] / len(y)
        return np.asarray(1 - (ordered[1:] != ordered[:-1]).mean(axis=0) / (1 - (shares**2).sum()))
    variance = float(y.astype(np.float64).var())
    return np.asarray(1 - (np.diff(ordered, axis=0) ** 2).mean(axis=0) / (2 * variance or 1))


def score(x: Matrix, y: npt.NDArray[Any], classes: bool) -> float:
    """Balanced accuracy, or R², of one column (N,) for targets (N,) sorted; each half predicted from the other."""
    half = np.arange(len(y)) % 2 == 0  # targets are sorted, so both halves hold all of them
    truth, filled = y.astype(np.float64), fill(x)
    guesses = np.empty((1 if classes else 3, len(y)))
    for known in (half, ~half):
        if classes:
            tree = DecisionTreeClassifier(min_samples_leaf=LEAF, class_weight="balanced", random_state=0)
        else:
            tree = DecisionTreeRegressor(min_samples_leaf=LEAF, random_state=0)
            guesses[1, ~known] = line(filled, truth, known)
            guesses[2, ~known] = curve(filled, truth, known)
        guesses[0, ~known] = tree.fit(filled[known, None], y[known]).predict(filled[~known, None])
    if classes:
        return float(np.mean([(guesses[0][y == label] == label).mean() for label in np.unique(y)]))
    spread = ((truth - truth.mean()) ** 2).sum()
    return float(1 - ((truth - guesses) ** 2).sum(axis=1).min() / spread) if spread else 0.0


def fill(x: Matrix) -> Matrix:
    """(N,) from 0 to 1, with what is not finite at 2: a missing value is a value of its own."""
    known = np.isfinite(x)
    if not known.any():
        return np.zeros_like(x)
    low, high = x[known].min(), x[known].max()
    return np.where(known, (x - low) / ((high - low) or 1), 2.0)


def line(x: Matrix, y: Matrix, known: npt.NDArray[np.bool_]) -> Matrix:
    """Targets of the rows not known, on the straight line through those known: of few samples a tree learns no line."""
    centre, variance = x[known].mean(), x[known].var()
    slope = ((x[known] - centre) * y[known]).mean() / variance if variance else 0.0
    return np.asarray(y[known].mean() + slope * (x[~known] - centre))


def curve(x: Matrix, y: Matrix, known: npt.NDArray[np.bool_]) -> Matrix:
    """Targets of the rows not known, between the means of LEAF samples each that follow each other in the column."""
    order = np.argsort(x[known], kind="stable")
    starts = np.arange(0, max(len(order) - LEAF + 1, 1), LEAF)
    counts = np.diff([*starts, len(order)])
    mean_x, mean_y = (np.add.reduceat(values[known][order], starts) / counts for values in (x, y))
    return np.asarray(np.interp(x[~known], mean_x, mean_y))
