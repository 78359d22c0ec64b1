"use strict";
// Words from the data reach the page through textContent and canvas text alone, never as markup.

// Curves: the pointer reads them.
for (const plot of document.querySelectorAll(".plot[data-points]")) {
  const points = JSON.parse(plot.dataset.points);
  const dot = document.createElement("span"), says = document.createElement("span");
  dot.className = "dot"; says.className = "says";
  const hide = () => { dot.remove(); says.remove(); };
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    const left = 100 * (event.clientX - box.left) / box.width;
    const point = points.reduce((best, next) => Math.abs(next[0] - left) < Math.abs(best[0] - left) ? next : best);
    dot.style.left = point[0] + "%"; dot.style.top = point[1] + "%";
    says.style.left = Math.min(85, Math.max(15, point[0])) + "%"; says.textContent = point[2];
    plot.append(dot, says);
  });
  plot.addEventListener("pointerleave", hide);
}

const held = document.getElementById("map-data");
if (held) drawMap(JSON.parse(held.textContent));

function drawMap(data) {
  const $ = (name) => document.getElementById("map-" + name);
  const canvas = $("canvas"), stage = $("stage"), tip = $("tip"), legend = $("legend");
  const pen = canvas.getContext("2d");
  const GRID = 10000, COLOURS = 10, MARGIN = 34;
  const all = Array.from({ length: data.count }, (_, point) => point);
  const hasPictures = data.slot.some((slot) => slot >= 0);
  const hasWords = data.text.some((text) => text) || data.colours.some((colour) => colour.name === "label");
  const sheet = new Image();
  let width = 0, height = 0, ink = {};
  let layout = data.layouts[0], colour = data.colours[0];
  let show = hasPictures ? "pictures" : hasWords && data.text.some((text) => text) ? "words" : "dots";
  let kept = null, wanted = "", pointed = -1, queued = false, boxes = [];
  const view = { zoom: 1, x: 0, y: 0 };

  // A picture or a word is drawn where it covers none that is drawn already; a fixed shuffle says who comes first.
  let state = 1;
  const random = () => (state = (state * 48271) % 2147483647) / 2147483647;
  const order = all.slice();
  for (let last = order.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [order[last], order[other]] = [order[other], order[last]];
  }

  const labels = data.colours.find((entry) => entry.name === "label");
  const words = (point) => data.text[point] || (labels && labels.names[labels.codes[point]]) || data.id[point];
  const className = (entry, point) => entry.codes[point] < 0 ? "none" : entry.names[entry.codes[point]];
  const tint = (point) => ink.classes[Math.min(COLOURS, colour.codes[point] < 0 ? COLOURS : colour.codes[point])];
  const left = (point) => place(layout.x[point], width, view.x);
  const top = (point) => place(GRID - layout.y[point], height, view.y);
  const place = (value, size, shift) => size / 2 + shift + view.zoom * (value / GRID - 0.5) * (size - 2 * MARGIN);
  const matches = (point) => (kept === null || (kept === -1 ? colour.codes[point] < 0 || colour.codes[point] >= COLOURS : colour.codes[point] === kept))
    && (!wanted || (words(point) + " " + data.id[point]).toLowerCase().includes(wanted));

  function readInk() {
    const style = getComputedStyle(document.documentElement);
    const get = (name) => style.getPropertyValue(name).trim();
    ink = { ink: get("--ink"), soft: get("--soft"), card: get("--card"), accent: get("--accent"),
      classes: [...Array(COLOURS).keys()].map((code) => get("--c" + code)).concat(get("--other")) };
  }

  function marker(point, size) {
    const x = left(point), y = top(point), kind = data.shapes.codes[point] % 3;
    pen.beginPath();
    if (kind === 0) pen.arc(x, y, size, 0, 7);
    else if (kind === 1) { pen.moveTo(x, y - 1.3 * size); pen.lineTo(x + 1.2 * size, y + size); pen.lineTo(x - 1.2 * size, y + size); pen.closePath(); }
    else pen.rect(x - size, y - size, 2 * size, 2 * size);
    pen.fill();
  }

  // Squares of the stage that are taken, so that each check looks at few neighbours.
  function Space(cell) {
    const taken = new Set();
    return (x, y, w, h) => {
      const keys = [];
      for (let a = Math.floor(x / cell); a <= Math.floor((x + w) / cell); a++)
        for (let b = Math.floor(y / cell); b <= Math.floor((y + h) / cell); b++) {
          if (taken.has(a + "," + b)) return false;
          keys.push(a + "," + b);
        }
      keys.forEach((key) => taken.add(key));
      return true;
    };
  }

  function picture(point, target, x, y, size) {
    const slot = data.slot[point];
    target.drawImage(sheet, slot % data.columns * data.tile, Math.floor(slot / data.columns) * data.tile,
      data.tile, data.tile, x, y, size, size);
  }

  function draw() {
    queued = false;
    const scale = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale); canvas.height = Math.round(height * scale);
    }
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    const shown = [], faint = [];
    for (const point of order) {
      const x = left(point), y = top(point);
      if (x < -40 || y < -40 || x > width + 40 || y > height + 40) continue;
      (matches(point) ? shown : faint).push(point);
    }
    const size = data.count > 1500 ? 2.6 : data.count > 300 ? 3.4 : 4.6;
    pen.globalAlpha = 0.13;
    for (const point of faint) { pen.fillStyle = tint(point); marker(point, size); }
    pen.globalAlpha = show === "dots" ? 0.8 : 0.55;
    for (const point of shown) { pen.fillStyle = tint(point); marker(point, size); }
    pen.globalAlpha = 1;
    boxes = [];
    if (show === "pictures" && sheet.complete && sheet.naturalWidth) {
      const side = data.tile * (width < 600 ? 0.7 : 0.85), fits = Space(side / 4);
      for (const point of shown) {
        if (data.slot[point] < 0) continue;
        const x = left(point) - side / 2, y = top(point) - side / 2;
        if (!fits(x, y, side, side)) continue;
        pen.fillStyle = "#fff"; pen.fillRect(x, y, side, side);
        picture(point, pen, x, y, side);
        pen.strokeStyle = tint(point); pen.lineWidth = 1.6; pen.strokeRect(x, y, side, side);
        boxes.push([point, x, y, side, side]);
      }
    }
    if (show === "words") {
      pen.font = "12px ui-sans-serif, system-ui, sans-serif"; pen.textBaseline = "middle"; pen.textAlign = "left";
      const fits = Space(5);
      for (const point of shown) {
        const whole = words(point), text = whole.length > 30 ? whole.slice(0, 29) + "…" : whole;
        const long = pen.measureText(text).width, x = left(point) + 6, y = top(point);
        if (x + long > width - 4 || !fits(x - 10, y - 8, long + 14, 16)) continue;
        pen.lineWidth = 3; pen.strokeStyle = ink.card; pen.lineJoin = "round"; pen.strokeText(text, x, y);
        pen.fillStyle = ink.ink; pen.fillText(text, x, y);
        pen.fillStyle = tint(point); marker(point, size + 0.6);
        boxes.push([point, x - 12, y - 8, long + 14, 16]);
      }
    }
    if (pointed >= 0) {
      pen.strokeStyle = ink.ink; pen.lineWidth = 1.2; pen.globalAlpha = 0.75;
      for (const other of data.near[pointed]) {
        pen.beginPath(); pen.moveTo(left(pointed), top(pointed)); pen.lineTo(left(other), top(other)); pen.stroke();
      }
      pen.globalAlpha = 1;
      for (const other of [...data.near[pointed], pointed]) {
        pen.fillStyle = ink.card; marker(other, size + 3.6);
        pen.fillStyle = other === pointed ? ink.ink : tint(other); marker(other, size + 1.8);
      }
    }
    canvas.dataset.drawn = shown.length + faint.length;
    canvas.dataset.boxes = boxes.length;
  }

  function redraw() { if (!queued) { queued = true; requestAnimationFrame(draw); } }

  function stamp(point, size) {
    const small = document.createElement("canvas"), scale = window.devicePixelRatio || 1;
    small.width = small.height = size * scale; small.style.width = small.style.height = size + "px";
    picture(point, small.getContext("2d"), 0, 0, size * scale);
    return small;
  }

  function element(name, className, text) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text) { made.textContent = text; made.dir = "auto"; }
    return made;
  }

  function explain(point) {
    const mains = element("div", "mains"), said = element("div");
    if (data.slot[point] >= 0 && sheet.naturalWidth) mains.append(stamp(point, 72));
    if (data.text[point]) said.append(element("p", "", data.text[point]));
    for (const entry of data.colours)
      if (data.colours.length < 2 || entry.name !== "kind") said.append(element("p", "soft", entry.name + ": " + className(entry, point)));
    said.append(element("p", "soft small", data.id[point]));
    mains.append(said);
    const near = element("div", "near");
    for (const other of data.near[point]) if (data.slot[other] >= 0 && sheet.naturalWidth) near.append(stamp(other, 36));
    tip.replaceChildren(mains);
    const texts = data.near[point].filter((other) => data.slot[other] < 0).slice(0, 3);
    if (near.childElementCount || texts.length) tip.append(element("p", "soft small", "nearest in the whole space"));
    if (near.childElementCount) tip.append(near);
    for (const other of texts) tip.append(element("p", "small", words(other)));
    tip.hidden = false;
    const x = left(point), y = top(point);
    tip.style.left = Math.max(6, Math.min(width - tip.offsetWidth - 6, x + 16 + tip.offsetWidth > width ? x - tip.offsetWidth - 16 : x + 16)) + "px";
    tip.style.top = Math.max(6, Math.min(height - tip.offsetHeight - 6, y - tip.offsetHeight / 2)) + "px";
  }

  function point(next) {
    if (next === pointed) return;
    pointed = next;
    if (next < 0) tip.hidden = true; else explain(next);
    redraw();
  }

  function nearest(event) {
    const box = stage.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    const over = boxes.find(([, a, b, w, h]) => x >= a && x <= a + w && y >= b && y <= b + h);
    if (over) return over[0];
    let best = -1, gap = (event.pointerType === "mouse" ? 16 : 26) ** 2;
    for (const candidate of all) {
      const away = (left(candidate) - x) ** 2 + (top(candidate) - y) ** 2;
      if (away < gap && matches(candidate)) { best = candidate; gap = away; }
    }
    return best;
  }

  function zoom(factor, x = width / 2, y = height / 2) {
    const next = Math.min(40, Math.max(1, view.zoom * factor)), by = next / view.zoom;
    view.x = (x - width / 2) * (1 - by) + view.x * by;
    view.y = (y - height / 2) * (1 - by) + view.y * by;
    view.zoom = next;
    move(0, 0);
  }

  function move(x, y) {
    const reach = (size) => (view.zoom - 1) * (size / 2 - MARGIN) + MARGIN;
    view.x = Math.max(-reach(width), Math.min(reach(width), view.x + x));
    view.y = Math.max(-reach(height), Math.min(reach(height), view.y + y));
    point(-1); redraw();
  }

  function fillLegend() {
    kept = null;
    const entries = colour.names.slice(0, COLOURS).map((name, code) => [code, name, colour.counts[code]]);
    const rest = colour.codes.filter((code) => code < 0 || code >= COLOURS).length;
    if (rest) entries.push([-1, colour.names.length > COLOURS ? (colour.names.length - COLOURS) + " others" : "none", rest]);
    legend.replaceChildren(...entries.map(([code, name, count]) => {
      const button = element("button"), dot = element("i"), how = element("small", "", " " + count.toLocaleString("en"));
      button.type = "button"; button.setAttribute("aria-pressed", "false");
      dot.style.background = "var(" + (code < 0 ? "--other" : "--c" + code) + ")";
      const said = element("bdi", "", name);
      button.append(dot, said, how);
      button.addEventListener("click", () => {
        kept = kept === code ? null : code;
        for (const other of legend.querySelectorAll("button")) other.setAttribute("aria-pressed", String(other === button && kept !== null));
        point(-1); redraw();
      });
      return button;
    }));
    if (data.shapes.names.length > 1)
      legend.append(element("span", "shapes", data.shapes.names.map((name, code) => "●▲■"[code % 3] + " " + name).join("   ")));
  }

  function choices(select, values, chosen, change) {
    select.replaceChildren(...values.map((value) => element("option", "", value)));
    select.value = chosen;
    select.closest("label").hidden = values.length < 2;
    select.closest("label").style.display = values.length < 2 ? "none" : "";
    select.addEventListener("change", () => { change(select.selectedIndex); point(-1); redraw(); });
  }

  choices($("colour"), data.colours.map((entry) => entry.name), colour.name, (place) => { colour = data.colours[place]; fillLegend(); });
  const ways = [...(hasPictures ? ["pictures"] : []), ...(hasWords ? ["words"] : []), "dots"];
  choices($("show"), ways, show, (place) => { show = ways[place]; });
  choices($("layout"), data.layouts.map((entry) => entry.name), layout.name, (place) => { layout = data.layouts[place]; $("note").textContent = layout.note; });
  $("find").addEventListener("input", () => { wanted = $("find").value.trim().toLowerCase(); point(-1); redraw(); });
  $("in").addEventListener("click", () => zoom(1.6));
  $("out").addEventListener("click", () => zoom(1 / 1.6));
  $("all").addEventListener("click", () => { view.zoom = 1; view.x = view.y = 0; point(-1); redraw(); });
  canvas.addEventListener("dblclick", (event) => zoom(2, event.offsetX, event.offsetY));
  // The wheel scrolls the page; with Ctrl, as a pinch on a touchpad reports itself, it zooms the map.
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 200), event.offsetX, event.offsetY);
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
    if (step) move(...step);
    else if (event.key === "+" || event.key === "=") zoom(1.4);
    else if (event.key === "-") zoom(1 / 1.4);
    else return;
    event.preventDefault();
  });
  const fingers = new Map();
  canvas.addEventListener("pointerdown", (event) => {
    fingers.set(event.pointerId, event);
    if (event.pointerType === "mouse") { canvas.setPointerCapture(event.pointerId); canvas.classList.add("moving"); }
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) { if (event.pointerType === "mouse") point(nearest(event)); return; }
    if (fingers.size === 2) {
      const other = [...fingers.values()].find((finger) => finger.pointerId !== event.pointerId);
      const gap = (finger) => Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY);
      if (gap(before) > 0) zoom(gap(event) / gap(before), event.offsetX, event.offsetY);
    } else if (event.clientX !== before.clientX || event.clientY !== before.clientY) {
      move(event.clientX - before.clientX, event.clientY - before.clientY);
    }
    fingers.set(event.pointerId, event);
  });
  const lift = (event) => { fingers.delete(event.pointerId); canvas.classList.remove("moving"); };
  canvas.addEventListener("pointerup", (event) => { lift(event); point(nearest(event)); });
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse" && !fingers.size) point(-1); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readInk(); redraw(); });
  new ResizeObserver(() => { width = stage.clientWidth; height = stage.clientHeight; redraw(); }).observe(stage);

  readInk();
  fillLegend();
  width = stage.clientWidth; height = stage.clientHeight;
  document.querySelector("#map-figure .tools").hidden = false;
  sheet.addEventListener("load", redraw);
  if (data.sprite) sheet.src = data.sprite;
  draw();
}
