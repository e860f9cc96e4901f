// The worker that sorts: keeps a copy of the centres and answers each request with an order.
import { DepthSorter, mostVisible } from "./counting_sort";
import type { SortReply, SortRequest } from "./sorter";

const sorter = new DepthSorter();
let means = new Float32Array(0);
let logScales = new Float32Array(0);
let opacityLogits = new Float32Array(0);
let count = 0;
let version = 0;
let budget = Infinity;
let stale = true;

self.onmessage = ({ data }: MessageEvent<SortRequest>) => {
  if (data.type === "rows") {
    version = data.version;
    count = data.count;
    reserve(count);
    means.set(data.means, 3 * data.first);
    logScales.set(data.logScales, 3 * data.first);
    opacityLogits.set(data.opacityLogits, data.first);
    stale = true;
  } else if (data.type === "budget") {
    budget = data.budget;
    stale = true;
  } else if (data.type === "near") {
    sorter.near = data.near;
  } else {
    const start = performance.now();
    if (stale) {
      const rows = mostVisible(logScales.subarray(0, 3 * count), opacityLogits.subarray(0, count), budget);
      sorter.setMeans(means.subarray(0, 3 * count), rows);
      stale = false;
    }
    const sorted = sorter.sort(data.axis);
    const order = sorted.order.slice();
    const milliseconds = performance.now() - start;
    const reply: SortReply = {
      ticket: data.ticket,
      version,
      order,
      depthRange: sorted.depthRange,
      milliseconds,
    };
    self.postMessage(reply, { transfer: [order.buffer] });
  }
};

function reserve(size: number): void {
  if (opacityLogits.length >= size) return;
  const grow = (values: Float32Array, length: number) => {
    const grown = new Float32Array(length);
    grown.set(values);
    return grown;
  };
  const capacity = Math.ceil(size * 1.25);
  means = grow(means, 3 * capacity);
  logScales = grow(logScales, 3 * capacity);
  opacityLogits = grow(opacityLogits, capacity);
}
