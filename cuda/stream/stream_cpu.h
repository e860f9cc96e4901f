// The inner loops of the stream format (docs/stream-format.md) beside rANS: matrices, masks, latents to residuals, checksum.
//
// Everything is integer arithmetic or exact in float32, so no compiler and no instruction set changes a bit.
#pragma once

#include <cstdint>

#include "cpu/dispatch.h"

namespace recon {

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
    // Undoes the zigzag of `count` little-endian numbers of `width` bytes; returns the greatest magnitude.
    int64_t unpack_integers(const uint8_t* bytes, int64_t count, int width, int32_t* numbers);
    // The same in place, for numbers of one byte.
    int64_t unpack_bytes(uint8_t* bytes, int64_t count);
    // The number of set bits, and their places: bit i % 8 of byte i / 8, ascending.
    int64_t count_bits(const uint8_t* mask, int64_t bytes);
    void places_of_bits(const uint8_t* mask, int64_t bytes, int32_t* places);
    // Adds `steps` [count, outputs] to the rows (all different). False where a number would leave the range; rows are
    // then partly changed.
    bool add_steps(const StreamValues& values, const int32_t* rows, int64_t count, const int32_t* steps, int64_t outputs);
    // Adds to the rows (all different) what their latents (`codes`, [count, latents]) decode to. False likewise.
    bool add_latents(const StreamValues& values, const int32_t* rows, int64_t count, const StreamCodes& codes,
                     const StreamDecoder& decoder);
    // The share of an attribute array [rows, width] in the state's checksum; its first number is of column `column`.
    StreamChecksum stream_checksum(const uint32_t* words, int64_t rows, int64_t width, int64_t column);)
