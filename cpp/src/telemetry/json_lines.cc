#include "telemetry/json_lines.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>

#include "base/file_calls.h"
#include "base/file_descriptor.h"
#include "base/files.h"
#include "base/read_lines.h"
#include "cllm/error.h"

namespace cllm {
namespace {

/// Builds one object in a buffer that the caller made large enough.
class Line {
 public:
  explicit Line(JsonLineBuffer& buffer)
      : begin_(buffer.data()), at_(begin_), end_(begin_ + buffer.size()) {
    put("{");
  }
  void add(std::string_view key, std::int64_t value) {
    start(key);
    at_ = std::to_chars(at_, end_, value).ptr;
  }
  void add(std::string_view key, double value) {
    start(key);
    if (std::isfinite(value)) {
      at_ = std::to_chars(at_, end_, value).ptr;
    } else {
      put("null");
    }
  }
  void add(std::string_view key, bool value) {
    start(key);
    put(value ? "true" : "false");
  }
  /// Adds a text. REQUIRES: nothing in value needs an escape (the roles of spheres do not).
  void add(std::string_view key, std::string_view value) {
    start(key);
    put("\"");
    put(value);
    put("\"");
  }
  std::string_view finish() {
    put("}");
    return {begin_, static_cast<std::size_t>(at_ - begin_)};
  }

 private:
  void start(std::string_view key) {
    put(at_ == begin_ + 1 ? "\"" : ",\"");
    put(key);
    put("\":");
  }
  void put(std::string_view text) {
    const std::size_t n = std::min(text.size(), static_cast<std::size_t>(end_ - at_));
    std::memcpy(at_, text.data(), n);
    at_ += n;
  }

  char* begin_;
  char* at_;
  char* end_;
};

/// Returns the value of "step" in a line that CLLM wrote; -1 when it has none.
std::int64_t step_of(std::string_view line) {
  constexpr std::string_view kKey = "\"step\":";
  std::size_t at = line.find(kKey);
  if (at == std::string_view::npos) return -1;
  at += kKey.size();
  while (at < line.size() && line[at] == ' ') ++at;
  std::int64_t step = -1;
  const auto read = std::from_chars(line.data() + at, line.data() + line.size(), step);
  return read.ec == std::errc() ? step : -1;
}

}  // namespace

std::string_view json_line(const StepReport& report, JsonLineBuffer& buffer) {
  Line line(buffer);
  line.add("step", report.step);
  line.add("epoch", report.epoch);
  line.add("tokens", report.tokens);
  line.add("trained_tokens", report.trained_tokens);
  line.add("loss", report.loss);
  line.add("grad_norm", report.gradient_norm);
  line.add("lr", report.learning_rate);
  line.add("ms", report.milliseconds);
  line.add("tokens_per_s", report.tokens_per_second);
  line.add("gflops", report.gflops);
  line.add("mfu", report.mfu);
  line.add("skipped", report.skipped);
  line.add("late", report.late);
  line.add("workers", report.workers);
  return line.finish();
}

std::string_view json_line(const EvaluationReport& report, JsonLineBuffer& buffer) {
  Line line(buffer);
  line.add("step", report.step);
  line.add("val_loss", report.validation_loss);
  const bool bytes = report.bits_per_byte > 0;
  line.add("bits_per_byte", bytes ? report.bits_per_byte : std::nan(""));
  line.add("val_tokens", report.val_tokens);
  line.add("val_tokens_total", report.val_tokens_total);
  return line.finish();
}

std::string_view json_line(const SphereReport& report, std::int64_t step, JsonLineBuffer& buffer) {
  Line line(buffer);
  line.add("step", step);
  line.add("id", std::int64_t{report.id});
  line.add("level", std::int64_t{report.level});
  line.add("role", std::string_view(report.role));
  line.add("parent", std::int64_t{report.parent});
  line.add("active", report.active);
  line.add("cpu_s", report.cpu_seconds);
  line.add("busy_s", report.busy_seconds);
  line.add("parked_s", report.parked_seconds);
  line.add("wall_s", report.wall_seconds);
  line.add("tiles", report.tiles);
  line.add("messages_in", report.messages_in);
  line.add("messages_out", report.messages_out);
  line.add("queue_high_water", report.queue_high_water);
  return line.finish();
}

std::string_view json_line(const GroupReport& report, std::int64_t step, JsonLineBuffer& buffer) {
  Line line(buffer);
  line.add("step", step);
  line.add("group", report.group);
  line.add("position", report.position);
  line.add("sequences", report.sequences);
  line.add("tokens", report.tokens);
  line.add("moved", report.moved);
  return line.finish();
}

std::string_view json_line(const RingReport& report, std::int64_t step, JsonLineBuffer& buffer) {
  Line line(buffer);
  line.add("step", step);
  line.add("ring", report.ring);
  line.add("rings", report.rings);
  line.add("first", report.first);
  line.add("tokens", report.tokens);
  line.add("moved", report.moved);
  return line.finish();
}

void JsonLines::write_line(std::string_view line) {
  constexpr std::size_t kMost = 100000;
  try {
    write_waiting();
    file_.write_line(line);
  } catch (const Error&) {
    if (waiting_.size() < kMost) waiting_.emplace_back(line);
    throw;
  }
}

void JsonLines::write_waiting() {
  while (!waiting_.empty()) {
    file_.write_line(waiting_.front());
    waiting_.pop_front();
  }
}

void JsonLines::flush() {
  write_waiting();
  file_.flush();
}

void truncate_after_step(const std::string& path, std::int64_t step) {
  if (!is_there(path)) return;
  off_t keep = 0, end = 0;
  read_lines(path, [&](std::string_view line, bool ended) {
    end += static_cast<off_t>(line.size()) + 1;
    const bool whole = ended && !line.empty() && line.front() == '{' && line.back() == '}';
    if (whole && step_of(line) > step) return false;
    if (whole) keep = end;
    return true;
  });
  // The cut is synced: after a power cut the lines of steps that are trained again must not come
  // back.
  const FileCalls& calls = file_calls();
  const FileDescriptor file(calls.open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0));
  if (!file.valid() || calls.ftruncate(file.get(), keep) != 0 || calls.fsync(file.get()) != 0) {
    throw_system_error("cannot cut the file after step " + std::to_string(step), path, errno);
  }
}

}  // namespace cllm
