// train_help() returns what train_model --help prints.
#pragma once

#include <string>

/// Lists every option of the table by group, with unit, range and default, folded to 96 columns.
std::string train_help();
