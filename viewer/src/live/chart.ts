// A small line chart on a canvas.

export interface Series {
  readonly name: string;
  /** [x, y] with x ascending. */
  readonly points: readonly (readonly [number, number])[];
  readonly logarithmic: boolean;
}

/** Draw one series with its least, greatest and last value; colours come from the canvas's style. */
export function drawChart(canvas: HTMLCanvasElement, { name, points, logarithmic }: Series): void {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth || 280, canvas.clientHeight || 72];
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d")!;
  const style = getComputedStyle(canvas);
  context.scale(ratio, ratio);
  context.clearRect(0, 0, width, height);
  context.font = "11px system-ui, sans-serif";
  context.fillStyle = style.getPropertyValue("--muted");
  context.textBaseline = "top";
  context.fillText(name, 4, 3);
  if (points.length === 0) return;
  const last = points[points.length - 1];
  context.textAlign = "right";
  context.fillStyle = style.color;
  context.fillText(short(last[1]), width - 4, 3);
  if (points.length < 2) return;

  const scale = (y: number) => (logarithmic ? Math.log(Math.max(y, 1e-9)) : y);
  const values = points.map(([, y]) => scale(y));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const [x0, x1] = [points[0][0], last[0]];
  const top = 20;
  const toX = (x: number) => 4 + ((x - x0) / Math.max(1e-12, x1 - x0)) * (width - 8);
  const toY = (y: number) => height - 5 - ((y - low) / Math.max(1e-12, high - low)) * (height - 5 - top);
  context.beginPath();
  points.forEach(([x], i) => context.lineTo(toX(x), toY(values[i])));
  context.strokeStyle = style.getPropertyValue("--accent");
  context.lineWidth = 1.5;
  context.lineJoin = "round";
  context.stroke();
  context.lineTo(toX(x1), height - 4);
  context.lineTo(toX(x0), height - 4);
  context.closePath();
  context.globalAlpha = 0.12;
  context.fillStyle = style.getPropertyValue("--accent");
  context.fill();
  context.globalAlpha = 1;
}

function short(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e6) return `${(value / 1e6).toFixed(2)} M`;
  if (size >= 1e4) return `${(value / 1e3).toFixed(0)} k`;
  return size >= 10 ? value.toFixed(2) : value.toPrecision(3);
}
