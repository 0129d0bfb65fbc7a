"""Label cleaning: which targets of a finished crossval directory its held-out predictions speak against."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from rich.table import Table

from lightning_base.auditing.noise import ABLE, CHANCE, LEAST, Noise, chances, estimated
from lightning_base.auditing.pictures import image, shades
from lightning_base.auditing.sheet import grid, shortened
from lightning_base.clean.corrections import read_labels
from lightning_base.data.datamodule import BaseDataModule
from lightning_base.errors import ArtefactError, ConfigError
from lightning_base.results.finished import demand_finished
from lightning_base.results.summary import SUMMARY, Summary, read_oof, read_summary
from lightning_base.samples.batch import Batch
from lightning_base.samples.payload import gather, is_ragged
from lightning_base.samples.samples import Samples
from lightning_base.tools.console import Level, console
from lightning_base.tools.files import replace, write_parquet, write_text

SHOWN = 20  # most suspects that the terminal lists
DRAWN, ACROSS = 40, 8  # most suspects in the picture, and in a row of it


def audit_labels(data: BaseDataModule, directory: Path) -> None:
    """Ranks the labels of a finished cross-validation of a classifier, and proposes corrections.

    Writes into the directory label_issues.parquet (what `ranked` gives), label_issues.png where the samples are images,
    and labels.csv for `data.labels`: the suggested classes that are right with a chance of 0.6 or more, as
    `noise.chances` estimates it, beside the rows of the labels file that the run itself was trained with. A labels.csv
    that holds anything else, such as a person's changes, is kept.

    Args:
        data: the data that the directory was trained on.
        directory: what `crossval` wrote.

    Raises:
        UserError: where the directory is unfinished, not a classifier's, or trained on other data; without cleanlab.
    """
    mean, summary = held_out(directory)
    find_issues = confident_learning()
    data.prepare_data()
    pool, out = data.samples("pool"), console(Level.QUIET)
    if pool.fingerprint != summary.data_fingerprint:
        raise ArtefactError(
            f"--labels: {directory} was trained on other data than {pool.origin} is now (data fingerprint "
            f"{summary.data_fingerprint[:12]}, now {pool.fingerprint[:12]}); give the data and data.labels that it "
            "was trained with"
        )
    prob = mean.filter(like="prob_").to_numpy()
    target = mean["target"].to_numpy(dtype=np.int64)
    noise = estimated(target, prob)
    table = ranked(mean["id"], target, prob, summary.classes, find_issues(target, prob), chances(target, prob, noise))
    suspects = table[table["issue"]]
    write_parquet(directory / "label_issues.parquet", table)
    left_out = f", {len(pool) - len(table)} more were never held out" if len(table) < len(pool) else ""
    if len(suspects):
        out.print(issue_table(suspects))
        if len(suspects) > SHOWN:
            out.print(f"  … and {len(suspects) - SHOWN} more")
    out.print(
        f"{len(suspects)} of {len(table)} labels are suspects ({len(suspects) / len(table):.1%}){left_out}; confident "
        "learning on held-out probabilities, Northcutt et al. 2021",
        soft_wrap=True,
    )
    for line in trusted(noise):
        out.print(line, soft_wrap=True)
    out.print(f"all labels, ranked: {directory / 'label_issues.parquet'}", soft_wrap=True)
    if (pictured := images_of(pool)) is not None and len(suspects):
        draw_suspects(pictured, suspects, directory / "label_issues.png")
        out.print(f"the first {min(len(suspects), DRAWN)}: {directory / 'label_issues.png'}", soft_wrap=True)
    path = directory / "labels.csv"
    clear = table[table["chance"] >= CHANCE]
    text = corrections(clear, data.labels).to_csv(index=False, lineterminator="\n")
    if path.is_file() and path.read_text() != text:
        out.print(f"{path}: kept as it is, since it was changed; delete it to have it written anew", soft_wrap=True)
        return
    write_text(path, text)
    beside = f", and the rows of {data.labels}" if data.labels is not None else ""
    out.print(
        f"corrections: {path} ({len(clear)} of them, right by a chance of {CHANCE} or more{beside}). A model proposes "
        "them, and some are wrong: look at each, remove the rows whose given label is right, then train under another "
        f"--name with --data.labels {path}",
        soft_wrap=True,
    )


def trusted(noise: Noise) -> list[str]:
    """A line on how many labels are wrong, and one that warns where suspects are mostly the model's own mistakes."""
    against = f"held-out predictions contradict {noise.contradicted:.1%} of labels"
    share = f"at least {noise.share:.1%} of labels are wrong" if noise.share >= LEAST else "no labels are surely wrong"
    lines = [f"{against}; {share}, by those that the model is surest of"]
    if noise.weak and noise.contradicted:
        why = (
            f"the model is right of about {noise.accuracy:.0%} only, so most may be its mistakes; train a better one"
            if noise.accuracy < ABLE
            else "what contradicts them looks like the model's own mistakes"
        )
        lines.append(f"warning: suspects are not to be trusted, and none is corrected: {why}")
    return lines


def held_out(directory: Path) -> tuple[pd.DataFrame, Summary]:
    """The held-out probabilities of a finished classifier's run, and its summary.

    One row per sample, in order of ids: id, target (int64), prob_0 … (float64), averaged over repeats.

    Raises:
        UserError: where the directory is unfinished or not a classifier's.
    """
    demand_finished(directory, "--labels", [SUMMARY, "oof.parquet"])
    summary = read_summary(directory)
    oof = read_oof(directory, summary)
    columns = [f"prob_{c}" for c in range(len(summary.classes))]
    if len(columns) < 2 or not {"id", "target", *columns} <= set(oof.columns):
        raise ArtefactError(
            f"--labels: {directory} is not a classifier's (oof.parquet has no probability for each class); give the "
            "crossval directory of one"
        )
    bad = ~np.isfinite(oof[columns].to_numpy()).all(axis=1)
    if bad.any():
        raise ArtefactError(
            f"--labels: {directory / 'oof.parquet'}: id {oof['id'][bad].iloc[0]!r} has no finite probabilities; train "
            "again, with a lower learning rate if it diverged"
        )
    samples = oof.astype(dict.fromkeys(columns, np.float64)).groupby("id", sort=True)
    return samples["target"].first().to_frame().join(samples[columns].mean()).reset_index(), summary


def confident_learning() -> Any:
    """A function of targets (N,) int64 and probabilities (N, C) that gives (N,) bool: which labels are suspects.

    Northcutt, Jiang & Chuang 2021, "Confident Learning": samples counted off the diagonal of the confident joint
    (eq. 1), pruned by noise rate; cleanlab's `find_label_issues`.

    Raises:
        UserError: where cleanlab is not installed.
    """
    try:
        from cleanlab.filter import find_label_issues
    except ImportError as error:
        raise ConfigError("--labels: cleaning labels needs cleanlab; pip install 'cleanlab>=2.8'") from error

    def find(target: npt.NDArray[np.int64], prob: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        if len(np.unique(target)) < 2:  # nothing to confuse, and cleanlab refuses it
            return np.zeros(len(target), dtype=bool)
        with np.errstate(divide="ignore", invalid="ignore"):  # classes that no sample has
            return np.asarray(find_label_issues(target, prob, n_jobs=1), dtype=bool)

    return find


def ranked(
    ids: "pd.Series[str]",
    target: npt.NDArray[np.int64],
    prob: npt.NDArray[np.float64],
    classes: list[str],
    issue: npt.NDArray[np.bool_],
    chance: npt.NDArray[np.float64],
) -> pd.DataFrame:
    """Every label, the most suspicious first.

    Columns: rank (from 1), id, given, suggested, quality, self_confidence, margin, issue, chance.
    `suggested` is the most probable class, `self_confidence` the probability p of the given one. `quality` is p over
    its mean among the samples that are labelled so: a class that the model is less sure of is not suspected for that.
    `margin` is p less the largest probability of another class, for those who would rather rank by it.
    `issue` says whether confident learning counts the label as wrong: these come first, and within them and the others
    the lowest quality. `chance` is how probable it is that the suggested class is right.

    Args:
        ids: (N,).
        target: (N,) the given classes' numbers.
        prob: (N, C).
        classes: names of the C classes.
        issue: (N,).
        chance: (N,).
    """
    names = np.array(classes, dtype=object)
    rows = np.arange(len(target))
    own = prob[rows, target]
    count = np.maximum(np.bincount(target, minlength=len(classes)), 1)
    quality = own / np.maximum(np.bincount(target, own, len(classes)) / count, 1e-12)[target]
    others = prob.copy()
    others[rows, target] = -1
    order = np.lexsort([quality, ~issue])
    table = {
        "rank": np.arange(1, len(order) + 1),
        "id": ids.to_numpy()[order],
        "given": names[target[order]],
        "suggested": names[prob.argmax(axis=1)[order]],
        "quality": quality[order],
        "self_confidence": own[order],
        "margin": (own - others.max(axis=1))[order],
        "issue": issue[order],
        "chance": chance[order],
    }
    return pd.DataFrame(table)


def corrections(clear: pd.DataFrame, before: str | None) -> pd.DataFrame:
    """Columns id and target: the suggested classes, and the rows that an earlier labels file has for other ids."""
    rows = dict(read_labels(before)) if before is not None else {}
    rows |= dict(zip(clear["id"], clear["suggested"], strict=True))
    return pd.DataFrame(list(rows.items()), columns=["id", "target"], dtype=str)


def issue_table(suspects: pd.DataFrame) -> Table:
    """The first suspects, for the terminal."""
    table = Table(title="labels that held-out predictions speak against", title_justify="left")
    table.add_column("rank", justify="right")
    for heading in ("id", "given", "suggested"):
        table.add_column(heading, overflow="fold")
    table.add_column("quality", justify="right")
    for line in suspects.head(SHOWN).itertuples(index=False):
        names = (str(text) for text in (line.id, line.given, line.suggested))
        table.add_row(str(line.rank), *names, f"{line.quality:.4f}")
    return table


def images_of(samples: Samples) -> Samples | None:
    """The samples with images (N, C, H, W) as input: the first of several inputs that are such; None without any."""
    found = (part for part in samples.parts.values() if len(part.inputs.shape) == 4 and not is_ragged(part.inputs))
    return next(found, None)


def draw_suspects(pool: Samples, suspects: pd.DataFrame, path: Path) -> None:
    """Writes a PNG of the first suspects as they are stored; below each the given class, the suggested one and the id.

    Args:
        pool: images (N, C, H, W).
        suspects: the most suspicious first; id, given, suggested, quality.
        path: where the picture goes.
    """
    first = suspects.head(DRAWN)
    rows = pd.Index(pool.table["id"]).get_indexer(pd.Index(first["id"]))
    x = torch.from_numpy(np.array(gather(pool.inputs, rows)[0]))
    low, high = shades(x, stored=pool.inputs.dtype)
    batch = Batch(x, None, torch.from_numpy(rows))
    cells = [image(pool.classes, batch, i, low, high) for i in range(len(first))]
    captions = [
        f"{line.given}\n-> {line.suggested}\n{line.quality:.4f}\n{shortened(str(line.id), 13)}"
        for line in first.itertuples(index=False)
    ]
    starts = range(0, len(first), ACROSS)
    across = min(ACROSS, len(first))
    with replace(path) as temporary:
        grid(
            [cells[start : start + ACROSS] for start in starts],
            [captions[start : start + ACROSS] for start in starts],
            [f"+{i}" if i else "" for i in range(across)],
            [f"rank {start + 1}" for start in starts],
        ).save(temporary, format="PNG")
