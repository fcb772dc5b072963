"""What holds on the CPU holds on a GPU: skipped where there is none."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from meddistill.config.compose import build_network
from meddistill.losses.kd import KD
from meddistill.training.distiller import Distiller, FrozenTeacher
from meddistill.training.fit import fit

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
MLP = {"_target_": "meddistill.models.mlp.MLP", "width": 64, "depth": 2, "dropout": 0.2}
SMALL = ("teacher=mlp", "teacher.network.width=16", "teacher.trainer.max_epochs=3", "logger=none")


class SeesSteps(Callback):
    """Asks for every step."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        assert torch.isfinite(outputs["loss"])
        assert batch.inputs.is_cuda


@pytest.fixture
def taught(cohort, data):
    data.batch_size = 9
    return data.with_answers(np.log(np.full((len(cohort.target), 2), 0.5, dtype=np.float32)))


def trained(folder, data, adam, callbacks=(), **settings):
    """The weights of a student distilled on the GPU, on the CPU."""
    network = build_network(MLP, "student", (30,), 2, 0)
    module = Distiller(network, 2, adam, KD(2.0, 0.5))
    where = {"accelerator": "gpu", "devices": 1, "max_epochs": 3, "enable_progress_bar": False}
    result = fit(module, data, folder, {**where, **settings}, callbacks=list(callbacks))
    assert np.isfinite(result.score)
    return torch.cat([value.flatten().cpu() for value in network.state_dict().values()])


@pytest.mark.parametrize(
    "settings",
    [{}, {"accumulate_grad_batches": 4}, {"gradient_clip_val": 0.05}, {"deterministic": True}],
    ids=str,
)
def test_on_a_gpu_both_ways_lead_to_the_same_weights(settings, tmp_path, taught, adam):
    fast = trained(tmp_path / "fast", taught, adam, **settings)
    plain = trained(tmp_path / "plain", taught, adam, [SeesSteps()], **settings)
    assert torch.equal(fast, plain)


@pytest.mark.parametrize("precision", ["16-mixed", "bf16-mixed", "64-true"])
def test_on_a_gpu_each_precision_trains_and_leaves_float32(precision, tmp_path, taught, adam):
    weights = trained(tmp_path, taught, adam, precision=precision)
    assert weights.dtype == torch.float32
    assert torch.isfinite(weights).all()


def test_a_live_teacher_comes_back_from_the_gpu(tmp_path, data, adam):
    """Lightning brings the student back; the teacher is none of its modules."""
    teacher = FrozenTeacher(build_network(MLP, "teacher", (30,), 2, 1))
    network = build_network(MLP, "student", (30,), 2, 0)
    module = Distiller(network, 2, adam, KD(2.0, 0.5), teacher)
    where = {"accelerator": "gpu", "devices": 1, "max_epochs": 1, "enable_progress_bar": False}
    fit(module, data, tmp_path, where)
    assert not any(weights.is_cuda for weights in teacher.parameters())


def test_a_run_on_a_gpu_answers_on_the_cpu(meddistill, tmp_path):
    code, out, err = meddistill(
        "distill",
        *SMALL,
        "accelerator=gpu",
        "trainer.max_epochs=5",
        f"hydra.run.dir={tmp_path}/run",
    )
    assert code == 0, out + err
    import meddistill as package
    from meddistill.data.tables.breast_cancer import breast_cancer

    answers = package.predict(tmp_path / "run", breast_cancer().records.frame)
    kept = pd.read_parquet(tmp_path / "run" / "predictions.parquet")
    there = kept.filter(like="p_").to_numpy()
    np.testing.assert_allclose(answers.to_numpy(), there, rtol=0, atol=1e-5)


def test_a_stack_on_a_gpu_is_near_its_students_alone(meddistill, tmp_path):
    """On a GPU the order of sums differs between a stack and a student: near, not the same."""
    for name, sweeper in {"stack": "stacked", "alone": "basic"}.items():
        code, out, err = meddistill(
            "distill", "-m", *SMALL, "accelerator=gpu", "trainer.max_epochs=5", "seed=0,1,2",
            f"hydra/sweeper={sweeper}", f"hydra.sweep.dir={tmp_path}/{name}",
        )  # fmt: skip
        assert code == 0, out + err
    stack, alone = (pd.read_csv(tmp_path / name / "sweep.csv") for name in ("stack", "alone"))
    stack, alone = (frame.sort_values("seed")["val/log_loss"] for frame in (stack, alone))
    np.testing.assert_allclose(stack.to_numpy(), alone.to_numpy(), rtol=0, atol=1e-3)


def test_mixed_precision_is_written_down(meddistill, tmp_path):
    code, out, err = meddistill(
        "distill", *SMALL, "accelerator=gpu", "trainer.precision=16-mixed",
        "optimizer.fused=false", "trainer.max_epochs=3", f"hydra.run.dir={tmp_path}/run",
    )  # fmt: skip
    assert code == 0, out + err
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["score"] > 0
