"""Downloading one file over HTTP: resumed where it broke off, tried again, and kept only with the right SHA-256."""

import hashlib
import http.client
import json
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from lightning_base.errors import DataError, UserError, one_line

TIMEOUT = 60.0  # seconds without a byte
TRIES = 4  # in a row that bring nothing new
PAUSE = 1.0  # seconds before the second try, doubled before each further one
EVERY = 10.0  # seconds between two reports of progress
CHUNK = 2**20


class _BrokenError(Exception):
    """A download that another try may mend."""


def download(url: str, file: Path, sha256: str, report: Callable[[str], None]) -> None:
    """Downloads to `<file>.part`, going on from what is there, and renames it to `file` once its SHA-256 is right.

    Raises:
        UserError: the server refuses or cannot be reached, or the content has another SHA-256.
    """
    part = file.with_name(f"{file.name}.part")
    note = file.with_name(f"{file.name}.part.json")  # which version of which URL the part is of
    most, tries = part.stat().st_size if part.exists() else 0, 0
    while True:
        try:
            _attempt(url, part, note, sha256, report)
            break
        except _BrokenError as error:
            size = part.stat().st_size if part.exists() else 0
            tries = 1 if size > most else tries + 1
            most = max(most, size)
            if tries >= TRIES:
                mend = "check the network and data.fetch.url, then run again: it goes on from there"
                raise DataError(
                    f"{url}: cannot be downloaded ({one_line(error)}), {size:,} bytes are; {mend}"
                ) from error
            pause = PAUSE * 2 ** (tries - 1)
            report(f"{url}: {one_line(error)}; trying again from byte {size:,} in {pause:g} s")
            time.sleep(pause)
    found = digest(part)
    if found != sha256:
        part.unlink()
        note.unlink(missing_ok=True)
        raise mismatch(url, found, sha256)
    os.replace(part, file)
    note.unlink(missing_ok=True)


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def mismatch(url: str, found: str, expected: str) -> UserError:
    """The error for a file with another SHA-256 than the user gave."""
    what = f"{url}: SHA-256 is {found}, expected {expected}; the file has changed or is damaged"
    return DataError(f"{what}: mend data.fetch.sha256 or the URL")


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes a JSON file whole or not at all, by whichever process calls."""
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(json.dumps(content, indent=1))
    os.replace(temporary, path)


def _attempt(url: str, part: Path, note: Path, sha256: str, report: Callable[[str], None]) -> None:
    """Downloads what the part lacks, in one try.

    Raises:
        _BrokenError: the connection broke, the server is busy, or the part was of another version and is removed.
        UserError: another try would bring the same.
    """
    offset, validator = _resume(url, part, note)
    headers = {"User-Agent": "lightning-base", "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if validator:  # the server sends the whole file where it is no longer this version
            headers["If-Range"] = validator
    try:
        request = urllib.request.Request(urllib.parse.quote(url, safe="%/:=&?~#+!$,;'@()*[]"), headers=headers)
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416 and offset:  # nothing comes after the part: it is whole, or of another version
                if digest(part) == sha256:
                    return
                part.unlink()
                raise _BrokenError("the part downloaded earlier does not fit") from error
            if error.code in (408, 425, 429) or error.code >= 500:
                raise _BrokenError(f"HTTP {error.code} {error.reason}") from error
            why = f"the server answers {error.code} {one_line(error.reason)}"
            raise DataError(f"{url}: {why}; check data.fetch.url") from error
    except (http.client.InvalidURL, ValueError) as error:
        raise DataError(f"{url}: is not a URL ({one_line(error)}); mend data.fetch.url") from error
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenError(getattr(error, "reason", None) or error) from error
    with response:
        if response.status == 206:
            end = _check_range(response.headers, offset, validator, part)
        elif response.status == 200:
            offset, length = 0, response.headers.get("Content-Length") or ""
            end = int(length) if length.isdecimal() else None
            part.unlink(missing_ok=True)  # first, or a crash here leaves the old half with the new note
            write_json(note, {"url": url, "validator": _validator(response.headers)})
        else:
            raise _BrokenError(f"HTTP {response.status} {response.reason}")
        with part.open("ab") as file:
            _copy(response, file, offset, end, lambda text: report(f"{url}: {text}"))


def _resume(url: str, part: Path, note: Path) -> tuple[int, str]:
    """Where to go on, and what names the version of the part; (0, "") where there is none of this URL."""
    try:
        known = json.loads(note.read_text())
        if known["url"] == url:
            return part.stat().st_size, str(known["validator"])
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        pass
    return 0, ""


def _validator(headers: http.client.HTTPMessage) -> str:
    """The strong ETag, or else the date of the last change: what If-Range takes; or nothing."""
    etag = headers.get("ETag") or ""
    return etag if etag.startswith('"') else headers.get("Last-Modified") or ""


def _check_range(headers: http.client.HTTPMessage, offset: int, validator: str, part: Path) -> int | None:
    """The size of the whole file, if the server says it, where the answer is the rest of the part."""
    given = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", (headers.get("Content-Range") or "").strip())
    now = _validator(headers)
    if given is None or not offset or int(given[1]) != offset or (validator and now and now != validator):
        part.unlink(missing_ok=True)
        raise _BrokenError("the file changed, or the server sent another range than asked for")
    return int(given[3]) if given[3] != "*" else None


def _copy(
    response: http.client.HTTPResponse, file: IO[bytes], offset: int, end: int | None, report: Callable[[str], None]
) -> None:
    """Appends the answer to the part as it comes, so that what came before a break is kept."""
    told, of = time.monotonic(), "" if end is None else f" of {end / 1e6:,.1f}"
    report(f"downloading from byte {offset:,}{of and of + ' MB'}")
    while end is None or offset < end:
        try:
            data = response.read1(CHUNK if end is None else min(CHUNK, end - offset))
        except (OSError, http.client.HTTPException) as error:
            raise _BrokenError(error) from error
        if not data:
            break
        file.write(data)
        offset += len(data)
        if time.monotonic() - told > EVERY:
            told = time.monotonic()
            report(f"{offset / 1e6:,.1f}{of} MB")
    if end is not None and offset < end:
        raise _BrokenError(f"the connection ended at {offset:,} of {end:,} bytes")
