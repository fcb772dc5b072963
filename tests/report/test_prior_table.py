"""The trial's table of answers as labels were treated and brought back."""

from __future__ import annotations

import numpy as np
import pandas as pd

from meddistill.report.prior import trial_table
from meddistill.trial.judge import judge

TREATED = {"how": "weights", "bend": [0.0, 2.0], "left": [0.0, 0.0], "temperature": 1.0}


def predictions(arms, splits):
    """Answers to 40 test rows and 40 validation rows by every arm in every split."""
    draw, frames = np.random.default_rng(0), []
    for split in splits:
        for arm in arms:
            p = draw.uniform(0.05, 0.95, 80)
            frames.append(pd.DataFrame({
                "setting": 0, "split": split, "arm": arm, "seed": 0, "row": range(80),
                "part": ["test"] * 40 + ["validation"] * 40, "label": np.arange(80) % 3 == 0,
                "p_well": 1 - p, "p_ill": p,
            }).astype({"label": int}))  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def test_no_answer_as_treated_is_made_of_a_student_without_a_treatment():
    arms, splits = {"weights": "weighed", "focal": "focal student"}, ["a", "b"]
    summary = {
        "settings": ["plain"], "threshold": 0.5, "baseline": "weights",
        "data": {"classes": ["well", "ill"]},
        "arms": {name: {"label": label} for name, label in arms.items()},
        "treated": [
            {"setting": 0, "split": "a", "arm": "weights", "seeds": [TREATED]},
            *({"setting": 0, "split": s, "arm": a, "seeds": [{}]}
              for s, a in (("b", "weights"), ("a", "focal"), ("b", "focal"))),
        ],
    }  # fmt: skip
    lines = judge(predictions(arms, splits), summary).set_index(["arm", "split"])
    assert lines["mean_bent"].notna().to_dict() == {
        ("weights", "a"): True, ("weights", "b"): False,
        ("focal", "a"): False, ("focal", "b"): False,
    }  # fmt: skip
    measures = {"mean_bent": {"mean": 0.5, "sd": 0.1, "splits": 1}}
    setting = {"title": "plain", "splits": 2, "arms": {a: {"measures": measures} for a in arms}}
    notes = " ".join(trial_table(setting, summary)[0].notes)
    assert "weighed: chosen without a treatment of its labels" in notes
    assert "loss.alpha=1) in 1 of 2 splits" in notes
    assert "in 2 of 2 splits" in notes
    assert "true prior" not in notes
    summary["treated"][0]["seeds"] = [{**TREATED, "left": TREATED["bend"]}]
    notes = " ".join(trial_table(setting, summary)[0].notes)
    assert "weighed, in every table: its probabilities are not those of the true prior" in notes
