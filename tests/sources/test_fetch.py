"""Fetching: broken downloads, changed files, unsafe archives and crashes, against a server that misbehaves at will."""

import bz2
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import socket
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from lightning_base.cli.entry import main
from lightning_base.errors import UserError
from lightning_base.sources import archive, transfer
from lightning_base.sources.fetch import Resource, fetch
from tests.helpers import CONFIGS

DATA = b"".join(hashlib.sha256(str(i).encode()).digest() for i in range(2**15))  # 1 MiB that repeats nothing
HALF = len(DATA) // 2


@dataclass
class Server:
    """What the server serves, how it misbehaves, and the Range header of each request it got."""

    port: int = 0
    content: bytes = DATA
    etag: str = '"one"'
    breaks: int = 0  # requests that are broken off half-way
    busy: int = 0  # requests answered with 503
    ranges: bool = True
    if_range: bool = True
    sized: bool = True  # whether Content-Length is sent
    asked: list[str | None] = field(default_factory=list)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server on 127.0.0.1 for the time of one test."""
    monkeypatch.setattr(transfer, "PAUSE", 0.0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers["Range"]
            state.asked.append(wanted)
            if state.busy > 0:
                state.busy -= 1
                return self.send_error(503)
            if "missing" in self.path:
                return self.send_error(404)
            body, start = state.content, 0
            same = not state.if_range or self.headers["If-Range"] in (None, state.etag)
            if wanted and state.ranges and same:
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
                if start >= len(body):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(body)}")
                    return self.end_headers()
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            else:
                self.send_response(200)
            if state.sized:
                self.send_header("Content-Length", str(len(body) - start))
            if state.etag:
                self.send_header("ETag", state.etag)
            self.end_headers()
            end = len(body)
            if state.breaks > 0:
                state.breaks -= 1
                end = start + (len(body) - start) // 2
            self.wfile.write(body[start:end])
            return None

        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = httpd.server_address[1]
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def error(resource: Resource) -> str:
    """The one line that fetching fails with."""
    with pytest.raises(UserError) as caught:
        fetch(resource)
    message = str(caught.value)
    assert "\n" not in message
    return message


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but the state of downloads."""
    files = [path for path in folder.rglob("*") if path.is_file() and ".fetch" not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def leftovers(folder: Path) -> set[str]:
    """What is kept besides markers and locks."""
    return {path.name for path in (folder / ".fetch").iterdir() if not path.name.endswith((".done.json", ".lock"))}


def tar(*entries: tuple[str | tarfile.TarInfo, bytes], mode: str = "w:gz") -> bytes:
    """A tar of files, or of entries made by hand."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for entry, content in entries:
            info = tarfile.TarInfo(entry) if isinstance(entry, str) else entry
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def zipped(*entries: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for entry, content in entries:
            archive.writestr(entry, content)
    return buffer.getvalue()


def local(folder: Path, name: str, content: bytes) -> Resource:
    """A resource for a local file of this content, fetched into `out`."""
    (folder / name).write_bytes(content)
    return Resource(str(folder / name), str(folder / "out"))


# --- downloads


def test_a_broken_download_is_resumed_and_only_the_rest_is_asked_for(server: Server, work: Path) -> None:
    server.breaks = 2
    path = fetch(Resource(server.url("a.bin"), "in", sha(DATA)))
    assert path == Path("in/a.bin")
    assert path.read_bytes() == DATA
    assert server.asked == [None, f"bytes={HALF}-", f"bytes={HALF + HALF // 2}-"]
    assert leftovers(work / "in") == set()


def test_a_download_broken_off_by_a_crash_is_resumed_by_the_next_process(
    server: Server, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "TRIES", 1)
    server.breaks = 1
    resource = Resource(server.url("a.bin"), "in", sha(DATA))
    assert f"ended at {HALF:,} of {len(DATA):,} bytes" in error(resource)
    assert tree(work / "in") == {}
    assert fetch(resource).read_bytes() == DATA
    assert server.asked == [None, f"bytes={HALF}-"]


def test_a_server_that_ignores_range_is_started_again(server: Server, work: Path) -> None:
    server.breaks, server.ranges = 1, False
    assert fetch(Resource(server.url("a.bin"), "in", sha(DATA))).read_bytes() == DATA
    assert server.asked == [None, f"bytes={HALF}-"]


@pytest.mark.parametrize("if_range", [True, False])  # a server that ignores If-Range still tells its ETag
def test_a_file_changed_between_is_not_glued_to_the_old_half(
    server: Server, work: Path, monkeypatch: pytest.MonkeyPatch, if_range: bool
) -> None:
    resource = Resource(server.url("a.bin"), "in", sha(DATA[::-1]))
    with monkeypatch.context() as patch:
        patch.setattr(transfer, "TRIES", 1)
        server.breaks = 1
        error(resource)
    server.content, server.etag, server.if_range = DATA[::-1], '"two"', if_range
    assert fetch(resource).read_bytes() == DATA[::-1]
    assert server.asked == [None, f"bytes={HALF}-"] + [None] * (not if_range)


def test_a_complete_part_is_not_downloaded_again(server: Server, work: Path) -> None:
    state = work / "in/.fetch"
    state.mkdir(parents=True)
    (state / "a.bin.part").write_bytes(DATA)
    (state / "a.bin.part.json").write_text(json.dumps({"url": server.url("a.bin"), "validator": server.etag}))
    assert fetch(Resource(server.url("a.bin"), "in", sha(DATA))).read_bytes() == DATA
    assert server.asked == [f"bytes={len(DATA)}-"]  # answered 416


def test_a_part_longer_than_the_file_is_started_again(server: Server, work: Path) -> None:
    state = work / "in/.fetch"
    state.mkdir(parents=True)
    (state / "a.bin.part").write_bytes(DATA + b"more")
    (state / "a.bin.part.json").write_text(json.dumps({"url": server.url("a.bin"), "validator": ""}))
    assert fetch(Resource(server.url("a.bin"), "in", sha(DATA))).read_bytes() == DATA


def test_a_part_of_another_url_is_not_resumed(server: Server, work: Path) -> None:
    state = work / "in/.fetch"
    state.mkdir(parents=True)
    (state / "a.bin.part").write_bytes(DATA[:10])
    (state / "a.bin.part.json").write_text(json.dumps({"url": "http://other/a.bin", "validator": ""}))
    assert fetch(Resource(server.url("a.bin"), "in", sha(DATA))).read_bytes() == DATA
    assert server.asked == [None]


def test_a_busy_server_and_one_that_tells_no_size_are_served(server: Server, work: Path) -> None:
    server.busy, server.sized = 2, False
    assert fetch(Resource(server.url("a%20b.bin"), "in", sha(DATA))).name == "a b.bin"
    assert len(server.asked) == 3


def test_a_wrong_checksum_leaves_nothing(server: Server, work: Path) -> None:
    message = error(Resource(server.url("a.tar.gz"), "in", "0" * 64))
    assert message.startswith(f"{server.url('a.tar.gz')}: SHA-256 is {sha(DATA)}, expected {'0' * 64}; ")
    assert message.endswith("mend data.fetch.sha256 or the URL")
    assert tree(work / "in") == {}
    assert leftovers(work / "in") == set()


@pytest.mark.parametrize("name", ["a.bin", "a.zip", "a.csv.gz"])
def test_a_second_fetch_uses_no_network_and_writes_nothing(server: Server, work: Path, name: str) -> None:
    packed = {"a.bin": DATA, "a.zip": zipped(("x/1", b"1"), ("2", b"2")), "a.csv.gz": gzip.compress(DATA)}
    server.content = packed[name]
    resource = Resource(server.url(name), "in", sha(server.content).upper())
    path = fetch(resource)
    before = {p: p.stat().st_mtime_ns for p in (work / "in").rglob("*")}
    assert fetch(resource) == path
    assert len(server.asked) == 1
    assert {p: p.stat().st_mtime_ns for p in (work / "in").rglob("*")} == before
    assert leftovers(work / "in") == set()  # the archive is not kept beside its content


def test_what_was_deleted_is_fetched_again(server: Server, work: Path) -> None:
    server.content = zipped(("x/1", b"1"), ("x/2", b"2"))
    resource = Resource(server.url("a.zip"), "in", sha(server.content))
    (fetch(resource) / "x/2").unlink()
    fetch(resource)
    assert tree(work / "in") == {"x/1": b"1", "x/2": b"2"}


def test_errors_of_the_network_are_one_line(server: Server, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "answers 404 Not Found; check data.fetch.url" in error(Resource(server.url("missing"), "in", "0" * 64))
    assert len(server.asked) == 1
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    said: list[str] = []
    with pytest.raises(UserError, match=r"Connection refused.*check the network"):
        fetch(Resource(f"http://127.0.0.1:{port}/a", "in", "0" * 64), said.append)
    assert len(said) == transfer.TRIES - 1


@pytest.mark.parametrize(
    ("url", "sha256", "message"),
    [
        ("https://host/a.zip", None, "has no SHA-256; give data.fetch.sha256"),
        ("https://host/a.zip", "12", "not 64 hexadecimal digits"),
        ("https://host/", "0" * 64, "does not end in a file name"),
        ("https://host/a/..", "0" * 64, "does not end in a file name"),
        ("https://host/.fetch", "0" * 64, "does not end in a file name"),
        ("https://host:port/a", "0" * 64, "is not a URL"),
        ("https://[/a", "0" * 64, "is not a URL"),
        ("s3://bucket/a.zip", "0" * 64, "only http(s)://"),
        ("absent.zip", None, "absent.zip: is not a file"),
        (".", None, "does not end in a file name"),
    ],
)
def test_a_wrong_resource_is_refused_before_anything_is_asked(
    work: Path, url: str, sha256: str | None, message: str
) -> None:
    assert message in error(Resource(url, "in", sha256))


def test_several_that_fetch_the_same_download_it_once(server: Server, work: Path) -> None:
    server.content = zipped(*((f"{i}", DATA[:1000]) for i in range(200)))
    resource = Resource(server.url("a.zip"), "in", sha(server.content))
    with ThreadPoolExecutor() as pool:  # a lock on a file opened twice works among threads as among processes
        assert set(pool.map(fetch, [resource] * 3)) == {Path("in")}
    assert len(server.asked) == 1
    assert len(tree(work / "in")) == 200


# --- archives


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.tar.xz", "a.zip"])
def test_each_kind_of_archive_is_unpacked(work: Path, name: str) -> None:
    entries = (("d/A.txt", DATA), ("d/a.txt", b"other case"), ("./e", b""))
    compression = {"bz2": "w:bz2", "xz": "w:xz", "tar": "w"}.get(name.rpartition(".")[2], "w:gz")
    content = zipped(*entries) if name.endswith("zip") else tar(*entries, mode=compression)
    assert fetch(local(work, name, content)) == work / "out"
    assert tree(work / "out") == {"d/A.txt": DATA, "d/a.txt": b"other case", "e": b""}
    assert (work / name).read_bytes() == content


def test_the_form_is_found_by_content_where_the_name_does_not_tell(work: Path) -> None:
    for name, content in {
        "tarred": tar(("tarred.txt", b"1"), mode="w:bz2"),
        "zipped": zipped(("zipped.txt", b"2")),
        "single": gzip.compress(b"3"),
    }.items():
        (work / name).write_bytes(content)
        fetch(Resource(name, "out", unpack=True))
    assert tree(work / "out") == {"tarred.txt": b"1", "zipped.txt": b"2", "single": b"3"}
    (work / "none").write_bytes(bz2.compress(b"no tar"))
    assert "is no tar, zip or gz archive" in error(Resource("none", "out", unpack=True))


def test_a_gz_of_one_file_and_a_copied_file_are_returned_as_files(work: Path) -> None:
    resource = local(work, "a.csv.gz", gzip.compress(DATA))
    assert fetch(resource) == work / "out/a.csv"
    assert (work / "out/a.csv").read_bytes() == DATA
    plain = Resource((work / "a.csv.gz").as_uri(), "plain", unpack=False)
    assert fetch(plain) == Path("plain/a.csv.gz")
    assert Path("plain/a.csv.gz").read_bytes() == (work / "a.csv.gz").read_bytes()


def test_links_and_modes_are_kept_within_the_folder(work: Path) -> None:
    tool = tarfile.TarInfo("d/tool")
    tool.mode = 0o4777
    content = tar(
        (tool, b"#!"),
        special("d/e/link", tarfile.SYMTYPE, "../tool"),
        special("folder", tarfile.SYMTYPE, "d/e"),
        special("hard", tarfile.LNKTYPE, "d/tool"),
        ("d/tool", b"#!"),  # the same again, as `tar x d d/tool` makes it
    )
    out = fetch(local(work, "a.tar.gz", content))
    assert os.readlink(out / "d/e/link") == "../tool"
    assert (out / "folder/link").read_bytes() == (out / "hard").read_bytes() == b"#!"
    assert (out / "d/tool").stat().st_mode & 0o7777 == 0o777 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _nul(name: str) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo("x")
    info.pax_headers = {"path": name}
    return info, b""


BAD_TARS = {
    "parent": ([("a/../../evil", b"x")], "leads out of the folder"),
    "absolute": ([("/evil", b"x")], "absolute path"),
    "windows": ([("..\\evil", b"x")], "leads out of the folder"),
    "drive": ([("c:\\evil", b"x")], "absolute path"),
    "nul": ([_nul("a\0b")], "NUL"),
    "state": ([(".FETCH/other.done.json", b"x")], "state of downloads"),
    "deep": ([("d/" * 200 + "x", b"")], "folders deep"),
    "symlink": ([special("l", tarfile.SYMTYPE, "../evil")], "may lead out"),
    "absolute symlink": ([special("l", tarfile.SYMTYPE, "/etc")], "may lead out"),
    "symlink from below": ([special("d/l", tarfile.SYMTYPE, "../../evil")], "may lead out"),
    "symlink round": ([special("d/l", tarfile.SYMTYPE, "x/../../..")], "may lead out"),
    "through a symlink": ([special("l", tarfile.SYMTYPE, "d"), ("l/x", b"x")], "is a link and a file or folder"),
    "link in a link": (
        [special("a", tarfile.SYMTYPE, "."), special("a/c", tarfile.SYMTYPE, "..")],
        "is a link and a file or folder",
    ),
    "hard link": ([special("l", tarfile.LNKTYPE, "../secret")], "leads out of the folder"),
    "hard link to a link": (
        [special("l", tarfile.SYMTYPE, "x"), special("h", tarfile.LNKTYPE, "l")],
        "which is no file before it",
    ),
    "device": ([special("l", tarfile.CHRTYPE)], "a device"),
    "fifo": ([special("l", tarfile.FIFOTYPE)], "a device"),
    "file as folder": ([("a", b""), ("a/b", b"")], "has a file"),
    "folder as file": ([("a/b", b""), ("a", b"")], "twice"),
    "twice": ([("a", b"1"), ("a", b"2")], "twice"),
    "nothing": ([], "archive of nothing"),
}


@pytest.mark.parametrize("name", BAD_TARS)
def test_an_unsafe_tar_is_refused_and_leaves_nothing(work: Path, name: str) -> None:
    entries, message = BAD_TARS[name]
    (work / "secret").write_text("secret")
    resource = local(work, "a.tar.gz", tar(("good", b"1"), *entries) if entries else tar())
    assert re.search(rf"a\.tar\.gz: .*{message}", error(resource))
    assert {path.name for path in work.iterdir()} == {"secret", "a.tar.gz", "out"}
    assert tree(work / "out") == {}
    assert leftovers(work / "out") == set()


def _zip_entry(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def _encrypted() -> bytes:
    content = bytearray(zipped(("a", b"1")))
    for magic, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(magic) + offset] |= 1
    return bytes(content)


BAD_ZIPS = {
    "parent": (zipped(("good", b""), ("../evil", b"x")), "leads out of the folder"),
    "absolute": (zipped(("/evil", b"x")), "absolute path"),
    "nul": (zipped(("aXb", b"x")).replace(b"aXb", b"a\0b"), "NUL"),
    "symlink": (zipped((_zip_entry("l", 0o120777), b"/etc")), "is a link"),
    "device": (zipped((_zip_entry("l", 0o020666), b"")), "a device"),
    "encrypted": (_encrypted(), "is encrypted"),
    "damaged": (zipped(("a", b"1234"), method=zipfile.ZIP_STORED).replace(b"1234", b"1235"), "cannot be unpacked"),
    "cut": (zipped(("a", DATA))[:-30], "cannot be unpacked"),
    "not a zip": (b"<html>", "cannot be unpacked"),
}


@pytest.mark.parametrize("name", BAD_ZIPS)
def test_an_unsafe_zip_is_refused_and_leaves_nothing(work: Path, name: str) -> None:
    content, message = BAD_ZIPS[name]
    assert re.search(rf"a\.zip: .*{message}", error(local(work, "a.zip", content)))
    assert {path.name for path in work.iterdir()} == {"a.zip", "out"}
    assert tree(work / "out") == {}


def test_a_damaged_tar_is_refused(work: Path) -> None:
    plain = tar(("a", DATA[:2000]), ("b", DATA[:2000]), mode="w")
    second = 512 + 2048
    for content in (plain[:1000], plain[:second] + b"x" * 512 + plain[second + 512 :], b"", b"no tar"):
        assert "cannot be unpacked" in error(local(work, "a.tar", content))
    packed = gzip.compress(plain)
    for content in (packed[:-4], packed[:-8] + b"\0" * 8, packed[: len(packed) // 2]):
        assert "cannot be unpacked" in error(local(work, "a.tar.gz", content))


def test_a_forged_size_neither_loops_nor_fills_the_memory(work: Path) -> None:
    for name, size in (("a.tar", -1024), ("b.tar", 2**34)):
        info = tarfile.TarInfo("x")
        info.size, info.type = size, tarfile.GNUTYPE_LONGNAME if size > 0 else tarfile.REGTYPE
        head = bytearray(info.tobuf(tarfile.GNU_FORMAT))
        assert "cannot be unpacked" in error(local(work, name, bytes(head) + b"\0" * 10240))


@pytest.mark.parametrize("form", ["tar.gz", "zip", "gz"])
def test_a_bomb_is_refused_by_what_it_writes(work: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    zeros = bytes(5 * 10**6)
    content = {"tar.gz": tar(("z", zeros)), "zip": zipped(("z", zeros)), "gz": gzip.compress(zeros)}[form]
    resource = local(work, f"a.{form}", content)
    limited = Resource(resource.url, resource.into, max_bytes=10**6)
    assert "the 1,000,000 bytes allowed; raise data.fetch.max_bytes" in error(limited)
    monkeypatch.setattr(archive, "RATIO_FROM", 10**6)
    assert "over 200 times the size of the archive" in error(resource)
    assert tree(work / "out") == {}
    assert leftovers(work / "out") == set()
    monkeypatch.setattr(archive, "MAX_RATIO", 2000)
    fetch(resource)
    assert [len(data) for data in tree(work / "out").values()] == [len(zeros)]


@pytest.mark.parametrize("form", ["tar", "zip"])
def test_too_many_entries_are_refused(work: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setattr(archive, "MAX_ENTRIES", 2)
    entries = [(str(i), b"") for i in range(3)]
    assert "'2' is beyond the 2" in error(
        local(work, f"a.{form}", tar(*entries) if form == "tar" else zipped(*entries))
    )


# --- into place


@pytest.mark.parametrize("moves", [0, 1, 2])
def test_a_crash_before_between_or_after_the_moves_is_mended_by_the_next_fetch(
    server: Server, work: Path, monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    server.content = zipped(("x/1", b"1"), ("x/2", b"2"), ("y", b"3"))
    resource = Resource(server.url("a.zip"), "in", sha(server.content))
    rename, replace, left = os.rename, os.replace, [moves]

    def crash(source: str, target: Path) -> None:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        rename(source, target)

    def crash_before_the_marker(source: Path, target: Path) -> None:
        if str(target).endswith(".done.json"):
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", crash)
        patch.setattr(os, "replace", crash_before_the_marker)
        with pytest.raises(KeyboardInterrupt):
            fetch(resource)
    assert len(tree(work / "in")) < 3 or moves == 2
    fetch(resource)
    assert tree(work / "in") == {"x/1": b"1", "x/2": b"2", "y": b"3"}
    assert len(server.asked) == 1  # the archive had come whole
    assert leftovers(work / "in") == set()


def test_what_a_killed_process_left_half_unpacked_is_thrown_away(work: Path) -> None:
    resource = local(work, "a.zip", zipped(("1", b"1")))
    (work / "out/.fetch/a.zip.new").mkdir(parents=True)
    (work / "out/.fetch/a.zip.new/half").write_text("half")
    fetch(resource)
    assert tree(work / "out") == {"1": b"1"}


def test_the_users_files_are_neither_overwritten_nor_deleted(work: Path) -> None:
    resource = local(work, "a.zip", zipped(("d/1", b"1"), ("d/2", b"2"), ("3", b"3")))
    (work / "out/d").mkdir(parents=True)
    (work / "out/d/2").write_bytes(b"mine")
    (work / "out/mine").write_bytes(b"mine")
    assert error(resource).startswith(f"{work}/out/d/2: exists with other content and is not overwritten")
    assert tree(work / "out") == {"d/2": b"mine", "mine": b"mine"}
    (work / "out/d/2").write_bytes(b"2")  # the same content is in nobody's way
    fetch(resource)
    assert tree(work / "out") == {"d/1": b"1", "d/2": b"2", "3": b"3", "mine": b"mine"}


def test_a_link_of_the_users_is_not_written_through(work: Path) -> None:
    (work / "elsewhere").mkdir()
    (work / "out").mkdir()
    (work / "out/d").symlink_to(work / "elsewhere")
    assert "out/d: exists" in error(local(work, "a.zip", zipped(("d/1", b"1"))))
    assert list((work / "elsewhere").iterdir()) == []


def test_a_file_already_in_place_is_taken_if_it_is_the_one_and_else_refused(server: Server, work: Path) -> None:
    (work / "in").mkdir()
    (work / "in/a.bin").write_bytes(b"mine")
    resource = Resource(server.url("a.bin"), "in", sha(DATA))
    assert "in/a.bin: exists with other content" in error(resource)
    (work / "in/a.bin").write_bytes(DATA)
    assert fetch(resource).read_bytes() == DATA
    assert server.asked == []


def test_archives_that_share_a_folder_are_each_whole(work: Path) -> None:
    for name in ("a", "b"):
        (work / f"{name}.zip").write_bytes(zipped((f"d/{name}", name.encode())))
    for name in ("a", "b"):
        fetch(Resource(f"{name}.zip", "out"))
    (work / "out/d/b").unlink()
    for name in ("a", "b"):
        fetch(Resource(f"{name}.zip", "out"))
    assert tree(work / "out") == {"d/a": b"a", "d/b": b"b"}


def test_another_version_is_not_mixed_with_the_one_unpacked(work: Path) -> None:
    resource = local(work, "a.zip", zipped(("1", b"1")))
    fetch(resource)
    (work / "a.zip").write_bytes(zipped(("2", b"2")))
    assert f"not {sha((work / 'a.zip').read_bytes())}; delete it or give another data.fetch.into" in error(resource)
    assert tree(work / "out") == {"1": b"1"}
    (work / "out/1").unlink()
    fetch(resource)
    assert tree(work / "out") == {"2": b"2"}


def test_a_local_archive_is_verified_and_no_longer_needed_once_unpacked(work: Path) -> None:
    resource = local(work, "a.zip", zipped(("1", b"1")))
    digest = sha((work / "a.zip").read_bytes())
    assert f"SHA-256 is {digest}" in error(Resource(resource.url, resource.into, "0" * 64))
    right = Resource(resource.url, resource.into, digest)
    fetch(right)
    (work / "a.zip").unlink()
    assert fetch(right) == fetch(resource) == work / "out"


def test_the_marker_says_what_was_fetched(work: Path) -> None:
    resource = local(work, "a.zip", zipped(("d/1", b"1"), ("d/2", b"22")))
    fetch(resource)
    marker = json.loads((work / "out/.fetch/a.zip.done.json").read_text())
    assert marker["url"] == resource.url
    assert (marker["sha256"], marker["size"]) == (sha((work / "a.zip").read_bytes()), (work / "a.zip").stat().st_size)
    assert marker["content"] == {"files": 2, "size": 3, "single": None}
    assert marker["entries"] == ["d/1", "d/2"]


def test_a_folder_that_cannot_be_written_is_one_line(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resource = local(work, "a.zip", zipped(("1", b"1")))
    assert "Not a directory" in error(Resource(resource.url, "a.zip/below"))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "out/1")

    monkeypatch.setattr(os, "open", full)
    assert "No space left on device: 'out/1'): make room" in error(resource)
    assert tree(work / "out") == {}


@pytest.mark.slow
def test_prepare_fetches_what_the_config_declares_and_later_verbs_need_no_network(
    server: Server, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = io.BytesIO()
    rng = np.random.default_rng(0)
    np.savez(packed, x=rng.normal(size=(80, 30)), y=np.arange(80) % 2)
    server.content, server.breaks = zipped(("inside/own.npz", packed.getvalue())), 1
    resource = {"url": server.url("own.zip"), "sha256": sha(server.content), "into": "data"}
    options = [
        *("--config", str(CONFIGS / "breast_cancer_mlp.yaml"), "--data.source", "data/inside/own.npz"),
        *("--data.fetch", json.dumps([resource])),
    ]
    assert main(["prepare", *options]) == 0
    assert server.asked == [None, f"bytes={len(server.content) // 2}-"]
    assert main(["crossval", *options, "--trainer.max_epochs", "1"]) == 0
    capsys.readouterr()
    assert main(["test", "--ckpt_path", "runs/breast_cancer_mlp/crossval"]) == 0
    assert "configuration: runs/breast_cancer_mlp/crossval/config.yaml\n" in capsys.readouterr().out
    shutil.rmtree("data")
    for verb in ("test", "predict"):
        assert main([verb, "--ckpt_path", "runs/breast_cancer_mlp/crossval"]) == 2
        assert "scoring fetches nothing" in capsys.readouterr().err
    assert len(server.asked) == 2


def test_a_wrong_checksum_in_the_config_is_one_line(
    server: Server, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resource = {"url": server.url("own.zip"), "sha256": "0" * 64, "into": "data"}
    options = ["--config", str(CONFIGS / "breast_cancer_mlp.yaml"), "--data.fetch", json.dumps([resource])]
    assert main(["prepare", *options]) == 2
    told = capsys.readouterr().err.splitlines()[-1]  # after the progress of the download
    assert told.startswith("lightning-base: error: http://127.0.0.1")
    assert "SHA-256" in told
    assert not list(work.rglob("own.zip"))
