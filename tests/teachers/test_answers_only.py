"""A teacher that is asked once and then dropped: what is kept of it, and who can not have it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator, ClassifierMixin

from composing import composed
from meddistill.config.identity import identity
from meddistill.config.resolvers import resolved
from meddistill.data.tables.munge import Munge
from meddistill.errors import SettingError, UserError
from meddistill.files.atomic import checksum
from meddistill.inference.loading import load_model, predict
from meddistill.losses.fitnets import FitNets
from meddistill.losses.kd import KD
from meddistill.students.checks import check_teacher
from meddistill.students.rows import lesson
from meddistill.teachers.estimator import EstimatorTeacher
from meddistill.teachers.kept import licence_of, some_of_each
from meddistill.teachers.several import SeveralTeacher
from meddistill.teachers.targets import find_targets
from meddistill.teachers.teaching import Teachers, answers

NEIGHBOURS = "sklearn.neighbors.KNeighborsClassifier"


class InContext(ClassifierMixin, BaseEstimator):
    """Learns nothing when it is fitted, and reads its rows when it is asked: by their distance."""

    fitted: list[int] = []
    asked: list[int] = []

    def __init__(self, width=0.1, model_path=None):
        self.width, self.model_path = width, model_path

    def fit(self, inputs, target):
        self.inputs_, self.target_, self.classes_ = inputs, target, np.unique(target)
        self.inside_ = lambda: None  # nothing that could be stored
        InContext.fitted.append(len(inputs))
        return self

    def predict_proba(self, inputs):
        InContext.asked.append(len(inputs))
        distances = cdist(inputs, self.inputs_, "sqeuclidean") * self.width
        weight = np.exp(distances.min(axis=1, keepdims=True) - distances)
        votes = [weight[:, self.target_ == each].sum(axis=1) for each in self.classes_]
        return np.stack(votes, axis=1) / weight.sum(axis=1, keepdims=True)


def teacher(target=f"{__name__}.InContext", settings=(), **changes):
    changes = {"keep": "answers", **changes}
    return EstimatorTeacher({"_target_": target, **dict(settings)}, **changes)


@pytest.fixture
def made(data):
    """The rows with synthetic ones beside them."""
    train = data.split.train[:40]
    return data.with_unlabelled(
        Munge(copies=1)(data.cohort.records.take(train), data.inputs_at(train))
    )


def found(teacher, data, store):
    return find_targets(teacher, data.cohort, data.split, store, {}, data.unlabelled)


def test_a_classifier_that_can_not_be_stored_is_refused_unless_its_answers_alone_are_kept():
    with pytest.raises(UserError, match=r"without pickle.*teacher.keep=answers"):
        teacher(keep="model")
    teacher()
    with pytest.raises(SettingError, match="keep=all: must be one of model, answers"):
        teacher(keep="all")


@pytest.mark.parametrize("out_of_fold", [True, False])
def test_its_answers_are_those_of_the_model_that_was_not_kept(made, tmp_path, out_of_fold):
    common = {"target": NEIGHBOURS, "settings": {"n_neighbors": 9}, "out_of_fold": out_of_fold}
    kept, dropped = (
        found(teacher(**common, keep=keep), made, tmp_path) for keep in ("model", "answers")
    )
    assert kept.key != dropped.key
    expected = answers(kept, made)
    assert len(expected) == 569 + 40
    np.testing.assert_allclose(answers(dropped, made), expected, atol=1e-6)


def test_the_store_holds_answers_alone_and_says_so(made, tmp_path, caplog):
    with caplog.at_level("INFO"):
        targets = found(teacher(), made, tmp_path)
    names = {path.name for path in targets.folder.iterdir()}
    assert names == {"answers.parquet", "unlabelled.parquet", "cost.json", "known_rows.json",
                     "manifest.json", "model.json", "preprocessing.json"}  # fmt: skip
    assert "its answers are kept and no model (teacher.keep=answers)" in caplog.text
    assert len(json.loads((targets.folder / "known_rows.json").read_text())) > 300


def test_all_rows_are_answered_in_the_same_fits(made, tmp_path):
    built = teacher(folds=3)
    InContext.fitted.clear()
    targets = found(built, made, tmp_path)
    answers(targets, made)
    assert len(InContext.fitted) == 3 + 1
    assert built._fit is None
    again = found(built, made, tmp_path)
    assert len(InContext.fitted) == 3 + 1
    assert np.array_equal(again.of(made.unlabelled), targets.of(made.unlabelled))


def test_a_run_with_synthetic_rows_fits_once(data, tmp_path):
    settings = resolved(composed(
        "distill", "teacher=estimator", "teacher.keep=answers", "teacher.folds=2",
        "synthetic=noise", f"teacher.estimator._target_={__name__}.InContext", f"store={tmp_path}",
    ))  # fmt: skip
    teachers = Teachers()
    teachers.of(settings)  # which rehearses
    InContext.fitted.clear()
    taught = lesson(settings, data, KD(), teachers)
    assert len(taught.data.rows.answers) == 569 + 4 * len(data.split.train)
    assert len(InContext.fitted) == 2 + 1


def test_other_rows_are_answered_by_another_fit_with_the_same_answers_for_its_own(
    data, made, tmp_path
):
    alone = found(teacher(folds=2), data, tmp_path)
    assert alone.more is None
    more = alone.of(made.unlabelled)
    assert more.shape == (40, 2)
    both = found(teacher(folds=2), made, tmp_path)
    assert np.array_equal(both.more, more)
    assert np.array_equal(both.log_probabilities, alone.log_probabilities)


def test_its_own_rows_are_answered_out_of_fold(data, tmp_path):
    train = data.split.train
    sure = {"width": 1e3}  # which knows a row by itself alone
    inside = found(teacher(settings=sure, out_of_fold=False, calibrate="none"), data, tmp_path)
    outside = found(teacher(settings=sure, out_of_fold=True, calibrate="none"), data, tmp_path)
    target = data.cohort.target[train]
    right = [
        np.mean(each.log_probabilities[train].argmax(axis=1) == target)
        for each in (inside, outside)
    ]
    assert right[0] == 1.0
    assert right[1] < 1.0


def test_rows_are_asked_in_batches_and_fitted_up_to_a_limit(data, tmp_path):
    InContext.fitted.clear(), InContext.asked.clear()
    plain = found(teacher(folds=2), data, tmp_path)
    assert max(InContext.asked) > 100
    InContext.asked.clear()
    batched = found(teacher(folds=2, batch_rows=7), data, tmp_path)
    assert max(InContext.asked[1:]) == 7  # the first is the rehearsal's
    np.testing.assert_allclose(batched.log_probabilities, plain.log_probabilities, atol=1e-6)
    InContext.fitted.clear()
    found(teacher(folds=2, most_rows=50), data, tmp_path)
    assert InContext.fitted[1:] == [50, 50, 50]


def test_a_limit_of_rows_keeps_the_shares_of_the_classes_and_one_of_each():
    target = np.array([0] * 90 + [1] * 9 + [2])
    rows = np.arange(100, 200)
    some = some_of_each(rows, target, 20, np.random.default_rng(0))
    assert np.bincount(target[some - 100]).tolist() == [17, 2, 1]
    assert some_of_each(rows, target, 100, np.random.default_rng(0)) is rows


def test_what_needs_the_model_later_is_refused_by_name(data, tmp_path):
    built = teacher(folds=2)
    settings = {"answers": "live", "view": {}, "synthetic": {}, "data": {}}
    with pytest.raises(SettingError, match="answers=live: this teacher is no network"):
        check_teacher(settings, KD(), built)
    with pytest.raises(UserError, match="reads layers of the teacher, and this teacher is no"):
        check_teacher({**settings, "answers": "stored"}, FitNets(), built)
    folder = found(built, data, tmp_path).folder
    with pytest.raises(UserError, match=r"answers alone.*teacher\.keep=answers"):
        predict(folder, data.cohort.records.frame)
    assert load_model(folder).parts() == []
    node = {"_target_": "meddistill.teachers.estimator.EstimatorTeacher", "keep": "answers",
            "estimator": {"_target_": f"{__name__}.InContext"}}  # fmt: skip
    with pytest.raises(SettingError, match=r"of\.mine\.keep=answers: a committee's folder holds"):
        SeveralTeacher({"mine": node})


def test_a_folder_of_answers_alone_is_no_teacher_and_leaves_nothing_in_the_store(
    meddistill, data, tmp_path
):
    folder = found(teacher(folds=2), data, tmp_path / "first").folder
    code, _, err = meddistill("distill", "teacher=checkpoint", f"teacher.path={folder}")
    assert code == 2
    assert "holds answers alone (a file of scores, or those of a model that was dropped" in err
    assert err.startswith("meddistill: error: teacher.path=")
    assert not Path("store").exists()


def test_the_content_of_weights_makes_it_another_teacher(tmp_path):
    weights = tmp_path / "weights.ckpt"
    keys = []
    for content in ("one", "two"):
        weights.write_text(content)
        keys.append(teacher(settings={"model_path": str(weights)}).identity())
    assert keys[0] != keys[1]
    own = {"_target_": f"{__name__}.InContext", "model_path": str(weights)}
    select = {"_target_": "sklearn.feature_selection.SelectKBest", "k": 3}
    piped = teacher("sklearn.pipeline.make_pipeline", {"_args_": [select, own]}).identity()
    assert piped["files"] == {"_args_.1.model_path": checksum(weights)}


def test_a_teacher_that_is_kept_is_the_one_that_it_was():
    plain = EstimatorTeacher({"_target_": NEIGHBOURS}).identity()["estimator"]
    assert set(plain) == {"estimator", "clamp", "seed", "labels", "out_of_fold", "folds",
                          "calibrate", "preprocessing"}  # fmt: skip
    for where in ({"teacher": {"seed": 0}}, {"teacher": {"of": {"knn": {"seed": 0}}}}):
        node = where["teacher"].get("of", {"": where["teacher"]})
        before = identity(where)
        next(iter(node.values())).update(keep="model", most_rows=None, batch_rows=None)
        assert identity(where) == before
        next(iter(node.values())).update(keep="answers")
        assert identity(where) != before


def test_the_licence_that_a_package_states_is_shown():
    assert licence_of("torch.nn.Linear").startswith("torch 2")
    assert "BSD" in licence_of("torch.nn.Linear")
    assert licence_of("nothing.of.the.kind") is None


def test_a_trials_students_learn_from_it(meddistill):
    code, _, err = meddistill(
        "trial", "teacher=estimator", "teacher.keep=answers", "teacher.folds=2",
        f"teacher.estimator._target_={__name__}.InContext", "student=mlp_tiny",
        "trainer.max_epochs=2", "trial.repeats=2", "trial.few_labels=null", "trial.seeds=1",
        "arm=[teacher,student_alone,distilled,pruned_teacher,noise]", "hydra.run.dir=trial",
        "arms.student_alone.tune={optimizer.weight_decay:[0.0]}",
        "arms.distilled.tune={loss.temperature:[1.0],loss.alpha:[1.0]}",
    )  # fmt: skip
    assert code == 0, err
    arms = set(pd.read_csv("trial/results.csv")["arm"])
    assert arms == {"teacher", "student_alone", "distilled", "noise"}
    assert not list(Path().rglob("*.skops"))


def test_catboost_teaches(data, tmp_path):
    pytest.importorskip("catboost", reason="an optional library (pip install catboost)")
    settings = {"iterations": 20, "verbose": False, "allow_writing_files": False}
    with pytest.raises(UserError, match="without pickle"):
        teacher("catboost.CatBoostClassifier", settings, keep="model")
    targets = found(teacher("catboost.CatBoostClassifier", settings, folds=2), data, tmp_path)
    test = data.split.test
    assert np.mean(targets.log_probabilities[test].argmax(axis=1) == data.cohort.target[test]) > 0.9
    assert licence_of("catboost.CatBoostClassifier").startswith("catboost ")
