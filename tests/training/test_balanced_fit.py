"""A fit on balanced batches, killed and gone on with; and a network that is finished after it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from meddistill.config.compose import build_network
from meddistill.data.datamodule import CohortDataModule
from meddistill.training.classifier import Classifier
from meddistill.training.finishing import _one_step
from meddistill.training.fit import fit

MLP = {"_target_": "meddistill.models.mlp.MLP", "width": 4, "depth": 1}


class StoppedError(Exception):
    """A kill, as far as one process can play it."""


class KillAfterTwo(Callback):
    """Ends the process's fit after the training state of its second epoch was saved."""

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == 2:
            raise StoppedError


def trained(data, folder, settings, adam, callbacks=()):
    network = build_network(MLP, "student", (30,), 2, 0)
    fit(Classifier(network, 2, adam), data, folder, settings, save_seconds=0, callbacks=callbacks)
    return network.state_dict()


def test_a_killed_fit_goes_on_to_the_last_bit(cohort, split, tmp_path, trainer_settings, adam):
    data = CohortDataModule(cohort, split).with_balance(True)
    whole = trained(data, tmp_path / "whole", trainer_settings, adam)
    with pytest.raises(StoppedError):
        trained(data, tmp_path / "killed", trainer_settings, adam, [KillAfterTwo()])
    resumed = trained(data, tmp_path / "killed", trainer_settings, adam)
    plain = trained(data.with_balance(False), tmp_path / "plain", trainer_settings, adam)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert not all(torch.equal(whole[name], plain[name]) for name in whole)


def test_what_finishes_a_network_weighs_labels_as_they_were_drawn(cohort, split):
    data = CohortDataModule(cohort, split, labels=0.5).with_balance(True)
    batch = _one_step(data)
    sums = [float(batch.label_weight[batch.target == number].sum()) for number in (0, 1)]
    np.testing.assert_allclose(sums, 0.5, atol=1e-6)
