#include "telemetry/progress_text.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "base/words.h"

namespace cllm {
namespace {

/// Prints one number by printf. REQUIRES: the result is shorter than 64 bytes.
template <class T>
std::string print(const char* format, T value) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, value);
  return buffer;
}

struct Part {
  std::string text;
  int rank;  ///< the highest goes first when the line is too long; 0 stays
};

}  // namespace

std::string duration_text(double seconds) {
  if (!(seconds >= 0) || seconds > 1e12) return "?";
  const auto s = static_cast<long long>(std::llround(seconds));
  char buffer[64];
  if (s < 3600) {
    std::snprintf(buffer, sizeof buffer, "%lld:%02lld", s / 60, s % 60);
  } else if (s < 86400) {
    std::snprintf(buffer, sizeof buffer, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
  } else {
    std::snprintf(buffer, sizeof buffer, "%lldd %02lld:%02lld", s / 86400, s / 3600 % 24,
                  s / 60 % 60);
  }
  return buffer;
}

std::string rate_text(double per_second) {
  if (!std::isfinite(per_second) || per_second < 0) return "?";
  static const char* const kUnits[] = {"", "k", "M", "G", "T", "P"};
  std::size_t unit = 0;
  // 999.5 would round to four digits.
  while (per_second >= 999.5 && unit < 5) {
    per_second /= 1000;
    ++unit;
  }
  const char* format = per_second < 9.995 ? "%.2f" : per_second < 99.95 ? "%.1f" : "%.0f";
  return print(format, per_second) + kUnits[unit];
}

std::string count_text(std::int64_t count) {
  return count >= 0 && count < 1000 ? std::to_string(count) : rate_text(static_cast<double>(count));
}

std::string step_text(const StepReport& report, std::int64_t last_step, double elapsed_seconds,
                      double remaining_seconds, int columns) {
  const std::string last = std::to_string(last_step);
  std::string step = std::to_string(report.step);
  if (step.size() < last.size()) step.insert(0, last.size() - step.size(), ' ');
  std::vector<Part> parts = {
      {"step " + step + "/" + last, 0},
      {"epoch " + print("%.2f", report.epoch), 5},
      {"loss " + print("%.4f", report.loss), 0},
      {"lr " + print("%.2e", report.learning_rate), 6},
      {rate_text(report.tokens_per_second) + " tok/s", 2},
      {rate_text(report.gflops) + " GFLOP/s", 4},
  };
  if (report.mfu > 0) parts.push_back({"MFU " + print("%.0f", 100 * report.mfu) + "%", 3});
  parts.push_back({duration_text(elapsed_seconds), 7});
  parts.push_back({"ETA " + duration_text(remaining_seconds), 1});

  const auto length = [&] {
    std::size_t n = 2 * (parts.size() - 1);
    for (const Part& part : parts) n += part.text.size();
    return n;
  };
  while (columns > 0 && length() > static_cast<std::size_t>(columns)) {
    const auto least = std::max_element(
        parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a.rank < b.rank; });
    if (least->rank == 0) break;
    parts.erase(least);
  }
  std::string text = parts.front().text;
  for (std::size_t i = 1; i < parts.size(); ++i) text += "  " + parts[i].text;
  return text;
}

std::string end_text(const RunReport& report) {
  const double parts[] = {report.training_seconds, report.validation_seconds, report.saving_seconds,
                          report.starting_seconds};
  static const char* const kNames[] = {"training", "validation", "saving", "starting"};
  double total = 0;
  for (const double seconds : parts) total += seconds;
  std::string text = "done    " + counted(report.step, "step");
  if (report.evaluated) text += ", validation loss " + print("%.4f", report.validation_loss);
  if (report.bits_per_byte > 0) text += ", " + print("%.4f", report.bits_per_byte) + " bits/byte";
  text += "\ntime   ";
  for (std::size_t i = 0; i < 4; ++i) {
    text += std::string(i == 0 ? " " : ", ") + kNames[i] + print(" %.1f s", parts[i]);
    if (i == 0 && total > 0) text += print(" (%.0f %%)", 100 * parts[i] / total);
  }
  if (!report.model.empty()) text += "\nmodel   " + report.model;
  if (report.best_model.empty()) return text;
  return text + "\nbest    " + report.best_model + ", of step " + grouped(report.best_step) +
         ": validation loss " + print("%.4f", report.best_loss);
}

std::string evaluation_text(const EvaluationReport& report) {
  std::string text = "step " + std::to_string(report.step) + "  validation loss " +
                     print("%.4f", report.validation_loss);
  if (report.bits_per_byte > 0) text += "  " + print("%.4f", report.bits_per_byte) + " bits/byte";
  const bool all = report.val_tokens == report.val_tokens_total;
  text += all ? "  (all " : "  (" + count_text(report.val_tokens) + " of ";
  return text + count_text(report.val_tokens_total) + " tokens)";
}

}  // namespace cllm
