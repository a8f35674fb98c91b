// Chooses, at run time, the instruction set whose kernel table is used. The tables themselves are
// filled in kernels/table.cpp.
#include <cstdlib>
#include <cstring>

#include "base/dual.h"
#include "base/error.h"
#include "cpu.h"
#include "cpu/deal.h"
#include "cpu/kernels.h"
#include "cpu/record_kernels.h"
#include "cpu/word_kernels.h"

namespace steep {

namespace portable {
Kernels<float> float_kernels();
Kernels<double> double_kernels();
RecordKernels<float> float_records();
RecordKernels<double> double_records();
WordKernels<float> float_words();
WordKernels<double> double_words();
Deal dealer();
Kernels<Dual> dual_kernels();
}  // namespace portable
namespace avx2 {
Kernels<float> float_kernels();
Kernels<double> double_kernels();
RecordKernels<float> float_records();
RecordKernels<double> double_records();
WordKernels<float> float_words();
WordKernels<double> double_words();
Deal dealer();
}  // namespace avx2
namespace avx512 {
Kernels<float> float_kernels();
Kernels<double> double_kernels();
RecordKernels<float> float_records();
RecordKernels<double> double_records();
WordKernels<float> float_words();
WordKernels<double> double_words();
Deal dealer();
}  // namespace avx512

namespace {

struct Isa {
  const char* name;
  Kernels<float> (*floats)();
  Kernels<double> (*doubles)();
  RecordKernels<float> (*float_records)();
  RecordKernels<double> (*double_records)();
  WordKernels<float> (*float_words)();
  WordKernels<double> (*double_words)();
  Deal (*dealer)();
  bool runs;  // on this processor, under this operating system
};

// amx is a level of STEEP_MAX_ISA without kernels of its own: its tiles do not hold float32.
constexpr const char* kLevels[] = {"baseline", "avx2", "avx512", "amx"};

std::vector<Isa> compiled() {
  std::vector<Isa> isas = {{kLevels[0], portable::float_kernels, portable::double_kernels,
                            portable::float_records, portable::double_records,
                            portable::float_words, portable::double_words, portable::dealer, true}};
#if defined(STEEP_HAS_AVX2)
  __builtin_cpu_init();
  const bool avx2_runs = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  isas.push_back({kLevels[1], avx2::float_kernels, avx2::double_kernels, avx2::float_records,
                  avx2::double_records, avx2::float_words, avx2::double_words, avx2::dealer,
                  avx2_runs});
#endif
#if defined(STEEP_HAS_AVX512)
  const bool avx512_runs = __builtin_cpu_supports("avx512f") &&
                           __builtin_cpu_supports("avx512bw") &&
                           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  isas.push_back({kLevels[2], avx512::float_kernels, avx512::double_kernels, avx512::float_records,
                  avx512::double_records, avx512::float_words, avx512::double_words, avx512::dealer,
                  avx512_runs && avx2_runs});
#endif
  return isas;
}

// Position in kLevels of the best level that STEEP_MAX_ISA allows.
size_t max_level() {
  const char* const wish = std::getenv("STEEP_MAX_ISA");
  if (!wish || !*wish) return std::size(kLevels) - 1;
  for (size_t i = 0; i < std::size(kLevels); ++i)
    if (!std::strcmp(wish, kLevels[i])) return i;
  refuse("STEEP_MAX_ISA: expects baseline, avx2, avx512 or amx, got \"", wish,
         "\". Set one of these, or unset it for the best this processor has.");
}

bool allowed(const Isa& isa) {
  static const size_t best = max_level();
  for (size_t i = 0; i <= best; ++i)
    if (!std::strcmp(isa.name, kLevels[i])) return true;
  return false;
}

template <class T>
Kernels<T> best(Kernels<T> (*Isa::*kernels)()) {
  Kernels<T> best{};
  for (const Isa& isa : compiled()) {
    if (!isa.runs || !allowed(isa)) continue;
    best = (isa.*kernels)();
    best.isa = isa.name;
  }
  return best;
}

template <class Table>
Table table_of(Table (*Isa::*tables)(), const char* name) {
  for (const Isa& isa : compiled())
    if (!std::strcmp(isa.name, name)) return (isa.*tables)();
  return {};
}

Kernels<portable::Dual> portable_dual() {
  Kernels<portable::Dual> table = portable::dual_kernels();
  table.isa = kLevels[0];
  return table;
}

}  // namespace

std::vector<std::string> cpu::isas() {
  std::vector<std::string> names;
  for (const Isa& isa : compiled())
    if (isa.runs && allowed(isa)) names.push_back(isa.name);
  return names;
}

template <>
const Kernels<float>& kernels<float>() {
  static const Kernels<float> table = best(&Isa::floats);
  return table;
}

template <>
const Kernels<double>& kernels<double>() {
  static const Kernels<double> table = best(&Isa::doubles);
  return table;
}

template <>
const Kernels<portable::Dual>& kernels<portable::Dual>() {
  static const Kernels<portable::Dual> table = portable_dual();
  return table;
}

template <>
const RecordKernels<float>& record_kernels<float>() {
  static const auto table = table_of(&Isa::float_records, kernels<float>().isa);
  return table;
}

template <>
const RecordKernels<double>& record_kernels<double>() {
  static const auto table = table_of(&Isa::double_records, kernels<double>().isa);
  return table;
}

template <>
const RecordKernels<portable::Dual>& record_kernels<portable::Dual>() {
  static const RecordKernels<portable::Dual> none{};
  return none;
}

template <>
const WordKernels<float>& word_kernels<float>() {
  static const auto table = table_of(&Isa::float_words, kernels<float>().isa);
  return table;
}

template <>
const WordKernels<double>& word_kernels<double>() {
  static const auto table = table_of(&Isa::double_words, kernels<double>().isa);
  return table;
}

Deal deal_kernel() {
  static const Deal found = table_of(&Isa::dealer, kernels<float>().isa);
  return found;
}

}  // namespace steep
