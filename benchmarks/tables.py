"""Tables: how long a CSV takes to read, beside pandas: python benchmarks/tables.py [ROUNDS]    (by default 3)

Two files of random numbers are written to a temporary folder: 20,000 rows and a million, 20 columns each. Each reader
is a process of its own, the rounds are interleaved, and medians are shown, in seconds of the clock and of the
processors, with the most memory that the process held. Ours also tells what each column is, hashes each row, and keeps
the lines of faulty records; pandas gives an array.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

SHAPES = {"20,000 × 20": 20_000, "1,000,000 × 20": 1_000_000}
READERS = ("ours", "pandas", "import of ours", "import of pandas")


def read(reader: str, path: str) -> None:
    """One reading, in this process: prints seconds by the clock, of the processors, and the most memory in MB."""
    if "ours" in reader:
        from lightning_base.sources.columns import Layout
        from lightning_base.sources.form import Format
        from lightning_base.sources.records import Records
        from lightning_base.sources.tables import read_records
    clock, processors = time.perf_counter(), time.process_time()
    if reader == "ours":
        form = Format(Path(path))
        rows = len(read_records(Layout(form), Records(form)))
    elif reader == "pandas":
        rows = len(pd.read_csv(path).to_numpy())
    else:
        rows = 0
    seconds = time.perf_counter() - clock, time.process_time() - processors
    print(*seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000, rows)


def measure(reader: str, path: str) -> tuple[float, ...]:
    """What a process of its own prints."""
    command = [sys.executable, __file__, "--read", reader, path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return tuple(map(float, done.stdout.split()))


def main(rounds: int) -> None:
    """Writes the files, and times the readers in turn."""
    print(f"{'':18}{'':18}{'seconds':>10}{'of processors':>15}{'most memory, MB':>17}")
    with tempfile.TemporaryDirectory() as folder:
        for shape, rows in SHAPES.items():
            path = str(Path(folder) / "table.csv")
            pd.DataFrame(np.random.default_rng(0).normal(size=(rows, 20)).round(6)).to_csv(path, index=False)
            found = {reader: [] for reader in READERS}
            for _ in range(rounds):
                for reader in READERS:
                    found[reader].append(measure(reader, path))
            middle = {reader: [median(one) for one in zip(*runs, strict=True)] for reader, runs in found.items()}
            for reader, (clock, processors, memory, _) in middle.items():
                print(f"{shape:18}{reader:18}{clock:10.2f}{processors:15.2f}{memory:17.0f}")
            ratio = middle["ours"][0] / middle["pandas"][0]
            print(f"{shape:18}ours / pandas: {ratio:.2f} (of processors {middle['ours'][1] / middle['pandas'][1]:.2f})")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        read(*sys.argv[2:])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
