// A small server that speaks the viewer protocol from a folder of files; for tests, and for working on the page.
//
// The folder holds session.json (what api/session answers) and files/ID for api/files/ID. api/picture answers with
// files/picture, and api/live plays a made-up training.
import { createReadStream, existsSync, readFileSync, statSync } from "node:fs";
import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { type WebSocket, WebSocketServer } from "ws";

const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".md": "text/plain; charset=utf-8",
};

/** As the real server sends it. */
export const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; worker-src 'self' blob:; style-src 'self'; img-src 'self' blob: data:; " +
  "connect-src 'self' blob: data:; font-src 'self'; media-src blob:; base-uri 'none'; form-action 'none'; " +
  "frame-ancestors 'self'";

export interface MockOptions {
  /** The built page. */
  readonly page: string;
  /** session.json and files/. */
  readonly content: string;
  readonly token?: string;
  readonly port?: number;
  /** Frames of the made-up training, played at `interval` milliseconds. */
  readonly live?: { readonly frames: readonly Uint8Array[]; readonly interval: number };
}

export interface MockServer {
  readonly url: string;
  /** Bodies of api/picture, so far. */
  readonly pictures: Record<string, unknown>[];
  /** Messages of the page to api/live. */
  readonly messages: Record<string, unknown>[];
  /** Most frames that were sent and not yet acknowledged. */
  readonly unacknowledged: { most: number };
  close(): Promise<void>;
}

export async function startMockServer(options: MockOptions): Promise<MockServer> {
  const pictures: Record<string, unknown>[] = [];
  const messages: Record<string, unknown>[] = [];
  const unacknowledged = { most: 0 };
  const server = createServer((request, response) => void answer(request, response, options, pictures));
  const sockets = new WebSocketServer({ server, path: "/api/live", maxPayload: 1 << 16 });
  sockets.on("connection", (socket) => playTraining(socket, options, messages, unacknowledged));
  await listen(server, options.port ?? 0);
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}/`,
    pictures,
    messages,
    unacknowledged,
    close: async () => {
      for (const socket of sockets.clients) socket.terminate();
      sockets.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: MockOptions,
  pictures: Record<string, unknown>[],
): Promise<void> {
  response.setHeader("Content-Security-Policy", CONTENT_SECURITY_POLICY);
  response.setHeader("X-Content-Type-Options", "nosniff");
  const path = new URL(request.url ?? "/", "http://mock").pathname;
  const refuse = (status: number, error: string) => {
    response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify({ error }));
  };
  if (options.token !== undefined && path.startsWith("/api/"))
    if (request.headers.authorization !== `Bearer ${options.token}`) return refuse(401, "a token is needed");
  const file = (name: string) => join(options.content, "files", name);
  if (path === "/api/session") {
    const session = readFileSync(join(options.content, "session.json"));
    response.writeHead(200, { "Content-Type": "application/json" }).end(session);
  } else if (/^\/api\/files\/[a-z0-9-]{1,40}$/.test(path)) {
    const name = file(path.slice("/api/files/".length));
    if (!existsSync(name)) return refuse(404, "there is no such file");
    response.writeHead(200, { "Content-Type": "application/octet-stream" });
    createReadStream(name).pipe(response);
  } else if (path === "/api/picture" && request.method === "POST") {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = JSON.parse(Buffer.concat(parts).toString()) as Record<string, unknown>;
    pictures.push(body);
    if (!existsSync(file("picture"))) return refuse(503, "this server cannot render");
    const depth = { "X-Depth-Near": "1.5", "X-Depth-Far": "6.25" };
    response.writeHead(200, { "Content-Type": "image/png", ...(body["mode"] === "depth" ? depth : {}) });
    response.end(readFileSync(file("picture")));
  } else {
    const asset = normalize(join(options.page, path === "/" ? "index.html" : path));
    if (!asset.startsWith(normalize(options.page)) || !existsSync(asset) || !statSync(asset).isFile())
      return refuse(404, "there is no such page");
    response.writeHead(200, { "Content-Type": TYPES[extname(asset)] ?? "application/octet-stream" });
    createReadStream(asset).pipe(response);
  }
}

const ITERATIONS = 3000;

function playTraining(
  socket: WebSocket,
  { live, token }: MockOptions,
  messages: Record<string, unknown>[],
  unacknowledged: { most: number },
): void {
  if (live === undefined) return socket.close();
  let trusted = token === undefined;
  let paused = false;
  let stopped = false;
  let iteration = 0;
  let sent = 0;
  let waiting = 0;
  const send = (message: object) => socket.send(JSON.stringify(message));
  const loss = (i: number) => 0.3 * Math.exp(-i / 700) + 0.03 + 0.004 * Math.sin(i / 37);
  const psnr = (i: number) => 12 + 14 * (1 - Math.exp(-i / 900));
  const start = () => {
    const past = Array.from({ length: 20 }, (_, i) => [i * 10, loss(i * 10), psnr(i * 10), 1000 + i * 20]);
    send({ type: "history", rows: past });
    iteration = 200;
  };
  const tick = setInterval(() => {
    if (!trusted) return;
    if (!paused && !stopped) iteration = Math.min(ITERATIONS, iteration + 25);
    const state = stopped ? "stopped" : paused ? "paused" : iteration >= ITERATIONS ? "finished" : "training";
    send({
      ...{ type: "progress", state, phase: "train", iteration, iterations: ITERATIONS, message: null },
      ...{ loss: loss(iteration), psnr: psnr(iteration), gaussians: 1000 + 2 * iteration },
      ...{ rate: paused ? 0 : 125, eta: (ITERATIONS - iteration) / 125 },
    });
    if (waiting === 0 && live.frames.length > 0) {
      socket.send(live.frames[sent++ % live.frames.length]);
      unacknowledged.most = Math.max(unacknowledged.most, ++waiting);
    }
  }, live.interval);
  socket.on("message", (data) => {
    const message = JSON.parse(String(data)) as Record<string, unknown>;
    messages.push(message);
    if (message["type"] === "token") {
      trusted = message["token"] === token;
      if (trusted) start();
      else socket.close(4401);
    } else if (message["type"] === "pause") paused = true;
    else if (message["type"] === "resume") paused = false;
    else if (message["type"] === "stop") stopped = true;
    else if (message["type"] === "ack") waiting--;
  });
  socket.on("close", () => clearInterval(tick));
  if (trusted) start();
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
}
