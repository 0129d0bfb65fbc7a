"""An exported model served by us, by a plain FastAPI handler that answers one by one, and by LitServe in batches.

python benchmarks/serving.py [EXPORT [SECONDS [ROUNDS]]]    (by default 5 s and 3; pip install litserve)

All three read inputs and run the graph with the export's own runtime, so that what differs is the server. They run at
once, idle but for the one that is asked; rounds are interleaved, and medians of answers a second and of p50 and p99 are
shown, with ratios to ours, and beside them the bare model in a loop. Clients are those of `lightning-base bench`, in a
process of their own; each answer is held against the export's example, and a wrong one ends the benchmark.

Without EXPORT, configs/cifar10_fast.yaml is trained for one epoch on ../shared/data/cifar10.tar.gz, and exported.
"""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from lightning_base.serving.bench.ask import ask
from lightning_base.serving.bench.inputs import Inputs, examples
from lightning_base.serving.bench.jobs import BareJob, Job
from lightning_base.serving.bench.latency import latency
from lightning_base.serving.bench.processes import LOCAL, end, free_port, run_bare, run_load
from lightning_base.serving.bench.wire import Address

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("LIGHTNING_BASE_SHARED", ROOT.parent / "shared")) / "data" / "cifar10.tar.gz"
CLIENTS, BATCH, WAIT = (1, 8, 64), 64, 0.002  # inputs of a batch and seconds of waiting: serve's defaults, for all
OURS, PLAIN, LITSERVE = "lightning-base serve", "FastAPI, one by one", "LitServe, in batches"

FASTAPI = """
import sys
from pathlib import Path
import uvicorn
from fastapi import Body, FastAPI
from lightning_base.runtime.model import load

model, app = load(Path(sys.argv[1])), FastAPI()

@app.post("/predict")
def predict(given: dict = Body()) -> dict:
    return model.run([model.read(given)])[0]

uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), access_log=False)
"""

LIT = f"""
import sys
from pathlib import Path
import litserve
from lightning_base.runtime.model import load

class Export(litserve.LitAPI):
    def setup(self, device):
        self.model = load(Path(sys.argv[1]))

    def decode_request(self, request):
        return self.model.read(request)

    def batch(self, inputs):
        return inputs

    def predict(self, inputs):
        return self.model.run(inputs)

    def unbatch(self, output):
        return output

    def encode_response(self, output):
        return output

if __name__ == "__main__":
    server = litserve.LitServer(Export(max_batch_size={BATCH}, batch_timeout={WAIT}), accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, access_log=False)
"""


@contextmanager
def server(words: Sequence[str], port: int, body: str, log: Path) -> Iterator[Address]:
    """A server in a process of its own, from its first answer on."""
    with log.open("wb") as said:
        process = subprocess.Popen(words, stdout=said, stderr=said)
    address, until = Address(LOCAL, port), time.monotonic() + 60
    try:
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            try:
                if ask(address, "/predict", body)[0] == 200:
                    break
            except OSError:
                pass
            time.sleep(0.1)
        yield address
    finally:
        end(process)


@contextmanager
def all_three(folder: Path, body: str) -> Iterator[dict[str, Address]]:
    """The three servers."""
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        here = Path(place)
        (here / "plain.py").write_text(FASTAPI)
        (here / "lit.py").write_text(LIT)
        serve = ["-m", "lightning_base", "serve", str(folder), "--max-batch", str(BATCH)]
        found = {}
        for name, words in ((OURS, serve), (PLAIN, [str(here / "plain.py")]), (LITSERVE, [str(here / "lit.py")])):
            port = free_port()
            rest = ["--port", str(port)] if name == OURS else [str(folder), str(port)]
            command = [sys.executable, *words, *rest]
            found[name] = stack.enter_context(server(command, port, body, here / f"{len(found)}.log"))
        yield found


def once(address: Address, given: Inputs, clients: int, seconds: float) -> tuple[float, float, float]:
    """Answers a second, p50 and p99 in milliseconds."""
    bodies = tuple(json.dumps(one) for one in given.inputs)
    where = (address.host, address.port, address.tls, "/predict")
    seen = run_load(Job(*where, bodies, given.answers, {}, clients, 1.0, seconds))
    assert not seen.wrong, seen.first_wrong
    assert not seen.errors, seen.errors
    found = latency(seen.times)
    return seen.finished / seconds, found.p50 or 0.0, found.p99 or float("nan")


def trained(place: Path) -> Path:
    """An exported network, after one epoch."""
    with tarfile.open(DATA) as archive:
        archive.extractall(place / "data", filter="data")
    (root,) = {path.parent.parent for path in (place / "data").glob("**/train/*")}
    config = str(ROOT / "configs" / "cifar10_fast.yaml")
    few = ["--trainer.max_epochs", "1", "--trainer.check_val_every_n_epoch", "1", "--data.root", str(root)]
    command = [sys.executable, "-m", "lightning_base"]
    subprocess.run([*command, "fit", "--config", config, *few], cwd=place, check=True, stdout=subprocess.DEVNULL)
    run = "runs/cifar10_fast/fit/version_0"
    subprocess.run([*command, "export", run, "--out", "export"], cwd=place, check=True, stdout=subprocess.DEVNULL)
    return place / "export"


def main(export: str | None = None, seconds: float = 5.0, rounds: int = 3) -> None:
    """Prints the medians over interleaved rounds, and their ratios."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(export) if export else trained(Path(place))
        given = examples(folder)
        taken: dict[tuple[str, int], list[tuple[float, float, float]]] = {}
        batched: list[float] = []
        with all_three(folder, json.dumps(given.inputs[0])) as servers:
            for _ in range(rounds):
                bare, _ = run_bare(BareJob(str(folder), (1, BATCH), 1.0, seconds))
                batched.append(max(s.batch * len(s.answering) / sum(s.answering) for s in bare.steps))
                for clients in CLIENTS:
                    for name, address in servers.items():
                        taken.setdefault((name, clients), []).append(once(address, given, clients, seconds))
    print(f"{len(os.sched_getaffinity(0))} cores, {rounds} rounds of {seconds:g} s, {len(given.inputs)} inputs")
    print(f"the bare model, batches of 1 or {BATCH}: {median(batched):,.0f} answers a second")
    print(f"{'':<24}{'clients':>8}{'answers/s':>11}{'p50 ms':>9}{'p99 ms':>9}{'ours to it':>12}")
    for clients in CLIENTS:
        ours = median(one[0] for one in taken[OURS, clients])
        for name in (OURS, PLAIN, LITSERVE):
            rate, p50, p99 = (median(values) for values in zip(*taken[name, clients], strict=True))
            print(f"{name:<24}{clients:>8}{rate:>11,.0f}{p50:>9.2f}{p99:>9.2f}{ours / rate:>11.2f}×")


if __name__ == "__main__":
    main(*sys.argv[1:2], *(kind(word) for kind, word in zip((float, int), sys.argv[2:4], strict=False)))
