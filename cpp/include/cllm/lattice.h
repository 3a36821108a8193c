// The lattice of tokens says which of them are kissing neighbours, whose embeddings `lattice`
// couples.
#pragma once

#include <cstdint>
#include <vector>

namespace cllm {

/// Returns the neighbours [vocabulary, symmetry_order] of every token, by direction: first the
/// radial one, at the same place of the ring before (of ring 1 for ring 0), then its mates on its
/// own ring, going round; a mate past the end of the vocabulary is taken from the ring before.
/// Where ring 0 has nobody to turn to, in a vocabulary of one ring or a little more, the tokens
/// after it follow, going round the vocabulary. Throws InputError for sizes below 1 or above what a
/// model may have.
std::vector<std::int32_t> kissing_neighbours(std::int64_t vocabulary, std::int64_t symmetry_order);

/// Returns those [symmetry_order] of one token. Throws InputError likewise, and for a token that is
/// not in the vocabulary.
std::vector<std::int32_t> kissing_neighbours_of(std::int64_t token, std::int64_t vocabulary,
                                                std::int64_t symmetry_order);

}  // namespace cllm
