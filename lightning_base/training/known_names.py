"""What words and files say of classes and options, and what other programs call ours: for better messages alone."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from lightning_base.tools.yaml_file import LOADER

POPULAR = {  # what other programs call it: what it is called here
    **dict.fromkeys(("epochs", "epoch", "num_epochs", "n_epochs", "nb_epochs"), "trainer.max_epochs"),
    **dict.fromkeys(("steps", "num_steps", "max_iter", "iterations"), "trainer.max_steps"),
    **dict.fromkeys(("lr", "learning_rate"), "model.optimizer.lr"),
    **dict.fromkeys(("wd", "weight_decay"), "model.optimizer.weight_decay"),
    **dict.fromkeys(("batch_size", "batchsize", "bs", "train_batch_size"), "data.batch_size"),
    **dict.fromkeys(("seed", "random_seed", "random_state"), "seed_everything"),
    **dict.fromkeys(("gpus", "gpu", "devices", "num_gpus", "n_gpus", "num_devices"), "trainer.devices"),
    **dict.fromkeys(("device", "accelerator", "cuda"), "trainer.accelerator"),
    **dict.fromkeys(("nodes", "num_nodes"), "trainer.num_nodes"),
    **dict.fromkeys(("precision", "amp", "fp16", "bf16"), "trainer.precision"),
    **dict.fromkeys(("num_workers", "workers"), "data.workers"),
    **dict.fromkeys(("folds", "kfold", "n_folds", "num_folds", "n_splits", "k"), "data.split.n_splits"),
    **dict.fromkeys(("ckpt", "checkpoint", "resume", "resume_from_checkpoint", "weights"), "ckpt_path"),
    **dict.fromkeys(("output_dir", "out_dir", "output", "save_dir", "root_dir"), "trainer.default_root_dir"),
    **dict.fromkeys(("optim", "optimizer"), "model.optimizer"),
    **dict.fromkeys(("scheduler", "lr_scheduler"), "model.scheduler"),
    **dict.fromkeys(("network", "net", "arch", "backbone"), "model.network"),
    **dict.fromkeys(("dataset", "datamodule"), "data"),
    **dict.fromkeys(("split", "splitter", "cv"), "data.split"),
    "dropout": "model.network.dropout",
    "clip_grad": "trainer.gradient_clip_val",
    "grad_accum": "trainer.accumulate_grad_batches",
    "experiment": "name",
}
SIZES = ("num_inputs", "num_outputs", "in_channels", "vocabulary")  # what the data says of a network
OTHER_SIZES = {  # what other networks call a size: what the shipped ones call it
    **dict.fromkeys(("num_classes", "n_classes", "classes", "out_features", "output_size", "out_dim"), "num_outputs"),
    **dict.fromkeys(("output_dim", "target_size", "num_labels"), "num_outputs"),
    **dict.fromkeys(("in_features", "input_size", "in_dim", "input_dim", "num_features"), "num_inputs"),
    **dict.fromkeys(("channels", "in_chans", "num_channels", "input_channels"), "in_channels"),
    **dict.fromkeys(("num_words", "vocab_size", "source_size", "size", "num_tokens"), "vocabulary"),
}
PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")  # of a class, or of a function in its place
CLASS_PATH = re.compile(r"([A-Za-z_]\w*\.)+_*[A-Z]\w*")
INNER = ("init_args", "class_path")  # parts of a key that the parser leaves out when it names one


def options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Dotted names and values ("" where none follows) of the words that are options."""
    for i, word in enumerate(words):
        if word.startswith("--") or word.partition("=")[0] == "-c":
            name, equals, value = word.lstrip("-").partition("=")
            yield name.removesuffix("+"), value if equals else "".join(words[i + 1 : i + 2])


def plain(name: str) -> list[str]:
    """The parts of a dotted key, without those that the parser leaves out when it names one."""
    return [part for part in name.split(".") if part not in INNER]


def values_in(words: Sequence[str]) -> set[str]:
    """What the options among the words name and give: each key, each value, and their parts."""
    return {part for one in options(words) for text in one for part in (*text.split("."), text) if part}


def class_paths(files: Sequence[str], words: Sequence[str]) -> list[tuple[str, str]]:
    """The key and the path of each class that words and files name and that may be a file of the user's."""
    found = [(name, value) for name, value in options(words) if CLASS_PATH.fullmatch(value)]
    for file in files:
        found += list(_class_paths(_content(file), ""))
    return [(key, path) for key, path in found if not Path(path).exists()]


def class_at(key: Sequence[str], files: Sequence[str], words: Sequence[str]) -> str | None:
    """The class that stands at a key, as the last word or file has it; None where none says it."""
    wanted = plain(".".join(key))
    found = [path for file in files for at, path in _class_paths(_content(file), "") if plain(at) == wanted]
    for name, value in options(words):
        found += [value] if plain(name) == wanted and PATH.fullmatch(value) else []
    return found[-1] if found else None


def _class_paths(content: Any, key: str) -> Iterator[tuple[str, str]]:
    """Every key at which a class stands, and its path."""
    if isinstance(content, dict):
        for name, value in content.items():
            yield from _class_paths(value, key if name in INNER else f"{key}.{name}".lstrip("."))
    elif isinstance(content, str) and CLASS_PATH.fullmatch(content):
        yield key, content
    elif isinstance(content, list):
        for one in content:
            yield from _class_paths(one, key)


def _content(file: str) -> Any:
    try:
        return yaml.load(Path(file).read_text(encoding="utf-8"), Loader=LOADER)  # noqa: S506  # a safe one
    except (OSError, ValueError, yaml.YAMLError):
        return None
