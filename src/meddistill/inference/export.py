"""`meddistill export`: a model to hand on, without the rows, ids and paths of where it was made."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from meddistill.data.preprocessing import PREPROCESSING
from meddistill.errors import UserError
from meddistill.files.atomic import write_atomically
from meddistill.files.model_files import read_regular
from meddistill.inference.card import ESTIMATOR, NETWORK, PARTS, SCORES, SEVERAL, Card, save_card
from meddistill.inference.estimator_file import attributes
from meddistill.inference.loading import load_model
from meddistill.inference.mixture import MixedModel, part_folder
from meddistill.inference.model import Model
from meddistill.inference.weights import read_weights, save_weights
from meddistill.measures import BENT

ROWS_INSIDE = {"_fit_X", "X_train_", "X_", "support_vectors_", "_raw_data"}
"""Attributes in which scikit-learn's classifiers keep the rows that they were fitted on."""
README = """\
# A diagnostic model, made by meddistill

    import meddistill

    probabilities = meddistill.predict("this folder", new_rows)

- Classes: {classes}
- {inputs}
- Answers by: {kind}, {parameters} numbers
{bent}
What it still holds of the patients it was trained on: names of classes; {learned};
and its weights, from which in principle it can be guessed whether a known
person was among them. What fewer patients had in common than its maker's `privacy.fewest` (5, if
nothing else was said) is left out: categories, and columns that so few had a number in. It holds
{rows}no id, no hash of a row, no prediction, and nothing of the machine or the account it was
made with.

Not a medical device; nothing here has been validated for the care of patients.
"""


def export(run: Path, to: Path, *, with_rows: bool = False, trust: Iterable[str] = ()) -> Path:
    """Write the model of a run folder into a new folder that holds what answering needs, no more.

    Args:
        run: The folder of a finished run or teacher.
        to: The new folder; it appears whole or not at all.
        with_rows: Hand on a model that consists of training rows, such as nearest neighbours.
        trust: As for `load_model`.

    Raises:
        UserError: There is no model, it is made of training rows, or `to` is there already.
    """
    if any((run / name).exists() for name in ("jobs.csv", "job.json", "trial.json")):
        raise UserError(
            f"{run} holds many students: write one out first (meddistill pick {run} --best --to "
            "DIR), then export that"
        )
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UserError(f"{to} is there already; choose another --to")
    model = load_model(run, trust)
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=to.parent, prefix=f".{to.name}.") as made:
        folder = Path(made) / "model"
        _write(model, run, folder, with_rows)
        _check_same(model, load_model(folder, trust))
        write_atomically(folder / "README.md", _readme(model))
        if to.exists():
            to.rmdir()
        shutil.move(folder, to)
    return to


def _write(model: Model, run: Path, folder: Path, with_rows: bool) -> None:
    """The model's own files, those of its parts below."""
    card = model.card
    if card.kind == SCORES:
        raise UserError(
            f"{run} holds answers alone (a file of scores, or those of a model "
            "that was dropped: teacher=scores, teacher.keep=answers), and none for a new row"
        )
    if model.preprocessing.holds_rows and not with_rows:
        raise UserError(
            f"{run}: empty cells are filled by rows that it was trained on (missing=knn), which "
            "would be handed on with it: take missing=iterative or native, or say --with-rows if "
            "these rows may be seen"
        )
    write_atomically(folder / PREPROCESSING, read_regular(run, PREPROCESSING))
    if isinstance(model, MixedModel):
        for name, part in model.by_name.items():
            _write(part, part_folder(run, name), part_folder(folder, name), with_rows)
        card = replace(card, checkpoints=_files_of_parts(model))
    for name in card.checkpoints if card.kind in (NETWORK, ESTIMATOR) else ():
        content = read_regular(run, name)
        if card.kind == NETWORK:
            save_weights(read_weights(content, name), folder / name)
            continue
        kept = sorted(ROWS_INSIDE & attributes(content))
        if kept and not with_rows:
            raise UserError(
                f"{run}: its classifier consists of rows that it was trained on ({kept[0]}), which "
                "would be handed on with it: distil it into a network and export that, or say "
                "--with-rows if these rows may be seen"
            )
        write_atomically(folder / name, content)
    save_card(folder, replace(card, out_of_fold=False))


def _files_of_parts(model: MixedModel) -> list[str]:
    cards: dict[str, Card] = {
        name: replace(part.card, out_of_fold=False) for name, part in model.by_name.items()
    }
    return [f"{PARTS}/{name}/{file}" for name, card in cards.items() for file in card.files]


def _check_same(model: Model, exported: Model) -> None:
    """What was written must answer as the run does."""
    rows = model.preprocessing.probe()
    if not np.array_equal(model.log_probabilities(rows), exported.log_probabilities(rows)):
        raise RuntimeError("the exported model answers otherwise than the run's")


def _readme(model: Model) -> str:
    kinds = {NETWORK: "networks", ESTIMATOR: "a classifier", SEVERAL: "several models"}
    return README.format(
        classes=", ".join(model.card.classes),
        inputs=model.preprocessing.describe(),
        learned=model.preprocessing.learned,
        kind=kinds[model.card.kind],
        parameters=model.num_parameters,
        bent=f"- Beware: {BENT}\n" if model.card.bent else "",
        rows="" if model.preprocessing.holds_rows else "no row, ",
    )
