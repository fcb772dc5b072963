"""What can't be asked of a student: by these rows, this teacher, or without one."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from hydra.utils import get_class

from meddistill.config.compose import build, build_network, choice_name
from meddistill.data.cohort import UNLABELLED
from meddistill.data.datamodule import CohortDataModule
from meddistill.errors import SettingError, UserError
from meddistill.losses import DistillationLoss
from meddistill.losses.base import Searched
from meddistill.losses.building import build_loss
from meddistill.losses.choice import check_loss, loss_name
from meddistill.losses.imbalance import treatment_of
from meddistill.teachers.base import Teacher
from meddistill.training.taps import check_features

log = logging.getLogger(__name__)
NOT_LIVE = "this teacher is no network, so it can't be asked in every step: take answers=stored"


def check_on(settings: Mapping[str, Any], loss: DistillationLoss, data: CohortDataModule) -> None:
    """Refuse a student that can't learn these rows, and a loss that says nothing about them."""
    target = get_class(settings["student"]["_target_"])
    name = target.__name__.lower()
    data.check_layout(getattr(target, "reads", None), "student", name, "preprocessing")
    check_loss(loss, data.num_classes)
    treatment_of(settings["imbalance"], data)
    student = build_network(
        settings["student"], "student", data.in_shape, data.num_classes, settings["seed"]
    )
    if loss.needs_features:
        check_features(loss, student, data)


def asks_live(settings: Mapping[str, Any], loss: DistillationLoss) -> bool:
    """Whether the teacher is asked in every step: by the settings, or for its features."""
    return bool(settings["answers"] == "live" or loss.needs_features)


def _check_view(settings: Mapping[str, Any], loss: DistillationLoss) -> None:
    """Refuse a random view with answers that were stored of the rows as they are.

    Stored answers under random views did harm or nothing where the same view, answered live, did
    good (Beyer et al. 2022, arXiv:2106.05237).
    """
    if settings["view"] and loss.needs_teacher and not asks_live(settings, loss):
        name = choice_name(settings["view"])
        raise SettingError(
            "view", name, "stored answers are of the rows as they are, and teach little about "
            "random views of them: set answers=live, by which the teacher answers the very view "
            "that the student sees, or view=none",
        )  # fmt: skip


def check_teacher(settings: Mapping[str, Any], loss: DistillationLoss, teacher: Teacher) -> None:
    """Refuse to ask a teacher what it can't be asked, or the loss would not read."""
    _check_answers(settings, loss, teacher)
    _check_view(settings, loss)
    _check_unlabelled(settings, loss, teacher)


def check_unread(settings: Mapping[str, Any], loss: DistillationLoss, in_sweep: bool) -> None:
    """Refuse what a loss reads nothing of: it has no teacher, or gives it no say.

    In a sweep others may read it, and a student that does not is trained without it.
    """
    if loss.ever_distils:
        return
    asked = rows_asked(settings)
    if settings["answers"] == "live" and not loss.needs_teacher:
        asked["answers"] = "live"
    for key, value in asked.items():
        if not in_sweep:
            mend = "give it a say" if loss.needs_teacher else "take loss=kd"
            raise SettingError(key, value, f"{_unread(loss)}: leave it out, or {mend}")
        log.info("%s=%s: %s", key, value, _unread(loss))


def check_read(settings: Mapping[str, Any], loss: DistillationLoss) -> None:
    """Refuse rows that the teacher alone answers beside a loss that gives it no say.

    A search is one where any of its candidates is: all of them learn from the same rows.
    """
    tried, mend = [loss], "give it a say"
    if isinstance(loss, Searched):
        tried = [build_loss(loss.node(setting)) for setting in loss.candidates()]
        mend = "leave 0 out of loss.alphas"
    idle = [each for each in tried if each.needs_teacher and not each.ever_distils]
    for key, value in rows_asked(settings).items() if idle else ():
        raise SettingError(key, value, f"{_unread(idle[0])}: leave it out, or {mend}")


def rows_asked(settings: Mapping[str, Any]) -> dict[str, str]:
    """The settings, as they are typed, that ask for rows which a teacher alone answers."""
    asked = {}
    if settings["synthetic"]:
        asked["synthetic"] = choice_name(settings["synthetic"])
    if settings["data"].get("unlabelled") is not None:
        asked[UNLABELLED] = settings["data"]["unlabelled"]
    return asked


def _unread(loss: DistillationLoss) -> str:
    name = loss_name(loss)
    if not loss.needs_teacher:
        return f"loss={name} asks no teacher, so nothing reads it"
    return (
        f"loss={name} takes nothing from the teacher as it is set (a weight of 0, such as "
        "loss.alpha=0), so nothing reads it"
    )


def _check_answers(settings: Mapping[str, Any], loss: DistillationLoss, teacher: Teacher) -> None:
    """Refuse to ask a teacher in every step that can't be asked so."""
    if teacher.live or not asks_live(settings, loss):
        return
    if loss.needs_features:
        raise UserError(
            f"loss={loss_name(loss)} reads layers of the teacher, and this teacher is "
            "no network; take one that is (teacher=mlp_ensemble), or a loss of answers (loss=kd)"
        )
    raise SettingError("answers", "live", NOT_LIVE)


def _check_unlabelled(
    settings: Mapping[str, Any], loss: DistillationLoss, teacher: Teacher
) -> None:
    """Refuse rows without labels that the teacher can't answer or the loss would not read."""
    asked = {"synthetic=none": "synthetic rows"} if settings["synthetic"] else {}
    if settings["data"].get("unlabelled") is not None:
        asked[f"{UNLABELLED}=null"] = f"unlabelled rows ({UNLABELLED})"
    if settings["synthetic"]:
        build(settings["synthetic"], "synthetic")
    if isinstance(loss, Searched):
        check_read(settings, loss)
    for none, rows in asked.items():
        if not teacher.answers_new_rows:
            raise UserError(
                f"{rows} need answers, and this teacher is a file of them (teacher=scores): "
                f"take {none}, or a teacher that can be asked"
            )
        if loss.reads_labels:
            raise UserError(
                f"loss={loss_name(loss)} learns from labelled rows alone, and {rows} have no "
                f"labels: take {none}, or another loss (loss=kd)"
            )
