"""Claims about bad input: one line that names the key and the file, status 2, and nothing is written.

To add a case, add a line to one of the tables: the words after the verb, and parts of the line that must be said.
"""

import io
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

import lightning_base as lb
from lightning_base.cli import early, entry
from lightning_base.cli.described import table
from lightning_base.errors import ConfigError, FoldsFailed, near_file, suggest
from lightning_base.tools.places import MORE, OF_ALL, POOL
from lightning_base.training.config_errors import needs, popular
from lightning_base.training.known_names import POPULAR
from lightning_base.verbs.opening import open_experiment
from lightning_base.verbs.words import saved_config
from tests.helpers import CONFIGS, Run, environment, refused, run_without

DIGITS = str(CONFIGS / "digits_cnn.yaml")
HEAVY = ("torch", "numpy", "pandas", "jsonargparse")
CREDIT = str(CONFIGS / "german_credit_mlp.yaml")
BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)
FILES: dict[str, tuple[bytes | str, tuple[str, ...]]] = {  # what a configuration holds, and what is said
    "a key twice": ("name: a\nname: b\n", ("name: given twice", "bad.yaml, lines 1 and 2")),
    "a nested key twice": (
        "trainer:\n  max_epochs: 1\n  max_epochs: 2\n",
        ("trainer.max_epochs: given twice", "2 and 3"),
    ),
    "a key dotted and nested": (
        "trainer: {max_epochs: 1}\ntrainer.max_epochs: 2\n",
        ("trainer.max_epochs: given twice",),
    ),
    "a key twice in a list": ("data: {init_args: {fetch: [{url: a, url: b}]}}\n", ("url: given twice", "line 1")),
    "other bytes": (b"name: \xff\n", ("bad.yaml, line 1", "UTF-8")),
    "nothing": ("", ("bad.yaml", "empty")),
    "a comment": ("# later\n", ("bad.yaml", "empty")),
    "a list": ("[1, 2]\n", ("bad.yaml", "a list")),
    "a scalar": ("digits\n", ("bad.yaml", "'digits'")),
    "aliases without bounds": (BOMB, ("bad.yaml", "aliases stand for")),
    "an alias of itself": ("data: &a {init_args: *a}\n", ("bad.yaml, line 1", "alias")),
    "a tag": ("name: !!python/object/apply:os.getcwd []\n", ("bad.yaml, line 1", "tag !!python/object")),
    "no YAML": ("name: a\ntrainer: {\n", ("bad.yaml, line", "not valid YAML")),
    "two documents": ("name: a\n---\nname: b\n", ("bad.yaml, line 2", "not valid YAML")),
    "control characters": ('name: "\x01"\n', ("bad.yaml", "control characters")),
    "a key that is no text": ("1: 2\n", ("bad.yaml", "the key 1")),
    "no trainer": ("trainer:\n", ("trainer: empty", "bad.yaml")),
    "no data": ("data: null\n", ("data: missing",)),
    "no model": ("model: null\n", ("model: missing",)),
}
WORDS: dict[str, tuple[list[str], tuple[str, ...]]] = {  # what stands after `fit --config digits_cnn.yaml`
    "a word alone": (["stray"], ("stray: stands alone", "--key value")),
    "a file alone": (["more.yaml"], ("did you mean --config more.yaml?",)),
    "a folder as configuration": (["--config", "."], ("--config: . is a folder",)),
    **{name: ([f"--{name}", "3"], (f"{name}: no such key", POPULAR[name])) for name in ("epochs", "lr", "batch_size")},
    **{name: ([f"--{name}", "3"], (f"{name}: no such key", POPULAR[name])) for name in ("seed", "gpus", "devices")},
    "the Trainer's option": (["--max_steps", "3"], ("'trainer.max_steps'",)),
    "a popular option of the task": (["--model.lr", "3"], ("model.lr: ", "'model.optimizer.lr'")),
    "British spelling": (["--model.optimiser.lr", "3"], ("model.optimiser: ", "'optimizer'")),
    "a class in other letters": (["--model.network", "models.mlp.Mlp"], ("model.network: ", "did you mean 'MLP'?")),
    "a file that is not": (["--model.network", "models.nosuch.Net"], ("model.network: no file models/nosuch.py",)),
    "a name of a folder above": (["--name", ".."], ("name: '..'",)),
    "no name": (["--name", ""], ("name: ''",)),
    "a name of two folders": (["--name", "a/b"], ("name: 'a/b'",)),
    "a long name": (["--name", "ä" * 101], ("name: ", "longer than 200 bytes")),
    "a name that rings": (["--name", "a\x07"], ("name: 'a\\x07' holds control characters",)),
    "a negative seed": (["--seed_everything", "-1"], ("seed_everything: -1",)),
    "a huge seed": (["--seed_everything", "1e20"], ("seed_everything: 1e20",)),
    "no epochs": (["--trainer.max_epochs", "0"], ("trainer.max_epochs: 0 trains nothing",)),
    "fewer than no epochs": (["--trainer.max_epochs", "-3"], ("trainer.max_epochs: -3",)),
    "no steps": (["--trainer.max_steps=0"], ("trainer.max_steps: 0",)),
    "no batches": (["--trainer.limit_train_batches", "0"], ("trainer.limit_train_batches: 0",)),
    "no accumulation": (["--trainer.accumulate_grad_batches", "0"], ("trainer.accumulate_grad_batches: 0",)),
    "validation never": (["--trainer.check_val_every_n_epoch", "-1"], ("trainer.check_val_every_n_epoch: -1",)),
    "validation at once": (["--trainer.val_check_interval", "0"], ("trainer.val_check_interval: 0",)),
    "epochs in words": (["--trainer.max_epochs", "ten"], ("trainer.max_epochs: ", "ten")),
    "a batch in words": (["--data.batch_size", "abc"], ("data.batch_size: ", "abc")),
    "part of a sample": (["--data.batch_size", "2.5"], ("data.batch_size: ", "2.5")),
    "widths in words": (["--model.network.widths", "x"], ("model.network.widths: ", "x")),
    "no checkpoint": (["--ckpt_path", "nosuch.ckpt"], ("--ckpt_path: no file or directory nosuch.ckpt",)),
    "no source": (["--data.source", "nosuch.npz"], ("data.source: no file or folder nosuch.npz",)),
    "a list without quotes": (["--model.network.widths", "[16,", "32]"], ("32]: stands alone", "put a list in quotes")),
    "no labels": (["--data.labels", "nosuch.csv"], ("data.labels: no file or folder nosuch.csv",)),
}
TOLD_WHOLE: dict[str, tuple[list[str], tuple[str, ...]]] = {  # told when all is imported
    "cleaning": (["--data.clean.unreadabl", "drop"], ("data.clean.unreadabl: ", "did you mean 'unreadable'?")),
    "cleaning, deep": (["--data.clean.emty.x", "drop"], ("data.clean.emty: ", "did you mean 'empty'?")),
    "an optimizer's": (["--model.optimizer.lrr", "3"], ("model.optimizer.lrr: torch.optim.Adam ", "'lr'")),
    "no splitter": (["--data.split", "sklearn.linear_model.Ridge"], ("Ridge is not a splitter",)),
    "a splitter's name": (["--data.split", "sklearn.model_selection.KFoldd"], ("did you mean 'KFold'?",)),
    "one number for a list": (["--model.network.widths", "16"], ("model.network.widths: a list", "such as [16]")),
    "no end": (["--trainer.max_epochs", "-1"], ("trainer.max_epochs: -1 has no end",)),
    "a search of nothing": (["--search.metric", "loss"], ("search: ", "needs grid")),
    "no section": (["--trainer", "3"], ("trainer: '3' is no mapping",)),
    "no class": (["--model", "3"], ("model: '3' is neither",)),
}


def nothing_written(work: Path, *there: str) -> None:
    assert sorted(path.name for path in work.iterdir()) == sorted(there)


@pytest.mark.parametrize("whole", [False, True], ids=["early", "whole"])
@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_no_configuration_is_refused(
    case: str, whole: bool, work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content, parts = FILES[case]
    Path("bad.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    if whole:
        monkeypatch.setattr(early, "check", lambda _: None)
    refused(capsys, ["fit", "--config", DIGITS, "--config", "bad.yaml"], *parts)
    with pytest.raises(ConfigError, match=r"."):
        lb.crossval([DIGITS, "bad.yaml"])
    nothing_written(work, "bad.yaml")


WHOLE = (  # kinds of these that Python's interface and saved configurations meet without the early check
    *("a word alone", "lr", "British spelling", "a class in other letters", "a file that is not", "no name"),
    *("a negative seed", "no epochs", "a batch in words"),
)


@pytest.mark.parametrize("case", [*WORDS, *(f"{case}, whole" for case in WHOLE)])
def test_wrong_words_are_refused(
    case: str, work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words, parts = WORDS[case.removesuffix(", whole")]
    if case.endswith(", whole"):
        monkeypatch.setattr(early, "check", lambda _: None)
    refused(capsys, ["fit", "--config", DIGITS, *words], *parts)
    nothing_written(work)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # jsonargparse's, of an unknown option in a dataclass
@pytest.mark.parametrize("case", TOLD_WHOLE)
def test_what_only_the_whole_parser_sees_is_refused(case: str, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, parts = TOLD_WHOLE[case]
    refused(capsys, ["crossval", "--config", DIGITS, *words], *parts)
    assert "Namespace" not in capsys.readouterr().err
    nothing_written(work)


def test_the_bare_name_of_a_network_that_nothing_has_imported_gets_its_path(work: Path) -> None:
    done = run_without((), "crossval", "--config", DIGITS, "--model.network", "LeNet")  # the parser knows imported ones
    assert done.returncode == 2
    assert done.stderr.startswith("lightning-base: error: model.network: 'LeNet'")
    assert done.stderr.count("\n") == 1
    assert "models.lenet.LeNet" in done.stderr
    nothing_written(work)


def test_an_option_of_any_element_of_a_list_is_taken(run: Run, work: Path) -> None:
    shifted = ["--data.augment+=lightning_base.augment.Crop", "--data.augment.padding", "1"]
    run("prepare", "--config", DIGITS, *shifted, "--data.augment+=lightning_base.augment.MixUp")


NEAR = {
    "a checkpoint": (["--ckpt_path", "sub/lost.ckpt"], "'sub/last.ckpt'"),
    "arrays": (["--data.source", "customer.npz"], "'customers.npz'"),
    "a configuration": (["--config", "sub/mor.yaml"], "'sub/more.yaml'"),
}


@pytest.mark.parametrize("case", NEAR)
def test_a_file_that_is_not_there_gets_the_nearest_name_in_its_folder(
    case: str, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("sub").mkdir()
    for name in ("sub/last.ckpt", "customers.npz", "sub/more.yaml"):
        Path(name).touch()
    refused(capsys, ["fit", "--config", DIGITS, *NEAR[case][0]], f"did you mean {NEAR[case][1]}?")


def test_an_interrupt_names_its_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert [entry.interrupted(verb) for verb in ("fit", "test")] == [130, 130]
    assert "`fit` goes on" in (said := capsys.readouterr().err)
    assert "`test` begins anew" in said


def test_what_a_class_lacks_is_named_by_its_key() -> None:
    said = needs("model.network", "models.x.X", ["num_inputs"], [DIGITS], ["--model.network", "models.x.X"])
    assert said.startswith("model.network: models.x.X needs num_inputs (command line); give model.network.num_inputs")
    assert "`prepare` prints" in said


def test_a_file_is_not_suggested_for_its_ending(tmp_path: Path) -> None:
    (tmp_path / "kunden.csv").touch()
    (tmp_path / "customers.csv").touch()
    assert near_file(str(tmp_path / "nope.csv")) == ""
    assert near_file(str(tmp_path / "custmers.cvs")) == f"; did you mean '{tmp_path / 'customers.csv'}'?"


def test_no_suggestion_is_what_was_refused() -> None:
    assert suggest("lr", ["lr", "kw"]) == popular("trainer.max_epochs") == ""
    assert popular("lr").endswith("'model.optimizer.lr'?")


def test_a_run_is_found_from_inside_of_it(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("runs/x/crossval/fold_0/checkpoints").mkdir(parents=True)
    Path("runs/x/crossval/config.yaml").touch()
    for place in ("", "runs/x/crossval/fold_0/checkpoints", "runs/x/crossval/fold_0"):
        monkeypatch.chdir(work / place)
        path = os.path.relpath(work / "runs/x/crossval/fold_0/checkpoints/last.ckpt")
        found = saved_config(Path(path))
        assert found is not None and found.resolve() == (work / "runs/x/crossval/config.yaml").resolve()  # noqa: PT018


def test_a_name_may_be_a_number_in_a_file(work: Path) -> None:
    Path("year.yaml").write_text("name: 2024\n")
    assert open_experiment(["crossval", "--config", DIGITS, "--config", "year.yaml"]).name == "2024"


def test_words_are_told_without_torch(work: Path) -> None:
    """All of them by the check that imports nothing heavy, in one process."""
    code = (
        "import sys\nfrom lightning_base.cli.early import check\nfrom lightning_base.errors import ConfigError\n"
        f"for words in {[words for words, _ in WORDS.values()]!r}:\n"
        f"    try: check(['fit', '--config', {DIGITS!r}, *words])\n"
        "    except ConfigError: continue\n"
        "    sys.exit(f'{words} are taken')\n"
        f"sys.exit(', '.join({set(HEAVY)!r} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("before", [["doctor"], ["launch", "torchrun", "--", "fit"], ["launch", "tpu", "--", "test"]])
def test_launch_and_doctor_tell_a_mistake_without_torch(before: list[str], work: Path) -> None:
    done = run_without(
        ("torch", "numpy") if before == ["doctor"] else HEAVY, *before, "--config", DIGITS, "--epochs", "3"
    )
    assert done.returncode == 2
    assert done.stderr == "lightning-base: error: epochs: no such key; did you mean 'trainer.max_epochs'?\n"


@pytest.mark.parametrize("word", ["crossvalidate", "cross_validate", "cv", "kfold"])
def test_other_names_of_the_verb_lead_to_crossval(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, [word, "--config", DIGITS], "did you mean 'crossval'?")


DATA = {
    "what is trained on": ("fit", ["--data.path", "no.csv"], "data.path"),
    "what is fetched first": ("fit", ["--data.fetch", "[{url: x, into: y}]"], None),
    "what is read by another verb": ("predict", ["--data.predict", "null"], None),
    "what is predicted": ("predict", ["--data.predict", "no.csv"], "data.predict"),
    "what is tested": ("test", ["--data.test_path", "no.csv"], "data.test_path"),
    "what a class of one's own reads": ("fit", ["--data", "datamodules.own.Own", "--data.path", "no.csv"], None),
}


@pytest.mark.parametrize("case", DATA)
def test_data_that_is_not_there_is_told_early_where_it_is_read(case: str, work: Path) -> None:
    verb, words, key = DATA[case]
    Path("datamodules").mkdir()
    Path("datamodules/own.py").write_text("from datamodules.table import Table\nclass Own(Table): ...\n")
    if key is None:
        early.check([verb, "--config", CREDIT, *words])
    else:
        with pytest.raises(ConfigError, match=rf"^{key}: no file or folder no.csv"):
            early.check([verb, "--config", CREDIT, *words])


def test_the_table_of_what_data_modules_read_names_options_that_they_have() -> None:
    for path in POOL | MORE:
        for option in (*filter(None, [POOL.get(path)]), *MORE.get(path, ()), *OF_ALL):
            assert table().classes[path].option(option), (path, option)


def apart(action: Callable[[], object]) -> None:
    """Does it in a copy of this process: the parser asks nn.Module for its subclasses, and would find the test's."""
    if (child := os.fork()) == 0:
        status = 1
        try:
            action()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


OWN = {
    "it does not parse": ("class Net(nn.Module)\n    pass\n", "models/mine.py, line 2: SyntaxError"),
    "it raises": ("1 / 0\nclass Net(nn.Module): ...\n", "models/mine.py, line 2: ZeroDivisionError"),
    "it imports what is not": (
        "import nosuch\nclass Net(nn.Module): ...\n",
        "models/mine.py, line 2: ModuleNotFoundError",
    ),
    "it ends the process": (
        "raise SystemExit(0)\nclass Net(nn.Module): ...\n",
        "models/mine.py, line 2: ended the program",
    ),
    "its network ends the process": (
        "class Net(nn.Module):\n    def __init__(self) -> None: raise SystemExit(0)\n",
        "models/mine.py, line 3: ended the program",
    ),
}


@pytest.mark.parametrize("case", OWN)
def test_an_own_file_that_fails_is_named_with_line_and_error(
    case: str, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, said = OWN[case]
    Path("models").mkdir()
    Path("models/mine.py").write_text(f"from torch import nn\n{text}")
    apart(lambda: refused(capsys, ["fit", "--config", DIGITS, "--model.network", "models.mine.Net"], said))
    if "parse" in case:
        refused(capsys, ["fit", "--help", "models.mine.Net"], said)


def test_code_that_ends_the_process_fails_its_fold_alone(own: Path) -> None:
    Path("models").mkdir()
    Path("models/mine.py").write_text(
        "from models.cnn import CNN\nclass Net(CNN):\n    calls = 0\n    def forward(self, x):\n"
        "        Net.calls += 1\n        if Net.calls > 20: raise SystemExit(0)\n        return super().forward(x)\n"
    )
    network = {"model.network": "models.mine.Net", "model.network.in_channels": 1, "model.network.num_outputs": 10}

    def train() -> None:
        with pytest.raises(FoldsFailed):
            lb.crossval(DIGITS, overrides={**network, "trainer.max_epochs": 1})

    apart(train)
    error = Path("runs/digits_cnn/crossval/fold_1/error.txt").read_text()
    assert "models/mine.py, line 6: ended the program" in error


@pytest.mark.parametrize("name", ["..", ".", "", "../x"])
def test_no_name_leads_out_of_runs(name: str, work: Path) -> None:
    Path("crossval").mkdir()
    Path("crossval/kept").touch()
    with pytest.raises(ConfigError, match=r"^name: "):
        lb.crossval(DIGITS, name=name, overwrite=True)
    assert Path("crossval/kept").is_file()


def test_overwriting_deletes_no_folder_that_is_no_cross_validations(work: Path) -> None:
    Path("crossval").mkdir()
    Path("crossval/kept").touch()
    with pytest.raises(lb.errors.ArtefactError, match="no cross-validation's own"):
        lb.crossval(DIGITS, overrides={"trainer.default_root_dir": "."}, overwrite=True)
    assert Path("crossval/kept").is_file()


def test_a_name_that_looks_like_markup_is_printed_as_it_is(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.main(["prepare", "--config", DIGITS, "--name", "[red]:x:"]) == 0
    assert "results: runs/[red]:x:/prepare" in capsys.readouterr().out


class Broken(io.StringIO):
    """Standard output that takes a few lines and then nothing more."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        if self.tell() > 20:
            raise self.error
        return super().write(text)


@pytest.mark.parametrize(
    ("stream", "status"),
    [
        (lambda: Broken(BrokenPipeError(32, "Broken pipe")), 0),
        (lambda: Broken(OSError(28, "No space left on device")), 1),
        (lambda: None, 0),
    ],
    ids=["a pipe that ends", "a full disk", "closed"],
)
def test_output_that_cannot_be_written_costs_no_results(
    stream: Callable[[], io.StringIO | None], status: int, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream())
    monkeypatch.setattr(sys, "stderr", errors)
    assert entry.main(["prepare", "--config", DIGITS]) == status
    assert Path("runs/digits_cnn/prepare/split.parquet").is_file()
    assert errors.getvalue().count("\n") == status


def test_a_reader_that_goes_and_a_full_disk_leave_no_traceback(work: Path) -> None:
    code = f"{sys.executable} -m lightning_base list"
    ends = f"{code} | head -1; echo ${{PIPESTATUS[0]}}; {code} >/dev/full; echo $?; {code} >&-; echo $?"
    done = subprocess.run(["bash", "-c", ends], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == ["tasks:", "0", "1", "0", ""]
    assert done.stderr == "lightning-base: error: standard output cannot be written: No space left on device\n"


@pytest.mark.parametrize("verb", ["fit", "validate", "test", "predict"])
def test_the_help_of_the_checkpoint_says_what_the_verb_takes(verb: str) -> None:
    [option] = [option for option in table().verbs[verb].options if option.name == "ckpt_path"]
    assert "best" not in option.help
    assert ("crossval directory" in option.help) == (verb in ("test", "predict"))
