"""A model's folder: copied, and loaded to answer for raw rows; nothing in it is run."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from meddistill.data.modalities import modality
from meddistill.data.preprocessing import PREPROCESSING, Preprocessing
from meddistill.errors import UserError
from meddistill.files.atomic import write_atomically
from meddistill.files.model_files import read_regular
from meddistill.inference.card import CARD, ESTIMATOR, NETWORK, PARTS, SCORES, SEVERAL, Card
from meddistill.inference.card_checks import read_card
from meddistill.inference.estimator import EstimatorAnswers, EstimatorModel
from meddistill.inference.estimator_file import load_estimator
from meddistill.inference.folder_networks import folder_network
from meddistill.inference.known_rows import KNOWN_ROWS
from meddistill.inference.mixture import MixedModel, part_folder
from meddistill.inference.model import DECISION, Model
from meddistill.inference.network import MeanOfProbabilities, NetworkModel
from meddistill.inference.scores import ScoresModel
from meddistill.inference.weights import read_weights


def copy_model(card: Card, source: Path, folder: Path) -> None:
    """Copy a model's files, and which rows it has seen, from one folder to another.

    Raises:
        UserError: A file lies outside the folder, or is none.
    """
    known = [KNOWN_ROWS] if (source / KNOWN_ROWS).exists() else []
    try:
        for name in (*card.files, *known):
            write_atomically(folder / name, read_regular(source, name))
    except ValueError as error:
        raise UserError(f"{source} can't be copied: {error}") from error


def load_model(folder: str | Path, trust: Iterable[str] = ()) -> Model:
    """The model of a run folder (of a student or a teacher), on the CPU.

    The folder may come from anywhere. Nothing is unpickled: weights load with `weights_only`,
    estimators by a list of types, preprocessing is JSON. No class is imported but meddistill's own
    networks and those that `trust` names, and no file is read that lies outside the folder.

    Args:
        folder: The model's folder.
        trust: Networks of your own that it may name, such as `["mypackage.nets.Wide"]`.

    Raises:
        UserError: The folder holds no finished model, names a class that nobody trusts, or its
            files don't fit together.
    """
    folder, trust = Path(folder), list(trust)
    if not folder.exists():
        raise UserError(f"{folder}: there is no such folder (it is looked for from where you are)")
    try:
        card = read_card(folder)
        room = modality(card.records)
        preprocessing = room.load_preprocessing(folder / PREPROCESSING, card.schema)
        model = KINDS[card.kind](card, folder, preprocessing, trust)
        _check_answer(model)
    except UserError:
        raise
    except (
        OSError, ValueError, TypeError, RuntimeError, KeyError, AttributeError, MemoryError,
        zipfile.BadZipFile,
    ) as error:  # fmt: skip
        raise UserError(f"{folder} holds no finished model: {error}") from error
    return model


def _mixed(card: Card, folder: Path, preprocessing: Preprocessing, trust: list[str]) -> Model:
    """Several models, each in a folder of its own below."""
    parts = {}
    for name in card.network["weights"]:
        read_regular(folder, f"{PARTS}/{name}/{CARD}")  # the way there leads through no link
        parts[name] = load_model(part_folder(folder, name), trust)
        if parts[name].card.classes != card.classes:
            raise ValueError(f"its part '{name}' has other classes")
    return MixedModel(card, preprocessing, parts)


def _estimator(card: Card, folder: Path, preprocessing: Preprocessing, trust: list[str]) -> Model:
    content = read_regular(folder, card.checkpoints[0])
    answers = EstimatorAnswers(
        load_estimator(content, card.checkpoints[0]), card.clamp, len(card.classes),
        card.columns, card.temperature, shift=card.shift,
    )  # fmt: skip
    return EstimatorModel(card, answers, preprocessing)


def _scores(card: Card, folder: Path, preprocessing: Preprocessing, trust: list[str]) -> Model:
    return ScoresModel(card, preprocessing)


def _networks(card: Card, folder: Path, preprocessing: Preprocessing, trust: list[str]) -> Model:
    if tuple(card.in_shape) != preprocessing.in_shape:
        made, read = preprocessing.in_shape, card.in_shape
        raise ValueError(f"its files don't fit together: inputs of {made}, a network of {read}")
    members = []
    for name in card.checkpoints:
        weights = read_weights(read_regular(folder, name), name)
        shape = card.in_shape, len(card.classes)
        members.append(folder_network(card.network, *shape, weights, trust))
    network = MeanOfProbabilities(members, card.temperature)
    return NetworkModel(card, network, preprocessing)


KINDS = {NETWORK: _networks, ESTIMATOR: _estimator, SCORES: _scores, SEVERAL: _mixed}
"""By the kind of a card, what makes its model of its files."""


def _check_answer(model: Model) -> None:
    """Refuse a model whose parts don't fit together: made rows must get finite answers."""
    if not model.answers_new_rows:
        return
    probe = model.preprocessing.read(model.preprocessing.probe())
    answers = model.of_records(probe)
    shape = len(probe), len(model.card.classes)
    if answers.shape != shape or not np.isfinite(answers).all():
        raise ValueError(f"its files don't fit together: it answers {answers.tolist()!r:.80}")


def predict(folder: str | Path, rows: Any, trust: Iterable[str] = ()) -> pd.DataFrame:
    """Load the model of a run folder and answer for raw rows: a column of probabilities a class.

    Where the model has a threshold of its own, a column `decision` says what each row is called.

    Args:
        folder: As for `load_model`.
        rows: Raw ones of the kind that the model was trained with: a frame with at least its
            columns, images (files or an array), series.
        trust: As for `load_model`.
    """
    model = load_model(folder, trust)
    found = model.predict_proba(rows)
    if model.card.threshold is None:
        return found
    return found.assign(**{DECISION: model.called(found)})
