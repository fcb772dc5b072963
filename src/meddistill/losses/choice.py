"""Whether a loss says anything about data with so many classes, and which do."""

from __future__ import annotations

from typing import Any

from hydra.utils import get_class
from omegaconf import OmegaConf

from meddistill.config.confdir import choices, conf_dir
from meddistill.errors import UserError
from meddistill.losses.base import DistillationLoss


def check_loss(loss: DistillationLoss, num_classes: int) -> None:
    """Refuse a loss that is void for so few classes.

    Raises:
        UserError: It names the losses that work.
    """
    if num_classes >= loss.min_classes:
        return
    own = loss_name(loss)
    others = [name for name in working_losses(num_classes) if name != own]
    raise UserError(
        f"loss={own} needs at least {loss.min_classes} classes and the data have {num_classes}, "
        f"where {loss.void}; losses that work: {', '.join(others)}"
    )


def working_losses(num_classes: int) -> list[str]:
    """The choices of the group `loss` that say something about so many classes."""
    return [
        name for name in choices("loss") if getattr(_target(name), "min_classes", 2) <= num_classes
    ]


def loss_name(loss: DistillationLoss) -> str:
    """The choice that builds a loss; its own name in lower case where none of ours does."""
    named = (name for name in choices("loss") if _target(name) is type(loss))
    return next(named, type(loss).__name__.lower())


def _target(name: str) -> Any:
    node = OmegaConf.load(conf_dir() / "loss" / f"{name}.yaml")
    return get_class(str(OmegaConf.select(node, "_target_")))
