#!/usr/bin/env bash
# The report in headless Chromium; it is installed where that can be done, else the tests skip.
set -euo pipefail
if ! command -v chromium > /dev/null && command -v apt-get > /dev/null && [ "$(id -u)" = 0 ]; then
  (apt-get update -q && apt-get install -y -q --no-install-recommends chromium) > /dev/null 2>&1 ||
    echo "Chromium could not be installed"
fi
python -m pytest -q -rs tests/report/test_browser.py
