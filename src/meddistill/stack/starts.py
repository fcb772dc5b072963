"""The first networks of a stack's members, where these start from a part of their teachers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from meddistill.config.compose import build_network
from meddistill.files.atomic import write_atomically
from meddistill.stack.folder import StackFolder
from meddistill.stack.plan import Chunk
from meddistill.stack.tables import Table
from meddistill.students.start import Starts, frozen, say_plan
from meddistill.training.checkpoints import LAST
from meddistill.training.freeze import Freeze
from meddistill.transfer.plan import Line
from meddistill.transfer.table import PLAN, read_plan, save_plan

PLANS = "init.csv"
Lines = list[Line]


class FirstNetworks:
    """Each member's network before its first step, started from its own table's teacher.

    Args:
        members: Each one's settings and its table; all start from a teacher, or all from scratch.
        folder: Of the training state, where the plans are kept as long as it is trained.

    Attributes:
        networks: One a member, some shared; None from scratch, and where training is gone on with.
        plans: [members] what each took; none from scratch.
        freeze: What stays as it is in the first epochs.
    """

    def __init__(self, members: Sequence[tuple[Mapping[str, Any], Table]], folder: Path) -> None:
        self.networks: list[nn.Module] | None = None
        self.plans: list[Lines] = []
        self.freeze = Freeze()
        if not members[0][0]["init"]:
            return
        if (folder / LAST).exists() and (folder / PLAN).exists():
            self.plans = read_plan(folder)
        else:
            self._start(members)
            save_plan(folder, self.plans)
            say_plan(self.plans[0])
        self.freeze = frozen(members[0][0], self.plans[0])

    def _start(self, members: Sequence[tuple[Mapping[str, Any], Table]]) -> None:
        starts, made = Starts(), dict[str, tuple[nn.Module, Lines]]()
        self.networks = []
        for settings, table in members:
            assert table.targets is not None  # a table of such members has a teacher
            key = json.dumps([settings["seed"], settings["init"], table.targets.key])
            if key not in made:
                data = table.data
                network = build_network(
                    settings["student"], "student", data.in_shape, data.num_classes,
                    settings["seed"],
                )  # fmt: skip
                made[key] = network, starts(settings, network, table.targets, data)
            self.networks.append(made[key][0])
            self.plans.append(made[key][1])


def plans_of(chunk: Chunk, part: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for each layer of each member of a finished chunk that started from its teacher."""
    return [
        {"member": member.number, **_cells(line)}
        for member, lines in zip(chunk.members, part.get("plans", ()), strict=False)
        for line in lines
    ]


def save_plans(run: StackFolder, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep what members took of their teachers in their job's folder, if any did."""
    if rows:
        frame = pd.DataFrame(rows).sort_values("member", kind="stable")
        write_atomically(run.path / PLANS, frame.to_csv(index=False))


def _cells(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line of a plan, its units in one cell."""
    kept = {name: value for name, value in line.items() if name != "freezable"}
    return {**kept, "units": " ".join(map(str, line["units"]))}
