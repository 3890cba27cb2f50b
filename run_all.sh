#!/usr/bin/env bash
# Sets up what is missing and regenerates the leaderboard.
#
#   ./run_all.sh                                       synthetic data, smoke profile: minutes on a laptop's CPU
#   ./run_all.sh --data-root DIR --profile full        the real thing
#
# All arguments go to `detboard sweep experiments/leaderboard.yaml`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

make --silent setup

data=()
if [[ " $* " != *" --data-root"* ]]; then
    .venv/bin/detboard data synthesize data/synthetic
    data=(--data-root data/synthetic)
fi

exec .venv/bin/detboard sweep experiments/leaderboard.yaml --profile smoke "${data[@]}" "$@"
