"""Checkpoint files: written whole with a checksum inside, the one before kept, and where a run goes on from."""

import errno
import hashlib
import os
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import torch
from lightning.fabric.utilities import move_data_to_device
from lightning.pytorch.plugins.io import TorchCheckpointIO, XLACheckpointIO

from lightning_base.errors import CheckpointError, one_line
from lightning_base.tools.console import console
from lightning_base.tools.files import replace
from lightning_base.tools.process import is_main

HYPER_PARAMETERS = "hyper_parameters"  # where Lightning keeps them
RESUME = "exact_resume"  # the key of a checkpoint under which ExactResume keeps its state
LAST, STEP = "last.ckpt", "step.ckpt"  # after each epoch, and in between
PREVIOUS = {LAST: "last.previous.ckpt", STEP: "step.previous.ckpt"}
OWN = (LAST, STEP, *PREVIOUS.values())
MARK = b"sha256:"
END = 22  # bytes of a zip archive's end record without a comment
_CHUNK = 1 << 20


def _as_saved(storage: Any, location: Any) -> Any:
    return storage  # on the CPU


class ExactIO(TorchCheckpointIO):
    """Lightning's plugin for local files: temporary name, checksum, fsync, rename; the earlier `last.ckpt` is kept.

    The SHA-256 of the file stands in it as the comment of the zip archive that torch.save makes (APPNOTE.TXT 4.3.16),
    so that file and checksum are one, and whatever reads torch's files reads these.

    Raises:
        UserError: for a full disk, or a file that is damaged.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Lightning's hook, called in the main process alone."""
        if storage_options is not None or "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
        else:
            write(checkpoint, Path(path))

    def load_checkpoint(
        self, path: str | Path, map_location: Callable[..., Any] | None = _as_saved, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Lightning's hook; tensors stay on the CPU unless `map_location` says otherwise."""
        if "://" not in str(path) and Path(path).is_file() and (why := damage(Path(path))):
            raise CheckpointError(f"{path}: the checkpoint is damaged: {why}; give an earlier one, or train again")
        return super().load_checkpoint(path, map_location, weights_only)


class ExactXLAIO(ExactIO, XLACheckpointIO):
    """ExactIO for XLA strategies: Lightning's plugin for them writes in place, and a kill would leave half a file."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Lightning's hook; tensors are written as the CPU's, which any device loads."""
        super().save_checkpoint(move_data_to_device(checkpoint, torch.device("cpu")), path, storage_options)


def write(checkpoint: dict[str, Any], path: Path) -> None:
    """Writes a checkpoint whole, or not at all.

    Raises:
        UserError: where the disk is full; what stood there still stands.
    """
    checkpoint = loadable(checkpoint)
    try:
        with replace(path) as temporary:
            with temporary.open("w+b") as file:
                torch.save(checkpoint, file)
                sign(file)
                file.flush()
                os.fsync(file.fileno())
            if path.name in PREVIOUS and path.is_file():
                keep(path, path.with_name(PREVIOUS[path.name]))
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the new name, too, outlives a power cut
        finally:
            os.close(folder)
    except (OSError, RuntimeError) as error:
        if not no_space(error):
            raise
        free = shutil.disk_usage(path.parent).free / 1e6
        raise CheckpointError(
            f"{path}: no space left on the disk ({free:.0f} MB free) for a checkpoint; free some and run the same "
            "command again: it goes on from the checkpoint before"
        ) from error


def loadable(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """The checkpoint without what `save_hyperparameters` keeps that is no plain value, such as networks.

    It would be pickled code, which nothing here loads.
    """
    given = checkpoint.get(HYPER_PARAMETERS)
    if not isinstance(given, Mapping):
        return checkpoint
    return {**checkpoint, HYPER_PARAMETERS: {str(key): value for key, value in given.items() if _is_plain(value)}}


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return type(value) is dict and all(isinstance(key, str) and _is_plain(one) for key, one in value.items())
    if isinstance(value, list | tuple):
        return type(value) in (list, tuple) and all(map(_is_plain, value))
    return type(value) in (str, int, float, bool, type(None), torch.Tensor)


def no_space(error: BaseException | None) -> bool:
    """Whether a full disk or quota is behind an error; torch.save raises another one on top."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__ or error.__context__
    return False


def sign(file: IO[bytes]) -> None:
    """Appends the checksum of a zip archive, open for reading and writing, as its comment."""
    end = file.seek(-END, os.SEEK_END)
    if file.read(END)[:4] != b"PK\x05\x06":
        return  # torch.save no longer ends its archive so: the file is fine, only unsigned
    size = end + END
    file.seek(size - 2)
    file.write((len(MARK) + 64).to_bytes(2, "little"))  # the comment's length, which is hashed too
    comment = MARK + digest(file, size).encode()
    file.seek(size)
    file.write(comment)


def digest(file: IO[bytes], size: int) -> str:
    """SHA-256 of a file's first `size` bytes, in hexadecimal."""
    found = hashlib.sha256()
    file.seek(0)
    while size > 0 and (block := file.read(min(_CHUNK, size))):
        found.update(block)
        size -= len(block)
    return found.hexdigest()


def keep(path: Path, earlier: Path) -> None:
    """Gives a file a second name, under which it outlives the next one of its own."""
    with replace(earlier) as temporary:
        temporary.unlink(missing_ok=True)
        try:
            os.link(path, temporary)
        except OSError:  # a file system without hard links
            shutil.copyfile(path, temporary)


def damage(path: Path) -> str | None:
    """What is wrong with a checkpoint; None where its checksum is right, or it has none and can be opened."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END) - len(MARK) - 64
            file.seek(max(size, 0))
            comment = file.read()
            if size > 0 and comment.startswith(MARK):
                return None if comment == MARK + digest(file, size).encode() else "its SHA-256 does not match"
        if not zipfile.is_zipfile(path):
            return "it is no archive of torch.save"
        opened(path)
    except Exception as error:  # torch raises many kinds for a broken file
        return one_line(error)[:200] or type(error).__name__
    return None


def told_sum(path: Path) -> str:
    """The SHA-256 that a checkpoint says of itself, which is quick to read; "" where it says none."""
    try:
        with path.open("rb") as file:
            file.seek(-len(MARK) - 64, os.SEEK_END)
            comment = file.read()
    except OSError:  # a folder, a short file, or none
        return ""
    return comment[len(MARK) :].decode("ascii", "replace") if comment.startswith(MARK) else ""


def opened(path: Path) -> dict[str, Any]:
    """A checkpoint's content, its tensors mapped and not read; a sharded one's metadata."""
    file = path / "meta.pt" if path.is_dir() else path
    content = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    if not isinstance(content, dict):
        raise ValueError("it holds no dictionary")
    return content


def resume_point(directory: Path) -> Path | None:
    """The newest checkpoint from which a run can go on exactly; None where there is none.

    These are the run's own, and any that was written between two batches of an epoch. A damaged one is passed over with
    a warning. What a killed run left half written is removed, and so is what is newer than the point: the run writes
    it again. One that is not the run's own becomes `step.ckpt` too.

    Args:
        directory: the run's; its checkpoints stand in `checkpoints`, Slurm's in the directory itself.
    """
    folder, main = directory / "checkpoints", is_main()
    steps: dict[Path, int] = {}
    candidates: list[tuple[int, bool, str, Path]] = []
    damaged = []
    requeued = list(directory.glob("hpc_ckpt_*.ckpt"))
    for path in [*folder.glob("*.ckpt"), *requeued]:
        try:
            content = opened(path)
        except FileNotFoundError:  # the main process removed it
            continue
        except Exception as error:
            damaged.append((path, one_line(error)[:200]))
            continue
        place = content.get(RESUME, {}).get("place", "epoch" if path.name in OWN else "")
        steps[path] = int(content.get("global_step", 0))
        if place == "batch" or (place == "epoch" and path.name in OWN):
            candidates.append((steps[path], path.name in OWN, path.name, path))
    point = None
    for *_, path in sorted(candidates, key=lambda c: (c[0], c[1], c[2] == LAST, c[2]), reverse=True):
        why = None if path.is_dir() else damage(path)
        if why is None:
            point = path
            break
        damaged.append((path, why))
    for path, why in damaged:
        onward = "begins anew" if point is None else f"goes on from {point.name}"
        console().print(f"warning: {path} is damaged ({why}); the run {onward}", soft_wrap=True)
    if main:
        reached = -1 if point is None else steps[point]
        for path in [path for path, step in steps.items() if step > reached]:
            _remove(path)
        if point is not None and point.name not in OWN and not point.is_dir():
            keep(point, folder / STEP)  # Lightning never removes the file that it resumed from
            point = folder / STEP
        for path in [*folder.glob(".*.ckpt.*.tmp"), *requeued]:
            path.unlink(missing_ok=True)  # without a point Lightning would take Slurm's, wherever it was written
    return point


def drop_earlier(directory: Path) -> None:
    """Removes what only a run that is not done needs: all its own checkpoints but the last."""
    if is_main():
        for name in OWN:
            if name != LAST:
                (directory / "checkpoints" / name).unlink(missing_ok=True)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
