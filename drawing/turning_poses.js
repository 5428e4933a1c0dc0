// Skeletons that turn about the vertical, and films: no libraries, no network. The data are in the page, see
// drawing/turning_poses.py: joints in mm, z up, about the middle of the motion; the viewer looks along +y.
"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("turning-poses").textContent);
  const elements = [...document.querySelectorAll("[data-turning]")];
  const TURN_SECONDS = 14, PITCH = 0.12, START = 0.45;
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const button = document.getElementById("movement");
  const state = { moves: !window.matchMedia("(prefers-reduced-motion: reduce)").matches, time: 0, last: null };

  const shown = elements.map((element) => {
    const figure = figures[Number(element.dataset.turning)];
    return { element, figure, turned: 0, isSeen: true, drag: null, image: -1, reach: figure.frames && reachOf(figure.frames) };
  });
  // Figures of a row share one scale, so that their sizes may be compared.
  const rows = new Map();
  shown.filter((one) => one.reach).forEach((one) => {
    const row = one.element.closest(".panels"), old = rows.get(row) || { across: 1, up: 1 };
    rows.set(row, { across: Math.max(old.across, one.reach.across), up: Math.max(old.up, one.reach.up) });
  });

  function reachOf(frames) { // farthest from the vertical axis, and from the middle upwards
    const points = frames.flat();
    return { across: Math.max(...points.map(([x, y]) => Math.hypot(x, y))), up: Math.max(...points.map((p) => Math.abs(p[2]))) };
  }

  function draw(one) {
    const { figure, element } = one;
    const number = Math.floor(state.time * figure.rate) % (figure.images || figure.frames).length;
    if (figure.images) {
      if (number !== one.image) element.src = figure.images[number];
      one.image = number;
      return;
    }
    const [width, height, dense] = [element.clientWidth, element.clientHeight, window.devicePixelRatio || 1];
    const [w, h] = [Math.max(1, Math.round(width * dense)), Math.max(1, Math.round(height * dense))];
    if (element.width !== w || element.height !== h) { element.width = w; element.height = h; }
    const context = element.getContext("2d");
    context.setTransform(dense, 0, 0, dense, 0, 0);
    context.clearRect(0, 0, width, height);
    context.lineCap = "round";
    const yaw = START + one.turned + (2 * Math.PI * state.time) / TURN_SECONDS;
    const [cos, sin, lean, rise] = [Math.cos(yaw), Math.sin(yaw), Math.sin(PITCH), Math.cos(PITCH)];
    const reach = rows.get(element.closest(".panels"));
    const thick = Math.max(3, Math.min(width, height) * 0.022);
    const scale = Math.min((width / 2 - 2 * thick) / reach.across, (height / 2 - 2 * thick) / (reach.up * rise + reach.across * lean));
    const places = figure.frames[number].map(([x, y, z]) => {
      const depth = sin * x + cos * y;
      return { u: width / 2 + (cos * x - sin * y) * scale, v: height / 2 - (z * rise + depth * lean) * scale, depth };
    });
    const paper = css("--paper");
    const strokes = figure.bones.map(([a, b]) => ({ a: places[a], b: places[b], colour: figure.colours[b], depth: (places[a].depth + places[b].depth) / 2 }));
    strokes.sort((p, q) => q.depth - p.depth).forEach(({ a, b, colour }) => { // far bones first
      [[paper, thick + 3], [colour, thick]].forEach(([style, wide]) => {
        context.strokeStyle = style;
        context.lineWidth = wide;
        context.beginPath();
        context.moveTo(a.u, a.v);
        context.lineTo(b.u, b.v);
        context.stroke();
      });
    });
  }

  const drawAll = () => shown.filter((one) => one.isSeen).forEach(draw);
  function tick(now) {
    if (!state.moves) { state.last = null; return; }
    if (state.last !== null) state.time += (now - state.last) / 1000;
    state.last = now;
    drawAll();
    requestAnimationFrame(tick);
  }
  function setMoving(moves) {
    state.moves = moves;
    button.textContent = moves ? "Stop movement" : "Start movement";
    if (moves) requestAnimationFrame(tick);
  }

  const watcher = new IntersectionObserver((entries) => entries.forEach((entry) => {
    const one = shown.find(({ element }) => element === entry.target);
    one.isSeen = entry.isIntersecting;
    if (one.isSeen) draw(one);
  }), { rootMargin: "200px" });
  shown.forEach((one) => {
    watcher.observe(one.element);
    if (one.figure.images) return;
    const { element } = one;
    element.addEventListener("pointerdown", (event) => { element.setPointerCapture(event.pointerId); one.drag = event.clientX; });
    element.addEventListener("pointermove", (event) => {
      if (one.drag === null) return;
      one.turned += (event.clientX - one.drag) * 0.01;
      one.drag = event.clientX;
      draw(one);
    });
    ["pointerup", "pointercancel"].forEach((name) => element.addEventListener(name, () => { one.drag = null; }));
  });
  button.hidden = false;
  button.addEventListener("click", () => setMoving(!state.moves));
  window.addEventListener("resize", drawAll);
  window.addEventListener("beforeprint", () => shown.forEach(draw));
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  drawAll();
  setMoving(state.moves);
})();
