// Latents of one byte take a path of their own, which must give the same bits as the plain one.
import { expect, test } from "vitest";
import { unpackMask, unzigzagBytes } from "../../src/stream/integers";
import { addLatents } from "../../src/stream/latents";
import { random } from "../splats/scenes";

test.each([
  [1, 3],
  [3, 8],
  [4, 6],
  [24, 4],
  [45, 12],
  [9, 17],
  [2, 1],
  [45, 64],
])("%i outputs of %i latents are the same by bytes and by numbers", (outputs, latents) => {
  const next = random(outputs * latents);
  const whole = (least: number, most: number) => least + Math.floor(next() * (most - least + 1));
  for (const count of [1, 2, 255, 256, 257, 700]) {
    const shift = whole(14, 30);
    const entries = Int16Array.from({ length: outputs * latents }, () => whole(-32768, 32767));
    const rows = Int32Array.from({ length: count }, (_, i) => 2 * i + whole(0, 1));
    const codes = Int8Array.from({ length: count * latents }, () => whole(-128, 127));
    const stride = outputs + 3;
    const before = Float32Array.from({ length: 2 * count * stride }, () => whole(-(2 ** 21), 2 ** 21) / 1024);
    const into = (values: Float32Array) => ({ values, stride, column: 2, step: 1 / 1024 });
    const byBytes = before.slice();
    const byNumbers = before.slice();
    const decoder = { latents, shift, entries };
    const fits = addLatents(into(byNumbers), rows, Int32Array.from(codes), decoder);
    expect(addLatents(into(byBytes), rows, codes, decoder)).toBe(fits);
    expect(Buffer.from(byBytes.buffer).equals(Buffer.from(byNumbers.buffer))).toBe(true);
  }
});

test("a number that leaves its range is told, whichever it is", () => {
  const decoder = { latents: 1, shift: 0, entries: Int16Array.of(1, 1, 1, 1, 1, 1) };
  for (const sign of [1, -1])
    for (let m = 0; m < 6; m++) {
      const values = new Float32Array(6);
      values[m] = sign * (2 ** 23 - 2);
      const into = { values, stride: 6, column: 0, step: 1 };
      expect(addLatents(into, Int32Array.of(0), Int8Array.of(sign), decoder)).toBe(true);
      expect(addLatents(into, Int32Array.of(0), Int8Array.of(sign), decoder)).toBe(false);
    }
});

test("masks of any length give the places of their bits", () => {
  const next = random(3);
  for (let count = 1; count < 80; count++) {
    const bits = Array.from({ length: count }, () => next() < 0.5);
    const bytes = new Uint8Array((count + 7) >> 3);
    bits.forEach((bit, i) => (bytes[i >> 3] |= Number(bit) << (i & 7)));
    expect([...unpackMask(bytes, count, "mask")]).toEqual([...bits.keys()].filter((i) => bits[i]));
  }
  expect(unpackMask(new Uint8Array(5).fill(255), 40, "mask").length).toBe(40);
});

test("bytes of zigzag codes are signed numbers", () => {
  const numbers = unzigzagBytes(Uint8Array.of(0, 1, 2, 3, 254, 255));
  expect([...numbers]).toEqual([0, -1, 1, -2, 127, -128]);
});
