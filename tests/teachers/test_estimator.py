"""Any classifier as a teacher: what is refused before a fit, what is stored, its columns."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import skops.io
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.mixture import GaussianMixture

from meddistill.data.split import Split
from meddistill.errors import UserError
from meddistill.inference.classifiers import asked
from meddistill.inference.estimator_file import TRUSTED, dump_estimator
from meddistill.inference.loading import load_model
from meddistill.teachers.estimator import EstimatorTeacher

NEIGHBOURS = "sklearn.neighbors.KNeighborsClassifier"
BOOSTING = "sklearn.ensemble.HistGradientBoostingClassifier"


class Own(ClassifierMixin, BaseEstimator):
    """A user's class: nobody who reads a folder trusts it."""

    def fit(self, inputs, target):
        self.classes_ = np.unique(target)
        return self

    def predict_proba(self, inputs):
        return np.full((len(inputs), len(self.classes_)), 1 / len(self.classes_))


class WithOwnPart(Own):
    pass


def teacher(target=NEIGHBOURS, settings=(), **changes):
    plain = {"out_of_fold": False, "calibrate": "none"}
    return EstimatorTeacher({"_target_": target, **dict(settings)}, **{**plain, **changes})


def fitted(made, cohort, split, folder):
    folder.mkdir(parents=True, exist_ok=True)
    made.fit(cohort, split, folder, {})
    return made.answers(cohort, folder)


@pytest.mark.parametrize(
    ("target", "settings"),
    [
        (NEIGHBOURS, {"n_neighbors": 15}),
        (NEIGHBOURS, {"metric": "manhattan", "algorithm": "ball_tree"}),
        (BOOSTING, {"max_iter": 5}),
        ("sklearn.ensemble.BaggingClassifier",
         {"n_estimators": 2, "estimator": {"_target_": BOOSTING, "max_iter": 3}}),
        ("sklearn.ensemble.ExtraTreesClassifier", {"n_estimators": 5}),
        ("sklearn.ensemble.GradientBoostingClassifier", {"n_estimators": 3}),
        ("sklearn.linear_model.LogisticRegression", {}),
        ("sklearn.naive_bayes.GaussianNB", {}),
        ("sklearn.neural_network.MLPClassifier", {"max_iter": 3}),
        ("sklearn.calibration.CalibratedClassifierCV",
         {"estimator": {"_target_": "sklearn.svm.LinearSVC"}}),
        ("xgboost.XGBClassifier", {"n_estimators": 3, "n_jobs": 1}),
        ("lightgbm.LGBMClassifier", {"n_estimators": 3, "n_jobs": 1, "verbose": -1}),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_a_classifier_by_its_class_answers_from_its_folder_as_it_did(
    target, settings, cohort, split, tmp_path
):
    pytest.importorskip(target.split(".")[0], reason="an optional library")
    found = fitted(teacher(target, settings), cohort, split, tmp_path)
    again = load_model(tmp_path).log_probabilities(cohort.records.frame)
    assert np.array_equal(found, again)
    assert np.allclose(np.exp(found).sum(axis=1), 1)
    right = found.argmax(axis=1) == cohort.target
    assert right[split.test].mean() > 0.85


@pytest.mark.parametrize("target", [NEIGHBOURS, BOOSTING, "sklearn.naive_bayes.GaussianNB",
                                    "xgboost.XGBClassifier"])  # fmt: skip
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_class_without_a_labelled_row_keeps_its_column(target, place, cohort, split, tmp_path):
    pytest.importorskip(target.split(".")[0], reason="an optional library")
    names = np.insert(["benign", "malignant"], place, "rare")
    others = np.delete(np.arange(3), place)
    wider = replace(cohort, classes=tuple(names), target=others[cohort.target])
    found = np.exp(fitted(teacher(target), wider, split, tmp_path))
    assert found.shape == (569, 3)
    assert found[:, place].max() <= 1e-3
    assert (found.argmax(axis=1) == wider.target)[split.test].mean() > 0.85
    assert load_model(tmp_path).card.columns == others.tolist()


def test_rows_of_a_single_class_are_answered_by_it(cohort, split, tmp_path):
    benign = split.train[cohort.target[split.train] == 0]
    alone = Split(benign, split.validation, split.test, split.turn)
    found = np.exp(fitted(teacher(BOOSTING), cohort, alone, tmp_path))
    assert np.allclose(found, [1 / 1.001, 0.001 / 1.001])


def test_a_classifier_without_probabilities_is_refused_by_its_name():
    with pytest.raises(UserError, match=r"sklearn\.svm\.LinearSVC: has no predict_proba"):
        teacher("sklearn.svm.LinearSVC")


@pytest.mark.parametrize("name", ["sklearn.neighbors.Nobody", "no_such_package.Classifier"])
def test_a_class_that_is_not_there_is_named(name):
    with pytest.raises(UserError, match=rf"teacher\.estimator: {name} can't be imported; check"):
        teacher(name)
    with pytest.raises(UserError, match=f"{name} can't be imported"):
        teacher("sklearn.ensemble.BaggingClassifier", {"estimator": {"_target_": name}})


def test_a_setting_that_the_classifier_does_not_have_is_named():
    with pytest.raises(UserError, match=r"teacher\.estimator\.neighbours=3: no such setting"):
        teacher(settings={"neighbours": 3})


def test_a_setting_out_of_scikit_learns_range_is_refused_before_a_fit():
    with pytest.raises(UserError, match=r"'n_neighbors' parameter of KNeighborsClassifier must be"):
        teacher(settings={"n_neighbors": -1})


def test_a_class_of_ones_own_is_refused_before_a_fit_with_its_types_named(monkeypatch):
    monkeypatch.setattr(Own, "fit", lambda *_: pytest.fail("fitted although it can't be stored"))
    with pytest.raises(UserError, match=r"Own can't be stored without pickle: it holds .*\.Own"):
        teacher(f"{__name__}.Own")


def test_a_classifier_that_is_untrusted_only_when_fitted_is_refused_before_the_data_are_read():
    settings = {"metric": "chebyshev", "algorithm": "kd_tree"}
    with pytest.raises(UserError, match=r"it holds .*ChebyshevDistance64"):
        teacher(settings=settings)


def test_a_classifier_that_a_rehearsal_is_too_small_for_is_not_refused(cohort, split, tmp_path):
    settings = {"n_neighbors": 100}
    found = fitted(teacher(settings=settings), cohort, split, tmp_path)
    assert np.isfinite(found).all()


def test_a_classifier_that_real_rows_do_not_suit_is_named(cohort, split, tmp_path):
    with pytest.raises(UserError, match=r"CategoricalNB\) can't be fitted: Negative values"):
        fitted(teacher("sklearn.naive_bayes.CategoricalNB"), cohort, split, tmp_path)


VOTING = {
    "voting": "soft",
    "estimators": [["a", {"_target_": "sklearn.linear_model.LogisticRegression"}],
                   ["b", {"_target_": "sklearn.svm.LinearSVC"}]],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("sklearn.ensemble.VotingClassifier", VOTING, "VotingClassifier: has no predict_proba"),
        ("sklearn.mixture.GaussianMixture", {"n_components": 2}, "is no classifier: it has no cla"),
    ],
)
def test_what_only_a_fit_tells_is_refused_before_the_data_are_read(name, settings, says):
    with pytest.raises(UserError, match=says):
        teacher(name, settings)


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("sklearn.neighbors.KNeighborsClassifier", {"n_neighbors": 1500},
         r"KNeighborsClassifier was fitted, but can't answer: Expected n_neighbors <= n_samples"),
        ("sklearn.semi_supervised.LabelPropagation", {"gamma": 1e4},
         r"LabelPropagation answers NaN or infinity for \d+ of \d+ rows"),
    ],
)  # fmt: skip
def test_a_classifier_whose_answers_are_none_is_named(
    name, settings, says, cohort, split, tmp_path
):
    with pytest.raises(UserError, match=says):
        fitted(teacher(name, settings), cohort, split, tmp_path)


def test_answers_of_a_wrong_shape_are_refused():
    clusters = GaussianMixture(3, random_state=0).fit(np.eye(8, 4))
    with pytest.raises(UserError, match=r"shape \[8, 3\] for 8 rows, not a probability for each"):
        asked(clusters, np.eye(8, 4, dtype=np.float32), 2)


def test_a_file_with_a_type_outside_of_the_list_is_refused(cohort, split, tmp_path):
    from sklearn.preprocessing import FunctionTransformer

    fitted(teacher(), cohort, split, tmp_path)
    skops.io.dump(FunctionTransformer(json.dumps), tmp_path / "estimator.skops")
    with pytest.raises(UserError, match=r"types that no known classifier has: json\.dumps"):
        load_model(tmp_path)


def test_no_trusted_type_is_a_function_or_can_name_one():
    names = [name for kind in TRUSTED.values() for name in kind]
    assert len(set(names)) == len(names)
    assert all(name.split(".")[-1].lstrip("_")[0].isupper() or name == "numpy.dtype"
               for name in names)  # fmt: skip


@pytest.mark.parametrize("seed", [0, 1])
def test_the_seed_is_the_classifiers_random_state_also_in_a_part_of_it(seed):
    node = {"_target_": "sklearn.ensemble.BaggingClassifier", "estimator": {"_target_": BOOSTING}}
    made = EstimatorTeacher(node, seed=seed).build().get_params()
    assert made["random_state"] == made["estimator__random_state"] == seed


def test_a_random_state_of_ones_own_stays():
    made = EstimatorTeacher({"_target_": BOOSTING, "random_state": 7}, seed=3)
    assert made.build().get_params()["random_state"] == 7


def test_every_setting_is_in_the_identity_and_unused_folds_are_not():
    base = teacher().identity()
    changes = [
        {"clamp": 0.01}, {"seed": 1}, {"labels": 0.5}, {"out_of_fold": True},
        {"calibrate": "temperature"}, {"settings": {"n_neighbors": 3}},
    ]  # fmt: skip
    found = [json.dumps(teacher(**change).identity()) for change in changes]
    assert len({json.dumps(base), *found}) == len(changes) + 1
    assert teacher(folds=3).identity() == base
    assert teacher(folds=3, out_of_fold=True).identity() != base


def test_what_is_usual_and_what_is_said_are_one_teacher():
    said = EstimatorTeacher({"_target_": BOOSTING}, out_of_fold=EstimatorTeacher.usual_out_of_fold,
                            calibrate=EstimatorTeacher.usual_calibration)  # fmt: skip
    assert said.identity() == EstimatorTeacher({"_target_": BOOSTING}).identity()


def test_a_damaged_types_message_names_the_classifier():
    with pytest.raises(UserError, match=r"WithOwnPart can't be stored without pickle"):
        dump_estimator(WithOwnPart())


def test_a_live_classifier_is_refused(meddistill, tmp_path):
    which = f"teacher.estimator._target_={NEIGHBOURS}"
    code, _, err = meddistill("distill", "teacher=estimator", which, "answers=live")
    assert code == 2
    assert "answers=live: this teacher is no network" in err
    assert not (tmp_path / "store").exists()


def test_a_classifier_is_chosen_on_the_command_line(meddistill):
    which = [f"teacher.estimator._target_={NEIGHBOURS}", "+teacher.estimator.n_neighbors=7"]
    code, out, err = meddistill("distill", "teacher=estimator", *which, "trainer.max_epochs=1")
    assert code == 0, err
    assert "teacher" in out
    code, _, err = meddistill("distill", "teacher=estimator")
    assert code == 2
    assert "teacher.estimator._target_ is not set" in err
