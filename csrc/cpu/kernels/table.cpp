// The kernel table of the instruction set being compiled. The kernels live in the files beside it and in
// ../ops.
#include "cpu/kernels/fill.h"
#include "cpu/kernels/gemm.h"
#include "ops/list.h"

namespace steep::STEEP_ISA {
namespace {

template <class A, class T> constexpr Call<T> call_of() {
  if constexpr (requires { A::kAlias; })
    return nullptr;
  else
    return &call<A, T>;
}

template <class T, class... A> const Call<T>* calls(List<A...>) {
  static constexpr Call<T> all[] = {call_of<A, T>()...};
  return all;
}

template <class T>
Kernels<T> filled() {
  Kernels<T> table{};
  table.tile_rows = Shape<T>::rows;
  table.gemm_panel = gemm_panel<T>;
  table.transpose = transpose<T>;
  table.calls = calls<T>(ops::All{});
  fill_activations(table);
  fill_rows(table);
  fill_losses(table);
  fill_updates(table);
  fill_winograd(table);
  fill_depthwise(table);
  if constexpr (!kDual<T>) fill_vectors(table);
  return table;
}

}  // namespace

// Called by ../isa.cpp on processors that have this instruction set.
Kernels<float> float_kernels() { return filled<float>(); }
Kernels<double> double_kernels() { return filled<double>(); }
#if STEEP_JOIN(STEEP_DUAL_, STEEP_ISA)
Kernels<Dual> dual_kernels() { return filled<Dual>(); }
#endif

}  // namespace steep::STEEP_ISA
