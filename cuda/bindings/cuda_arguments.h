// What every CUDA binding takes besides the op's own arguments: the stream, as an integer, and a function that returns
// scratch memory as a tensor.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <utility>
#include <vector>

#include "device/scratch.h"

namespace recon::device {

#if defined(RECON_EMULATE_CUDA)
using Place = nanobind::device::cpu;
#else
using Place = nanobind::device::cuda;
#endif

template <class T, class... Traits>
using Array = nanobind::ndarray<T, nanobind::c_contig, Place, Traits...>;

template <class A>
auto* data_or_null(const std::optional<A>& array) {
  return array ? array->data() : nullptr;
}

inline void* as_stream(std::uintptr_t stream) { return reinterpret_cast<void*>(stream); }

// Holds the scratch tensors of one call. Freed after the call: the caller's allocator hands the memory out again in
// the order of the stream, so kernels under way keep it.
class ScratchTensors {
 public:
  explicit ScratchTensors(nanobind::callable allocate) : allocate_(std::move(allocate)) {}

  Allocate source() {
    return [this](std::size_t bytes) {
      nanobind::object tensor = allocate_(bytes);
      auto* address = reinterpret_cast<void*>(nanobind::cast<std::uintptr_t>(tensor.attr("data_ptr")()));
      tensors_.emplace_back(address, std::move(tensor));
      return address;
    };
  }

  // The tensor that begins at `address`.
  nanobind::object holder(const void* address) const {
    for (const auto& [start, tensor] : tensors_)
      if (start == address) return tensor;
    return nanobind::none();
  }

 private:
  nanobind::callable allocate_;
  std::vector<std::pair<void*, nanobind::object>> tensors_;
};

}  // namespace recon::device
