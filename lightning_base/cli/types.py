"""Whether a plain value surely does not fit an option's type, as the table has it in words."""

from typing import Any

from lightning_base.cli.described import Option
from lightning_base.training.limits import number

WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "null": "null"}
TRUTHS = ("true", "false", "yes", "no", "on", "off")
NOTHING = ("null", "~", "")


def misfit(option: Option, value: Any) -> str | None:
    """What the option takes, where a value is surely none; None where it may be one."""
    members = option.type.split(" | ")
    listed = any(option.type.startswith(f"{kind}[{of}]") for kind in ("Sequence", "list") for of in ("int", "float"))
    if listed and isinstance(value, str) and value[:1].isalpha() and value.lower() not in NOTHING:
        return "a list of numbers, such as [32, 64]"
    if not set(members) <= WORDS.keys():
        return None
    wanted = " or ".join(WORDS[member] for member in WORDS if member in members)
    if isinstance(value, list | dict):
        return wanted
    if not isinstance(value, str | float) or isinstance(value, bool):
        return None
    if isinstance(value, str) and (value.lower() in (*TRUTHS, *NOTHING) or value[:1] in "{[\"'"):
        return None
    given = number(value)
    if given is None and (not isinstance(value, str) or "_" not in value) and not is_based(value):
        return wanted
    whole = "int" in members and "float" not in members
    return wanted if given is not None and whole and not given.is_integer() else None


def is_based(value: Any) -> bool:
    """Whether it is a number as YAML has it and Python's float does not: 0x1F, 0o17, 1:30, .inf, .nan."""
    return isinstance(value, str) and (value[:2].lower() in ("0x", "0o", "0b") or ":" in value or "." in value[:2])
