"""What the doctor finds, one line each: how it stands, and the mend where something is to be mended."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Status: TypeAlias = Literal["ok", "warning", "trouble"]


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        status: how it stands; with "trouble" the doctor's exit status is 1.
        area: the heading it stands under.
        what: what was looked at.
        value: what was found, for people.
        mend: what to do about it; empty where nothing is to be done.
        number: the value as a number, where it is one: bytes, seconds, bytes per second or a count.
    """

    status: Status
    area: str
    what: str
    value: str
    mend: str = ""
    number: float | None = None

    def line(self) -> str:
        """The finding in one line."""
        return f"{self.what}: {self.value}" + (f"; {self.mend}" if self.mend else "")


def worst(findings: Iterable[Finding]) -> Status:
    """The status of all findings together."""
    found = {finding.status for finding in findings}
    return "trouble" if "trouble" in found else "warning" if "warning" in found else "ok"


def size(count: float) -> str:
    """Bytes in words: 1 kB is 1000."""
    power = 0
    while abs(count) >= 999.5 and power < 4:
        count, power = count / 1000, power + 1
    return f"{count:.3g} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"


def duration(seconds: float) -> str:
    """Seconds in words."""
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"
