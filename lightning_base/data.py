"""BaseDataModule: one abstract `dataset(source)`; train and validation are two views of one pool."""

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from lightning_base.errors import UserError
from lightning_base.loader import Batch, BatchLoader
from lightning_base.split import Rows, Split, Splitter, default_splitter, make_split

Source: TypeAlias = Literal["pool", "test", "predict"]
Role: TypeAlias = Literal["train", "val", "test", "predict"]
Normalize: TypeAlias = Literal["standard", "imagenet", "unit", "none"]


@dataclass(frozen=True)
class Samples:
    """A sample table and its payload.

    inputs: (N, ...) array, memory-mapped or not; axis 1 is the channel (images: N, C, H, W uint8) or feature axis.
    table: N rows with `id` (unique strings) and, where known, `target` (int64 class numbers or float32 values),
        `group` and `time`.
    classes: names of the classes, in the order of their numbers; empty for regression.
    origin: the file, folder or data set that messages name.

    Raises:
        UserError: where tables and inputs do not fit, an id comes twice, a target is missing, not a number or out
            of range, or a floating-point input is NaN or infinite; the message names the row.
    """

    inputs: npt.NDArray[Any]
    table: pd.DataFrame
    classes: tuple[str, ...] = ()
    origin: str = "data"

    def __post_init__(self) -> None:
        if len(self.inputs) == 0:
            raise UserError(f"{self.origin}: no samples")
        if len(self.table) != len(self.inputs):
            raise UserError(f"{self.origin}: {len(self.inputs)} inputs but {len(self.table)} rows of targets")
        if (twice := self.table["id"].duplicated()).any():
            raise UserError(f"{self.origin}: id {self.table['id'][twice].iloc[0]!r} stands in two rows")
        if self.target is not None:
            self._check_target(self.target)
        if np.issubdtype(self.inputs.dtype, np.floating):
            finite = np.isfinite(self.inputs.reshape(len(self.inputs), -1)).all(axis=1)
            if not finite.all():
                row = self.table["id"].iloc[int(np.argmin(finite))]
                raise UserError(
                    f"{self.origin}: row {row!r} has NaN or infinite inputs ({int((~finite).sum())} such rows); "
                    "clean or impute them first"
                )

    def _check_target(self, target: npt.NDArray[Any]) -> None:
        ids = self.table["id"]
        if self.classes:
            bad = (target < 0) | (target >= len(self.classes))
            if bad.any():
                at = int(np.argmax(bad))
                raise UserError(
                    f"{self.origin}: row {ids.iloc[at]!r} has target {target[at]}, out of range for "
                    f"{len(self.classes)} classes (0 to {len(self.classes) - 1}); mend the target or the classes"
                )
        elif not np.isfinite(target).all():
            at = int(np.argmin(np.isfinite(target)))
            raise UserError(f"{self.origin}: row {ids.iloc[at]!r} has target {target[at]}; drop or mend the row")

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def target(self) -> npt.NDArray[Any] | None:
        """(N,) int64 class numbers, float32 values, or None where the data has no target."""
        if "target" not in self.table:
            return None
        return self.table["target"].to_numpy(dtype=np.int64 if self.classes else np.float32)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the content: inputs, their shape and type, and the whole table."""
        digest = hashlib.sha256(f"{self.inputs.shape} {self.inputs.dtype} {self.classes}".encode())
        for start in range(0, len(self.inputs), 4096):
            digest.update(np.ascontiguousarray(self.inputs[start : start + 4096]).data)
        digest.update(self.table.to_csv(index=False).encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation along axis 1, shaped to broadcast over one sample; float32."""

    mean: Tensor
    std: Tensor

    @staticmethod
    def fit(samples: Samples, rows: Rows) -> "Statistics":
        """Population mean and standard deviation of these rows only, summed in float64; a constant has std 1."""
        first = samples.inputs[rows[:1]]
        axes = (0, *range(2, first.ndim))
        mean = _mean(samples.inputs, rows, axes, shift=None)
        var = _mean(samples.inputs, rows, axes, shift=mean)
        std = np.where(var > 0, np.sqrt(var), 1.0)
        shape = (-1, *(1 for _ in range(first.ndim - 2)))
        return Statistics(*(torch.from_numpy(a.astype(np.float32)).reshape(shape) for a in (mean, std)))

    def apply(self, x: Tensor) -> Tensor:
        """(x - mean) / std as float32, on x's device; x is (B, ...)."""
        return (x.float() - self.mean.to(x.device)) / self.std.to(x.device)


def _mean(
    inputs: npt.NDArray[Any], rows: Rows, axes: tuple[int, ...], shift: npt.NDArray[np.float64] | None
) -> npt.NDArray[np.float64]:
    """Mean over `axes` of the inputs, or of (inputs - shift)², a few thousand rows at a time, in float64."""
    total, count = np.zeros(1), 0
    for start in range(0, len(rows), 4096):
        part = inputs[rows[start : start + 4096]].astype(np.float64)
        if shift is not None:
            part = (part - shift.reshape(-1, *(1 for _ in range(part.ndim - 2)))) ** 2
        total = total + part.sum(axis=axes)
        count += part.size // part.shape[1]
    return np.asarray(total / count)


def fixed_statistics(normalize: Normalize, samples: Samples) -> Statistics:
    """Statistics that are not fitted: "imagenet" and "unit" (uint8 to 0…1), or the identity for "none"."""
    scale = 255.0 if samples.inputs.dtype == np.uint8 and normalize != "none" else 1.0
    mean, std = torch.zeros(1), torch.ones(1)
    if normalize == "imagenet":  # the channel statistics that torchvision's pretrained weights expect
        if samples.inputs.ndim != 4 or samples.inputs.shape[1] != 3:
            raise UserError(
                f"data.normalize: imagenet needs images of 3 channels, {samples.origin} has samples of shape "
                f"{samples.inputs.shape[1:]}; use standard"
            )
        mean = torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1)
        std = torch.tensor([0.229, 0.224, 0.225]).reshape(3, 1, 1)
    return Statistics(mean * scale, std * scale)


class BaseDataModule(LightningDataModule, ABC):
    """Splitting, fold statistics and exact loaders over any source; a subclass implements `dataset` alone.

    `fold` (from 0), `seed` (the split's) and `fold_seed` (the order's) are set by whoever builds the run; holdout is
    fold 0 of the splitter.

    Args:
        split: any scikit-learn splitter. Default: five shuffled folds, stratified where there are classes, so
            that `fit` trains on 80 % of the pool and validates on 20 %.
        batch_size: samples of one training step, over all ranks; null takes the whole training role (full batch).
        eval_batch_size: samples of one evaluation step; by default four times batch_size.
        normalize: "standard" fits mean and standard deviation on the fold's training role; "imagenet", "unit"
            and "none" are fixed.
        drop_last: leave an incomplete last training batch out.

    Raises:
        UserError: for a batch size below 1.
    """

    def __init__(
        self,
        split: Splitter | None = None,
        batch_size: int | None = 64,
        eval_batch_size: int | None = None,
        normalize: Normalize = "standard",
        drop_last: bool = False,
    ) -> None:
        super().__init__()
        for key, size in (("batch_size", batch_size), ("eval_batch_size", eval_batch_size)):
            if size is not None and size < 1:
                raise UserError(f"data.{key}: {size} is below 1; give a positive number or null")
        self.splitter, self.batch_size, self.eval_batch_size = split, batch_size, eval_batch_size
        self.normalize, self.drop_last = normalize, drop_last
        self.fold = 0
        self.seed = 0
        self.fold_seed = 0
        self.predict_role: Role = "predict"
        self.statistics: Statistics | None = None
        self._split: Split | None = None
        self._trained_on: tuple[str, int] | None = None
        self._samples: dict[Source, Samples] = {}
        self._classes: tuple[str, ...] | None = None

    @abstractmethod
    def dataset(self, source: Source) -> Samples:
        """The samples of a source: "pool" (train and validation together), the sealed "test", or "predict".

        Raises:
            UserError: where the data has no such source.
        """

    def samples(self, source: Source) -> Samples:
        """The source, read once a data module."""
        if source not in self._samples:
            self._samples[source] = self.dataset(source)
        return self._samples[source]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; empty for regression. From the checkpoint where one was loaded, else the pool."""
        if self._classes is None:
            self._classes = self.samples("pool").classes
        return self._classes

    @property
    def split(self) -> Split:
        """Every fold of the pool."""
        if self._split is None:
            pool = self.samples("pool")
            splitter = self.splitter or default_splitter(bool(pool.classes))
            split = make_split(pool.table, splitter, self.seed)
            self._check_split(split)
            self._split = split
        return self._split

    def _check_split(self, split: Split) -> None:
        """Refuses a split, or a fold of it, other than the loaded checkpoint's."""
        if self._trained_on is None or self._trained_on == (split.hash, self.fold):
            return
        theirs = self._trained_on
        raise UserError(
            f"the checkpoint was trained on fold {theirs[1]} of split {theirs[0][:12]}, this run is fold {self.fold} "
            f"of split {split.hash[:12]}: held-out samples would have been trained on; give the data, data.split and "
            "seed that the checkpoint was trained with"
        )

    def setup(self, stage: str) -> None:
        """Splits the pool and fits the statistics on this fold's training role, where the stage reads the pool."""
        if stage in ("fit", "validate") and self.statistics is None:
            pool = self.samples("pool")
            if self.normalize == "standard":
                self.statistics = Statistics.fit(pool, self.rows("train"))
            else:
                self.statistics = fixed_statistics(self.normalize, pool)

    def rows(self, role: Role) -> Rows:
        """(N,) int64 rows, in the source's sample table, of a role in this fold."""
        if role in ("train", "val"):
            if not 0 <= self.fold < len(self.split.folds):
                raise UserError(f"fold {self.fold} does not exist: data.split has {len(self.split.folds)} folds")
            fold = self.split.folds[self.fold]
            return fold.train if role == "train" else fold.val
        return np.arange(len(self.samples(source_of(role))), dtype=np.int64)

    def loader(self, role: Role) -> BatchLoader:
        """The loader of a role: shuffled by (seed, epoch) for "train", in row order and exact for the others."""
        rows, train = self.rows(role), role == "train"
        size = self.batch_size or len(self.rows("train") if self._split else rows)
        if not train:
            size = self.eval_batch_size or min(4 * size, max(len(rows), 1))
        return BatchLoader(
            samples=self.samples(source_of(role)),
            rows=rows,
            batch_size=size,
            seed=self.fold_seed,
            train=train,
            drop_last=self.drop_last,
            rank=self.trainer.global_rank if self.trainer else 0,
            world_size=self.trainer.world_size if self.trainer else 1,
        )

    def train_dataloader(self) -> BatchLoader:
        """Lightning's hook."""
        return self.loader("train")

    def val_dataloader(self) -> BatchLoader:
        """Lightning's hook."""
        return self.loader("val")

    def test_dataloader(self) -> BatchLoader:
        """Lightning's hook; the only one that reads the sealed test source."""
        return self.loader("test")

    def predict_dataloader(self) -> BatchLoader:
        """Lightning's hook: the role that `predict_role` names."""
        return self.loader(self.predict_role)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Normalises on the batch's device, with the statistics of the fold's training role."""
        if self.statistics is None:
            raise UserError("the data has no statistics yet: fit first, or give --ckpt_path of a trained run")
        return batch._replace(x=self.statistics.apply(batch.x))

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: the fitted statistics, the classes, and which fold of which split it saw."""
        if self.statistics is None:
            return {}
        return {
            "mean": self.statistics.mean,
            "std": self.statistics.std,
            "classes": list(self.classes),
            "fold": self.fold,
            "split_hash": self.split.hash,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes a checkpoint's statistics and classes; refuses the checkpoint of another split or fold.

        Raises:
            UserError: when the pool is split here, and the checkpoint saw another split or another fold of it; else
                the split, when it is made, raises it.
        """
        self._trained_on = (state_dict["split_hash"], state_dict["fold"])
        if self._split is not None:
            self._check_split(self._split)
        self.statistics = Statistics(state_dict["mean"], state_dict["std"])
        self._classes = tuple(state_dict["classes"])


def source_of(role: Role) -> Source:
    """The source a role's samples come from: train and val are two views of the pool."""
    return "pool" if role == "train" or role == "val" else role
