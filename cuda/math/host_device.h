// RECON_HD marks per-element math that the CPU and the CUDA build share: always inlined, no framework types.
#pragma once

#if defined(__CUDACC__)
#define RECON_HD __host__ __device__ __forceinline__
#else
#define RECON_HD inline __attribute__((always_inline))
#endif
