// Text that is generated ends where a stop string begins.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace cllm {

/// Takes text in pieces and gives back what is certain to come before every stop string: the start
/// of one is kept back until it is known to be something else.
class StopText {
 public:
  /// Throws InputError for a stop string that is empty.
  explicit StopText(std::vector<std::string> stops);

  /// Returns text to show, which may be none.
  std::string add(const std::string& piece);
  /// Returns what was kept back, for nothing more comes.
  std::string finish();
  /// Says whether a stop string was met. What is added after it is no text.
  bool is_over() const noexcept { return is_over_; }

 private:
  std::vector<std::string> stops_;
  std::string kept_;  // no stop string begins before it
  bool is_over_ = false;
};

}  // namespace cllm
