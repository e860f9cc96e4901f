// Plane sweep, semi-global matching and PatchMatch on the device: the arguments are those of the CPU kernels, in device
// memory.
#pragma once

#include "device/scratch.h"
#include "sweep/patchmatch_cpu.h"
#include "sweep/plane_sweep_cpu.h"
#include "sweep/semi_global_cpu.h"

namespace recon::device {

void plane_sweep(const PlaneSweep& sweep, void* stream, const Allocate& scratch);
void semi_global_matching(const SemiGlobal& matching, void* stream, const Allocate& scratch);
void refine_planes(const PatchMatch& match, void* stream, const Allocate& scratch);

}  // namespace recon::device
