"""Claims about sound: what a WAV file says, what a spectrogram is, and what is said of files that cannot be read."""

import tarfile
import wave
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from datamodules.sound import Sound, read_wav
from lightning_base.clean.cleaning import Cleaning
from lightning_base.errors import UserError
from lightning_base.samples.payload import Ragged, hash_payload
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
    assert np.array_equal(samples.content, hash_payload(samples.inputs))
    assert samples.findings.empty


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_depth_and_channels_are_read(tmp_path: Path, bits: int, channels: int) -> None:
    rng = np.random.default_rng(bits)
    x = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (50, channels))
    raw = b"".join(
        (int(v) + 128).to_bytes(1, "little") if bits == 8 else int(v).to_bytes(bits // 8, "little", signed=True)
        for v in x.ravel()
    )
    write(tmp_path / "a.wav", raw, bits // 8, channels)
    found, rate = read_wav(tmp_path / "a.wav")
    expected = np.floor(x / 2.0 ** (bits - 16)).mean(axis=1)  # the upper 16 bits
    assert rate == RATE
    assert np.abs(found - expected).max() <= 0.5


def test_the_second_start_decodes_nothing_and_a_changed_file_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tones(tmp_path / "wav")
    first = folder(root).dataset("pool")
    with monkeypatch.context() as patch:
        patch.setattr("datamodules.sound.read_wav", None)
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
    wavfile.write(root / "low_ann_6.wav", RATE, np.zeros(100, np.float32))
    write(root / "low_ann_7.wav", b"")
    data = folder(root)
    samples = data.dataset("pool")
    assert len(samples) == 4
    found = samples.findings.set_index("id")
    assert found["kind"].to_dict() == {f"low_ann_{i}.wav": "escape" if i == 5 else "unreadable" for i in range(1, 8)}
    assert found["detail"]["low_ann_1.wav"] == "empty file"
    assert found["detail"]["low_ann_2.wav"] == f"truncated: {len(whole) - 44 - 500} of {len(whole) - 44} bytes of sound"
    with pytest.raises(UserError, match=r"low_ann_1\.wav: empty file .*data\.clean\.unreadable: drop"):
        folder(root, clean=Cleaning(escape="drop")).samples("pool")
    assert len(folder(root, clean=Cleaning(escape="drop", unreadable="drop")).samples("pool")) == 4


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
    assert np.abs(x[middle].astype(float) - tone(400, len(x) / RATE)[middle]).max() < 120  # 1 % of its amplitude


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
        ({"pattern": None}, r"high_ann_0\.wav: it is in no class's folder; move it, or give data\.pattern"),
        ({"pattern": "{group}.wav"}, r"data\.pattern: '\{group\}\.wav' has no \{target\}"),
        ({"pattern": "{target}_{target}"}, r"data\.pattern: .* there twice"),
        ({"pattern": "{target}-{group}.wav"}, r"high_ann_0\.wav: it does not fit data\.pattern"),
        ({"class_names": ["low", "middle"]}, r"high_ann_0\.wav: target high, none of the classes low, middle"),
        ({"mels": 500}, r"data\.mels: 500 filters"),
        ({"seconds": 0}, r"data\.seconds: 0 is not positive"),
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


def test_a_cache_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a" / "0.wav", tone(440).tobytes())
    write(tmp_path / "b" / "0.wav", tone(880).tobytes())
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("LIGHTNING_BASE_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="LIGHTNING_BASE_CACHE"):
        Sound(root=str(tmp_path), sample_rate=RATE).samples("pool")
