"""A model's folder: copied, and loaded to answer for raw rows; nothing in it is run."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from meddistill.data.preprocessing import PREPROCESSING, Preprocessing
from meddistill.data.schema import Schema
from meddistill.errors import UserError
from meddistill.files.atomic import write_atomically
from meddistill.files.model_files import read_regular
from meddistill.inference.card import CARD, ESTIMATOR, PARTS, SCORES, SEVERAL, Card
from meddistill.inference.card_checks import read_card
from meddistill.inference.estimator import EstimatorAnswers, NoAnswers
from meddistill.inference.estimator_file import load_estimator
from meddistill.inference.folder_networks import folder_network
from meddistill.inference.known_rows import KNOWN_ROWS
from meddistill.inference.mixture import MixedModel, part_folder
from meddistill.inference.model import MeanOfProbabilities, Model
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
        preprocessing = Preprocessing.load(folder / PREPROCESSING, Schema.from_dict(card.schema))
        if card.kind == SEVERAL:
            return _mixed(card, folder, preprocessing, trust)
        network = _answering(card, folder, trust)
        model = Model(card, network, preprocessing)
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


def _answering(card: Card, folder: Path, trust: list[str]) -> nn.Module:
    """What turns inputs into log-probabilities."""
    if card.kind == ESTIMATOR:
        content = read_regular(folder, card.checkpoints[0])
        return EstimatorAnswers(
            load_estimator(content, card.checkpoints[0]), card.clamp, len(card.classes),
            card.columns, card.temperature,
        )  # fmt: skip
    if card.kind == SCORES:
        return NoAnswers()
    members = []
    for name in card.checkpoints:
        weights = read_weights(read_regular(folder, name), name)
        shape = card.in_shape, len(card.classes)
        members.append(folder_network(card.network, *shape, weights, trust))
    return MeanOfProbabilities(members, card.temperature)


@torch.no_grad()
def _check_answer(model: Model) -> None:
    """Refuse a model whose parts don't fit together: one empty row must get finite answers."""
    if isinstance(model.network, NoAnswers):
        return
    schema = model.preprocessing.schema
    row = pd.DataFrame([[None] * len(schema.columns)], columns=schema.columns, dtype=object)
    answers = model.log_probabilities(row)
    if answers.shape != (1, len(model.card.classes)) or not np.isfinite(answers).all():
        raise ValueError(f"its files don't fit together: it answers {answers.tolist()!r:.80}")


def predict(folder: str | Path, rows: pd.DataFrame, trust: Iterable[str] = ()) -> pd.DataFrame:
    """Load the model of a run folder and answer for raw rows: a column of probabilities a class.

    Args:
        folder: As for `load_model`.
        rows: [rows] raw ones, with at least the columns that the model was trained with.
        trust: As for `load_model`.
    """
    return load_model(folder, trust).predict_proba(rows)
