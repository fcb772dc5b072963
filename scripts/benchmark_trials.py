"""The fair trial over public data: teachers with plain kd, then losses with one teacher.

    python scripts/benchmark_trials.py FOLDER_OF_TABLES [--only NAME ...] [--parts PART ...]

Each data set is tried with all labels, and with a tenth at the student's site and all at the
teacher's. Trials lie in `outputs/benchmark`; a killed run goes on with what is missing. Prints the
tables of docs/benchmarks.md: differences by teacher, with and without synthetic rows, and what the
student keeps; by loss of answers; with `--parts features`, whose students are trained one by one,
by loss of features (on the large tables with fewer tries an arm, the same number for every arm).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from meddistill.files.atomic import read_json, write_atomically

FOLDER = Path("outputs/benchmark")
TABLES = {
    "thyroid": ("thyroid0387_multiclass.csv", "data.drop=[diagnosis_code]"),
    "cardiotocography": ("cardiotocography.csv", "data.group=recording"),
    "hcv": ("hcv.csv",),
    "arrhythmia": ("arrhythmia.csv",),
    "heart_uci": ("heart_uci_4sites.csv", "data.drop=[severity_num,site]"),
}
TEACHERS = ("mlp_ensemble", "resnet", "ft_transformer", "self", "forest", "boosting", "several")
LABELS = ("all", "a tenth")
"""The two settings of a trial, in their order."""
STUDENT = ("student.width=16", "trial.seeds=1")
KD_ARMS = ("teacher", "student_alone", "distilled")
MUNGE = "munge"
OF_TWO = ("logit_mse", "margin", "ranking", "kd_trusted")
OF_MANY = ("dkd", "dist", "nkd", "logit_standardization")
FEATURES = ("fitnets", "similarity", "crd", "subclass", "combined", "rkd")
LARGE = {"cardiotocography": FEATURES, "thyroid": FEATURES[:-1]}
"""Tables with three tries an arm, and their losses; rkd would take longest on thyroid."""
FEWEST = 10
"""Rows of a class; arrhythmia's rarer ones are left out."""


def settings(name: str, tables: Path) -> list[str]:
    """The data's part of a command."""
    if name == "breast_cancer":
        return ["data=breast_cancer"]
    file, *more = TABLES[name]
    path = tables / file
    if name == "arrhythmia":
        path = without_rare_classes(path)
    return ["data=table", f"data.path={path}", "data.target=target", *more]


def without_rare_classes(path: Path) -> Path:
    """A copy of a table without classes of fewer than `FEWEST` rows."""
    frame = pd.read_csv(path)
    kept = frame[frame.groupby("target")["target"].transform("size") >= FEWEST]
    copy = FOLDER / path.name
    write_atomically(copy, kept.to_csv(index=False))
    return copy


def run(
    name: str,
    what: str,
    given: argparse.Namespace,
    teacher: str,
    arms: Iterable[str],
    more: Iterable[str] = (),
) -> dict[str, Any] | None:
    """A trial's results; None where it could not be made, which is said."""
    folder = FOLDER / f"{name}-{what}"
    command = [sys.executable, "-m", "meddistill", "trial", *settings(name, given.tables), *STUDENT,
               f"trial.repeats={given.repeats}", f"teacher={teacher}", f"arm=[{','.join(arms)}]",
               *more, f"hydra.run.dir={folder}"]  # fmt: skip
    print(" ".join(command[2:]), file=sys.stderr, flush=True)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr, flush=True)
        return None
    return dict(read_json(folder / "results.json"))


def lines(
    name: str, found: Mapping[str, Any], arms: Iterable[tuple[str, Iterable[str]]]
) -> list[list[str]]:
    """A line for each setting and each of `arms`: a label, and the arms that stand in it."""
    rows = []
    for labels, setting in zip(LABELS, found["settings"], strict=True):
        alone, teacher = (setting["arms"][arm]["measures"] for arm in ("student_alone", "teacher"))
        for label, own in arms:
            cells = [
                difference(setting["differences"][arm][measure])
                for arm in own
                for measure in ("auroc", "log_loss")
            ]
            rows.append([name, labels, label, mean(teacher), mean(alone), *cells])
    return rows


def one_each(arms: Iterable[str]) -> list[tuple[str, list[str]]]:
    """A line an arm; plain kd is the arm `distilled`."""
    return [("kd" if arm == "distilled" else arm, [arm]) for arm in arms]


def kept(name: str, what: str, found: Mapping[str, Any]) -> list[list[str]]:
    """What students keep of the teacher's AUROC above 0.5, and at what latency."""
    costs, rows = found["trial"]["costs"], []
    faster = [costs[arm].get("prepared_row_ms") for arm in ("teacher", "distilled")]
    times = f"{faster[0] / faster[1]:.0f}" if all(faster) else "-"
    for labels, setting in zip(LABELS, found["settings"], strict=True):
        above = {
            arm: setting["arms"][arm]["measures"]["auroc"]["mean"] - 0.5
            for arm in ("teacher", "distilled", MUNGE, "student_alone")
        }
        shares = [f"{above[arm] / above['teacher']:.1%}" for arm in list(above)[1:]]
        rows.append([name, labels, what, *shares, times])
    return rows


def mean(measures: Mapping[str, Any]) -> str:
    """AUROC and log loss of a model."""
    return f"{measures['auroc']['mean']:.4f} / {measures['log_loss']['mean']:.3f}"


def difference(own: Mapping[str, Any]) -> str:
    """A paired difference with its interval; in bold where it is a verdict."""
    text = f"{own['mean']:+.3f} ({own['low']:+.3f} to {own['high']:+.3f})"
    return f"**{text} {own['word']}**" if own["word"] in ("BETTER", "WORSE") else text


DIFFERENCES = ("teacher", "alone", "AUROC", "log loss")
KEPT = ("distilled student keeps", "with synthetic rows", "student alone has", "times faster")


def table(what: str, columns: Iterable[str], rows: list[list[str]]) -> str:
    """As Markdown."""
    head = ["data", "labels", what, *columns]
    every = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in every)


def of_teachers(name: str, given: argparse.Namespace) -> dict[str, list[list[str]]]:
    """Every teacher with plain kd, with and without synthetic rows."""
    rows: dict[str, list[list[str]]] = {"teachers": [], "shares": []}
    for teacher in TEACHERS:
        found = run(name, teacher, given, teacher, (*KD_ARMS, MUNGE))
        if found:
            rows["teachers"] += lines(name, found, [(teacher, ["distilled", MUNGE])])
            rows["shares"] += kept(name, teacher, found)
    return rows


def of_losses(name: str, given: argparse.Namespace) -> dict[str, list[list[str]]]:
    """Every loss of answers with one teacher."""
    arms = (*KD_ARMS, *OF_TWO, *(OF_MANY if has_many_classes(name, given.tables) else ()))
    found = run(name, "losses", given, given.teacher, arms)
    return {"losses": lines(name, found, one_each(arms[2:])) if found else []}


def of_features(name: str, given: argparse.Namespace) -> dict[str, list[list[str]]]:
    """Every loss of features with a network as teacher."""
    arms = (*KD_ARMS, *LARGE.get(name, FEATURES))
    found = run(name, "features", given, "mlp", arms, few_tries(arms) if name in LARGE else ())
    return {"features": lines(name, found, one_each(arms[2:])) if found else []}


def few_tries(arms: Iterable[str]) -> list[str]:
    """Three tries for every student, over its weight decay alone."""
    fixed = {
        "student_alone": "",
        "distilled": "loss.temperature:[2.0],loss.alpha:[0.5],",
        "combined": "loss.weights.similarity:[1.0],loss.losses.kd.alpha:[0.5],",
    }
    return [
        f"arms.{arm}.tune={{{fixed.get(arm, 'loss.weight:[1.0],')}"
        "optimizer.weight_decay:[0.0,1.0e-2,0.1]}"
        for arm in arms if arm != "teacher"
    ]  # fmt: skip


def has_many_classes(name: str, tables: Path) -> bool:
    """Whether there are three classes or more."""
    return name in TABLES and pd.read_csv(tables / TABLES[name][0])["target"].nunique() > 2


PARTS = {"teachers": of_teachers, "losses": of_losses, "features": of_features}
HEADS = {
    "teachers": ("teacher, plain kd", (*DIFFERENCES, "AUROC, synthetic", "log loss, synthetic")),
    "shares": ("teacher", KEPT),
    "losses": ("loss", DIFFERENCES),
    "features": ("loss", DIFFERENCES),
}


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tables", type=Path, help="folder of the CSV files named in TABLES")
    parser.add_argument("--only", nargs="*", default=["breast_cancer", *TABLES])
    parser.add_argument("--parts", nargs="*", default=["teachers", "losses"], choices=PARTS)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--teacher", default="forest", help="of the losses of answers")
    given = parser.parse_args()
    rows: dict[str, list[list[str]]] = {}
    for name in given.only:
        for part in given.parts:
            for head, found in PARTS[part](name, given).items():
                rows.setdefault(head, []).extend(found)
    for head, found in rows.items():
        print(table(*HEADS[head], found), end="\n\n")


if __name__ == "__main__":
    main()
