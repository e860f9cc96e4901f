#include "stream/rans_cpu.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "cpu/pack.h"

namespace recon::RECON_ISA {
namespace {

constexpr uint32_t kTotal = 1u << kRansBits, kSlotMask = kTotal - 1;
constexpr int kMaxTables = 64;

inline uint32_t load_word(const uint8_t* at) {
  uint16_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// A section on its way.
struct Decoding {
  const uint8_t *at, *end;  // what is left of the stored bytes
  uint8_t* bytes;           // where the next symbol goes
  int64_t left;             // symbols to come
  int64_t place;            // of the next symbol in `order`
  uint32_t states[kRansStates];
  std::vector<uint32_t> slots;  // 4096 of each table: symbol, (frequency - 1) << 8, place within the symbol << 20
  std::vector<uint32_t> order;  // first slot of the tables of 8 * columns symbols, after which all begins anew

  // How many times eight symbols can be decoded with words for them whatever they need.
  int64_t safe_rounds() const { return std::min(left, (end - at) / 2) / kRansStates; }
};

// Fills the slots of a table and moves on behind it; false where that is damaged.
bool read_table(Decoding& one, uint32_t* slots) {
  if (one.at == one.end) return false;
  const uint32_t last = *one.at++;
  uint32_t symbol = 0, place = 0;
  while (symbol <= last) {
    if (one.end - one.at < 2) return false;  // two bytes are there at any rate: the states lie behind the tables
    uint32_t frequency = *one.at++;
    if (frequency == 0) {
      symbol += 1u + *one.at++;
      continue;
    }
    if (frequency >= 128) frequency = (frequency & 127) | static_cast<uint32_t>(*one.at++) << 7;
    if (frequency == 0 || frequency > kTotal - place) return false;
    const uint32_t entry = symbol++ | (frequency - 1) << 8;
    for (uint32_t k = 0; k < frequency; ++k) slots[place + k] = entry | k << 20;
    place += frequency;
  }
  return symbol == last + 1 && place == kTotal;
}

// Takes stored bytes apart; returns what is wrong with them, or null.
const char* start(const RansSection& section, Decoding& one) {
  one.at = section.stored;
  one.end = section.stored + section.stored_size;
  one.bytes = section.bytes;
  one.left = section.count;
  one.place = 0;
  if (section.stored_size < 2) return "is cut off before its tables";
  const int columns = *one.at++, tables = *one.at++;
  if (columns < 1 || tables < 1 || tables > std::min(columns, kMaxTables))
    return "states a number of columns or tables that cannot be";
  const uint8_t* table_of = one.at;
  if (tables > 1) {
    if (one.end - one.at < columns) return "is cut off before its tables";
    one.at += columns;
    if (*std::max_element(table_of, one.at) >= tables) return "names a table that it does not have";
  }
  one.slots.resize(tables * kTotal);
  for (int table = 0; table < tables; ++table)
    if (!read_table(one, one.slots.data() + table * kTotal))
      return "has a table of frequencies that is cut off or does not sum to 4096";
  const int64_t rest = one.end - one.at - static_cast<int64_t>(sizeof one.states);
  if (rest < 0 || rest % 2 != 0) return "is cut off after its tables";
  std::memcpy(one.states, one.at, sizeof one.states);
  one.at += sizeof one.states;
  for (uint32_t state : one.states)
    if (state < kRansLow || state >> 31 != 0) return "starts in a state that cannot be";
  one.order.resize(kRansStates * columns);
  for (size_t i = 0; i < one.order.size(); ++i) one.order[i] = tables > 1 ? table_of[i % columns] * kTotal : 0;
  return nullptr;
}

inline uint8_t step_back(uint32_t& state, const uint32_t* slots) {
  const uint32_t slot = slots[state & kSlotMask];
  state = (((slot >> 8) & kSlotMask) + 1) * (state >> kRansBits) + (slot >> 20);
  return static_cast<uint8_t>(slot);
}

// Decodes what is left, one by one; false where the words do not fit: too few, too many, or a wrong end.
bool finish(Decoding& one) {
  for (int64_t i = 0; i < one.left; ++i) {
    uint32_t& state = one.states[i % kRansStates];
    one.bytes[i] = step_back(state, one.slots.data() + one.order[(one.place + i) % one.order.size()]);
    if (state >= kRansLow) continue;
    if (one.at == one.end) return false;
    state = state << 16 | load_word(one.at);
    one.at += 2;
  }
  return one.at == one.end &&
         std::all_of(one.states, one.states + kRansStates, [](uint32_t state) { return state == kRansLow; });
}

// Decodes one section until it has no safe round left.
void decode_alone(Decoding& one) {
  uint32_t states[kRansStates];
  std::copy_n(one.states, kRansStates, states);
  const uint32_t *const slots = one.slots.data(), *const order = one.order.data();
  const int64_t period = static_cast<int64_t>(one.order.size());
  const uint8_t* at = one.at;
  uint8_t* bytes = one.bytes;
  int64_t place = one.place;
  while (one.left >= kRansStates && one.end - at >= 2 * kRansStates) {
    for (int k = 0; k < kRansStates; ++k) bytes[k] = step_back(states[k], slots + order[place + k]);
    for (int k = 0; k < kRansStates; ++k) {  // without a branch: whether a word is due is as good as random
      const bool due = states[k] < kRansLow;
      const uint32_t refilled = states[k] << 16 | load_word(at);
      states[k] = due ? refilled : states[k];
      at += due ? 2 : 0;
    }
    bytes += kRansStates;
    one.left -= kRansStates;
    place = place + kRansStates == period ? 0 : place + kRansStates;
  }
  std::copy_n(states, kRansStates, one.states);
  one.at = at;
  one.bytes = bytes;
  one.place = place;
}

#if defined(__AVX2__)

constexpr int kMostTogether = 4;  // of eight states each, as many as the registers hold

typedef uint32_t Octet __attribute__((vector_size(4 * kRansStates)));

// Which of the words ahead each lane takes when the lanes of a mask take one each.
struct Turns {
  uint8_t of[256][kRansStates] = {};

  constexpr Turns() {
    for (int mask = 0; mask < 256; ++mask)
      for (int lane = 0, next = 0; lane < kRansStates; ++lane)
        if (mask >> lane & 1) of[mask][lane] = static_cast<uint8_t>(next++);
  }
};
constexpr Turns kTurns;

// Eight loads: as fast as the instruction that gathers, and much faster on processors where that one is mitigated.
RECON_INLINE Octet look_up(const uint32_t* slots, Octet places) {
  return Octet{slots[places[0]], slots[places[1]], slots[places[2]], slots[places[3]],
               slots[places[4]], slots[places[5]], slots[places[6]], slots[places[7]]};
}

RECON_INLINE void store_symbols(uint8_t* bytes, Octet slots) {
  const __m256i lowest = _mm256_shuffle_epi8((__m256i)slots, _mm256_set1_epi32(0x0c080400));
  const __m128i symbols = _mm_unpacklo_epi32(_mm256_castsi256_si128(lowest), _mm256_extracti128_si256(lowest, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(bytes), symbols);
}

// Gives a word to each state that fell below the range, in the order of lanes.
RECON_INLINE Octet refill(Octet states, const uint8_t*& at) {
  const auto due = states < kRansLow;
  const int mask = _mm256_movemask_ps((__m256)due);
  const __m256i words = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
  const __m256i turns = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(kTurns.of[mask])));
  at += 2 * __builtin_popcount(static_cast<unsigned>(mask));
  return due ? states << 16 | (Octet)_mm256_permutevar8x32_epi32(words, turns) : states;
}

// Decodes eight symbols of each section in turn, until one of them has no safe round left. The next states of a section
// need its last ones; while it waits for their slots, the others go on.
template <int kTogether>
void decode_rounds(Decoding* const* sections) {
  Decoding* one[kTogether];
  std::copy_n(sections, kTogether, one);
  for (;;) {
    int64_t rounds = one[0]->safe_rounds();
    for (int k = 1; k < kTogether; ++k) rounds = std::min(rounds, one[k]->safe_rounds());
    if (rounds == 0) return;
    // Copies: what symbols are written to might be anything, for all that a compiler knows.
    Octet states[kTogether];
    const uint8_t* at[kTogether];
    uint8_t* bytes[kTogether];
    const uint32_t *slots[kTogether], *order[kTogether], *first[kTogether], *end[kTogether];
    for (int k = 0; k < kTogether; ++k) {
      std::memcpy(&states[k], one[k]->states, sizeof states[k]);
      at[k] = one[k]->at;
      bytes[k] = one[k]->bytes;
      slots[k] = one[k]->slots.data();
      first[k] = one[k]->order.data();
      order[k] = first[k] + one[k]->place;
      end[k] = first[k] + one[k]->order.size();
    }
    for (int64_t i = 0; i < kRansStates * rounds; i += kRansStates) {
      for (int k = 0; k < kTogether; ++k) {
        Octet tables;
        std::memcpy(&tables, order[k], sizeof tables);
        order[k] += kRansStates;
        if (order[k] == end[k]) order[k] = first[k];
        const Octet slot = look_up(slots[k], tables + (states[k] & kSlotMask));
        store_symbols(bytes[k] + i, slot);
        states[k] = refill(((slot >> 8 & kSlotMask) + 1) * (states[k] >> kRansBits) + (slot >> 20), at[k]);
      }
    }
    for (int k = 0; k < kTogether; ++k) {
      std::memcpy(one[k]->states, &states[k], sizeof states[k]);
      one[k]->at = at[k];
      one[k]->bytes += kRansStates * rounds;
      one[k]->left -= kRansStates * rounds;
      one[k]->place = order[k] - first[k];
    }
  }
}

#else

constexpr int kMostTogether = 1;

#endif

// Decodes some sections until one of them has no safe round left.
void decode_some(Decoding* const* sections, int64_t count) {
  if (count == 1) decode_alone(*sections[0]);
#if defined(__AVX2__)
  if (count == 2) decode_rounds<2>(sections);
  if (count == 3) decode_rounds<3>(sections);
  if (count == 4) decode_rounds<4>(sections);
#endif
}

}  // namespace

void rans_decode(RansSection* sections, int64_t count) {
  std::vector<Decoding> decodings(static_cast<size_t>(count));
  std::vector<int64_t> waiting;
  for (int64_t i = 0; i < count; ++i) {
    sections[i].problem = start(sections[i], decodings[i]);
    if (sections[i].problem == nullptr) waiting.push_back(i);
  }
  while (!waiting.empty()) {
    Decoding* together[kMostTogether] = {};
    const int64_t most = std::min<int64_t>(kMostTogether, static_cast<int64_t>(waiting.size()));
    for (int64_t k = 0; k < most; ++k) together[k] = &decodings[waiting[k]];
    decode_some(together, most);
    const auto through = [&](int64_t i) {
      if (decodings[i].safe_rounds() > 0) return false;
      if (!finish(decodings[i])) sections[i].problem = "does not decode to the bytes that it states";
      return true;
    };
    waiting.erase(std::remove_if(waiting.begin(), waiting.end(), through), waiting.end());
  }
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

}  // namespace recon::RECON_ISA
