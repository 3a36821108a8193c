#include "telemetry/evaluation_record.h"

#include <fstream>
#include <nlohmann/json.hpp>

namespace cllm {

EvaluationRecord read_evaluations(const std::string& metrics_file) {
  EvaluationRecord record;
  std::ifstream in(metrics_file, std::ios::binary);
  std::string line;
  while (std::getline(in, line)) {
    if (line.find("\"val_loss\"") == std::string::npos || line.size() > 4096) continue;
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object()) continue;
    const auto step = json.find("step"), loss = json.find("val_loss");
    if (step == json.end() || loss == json.end()) continue;
    if (step->is_number_integer() && loss->is_number()) record.add(*step, *loss);
  }
  return record;
}

}  // namespace cllm
