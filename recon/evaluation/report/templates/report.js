"use strict";

// Photo and render under a slider.
for (const box of document.querySelectorAll(".compare")) {
  const range = box.querySelector("input");
  const show = () => {
    box.style.setProperty("--split", `${range.value}%`);
    range.setAttribute("aria-valuetext", `${range.value} percent photo`);
  };
  range.addEventListener("input", show);
  show();
}

// Curves: the value under the pointer.
for (const chart of document.querySelectorAll(".chart svg")) {
  const points = JSON.parse(chart.dataset.points);
  const cursor = chart.querySelector(".cursor");
  const output = chart.closest("figure").querySelector("output");
  chart.addEventListener("pointermove", (event) => {
    const bounds = chart.getBoundingClientRect();
    const at = ((event.clientX - bounds.left) / bounds.width) * chart.viewBox.baseVal.width;
    const near = points.reduce((best, point) => (Math.abs(point[2] - at) < Math.abs(best[2] - at) ? point : best));
    const [iteration, text, x, y] = near;
    cursor.setAttribute("visibility", "visible");
    cursor.firstChild.setAttribute("x1", x);
    cursor.firstChild.setAttribute("x2", x);
    cursor.lastChild.setAttribute("cx", x);
    cursor.lastChild.setAttribute("cy", y);
    output.textContent = `${text} at ${iteration.toLocaleString("en")}`;
  });
  chart.addEventListener("pointerleave", () => {
    cursor.setAttribute("visibility", "hidden");
    output.textContent = chart.dataset.last;
  });
}

// Copy buttons, where the browser allows copying.
if (navigator.clipboard) {
  for (const button of document.querySelectorAll(".copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.parentElement.querySelector("pre").textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }
}

// Paper cannot be clicked: open what is folded.
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});

// Cameras and points in 3D, drawn on a plain canvas.
const scene = JSON.parse(document.getElementById("scene").textContent);
const canvas = document.getElementById("orbit");
if (scene && canvas) orbit(scene, canvas);

function orbit(scene, canvas) {
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  const minus = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
  const along = (a, k, b) => [a[0] + k * b[0], a[1] + k * b[1], a[2] + k * b[2]];
  const unit = (a) => a.map((v) => v / (Math.hypot(...a) || 1));

  const { target, up, distance } = scene.view;
  // A frame whose third axis is the scene's up; yaw 0 looks from behind the cameras.
  let back = minus(scene.view.back, up.map((v) => v * dot(scene.view.back, up)));
  if (Math.hypot(...back) < 1e-3) back = cross(up, Math.abs(up[0]) < 0.9 ? [1, 0, 0] : [0, 1, 0]);
  back = unit(back);
  const side = cross(up, back);
  const start = { yaw: 0.4, pitch: 0.32, distance };
  const state = { ...start };

  const positions = unpackPositions(scene.points);
  const colors = scene.points ? bytes(scene.points.colors) : new Uint8Array(0);
  const pictures = scene.cameras.map((camera) => {
    if (!camera.picture) return null;
    const image = new Image();
    image.onload = draw;
    image.src = camera.picture;
    return image;
  });
  const context = canvas.getContext("2d");
  let hovered = -1;
  let placed = [];
  let pending = false;

  function bytes(text) {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  }

  function unpackPositions(points) {
    if (!points) return new Float32Array(0);
    const raw = bytes(points.positions);
    const result = new Float32Array(raw.length / 2);
    for (let i = 0; i < result.length; i++) {
      const share = (raw[2 * i] + 256 * raw[2 * i + 1]) / 65535;
      result[i] = points.low[i % 3] + share * (points.high[i % 3] - points.low[i % 3]);
    }
    return result;
  }

  function draw() {
    if (pending) return;
    pending = true;
    requestAnimationFrame(() => { pending = false; paint(); });
  }

  function paint() {
    const ratio = Math.min(devicePixelRatio || 1, 2);
    const width = Math.round(canvas.clientWidth * ratio);
    const height = Math.round(canvas.clientHeight * ratio);
    if (!width || !height) return;
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    const style = getComputedStyle(canvas);
    const theme = {};
    for (const name of ["surface", "train", "test", "ink", "page"]) theme[name] = style.getPropertyValue(`--${name}`).trim();

    const cp = Math.cos(state.pitch), sp = Math.sin(state.pitch);
    const cy = Math.cos(state.yaw), sy = Math.sin(state.yaw);
    const outward = [0, 1, 2].map((i) => cp * (cy * back[i] + sy * side[i]) + sp * up[i]);
    const eye = along(target, state.distance, outward);
    const forward = outward.map((v) => -v);
    const right = unit(cross(forward, up));
    const top = cross(right, forward);
    const scale = 0.62 * Math.min(width * 1.15, height * 1.5);
    const project = (p) => {
      const d = minus(p, eye);
      const z = dot(d, forward);
      return [width / 2 + (scale * dot(d, right)) / z, height / 2 - (scale * dot(d, top)) / z, z];
    };

    context.fillStyle = theme.surface;
    context.fillRect(0, 0, width, height);
    paintPoints(context.fillStyle, width, height, ratio, scale, eye, right, top, forward);

    placed = scene.cameras.map((camera, index) => {
      const center = project(camera.center);
      return { index, camera, center, corners: camera.corners.map(project), z: center[2] };
    }).filter((c) => c.z > 0.02 * distance && c.corners.every((p) => p[2] > 0.01 * distance));
    placed.sort((a, b) => b.z - a.z);
    for (const item of placed) paintCamera(item, ratio, theme);
    const item = placed.find((c) => c.index === hovered);
    if (item) paintLabel(item, ratio, theme, width);
  }

  function paintPoints(background, width, height, ratio, scale, eye, right, top, forward) {
    if (!positions.length) return;
    const frame = context.createImageData(width, height);
    const [r, g, b] = [1, 3, 5].map((i) => parseInt(background.slice(i, i + 2), 16));
    const pixels = new Uint32Array(frame.data.buffer).fill((255 << 24) | (b << 16) | (g << 8) | r);
    const depth = new Float32Array(width * height).fill(Infinity);
    const near = 0.02 * distance;
    for (let i = 0; i < positions.length; i += 3) {
      const dx = positions[i] - eye[0], dy = positions[i + 1] - eye[1], dz = positions[i + 2] - eye[2];
      const z = dx * forward[0] + dy * forward[1] + dz * forward[2];
      if (z < near) continue;
      const x = width / 2 + (scale * (dx * right[0] + dy * right[1] + dz * right[2])) / z;
      const y = height / 2 - (scale * (dx * top[0] + dy * top[1] + dz * top[2])) / z;
      const size = Math.max(1, Math.min(5, (2.8 * distance) / z)) * ratio;
      const x0 = Math.max(0, Math.round(x - size / 2)), x1 = Math.min(width, Math.round(x + size / 2));
      const y0 = Math.max(0, Math.round(y - size / 2)), y1 = Math.min(height, Math.round(y + size / 2));
      const color = (255 << 24) | (colors[i + 2] << 16) | (colors[i + 1] << 8) | colors[i];
      for (let v = y0; v < y1; v++) {
        for (let u = x0; u < x1; u++) {
          const k = v * width + u;
          if (z < depth[k]) { depth[k] = z; pixels[k] = color; }
        }
      }
    }
    context.putImageData(frame, 0, 0);
  }

  function paintCamera({ index, camera, center, corners }, ratio, theme) {
    const color = camera.split === "test" ? theme.test : theme.train;
    const image = pictures[index];
    if (image && image.complete && image.naturalWidth) paintPicture(image, corners);
    context.strokeStyle = color;
    context.lineJoin = "round";
    context.lineWidth = (index === hovered ? 3 : 1.6) * ratio;
    context.setLineDash(camera.split === "test" ? [5 * ratio, 3 * ratio] : []);
    context.beginPath();
    corners.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.closePath();
    for (const [x, y] of corners) { context.moveTo(center[0], center[1]); context.lineTo(x, y); }
    context.stroke();
    context.setLineDash([]);
  }

  // Two triangles, each an affine image of half the photo; a corner seen at an angle bends a little, which is fine here.
  function paintPicture(image, [a, b, c, d]) {
    const w = image.naturalWidth, h = image.naturalHeight;
    for (const [p, q, r, lower] of [[a, b, d, false], [c, d, b, true]]) {
      context.save();
      context.globalAlpha = 0.9;
      context.beginPath();
      context.moveTo(p[0], p[1]); context.lineTo(q[0], q[1]); context.lineTo(r[0], r[1]);
      context.closePath();
      context.clip();
      const sign = lower ? -1 : 1;
      const ux = (sign * (q[0] - p[0])) / w, uy = (sign * (q[1] - p[1])) / w;
      const vx = (sign * (r[0] - p[0])) / h, vy = (sign * (r[1] - p[1])) / h;
      const ox = lower ? p[0] - ux * w - vx * h : p[0], oy = lower ? p[1] - uy * w - vy * h : p[1];
      context.transform(ux, uy, vx, vy, ox, oy);
      context.drawImage(image, 0, 0);
      context.restore();
    }
  }

  function paintLabel({ camera, corners }, ratio, theme, width) {
    context.font = `${13 * ratio}px system-ui, sans-serif`;
    const x0 = Math.min(...corners.map((p) => p[0])), y0 = Math.min(...corners.map((p) => p[1]));
    const measured = context.measureText(camera.name).width + 14 * ratio;
    const x = Math.max(4, Math.min(x0, width - measured - 4)), y = Math.max(4, y0 - 28 * ratio);
    context.fillStyle = theme.ink;
    context.fillRect(x, y, measured, 22 * ratio);
    context.fillStyle = theme.page;
    context.textBaseline = "middle";
    context.fillText(camera.name, x + 7 * ratio, y + 11.5 * ratio);
  }

  function hover(event) {
    const bounds = canvas.getBoundingClientRect();
    const ratio = canvas.width / bounds.width;
    const x = (event.clientX - bounds.left) * ratio, y = (event.clientY - bounds.top) * ratio;
    let found = -1, best = 60 * ratio;
    for (const { index, corners } of placed) {
      const mx = corners.reduce((s, p) => s + p[0], 0) / 4, my = corners.reduce((s, p) => s + p[1], 0) / 4;
      const away = Math.hypot(mx - x, my - y);
      if (away < best) { best = away; found = index; }
    }
    if (found === hovered) return;
    hovered = found;
    draw();
  }

  function turn(yaw, pitch) {
    state.yaw += yaw;
    state.pitch = Math.max(-1.5, Math.min(1.5, state.pitch + pitch));
    draw();
  }

  function zoom(factor) {
    state.distance = Math.max(0.15 * distance, Math.min(6 * distance, state.distance * factor));
    draw();
  }

  const actions = {
    in: () => zoom(0.8), out: () => zoom(1.25), reset: () => { Object.assign(state, start); draw(); },
  };
  for (const button of document.querySelectorAll("[data-action]")) button.addEventListener("click", actions[button.dataset.action]);

  let held = null;
  canvas.addEventListener("pointerdown", (event) => {
    held = [event.clientX, event.clientY];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!held) { hover(event); return; }
    turn((held[0] - event.clientX) * 0.008, (event.clientY - held[1]) * 0.008);
    held = [event.clientX, event.clientY];
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => { held = null; hover(event); });
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && document.activeElement !== canvas) return;
    event.preventDefault();
    zoom(Math.exp(event.deltaY * 0.0015));
  }, { passive: false });
  const keys = {
    ArrowLeft: () => turn(0.1, 0), ArrowRight: () => turn(-0.1, 0), ArrowUp: () => turn(0, 0.08), ArrowDown: () => turn(0, -0.08),
    "+": actions.in, "=": actions.in, "-": actions.out, 0: actions.reset,
  };
  canvas.addEventListener("keydown", (event) => {
    const action = keys[event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  });
  new ResizeObserver(draw).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
}
