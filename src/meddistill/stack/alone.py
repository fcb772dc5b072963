"""Why students are trained one by one rather than in a stack."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
import torch
from hydra.utils import get_class

from meddistill.config.compose import build_network
from meddistill.data.datamodule import CohortDataModule
from meddistill.losses.base import Searched
from meddistill.losses.building import build_loss
from meddistill.losses.choice import loss_name
from meddistill.stack.network import NotStackableError, stack_networks
from meddistill.stack.optimizer import ELEMENTWISE

HONOURED = {
    "accelerator", "deterministic", "benchmark", "max_epochs", "min_epochs",
    "check_val_every_n_epoch", "gradient_clip_val", "gradient_clip_algorithm",
    "accumulate_grad_batches", "enable_progress_bar", "num_sanity_val_steps", "default_root_dir",
    "enable_autolog_hparams", "inference_mode",
}  # fmt: skip
"""Trainer's arguments that do to every member of a stack what they do to a student alone."""
NEEDED = {"devices": (1, "1"), "precision": ("32-true", "32", 32)}
"""Of others what a stack can do, besides Lightning's default."""


def why_alone(settings: Mapping[str, Any], data: CohortDataModule) -> str | None:
    """Why such students can't be stacked; None where they can."""
    if settings["monitor"] != "val/log_loss":
        return f"a stack follows val/log_loss, not monitor={settings['monitor']}"
    if settings["answers"] != "stored":
        return "a stack learns from stored answers, not from a live teacher"
    if data.view is not None:
        return "a random view is drawn for one student"
    if data.is_streamed:
        return "rows are read from their files for one student at a time"
    if settings["compile"]:
        return f"compile={settings['compile']} is for one student's network"
    if settings["callbacks"]:
        return f"callbacks={', '.join(settings['callbacks'])} see one student's training"
    target = get_class(settings["optimizer"]["_target_"])
    if target not in ELEMENTWISE:
        return f"{target.__name__} does not treat each parameter by itself"
    return (
        _of_loss(settings["loss"])
        or _of_trainer(settings["trainer"])
        or _of_loggers(own_loggers(settings))
        or _of_scheduler(settings["scheduler"], settings["trainer"])
        or _of_network(settings, data)
    )


def own_loggers(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Config nodes of the loggers that each student of a job has for itself.

    The job's tables stand for a CSV file a student, unless that is to hold single steps.
    """
    steps = settings["trainer"].get("log_every_n_steps")
    return {k: n for k, n in settings["logger"].items() if steps or not _is_csv(n)}


def _is_csv(node: Mapping[str, Any]) -> bool:
    return str(node["_target_"]).endswith(".CSVLogger")


def _of_loss(node: Mapping[str, Any]) -> str | None:
    loss = build_loss(node)
    if isinstance(loss, Searched):
        return None  # what it finds is another loss
    if loss.needs_features:
        return f"loss={loss_name(loss)} reads layers of a live teacher"
    if any(True for _ in loss.parameters()):
        return f"loss={loss_name(loss)} learns numbers of its own"
    return None


def _of_trainer(settings: Mapping[str, Any]) -> str | None:
    defaults = inspect.signature(pl.Trainer.__init__).parameters
    for name, value in settings.items():
        plain = value in (None, defaults[name].default, *NEEDED.get(name, ()))
        if not plain and name not in HONOURED:
            return f"trainer.{name}={value} is not for stacks"
    every, least = settings.get("check_val_every_n_epoch") or 1, settings.get("min_epochs") or 0
    if least % every:
        return f"trainer.min_epochs={least} is no multiple of check_val_every_n_epoch={every}"
    return None


def _of_loggers(nodes: Mapping[str, Any]) -> str | None:
    return f"logger={', '.join(nodes)} follows one student's training" if nodes else None


def _of_scheduler(node: Mapping[str, Any], trainer: Mapping[str, Any]) -> str | None:
    monitor = node.get("monitor")
    if monitor is None:
        return None
    if monitor != "val/log_loss":
        return f"a stack follows val/log_loss, not scheduler.monitor={monitor}"
    if trainer.get("check_val_every_n_epoch") not in (None, 1):
        return "a plateau in a stack is looked for once an epoch (check_val_every_n_epoch=1)"
    return None


def _of_network(settings: Mapping[str, Any], data: CohortDataModule) -> str | None:
    build = (settings["student"], "student", data.in_shape, data.num_classes)
    networks = [build_network(*build, seed) for seed in (0, 1)]
    drops = any(isinstance(m, torch.nn.Dropout) and m.p > 0 for m in networks[0].modules())
    if drops and device_of(settings) != "cpu":
        return f"dropout draws other random numbers in a stack on {device_of(settings)}"
    try:
        stack_networks(networks, data.in_shape)
    except NotStackableError as error:
        return str(error)
    return None


def device_of(settings: Mapping[str, Any]) -> str:
    """The kind of device: cpu, cuda or mps."""
    chosen = settings["trainer"]["accelerator"]
    if chosen in ("auto", "gpu"):
        has_gpu = torch.cuda.is_available()
        has_mps = torch.backends.mps.is_available()
        return "cuda" if has_gpu else "mps" if has_mps else "cpu"
    return str(chosen)
