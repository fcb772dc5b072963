"""The cheapest arm not shown to be worse: which it is, and what is said of it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from meddistill.trial.simplest import by_cost, simplest

COSTS = {"teacher": 10_000, "student_alone": 500, "distilled": 500, "logistic": 31,
         "permuted_teacher": 1, "scores": None}  # fmt: skip


def summary(**controls):
    return {
        "arms": {name: {"label": name.replace("_", " "), "control": name == "permuted_teacher"}
                 for name in COSTS},
        "costs": {name: {"parameters": size, "raw_row_ms": 0.05} if size else {}
                  for name, size in COSTS.items()},
        "baseline": "student_alone",
        "margins": {"auroc": 0.01, "log_loss": 0.02},
    }  # fmt: skip


def tables(spread=0.001, **auroc):
    """Each arm's AUROC on ten splits; 0.9 where none is given. Its log loss is 1 - AUROC."""
    random = np.random.default_rng(0)
    found = pd.DataFrame(
        {name: auroc.get(name, 0.9) + random.normal(scale=spread, size=10) for name in COSTS}
    )
    return {"auroc": found, "log_loss": 1 - found}


def test_logistic_regression_is_named_where_it_does_as_well():
    found = simplest(tables(), summary(), 1 / 3)
    assert (found["arm"], found["parameters"], found["as_good"]) == ("logistic", 31, True)
    assert "the logistic costs least (31 parameters, 0.05 ms for a raw row)" in found["sentence"]
    assert found["sentence"].endswith("no other is better by more than the margins is shown.")


def test_absence_of_evidence_is_not_sold_as_evidence():
    found = simplest(tables(spread=0.1, distilled=0.95), summary(), 1 / 3)
    assert (found["arm"], found["as_good"]) == ("logistic", False)
    assert "That is no proof of being as good" in found["sentence"]


def test_the_best_arm_by_every_measure_is_not_asked_to_prove_that_it_is_as_good():
    found = simplest(tables(spread=0.1, logistic=0.99), summary(), 1 / 3)
    assert (found["arm"], found["as_good"]) == ("logistic", False)
    assert [set(own) for own in found["to_best"].values()] == [{"best"}] * 2
    assert "no proof of being as good" not in found["sentence"]
    assert "though the data don't rule out that another arm is better" in found["sentence"]


def test_what_is_shown_to_be_worse_gives_way_to_the_next_cheapest():
    found = simplest(tables(logistic=0.8), summary(), 1 / 3)
    assert found["arm"] == "student_alone"  # as large as the distilled one, and without a teacher
    assert found["worse"] == ["logistic"]
    found = simplest(tables(logistic=0.8, student_alone=0.85), summary(), 1 / 3)
    assert found["arm"] == "distilled"


def test_the_best_is_named_beside_it_even_where_its_cost_is_unknown():
    found = simplest(tables(scores=0.905), summary(), 1 / 3)
    assert found["to_best"]["auroc"]["best"] == "scores"
    assert "by AUROC the scores is 0.005 better, simultaneous 95 % interval" in found["sentence"]


def test_a_control_is_no_candidate():
    assert simplest(tables(permuted_teacher=0.99), summary(), 1 / 3)["arm"] != "permuted_teacher"


def test_where_only_the_costly_one_is_left_it_is_named():
    worse = dict.fromkeys(("student_alone", "distilled", "logistic"), 0.7)
    found = simplest(tables(**worse), summary(), 1 / 3)
    assert found["arm"] == "teacher"


def test_without_costs_or_others_nothing_is_named():
    own = summary()
    own["costs"] = {}
    assert simplest(tables(), own, 1 / 3) is None
    lone = summary()
    lone["arms"] = {"logistic": lone["arms"]["logistic"]}
    assert simplest(tables(), lone, 1 / 3) is None


def test_the_cheapest_comes_first_and_the_baseline_before_its_equals():
    assert by_cost(["teacher", "distilled", "student_alone", "scores"], summary()) == [
        "student_alone", "distilled", "teacher"
    ]  # fmt: skip
