// The inner loops of the stream format (docs/stream-format.md): rANS, latents to residuals, checksum.
//
// Everything is integer arithmetic or exact in float32, so no compiler and no instruction set changes a bit.
#pragma once

#include <cstdint>

#include "cpu/dispatch.h"

namespace recon {

constexpr int kRansStates = 8;       // interleaved; symbol i belongs to state i % 8
constexpr int kRansBits = 12;        // frequencies of a table sum to 2^12
constexpr uint32_t kRansLow = 1u << 15;  // states lie in [2^15, 2^31)

// A linear map from the latents of a splat to the residual of one attribute.
struct StreamDecoder {
  const int16_t* entries;  // [outputs, latents]
  int64_t outputs, latents;
  int shift;  // one unit of an entry is 2^-shift grid steps
};

// Where an attribute lies: rows of `stride` floats, from `column` on; numbers are multiples of `step` below `limit`.
struct StreamValues {
  float* values;
  int64_t stride, column;
  float step, limit;
};

// [count, latents] numbers, as bytes or as 32-bit ones (the other pointer is null), none larger than `largest`.
struct StreamCodes {
  const int8_t* narrow;
  const int32_t* wide;
  int64_t largest;
};

struct StreamChecksum {
  uint32_t low, high;
};

}  // namespace recon

RECON_CPU_KERNELS(
    // Decodes `count` bytes. Byte i is of column i % columns, whose table is slots[column]: 4096 entries of symbol,
    // (frequency - 1) << 8 and offset << 20. False where the words do not fit: too few, too many, or a wrong end.
    bool rans_decode(const uint8_t* words, int64_t word_count, const uint32_t* states, const uint32_t* const* slots,
                     int64_t columns, int64_t count, uint8_t* bytes);
    // Encodes; tables[column] are 256 entries of frequency << 16 | start. Writes words backwards from `end` (there must
    // be room for `count` of them) and returns how many; `states` are those with which decoding starts.
    int64_t rans_encode(const uint8_t* bytes, int64_t count, const uint32_t* const* tables, int64_t columns,
                        uint8_t* end, uint32_t* states);
    // Undoes the zigzag of `count` little-endian numbers of `width` bytes; returns the greatest magnitude.
    int64_t unpack_integers(const uint8_t* bytes, int64_t count, int width, int32_t* numbers);
    // The same in place, for numbers of one byte.
    int64_t unpack_bytes(uint8_t* bytes, int64_t count);
    // Adds to the rows (all different) what their latents (`codes`, [count, latents]) decode to. False where a number
    // would leave the range; rows are then partly changed.
    bool add_latents(const StreamValues& values, const int32_t* rows, int64_t count, const StreamCodes& codes,
                     const StreamDecoder& decoder);
    // The share of an attribute array [rows, width] in the state's checksum; its first number is of column `column`.
    StreamChecksum stream_checksum(const uint32_t* words, int64_t rows, int64_t width, int64_t column);)
