"""Claims about sound: what files of each kind say, and what is said of those that cannot be read."""

import io
import os
import struct
import tarfile
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from scipy.io import wavfile

from datamodules.sound import Sound
from lightning_base.clean.cleaning import Cleaning
from lightning_base.data import Source
from lightning_base.errors import UserError
from lightning_base.samples.payload import Ragged, hash_payload
from lightning_base.samples.samples import Samples
from tests.helpers import change_unseen, shared, tone

RATE = 8000

pytestmark = pytest.mark.usefixtures("cache")


def write(path: Path, raw: bytes, width: int = 2, channels: int = 1, rate: int = RATE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(raw)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty folder, beside that of the cache."""
    (tmp_path / "wav").mkdir()
    return tmp_path / "wav"


def tones(root: Path) -> Path:
    """Two classes of two sounds of two speakers, of unequal length."""
    for c, hertz in (("high", 2000), ("low", 400)):
        for i, who in enumerate(("ann", "bob")):
            write(root / f"{c}_{who}_{i}.wav", tone(hertz + 100 * i, 0.2 + 0.1 * i).tobytes())
    return root


def folder(path: Path | str, **changes: object) -> Sound:
    settings: dict[str, object] = {"root": str(path), "pattern": "{target}_{group}_{take}.wav", "sample_rate": RATE}
    return Sound(**{**settings, **changes})  # type: ignore[arg-type]


def test_names_say_class_and_group_and_sounds_are_read_as_they_are(tmp_path: Path) -> None:
    samples = folder(tones(tmp_path / "wav")).dataset("pool")
    assert samples.table.to_dict("list") == {
        "id": ["high_ann_0.wav", "high_bob_1.wav", "low_ann_0.wav", "low_bob_1.wav"],
        "target": [0, 0, 1, 1],
        "group": ["ann", "bob", "ann", "bob"],
    }
    assert samples.classes == ("high", "low")
    for row, name in enumerate(samples.table["id"]):
        assert np.array_equal(samples.inputs[row], wavfile.read(tmp_path / "wav" / name)[1])
    assert samples.inputs.dtype == np.int16
    assert np.array_equal(samples.content, hash_payload(as_float32(samples.inputs)))
    assert samples.findings.empty


def as_float32(inputs: Ragged) -> Ragged:
    """The same values as float32."""
    return Ragged(np.asarray(inputs.values, dtype=np.float32), inputs.offsets)


def one(root: Path, name: str, **changes: object) -> Samples:
    """What is read of a folder with a sound of this name, and one of a whole other class."""
    write(root / "other" / "0.wav", tone(440).tobytes())
    return folder(root, pattern=None, **changes).dataset("pool")


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_depth_and_channels_are_read(place: Path, bits: int, channels: int) -> None:
    rng = np.random.default_rng(bits)
    x = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (50, channels))
    raw = b"".join(
        (int(v) + 128).to_bytes(1, "little") if bits == 8 else int(v).to_bytes(bits // 8, "little", signed=True)
        for v in x.ravel()
    )
    write(place / "a" / "a.wav", raw, bits // 8, channels)
    samples = one(place, "a/a.wav")
    expected = (x / 2.0 ** (bits - 16)).mean(axis=1)
    if bits > 16:  # kept as float32, of 24 bits
        assert samples.inputs.dtype == np.float32
        assert np.allclose(samples.inputs[0], expected, rtol=2**-22, atol=2**-9)
    else:
        assert samples.inputs.dtype == np.int16
        assert np.array_equal(samples.inputs[0], np.rint(expected))
    assert samples.findings.empty


def mu_law(code: int) -> int:
    """What a byte of mu-law stands for: ITU-T G.711, scaled to 16 bits."""
    code = ~code & 255
    size = (((code & 15) << 3) + 132 << (code >> 4 & 7)) - 132
    return -size if code & 128 else size


def a_law(code: int) -> int:
    """What a byte of A-law stands for: ITU-T G.711, scaled to 16 bits."""
    code ^= 0x55
    step, mantissa = code >> 4 & 7, code & 15
    size = (mantissa << 4) + 8 if step == 0 else (mantissa << 4) + 264 << step - 1
    return size if code & 128 else -size


@pytest.mark.parametrize(("form", "law"), [(6, a_law), (7, mu_law)])
def test_every_byte_of_telephone_sound_is_what_g711_says(place: Path, form: int, law: Callable[[int], int]) -> None:
    raw = bytes(range(256))
    fmt = struct.pack("<HHIIHHH", form, 1, RATE, RATE, 1, 8, 0)
    content = b"WAVE" + b"fmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", len(raw)) + raw
    (place / "a").mkdir()
    (place / "a" / "a.wav").write_bytes(b"RIFF" + struct.pack("<I", len(content)) + content)
    samples = one(place, "a/a.wav")
    assert samples.inputs.dtype == np.int16
    assert samples.inputs[0].tolist() == [law(code) for code in raw]


def test_floating_point_is_neither_rounded_nor_clipped_and_beyond_full_scale_is_said(place: Path) -> None:
    x = np.array([0.0, 1e-7, -0.3333333, 1.5, -2.25, 0.1], np.float32)
    for name, dtype in (("a", np.float32), ("b", np.float64)):
        (place / name).mkdir()
        wavfile.write(place / name / "x.wav", RATE, x.astype(dtype))
    samples = folder(place, pattern=None).dataset("pool")
    for row in (0, 1):
        assert np.array_equal(samples.inputs[row], x * np.float32(32768))
    said = "values up to 2.25, where full scale is 1; they are kept"
    assert samples.findings.to_numpy().tolist() == [["a/x.wav", "level", said], ["b/x.wav", "level", said]]
    wavfile.write(place / "a" / "y.wav", RATE, np.array([0, np.nan, 1e38], np.float32))
    with pytest.raises(UserError, match=r"a/y\.wav' has NaN or infinite inputs"):
        folder(place, pattern=None).samples("pool")


LOSSLESS = [
    *(("flac", "FLAC", "PCM_16"), ("aiff", "AIFF", "PCM_16"), ("au", "AU", "PCM_16"), ("caf", "CAF", "ALAC_16")),
    *(("w64", "W64", "PCM_16"), ("rf64", "RF64", "PCM_16"), ("wav", "WAVEX", "PCM_16"), ("wav", "NIST", "PCM_16")),
    *(("flac", "FLAC", "PCM_24"), ("aif", "AIFF", "PCM_24"), ("wav", "WAVEX", "PCM_24"), ("snd", "AU", "FLOAT")),
]


@pytest.mark.parametrize(("ending", "form", "kind"), LOSSLESS)
def test_files_that_lose_nothing_give_what_was_written(place: Path, ending: str, form: str, kind: str) -> None:
    x = tone(700)
    stereo = np.stack([x, x // 2], axis=1)
    for name, values in (("a", x), ("b", stereo)):
        (place / name).mkdir()
        soundfile.write(place / name / f"x.{ending}", values / 32768, RATE, format=form, subtype=kind)
    samples = folder(place, pattern=None).dataset("pool")
    wide = kind != "PCM_16" and kind != "ALAC_16"
    assert samples.inputs.dtype == (np.float32 if wide else np.int16)
    assert np.array_equal(samples.inputs[0], x)
    mean = (x.astype(float) + x // 2) / 2
    assert np.array_equal(samples.inputs[1], mean if wide else np.rint(mean))
    assert samples.findings.empty


LOSSY = [
    *(("ogg", "OGG", "VORBIS"), ("opus", "OGG", "OPUS"), ("mp3", "MP3", "MPEG_LAYER_III")),
    *(("wav", "WAV", "IMA_ADPCM"), ("wav", "WAV", "MS_ADPCM"), ("aifc", "AIFF", "IMA_ADPCM"), ("wav", "WAV", "GSM610")),
]


@pytest.mark.parametrize(("ending", "form", "kind"), LOSSY)
def test_files_that_lose_some_give_nearly_what_was_written(place: Path, ending: str, form: str, kind: str) -> None:
    x = tone(700, 1.0)
    (place / "a").mkdir()
    soundfile.write(place / "a" / f"x.{ending}", x, RATE, format=form, subtype=kind)
    samples = one(place, f"a/x.{ending}")
    found = np.asarray(samples.inputs[0], dtype=float)
    assert len(x) <= len(found) < len(x) + 1100  # ADPCM fills its last block
    assert np.corrcoef(found[: len(x)], x)[0, 1] > 0.97
    again = soundfile.read(place / "a" / f"x.{ending}", dtype="float32")[0] * 32768.0
    assert np.abs(found - again).max() < 0.01  # MP3 is not decoded alike to the last bit from wherever it begins
    assert samples.findings.empty


def test_content_and_not_the_ending_says_what_a_file_is(place: Path) -> None:
    (place / "a").mkdir()
    soundfile.write(place / "a" / "x.mp3", tone(500), RATE, format="FLAC")
    (place / "a" / "y.au").write_text("a letter, which libsndfile takes for sound by its name " * 9)
    (place / "a" / "z.mp3").write_bytes(bytes(range(256)) * 20)
    samples = one(place, "a/x.mp3")
    assert samples.table["id"].tolist() == ["a/x.mp3", "other/0.wav"]
    assert np.array_equal(samples.inputs[0], tone(500))
    assert samples.findings["id"].tolist() == ["a/y.au", "a/z.mp3"]
    assert set(samples.findings["kind"]) == {"unreadable"}


def test_the_same_sound_has_one_content_in_whatever_file(place: Path) -> None:
    for name, kind in (("a", "PCM_16"), ("b", "PCM_24"), ("c", "FLOAT")):
        (place / name / "k").mkdir(parents=True)
        soundfile.write(place / name / "k" / "x.wav", tone(500) / 32768, RATE, subtype=kind)
    read = [folder("", predict=str(place / name)).dataset("predict") for name in "abc"]
    assert [one.inputs.dtype for one in read] == [np.int16, np.float32, np.float32]
    assert len({int(one.content[0]) for one in read}) == 1


def test_the_second_start_decodes_nothing_and_a_changed_file_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tones(tmp_path / "wav")
    first = folder(root).dataset("pool")
    with monkeypatch.context() as patch:
        patch.setattr("lightning_base.sources.sound._pack", None)
        again = folder(root).dataset("pool")
    assert isinstance(again.inputs, Ragged)
    assert isinstance(again.inputs.values, np.memmap)
    assert again.fingerprint == first.fingerprint
    tones(root)
    whole = (root / "low_bob_1.wav").read_bytes()
    change_unseen(root / "low_bob_1.wav", whole[-100:], bytes(100))
    changed = folder(root).dataset("pool").content != first.content
    assert changed.tolist() == [False, False, False, True]


def test_files_that_cannot_be_read_are_findings_and_no_samples(tmp_path: Path) -> None:
    root = tones(tmp_path / "wav")
    whole = (root / "low_ann_0.wav").read_bytes()
    (root / "low_ann_1.wav").write_bytes(b"")
    (root / "low_ann_2.wav").write_bytes(whole[:-500])
    (root / "low_ann_3.wav").write_text("no sound")
    (root / "low_ann_4.wav").write_bytes(whole[:20])
    (root / "low_ann_5.wav").symlink_to("/etc/hostname")
    (root / "low_ann_6.wav").write_bytes(whole + whole)
    write(root / "low_ann_7.wav", b"")
    (root / "low_ann_8.wav").write_bytes(whole[:24] + struct.pack("<I", 2**31 - 1) + whole[28:])
    (root / "low_ann_9.wav").write_bytes(whole[:22] + struct.pack("<H", 1000) + whole[24:])
    (root / "notes.m4a").write_bytes(whole)
    data = folder(root)
    samples = data.dataset("pool")
    assert len(samples) == 4
    found = samples.findings.set_index("id")
    kinds = {f"low_ann_{i}.wav": "escape" if i == 5 else "unreadable" for i in range(1, 10)}
    assert found["kind"].to_dict() == {**kinds, "notes.m4a": "unused"}
    assert found["detail"]["low_ann_1.wav"] == "empty file"
    assert found["detail"]["low_ann_2.wav"] == f"truncated: {len(whole) - 44 - 500} of {len(whole) - 44} bytes of sound"
    assert found["detail"]["low_ann_6.wav"] == "another file follows in it, which would not be read"
    assert found["detail"]["low_ann_8.wav"] == "a sample rate of 2147483647 Hz, which is not from 100 to 768000"
    with pytest.raises(UserError, match=r"low_ann_1\.wav: empty file .*data\.clean\.unreadable: drop"):
        folder(root, clean=Cleaning(escape="drop")).samples("pool")
    assert len(folder(root, clean=Cleaning(escape="drop", unreadable="drop")).samples("pool")) == 4


def chunk(name: bytes, content: bytes, pad: bool = True) -> bytes:
    """A chunk of a RIFF file."""
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2 if pad else 0)


def riff(*chunks: bytes, size: int | None = None) -> bytes:
    """A WAV file of these chunks, and the size that its header gives."""
    content = b"WAVE" + chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE, RATE, 1, 8)) + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(content) if size is None else size) + content


def as_file(form: str) -> bytes:
    """A tone as a file of 16 bits, or MP3."""
    file = io.BytesIO()
    soundfile.write(file, tone(400), RATE, format=form)
    return file.getvalue()


BYTES = bytes(range(100, 201))
ODD = chunk(b"data", BYTES)
WITH_MORE = {  # whole files that hold other things than sound, and how many values they have
    "tags after": (riff(ODD, chunk(b"LIST", b"INFOabcd")), 101),
    "chunks before": (riff(chunk(b"junk", bytes(29)), chunk(b"fact", struct.pack("<I", 101)), ODD), 101),
    "no pad": (riff(chunk(b"data", BYTES, pad=False)), 101),
    "the header counted": (riff(ODD, size=len(riff(ODD))), 101),
    "a tag behind": (riff(ODD) + b"TAG" + bytes(125), 101),
    "MP3 with tags": (b"ID3\3\0\0\0\0\x0f\x68" + bytes(15 * 128 + 104) + as_file("MP3") + b"TAG" + bytes(125), 2400),
    "AIFF and more": (as_file("AIFF") + b"more", 2400),
    "RF64 and more": (as_file("RF64") + b"more", 2400),
}
LYING = {  # files whose header says another length, and what is said
    "a header too short": (riff(ODD, size=0), "its header says 8 bytes, its sound ends at byte 145"),
    "from a pipe": (riff(ODD[:4] + b"\xff" * 4 + BYTES, size=2**32 - 1), "truncated: 101 of 4294967295 bytes of sound"),
    "two sounds": (riff(ODD, ODD), "it has two chunks of sound"),
    "no sound": (riff(), "truncated: it ends before its sound"),
    "W64 and more": (as_file("W64") + b"more" * 9, "its header says 4904 bytes, where 4940 are"),
}


@pytest.mark.parametrize("case", [*WITH_MORE, *LYING])
def test_what_a_header_says_is_held_against_the_file(place: Path, case: str) -> None:
    raw, expected = {**WITH_MORE, **LYING}[case]
    (place / "a").mkdir()
    (place / "a" / "x.wav").write_bytes(raw)
    write(place / "a" / "y.wav", tone(300).tobytes())
    samples = one(place, "a/x.wav")
    if case in LYING:
        assert samples.findings.to_numpy().tolist() == [["a/x.wav", "unreadable", expected]]
    else:
        assert len(samples.inputs[0]) == expected
        assert samples.findings.empty
    if expected == 101:
        assert samples.inputs[0].tolist() == [(value - 128) * 256 for value in BYTES]


CUT = [*LOSSLESS[:8], *LOSSY[:3], ("wav", "WAV", "IMA_ADPCM"), ("wav", "WAV", "FLOAT"), ("aifc", "AIFF", "IMA_ADPCM")]


@pytest.mark.parametrize(("ending", "form", "kind"), CUT)
def test_a_file_that_was_cut_short_is_never_read_as_a_shorter_sound(
    place: Path, ending: str, form: str, kind: str
) -> None:
    path = place / "a" / f"x.{ending}"
    path.parent.mkdir()
    x = np.random.default_rng(0).uniform(-0.3, 0.3, 40_000)
    soundfile.write(path, x, RATE, format=form, subtype=kind)
    soundfile.write(place / "a" / "whole.flac", tone(400), RATE)
    raw = path.read_bytes()
    for keep in (1.0, 0.999, 0.9, 0.5, 0.1):  # all of it, or so much
        path.write_bytes(raw[: round(len(raw) * keep)])
        samples = one(place, f"a/x.{ending}")
        assert (path.name in [Path(name).name for name in samples.table["id"]]) == (keep == 1.0)
        assert samples.findings["kind"].tolist() == ([] if keep == 1.0 else ["unreadable"])


@pytest.mark.parametrize(("ending", "form", "kind"), [LOSSLESS[0], *LOSSY[:3]])
def test_a_file_that_lacks_its_middle_is_not_read_as_a_shorter_sound(
    place: Path, ending: str, form: str, kind: str
) -> None:
    path = place / "a" / f"x.{ending}"
    path.parent.mkdir()
    x = np.random.default_rng(0).uniform(-0.3, 0.3, 400_000)
    soundfile.write(path, x, RATE, format=form, subtype=kind)
    soundfile.write(place / "a" / "whole.flac", tone(400), RATE)
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2] + raw[len(raw) // 2 + 9000 :])
    samples = one(place, f"a/x.{ending}")
    assert samples.table["id"].tolist() == ["a/whole.flac", "other/0.wav"]
    assert samples.findings["kind"].tolist() == ["unreadable"]


def test_an_mp3_that_does_not_say_its_length_is_read_whole_or_not_at_all(place: Path) -> None:
    x = np.concatenate([tone(400, 2.0), np.random.default_rng(0).integers(-9000, 9000, 16_000, dtype=np.int16)])
    for name, mode in (("even", "CONSTANT"), ("uneven", "VARIABLE")):
        path = place / name / "x.mp3"
        path.parent.mkdir()
        soundfile.write(path, x, RATE, bitrate_mode=mode, compression_level=0.5)
        raw = path.read_bytes()
        path.write_bytes(raw[raw.index(raw[:2], 4) :])  # without the frame that says it
    soundfile.write(place / "uneven" / "y.mp3", x, RATE)
    samples = folder(place, pattern=None).dataset("pool")
    assert samples.table["id"].tolist() == ["even/x.mp3", "uneven/y.mp3"]
    assert len(x) <= len(samples.inputs[0]) < len(x) + 3 * 1152
    assert len(samples.inputs[1]) == len(x)
    assert samples.findings["id"].tolist() == ["uneven/x.mp3"]


def test_another_sample_rate_is_a_finding_and_resampled(tmp_path: Path) -> None:
    root = tones(tmp_path / "wav")
    write(root / "low_cyd_0.wav", tone(400, 0.3, 11_025).tobytes(), rate=11_025)
    samples = folder(root).dataset("pool")
    assert samples.findings.to_numpy().tolist() == [
        ["low_cyd_0.wav", "rate", "11025 Hz where data.sample_rate is 8000"]
    ]
    x = samples.inputs[4]
    assert abs(len(x) - 0.3 * RATE) <= 1
    middle = slice(200, -200)
    assert np.abs(x[middle].astype(float) - tone(400, len(x) / RATE)[middle]).max() < 2
    assert np.array_equal(x, soxr.resample(tone(400, 0.3, 11_025).astype(np.float32), 11_025, RATE, quality="HQ"))


def test_a_long_sound_is_resampled_in_pieces_as_it_would_be_whole(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lightning_base.runtime.waves.BLOCK", 1000)
    x = np.random.default_rng(0).integers(-9000, 9000, (12_345, 2), dtype=np.int16)
    (place / "a").mkdir()
    wavfile.write(place / "a" / "x.wav", 44_100, x)
    found = one(place, "a/x.wav").inputs[0]
    assert np.array_equal(found, soxr.resample(np.rint(x.mean(axis=1)).astype(np.float32), 44_100, RATE, quality="HQ"))


@pytest.mark.parametrize(("limit", "said"), [("LONGEST", "values"), ("RATIO", "decode to")])
def test_a_sound_beyond_a_limit_is_refused_before_it_is_decoded(
    place: Path, monkeypatch: pytest.MonkeyPatch, limit: str, said: str
) -> None:
    monkeypatch.setattr(f"lightning_base.runtime.waves.{limit}", 5000 if limit == "LONGEST" else 1.5)
    monkeypatch.setattr("lightning_base.runtime.waves.RATIO_FROM", 1000)
    (place / "a").mkdir()
    soundfile.write(place / "a" / "x.flac", np.zeros(50_000, np.int16), RATE)
    soundfile.write(place / "a" / "y.wav", np.zeros(3000, np.int16), RATE)
    soundfile.write(place / "a" / "z.wav", np.zeros(3000, np.int16), RATE // 4)
    found = one(place, "a/x.flac").findings.set_index("id")
    assert said in found["detail"]["a/x.flac"]
    assert "a/y.wav" not in found.index
    if limit == "LONGEST":
        assert found["detail"]["a/z.wav"] == "over 5000 values at 8000 Hz"


def test_class_folders_test_folders_and_predict(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for c, hertz in (("a", 300), ("b", 900)):
            write(tmp_path / "root" / part / c / "x.wav", tone(hertz).tobytes())
    write(tmp_path / "ask" / "deep" / "q.WAV", tone(500).tobytes())
    data = folder(tmp_path / "root", pattern=None, predict=str(tmp_path / "ask"))
    assert data.samples("pool").table["id"].tolist() == ["a/x.wav", "b/x.wav"]
    assert data.samples("test").table["target"].tolist() == [0, 1]
    assert data.samples("predict").table.to_dict("list") == {"id": ["deep/q.WAV"]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": "nowhere"}, r"data\.root: no folder nowhere"),
        ({"pattern": None}, r"high_ann_0\.wav: it is in no class's folder; move it into one, or give data\.pattern"),
        ({"pattern": "{group}.wav"}, r"data\.pattern: '\{group\}\.wav' has no \{target\}"),
        ({"pattern": "{target}_{target}"}, r"data\.pattern: .* there twice"),
        ({"pattern": "{target}-{group}.wav"}, r"high_ann_0\.wav' does not fit data\.pattern"),
        ({"class_names": ["low", "middle"]}, r"high_ann_0\.wav: target high, none of the classes low, middle"),
        ({"mels": 500}, r"data\.mels: 500 filters"),
        ({"seconds": 0}, r"data\.seconds: 0 is not positive"),
        ({"sample_rate": 0}, r"data\.sample_rate: 0 is not from 100 to 768000 Hz"),
    ],
)
def test_settings_that_cannot_be_used_are_named(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    root = tones(tmp_path / "wav")

    def read() -> None:
        data = folder(**{"path": root, **changes})
        assert data.preprocess
        data.samples("pool")

    with pytest.raises(UserError, match=message):
        read()


def test_spoken_digits_are_3000_clips_of_six_speakers(tmp_path: Path) -> None:
    with tarfile.open(shared("fsdd.tar.gz")) as tar:
        tar.extractall(tmp_path, filter="data")
    samples = folder(tmp_path / "fsdd" / "recordings").dataset("pool")
    assert len(samples) == 3000
    assert samples.findings.empty
    assert samples.table.groupby(["group", "target"]).size().tolist() == [50] * 60
    assert samples.inputs.dtype == np.int16
    for row in range(0, 3000, 100):
        name = tmp_path / "fsdd" / "recordings" / samples.table["id"][row]
        assert np.array_equal(samples.inputs[row], wavfile.read(name)[1])


def test_a_cache_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a" / "0.wav", tone(440).tobytes())
    write(tmp_path / "b" / "0.wav", tone(880).tobytes())
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("LIGHTNING_BASE_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="LIGHTNING_BASE_CACHE"):
        Sound(root=str(tmp_path), sample_rate=RATE).samples("pool")


def test_train_and_val_are_the_pool_by_role_and_what_stands_beside_them_is_named(place: Path) -> None:
    for part, hertz in (("train", 300), ("val", 600), ("test", 900), ("extra", 1200)):
        for c in "ab":
            write(place / part / c / "x.wav", tone(hertz + ord(c)).tobytes())
    (place / "README.md").write_text("about")
    data = folder(place, pattern=None)
    pool = data.samples("pool")
    assert pool.table.to_dict("list") == {
        "id": ["train/a/x.wav", "train/b/x.wav", "val/a/x.wav", "val/b/x.wav"],
        "role": ["train", "train", "val", "val"],
        "target": [0, 1, 0, 1],
    }
    assert data.dataset("pool").findings[["id", "kind"]].to_numpy().tolist() == [
        ["README.md", "unused"],
        ["extra", "unused"],
    ]
    assert data.samples("test").table["id"].tolist() == ["a/x.wav", "b/x.wav"]
    by_name = folder(place, pattern="{target}/{take}.wav").dataset("pool")
    assert by_name.table["target"].tolist() == [0, 1, 0, 1]


def test_a_class_does_not_vanish_with_its_files(tmp_path: Path) -> None:
    root = tmp_path / "wav"
    for c in "ab":
        write(root / c / "x.wav", tone(300 + ord(c)).tobytes())
    (root / "c").mkdir()
    with pytest.raises(UserError, match=r"c: a class's folder without files .*data\.clean\.empty: drop"):
        folder(root, pattern=None).samples("pool")
    assert folder(root, pattern=None, clean=Cleaning(empty="drop")).samples("pool").classes == ("a", "b")
    for i in range(2):
        (root / "c" / f"{i}.m4a").write_bytes(b"\0\0\0 ftypM4A ")
    with pytest.raises(UserError, match=r"wav/c: a class's folder with no file that is read \(2 × \.m4a\); give \.wav"):
        folder(root, pattern=None).samples("pool")
    (root / "c" / "x.wav").write_bytes(b"")
    with pytest.raises(UserError, match=r"c/x\.wav: empty file, and no file of class 'c' can be read"):
        folder(root, pattern=None, clean=Cleaning(unreadable="drop")).samples("pool")


def nasty(root: Path) -> set[str]:
    """A folder with all that goes wrong in folders; every file's name that is not hidden, and folders without any."""
    for c in ("a", "b/deep", "b/deep/er"):
        write(root / c / "good.wav", tone(300 + 10 * len(c)).tobytes())
    write(root / "a" / "twice.WAV", tone(310).tobytes())
    write(root / "a" / "slow.wav", tone(310, rate=4000).tobytes(), rate=4000)
    for name in ("a/x.txt", "a/noending", "b/deep/cover.jpg", "b/.hidden.wav", "a/zero.flac", "a/fake.mp3", "a/x.m4a"):
        (root / name).write_bytes(b"" if name == "a/zero.flac" else b"not a sound at all")
    (root / "a" / "gone.wav").symlink_to(root / "a" / "nowhere.wav")
    (root / "a" / "out.wav").symlink_to("/etc/hostname")
    (root / "b" / "round").symlink_to(root)
    (root / "a" / "inside.wav").symlink_to(root / "a" / "good.wav")
    (root / "empty").mkdir()
    with open(os.fsencode(root) + b"/a/\xff.wav", "wb"):
        pass
    os.mkfifo(root / "a" / "pipe.wav")
    found = {p.relative_to(root) for p in root.rglob("*") if p.is_symlink() or not p.is_dir()}
    names = {str(p).encode(errors="surrogateescape").decode(errors="backslashreplace") for p in found}
    return {name for name in names if "/." not in name} | {"empty"}


@pytest.mark.parametrize("source", ["pool", "predict"])
def test_every_file_is_a_sample_or_named_in_a_finding(tmp_path: Path, source: Source) -> None:
    every = nasty(tmp_path / "wav") - ({"empty"} if source == "predict" else set())
    samples = folder(tmp_path / "wav", pattern=None, predict=str(tmp_path / "wav")).dataset(source)
    ids, told = set(samples.table["id"]), set(samples.findings["id"][samples.findings["kind"] != "rate"])
    assert ids | told == every
    assert not ids & told
    assert len(ids) == 6
    assert samples.findings.loc[samples.findings["kind"] == "rate", "id"].tolist() == ["a/slow.wav"]
