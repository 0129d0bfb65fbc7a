"""Sounds with transcripts: a telephone system's prompts as Debian has them, and the tables of other corpora."""

import csv
import gzip
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import soundfile
import yaml

from datamodules.speech import Speech
from lightning_base.clean.cleaning import Cleaning
from lightning_base.data import Ragged, Samples
from lightning_base.errors import ConfigError, DataError
from lightning_base.preprocess.tokenizer import texts_of
from lightning_base.results.summary import read_summary
from lightning_base.results.tables import read_table
from tests.helpers import Run, crossval, refused, shared, tone

RATE = 8000
NO_SPEECH = r"[\[<(]"


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder `en_US_f_Allison` of 568 prompts, beside their transcripts."""
    folder, source = tmp_path_factory.mktemp("asterisk"), shared("asterisk-en")
    with tarfile.open(source / "en_US_f_Allison-wav8k.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    (folder / "core-sounds-en.txt.gz").write_bytes((source / "core-sounds-en.txt.gz").read_bytes())
    return folder


def known(folder: Path) -> dict[str, str]:
    """The transcripts by name, read by hand."""
    with gzip.open(folder / "core-sounds-en.txt.gz", "rt") as file:
        lines = [line.rstrip("\n") for line in file if line.strip() and not line.startswith(";")]
    return {line.split(": ", 1)[0]: line.split(": ", 1)[1].strip() for line in lines}


def said(samples: Samples) -> list[str]:
    assert samples.targets is not None
    return list(texts_of(samples.targets.payload, np.arange(len(samples))))


def waves(samples: Samples) -> list[npt.NDArray[Any]]:
    return [np.asarray(samples.inputs[i]) for i in range(len(samples))]


def test_the_prompts_of_a_telephone_system_are_540_spoken_and_28_that_are_not(prompts: Path) -> None:
    """As their README counts them; sounds as soundfile reads them, texts as they stand in the file."""
    given: dict[str, Any] = {"root": str(prompts / "en_US_f_Allison"), "sample_rate": RATE, "comment": ";"}
    transcripts = str(prompts / "core-sounds-en.txt.gz")
    data = Speech(**given, transcripts=transcripts, leave_out=NO_SPEECH, seconds=80, clean=Cleaning(unmatched="drop"))
    samples, found, texts = data.samples("pool"), data.findings["pool"], known(prompts)
    assert len(samples) == 540
    assert said(samples) == [texts[id_.removesuffix(".wav")] for id_ in samples.table["id"]]
    assert isinstance(samples.inputs, Ragged)
    assert samples.inputs.offsets[-1] / RATE / 60 == pytest.approx(24, abs=0.1)
    for id_, wave in zip(samples.table["id"][:20], waves(samples), strict=False):
        np.testing.assert_array_equal(wave, soundfile.read(prompts / "en_US_f_Allison" / id_, dtype="int16")[0])
    out = found[found["kind"] == "unused"]
    assert sorted(out["id"]) == sorted(f"{name}.wav" for name, text in texts.items() if set(text) & set("[<("))[:28]
    (lone,) = found[found["kind"] == "unmatched"].itertuples()
    assert (lone.id[:22], lone.detail[:20]) == ("core-sounds-en.txt.gz ", "'pls-try-call-later'")
    with pytest.raises(DataError, match=r"is 2\d\.\d s long and would be cut after 20 .*\(7 of kind target"):
        Speech(
            **given, transcripts=transcripts, leave_out=NO_SPEECH, seconds=20, clean=Cleaning(unmatched="drop")
        ).samples("pool")


def test_a_network_writes_what_it_hears(prompts: Path, work: Path, run: Run) -> None:
    """Through crossval, test and predict: Translation over spectrograms, characters fitted on the training role."""
    for path in (prompts / "en_US_f_Allison" / "digits").glob("*.wav"):
        target = Path("sounds/digits", path.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    texts = {name: text for name, text in known(prompts).items() if name.startswith("digits/")}
    Path("transcripts.txt").write_text("".join(f"{name}: {text}\n" for name, text in texts.items()))
    network = {"mels": 20, "num_outputs": 60}
    content = {
        "name": "speech",
        "seed_everything": 0,
        "audit": "off",
        "trainer": {"accelerator": "cpu", "max_epochs": 6, "logger": False},
        "model": {
            "class_path": "lightning_base.tasks.Translation",
            "init_args": {
                "network": {"class_path": "tests.any_task.listening.Listener", "init_args": network},
                "longest": 20,
                "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.01}},
            },
        },
        "data": {
            "class_path": "datamodules.speech.Speech",
            "init_args": {
                "root": "sounds",
                "transcripts": "transcripts.txt",
                "predict": "sounds/digits",
                "sample_rate": RATE,
                "seconds": 5,
                "mels": 20,
                "hop": 0.02,
                "window": 0.04,
                "batch_size": 10,
                "test_size": 0.2,
                "split": {"class_path": "sklearn.model_selection.KFold", "init_args": {"n_splits": 2, "shuffle": True}},
            },
        },
    }
    Path("speech.yaml").write_text(yaml.safe_dump(content))
    run("crossval", "--config", "speech.yaml")
    found = read_table(crossval("speech") / "oof.parquet")
    assert found["target"].tolist() == [texts[id_.removesuffix(".wav")] for id_ in found["id"]]
    metrics = read_summary(crossval("speech")).metrics
    assert metrics["perplexity"].score < 25  # of some 40 characters
    assert metrics["exact"].score == pytest.approx((found["pred"] == found["target"]).mean(), abs=1e-6)
    run("test", "--ckpt_path", crossval("speech"))
    test = read_table(crossval("speech") / "test.parquet")
    assert len(test) + len(found) == len(texts) == 94
    assert not set(test["id"]) & set(found["id"])
    run("predict", "--ckpt_path", crossval("speech"))
    assert sorted(read_table(crossval("speech") / "ensemble.parquet")["id"]) == sorted(
        name.removeprefix("digits/") + ".wav" for name in texts
    )


def write(root: Path, names: dict[str, float]) -> None:
    for i, (name, seconds) in enumerate(names.items()):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(root / name, tone(300 + 40 * i, seconds, RATE), RATE)


def test_tables_as_other_corpora_have_them(work: Path) -> None:
    """LJSpeech's three fields between bars without quotes or names, and Common Voice's TSV with speakers and a test."""
    write(Path("wavs"), {f"LJ001-000{i}.wav": 0.2 for i in range(1, 5)})
    lines = ['LJ001-0001|He said "go|he said "go"', "LJ001-0002|In 1455|in fourteen fifty-five"]
    lines += ["LJ001-0003|null|null", "LJ001-0004|NA|NA"]
    Path("metadata.csv").write_text("\n".join(lines) + "\n")
    names = ["path", "text", "normalized"]
    data = Speech(
        root="wavs", transcripts="metadata.csv", separator="|", quote=None, header=names, sample_rate=RATE, seconds=1
    )
    assert said(data.samples("pool")) == ['He said "go', "In 1455", "null", "NA"]

    write(Path("clips"), {f"cv_{i}.wav": 0.2 for i in range(6)})
    table = pd.DataFrame(
        {
            "client_id": list("abcabc"),
            "path": [f"cv_{i}.wav" for i in range(6)],
            "sentence": [f'Satz "{i}" ist gut' for i in range(6)],
        }
    )
    for name, rows in (("train", table[:4]), ("test", table[4:])):
        rows.to_csv(f"{name}.tsv", sep="\t", index=False, quoting=csv.QUOTE_NONE)
    voices = Speech(
        root="clips",
        transcripts="train.tsv",
        test_transcripts="test.tsv",
        text="sentence",
        group="client_id",
        quote=None,
        sample_rate=RATE,
        seconds=1,
    )
    for source, rows in (("pool", table[:4]), ("test", table[4:])):
        samples = voices.samples(source)  # type: ignore[arg-type]
        assert samples.table["id"].tolist() == rows["path"].tolist()
        assert said(samples) == rows["sentence"].tolist()
        assert voices.findings[source].empty  # type: ignore[index]
    assert voices.samples("pool").table["group"].tolist() == list("abca")
    with pytest.raises(ConfigError, match=r"data\.test_size seals test samples, and data\.test_transcripts"):
        replace(voices, test_size=0.2).samples("pool")


def test_every_sound_and_every_transcript_is_used_or_named(work: Path, run: Run) -> None:
    sounds = {"a/1.wav": 0.2, "a/2.wav": 0.2, "a/3.wav": 0.2, "b/4.wav": 0.2, "b/4.flac": 0.2, "b/5.wav": 3.0}
    write(Path("root"), {**sounds, "b/6.wav": 0.2, "b/7.wav": 0.2, "b/8.wav": 0.2})
    Path("root/b/8.wav").write_bytes(b"RIFF")
    Path("root/notes.md").write_text("x")
    lines = [
        *("# made by hand", "a/1: one", "a/2.wav: two: too", "", "a/3 three", "b/4: four", "b/5: five", "b/6: six"),
        *("b/6.wav: sechs", "b/8: eight", "c/9: nine", "a/3: (tone)"),
    ]
    Path("root/said.txt").write_text("\n".join(lines))
    settings: dict[str, Any] = {
        "root": "root",
        "transcripts": "root/said.txt",
        "sample_rate": RATE,
        "seconds": 1,
        "comment": "#",
        "leave_out": r"\(",
        "pattern": "{group}/{take}",
        "clean": Cleaning(target="drop", unmatched="drop", unreadable="drop"),
    }
    data = Speech(**settings)
    samples = data.samples("pool")
    found = data.findings["pool"]
    got = {row.id: f"{row.kind} {row.detail}" for row in found.itertuples()}
    expected = {
        "a/3.wav": "unused its transcript (said.txt line 12) has '(': data.leave_out",
        "said.txt line 5": "unreadable has no ': ' behind a name",
        "b/5.wav": "target is 3.0 s long and would be cut after 1 (data.seconds)",
        "b/6.wav": "target has several transcripts: said.txt line 8, said.txt line 9",
        "b/7.wav": "target has no transcript",
        "b/8.wav": "unreadable ",
        "said.txt line 11": "unmatched 'c/9' is no sound in root",
        "notes.md": "unused ",
        "b/4.flac": "target has the transcript of b/4.wav too (said.txt line 6); name it with its ending",
        "b/4.wav": "target has the transcript of b/4.flac too (said.txt line 6); name it with its ending",
    }
    assert got.keys() == expected.keys()
    for key, start in expected.items():
        assert got[key].startswith(start), got[key]
    assert samples.table.to_dict("list") == {"id": ["a/1.wav", "a/2.wav"], "group": ["a", "a"]}
    assert said(samples) == ["one", "two: too"]


def test_mistakes_are_one_line(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(Path("root"), {"1.wav": 0.2})
    Path("said.csv").write_text("path,text\n1.wav,one\n")
    settings = {"root": "root", "transcripts": "said.csv", "sample_rate": RATE}
    content = {"name": "x", "data": {"class_path": "datamodules.speech.Speech", "init_args": settings}}
    for change, words in (
        ({"transcripts": "no.csv"}, ["data.transcripts", "no.csv"]),
        ({"transcripts": "no.txt"}, ["data.transcripts: no.txt cannot be read"]),
        ({"text": "sentence"}, ["data.text", "sentence"]),
        ({"root": "nowhere"}, ["data.root: no file or folder nowhere"]),
        ({"leave_out": "["}, ["data.leave_out: '[' is no regular expression"]),
        ({"test_root": "root"}, ["data.test_root"]),
        ({"pattern": "{group}{group}"}, ["data.pattern: '{group}{group}' has a name that is"]),
        ({"group": "text", "pattern": "{group}"}, ["data.pattern: data.group is given too"]),
    ):
        content["data"]["init_args"] = {**settings, **change}  # type: ignore[index]
        Path("x.yaml").write_text(yaml.safe_dump(content))
        refused(capsys, ["prepare", "--config", "x.yaml"], *words)
    Path("said.csv").write_text("path,text\n2.wav,one\n")
    with pytest.raises(DataError, match=r"no sound has a transcript"):
        Speech(**settings).samples("pool")  # type: ignore[arg-type]
