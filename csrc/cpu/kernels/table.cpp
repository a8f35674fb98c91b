// The kernel table of the instruction set being compiled. The kernels live in the files beside it.
#include "cpu/kernels/fill.h"
#include "cpu/kernels/gemm.h"

namespace steep::STEEP_ISA {
namespace {

template <class T>
Kernels<T> filled() {
  Kernels<T> table{};
  table.tile_rows = kTileRows;
  table.gemm_panel = gemm_panel<T>;
  table.transpose = transpose<T>;
  fill_activations(table);
  fill_elementwise(table);
  fill_rows(table);
  fill_narrow(table);
  fill_losses(table);
  fill_updates(table);
  fill_winograd(table);
  fill_pools(table);
  fill_depthwise(table);
  fill_norms(table);
  fill_lrn(table);
  return table;
}

}  // namespace

// Called by dispatch.cpp on processors that have this instruction set.
Kernels<float> float_kernels() { return filled<float>(); }
#if STEEP_JOIN(STEEP_DOUBLE_, STEEP_ISA)
Kernels<double> double_kernels() { return filled<double>(); }
#endif

}  // namespace steep::STEEP_ISA
