// A manifest of any text, as it is and with a right checksum of its own around it: nothing but the
// folder's files is opened, and what passes lists what is needed.
#include <nlohmann/json.hpp>

#include "base/crc32c.h"
#include "base/json_text.h"
#include "checkpoint/manifest.h"
#include "fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cllm;
  using Json = nlohmann::ordered_json;
  const std::string text = fuzz_text(data, size), manifest = fuzz_folder() + "/manifest.json";
  fuzz_write(fuzz_folder() + "/config.json", "{}");
  const auto verify = [&](const std::string& bytes) {
    fuzz_write(manifest, bytes);
    fuzz_attempt([&] { verify_folder(fuzz_folder(), {"config.json"}); });
    fuzz_attempt([&] { verify_files(fuzz_folder(), {}, {"config.json"}); });
  };
  verify(text);
  if (!fuzz_attempt([&] { check_json_text(text, "files"); })) return 0;
  const Json files = Json::parse(text, nullptr, false);
  if (files.is_discarded()) return 0;
  const std::string dumped = files.dump();
  char sum[9];
  std::snprintf(sum, sizeof sum, "%08x", crc32c(dumped.data(), dumped.size()));
  verify(R"({"format":1,"chunk_bytes":1048576,"files_crc32c":")" + std::string(sum) +
         R"(","files":)" + dumped + "}");
  return 0;
}
