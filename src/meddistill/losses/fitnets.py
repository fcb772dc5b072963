"""Features of a layer, matched through a linear projector (Romero et al. 2015, arXiv:1412.6550)."""

from __future__ import annotations

from torch import Tensor, nn

from meddistill.losses.features import FeatureLoss, flat


class FitNets(FeatureLoss):
    """D = mean over features of `(P f_student - f_teacher)^2`, P linear and trained.

    The paper trains the hint before the labels; here both are trained together.
    """

    term = "fitnets"
    projector: nn.Linear

    def fit_sizes(self, student: Tensor, teacher: Tensor) -> None:
        """Make the projector."""
        self.projector = nn.Linear(flat(student).shape[1], flat(teacher).shape[1])

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """[batch] mean squared difference of a row's features."""
        difference: Tensor = self.projector(flat(student)) - flat(teacher)
        return difference.square().mean(dim=1)
