// Scratch memory of CUDA ops: asked from the caller, so that one allocator owns the device's memory.
#pragma once

#include <cstddef>
#include <functional>

namespace recon::device {

// Returns device memory that stays valid until the kernels started by the current call have run.
using Allocate = std::function<void*(std::size_t bytes)>;

template <class T>
T* allocate(const Allocate& source, std::size_t count) {
  return static_cast<T*>(source((count > 0 ? count : 1) * sizeof(T)));
}

}  // namespace recon::device
