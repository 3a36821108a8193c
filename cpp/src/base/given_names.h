// While a configuration is worked on, messages name its options by the aliases it was given under.
#pragma once

#include <map>
#include <string>

namespace cllm {

/// Makes option_word use these names (option -> alias) on this thread while it lives. Objects on
/// one thread nest. REQUIRES: the map outlives it.
class GivenNames {
 public:
  explicit GivenNames(const std::map<std::string, std::string>& names) noexcept;
  ~GivenNames();
  GivenNames(const GivenNames&) = delete;
  GivenNames& operator=(const GivenNames&) = delete;

 private:
  const std::map<std::string, std::string>* before_;
};

}  // namespace cllm
