#include "stream/stream_cpu.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "cpu/threads.h"

namespace recon::RECON_ISA {
namespace {

constexpr uint32_t kSlotMask = (1u << kRansBits) - 1;
constexpr int64_t kLanes = 16;         // rows decoded side by side, one per SIMD lane
constexpr int64_t kGrain = 64 * kLanes;  // rows per chunk of work
constexpr int64_t kFewOutputs = 8;

inline uint32_t load_word(const uint8_t* at) {
  uint16_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

inline uint8_t step_back(uint32_t& state, const uint32_t* slots) {
  const uint32_t slot = slots[state & kSlotMask];
  state = (((slot >> 8) & kSlotMask) + 1) * (state >> kRansBits) + (slot >> 20);
  return static_cast<uint8_t>(slot);
}

// Adds residuals to a row; false where a number leaves its range.
inline bool add_to(float* at, const float* residual, int64_t count, float limit) {
  bool fits = true;
  for (int64_t m = 0; m < count; ++m) {
    const float value = at[m] + residual[m];
    fits &= std::fabs(value) < limit;
    at[m] = value;
  }
  return fits;
}

// Many outputs: one row after the other, outputs side by side. Sums are accumulated in `Sum`, which must hold them.
template <typename Sum, typename Code>
bool add_wide_rows(const StreamValues& values, const int32_t* rows, int64_t begin, int64_t end, const Code* codes,
                   const StreamDecoder& decoder) {
  constexpr int64_t kPadded = 48;
  const int64_t latents = decoder.latents, padded = (decoder.outputs + 15) / 16 * 16;
  const Sum half = decoder.shift > 0 ? Sum{1} << (decoder.shift - 1) : Sum{0};
  std::vector<Sum> entries(static_cast<size_t>(latents * padded));
  for (int64_t m = 0; m < decoder.outputs; ++m)
    for (int64_t l = 0; l < latents; ++l) entries[l * padded + m] = decoder.entries[m * latents + l];
  bool fits = true;
  for (int64_t i = begin; i < end; ++i) {
    Sum sums[kPadded];
    float residual[kPadded];
    for (int64_t m = 0; m < padded; ++m) sums[m] = half;
    for (int64_t l = 0; l < latents; ++l) {
      const Sum code = codes[i * latents + l];
      const Sum* entry = entries.data() + l * padded;
      for (int64_t m = 0; m < padded; ++m) sums[m] += entry[m] * code;
    }
    // Beyond 2^24 the conversion rounds, and the range check then refuses the row.
    for (int64_t m = 0; m < padded; ++m) residual[m] = static_cast<float>(sums[m] >> decoder.shift) * values.step;
    fits &= add_to(values.values + rows[i] * values.stride + values.column, residual, decoder.outputs, values.limit);
  }
  return fits;
}

// Few outputs: kLanes rows side by side.
template <typename Sum, typename Code>
bool add_narrow_rows(const StreamValues& values, const int32_t* rows, int64_t begin, int64_t end, const Code* codes,
                     const StreamDecoder& decoder) {
  const int64_t latents = decoder.latents;
  const Sum half = decoder.shift > 0 ? Sum{1} << (decoder.shift - 1) : Sum{0};
  std::vector<Sum> block(static_cast<size_t>(latents * kLanes));
  float residual[kLanes][kFewOutputs];
  bool fits = true;
  for (int64_t first = begin; first < end; first += kLanes) {
    const int64_t lanes = std::min(kLanes, end - first);
    for (int64_t lane = 0; lane < lanes; ++lane) {
      __builtin_prefetch(values.values + rows[first + lane] * values.stride + values.column, 1);
      for (int64_t l = 0; l < latents; ++l) block[l * kLanes + lane] = codes[(first + lane) * latents + l];
    }
    for (int64_t m = 0; m < decoder.outputs; ++m) {
      Sum sums[kLanes] = {};
      for (int64_t l = 0; l < latents; ++l) {
        const Sum entry = decoder.entries[m * latents + l];
        const Sum* code = block.data() + l * kLanes;
        for (int64_t lane = 0; lane < kLanes; ++lane) sums[lane] += entry * code[lane];
      }
      for (int64_t lane = 0; lane < kLanes; ++lane)
        residual[lane][m] = static_cast<float>((sums[lane] + half) >> decoder.shift) * values.step;
    }
    for (int64_t lane = 0; lane < lanes; ++lane)
      fits &= add_to(values.values + rows[first + lane] * values.stride + values.column, residual[lane],
                     decoder.outputs, values.limit);
  }
  return fits;
}

}  // namespace

bool rans_decode(const uint8_t* words, int64_t word_count, const uint32_t* states, const uint32_t* const* slots,
                 int64_t columns, int64_t count, uint8_t* bytes) {
  // The tables of 8 * columns symbols, after which column and state are in step again.
  const int64_t period = kRansStates * columns;
  std::vector<const uint32_t*> order(static_cast<size_t>(period));
  for (int64_t i = 0; i < period; ++i) order[i] = slots[i % columns];

  uint32_t x[kRansStates];
  std::copy_n(states, kRansStates, x);
  const uint8_t* at = words;
  const uint8_t* const end = words + 2 * word_count;
  int64_t i = 0, place = 0;
  for (; i + kRansStates <= count && end - at >= 2 * kRansStates; i += kRansStates) {
    for (int k = 0; k < kRansStates; ++k) bytes[i + k] = step_back(x[k], order[place + k]);
    for (int k = 0; k < kRansStates; ++k) {  // without a branch: whether a word is due is as good as random
      const bool due = x[k] < kRansLow;
      const uint32_t refilled = x[k] << 16 | load_word(at);
      x[k] = due ? refilled : x[k];
      at += due ? 2 : 0;
    }
    place = place + kRansStates == period ? 0 : place + kRansStates;
  }
  for (; i < count; ++i) {
    uint32_t& state = x[i % kRansStates];
    bytes[i] = step_back(state, order[i % period]);
    if (state >= kRansLow) continue;
    if (at == end) return false;
    state = state << 16 | load_word(at);
    at += 2;
  }
  return at == end && std::all_of(x, x + kRansStates, [](uint32_t state) { return state == kRansLow; });
}

int64_t rans_encode(const uint8_t* bytes, int64_t count, const uint32_t* const* tables, int64_t columns,
                    uint8_t* end, uint32_t* states) {
  std::fill_n(states, kRansStates, kRansLow);
  uint8_t* at = end;
  for (int64_t i = count - 1; i >= 0; --i) {
    uint32_t& state = states[i % kRansStates];
    const uint32_t entry = tables[i % columns][bytes[i]];
    const uint32_t frequency = entry >> 16, start = entry & 0xffff;
    if (state >= frequency << (31 - kRansBits)) {
      at -= 2;
      const uint16_t word = static_cast<uint16_t>(state);
      std::memcpy(at, &word, sizeof word);
      state >>= 16;
    }
    state = (state / frequency << kRansBits) + state % frequency + start;
  }
  return (end - at) / 2;
}

int64_t unpack_integers(const uint8_t* bytes, int64_t count, int width, int32_t* numbers) {
  const auto unpack = [&](auto load) {
    for (int64_t i = 0; i < count; ++i) {
      const uint32_t code = load(i);
      numbers[i] = static_cast<int32_t>(code >> 1 ^ (0u - (code & 1)));
    }
  };
  if (width == 1) unpack([=](int64_t i) -> uint32_t { return bytes[i]; });
  if (width == 2) unpack([=](int64_t i) { return load_word(bytes + 2 * i); });
  if (width == 3)
    unpack([=](int64_t i) { return bytes[3 * i] | bytes[3 * i + 1] << 8 | static_cast<uint32_t>(bytes[3 * i + 2]) << 16; });
  if (width == 4)
    unpack([=](int64_t i) {
      uint32_t code;
      std::memcpy(&code, bytes + 4 * i, sizeof code);
      return code;
    });
  int32_t least = 0, greatest = 0;
  for (int64_t i = 0; i < count; ++i) {
    least = std::min(least, numbers[i]);
    greatest = std::max(greatest, numbers[i]);
  }
  return std::max<int64_t>(-static_cast<int64_t>(least), greatest);
}

int64_t unpack_bytes(uint8_t* bytes, int64_t count) {
  uint8_t greatest = 0;  // of the codes, which grow with the magnitude
  for (int64_t i = 0; i < count; ++i) greatest = std::max(greatest, bytes[i]);
  for (int64_t i = 0; i < count; ++i) bytes[i] = static_cast<uint8_t>(bytes[i] >> 1 ^ -(bytes[i] & 1));
  return (greatest + 1) / 2;
}

bool add_latents(const StreamValues& values, const int32_t* rows, int64_t count, const StreamCodes& codes,
                 const StreamDecoder& decoder) {
  int64_t largest_row = 0;
  for (int64_t m = 0; m < decoder.outputs; ++m) {
    int64_t sum = 0;
    for (int64_t l = 0; l < decoder.latents; ++l) sum += std::abs(int64_t{decoder.entries[m * decoder.latents + l]});
    largest_row = std::max(largest_row, sum);
  }
  const int64_t half = decoder.shift > 0 ? int64_t{1} << (decoder.shift - 1) : 0;
  const bool narrow = largest_row * codes.largest + half <= std::numeric_limits<int32_t>::max();
  std::atomic<bool> fits{true};
  const auto add = [&](auto sum, const auto* numbers) {
    using Sum = decltype(sum);
    parallel_ranges(count, kGrain, [&](int64_t begin, int64_t end) {
      const bool all = decoder.outputs > kFewOutputs ? add_wide_rows<Sum>(values, rows, begin, end, numbers, decoder)
                                                     : add_narrow_rows<Sum>(values, rows, begin, end, numbers, decoder);
      if (!all) fits = false;
    });
  };
  if (codes.narrow != nullptr && narrow)
    add(int32_t{}, codes.narrow);
  else if (codes.narrow != nullptr)
    add(int64_t{}, codes.narrow);
  else if (narrow)
    add(int32_t{}, codes.wide);
  else
    add(int64_t{}, codes.wide);
  return fits;
}

StreamChecksum stream_checksum(const uint32_t* words, int64_t rows, int64_t width, int64_t column) {
  constexpr uint32_t kPlace = 0x9e3779b1, kFirst = 0x85ebca6b, kSecond = 0xc2b2ae35;
  constexpr int64_t kBlock = 16;  // rows whose keys differ from the next block's by one constant
  std::vector<uint32_t> keys(static_cast<size_t>(kBlock * width));
  for (int64_t i = 0; i < kBlock * width; ++i)
    keys[i] = kPlace * static_cast<uint32_t>(64 * (i / width) + column + i % width);
  uint32_t low = 0, high = 0;
  for (int64_t row = 0; row < rows; row += kBlock) {
    const uint32_t base = kPlace * static_cast<uint32_t>(64 * row);
    const uint32_t* __restrict word = words + row * width;
    const uint32_t* __restrict key = keys.data();
    const int64_t count = std::min(kBlock, rows - row) * width;
    for (int64_t i = 0; i < count; ++i) {
      uint32_t hash = (word[i] ^ (key[i] + base)) * kFirst;
      hash ^= hash >> 15;
      low += hash;
      high += (hash ^ hash >> 13) * kSecond;
    }
  }
  return {low, high};
}

}  // namespace recon::RECON_ISA
