// A k-d tree over the points: split at the median of the widest axis, leaves of a few SIMD registers. Queries run
// leaf by leaf, so that neighbouring queries walk the same, cached part of the tree.
#include "knn/nearest_neighbors_cpu.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "cpu/pack.h"
#include "cpu/threads.h"

namespace recon::RECON_ISA {
namespace {

constexpr int64_t kLeaf = 16;  // points in a leaf, at most; a multiple of every lane count
constexpr int64_t kGrain = 64;  // leaves per chunk of work
// Boxes this much nearer than they compute are still searched: their distance and a point's round differently.
constexpr float kRounding = 0.99999f;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Box {
  float low[3] = {kInfinity, kInfinity, kInfinity};
  float high[3] = {-kInfinity, -kInfinity, -kInfinity};

  void add(const float* point) {
    for (int axis = 0; axis < 3; ++axis) {
      low[axis] = std::min(low[axis], point[axis]);
      high[axis] = std::max(high[axis], point[axis]);
    }
  }

  int widest_axis() const {
    int widest = 0;
    for (int axis = 1; axis < 3; ++axis)
      if (high[axis] - low[axis] > high[widest] - low[widest]) widest = axis;
    return widest;
  }

  // A lower bound for the points inside.
  float squared_distance(const float* point) const {
    float total = 0.0f;
    for (int axis = 0; axis < 3; ++axis) {
      const float outside = std::max({low[axis] - point[axis], point[axis] - high[axis], 0.0f});
      total += outside * outside;
    }
    return total * kRounding;
  }
};

struct Node {
  Box box;
  int64_t children = -1;  // the first of two neighbouring nodes; -1 for a leaf
  int64_t leaf = -1;
};

// Coordinates of a leaf's points side by side, padded with points at infinity.
struct Leaf {
  float x[kLeaf], y[kLeaf], z[kLeaf];
  int64_t index[kLeaf];
  int64_t count;
};

struct Tree {
  std::vector<Node> nodes;
  std::vector<Leaf> leaves;
};

class Builder {
 public:
  Builder(int64_t count, const float* points) : points_(points), order_(static_cast<size_t>(count)) {
    for (int64_t i = 0; i < count; ++i) order_[static_cast<size_t>(i)] = i;
    tree_.nodes.reserve(static_cast<size_t>(count / 4 + 1));
    tree_.leaves.reserve(static_cast<size_t>(count / 8 + 1));
    tree_.nodes.emplace_back();
    build(0, 0, count);
  }

  Tree take() { return std::move(tree_); }

 private:
  void build(size_t node, int64_t begin, int64_t end) {
    Box box;
    for (int64_t i = begin; i < end; ++i) box.add(points_ + 3 * order_[static_cast<size_t>(i)]);
    tree_.nodes[node].box = box;
    if (end - begin <= kLeaf) return add_leaf(node, begin, end);

    const int axis = box.widest_axis();
    const int64_t middle = (begin + end) / 2;
    std::nth_element(order_.begin() + begin, order_.begin() + middle, order_.begin() + end, [&](int64_t a, int64_t b) {
      return points_[3 * a + axis] < points_[3 * b + axis];
    });
    const size_t children = tree_.nodes.size();
    tree_.nodes[node].children = static_cast<int64_t>(children);
    tree_.nodes.resize(children + 2);
    build(children, begin, middle);
    build(children + 1, middle, end);
  }

  void add_leaf(size_t node, int64_t begin, int64_t end) {
    Leaf leaf;
    leaf.count = end - begin;
    for (int64_t i = 0; i < kLeaf; ++i) {
      const bool real = i < leaf.count;
      leaf.index[i] = real ? order_[static_cast<size_t>(begin + i)] : -1;
      const float* point = real ? points_ + 3 * leaf.index[i] : nullptr;
      leaf.x[i] = real ? point[0] : kInfinity;
      leaf.y[i] = real ? point[1] : kInfinity;
      leaf.z[i] = real ? point[2] : kInfinity;
    }
    tree_.nodes[node].leaf = static_cast<int64_t>(tree_.leaves.size());
    tree_.leaves.push_back(leaf);
  }

  const float* points_;
  std::vector<int64_t> order_;
  Tree tree_;
};

// The k best candidates so far, nearest first.
class Nearest {
 public:
  Nearest(int k, float* squared, int64_t* indices) : k_(k), squared_(squared), indices_(indices) {
    std::fill_n(squared_, k_, kInfinity);
    std::fill_n(indices_, k_, std::numeric_limits<int64_t>::max());
  }

  float worst() const { return squared_[k_ - 1]; }

  void offer(float squared, int64_t index) {
    const auto before = [&](int at) {
      return squared < squared_[at] || (squared == squared_[at] && index < indices_[at]);
    };
    int at = k_ - 1;
    if (!before(at)) return;
    for (; at > 0 && before(at - 1); --at) {
      squared_[at] = squared_[at - 1];
      indices_[at] = indices_[at - 1];
    }
    squared_[at] = squared;
    indices_[at] = index;
  }

 private:
  int k_;
  float* squared_;
  int64_t* indices_;
};

void visit_leaf(const Leaf& leaf, const float* point, int64_t self, Nearest& nearest) {
  for (int64_t first = 0; first < leaf.count; first += kLanes) {
    const f32 dx = load(leaf.x + first) - point[0], dy = load(leaf.y + first) - point[1],
              dz = load(leaf.z + first) - point[2];
    const f32 squared = dx * dx + dy * dy + dz * dz;
    if (!any(squared <= nearest.worst())) continue;
    float lane[kLanes];
    store(lane, squared);
    for (int i = 0; i < kLanes && first + i < leaf.count; ++i)
      if (lane[i] <= nearest.worst() && leaf.index[first + i] != self) nearest.offer(lane[i], leaf.index[first + i]);
  }
}

void search(const Tree& tree, int64_t node, const float* point, int64_t self, Nearest& nearest) {
  const Node& here = tree.nodes[static_cast<size_t>(node)];
  if (here.leaf >= 0) return visit_leaf(tree.leaves[static_cast<size_t>(here.leaf)], point, self, nearest);
  float distance[2];
  for (int side = 0; side < 2; ++side)
    distance[side] = tree.nodes[static_cast<size_t>(here.children + side)].box.squared_distance(point);
  const int nearer = distance[1] < distance[0];
  for (int side : {nearer, 1 - nearer})
    if (distance[side] <= nearest.worst()) search(tree, here.children + side, point, self, nearest);
}

}  // namespace

void nearest_neighbors(int64_t count, const float* points, int k, float* distances, int64_t* indices) {
  const Tree tree = Builder(count, points).take();
  parallel_ranges(static_cast<int64_t>(tree.leaves.size()), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t leaf = begin; leaf < end; ++leaf) {
      const Leaf& queries = tree.leaves[static_cast<size_t>(leaf)];
      for (int64_t i = 0; i < queries.count; ++i) {
        const int64_t self = queries.index[i];
        float* squared = distances + self * k;
        Nearest nearest(k, squared, indices + self * k);
        search(tree, 0, points + 3 * self, self, nearest);
        for (int j = 0; j < k; ++j) squared[j] = std::sqrt(squared[j]);
      }
    }
  });
}

}  // namespace recon::RECON_ISA
