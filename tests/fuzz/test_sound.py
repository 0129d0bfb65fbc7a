"""Claims about damaged sound: it is read, or a finding, or refused in one line, without a warning or much memory."""

import random
from pathlib import Path

import numpy as np
import pytest
import soundfile

from datamodules.sound import Sound
from tests.fuzz.bent import peak, spliced
from tests.fuzz.test_fuzz import refused
from tests.helpers import tone

KINDS = [
    *(("WAV", "PCM_16"), ("WAVEX", "PCM_24"), ("WAV", "FLOAT"), ("WAV", "IMA_ADPCM"), ("WAV", "ULAW")),
    *(("RF64", "PCM_16"), ("W64", "PCM_16"), ("AIFF", "PCM_16"), ("AU", "PCM_16"), ("CAF", "ALAC_16")),
    *(("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("NIST", "PCM_16")),
]


@pytest.mark.usefixtures("cache")
def test_bent_sound_is_read_or_told_and_asks_for_no_memory(tmp_path: Path) -> None:
    rng, root = random.Random(0), tmp_path / "wav"
    root.mkdir()
    written = {}
    for form, kind in KINDS:
        soundfile.write(tmp_path / "one", tone(400, 0.2) / 32768, 8000, format=form, subtype=kind)
        written[form, kind] = (tmp_path / "one").read_bytes()
    before, told, read = peak(), 0, 0
    for batch in range(24):
        for place, whole in enumerate(written.values()):
            for number in range(8):
                ending = rng.choice([".wav", ".flac", ".mp3", ".au"])
                other = rng.choice(list(written.values()))
                (root / f"{place:02d}_{number}{ending}").write_bytes(spliced(whole, other, rng))
        data = Sound(root="", predict=str(root), sample_rate=8000)

        def look(data: Sound = data) -> None:
            nonlocal told, read
            samples = data.dataset("predict")
            ids = set(samples.table["id"])
            assert ids | set(samples.findings["id"]) == {path.name for path in root.iterdir()}
            for row in range(len(samples)):
                x = np.asarray(samples.inputs[row])
                assert 0 < len(x) < 3_000_000
            read, told = read + len(ids), told + len(samples.findings)

        refused(look)
        for path in root.iterdir():
            path.unlink()
        assert batch < 24
    assert told > 1500
    assert read > 300
    assert peak() - before < 400 * 2**20
