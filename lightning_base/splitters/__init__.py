"""Which sample is in which fold, and the proof of it."""

from lightning_base.splitters.base import TableSplitter
from lightning_base.splitters.paired import Paired
from lightning_base.splitters.table import ByColumn, ByFiles, FoldColumn, Manifest, Ratio
from lightning_base.splitters.temporal import Expanding, PurgedKFold, Sliding

__all__ = [
    "ByColumn",
    "ByFiles",
    "Expanding",
    "FoldColumn",
    "Manifest",
    "Paired",
    "PurgedKFold",
    "Ratio",
    "Sliding",
    "TableSplitter",
]
