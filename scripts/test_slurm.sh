#!/usr/bin/env bash
# The tests that need a SLURM, on a throw-away one of this machine (Debian, root); elsewhere they skip.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
  echo "a local SLURM needs Debian and root"
  exec python -m pytest -q -rs tests/sweeps/test_slurm.py
fi
folder=$(mktemp -d)
trap 'scripts/local_slurm.sh stop "$folder"; rm -rf "$folder"' EXIT
scripts/local_slurm.sh start "$folder" 2 4
# shellcheck source=/dev/null
source "$folder/env.sh"
MEDDISTILL_TEST_SLURM=1 python -m pytest -q -rs tests/sweeps/test_slurm.py
