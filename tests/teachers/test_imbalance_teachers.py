"""Teachers whose classes are out of balance: treated as the student, brought back always."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from composing import composed
from meddistill.config.resolvers import register_resolvers, resolved
from meddistill.data.datamodule import CohortDataModule
from meddistill.errors import SettingError
from meddistill.inference.card import CARD
from meddistill.inference.loading import load_model
from meddistill.losses.imbalance import treatment_of
from meddistill.teachers.estimator import EstimatorTeacher
from meddistill.teachers.neural import NeuralTeacher
from meddistill.teachers.teaching import build_teacher, teacher_node
from stack_and_alone import node

LOGISTIC = "sklearn.linear_model.LogisticRegression"
COSTS = {**node("imbalance", "weights"), "cost": {"malignant": 20}}


def of(*overrides):
    register_resolvers()
    return resolved(composed("distill", *overrides))


def classifier(target=LOGISTIC, **changes):
    plain = {"out_of_fold": False, "calibrate": "none", "clamp": 1e-6}
    return EstimatorTeacher({"_target_": target}, **{**plain, **changes})


def test_a_weighed_classifier_answers_what_its_own_does_without_the_weights(
    cohort, split, tmp_path
):
    made = classifier(imbalance=COSTS)
    made.fit(cohort, split, tmp_path, {})
    data = CohortDataModule(cohort, split)
    rows, inputs = split.train, data.inputs_at(np.arange(len(cohort.target)))
    weight = treatment_of(COSTS, data).weight
    target = cohort.target[rows]
    fitted = LogisticRegression().fit(inputs[rows], target, weight[target])
    bent = fitted.predict_proba(inputs)
    back = bent / weight
    expected = back / back.sum(axis=1, keepdims=True)
    found = np.exp(made.answers(cohort, tmp_path))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    prevalence = cohort.target[rows].mean()
    assert abs(found[rows, 1].mean() - prevalence) < 0.02 < bent[rows, 1].mean() - prevalence
    kept = load_model(tmp_path).log_probabilities(cohort.records)
    np.testing.assert_array_equal(np.exp(kept), found)


def test_a_folder_of_a_plain_classifier_is_what_it_was(cohort, split, tmp_path):
    classifier().fit(cohort, split, tmp_path, {})
    assert "shift" not in json.loads((tmp_path / CARD).read_text())
    assert "imbalance" not in classifier().identity()["estimator"]


@pytest.mark.parametrize(
    ("target", "kind", "says"),
    [
        (LOGISTIC, "focal", "is a loss of networks"),
        ("sklearn.neighbors.KNeighborsClassifier", "weights", "takes no sample_weight"),
    ],
)
def test_what_a_classifier_can_not_do_is_refused_by_name(target, kind, says):
    with pytest.raises(SettingError, match=f"imbalance={kind}: .*{says}"):
        classifier(target, imbalance=node("imbalance", kind))


def test_a_classifier_weighs_where_a_network_would_sample():
    sampled = classifier(imbalance=node("imbalance", "sampler")).identity()
    assert sampled == classifier(imbalance=node("imbalance", "weights")).identity()


def test_a_teacher_follows_its_student_unless_it_says_otherwise():
    followed = build_teacher(of("imbalance=weights", "imbalance.correct=false"))
    assert followed.imbalance == {k: v for k, v in node("imbalance", "weights").items()
                                  if k != "correct"}  # fmt: skip
    other = of("imbalance=focal", "+imbalance@teacher.imbalance=weights", "teacher=forest")
    assert build_teacher(other).imbalance["cost"] is None
    none = of("imbalance=focal", "+imbalance@teacher.imbalance=none", "teacher=forest")
    assert build_teacher(none).imbalance == {}
    committee = teacher_node(of("imbalance=weights", "teacher=several"))["of"]
    assert all(part["imbalance"]["cost"] is None for part in committee.values())


def test_a_network_that_treats_nothing_is_found_in_the_store_as_before():
    plain, treated = (build_teacher(of(*more)) for more in ((), ("imbalance=focal",)))
    assert isinstance(plain, NeuralTeacher)
    assert isinstance(treated, NeuralTeacher)
    assert "imbalance" not in plain.identity()
    assert plain.calibrate == "none"
    assert treated.identity()["imbalance"]["gamma"] == 2.0
    assert treated.calibrate == "temperature"  # no factor is known that would bring it back
    adjusted = build_teacher(of("imbalance=logit_adjustment"))
    assert adjusted.identity() == plain.identity()
