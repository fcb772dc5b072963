"""Label smoothing, and settings with one value a member of a stack."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from meddistill.errors import SettingError
from meddistill.losses.ce import CE
from meddistill.losses.kd import KD


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_smoothed_labels_give_the_loss_of_torchs_own(classes, share):
    logits, target = torch.randn(20, classes), torch.randint(classes, (20,))
    ours = CE(share)(logits, target).label["ce"]
    theirs = F.cross_entropy(logits, target, label_smoothing=share, reduction="none")
    torch.testing.assert_close(ours.float(), theirs)


def test_smoothing_is_of_the_labels_term_alone():
    logits, target, teacher = torch.randn(8, 3), torch.randint(3, (8,)), torch.randn(8, 3)
    plain, smooth = (KD(2.0, 0.3, share)(logits, target, teacher) for share in (0.0, 0.2))
    torch.testing.assert_close(plain.teacher["kd"], smooth.teacher["kd"])
    expected = 0.7 * F.cross_entropy(logits, target, label_smoothing=0.2, reduction="none")
    torch.testing.assert_close(smooth.label["ce"].float(), expected)


def test_each_member_has_its_own_settings():
    temperature, alpha, share = torch.tensor([1.0, 3.0]), torch.tensor([0.2, 0.9]), [0.0, 0.1]
    logits, target = torch.randn(2, 6, 3), torch.randint(3, (2, 6))
    teacher = torch.randn(2, 6, 3).log_softmax(-1)
    stacked = KD(temperature.double(), alpha.double(), torch.tensor(share))(logits, target, teacher)
    for member in range(2):
        one = KD(temperature[member].item(), alpha[member].item(), share[member])
        alone = one(logits[member], target[member], teacher[member])
        torch.testing.assert_close(stacked.label["ce"][member], alone.label["ce"])
        torch.testing.assert_close(stacked.teacher["kd"][member], alone.teacher["kd"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": torch.tensor([1.0, 0.0])}, "temperature=0.0: must be a number above 0"),
        ({"alpha": torch.tensor([0.5, 1.5])}, "alpha=1.5: must be a number at least 0"),
        ({"label_smoothing": 1.0}, "label_smoothing=1.0: must be a number at least 0"),
        ({"label_smoothing": torch.tensor([0.0, -0.5])}, "label_smoothing=-0.5"),
    ],
)
def test_a_wrong_value_of_one_member_is_named(settings, message):
    with pytest.raises(SettingError, match=message):
        KD(**settings)


def test_a_members_settings_go_to_the_device_with_the_loss():
    loss = KD(torch.tensor([1.0, 2.0]), torch.tensor([0.5, 0.5]), 0.1).to("meta")
    assert {buffer.device.type for buffer in loss.buffers()} == {"meta"}
    assert not loss.state_dict()  # settings are no weights
