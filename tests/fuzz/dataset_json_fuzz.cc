// A description of a data set of any text: what is accepted names files of its folder and nothing
// outside, and ids that are in its vocabulary.
#include "data/data_files.h"
#include "fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cllm;
  fuzz_write(fuzz_folder() + "/dataset.json", fuzz_text(data, size));
  fuzz_attempt([] {
    const DataFiles files = find_data_files(fuzz_folder());
    fuzz_require(files.set.has_value() && !files.train.empty(), "a data set to train on");
    fuzz_require(files.set->end_of_text >= 0 && files.set->end_of_text < files.set->vocabulary,
                 "an end of text that is a token");
    const auto is_inside = [](const std::string& path) {
      return path.rfind(fuzz_folder() + "/", 0) == 0 &&
             path.find('/', fuzz_folder().size() + 1) == path.npos;
    };
    for (const auto* paths : {&files.train, &files.validation}) {
      for (const std::string& path : *paths) fuzz_require(is_inside(path), "a file of the folder");
      const std::vector<std::string> marks = files.marks_of(*paths);
      fuzz_require(marks.size() == (files.set->has_examples() ? paths->size() : 0),
                   "marks for every file of examples");
      for (const std::string& path : marks) fuzz_require(is_inside(path), "a file of the folder");
    }
    for (const DataSet::File& file : files.set->tokenizer_files) {
      fuzz_require(is_inside(files.set->path(file.name)), "a tokenizer file of the folder");
    }
  });
  return 0;
}
