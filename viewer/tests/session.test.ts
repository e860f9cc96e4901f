import { describe, expect, test } from "vitest";
import { Server, ServerError, parseSession } from "../src/session";

const CAMERA = {
  ...{ id: "c0", name: "a.png", role: "train", width: 4, height: 3, intrinsics: [5, 5, 2, 1.5] },
  ...{ world_to_camera: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1], photo: "photo-c0", psnr: null },
};
const SESSION = {
  ...{
    protocol: 1,
    version: "0.1.0",
    title: "fern",
    kind: "run",
    cameras: [CAMERA],
    up: [0, -1, 0],
    near: 0.01,
  },
  splat: { file: "splat", format: "ply", bytes: 10, gaussians: 2, sh_degree: 1 },
  ...{ layers: { points: null, mesh: "mesh" }, confidence: null, background: null, poses: "given" },
  ...{ pictures: true, live: false, run_folder: "runs/fern" },
};

describe("the server's description of a session", () => {
  test("is understood", () => {
    const session = parseSession(SESSION);
    expect(session).toMatchObject({ title: "fern", runFolder: "runs/fern", live: false, pictures: true });
    expect(session.cameras[0]).toMatchObject({ id: "c0", photo: "photo-c0", picture: null });
    expect(session.splat).toMatchObject({ format: "ply", shDegree: 1 });
    expect(session.layers).toEqual({ points: null, mesh: "mesh" });
  });

  test("of a stream names its addresses", () => {
    const stream = { manifest: "api/stream/manifest.json", socket: null };
    const session = parseSession({ ...SESSION, kind: "stream", splat: null, stream });
    expect(session).toMatchObject({ kind: "stream", stream });
    expect(parseSession(SESSION).stream).toBeNull();
    for (const wrong of [{ manifest: 3, socket: null }, { socket: null }, [], { ...stream, socket: 1 }])
      expect(() => parseSession({ ...SESSION, stream: wrong })).toThrow(ServerError);
  });

  test("keeps streams to its own address", () => {
    const server = new Server(new URL("http://127.0.0.1:8000/behind/"));
    expect(server.address("clip/manifest.json").href).toBe("http://127.0.0.1:8000/behind/clip/manifest.json");
    for (const other of ["https://example.org/manifest.json", "//example.org/m.json", "data:,{}", "http://["])
      expect(() => server.address(other)).toThrow(/the page's own address/);
  });

  test.each([
    ["another protocol", { protocol: 2 }, /speaks protocol 2/],
    ["no title", { title: 7 }, /title should be a text/],
    ["an unknown kind", { kind: "film" }, /kind should be one of/],
    ["a bad id", { confidence: "../etc/passwd" }, /confidence should be an id/],
    [
      "a short matrix",
      { cameras: [{ ...CAMERA, world_to_camera: [1] }] },
      /cameras\[0\].world_to_camera.*16 numbers/,
    ],
    [
      "no focal length",
      { cameras: [{ ...CAMERA, intrinsics: [0, 5, 2, 1] }] },
      /without a size or focal length/,
    ],
    ["an up that is no vector", { up: [0, "a", 1] }, /up should be 3 numbers/],
    ["cameras that are no list", { cameras: {} }, /cameras should be a list/],
    ["a splat that is no object", { splat: [] }, /splat is not an object/],
  ])("with %s is refused", (_, wrong, sentence) => {
    const parse = () => parseSession({ ...SESSION, ...wrong });
    expect(parse).toThrow(ServerError);
    expect(parse).toThrow(sentence);
  });

  test("that is no object at all is refused", () => {
    for (const value of [null, 3, "x", []]) expect(() => parseSession(value)).toThrow(ServerError);
  });
});
