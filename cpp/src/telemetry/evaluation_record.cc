#include "telemetry/evaluation_record.h"

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/read_lines.h"

namespace cllm {

EvaluationRecord read_evaluations(const std::string& metrics_file) {
  EvaluationRecord record;
  if (!is_there(metrics_file)) return record;
  read_lines(metrics_file, [&record](std::string_view line, bool) {
    if (line.find("\"val_loss\"") == std::string::npos || line.size() > 4096) return true;
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object()) return true;
    const auto step = json.find("step"), loss = json.find("val_loss");
    if (step == json.end() || loss == json.end()) return true;
    if (step->is_number_integer() && loss->is_number()) record.add(*step, *loss);
    return true;
  });
  return record;
}

}  // namespace cllm
