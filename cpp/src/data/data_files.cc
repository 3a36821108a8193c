#include "data/data_files.h"

#include <glob.h>

#include <algorithm>
#include <cctype>

#include "base/files.h"
#include "base/folders.h"
#include "base/refuse.h"

namespace cllm {
namespace {

bool is_token_file(const std::string& name) {
  return name.size() > 4 && name.compare(name.size() - 4, 4, ".bin") == 0;
}

/// Says whether a file name has "val" or "validation" as a word: val.bin, fineweb_val_000000.bin.
bool validates(const std::string& name) {
  std::string word;
  for (const char c : name + ".") {
    if (std::isalpha(static_cast<unsigned char>(c)) != 0) {
      word += c;
      continue;
    }
    if (word == "val" || word == "valid" || word == "validation") return true;
    word.clear();
  }
  return false;
}

DataFiles of_data_set(const std::string& name) {
  DataFiles files;
  files.name = name;
  files.set = read_data_set(name);
  files.train = files.set->train;
  files.validation = files.set->validation;
  return files;
}

DataFiles of_folder(const std::string& name) {
  DataFiles files;
  files.name = name;
  for (const std::string& file : list_folder(name)) {
    if (!is_token_file(file)) continue;
    (validates(file) ? files.validation : files.train).push_back(name + "/" + file);
  }
  if (files.train.empty()) {
    refuse("this folder holds nothing to train on", "a folder without token files",
           "a file, a folder of `cllm prepare`, or one with .bin files of tokens", name,
           "`cllm prepare` makes a data set of a folder of texts");
  }
  return files;
}

bool is_pattern(const std::string& name) { return name.find_first_of("*?[") != name.npos; }

std::vector<std::string> matches_of(const std::string& pattern) {
  glob_t found{};
  const int failed = glob(pattern.c_str(), 0, nullptr, &found);
  std::vector<std::string> paths(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  globfree(&found);
  if (failed != 0 && failed != GLOB_NOMATCH) {
    refuse("the files of this pattern cannot be found", pattern, "", "", "name them another way");
  }
  paths.erase(std::remove_if(paths.begin(), paths.end(), is_folder), paths.end());
  return paths;
}

}  // namespace

std::vector<std::string> DataFiles::marks_of(const std::vector<std::string>& paths) const {
  std::vector<std::string> marks;
  if (!set.has_value() || !set->has_examples()) return marks;
  for (const std::string& path : paths) marks.push_back(set->marks.at(path));
  return marks;
}

DataFiles find_data_files(const std::string& name) {
  if (is_there(name)) {
    if (!is_folder(name)) return {name, {name}, {}, {}};
    return is_data_set(name) ? of_data_set(name) : of_folder(name);
  }
  if (!is_pattern(name)) return {name, {name}, {}, {}};
  std::vector<std::string> paths = matches_of(name);
  if (paths.empty()) refuse("no file matches", name, "a pattern of files, as in a shell", "");
  return {name, std::move(paths), {}, {}};
}

bool data_is_there(const std::string& name) {
  return is_there(name) || (is_pattern(name) && !matches_of(name).empty());
}

}  // namespace cllm
