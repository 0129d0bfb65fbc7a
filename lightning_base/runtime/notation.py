"""Numbers as people write them: 1234.5, 1,234.5, 1.234,5, 12 %, $1,234; and what says how they are written."""

import math
import re
from functools import cache
from typing import NamedTuple

MARKS = "%$€£¥"
BLANKS = " \u00a0\u202f"


class Notation(NamedTuple):
    """How numbers are written.

    Attributes:
        decimal: what stands before the fraction.
        thousands: what stands between thousands; "" for nothing.
        mark: the sign of a currency or "%" that stands before or behind each number; "" for none. It is left out:
            12 % is 12.
    """

    decimal: str = "."
    thousands: str = ""
    mark: str = ""

    def __str__(self) -> str:
        sample = f"1{self.thousands}234{self.decimal}5"
        return {"": sample, "%": f"{sample}%"}.get(self.mark, f"{self.mark}{sample}")


PLAIN = Notation()
WRITTEN = "number "  # begins what a feature keeps of its notation


def written(notation: Notation) -> str:
    """A notation as a feature keeps it."""
    return WRITTEN + "|".join(notation)


def from_written(text: str) -> Notation:
    """The notation that `written` made a text of."""
    return Notation(*text.removeprefix(WRITTEN).split("|"))


@cache
def pattern(form: Notation) -> re.Pattern[str]:
    """What a number in a notation looks like."""
    thousands = f"[{BLANKS}]" if form.thousands == " " else re.escape(form.thousands)
    whole = rf"\d+|[1-9]\d{{0,2}}(?:{thousands}\d{{3}})+" if form.thousands else r"\d+"
    sign = rf"[{re.escape(form.mark)}{BLANKS}]*" if form.mark else ""
    return re.compile(rf"{sign}[+-]?{sign}(?:{whole})(?:{re.escape(form.decimal)}\d+)?(?:[eE][+-]?\d+)?{sign}")


def number(text: str, notation: Notation = PLAIN) -> float:
    """A text as a number; NaN where it is none."""
    text = text.strip()
    if notation != PLAIN and pattern(notation).fullmatch(text) is None:
        return math.nan
    if notation.mark:  # -$5, $ -5 and - 5 % have it, or blanks, behind the sign
        text = re.sub(f"[{re.escape(notation.mark)}{BLANKS}]", "", text)
    if notation.thousands:
        blanks = notation.thousands == " "
        for one in BLANKS if blanks else notation.thousands:
            text = text.replace(one, "")
    if notation.decimal != ".":
        text = text.replace(".", "?").replace(notation.decimal, ".")
    try:
        return math.nan if "_" in text else float(text)  # Python takes 1_000 for a number
    except ValueError:
        return math.nan
