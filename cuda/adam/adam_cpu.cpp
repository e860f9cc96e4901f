#include "adam/adam_cpu.h"

#include <algorithm>
#include <vector>

#include "cpu/threads.h"

namespace recon::RECON_ISA {
namespace {

constexpr int64_t kGrain = 1 << 15;  // values per chunk of work: 512 KiB of traffic
// Values per block of rows. A block is skipped, updated whole, or updated under a mask: dropout hides single rows
// everywhere, and the runs of visible ones between them are shorter than a register.
constexpr int64_t kBlock = 256;

struct Arrays {
  const float* gradient;
  float *parameter, *first, *second;
};

// Plain loops: the compiler turns them into full-width arithmetic, square root and division included.
void update(int64_t count, const AdamSettings settings, const float correction, const float* __restrict step_sizes,
            const Arrays& arrays, int64_t at) {
  const float* __restrict gradient = arrays.gradient + at;
  float* __restrict parameter = arrays.parameter + at;
  float* __restrict first = arrays.first + at;
  float* __restrict second = arrays.second + at;
  for (int64_t i = 0; i < count; ++i)
    adam_update(settings, step_sizes[i], correction, gradient[i], parameter[i], first[i], second[i]);
}

void update_where(const int32_t* __restrict mask, int64_t count, const AdamSettings settings, const float correction,
                  const float* __restrict step_sizes, const Arrays& arrays, int64_t at) {
  const float* __restrict gradient = arrays.gradient + at;
  float* __restrict parameter = arrays.parameter + at;
  float* __restrict first = arrays.first + at;
  float* __restrict second = arrays.second + at;
  for (int64_t i = 0; i < count; ++i) {
    float p = parameter[i], m = first[i], v = second[i];
    adam_update(settings, step_sizes[i], correction, gradient[i], p, m, v);
    parameter[i] = mask[i] ? p : parameter[i];
    first[i] = mask[i] ? m : first[i];
    second[i] = mask[i] ? v : second[i];
  }
}

}  // namespace

void adam_step(int64_t rows, int64_t columns, int64_t leading, const AdamSettings& settings, const AdamRates& rates,
               const float* gradient, const uint8_t* visible, float* parameter, float* first_moment,
               float* second_moment) {
  const Arrays arrays = {gradient, parameter, first_moment, second_moment};
  const int64_t block = std::max<int64_t>(1, kBlock / columns);  // rows
  std::vector<float> step_sizes(static_cast<size_t>(block * columns));
  for (size_t i = 0; i < step_sizes.size(); ++i)
    step_sizes[i] = static_cast<int64_t>(i) % columns < leading ? rates.step_size : rates.rest_step_size;

  const auto update_rows = [&](int64_t row, int64_t count) {
    const int64_t values = count * columns;
    const auto whole = [&] {
      update(values, settings, rates.inverse_root_correction, step_sizes.data(), arrays, row * columns);
    };
    if (visible == nullptr) return whole();
    const int64_t seen = std::count_if(visible + row, visible + row + count, [](uint8_t v) { return v != 0; });
    if (seen == 0) return;
    if (seen == count) return whole();
    int32_t mask[kBlock];
    for (int64_t i = 0; i < count; ++i) std::fill_n(mask + i * columns, columns, visible[row + i]);
    update_where(mask, values, settings, rates.inverse_root_correction, step_sizes.data(), arrays, row * columns);
  };
  const int64_t grain = std::max<int64_t>(1, kGrain / (block * columns)) * block;
  parallel_ranges(rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row += block) update_rows(row, std::min(block, end - row));
  });
}

}  // namespace recon::RECON_ISA
