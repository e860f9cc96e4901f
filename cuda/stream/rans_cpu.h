// The range coder of the stream format (docs/stream-format.md, "rANS"): static tables, eight states in turns.
#pragma once

#include <cstdint>

#include "cpu/dispatch.h"

namespace recon {

constexpr int kRansStates = 8;           // interleaved; symbol i belongs to state i % 8
constexpr int kRansBits = 12;            // frequencies of a table sum to 2^12
constexpr uint32_t kRansLow = 1u << 15;  // states lie in [2^15, 2^31)

// Encoded bytes and room for what they hold.
struct RansSection {
  const uint8_t* stored;
  int64_t stored_size;
  uint8_t* bytes;
  int64_t count;
  const char* problem;  // set by the decoder: what is wrong with the stored bytes, or null
};

}  // namespace recon

RECON_CPU_KERNELS(
    // Decodes sections, several at a time: one alone would wait for its own tables most of the time.
    void rans_decode(RansSection* sections, int64_t section_count);
    // Encodes; tables[column] are 256 entries of frequency << 16 | start. Writes words backwards from `end` (there must
    // be room for `count` of them) and returns how many; `states` are those with which decoding starts.
    int64_t rans_encode(const uint8_t* bytes, int64_t count, const uint32_t* const* tables, int64_t columns,
                        uint8_t* end, uint32_t* states);)
