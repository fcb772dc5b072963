"""A killed out-of-fold fit goes on with the folds that are missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from frames import with_frame
from meddistill.teachers.estimator import EstimatorTeacher
from meddistill.teachers.finished_folds import ANSWERS, FOLDS
from meddistill.teachers.forest import ForestTeacher
from meddistill.teachers.targets import find_targets

FOLDS_AND_WHOLE = 6
FILES = [
    "answers.parquet", "cost.json", "estimator.skops", "known_rows.json", "manifest.json",
    "model.json", "out_of_fold.parquet", "preprocessing.json",
]  # fmt: skip


def teacher(**changes):
    return ForestTeacher(**{"trees": 3, "out_of_fold": True, "calibrate": "temperature", **changes})


@pytest.fixture
def fits(monkeypatch):
    """The rows of every fit that came to its end; that of number `kill_at` is interrupted."""

    class Fits(list):
        kill_at = None

    done, original = Fits(), EstimatorTeacher.fit_rows

    def watch(self, data, rows):
        if len(done) == done.kill_at:
            raise KeyboardInterrupt
        made = original(self, data, rows)
        done.append(rows)
        return made

    monkeypatch.setattr(EstimatorTeacher, "fit_rows", watch)
    return done


def killed(fits, number, work, *given):
    """Do `work` with its fit `number`, counted from 0, interrupted; forget the fits before."""
    fits.kill_at = number
    with pytest.raises(KeyboardInterrupt):
        work(*given)
    fits.kill_at = None
    assert len(fits) == number
    fits.clear()


def files(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def fitted(made, cohort, split, folder):
    folder.mkdir(exist_ok=True)
    made.fit(cohort, split, folder, {})
    return made.answers(cohort, folder)


@pytest.mark.parametrize("number", [0, 2, 4, 5])
def test_a_repeat_fits_what_was_missing_and_ends_as_the_undisturbed_fit(
    number, cohort, split, tmp_path, fits, caplog
):
    whole = find_targets(teacher(), cohort, split, tmp_path / "whole", {})
    fits.clear()
    given = (teacher(), cohort, split, tmp_path / "killed", {})
    killed(fits, number, find_targets, *given)
    again = find_targets(*given)
    assert not [each for each in caplog.records if each.levelname == "WARNING"]
    assert len(fits) == FOLDS_AND_WHOLE - number
    assert again.log_probabilities.tobytes() == whole.log_probabilities.tobytes()
    for name in ("answers.parquet", "model.json", "out_of_fold.parquet"):
        assert (again.folder / name).read_bytes() == (whole.folder / name).read_bytes()
    assert files(whole.folder) == FILES
    assert files(again.folder) == [name for name in FILES if name != "cost.json"]
    assert again.seconds() is None  # part of it was the killed one's
    assert not [path for path in again.folder.rglob("*") if path.is_dir()]


def test_a_fold_that_was_damaged_is_fitted_again(cohort, split, tmp_path, fits):
    whole = fitted(teacher(), cohort, split, tmp_path / "whole")
    fits.clear()
    folder = tmp_path / "killed"
    killed(fits, 3, fitted, teacher(), cohort, split, folder)
    kept = sorted((folder / FOLDS).glob(f"*/{ANSWERS}"))
    assert len(kept) == 3
    changed = bytearray(kept[1].read_bytes())
    changed[-1] ^= 1
    kept[1].write_bytes(changed)
    assert np.array_equal(fitted(teacher(), cohort, split, folder), whole)
    assert len(fits) == FOLDS_AND_WHOLE - 2


@pytest.mark.parametrize("change", ["seed", "trees", "label", "feature"])
def test_folds_that_anything_else_made_are_not_used(change, cohort, split, tmp_path, fits):
    killed(fits, 3, fitted, teacher(), cohort, split, tmp_path / "killed")
    made, rows = teacher(), cohort
    if change == "label":
        target = cohort.target.copy()
        target[split.train[0]] = 1 - target[split.train[0]]
        rows = replace(cohort, target=target)
    elif change == "feature":
        features = cohort.records.frame.copy()
        features.iloc[split.train[0], 0] += 1e-6
        rows = with_frame(cohort, features)
    else:
        made = teacher(**{change: 4})
    found = fitted(made, rows, split, tmp_path / "killed")
    assert len(fits) == FOLDS_AND_WHOLE
    assert np.array_equal(found, fitted(made, rows, split, tmp_path / "fresh"))
    assert not (tmp_path / "killed" / FOLDS).exists()
