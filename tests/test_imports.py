"""A command imports what it needs."""

from __future__ import annotations

import subprocess
import sys


def test_a_student_is_trained_and_a_network_answers_without_what_they_do_not_need():
    heavy = ("skops", "sklearn.ensemble", "sklearn.compose", "sklearn.neighbors", "optuna")
    code = (
        "import sys, meddistill.tasks.distill, meddistill.model\n"
        f"print(*[name for name in {heavy!r} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
