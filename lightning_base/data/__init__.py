"""One pool of samples, its folds and its loaders: what a data module is made of."""

from lightning_base.data.any_dataset import AnyDataset
from lightning_base.data.datamodule import BaseDataModule
from lightning_base.data.pool import Role, Source
from lightning_base.samples.batch import Batch, Boxes, Sequences, Spans, Texts
from lightning_base.samples.feature import Feature
from lightning_base.samples.payload import Ragged
from lightning_base.samples.samples import Samples
from lightning_base.samples.sampling import Sampling
from lightning_base.samples.several import Part, Several
from lightning_base.samples.spans import answer_values
from lightning_base.samples.targets import Targets
from lightning_base.samples.texts import text_values

__all__ = [
    "AnyDataset",
    "BaseDataModule",
    "Batch",
    "Boxes",
    "Feature",
    "Part",
    "Ragged",
    "Role",
    "Samples",
    "Sampling",
    "Sequences",
    "Several",
    "Source",
    "Spans",
    "Targets",
    "Texts",
    "answer_values",
    "text_values",
]
