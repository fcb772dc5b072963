"""One network, or several whose probabilities are averaged, trained from the labels."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.utils import get_class
from torch import nn

from meddistill.config.compose import (
    OptimizerFactory,
    build,
    build_network,
    build_optimizer,
    check_network,
)
from meddistill.config.identity import contents
from meddistill.data.cohort import Cohort
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.modalities import teachers_method
from meddistill.data.split import Split
from meddistill.errors import SettingError, integer, number, optional_integer
from meddistill.inference.card import Card, save_card, without_files
from meddistill.inference.known_rows import rows_known, save_known_rows
from meddistill.inference.loading import load_model
from meddistill.losses.imbalance import Treatment, build_imbalance, of_teacher, treatment_of
from meddistill.losses.treated import treat
from meddistill.seeding import derive
from meddistill.teachers.base import Blueprint, Teacher
from meddistill.teachers.calibrate import calibration, temperature_of
from meddistill.training.checkpoints import BEST
from meddistill.training.classifier import Classifier
from meddistill.training.fit import fit
from meddistill.training.schedulers import Schedule, schedule_of
from meddistill.training.trainer import check_arguments
from meddistill.views.building import build_view

log = logging.getLogger(__name__)
NO_FOLDS = (
    "networks are stopped early by validation rows and are not trained again without each fold; "
    "leave it null, or take an estimator (teacher=forest, boosting or estimator)"
)


class NeuralTeacher(Teacher):
    """`members` networks, each with first weights, batch order and dropout of its own.

    Args:
        network: Config node of the network.
        optimizer: Config node of the optimizer.
        trainer: Its budget, as arguments of Lightning's Trainer (`max_epochs`).
        members: Number of networks; their probabilities are averaged.
        seed: Of everything random in it.
        labels: Share of training and validation rows whose labels the teacher's site has.
        batch_size: Rows of one step; None goes by the number of rows of the table.
        patience: Epochs without a better validation log loss after which a member stops; None goes
            by the number of rows of the table.
        out_of_fold: No network is trained again without each fold: None or False.
        scheduler: Config node of how the learning rate moves; None or {} where it doesn't.
        preprocessing: Config node of what makes inputs of raw rows; empty is the usual one.
        missing: Config node of what a table's empty cells become; empty is the usual.
        view: Config node of a random view of training rows; empty is none.
        imbalance: Config node of what is done about classes out of balance; empty is nothing.
        calibrate: `temperature`: one, fitted on the labelled validation rows; `none`; None is what
            is usual: none, unless its loss leaves answers too unsure (`imbalance=focal`).

    Raises:
        UserError: The network's class or package is absent, or a setting is out of its range.
    """

    treats_imbalance = True

    def __init__(
        self,
        network: Mapping[str, Any],
        optimizer: Mapping[str, Any],
        trainer: Mapping[str, Any],
        members: int = 1,
        seed: int = 0,
        labels: float = 1.0,
        batch_size: int | None = None,
        patience: int | None = None,
        out_of_fold: bool | None = None,
        calibrate: str | None = None,
        scheduler: Mapping[str, Any] | None = None,
        preprocessing: Mapping[str, Any] | None = None,
        view: Mapping[str, Any] | None = None,
        missing: Mapping[str, Any] | None = None,
        imbalance: Mapping[str, Any] | None = None,
    ) -> None:
        check_network(network, "network")
        build_optimizer(optimizer, "teacher.optimizer")
        self.network, self.optimizer, self.trainer = network, optimizer, trainer
        check_arguments(trainer)
        for name in ("devices", "num_nodes", "strategy"):
            if name in trainer:
                mend = "a teacher is trained on one device"
                raise SettingError(f"trainer.{name}", trainer[name], mend)
        integer("trainer.max_epochs", trainer.get("max_epochs"), at_least=1)
        self.scheduler = dict(scheduler or {})
        schedule_of(self.scheduler, trainer["max_epochs"])
        self.members = integer("members", members, at_least=1)
        self.seed = integer("seed", seed)
        self.labels = number("labels", labels, above=0, at_most=1)
        self.batch_size = optional_integer("batch_size", batch_size, at_least=1)
        self.patience = optional_integer("patience", patience, at_least=1)
        self.imbalance = of_teacher(imbalance or {})
        treated = build_imbalance(self.imbalance)
        unsure = treated is not None and treated.calibrates
        self.calibrate = calibration(calibrate, "temperature" if unsure else "none")
        self.preprocessing, self.view = teachers_method(preprocessing, missing), dict(view or {})
        if self.view:
            build(self.view, "view")  # it refuses what is out of range
        if out_of_fold:
            raise SettingError("out_of_fold", out_of_fold, NO_FOLDS)

    def identity(self) -> dict[str, Any]:
        """Its settings, and what files hold that they name; no word of an imbalance left alone."""
        own = {key: value for key, value in vars(self).items() if value or key != "imbalance"}
        return {**own, **contents(own)}

    def fit(self, cohort: Cohort, split: Split, folder: Path, trainer: Mapping[str, Any]) -> None:
        """Train the members one after the other; finished ones of a killed fit are kept."""
        data = self.rows(cohort, split)
        checkpoints = self.train_members(data, folder, {**trainer, **self.trainer})
        data.save_preprocessing(folder)
        save_known_rows(folder, rows_known(data))
        network, _ = self.built(data, self.seed)
        self.save(folder, Card.of(without_files(self.network, network), checkpoints, data), data)

    def rows(self, cohort: Cohort, split: Split) -> CohortDataModule:
        """The rows as it learns from them.

        Raises:
            SettingError: Its network, or its view, is for rows of another kind.
        """
        data = CohortDataModule(
            cohort, split, self.labels, self.batch_size,
            preprocessing=self.preprocessing, key="teacher.preprocessing",
        )  # fmt: skip
        target = get_class(self.network["_target_"])
        group = "preprocessing@teacher.preprocessing"
        data.check_layout(getattr(target, "reads", None), "teacher", target.__name__, group)
        return data.with_view(build_view(self.view, cohort.records.kind, "teacher.view"))

    def blueprint(self, cohort: Cohort, split: Split) -> Blueprint:
        """Its network with first weights."""
        data = self.rows(cohort, split)
        network, _ = self.built(data, self.seed)
        return Blueprint(network, self.members, data.preprocessing)

    def save(self, folder: Path, card: Card, data: CohortDataModule) -> None:
        """Write the card, with the temperature that suits the labelled validation rows."""
        save_card(folder, card)
        if self.calibrate == "none":
            return
        rows = data.labelled_validation
        answers = load_model(folder).log_probabilities(data.cohort.records.take(rows))
        temperature = temperature_of(self.calibrate, answers, data.cohort.target[rows])
        save_card(folder, replace(card, temperature=temperature))

    def train_members(
        self, data: CohortDataModule, folder: Path, trainer: Mapping[str, Any]
    ) -> list[str]:
        """Checkpoints of the trained members, relative to `folder`."""
        checkpoints = []
        for member in range(self.members):
            seed = derive(self.seed, "member", member)
            path = Path("members") / str(member)
            checkpoints.append(str(path / "checkpoints" / BEST))
            if (folder / checkpoints[-1]).exists():
                continue
            log.info("teacher: training member %d of %d", member + 1, self.members)
            network, factory = self.built(data, seed)
            module = Classifier(
                network, data.num_classes, factory, seed=seed, scheduler=self.schedule
            )
            treat(module.cross_entropy, self.treatments(data))
            self.train(module, data, folder / path, trainer)
        return checkpoints

    def built(self, data: CohortDataModule, seed: int) -> tuple[nn.Module, OptimizerFactory]:
        """A network with first weights by `seed`, and its optimizer."""
        factory = build_optimizer(self.optimizer, "teacher.optimizer")
        network = build_network(
            self.network, "teacher.network", data.in_shape, data.num_classes, seed
        )
        return network, factory

    def treatments(self, data: CohortDataModule) -> list[Treatment]:
        """What is done about an imbalance of its own training labels, if anything."""
        found = treatment_of(self.imbalance, data, "teacher.imbalance")
        return [] if found is None else [found]

    @property
    def schedule(self) -> Schedule | None:
        """How the learning rate moves."""
        return schedule_of(self.scheduler, self.trainer["max_epochs"], "teacher.scheduler")

    def train(
        self, module: Classifier, data: CohortDataModule, folder: Path, trainer: Mapping[str, Any]
    ) -> None:
        """Train `module` to the end, or on from where it was killed; its best weights stay."""
        balanced = any(each.balanced for each in self.treatments(data))
        rows = data.with_seed(module.seed).with_balance(balanced)
        fit(module, rows, folder, trainer, patience=self.patience)
        (folder / "checkpoints" / "last.ckpt").unlink(missing_ok=True)
