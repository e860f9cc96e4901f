// How long a million Gaussians take to sort and to open, in Node: npm run bench [Gaussians]
import { cpus } from "node:os";
import { DepthSorter } from "../src/splats/counting_sort";
import { decodeSplats, encodeSplats } from "../src/splats/formats";
import { randomGaussians } from "../tests/splats/scenes";

const REPEATS = 9;

export async function main([size]: string[]): Promise<number> {
  const count = Number(size ?? 1_000_000);
  console.log(
    `${new Date().toISOString().slice(0, 10)}, ${cpus()[0].model}, Node ${process.version}, ${count} Gaussians`,
  );
  console.log("what                      least ms   median ms      CPU ms      bar ms");
  const gaussians = randomGaussians(count, 16);
  const sorter = new DepthSorter();
  sorter.setMeans(gaussians.means);
  let angle = 0;
  const sorting = await time(() => {
    angle += 0.1;
    sorter.sort([Math.sin(angle), 0, Math.cos(angle), 8]);
  });
  report("sort", sorting, 100);
  for (const format of ["ply", "spz", "splat"] as const) {
    const content = await encodeSplats(gaussians, format);
    const opening = await time(() => decodeSplats(content, format, "bench"), 3);
    report(`open .${format}, ${(content.length / 1e6).toFixed(0)} MB`, opening, 1000);
  }
  return 0;
}

interface Times {
  readonly least: number;
  readonly median: number;
  /** Least processor time of all threads: what counts on a machine that does other things, too. */
  readonly processor: number;
}

async function time(work: () => unknown, repeats = REPEATS): Promise<Times> {
  const times: number[] = [];
  const processor: number[] = [];
  for (let i = 0; i < repeats; i++) {
    const start = performance.now();
    const before = process.cpuUsage();
    await work();
    times.push(performance.now() - start);
    const { user, system } = process.cpuUsage(before);
    processor.push((user + system) / 1000);
  }
  times.sort((a, b) => a - b);
  return { least: times[0], median: times[times.length >> 1], processor: Math.min(...processor) };
}

function report(what: string, { least, median, processor }: Times, bar: number): void {
  const columns = [least.toFixed(1), median.toFixed(1), processor.toFixed(1), String(bar)];
  console.log(`${what.padEnd(22)} ${columns.map((column) => column.padStart(11)).join(" ")}`);
}
