// Runs CUDA kernels on the CPU, for tests: each thread of a block is a fiber that runs until it meets a barrier or a
// warp exchange. A barrier that not all threads reach, or an exchange whose mask does not name exactly the threads
// that take part, ends the program with a message, as it would hang or give garbage on a GPU.
//
// Blocks run one after the other. Threads run in ascending or descending order, by emulation::descending(): a kernel
// that misses a barrier tends to give different results in the two orders.
#pragma once

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <type_traits>
#include <vector>

#define __global__ static
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

struct alignas(8) float2 {
  float x, y;
};
struct float3 {
  float x, y, z;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float3 make_float3(float x, float y, float z) { return {x, y, z}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

inline dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace recon::device::emulation {

enum class Waiting { nothing, block, warp };

// A fiber starts through its ucontext; from then on the switches are jumps, which make no system call.
struct Fiber {
  ucontext_t context;
  jmp_buf place;
  bool started = false;
  std::vector<char> stack;
  dim3 thread;
  Waiting waiting = Waiting::nothing;
  unsigned mask = 0;
  unsigned exchanges = 0;
  bool done = false;
};

struct Block {
  std::vector<Fiber> fibers;
  std::vector<uint64_t> slots;  // two per thread: a thread can be at most one exchange ahead
  size_t current = 0;
  int barrier_sum = 0, barrier_result = 0;
  const std::function<void()>* body = nullptr;
  ucontext_t scheduler;
  jmp_buf scheduler_place;
};

inline Block*& block() {
  static Block* running = nullptr;
  return running;
}
inline bool& descending() {
  static bool order = false;
  return order;
}

[[noreturn]] inline void fail(const char* message) {
  std::fprintf(stderr, "CUDA emulation: %s\n", message);
  std::abort();
}

inline void pause(Waiting reason, unsigned mask = 0) {
  Block& b = *block();
  Fiber& fiber = b.fibers[b.current];
  fiber.waiting = reason;
  fiber.mask = mask;
  if (_setjmp(fiber.place) == 0) _longjmp(b.scheduler_place, 1);
}

inline void enter() {
  Block& b = *block();
  (*b.body)();
  b.fibers[b.current].done = true;
  _longjmp(b.scheduler_place, 1);
}

// Runs the fiber until it pauses or ends.
inline void resume(Block& b, Fiber& fiber) {
  if (_setjmp(b.scheduler_place) != 0) return;
  if (fiber.started) _longjmp(fiber.place, 1);
  fiber.started = true;
  setcontext(&fiber.context);
}

// Lets every warp go whose threads all wait for an exchange, or the block when all threads wait for the barrier.
inline bool release(Block& b) {
  bool released = false;
  for (size_t first = 0; first < b.fibers.size(); first += 32) {
    unsigned waiting = 0, mask = 0;
    const size_t end = std::min(first + 32, b.fibers.size());
    for (size_t i = first; i < end; ++i)
      if (b.fibers[i].waiting == Waiting::warp) {
        waiting |= 1u << (i - first);
        mask = b.fibers[i].mask;
      }
    if (waiting == 0 || waiting != (mask & (end - first == 32 ? ~0u : (1u << (end - first)) - 1))) continue;
    for (size_t i = first; i < end; ++i) {
      if (b.fibers[i].waiting != Waiting::warp) continue;
      if (b.fibers[i].mask != mask) fail("threads of one exchange gave different masks");
      b.fibers[i].waiting = Waiting::nothing;
    }
    released = true;
  }
  if (released) return true;
  for (const Fiber& fiber : b.fibers)
    if (!fiber.done && fiber.waiting != Waiting::block) return false;
  b.barrier_result = b.barrier_sum;
  b.barrier_sum = 0;
  for (Fiber& fiber : b.fibers) fiber.waiting = Waiting::nothing;
  return true;
}

inline void run_block(Block& b, dim3 size) {
  for (size_t i = 0; i < b.fibers.size(); ++i) {
    Fiber& fiber = b.fibers[i];
    fiber.thread = dim3(i % size.x, i / size.x % size.y, i / (size.x * size.y));
    fiber.waiting = Waiting::nothing;
    fiber.exchanges = 0;
    fiber.done = fiber.started = false;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = fiber.stack.size();
    fiber.context.uc_link = &b.scheduler;
    makecontext(&fiber.context, reinterpret_cast<void (*)()>(enter), 0);
  }
  for (;;) {
    bool all_done = true;
    for (size_t step = 0; step < b.fibers.size(); ++step) {
      const size_t i = descending() ? b.fibers.size() - 1 - step : step;
      Fiber& fiber = b.fibers[i];
      if (!fiber.done && fiber.waiting == Waiting::nothing) {
        b.current = i;
        threadIdx = fiber.thread;
        resume(b, fiber);
      }
      all_done = all_done && fiber.done;
    }
    if (all_done) return;
    if (!release(b)) fail("some threads wait at a barrier or exchange that the others never reach");
  }
}

inline void run(dim3 grid, dim3 size, const std::function<void()>& body) {
  Block b;
  b.fibers.resize(size.x * size.y * size.z);
  b.slots.resize(2 * b.fibers.size());
  for (Fiber& fiber : b.fibers) fiber.stack.resize(1 << 16);
  b.body = &body;
  block() = &b;
  gridDim = grid;
  blockDim = size;
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = dim3(x, y, z);
        run_block(b, size);
      }
  block() = nullptr;
}

// Hands `value` to the warp; returns the warp's values, indexed by lane.
template <class T>
const uint64_t* exchange(unsigned mask, T value, size_t* lane) {
  static_assert(sizeof(T) <= sizeof(uint64_t));
  Block& b = *block();
  const size_t self = b.current, first = self / 32 * 32, parity = b.fibers[self].exchanges++ % 2;
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  uint64_t* slots = b.slots.data() + parity * b.fibers.size() + first;
  *lane = self - first;
  slots[*lane] = bits;
  pause(Waiting::warp, mask);
  return slots;
}

template <class T>
T from_bits(uint64_t bits) {
  T value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace recon::device::emulation

inline void __syncthreads() { recon::device::emulation::pause(recon::device::emulation::Waiting::block); }
inline int __syncthreads_count(int predicate) {
  recon::device::emulation::block()->barrier_sum += predicate != 0;
  __syncthreads();
  return recon::device::emulation::block()->barrier_result;
}
inline void __syncwarp(unsigned mask = ~0u) {
  size_t lane;
  recon::device::emulation::exchange(mask, 0, &lane);
}
template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  (void)width;
  size_t lane;
  const uint64_t* slots = recon::device::emulation::exchange(mask, value, &lane);
  return recon::device::emulation::from_bits<T>(slots[source & 31]);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits) {
  size_t lane;
  const uint64_t* slots = recon::device::emulation::exchange(mask, value, &lane);
  return recon::device::emulation::from_bits<T>(slots[lane ^ static_cast<size_t>(bits)]);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta) {
  size_t lane;
  const uint64_t* slots = recon::device::emulation::exchange(mask, value, &lane);
  return recon::device::emulation::from_bits<T>(slots[lane + delta < 32 ? lane + delta : lane]);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta) {
  size_t lane;
  const uint64_t* slots = recon::device::emulation::exchange(mask, value, &lane);
  return recon::device::emulation::from_bits<T>(slots[lane >= delta ? lane - delta : lane]);
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  size_t lane;
  const uint64_t* slots = recon::device::emulation::exchange(mask, static_cast<unsigned>(predicate != 0), &lane);
  unsigned votes = 0;
  for (int i = 0; i < 32; ++i)
    if (mask >> i & 1) votes |= static_cast<unsigned>(slots[i]) << i;
  return votes;
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) == mask; }

template <class T, class U>
T atomicAdd(T* address, U value) {
  const T old = *address;
  *address = static_cast<T>(old + value);
  return old;
}
template <class T, class U>
T atomicMax(T* address, U value) {
  const T old = *address;
  if (value > old) *address = static_cast<T>(value);
  return old;
}
template <class T, class U>
T atomicMin(T* address, U value) {
  const T old = *address;
  if (value < old) *address = static_cast<T>(value);
  return old;
}
template <class T>
T __ldg(const T* address) {
  return *address;
}
inline int __popc(unsigned value) { return __builtin_popcount(value); }
inline int __ffs(unsigned value) { return __builtin_ffs(static_cast<int>(value)); }
inline unsigned __float_as_uint(float value) { return recon::device::emulation::from_bits<unsigned>([&] {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}()); }
inline float __uint_as_float(unsigned value) { return recon::device::emulation::from_bits<float>(value); }
inline float __expf(float x) { return expf(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }
inline float __saturatef(float x) { return x < 0.0f ? 0.0f : x > 1.0f ? 1.0f : x; }
