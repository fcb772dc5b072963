"""What a fit promises: best epoch, early stopping, resume, seeds, clipping."""

from __future__ import annotations

import math
import signal
from contextlib import nullcontext

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger

from made_series import made_cohort
from meddistill.config.compose import build_network
from meddistill.data import batches
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.split import split_cohort
from meddistill.errors import SettingError, UserError
from meddistill.inference.weights import load_weights
from meddistill.losses.kd import KD
from meddistill.models.recurrent import GRU
from meddistill.training.classifier import Classifier
from meddistill.training.compiled import check_compile
from meddistill.training.distiller import Distiller
from meddistill.training.fit import _check_optimizer, fit
from meddistill.training.trainer import make_trainer

MLP = {"_target_": "meddistill.models.mlp.MLP", "width": 8, "depth": 1, "dropout": 0.2}


class StoppedError(Exception):
    """A kill, as far as one process can play it."""


class KillAfter(Callback):
    """Ends the process's fit at the end of an epoch, after the state was saved."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_train_epoch_end(self, trainer, pl_module):
        if trainer.current_epoch == self.epoch:
            raise StoppedError


class Watch(Callback):
    """Notes what happens in training steps."""

    def __init__(self):
        self.modes, self.lrs = [], []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.modes.append(pl_module.network.training)


def module(seed=0, adam=None, network=MLP, **options):
    net = build_network(network, "student", (30,), 2, seed)
    return Classifier(net, 2, adam, seed=seed, **options)


def weights(classifier):
    return torch.cat([value.flatten() for value in classifier.network.state_dict().values()])


def test_the_best_epochs_weights_are_kept_and_saved(
    tmp_path, cohort, split, adam, trainer_settings
):
    data = CohortDataModule(cohort, split)
    trainer_settings["max_epochs"] = 12
    student = module(adam=lambda parameters: torch.optim.SGD(parameters, lr=3.0))
    logger = CSVLogger(tmp_path)
    result = fit(student, data, tmp_path, trainer_settings, patience=100, loggers=[logger])
    logger.save()
    lines = (tmp_path / "lightning_logs" / "version_0" / "metrics.csv").read_text().splitlines()
    column = lines[0].split(",").index("val/log_loss")
    scores = [float(line.split(",")[column]) for line in lines[1:]]
    assert scores[-1] > min(scores), "the last epoch must not be the best for this test to say much"
    assert result.score == pytest.approx(min(scores))
    net = build_network(MLP, "student", (30,), 2, seed=9)
    load_weights(net, tmp_path / "checkpoints" / "best.ckpt")
    rows = torch.from_numpy(split.validation)
    chosen = net.eval()(data.rows.inputs[rows]).log_softmax(1)
    loss = torch.nn.functional.nll_loss(chosen, torch.tensor(cohort.target)[rows])
    assert loss.item() == pytest.approx(result.score, abs=1e-6)


def test_patience_goes_by_the_number_of_rows_where_nobody_says(
    tmp_path, data, trainer_settings, monkeypatch
):
    settings = {**trainer_settings, "max_epochs": 60}
    still = module(adam=lambda parameters: torch.optim.Adam(parameters, lr=0.0))
    usual = fit(still, data, tmp_path / "usual", settings)
    monkeypatch.setattr(batches, "FEW_ROWS", 200)  # as if the table had twenty-odd thousand rows
    still = module(adam=lambda parameters: torch.optim.Adam(parameters, lr=0.0))
    assert (usual.epochs, fit(still, data, tmp_path / "large", settings).epochs) == (21, 6)


def test_training_stops_after_patience_epochs_without_a_better_one(
    tmp_path, data, trainer_settings
):
    trainer_settings["max_epochs"] = 50
    still = module(adam=lambda parameters: torch.optim.SGD(parameters, lr=1e-12))
    assert fit(still, data, tmp_path, trainer_settings, patience=3).epochs <= 5


@pytest.mark.parametrize("hide", [0.0, 0.3])
def test_a_killed_fit_resumes_to_bit_identical_weights(
    hide, tmp_path, cohort, split, adam, trainer_settings
):
    data = CohortDataModule(cohort, split, hide=hide)
    whole = module(adam=adam)
    fit(whole, data, tmp_path / "whole", trainer_settings, patience=9)
    killed = module(adam=adam)
    with pytest.raises(StoppedError):
        fit(
            killed, data, tmp_path / "killed", trainer_settings, patience=9, save_seconds=0,
            callbacks=[KillAfter(2)],
        )  # fmt: skip
    resumed = module(adam=adam)
    fit(resumed, data, tmp_path / "killed", trainer_settings, patience=9)
    assert torch.equal(weights(whole), weights(resumed))
    assert not torch.equal(weights(whole), weights(killed))


def test_a_killed_fit_of_a_recurrent_network_resumes_to_bit_identical_weights(
    tmp_path, adam, trainer_settings
):
    cohort = made_cohort(rows=90)
    data = CohortDataModule(cohort, split_cohort(cohort))
    fitted = {}
    for name, callbacks in {"whole": [], "killed": [KillAfter(2)], "resumed": []}.items():
        torch.manual_seed(0)
        fitted[name] = Classifier(GRU(data.in_shape, 2, width=4), 2, adam)
        folder = tmp_path / ("whole" if name == "whole" else "killed")
        with pytest.raises(StoppedError) if callbacks else nullcontext():
            fit(
                fitted[name], data, folder, trainer_settings, patience=9, save_seconds=0,
                callbacks=callbacks,
            )  # fmt: skip
    assert torch.equal(weights(fitted["whole"]), weights(fitted["resumed"]))
    assert not torch.equal(weights(fitted["whole"]), weights(fitted["killed"]))


def test_a_resume_keeps_the_best_epoch_from_before_the_kill(tmp_path, data, trainer_settings):
    worsening = {"adam": lambda parameters: torch.optim.SGD(parameters, lr=30.0)}
    trainer_settings["max_epochs"] = 6
    whole, resumed = module(**worsening), module(**worsening)
    expected = fit(whole, data, tmp_path / "whole", trainer_settings, patience=9)
    with pytest.raises(StoppedError):
        fit(
            module(**worsening), data, tmp_path / "k", trainer_settings, patience=9,
            save_seconds=0, callbacks=[KillAfter(4)],
        )  # fmt: skip
    result = fit(resumed, data, tmp_path / "k", trainer_settings, patience=9)
    assert result.score == expected.score
    assert torch.equal(weights(whole), weights(resumed))


@pytest.mark.parametrize("ending", ["patience", "max_epochs"])
def test_a_kill_right_after_the_last_epoch_changes_nothing(
    tmp_path, data, trainer_settings, ending
):
    """Going on from a state saved at the end must not train an epoch that the whole run did not."""
    worsening = {"adam": lambda parameters: torch.optim.SGD(parameters, lr=3.0)}
    trainer_settings["max_epochs"] = 60 if ending == "patience" else 4
    options = {"patience": 2 if ending == "patience" else 50, "save_seconds": 0}
    whole, resumed = module(**worsening), module(**worsening)
    expected = fit(whole, data, tmp_path / "whole", trainer_settings, **options)
    assert (expected.epochs < 60) == (ending == "patience") or expected.epochs == 4
    with pytest.raises(StoppedError):
        fit(
            module(**worsening), data, tmp_path / "k", trainer_settings, **options,
            callbacks=[KillAfter(expected.epochs - 1)],
        )  # fmt: skip
    result = fit(resumed, data, tmp_path / "k", trainer_settings, **options)
    assert (result.score, result.epochs) == (expected.score, expected.epochs)
    assert torch.equal(weights(whole), weights(resumed))


def test_validation_every_other_epoch_is_enough(tmp_path, data, adam, trainer_settings):
    trainer_settings["check_val_every_n_epoch"] = 2
    assert fit(module(adam=adam), data, tmp_path, trainer_settings).epochs == 5


def test_ctrl_c_stays_ctrl_c(tmp_path, data, adam, trainer_settings):
    class Interrupt(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(module(adam=adam), data, tmp_path, trainer_settings, callbacks=[Interrupt()])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_sanity_check_never_counts_as_the_best_epoch(tmp_path, data, adam, trainer_settings):
    plain, checked = module(adam=adam), module(adam=adam)
    without = fit(plain, data, tmp_path / "without", trainer_settings)
    trainer_settings["num_sanity_val_steps"] = 2
    result = fit(checked, data, tmp_path / "with", trainer_settings)
    assert result.score == without.score
    assert torch.equal(weights(plain), weights(checked))

    # A network that is perfect before training: its sanity check would win if it counted.
    class Perfect(Callback):
        def on_sanity_check_end(self, trainer, pl_module):
            trainer.callback_metrics["val/log_loss"] = torch.tensor(0.0)

    result = fit(module(adam=adam), data, tmp_path / "p", trainer_settings, callbacks=[Perfect()])
    assert result.score == without.score


def test_seed_zero_is_a_seed_and_decides_everything(
    tmp_path, cohort, split, adam, trainer_settings
):
    results = []
    for number, seed in enumerate((0, 0, 1)):
        torch.manual_seed(number * 100)  # the process's own random state plays no part
        data = CohortDataModule(cohort, split, seed=seed)
        student = module(seed=seed, adam=adam)
        fit(student, data, tmp_path / str(number), trainer_settings)
        results.append(weights(student))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_the_student_is_in_train_mode_in_every_training_step(
    tmp_path, data, adam, trainer_settings
):
    watch = Watch()
    fit(module(adam=adam), data, tmp_path, trainer_settings, callbacks=[watch])
    steps = math.ceil(len(data.split.train) / data.batch_size)
    assert len(watch.modes) == trainer_settings["max_epochs"] * steps
    assert all(watch.modes)


def test_labels_of_test_rows_play_no_part_in_training(
    tmp_path, cohort, split, adam, trainer_settings
):
    from dataclasses import replace

    target = cohort.target.copy()
    target[split.test] = 1 - target[split.test]
    results = []
    for name, each in {"as they are": cohort, "turned": replace(cohort, target=target)}.items():
        student = module(adam=adam)
        score = fit(student, CohortDataModule(each, split), tmp_path / name, trainer_settings).score
        results.append((score, weights(student)))
    assert results[0][0] == results[1][0]
    assert torch.equal(results[0][1], results[1][1])


def test_unlabelled_rows_labels_play_no_part_in_training(
    tmp_path, cohort, split, adam, trainer_settings
):
    hidden = ~split.labelled(cohort.target, 0.3)
    target = cohort.target.copy()
    target[hidden] = 1 - target[hidden]
    results = []
    for name, labels in {"as they are": cohort.target, "turned": target}.items():
        data = CohortDataModule(cohort, split, labels=0.3)
        data._target = torch.tensor(labels)
        student = module(adam=adam)
        fit(student, data, tmp_path / name, trainer_settings)
        results.append(weights(student))
    assert torch.equal(*results)


def test_bf16_trains_to_about_the_same_measures(tmp_path, data, trainer_settings, adam):
    scores = {}
    for precision in ("32-true", "bf16-mixed"):
        network = build_network({**MLP, "dropout": 0.0}, "student", data.in_shape, 2, seed=0)
        settings = {**trainer_settings, "precision": precision, "max_epochs": 20}
        module = Classifier(network, data.num_classes, adam)
        scores[precision] = fit(module, data, tmp_path / precision, settings).score
        assert all(p.dtype == torch.float32 for p in network.parameters())
    assert scores["bf16-mixed"] != scores["32-true"]  # the precision reached the products
    assert scores["bf16-mixed"] == pytest.approx(scores["32-true"], abs=0.02)


def test_gradient_clipping_and_accumulation_reach_the_steps(tmp_path, data, trainer_settings):
    def sgd(parameters):
        return torch.optim.SGD(parameters, lr=1.0)

    start = weights(module(adam=sgd, network={**MLP, "dropout": 0.0}))
    moved = {}
    for name, more in {
        "plain": {},
        "clipped": {"gradient_clip_val": 1e-4},
        "accumulated": {"accumulate_grad_batches": 6},
    }.items():
        student = module(adam=sgd, network={**MLP, "dropout": 0.0})
        settings = {**trainer_settings, "max_epochs": 1, **more}
        fit(student, data, tmp_path / name, settings)
        moved[name] = (weights(student) - start).norm().item()
    steps = math.ceil(len(data.split.train) / data.batch_size)
    assert moved["clipped"] <= 1e-4 * steps * 1.01 < moved["plain"]
    assert 0 < moved["accumulated"] < moved["plain"]


def test_clipping_works_under_bf16_for_fused_optimizers(tmp_path, data, adam, trainer_settings):
    settings = {**trainer_settings, "gradient_clip_val": 0.1, "precision": "bf16-mixed"}
    fit(module(adam=adam), data, tmp_path / "bf16", settings)


def test_a_fit_that_diverges_says_so_and_names_the_learning_rate(tmp_path, data, trainer_settings):
    burning = module(adam=lambda parameters: torch.optim.SGD(parameters, lr=1e38))
    with pytest.raises(UserError, match=r"diverged.*learning rate"):
        fit(burning, data, tmp_path, trainer_settings)


def test_trainer_arguments_that_lightning_does_not_know_are_refused():
    with pytest.raises(SettingError, match=r"trainer\.max_epoch=3.*max_epochs"):
        make_trainer({"max_epoch": 3})
    with pytest.raises(UserError, match=r"trainer\.accelerator=tpx"):
        make_trainer({"accelerator": "tpx"})


def test_a_checkpoint_holds_the_student_alone_and_loads_with_weights_only(
    tmp_path, data, adam, trainer_settings
):
    import numpy as np

    data = data.with_answers(np.log(np.full((len(data.cohort.target), 2), 0.5, dtype=np.float32)))
    net = build_network(MLP, "student", (30,), 2, 0)
    fit(Distiller(net, 2, adam, KD()), data, tmp_path, trainer_settings, save_seconds=0)
    for name in ("best.ckpt", "last.ckpt"):
        state = torch.load(tmp_path / "checkpoints" / name, weights_only=True)
        assert not [key for key in state["state_dict"] if "teacher" in key]
    best = torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert set(best) == set(net.state_dict())


def test_lightnings_own_test_loop_gives_the_same_measures(
    tmp_path, cohort, split, adam, trainer_settings
):
    from meddistill.evaluation.predictions import evaluate

    data = CohortDataModule(cohort, split)
    student = module(adam=adam)
    fit(student, data, tmp_path, trainer_settings)
    trainer = make_trainer(trainer_settings, logger=False)
    trainer.test(student, data, verbose=False)
    measured = {key: float(value) for key, value in trainer.callback_metrics.items()}
    with torch.no_grad():
        probabilities = student.network.eval()(
            data.rows.inputs[torch.from_numpy(split.test)]
        ).softmax(1)
    expected = evaluate(probabilities.double().numpy(), cohort.target[split.test])
    for name in ("auroc", "accuracy", "log_loss"):
        assert measured[f"test/{name}"] == pytest.approx(expected[name], abs=1e-6)


def test_a_new_split_seed_is_a_new_split(cohort):
    assert (split_cohort(cohort, 0).test != split_cohort(cohort, 1).test).any()


def test_lbfgs_evaluates_its_steps_and_keeps_what_was_scored(tmp_path, data, trainer_settings):
    student = module(adam=lambda parameters: torch.optim.LBFGS(parameters, max_iter=4))
    result = fit(student, data, tmp_path, trainer_settings)
    rows = torch.from_numpy(data.labelled_validation)
    with torch.no_grad():
        chosen = student.network.eval()(data.rows.inputs[rows]).log_softmax(1)
    loss = torch.nn.functional.nll_loss(chosen, data.rows.target[rows])
    assert loss.item() == pytest.approx(result.score, abs=1e-6)
    assert result.score < 0.3


@pytest.mark.parametrize("setting", ["gradient_clip_val", "optimizer"])
def test_what_does_not_go_with_fp16s_loss_scale_is_refused(setting, adam):
    """Only a GPU trains in fp16, but what it would refuse is known before."""
    made = adam if setting == "gradient_clip_val" else torch.optim.LBFGS
    said = r"optimizer\.fused=false" if setting == "gradient_clip_val" else "LBFGS.*bf16-mixed"
    with pytest.raises(SettingError, match=said):
        _check_optimizer(module(adam=made), {"precision": "16-mixed", "gradient_clip_val": 0.1})


class Normed(torch.nn.Sequential):
    def __init__(self):
        super().__init__(torch.nn.Linear(30, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 2))


def test_a_last_batch_of_one_row_joins_the_one_before_where_batch_norm_needs_two(
    tmp_path, data, adam, trainer_settings
):
    rows = len(data.train_rows)
    data.batch_size = next(size for size in range(40, rows) if rows % size == 1)
    seen = []

    class Sizes(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            seen.append(len(batch.target))

    fit(Classifier(Normed(), 2, adam), data, tmp_path, {**trainer_settings, "max_epochs": 1},
        callbacks=[Sizes()])  # fmt: skip
    assert sum(seen) == rows
    assert seen[-1] == data.batch_size + 1
    fit(module(adam=adam), data, tmp_path / "plain", {**trainer_settings, "max_epochs": 1},
        callbacks=[Sizes()])  # fmt: skip
    assert seen[-1] == 1  # other networks take it as it is


def test_batches_of_one_row_are_refused_where_batch_norm_needs_two(
    tmp_path, data, adam, trainer_settings
):
    data.batch_size = 1
    with pytest.raises(SettingError, match=r"batch_size=1: batch norm needs two rows"):
        fit(Classifier(Normed(), 2, adam), data, tmp_path, trainer_settings)


@pytest.mark.parametrize("lr", [0.01, 50.0])
def test_a_fit_that_ends_worse_than_the_class_shares_warns(
    lr, tmp_path, data, trainer_settings, caplog
):
    wild = module(adam=lambda parameters: torch.optim.SGD(parameters, lr=lr, momentum=0.99))
    result = fit(wild, data, tmp_path, {**trainer_settings, "max_epochs": 1})
    target = data.cohort.target
    share = target[data.split.train].mean()
    seen = target[data.labelled_validation]
    shares = -(seen * math.log(share) + (1 - seen) * math.log(1 - share)).mean()
    assert data.log_loss_of_shares == pytest.approx(shares)
    assert ("worse than that of the class shares" in caplog.text) == (result.score > shares)
    assert (result.score > shares) == (lr == 50.0)


def test_a_compiled_network_is_trained_and_its_checkpoint_has_its_own_names(
    tmp_path, data, adam, trainer_settings
):
    net = build_network({**MLP, "dropout": 0.0}, "student", (30,), 2, 0)
    calls = []

    def backend(graph, example_inputs):
        calls.append(len(example_inputs))
        return graph.forward

    student = Classifier(torch.compile(net, backend=backend), 2, adam)
    fit(student, data, tmp_path, {**trainer_settings, "max_epochs": 2}, save_seconds=0)
    assert calls
    for name in ("best.ckpt", "last.ckpt"):
        state = torch.load(tmp_path / "checkpoints" / name, weights_only=True)["state_dict"]
        assert not [key for key in state if "_orig_mod" in key]
    best = torch.load(tmp_path / "checkpoints/best.ckpt", weights_only=True)["state_dict"]
    plain = build_network({**MLP, "dropout": 0.0}, "student", (30,), 2, 0)
    assert set(best) == set(plain.state_dict())
    fit(Classifier(plain, 2, adam), data, tmp_path / "p", {**trainer_settings, "max_epochs": 2})
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(best[name], value, rtol=0, atol=1e-6)


@pytest.mark.parametrize("mode", ["fast", 1, "reduce_overhead"])
def test_an_unknown_way_to_compile_is_refused(mode):
    with pytest.raises(SettingError, match=r"compile=.*reduce-overhead"):
        check_compile(mode)
