"""`meddistill distill` with `stack.axes`: many students in one job."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from omegaconf import DictConfig

from meddistill.config.compose import build_optimizer
from meddistill.config.identity import short_hash
from meddistill.errors import UserError, integer, number
from meddistill.files.atomic import read_json, write_json
from meddistill.losses import DistillationLoss
from meddistill.losses.base import Searched
from meddistill.losses.building import build_loss
from meddistill.losses.imbalance import build_imbalance
from meddistill.stack.chunks import train_chunks
from meddistill.stack.folder import StackFolder
from meddistill.stack.members import Member, expand
from meddistill.stack.plan import in_names, plan
from meddistill.stack.results import merge
from meddistill.stack.search import search
from meddistill.stack.tables import Table, make_tables
from meddistill.students.checks import check_on, check_teacher, check_unread
from meddistill.students.columns import build_columns
from meddistill.students.imbalance import check_imbalance
from meddistill.students.start import check_init
from meddistill.tasks.common import check_student
from meddistill.teachers.teaching import Teachers

log = logging.getLogger(__name__)
COMPONENTS = (
    "seed", "loss", "optimizer", "data", "columns", "synthetic", "teacher", "init", "imbalance",
)  # fmt: skip


def distill_stack(config: DictConfig, run: StackFolder, in_sweep: bool = False) -> dict[str, Any]:
    """Train every member of a job, in stacks where that can be; finished chunks are kept.

    Returns:
        The job's summary; `score` is the mean over members of the best validation log loss.
    """
    members = expand(config)
    losses = _check(members, in_sweep)
    tables, table = make_tables(members, losses, check_on)
    of_member = [tables[place] for place in table]
    members, losses = _search(members, losses, of_member, run)
    chunks = plan(members, table, [each.data for each in tables])
    train_chunks(chunks, tables, run, len(members))
    summary = merge(run, members, chunks, tables, losses)
    if not summary["finished"]:
        raise UserError(
            "training diverged in every member: validation log loss was never a finite number; "
            "lower the learning rate (optimizer.lr)"
        )
    run.finish(summary)
    return summary


def _check(members: Sequence[Member], in_sweep: bool) -> list[DistillationLoss]:
    """Refuse a wrong setting of any member before anything is trained; each member's loss."""
    seen: dict[str, Any] = {}

    def once(what: str, node: Any, make: Any) -> Any:
        key = what + json.dumps(node, default=str)
        if key not in seen:
            seen[key] = make()
        return seen[key]

    losses, teachers = [], Teachers()
    for member in members:
        settings = member.settings
        integer("seed", settings["seed"])
        number("data.labels", settings["data"]["labels"], above=0, at_most=1)
        common = {k: v for k, v in settings.items() if k not in COMPONENTS}
        once("common", common, lambda s=settings: check_student(s))
        node = settings["optimizer"]
        once("optimizer", node, lambda n=node: build_optimizer(n, "optimizer"))
        once("columns", settings["columns"], lambda s=settings: build_columns(s))
        node = [settings["init"], settings["trainer"]["max_epochs"]]
        once("init", node, lambda s=settings: check_init(s))
        once("imbalance", settings["imbalance"], lambda s=settings: build_imbalance(s["imbalance"]))
        node = settings["loss"]
        losses.append(once("loss", node, lambda n=node: build_loss(n)))
        if losses[-1].needs_teacher:
            check_teacher(settings, losses[-1], teachers.of(settings))
    unread = [at for at, loss in enumerate(losses) if not loss.ever_distils]
    if unread:
        first, others = unread[0], len(unread) < len(losses)
        check_unread(members[first].settings, losses[first], in_sweep or others)
    deaf = [at for at, loss in enumerate(losses) if not loss.ever_learns_labels]
    for first in deaf[:1]:
        others = in_sweep or len(deaf) < len(losses)
        check_imbalance(members[first].settings, losses[first], others)
    return losses


def _search(
    members: Sequence[Member],
    losses: Sequence[DistillationLoss],
    tables: Sequence[Table],
    run: StackFolder,
) -> tuple[list[Member], list[DistillationLoss]]:
    """Members and losses, those with settings to search for with what was found in their place."""
    found_members, found_losses = [], []
    for member, loss, table in zip(members, losses, tables, strict=True):
        if isinstance(loss, Searched):
            file = run.parts / f"search-{short_hash(in_names(member.settings))}.json"
            if not file.exists():
                folder = run.parts / "search"
                write_json(file, search(loss, member.settings, table, folder))
            found = read_json(file)
            settings = {**member.settings, "loss": found["node"]}
            member = replace(member, settings=settings, found=found["setting"])
            loss = build_loss(found["node"])
        found_members.append(member)
        found_losses.append(loss)
    return found_members, found_losses
