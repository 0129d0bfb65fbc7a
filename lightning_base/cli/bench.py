"""The verb bench: its options; what is measured and shown is the serving room's. Needs no torch."""

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from math import isfinite
from pathlib import Path

from lightning_base.cli.arguments import Parser
from lightning_base.errors import ConfigError, ProcessFailed, near_file
from lightning_base.serving.bench.processes import KEY
from lightning_base.serving.settings import Settings
from lightning_base.tools.console import Level, console
from lightning_base.tools.files import replace, to_json
from lightning_base.verbs.words import given

CLIENTS = (1, 2, 4, 8, 16, 32, 64)
MOST = 500  # clients: what select() can watch
OURS = ("--host", "--port", "--api-key-file")  # options of serve that are set here


def main(arguments: Sequence[str]) -> None:
    """Measures the export or the server that the arguments name, prints tables and, where asked, writes JSON and SVG.

    Raises:
        UserError: for a mistake in the arguments, an export that cannot be served, a server that cannot be reached;
            when all is shown, for answers that were wrong and for a server that answered nothing.
    """
    own, serves = _parted(arguments)
    options = _parser().parse_args(own)
    is_url = re.match(r"\w+://", options.target) is not None
    outs = [_out(path) for path in options.out]
    _demand(options, is_url, serves)
    from lightning_base.serving.bench.inputs import from_file
    from lightning_base.serving.bench.measure import Plan, measure_export, measure_url
    from lightning_base.serving.bench.plot import svg
    from lightning_base.serving.bench.show import show

    key = options.api_key or os.environ.get(KEY)
    plan = Plan(
        seconds=options.seconds,
        warmup=options.warmup,
        concurrency=options.concurrency,
        rates=options.rate,
        timeout=options.timeout,
        starts=options.starts,
        largest=_largest(serves),
        threads=_last(serves, "--threads"),
        options=tuple(serves),
        headers={"Authorization": f"Bearer {key}"} if key and is_url else {},
    )
    progress = console(Level.NORMAL)
    say = progress.print
    if is_url:
        inputs = from_file(Path(options.inputs)) if options.inputs else None
        found = measure_url(options.target, inputs, plan, say)
    else:
        found = measure_export(Path(options.target), plan, say)
    out = console(Level.QUIET)
    show(found, out)
    for path in outs:
        with replace(path) as temporary:
            temporary.write_text(svg(found) if path.suffix == ".svg" else to_json(asdict(found)), encoding="utf-8")
        out.print(f"results: {path}", soft_wrap=True)
    if found.wrong:
        raise ProcessFailed(f"bench: {found.wrong:,} answers were not the expected ones; the notes name the first", 1)
    if not found.answered:
        raise ProcessFailed("bench: not one request was answered; the column of errors says how they ended", 1)


def _largest(serves: Sequence[str]) -> int:
    """Inputs of a batch at most, as the server takes it from its options."""
    return _last(serves, "--max-batch") or Settings().max_batch


def _last(serves: Sequence[str], name: str) -> int | None:
    """What an option of serve says at last; serve itself refuses what is no number."""
    words = given(serves, name)
    return int(words[-1]) if words and words[-1].isascii() and words[-1].isdigit() else None


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        "bench",
        usage="lightning-base bench EXPORT|URL [options] [-- options of serve]",
        description="How long answers take. Of an exported folder: the bare model in a loop, start-up, memory, "
        "then `serve` on it under load by clients in a process of their own, with batches, one by one, and an empty "
        "handler beside them; answers are held against the export's examples. Of a URL: the load alone.",
    )
    parser.add_argument(
        "target",
        metavar="EXPORT|URL",
        help="an exported folder; or http://HOST:PORT, or that with /models/NAME/predict",
    )
    parser.add_argument(
        "--concurrency",
        type=_whole,
        default=CLIENTS,
        metavar="N,N,…",
        help=f"clients at once, a load each. Default {','.join(map(str, CLIENTS))}.",
    )
    parser.add_argument(
        "--rate",
        type=_rates,
        default=(),
        metavar="R,R,…",
        help="requests a second, a load each, whatever the server does (an open loop); latency counts from "
        "when a request was due. The largest --concurrency is the number of connections.",
    )
    parser.add_argument(
        "--seconds", type=_positive, default=3.0, metavar="S", help="of each load that count. Default 3."
    )
    parser.add_argument("--warmup", type=_seconds, default=1.0, metavar="S", help="seconds before them. Default 1.")
    parser.add_argument(
        "--timeout",
        type=_positive,
        default=30.0,
        metavar="S",
        help="seconds after which a client gives up. Default 30.",
    )
    parser.add_argument(
        "--starts", type=_count, default=5, metavar="N", help="how often start-up is measured. Default 5."
    )
    parser.add_argument(
        "--inputs",
        metavar="FILE.jsonl",
        help='of a URL: an input a line, or {"input": …, "answer": …}; by default the example that the server shows',
    )
    parser.add_argument("--api-key", metavar="KEY", help=f"of a URL; better in {KEY}, which no list of processes shows")
    parser.add_argument(
        "--out",
        action="append",
        default=[],
        metavar="FILE.json|FILE.svg",
        help="write all numbers, or a picture of them; may be given again",
    )
    return parser


def _parted(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """What is bench's, and what stands behind -- for serve."""
    words = list(arguments)
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


def _demand(options: argparse.Namespace, is_url: bool, serves: Sequence[str]) -> None:
    """Refuses what does not go together, and what is not there.

    Raises:
        ConfigError: naming the option.
    """
    if is_url:
        if serves:
            raise ConfigError("bench: options of serve go with an export; the server of a URL runs already")
        return
    for name in ("inputs", "api_key"):
        if getattr(options, name):
            raise ConfigError(f"--{name.replace('_', '-')}: is for a URL; an export is asked its own examples")
    if taken := [name for name in OURS if given(serves, name)]:
        raise ConfigError(f"bench: {taken[0]} is set by bench; leave it out of what stands behind --")
    folder = Path(options.target)
    if not folder.is_dir():
        raise ConfigError(
            f"{folder} is no folder{near_file(str(folder))}; give an exported folder, or http://HOST:PORT"
        )
    if lacking := [name for name in ("onnxruntime", "fastapi", "uvicorn") if find_spec(name) is None]:
        raise ConfigError(f"bench: serving needs {', '.join(lacking)}: pip install 'lightning-base[serve]'")


def _out(text: str) -> Path:
    path = Path(text)
    if path.suffix not in (".json", ".svg"):
        raise ConfigError(f"--out: {path} is neither FILE.json nor FILE.svg; give one, or both")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ConfigError(f"--out: {path} is no file in an existing folder; give the path of a file to write")
    return path


def _number(text: str, least: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not (isfinite(value) and value >= least):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of {least:g} or more")
    return value


def _positive(text: str) -> float:
    return _number(text, 0.05)


def _seconds(text: str) -> float:
    return _number(text, 0.0)


def _rates(text: str) -> tuple[float, ...]:
    return tuple(sorted({_number(word, 0.01) for word in text.split(",")}))


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to {MOST}")
    return int(text)


def _whole(text: str) -> tuple[int, ...]:
    return tuple(sorted({_count(word.strip()) for word in text.split(",")}))
