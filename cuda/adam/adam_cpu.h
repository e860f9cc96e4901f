// One Adam step in place: parameter, gradient and both moments are read and written once.
#pragma once

#include <cstdint>

#include "cpu/dispatch.h"
#include "math/adam.h"

RECON_CPU_KERNELS(
    // Arrays are [rows, columns]; rows where `visible` ([rows], null for all) is zero are left untouched.
    void adam_step(int64_t rows, int64_t columns, const AdamSettings& settings, const AdamRates& rates,
                   const float* gradient, const uint8_t* visible, float* parameter, float* first_moment,
                   float* second_moment);)
