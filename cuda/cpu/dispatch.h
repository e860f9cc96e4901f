// Chooses, once, which instruction set's build of the CPU kernels runs.
//
// A kernel header declares its functions inside RECON_CPU_KERNELS(...): one declaration per instruction set, each in
// a namespace of that name. Its *_cpu.cpp defines them in `namespace recon::RECON_ISA` and is compiled once per set.
// A caller writes RECON_DISPATCH(function, arguments...), which returns that function's value.
#pragma once

namespace recon {

enum class Isa { baseline, avx2, avx512 };

// The instruction set in use: the best one the processor has, or the one RECON_CPU_ISA names.
Isa active_isa();
const char* isa_name(Isa isa);
// Selects another one (tests compare them); false where this processor lacks it.
bool set_active_isa(const char* name);

}  // namespace recon

#if defined(__x86_64__)
#define RECON_CPU_KERNELS(...)             \
  namespace recon::baseline { __VA_ARGS__ } \
  namespace recon::avx2 { __VA_ARGS__ }     \
  namespace recon::avx512 { __VA_ARGS__ }
#define RECON_DISPATCH(function, ...)                                                          \
  (::recon::active_isa() == ::recon::Isa::avx512 ? ::recon::avx512::function(__VA_ARGS__)      \
   : ::recon::active_isa() == ::recon::Isa::avx2 ? ::recon::avx2::function(__VA_ARGS__)        \
                                                 : ::recon::baseline::function(__VA_ARGS__))
#else
#define RECON_CPU_KERNELS(...) \
  namespace recon::baseline { __VA_ARGS__ }
#define RECON_DISPATCH(function, ...) ::recon::baseline::function(__VA_ARGS__)
#endif
