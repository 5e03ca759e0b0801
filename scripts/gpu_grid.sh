#!/bin/bash
# A small grid on one GPU: the first points of learning curves, at a small and a large target size.
#
#     RESULTS=results/gpu-grid bash scripts/gpu_grid.sh
#
# Each budget is a sweep of its own and all sweeps go side by side: the small networks of the preset `cpu` leave most of
# a GPU idle, so a run a CPU core gets more done than one after the other. Started again it goes on where it was, and
# does nothing where all is done. Every word can be set from outside; PY is the Python to use.
set -u
py=${PY:-python3}
results=${RESULTS:-results/gpu-grid}
methods=${METHODS:-cyclegan,munit,starganv2,cut}
dataset=${DATASET:-ink}
sizes=${SIZES:-25,1000}
resolution=${RESOLUTION:-64}
budgets=${BUDGETS:-1 3}             # thousands of source images seen in training
preset=${PRESET:-cpu}
metrics=${METRICS:-kd_effnet,fd_effnet,l1_truth,translated}
device=${DEVICE:-cuda}
workers=${WORKERS:-8}               # runs side by side, of each budget
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

$py -m bench data prepare "$dataset" --resolution "$resolution" || exit 1
sweeps=()
for budget in $budgets; do
  $py -m bench sweep --methods "$methods" --datasets "$dataset" --target-sizes "$sizes" --preset "$preset" \
    --resolution "$resolution" --budget-kimg "$budget" --metrics "$metrics" --device "$device" \
    --launcher local --workers "$workers" --results "$results" --yes &
  sweeps+=($!)
done
failed=0
for sweep in "${sweeps[@]}"; do wait "$sweep" || failed=1; done
$py -m bench status --results "$results"
exit $failed
