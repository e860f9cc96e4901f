#include "adam/adam_cpu.h"

#include <algorithm>

#include "cpu/threads.h"

namespace recon::RECON_ISA {
namespace {

constexpr int64_t kGrain = 1 << 15;  // values per chunk of work: 512 KiB of traffic

// A plain loop: the compiler turns it into full-width arithmetic, square root and division included.
void update(int64_t count, const AdamSettings settings, const AdamRates rates, const float* __restrict gradient,
            float* __restrict parameter, float* __restrict first, float* __restrict second) {
  for (int64_t i = 0; i < count; ++i) adam_update(settings, rates, gradient[i], parameter[i], first[i], second[i]);
}

}  // namespace

void adam_step(int64_t rows, int64_t columns, const AdamSettings& settings, const AdamRates& rates,
               const float* gradient, const uint8_t* visible, float* parameter, float* first_moment,
               float* second_moment) {
  const auto update_rows = [&](int64_t begin, int64_t end) {
    const int64_t at = begin * columns;
    update((end - begin) * columns, settings, rates, gradient + at, parameter + at, first_moment + at,
           second_moment + at);
  };
  parallel_ranges(rows, std::max<int64_t>(1, kGrain / columns), [&](int64_t begin, int64_t end) {
    if (visible == nullptr) return update_rows(begin, end);
    while (begin < end) {  // runs of visible rows
      if (!visible[begin]) {
        ++begin;
        continue;
      }
      int64_t stop = begin + 1;
      while (stop < end && visible[stop]) ++stop;
      update_rows(begin, stop);
      begin = stop;
    }
  });
}

}  // namespace recon::RECON_ISA
