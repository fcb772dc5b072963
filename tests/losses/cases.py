"""The shipped losses that read answers only, and small batches to run them on."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from meddistill.config.confdir import choices, conf_dir
from meddistill.losses import DistillationLoss, reduce_terms
from meddistill.losses.base import Searched
from meddistill.losses.building import build_loss

ROWS = 14
MANY = 7  # classes


@cache
def composed(name):
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return OmegaConf.to_container(compose("distill", [f"loss={name}"]).loss)


def node(name, **changes):
    return {**composed(name), **changes}


def make(name, **changes):
    return build_loss(node(name, **changes))


def reads_answers_only(name):
    """Whether the tests here can drive it: a `forward` is all it has, and it learns nothing.

    A search has no terms; a loss that reads features overrides `of_step`; one that holds
    parameters of its own needs them fitted. They have tests of their own.
    """
    loss = make(name)
    plain = type(loss).of_step is DistillationLoss.of_step
    return plain and not isinstance(loss, Searched) and not list(loss.parameters())


NAMES = [name for name in choices("loss") if reads_answers_only(name)]
TAUGHT = [name for name in NAMES if make(name).needs_teacher]
VOID = [name for name in NAMES if make(name).min_classes > 2]


def sizes(name):
    return sorted({make(name).min_classes, MANY})


def each_size(names):
    return pytest.mark.parametrize(
        ("name", "classes"), [(name, size) for name in names for size in sizes(name)]
    )


def own(name):
    """The settings of a loss besides those that all have."""
    shared = {"_target_", "alpha", "label_smoothing"}
    return {key: value for key, value in node(name).items() if key not in shared}


def example(classes, rows=ROWS, seed=0, spread=1.5):
    generator = torch.Generator().manual_seed(seed)
    student, teacher = (spread * torch.randn(rows, classes, generator=generator) for _ in range(2))
    return student, torch.arange(rows) % classes, teacher.log_softmax(-1)


def value(loss, student, target, teacher, labelled=None):
    labelled = torch.ones(target.shape) if labelled is None else labelled.float()
    rows = target.shape[-1]
    weights = labelled / labelled.sum(-1, keepdim=True), torch.full(target.shape, 1 / rows)
    return reduce_terms(loss(student, target, teacher), *weights)


def value_and_gradient(loss, student, *rest, **more):
    free = student.detach().clone().requires_grad_()
    number = value(loss, free, *rest, **more)
    (gradient,) = torch.autograd.grad(number, free)
    return number.detach(), gradient
