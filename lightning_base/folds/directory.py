"""Whose a crossval directory is: made an experiment's, found to be its, extended by folds, or refused."""

import hashlib
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning_base.auditing.gate import write_split
from lightning_base.data.datamodule import BaseDataModule
from lightning_base.distributed.slurm import queue
from lightning_base.errors import ArtefactError
from lightning_base.folds.plan import Plan
from lightning_base.results import states
from lightning_base.results.fold_result import is_done, read_result
from lightning_base.results.summary import SUMMARY
from lightning_base.splitters.manifest import hash_table, read_manifest
from lightning_base.tools.console import console
from lightning_base.tools.files import read_json, write_json
from lightning_base.tools.imports import shown
from lightning_base.tools.locks import claiming, is_held
from lightning_base.tools.places import places
from lightning_base.tools.process import is_main
from lightning_base.training.experiment import Experiment
from lightning_base.training.objects import demand_identified, lacking
from lightning_base.training.own_code import OWN_CODE, changed_code
from lightning_base.training.settings import (
    BEGIN_ANEW,
    DATA,
    FREE_KEYS,
    INITIAL,
    INITIAL_PLACE,
    MEND,
    SPLIT_KEY,
    flatten,
    is_place,
    read_saved,
)
from lightning_base.training.sources import BESIDE

TEST, EPOCHS = "test.json", "trainer.max_epochs"
CODE, OBJECTS = "code.", "objects."  # what stands before the changes that are no configuration key


def take(directory: Path, experiment: Experiment, data: BaseDataModule, overwrite: bool = False) -> str:
    """Makes the directory this experiment's, as `claim` does, one process after another; its stamp.

    Args:
        directory: of the cross-validation.
        experiment: the configuration.
        data: as the first fold sees it.
        overwrite: delete what an earlier run left there.

    Raises:
        UserError: where the directory holds another experiment, or processes that train.
    """
    with claiming(directory):
        if overwrite and directory.exists():
            clear(directory, data.labels)
        claim(directory, experiment, data)
        return stamp_of(directory)


def stamp_of(directory: Path) -> str:
    """What tells whose a directory is: another one means that another experiment has taken it."""
    files = [directory / name for name in ("config.yaml", "identity.json")]
    return hashlib.sha256(b"".join(path.read_bytes() if path.is_file() else b"" for path in files)).hexdigest()


def demand_unchanged(plan: Plan) -> None:
    """Refuses to go on in a directory that another process has made another experiment's.

    Raises:
        Displaced: then.
    """
    if plan.stamp and is_main() and stamp_of(plan.directory) != plan.stamp:
        raise Displaced(
            f"{plan.directory} was made another experiment's, or given other folds, while this one ran; give another "
            "--name, or run the same command again"
        )


class Displaced(ArtefactError):
    """A directory that another process has taken in the meantime."""


def claim(directory: Path, experiment: Experiment, data: BaseDataModule) -> None:
    """Makes the directory this experiment's, or checks that it already is.

    A directory of the same experiment whose split has more folds now, the earlier ones as they were, is extended: what
    is finished stays. Data of the same content may be read from another place than before, where a shipped data module
    reads it.

    Raises:
        UserError: naming the first difference, where the directory holds another experiment.
    """
    pool, path, stamp = data.samples("pool"), directory / "config.yaml", directory / "identity.json"
    identity: dict[str, Any] = {"split_hash": data.folds.hash, "data_fingerprint": pool.fingerprint, "n": len(pool)}
    needs = {key: type(value) for key, value in identity.items()}
    identity |= {"experiment": experiment.identity}
    identity |= {"sealed_fingerprint": data.pool.sealed_fingerprint} if data.seals else {}
    if not stamp.is_file():
        if kept := [fold.name for fold in directory.glob("fold_*") if is_done(fold)]:
            raise ArtefactError(f"{stamp} is not there, and tells whose {kept[0]} is; {BEGIN_ANEW}")
        experiment.save(path)
        write_split(directory, data)
        write_json(stamp, identity)
        return
    if experiment.objects is not None:
        demand_identified(experiment.objects.identity, str(directory))
    stored, changed = read_json(stamp, BEGIN_ANEW, needs), changes(path, experiment)
    same = all(stored.get(key, identity.get(key)) == identity.get(key) for key in ("experiment", "sealed_fingerprint"))
    if all(stored.get(key) == identity[key] for key in ("n", "data_fingerprint")):
        read = places(str(experiment.data_settings.get("class_path")))
        moved = [key for key, values in changed.items() if is_option(key, read) and is_place(*values)]
        # a function is told by what it does; where it is imported from may change, as from a program to its module
        moved += [key for key in changed if key.startswith(OBJECTS) and key.endswith(".call")]
        changed = {key: values for key, values in changed.items() if key not in moved}
        new_split = bool(changed) and all(key.startswith(SPLIT_KEY) for key in changed)
        if new_split and same and (added := added_folds(directory, data)) is not None:
            extend(directory, experiment, data, identity)
            console().print(f"{directory}: {added} folds are new, the earlier ones are kept")
            return
    else:
        moved = []
    refuse_changed(directory, changed)
    demand_begun_so(directory, stored, identity)
    read_manifest(directory / "split.parquet")  # refuses one that was changed by hand
    if moved:
        experiment.save(path)  # other processes, and later verbs, read the data where it is now


def demand_begun_so(directory: Path, stored: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    """Refuses to go on where identity.json, which an earlier version may have written, tells of another beginning.

    Raises:
        ArtefactError: naming what has changed since.
    """
    if stored.get("experiment", identity["experiment"]) != identity["experiment"]:
        raise ArtefactError(
            f"{directory / 'config.yaml'}: it was changed after the run had begun, with other settings; {BEGIN_ANEW}"
        )
    for key, what in (
        *(("n", "the number of samples"), ("data_fingerprint", "the data"), ("split_hash", "the split")),
        ("sealed_fingerprint", "the content of the sealed test samples"),
    ):
        if stored.get(key, identity.get(key)) != identity.get(key):
            raise ArtefactError(
                f"{directory} was begun on other data: {what} has changed (was {stored.get(key)!r}, is now "
                f"{identity.get(key)!r}); {MEND}"
            )


def refuse_changed(directory: Path, changed: Mapping[str, tuple[Any, Any]]) -> None:
    """Refuses to go on with what `changes` has found.

    Raises:
        ArtefactError: naming the first change that is not the split's, or the first.
    """
    if not changed:
        return
    key = next((key for key in changed if not key.startswith(SPLIT_KEY)), next(iter(changed)))
    was, now = changed[key]
    if key.startswith(CODE):
        what = f"{now} has changed since it was begun"
    elif key in (INITIAL, f"{OBJECTS}init_from"):
        what = "the weights that model.init_from names are others than it was begun with"
    elif key.startswith(OBJECTS):
        what = f"the function {key.split('.')[1]}, or a value that it takes with it, has changed"
    else:
        what = f"{key} was {was!r}, is now {now!r}"
    grown = set(changed) == {EPOCHS} and all(isinstance(n, int) for n in (was, now)) and 0 <= was < now
    onward = "--longer true goes on to them, else " if grown else ""
    raise ArtefactError(f"{directory} holds another experiment: {what}; {onward}{MEND}")


def is_option(key: str, options: Sequence[str]) -> bool:
    """Whether a key of a saved configuration is one of these options of the data module, or stands inside of one."""
    return key.startswith(DATA) and key.removeprefix(DATA).partition(".")[0] in options


def clear(directory: Path, labels: str | None) -> None:
    """Deletes what an earlier run left.

    Raises:
        UserError: where it is none of ours, the data's labels stand there, or folds are being trained there.
    """
    if directory.is_symlink() or not is_ours(directory):
        raise ArtefactError(
            f"--overwrite: {directory} is no cross-validation's own directory, and is not deleted; give another --name"
        )
    if labels is not None and Path(labels).resolve().is_relative_to(directory.resolve()):
        raise ArtefactError(f"--overwrite: {labels} stands in {directory}, which would be deleted; give another --name")
    demand_idle(directory, "--overwrite")
    reads = sealed_reads(directory)
    shutil.rmtree(directory)
    keep_reads(directory, reads)


def demand_idle(directory: Path, option: str) -> None:
    """Refuses to remove anything of a directory in which folds are being trained.

    Args:
        directory: of the cross-validation.
        option: what asks for it.

    Raises:
        ArtefactError: naming the fold.
    """
    running = [path.name for path in directory.glob("fold_*") if states.runs_here(path)]
    running += [path.name for path in [directory / "refit"] if is_held(path / ".lock")]
    script = directory.resolve() / "slurm" / "crossval.sh"
    queued = (queue(script) or []) if script.is_file() and shutil.which("squeue") else []
    if running or any(not task.ended for task in queued):
        which = f"process trains {running[0]}" if running else "job of the cluster trains folds"
        raise ArtefactError(f"{option}: a {which} in {directory}; end it first, or give another --name")


def forget_test(directory: Path) -> None:
    """Removes what was trained by, or scored of, all folds as they were, and keeps how often test samples were read."""
    reads = sealed_reads(directory)
    shutil.rmtree(directory / "refit", ignore_errors=True)
    (directory / TEST).unlink(missing_ok=True)
    keep_reads(directory, reads)


def sealed_reads(directory: Path) -> dict[str, Any]:
    """What a directory tells of the reads of its sealed test samples."""
    told = read_json(directory / TEST) if (directory / TEST).is_file() else {}
    return {key: told[key] for key in ("reads", "data_fingerprint", "data_fingerprints") if key in told}


def keep_reads(directory: Path, reads: Mapping[str, Any]) -> None:
    """Writes them: what was chosen in between knows the test samples, whoever trains next."""
    if reads.get("reads"):
        write_json(directory / TEST, dict(reads))


def is_ours(directory: Path) -> bool:
    """Whether all that a directory holds at its top is what a cross-validation leaves, or it is marked as one's."""
    if not directory.is_dir():
        return False
    names = {path.name for path in directory.iterdir()}
    left = {name for name in names if not re.fullmatch(r"fold_\d+|slurm|refit|test\.json|split\.parquet", name)}
    return not left or {"config.yaml", "identity.json"} <= names


def added_folds(directory: Path, data: BaseDataModule) -> int | None:
    """How many folds the split has beyond the directory's; None where these are not its first ones, unchanged."""
    table, _ = read_manifest(directory / "split.parquet")
    new = data.folds.table()
    earlier = int(table["fold"].max()) + 1
    kept = table[table["fold"] >= 0]
    same = hash_table(kept) == hash_table(new[(new["fold"] >= 0) & (new["fold"] < earlier)])
    sealed = set(table["id"][table["role"] == "test"]) == set(new["id"][new["role"] == "test"])
    added = len(data.folds.folds) - earlier
    return added if same and sealed and added >= 0 else None


def extend(directory: Path, experiment: Experiment, data: BaseDataModule, identity: dict[str, Any]) -> None:
    """Makes the directory that of a split with more folds; results that are kept name the new split.

    The configuration is written last: killed before, the next run does all of it again.
    """
    (directory / SUMMARY).unlink(missing_ok=True)  # it is of the earlier folds alone
    for fold in [path for path in directory.glob("fold_*") if is_done(path)]:
        replace(read_result(fold), split_hash=identity["split_hash"]).write(fold)
    write_split(directory, data)
    write_json(directory / "identity.json", identity)
    experiment.save(directory / "config.yaml")


def changes(path: Path, experiment: Experiment) -> dict[str, tuple[Any, Any]]:
    """The keys, in alphabetical order, in which the experiment differs from a saved one: what was, and what is now.

    Own code that has changed comes last: `code.` and its module, with its file.

    Raises:
        ArtefactError: where the saved configuration cannot be read.
    """
    config = experiment.dump()
    theirs, ours = flatten(read_saved(path)), flatten(config)
    keys = [key for key in sorted(theirs.keys() | ours.keys()) if key not in FREE_KEYS]
    found = {key: (theirs.get(key), ours.get(key)) for key in keys if theirs.get(key) != ours.get(key)}
    if experiment.objects is not None and lacking(experiment.objects.identity, "source"):
        found["objects"] = ("unknown", "unknown")
    beside = path.parent / BESIDE
    weights = read_json(beside).get("weights") if beside.is_file() else None, experiment.initial_weights
    if weights[0] != weights[1]:
        found[INITIAL] = weights
    elif weights[0] is not None:  # the same ones may stand elsewhere
        found = {key: values for key, values in found.items() if key not in INITIAL_PLACE}
    code = changed_code(path.parent, config)
    return found | {f"{CODE}{name}": (None, shown(file)) for name, file in code.items()}


def demand_same_code(directory: Path, config: Mapping[str, Any]) -> None:
    """Refuses to go on with, score or predict by a run whose own code is another now.

    Args:
        directory: of the run; one that has kept nothing of its code is taken as it is.
        config: what of the configuration must be the same, as plain values.

    Raises:
        ArtefactError: naming the file.
    """
    if (directory / OWN_CODE).is_file() and (changed := changed_code(directory, config)):
        file = shown(next(iter(changed.values())))
        raise ArtefactError(f"{directory}: {file} has changed since the run began; change it back, or train anew")
