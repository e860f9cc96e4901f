#include "stream/stream_cpu.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include "cpu/pack.h"
#include "cpu/threads.h"

namespace recon::RECON_ISA {
namespace {

constexpr int64_t kGrain = 1024;  // rows per chunk of work
constexpr int64_t kAhead = 24;    // rows between the one that is fetched and the one that is changed

typedef int32_t Quad __attribute__((vector_size(16)));
typedef float FloatQuad __attribute__((vector_size(16)));
typedef int16_t Octet __attribute__((vector_size(16)));

inline uint32_t load_word(const uint8_t* at) {
  uint16_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// For each of four pairs of numbers a0 b0 + a1 b1.
RECON_INLINE Quad multiply_pairs(Octet a, Octet b) {
#if defined(__SSE2__)
  return (Quad)_mm_madd_epi16((__m128i)a, (__m128i)b);
#else
  Quad sums;
  for (int k = 0; k < 4; ++k) sums[k] = int32_t{a[2 * k]} * b[2 * k] + int32_t{a[2 * k + 1]} * b[2 * k + 1];
  return sums;
#endif
}

RECON_INLINE Octet load_eight(const int8_t* codes) {
#if defined(__SSE4_1__)
  return (Octet)_mm_cvtepi8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes)));
#else
  Octet loaded;
  for (int k = 0; k < 8; ++k) loaded[k] = codes[k];
  return loaded;
#endif
}

RECON_INLINE Octet load_eight(const int32_t* codes) {
  typedef int32_t Wide __attribute__((vector_size(32)));
  Wide wide;
  std::memcpy(&wide, codes, sizeof wide);
  return __builtin_convertvector(wide, Octet);
}

// The same pair of numbers four times.
template <int kPair>
RECON_INLINE Octet repeat_pair(Octet numbers) {
  const Quad pairs = (Quad)numbers;
  return (Octet)Quad{pairs[kPair], pairs[kPair], pairs[kPair], pairs[kPair]};
}

inline void fetch(const StreamValues& values, int32_t row, int64_t outputs) {
  const float* at = values.values + row * values.stride + values.column;
  for (int64_t m = 0; m < outputs; m += 16) __builtin_prefetch(at + m, 1);
  __builtin_prefetch(at + outputs - 1, 1);
}

// Adds residuals, in steps, to numbers, and keeps the greatest bits of a magnitude; they ascend as magnitudes do.
RECON_INLINE void add_quad(float* at, Quad residual, float step, Quad& greatest) {
  FloatQuad numbers;
  std::memcpy(&numbers, at, sizeof numbers);
  numbers += __builtin_convertvector(residual, FloatQuad) * step;
  std::memcpy(at, &numbers, sizeof numbers);
  const Quad magnitude = (Quad)numbers & 0x7fffffff;
  greatest = magnitude > greatest ? magnitude : greatest;
}

inline bool add_one(float* at, float residual, const StreamValues& values) {
  *at += residual * values.step;
  return std::fabs(*at) < values.limit;
}

// A decoder for sums of 32 bits: for each four outputs and each pair of latents the entries by which the pair is
// multiplied; zeros where there is no such output or latent.
template <int kPairs>
std::vector<Octet> by_pairs(const StreamDecoder& decoder) {
  std::vector<Octet> entries(static_cast<size_t>((decoder.outputs + 3) / 4 * kPairs));
  for (int64_t m = 0; m < decoder.outputs; ++m)
    for (int64_t l = 0; l < decoder.latents; ++l)
      entries[m / 4 * kPairs + l / 2][m % 4 * 2 + l % 2] = decoder.entries[m * decoder.latents + l];
  return entries;
}

// Adds what rows [begin, end) decode to, four outputs at a time; false where a number leaves its range.
template <int kPairs, typename Code>
bool add_rows(const StreamValues& values, const int32_t* rows, int64_t begin, int64_t end, int64_t count,
              const Code* codes, const StreamDecoder& decoder, const Octet* entries) {
  constexpr int kEights = (kPairs + 3) / 4;
  const int64_t whole = decoder.outputs / 4, rest = decoder.outputs % 4;
  const Quad half = Quad{} + (decoder.shift > 0 ? 1 << (decoder.shift - 1) : 0);
  Quad greatest = {};
  bool fits = true;
  for (int64_t i = begin; i < end; ++i) {
    if (i + kAhead < count) fetch(values, rows[i + kAhead], decoder.outputs);
    // Latents are read by eights: what is too much belongs to the next row, and its entries are zeros.
    const Code* row = codes + i * decoder.latents;
    Code last[8 * kEights] = {};
    if ((count - i) * decoder.latents < 8 * kEights)
      row = static_cast<const Code*>(std::memcpy(last, row, (count - i) * decoder.latents * sizeof(Code)));
    Octet pairs[4 * kEights];
    for (int eight = 0; eight < kEights; ++eight) {
      const Octet loaded = load_eight(row + 8 * eight);
      pairs[4 * eight] = repeat_pair<0>(loaded);
      pairs[4 * eight + 1] = repeat_pair<1>(loaded);
      pairs[4 * eight + 2] = repeat_pair<2>(loaded);
      pairs[4 * eight + 3] = repeat_pair<3>(loaded);
    }
    const Octet* entry = entries;
    const auto residual = [&] {
      Quad sums = half;
      for (int pair = 0; pair < kPairs; ++pair) sums += multiply_pairs(*entry++, pairs[pair]);
      return sums >> decoder.shift;
    };
    float* at = values.values + rows[i] * values.stride + values.column;
    for (int64_t quad = 0; quad < whole; ++quad, at += 4) add_quad(at, residual(), values.step, greatest);
    if (rest == 0) continue;
    const Quad last_ones = residual();
    fits &= add_one(at, static_cast<float>(last_ones[0]), values);
    if (rest > 1) fits &= add_one(at + 1, static_cast<float>(last_ones[1]), values);
    if (rest > 2) fits &= add_one(at + 2, static_cast<float>(last_ones[2]), values);
  }
  FloatQuad most;
  std::memcpy(&most, &greatest, sizeof most);
  for (int k = 0; k < 4; ++k) fits &= most[k] < values.limit;
  return fits;
}

// Likewise for larger latents or sums, which are rare.
template <typename Code>
bool add_large(const StreamValues& values, const int32_t* rows, int64_t begin, int64_t end, const Code* codes,
               const StreamDecoder& decoder) {
  const int64_t half = decoder.shift > 0 ? int64_t{1} << (decoder.shift - 1) : 0;
  bool fits = true;
  for (int64_t i = begin; i < end; ++i) {
    float* at = values.values + rows[i] * values.stride + values.column;
    const int16_t* entry = decoder.entries;
    for (int64_t m = 0; m < decoder.outputs; ++m, entry += decoder.latents) {
      int64_t sum = half;
      for (int64_t l = 0; l < decoder.latents; ++l) sum += int64_t{entry[l]} * codes[i * decoder.latents + l];
      // Beyond 2^24 the conversion rounds, and the range check then refuses the row.
      fits &= add_one(at + m, static_cast<float>(sum >> decoder.shift), values);
    }
  }
  return fits;
}

// Whether latents fit 16 bits, and their sums 32.
bool fits_pairs(const StreamDecoder& decoder, int64_t largest_code) {
  int64_t largest_row = 0;
  for (int64_t m = 0; m < decoder.outputs; ++m) {
    int64_t sum = 0;
    for (int64_t l = 0; l < decoder.latents; ++l) sum += std::abs(int64_t{decoder.entries[m * decoder.latents + l]});
    largest_row = std::max(largest_row, sum);
  }
  const int64_t half = decoder.shift > 0 ? int64_t{1} << (decoder.shift - 1) : 0;
  return largest_code <= std::numeric_limits<int16_t>::max() &&
         largest_row * largest_code + half <= std::numeric_limits<int32_t>::max();
}

template <typename Code>
bool add_all(const StreamValues& values, const int32_t* rows, int64_t count, const Code* codes, int64_t largest_code,
             const StreamDecoder& decoder) {
  std::atomic<bool> fits{true};
  if (!fits_pairs(decoder, largest_code)) {
    parallel_ranges(count, kGrain, [&](int64_t begin, int64_t end) {
      if (!add_large(values, rows, begin, end, codes, decoder)) fits = false;
    });
    return fits;
  }
  const auto add = [&](auto pairs) {
    const auto entries = by_pairs<pairs>(decoder);
    parallel_ranges(count, kGrain, [&](int64_t begin, int64_t end) {
      if (!add_rows<pairs>(values, rows, begin, end, count, codes, decoder, entries.data())) fits = false;
    });
  };
  if (decoder.latents <= 2)
    add(std::integral_constant<int, 1>{});
  else if (decoder.latents <= 4)
    add(std::integral_constant<int, 2>{});
  else if (decoder.latents <= 6)
    add(std::integral_constant<int, 3>{});
  else if (decoder.latents <= 8)
    add(std::integral_constant<int, 4>{});
  else if (decoder.latents <= 16)
    add(std::integral_constant<int, 8>{});
  else
    add(std::integral_constant<int, 32>{});
  return fits;
}

}  // namespace

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

int64_t count_bits(const uint8_t* mask, int64_t bytes) {
  int64_t set = 0;
  for (int64_t i = 0; i < bytes; ++i) set += __builtin_popcount(mask[i]);
  return set;
}

void places_of_bits(const uint8_t* mask, int64_t bytes, int32_t* places) {
  const auto put = [&](uint64_t bits, int64_t first) {
    for (; bits != 0; bits &= bits - 1) *places++ = static_cast<int32_t>(first + __builtin_ctzll(bits));
  };
  int64_t i = 0;
  for (; i + 8 <= bytes; i += 8) {
    uint64_t bits;
    std::memcpy(&bits, mask + i, sizeof bits);
    put(bits, 8 * i);
  }
  for (; i < bytes; ++i) put(mask[i], 8 * i);
}

bool add_steps(const StreamValues& values, const int32_t* rows, int64_t count, const int32_t* steps, int64_t outputs) {
  bool fits = true;
  for (int64_t i = 0; i < count; ++i) {
    if (i + kAhead < count) fetch(values, rows[i + kAhead], outputs);
    float* at = values.values + rows[i] * values.stride + values.column;
    for (int64_t m = 0; m < outputs; ++m) fits &= add_one(at + m, static_cast<float>(*steps++), values);
  }
  return fits;
}

bool add_latents(const StreamValues& values, const int32_t* rows, int64_t count, const StreamCodes& codes,
                 const StreamDecoder& decoder) {
  return codes.narrow != nullptr ? add_all(values, rows, count, codes.narrow, codes.largest, decoder)
                                 : add_all(values, rows, count, codes.wide, codes.largest, decoder);
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
