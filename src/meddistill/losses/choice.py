"""Whether a loss says anything about data with so many classes, and which do."""

from __future__ import annotations

from hydra.utils import get_class
from omegaconf import OmegaConf

from meddistill.confdir import choices, conf_dir
from meddistill.errors import UserError
from meddistill.losses.base import DistillationLoss


def check_loss(loss: DistillationLoss, num_classes: int) -> None:
    """Refuse a loss that is void for so few classes.

    Raises:
        UserError: It names the losses that work.
    """
    if num_classes >= loss.min_classes:
        return
    raise UserError(
        f"loss={type(loss).__name__.lower()} needs at least {loss.min_classes} classes and the "
        f"data have {num_classes}, where it gives no gradient; losses that work: "
        f"{', '.join(working_losses(num_classes))}"
    )


def working_losses(num_classes: int) -> list[str]:
    """The choices of the group `loss` that say something about so many classes."""
    working = []
    for name in choices("loss"):
        node = OmegaConf.load(conf_dir() / "loss" / f"{name}.yaml")
        target = get_class(str(OmegaConf.select(node, "_target_")))
        if getattr(target, "min_classes", 2) <= num_classes:
            working.append(name)
    return working
