// One Adam step in place: parameter, gradient and both moments are read and written once.
#pragma once

#include <cstdint>

#include "cpu/dispatch.h"
#include "math/adam.h"

RECON_CPU_KERNELS(
    // Arrays are [rows, columns]; rows where `visible` ([rows], null for all) is zero are left untouched. The first
    // `leading` columns take steps of rates.step_size, the others of rates.rest_step_size.
    void adam_step(int64_t rows, int64_t columns, int64_t leading, const AdamSettings& settings,
                   const AdamRates& rates, const float* gradient, const uint8_t* visible, float* parameter,
                   float* first_moment, float* second_moment);)
