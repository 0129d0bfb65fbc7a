"""A verb's words to a call of the Python interface of the same name."""

from collections.abc import Sequence

from lightning.fabric.utilities.exceptions import MisconfigurationException

from lightning_base.errors import ConfigError, one_line
from lightning_base.verbs import functions
from lightning_base.verbs.opening import open_words
from lightning_base.verbs.parser import Asked


def run_verb(arguments: Sequence[str]) -> None:
    """Runs one verb with its options.

    Raises:
        UserError: for any mistake in the configuration, before anything is written.
    """
    try:
        call(open_words(arguments))
    except MisconfigurationException as error:
        raise ConfigError(f"trainer: {one_line(error)}") from error


def call(asked: Asked) -> None:
    """Calls the function that a verb is."""
    experiment, options = asked.experiment, asked.options
    if asked.verb == "predict":
        more = {"out": options["out"], "overwrite": options["overwrite"]}
        functions.predict(options["ckpt_path"], config=experiment, **more)
    elif asked.verb in ("validate", "test"):
        getattr(functions, asked.verb)(options["ckpt_path"], config=experiment)
    else:
        getattr(functions, asked.verb)(experiment, **options)
