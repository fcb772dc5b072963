"""Arms whose students start from their teacher."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from conftest import SMALL_TEACHER


def test_arms_start_from_their_own_splits_teacher_each_seed_from_other_units(meddistill):
    code, out, err = meddistill(
        "trial", *SMALL_TEACHER, "student=mlp_tiny", "trainer.max_epochs=1", "trial.repeats=2",
        "arm=[teacher,student_alone,distilled,subset,subset_distilled]", "trial.few_labels=null",
        "arms.student_alone.tune={optimizer.weight_decay:[0.0]}",
        "arms.subset.tune={optimizer.weight_decay:null}",
        "+arms.subset.tune={init.share:[0.5,1.0]}",
        "arms.distilled.tune={loss.temperature:[2.0],loss.alpha:[0.5],optimizer.weight_decay:null}",
        "hydra.run.dir=trial",
    )  # fmt: skip
    assert code == 0, err
    assert "distilled student, started from its teacher" in out
    arms = json.loads(Path("trial/trial.json").read_text())["summary"]["arms"]
    assert {name: arm["distils"] for name, arm in arms.items() if "subset" in name} == {
        "subset": False, "subset_distilled": True
    }  # fmt: skip
    plans = pd.read_csv("trial/init.csv")
    whole = plans[(plans["layer"] == "layers.0") & (plans["numbers"] == plans["size"])]
    assert len(whole) == 2 * 2 * 2  # splits, seeds, arms
    assert whole["units"].nunique() == 2  # the seeds' own
    assert plans["member"].nunique() == 2 * 2 * 3
