// These functions say which instruction sets this CPU and this build can run, and which is wanted.
#pragma once

#include <string>
#include <vector>

#include "base/span.h"
#include "cpu/kernel_table.h"

namespace cllm {

/// Returns the tables that can run here, best first; the last is the scalar one.
std::vector<const KernelTable*> runnable_kernels();

/// Returns the table that CLLM_ISA = `wanted` selects among `runnable` (best first, not empty): the
/// best one for null or "". Throws InputError for a name that does not exist or is not among them.
const KernelTable& choose_kernels(const char* wanted, Span<const KernelTable* const> runnable);

/// Returns the model name that the CPU gives, such as "AMD EPYC 9B14 96-Core Processor"; "unknown
/// CPU" when it gives none.
std::string cpu_model();

}  // namespace cllm
