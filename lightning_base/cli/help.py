"""Help without torch: a verb's own options first, what there is to name in YAML, and each of its classes."""

import shutil
import textwrap
from collections.abc import Iterable, Sequence
from itertools import groupby

from lightning_base.cli.described import KINDS, Described, Missing, Option, table
from lightning_base.cli.listing import SHOWN, classes, table_of
from lightning_base.cli.own import look_up
from lightning_base.errors import ConfigError, suggest
from lightning_base.tools.imports import import_fault
from lightning_base.training.config_errors import no_import
from lightning_base.training.known_names import SIZES
from lightning_base.verbs.words import given

EXAMPLES = {
    "prepare": "--config configs/digits_cnn.yaml",
    "audit": "--config configs/digits_cnn.yaml --show grid.png",
    "fit": "--config configs/digits_cnn.yaml --trainer.max_epochs 3",
    "validate": "--ckpt_path runs/digits_cnn/fit/version_0/checkpoints/last.ckpt",
    "test": "--ckpt_path runs/digits_cnn/crossval",
    "predict": "--ckpt_path runs/digits_cnn/crossval --data.predict new.npz --out new.csv",
    "crossval": "--config configs/digits_cnn.yaml --trainer.max_epochs 3",
}
COMMON = {  # what every verb takes, shorter than the parser has it
    "config": "a YAML file; given again, later ones go over earlier ones",
    "model": "the task, by class_path; --model.KEY and --model.network.KEY set what it and its network take",
    "data": "the data module, by class_path; --data.KEY sets what it takes",
    "seed_everything": "everything random is drawn from it",
    "trainer.KEY": "Lightning's Trainer, e.g. --trainer.max_epochs 3: --help trainer shows its options",
    "print_config": "prints the whole configuration, defaults and all, and runs nothing",
}


def asked(arguments: Sequence[str]) -> str | None:
    """What a verb's words ask help for: "" for the verb, "trainer", a class; None where they ask for none of these."""
    words = list(arguments)
    for option in ("--help", "-h"):
        if option in words:
            after = words[words.index(option) + 1 : words.index(option) + 2]
            return "".join(word for word in after if not word.startswith("-"))
    for word in words:
        name = word.partition("=")[0]
        if name.startswith("--") and name.endswith(".help") and name.split(".")[0] in ("--model", "--data"):
            value = given(words, name)[0]
            bases = {
                "--model.help": "lightning_base.tasks.BaseModule",
                "--data.help": "lightning_base.data.BaseDataModule",
            }
            return value if value and not value.startswith("-") else bases.get(name)
    return None


def show(verb: str, about: str, subject: str) -> str:
    """The help on a verb ("" as subject), on the Trainer, or on a class.

    Args:
        verb: whose help it is.
        about: what the verb does.
        subject: what help is asked on.

    Raises:
        ConfigError: for a subject that there is none of.
    """
    if not subject:
        return of_verb(verb, about)
    if subject == "trainer":
        return of_trainer()
    found = look_up(subject) or by_short_name(subject) or imported(subject)
    if isinstance(found, Described):
        return of_class(found)
    if isinstance(found, Missing) and found.fault:
        raise ConfigError(no_import("--help", subject, found.fault))
    near = suggest(subject, [*(one.path for one in known()), *(one.path.rpartition(".")[2] for one in known())])
    raise ConfigError(f"--help: there is no class {subject!r}{near or '; `lightning-base list` shows them'}")


def known() -> list[Described]:
    """Every class that is listed."""
    return [one for kind in KINDS for one in classes(kind)]


def by_short_name(name: str) -> Described | None:
    """The listed class whose path ends in the name."""
    return next((one for one in known() if one.path.rpartition(".")[2] == name), None)


def imported(path: str) -> Described | None:
    """A class of another library, such as torch.optim.Adam, which is imported to ask it.

    Raises:
        ConfigError: for a file that fails when it is imported.
    """
    if "." not in path:
        return None
    if (fault := import_fault(path.rpartition(".")[0])) is not None:
        raise ConfigError(no_import("--help", path, fault))
    from lightning_base.cli.introspect import describe_imported

    return describe_imported(path)


def of_verb(verb: str, about: str) -> str:
    """The verb's help."""
    declared = table().verbs[verb]
    own = [option for option in declared.options if option.owner != "every verb"]
    common = [option for option in declared.options if option.owner == "every verb" and option.name not in COMMON]
    lines = [
        f"usage: lightning-base {verb} --config FILE.yaml [--config OVERLAY.yaml …] [--key.sub value …]",
        "",
        *textwrap.wrap(f"{about[0].upper()}{about[1:]}.", width()),
        "",
        f"  lightning-base {verb} {EXAMPLES[verb]}",
        "",
        *(["its own options:", *rows(own), ""] if own else []),
        "options of every verb:",
        *rows([*(Option(name, "", "", text) for name, text in COMMON.items()), *common]),
        "",
    ]
    for kind in ("data",) if verb in ("prepare", "audit") else ("tasks", "networks", "data"):
        lines += [f"{SHOWN[kind]} ({KINDS[kind]}):", *table_of([(one.path, one.about) for one in classes(kind)]), ""]
    example = "datamodules.table.Table" if verb in ("prepare", "audit") else "models.cnn.CNN"
    return "\n".join(
        [
            *lines,
            f"  {f'lightning-base {verb} --help {example}':<56}what one of these takes",
            f"  {f'lightning-base {verb} --help trainer':<56}the Trainer's options",
            f"  {'lightning-base list':<56}these, and splitters, augmentations, configs and overlays",
            "",
        ]
    )


def rows(options: Iterable[Option]) -> list[str]:
    """Options of a verb with their explanations beside them."""
    lines = []
    for option in options:
        text = option.help + (f" (default {option.default})" if option.default not in (None, "", "null") else "")
        start = f"  --{option.name:<17} "
        lines += textwrap.wrap(text, width(), initial_indent=start, subsequent_indent=" " * 22, break_long_words=False)
    return lines


def of_trainer() -> str:
    """The Trainer's options."""
    head = f"options of Lightning's Trainer {table().lightning} (trainer: in YAML, --trainer.KEY on the command line):"
    return "\n".join([head, "", *entries(table().trainer), ""])


def of_class(found: Described) -> str:
    """A class: what it is, and what it takes, its own options before those of its bases."""
    place = KINDS.get(found.kind, "")
    lines = [f"{found.path}: {found.about}", *([""] if found.text else []), *paragraphs(found.text), ""]
    if place and found.kind == "augmentations":
        lines += ["In YAML: data.augment is a list of these, each a class_path with init_args.", ""]
    elif place:
        lines += [f"In YAML: {place}, as class_path with init_args; on the command line --{place}.KEY.", ""]
    if not found.options:
        lines += ["It takes no options.", ""]
    for owner, options in groupby(found.options, key=lambda option: option.owner):
        lines += [f"from {owner}:" if owner else "options:", *entries(options, found.kind == "networks"), ""]
    return "\n".join(lines)


def entries(options: Iterable[Option], sizes: bool = False) -> list[str]:
    """Options one below the other, each with its type, default and explanation; a network's sizes follow the data."""
    lines = []
    for option in options:
        default = "required" if option.default is None else f"default {option.default}" if option.default else ""
        default = "by default as the data says" if sizes and option.name in SIZES else default
        lines.append(f"  {option.name}  " + ", ".join(filter(None, [option.type, default])))
        lines += textwrap.wrap(option.help, width(), initial_indent=" " * 6, subsequent_indent=" " * 6)
    return lines


def paragraphs(text: str) -> list[str]:
    """The text's paragraphs, wrapped."""
    blocks = [textwrap.wrap(block, width()) for block in text.strip().split("\n\n")]
    return [line for block in blocks for line in [*block, ""]][:-1]


def width() -> int:
    """Columns to write in."""
    return min(shutil.get_terminal_size((100, 24)).columns, 120)
