"""The student's own architecture as its teacher."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from meddistill.data.datamodule import CohortDataModule
from meddistill.errors import SettingError, integer
from meddistill.inference.network import MeanOfProbabilities
from meddistill.inference.weights import load_weights
from meddistill.losses.kd import KD
from meddistill.losses.treated import treat
from meddistill.seeding import derive
from meddistill.teachers.neural import NeuralTeacher
from meddistill.training.checkpoints import BEST
from meddistill.training.classifier import Classifier
from meddistill.training.distiller import Distiller, FrozenTeacher

log = logging.getLogger(__name__)
NO_NETWORK = (
    "is the student's network, and there is no student here: add student=mlp_small (or another), "
    "or give teacher.network its own"
)


class BornAgainTeacher(NeuralTeacher):
    """Born-again networks (Furlanello et al. 2018, arXiv:1805.04770).

    Generation 0 learns from the labels; each later one has other first weights and learns from the
    labels and the answers of the one before. The last one is the teacher.

    Args:
        network: Config node of the student's network.
        generations: How often it is born again.
        temperature: T of the loss between generations.
        alpha: Weight of the generation before; the labels have the rest.
        missing: As for `NeuralTeacher`, but that a share to hide is the student's alone.
        **training: As for `NeuralTeacher`.

    Raises:
        SettingError: A setting is out of its range.
    """

    def __init__(
        self,
        network: Mapping[str, Any] | None,
        generations: int = 1,
        temperature: float = 2.0,
        alpha: float = 0.5,
        missing: Mapping[str, Any] | None = None,
        **training: Any,
    ) -> None:
        if network is None:
            raise SettingError("network", network, NO_NETWORK)
        as_they_are = {**missing, "hide": 0.0} if missing else None
        super().__init__(network, missing=as_they_are, **training)
        if self.members != 1:
            raise SettingError("members", self.members, "a generation is one network; leave it 1")
        self.generations = integer("generations", generations, at_least=1)
        KD(temperature, alpha)  # it refuses what is out of range
        self.temperature, self.alpha = temperature, alpha

    def train_members(
        self, data: CohortDataModule, folder: Path, trainer: Mapping[str, Any]
    ) -> list[str]:
        """The checkpoint of the last generation; finished ones of a killed fit are kept."""
        live: FrozenTeacher | None = None
        for generation in range(self.generations + 1):
            path = Path("generations") / str(generation)
            best = path / "checkpoints" / BEST
            seed = derive(self.seed, "generation", generation)
            network, factory = self.built(data, seed)
            if not (folder / best).exists():
                log.info("teacher: training generation %d of %d", generation, self.generations)
                given = (network, data.num_classes, factory)
                own: dict[str, Any] = {"seed": seed, "scheduler": self.schedule}
                loss = KD(self.temperature, self.alpha)
                module = (
                    Distiller(*given, loss, teacher=live, **own)
                    if generation
                    else Classifier(*given, **own)
                )
                treat(loss if generation else module.cross_entropy, self.treatments(data))
                self.train(module, data, folder / path, trainer)
            load_weights(network, folder / best)
            live, data = _taught(network, data)
        return [str(best)]


def _taught(
    network: nn.Module, data: CohortDataModule
) -> tuple[FrozenTeacher | None, CohortDataModule]:
    """The rows with a generation's answers, or itself where it must answer random views."""
    frozen = MeanOfProbabilities([network.cpu()]).eval()
    if data.view is None:
        return None, data.with_answers(data.answers_of(frozen).float().numpy())
    return FrozenTeacher(frozen), data.with_live_teacher(data.preprocessing)
