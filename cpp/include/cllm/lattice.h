// The lattice of tokens says which of them are kissing neighbours, whose embeddings `lattice`
// couples.
#pragma once

#include <cstdint>
#include <vector>

namespace cllm {

/// Returns the neighbours [vocabulary, symmetry_order] of every token, by direction: first the
/// radial one, at the same place of another ring, then its mates on its own ring, going round.
/// Throws InputError for sizes below 1 or above what a model may have.
std::vector<std::int32_t> kissing_neighbours(std::int64_t vocabulary, std::int64_t symmetry_order);

}  // namespace cllm
