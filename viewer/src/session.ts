// What the server says and how to ask it; the page's half of the viewer protocol, version 1.
//
// Every answer is checked before it is used: a page must not trust a server's JSON more than a file's bytes.
import { readBody } from "./player/http_source";
import type { SplatFormat } from "./splats/formats";

export interface CameraEntry {
  readonly id: string;
  readonly name: string;
  readonly role: "train" | "test";
  readonly width: number;
  readonly height: number;
  readonly intrinsics: readonly [number, number, number, number];
  /** [16] row-major, OpenCV axes. */
  readonly worldToCamera: readonly number[];
  readonly photo: string | null;
  /** The run's own rendering from this camera. */
  readonly picture: string | null;
  readonly psnr: number | null;
  readonly ssim: number | null;
}

export interface SplatEntry {
  readonly file: string;
  readonly format: SplatFormat;
  readonly bytes: number;
  readonly gaussians: number;
  readonly shDegree: number;
}

/** Addresses of a stream, relative to the page. */
export interface StreamEntry {
  readonly manifest: string;
  /** Where new frames come while it grows. */
  readonly socket: string | null;
}

export interface Session {
  readonly version: string;
  readonly title: string;
  readonly kind: "run" | "splat" | "live" | "stream";
  readonly stream: StreamEntry | null;
  readonly splat: SplatEntry | null;
  readonly cameras: readonly CameraEntry[];
  readonly layers: { readonly points: string | null; readonly mesh: string | null };
  readonly confidence: string | null;
  readonly background: readonly [number, number, number] | null;
  readonly up: readonly [number, number, number];
  /** Camera z up to which no Gaussian is drawn. */
  readonly near: number;
  readonly poses: string | null;
  readonly pictures: boolean;
  readonly live: boolean;
  readonly runFolder: string | null;
}

/** What the server refused or said wrongly; the message is a sentence for the user. */
export class ServerError extends Error {
  override name = "ServerError";
}

export type ServerPictureMode = "color" | "depth" | "normal" | "alpha" | "confidence";

/** A picture that the server rendered. */
export interface ServerPicture {
  readonly image: Blob;
  /** Depths of the colour scale's ends, for depth pictures. */
  readonly depthRange: readonly [number, number] | null;
}

export class Server {
  constructor(private readonly base: URL) {}

  async session(): Promise<Session> {
    const response = await this.request("api/session");
    let value: unknown;
    try {
      value = await response.json();
    } catch {
      throw new ServerError("the server's description of the session is not JSON");
    }
    return parseSession(value);
  }

  /** Fetch a file by its id; `progress` gets the bytes so far. */
  async file(
    id: string,
    progress: (bytes: number) => void = () => undefined,
  ): Promise<Uint8Array<ArrayBuffer>> {
    let size = 0;
    return readBody(await this.request(`api/files/${encodeURIComponent(id)}`), (bytes) =>
      progress((size += bytes)),
    );
  }

  /** Have recon's own rasterizer render a picture. */
  async picture(
    request: {
      worldToCamera: readonly number[];
      intrinsics: readonly number[];
      width: number;
      height: number;
      mode: ServerPictureMode;
      degree: number | null;
    },
    signal: AbortSignal,
  ): Promise<ServerPicture> {
    const response = await this.request("api/picture", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        world_to_camera: request.worldToCamera,
        intrinsics: request.intrinsics,
        width: request.width,
        height: request.height,
        mode: request.mode,
        sh_degree: request.degree,
        transparent: false,
      }),
      signal,
    });
    const near = Number.parseFloat(response.headers.get("X-Depth-Near") ?? "");
    const far = Number.parseFloat(response.headers.get("X-Depth-Far") ?? "");
    const known = Number.isFinite(near) && Number.isFinite(far);
    return { image: await response.blob(), depthRange: known ? [near, far] : null };
  }

  /** Where an address of the session leads. Throws a ServerError for one of another origin. */
  address(path: string): URL {
    const url = URL.canParse(path, this.base) ? new URL(path, this.base) : null;
    if (url === null || url.origin !== this.base.origin)
      throw new ServerError(`streams of the page's own address are played, not ${path.slice(0, 200)}`);
    return url;
  }

  /** What goes with each request. */
  headers(): Headers {
    const token = readToken();
    return new Headers(token === null ? {} : { Authorization: `Bearer ${token}` });
  }

  /** Open a live socket; the token, where there is one, is the first message. */
  openLive(path = "api/live"): WebSocket {
    const url = this.address(path);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    const token = readToken();
    if (token !== null)
      socket.addEventListener("open", () => socket.send(JSON.stringify({ type: "token", token })));
    return socket;
  }

  private async request(path: string, options: RequestInit = {}): Promise<Response> {
    const token = readToken();
    const headers = new Headers(options.headers);
    if (token !== null) headers.set("Authorization", `Bearer ${token}`);
    let response: Response;
    try {
      response = await fetch(new URL(path, this.base), { ...options, headers });
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") throw error;
      throw new ServerError("the server does not answer; is `recon view` still running?");
    }
    if (response.ok) return response;
    if (response.status === 401 || response.status === 403)
      throw new ServerError("the server wants a token: open the address that `recon view` printed");
    let sentence = `the server answered ${response.status} to ${path}`;
    try {
      const { error } = (await response.json()) as { error?: unknown };
      if (typeof error === "string") sentence = error;
    } catch {
      // No JSON: the sentence above has to do.
    }
    throw new ServerError(sentence);
  }
}

const TOKEN_KEY = "recon-token";

/** Move a token from the address bar, where it would be shared by accident, to this tab's memory. */
export function takeToken(location: Location, history: History): void {
  const parts = location.hash.slice(1).split("&");
  const token = parts.find((part) => part.startsWith("token="));
  if (token === undefined) return;
  sessionStorage.setItem(TOKEN_KEY, decodeURIComponent(token.slice("token=".length)));
  const rest = parts.filter((part) => part !== token).join("&");
  history.replaceState(null, "", `${location.pathname}${location.search}${rest ? `#${rest}` : ""}`);
}

function readToken(): string | null {
  return sessionStorage.getItem(TOKEN_KEY);
}

/** Check the server's description of the session; throws a ServerError that names the field. */
export function parseSession(value: unknown): Session {
  const session = new Fields(value, "session");
  const protocol = session.number("protocol");
  if (protocol !== 1)
    throw new ServerError(`the server speaks protocol ${protocol}, this page 1; install one version of both`);
  const layers = session.value("layers") === null ? null : session.fields("layers");
  const up = session.numbers("up", 3) as [number, number, number];
  return {
    version: session.string("version"),
    title: session.string("title"),
    kind: session.oneOf("kind", ["run", "splat", "live", "stream"] as const),
    stream: session.value("stream") === null ? null : parseStream(session.fields("stream")),
    splat: session.value("splat") === null ? null : parseSplat(session.fields("splat")),
    cameras: parseCameras(session.list("cameras")),
    layers: { points: layers?.id("points") ?? null, mesh: layers?.id("mesh") ?? null },
    confidence: session.id("confidence"),
    background:
      session.value("background") === null
        ? null
        : (session.numbers("background", 3) as [number, number, number]),
    up: up.some((x) => x !== 0) ? up : [0, -1, 0],
    near: session.number("near"),
    poses: session.words("poses"),
    pictures: session.value("pictures") === true,
    live: session.value("live") === true,
    runFolder: session.words("run_folder"),
  };
}

/** Check cameras, which manifests of streams have in the same form. */
export function parseCameras(list: readonly unknown[]): CameraEntry[] {
  return list.map((entry, i) => parseCamera(new Fields(entry, `cameras[${i}]`)));
}

function parseStream(entry: Fields): StreamEntry {
  return { manifest: entry.string("manifest"), socket: entry.words("socket") };
}

function parseSplat(entry: Fields): SplatEntry {
  const file = entry.id("file");
  if (file === null) throw new ServerError("the session's splat has no file");
  return {
    file,
    format: entry.oneOf("format", ["ply", "spz", "splat"] as const),
    bytes: entry.number("bytes"),
    gaussians: entry.number("gaussians"),
    shDegree: entry.number("sh_degree"),
  };
}

function parseCamera(entry: Fields): CameraEntry {
  const width = entry.number("width");
  const height = entry.number("height");
  const intrinsics = entry.numbers("intrinsics", 4) as [number, number, number, number];
  if (!(width >= 1 && height >= 1 && intrinsics[0] > 0 && intrinsics[1] > 0))
    throw new ServerError("the session has a camera without a size or focal length");
  return {
    id: entry.string("id"),
    name: entry.string("name"),
    role: entry.oneOf("role", ["train", "test"] as const),
    width,
    height,
    intrinsics,
    worldToCamera: entry.numbers("world_to_camera", 16),
    photo: entry.id("photo"),
    picture: entry.id("picture"),
    psnr: entry.numberOrNull("psnr"),
    ssim: entry.numberOrNull("ssim"),
  };
}

/** Typed access to a JSON object. */
class Fields {
  private readonly object: Record<string, unknown>;

  constructor(
    value: unknown,
    private readonly where: string,
  ) {
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw new ServerError(`the server's ${where} is not an object`);
    this.object = value as Record<string, unknown>;
  }

  value(name: string): unknown {
    return Object.hasOwn(this.object, name) ? this.object[name] : null;
  }

  fields(name: string): Fields {
    return new Fields(this.value(name), `${this.where}.${name}`);
  }

  list(name: string): unknown[] {
    const value = this.value(name);
    if (!Array.isArray(value)) throw this.wrong(name, "a list");
    return value;
  }

  string(name: string): string {
    const value = this.value(name);
    if (typeof value !== "string") throw this.wrong(name, "a text");
    return value;
  }

  words(name: string): string | null {
    return this.value(name) === null ? null : this.string(name);
  }

  /** An id of a file, which can go into an address. */
  id(name: string): string | null {
    const value = this.words(name);
    if (value !== null && !/^[a-z0-9-]{1,40}$/.test(value)) throw this.wrong(name, "an id of a file");
    return value;
  }

  number(name: string): number {
    const value = this.value(name);
    if (typeof value !== "number" || !Number.isFinite(value)) throw this.wrong(name, "a number");
    return value;
  }

  numberOrNull(name: string): number | null {
    return this.value(name) === null ? null : this.number(name);
  }

  numbers(name: string, length: number): number[] {
    const value = this.list(name);
    if (value.length !== length || !value.every((x) => typeof x === "number" && Number.isFinite(x)))
      throw this.wrong(name, `${length} numbers`);
    return value as number[];
  }

  oneOf<T extends string>(name: string, choices: readonly T[]): T {
    const value = this.value(name);
    if (!choices.includes(value as T)) throw this.wrong(name, `one of ${choices.join(", ")}`);
    return value as T;
  }

  private wrong(name: string, expected: string): ServerError {
    return new ServerError(`the server's ${this.where}.${name} should be ${expected}`);
  }
}
