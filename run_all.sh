#!/usr/bin/env bash
# Sets up what is missing, regenerates the leaderboard, and tunes a small row.
#
#   ./run_all.sh                                       synthetic data, smoke profile: minutes on a laptop's CPU
#   ./run_all.sh --data-root DIR --profile full        the real thing; nothing is tuned
#
# All arguments go to `detboard sweep experiments/leaderboard.yaml`; --results, --slots, --launcher and --wandb go to
# `detboard tune experiments/tune/small.yaml`, too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

make --silent setup

data=()
if [[ " $* " != *" --data-root"* ]]; then
    .venv/bin/detboard data synthesize data/synthetic
    data=(--data-root data/synthetic)
fi

.venv/bin/detboard sweep experiments/leaderboard.yaml --profile smoke "${data[@]}" "$@"

# A study on somebody's own data or schedule is theirs to start.
shared=(--slots 2)
arguments=("$@")
for ((i = 0; i < $#; i++)); do
    case "${arguments[i]}" in
        --results | --slots | --launcher | --wandb) shared+=("${arguments[i]}" "${arguments[i + 1]}") ;;
        --results=* | --slots=* | --launcher=* | --wandb=*) shared+=("${arguments[i]}") ;;
        --data-root* | --profile*) exit 0 ;;
    esac
done
echo
# The row as it stands, then the study; given twice, an option counts as it stands last.
.venv/bin/detboard sweep experiments/small.yaml --rows r18_w16_fpn "${data[@]}" "${shared[@]}"
exec .venv/bin/detboard tune experiments/tune/small.yaml "${data[@]}" --promote "${shared[@]}"
