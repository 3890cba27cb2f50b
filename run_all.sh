#!/usr/bin/env bash
# Sets up what is missing, regenerates the leaderboard, and tunes a small row.
#
#   ./run_all.sh                                       synthetic data, smoke profile: minutes on a laptop's CPU
#   ./run_all.sh --data-root DIR --profile full        the real thing; nothing is tuned
#
# All arguments go to `detboard sweep experiments/leaderboard.yaml`; --results, --slots, --launcher and --wandb go to
# `detboard tune`, too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

make --silent setup

data=()
if [[ " $* " != *" --data-root"* ]]; then
    .venv/bin/detboard data synthesize data/synthetic
    data=(--data-root data/synthetic)
fi

.venv/bin/detboard sweep experiments/leaderboard.yaml --profile smoke "${data[@]}" "$@"

results=results
shared=(--slots 2) # given twice, an option counts as it stands last
arguments=("$@")
for ((i = 0; i < $#; i++)); do
    case "${arguments[i]}" in
        --results) results="${arguments[i + 1]}" ;;
        --results=*) results="${arguments[i]#*=}" ;;
        --slots | --launcher | --wandb) shared+=("${arguments[i]}" "${arguments[i + 1]}") ;;
        --slots=* | --launcher=* | --wandb=*) shared+=("${arguments[i]}") ;;
        # A study on somebody's own data or schedule is theirs to start.
        --data-root* | --profile* | --help) exit 0 ;;
    esac
done

# The best trial becomes a row of a copy: the experiment that is under version control stays as it is.
mkdir -p "$results/experiments/tune"
cp experiments/small.yaml "$results/experiments/"
rm -f "$results/experiments/small.tuned.yaml"
cp experiments/tune/small.yaml "$results/experiments/tune/"
shared+=(--results "$results")
echo
.venv/bin/detboard sweep "$results/experiments/small.yaml" "${data[@]}" "${shared[@]}"
exec .venv/bin/detboard tune "$results/experiments/tune/small.yaml" "${data[@]}" "${shared[@]}" --promote
