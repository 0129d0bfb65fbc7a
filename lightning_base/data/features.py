"""A table's inputs and their kinds, for further rows to be read alike."""

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.preprocess.table import TablePreprocess
from lightning_base.samples.samples import Feature


def table_features(data: BaseDataModule) -> tuple[Feature, ...]:
    """The inputs and their kinds, as the model was fitted on them or else as the pool has them."""
    fitted = data.preprocess
    if isinstance(fitted, TablePreprocess) and fitted.fitted:
        return fitted.features
    return data.samples("pool").features
