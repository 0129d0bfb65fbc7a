"""Claims about doctor: what it says of machine, configuration and launcher is so, and trouble is exit status 1."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
import torch
from torch import nn

from lightning_base.cli.entry import main
from lightning_base.doctor import machine
from lightning_base.doctor.launcher import first_host
from lightning_base.doctor.libraries import libraries
from models.cnn import CNN
from tests.helpers import CONFIGS, environment, read_json, refused, run_without

DIGITS = ("--config", CONFIGS / "digits_cnn.yaml", "--model.network.widths", [8], "--trainer.max_epochs", 2)
Findings = dict[str, dict]
Doctor = Callable[..., tuple[int, Findings]]
VERSION = metadata.version


@pytest.fixture
def doctor(work: Path, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Runs doctor in an empty folder; its exit status, and what it found by name. Each is a line of its output too."""

    def look(*arguments: object) -> tuple[int, Findings]:
        status = main(["doctor", *map(str, arguments), "--json", "out.json"])
        told = capsys.readouterr().out.splitlines()
        report = read_json(Path("out.json"))
        Path("out.json").unlink()
        for found in report["findings"]:
            line = f"  {found['status']:<9}{found['what']}: {found['value']}"
            assert line + (f"; {found['mend']}" if found["mend"] else "") in told
            assert found["status"] == "ok" or found["mend"] or found["area"] == "configuration"
        assert (report["status"] == "trouble") == (status == 1)
        return status, {found["what"]: found for found in report["findings"]}

    return look


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [v for v in os.environ if v.startswith(("SLURM_", "TORCHELASTIC_"))]:
        monkeypatch.delenv(variable)


@pytest.fixture
def temporary(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def releases(monkeypatch: pytest.MonkeyPatch, **fake: str) -> None:
    """Has distributions seem to be installed in these versions."""
    monkeypatch.setattr(metadata, "version", lambda name: fake.get(name.replace("-", "_")) or VERSION(name))


def test_help_does_not_import_torch() -> None:
    done = run_without(("torch", "numpy", "pandas", "jsonargparse"), "doctor", "--help")
    assert done.returncode == 0
    assert "--nodes" in done.stdout


def test_the_machine_is_described_as_the_system_does_and_nothing_is_left(doctor: Doctor, work: Path) -> None:
    status, found = doctor()
    assert status == 0
    for name in ("torch", "lightning", "numpy"):
        assert found[name]["value"] == VERSION(name)
    assert found["cores"]["number"] <= len(os.sched_getaffinity(0))
    assert found["threads"]["number"] == torch.get_num_threads()
    assert 0 < found["memory"]["number"] <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert machine.disk("runs", Path("/proc/runs"), "--x").line().startswith("runs: /proc/runs cannot be written: ")
    assert found["runs"]["number"] == pytest.approx(shutil.disk_usage(work).free, rel=0.2)
    assert re.match(r"bf16 works, .*; fp16 works, ", found["precision on cpu"]["value"])
    assert found["gloo"]["value"] == "works"
    assert list(work.iterdir()) == []


@pytest.mark.parametrize(
    ("fake", "name", "says", "mend"),
    [
        ({"lightning": "2.6.5"}, "lightning", "2.6.5 runs code that a checkpoint names", "lightning>=2.6.6"),
        ({"numpy": "1.26.4"}, "numpy", "1.26.4 is not >=2.1", "pip install 'numpy>=2.1'"),
        ({"torch_xla": "2.9.0"}, "torch-xla", "2.9.0 needs torch 2.9, ", "pip install -e '.[tpu]'"),
        ({"torch": "2.9.1"}, "torchvision", "needs torch", ", 2.9.1 is installed"),
    ],
)
def test_a_version_that_does_not_fit_is_named_with_its_mend(
    fake: dict[str, str], name: str, says: str, mend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    releases(monkeypatch, **fake)
    lines = [finding.line() for finding in libraries() if finding.status == "trouble"]
    assert [line for line in lines if line.startswith(f"{name}: ") and says in line and mend in line], lines


@pytest.mark.parametrize("version", ["2.6.2", "2.6.3"])
def test_beside_a_malicious_release_nothing_is_imported(
    version: str, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    releases(monkeypatch, lightning=version)
    status, found = doctor(*DIGITS)
    assert status == 1
    assert "malicious" in found["lightning"]["value"]
    assert "change every password" in found["lightning"]["mend"]
    assert {finding["area"] for finding in found.values()} == {"libraries"}


def files(root: Path, content: dict[str, str]) -> Path:
    for path, text in content.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


MEMINFO = "MemTotal:       16000000 kB\nMemFree:         1000000 kB\nMemAvailable:   12000000 kB\n"
GROUPS = {
    "version 2": {
        "proc/self/cgroup": "0::/job/step\n",
        "sys/fs/cgroup/job/cpu.max": "150000 100000\n",
        "sys/fs/cgroup/job/step/cpu.max": "max 100000\n",
        "sys/fs/cgroup/job/memory.max": "2000000000\n",
        "sys/fs/cgroup/job/memory.current": "1500000000\n",
        "sys/fs/cgroup/job/memory.stat": "anon 500000000\ninactive_file 900000000\n",
        "sys/fs/cgroup/job/step/memory.max": "max\n",
    },
    "version 1": {
        "proc/self/cgroup": "4:memory:/job\n1:cpu,cpuacct:/job\n0::/\n",
        "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "-1\n",
        "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "150000\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/memory/job/memory.limit_in_bytes": "2000000000\n",
        "sys/fs/cgroup/memory/job/memory.usage_in_bytes": "1500000000\n",
        "sys/fs/cgroup/memory/job/memory.stat": "total_inactive_file 900000000\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    },
}


@pytest.mark.parametrize("kind", GROUPS)
def test_what_a_container_may_use_is_the_tightest_bound_above_it(kind: str, tmp_path: Path) -> None:
    bare = files(tmp_path / "bare", {"proc/meminfo": MEMINFO})
    assert (machine.cpu_quota(bare), machine.memory(bare)) == (None, (16_384_000_000, 12_288_000_000))
    root = files(tmp_path / "bound", {"proc/meminfo": MEMINFO, **GROUPS[kind]})
    assert machine.cpu_quota(root) == 1.5
    assert machine.memory(root) == (2_000_000_000, 1_400_000_000)  # 2 GB - 1.5 GB used + 0.9 GB of files' pages
    found = {finding.what: finding for finding in machine.machine(processes=4, root=root)}
    assert (found["threads"].status, found["threads"].mend) == ("warning", "export OMP_NUM_THREADS=1")


@pytest.mark.slow
def test_a_configuration_is_measured_and_nothing_is_left(doctor: Doctor, work: Path, temporary: Path) -> None:
    status, found = doctor("--config", CONFIGS / "digits_cnn.yaml")
    assert status == 0
    assert "warning" not in found
    network = CNN(in_channels=1, num_outputs=10, widths=[32, 64], dropout=0.2)
    count = sum(weight.numel() for weight in network.parameters())
    assert (found["parameters"]["number"], found["gradients"]["number"]) == (count, 4 * count)
    # Kingma & Ba 2015: two moments a weight; torch adds a step count a tensor
    assert found["optimizer state"]["number"] == 8 * count + 4 * len(list(network.parameters()))
    assert (
        found["epoch"]["value"].find(": 18 batches of training, 2 of validation, ") > 0
    )  # 1149 samples by 64, 288 by 256
    batch, epoch, fit, whole = (found[w]["number"] for w in ("training batch", "epoch", "fit", "crossval"))
    assert 18 * batch < epoch < fit < whole < 600
    assert (
        16 * count < found["memory of a process"]["number"] < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    )
    assert list(work.iterdir()) == []
    assert [path.name for path in temporary.iterdir() if not path.name.startswith("torchinductor")] == []
    # the checkpoint's size is that of the one that a run leaves
    assert main(["fit", "--config", str(CONFIGS / "digits_cnn.yaml"), "--trainer.max_epochs", "1"]) == 0
    written = next(work.rglob("last.ckpt")).stat().st_size
    assert found["checkpoints"]["number"] == pytest.approx(written, rel=0.03)


def test_what_is_kept_for_the_backward_pass_is_what_the_layers_need(doctor: Doctor, work: Path) -> None:
    Path("wide.py").write_text(
        "from torch import nn\n\n\nclass Wide(nn.Sequential):\n    def __init__(self) -> None:\n"
        "        super().__init__(nn.Flatten(), nn.Linear(64, 1000), nn.Tanh(), nn.Linear(1000, 10))\n"
    )
    arguments = (
        "--config",
        CONFIGS / "digits_cnn.yaml",
        "--model.network",
        "wide.Wide",
        "--model.channels_last",
        False,
    )
    _, found = doctor(*arguments, "--data.batch_size", 100, "--trainer.max_epochs", 1)
    # float32 inputs (100, 64), the tanh's results (100, 1000), which two layers share, and log-softmax's (100, 10)
    kept = 4 * 100 * (64 + 1000 + 10)
    assert kept <= found["activations"]["number"] <= kept + 8 * 100 + 1000  # the classes, and some scalars
    assert found["parameters"]["number"] == sum(p.numel() for p in [*nn.Linear(64, 1000).parameters()]) + 10_010


SEALED = """from dataclasses import dataclass

from datamodules.arrays import Arrays
from lightning_base.data import Samples, Source


@dataclass(kw_only=True, eq=False)
class Sealed(Arrays):
    def dataset(self, source: Source) -> Samples:
        if source == "test":
            raise AssertionError("the test samples were read")
        return super().dataset(source)
"""


def test_test_samples_are_not_read(doctor: Doctor, work: Path) -> None:
    Path("sealed.py").write_text(SEALED)
    mine = ("--data", "sealed.Sealed", "--data.source", "digits", "--data.test_size", "null", "--data.split", "null")
    status, found = doctor(*DIGITS, *mine)
    assert status == 0, [finding["value"] for finding in found.values() if finding["status"] == "trouble"]
    assert "epoch" in found


TASKS = {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "train", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
TASKS |= {"SLURM_STEP_ID": "0", "SLURM_NODELIST": "localhost"}
TORCHRUN = {"TORCHELASTIC_RUN_ID": "x", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "localhost"}
LAUNCHES = {
    "as many tasks as devices": (
        TASKS | {"SLURM_NTASKS": "2", "SLURM_NNODES": "1", "SLURM_NTASKS_PER_NODE": "2"},
        "ok",
        r"is 2 × 1 = 2$",
    ),
    "too many tasks": (
        TASKS | {"SLURM_NTASKS": "3", "SLURM_NNODES": "1", "SLURM_NTASKS_PER_NODE": "3"},
        "trouble",
        r"Slurm has 3 processes, .*2 × 1 = 2; start --nodes=1 --ntasks-per-node=2 or give --trainer.devices 3 ",
    ),
    "as many tasks, spread otherwise": (
        TASKS | {"SLURM_NTASKS": "2", "SLURM_NNODES": "2", "SLURM_NTASKS_PER_NODE": "1"},
        "trouble",
        r"Slurm has 2 nodes, 1 processes on this node, .*2 × 1 = 2; start --nodes=1 --ntasks-per-node=2 ",
    ),
    "too many processes of torchrun": (
        TORCHRUN | {"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "4"},
        "trouble",
        r"torchrun has 4 processes, .*; start torchrun --nnodes 1 --nproc-per-node 2 or give --trainer.devices 4 ",
    ),
}


@pytest.mark.parametrize("case", LAUNCHES)
def test_the_launchers_processes_must_be_devices_times_nodes(
    case: str, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment, status, says = LAUNCHES[case]
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    _, found = doctor(*DIGITS, "--trainer.devices", 2, "--trainer.strategy", "ddp")
    launch = found["launch"]
    assert launch["status"] == status
    assert re.search(says, launch["value"] + (f"; {launch['mend']}" if launch["mend"] else ""))
    assert found["activations"]["value"].endswith("for 32 samples")  # a process' share of 64
    assert found["epoch"]["value"].find(": 18 batches of training, 2 of validation, ") > 0
    assert {key: os.environ[key] for key in environment} == environment


def test_an_allocation_without_srun_or_tasks_a_node_is_told(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    job = {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "x", "SLURM_NTASKS": "2", "SLURM_NNODES": "2"}
    for key, value in (job | {"SLURM_NODELIST": "no-such-host-[1-2]"}).items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr(socket, "gethostname", lambda: "no-such-host-1")
    status = main(["doctor", "--json", "out.json"])
    found = [f for f in read_json(Path("out.json"))["findings"] if f["area"] == "launch"]
    assert status == 1
    assert [(f["what"], f["status"]) for f in found] == [
        ("slurm", "warning"),  # srun did not start this process
        ("slurm", "trouble"),  # --ntasks-per-node is missing
        ("first node", "trouble"),
        ("this host", "warning"),
    ]
    assert [first_host(n) for n in ("a", "a1,b", "n[03-5,9],m", "gpu-[7]")] == ["a", "a1", "n03", "gpu-7"]


TROUBLES = {
    "a batch that cannot be divided": (
        ("--trainer.devices", 2, "--trainer.strategy", "ddp", "--data.batch_size", 63),
        "data.batch_size: 63 .* cannot be divided among 2; give 62 or 64",
    ),
    "a network that does not fit": (("--model.network.in_channels", 3), "model.network: CNN does not fit the data"),
    "a folder that cannot be made": (("--trainer.default_root_dir", "file/runs"), "^file/runs: .*file is a file"),
}


@pytest.mark.parametrize("case", TROUBLES)
def test_what_does_not_fit_is_one_line_and_status_1(case: str, doctor: Doctor, work: Path) -> None:
    arguments, says = TROUBLES[case]
    Path("file").touch()
    status, found = doctor(*DIGITS, *arguments)
    troubles = [finding["value"] for finding in found.values() if finding["status"] == "trouble"]
    assert status == 1
    assert len(troubles) == 1
    assert re.search(says, troubles[0]), troubles


def test_memory_and_disk_that_do_not_suffice_are_trouble(
    doctor: Doctor, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("every.yaml").write_text(
        "trainer:\n  max_epochs: 1000000000\n  callbacks:\n"
        "  - class_path: lightning.pytorch.callbacks.ModelCheckpoint\n    init_args: {save_top_k: -1}\n"
    )
    monkeypatch.setattr("lightning_base.doctor.fit.memory", lambda: (10**8, 10**7))
    status, found = doctor(*DIGITS, "--config", "every.yaml")
    assert status == 1
    assert {name for name, f in found.items() if f["status"] == "trouble"} == {"memory of a process", "checkpoints"}
    assert "100 MB" in found["memory of a process"]["value"]
    assert "make room" in found["checkpoints"]["mend"]


def test_another_precision_than_asked_for_is_told(doctor: Doctor) -> None:
    status, found = doctor(*DIGITS, "--trainer.accelerator", "cpu", "--trainer.precision", "16-mixed")
    assert (status, found["precision"]["status"]) == (0, "warning")
    assert "warning" not in found
    assert found["precision"]["value"] == "bf16-mixed in place of 16-mixed"


@pytest.mark.skipif(torch.cuda.is_available(), reason="for machines without a GPU")
def test_where_the_accelerator_is_not_here_the_rest_is_still_looked_at(doctor: Doctor) -> None:
    status, found = doctor(*DIGITS, "--trainer.accelerator", "gpu", "--trainer.devices", 4)
    assert status == 1
    assert found["devices"]["value"].startswith("trainer: ")
    assert found["activations"]["value"].endswith("for 16 samples")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--nodes"], "torchrun --nproc-per-node 2 -m lightning_base doctor --nodes"),
        (["--nodes", "--config", "x.yaml"], "leave --config out"),
        (["--node"], "did you mean '--nodes'"),
        (["--json", "nowhere/x.json"], "--json: nowhere/x.json"),
    ],
)
def test_a_mistake_in_the_options_is_one_line(
    arguments: list[str], says: str, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(capsys, ["doctor", *arguments], says)


@pytest.mark.slow
def test_processes_of_torchrun_sum_right_and_say_how_fast(preloaded: None, work: Path) -> None:
    command = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=29561", "-m", "lightning_base"]
    done = subprocess.run(
        [sys.executable, *command, "doctor", "--nodes", "--json", "out.json"],
        env=environment(OMP_NUM_THREADS="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = {f["what"]: f for f in read_json(Path("out.json"))["findings"]}
    assert found["processes"]["number"] == 2
    assert all(found[f"process {rank}"]["value"].startswith(socket.gethostname()) for rank in (0, 1))
    assert found["all-reduce"]["status"] == "ok"
    assert 0 < found["latency"]["number"] < 1
    large = found["bandwidth, 16.8 MB"]  # bytes a second: between two processes each link carries the size once
    assert large["number"] > 10**6
    assert done.stdout.count("all-reduce: the sum") == 1  # the first alone prints


def test_batch_sizes_are_measured_and_the_smallest_of_the_fastest_is_told_but_not_set(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightning_base.doctor.trial.SECONDS", 0.2)
    status, found = doctor("--config", CONFIGS / "breast_cancer_mlp.yaml", "--batch_sizes")
    assert status == 0
    rates = {int(what.split()[0]): one["number"] for what, one in found.items() if what.endswith(" samples")}
    assert sorted(rates) == [16 * 2**i for i in range(len(rates))]
    assert max(rates) <= 364 < 2 * 256
    chosen = found["result"]["number"]
    assert chosen == min(size for size, rate in rates.items() if 1.05 * rate >= max(rates.values()))
    assert f"data.batch_size: {chosen}" in found["result"]["value"]
    assert not Path("runs").exists()


def test_batch_sizes_of_nothing_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, ["doctor", "--batch_sizes"], "--batch_sizes", "--config FILE.yaml")
