// A safetensors file of any bytes: what is accepted can be read whole and found by name.
#include <vector>

#include "checkpoint/safetensors.h"
#include "fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cllm;
  const auto read_all = [](const std::string& path) {
    const SafetensorsFile file(path);
    for (const StoredTensor& tensor : file.tensors()) {
      fuzz_require(file.find(tensor.name) == &tensor, "a tensor is found by its name");
      fuzz_require(tensor.elements >= 0 && tensor.elements < (1 << 24), "elements are in the file");
      std::vector<float> values(static_cast<std::size_t>(tensor.elements));
      fuzz_attempt([&] { file.read(tensor, values.data()); });
    }
  };
  const FuzzFile whole(data, size);
  fuzz_attempt([&] { read_all(whole.path()); });
  // The length of the header is rarely right by chance: the same bytes with it in front.
  const std::uint64_t length = size;
  std::string framed(reinterpret_cast<const char*>(&length), sizeof length);
  framed += fuzz_text(data, size) + std::string(16, '\1');
  const FuzzFile header(reinterpret_cast<const std::uint8_t*>(framed.data()), framed.size());
  fuzz_attempt([&] { read_all(header.path()); });
  return 0;
}
