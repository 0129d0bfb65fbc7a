"""The verbs that take what runs have left, as functions: compare, export, load."""

from __future__ import annotations  # torch's and our own classes are named here before they are imported

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from lightning_base.errors import ConfigError
from lightning_base.results import compare as comparing
from lightning_base.tools.asked import in_python
from lightning_base.verbs.results import CrossValidation, Fitted, demand_path
from lightning_base.verbs.results import load as load_run

if TYPE_CHECKING:
    from lightning_base.training.experiment import Experiment
    from lightning_base.verbs.exported import Exported

Config: TypeAlias = "str | Path | Sequence[str | Path] | Experiment"
Settings: TypeAlias = Mapping[str, Any]
NOTHING: Settings = {}
RUN = {"ckpt_path": "run"}  # what functions call the option


def compare(
    *runs: str | Path | CrossValidation | Sequence[str | Path | CrossValidation],
    metric: str | Sequence[str] | None = None,
    rope: float | Mapping[str, float] = comparing.ROPE,
) -> comparing.Comparison:
    """Tests the differences between finished cross-validations of one split; needs no torch.

    Args:
        runs: their directories or results, two or more, or one list of them.
        metric: what to compare, or several; by default accuracy or r2, else the first that all runs have.
        rope: differences within ± this count as none; of all metrics, or by name.

    Raises:
        UserError: for runs that cannot be compared.
    """
    given: Sequence[Any] = runs[0] if len(runs) == 1 and isinstance(runs[0], list | tuple) else runs
    with in_python():
        paths = [run.directory if isinstance(run, CrossValidation) else demand_path(run, "runs") for run in given]
        metrics = [metric] if isinstance(metric, str) else metric
        if metrics is not None and not (isinstance(metrics, Sequence) and all(isinstance(m, str) for m in metrics)):
            raise ConfigError(f"metric: {metric!r:.60} is no name; give one, or a list of them")
        ropes: dict[str | None, float] = {None: comparing.ROPE}
        for name, width in rope.items() if isinstance(rope, Mapping) else [(None, rope)]:
            if isinstance(width, bool) or not isinstance(width, int | float) or not 0 <= width < float("inf"):
                raise ConfigError(f"rope: {width!r:.60} is no width; give a number, 0 or more")
            ropes[name] = width
        return comparing.compare(paths, metrics, ropes)


def export(
    run: str | Path | CrossValidation | Fitted,
    *,
    config: Config | None = None,
    overrides: Settings = NOTHING,
    out: str | Path | None = None,
    samples: int = 100,
    overwrite: bool = False,
    precision: Literal["float32", "float16", "int8", "int8-static"] = "float32",
    format: Literal["onnx", "torch", "compiled", "safetensors"] = "onnx",
    verbose: bool = False,
) -> Exported:
    """Makes a run stand alone: a folder that answers without torch and this package, checked against the run.

    Args:
        run: a cross-validation (its ensemble), a fit, or the path of either, of a fold or of a checkpoint.
        config: the configuration that it was trained with; by default the one that stands beside it.
        overrides: values by dotted key.
        out: the folder to write; by default `export` beside the run's directory.
        samples: how many real samples are compared.
        overwrite: replace an exported folder that is there.
        precision: of the graph; what a lower one costs is measured on held-out samples, and told.
        format: "onnx"; "torch", a program of torch.export; "compiled", one that AOTInductor has compiled for this kind
            of machine; "safetensors", the weights alone.
        verbose: print what the command line prints.

    Raises:
        UserError: for a run that is not there or not finished, a network that no graph can be made of, or answers that
            are not the run's.
    """
    from lightning_base.verbs import exported, running

    with running.guarded(verbose, RUN):
        running.flags(overwrite=overwrite)
        exported.demand_possible(precision, format, samples)
        exported.demand_a_run(run)
        experiment, path = running.reopened("predict", run, config, overrides)
        return exported.export(
            experiment, path, None if out is None else Path(out), samples, overwrite, precision, format
        )


def load(directory: str | Path) -> CrossValidation | Fitted:
    """The run that a directory holds: a cross-validation, or a fit; needs no torch until it predicts.

    Raises:
        ArtefactError: where it holds none, or several.
    """
    with in_python():
        return load_run(demand_path(directory, "directory").absolute())
