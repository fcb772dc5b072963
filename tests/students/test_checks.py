"""A random view and who may teach under it."""

from __future__ import annotations

import pytest

from meddistill.errors import SettingError
from meddistill.losses.ce import CE
from meddistill.losses.fitnets import FitNets
from meddistill.losses.kd import KD
from meddistill.students.checks import check_teacher
from meddistill.teachers.forest import ForestTeacher
from meddistill.teachers.neural import NeuralTeacher

AFFINE = {"_target_": "meddistill.views.affine.Affine"}
NEURAL = {
    "network": {"_target_": "meddistill.models.mlp.MLP"},
    "optimizer": {"_target_": "torch.optim.Adam", "_partial_": True},
    "trainer": {"max_epochs": 1},
}


def settings(answers="stored", view=AFFINE):
    return {"answers": answers, "view": view, "synthetic": {}, "data": {}}


@pytest.fixture
def neural():
    return NeuralTeacher(**NEURAL)


def test_a_view_with_stored_answers_is_refused_and_the_message_names_the_mend(neural):
    with pytest.raises(SettingError) as caught:
        check_teacher(settings(), KD(), neural)
    assert str(caught.value).startswith("view=affine: stored answers are of the rows as they are")
    assert "set answers=live" in str(caught.value)
    assert "view=none" in str(caught.value)


def test_a_view_with_a_teacher_that_is_asked_live_is_allowed(neural):
    check_teacher(settings("live"), KD(), neural)
    check_teacher(settings("stored"), FitNets(), neural)  # its features are always asked for
    check_teacher(settings("stored", view={}), KD(), neural)


def test_a_view_without_a_teacher_is_allowed_where_the_loss_needs_none(neural):
    check_teacher(settings(), CE(), neural)


def test_a_teacher_that_can_not_be_asked_live_is_refused_under_a_view_too():
    with pytest.raises(SettingError, match="no network, so it can't be asked in every step"):
        check_teacher(settings("live"), KD(), ForestTeacher())
