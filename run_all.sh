#!/usr/bin/env bash
# Sets up what is missing, regenerates the leaderboard, and tunes a small row.
#
#   ./run_all.sh                                       synthetic data, smoke profile: minutes on a laptop's CPU
#   ./run_all.sh --data-root DIR --profile full        the real thing; nothing is tuned
#   ./run_all.sh --help                                all options
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
make --silent setup
exec .venv/bin/detboard all "$@"
