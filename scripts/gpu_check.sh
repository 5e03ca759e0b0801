#!/bin/bash
# What the project does on one NVIDIA GPU, in at most 8 minutes:
#
#     bash scripts/gpu_check.sh [more words for gpu_check.py]
#
# in the root of a checkout. Writes summary.json, table.txt and results.jsonl into OUT (default: gpu_check_out/). PY is
# the Python to use (default: python3). Wheels in the folder WHEELS, where it is set, are put beside that Python's own
# packages, so that a machine without a network needs nothing else. Big files go to WORK (default: /tmp/gpu_check).
set -u
here=$(cd "$(dirname "$0")" && pwd)
out=${OUT:-$PWD/gpu_check_out}; mkdir -p "$out"
work=${WORK:-/tmp/gpu_check}; mkdir -p "$work"
py=${PY:-python3}
export PYTHONUNBUFFERED=1 TORCHINDUCTOR_CACHE_DIR=${TORCHINDUCTOR_CACHE_DIR:-/tmp/inductor}
if [ -n "${WHEELS:-}" ]; then
  $py -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target /tmp/site "$WHEELS"/*.whl \
    && export PYTHONPATH=/tmp/site:${PYTHONPATH:-}
fi
command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
$py "$here/gpu_check.py" --out "$work" "$@"; rc=$?
cp -f "$work"/summary.json "$work"/table.txt "$work"/results.jsonl "$out"/ 2>/dev/null
for f in child cli; do tail -c 200000 "$work/$f.log" > "$out/$f.log" 2>/dev/null; done
exit $rc
