"""What a trial came to, worked out from its files alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from meddistill.report.trial import trial_page
from meddistill.report.trial_tables import fewer_splits, tried_table
from meddistill.trial.judge import judge
from meddistill.trial.results import results

CLASSES = ["no", "yes"]
ROWS = 40


def summary_of(arms, splits=3, **changes):
    sizes = {"train": 80, "validation": ROWS, "test": ROWS, "labelled": 80}
    given = {
        "arms": {name: {"label": name.replace("_", " "), "tries": 2} for name in arms},
        "settings": ["All labels"], "threshold": 0.5, "max_epochs": 10, "seconds": 1.0,
        "units": [{"setting": 0, "split": str(k), **sizes} for k in range(splits)],
        "baseline": "student_alone", "main": "distilled", "seeds": 1, "repeats": splits,
        "folds": None, "official": False, "teacher": "MLP",
        "margins": {"auroc": 0.01, "log_loss": 0.02},
        "data": {"name": "table", "classes": CLASSES, "positive": "yes", "notes": [],
                 "fingerprint": "0" * 16, "rows": {"train": 80, "test": ROWS}},
        "costs": {name: {"parameters": 10, "raw_row_ms": 0.1, "bytes": 40} for name in arms},
    }  # fmt: skip
    return given | changes


def predictions_of(arms, splits=3, positives=0.4):
    """Answers by row; an arm is a number, how far it tells ill from well, or NaN throughout.

    Args:
        arms: By name.
        splits: Number of splits.
        positives: Share of positive rows, or a share for each split.
    """
    shares, frames = np.broadcast_to(positives, splits), []
    for split, part in [(k, part) for k in range(splits) for part in ("validation", "test")]:
        random = np.random.default_rng([split, part == "test"])
        label = np.arange(ROWS) < (shares[split] if part == "test" else 0.4) * ROWS
        noise = random.normal(size=ROWS)
        for name, strength in arms.items():
            score = 1 / (1 + np.exp(-strength * (2 * label - 1 + 0.5 * noise)))
            front = {"setting": 0, "split": str(split), "arm": name, "seed": 0, "part": part,
                     "row": np.arange(ROWS).astype(str), "label": label.astype(int)}  # fmt: skip
            frames.append(pd.DataFrame(front | {"p_no": 1 - score, "p_yes": score}))
    return pd.concat(frames, ignore_index=True)


def tries_of(arms, splits=3, **tuned):
    """Two tries an arm of which the second is chosen; `tuned` are their values of each setting."""
    lines = [
        {"setting": 0, "split": str(split), "arm": name, "try": attempt, "chosen": attempt == 1,
         "val/log_loss": 0.5 - attempt / 10, "epochs": 5,
         **{key: values[attempt] for key, values in tuned.items() if name == "distilled"}}
        for split in range(splits) for name in arms for attempt in range(2)
    ]  # fmt: skip
    return pd.DataFrame(lines)


def found_of(arms, summary=None, tries=None, **options):
    predictions = predictions_of(arms, **options)
    summary, tries = summary or summary_of(arms), tries_of(arms) if tries is None else tries
    found = results(judge(predictions, summary), tries, predictions, summary)[0]
    return found | {"number": 0}


PAIR = {"student_alone": 1.0, "distilled": 2.0}


def test_no_interval_of_a_bounded_measure_says_what_cannot_be():
    found = found_of(
        {"student_alone": -1.0, "distilled": 0.3}, summary_of(PAIR, splits=2), splits=2
    )
    own = found["differences"]["distilled"]
    ends = {name: (own[name]["low"], own[name]["high"]) for name in own}
    assert ends["sensitivity"] == (-1, 1)
    assert ends["log_loss"][0] < -1
    assert all(low >= -1 and high <= 1 for name, (low, high) in ends.items()
               if name not in ("log_loss", "log_loss_scaled", "brier"))  # fmt: skip


def test_over_official_parts_an_interval_is_of_trainings_alone():
    """Splits that share patients depend on each other; trainings on one split do not so."""
    drawn, official = (
        found_of(PAIR, summary_of(PAIR, official=each))["differences"]["distilled"]["log_loss"]
        for each in (False, True)
    )
    widths = [each["high"] - each["low"] for each in (drawn, official)]
    ratio = ROWS / 80  # test rows over training rows, of three splits
    assert widths[0] / widths[1] == pytest.approx(np.sqrt((1 / 3 + ratio) / (1 / 3)))
    assert drawn["mean"] == official["mean"]


@pytest.mark.parametrize(
    ("values", "said"),
    [(["rbf", "linear"], "linear"), ([0.1, 10.0], "10"), ([False, True], "true"),
     ([3.0, None], "null"), ([None, 3.0], "3"), (["balanced", None], "null")],
)  # fmt: skip
def test_whatever_an_arm_tunes_is_said_as_it_is_typed(values, said, tmp_path):
    tries = tries_of(PAIR, kernel=values)
    tries.to_csv(tmp_path / "tries.csv", index=False)
    found = found_of(PAIR, tries=pd.read_csv(tmp_path / "tries.csv"))
    rows = {row[0]: row[-1] for row in tried_table(found, summary_of(PAIR)).rows}
    assert rows == {"student alone": "-", "distilled": f"kernel = {said}"}


def test_a_split_without_a_positive_row_is_left_out_of_the_means_it_has_no_part_in():
    perfect = {"student_alone": 1.0, "distilled": 50.0, "logistic": 1.0}
    found = found_of(perfect, summary_of(perfect), positives=[0.5, 0.5, 0.0])
    own = found["arms"]["distilled"]["measures"]
    for name in ("auroc", "sensitivity", "average_precision"):
        assert own[name]["splits"] == 2
        assert own[name]["mean"] > 0.9, "two thirds of it with a 0 for the split without any"
    assert own["specificity"]["splits"] == 3
    assert fewer_splits(found, {"sensitivity": "sensitivity", "specificity": "specificity"}) == [
        "Means over the splits where a measure is defined: sensitivity on 2 of 3 at least."
    ]
    assert found["verdicts"][0]["repeats"] == 2


def test_an_arm_that_diverged_everywhere_has_no_measures_and_the_page_is_made():
    arms = {**PAIR, "label_smoothing": np.nan}
    summary, predictions = summary_of(arms), predictions_of(arms)
    found = found_of(arms, summary)
    own = found["arms"]["label_smoothing"]["measures"]
    assert {each["splits"] for each in own.values()} == {0}
    assert "nan" not in str(trial_page([found], summary, predictions, []).sections[0])


def test_a_main_arm_that_diverged_gets_no_verdict():
    arms = {"student_alone": 1.0, "distilled": np.nan}
    found = found_of(arms)
    assert [v["word"] for v in found["verdicts"]] == ["INCONCLUSIVE"] * 2
    assert "nothing can be said" in found["verdicts"][0]["sentence"]
    trial_page([found], summary_of(arms), predictions_of(arms), [])


def test_test_rows_of_one_class_have_a_page_without_curves(recwarn):
    found = found_of(PAIR, positives=0.0)
    page = trial_page([found], summary_of(PAIR), predictions_of(PAIR, positives=0.0), [])
    drawn = [section.parts for section in page.sections if section.title.endswith("curves")]
    assert drawn == [[]]
    assert not recwarn.list
