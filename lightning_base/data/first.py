"""The first samples of a training role as the network takes them: what sizes and fits are told by."""

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.samples.batch import Batch


def first_batch(data: BaseDataModule, n: int = 2) -> Batch:
    """The first n training samples, preprocessed and not augmented; what is to be fitted first is fitted.

    Raises:
        UserError: for data that cannot be read, split or preprocessed.
    """
    data.setup("fit")
    return data.transform(data.loader("train").gather(data.rows("train")[:n]))
