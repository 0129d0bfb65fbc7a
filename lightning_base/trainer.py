"""The Trainer of the command line: Lightning's own, plus the declaration of the verbs that Lightning lacks."""

import lightning.pytorch as pl
from lightning.pytorch import LightningDataModule, LightningModule


class Trainer(pl.Trainer):
    """Lightning's Trainer, unchanged. The methods here only give verbs their options and help on the command line."""

    def crossval(
        self,
        model: LightningModule,
        datamodule: LightningDataModule,
        folds: list[int] | None = None,
        overwrite: bool = False,
    ) -> None:
        """Cross-validate: train every fold of data.split, and score each on the samples it held out.

        Finished folds of an earlier run in the same directory are kept, a broken one is resumed.

        Args:
            folds: numbers of the folds to run, from 0; all by default.
            overwrite: delete what an earlier run left in the directory, and begin anew.
        """
        raise NotImplementedError("crossval is a verb of the command line: lightning_base.crossval does the work")
