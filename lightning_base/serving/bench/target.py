"""A server that is there already: where its model is asked, and what it says of itself."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from lightning_base.errors import ConfigError, one_line
from lightning_base.serving.bench.ask import ask
from lightning_base.serving.bench.inputs import Inputs
from lightning_base.serving.bench.wire import Address

MODEL = re.compile(r"(?P<before>.*?)(/models/(?P<name>[^/]+)(/versions/(?P<version>[^/]+))?)?(/predict)?/?")


@dataclass(frozen=True)
class Target:
    """Where a model is asked.

    Attributes:
        address: of the server.
        path: of the model.
        before: what stands before /models and /health there.
        name: of the model, and its version; None for the default one's.
        version: None for the default one.
    """

    address: Address
    path: str
    before: str
    name: str | None
    version: str | None


def target(url: str) -> Target:
    """Where a URL leads: to the default model, where its path names none.

    Raises:
        ConfigError: for what is no URL of a server.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"{url!r} is no URL ({one_line(error)}); give http://HOST:PORT") from error
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.query or parts.fragment:
        raise ConfigError(
            f"{url!r} is no URL of a server; give http://HOST:PORT or http://HOST:PORT/models/NAME/predict"
        )
    tls = parts.scheme == "https"
    found = MODEL.fullmatch(parts.path)
    assert found is not None
    path = (
        f"{parts.path.rstrip('/')}/predict"
        if found[5] is None and (found["name"] or len(parts.path) < 2)
        else parts.path
    )
    return Target(
        Address(host, port or (443 if tls else 80), tls), path, found["before"], found["name"], found["version"]
    )


def described(where: Target, headers: Mapping[str, str]) -> Mapping[str, Any] | None:
    """What `/models` says of the model; None where there is no such page.

    Raises:
        ConfigError: where the server cannot be reached, refuses the key, or has no such model.
    """
    status, body = reach(where, f"{where.before}/models", None, headers)
    if status in (401, 403):
        raise ConfigError(f"--api-key: the server answers {status}; give its key")
    try:
        models = json.loads(body)["models"] if status == 200 else None
    except (ValueError, KeyError, TypeError):
        models = None
    if not isinstance(models, list):
        return None
    for one in models:
        if (one.get("name") == where.name if where.name else one.get("default")) and (
            where.version in (None, one.get("version"))
        ):
            return dict(one)
    names = ", ".join(f"{one.get('name')}/{one.get('version')}" for one in models)
    raise ConfigError(f"{where.path}: the server has no such model; it has {names or 'none'}")


def reach(where: Target, path: str, body: str | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """Status and body.

    Raises:
        ConfigError: where the server cannot be reached.
    """
    try:
        return ask(where.address, path, body, headers)
    except OSError as error:
        raise ConfigError(f"{where.address.authority} cannot be reached ({one_line(error)}); is it serving?") from error


def alone(where: Target, inputs: Inputs, headers: Mapping[str, str]) -> Inputs:
    """The inputs, each with the answer that it is to get: its own, or the one that it gets when asked alone.

    Raises:
        ConfigError: for an input that the server does not answer; it says why.
    """
    answers = []
    for i, (one, answer) in enumerate(zip(inputs.inputs, inputs.answers, strict=True)):
        status, body = reach(where, where.path, json.dumps(one), headers)
        if status != 200:
            said = body[:300].decode(errors="replace")
            raise ConfigError(f"{where.path}: input {i + 1} is answered {status}: {one_line(said)}; see --inputs")
        if answer is None:
            try:
                answer = json.loads(body)
            except ValueError:
                answer = None  # no JSON: nothing to hold later answers against
        answers.append(answer)
    return replace(inputs, answers=tuple(answers))
