// What train_model --help prints.
#pragma once

#include <string>

/// Every option of the table by group, with unit, range and default, folded to 96 columns.
std::string train_help();
