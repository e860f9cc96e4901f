// The player in made-up weather: whatever the network does, frames that are shown have Python's checksums, and playing
// goes on.
import { afterEach, describe, expect, test, vi } from "vitest";
import { PermanentError } from "../../src/player/loader";
import { random } from "../splats/scenes";
import {
  CUT,
  FPS,
  FRAMES,
  FakeSocket,
  forge,
  keyRecord,
  manifest,
  manifestUpTo,
  record,
  replaceFile,
  setUp,
  upTo,
} from "./harness";

afterEach(() => {
  vi.useRealTimers();
});

const nameOf = (start: number) => manifest().segments.find((segment) => segment.start === start)!.name;
const keyOf = (frame: number) =>
  manifest().keyframes.find((key) => key.frame === frame && key.name.startsWith("key"))!.name;

describe("playing", () => {
  test("shows a preview, then every frame in order and in time, and ends", async () => {
    const { player, screen, until, network } = setUp();
    network.bytesPerSecond = 20_000; // the stream has about as much
    void player.open();
    await until(() => player.shown === 0 && player.preview);
    expect(player.state).toBe("opening");
    await until(() => player.shown === 0 && !player.preview);
    network.bytesPerSecond = 1e6;
    const took = await until(() => player.state === "ended");
    expect(screen.previews).toBe(1);
    expect(screen.frames).toEqual(upTo(FRAMES - 1));
    expect(took).toBeGreaterThan((1000 * FRAMES) / FPS - 20);
    expect(took).toBeLessThan((1000 * FRAMES) / FPS + 600);
    const { framesShown, framesDecoded, framesSkipped, refused, gaussians } = player.statistics;
    expect({ framesSkipped, refused }).toEqual({ framesSkipped: 0, refused: 0 });
    expect(framesDecoded).toBe(FRAMES);
    expect(framesShown).toBe(FRAMES + 1);
    expect(gaussians).toBeGreaterThan(20);
    // Keyframes are loaded where one has to: at the start and at the cut.
    const keys = network.requests.filter(({ name }) => name.startsWith("key")).map(({ name }) => name);
    expect(keys).toEqual([keyOf(0), keyOf(CUT)]);
  });

  test("the speed is kept, and frames are left out when there is no time for them", async () => {
    for (const speed of [0.5, 2, 4]) {
      const { player, screen, until } = setUp();
      player.setSpeed(speed);
      screen.delay = speed === 4 ? 40 : 3;
      void player.open();
      await until(() => player.shown !== null && !player.preview);
      const took = await until(() => player.state === "ended");
      expect(Math.abs(took - (1000 * FRAMES) / FPS / speed)).toBeLessThan(250);
      if (speed === 4) expect(player.statistics.framesSkipped).toBeGreaterThan(10);
      expect(screen.frames.at(-1)).toBe(FRAMES - 1);
    }
  });

  test("a machine that is too slow plays slowly, and skips no residual", async () => {
    const { player, screen, decoder, until } = setUp();
    decoder.delay = 150;
    screen.delay = 120;
    void player.open();
    await until(() => player.state === "ended");
    expect(player.statistics.framesDecoded).toBe(FRAMES);
    expect(screen.frames.length).toBeGreaterThan(5);
  });

  test("loops without a stall when everything is there", async () => {
    const { player, screen, until, run } = setUp();
    player.setLoop(true);
    void player.open();
    await until(() => screen.frames.filter((frame) => frame === 1).length === 3);
    expect(screen.frames.filter((frame) => frame === 0).length).toBe(3);
    expect(player.statistics.stalls).toBe(0);
    player.setLoop(false);
    await until(() => player.state === "ended");
    player.setLoop(true);
    await run(500);
    expect(player.state).toBe("playing");
  });

  test("pauses, plays on, and plays again from the end", async () => {
    const { player, screen, until, run } = setUp();
    void player.open();
    await until(() => player.shown === 12);
    player.pause();
    await run(30);
    const held = player.shown;
    await run(2000);
    expect(player.shown).toBe(held);
    expect(player.state).toBe("paused");
    player.toggle();
    await until(() => player.state === "ended");
    expect(screen.frames).toEqual(upTo(FRAMES - 1));
    player.toggle();
    await until(() => player.shown === 0);
    await until(() => player.state === "ended");
  });

  test("while nobody looks the clock stands", async () => {
    const { player, until, run } = setUp();
    void player.open();
    await until(() => player.shown === 5);
    player.hold(true);
    await run(60_000);
    expect(player.shown).toBeLessThan(9);
    player.hold(false);
    await run(200);
    expect(player.shown).toBeLessThan(13);
    expect(player.statistics.stalls).toBe(0);
    await until(() => player.state === "ended");
  });
});

describe("seeking", () => {
  test("to every frame, back and forth, through the keyframe before it", async () => {
    const { player, screen, until } = setUp({ autoplay: false });
    void player.open();
    await until(() => player.shown === 0 && !player.preview);
    expect(player.state).toBe("paused");
    const next = random(4);
    for (let i = 0; i < 80; i++) {
      const frame = Math.floor(next() * FRAMES);
      player.seek(frame);
      await until(() => player.state === "paused");
      expect(player.shown).toBe(frame);
    }
    expect(screen.frames.length).toBeGreaterThan(70);
    screen.frames.forEach((frame, i) => expect(frame).not.toBe(screen.frames[i - 1]));
  });

  test("steps on need no keyframe, steps back do", async () => {
    const { player, network, until } = setUp({ autoplay: false });
    void player.open();
    await until(() => player.state === "paused");
    for (const frame of upTo(13, 1)) {
      player.step(1);
      await until(() => player.shown === frame && player.state === "paused");
    }
    expect(network.requests.some(({ name }) => name === keyOf(10))).toBe(false);
    player.step(-1);
    await until(() => player.shown === 12);
    expect(network.requests.some(({ name }) => name === keyOf(10))).toBe(true);
    player.step(-1);
    player.step(-1);
    await until(() => player.shown === 10);
    player.seek(-5);
    await until(() => player.shown === 0);
    player.seek(1e9);
    await until(() => player.shown === FRAMES - 1);
  });

  test("a scrub ends at the last place, and what was on the way for others stops", async () => {
    const { player, network, run, until } = setUp();
    network.bytesPerSecond = 30_000;
    void player.open();
    await until(() => player.shown === 3);
    for (const frame of [50, 12, 33, 58, 20, 41, 27]) {
      player.seek(frame);
      await run(15);
    }
    await until(() => player.shown === 27);
    await until(() => player.state === "ended");
  });

  test("a seek while playing plays on from there", async () => {
    const { player, screen, until } = setUp();
    void player.open();
    await until(() => player.shown === 4);
    player.seek(44);
    await until(() => player.shown === 44);
    const at = screen.frames.indexOf(44);
    await until(() => player.state === "ended");
    expect(screen.frames.slice(at)).toEqual(upTo(FRAMES - 1, 44));
  });
});

describe("a bad network", () => {
  test("slower than the stream: playing stalls, is resumed, and no frame is lost", async () => {
    const { player, screen, network, until } = setUp();
    network.bytesPerSecond = 4000;
    network.latency = 150;
    void player.open();
    await until(() => player.state === "stalled");
    await until(() => player.state === "ended", 120_000);
    expect(screen.frames).toEqual(upTo(FRAMES - 1));
    const { stalls, stalledSeconds, networkRate } = player.statistics;
    expect(stalls).toBeGreaterThan(1);
    expect(stalledSeconds).toBeGreaterThan(1);
    expect(networkRate).toBeLessThan(0.05);
  });

  test.each(["drop", "missing", "cut", "damage"] as const)(
    "every file once with '%s': fetched again",
    async (fault) => {
      const { player, screen, network, until, messages } = setUp();
      network.fault = (_, attempt) => (attempt === 0 ? fault : null);
      void player.open();
      await until(() => player.state === "ended");
      expect(screen.frames).toEqual(upTo(FRAMES - 1));
      expect(player.statistics.refused).toBe(0);
      const again = network.requests.filter(({ fresh }) => fresh);
      // What came and was wrong is fetched past the cache.
      expect(again.length > 10).toBe(fault === "cut" || fault === "damage");
      if (fault === "drop") expect(messages).toContain("the connection was lost; trying again");
    },
  );

  test("a long outage: tried again and again, less and less often", async () => {
    const { player, screen, network, until, run, messages } = setUp();
    let down = false;
    network.fault = () => (down ? "drop" : null);
    void player.open();
    await until(() => player.shown === 2);
    down = true;
    player.seek(40);
    await run(60_000);
    expect(player.state).toBe("seeking");
    const attempts = network.requests.length;
    expect(attempts).toBeLessThan(60);
    down = false;
    await until(() => player.state === "ended");
    expect(screen.frames.slice(-20)).toEqual(upTo(FRAMES - 1, 40));
    expect(messages.filter((message) => message.includes("trying again")).length).toBeLessThan(4);
    expect(messages).toContain("the stream's server answers again");
  });

  test("a connection that hangs is given up", async () => {
    const { player, network, until, messages } = setUp();
    network.fault = (name, attempt) => (name === nameOf(6) && attempt === 0 ? "hang" : null);
    void player.open();
    const took = await until(() => player.state === "ended");
    expect(took).toBeGreaterThan(15_000);
    expect(messages.join()).toContain("does not arrive");
  });

  test("a manifest that comes late", async () => {
    const { player, network, until } = setUp();
    network.fault = (name, attempt) => (name === "manifest.json" && attempt < 3 ? "drop" : null);
    void player.open();
    await until(() => player.state === "ended");
  });

  test("no token: said once, not tried again", async () => {
    const { player, network, run, messages } = setUp();
    network.manifest = () => Promise.reject(new PermanentError("the server wants a token"));
    void player.open();
    await run(10_000);
    expect(player.state).toBe("failed");
    expect(messages).toEqual(["the server wants a token"]);
  });

  test("any weather: no wrong frame, and when it clears the film ends", async () => {
    for (let seed = 0; seed < 12; seed++) {
      const next = random(seed);
      const { player, network, screen, decoder, run, until } = setUp();
      let clear = false;
      network.fault = () =>
        clear || next() < 0.6 ? null : (["drop", "missing", "cut", "drop"] as const)[Math.floor(next() * 4)];
      void player.open();
      for (let i = 0; i < 60; i++) {
        network.latency = next() * 200;
        network.bytesPerSecond = 2000 + 40_000 * next();
        decoder.delay = next() < 0.1 ? 80 : 2;
        screen.delay = next() < 0.1 ? 60 : 2;
        await run(250 * next());
        const dice = next();
        if (dice < 0.2) player.seek(next() * FRAMES);
        else if (dice < 0.3) player.step(next() < 0.5 ? 1 : -1);
        else if (dice < 0.4) player.toggle();
        else if (dice < 0.5) player.setSpeed(0.1 + 4 * next());
      }
      clear = true;
      [network.latency, network.bytesPerSecond, decoder.delay, screen.delay] = [10, 1e6, 1, 2];
      player.setSpeed(1);
      player.play();
      player.seek(30);
      await until(() => player.state === "ended");
      // Files that came cut off twice are refused for good; what is left plays to the end.
      if (player.statistics.refused === 0) expect(screen.frames.at(-1)).toBe(FRAMES - 1);
      player.close();
    }
  });
});

describe("damaged and hostile streams", () => {
  test("a file that stays damaged: the next keyframe goes on", async () => {
    const { player, screen, network, until, messages } = setUp();
    network.fault = (name) => (name === nameOf(21) ? "damage" : null);
    void player.open();
    await until(() => player.state === "ended");
    expect(screen.frames).toEqual([...upTo(20), ...upTo(FRAMES - 1, 30)]);
    expect(network.requests.filter(({ name }) => name === nameOf(21)).map(({ fresh }) => fresh)).toEqual([
      false,
      true,
    ]);
    expect(messages.join()).toMatch(/segment-000021.*damaged.*playing goes on at frame 30/);
    expect(player.statistics.refused).toBe(1);
  });

  test("a record that does not fit its state, in a file that is sound", async () => {
    const { player, screen, network, until, messages } = setUp();
    const json = manifest();
    const wrong = forge(network.all.get(nameOf(21))!, (view) =>
      view.setUint32(20, view.getUint32(20, true) + 1, true),
    );
    replaceFile(json, network.all, nameOf(21), wrong);
    network.json = json;
    void player.open();
    await until(() => player.state === "ended");
    expect(screen.frames).toEqual([...upTo(20), ...upTo(FRAMES - 1, 30)]);
    expect(messages.join()).toMatch(/frame 21 does not follow.*playing goes on at frame 30/);
  });

  test("a record that leads elsewhere than its checksum says", async () => {
    const { player, screen, network, until } = setUp();
    const json = manifest();
    const wrong = forge(network.all.get(nameOf(51))!, (view) => view.setUint32(32, 1, true));
    replaceFile(json, network.all, nameOf(51), wrong);
    network.json = json;
    void player.open();
    await until(() => player.state === "ended");
    // No keyframe follows. The state was lost; the last frame before it may be loaded once more.
    expect([...new Set(screen.frames)]).toEqual(upTo(50));
    player.seek(56);
    await until(() => player.state === "ended" && player.shown === 50);
    player.play();
    await until(() => player.shown === 3);
  });

  test("a wrong checksum is noticed at the next keyframe at the latest", async () => {
    const { player, screen, network, until } = setUp({ verifyAll: false });
    const json = manifest();
    // The last record of the segment 16 to 20 leads to a keyframe's frame.
    const content = network.all.get(nameOf(16))!.slice();
    const view = new DataView(content.buffer);
    let at = 16;
    for (let i = 0; i < 4; i++) at += view.getUint32(at + 4, true);
    const last = forge(new Uint8Array([...content.slice(0, 16), ...content.slice(at)]), (v) =>
      v.setUint32(36, 5, true),
    );
    content.set(last.subarray(16), at);
    replaceFile(json, network.all, nameOf(16), content);
    network.json = json;
    void player.open();
    await until(() => player.state === "ended");
    expect(screen.frames).toEqual(upTo(FRAMES - 1)); // frame 20 comes from its keyframe
    expect(player.statistics.refused).toBe(1);
  });

  test("damaged keyframes: another way, or none", async () => {
    const { player, network, until, run, messages } = setUp({ autoplay: false });
    network.fault = (name) => (name === keyOf(20) || name === keyOf(CUT) ? "damage" : null);
    void player.open();
    await until(() => player.state === "paused");
    player.seek(24);
    await until(() => player.shown === 24); // from frame 10 on
    expect(messages.join()).toContain("frame 24 is shown");
    player.seek(37); // behind the cut, whose only keyframe is damaged
    await until(() => player.shown === 40);
    player.seek(34);
    await until(() => player.shown === 34);
    player.play();
    await until(() => player.shown === 45);
    await run(10);
  });

  test("a damaged preview is passed over, a damaged first keyframe leads to the next", async () => {
    const { player, screen, network, until } = setUp();
    network.fault = (name) => (name.startsWith("preview") || name === keyOf(0) ? "damage" : null);
    void player.open();
    await until(() => player.state === "ended");
    expect(screen.previews).toBe(0);
    expect(screen.frames).toEqual(upTo(FRAMES - 1, 10));
  });

  test("nothing that could be shown: one sentence", async () => {
    const { player, network, run, messages } = setUp();
    network.fault = (name) => (name.startsWith("key") ? "damage" : null);
    void player.open();
    await run(5000);
    expect(player.state).toBe("failed");
    expect(messages.at(-1)).toMatch(/key-.*is damaged/);
    for (const json of [{}, { ...manifest(), segments: "none" }, { ...manifest(), frames: 0 }]) {
      const other = setUp();
      other.network.json = json;
      void other.player.open();
      await other.run(3000);
      expect(other.player.state).toBe("failed");
      expect(other.messages.length).toBe(1);
    }
  });

  test("a file larger than its manifest says is not read to its end", async () => {
    const { player, network, until, screen } = setUp();
    const name = nameOf(6);
    const long = new Uint8Array(network.all.get(name)!.length * 50);
    network.all.set(name, long);
    void player.open();
    await until(() => player.state === "ended");
    expect(screen.frames).toEqual([...upTo(5), ...upTo(FRAMES - 1, 10)]);
  });
});

describe("a growing stream", () => {
  const openSocket = () => new FakeSocket();
  const live = (frames: number) => {
    const setup = setUp({ openSocket });
    setup.network.json = manifestUpTo(frames);
    void setup.player.open();
    return setup;
  };
  const socket = () => FakeSocket.all.at(-1)!;

  test("starts at what is newest, and shows each frame as it comes", async () => {
    const { player, screen, until, run } = live(16);
    await until(() => player.shown === 15);
    expect(player.state).toBe("live");
    socket().say({ type: "stream", frames: 16, live: true });
    for (const frame of upTo(29, 16)) {
      await run(frame % 3 === 0 ? 900 : 60); // slower than its own speed
      socket().send(record(frame));
      await run(30);
      expect(player.shown).toBe(frame);
    }
    expect(screen.frames).toEqual(upTo(29, 15));
    expect(player.statistics.stalls).toBe(0);
    player.close();
    expect(socket().closed).toBe(true);
  });

  test("many frames at once are played one by one, and a great backlog is jumped over", async () => {
    const { player, screen, network, until } = setUp(); // no socket: a host of files
    network.json = manifestUpTo(6);
    void player.open();
    await until(() => player.shown === 5);
    for (const frames of [11, 16, 21, 26]) {
      network.json = manifestUpTo(frames);
      await until(() => player.shown === frames - 1);
    }
    expect(screen.frames).toEqual(upTo(25, 5));
    expect(player.statistics.framesSkipped).toBe(0);
    player.close();
    const fast = setUp();
    fast.network.json = manifestUpTo(11);
    void fast.player.open();
    await fast.until(() => fast.player.shown === 10);
    fast.network.json = { ...manifest(), live: true };
    await fast.until(() => fast.player.shown === FRAMES - 1);
    expect(fast.screen.frames.length).toBeLessThan(30);
    fast.player.close();
  });

  test("begins where an address says", async () => {
    const { player, screen, until } = setUp({ start: 33, autoplay: false });
    void player.open();
    await until(() => player.shown === 33);
    expect(screen.frames).toEqual([33]);
    expect(player.state).toBe("paused");
  });

  test("who joins late fetches what is between over HTTP; doubles and disorder do no harm", async () => {
    const { player, network, screen, until, run } = live(16);
    await until(() => player.shown === 15);
    socket().say({ type: "stream", frames: 23, live: true });
    for (const frame of [24, 23, 25, 24, 12, 3, 15]) socket().send(record(frame));
    await run(500);
    expect(player.shown).toBe(15); // 16 to 22 are missing
    network.json = manifestUpTo(21);
    await until(() => player.shown === 20);
    network.json = manifestUpTo(26);
    await until(() => player.shown === 25);
    expect(screen.frames.at(-1)).toBe(25);
    player.seek(17);
    await until(() => player.shown === 17);
    player.close();
  });

  test("after a skip it goes on at the next keyframe", async () => {
    const { player, screen, until, run } = live(16);
    await until(() => player.shown === 15);
    socket().say({ type: "stream", frames: 16, live: true });
    for (const frame of [16, 17]) socket().send(record(frame));
    await until(() => player.shown === 17);
    socket().say({ type: "skip" });
    await run(300);
    socket().send(keyRecord(30));
    for (const frame of [31, 32]) socket().send(record(frame));
    await until(() => player.shown === 32);
    expect(screen.frames.slice(0, 3)).toEqual([15, 16, 17]);
    expect(screen.frames[3]).toBeGreaterThanOrEqual(30);
    // The cut comes as a keyframe, too.
    for (const frame of [33, 34, 35, 36]) socket().send(record(frame));
    await until(() => player.shown === 36);
    player.close();
  });

  test("damaged and hostile messages: said, and the frame comes by its file", async () => {
    const { player, network, until, run, messages } = live(16);
    await until(() => player.shown === 15);
    socket().say({ type: "stream", frames: 16, live: true });
    const damaged = record(16);
    damaged[60] ^= 1;
    socket().send(damaged);
    socket().send(new Uint8Array(7));
    socket().say({ type: "dance" });
    socket().onmessage!.call(null as never, { data: "{" } as MessageEvent);
    // CRC right, frame right, state wrong.
    const forged = forge(new Uint8Array([...new Uint8Array(16), ...record(16)]), (view) =>
      view.setUint32(24, view.getUint32(24, true) - 1, true),
    ).slice(16);
    socket().send(forged);
    socket().send(record(17));
    await run(500);
    expect(player.shown).toBe(15);
    network.json = manifestUpTo(21);
    await until(() => player.shown === 20);
    expect(player.statistics.refused).toBe(3);
    expect(messages.length).toBeGreaterThan(2);
    player.close();
  });

  test("a lost socket is opened again; until then files are enough", async () => {
    const { player, network, until, run } = live(16);
    await until(() => player.shown === 15);
    socket().say({ type: "stream", frames: 16, live: true });
    socket().drop();
    network.json = manifestUpTo(26);
    await until(() => player.shown === 25);
    expect(FakeSocket.all.length).toBe(2);
    socket().say({ type: "stream", frames: 26, live: true });
    socket().send(record(26));
    await run(100);
    expect(player.shown).toBe(26);
    socket().drop(1008);
    await run(30_000);
    expect(FakeSocket.all.length).toBe(2);
    player.close();
  });

  test("back in time and to the edge again; then it ends", async () => {
    const { player, network, screen, until, run } = live(31);
    await until(() => player.shown === 30);
    socket().say({ type: "stream", frames: 31, live: true });
    player.seek(8);
    await until(() => player.shown === 8);
    expect(player.state).not.toBe("live");
    player.follow();
    await until(() => player.shown === 30);
    expect(player.state).toBe("live");
    player.seek(22);
    await until(() => player.state === "live" && player.shown === 30); // has played up to the edge
    expect(player.statistics.stalls).toBe(0);
    player.pause();
    socket().send(record(31));
    await run(300);
    expect(player.shown).toBe(30);
    player.play();
    await until(() => player.shown === 31);
    network.json = manifest();
    socket().say({ type: "end", frames: FRAMES });
    await until(() => player.state === "ended");
    expect(player.shown).toBe(FRAMES - 1);
    expect(player.live).toBe(false);
    expect(screen.frames.at(-1)).toBe(FRAMES - 1);
  });

  test("an empty stream is waited for; another one in its place is noticed", async () => {
    const { player, network, until, run } = setUp({ openSocket });
    network.json = { ...manifestUpTo(1), frames: 0, keyframes: [], segments: [] };
    void player.open();
    await run(3000);
    expect(player.state).toBe("opening");
    network.json = manifestUpTo(1);
    await until(() => player.shown === 0);
    const other = manifestUpTo(6);
    other.keyframes.reverse();
    other.keyframes[0].name = other.keyframes[0].name.replace("key", "key");
    network.json = other;
    await until(() => player.state === "failed");
    player.close();
  });
});
