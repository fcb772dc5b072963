"""Kill runs at random moments, repeat their command, compare with the undisturbed run.

    python scripts/kill_and_resume.py --kills 50

Half of the kills hit a single run (with the training of its teacher), half a job of many students;
half are SIGTERM, half SIGKILL. The state is saved after every epoch, so that many of the kills
fall near a save, and two in five wait for one. What a resumed run leaves must be bit for bit what
the undisturbed one left.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

TEACHER = ("teacher.network.width=32", "teacher.trainer.max_epochs=60", "teacher.patience=60")
BUDGET = ("trainer.max_epochs=150", "patience=150", "save_seconds=0", "student.dropout=0.1")
KINDS = {
    "run": (*TEACHER, *BUDGET),
    "stack": (
        *TEACHER,
        *BUDGET,
        "stack.axes=['seed=range(0,20)','loss.alpha=0.5,1']",
        "stack.chunk=10",
    ),
}
SIGNALS = (signal.SIGTERM, signal.SIGKILL)
RESULTS = ("best.ckpt", "predictions.parquet", "members.zip", "metrics.csv")


@dataclass(frozen=True)
class Kill:
    """What became of one kill.

    Attributes:
        kind: What was killed.
        number: The signal.
        code: Exit code of the killed process; 0 where it was finished before.
        saving: Whether a file was being written.
        same: Whether the resumed run left what the undisturbed one did, and nothing half-written.
    """

    kind: str
    number: signal.Signals
    code: int
    saving: bool
    same: bool


def start(kind: str, folder: Path) -> subprocess.Popen[bytes]:
    """The run in a folder of its own, with a store of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "meddistill", "distill", *KINDS[kind], "hydra.run.dir=run"]
    environment = {**os.environ, "MEDDISTILL_STORE": str(folder / "store"), "OMP_NUM_THREADS": "1"}
    with (folder / "output.txt").open("ab") as output:
        return subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )


def left(folder: Path) -> dict[str, str]:
    """Hashes of the results of a finished run."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.name in RESULTS and "logs" not in path.parts:
            found[str(path.relative_to(folder))] = hashlib.sha256(_content(path)).hexdigest()
    return found


def _content(path: Path) -> bytes:
    """What a file holds, without times."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return b"".join(name.encode() + archive.read(name) for name in archive.namelist())
    if path.suffix == ".csv":
        return pd.read_csv(path).drop(columns="seconds").to_csv().encode()
    return path.read_bytes()


def kill(
    kind: str,
    number: signal.Signals,
    folder: Path,
    after: float,
    aimed: bool,
    whole: dict[str, str],
) -> Kill:
    """Start, kill, repeat the command to its end, compare."""
    process = start(kind, folder)
    time.sleep(after)
    if aimed:
        _wait_for_a_save(process, folder)
    process.send_signal(number)
    code = process.wait()
    saving = bool(_half_written(folder))
    again, found = start(kind, folder).wait(), left(folder)
    same = again == 0 and found == whole and not _half_written(folder)
    if not same:
        _say_why(folder, again, found, whole)
    return Kill(kind, number, code, saving, same)


def _say_why(folder: Path, code: int, found: dict[str, str], whole: dict[str, str]) -> None:
    """What the resumed run printed last, and which of its files are others."""
    lines = (folder / "output.txt").read_text(errors="replace").splitlines()
    print(*lines[-30:], sep="\n", file=sys.stderr)
    differing = sorted(name for name in whole if found.get(name) != whole[name])
    print(f"exit code {code}; other than undisturbed: {differing}", file=sys.stderr)
    print(f"half-written: {_half_written(folder)}", file=sys.stderr)


def _half_written(folder: Path) -> list[Path]:
    """Files that a write had not renamed yet."""
    return [path for path in folder.rglob(".*.*") if path.suffix != ".lock"]


def _wait_for_a_save(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Until the training state is being written, or the run is over."""
    while process.poll() is None and not _is_saving(folder):
        pass


def _is_saving(folder: Path) -> bool:
    """Whether the training state is half-written; folders may vanish meanwhile."""
    files = (name for _, _, names in os.walk(folder) for name in names)
    return any(name.startswith(".last.ckpt.") for name in files)


def main() -> None:
    """Kill so many, print a table, and fail where a resume differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    chance = random.Random(given.seed)
    kills = []
    with tempfile.TemporaryDirectory() as name:
        whole, seconds = {}, {}
        for kind in KINDS:
            started = time.perf_counter()
            if start(kind, Path(name) / kind).wait():
                sys.exit((Path(name) / kind / "output.txt").read_text())
            whole[kind], seconds[kind] = left(Path(name) / kind), time.perf_counter() - started
        for count in range(given.kills):
            kind, number = list(KINDS)[count % 2], SIGNALS[count // 2 % 2]
            folder, after = Path(name) / str(count), chance.uniform(0.2, 1.0) * seconds[kind]
            aimed = count % 5 >= 3  # at a save
            kills.append(kill(kind, number, folder, after, aimed, whole[kind]))
            print(f"{count + 1}: {kills[-1]}", file=sys.stderr, flush=True)
    sys.exit(report(kills))


def report(kills: list[Kill]) -> int:
    """Print the table; the exit code."""
    print("| killed | by | kills | finished before | inside a write | the same in the end |")
    print("|---|---|---|---|---|---|")
    for kind, number in sorted(Counter((k.kind, k.number) for k in kills)):
        own = [k for k in kills if (k.kind, k.number) == (kind, number)]
        cells = [len(own), sum(k.code == 0 for k in own), sum(k.saving for k in own),
                 sum(k.same for k in own)]  # fmt: skip
        print(f"| {kind} | {number.name} | " + " | ".join(map(str, cells)) + " |")
    return 0 if all(k.same for k in kills) else 1


if __name__ == "__main__":
    main()
