"""A batch computed in a thread; what one request's inputs break is that request's alone."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lightning_base.runtime.answering import Answer, Answering, Item
from lightning_base.runtime.answers import NOT_FINITE
from lightning_base.runtime.errors import InputError


class Answered(NamedTuple):
    """An answer, and the JSON of it."""

    answer: Answer
    json: bytes


@dataclass(frozen=True)
class Slice:
    """Inputs of one request that go into one batch.

    Attributes:
        group: the request they are of.
        start: the place of the first among its inputs.
    """

    group: Any
    items: Sequence[Item]
    start: int


class ModelFault(Exception):
    """A model that failed, or answered something that cannot be sent."""


def as_fault(error: BaseException) -> Exception:
    """What was raised, as a future takes it: no StopIteration, and no panic of a library in Rust."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    fault = ModelFault(type(error).__name__)
    fault.__traceback__ = error.__traceback__
    return fault


def compute(model: Answering, requests: Sequence[Sequence[Item]]) -> list[list[Answered] | Exception]:
    """By request the answers to its inputs, or why there are none.

    All are computed together; where that fails, each request alone.

    Args:
        model: what answers.
        requests: the inputs of each, one or more.
    """
    items = [item for request in requests for item in request]
    try:
        answers = _checked(model.run(items), len(items))
    except BaseException as error:  # whatever it is, its requests are told, and the queue goes on
        if len(requests) == 1:
            return [as_fault(error)]
        return [compute(model, [request])[0] for request in requests]
    found: list[list[Answered] | Exception] = []
    at = 0
    for request in requests:
        mine = answers[at : at + len(request)]
        at += len(request)
        found.append(_finite(mine))
    return found


def _checked(answers: list[Answer], count: int) -> list[Answer]:
    """Demands an answer for each input."""
    if len(answers) != count:
        raise ModelFault(f"{len(answers)} answers to {count} inputs")
    return answers


def _finite(answers: list[Answer]) -> list[Answered] | Exception:
    """The answers and their JSON, or a refusal where one is no number: nobody should act on it."""
    found = []
    for place, answer in enumerate(answers):
        try:
            found.append(Answered(answer, as_json(answer)))
        except ValueError:
            return InputError(f"[{place}]" if len(answers) > 1 else "", NOT_FINITE)
        except (TypeError, RecursionError):
            return ModelFault("an answer that is no JSON")
    return found


def as_json(value: object) -> bytes:
    """A value as JSON.

    Raises:
        ValueError: for a number that is not finite.
        TypeError: for what is no JSON.
    """
    text = _ENCODER.encode(value)
    try:
        return text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which a text may end in
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
