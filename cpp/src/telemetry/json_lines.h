// Writes metrics.jsonl, spheres.jsonl, groups.jsonl and rings.jsonl: one JSON object and one
// write() per line.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "base/append_file.h"
#include "cllm/train_observer.h"

namespace cllm {

/// The longest line has 15 keys; with shortest round-trip numbers it needs under 600 bytes.
using JsonLineBuffer = std::array<char, 1024>;

// Each function returns the line without a newline, inside `buffer`. Numbers that are not finite
// become null, because JSON has no name for them.

/// Writes step, epoch, tokens, trained_tokens, loss, grad_norm, lr, ms, tokens_per_s, gflops, mfu,
/// skipped, late, workers.
std::string_view json_line(const StepReport& report, JsonLineBuffer& buffer);
/// Writes step, val_loss, bits_per_byte (null where the length of the text is unknown), val_tokens,
/// val_tokens_total.
std::string_view json_line(const EvaluationReport& report, JsonLineBuffer& buffer);
/// Writes step (updates done at that moment), id, level, role, parent, active, cpu_s, busy_s,
/// parked_s, wall_s, tiles, messages_in, messages_out, queue_high_water.
std::string_view json_line(const SphereReport& report, std::int64_t step, JsonLineBuffer& buffer);
/// Writes step (likewise), group, position, sequences, tokens, moved.
std::string_view json_line(const GroupReport& report, std::int64_t step, JsonLineBuffer& buffer);
/// Writes step (likewise), ring, rings, first, tokens, moved.
std::string_view json_line(const RingReport& report, std::int64_t step, JsonLineBuffer& buffer);

/// Appends such lines to a file. A line costs a few microseconds and no allocation, and the kernel
/// has it when the call returns: a killed process loses nothing. A power cut may lose what was
/// written since flush(). Thread safety: one thread at a time.
class JsonLines {
 public:
  /// Creates the file or continues it. Throws Error when it cannot be opened.
  explicit JsonLines(const std::string& path) : file_(path) {}

  /// Throws Error when the line cannot be written (disk full); the line is then kept and written
  /// before the next one.
  void write(const StepReport& report) { write_line(json_line(report, buffer_)); }
  void write(const EvaluationReport& report) { write_line(json_line(report, buffer_)); }
  void write(const SphereReport& report, std::int64_t step) {
    write_line(json_line(report, step, buffer_));
  }
  void write(const GroupReport& report, std::int64_t step) {
    write_line(json_line(report, step, buffer_));
  }
  void write(const RingReport& report, std::int64_t step) {
    write_line(json_line(report, step, buffer_));
  }
  /// Makes what was written survive a power cut; called at each checkpoint. Throws Error.
  void flush();

 private:
  void write_line(std::string_view line);
  void write_waiting();

  AppendFile file_;
  JsonLineBuffer buffer_;
  std::deque<std::string> waiting_;  // lines that could not be written
};

/// Cuts the file before its first line of a step after `step`, and removes torn lines before that
/// place, so that a resumed run repeats no line. Lines without a step stay, and so does a torn line
/// (of a full disk) that whole lines follow. The cut is durable. A missing file stays missing.
void truncate_after_step(const std::string& path, std::int64_t step);

}  // namespace cllm
