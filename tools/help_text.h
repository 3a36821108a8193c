// What train_model --help prints.
#pragma once

#include <cstddef>
#include <string>

/// Lists every option of the table by group, with unit, range, other names and default.
std::string train_help(std::size_t columns);
