"""Models loaded from exported folders, and checked by the examples that are in them."""

from pathlib import Path
from typing import cast

from lightning_base.errors import ArtefactError, ConfigError, near_file
from lightning_base.runtime.answering import Answering
from lightning_base.runtime.command import tolerance_of, verified
from lightning_base.runtime.errors import ExportError, InputError
from lightning_base.runtime.folder import read_manifest
from lightning_base.runtime.model import Model
from lightning_base.runtime.model import load as load_folder
from lightning_base.serving.cores import SMALL, cores, is_short


def load(path: Path, threads: int | None = None, programs: bool = False) -> Answering:
    """An exported folder's model, which gives the answers that its examples expect.

    Args:
        path: the folder, or a link to it.
        threads: of one computation; by default one where that is fast, else as many as there are cores.
        programs: load programs of torch's too, which are code.

    Raises:
        ConfigError: for a folder that is not there, or holds a program where none is to be loaded.
        ArtefactError: for one that is no export, has been changed, or answers otherwise than it should.
    """
    if not path.is_dir():
        what = "is a file" if path.exists() else "is not there"
        raise ConfigError(
            f"serve: {path} {what}; name a folder that `lightning-base export` has made{near_file(str(path))}"
        )
    folder = path.resolve()
    try:
        graphs = read_manifest(folder, verify=False).get("graphs") or {}
        if not programs and (named := [name for name in graphs.values() if not name.endswith(".onnx")]):
            raise ConfigError(
                f"serve: {path} holds {named[0]}, a program that torch runs, which may do anything; if it is your own, "
                "give --programs, or export it with --format onnx"
            )
        size = sum((folder / name).stat().st_size for name in graphs.values() if (folder / name).is_file())
        tries_one = threads is None and size <= SMALL and all(name.endswith(".onnx") for name in graphs.values())
        model = load_folder(folder, threads=1 if tries_one else threads or cores())
        check_examples(path, model)
        if tries_one and not is_short(model):
            model = load_folder(folder, threads=cores(), verify=False)
    except ExportError as error:
        raise ArtefactError(f"serve: {path}: {error}") from error
    return cast(Answering, model)


def check_examples(path: Path, model: Model) -> None:
    """Demands that a model answers its examples as it did when it was exported.

    Raises:
        ArtefactError: where it does not.
    """
    try:
        worst, _ = verified(model)
    except (ExportError, InputError) as error:
        raise ArtefactError(f"serve: {path}: its examples cannot be answered: {error}") from error
    if not worst <= (limit := tolerance_of(model)):
        raise ArtefactError(
            f"serve: {path}: an example's answer differs by {worst:.2g} from that of the export, where {limit:g} is "
            "allowed; export again"
        )
