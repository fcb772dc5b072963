"""Which students train together: stacks of equal shape, cut into chunks; others one by one."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise
from typing import Any

from hydra.utils import get_class

from meddistill.config.compose import build_network
from meddistill.config.identity import SINCE, short_hash
from meddistill.data.datamodule import CohortDataModule
from meddistill.stack.alone import device_of, why_alone
from meddistill.stack.fit import Recipe, Student
from meddistill.stack.members import Member

CHUNK = 1024
"""Students at once on the CPU; more are no faster a student."""
CHUNK_BYTES = {"cpu": 2**28, "cuda": 2**33, "mps": 2**31}
"""Largest size of a chunk's weights, gradients, momenta and answers, and again of its tables."""
MEMBERS_OWN = {
    "seed", "data", "synthetic", "teacher", "store", "stack", "save_seconds", "logger", "loss",
    "optimizer", "columns", "init", "imbalance",
}  # fmt: skip
"""What may differ within a stack; of loss, optimizer and imbalance numbers, of a start most."""
STARTS_SHARED = ("_target_", "layers", "freeze_epochs")
"""Of a start from a teacher what all members have alike: it says which parameters are frozen."""
IN_NAMES = ("seed", "data", "columns", "synthetic", "teacher", "loss", "optimizer")
"""The settings by which a finished part is found; the others are one for all, or change nothing."""


@dataclass(frozen=True)
class Chunk:
    """Members that are trained at once, or a single one by itself.

    Attributes:
        members: What is trained.
        tables: [members] the number of the table that each reads.
        reason: Why its member is trained alone; None for a stack.
    """

    members: Sequence[Member]
    tables: Sequence[int]
    reason: str | None = None

    @cached_property
    def name(self) -> str:
        """A name that only the same members have: by their settings, not their places alone."""
        own = [(m.number, *in_names(m.settings).values()) for m in self.members]
        return f"{own[0][0]:06d}-{short_hash([own, self.reason is None])}"

    @property
    def recipe(self) -> Recipe:
        """What the members share."""
        settings = self.members[0].settings
        return Recipe(
            student=settings["student"],
            loss=settings["loss"],
            optimizer=settings["optimizer"],
            trainer=settings["trainer"],
            patience=settings["patience"],
            scheduler=settings["scheduler"],
        )

    @property
    def students(self) -> list[Student]:
        """What is each member's own."""
        return [
            Student(
                table=table,
                seed=member.settings["seed"],
                loss=per_member(member.settings["loss"]),
                optimizer=numbers(member.settings["optimizer"]),
                imbalance=member.settings["imbalance"],
            )
            for member, table in zip(self.members, self.tables, strict=True)
        ]


def plan(
    members: Sequence[Member], table: Sequence[int], tables: Sequence[CohortDataModule]
) -> list[Chunk]:
    """Cut the members into chunks.

    Args:
        members: All of a job.
        table: [members] the number of the table that each reads.
        tables: The different splits with the teacher's answers.
    """
    groups: dict[str, list[int]] = {}
    for place, member in enumerate(members):
        key = _shared(member.settings, tables[table[place]])
        groups.setdefault(key, []).append(place)
    chunks: list[Chunk] = []
    for places in groups.values():
        first = members[places[0]].settings
        data = tables[table[places[0]]]
        reason = why_alone(first, data)
        if reason:
            chunks += [Chunk([members[p]], [table[p]], reason) for p in places]
            continue
        # Members with one seed side by side share first weights and batch orders.
        places.sort(key=lambda place: (table[place], members[place].settings["seed"]))
        size = first["stack"]["chunk"] or chunk_size(first, data)
        most = max(1, CHUNK_BYTES[device_of(first)] // max(1, data.input_bytes))
        for some in _of_few_tables(places, table, most):
            for part in _even_parts(some, size):
                chunks.append(Chunk([members[p] for p in part], [table[p] for p in part]))
    return chunks


def chunk_size(settings: Mapping[str, Any], data: CohortDataModule) -> int:
    """Students that fit in `CHUNK_BYTES`; on the CPU at most `CHUNK`."""
    network = build_network(settings["student"], "student", data.in_shape, data.num_classes, 0)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    answers = len(data.cohort.target) * data.num_classes
    inputs = 2 * data.batch_size * math.prod(data.in_shape)
    if data.hide:  # each member's training rows, drawn anew each epoch
        inputs += len(data.train_rows) * math.prod(data.in_shape)
    device = device_of(settings)
    fitting = CHUNK_BYTES[device] // (4 * (5 * parameters + answers + inputs))
    return max(1, fitting if device != "cpu" else min(fitting, CHUNK))


def _of_few_tables(
    places: Sequence[int], table: Sequence[int], most: int
) -> Iterator[Sequence[int]]:
    """Places side by side by table, cut so that each cut reads `most` tables at most."""
    order = {number: k for k, number in enumerate(dict.fromkeys(table[p] for p in places))}
    for _, some in groupby(places, key=lambda place: order[table[place]] // most):
        yield list(some)


def _even_parts(places: Sequence[int], size: int) -> Iterable[Sequence[int]]:
    """Parts of at most `size`, as equal as can be: a small rest would train slowly."""
    count = -(-len(places) // size)
    edges = [len(places) * k // count for k in range(count + 1)]
    return [places[start:end] for start, end in pairwise(edges)]


def _shared(settings: Mapping[str, Any], data: CohortDataModule) -> str:
    """Equal for members that can train in one stack."""
    shared = {key: value for key, value in settings.items() if key not in MEMBERS_OWN}
    for name, mine in (
        ("loss", per_member(settings["loss"])),
        ("imbalance", per_member(settings["imbalance"])),
        ("optimizer", numbers(settings["optimizer"])),
    ):
        shared[name] = {k: v for k, v in settings[name].items() if k not in mine}
        shared[f"{name}, names"] = sorted(mine)  # one that another lacks would be nobody's
    shared["init"] = {key: settings["init"].get(key) for key in STARTS_SHARED}
    rows = [len(data.cohort.target), len(data.train_rows), len(data.labelled_validation)]
    sizes = [*rows, data.in_shape, data.num_classes]
    return json.dumps([shared, sizes], sort_keys=True, default=str)


def in_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings by which a finished part is found, without those that nobody has set."""
    given = {key: settings[key] for key in ("init", "imbalance") if settings[key]}
    cells = settings["missing"]
    if any(SINCE.get(f"missing.{key}", ...) != value for key, value in cells.items()):
        given["missing"] = cells
    return {key: settings[key] for key in IN_NAMES} | given


def per_member(node: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a loss or the like that may differ within a stack; none of an empty node."""
    names = getattr(get_class(node["_target_"]), "per_member", ()) if node else ()
    return {name: node[name] for name in names if name in node}


def numbers(optimizer: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of an optimizer that may differ within a stack."""
    return {
        key: value
        for key, value in optimizer.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }
