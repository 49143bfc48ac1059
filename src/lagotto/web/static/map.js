// The map: points on a canvas, drawn pixel by pixel so that 100,000 of them move fluently.
"use strict";

(() => {
  const frame = document.getElementById("map");
  if (!frame) return;
  const canvas = frame.querySelector("canvas");
  const context = canvas.getContext("2d");
  const numbers = (text) => (text ? text.split(",").map(Number) : []);
  const names = JSON.parse(frame.dataset.names || "[]");
  const lit = new Set(numbers(frame.dataset.lit));
  let picked = new Set(numbers(frame.dataset.picked));
  let xs, ys, owners, groups, count = 0;
  let view = { x: 0.5, y: 0.5, zoom: 1 };
  let byLabel = false, lassoing = false, path = null, hovered = -1, ratio = 1;
  const NOWHERE = 65535, SMOOTH = 12000;
  const dark = matchMedia("(prefers-color-scheme: dark)");

  const hue = (number) => (number * 137.508) % 360;
  const rgb = (h, s, l) => {
    const a = s * Math.min(l, 1 - l);
    const f = (n) => {
      const k = (n + h / 30) % 12;
      return Math.round(255 * (l - a * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
    };
    return [f(0), f(8), f(4)];
  };
  const palette = [];
  const colourOf = (number) => {
    palette[number] ??= rgb(hue(number), dark.matches ? 0.5 : 0.48, dark.matches ? 0.64 : 0.5);
    return palette[number];
  };

  const side = () => Math.min(canvas.width, canvas.height) * 0.94;
  const toX = (x) => (x - view.x) * side() * view.zoom + canvas.width / 2;
  const toY = (y) => (y - view.y) * side() * view.zoom + canvas.height / 2;

  const stamps = new Map();
  const stamp = (radius) => {
    // Offsets of a disc with the share of each pixel that it covers, so that edges are smooth.
    const key = radius.toFixed(1);
    if (stamps.has(key)) return stamps.get(key);
    const parts = [];
    const reach = Math.ceil(radius + 1);
    for (let dy = -reach; dy <= reach; dy++) {
      for (let dx = -reach; dx <= reach; dx++) {
        const cover = Math.max(0, Math.min(1, radius + 0.5 - Math.hypot(dx, dy)));
        if (cover > 0) parts.push(dx, dy, cover);
      }
    }
    stamps.set(key, parts);
    return parts;
  };

  // Points are painted into an image that is kept: a hover or a lasso only puts it down again.
  let image = null, stale = true, inks = null;
  const isPlain = (number) => lit.size || picked.size || (byLabel && number === 0);
  const numberOf = (i) => (byLabel ? groups[i] : owners[i]);
  const greyOf = () => (dark.matches ? [120, 110, 98] : [150, 140, 126]);
  const pointRadius = () => {
    const crowd = Math.max(1.1, Math.min(4.5, 120 / Math.sqrt(count)));
    return Math.min(7, crowd * Math.sqrt(view.zoom)) * ratio;
  };

  const paintPoints = () => {
    const { width, height } = canvas;
    if (image?.width !== width || image?.height !== height) image = context.createImageData(width, height);
    else image.data.fill(0);
    const data = image.data, radius = pointRadius(), scale = side() * view.zoom;
    const left = width / 2 - view.x * scale, top = height / 2 - view.y * scale;
    const faint = lit.size || picked.size ? 0.4 : 0.8;
    const paint = (i, parts, colour, alpha) => {
      const cx = Math.round(xs[i] * scale + left), cy = Math.round(ys[i] * scale + top);
      if (cx < -20 || cy < -20 || cx > width + 20 || cy > height + 20) return;
      for (let p = 0; p < parts.length; p += 3) {
        const px = cx + parts[p], py = cy + parts[p + 1];
        if (px < 0 || py < 0 || px >= width || py >= height) continue;
        const at = 4 * (py * width + px);
        const a = parts[p + 2] * alpha, under = data[at + 3] / 255, out = a + under * (1 - a);
        for (let c = 0; c < 3; c++) data[at + c] = (colour[c] * a + data[at + c] * under * (1 - a)) / out;
        data[at + 3] = 255 * out;
      }
    };
    // Many points are squares of whole pixels: a tenth of the time of smooth discs.
    const words = new Uint32Array(data.buffer), edge = Math.max(1, Math.round(1.6 * radius));
    const square = (i, word) => {
      const x0 = Math.round(xs[i] * scale + left - edge / 2), y0 = Math.round(ys[i] * scale + top - edge / 2);
      if (x0 < 0 || y0 < 0 || x0 + edge >= width || y0 + edge >= height) return;
      for (let y = y0 * width; y < (y0 + edge) * width; y += width) for (let x = x0; x < x0 + edge; x++) words[y + x] = word;
    };
    const wordOf = ([r, g, b], alpha) => ((Math.round(255 * alpha) << 24) | (b << 16) | (g << 8) | r) >>> 0;
    const base = stamp(radius), strong = stamp(Math.max(radius * 1.6, 5 * ratio)), grey = greyOf();
    if (count > SMOOTH) {
      if (!inks) {
        inks = new Uint32Array(count);
        for (let i = 0; i < count; i++) inks[i] = wordOf(isPlain(numberOf(i)) ? grey : colourOf(numberOf(i)), faint);
      }
      for (let i = 0; i < count; i++) if (xs[i] >= 0) square(i, inks[i]);
      for (const i of picked) if (xs[i] >= 0) square(i, wordOf(colourOf(numberOf(i)), 1));
    } else {
      for (let i = 0; i < count; i++) {
        if (xs[i] < 0 || lit.has(i) || picked.has(i)) continue;
        paint(i, base, isPlain(numberOf(i)) ? grey : colourOf(numberOf(i)), faint);
      }
      for (const i of picked) if (xs[i] >= 0) paint(i, base, colourOf(numberOf(i)), 1);
    }
    const green = dark.matches ? [92, 214, 134] : [30, 145, 72];
    for (const i of lit) if (xs[i] >= 0) paint(i, strong, green, 1);
    stale = false;
  };

  const draw = () => {
    if (!count || !canvas.width) return;
    if (stale) paintPoints();
    context.putImageData(image, 0, 0);
    const ink = getComputedStyle(document.body).color;
    context.font = `600 ${13 * ratio}px Inter, system-ui, sans-serif`;
    context.textBaseline = "middle";
    context.lineJoin = "round";
    const taken = [];
    for (const [i, name] of names) {
      if (!(xs[i] >= 0)) continue;
      const at = [toX(xs[i]) + 11 * ratio, toY(ys[i])];
      const box = [at[0], at[1] - 9 * ratio, at[0] + context.measureText(name).width, at[1] + 9 * ratio];
      if (taken.some((o) => box[0] < o[2] && box[2] > o[0] && box[1] < o[3] && box[3] > o[1])) continue;
      taken.push(box);
      context.lineWidth = 4 * ratio;
      context.strokeStyle = dark.matches ? "#1e1a15" : "#ffffff";
      context.strokeText(name, ...at);
      context.fillStyle = ink;
      context.fillText(name, ...at);
    }
    if (hovered >= 0) {
      context.beginPath();
      context.arc(toX(xs[hovered]), toY(ys[hovered]), pointRadius() + 5 * ratio, 0, 7);
      context.lineWidth = 2 * ratio;
      context.strokeStyle = ink;
      context.stroke();
    }
    if (path) {
      context.beginPath();
      path.forEach(([x, y], n) => context[n ? "lineTo" : "moveTo"](x, y));
      context.closePath();
      context.fillStyle = "rgb(138 79 20 / 14%)";
      context.fill();
      context.lineWidth = 2 * ratio;
      context.strokeStyle = ink;
      context.stroke();
    }
  };

  let asked = false;
  const redraw = ({ points = true, colours = false } = {}) => {
    stale ||= points;
    if (colours) inks = null;
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; draw(); });
  };

  const resize = () => {
    ratio = Math.min(devicePixelRatio || 1, 2);
    canvas.width = Math.round(frame.clientWidth * ratio);
    canvas.height = Math.round(frame.clientHeight * ratio);
    redraw();
  };

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
  };

  const fromX = (px) => (px - canvas.width / 2) / (side() * view.zoom) + view.x;
  const fromY = (py) => (py - canvas.height / 2) / (side() * view.zoom) + view.y;

  const nearest = (px, py) => {
    const x = fromX(px), y = fromY(py);
    let best = -1, least = ((14 * ratio) / (side() * view.zoom)) ** 2;
    for (let i = 0; i < count; i++) {
      const dx = xs[i] - x, dy = ys[i] - y, d = dx * dx + dy * dy;
      if (d < least && xs[i] >= 0) { least = d; best = i; }
    }
    return best;
  };

  const fill = async (list, columns, strips) => {
    const answer = await fetch(`/map/outputs?i=${columns.join(",")}${strips ? "&strips=1" : ""}`);
    if (!answer.ok) return;
    const parsed = new DOMParser().parseFromString(`<ul>${await answer.text()}</ul>`, "text/html");
    list.replaceChildren(...parsed.querySelectorAll("li"));
  };

  let waiting = 0;
  const hover = (i) => {
    if (i === hovered) return;
    hovered = i;
    redraw({ points: false });
    clearTimeout(waiting);
    if (i >= 0) waiting = setTimeout(() => fill(document.querySelector("#hovered ul"), [i], true), 90);
  };

  const inside = (x, y, polygon) => {
    let is = false;
    for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
      const [xi, yi] = polygon[i], [xj, yj] = polygon[j];
      if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) is = !is;
    }
    return is;
  };

  const pick = async (corners) => {
    const polygon = corners.map(([x, y]) => [fromX(x), fromY(y)]), found = [];
    const [left, top] = [0, 1].map((axis) => Math.min(...polygon.map((corner) => corner[axis])));
    const [right, bottom] = [0, 1].map((axis) => Math.max(...polygon.map((corner) => corner[axis])));
    for (let i = 0; i < count; i++) {
      if (xs[i] < Math.max(left, 0) || xs[i] > right || ys[i] < top || ys[i] > bottom) continue;
      if (inside(xs[i], ys[i], polygon)) found.push(i);
    }
    picked = new Set(found);
    const card = document.getElementById("picked");
    card.hidden = !found.length;
    const listed = found.slice(0, 200);
    card.querySelector("small").textContent = found.length > 200 ? `200 of ${found.length.toLocaleString("en")} outputs` : `${found.length} outputs`;
    const address = new URL(location.href);
    if (listed.length) address.searchParams.set("pick", listed.join(",")); else address.searchParams.delete("pick");
    history.replaceState(null, "", address);
    redraw({ colours: true });
    if (listed.length) await fill(card.querySelector("ul"), listed, false);
    const said = document.getElementById("announce");
    if (said) said.textContent = `${found.length} outputs picked`;
  };

  const zoomAt = (px, py, factor) => {
    const zoom = Math.max(0.8, Math.min(80, view.zoom * factor));
    const scale = side();
    const x = fromX(px), y = fromY(py);
    view = { zoom, x: x - (px - canvas.width / 2) / (scale * zoom), y: y - (py - canvas.height / 2) / (scale * zoom) };
    redraw();
  };

  const fingers = new Map();
  let last = null, moved = 0;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, place(event));
    last = place(event);
    moved = 0;
    if (lassoing && fingers.size === 1) path = [last];
  });
  canvas.addEventListener("pointermove", (event) => {
    const here = place(event);
    if (!fingers.has(event.pointerId)) { hover(nearest(...here)); return; }
    if (fingers.size === 2) {
      const before = [...fingers.values()];
      const gap = (points) => Math.hypot(points[0][0] - points[1][0], points[0][1] - points[1][1]);
      const old = gap(before);
      fingers.set(event.pointerId, here);
      const now = [...fingers.values()];
      if (old > 0) zoomAt((now[0][0] + now[1][0]) / 2, (now[0][1] + now[1][1]) / 2, gap(now) / old);
      moved = 99;
      return;
    }
    fingers.set(event.pointerId, here);
    moved += Math.hypot(here[0] - last[0], here[1] - last[1]);
    if (path) path.push(here);
    else {
      view.x -= (here[0] - last[0]) / (side() * view.zoom);
      view.y -= (here[1] - last[1]) / (side() * view.zoom);
    }
    last = here;
    redraw({ points: !path });
  });
  const end = (event) => {
    if (!fingers.delete(event.pointerId)) return;
    if (path) {
      const polygon = path;
      path = null;
      if (polygon.length > 4) pick(polygon);
    } else if (moved < 6 * ratio) hover(nearest(...place(event)));
    redraw({ points: false });
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomAt(...place(event), Math.exp(-event.deltaY * 0.0016));
  }, { passive: false });
  document.getElementById("lasso").addEventListener("click", (event) => {
    lassoing = !lassoing;
    event.currentTarget.setAttribute("aria-pressed", lassoing);
  });
  document.getElementById("recolour").addEventListener("click", (event) => {
    byLabel = !byLabel;
    event.currentTarget.setAttribute("aria-pressed", byLabel);
    redraw({ colours: true });
  });
  document.getElementById("whole").addEventListener("click", () => { view = { x: 0.5, y: 0.5, zoom: 1 }; redraw(); });
  dark.addEventListener("change", () => { palette.length = 0; redraw({ colours: true }); });
  addEventListener("resize", resize);

  (async () => {
    // A map that is made for the first time may take longer than an answer may; it goes on meanwhile.
    let answer = await fetch(frame.dataset.points);
    for (let tries = 0; !answer.ok && tries < 40; tries++) {
      await new Promise((go) => setTimeout(go, 3000));
      answer = await fetch(frame.dataset.points);
    }
    if (!answer.ok) { frame.dataset.failed = ""; return; }
    const values = new Uint16Array(await answer.arrayBuffer());
    count = values.length / 4;
    xs = new Float32Array(count); ys = new Float32Array(count);
    owners = new Uint16Array(count); groups = new Uint16Array(count);
    for (let i = 0; i < count; i++) {
      const gone = values[4 * i] === NOWHERE;
      xs[i] = gone ? -1 : values[4 * i] / 65534;
      ys[i] = gone ? -1 : values[4 * i + 1] / 65534;
      owners[i] = values[4 * i + 2];
      groups[i] = values[4 * i + 3];
    }
    frame.dataset.ready = count;
    resize();
  })();
})();
