"""Sound files decoded by libsndfile, held against what their headers say, mixed to one channel and resampled."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from .mp3 import said_bytes, varies

RATES = (100, 768_000)  # hertz
CHANNELS = 64
LONGEST = 1 << 30  # values of one channel, decoded and resampled
RATIO, RATIO_FROM = 1000, 10**8  # bytes decoded per byte of file, and from how many on that counts
BLOCK = 1 << 20  # values read at a time
FULL = 32_768.0  # what full scale is kept as, as in int16
SIXTEEN = (  # what decodes to 16 bits at most
    *("PCM_S8", "PCM_U8", "PCM_16", "ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM", "ALAC_16", "GSM610", "G721_32"),
    *(
        "G723_24",
        "G723_40",
        "VOX_ADPCM",
        "NMS_ADPCM_16",
        "NMS_ADPCM_24",
        "NMS_ADPCM_32",
        "DPCM_8",
        "DPCM_16",
        "DWVW_16",
    ),
)
SHOULD = re.compile(r"^\s*(.+?)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)  # libsndfile's log of a header
COUNT = re.compile(rb"sample_count -i (\d{1,18})")  # in the head of NIST's files
OTHER = re.compile(r"'COMM' chunk \((\d+)\) not equal|does not match value from 'ds64' chunk of (\d+)")
OUTER = ("RIFF", "FORM")  # sizes of whole files, which some programs count with the header
CONTAINERS = ("WAV", "WAVEX", "RF64", "W64", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF", "NIST")


@dataclass(frozen=True)
class Header:
    """What a sound file says of itself, checked.

    Attributes:
        rate: values per second and channel.
        channels, frames: how many, and how many values of each.
        subtype: libsndfile's name of how values are written.
        estimated: the number of frames is a guess, as in an MP3 that does not say its length.
    """

    rate: int
    channels: int
    frames: int
    subtype: str
    estimated: bool

    @property
    def wide(self) -> bool:
        """Whether its values may need more than 16 bits."""
        return self.subtype not in SIXTEEN


def one_line(message: object) -> str:
    """The message with every run of white space made one space."""
    return " ".join(str(message).split())


def read_header(path: Path) -> Header:
    """What a sound file says of itself, where that is possible and fits its size.

    Raises:
        ValueError: for a file that is empty, truncated, no sound or beyond a limit; the message says which.
        OSError: for one that the machine cannot read now.
    """
    size, head, said = _checked(path)
    with _opened(path) as sound:
        _check_log(sound.extra_info, sound.subtype)
        if (found := COUNT.search(head)) and sound.format == "NIST" and int(found[1]) != sound.frames:
            raise ValueError(f"truncated: {sound.frames} of {int(found[1])} values of sound")
        estimated = sound.format == "MP3" and said is None
        header = Header(sound.samplerate, sound.channels, sound.frames, sound.subtype, estimated)
    _check_size(header, size)
    if estimated and (header.subtype != "MPEG_LAYER_III" or varies(path)):
        raise ValueError(
            "an MP3 of varying bit rate, or of layer I or II, that does not say its length: some may be lost"
        )
    return header


def _checked(path: Path) -> tuple[int, bytes, int | None]:
    """The size of a file whose lengths fit it, its first bytes, and how long it says to be as an MP3."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            raise ValueError("empty file")
        head = file.read(4096)
        file.seek(0)
        _check_riff(file, size)
        _check_ogg(file, size)
    if (said := said_bytes(path)) is not None and said > size:
        raise ValueError(f"truncated: {size} of {said} bytes")
    return size, head, said


def _opened(path: Path) -> soundfile.SoundFile:
    """The file, opened by libsndfile; a ValueError where it is no sound."""
    try:
        sound = soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"no sound that can be read ({one_line(error.error_string).rstrip('.')})") from error
    if sound.format not in CONTAINERS:  # RAW is a guess by the name, of .au and .snd without a header
        sound.close()
        raise ValueError(f"no sound that is read here (libsndfile takes it for {sound.format})")
    return sound


def _check_size(header: Header, size: int) -> None:
    """Refuses numbers beyond what is sound, before memory is asked for."""
    if not RATES[0] <= header.rate <= RATES[1]:
        raise ValueError(f"a sample rate of {header.rate} Hz, which is not from {RATES[0]} to {RATES[1]}")
    if not 1 <= header.channels <= CHANNELS:
        raise ValueError(f"{header.channels} channels, where {CHANNELS} are the most")
    if header.frames < 1:
        raise ValueError("it has no sound")
    if header.frames > 2**62:
        raise ValueError("it does not say how long it is; write it anew")
    if header.frames > LONGEST:
        raise ValueError(f"{header.frames} values a channel, where {LONGEST} are the most")
    decoded = 2 * header.frames * header.channels
    if decoded > RATIO_FROM and decoded > RATIO * size:
        raise ValueError(f"{size} bytes that decode to {decoded}, over {RATIO} times as many")


def _check_riff(file: BinaryIO, size: int) -> None:
    """Holds a WAV file's lengths, of the whole and of its sound, against its size."""
    head = file.read(12)
    if head[:4] not in (b"RIFF", b"RIFX") or head[8:] != b"WAVE":
        return
    order: Any = "little" if head[:4] == b"RIFF" else "big"
    whole, at, end = 8 + int.from_bytes(head[4:8], order), 12, 0
    for _ in range(10_000):
        if at + 8 > size or (end and at >= whole):
            break
        file.seek(at)
        name, length = file.read(4), int.from_bytes(file.read(4), order)
        if name == b"data":
            if end:
                raise ValueError("it has two chunks of sound")
            end = at + 8 + length
            if end > size:
                raise ValueError(f"truncated: {size - at - 8} of {length} bytes of sound")
            if end > whole:
                raise ValueError(f"its header says {whole} bytes, its sound ends at byte {end}")
        at += 8 + length + length % 2
    if not end:
        raise ValueError("truncated: it ends before its sound")
    if whole > size + 8:
        raise ValueError(f"truncated: {size} of {whole} bytes")
    file.seek(whole)
    if file.read(4) in (b"RIFF", b"RIFX"):
        raise ValueError("another file follows in it, which would not be read")


def _check_ogg(file: BinaryIO, size: int) -> None:
    """Demands that an Ogg file's last page is whole and ends its stream, which libsndfile reads without."""
    file.seek(0)
    if file.read(4) != b"OggS":
        return
    file.seek(max(size - (1 << 17), 0))  # twice the longest page
    tail = file.read()
    at = tail.rfind(b"OggS")
    table = tail[at + 27 : at + 27 + tail[at + 26]] if at >= 0 and len(tail) > at + 26 else b""
    if not table or not tail[at + 5] & 4 or at + 27 + len(table) + sum(table) > len(tail):
        raise ValueError("truncated: it stops before its stream does")


def _check_log(log: str, subtype: str) -> None:
    """Refuses a file whose lengths libsndfile has found to be other than its header says."""
    for name, said, there in SHOULD.findall(log):
        if int(said) > int(there) + (8 if name in OUTER else 0):
            raise ValueError(f"truncated: {there} of {said} bytes ({name})")
        if name == "riff" and int(said) < int(there):  # of W64, whose sound libsndfile takes to reach to the end
            raise ValueError(f"its header says {said} bytes, where {there} are")
    if (found := OTHER.search(log)) and subtype != "IMA_ADPCM":  # whose header counts packets
        raise ValueError(f"its header says {found[1] or found[2]} values, and its sound has another number")


def read_waves(path: Path, header: Header, rate: int) -> Iterator[tuple[npt.NDArray[np.float32], float]]:
    """A sound in blocks: (T,) float32 in int16's scale, channels averaged, of that rate; and a block's peak.

    Means of channels of 16 bits are rounded to whole numbers. The peak is 0 but for floating-point files.

    Raises:
        ValueError: where it cannot be decoded, ends early, or is too long once resampled.
    """
    if header.frames * rate > LONGEST * header.rate:
        raise ValueError(f"over {LONGEST} values at {rate} Hz")
    change = None if rate == header.rate else soxr.ResampleStream(header.rate, rate, 1, dtype="float32", quality="HQ")
    left = LONGEST
    for x, peak in _decoded(path, header):
        y = x if change is None else change.resample_chunk(x)
        left -= len(y)
        if left < 0:
            raise ValueError(f"over {LONGEST} values at {rate} Hz")
        yield y, peak
    if change is not None:
        yield change.resample_chunk(np.zeros(0, np.float32), last=True), 0.0


def _decoded(path: Path, header: Header) -> Iterator[tuple[npt.NDArray[np.float32], float]]:
    """The sound in blocks as `read_waves` gives it, of its own rate."""
    done, floats, short = 0, header.subtype in ("FLOAT", "DOUBLE"), False
    with _opened(path) as sound:
        while done < header.frames and not short:  # a read that gives less has come upon a gap or the end
            wanted = min(max(BLOCK // header.channels, 1), header.frames - done)
            try:
                x = sound.read(wanted, "float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise ValueError(f"damaged: {one_line(error.error_string).rstrip('.')}") from error
            done, short = done + len(x), len(x) < wanted
            if len(x):
                yield _mixed(x, header.wide), float(abs(x).max()) if floats else 0.0
    if done < header.frames and not (header.estimated and header.frames - done <= 4 * 1152):
        raise ValueError(f"truncated or damaged: {done} of {header.frames} values of sound")


def _mixed(x: npt.NDArray[np.float32], wide: bool) -> npt.NDArray[np.float32]:
    """(T, channels) in libsndfile's scale as (T,) in int16's: the channels' mean, whole unless values are wide."""
    with np.errstate(over="ignore", invalid="ignore"):  # infinite values, which cleaning finds
        mean = FULL * (x[:, 0] if x.shape[1] == 1 else x.mean(axis=1, dtype=np.float64))
        return (mean if wide else np.rint(mean)).astype(np.float32)
