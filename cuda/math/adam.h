// One step of Adam for one parameter.
//
// Source: Kingma and Ba, "Adam: a method for stochastic optimization", 2015, algorithm 1.
#pragma once

#include <cmath>

#include "math/host_device.h"

namespace recon {

// What does not change from step to step, rounded once from double precision: 1 - 0.999f would be off by 5e-5.
struct AdamSettings {
  float beta1, one_minus_beta1, log_beta1;
  float beta2, one_minus_beta2, log_beta2;
  float epsilon;

  AdamSettings(double beta1_, double beta2_, double epsilon_)
      : beta1(static_cast<float>(beta1_)),
        one_minus_beta1(static_cast<float>(1.0 - beta1_)),
        log_beta1(static_cast<float>(std::log(beta1_))),
        beta2(static_cast<float>(beta2_)),
        one_minus_beta2(static_cast<float>(1.0 - beta2_)),
        log_beta2(static_cast<float>(std::log(beta2_))),
        epsilon(static_cast<float>(epsilon_)) {}
};

struct AdamRates {
  float step_size;                // learning rate / (1 - beta1^step), of a row's leading columns
  float rest_step_size;           // of its other columns
  float inverse_root_correction;  // 1 / sqrt(1 - beta2^step)
};

RECON_HD AdamRates adam_rates(const AdamSettings& settings, float learning_rate, float rest_learning_rate, float step) {
  const float correction = -expm1f(step * settings.log_beta1);
  return {learning_rate / correction, rest_learning_rate / correction, 1.0f / sqrtf(-expm1f(step * settings.log_beta2))};
}

RECON_HD void adam_update(const AdamSettings& settings, float step_size, float inverse_root_correction, float gradient,
                          float& parameter, float& first, float& second) {
  first = settings.beta1 * first + settings.one_minus_beta1 * gradient;
  second = settings.beta2 * second + settings.one_minus_beta2 * gradient * gradient;
  parameter -= step_size * first / (sqrtf(second) * inverse_root_correction + settings.epsilon);
}

}  // namespace recon
