"""Claims about exported models that write: what they write is what predict writes, and comes piece by piece."""

from pathlib import Path
from typing import Any

import pytest

import lightning_base as lb
from lightning_base.errors import ConfigError
from lightning_base.runtime.errors import InputError
from lightning_base.runtime.model import load
from tests.exporting.helpers import exported, predicted, trained, verified
from tests.helpers import shared


@pytest.fixture(scope="module")
def plays(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A language model of a few characters' plays, and its export."""
    folder = tmp_path_factory.mktemp("plays")
    text = (shared("tinyshakespeare") / "input.txt").read_text()[:20_000]
    (folder / "input.txt").write_text(text)
    overrides = {"data__path": str(folder / "input.txt"), "trainer__max_epochs": 2, "model__network__dim": 32}
    run = trained(folder, "fit", "tinyshakespeare", model__new=60, model__network__depth=2, **overrides)
    return run, exported(run)


def test_what_is_drawn_for_an_id_is_what_predict_draws(plays: tuple[Any, Path], tmp_path: Path) -> None:
    run, folder = plays
    prompts = ["First Citizen:\n".strip(), "O", "What say you to " * 12, "ROMEO: but soft"]
    (tmp_path / "prompts.txt").write_text("\n".join(prompts))
    expected = predicted(run, tmp_path / "prompts.txt")
    model = load(folder)
    items = [model.read({"text": text, "id": id_}) for text, id_ in zip(prompts, expected["id"], strict=True)]
    assert [answer["pred"] for answer in model.run(items)] == list(expected["pred"])
    for item, text in zip(items, expected["pred"], strict=True):
        pieces = list(model.stream(item))
        assert "".join(pieces) == text
        assert len(pieces) > 30


def test_settings_are_held_to_their_range_and_seeds_differ(plays: tuple[Any, Path]) -> None:
    model = load(plays[1])
    one, same, other, sure = model.run(
        [model.read({"text": "O", **more}) for more in ({}, {"seed": 0}, {"seed": 1}, {"temperature": 0, "seed": 2})]
    )
    assert one == same != other
    assert sure == model.run([model.read({"text": "O", "temperature": 0})])[0]
    assert len(model.run([model.read({"text": "O", "new": 3})])[0]["pred"]) == 3
    bad = ({"new": 0}, {"new": 10**6}, {"seed": -1}, {"temperature": "hot"}, {"top_k": 0}, {"id": 3}, {"seed": True})
    for more in bad:
        (field,) = more
        with pytest.raises(InputError) as refused:
            model.read({"text": "O", **more})
        assert refused.value.field == field


def test_a_translation_is_the_runs_and_needs_no_torch(tmp_path: Path) -> None:
    import gzip

    files = {}
    for side in ("en", "de"):
        with gzip.open(shared("multi30k") / f"train.{side}.gz", "rt", encoding="utf-8") as file:
            lines = [next(file) for _ in range(400)]
        (tmp_path / side).write_text("".join(lines), encoding="utf-8")
        files[side] = str(tmp_path / side)
    run = trained(
        tmp_path,
        "fit",
        "multi30k_gru",
        data__source_file=files["en"],
        data__target_file=files["de"],
        data__test_source_file=None,
        data__test_target_file=None,
        data__source_size=400,
        data__target_size=400,
        model__network__dim=32,
        model__network__hidden=32,
        model__beam=3,
        model__longest=20,
        trainer__max_epochs=3,
        trainer__check_val_every_n_epoch=3,
    )
    texts = ["Two dogs run through the snow.", "A man", "Zwölf Boxkämpfer jagen Viktor quer über den Sylter Deich."]
    (tmp_path / "new.txt").write_text("\n".join(texts), encoding="utf-8")
    folder = exported(run)
    model = load(folder)
    found = model.run([model.read({"text": text}) for text in texts])
    assert [answer["pred"] for answer in found] == list(predicted(run, tmp_path / "new.txt")["pred"])
    assert found == [model.run([model.read({"text": text})])[0] for text in texts]
    done = verified(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    with pytest.raises(ConfigError, match="not measured of texts"):
        lb.export(run, out=tmp_path / "low", precision="int8")
    assert not (tmp_path / "low").exists()
