// Rates and means over the last seconds, for the statistics.

/** Bytes per second over the last seconds. */
export class RateMeter {
  private readonly entries: { at: number; amount: number }[] = [];

  constructor(private readonly milliseconds = 5000) {}

  add(at: number, amount: number): void {
    this.entries.push({ at, amount });
    this.forget(at);
  }

  rate(now: number): number {
    this.forget(now);
    let sum = 0;
    for (const { amount } of this.entries) sum += amount;
    return (1000 * sum) / this.milliseconds;
  }

  private forget(now: number): void {
    let old = 0;
    while (old < this.entries.length && this.entries[old].at < now - this.milliseconds) old++;
    this.entries.splice(0, old);
  }
}

/** The mean of the last so many numbers. */
export class MeanMeter {
  private readonly values: number[] = [];

  constructor(private readonly most = 60) {}

  add(value: number): void {
    this.values.push(value);
    if (this.values.length > this.most) this.values.shift();
  }

  get mean(): number {
    return this.values.length === 0 ? 0 : this.values.reduce((sum, x) => sum + x, 0) / this.values.length;
  }
}
