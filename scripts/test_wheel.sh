#!/usr/bin/env bash
# Builds the wheel, installs it alone into a fresh environment, and runs it in an empty folder with
# an empty environment and a config of the user's own. `python` is one that has `build`.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python -m build --wheel --no-isolation --outdir "$work/dist" . > "$work/build.log" || { cat "$work/build.log"; exit 1; }
python -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --constraint constraints.txt "$work"/dist/*.whl

mkdir -p "$work/empty/mine/student"
cd "$work/empty"
printf '_target_: meddistill.models.mlp.MLP\nwidth: 4\n' > mine/student/own.yaml
clean=(env -i HOME="$work/empty" PATH=/usr/bin:/bin "$work/venv/bin/meddistill")
"${clean[@]}" --help > /dev/null
"${clean[@]}" distill --help | grep -q "mlp_ensemble"
"${clean[@]}" distill --config-dir mine student=own teacher=mlp teacher.trainer.max_epochs=2 trainer.max_epochs=2
test -f outputs/distill-*/report.md
echo "the wheel works in an empty folder with an empty environment"
