// Options that name data take texts and ids from memory as well as paths.
#pragma once

#include "bindings.h"
#include "cllm/memory_data.h"
#include "cllm/options.h"

namespace cllm::python {

/// Says what such an option accepts, for messages.
constexpr const char* kAcceptedData = "a path, a text, texts, or ids of tokens";

/// Says whether the option names data: `data` and `val`.
bool takes_data(const Option& option);

/// Returns the text to set such an option to. Data in memory is put into the configuration, and its
/// name is the text. A path is an os.PathLike, or a str that can be one: without a line break, and
/// with no name in it that is longer than file systems allow. Any other str, and bytes, are text; a
/// sequence of str or bytes is documents; an array or any other iterable of integers is ids, and so
/// are rows of ids, one after another. Throws InputError, which names the argument, for everything
/// else.
std::string hold_data(TrainConfig& config, const py::handle& value, const char* argument);
/// Drops data that no option names any more.
void forget_unused_data(TrainConfig& config);

/// Returns the data that `value` stands for in memory, as hold_data() takes it; null: it is a path.
/// Throws InputError, which names the argument.
MemoryData::Pointer data_in_memory(const py::handle& value, const char* argument);

/// Returns what hold_data() takes for the same data; a path is a str.
py::object data_of(const TrainConfig& config, const std::string& name);

}  // namespace cllm::python
