#include "cpu/dispatch.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace recon {
namespace {

bool supported(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::avx512) return __builtin_cpu_supports("x86-64-v4");
  if (isa == Isa::avx2) return __builtin_cpu_supports("x86-64-v3");
  return true;
#else
  return isa == Isa::baseline;
#endif
}

bool parse(const char* name, Isa* isa) {
  for (Isa candidate : {Isa::baseline, Isa::avx2, Isa::avx512}) {
    if (std::strcmp(name, isa_name(candidate)) == 0) {
      *isa = candidate;
      return supported(candidate);
    }
  }
  return false;
}

Isa best() {
  Isa wanted;
  const char* name = std::getenv("RECON_CPU_ISA");
  if (name != nullptr && parse(name, &wanted)) return wanted;
  if (supported(Isa::avx512)) return Isa::avx512;
  if (supported(Isa::avx2)) return Isa::avx2;
  return Isa::baseline;
}

std::atomic<Isa>& chosen() {
  static std::atomic<Isa> isa{best()};
  return isa;
}

}  // namespace

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::avx512: return "avx512";
    case Isa::avx2: return "avx2";
    default: return "baseline";
  }
}

Isa active_isa() { return chosen().load(std::memory_order_relaxed); }

bool set_active_isa(const char* name) {
  Isa isa;
  if (!parse(name, &isa)) return false;
  chosen().store(isa, std::memory_order_relaxed);
  return true;
}

}  // namespace recon
