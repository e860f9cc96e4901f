// Memory that is kept from call to call: grows, is never initialised, starts on a cache line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace recon {

template <class T>
class Buffer {
  static_assert(std::is_trivially_copyable<T>::value, "a Buffer holds plain data");

 public:
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }
  Buffer(Buffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)), capacity_(std::exchange(other.capacity_, 0)) {}
  ~Buffer() { release(); }

  // Makes room for count elements; what was there is lost when it has to grow.
  T* reserve(size_t count) {
    if (count > capacity_) {
      release();
      allocate(count + count / 4);
    }
    return data_;
  }

  // Makes room for count elements, keeping the first `used`.
  T* grow(size_t count, size_t used) {
    if (count > capacity_) {
      Buffer old(std::move(*this));
      allocate(2 * count);
      for (size_t i = 0; i < used; ++i) data_[i] = old.data_[i];
    }
    return data_;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }

 private:
  static constexpr std::align_val_t kAlignment{64};

  void allocate(size_t count) {
    data_ = static_cast<T*>(::operator new(count * sizeof(T), kAlignment));
    capacity_ = count;
  }
  void release() {
    if (data_ != nullptr) ::operator delete(data_, kAlignment);
    data_ = nullptr;
    capacity_ = 0;
  }

  T* data_ = nullptr;
  size_t capacity_ = 0;
};

// This thread's own T, kept from call to call. On the heap: the address of a thread_local itself is something compilers
// look up again, by a call in the innermost loop, wherever they run out of registers.
template <class T>
T& own_scratch() {
  thread_local const std::unique_ptr<T> scratch = std::make_unique<T>();
  return *scratch;
}

}  // namespace recon
