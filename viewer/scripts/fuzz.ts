// 100 000 damaged files through the three readers: npm run fuzz [inputs]
import { random } from "../tests/splats/scenes";
import { fuzz, seedFiles } from "./fuzz_formats";

export async function main([inputs]: string[]): Promise<number> {
  const total = Number(inputs ?? 100_000);
  const next = random(2026);
  console.log("format     inputs   refused   slowest ms   most allocated / file   largest array / file");
  let worst = 0;
  for (const format of ["ply", "spz", "splat"] as const) {
    const result = await fuzz(format, await seedFiles(format, next), Math.ceil(total / 3), next);
    worst = Math.max(worst, result.slowestMilliseconds);
    console.log(
      `${format.padEnd(6)} ${String(result.inputs).padStart(10)} ${String(result.refused).padStart(9)} ` +
        `${result.slowestMilliseconds.toFixed(1).padStart(12)} ${result.mostAllocated.toFixed(2).padStart(23)} ` +
        result.largestArray.toFixed(2).padStart(22),
    );
  }
  console.log(worst < 1000 ? "no crash, none took a second" : "one took more than a second");
  return worst < 1000 ? 0 : 1;
}
