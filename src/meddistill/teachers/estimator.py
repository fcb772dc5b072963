"""Any scikit-learn-compatible classifier, by its class and settings."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.dummy import DummyClassifier
from sklearn.utils.validation import has_fit_parameter

from meddistill.config.compose import build, choice_name
from meddistill.data.cohort import Cohort
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.folds import fold_rows
from meddistill.data.modalities import teachers_method
from meddistill.data.records import Positions, Records
from meddistill.data.split import Split
from meddistill.errors import SettingError, integer, number, optional_integer
from meddistill.inference.card import ESTIMATOR, Card
from meddistill.inference.classifiers import check_classifier, fit_classifier
from meddistill.inference.estimator import EstimatorAnswers, EstimatorModel
from meddistill.inference.estimator_file import FILE, dump_estimator
from meddistill.inference.known_rows import rows_known, save_known_rows
from meddistill.losses.imbalance import (
    Sampler,
    Weights,
    build_imbalance,
    of_teacher,
    treatment_of,
)
from meddistill.seeding import derive
from meddistill.teachers.base import Teacher
from meddistill.teachers.calibrate import calibration, temperature_of
from meddistill.teachers.finished_folds import FinishedFolds, Numbers
from meddistill.teachers.kept import (
    Fit,
    files_of,
    save_fit,
    save_without_model,
    say_dropped,
    some_of_each,
)
from meddistill.teachers.out_of_fold import answer_out_of_fold

log = logging.getLogger(__name__)
OWN_LOSS = (
    "is a loss of networks, and this teacher is a classifier with its own: take "
    "+imbalance@teacher.imbalance=weights or none for it"
)
NO_WEIGHTS = (
    "{}.fit takes no sample_weight, so nothing can be weighed: take "
    "+imbalance@teacher.imbalance=none, or another teacher"
)
KEEPS = ("model", "answers")
PLAIN: dict[str, Any] = {"keep": "model", "most_rows": None, "batch_rows": None, "imbalance": {}}
"""Settings by which a teacher is what it was before it had them."""


class EstimatorTeacher(Teacher):
    """A classifier with `fit` and `predict_proba`, fitted on the labelled training rows.

    Validation rows are not fitted: they stay for choosing and for early stopping.

    Args:
        estimator: Config node of the classifier: `_target_` and its own settings. It must be one
            that can be stored without pickle, if it is kept; `random_state` is `seed` unless set.
        clamp: Lowest probability it answers; trees answer exact zeros.
        seed: Of everything random in it, and of the folds.
        labels: Share of training rows whose labels the teacher's site has.
        out_of_fold: Whether the rows it was fitted on are answered by models of the other folds;
            None is yes, as it is not known whether the classifier interpolates them.
        folds: Number of folds.
        calibrate: `temperature`: one, fitted on the out-of-fold answers, or on labelled validation
            rows without; `none`; None is what is usual for the kind.
        preprocessing: Config node of what makes inputs of raw rows; empty is the usual one.
        missing: Config node of what a table's empty cells become; empty is the usual.
        keep: `model`, or `answers` alone: of a classifier that can't be stored, or must not be.
        most_rows: Rows that it is fitted on at most, each class by its share; None is all.
        batch_rows: Rows that it is asked for at once, at most; None is thousands.
        imbalance: Config node of what is done about classes out of balance; empty is nothing.
            Weights of classes are weights of its rows.

    Raises:
        UserError: The classifier can't be built, has no `predict_proba`, or can't be stored.
    """

    treats_imbalance = True
    usual_out_of_fold = True
    usual_calibration = "temperature"

    def __init__(
        self,
        estimator: Mapping[str, Any],
        clamp: float = 1e-3,
        seed: int = 0,
        labels: float = 1.0,
        out_of_fold: bool | None = None,
        folds: int = 5,
        calibrate: str | None = None,
        preprocessing: Mapping[str, Any] | None = None,
        keep: str = "model",
        most_rows: int | None = None,
        batch_rows: int | None = None,
        missing: Mapping[str, Any] | None = None,
        imbalance: Mapping[str, Any] | None = None,
    ) -> None:
        if keep not in KEEPS:
            raise SettingError("keep", keep, f"must be one of {', '.join(KEEPS)}")
        self.keep = keep
        self.most_rows = optional_integer("most_rows", most_rows, at_least=2)
        self.batch_rows = optional_integer("batch_rows", batch_rows, at_least=1)
        self._fit: Fit | None = None
        self.estimator, self.imbalance = dict(estimator), in_weights(imbalance or {})
        self.clamp = number("clamp", clamp, above=0, at_most=0.1)
        self.seed = integer("seed", seed)
        self.labels = number("labels", labels, above=0, at_most=1)
        self.out_of_fold = _switch(out_of_fold, self.usual_out_of_fold)
        self.folds = integer("folds", folds, at_least=2)
        self.calibrate = calibration(calibrate, self.usual_calibration)
        self.preprocessing = teachers_method(preprocessing, missing)
        self.check()

    @property
    def live(self) -> bool:
        """No: it is no torch code, and asking it in every step would rule the run's time."""
        return False

    @property
    def keeps_model(self) -> bool:
        """Unless its answers are all that is kept."""
        return self.keep == "model"

    def identity(self) -> dict[str, Any]:
        """All of its settings; those that are as they were before there were any are left out."""
        every = {key: value for key, value in vars(self).items() if not key.startswith("_")}
        own = {key: value for key, value in every.items() if PLAIN.get(key, ...) != value}
        if not self.out_of_fold:
            del own["folds"]
        return {"estimator": own, **files_of(self.estimator)}

    def check(self) -> None:
        """Refuse a classifier that can't answer or be stored, before a long fit shows it."""
        classifier = self.build()
        if self.keeps_model:
            dump_estimator(classifier)
        check_classifier(classifier, self.estimator["_target_"], "teacher.estimator")
        if self.imbalance and not has_fit_parameter(classifier, "sample_weight"):
            name = self.estimator["_target_"].rpartition(".")[2]
            raise SettingError("imbalance", choice_name(self.imbalance), NO_WEIGHTS.format(name))
        if self.keeps_model:
            dump_estimator(classifier)  # now that it holds what a fit makes

    def build(self) -> Any:
        """The classifier, not fitted, with the teacher's seed where it takes one."""
        classifier = build(self.estimator, "teacher.estimator")
        taken = classifier.get_params() if hasattr(classifier, "get_params") else {}
        seeds = {k for k in taken if k.split("__")[-1] == "random_state" and taken[k] is None}
        if seeds:
            classifier.set_params(**dict.fromkeys(sorted(seeds), self.seed))
        return classifier

    def fit(self, cohort: Cohort, split: Split, folder: Path, trainer: Mapping[str, Any]) -> None:
        """Fit it without each fold of the labelled training rows, then on all of them.

        All of them come last, so that a kill among the folds loses no fit that is finished.
        """
        data = CohortDataModule(
            cohort, split, self.labels,
            preprocessing=self.preprocessing, key="teacher.preprocessing",
        )  # fmt: skip
        name = self.estimator["_target_"].rpartition(".")[2]
        data.check_layout("vector", "teacher", name, "preprocessing@teacher.preprocessing")
        rows = data.labelled_train
        finished = FinishedFolds(folder, [self.identity(), cohort.fingerprint, split.fingerprint])
        held = self._out_of_fold(data, rows, finished) if self.out_of_fold else None
        whole = self.fit_rows(data, rows)
        card = replace(
            Card.of({}, [FILE], data, ESTIMATOR, self.clamp),
            temperature=self._temperature(data, rows, whole, held),
            columns=whole.columns,
            shift=whole.shift,
            out_of_fold=held is not None,
        )
        whole.temperature = card.temperature
        fit = Fit(EstimatorModel(card, whole, data.preprocessing), rows, held)
        save_known_rows(folder, rows_known(data))
        if self.keeps_model:
            save_fit(folder, cohort, fit)
        else:
            self._fit = fit
            save_without_model(folder, data, self.clamp)
            say_dropped(self.estimator["_target_"])
        finished.forget()

    def last_answers(
        self, cohort: Cohort, more: Sequence[Records]
    ) -> tuple[Numbers, Numbers | None]:
        """Answers of the last fit, out of fold where that is asked for; it is dropped."""
        fit, self._fit = self._fit, None
        assert fit is not None  # `fit` comes first
        return fit.answers(cohort), fit.answers_of(more)

    def fit_rows(self, data: CohortDataModule, rows: Positions) -> EstimatorAnswers:
        """The classifier fitted on `rows`, positions in the cohort."""
        random = np.random.default_rng(derive(self.seed, "rows to fit"))
        rows = some_of_each(rows, data.cohort.target[rows], self.most_rows, random)
        columns, target = np.unique(data.cohort.target[rows], return_inverse=True)
        # Most classifiers refuse rows of one class, as a fold of a rare one may leave them.
        classifier = self.build() if len(columns) > 1 else DummyClassifier()
        what = f"teacher.estimator ({self.estimator['_target_']})"
        treatment = treatment_of(self.imbalance, data, "teacher.imbalance")
        weight = None if treatment is None else treatment.weight[data.cohort.target[rows]]
        fit_classifier(classifier, data.inputs_at(rows), target, what, weight)
        return EstimatorAnswers(
            classifier, self.clamp, data.num_classes, columns.tolist(), batch_rows=self.batch_rows,
            shift=() if treatment is None else treatment.bend.tolist(),
        )  # fmt: skip

    def _out_of_fold(
        self, data: CohortDataModule, rows: Positions, finished: FinishedFolds
    ) -> Numbers:
        log.info("teacher: fitted without each of %d folds, then on all rows", self.folds)
        fold = fold_rows(data.cohort, rows, self.folds, self.seed)
        return answer_out_of_fold(
            partial(self.fit_rows, data), data.inputs_at, rows, fold, finished
        )

    def _temperature(
        self,
        data: CohortDataModule,
        rows: Positions,
        whole: EstimatorAnswers,
        held: Numbers | None,
    ) -> float:
        """Fitted on out-of-fold answers where there are any, else on labelled validation rows."""
        if self.calibrate == "none":
            return 1.0
        if held is None:
            rows = data.labelled_validation
            held = whole(torch.from_numpy(data.inputs_at(rows))).numpy()
        return temperature_of(self.calibrate, held, data.cohort.target[rows])


def in_weights(node: Mapping[str, Any]) -> dict[str, Any]:
    """What a classifier makes of a config node of an imbalance; empty where that is nothing.

    It draws no batches: weights of inverse frequency are what balanced ones come to on average.

    Raises:
        SettingError: It is a loss, and classifiers have their own.
    """
    own = of_teacher(node)
    made = build_imbalance(own)
    if isinstance(made, Sampler):
        log.info("teacher: it draws no batches, so classes are weighed in place of a sampler")
        return {"_target_": f"{Weights.__module__}.{Weights.__name__}", "cost": None}
    if made is not None and not isinstance(made, Weights):
        raise SettingError("imbalance", choice_name(own), OWN_LOSS)
    return own


def _switch(value: bool | None, usual: bool) -> bool:
    if value is not None and not isinstance(value, bool):
        mend = "must be true, false or null (usual for the teacher)"
        raise SettingError("out_of_fold", value, mend)
    return usual if value is None else value
