"""The Trainer of the command line: Lightning's own, plus the declaration of the verbs that Lightning lacks."""

from functools import reduce
from operator import or_
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import lightning.pytorch as pl
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.cli import LightningArgumentParser

from lightning_base.distributed.slurm import Slurm
from lightning_base.folds.executors.options import Executor


class Trainer(pl.Trainer):
    """Lightning's Trainer, unchanged. The methods here only give verbs their options and help on the command line."""

    def crossval(
        self,
        model: LightningModule,
        datamodule: LightningDataModule,
        folds: list[int] | None = None,
        overwrite: bool = False,
        refit: bool = False,
        longer: bool = False,
        executor: Executor = "inline",
        jobs: int | None = None,
        threads: int | None = None,
        slurm: Slurm | None = None,
    ) -> None:
        """Cross-validate: train every fold of data.split, and score each on the samples it held out.

        Finished folds of an earlier run in the same directory are kept, a broken one is resumed. Where a fold fails the
        others go on, and the exit status is 1. `crossval --status DIR` shows the state of each fold.

        Args:
            folds: numbers of the folds to run, from 0; all by default.
            overwrite: delete what an earlier run left in the directory, and begin anew.
            refit: train once more when all folds are done, on the whole pool, for the median of the folds' epochs; its
                checkpoint stands in the directory's refit/, and nothing scores it.
            longer: go on with a finished run of the same experiment and fewer epochs (--trainer.max_epochs 20 after
                12), where that ends as if it had been trained so long at once; its results are replaced as a whole.
            executor: where folds are trained: inline, one after another in this process; process, several at once in
                processes of their own; slurm, as an array of jobs; vectorized, all in one batch, for small networks.
                The results are the same, at equal threads per fold; vectorized agrees to float32's last digits.
            jobs: how many folds process trains at once; by default one per core, or one per GPU.
            threads: threads that a fold computes with; by default all cores, for process its share of them.
            slurm: what slurm asks of the cluster.
        """
        raise NotImplementedError("crossval is a verb of the command line: lightning_base.folds.loop does the work")

    def predict(  # type: ignore[override]
        self,
        model: LightningModule | None = None,
        datamodule: LightningDataModule | None = None,
        ckpt_path: str | Path | None = None,
        out: str | None = None,
        overwrite: bool = False,
    ) -> None:
        """Predict new samples with a checkpoint, or with the ensemble of a crossval directory.

        Their file is named as the data module has it: --data.predict new.csv. Each line has the sample's id, its
        prediction by name, and for classes the probability of each.

        Args:
            ckpt_path: see CKPT_PATH.
            out: the file that predictions are written to, by its ending CSV (.csv), Parquet (.parquet) or JSON lines
                (.jsonl); by default predict.parquet, or of an ensemble ensemble.parquet, in the run's directory.
            overwrite: replace the file that out names where it is there.
        """
        raise NotImplementedError("predict is a verb of the command line: lightning_base.verbs.scoring does the work")

    def prepare(self, model: LightningModule | None, datamodule: LightningDataModule) -> None:
        """Fetch, clean, pack and split the data, and show what was found; later verbs need no network.

        Writes cleaning.parquet (what was found, and what was done about it) and split.parquet (the signed split).
        """
        raise NotImplementedError("prepare is a verb of the command line: lightning_base.verbs.inspect does the work")

    def audit(
        self,
        model: LightningModule | None,
        datamodule: LightningDataModule,
        show: str | None = None,
        labels: str | None = None,
        live: str | None = None,
    ) -> None:
        """Look for leaks between training, held-out and test samples; with --audit fail, leaks give exit status 1.

        Args:
            show: a PNG to draw training samples into, before and after augmentation.
            labels: a classifier's finished crossval directory: look for wrong labels there instead; needs cleanlab.
            live: a file or folder of new samples, as data.predict names them: compare them with the training role
                instead, column by column; with --audit fail, a column that differs gives exit status 1.
        """
        raise NotImplementedError("audit is a verb of the command line: lightning_base.verbs.inspect does the work")


def add_trainer(parser: LightningArgumentParser) -> None:
    """Adds the Trainer's arguments under `trainer`; of those that take both, whole numbers stay whole.

    One batch is `limit_train_batches: 1`, and all of them are 1.0. typing keeps one of Union[int, float] and
    Union[float, int] for both, the one that whatever was imported first has asked for, and the parser tries the types
    in that order.
    """
    parser.add_lightning_class_args(Trainer, "trainer")
    for action in parser._actions:
        if action.dest.startswith("trainer.") and hasattr(action, "_typehint"):
            action._typehint = whole_first(action._typehint)


def whole_first(hint: Any) -> Any:
    """A type, int before float where it is a union with both."""
    kinds = get_args(hint)
    if get_origin(hint) not in (Union, UnionType) or not {int, float} <= {*kinds}:
        return hint
    return reduce(or_, sorted(kinds, key=lambda kind: kind is not int))
