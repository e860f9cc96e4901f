#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "stream/rans_cpu.h"
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

// Returns for each of the sections what is wrong with it; nothing where its bytes were filled.
std::vector<std::optional<std::string>> decode(const std::vector<Bytes>& stored,
                                               const std::vector<Array<uint8_t, 1>>& bytes) {
  if (stored.size() != bytes.size()) throw std::invalid_argument("rANS: sections and room for them differ in number");
  std::vector<RansSection> sections;
  for (size_t i = 0; i < stored.size(); ++i)
    sections.push_back({stored[i].data(), static_cast<int64_t>(stored[i].shape(0)), bytes[i].data(),
                        static_cast<int64_t>(bytes[i].shape(0)), nullptr});
  {
    nb::gil_scoped_release release;
    RECON_DISPATCH(rans_decode, sections.data(), static_cast<int64_t>(sections.size()));
  }
  std::vector<std::optional<std::string>> problems;
  for (const RansSection& section : sections)
    problems.push_back(section.problem == nullptr ? std::nullopt : std::optional<std::string>(section.problem));
  return problems;
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

// The places of the set bits.
nb::ndarray<nb::numpy, int32_t, nb::ndim<1>> places(Bytes mask) {
  int64_t set;
  int32_t* found;
  {
    nb::gil_scoped_release release;
    const int64_t bytes = static_cast<int64_t>(mask.shape(0));
    set = RECON_DISPATCH(count_bits, mask.data(), bytes);
    found = new int32_t[static_cast<size_t>(set)];
    RECON_DISPATCH(places_of_bits, mask.data(), bytes, found);
  }
  const nb::capsule owner(found, [](void* memory) noexcept { delete[] static_cast<int32_t*>(memory); });
  return {found, {static_cast<size_t>(set)}, owner};
}

void check_rows(const Array<const int32_t, 1>& rows, size_t count) {
  const int32_t *first = rows.data(), *last = first + rows.shape(0);
  int32_t least = 0, greatest = 0;
  for (const int32_t* row = first; row != last; ++row) {
    least = std::min(least, *row);
    greatest = std::max(greatest, *row);
  }
  if (first != last && (least < 0 || static_cast<size_t>(greatest) >= count)) throw std::invalid_argument("no such row");
}

bool add_steps_to(Array<float, 2> values, int64_t column, Array<const int32_t, 1> rows, Array<const int32_t, 2> steps,
                  float step, float limit) {
  const int64_t outputs = static_cast<int64_t>(steps.shape(1)), stride = static_cast<int64_t>(values.shape(1));
  if (column < 0 || outputs < 1 || column + outputs > stride || steps.shape(0) != rows.shape(0))
    throw std::invalid_argument("add_steps: shapes do not fit");
  check_rows(rows, values.shape(0));
  nb::gil_scoped_release release;
  return RECON_DISPATCH(add_steps, StreamValues{values.data(), stride, column, step, limit}, rows.data(),
                        static_cast<int64_t>(rows.shape(0)), steps.data(), outputs);
}

template <typename Code>
bool add(Array<float, 2> values, int64_t column, Array<const int32_t, 1> rows, Array<const Code, 2> codes,
         int64_t largest_code, Array<const int16_t, 2> decoder, int shift, float step, float limit) {
  const int64_t outputs = static_cast<int64_t>(decoder.shape(0)), latents = static_cast<int64_t>(decoder.shape(1));
  const int64_t stride = static_cast<int64_t>(values.shape(1));
  if (column < 0 || outputs < 1 || column + outputs > stride || codes.shape(0) != rows.shape(0) ||
      static_cast<int64_t>(codes.shape(1)) != latents || latents < 1 || latents > 64 || shift < 0 || shift > 30)
    throw std::invalid_argument("add_latents: shapes do not fit");
  check_rows(rows, values.shape(0));
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
  m.def("rans_decode", &decode, "stored"_a, "bytes"_a,
        "Fill the arrays `bytes` with what the sections `stored` hold; returns for each what is wrong, or None.");
  m.def("rans_encode", &encode, "bytes"_a, "tables"_a, "columns"_a, "words"_a, "states"_a,
        "Fill the end of `words` and the states; returns the number of words.");
  m.def("unpack_integers", &unpack, "bytes"_a, "width"_a, "numbers"_a,
        "Undo the zigzag of little-endian numbers; returns the greatest magnitude.");
  m.def("unpack_bytes", &unpack_in_place, "bytes"_a, "Likewise, in place, for numbers of one byte.");
  m.def("places_of_bits", &places, "mask"_a, "The places of the set bits, from the lowest of each byte, ascending.");
  m.def("add_steps", &add_steps_to, "values"_a, "column"_a, "rows"_a, "steps"_a, "step"_a, "limit"_a,
        "Add whole steps to rows; false where a number leaves the range.");
  const auto define_add = [&](auto function) {
    m.def("add_latents", function, "values"_a, "column"_a, "rows"_a, "codes"_a, "largest_code"_a, "decoder"_a,
          "shift"_a, "step"_a, "limit"_a, "Add decoded latents to rows; false where a number leaves the range.");
  };
  define_add(&add<int8_t>);
  define_add(&add<int32_t>);
  m.def("stream_checksum", &checksum, "words"_a, "column"_a, "An attribute's share in the checksum of a state.");
}

}  // namespace recon
