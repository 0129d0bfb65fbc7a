"""Patterns of paths, such as "{target}_{group}_{take}.wav": what a file's name says of it."""

import re

from lightning_base.errors import ConfigError

NEEDED = {"target": "the class", "group": "what must stay on one side of a split"}


def compile_pattern(pattern: str, needed: str = "target") -> re.Pattern[str]:
    """The regular expression of a pattern of names in braces, each of which stands for something without a "/".

    Raises:
        UserError: where a name is none or comes twice, or the one that is needed is not there.
    """
    parts = re.split(r"\{(\w*)\}", pattern)
    expression = "".join(f"(?P<{part}>[^/]+?)" if i % 2 else re.escape(part) for i, part in enumerate(parts))
    try:
        compiled = re.compile(expression)
    except re.error as error:
        raise ConfigError(
            f"data.pattern: {pattern!r} has a name that is empty, none, or there twice ({error})"
        ) from error
    if needed not in compiled.groupindex:
        raise ConfigError(f"data.pattern: {pattern!r} has no {{{needed}}}; say where {NEEDED[needed]} stands")
    return compiled
