"""How a student starts: from its own first weights, or from a part of its teacher."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from meddistill.config.compose import build, build_network
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.preprocessing import PREPROCESSING, Preprocessing
from meddistill.errors import SettingError
from meddistill.evaluation.choice import ALONE
from meddistill.inference.network import MeanOfProbabilities
from meddistill.runs.runfolder import is_main_process
from meddistill.students.columns import build_columns
from meddistill.teachers.base import Teacher
from meddistill.teachers.targets import Targets
from meddistill.training.checkpoints import LAST
from meddistill.training.freeze import Freeze
from meddistill.transfer.plan import Line
from meddistill.transfer.subset import Subset
from meddistill.transfer.table import PLAN, read_plan, save_plan, table
from meddistill.transfer.wiring import Wiring, wiring_of

log = logging.getLogger(__name__)
NO_NETWORK = (
    "the teacher is no network, so it has no layers to take a part of: take one that is "
    "(teacher=mlp_ensemble), or init=scratch"
)
OTHER_INPUTS = (
    "the teacher reads other inputs than the student, so that their first layers don't correspond: "
    "give both one preprocessing (preprocessing, teacher.preprocessing), or take init=scratch"
)
OTHER_COLUMNS = (
    "the teacher reads columns that the student does not, so that their first layers don't "
    "correspond: take columns=all, or init=scratch"
)


def build_init(settings: Mapping[str, Any]) -> Subset | None:
    """What a resolved config's student takes of its teacher; None where it starts from scratch."""
    node = settings["init"]
    init: Subset | None = build(node, "init") if node else None
    return init


def check_init(settings: Mapping[str, Any]) -> None:
    """Refuse a start whose settings are wrong, or freeze layers for as long as training can last.

    Raises:
        SettingError: It names the key.
    """
    init, last = build_init(settings), settings["trainer"]["max_epochs"]
    if init is not None and 0 < (last or 0) <= init.freeze_epochs:
        mend = f"training ends at trainer.max_epochs={last}, so the layers taken would never learn"
        raise SettingError("init.freeze_epochs", init.freeze_epochs, f"{mend}: take fewer epochs")


def student_name(distils: bool, starts: bool) -> str:
    """What a student is called in tables: by what it has of its teacher."""
    if distils:
        return "distilled student"
    return "started student" if starts else ALONE


def started(
    settings: Mapping[str, Any],
    student: nn.Module,
    targets: Targets | None,
    data: CohortDataModule,
    folder: Path,
) -> Freeze:
    """Start a student that is trained in `folder`, and keep the plan there; what is frozen.

    A student whose training is gone on with has been started.
    """
    init = build_init(settings)
    if init is None or targets is None:
        return Freeze()
    if (folder / "checkpoints" / LAST).exists() and (folder / PLAN).exists():
        return frozen(settings, read_plan(folder)[0])
    lines = Starts()(settings, student, targets, data)
    if is_main_process():
        save_plan(folder, [lines])
        say_plan(lines)
    return frozen(settings, lines)


def say_plan(lines: Sequence[Line]) -> None:
    """Print what a student took of its teacher."""
    log.info("%s", table(lines))


def frozen(settings: Mapping[str, Any], lines: Sequence[Line]) -> Freeze:
    """The layers taken, for as long as they stay as they are."""
    names = frozenset(name for line in lines for name in line.freezable)
    return Freeze(names, settings["init"].get("freeze_epochs", 0))


class Starts:
    """Starts students; networks of one architecture are looked through once."""

    def __init__(self) -> None:
        self._wirings: dict[str, Wiring] = {}
        self._networks: dict[str, MeanOfProbabilities] = {}

    def rehearse(self, settings: Mapping[str, Any], teacher: Teacher, data: CohortDataModule
                 ) -> None:  # fmt: skip
        """Refuse a student that can't start from such a teacher, before this is trained.

        Raises:
            UserError: It names what does not correspond.
        """
        init = build_init(settings)
        if init is None:
            return
        blueprint = teacher.blueprint(data.cohort, data.split)
        if blueprint is None:
            raise SettingError("init", "subset", NO_NETWORK)
        if init.member >= blueprint.members:
            mend = f"the teacher has {blueprint.members}, counted from 0"
            raise SettingError("init.member", init.member, mend)
        if not build_columns(settings).are_all:
            raise SettingError("init", "subset", OTHER_COLUMNS)
        _check_inputs(data, blueprint.preprocessing)
        student = build_network(
            settings["student"], "student", data.in_shape, data.num_classes, settings["seed"]
        )
        key = json.dumps(settings["teacher"], default=str)
        self._start(init, settings, student, (key, blueprint.network), data)

    def __call__(
        self, settings: Mapping[str, Any], student: nn.Module, targets: Targets,
        data: CohortDataModule,
    ) -> list[Line]:  # fmt: skip
        """Start a student; what it took of its teacher, layer by layer, if anything."""
        init = build_init(settings)
        if init is None:
            return []
        if targets.key not in self._networks:
            network = targets.model().frozen
            assert isinstance(network, MeanOfProbabilities)  # others were refused
            self._networks[targets.key] = network
        member = self._networks[targets.key].members[init.member]
        return self._start(init, settings, student, (targets.key, member), data)

    def _start(
        self, init: Subset, settings: Mapping[str, Any], student: nn.Module,
        teacher: tuple[str, nn.Module], data: CohortDataModule,
    ) -> list[Line]:  # fmt: skip
        name = json.dumps(settings["student"], default=str)
        own = self._wiring(name, student, data)
        others = self._wiring(teacher[0], teacher[1], data)
        return init.start(student, own, teacher[1], others, settings["seed"])

    def _wiring(self, name: str, network: nn.Module, data: CohortDataModule) -> Wiring:
        key = json.dumps([name, data.in_shape, data.num_classes])
        if key not in self._wirings:
            self._wirings[key] = wiring_of(network, data.in_shape)
        return self._wirings[key]


def _check_inputs(data: CohortDataModule, teachers: Preprocessing) -> None:
    """Refuse a teacher that reads other inputs; say so where they are the same, scaled otherwise.

    Raises:
        SettingError: The columns, categories or methods are others.
    """
    own, others = _plain(data.preprocessing), _plain(teachers)
    same_shape = data.in_shape == teachers.in_shape
    if not same_shape or _without_numbers(own) != _without_numbers(others):
        raise SettingError("init", "subset", OTHER_INPUTS)
    if own != others:
        log.warning(
            "init: the teacher's inputs were scaled by other rows than the student's, so its "
            "layers answer the student's inputs a little otherwise"
        )


def _plain(preprocessing: Preprocessing) -> Any:
    """What is saved of it, but which share of cells training hides, which changes no input."""
    with tempfile.TemporaryDirectory() as folder:
        preprocessing.save(Path(folder, PREPROCESSING))
        saved = json.loads(Path(folder, PREPROCESSING).read_text(encoding="utf-8"))
    return {key: value for key, value in saved.items() if key != "hide"}


def _without_numbers(value: Any) -> Any:
    """A JSON value with 0 for every number."""
    if isinstance(value, dict):
        return {name: _without_numbers(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_numbers(each) for each in value]
    return 0 if isinstance(value, (int, float)) and not isinstance(value, bool) else value
