"""Whether a fold's folder is this cross-validation's: its experiment, its fold, and the samples it held out."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from lightning_base.errors import ArtefactError
from lightning_base.folds.plan import Plan
from lightning_base.results.fold_result import PREDICTIONS, FoldResult, demand_own, is_told, read_result
from lightning_base.results.tables import read_table
from lightning_base.tools.console import console


def read_fold(plan: Plan, fold: int) -> tuple[FoldResult, pd.DataFrame]:
    """The result and the predictions of a fold, which are its own.

    Args:
        plan: the cross-validation.
        fold: which, one that is done.

    Raises:
        ArtefactError: where its folder holds another fold, another experiment's, or one of another split or data; or
            where its predictions are not those of its result, or not of the samples that the fold holds out.
    """
    directory, pool = plan.fold_directory(fold), plan.data.samples("pool")
    mend = f"delete {directory}, and run crossval again"
    result = read_result(directory)
    if result.split_hash != plan.data.folds.hash:
        raise ArtefactError(f"{directory} was trained on another split; {mend}")
    demand_own(directory, result, plan.experiment.identity, pool.fingerprint)
    found = read_table(directory / PREDICTIONS, mend=mend)
    rows = plan.data.folds.folds[fold].val
    held = pool.table.iloc[rows].set_index("id")
    if not pd.Index(found["id"]).sort_values().equals(held.index.sort_values()):
        raise ArtefactError(f"{directory / PREDICTIONS}: it is not of the samples that fold {fold} holds out; {mend}")
    if "target" in found and pool.target is not None:
        now = pd.Series(pool.target[rows], index=held.index).reindex(found["id"]).to_numpy()
        if (other := np.flatnonzero(now != found["target"].to_numpy())).size:
            name = found["id"].iloc[other[0]]
            raise ArtefactError(f"{directory / PREDICTIONS}: sample {name!r} has another target than the data; {mend}")
    return result, found


def demand_own_folds(plan: Plan) -> None:
    """Refuses a directory one of whose finished folds is not its own, before others are trained.

    Raises:
        ArtefactError: naming it.
    """
    untold = []
    for fold in (fold for fold in range(plan.k) if plan.is_done(fold)):
        result, _ = read_fold(plan, fold)
        untold += [] if is_told(result) else [fold]
    if untold:
        console().print(
            f"{plan.directory}: an earlier version wrote fold {untold[0]}: whether it is of these settings and this "
            "data is not told, and not checked",
            soft_wrap=True,
        )


def demand_room(directory: Path, folders: Iterable[Path]) -> None:
    """Refuses a place where what a run writes cannot stand, before anything is trained or written.

    Args:
        directory: of the cross-validation.
        folders: in it, of the runs that it will hold.

    Raises:
        ArtefactError: naming a folder where a file belongs, or a file where a folder does.
    """
    runs = list(folders)
    homes = [*reversed(directory.absolute().parents), directory, *runs, *(run / "checkpoints" for run in runs)]
    for home in homes:
        if (home.exists() or home.is_symlink()) and not home.is_dir():
            raise ArtefactError(f"{home}: a file stands where a folder is made; move it away")
    files = [directory / name for name in OF_CROSSVAL] + [run / name for run in runs for name in OF_RUN]
    for file in files:
        if file.is_dir():
            raise ArtefactError(f"{file}: a folder stands where a file is written; move it away")


OF_CROSSVAL = (
    *("config.yaml", "identity.json", "code.json", "split.parquet", "cleaning.parquet", "oof.parquet"),
    *("summary.json", ".lock"),
)
OF_RUN = (
    *("result.json", PREDICTIONS, "state.json", "progress.json", "metrics.csv", "error.txt", "search.json"),
    *("config.yaml", "learning_rate.json", "checkpoints/last.ckpt", ".lock"),
)
