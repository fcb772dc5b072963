"""What a start from a part of the teacher is worth, by the fair trial.

    python scripts/benchmark_init.py FOLDER_OF_DATA [--only NAME ...]

Each table is tried with all labels, and with a tenth at the student's site and all at the
teacher's; images and series with the tenth alone. Nothing is tuned, so that arms differ in the
start alone. Trials lie in `outputs/benchmark`; a killed run goes on with what is missing. Prints
the table of docs/benchmarks.md: of each loss test log loss from scratch, and the paired difference
to it from units that are chosen at random, evenly spaced or by their norm; after it the epochs to
the best validation log loss.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark_trials import FOLDER, LABELS, TABLES, settings
from meddistill.evaluation.resampling import differences, estimate
from meddistill.files.atomic import read_json, write_atomically

CHOICES = ("random", "uniform", "largest")
SCRATCH = {"ce": "student_alone", "kd": "distilled"}
STARTED = {"ce": "subset", "kd": "subset_distilled"}
SMALL = ("teacher=mlp", "student=mlp_small", "trial.repeats=5")
PATIENCE = 20
FEW = ("trial.repeats=3", "trainer.max_epochs=30", "trial.few_labels=null", "data.labels=0.1",
       "teacher.labels=1")  # fmt: skip
KINDS = {
    "deep": (*SMALL, "student.depth=2"),
    "flat": (*SMALL,),
    "pneumonia": (
        "data=pneumonia", "teacher=resnet_image", "view@teacher.view=none",
        "teacher.network._target_=meddistill.models.cnn.CNN", "teacher.network.width=32",
        "teacher.network.depth=3", "~teacher.network.stages",
        "student=cnn_small", *FEW,
    ),
    "icu_mortality_48h": ("data=icu_mortality_48h", "teacher=gru", "student=gru_small", *FEW),
}  # fmt: skip
"""Settings of each kind of rows; tables have a student of two hidden layers and one of one, images
and series few labels alone, since their students take minutes."""
FILES = {"pneumonia": "pneumoniamnist_28.npz", "icu_mortality_48h": "physionet2012_icu_48h.npz"}
HEAD = ("data", "student", "labels", "loss", "scratch", *CHOICES)


def arms() -> Iterator[tuple[str, str, str]]:
    """Each student's arm, loss and start."""
    for loss, arm in SCRATCH.items():
        yield arm, loss, "scratch"
        yield from ((f"{STARTED[loss]}_{choice}", loss, choice) for choice in CHOICES)


def write_arms() -> Path:
    """The shipped arms with each choice of units, as arms of one's own."""
    conf = FOLDER / "init_conf"
    for loss, shipped in STARTED.items():
        own = "{_target_: meddistill.losses.ce.CE}" if loss == "ce" else "${loss}"
        for choice in CHOICES:
            name = f"{shipped}_{choice}"
            text = (
                f"# @package arms.{name}\ndefaults:\n  - /init@init: subset\n  - _self_\n"
                "_target_: meddistill.trial.arms.StudentArm\n"
                f"label: {loss}, {choice}\nloss: {own}\ninit: {{choose: {choice}}}\n"
                "tune: {optimizer.weight_decay: null}\n"
            )
            write_atomically(conf / "arm" / f"{name}.yaml", text)
    return conf


def trial(name: str, kind: str, data: Path) -> Path:
    """The folder of a finished trial of a data set with one kind of student."""
    folder = FOLDER / f"{name}-init-{kind}"
    own = [f"data.path={data / FILES[name]}"] if name in FILES else settings(name, data)
    every = ",".join(["teacher", *(arm for arm, _, _ in arms())])
    command = [
        sys.executable, "-m", "meddistill", "trial", "--config-dir", str(write_arms().resolve()),
        *KINDS[kind], *own, "trial.seeds=1", f"patience={PATIENCE}", f"arm=[{every}]",
        "arms.student_alone.tune={optimizer.weight_decay:null}",
        "arms.distilled.tune={loss.temperature:null,loss.alpha:null,optimizer.weight_decay:null}",
        f"hydra.run.dir={folder}",
    ]  # fmt: skip
    print(" ".join(command[2:]), file=sys.stderr, flush=True)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return folder


def lines(name: str, kind: str, folder: Path) -> Iterator[list[str]]:
    """A line for each setting and loss: log loss from scratch, each start's difference to it."""
    found = read_json(folder / "results.json")
    tests = pd.read_csv(folder / "results.csv").set_index(["setting", "arm", "split"]).sort_index()
    tries = pd.read_csv(folder / "tries.csv").set_index(["setting", "arm"]).sort_index()
    most = found["trial"]["max_epochs"]
    for number, labels in enumerate(LABELS[-len(found["settings"]) :]):
        ratio = found["settings"][number]["ratio"]
        for loss, arm in SCRATCH.items():
            scratch = tests.loc[(number, arm), "log_loss"].to_numpy()
            cells = [f"{scratch.mean():.4f}, {epochs(tries.loc[(number, arm), 'epochs'], most)}"]
            for choice in CHOICES:
                own = number, f"{STARTED[loss]}_{choice}"
                gain = differences(tests.loc[own, "log_loss"].to_numpy(), scratch)
                trained = epochs(tries.loc[own, "epochs"], most)
                cells.append(f"{difference(gain, ratio)}, {trained}")
            yield [name, kind, labels, loss, *cells]


def epochs(trained: pd.Series[int], most: int) -> str:
    """Mean number to the best validation log loss; with > where a training was cut short."""
    best = trained.where(trained >= most, trained - PATIENCE).mean()
    return f"{'>' if (trained >= most).any() else ''}{best:.0f}"


def difference(values: np.ndarray, ratio: float) -> str:
    """A paired difference with its corrected interval; in bold where 0 is not in it."""
    own = estimate(values, ratio)
    text = f"{own.mean:+.4f} ({own.low:+.4f} to {own.high:+.4f})"
    return f"**{text}**" if own.low > 0 or own.high < 0 else text


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the files named in TABLES and FILES")
    parser.add_argument("--only", nargs="*", default=["breast_cancer", *TABLES, *FILES])
    given = parser.parse_args()
    print("| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD), sep="\n")
    for name in given.only:
        for kind in [name] if name in FILES else ["deep", "flat"]:
            for line in lines(name, kind, trial(name, kind, given.data)):
                print("| " + " | ".join(line) + " |", flush=True)


if __name__ == "__main__":
    main()
