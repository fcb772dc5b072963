"""Steps that the verbs share, one call each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from meddistill.config.compose import check_network
from meddistill.errors import SettingError, integer, number, optional_integer
from meddistill.evaluation.thresholds import rule_of
from meddistill.losses.imbalance import build_imbalance
from meddistill.training.callbacks import FOLLOWED
from meddistill.training.compiled import check_compile
from meddistill.training.schedulers import schedule_of
from meddistill.training.trainer import make_trainer, quiet

ANSWERS = ("stored", "live")


def check(settings: Mapping[str, Any]) -> None:
    """Refuse settings of no component in particular; sets the number of threads."""
    torch.set_num_threads(integer("threads", settings["threads"], at_least=1))
    rule_of(settings["threshold"])
    build_imbalance(settings["imbalance"])  # before a teacher has it from its student
    with quiet():
        make_trainer(settings["trainer"], logger=False)
    number("data.labels", settings["data"]["labels"], above=0, at_most=1)


def check_student(settings: Mapping[str, Any]) -> None:
    """Refuse settings of the student's training that no component refuses, and absent networks."""
    check(settings)
    optional_integer("patience", settings["patience"], at_least=1)
    integer("seed", settings["seed"])
    _check_stack(settings)
    optional_integer("stack.chunk", settings["stack"]["chunk"], at_least=1)
    number("save_seconds", settings["save_seconds"], at_least=0)
    for key, choices in {"monitor": FOLLOWED, "answers": ANSWERS}.items():
        if settings[key] not in choices:
            raise SettingError(key, settings[key], f"must be one of {', '.join(choices)}")
    check_network(settings["student"], "student")
    schedule_of(settings["scheduler"], settings["trainer"]["max_epochs"])
    check_compile(settings["compile"])


def _check_stack(settings: Mapping[str, Any]) -> None:
    """Refuse axes where nothing would expand them."""
    axes, members = settings["stack"]["axes"], settings["stack"]["members"]
    if members is not None and not axes:
        raise SettingError("stack.members", members, "is a part of the students of stack.axes")
    if axes and settings["verb"] == "trial":
        mend = "a trial has arms and splits in their place; -m makes a trial of each value"
        raise SettingError("stack.axes", axes, mend)
