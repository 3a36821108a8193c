#include "optim/optimizer.h"

namespace cllm {

double clip_scale(double norm, double clip) {
  // As torch.nn.utils.clip_grad_norm_, whose 1e-6 keeps the quotient finite.
  return clip > 0 && norm > clip ? clip / (norm + 1e-6) : 1.0;
}

}  // namespace cllm
