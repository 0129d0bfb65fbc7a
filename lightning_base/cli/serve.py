"""The verb serve: its options to the settings of a server; needs no torch."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import partial
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from lightning_base.cli.arguments import Parser
from lightning_base.errors import ConfigError
from lightning_base.serving.settings import MIB, Settings

if TYPE_CHECKING:
    from lightning_base.serving.logs import Format, Log
    from lightning_base.serving.recording import Recording

KEY = "LIGHTNING_BASE_API_KEY"


def main(arguments: Sequence[str]) -> int:
    """Serves the exported folders that the arguments name until it is told to end; returns the exit status.

    Raises:
        UserError: for a mistake in the arguments, a folder that is no export, or a port in use.
    """
    options = _parser().parse_args(list(arguments))
    settings = _settings(options)
    _demand_log(options)
    try:
        from lightning_base.serving.app import Application
        from lightning_base.serving.cores import at_once
        from lightning_base.serving.loading import load
        from lightning_base.serving.logs import Log
        from lightning_base.serving.server import bind, run
        from lightning_base.serving.watching import Watching
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"serve: {error.name} is not installed; pip install 'lightning-base[serve]' brings what it needs"
        ) from error
    paths = [Path(folder) for folder in options.export]
    listening = bind(options.host, options.port)
    try:
        read = partial(load, threads=options.threads, programs=options.programs)
        models = [(path, read(path)) for path in paths]
        if options.concurrency is None:
            settings = replace(settings, concurrency=at_once([model for _, model in models]))
        log = Log(_format(options.log_format))
        watching = Watching(options.watch_window) if options.watch_window else None
        kept = [] if options.log_predictions is None else [_recording(options, log).begin]
        application = Application(models, settings, log, read, kept, watching)
        del models  # of which one may be replaced, and is to be forgotten then
        return run(application, listening)
    finally:
        listening.close()


def _recording(options: argparse.Namespace, log: "Log") -> "Recording":
    """What keeps answers, as the options say."""
    from lightning_base.serving.recording import Recording, store_of

    return Recording(store_of(Path(options.log_predictions)), options.log_share, options.log_inputs, log)


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    def _get_help_string(self, action: argparse.Action) -> str | None:
        """The help, with the default where there is one."""
        return super()._get_help_string(action) if action.default not in (None, []) else action.help


def _parser() -> argparse.ArgumentParser:
    defaults = Settings()
    parser = Parser(
        "serve",
        description="Answers over HTTP from exported folders: /predict, /predict/batch, /predict/stream, a page to try "
        "them at /, what there is to ask at /docs, /health, /ready and /metrics. It ends on SIGTERM when all accepted "
        "requests are answered.",
        formatter_class=_Help,
    )
    parser.add_argument("export", nargs="+", metavar="EXPORT", help="folders that `lightning-base export` has made")
    add = parser.add_argument
    add("--default", metavar="NAME[/VERSION]", help="which model /predict asks; the first folder's if not given")
    add("--host", default="127.0.0.1", help="the address to listen at; 0.0.0.0 is every one of this machine")
    add("--port", type=_whole("--port", 0, 65535), default=8000, help="the port; 0 takes a free one and prints it")
    add("--max-batch", type=_whole("--max-batch"), default=defaults.max_batch, help="inputs computed together at most")
    add(
        *("--max-wait-ms",), type=_number("--max-wait-ms"), default=defaults.max_wait_ms,
        help="how long a batch waits, under load, for as many inputs as the one before had",
    )  # fmt: skip
    add(
        *("--timeout",), type=_number("--timeout", above=True), default=defaults.timeout,
        help="seconds to an answer; 504 then",
    )  # fmt: skip
    add("--max-body", type=_size, default="16MiB", metavar="SIZE", help="of a request; 413 above: bytes, KiB or MiB")
    add("--max-inputs", type=_whole("--max-inputs"), default=defaults.max_inputs, help="of one request; 413 above")
    add("--max-memory", type=_size, default="512MiB", metavar="SIZE", help="of all bodies and inputs held; 503 above")
    add(
        *("--concurrency",), type=_whole("--concurrency"),
        help="batches, and beside them streams, computed at once; one a core if not given, for fast models",
    )  # fmt: skip
    add(
        *("--queue",), type=_whole("--queue"), default=defaults.queue,
        help="requests to a model that are accepted and not yet ended; 503 above",
    )  # fmt: skip
    add("--rate", type=_number("--rate"), default=0.0, help="requests a second of one client; 429 above; 0: any number")
    add("--api-key-file", metavar="FILE", help=f"keys, one a line; without it ${KEY}, without that none is asked for")
    add("--cors", action="append", default=[], metavar="ORIGIN", help="a page's origin that may ask; may be repeated")
    add(
        "--threads",
        type=_whole("--threads"),
        help="of one computation; if not given one for fast models, else all cores",
    )
    add(
        "--programs",
        action="store_true",
        help="loads programs that torch runs, too: they are code; serve your own only",
    )
    add(
        *("--reload-seconds",), type=_number("--reload-seconds"), default=0.0,
        help="how often folders are looked at for a new version; 0: never",
    )  # fmt: skip
    add(
        *("--read-timeout",), type=_number("--read-timeout", above=True), default=defaults.read_timeout,
        help="seconds for a request's head, and for its body, to come",
    )  # fmt: skip
    add("--drain", type=_number("--drain"), default=defaults.drain, help="seconds of answering new requests at the end")
    add("--grace", type=_number("--grace"), default=defaults.grace, help="seconds for accepted requests after that")
    add(
        *("--watch-window",), type=_whole("--watch-window", 0), default=4096,
        help="answers that are held against training together, for /metrics and /models/NAME/drift; 0: none are",
    )  # fmt: skip
    add("--log-predictions", metavar="PATH", help="keeps answers: a .sqlite file, or a folder for Parquet files")
    add("--log-share", type=_share, default=1.0, help="of requests whose answers are kept, chosen by their ids")
    add("--log-inputs", action="store_true", help="keeps what was asked beside the answers: it may be personal data")
    add("--log-format", choices=("json", "text"), help="of the log on standard error; text on a terminal, else json")
    return parser


def _demand_log(options: argparse.Namespace) -> None:
    """Refuses options of a log of predictions without one."""
    if options.log_predictions is None and (options.log_inputs or options.log_share != 1.0):
        raise ConfigError("--log-inputs, --log-share: need --log-predictions, which says where answers are kept")


def _settings(options: argparse.Namespace) -> Settings:
    """What the options say."""
    for origin in options.cors:
        scheme, separator, rest = origin.partition("://")
        if origin != "*" and not (scheme in ("http", "https") and separator and rest and "/" not in rest):
            raise ConfigError(f"--cors: {origin!r} is no origin; give SCHEME://HOST[:PORT], or * for any")
    same = {field.name for field in fields(Settings)} & vars(options).keys() - {"cors"}
    values = {name: value for name in same if (value := getattr(options, name)) is not None}
    return Settings(keys=_keys(options.api_key_file), cors=tuple(options.cors), **values)


def _keys(file: str | None) -> tuple[str, ...]:
    """The API keys of a file, or of the environment.

    Raises:
        ConfigError: for a file that cannot be read or holds none, and an empty key.
    """
    if file is None:
        if (key := os.environ.get(KEY)) is None:
            return ()
        if not key.strip():
            raise ConfigError(f"{KEY} is empty; give a key, or unset it to ask for none")
        return (key.strip(),)
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--api-key-file: {file} cannot be read as text") from error
    keys = tuple(line.strip() for line in lines if line.strip())
    if not keys:
        raise ConfigError(f"--api-key-file: {file} holds no key; write one a line")
    if any(not key.isascii() or not key.isprintable() for key in keys):
        raise ConfigError(f"--api-key-file: {file} holds a key that no header can carry; use ASCII")
    return keys


def _format(asked: "Format | None") -> "Format":
    return asked or ("text" if sys.stderr.isatty() else "json")


def _whole(name: str, least: int = 1, most: int | None = None) -> Callable[[str], int]:
    """Reads a whole number."""

    def read(text: str) -> int:
        wanted = f"{least} or more" if most is None else f"{least} to {most}"
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least or (most is not None and value > most):
            raise ConfigError(f"{name}: {text!r} is no whole number, {wanted}")
        return value

    return read


def _number(name: str, above: bool = False) -> Callable[[str], float]:
    """Reads a number, 0 or more, or above 0."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not isfinite(value) or value < 0 or (above and value == 0):
            raise ConfigError(f"{name}: {text!r} is no number {'above 0' if above else '0 or more'}")
        return value

    return read


def _share(text: str) -> float:
    """Reads a share, above 0 and up to 1."""
    value = _number("--log-share", above=True)(text)
    if value > 1:
        raise ConfigError(f"--log-share: {text!r} is no share; give a number above 0, up to 1")
    return value


def _size(text: str) -> int:
    """Reads a number of bytes, as 4096, 512KiB, 16MiB or 1GiB."""
    units = {"KiB": 2**10, "MiB": MIB, "GiB": 2**30}
    number, unit = (text[:-3], units[text[-3:]]) if text[-3:] in units else (text, 1)
    if not (number.isascii() and number.isdigit() and int(number) > 0):
        raise ConfigError(f"--max-body, --max-memory: {text!r} is no size; give bytes, or 512KiB, 16MiB, 1GiB")
    return int(number) * unit
