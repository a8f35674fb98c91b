#!/usr/bin/env bash
# One call on a machine with a GPU: builds steep's CUDA room there, proves it against the CPU, sanitises and times
# it, in under nine minutes; everything is left under $OUT. Run from the repository root:
#   bash bench/device.sh [part ...]
# Without names all parts run, in order; one that fails does not stop the others. Python there needs
# pybind11, NumPy, safetensors, tqdm and pytest; PyTorch and JAX are rivals, left out where they are not.
set -uo pipefail
out=${OUT:-${TMPDIR:-/tmp}/steep-device}
site=${TMPDIR:-/tmp}/steep-site build=${TMPDIR:-/tmp}/steep-build python=$(command -v python3)
begun=$SECONDS budget=${BUDGET:-530} only="$*"
mkdir -p "$out" && : >"$out/parts.txt"
export PYTHONPATH=$site:${EXTRA_SITE:-} PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
export XLA_PYTHON_CLIENT_PREALLOCATE=false out site build python

part() {  # part NAME SECONDS COMMAND...: within its own limit and the whole one
  local name=$1 limit=$2 start=$SECONDS rc left=$((budget - (SECONDS - begun)))
  shift 2
  [[ -n $only && " $only " != *" $name "* ]] && return
  ((limit > left)) && limit=$left
  ((limit < 5)) && { echo "$name: no time left" | tee -a "$out/parts.txt"; return; }
  timeout -k 5 "$limit" "$@" >"$out/$name.log" 2>&1
  rc=$?
  echo "$name: exit $rc after $((SECONDS - start)) s (limit $limit)" | tee -a "$out/parts.txt"
}

facts() {
  uname -r
  nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.sm,clocks.mem --format=csv
  nvcc --version | tail -n 2
  cmake --version | head -n 1
  g++ --version | head -n 1
  "$python" -m pip list 2>/dev/null |
    grep -iE '^(torch|jax|jaxlib|optax|cupy|numpy|pybind11|nvidia-cu(blas|dnn)|pytest|hypothesis) '
}
compile() {  # no pip: nothing is fetched, and one architecture is enough
  local arch
  arch=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)
  [[ $arch == 90 ]] && arch=90a
  cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DSTEEP_CUDA=on \
    -DCMAKE_CUDA_ARCHITECTURES="$arch-real" -DCMAKE_CUDA_FLAGS="-Xptxas -v" \
    -DPython_EXECUTABLE="$python" -Dpybind11_DIR="$("$python" -m pybind11 --cmakedir)" \
    -DSKBUILD_PROJECT_VERSION_FULL=0.1.0 &&
    cmake --build "$build" -j "$(nproc)" && mkdir -p "$site" && cp -r python/steep "$site/" &&
    cp "$build"/_core*.so "$site/steep/" && "$python" -c 'import steep; print(steep.info())'
}
sanitize() {  # over a few laws; racecheck, the slowest by far, over fewer
  local tool laws
  for tool in memcheck initcheck synccheck racecheck; do
    laws='width_of_outputs or any_number_of_rows or single_batches or rule/adam or clip'
    [[ $tool == racecheck ]] && laws='width_of_outputs or single_batches'
    timeout 80 compute-sanitizer --tool $tool --error-exitcode 9 --print-limit 20 \
      "$python" -m pytest -q -x -p no:cacheprovider tests/test_cuda.py -k "$laws" | tail -n 5
    echo "$tool: exit ${PIPESTATUS[0]}"
  done
}
export -f facts compile sanitize

part facts 40 bash -c facts
part build 170 bash -c compile
part same 60 "$python" bench/device/same_bytes.py
part test 130 "$python" -m pytest -q -p no:cacheprovider tests/test_cuda.py tests/test_cuda_precision.py
part loops 90 "$python" -m pytest -q -p no:cacheprovider tests/test_cuda_recurrent.py
part rules 60 "$python" bench/device/kernels.py rules "$out/rules.json"
part kernels 40 "$python" bench/device/kernels.py steps "$out/kernels.json"
part steps 60 "$python" bench/device/steps.py "$out/steps.json" steep,tf32,bfloat16,graph,eager
part recurrent 60 "$python" bench/device/recurrent.py "$out/recurrent.json"
part libraries 40 env STEEP_CUBLASLT=on STEEP_CUDNN=on \
  "$python" bench/device/steps.py "$out/libraries.json" tf32,bfloat16
part jax 60 "$python" bench/device/steps.py "$out/jax.json" jax
part sanitize 160 bash -c sanitize
part ceilings 30 "$python" bench/device/ceilings.py
grep -hE '^(same|rule|copy|kernel|step|product|memcheck|racecheck|initcheck|synccheck|FAILED|ERROR|E  )' \
  "$out"/*.log | cut -c1-200
tail -n 3 "$out/test.log" 2>/dev/null | cut -c1-300
cat "$out/parts.txt"
