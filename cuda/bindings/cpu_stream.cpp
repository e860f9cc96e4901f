#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>

#include <stdexcept>
#include <vector>

#include "stream/stream_cpu.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace recon {
namespace {

template <typename T, int Dimensions>
using Array = nb::ndarray<T, nb::ndim<Dimensions>, nb::c_contig, nb::device::cpu>;
using Bytes = Array<const uint8_t, 1>;
using Words = Array<const uint32_t, 2>;

std::vector<const uint32_t*> of_columns(const Words& tables, const Bytes& columns, size_t width) {
  if (tables.shape(1) != width || columns.shape(0) == 0) throw std::invalid_argument("rANS: a table is not whole");
  std::vector<const uint32_t*> pointers;
  for (size_t i = 0; i < columns.shape(0); ++i) {
    if (columns(i) >= tables.shape(0)) throw std::invalid_argument("rANS: a column names no table");
    pointers.push_back(tables.data() + columns(i) * width);
  }
  return pointers;
}

bool decode(Bytes words, Array<const uint32_t, 1> states, Words slots, Bytes columns, Array<uint8_t, 1> bytes) {
  const auto pointers = of_columns(slots, columns, size_t{1} << kRansBits);
  if (states.shape(0) != kRansStates || words.shape(0) % 2) throw std::invalid_argument("rANS: odd words or states");
  nb::gil_scoped_release release;
  return RECON_DISPATCH(rans_decode, words.data(), static_cast<int64_t>(words.shape(0) / 2), states.data(),
                        pointers.data(), static_cast<int64_t>(pointers.size()),
                        static_cast<int64_t>(bytes.shape(0)), bytes.data());
}

// Returns how many words fill the end of `words`.
int64_t encode(Bytes bytes, Words tables, Bytes columns, Array<uint8_t, 1> words, Array<uint32_t, 1> states) {
  const auto pointers = of_columns(tables, columns, 256);
  if (states.shape(0) != kRansStates || words.shape(0) < 2 * bytes.shape(0))
    throw std::invalid_argument("rANS: no room for the words");
  for (size_t i = 0; i < bytes.shape(0); ++i)
    if (pointers[i % pointers.size()][bytes(i)] >> 16 == 0) throw std::invalid_argument("rANS: a symbol has no frequency");
  nb::gil_scoped_release release;
  return RECON_DISPATCH(rans_encode, bytes.data(), static_cast<int64_t>(bytes.shape(0)), pointers.data(),
                        static_cast<int64_t>(pointers.size()), words.data() + words.shape(0), states.data());
}

int64_t unpack(Bytes bytes, int width, Array<int32_t, 1> numbers) {
  if (width < 1 || width > 4 || bytes.shape(0) != numbers.shape(0) * width)
    throw std::invalid_argument("unpack_integers: the bytes are not those of the numbers");
  nb::gil_scoped_release release;
  return RECON_DISPATCH(unpack_integers, bytes.data(), static_cast<int64_t>(numbers.shape(0)), width, numbers.data());
}

int64_t unpack_in_place(Array<uint8_t, 1> bytes) {
  nb::gil_scoped_release release;
  return RECON_DISPATCH(unpack_bytes, bytes.data(), static_cast<int64_t>(bytes.shape(0)));
}

template <typename Code>
bool add(Array<float, 2> values, int64_t column, Array<const int32_t, 1> rows, Array<const Code, 2> codes,
         int64_t largest_code, Array<const int16_t, 2> decoder, int shift, float step, float limit) {
  const int64_t outputs = static_cast<int64_t>(decoder.shape(0)), latents = static_cast<int64_t>(decoder.shape(1));
  const int64_t stride = static_cast<int64_t>(values.shape(1));
  if (column < 0 || column + outputs > stride || outputs > 45 || codes.shape(0) != rows.shape(0) ||
      static_cast<int64_t>(codes.shape(1)) != latents || shift < 0 || shift > 30)
    throw std::invalid_argument("add_latents: shapes do not fit");
  for (size_t i = 0; i < rows.shape(0); ++i)
    if (rows(i) < 0 || static_cast<size_t>(rows(i)) >= values.shape(0)) throw std::invalid_argument("add_latents: no such row");
  nb::gil_scoped_release release;
  const StreamDecoder map = {decoder.data(), outputs, latents, shift};
  StreamCodes numbers = {nullptr, nullptr, largest_code};
  if constexpr (sizeof(Code) == 1)
    numbers.narrow = codes.data();
  else
    numbers.wide = codes.data();
  return RECON_DISPATCH(add_latents, StreamValues{values.data(), stride, column, step, limit}, rows.data(),
                        static_cast<int64_t>(rows.shape(0)), numbers, map);
}

std::pair<uint32_t, uint32_t> checksum(Words words, int64_t column) {
  nb::gil_scoped_release release;
  const StreamChecksum sum = RECON_DISPATCH(stream_checksum, words.data(), static_cast<int64_t>(words.shape(0)),
                                            static_cast<int64_t>(words.shape(1)), column);
  return {sum.low, sum.high};
}

}  // namespace

void bind_stream(nb::module_& m) {
  m.def("rans_decode", &decode, "words"_a, "states"_a, "slots"_a, "columns"_a, "bytes"_a,
        "Fill `bytes` from rANS words; false where they do not fit.");
  m.def("rans_encode", &encode, "bytes"_a, "tables"_a, "columns"_a, "words"_a, "states"_a,
        "Fill the end of `words` and the states; returns the number of words.");
  m.def("unpack_integers", &unpack, "bytes"_a, "width"_a, "numbers"_a,
        "Undo the zigzag of little-endian numbers; returns the greatest magnitude.");
  m.def("unpack_bytes", &unpack_in_place, "bytes"_a, "Likewise, in place, for numbers of one byte.");
  const auto define_add = [&](auto function) {
    m.def("add_latents", function, "values"_a, "column"_a, "rows"_a, "codes"_a, "largest_code"_a, "decoder"_a,
          "shift"_a, "step"_a, "limit"_a, "Add decoded latents to rows; false where a number leaves the range.");
  };
  define_add(&add<int8_t>);
  define_add(&add<int32_t>);
  m.def("stream_checksum", &checksum, "words"_a, "column"_a, "An attribute's share in the checksum of a state.");
}

}  // namespace recon
