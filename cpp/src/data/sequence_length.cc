#include "data/sequence_length.h"

#include <algorithm>

#include "cllm/error.h"
#include "cllm/wording.h"

namespace cllm {

std::int64_t fit_sequence(std::int64_t requested, std::int64_t tokens, const std::string& path) {
  if (requested < 0) {
    throw InputError({"impossible sequence length", std::to_string(requested), "at least 1",
                      option_word("seq"), "leave it out to let the data decide"});
  }
  if (tokens < 2) {
    throw InputError({"too little text to learn from",
                      std::to_string(tokens) + (tokens == 1 ? " token" : " tokens"),
                      "at least 2: one to see and one to predict", path, "add text"});
  }
  const std::int64_t largest = tokens - 1;
  if (requested > largest) {
    throw InputError(
        {"sequences longer than the training data", option_word("seq", std::to_string(requested)),
         "at most " + std::to_string(largest) + " for " + std::to_string(tokens) + " tokens", path,
         "the largest that works is " + option_word("seq", std::to_string(largest)) + "; without " +
             option_word("seq") + " it is cut to the data"});
  }
  return requested != 0 ? requested : std::min(kDefaultSequence, largest);
}

}  // namespace cllm
