#!/usr/bin/env bash
# One call on a machine with a GPU: builds steep's CUDA room there, proves it against the CPU, sanitises and times
# it, in under ten minutes without the sanitizers; everything is left under $OUT. Run from the repository root:
#   bash bench/device.sh [part ...]
# Without names all parts run, in order; one that fails does not stop the others. Python there needs
# pybind11, NumPy, safetensors, tqdm and pytest; PyTorch and JAX are rivals, left out where they are not.
# Without a GPU: EMULATED=FOLDER, with an emulated package in it, plays the parts at small sizes.
set -uo pipefail
out=${OUT:-${TMPDIR:-/tmp}/steep-device}
site=${TMPDIR:-/tmp}/steep-site build=${TMPDIR:-/tmp}/steep-build python=$(command -v python3)
begun=$SECONDS budget=${BUDGET:-530} only="$*" small=''
[[ -n ${EMULATED:-} ]] && site=$EMULATED small=--small budget=${BUDGET:-7200}
chip='facts build ncu sanitize ceilings'  # parts that want one
mkdir -p "$out" && : >"$out/parts.txt"
export PYTHONPATH=$site:${EXTRA_SITE:-} PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
export XLA_PYTHON_CLIENT_PREALLOCATE=false out site build python small

part() {  # part NAME SECONDS COMMAND...: within its own limit and the whole one
  local name=$1 limit=$2 start=$SECONDS rc left=$((budget - (SECONDS - begun)))
  shift 2
  [[ -n $only && " $only " != *" $name "* ]] && return
  [[ -n $small && " $chip " == *" $name "* ]] && return
  [[ -n $small ]] && limit=$left  # fibers take their time
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
each_kernel() {  # what ncu counts in one step of every case; the clocks stay as they are
  local name
  for name in mlp_mnist:float32 lenet5:bfloat16 resnet20:bfloat16; do
    timeout 60 ncu --clock-control none --csv --page raw --launch-count 64 --metrics "$counters" \
      --section WarpStateStats \
      "$python" bench/device/kernels.py once - --cases="${name%:*}" --precision="${name#*:}" \
      >"$out/ncu-${name%:*}.csv" 2>&1
    echo "ncu $name: exit $?"
  done
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
tests() {  # side by side where pytest-xdist is
  local many=()
  "$python" -c 'import xdist' 2>/dev/null && many=(-n 8)
  "$python" -m pytest -q "${many[@]}" -p no:cacheprovider -p no:benchmark --durations=8 tests/test_cuda*.py
}
steps() { "$python" bench/device/steps.py "$out/$1.json" "${@:2}" $small; }
profile() { "$python" bench/device/kernels.py "$1" "$out/$2.json" "${@:3}" $small; }
export -f facts compile each_kernel sanitize tests steps profile
counters=gpu__time_duration.sum,sm__throughput.avg.pct_of_peak_sustained_elapsed
counters+=,gpu__compute_memory_throughput.avg.pct_of_peak_sustained_elapsed
counters+=,sm__warps_active.avg.pct_of_peak_sustained_active,launch__grid_size,launch__registers_per_thread
counters+=,smsp__issue_active.avg.pct_of_peak_sustained_active,dram__bytes.sum,lts__t_bytes.sum
counters+=,l1tex__data_bank_conflicts_pipe_lsu.sum,sm__inst_executed_pipe_tensor.sum
export counters

part facts 40 bash -c facts
part build 170 bash -c compile
part same 60 "$python" bench/device/same_bytes.py $small
part test 130 bash -c tests
part rules 60 bash -c 'profile rules rules'
part kernels 40 bash -c 'profile steps kernels'
part kernels16 30 bash -c 'profile steps kernels16 --cases=lenet5,resnet20 --precision=bfloat16'
part tokens 40 bash -c 'profile tokens tokens'
part attention 40 "$python" bench/device/attention.py "$out/attention.json" $small
part recurrent 60 "$python" bench/device/recurrent.py "$out/recurrent.json" $small
part full_batch 60 "$python" bench/device/full_batch.py "$out/full_batch.json" $small
part streamed 60 "$python" bench/device/streamed.py "$out/streamed.json" $small
part steps 120 bash -c 'steps steps steep,steep-graphs,tf32,bfloat16,graph,eager,eager-bf16,graph-bf16'
part jax 90 bash -c 'steps jax jax --cases=mlp_tiny,mlp_mnist,mlp_wide,lenet5'
part compiled 60 bash -c 'steps compiled compiled-bf16 --cases=resnet20,lenet5'
part libraries 40 env "STEEP_CUBLASLT=${STEEP_CUBLASLT:-on}" "STEEP_CUDNN=${STEEP_CUDNN:-on}" bash -c 'steps libraries tf32,bfloat16'
part ncu 90 bash -c each_kernel
part sanitize 160 bash -c sanitize
part ceilings 30 "$python" bench/device/ceilings.py
grep -hE '^(same|rule|copy|kernel|step|product|ncu|memcheck|racecheck|initcheck|synccheck|FAILED|ERROR|E  )' \
  "$out"/*.log | cut -c1-160
tail -n 3 "$out/test.log" 2>/dev/null | cut -c1-300
cat "$out/parts.txt"
