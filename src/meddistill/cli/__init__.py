"""The command line: verbs, help, one message and exit code 2 for a user's mistake."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from meddistill.cli.completion import FLAGS, asked, own_folders
from meddistill.config.confdir import FOLDER_VERBS, VERBS, listed_choices

if TYPE_CHECKING:
    from meddistill.errors import UserError

GROUPS = ("data", "columns", "preprocessing", "missing", "view", "synthetic", "teacher", "student",
          "loss", "schedule", "optimizer", "scheduler", "accelerator", "callbacks", "logger",
          "experiment", "debug", "arm")  # fmt: skip
USER_ERROR, INTERRUPTED = 2, 130
RARELY = 50_000
"""New objects after which Python looks for cycles (700 by default): imports make a million that
stay, and looking through them again and again takes a tenth of a command's time."""


def main() -> None:
    """Entry point of the console script `meddistill`."""
    gc.set_threshold(RARELY, *gc.get_threshold()[1:])
    arguments = sys.argv[1:]
    verb = arguments[0] if arguments else "--help"
    if verb in ("-h", "--help"):
        print(overview(own_folders(arguments)))
    elif verb == "--version":
        from importlib.metadata import version

        print(f"meddistill {version('meddistill')}")
    elif verb in FLAGS:
        sys.exit(asked(arguments, _launch))
    elif verb in VERBS:
        sys.exit(_launch(verb))
    elif verb in FOLDER_VERBS:
        sys.exit(_with_folder(verb, arguments[1:]))
    else:
        verbs = ", ".join([*VERBS, *FOLDER_VERBS])
        sys.exit(_fail(f"'{verb}' is no verb; there are {verbs} (see meddistill --help)"))


def overview(own: Sequence[Path] = ()) -> str:
    """The text of `meddistill --help`, choices of one's own folders of configs among the others."""
    every = {**VERBS, **FOLDER_VERBS}
    verbs = "\n".join(f"  {verb:<9} {what}" for verb, what in every.items())
    return f"""meddistill: knowledge distillation for medical diagnosis

usage: meddistill teacher|distill|trial [-m] [--config-dir DIR] [key=value ...]
       meddistill report DIR [--examples N]
       meddistill pick DIR [--best] [key=value ...] [--to DIR]
       meddistill export DIR --to DIR [--with-rows] [--trust CLASS]

verbs:
{verbs}

choices (group=choice):
{listed_choices(GROUPS, width=15, more=own)}
  hydra/sweeper   stacked (under -m: seeds, temperatures, ... train side by side in one job), basic
  hydra/launcher  basic (one job after the other), joblib, slurm, ray (extras of these names)

examples:
  meddistill distill                            a student, built-in breast cancer data
  meddistill distill experiment=side_by_side    alone and distilled, beside the teacher
  meddistill distill data=table data.path=mine.csv data.target=diagnosis
  meddistill distill -m loss.temperature=1,2,4,8 loss.alpha=0,0.25,0.5,0.75,1 'seed=range(0,10)'

meddistill VERB --help shows a verb's settings. With -m the overrides are a sweep's.
eval "$(meddistill -sc install=bash)" completes verbs, choices and settings (--hydra-help: fish).
"""


def _launch(verb: str) -> int:
    """Run the verb's Hydra app; its exit code."""
    from meddistill.cli import app
    from meddistill.report.folders import show_sweeps

    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions reach us; Hydra would print and exit with 1
    try:
        code = _guarded(lambda: app.launch(verb), verb, wants_traceback)
    finally:
        shown = _guarded(show_sweeps, verb, wants_traceback)
    return code or shown


def _guarded(work: Callable[[], object], verb: str, wants_traceback: bool = False) -> int:
    """Do `work`; the exit code, after one message where it was refused."""
    from meddistill.runs.preemption import EXIT_CODE, Stopped

    try:
        work()
    except Stopped:
        print("meddistill: stopped; the same command goes on from here", file=sys.stderr)
        return EXIT_CODE
    except KeyboardInterrupt:
        print("\ninterrupted: the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        refused = _refusal(error, verb)
        if refused is None or wants_traceback:
            raise
        return _fail(str(refused), refused.exit_code)
    return 0


def _refusal(error: Exception, verb: str) -> UserError | None:
    """What the user or the machine did wrong, as one message; None of our own fault."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from meddistill.cli.explain import explain
    from meddistill.errors import UserError
    from meddistill.files.disk import disk_error

    if isinstance(error, UserError):
        return error
    if (refused := disk_error(error)) is not None:
        return refused
    from_hydra = isinstance(error, (HydraException, OmegaConfBaseException))
    return UserError(explain(error, verb)) if from_hydra else None


def _with_folder(verb: str, arguments: list[str]) -> int:
    """Run a verb that reads a finished folder; its exit code."""
    import argparse

    parser = argparse.ArgumentParser(f"meddistill {verb}", description=FOLDER_VERBS[verb])
    parser.add_argument("folder", type=Path, metavar="DIR", help="a sweep's (or a run's) folder")
    if verb == "pick":
        parser.add_argument("wanted", nargs="*", metavar="key=value", help="what the student has")
        parser.add_argument("--best", action="store_true", help="of the best setting on validation")
        parser.add_argument("--to", type=Path, metavar="DIR", help="the new run folder")
    if verb == "report":
        shown = "the pictures or series of a run's N largest errors in its page"
        parser.add_argument("--examples", type=int, metavar="N", help=shown)
    if verb == "export":
        rows = "hand on a model that consists of training rows (nearest neighbours, ...)"
        own = "a network of your own that the folder names, such as mypackage.nets.Wide"
        parser.add_argument("--to", type=Path, metavar="DIR", help="the new folder", required=True)
        parser.add_argument("--with-rows", action="store_true", help=rows)
        parser.add_argument("--trust", action="append", default=[], metavar="CLASS", help=own)
    given = parser.parse_intermixed_args(arguments)

    def work() -> None:
        if verb == "report":
            from meddistill.report.folders import report

            report(given.folder, given.examples)
        elif verb == "export":
            from meddistill.inference.export import export

            path = export(given.folder, given.to, with_rows=given.with_rows, trust=given.trust)
            print(f"{path}: the model alone; its README.md says what it still holds of patients")
        else:
            from meddistill.report.picked import show_pick

            show_pick(given.folder, given.wanted, given.best, given.to)

    return _guarded(work, verb)


def _fail(message: str, code: int = USER_ERROR) -> int:
    print(f"meddistill: error: {message}", file=sys.stderr)
    return code
