"""What a checkpoint was trained on: its fold, the data's fingerprint, and hashes of every sample that it has seen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch

from lightning_base.data.items import Places
from lightning_base.errors import CheckpointError, DataError
from lightning_base.samples.payload import Rows, base_of, blocks, fitting, is_ragged
from lightning_base.samples.samples import Samples
from lightning_base.samples.several import Several
from lightning_base.splitters.split import Split

Shape: TypeAlias = tuple[int, ...] | None
SEALED = "test samples"
KEYS = ("fold", "fold_hash", "fingerprint", "ids", "content")


@dataclass(frozen=True)
class TrainedOn:
    """The samples and the split that a checkpoint comes from.

    Samples are told by 64-bit hashes: of N that were trained on and M that are asked about, N · M / 2^64 would be
    mistaken, which is one in 18 million for a million of each. It is 16 bytes per training sample.

    Attributes:
        fold: its number.
        fold_hash: SHA-256 over ids and roles of the fold.
        fingerprint: SHA-256 over the pool's content.
        ids: (N,) int64 hashes of the ids of the training samples, sorted; those that validation saw in training too.
        content: (N,) int64 hashes of their inputs, sorted.
        shape: of a sample, by the input's name where it has several; None where samples differ in length, or columns
            are found by name.
        levels: whether inputs were uint8, from 0 to 255, and no images that know their own white.
        drawn: whether its samples were drawn at random, or could not be hashed, so that their contents tell nothing.
        sealed: SHA-256 over the content of the test samples that were sealed then; None where none were, or an earlier
            version wrote it.
    """

    fold: int
    fold_hash: str
    fingerprint: str
    ids: Rows
    content: Rows
    shape: Shape | Mapping[str, Shape] = None
    levels: bool = False
    sealed: str | None = None
    drawn: bool = False

    @staticmethod
    def of(state: Mapping[str, Any]) -> "TrainedOn":
        """What `state` gave.

        Raises:
            CheckpointError: where a checkpoint lacks it, and so cannot tell what it has seen.
        """
        if lacking := [key for key in KEYS if key not in state]:
            raise CheckpointError(
                f"the checkpoint does not say what it was trained on (no {lacking[0]!r}): an earlier version wrote it; "
                "train again"
            )
        ids, content = (state[key].numpy() for key in ("ids", "content"))
        return TrainedOn(
            state["fold"],
            state["fold_hash"],
            state["fingerprint"],
            ids,
            content,
            _read_shape(state.get("shape")),
            bool(state.get("levels")),
            state.get("sealed"),
            bool(state.get("drawn")),
        )

    @staticmethod
    def samples(pool: Samples, rows: Rows, before: "TrainedOn | None" = None) -> dict[str, Any]:
        """The sorted hashes of these samples, for `state`, and of those that the first weights were trained on."""
        hashes = {"ids": pool.keys[rows], "content": pool.content[rows].view(np.int64)}
        if before is not None:
            hashes = {key: np.union1d(values, getattr(before, key)) for key, values in hashes.items()}
        found = {key: torch.from_numpy(np.sort(values)) for key, values in hashes.items()}
        return found | ({"drawn": True} if before is not None and before.drawn else {})

    def demand_split(self, split: Split, fold: int, pool: Samples) -> None:
        """Refuses another split, another fold of it, or samples of other content.

        Raises:
            CheckpointError: naming the difference.
        """
        demand_fold("the checkpoint", (self.fold_hash, self.fold), split, fold)
        if self.fingerprint != pool.fingerprint:
            raise CheckpointError(
                f"{pool.origin}: the data has other content than when the checkpoint was trained (fingerprint "
                f"{self.fingerprint[:12]}, now {pool.fingerprint[:12]}), with the same ids; give the data, data.labels "
                "and data.clean that it was trained with, or train again"
            )

    def demand_shape(self, samples: Samples) -> None:
        """Refuses samples of another shape than those that it was trained on, or on another scale than 0 to 255.

        Raises:
            DataError: naming both.
        """
        found = shape_of(samples)
        several = isinstance(found, Mapping)
        if several != isinstance(self.shape, Mapping) and (several or self.shape is not None):
            given, trained = ("several inputs" if each else "one input" for each in (several, not several))
            raise DataError(f"{samples.origin}: samples have {given}, where the model was trained on {trained}")
        ours, theirs = _by_name(found), _by_name(self.shape)
        if ours.keys() != theirs.keys():
            raise DataError(
                f"{samples.origin}: samples have the inputs {', '.join(ours)}, where the model was trained on "
                f"{', '.join(theirs)}; give it these"
            )
        for name, shape in ours.items():
            known = theirs[name]
            if known is not None and shape is not None and shape != known:
                given, trained = (" × ".join(map(str, sides)) for sides in (shape, known))
                what = f"{name} of shape" if name else "samples of shape"
                raise DataError(
                    f"{samples.origin}: {what} {given}, where the model was trained on {trained}; give it samples of "
                    "that shape"
                )
        if self.levels and is_levels(samples) is False:
            raise DataError(
                f"{samples.origin}: inputs are no whole numbers from 0 to 255, as those are that the model was trained "
                "on (uint8); bring them to that scale"
            )

    def demand_sealed(self, samples: Samples) -> None:
        """Refuses sealed test samples that are not those that were sealed when it was trained.

        Raises:
            CheckpointError: where their names, inputs or targets are others.
        """
        if self.sealed is not None and self.sealed != samples.fingerprint:
            raise CheckpointError(
                f"{samples.origin}: the sealed test samples are not those that were sealed when the checkpoint was "
                f"trained (fingerprint {self.sealed[:12]}, now {samples.fingerprint[:12]}): samples, inputs or targets "
                "have changed since; restore the data, data.labels and data.clean as they were, or train again"
            )

    def demand_unseen(self, samples: Samples, rows: Rows, what: str) -> None:
        """Refuses samples of the source that it was trained on some of.

        Args:
            samples: of the source that the training samples come from.
            rows: (M,) those that are to be scored.
            what: what they are called.

        Raises:
            CheckpointError: with how many it was trained on; or where they are sealed, and not those of then.
        """
        seen = rows[np.isin(samples.keys[rows], self.ids)]
        if len(seen):
            name = samples.table["id"].iloc[int(seen[0])]
            raise CheckpointError(
                f"the checkpoint was trained on {len(seen)} of the {len(rows)} {what}, first "
                f"{name!r}: their score would be no estimate; give the data.test_size, data.test_seed, data.split and "
                "seed that it was trained with"
            )
        if what == SEALED:
            self.demand_sealed(samples)

    def seen(self, samples: Samples, rows: Rows) -> Rows:
        """Those of these rows, of any source, whose inputs are the same as those of a training sample."""
        return rows[np.isin(samples.content[rows].view(np.int64), self.content)]


def _by_name(shape: Shape | Mapping[str, Shape]) -> Mapping[str, Shape]:
    """Shapes by the inputs' names; "" is the name of one."""
    return shape if isinstance(shape, Mapping) else {"": shape}


def _read_shape(held: Any) -> Shape | Mapping[str, Shape]:
    """What a checkpoint holds as a sample's shape."""
    if isinstance(held, Mapping):
        return {name: None if shape is None else tuple(map(int, shape)) for name, shape in held.items()}
    return None if held is None else tuple(map(int, held))


def shape_of(samples: Samples) -> Shape | dict[str, Shape]:
    """The shape that all samples have, by the input's name where they have several.

    None where they differ in length, or columns are found by name.
    """
    if isinstance(samples.inputs, Several):
        return {name: _shape(part) for name, part in samples.parts.items()}
    return _shape(samples)


def _shape(samples: Samples) -> Shape:
    if samples.features or is_ragged(samples.inputs):
        return None
    return tuple(map(int, samples.inputs.shape[1:]))


def form_of(samples: Samples) -> dict[str, Any]:
    """The shape of a pool's samples, and whether they are levels from 0 to 255, for `state`."""
    levels = samples.white is None and samples.inputs.dtype == np.uint8
    return {"shape": shape_of(samples), "levels": levels, "drawn": is_drawn(samples)}


def is_drawn(samples: Samples) -> bool:
    """Whether samples are drawn at random each time, or hold what cannot be hashed: of these contents tell nothing."""
    items = base_of(samples.inputs)
    return isinstance(items, Places) and (items.draws or items.changes or samples.hashes is None)


def is_levels(samples: Samples) -> bool | None:
    """Whether inputs are whole numbers from 0 to 255; None for images that know their own white."""
    if samples.white is not None:
        return None
    if samples.inputs.dtype == np.uint8:
        return True
    found = (block.values for block in blocks(samples.inputs, size=fitting(samples.inputs)))
    return all(((x == np.floor(x)) & (x >= 0) & (x <= 255)).all() for x in found)


def demand_fold(name: str, trained: tuple[str, int], split: Split, fold: int) -> None:
    """Refuses a checkpoint that was trained on another split, or another fold of it.

    Args:
        name: the checkpoint's, for the message.
        trained: the hash and the number of the fold that it was trained on.
        split: what a run has.
        fold: the run's.

    Raises:
        CheckpointError: naming both.
    """
    ours = split.fold_hash(fold) if fold < len(split.folds) else "none"  # WHOLE, which is -1, has one too
    if trained != (ours, fold):
        raise CheckpointError(
            f"{name} was trained on fold {trained[1]} of another split ({str(trained[0])[:12]}), this run is "
            f"fold {fold} ({ours[:12]}): held-out samples would have been trained on; give the data, data.split "
            "and seed that the checkpoint was trained with"
        )
