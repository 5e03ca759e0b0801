#!/bin/bash
# Networks of half the papers' width at 64 pixels on one GPU, at a small and a large target size, side by side, with equal
# compute:
#
#     python scripts/gpu_modes.py --out gpu_modes_out          # measures how fast an iteration of each method is here
#     RATES=gpu_modes_out/modes.jsonl SECONDS_TO_TRAIN=300 bash scripts/gpu_grid.sh
#
# scripts/gpu_budget.py chooses the TFLOP of a run, so that all end within SECONDS_TO_TRAIN; or say TFLOP yourself. Started
# again with the same TFLOP it goes on where it was, and does nothing where all is done. Every word can be set from outside;
# PY is the Python to use. With NVIDIA's Multi-Process Service running twice as much is done in the time (docs/gpu.md says how);
# then 270 TFLOP a run took 388 s for all 24 runs on an H200 with 16 cores.
set -u
py=${PY:-python3}
results=${RESULTS:-results/gpu/grid64}
methods=${METHODS:-munit,mnm,cyclegan,cut}    # the slowest first
dataset=${DATASET:-ink}
sizes=${SIZES:-25,1000}
seeds=${SEEDS:-0,1,2}
preset=${PRESET:-paper}
resolution=${RESOLUTION:-64}
batch=${BATCH:-8}
width=${WIDTH:-32}
metrics=${METRICS:-translated,translated_source,translated_real,truth_retrieved,lpips_truth_relative,kd_judge,lpips_diversity}
device=${DEVICE:-cuda}
workers=${WORKERS:-15}              # runs side by side
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

if [ -z "${TFLOP:-}" ]; then
  : "${RATES:?name the modes.jsonl of scripts/gpu_modes.py, or set TFLOP}" "${SECONDS_TO_TRAIN:?say how long the runs may take}"
  runs_each=$(( $(tr , '\n' <<< "$sizes" | wc -l) * $(tr , '\n' <<< "$seeds" | wc -l) ))
  TFLOP=$($py scripts/gpu_budget.py "$RATES" --methods "$methods" --runs-each "$runs_each" --seconds "$SECONDS_TO_TRAIN") || exit 1
fi
echo "budget of a run: $TFLOP TFLOP"
$py -m bench data prepare "$dataset" --resolution "$resolution" || exit 1
$py -m bench sweep --methods "$methods" --datasets "$dataset" --target-sizes "$sizes" --seeds "$seeds" --preset "$preset" \
  --set "batch_size=$batch" --set "width=$width" --resolution "$resolution" --budget-tflop "$TFLOP" \
  --metrics "$metrics" --device "$device" --launcher local --workers "$workers" --results "$results" --yes
