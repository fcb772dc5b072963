"""The command line: verbs, help, one message and exit code 2 for a user's mistake."""

from __future__ import annotations

import os
import sys

from meddistill.confdir import VERBS, listed_choices

GROUPS = ("data", "teacher", "student", "loss", "optimizer", "accelerator", "logger", "experiment")
USER_ERROR, INTERRUPTED = 2, 130


def main() -> None:
    """Entry point of the console script `meddistill`."""
    arguments = sys.argv[1:]
    verb = arguments[0] if arguments else "--help"
    if verb in ("-h", "--help"):
        print(overview())
    elif verb == "--version":
        from importlib.metadata import version

        print(f"meddistill {version('meddistill')}")
    elif verb not in VERBS:
        sys.exit(
            _fail(f"'{verb}' is no verb; there are {', '.join(VERBS)} (see meddistill --help)")
        )
    else:
        sys.exit(_launch(verb))


def overview() -> str:
    """The text of `meddistill --help`."""
    verbs = "\n".join(f"  {verb:<9} {what}" for verb, what in VERBS.items())
    return f"""meddistill: knowledge distillation for medical diagnosis

usage: meddistill VERB [key=value ...] [-m] [--config-dir DIR]

verbs:
{verbs}

choices (group=choice):
{listed_choices(GROUPS, width=15)}
  hydra/launcher  basic (one job after the other); others by their Hydra plugins, as joblib

examples:
  meddistill distill                            a student, built-in breast cancer data
  meddistill distill experiment=side_by_side    alone and distilled, beside the teacher
  meddistill distill data=table data.path=mine.csv data.target=diagnosis
  meddistill distill -m loss.temperature=1,2,4,8 loss.alpha=0,0.25,0.5,0.75,1

meddistill VERB --help shows a verb's settings. -m stands before the overrides of a sweep.
"""


def _launch(verb: str) -> int:
    """Run the verb's Hydra app; its exit code."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from meddistill import app, sweep
    from meddistill.errors import UserError
    from meddistill.explain import explain

    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions reach us; Hydra would print and exit with 1
    try:
        app.launch(verb)
    except (UserError, HydraException, OmegaConfBaseException) as error:
        if wants_traceback:
            raise
        return _fail(explain(error, verb))
    except KeyboardInterrupt:
        print("\ninterrupted: the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    finally:
        sweep.show_table()
    return 0


def _fail(message: str) -> int:
    print(f"meddistill: error: {message}", file=sys.stderr)
    return USER_ERROR
