// A cloud of coloured points from a .ply file.
import * as THREE from "three";
import { FormatError, MAX_SPLATS } from "../splats/formats";
import { checkPlySize, parsePlyHeader, plyTextRows, readNumber } from "../splats/formats/ply";

export interface PointCloud {
  /** [N, 3] */
  readonly positions: Float32Array<ArrayBuffer>;
  /** [N, 3] sRGB bytes. */
  readonly colors: Uint8Array<ArrayBuffer>;
}

const GREY = 190;

/** Decode a .ply of points with x, y, z and, where there are any, red, green, blue bytes. */
export function decodePoints(content: Uint8Array, source: string): PointCloud {
  const header = parsePlyHeader(content, source);
  const { vertex } = header;
  const position = ["x", "y", "z"].map((name) => vertex.properties.get(name));
  const color = ["red", "green", "blue"].map((name) => vertex.properties.get(name));
  if (position.includes(undefined)) throw new FormatError(`${source} has points without x, y and z`);
  if (vertex.count > MAX_SPLATS)
    throw new FormatError(`${source} states ${vertex.count} points; files of at most ${MAX_SPLATS} are read`);
  checkPlySize(content, header, source);
  const positions = new Float32Array(3 * vertex.count);
  const colors = new Uint8Array(3 * vertex.count).fill(GREY);
  const hasColors = !color.includes(undefined);
  if (header.byteOrder === "ascii") {
    let row = 0;
    for (const words of plyTextRows(content, header)) {
      for (let k = 0; k < 3; k++) {
        positions[3 * row + k] = Number(words[position[k]!.index]);
        if (hasColors) colors[3 * row + k] = Number(words[color[k]!.index]);
      }
      row++;
    }
    if (row < vertex.count) throw new FormatError(`${source} is cut off after ${row} points`);
  } else {
    const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
    const little = header.byteOrder === "binary_little_endian";
    const start = header.size + header.skip;
    for (let row = 0; row < vertex.count; row++) {
      const at = start + row * vertex.recordSize;
      for (let k = 0; k < 3; k++) {
        positions[3 * row + k] = readNumber(view, at + position[k]!.offset, position[k]!.type, little);
        if (hasColors) colors[3 * row + k] = readNumber(view, at + color[k]!.offset, color[k]!.type, little);
      }
    }
  }
  if (positions.some((value) => !Number.isFinite(value)))
    throw new FormatError(`${source} is damaged: it holds a point that is NaN or infinite`);
  return { positions, colors };
}

/** Make the points three.js draws. */
export function pointsObject(cloud: PointCloud, pixels: number): THREE.Points {
  const geometry = new THREE.BufferGeometry();
  geometry.setAttribute("position", new THREE.BufferAttribute(cloud.positions, 3));
  geometry.setAttribute("color", new THREE.BufferAttribute(cloud.colors, 3, true));
  const material = new THREE.PointsMaterial({ size: pixels, sizeAttenuation: false, vertexColors: true });
  const points = new THREE.Points(geometry, material);
  points.userData["solid"] = true;
  return points;
}
