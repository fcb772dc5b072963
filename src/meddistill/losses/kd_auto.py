"""Knowledge distillation that finds its temperature and alpha on the validation rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from meddistill.errors import SettingError, integer, number
from meddistill.losses.base import Searched
from meddistill.losses.kd import KD


class KDAuto(Searched):
    """`KD` with the temperature and alpha of the best of a grid by successive halving.

    Every setting starts with `seeds` students; after `epochs` epochs the best in `eta` settings by
    mean validation log loss go on, after `eta` times as many epochs the best of those, and so on
    (Jamieson and Talwalkar 2016, arXiv:1502.07943). The budget is at most
    `settings * seeds * epochs * (1 + eta * number of halvings)` epochs of a student, besides what
    the last setting needs to stop early.

    Args:
        temperatures: Temperatures to try, each above 0.
        alphas: Weights of the teacher to try, each between 0 and 1; 0 needs one temperature only.
        seeds: Students a setting.
        epochs: Epochs before the first halving.
        eta: Of the settings one in eta goes on.
        label_smoothing: As in `KD`.
    """

    fixed: tuple[str, ...] = ("label_smoothing",)

    def __init__(
        self,
        temperatures: Sequence[float],
        alphas: Sequence[float],
        seeds: int = 3,
        epochs: int = 10,
        eta: int = 3,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        for key, values in {"temperatures": temperatures, "alphas": alphas}.items():
            if not values:
                raise SettingError(key, values, "must name at least one value")
        self.temperatures = [number("temperatures", value, above=0) for value in temperatures]
        self.alphas = [number("alphas", value, at_least=0, at_most=1) for value in alphas]
        self.seeds = integer("seeds", seeds, at_least=1)
        self.epochs = integer("epochs", epochs, at_least=1)
        self.eta = integer("eta", eta, at_least=2)
        self.label_smoothing = number("label_smoothing", label_smoothing, at_least=0, at_most=0.999)

    @property
    def distils(self) -> bool:
        """Whether any setting tried lets the teacher have a say."""
        return max(self.alphas) > 0

    @property
    def learns_labels(self) -> bool:
        """Whether any setting tried gives the labels a share."""
        return min(self.alphas) < 1

    def candidates(self) -> list[dict[str, float]]:
        """Settings to try; where alpha is 0 the temperature has no effect."""
        grid = {
            (self.temperatures[0] if alpha == 0 else temperature, alpha): None
            for temperature in self.temperatures
            for alpha in self.alphas
        }
        return [{"temperature": t, "alpha": a, "label_smoothing": self.label_smoothing}
                for t, a in grid]  # fmt: skip

    def node(self, setting: dict[str, float]) -> dict[str, Any]:
        """Config node of the loss with a setting."""
        return {"_target_": f"{KD.__module__}.{KD.__name__}", **setting}
