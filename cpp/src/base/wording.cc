#include "cllm/wording.h"

#include <algorithm>
#include <atomic>

#include "base/given_names.h"

namespace cllm {
namespace {

std::atomic<Wording> process_wording{Wording::kCommandLine};
thread_local const std::map<std::string, std::string>* given_names = nullptr;

std::string as_given(const std::string& name) {
  if (given_names == nullptr) return name;
  const auto found = given_names->find(name);
  return found == given_names->end() ? name : found->second;
}

/// Says whether Python takes the value as it stands: a number, or the N of an example.
bool stands_for_itself(const std::string& value) {
  return value == "N" || (!value.empty() && value.find_first_not_of("0123456789.") == value.npos);
}

}  // namespace

void set_wording(Wording wording) noexcept { process_wording.store(wording); }
Wording wording() noexcept { return process_wording.load(); }

std::string option_word(const std::string& name) {
  std::string word = as_given(name);
  if (wording() == Wording::kCommandLine) return "--" + word;
  std::replace(word.begin(), word.end(), '-', '_');
  return word;
}

std::string option_word(const std::string& name, const std::string& value) {
  if (wording() == Wording::kCommandLine) return option_word(name) + " " + value;
  return option_word(name) + "=" + (stands_for_itself(value) ? value : "\"" + value + "\"");
}

std::string option_flag(const std::string& name) {
  return option_word(name) + (wording() == Wording::kCommandLine ? "" : "=True");
}

GivenNames::GivenNames(const std::map<std::string, std::string>& names) noexcept
    : before_(given_names) {
  given_names = &names;
}
GivenNames::~GivenNames() { given_names = before_; }

}  // namespace cllm
