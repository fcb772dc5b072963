"""One stack trained from beginning to end."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import get_class
from numpy.typing import NDArray
from torch import Tensor, nn

from meddistill.config.compose import build_network, build_optimizer
from meddistill.data.batches import patience_for
from meddistill.data.datamodule import CohortDataModule
from meddistill.losses import DistillationLoss
from meddistill.losses.building import build_loss, by_epoch, is_scheduled
from meddistill.losses.imbalance import Treatment
from meddistill.losses.treated import treat, treatment_by
from meddistill.stack.best import BestMembers
from meddistill.stack.distiller import Halt, StackedDistiller
from meddistill.stack.memory import keep_freed_memory
from meddistill.stack.network import StackedNetwork, stack_networks
from meddistill.stack.rows import MemberRows
from meddistill.training.fit import TRY_LOWER, train
from meddistill.training.freeze import Freeze
from meddistill.training.schedulers import schedule_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """What the members of a stack share.

    Attributes:
        student: Config node of the network.
        loss: Config node of the loss.
        optimizer: Config node of the optimizer.
        trainer: Arguments of Lightning's Trainer.
        patience: Epochs without a better validation log loss after which a member stops; None goes
            by the number of rows of the table.
        scheduler: Config node of how learning rates move; empty where they don't.
    """

    student: Mapping[str, Any]
    loss: Mapping[str, Any]
    optimizer: Mapping[str, Any]
    trainer: Mapping[str, Any]
    patience: int | None
    scheduler: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Student:
    """What is a member's own.

    Attributes:
        table: Number of the split (with its teacher's answers) that it reads.
        seed: Of first weights, batch order and dropout.
        loss: Settings of the loss that may differ between members, by name: numbers or schedules.
        optimizer: Settings of the optimizer that may differ between members, by name.
        imbalance: Config node of what is done about classes out of balance; all members have the
            same kind.
    """

    table: int
    seed: int
    loss: Mapping[str, Any]
    optimizer: Mapping[str, Any]
    imbalance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StackFit:
    """What a stack came to.

    Attributes:
        weights: [M, ...] of each member's best epoch, by the names of a single network.
        parameters: Trained numbers of one member.
        score: [M] its validation log loss; NaN where training diverged.
        epochs: [M] epochs trained.
        probabilities: [M, rows, classes] for every row of the member's table.
        seconds: Wall-clock time of this process's part of the fit.
    """

    weights: dict[str, Tensor]
    parameters: int
    score: NDArray[np.float32]
    epochs: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    seconds: float


def fit_stack(
    recipe: Recipe,
    students: Sequence[Student],
    tables: Sequence[CohortDataModule],
    checkpoints: Path,
    *,
    networks: Sequence[nn.Module] | None = None,
    freeze: Freeze | None = None,
    save_seconds: float = 10,
    halt: Halt | None = None,
) -> StackFit:
    """Train M students in lockstep; a `last.ckpt` in `checkpoints` is gone on from.

    Args:
        recipe: What they share.
        students: What is each one's own.
        tables: The splits, with the teacher's answers where the loss needs them; those that these
            students read have equal numbers of inputs, training rows and labelled validation rows.
        checkpoints: Folder of the training state.
        networks: One a student, with first weights; None draws them by each one's seed.
        freeze: Parameters that stay as they are in the first epochs.
        save_seconds: Seconds between two saves of it.
        halt: Asked after every epoch which members may go on.

    Raises:
        NotStackableError: The student's architecture or its training can't be stacked.
    """
    started = time.perf_counter()
    keep_freed_memory()
    # Equal optimizer settings side by side, in an order that a resume finds again.
    order = sorted(range(len(students)), key=lambda m: json.dumps(dict(students[m].optimizer)))
    back = torch.tensor(order).argsort()
    in_order = None if halt is None else _InOrder(halt, order, back)
    networks = networks or _networks(recipe, students, tables[students[0].table])
    best, answers, parameters = _fit_in_order(
        recipe, [students[m] for m in order], [networks[m] for m in order], tables, checkpoints,
        freeze or Freeze(), save_seconds, in_order,
    )  # fmt: skip
    shares = np.array([tables[student.table].log_loss_of_shares for student in students])
    if worse := int((best.score[back].numpy() > shares).sum()):
        log.warning(
            "%d of %d students end with a validation log loss worse than that of the class shares "
            "alone: %s", worse, len(students), TRY_LOWER,
        )  # fmt: skip
    return StackFit(
        weights={name: value[back.to(value.device)].cpu() for name, value in best.weights.items()},
        parameters=parameters,
        score=best.score[back].numpy(),
        epochs=best.epochs[back].numpy(),
        probabilities=answers[back].numpy(),
        seconds=time.perf_counter() - started,
    )


@dataclass(frozen=True)
class _InOrder:
    """What halts members, asked about them in another order."""

    halt: Halt
    order: list[int]
    back: Tensor

    def __call__(self, done: int, score: Tensor) -> Tensor:
        return self.halt(done, score[self.back])[self.order]

    def state_dict(self) -> dict[str, Any]:
        return self.halt.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.halt.load_state_dict(state)


def _fit_in_order(
    recipe: Recipe,
    students: Sequence[Student],
    networks: Sequence[nn.Module],
    tables: Sequence[CohortDataModule],
    checkpoints: Path,
    freeze: Freeze,
    save_seconds: float,
    halt: Halt | None,
) -> tuple[BestMembers, Tensor, int]:
    """The best of each member, its answers [M, rows, classes], and its number of parameters."""
    used = sorted({student.table for student in students})
    network = stack_networks(networks, tables[used[0]].in_shape)
    treatments = _treatments(recipe.loss, students, tables)
    rows = MemberRows(
        [tables[number] for number in used],
        [used.index(student.table) for student in students],
        [student.seed for student in students],
        balanced=any(each.balanced for each in treatments),
    )
    patience = recipe.patience or patience_for(len(tables[used[0]].cohort.target))
    module = StackedDistiller(
        network, rows, MemberLosses(recipe.loss, students, treatments),
        build_optimizer(recipe.optimizer, "optimizer"), [s.optimizer for s in students],
        patience, recipe.trainer, halt,
        scheduled=any(is_scheduled({**recipe.loss, **student.loss}) for student in students),
        scheduler=schedule_of(recipe.scheduler, recipe.trainer["max_epochs"]), freeze=freeze,
    )  # fmt: skip
    train(module, checkpoints, recipe.trainer, save_seconds=save_seconds)
    answers = _probabilities(network, rows, module.best.weights)
    parameters = sum(parameter[0].numel() for parameter in network.parameters())
    return module.best, answers, parameters


class MemberLosses:
    """The loss of several members in an epoch: what differs between them as tensors.

    Args:
        node: Config node of the loss.
        students: All members, each with its own settings of it.
        treatments: Of an imbalance of each member's classes; none where there is none.
    """

    def __init__(
        self,
        node: Mapping[str, Any],
        students: Sequence[Student],
        treatments: Sequence[Treatment] = (),
    ) -> None:
        names = students[0].loss.keys()
        if any(student.loss.keys() != names for student in students):
            raise ValueError(
                "members of a stack have the same settings of a loss, each its own values"
            )
        self.made, self.treatments = get_class(node["_target_"]), treatments
        self.shared = {k: by_epoch(v) for k, v in node.items() if k not in {"_target_", *names}}
        self.own = {name: [by_epoch(student.loss[name]) for student in students] for name in names}

    def __call__(self, members: Sequence[int], epoch: int) -> DistillationLoss:
        """The loss of the members numbered by `members`: settings are tensors [members]."""
        values: dict[str, Any] = {name: value(epoch) for name, value in self.shared.items()}
        for name, settings in self.own.items():
            numbers = [settings[member](epoch) for member in members]
            values[name] = torch.tensor(numbers, dtype=torch.float64)
        loss: DistillationLoss = self.made(**values)
        if not self.treatments:
            return loss
        return treat(loss, [self.treatments[member] for member in members], stacked=True)


def _treatments(
    node: Mapping[str, Any], students: Sequence[Student], tables: Sequence[CohortDataModule]
) -> list[Treatment]:
    """Each member's by its own loss and table; none where there is nothing to treat."""
    if not students[0].imbalance:
        return []
    keys = [
        (json.dumps({**node, **each.loss}), json.dumps(dict(each.imbalance)), each.table)
        for each in students
    ]
    made = {
        (loss, treated, table): treatment_by(
            build_loss(json.loads(loss)), json.loads(treated), tables[table]
        )
        for loss, treated, table in dict.fromkeys(keys)
    }
    return [treatment for key in keys if (treatment := made[key]) is not None]


def _networks(
    recipe: Recipe, students: Sequence[Student], data: CohortDataModule
) -> list[nn.Module]:
    """Each member's network with its first weights; members with one seed share one."""
    by_seed = {
        seed: build_network(recipe.student, "student", data.in_shape, data.num_classes, seed)
        for seed in {student.seed for student in students}
    }
    return [by_seed[student.seed] for student in students]


@torch.no_grad()
def _probabilities(
    network: StackedNetwork, rows: MemberRows, weights: Mapping[str, Tensor]
) -> Tensor:
    """[M, rows, classes] answers of the best weights, on the CPU as a single student's are."""
    network.restore(weights)
    network.eval()
    parts = []
    for index in rows.everything():
        logits = network(rows.inputs_at(index)).double()
        parts.append(logits.log_softmax(dim=-1).exp().float().cpu())
    return torch.cat(parts, dim=1)
