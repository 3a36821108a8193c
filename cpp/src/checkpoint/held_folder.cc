#include "checkpoint/held_folder.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <system_error>
#include <thread>

#include "base/file_calls.h"
#include "cllm/error.h"

namespace cllm {
namespace {

/// Returns the message with the path that the folder was read through replaced by its own name.
std::string with_name(std::string text, const std::optional<HeldFolder>& folder) {
  if (!folder || folder->path() == folder->name()) return text;
  for (std::size_t at = 0; (at = text.find(folder->path(), at)) != std::string::npos;) {
    text.replace(at, folder->path().size(), folder->name());
    at += folder->name().size();
  }
  return text;
}

}  // namespace

HeldFolder::HeldFolder(const std::string& name)
    : name_(name), folder_(file_calls().open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)) {
  if (!folder_.valid() || !identify(folder_.get(), &identity_)) {
    throw InputError(
        {"cannot open the folder", std::generic_category().message(errno), "", name, ""});
  }
  path_ = "/proc/self/fd/" + std::to_string(folder_.get());
  FileIdentity named;
  if (!identify(path_, &named) || named != identity_) path_ = name_;
}

bool HeldFolder::in_place() const noexcept {
  FileIdentity named;
  return identify(name_, &named) && named == identity_;
}

void read_held_folder(const std::function<std::string()>& find,
                      const std::function<void(const HeldFolder& folder)>& use) {
  constexpr int kTries = 20;
  std::string name;
  for (int i = 0; i < kTries; ++i) {
    // Whoever replaces the folder gets time to finish: a second and a half in all.
    if (i > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1 << std::min(i, 7)));
    name = find();
    std::optional<HeldFolder> folder;
    const auto stays = [&] { return folder ? folder->in_place() : is_folder(name); };
    try {
      folder.emplace(name);
      use(*folder);
      if (stays()) return;
    } catch (const InputError& error) {
      if (stays()) throw InputError(with_name(error.what(), folder));
    } catch (const Error& error) {
      if (stays()) throw Error(with_name(error.what(), folder));
    }
  }
  throw Error({"the folder is replaced all the time",
               "another one in " + std::to_string(kTries) + " tries", "", name,
               "name a checkpoint that stays"});
}

}  // namespace cllm
