// Viewer of predicted poses: no libraries, no network. The data are in the page, see drawing/pose_page.py.
// Coordinates of the 3D view are the camera's (x right, y down, z forward, mm) and are only rotated here.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const [poseCanvas, photoCanvas] = [byId("pose"), byId("photo")];
  const RESET = { yaw: 0.35, pitch: 0.15, zoom: 1 };
  const [MIN_CONFIDENCE, GRID_MM, APART_MM] = [0.3, 250, 1000];
  const state = { ...RESET, frame: 0, person: data.people[0], marked: -1, playing: null };
  const HAS_SIGMA = data.frames.some((one) => one.people.some((p) => p.sigma));
  const images = data.frames.map((frame) => {
    if (!frame.image) return null;
    const image = new Image();
    image.onload = drawPhoto;
    image.src = frame.image;
    return image;
  });

  const frame = () => data.frames[state.frame]; // what is shown
  const chosen = () => frame().people.find((one) => one.person === state.person) || null;
  const skeletonOf = (one) => data.skeletons[one.skeleton];
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const isCrowd = () => byId("show-everybody").checked && data.frames.some((one) => one.people.length > 1);
  const lowest = (one) => one.joints3d.reduce((a, p) => (p ? Math.max(a, p[1]) : a), -Infinity);
  const across = (one) => { // mean place from left to right in the image
    const known = (one.joints2d || []).filter(Boolean);
    return known.reduce((a, p) => a + p[0], 0) / Math.max(1, known.length);
  };

  // People of a frame that are drawn, each with what is added to its joints: as far from the chosen one as the camera sees them,
  // or side by side on one floor where their places are not known.
  function shownPeople(of) {
    const one = of.people.find((p) => p.person === state.person);
    if (!isCrowd()) return one ? [[one, [0, 0, 0]]] : [];
    const anchor = one || of.people[0];
    if (of.people.every((p) => p.root)) return of.people.map((p) => [p, p.root.map((v, axis) => v - anchor.root[axis])]);
    const row = [...of.people].sort((p, q) => across(p) - across(q)), middle = row.indexOf(anchor);
    return row.map((p, k) => [p, [(k - middle) * APART_MM, (lowest(anchor) - lowest(p)) || 0, 0]]);
  }
  const placed = ([one, offset]) => one.joints3d.map((point) => point && point.map((v, axis) => v + offset[axis]));

  function extent() { // of all frames, so that the view does not jump between them
    const points = data.frames.flatMap((of) => shownPeople(of).flatMap((shown) => placed(shown).filter(Boolean)));
    if (!points.length) return { radius: 1000, floor: 0, centre: [0, 0, 0] };
    const low = [0, 1, 2].map((axis) => points.reduce((a, p) => Math.min(a, p[axis]), Infinity));
    const high = [0, 1, 2].map((axis) => points.reduce((a, p) => Math.max(a, p[axis]), -Infinity));
    const centre = low.map((value, axis) => (value + high[axis]) / 2);
    const radius = points.reduce((a, p) => Math.max(a, Math.hypot(...p.map((v, axis) => v - centre[axis]))), 1);
    return { radius, floor: high[1], centre };
  }
  let bounds = extent();

  function sized(canvas, width, height) {
    const scale = window.devicePixelRatio || 1;
    const w = Math.max(1, Math.round(width * scale)), h = Math.max(1, Math.round(height * scale));
    if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
    const context = canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    context.lineCap = "round";
    return context;
  }

  function projector(width, height) {
    const [cy, sy, cp, sp] = [Math.cos(state.yaw), Math.sin(state.yaw), Math.cos(state.pitch), Math.sin(state.pitch)];
    const distance = 5 * bounds.radius;
    const focal = 0.45 * Math.min(width, height) * 5 * state.zoom;
    return (point) => {
      const [x, y, z] = point.map((value, axis) => value - bounds.centre[axis]);
      const turnedX = cy * x + sy * z, turnedZ = -sy * x + cy * z;
      const turnedY = cp * y - sp * turnedZ, depth = sp * y + cp * turnedZ;
      const scale = focal / Math.max(distance + depth, 0.05 * distance);
      return { u: width / 2 + turnedX * scale, v: height / 2 + turnedY * scale, depth, scale };
    };
  }

  function line(context, a, b, colour, width) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    context.moveTo(a.u, a.v);
    context.lineTo(b.u, b.v);
    context.stroke();
  }

  function disc(context, at, radius, colour) {
    context.fillStyle = colour;
    context.beginPath();
    context.arc(at.u, at.v, radius, 0, 2 * Math.PI);
    context.fill();
  }

  function drawGrid(context, project) {
    const reach = Math.ceil(bounds.radius / GRID_MM) * GRID_MM;
    const [x0, z0] = [bounds.centre[0], bounds.centre[2]].map((value) => Math.round(value / GRID_MM) * GRID_MM);
    for (let offset = -reach; offset <= reach; offset += GRID_MM) {
      line(context, project([x0 + offset, bounds.floor, z0 - reach]), project([x0 + offset, bounds.floor, z0 + reach]), css("--faint"), 1);
      line(context, project([x0 - reach, bounds.floor, z0 + offset]), project([x0 + reach, bounds.floor, z0 + offset]), css("--faint"), 1);
    }
  }

  function drawCamera(context, project) { // a symbol: it shows the side the camera is on, not how far away it is
    const [x, y] = bounds.centre, back = bounds.centre[2] - 1.35 * bounds.radius, size = 0.12 * bounds.radius;
    const eye = project([x, y, back]);
    const corners = [[-1, -0.75], [1, -0.75], [1, 0.75], [-1, 0.75]].map(([a, b]) => project([x + a * size, y + b * size, back + 1.6 * size]));
    corners.forEach((corner, k) => {
      line(context, eye, corner, css("--quiet"), 1.5);
      line(context, corner, corners[(k + 1) % 4], css("--quiet"), 1.5);
    });
    const origin = [x, y, back];
    [["x", 0], ["y", 1], ["z", 2]].forEach(([name, axis]) => {
      const end = project(origin.map((value, k) => value + (k === axis ? 4 * size : 0)));
      line(context, eye, end, css("--ink"), 1);
      context.fillStyle = css("--ink");
      context.font = "13px system-ui, sans-serif";
      context.fillText(name, end.u + 4, end.v + 4);
    });
  }

  function drawPose() {
    const width = poseCanvas.clientWidth, height = poseCanvas.clientHeight;
    const context = sized(poseCanvas, width, height);
    const project = projector(width, height);
    if (byId("show-grid").checked) drawGrid(context, project);
    if (byId("show-camera").checked) drawCamera(context, project);
    const people = shownPeople(frame());
    if (byId("show-sigma").checked) people.forEach((shown) => drawSigma(context, shown, project));
    const size = isCrowd() ? Math.max(1, ...people.map(([one]) => reach(one))) : bounds.radius;
    const parts = people.flatMap((shown) => partsOf(shown, project, Math.max(3, 0.035 * size)));
    parts.sort((p, q) => q.depth - p.depth).forEach((part) => { // far parts first
      if (part.at) {
        const radius = Math.max(3, part.thick * 0.75 * part.at.scale);
        disc(context, part.at, radius + 1.5, css("--paper"));
        disc(context, part.at, radius, part.colour);
        if (isUncertain(part.one, part.joint)) disc(context, part.at, radius * 0.5, css("--paper"));
        if (part.joint === state.marked && part.one === chosen()) mark(context, part.at, radius + 5);
      } else {
        const stroke = Math.max(2, part.thick * (part.a.scale + part.b.scale) / 2);
        line(context, part.a, part.b, css("--paper"), stroke + 3);
        line(context, part.a, part.b, part.colour, stroke);
      }
    });
    if (people.length > 1) people.forEach((shown) => nameAbove(context, shown, project));
  }

  function drawSigma(context, shown, project) { // below the skeletons: a disc as large as the ball of one standard deviation
    const [one] = shown, colours = skeletonOf(one).colours;
    if (!one.sigma) return;
    context.globalAlpha = 0.25;
    placed(shown).map((point, joint) => point && one.sigma[joint] > 0 && { at: project(point), joint }).filter(Boolean)
      .sort((p, q) => one.sigma[q.joint] - one.sigma[p.joint])
      .forEach(({ at, joint }) => disc(context, at, one.sigma[joint] * at.scale, colours[joint]));
    context.globalAlpha = 1;
  }

  const reach = (one) => one.joints3d.reduce((a, p) => (p ? Math.max(a, Math.hypot(...p)) : a), 1);

  function partsOf(shown, project, thick) { // bones and joints of a person, with their depths
    const [one] = shown, skeleton = skeletonOf(one);
    const places = placed(shown).map((point) => point && project(point));
    const strokes = skeleton.bones.filter(([a, b]) => places[a] && places[b])
      .map(([a, b]) => ({ ends: [a, b], a: places[a], b: places[b], colour: skeleton.colours[b], thick, depth: (places[a].depth + places[b].depth) / 2 }));
    // A joint is drawn right after the nearest of its bones, whose end would cover it otherwise.
    const nearest = (joint) => Math.min(...strokes.filter((s) => s.ends.includes(joint)).map((s) => s.depth), places[joint].depth);
    const dots = places.map((at, joint) => at && { at, joint, one, thick, colour: skeleton.colours[joint], depth: nearest(joint) - 1 }).filter(Boolean);
    return [...strokes, ...dots];
  }

  function nameAbove(context, shown, project) {
    const points = placed(shown).filter(Boolean);
    if (!points.length) return;
    const top = project(points.reduce((a, p) => (p[1] < a[1] ? p : a)));
    context.font = `${shown[0].person === state.person ? "600 " : ""}13px system-ui, sans-serif`;
    context.textAlign = "center";
    context.fillStyle = css("--ink");
    context.fillText(shown[0].person, top.u, top.v - 12);
    context.textAlign = "start";
  }

  const isUncertain = (one, joint) => Boolean(one.confidence && !(one.confidence[joint] >= MIN_CONFIDENCE));

  function mark(context, at, radius) {
    context.strokeStyle = css("--ink");
    context.lineWidth = 2;
    context.beginPath();
    context.arc(at.u, at.v, radius, 0, 2 * Math.PI);
    context.stroke();
  }

  function drawPhoto() {
    byId("photo-figure").hidden = !data.frames.some((one) => one.image || one.people.some((p) => p.joints2d));
    const { width, height } = frame();
    const shown = photoCanvas.clientWidth;
    const scale = shown / width;
    photoCanvas.style.height = `${height * scale}px`;
    const context = sized(photoCanvas, shown, height * scale);
    const image = images[state.frame];
    if (image && image.complete && image.naturalWidth) context.drawImage(image, 0, 0, shown, height * scale);
    if (!byId("show-overlay").checked) return;
    frame().people.forEach((one) => { if (one.joints2d) drawJoints(context, one, scale, one.person === state.person); });
  }

  function drawJoints(context, one, scale, isChosen) {
    const skeleton = skeletonOf(one);
    // The centre of the top-left pixel is (0, 0), so its corner is at (-0.5, -0.5).
    const places = one.joints2d.map((point) => point && { u: (point[0] + 0.5) * scale, v: (point[1] + 0.5) * scale });
    const thick = isChosen ? 3.5 : 2;
    const bones = skeleton.bones.filter(([a, b]) => places[a] && places[b]);
    bones.forEach(([a, b]) => line(context, places[a], places[b], "#ffffff", thick + 2.5));
    bones.forEach(([a, b]) => line(context, places[a], places[b], skeleton.colours[b], thick));
    places.forEach((at, joint) => {
      if (!at) return;
      disc(context, at, thick + 2.5, "#ffffff");
      disc(context, at, thick + 1, skeleton.colours[joint]);
      if (isUncertain(one, joint)) disc(context, at, thick * 0.5 + 0.5, "#ffffff");
      if (isChosen && joint === state.marked) mark(context, at, thick + 6);
    });
  }

  function cell(row, text, name) {
    const element = document.createElement("td");
    element.textContent = text;
    if (name) element.className = name;
    row.append(element);
    return element;
  }

  const number = (value, digits) => (value === null || value === undefined ? "–" : value.toFixed(digits).replace("-", "−"));

  function fillTables() {
    byId("caption").textContent = frame().caption;
    byId("caption").hidden = frame().caption === document.title;
    const doubts = frame().people.flatMap((one) => one.notes);
    byId("doubt").textContent = doubts.join(" ");
    byId("doubt").hidden = !doubts.length;
    byId("placing").hidden = !(isCrowd() && frame().people.length > 1);
    byId("placing").textContent = frame().people.every((one) => one.root) ? "People stand where the camera sees them."
      : "People stand side by side: how far they are from each other is not known.";
    byId("thumbnails").querySelectorAll("button").forEach((button, k) => {
      button.setAttribute("aria-current", String(k === state.frame));
      if (k === state.frame) byId("thumbnails").scrollLeft = button.offsetLeft - byId("thumbnails").offsetLeft - 0.5 * (byId("thumbnails").clientWidth - button.clientWidth);
    });
    byId("frame-number").textContent = `${state.frame + 1} of ${data.frames.length}`;
    const one = chosen();
    const rows = one ? one.joints3d.map((point, joint) => jointRow(one, point, joint)) : [];
    byId("joints").replaceChildren(...rows);
    const readings = one ? one.readings : [];
    byId("readings-table").hidden = !data.frames.some((f) => f.people.some((p) => p.readings.length));
    byId("readings").replaceChildren(...readings.map(readingRow));
  }

  function jointRow(one, point, joint) {
    const skeleton = skeletonOf(one);
    const row = document.createElement("tr");
    const swatch = document.createElement("span");
    swatch.className = "swatch";
    swatch.style.background = skeleton.colours[joint];
    cell(row, skeleton.joints[joint].replaceAll("_", " ")).prepend(swatch);
    [0, 1, 2].forEach((axis) => cell(row, number(point && point[axis], 0)));
    if (HAS_SIGMA) cell(row, number(one.sigma && one.sigma[joint], 0));
    cell(row, number(one.confidence && one.confidence[joint], 2));
    row.addEventListener("pointerenter", () => setMarked(joint, row));
    row.addEventListener("pointerleave", () => setMarked(-1, row));
    return row;
  }

  function readingRow(reading) {
    const row = document.createElement("tr");
    const [low, high] = [reading.low ?? -Infinity, reading.high ?? Infinity];
    const beyond = Math.max(low - reading.value, reading.value - high);
    const first = cell(row, reading.name);
    if (reading.zero) {
      const zero = document.createElement("small");
      zero.textContent = `0${reading.unit} is ${reading.zero}`;
      first.append(zero);
    }
    const way = reading.way ? ` ${reading.way}` : "";
    const excess = beyond > 0 ? `, ${number(Math.max(1, beyond), 0)}${reading.unit} too ${reading.value > high ? "far" : "little"}` : "";
    cell(row, `${number(reading.value, 0)}${reading.unit}${way}${excess}`, beyond > 0 ? "outside" : "");
    const range = [reading.low, reading.high].map((bound) => (bound === null ? "" : number(bound, 0)));
    cell(row, range.every(Boolean) ? `${range.join(" to ")}${reading.unit}` : range[0] ? `from ${range[0]}${reading.unit}` : range[1] ? `up to ${range[1]}${reading.unit}` : "–");
    return row;
  }

  function setMarked(joint, row) {
    state.marked = joint;
    row.classList.toggle("marked", joint >= 0);
    drawPose();
    drawPhoto();
  }

  function show(frameNumber) {
    state.frame = frameNumber;
    byId("frame").value = String(frameNumber);
    if (!chosen() && frame().people.length && !state.playing) choosePerson(frame().people[0].person);
    drawPose();
    drawPhoto();
    fillTables();
  }

  function choosePerson(person) {
    state.person = person;
    byId("person").value = person;
    bounds = extent();
  }

  function thumbnail(of, k) {
    const button = document.createElement("button"), image = new Image();
    Object.assign(image, { loading: "lazy", decoding: "async", alt: of.caption || `image ${k + 1}`, src: of.image });
    button.type = "button";
    button.title = of.caption;
    button.classList.toggle("doubted", of.people.some((one) => one.notes.length));
    button.append(image);
    button.addEventListener("click", () => show(k));
    return button;
  }

  function nearestPerson(u, v) { // to a place in the image, by their joints
    const away = (one) => Math.min(Infinity, ...(one.joints2d || []).filter(Boolean).map(([x, y]) => Math.hypot(x - u, y - v)));
    return frame().people.reduce((a, one) => (away(one) < away(a) ? one : a), frame().people[0]);
  }

  function rotate(yaw, pitch) {
    state.yaw += yaw;
    state.pitch = Math.max(-Math.PI / 2, Math.min(Math.PI / 2, state.pitch + pitch));
    drawPose();
  }

  function zoom(factor) {
    state.zoom = Math.max(0.2, Math.min(8, state.zoom * factor));
    drawPose();
  }

  function view(values) { Object.assign(state, values); drawPose(); }

  function play() {
    const next = () => show((state.frame + 1) % data.frames.length);
    clearInterval(state.playing);
    state.playing = state.playing ? null : setInterval(next, 1000 / data.framesPerSecond);
    byId("play").textContent = state.playing ? "Pause" : "Play";
  }

  const pointers = new Map(); // fingers or buttons that are down
  const spread = () => { const [a, b] = [...pointers.values()]; return Math.hypot(a.x - b.x, a.y - b.y); };
  poseCanvas.addEventListener("pointerdown", (event) => {
    poseCanvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  });
  poseCanvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const old = pointers.size === 2 ? spread() : 0;
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (pointers.size === 2 && old > 0) zoom(spread() / old);
    else if (pointers.size === 1) rotate((before.x - event.clientX) * 0.01, (event.clientY - before.y) * 0.01);
  });
  ["pointerup", "pointercancel"].forEach((name) => poseCanvas.addEventListener(name, (event) => pointers.delete(event.pointerId)));
  poseCanvas.addEventListener("wheel", (event) => { event.preventDefault(); zoom(Math.exp(-event.deltaY * 0.001)); }, { passive: false });
  poseCanvas.addEventListener("keydown", (event) => {
    const actions = {
      ArrowLeft: () => rotate(0.1, 0), ArrowRight: () => rotate(-0.1, 0), ArrowUp: () => rotate(0, -0.1), ArrowDown: () => rotate(0, 0.1),
      "+": () => zoom(1.1), "=": () => zoom(1.1), "-": () => zoom(1 / 1.1), 0: () => view(RESET),
    };
    if (actions[event.key] && !event.ctrlKey && !event.metaKey && !event.altKey) { event.preventDefault(); actions[event.key](); }
  });
  const VIEWS = { reset: RESET, side: { yaw: Math.PI / 2, pitch: 0 }, top: { yaw: 0, pitch: Math.PI / 2 } };
  Object.entries(VIEWS).forEach(([id, values]) => byId(id).addEventListener("click", () => view(values)));
  ["show-grid", "show-camera", "show-sigma"].forEach((id) => byId(id).addEventListener("change", drawPose));
  byId("show-everybody").addEventListener("change", () => { bounds = extent(); drawPose(); fillTables(); });
  photoCanvas.addEventListener("click", (event) => {
    const scale = frame().width / photoCanvas.clientWidth;
    choosePerson(nearestPerson(event.offsetX * scale, event.offsetY * scale).person);
    show(state.frame);
  });
  byId("show-overlay").addEventListener("change", drawPhoto);
  byId("frame").addEventListener("input", () => show(Number(byId("frame").value)));
  byId("play").addEventListener("click", play);
  byId("person").addEventListener("change", () => { choosePerson(byId("person").value); show(state.frame); });
  const redraw = () => { drawPose(); drawPhoto(); };
  window.addEventListener("resize", redraw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  byId("person").replaceChildren(...data.people.map((person) => new Option(person, person)));
  byId("person-control").hidden = data.people.length < 2;
  ["sigma-control", "sigma-meaning", "sigma-head"].forEach((id) => { byId(id).hidden = !HAS_SIGMA; });
  byId("everybody-control").hidden = !data.frames.some((one) => one.people.length > 1);
  if (data.frames.length > 1 && data.frames.every((one) => one.image)) {
    byId("thumbnails").replaceChildren(...data.frames.map(thumbnail));
    byId("thumbnails").hidden = false;
  }
  byId("frame").max = String(data.frames.length - 1);
  ["play", "frame", "frame-number"].forEach((id) => { byId(id).hidden = data.frames.length < 2; });
  show(0);
})();
