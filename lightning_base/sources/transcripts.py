"""Transcripts: what is said in sounds, from lines of a text file or rows of a table, and which sound each is of."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from lightning_base.errors import ConfigError, DataError, near_file, one_line
from lightning_base.sources.form import Format
from lightning_base.sources.records import Records
from lightning_base.sources.text_files import SUFFIXES, decode_lines, read_bytes

LINE_SEPARATOR = ": "


class Said(NamedTuple):
    """A transcript: the sound that it names, where it stands, its text, and its group ("" for none)."""

    name: str
    where: str
    text: str
    group: str = ""


@dataclass
class Transcripts:
    """The transcripts of a file, in its order, and findings (id, kind, detail) of what is none."""

    said: list[Said] = field(default_factory=list)
    findings: list[tuple[str, str, str]] = field(default_factory=list)

    def of(self, files: Sequence[str]) -> dict[str, list[Said]]:
        """By file the transcripts that name it, with its ending or without, where this names one file alone."""
        known, stems = set(files), defaultdict[str, list[str]](list)
        for name in files:
            stems[name.rpartition(".")[0]].append(name)
        found = defaultdict[str, list[Said]](list)
        for one in self.said:
            for name in [one.name] if one.name in known else stems.get(one.name, []):
                found[name].append(one)
        return found


def read_transcripts(form: Format, sound: str, text: str, group: str | None) -> Transcripts:
    """The transcripts of a file: lines `name: text` of a text file (.txt, .text, packed by gzip or not), else a table.

    Args:
        form: how it is written; the separator of lines stands between a name and its text.
        sound: the table's column of sounds' paths.
        text: … of texts.
        group: … of groups; None for none.

    Raises:
        UserError: for a file that cannot be read, a column that is not there, a row without a path or group, or a group
            of lines, which have none.
    """
    if not form.path.name.lower().endswith(SUFFIXES):
        return _of_table(form, sound, text, group)
    if group is not None:
        raise ConfigError(
            f"data.group: {form.path} has lines of names and texts, and no columns; give a table, or data.pattern"
        )
    return _of_lines(form)


def _of_lines(form: Format) -> Transcripts:
    """Those of a text file; blank lines are none."""
    path, separator, out = form.path, form.separator or LINE_SEPARATOR, Transcripts()
    try:
        lines = decode_lines(read_bytes(path), form.encoding)
    except OSError as error:
        mend = near_file(str(path)) or "; put it there or mend the path"
        raise DataError(f"{form.key}: {path} cannot be read ({error.strerror}){mend}") from error
    except ValueError as error:
        raise DataError(f"{form.key}: {path}: {error}") from error
    except LookupError as error:
        raise ConfigError(f"data.encoding: {form.encoding!r} is not an encoding; give e.g. utf-8 or latin-1") from error
    for number, line in enumerate(lines, start=1):
        where = f"{path.name} line {number}"
        if line.text is None:
            out.findings.append((where, "encoding", line.wrong))
        elif (
            number > form.skip_rows and line.text.strip() and not (form.comment and line.text.startswith(form.comment))
        ):
            name, between, text = line.text.partition(separator)
            if between and name.strip():
                out.said.append(Said(name.strip(), where, text.strip()))
            else:
                detail = (
                    f"has no {separator!r} behind a name (data.separator, data.comment): {one_line(line.text)[:60]}"
                )
                out.findings.append((where, "unreadable", detail))
    return out


def _of_table(form: Format, sound: str, text: str, group: str | None) -> Transcripts:
    """Those of a table."""
    records, out = Records(form), Transcripts()
    for name, key in ((sound, "sound"), (text, "text"), (group, "group")):
        records.require([name], f"data.{key}")
    wanted = list(dict.fromkeys(name for name in (sound, text, group) if name is not None))
    for chunk in records.chunks(text=wanted):
        for i, line in enumerate(chunk.lines):
            where = f"{form.path.name} line {line}"
            named, groups = chunk.columns[sound][i], "" if group is None else chunk.columns[group][i]
            if named is None:
                raise DataError(f"{form.path}: line {line} has no {sound!r} (data.sound); give every row one")
            if groups is None:
                raise DataError(f"{form.path}: line {line} has no {group!r} (data.group); give every row one")
            out.said.append(Said(named, where, chunk.columns[text][i] or "", groups))
    out.findings += [(f"{form.path.name} {where}", kind, detail) for where, kind, detail in records.findings]
    return out


def unused_of(transcripts: Transcripts, used: Iterable[list[Said]]) -> Iterator[Said]:
    """The transcripts that name no file."""
    there = {one.where for some in used for one in some}
    return (one for one in transcripts.said if one.where not in there)
