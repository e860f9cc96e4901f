// A small thread pool: sleeping workers, chunks handed out one by one.
//
// Workers never spin: on shared machines a spinning worker slows the one that has the work. Which thread runs which
// chunk is not fixed, so a kernel that promises identical results for any thread count must make each chunk's result
// independent of the others, and reduce in chunk order.
#pragma once

#include <cstdint>
#include <functional>

namespace recon {

int thread_count();
// Sets the number of threads used by parallel_chunks, the calling one included (at least 1).
void set_thread_count(int count);

// Calls body(chunk) for each chunk in [0, chunks), on up to thread_count() threads; returns when all are done.
// Calls from inside a body run serially. Exceptions must not leave the body.
void parallel_chunks(int64_t chunks, const std::function<void(int64_t chunk)>& body);

// Splits [0, count) into ranges of `grain` and calls body(begin, end) for each.
inline void parallel_ranges(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
  const int64_t chunks = (count + grain - 1) / grain;
  parallel_chunks(chunks, [&](int64_t chunk) {
    const int64_t begin = chunk * grain;
    body(begin, begin + grain < count ? begin + grain : count);
  });
}

}  // namespace recon
