// Points are sorted along a z-curve and boxed twice: 32 neighbours on the curve make a leaf, 32 leaves a group. Each
// thread searches for one point, in the curve's order, so that the threads of a warp visit nearly the same boxes.
#include "knn/nearest_neighbors_cuda.h"

#include <cfloat>
#include <climits>

#include "device/launch.h"
#include "device/sort.h"

namespace recon::device {
namespace {

constexpr int kThreads = 128;
constexpr int kBoundsThreads = 1024;
constexpr int kLeaf = kWarp;
constexpr int kGroup = 32;  // leaves
constexpr int kMortonBits = 10;  // per axis
// Boxes this much nearer than they compute are still searched: their distance and a point's round differently.
constexpr float kRounding = 0.99999f;

struct Box {
  float3 low, high;
};

__device__ __forceinline__ Box empty_box() {
  return {make_float3(FLT_MAX, FLT_MAX, FLT_MAX), make_float3(-FLT_MAX, -FLT_MAX, -FLT_MAX)};
}

__device__ __forceinline__ Box join(const Box& a, const Box& b) {
  return {make_float3(fminf(a.low.x, b.low.x), fminf(a.low.y, b.low.y), fminf(a.low.z, b.low.z)),
          make_float3(fmaxf(a.high.x, b.high.x), fmaxf(a.high.y, b.high.y), fmaxf(a.high.z, b.high.z))};
}

// The box around the boxes of a warp's threads, in every lane.
__device__ __forceinline__ Box join_warp(Box box) {
  for (int bits = kWarp / 2; bits > 0; bits /= 2) {
    Box other;
    other.low.x = __shfl_xor_sync(kAllLanes, box.low.x, bits);
    other.low.y = __shfl_xor_sync(kAllLanes, box.low.y, bits);
    other.low.z = __shfl_xor_sync(kAllLanes, box.low.z, bits);
    other.high.x = __shfl_xor_sync(kAllLanes, box.high.x, bits);
    other.high.y = __shfl_xor_sync(kAllLanes, box.high.y, bits);
    other.high.z = __shfl_xor_sync(kAllLanes, box.high.z, bits);
    box = join(box, other);
  }
  return box;
}

__device__ __forceinline__ float squared_distance(float3 point, float x, float y, float z) {
  const float dx = x - point.x, dy = y - point.y, dz = z - point.z;
  return dx * dx + dy * dy + dz * dz;
}

// A lower bound for the points inside.
__device__ __forceinline__ float squared_distance(float3 point, const Box& box) {
  const float dx = fmaxf(fmaxf(box.low.x - point.x, point.x - box.high.x), 0.0f);
  const float dy = fmaxf(fmaxf(box.low.y - point.y, point.y - box.high.y), 0.0f);
  const float dz = fmaxf(fmaxf(box.low.z - point.z, point.z - box.high.z), 0.0f);
  return (dx * dx + dy * dy + dz * dz) * kRounding;
}

__global__ void __launch_bounds__(kBoundsThreads)
    bounds_kernel(int count, const float* __restrict__ points, Box* __restrict__ bounds) {
  __shared__ Box boxes[kBoundsThreads / kWarp];
  Box box = empty_box();
  for (int i = threadIdx.x; i < count; i += kBoundsThreads) {
    const float3 point = make_float3(points[3 * i], points[3 * i + 1], points[3 * i + 2]);
    box = join(box, Box{point, point});
  }
  box = join_warp(box);
  if (threadIdx.x % kWarp == 0) boxes[threadIdx.x / kWarp] = box;
  __syncthreads();
  if (threadIdx.x >= kWarp) return;
  box = join_warp(boxes[threadIdx.x]);
  if (threadIdx.x == 0) *bounds = box;
}

// Moves the ten bits of x to every third place.
__device__ __forceinline__ uint32_t spread(uint32_t x) {
  x = (x | x << 16) & 0x030000ffu;
  x = (x | x << 8) & 0x0300f00fu;
  x = (x | x << 4) & 0x030c30c3u;
  return (x | x << 2) & 0x09249249u;
}

__device__ __forceinline__ uint32_t cell(float x, float low, float high) {
  const float scaled = (x - low) / fmaxf(high - low, FLT_MIN) * (1 << kMortonBits);
  return static_cast<uint32_t>(fminf(fmaxf(scaled, 0.0f), static_cast<float>((1 << kMortonBits) - 1)));
}

__global__ void __launch_bounds__(kThreads)
    morton_kernel(int count, const float* __restrict__ points, const Box* __restrict__ bounds,
                  uint32_t* __restrict__ keys, uint32_t* __restrict__ order) {
  const int i = blockIdx.x * kThreads + threadIdx.x;
  if (i >= count) return;
  const Box box = *bounds;
  keys[i] = spread(cell(points[3 * i], box.low.x, box.high.x)) |
            spread(cell(points[3 * i + 1], box.low.y, box.high.y)) << 1 |
            spread(cell(points[3 * i + 2], box.low.z, box.high.z)) << 2;
  order[i] = static_cast<uint32_t>(i);
}

// Copies the points in the curve's order, their index beside them, and boxes each leaf (one warp each).
__global__ void __launch_bounds__(kThreads)
    leaf_kernel(int count, const float* __restrict__ points, const uint32_t* __restrict__ order,
                float4* __restrict__ sorted, Box* __restrict__ leaves) {
  const int i = blockIdx.x * kThreads + threadIdx.x;
  Box box = empty_box();
  if (i < count) {
    const uint32_t index = order[i];
    const float3 point = make_float3(points[3 * index], points[3 * index + 1], points[3 * index + 2]);
    sorted[i] = make_float4(point.x, point.y, point.z, __uint_as_float(index));
    box = {point, point};
  }
  box = join_warp(box);
  if (i < count && i % kLeaf == 0) leaves[i / kLeaf] = box;
}

__global__ void __launch_bounds__(kThreads)
    group_kernel(int leaf_count, const Box* __restrict__ leaves, Box* __restrict__ groups) {
  const int i = blockIdx.x * kThreads + threadIdx.x;
  const Box box = join_warp(i < leaf_count ? leaves[i] : empty_box());
  if (i < leaf_count && i % kGroup == 0) groups[i / kGroup] = box;
}

// The k best candidates so far, nearest first; in registers, so every index is a constant.
template <int capacity>
struct Nearest {
  float squared[capacity];
  uint32_t index[capacity];
  int k;

  __device__ __forceinline__ explicit Nearest(int k_) : k(k_) {
#pragma unroll
    for (int i = 0; i < capacity; ++i) {
      squared[i] = FLT_MAX;
      index[i] = UINT_MAX;
    }
  }

  __device__ __forceinline__ float worst() const {
    float value = squared[capacity - 1];
#pragma unroll
    for (int i = 0; i < capacity - 1; ++i) value = i == k - 1 ? squared[i] : value;
    return value;
  }

  __device__ __forceinline__ void offer(float distance, uint32_t candidate) {
#pragma unroll
    for (int i = 0; i < capacity; ++i) {  // bubble the candidate in; what it replaces moves on
      const bool before = distance < squared[i] || (distance == squared[i] && candidate < index[i]);
      const float old_squared = squared[i];
      const uint32_t old_index = index[i];
      squared[i] = before ? distance : old_squared;
      index[i] = before ? candidate : old_index;
      distance = before ? old_squared : distance;
      candidate = before ? old_index : candidate;
    }
  }
};

template <int capacity>
__device__ __forceinline__ void visit_leaf(int leaf, int count, int self, float3 point,
                                           const float4* __restrict__ sorted, Nearest<capacity>& nearest) {
  const int end = min((leaf + 1) * kLeaf, count);
  for (int i = leaf * kLeaf; i < end; ++i) {
    const float4 other = sorted[i];
    const float squared = squared_distance(point, other.x, other.y, other.z);
    if (i != self && squared <= nearest.worst()) nearest.offer(squared, __float_as_uint(other.w));
  }
}

template <int capacity>
__global__ void __launch_bounds__(kThreads)
    search_kernel(int count, int k, const float4* __restrict__ sorted, const Box* __restrict__ leaves,
                  const Box* __restrict__ groups, float* __restrict__ distances, int64_t* __restrict__ indices) {
  const int self = blockIdx.x * kThreads + threadIdx.x;
  if (self >= count) return;
  const float4 query = sorted[self];
  const float3 point = make_float3(query.x, query.y, query.z);
  const int leaf_count = (count + kLeaf - 1) / kLeaf, group_count = (leaf_count + kGroup - 1) / kGroup;
  const int home = self / kLeaf;
  Nearest<capacity> nearest(k);
  visit_leaf(home, count, self, point, sorted, nearest);
  for (int group = 0; group < group_count; ++group) {
    if (squared_distance(point, groups[group]) > nearest.worst()) continue;
    const int end = min((group + 1) * kGroup, leaf_count);
    for (int leaf = group * kGroup; leaf < end; ++leaf)
      if (leaf != home && squared_distance(point, leaves[leaf]) <= nearest.worst())
        visit_leaf(leaf, count, self, point, sorted, nearest);
  }
  const int64_t at = static_cast<int64_t>(__float_as_uint(query.w)) * k;
#pragma unroll
  for (int i = 0; i < capacity; ++i)
    if (i < k) {
      distances[at + i] = sqrtf(nearest.squared[i]);
      indices[at + i] = nearest.index[i];
    }
}

}  // namespace

void nearest_neighbors(int64_t count, const float* points, int k, float* distances, int64_t* indices, void* stream,
                       const Allocate& source) {
  const int n = static_cast<int>(count);
  const int leaf_count = (n + kLeaf - 1) / kLeaf, group_count = (leaf_count + kGroup - 1) / kGroup;
  auto* bounds = allocate<Box>(source, 1);
  auto* sorted = allocate<float4>(source, n);
  auto* leaves = allocate<Box>(source, leaf_count);
  auto* groups = allocate<Box>(source, group_count);
  const SortBuffers sort = {{allocate<uint32_t>(source, n), allocate<uint32_t>(source, n)},
                            {allocate<uint32_t>(source, n), allocate<uint32_t>(source, n)}};
  const dim3 block(kThreads), per_point(blocks_for(n, kThreads));
  launch(bounds_kernel, dim3(1), dim3(kBoundsThreads), stream, n, points, bounds);
  launch(morton_kernel, per_point, block, stream, n, points, bounds, sort.keys[0], sort.values[0]);
  const int result = sort_pairs(sort, n, 3 * kMortonBits, source, stream);
  launch(leaf_kernel, per_point, block, stream, n, points, sort.values[result], sorted, leaves);
  launch(group_kernel, dim3(blocks_for(leaf_count, kThreads)), block, stream, leaf_count, leaves, groups);
  const auto search = k <= 4    ? search_kernel<4>
                      : k <= 8  ? search_kernel<8>
                      : k <= 16 ? search_kernel<16>
                                : search_kernel<32>;
  launch(search, per_point, block, stream, n, k, sorted, leaves, groups, distances, indices);
}

}  // namespace recon::device
