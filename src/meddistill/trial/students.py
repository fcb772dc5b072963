"""The students of all arms, splits and tries, trained as stacks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from meddistill.config.compose import build_network, build_optimizer
from meddistill.data.cohort import UNLABELLED
from meddistill.data.datamodule import CohortDataModule
from meddistill.errors import SettingError, UserError
from meddistill.inference.card import Card
from meddistill.inference.model import Model
from meddistill.inference.network import MeanOfProbabilities, NetworkModel
from meddistill.losses.base import Searched
from meddistill.losses.building import build_loss, schedules
from meddistill.losses.imbalance import build_imbalance
from meddistill.runs.pace import quiet
from meddistill.stack.chunks import train_chunks
from meddistill.stack.folder import StackFolder
from meddistill.stack.members import Member, with_changes
from meddistill.stack.plan import Chunk, plan
from meddistill.stack.starts import plans_of, save_plans
from meddistill.stack.tables import Table
from meddistill.students.checks import check_on, check_read, check_teacher
from meddistill.students.imbalance import check_imbalance
from meddistill.students.start import Starts, check_init
from meddistill.teachers.teaching import build_teacher
from meddistill.trial.answers import Answers, choose
from meddistill.trial.arms import StudentArm
from meddistill.trial.tables import Way, as_read
from meddistill.trial.units import Unit

T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """What a member is in the trial: numbers of its unit, try and seed, and its arm's name."""

    unit: int
    arm: str
    attempt: int
    seed: int


def check_students(arms: Mapping[str, StudentArm], settings: Mapping[str, Any]) -> None:
    """Build every loss and optimizer that will be tried, before anything is trained."""
    teacher, asked = build_teacher(settings), False
    for name, arm in arms.items():
        loss = build_loss(arm.loss, f"arms.{name}.loss")
        if isinstance(loss, Searched):
            raise UserError(
                f"arms.{name}.loss: {type(loss).__name__} searches by itself; a trial chooses on "
                f"validation rows already: take loss=kd and arms.{name}.tune"
            )
        if arm.is_control and loss.needs_features:
            raise UserError(
                f"arms.{name}: its loss reads the teacher's layers, and answers alone can be dealt "
                "out to other rows: leave this arm out, or give it a loss of answers (loss=kd)"
            )
        if loss.needs_teacher:
            own = {**settings, "synthetic": arm.synthetic}
            if arm.is_control:  # its answers are of other rows, whatever the view
                own |= {"answers": "stored", "view": {}}
            check_teacher(own, loss, teacher)
            asked = True
        elif arm.synthetic:
            mend = "its loss asks no teacher, so nothing reads synthetic rows: leave it out"
            raise SettingError(f"arms.{name}.synthetic", arm.synthetic["_target_"], mend)
        _check_tries(name, arm, settings)
        _check_treated(name, arm, settings)
    if not asked:
        _check_unasked(settings)
    _check_starts(arms, settings)
    _refuse_twins(arms)


def _check_starts(arms: Mapping[str, StudentArm], settings: Mapping[str, Any]) -> None:
    """Refuse a start that no arm reads, and arms that start from a teacher of other columns."""
    started = [name for name, arm in arms.items() if arm.init]
    if settings["init"] and not started:
        raise SettingError("init", "subset", "no arm reads it: take arm=[...,distilled,subset]")
    if started and settings["trial"].get("columns") is not None:
        raise UserError(
            f"arms.{started[0]}: a student starts from a teacher that reads the same columns, and "
            "trial.columns has it read some of them: leave the arm out, or trial.columns"
        )


def _check_unasked(settings: Mapping[str, Any]) -> None:
    """Refuse what a teacher alone reads, where no arm has one."""
    unread = "no arm's loss asks a teacher: leave it out"
    if settings["answers"] == "live":
        raise SettingError("answers", "live", unread)
    if settings["data"].get("unlabelled") is not None:
        raise SettingError(UNLABELLED, settings["data"]["unlabelled"], unread)


def _check_tries(name: str, arm: StudentArm, settings: Mapping[str, Any]) -> None:
    """Build each try; a schedule would be lost under the number of a try."""
    for path, _ in schedules(arm.loss, f"arms.{name}.loss"):
        if f"loss.{path}" in arm.tuned:
            raise UserError(
                f"loss.{path} follows a schedule, and arm={name} would try numbers in its place; "
                f"'arms.{name}.tune={{loss.{path}:null}}' takes it out of the arm's tries"
            )
    for attempt in arm.tries():
        node = _settings(arm, attempt, settings, 0)
        try:
            loss = build_loss(node["loss"], f"arms.{name}.loss")
            check_read({**node, "synthetic": arm.synthetic}, loss)
            check_init(node)
            build_optimizer(node["optimizer"], "optimizer")
        except UserError as error:
            raise UserError(
                f"{error} (in a try of arm={name}: 'arms.{name}.tune={{KEY:null}}' takes a setting "
                "out of its tries)"
            ) from error


def _check_treated(name: str, arm: StudentArm, settings: Mapping[str, Any]) -> None:
    """Refuse an imbalance of its own that none of its tries would show."""
    tries = [_settings(arm, attempt, settings, 0) for attempt in arm.tries()]
    losses = [build_loss(node["loss"], f"arms.{name}.loss") for node in tries]
    for node in tries:
        build_imbalance(node["imbalance"])
    if not any(loss.ever_learns_labels for loss in losses):
        check_imbalance(tries[0], losses[0], in_sweep=arm.imbalance is None)


def _refuse_twins(arms: Mapping[str, StudentArm]) -> None:
    """Two arms of one student would be trained twice, and count twice in Holm's correction."""
    for (one, first), (other, second) in itertools.combinations(arms.items(), 2):
        if replace(first, label="") == replace(second, label=""):
            raise UserError(
                f"arms.{other} is the same student as arms.{one}: leave one out of arm=[...], or "
                "change its settings"
            )


def check_on_rows(
    arms: Mapping[str, StudentArm], settings: Mapping[str, Any], data: CohortDataModule
) -> None:
    """Refuse losses and starts that these data don't allow, before a teacher is trained."""
    for name, arm in arms.items():
        own = with_changes(settings, arm.own)
        rows = data.with_method(*arm.method(settings, name))
        check_on(own, build_loss(arm.loss, f"arms.{name}.loss"), rows)
        if arm.init:
            Starts().rehearse(own, build_teacher(settings), rows)


def student_answers(
    arms: Mapping[str, StudentArm],
    units: Sequence[Unit],
    tables: Sequence[Table],
    seeds: int,
    run: StackFolder,
) -> Iterator[Answers]:
    """Train every student there is, and answer with each arm's chosen ones, unit by unit."""
    ways, of_arm = _ways(arms, units[0].settings)
    places, members, table = _members(arms, units, seeds, of_arm)
    with quiet("meddistill.teachers.teaching"):
        every = as_read(tables, ways)
    chunks = plan(members, table, [each.data for each in every])
    train_chunks(chunks, every, run, len(members))
    asked = every if units[0].settings["trial"]["hide"] else None
    yield from _chosen(arms, places, chunks, seeds, run, asked)


def _members(
    arms: Mapping[str, StudentArm],
    units: Sequence[Unit],
    seeds: int,
    ways: Mapping[str, int],
) -> tuple[list[Place], list[Member], list[int]]:
    places: list[Place] = []
    members: list[Member] = []
    table: list[int] = []
    for number, unit in enumerate(units):
        for name, arm in arms.items():
            for attempt, changes in enumerate(arm.tries()):
                for seed in range(seeds):
                    settings = _settings(arm, changes, unit.settings, seed)
                    members.append(Member(len(members), {}, {}, settings))
                    places.append(Place(number, name, attempt, seed))
                    table.append(len(units) * ways[name] + number)
    return places, members, table


def _settings(
    arm: StudentArm, changes: Mapping[str, Any], settings: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    own = {**arm.own, **changes, "seed": settings["seed"] + seed}
    if own["init"].get("seed") is not None:  # no two that are averaged start from the same units
        own["init"]["seed"] += seed
    if arm.is_control:  # what a live teacher answers can't be dealt out to other rows
        own["answers"] = "stored"
    return with_changes(settings, own)


def _ways(
    arms: Mapping[str, StudentArm], settings: Mapping[str, Any]
) -> tuple[list[Way], dict[str, int]]:
    """The different ways in which arms read the rows, and which of them is each arm's.

    An arm without a teacher reads no rows that nobody labelled.
    """
    ways: list[Way] = []
    of_arm: dict[str, int] = {}
    unlabelled = settings["data"].get("unlabelled") is not None
    for name, arm in arms.items():
        taught = unlabelled and build_loss(arm.loss).needs_teacher
        way = Way(arm.teacher, arm.synthetic, taught, *arm.method(settings, name))
        if way not in ways:
            ways.append(way)
        of_arm[name] = ways.index(way)
    return ways, of_arm


def _chosen(
    arms: Mapping[str, StudentArm],
    places: Sequence[Place],
    chunks: Sequence[Chunk],
    seeds: int,
    run: StackFolder,
    asked: Sequence[Table] | None,
) -> Iterator[Answers]:
    """Choose by the scores of all parts; then read each part again for the chosen answers.

    With the tables as the chunks number them, the chosen students themselves are at hand too.
    """
    scores: dict[tuple[int, str], NDArray[np.float64]] = {}
    epochs: dict[tuple[int, str], NDArray[np.int64]] = {}
    plans: list[dict[str, Any]] = []
    for chunk, part in _parts(chunks, run):
        plans += plans_of(chunk, part)
        for member, score, trained in zip(chunk.members, part["score"].tolist(),
                                          part["epochs"].tolist(), strict=True):  # fmt: skip
            at = places[member.number]
            key, shape = (at.unit, at.arm), (len(arms[at.arm].tries()), seeds)
            scores.setdefault(key, np.full(shape, np.nan))[at.attempt, at.seed] = score
            epochs.setdefault(key, np.zeros(shape, np.int64))[at.attempt, at.seed] = trained
    save_plans(run, plans)
    wanted = {key: choose(found) for key, found in scores.items()}
    kept: dict[tuple[int, str], dict[int, NDArray[np.float32]]] = {}
    treated: dict[tuple[int, str], dict[int, Mapping[str, Any]]] = {}
    models: dict[tuple[int, str], dict[int, Model]] = {}
    for chunk, part in _parts(chunks, run):
        for place, member in enumerate(chunk.members):
            at = places[member.number]
            key = at.unit, at.arm
            if at.attempt != wanted[key]:
                continue
            seen = kept.setdefault(key, {})
            seen[at.seed] = part["probabilities"][place].numpy().copy()
            if said := part.get("treated"):
                treated.setdefault(key, {})[at.seed] = said[place].get("imbalance", {})
            if asked is not None:
                model = _model(member, asked[chunk.tables[place]].data, part, place)
                models.setdefault(key, {})[at.seed] = model
            if len(seen) == seeds:
                answers = np.stack([seen[seed] for seed in range(seeds)])
                del kept[key]
                yield Answers(
                    at.unit, at.arm, arms[at.arm].tries(), scores[key], answers,
                    part["seconds"], epochs[key], part.get("columns"),
                    _by_seed(models.pop(key, {})), _by_seed(treated.pop(key, {})),
                )  # fmt: skip


def _by_seed(found: Mapping[int, T]) -> list[T]:
    return [found[seed] for seed in sorted(found)]


def _model(member: Member, data: CohortDataModule, part: Mapping[str, Any], place: int) -> Model:
    """A student of a finished part, to be asked again."""
    read = data.with_columns(part["columns"]) if part.get("columns") is not None else data
    student = build_network(
        member.settings["student"], "student", read.in_shape, read.num_classes, 0
    )
    student.load_state_dict({name: value[place] for name, value in part["weights"].items()})
    said = part["treated"][place].get("imbalance", {}) if part.get("treated") else {}
    card = Card.of(member.settings["student"], [], read).treated(said)
    network = MeanOfProbabilities([student], card.temperature)
    return NetworkModel(card, network, read.preprocessing)


def _parts(chunks: Sequence[Chunk], run: StackFolder) -> Iterator[tuple[Chunk, dict[str, Any]]]:
    for chunk in chunks:
        yield chunk, run.read_part(chunk.name)
